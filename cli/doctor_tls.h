/* Looks at the TLS files that tally.conf names, for Redis and for Mosquitto's listeners in
 * doctor_file_include_dir: they can be read, belong together, and have not expired. One thread. */
#ifndef TALLY_CLI_DOCTOR_TLS_H
#define TALLY_CLI_DOCTOR_TLS_H

#include "doctor_file.h"
#include "doctor_report.h"

#include <stdbool.h>
#include <stdint.h>

#define DOCTOR_TLS_SOON_DAYS 14 /* expires sooner: a warning */

void doctor_tls_check(const struct doctor_file *file, struct doctor_report *report);

/* A certificate, its chain, and its key (NULL: the key is not looked at), at this time since 1970.
 * `what` names them, such as an option. */
void doctor_tls_pair(struct doctor_report *report, const char *what, const char *cert_file,
                     const char *key_file, int64_t now_s);

/* CAs: one of them must be valid. */
void doctor_tls_authorities(struct doctor_report *report, const char *what, const char *ca_file,
                            int64_t now_s);

/* Whether a listener of the folder's files (*.conf) has a certificate, or may have one, since they
 * cannot be read. Of "", none has. */
bool doctor_tls_listens(const char *folder);

#endif

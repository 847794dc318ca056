/* Looks at the secrets that tally.conf names, and at the spool: whether they hold what they must,
 * who may read them, and whether the collector's user can. One thread. */
#ifndef TALLY_CLI_DOCTOR_SECRETS_H
#define TALLY_CLI_DOCTOR_SECRETS_H

#include "doctor_file.h"
#include "doctor_report.h"

#include <sys/stat.h>

void doctor_secrets_check(const struct doctor_file *file, struct doctor_report *report);

/* Whether the owner of `folder`, the collector's user, may read the file (and write it), as far as
 * owner, group and mode tell. Pure. */
bool doctor_secrets_reaches(const struct stat *folder, const struct stat *file, bool write);

#endif

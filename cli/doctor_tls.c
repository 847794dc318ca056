/* OpenSSL reads the files, as it does for Redis. Mosquitto's listeners are found by the lines of
 * its configuration: a certfile and a keyfile belong to the listener above them. */
#include "doctor_tls.h"

#include "core/secret_file.h"
#include "daemon/clock.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_MAX_BYTES 65536
#define CERTIFICATES_MAX 1000 /* of a file */
#define FILES_MAX 64          /* of include_dir */
#define LINE_BYTES 1024

/* --- certificates --- */

/* Days until the certificate expires, at least; negative: it has; INT_MIN: it is not valid yet. */
static int days_left(const X509 *certificate, int64_t now_s)
{
    int days = 0, seconds = 0;
    int left = INT_MIN;
    ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)now_s);
    if (now != NULL && ASN1_TIME_compare(X509_get0_notBefore(certificate), now) <= 0 &&
        ASN1_TIME_diff(&days, &seconds, now, X509_get0_notAfter(certificate)) == 1)
        left = days < 0 || seconds < 0 ? days - 1 : days;
    ASN1_TIME_free(now);
    return left;
}

/* Not a fault of the file: only this user may not read it. */
static void report_unopened(struct doctor_report *report, const char *what, const char *path,
                            int wrong)
{
    if (wrong == EACCES)
        doctor_report_unseen(report, "tls", "%s: %s: %s: run it as root", what, path,
                             strerror(wrong));
    else
        doctor_report_add(report, DOCTOR_FAIL, "tls", "%s: %s: %s", what, path, strerror(wrong));
}

/* The next one of the file, the caller's; NULL at its end, or with `*damaged` at one that OpenSSL
 * cannot read. */
static X509 *next_of(BIO *in, bool *damaged)
{
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
    *damaged = certificate == NULL && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
    ERR_clear_error();
    return certificate;
}

static void report_unread(struct doctor_report *report, const char *what, const char *path,
                          bool damaged)
{
    doctor_report_add(report, DOCTOR_FAIL, "tls", "%s: %s: %s", what, path,
                      damaged ? "a certificate in it is damaged" : "it holds no PEM certificate");
}

static void judge_days(struct doctor_report *report, const char *what, const char *path, int days)
{
    if (days == INT_MIN)
        doctor_report_add(report, DOCTOR_FAIL, "tls", "%s: %s: is not valid yet", what, path);
    else if (days < 0)
        doctor_report_add(report, DOCTOR_FAIL, "tls", "%s: %s: expired %d day%s ago: renew it",
                          what, path, -days - 1, days == -2 ? "" : "s");
    else
        doctor_report_add(report, days < DOCTOR_TLS_SOON_DAYS ? DOCTOR_WARN : DOCTOR_OK, "tls",
                          "%s: %s: expires in %d day%s%s", what, path, days, days == 1 ? "" : "s",
                          days < DOCTOR_TLS_SOON_DAYS ? ": renew it" : "");
}

void doctor_tls_authorities(struct doctor_report *report, const char *what, const char *ca_file,
                            int64_t now_s)
{
    BIO *in = BIO_new_file(ca_file, "r");
    bool damaged = false;
    int n = 0, best = INT_MIN;
    if (in == NULL) {
        report_unopened(report, what, ca_file, errno);
        ERR_clear_error();
        return;
    }
    for (X509 *one; n < CERTIFICATES_MAX && (one = next_of(in, &damaged)) != NULL; n++) {
        int days = days_left(one, now_s);
        best = days > best ? days : best;
        X509_free(one);
    }
    if (n == 0 || damaged)
        report_unread(report, what, ca_file, damaged);
    else
        judge_days(report, what, ca_file, best);
    BIO_free(in);
}

/* --- a certificate and its key --- */

/* Never asks on the terminal. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's */
static int no_passphrase(char *out, int bytes, int writing, void *user)
{
    (void)out;
    (void)bytes;
    (void)writing;
    (void)user;
    return -1;
}

static void judge_key(struct doctor_report *report, const char *what, X509 *certificate,
                      const char *key_file)
{
    static char text[KEY_MAX_BYTES];
    struct error why;
    if (access(key_file, R_OK) != 0 && errno == EACCES) {
        report_unopened(report, what, key_file, EACCES);
        return;
    }
    ssize_t bytes = secret_file_read(key_file, text, sizeof text, &why);
    if (bytes < 0) {
        doctor_report_add(report, DOCTOR_FAIL, "tls", "%s: %s", what, why.text);
        return;
    }
    BIO *in = BIO_new_mem_buf(text, (int)bytes);
    EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
    if (key == NULL)
        doctor_report_add(report, DOCTOR_FAIL, "tls",
                          "%s: %s: not a PEM key, or it has a passphrase", what, key_file);
    else if (X509_check_private_key(certificate, key) != 1)
        doctor_report_add(report, DOCTOR_FAIL, "tls",
                          "%s: %s: it is not the key of the certificate", what, key_file);
    else
        doctor_report_add(report, DOCTOR_OK, "tls", "%s: %s: the certificate's key", what,
                          key_file);
    EVP_PKEY_free(key);
    BIO_free(in);
    explicit_bzero(text, sizeof text);
    ERR_clear_error();
}

void doctor_tls_pair(struct doctor_report *report, const char *what, const char *cert_file,
                     const char *key_file, int64_t now_s)
{
    BIO *in = BIO_new_file(cert_file, "r");
    bool damaged = false;
    if (in == NULL) {
        report_unopened(report, what, cert_file, errno);
        ERR_clear_error();
        return;
    }
    X509 *first = next_of(in, &damaged);
    if (first == NULL) {
        report_unread(report, what, cert_file, damaged);
        BIO_free(in);
        return;
    }
    /* The one of the chain that expires first counts. */
    int days = days_left(first, now_s);
    X509 *next = NULL;
    for (int n = 0; n < CERTIFICATES_MAX && (next = next_of(in, &damaged)) != NULL; n++) {
        int its_days = days_left(next, now_s);
        days = its_days < days ? its_days : days;
        X509_free(next);
    }
    if (damaged)
        report_unread(report, what, cert_file, damaged);
    else
        judge_days(report, what, cert_file, days);
    if (key_file != NULL)
        judge_key(report, what, first, key_file);
    X509_free(first);
    BIO_free(in);
}

/* --- Mosquitto's listeners --- */

/* A `report` of NULL: only looks whether there is a certificate. */
struct listener {
    const char *path; /* of its file */
    unsigned n;       /* its number in it, from 1; 0 is before the first */
    bool certified;   /* it, or one above it, has a certificate */
    char cert_file[LINE_BYTES], key_file[LINE_BYTES];
};

static void end_listener(struct doctor_report *report, struct listener *listener, int64_t now_s)
{
    char what[LINE_BYTES];
    const bool has = listener->cert_file[0] != '\0';
    (void)snprintf(what, sizeof what, "%.900s: listener %u", listener->path, listener->n);
    listener->certified = listener->certified || has;
    if (has && report != NULL)
        doctor_tls_pair(report, what, listener->cert_file,
                        listener->key_file[0] != '\0' ? listener->key_file : NULL, now_s);
    if (has && report != NULL && listener->key_file[0] == '\0')
        doctor_report_add(report, DOCTOR_FAIL, "tls", "%s: it has a certfile and no keyfile", what);
    listener->cert_file[0] = listener->key_file[0] = '\0';
}

static void take_line(struct doctor_report *report, struct listener *listener, char *line,
                      int64_t now_s)
{
    line[strcspn(line, "\r\n")] = '\0';
    char *name = line + strspn(line, " \t");
    char *value = name + strcspn(name, " \t");
    if (*value != '\0')
        *value++ = '\0';
    value += strspn(value, " \t");
    if (strcmp(name, "listener") == 0) {
        end_listener(report, listener, now_s);
        listener->n++;
    } else if (strcmp(name, "certfile") == 0) {
        (void)snprintf(listener->cert_file, sizeof listener->cert_file, "%s", value);
    } else if (strcmp(name, "keyfile") == 0) {
        (void)snprintf(listener->key_file, sizeof listener->key_file, "%s", value);
    }
}

/* Returns whether one has a certificate, or may have one. */
static bool check_listeners(struct doctor_report *report, const char *path, int64_t now_s)
{
    struct listener listener;
    char line[LINE_BYTES];
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        if (report != NULL)
            doctor_report_unseen(report, "tls", "%s: %s", path, strerror(errno));
        return true;
    }
    memset(&listener, 0, sizeof listener);
    listener.path = path;
    while (fgets(line, sizeof line, in) != NULL)
        take_line(report, &listener, line, now_s);
    end_listener(report, &listener, now_s);
    (void)fclose(in);
    return listener.certified;
}

/* Likewise. */
static bool check_folder(struct doctor_report *report, const char *folder, int64_t now_s)
{
    DIR *listing = opendir(folder);
    bool certified = false;
    if (listing == NULL) {
        if (report != NULL)
            report_unopened(report, "include_dir", folder, errno);
        return true;
    }
    const struct dirent *entry;
    for (unsigned n = 0; n < FILES_MAX && (entry = readdir(listing)) != NULL;) {
        char path[OPTION_TEXT_MAX_BYTES + sizeof entry->d_name + 2];
        const char *end = strrchr(entry->d_name, '.');
        if (end == NULL || strcmp(end, ".conf") != 0)
            continue;
        n++;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        certified = check_listeners(report, path, now_s) || certified;
    }
    (void)closedir(listing);
    return certified;
}

bool doctor_tls_listens(const char *folder)
{
    return folder[0] != '\0' && check_folder(NULL, folder, 0);
}

/* --- all of it --- */

void doctor_tls_check(const struct doctor_file *file, struct doctor_report *report)
{
    static struct links links; /* large */
    const int64_t now_s = (int64_t)(clock_unix_ms() / 1000);
    const char *folder = doctor_file_include_dir(file);
    if (doctor_file_links(file, &links) == 0 && links.redis_ca_file[0] != '\0')
        doctor_tls_authorities(report, "redis_ca_file", links.redis_ca_file, now_s);
    if (links.redis_cert_file[0] != '\0')
        doctor_tls_pair(report, "redis_cert_file, redis_key_file", links.redis_cert_file,
                        links.redis_key_file, now_s);
    if (folder[0] != '\0')
        (void)check_folder(report, folder, now_s);
}

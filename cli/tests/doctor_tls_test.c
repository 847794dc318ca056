#include "unit.h"

#include "doctor_said.h"
#include "temp.h"

#include "doctor_tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define NOW_S 1800000000
#define DAY_S 86400

static EVP_PKEY *key, *other;

static EVP_PKEY *make_key(const char *name, mode_t mode)
{
    EVP_PKEY *made = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(made);
    temp_write(name, "", 0, mode);
    FILE *out = fopen(temp_path(name), "w");
    assert_non_null(out);
    assert_int_equal(PEM_write_PrivateKey(out, made, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(out), 0);
    return made;
}

/* Appends a certificate of `key`, valid between these days from now on. */
static void add_certificate(const char *name, int from_days, int to_days)
{
    X509 *made = X509_new();
    assert_non_null(made);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(made), NOW_S + (time_t)from_days * DAY_S));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(made), NOW_S + (time_t)to_days * DAY_S + 60));
    assert_int_equal(X509_set_pubkey(made, key), 1);
    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    FILE *out = fopen(temp_path(name), "a");
    assert_non_null(out);
    assert_int_equal(PEM_write_X509(out, made), 1);
    assert_int_equal(fclose(out), 0);
    X509_free(made);
}

static void append(const char *name, const char *text)
{
    FILE *out = fopen(temp_path(name), "a");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static int make_files(void **state)
{
    if (temp_setup(state) != 0)
        return -1;
    key = make_key("key", 0600);
    other = make_key("other", 0600);
    EVP_PKEY_free(make_key("open", 0644));
    add_certificate("good", -1, 30);
    add_certificate("soon", -1, 13);
    add_certificate("expired", -9, -3);
    add_certificate("one", -1, 1);
    add_certificate("later", 1, 30);
    add_certificate("chain", -1, 30);
    add_certificate("chain", -9, -3);
    add_certificate("damaged", -1, 30);
    append("damaged", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    temp_write("tls.conf", "", 0, 0600);
    append("tls.conf", "listener 8883\ncertfile /c\n");
    temp_write("empty", "", 0, 0644);
    temp_write("blank", "", 0, 0600);
    return 0;
}

static int delete_files(void **state)
{
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return temp_teardown(state);
}

static void pair(const char *certificate, const char *its_key)
{
    struct doctor_report *report = said_begin();
    doctor_tls_pair(report, "x", temp_path(certificate),
                    its_key != NULL ? temp_path(its_key) : NULL, NOW_S);
    said_end(report);
}

static void test_a_pair(void **state)
{
    (void)state;
    pair("good", "key");
    assert_non_null(strstr(said, "good: expires in 30 days\n"));
    assert_non_null(strstr(said, "key: the certificate's key\n"));
    assert_null(strstr(said, "FAIL"));
    pair("good", "other");
    assert_non_null(strstr(said, "FAIL  tls        x: "));
    assert_non_null(strstr(said, "other: it is not the key of the certificate"));
    pair("good", "open");
    assert_non_null(strstr(said, "0600 or 0640"));
    pair("good", "blank");
    assert_non_null(strstr(said, "not a PEM key, or it has a passphrase"));
    pair("good", "absent");
    assert_non_null(strstr(said, "absent: No such file"));
}

static void test_times(void **state)
{
    (void)state;
    pair("soon", NULL);
    SAID("warn  tls        x: ");
    assert_non_null(strstr(said, "expires in 13 days: renew it"));
    pair("one", NULL);
    assert_non_null(strstr(said, "expires in 1 day: renew it"));
    pair("expired", NULL);
    SAID("FAIL ");
    assert_non_null(strstr(said, "expired 2 days ago"));
    pair("later", NULL);
    SAID("FAIL ");
    assert_non_null(strstr(said, "not valid yet"));
    pair("chain", NULL);
    SAID("FAIL ");
}

static void test_what_is_not_a_certificate(void **state)
{
    (void)state;
    pair("empty", "key");
    SAID("FAIL ");
    assert_non_null(strstr(said, "it holds no PEM certificate"));
    pair("damaged", NULL);
    SAID("FAIL ");
    assert_non_null(strstr(said, "a certificate in it is damaged"));
    pair("absent", "key");
    SAID("FAIL ");
    assert_non_null(strstr(said, "No such file"));
}

static void authorities(const char *name)
{
    struct doctor_report *report = said_begin();
    doctor_tls_authorities(report, "x", temp_path(name), NOW_S);
    said_end(report);
}

static void test_one_valid_authority_will_do(void **state)
{
    (void)state;
    authorities("chain");
    SAID("ok    tls        x: ");
    authorities("expired");
    SAID("FAIL ");
    authorities("damaged");
    SAID("FAIL ");
    authorities("empty");
    SAID("FAIL ");
    authorities("absent");
    SAID("FAIL ");
}

/* Another user's files are not faults. */
static void test_what_only_root_may_read(void **state)
{
    const bool root = geteuid() == 0;
    (void)state;
    append("hidden", "x");
    assert_int_equal(chmod(temp_path("hidden"), 0), 0);
    if (root && setresuid(65534, 65534, 0) != 0)
        skip();
    authorities("hidden");
    SAID("warn  tls        could not look: x: ");
    pair("hidden", NULL);
    SAID("warn  tls        could not look: x: ");
    if (root)
        assert_int_equal(setresuid(0, 0, 0), 0);
    else
        pair("good", "hidden");
    assert_non_null(strstr(said, "hidden: Permission denied: run it as root"));
    assert_null(strstr(said, "FAIL"));
}

static void test_listeners_with_a_certificate(void **state)
{
    char folder[512];
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", temp_path("tls.conf"));
    *strrchr(folder, '/') = '\0';
    assert_true(doctor_tls_listens(folder));
    assert_false(doctor_tls_listens(""));
    temp_write("tls.conf", "listener 1\n", 11, 0600);
    assert_false(doctor_tls_listens(folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pair),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_what_is_not_a_certificate),
        cmocka_unit_test(test_one_valid_authority_will_do),
        cmocka_unit_test(test_what_only_root_may_read),
        cmocka_unit_test(test_listeners_with_a_certificate),
    };
    int failed = cmocka_run_group_tests(tests, make_files, delete_files);
    free(said);
    return failed;
}

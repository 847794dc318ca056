#include "unit.h"

#include "daemon/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char said[16384];

/* Has what log_line writes go to a file; returns what it wrote, from " level=" on. */
#define SAID(...) (begin(), log_line(__VA_ARGS__), end())

static int file = -1, saved = -1;

static void begin(void)
{
    char name[] = "/tmp/tally-log-XXXXXX";
    file = mkstemp(name);
    assert_true(file >= 0);
    unlink(name);
    saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
}

static const char *end(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t bytes = pread(file, said, sizeof said - 1, 0);
    close(file);
    assert_true(bytes > 0);
    said[bytes] = '\0';
    return strstr(said, " level=");
}

static void quotes_what_needs_it(void **state)
{
    (void)state;
    log_init("p", LOG_LEVEL_INFO);
    assert_string_equal(SAID(LOG_LEVEL_INFO, "up", "host=%s port=%d why=%s", "h", 1, "a b"),
                        " level=info program=p msg=\"up\" host=h port=1 why=\"a b\"\n");
    assert_string_equal(SAID(LOG_LEVEL_INFO, "a b", NULL), " level=info program=p msg=\"a b\"\n");
    assert_string_equal(SAID(LOG_LEVEL_ERROR, "x", "why=%s", ""),
                        " level=error program=p msg=\"x\" why=\"\"\n");
    assert_string_equal(SAID(LOG_LEVEL_ERROR, "x", "why=%s n=%.*s", "a=b", 2, "xyz"),
                        " level=error program=p msg=\"x\" why=\"a=b\" n=xy\n");
    assert_string_equal(SAID(LOG_LEVEL_ERROR, "x", "json=%s", "{\"a\":1}"),
                        " level=error program=p msg=\"x\" json=\"{\\\"a\\\":1}\"\n");
}

static void lets_nothing_forge_a_line_or_a_pair(void **state)
{
    (void)state;
    log_init("p", LOG_LEVEL_INFO);
    assert_string_equal(
        SAID(LOG_LEVEL_INFO, "m\"\n", "a=%s b=%s", "x b=y\" c=z\n\x1b[0m", "\xc3\xa9\\"),
        " level=info program=p msg=\"m\\\"\\n\" a=\"x b=y\\\" c=z\\n\\u001b[0m\" "
        "b=\"\\\\xc3\\\\xa9\\\\\"\n");
}

/* However long: one line, its last quote closed. */
static void cuts_what_is_too_long(void **state)
{
    static char text[20000];
    (void)state;
    log_init("p", LOG_LEVEL_INFO);
    for (size_t bytes = 0; bytes < sizeof text - 1;
         bytes += bytes < 900 || bytes > 8400 ? 301 : 1) {
        memset(text, bytes % 2 ? '\x1b' : ' ', bytes);
        text[bytes] = '\0';
        const char *line = SAID(LOG_LEVEL_INFO, text, "a=%s bb=%s", text, text);
        assert_true(strlen(said) <= 8192);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        size_t quotes = 0;
        for (const char *at = line; *at != '\0'; at++)
            quotes += *at == '"';
        assert_true(quotes % 2 == 0);
        assert_true(line[strlen(line) - 2] == '"');
    }
}

static void drops_what_is_below_its_level(void **state)
{
    (void)state;
    log_init("p", LOG_LEVEL_WARNING);
    begin();
    log_line(LOG_LEVEL_INFO, "unheard", NULL);
    log_line(LOG_LEVEL_WARNING, "heard", NULL);
    assert_string_equal(end(), " level=warning program=p msg=\"heard\"\n");
}

static void writes_json(void **state)
{
    (void)state;
    log_init("p", LOG_LEVEL_INFO);
    log_use(LOG_FORMAT_JSON);
    (void)SAID(LOG_LEVEL_WARNING, "up", "host=%s port=%d", "a b", 1);
    const char *rest = strchr(said, 'Z');
    assert_int_equal(strncmp(said, "{\"time\":\"2", 10), 0);
    assert_non_null(rest);
    assert_string_equal(rest, "Z\",\"level\":\"warning\",\"program\":\"p\",\"msg\":\"up\","
                              "\"host\":\"a b\",\"port\":1}\n");
}

/* Only where stderr is the stream that JOURNAL_STREAM names. */
static void puts_priorities_before_lines_for_the_journal(void **state)
{
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    char stream[64];
    struct stat of;
    (void)state;
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        begin();
        assert_int_equal(fstat(STDERR_FILENO, &of), 0);
        snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)of.st_dev,
                 (unsigned long long)of.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        log_init("p", LOG_LEVEL_DEBUG);
        log_use(level % 2 ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT);
        log_line((enum log_level)level, "m", "k=%d", 1);
        (void)end();
        assert_memory_equal(said, priorities[level], 3);
        assert_int_equal(said[3], level % 2 ? '{' : 't');
    }
    setenv("JOURNAL_STREAM", "1:1", 1);
    begin();
    log_init("p", LOG_LEVEL_INFO);
    log_line(LOG_LEVEL_INFO, "m", NULL);
    (void)end();
    assert_int_equal(said[0], 't');
    unsetenv("JOURNAL_STREAM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_what_needs_it),
        cmocka_unit_test(lets_nothing_forge_a_line_or_a_pair),
        cmocka_unit_test(cuts_what_is_too_long),
        cmocka_unit_test(drops_what_is_below_its_level),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(puts_priorities_before_lines_for_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

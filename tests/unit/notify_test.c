#include "unit.h"

#include "daemon/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct event_base *base;
static int heard = -1; /* what systemd would listen at */

/* An abstract socket: nothing stays behind. */
static int listen_as_systemd(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    (void)state;
    snprintf(name, sizeof name, "@tally-notify-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    heard = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (heard < 0 || bind(heard, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) != 0)
        return -1;
    base = event_base_new();
    return base == NULL ? -1 : setenv("NOTIFY_SOCKET", name, 1);
}

static int listen_no_more(void **state)
{
    (void)state;
    event_base_free(base);
    close(heard);
    unsetenv("WATCHDOG_USEC");
    return unsetenv("NOTIFY_SOCKET");
}

/* The next message, "" if there is none. */
static const char *next(void)
{
    static char text[1024];
    ssize_t bytes = recv(heard, text, sizeof text - 1, 0);
    text[bytes > 0 ? bytes : 0] = '\0';
    return text;
}

static void tells_changes_once(void **state)
{
    (void)state;
    struct notify *notify = notify_new(base);
    notify_ready(notify);
    notify_ready(notify);
    assert_string_equal(next(), "READY=1");
    notify_status(notify, "redis: connection refused");
    notify_status(notify, "redis: connection refused");
    assert_string_equal(next(), "STATUS=redis: connection refused");
    notify_status(notify, "");
    assert_string_equal(next(), "STATUS=ok");
    notify_stopping(notify);
    assert_string_equal(next(), "STOPPING=1");
    assert_string_equal(next(), "");
    notify_free(notify);
}

static void status_is_one_bounded_line(void **state)
{
    (void)state;
    char big[2 * NOTIFY_STATUS_BYTES];
    struct notify *notify = notify_new(base);
    notify_status(notify, "a\nREADY=1");
    assert_string_equal(next(), "STATUS=a");
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    notify_status(notify, big);
    notify_status(notify, big);
    assert_int_equal(strlen(next()), strlen("STATUS=") + NOTIFY_STATUS_BYTES - 1);
    assert_string_equal(next(), "");
    notify_free(notify);
}

static void loop_feeds_watchdog(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "2000", 1);
    struct notify *notify = notify_new(base);
    for (int i = 0; i < 3; i++) {
        event_base_loop(base, EVLOOP_ONCE);
        assert_string_equal(next(), "WATCHDOG=1");
    }
    notify_free(notify);
    assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 1); /* nothing is pending */
}

static void says_nothing_without_systemd(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    struct notify *notify = notify_new(base);
    notify_ready(notify);
    notify_status(notify, "x");
    notify_stopping(notify);
    assert_string_equal(next(), "");
    assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 1);
    notify_free(notify);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_changes_once, listen_as_systemd, listen_no_more),
        cmocka_unit_test_setup_teardown(status_is_one_bounded_line, listen_as_systemd,
                                        listen_no_more),
        cmocka_unit_test_setup_teardown(loop_feeds_watchdog, listen_as_systemd, listen_no_more),
        cmocka_unit_test_setup_teardown(says_nothing_without_systemd, listen_as_systemd,
                                        listen_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

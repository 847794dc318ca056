#include "unit.h"

#include "doctor_said.h"

#include "doctor_reach.h"

static void judge(struct doctor_reach reach)
{
    struct doctor_report *report = said_begin();
    reach.feed_port = reach.feed_port != NULL ? reach.feed_port : "9001";
    reach.broker_port = "9001";
    reach.bind_address = reach.bind_address != NULL ? reach.bind_address : "127.0.0.1";
    doctor_reach_judge(report, &reach);
    said_end(report);
}

static void url(const char *text)
{
    judge((struct doctor_reach){.websocket_url = text, .limits = true, .trusted_proxies = "::1"});
}

static void test_urls(void **state)
{
    static const char *const right[] = {"wss://a.example/mqtt",    "wss://a.example:8443",
                                        "wss://[2001:db8::1]:1/x", "ws://localhost:9001",
                                        "ws://127.0.0.1:1",        "ws://[::1]:9001"},
                             *const wrong[] = {"wss://:8443", "wss://a:0", "wss://a:65536",
                                               "wss://a:x",   "wss://a:",  "wss://[::1",
                                               "wss://[::1]x"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        url(right[i]);
        SAID("ok    reach      websocket_url: ");
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        url(wrong[i]);
        SAID("FAIL  reach      websocket_url: ");
    }
    url("ws://a.example:9001");
    SAID("warn  reach      websocket_url: ws://a.example:9001: a page over https");
}

static void test_ports(void **state)
{
    (void)state;
    url("");
    SAID("ok    reach      websocket_port: the pages use port 9001");
    judge((struct doctor_reach){.websocket_url = "", .feed_port = "9002", .limits = true});
    SAID("warn  reach      websocket_port: the pages use port 9002, the broker listens on 9001");
}

static void test_what_is_open(void **state)
{
    const struct doctor_reach open = {.websocket_url = "",
                                      .allow_wildcards = true,
                                      .auto_id_may_react = true,
                                      .trusted_proxies = ""};
    struct doctor_reach reach = open;
    (void)state;
    judge(reach); /* on loopback only, it may */
    SAID("ok ");
    reach.bind_address = "0.0.0.0";
    judge(reach);
    assert_non_null(strstr(said, "warn  reach      allow_wildcards is on"));
    assert_non_null(strstr(said, "warn  reach      auto_id_may_react is on"));
    assert_non_null(strstr(said, "warn  reach      limits is off"));
    assert_null(strstr(said, "trusted_proxies"));
    reach = open;
    reach.websocket_url = "wss://a.example";
    judge(reach);
    assert_non_null(strstr(said, "allow_wildcards is on"));
    assert_non_null(strstr(said, "warn  reach      trusted_proxies of [broker] is empty"));
    reach.own_tls = true; /* no proxy is between */
    judge(reach);
    assert_null(strstr(said, "trusted_proxies"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_what_is_open),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(said);
    return failed;
}

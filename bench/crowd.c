/* tally-crowd: subscribers to one article's totals, as many as a broker holds, and how long what
 * they wait for takes. Prints `ready`, then lines of JSON. */
#include "audience.h"
#include "meter.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 20 /* at the clock, at `stop` and at the input, when nothing comes */

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* Fields are described in README.md. */
static void print_report(const struct crowd_settings *settings, const struct audience *audience)
{
    const struct audience_counts *counts = audience_counts(audience);
    const struct audience_span span = audience_span(audience);
    double cpu_s = counts->begun_ns > 0 ? (double)(meter_cpu_ns() - counts->cpu_ns) / 1e9 : 0;
    printf("{\"program\":\"tally-crowd\",\"websocket\":%s,\"connections\":%" PRIu64
           ",\"subscribed\":%" PRIu64 ",\"connections_lost\":%" PRIu64 ",\"deliveries\":%" PRIu64
           ",\"strange\":%" PRIu64 ",\"backwards\":%" PRIu64 ",\"sent\":%" PRIu64
           ",\"acknowledged\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"done\":%s",
           settings->websocket ? "true" : "false", settings->connections, counts->subscribed,
           counts->connections_lost, counts->deliveries, counts->strange, counts->backwards,
           counts->sent, counts->acknowledged, counts->refused,
           counts->done_ns > 0 ? "true" : "false");
    printf(",\"least_version\":%" PRIu64 ",\"most_version\":%" PRIu64 ",\"least_total\":%" PRIu64
           ",\"most_total\":%" PRIu64 ",\"begun_ns\":%" PRIu64 ",\"first_ns\":%" PRIu64
           ",\"last_ns\":%" PRIu64 ",\"cpu_seconds\":%.6f,\"arrivals\":%" PRIu64
           ",\"p50_us\":%.1f,\"p99_us\":%.1f,\"most_us\":%.1f}\n",
           span.least_version, span.most_version, span.least_total, span.most_total,
           counts->begun_ns, counts->first_ns, counts->last_ns, cpu_s, counts->latency.n,
           (double)latency_quantile(&counts->latency, 0.5) / 1e3,
           (double)latency_quantile(&counts->latency, 0.99) / 1e3,
           (double)latency_quantile(&counts->latency, 1) / 1e3);
}

enum word { NOTHING, GO, LOOK, END };

/* What the input says. The writer waits for the answer to one word before it sends the next. */
static enum word read_word(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[16] = "";
    if (poll(&input, 1, 0) <= 0)
        return NOTHING;
    if (read(STDIN_FILENO, line, sizeof line - 1) <= 0)
        return END;
    return strcmp(line, "go\n") == 0 ? GO : LOOK;
}

static bool has_task(const struct crowd_settings *settings)
{
    return settings->publish > 0 || settings->probes > 0 || settings->react;
}

/* Goes on until it is told to end, its time is over, or it has what it came for. Without hold the
 * task begins at once; with it, each `go` begins it and is answered by a report when it is done. */
static void crowd_run(const struct crowd_settings *settings, struct audience *audience)
{
    const struct audience_counts *counts = audience_counts(audience);
    uint64_t stop_ns = meter_now_ns() + settings->seconds * UINT64_C(1000000000);
    bool begun = false, answered = true;
    while (stop == 0 && meter_now_ns() < stop_ns) {
        enum word word = settings->hold ? read_word() : begun ? NOTHING : GO;
        if (word == END)
            return;
        if (word == LOOK)
            print_report(settings, audience);
        if (word == GO) {
            audience_begin(audience);
            begun = true;
            answered = false;
        }
        if (!answered && counts->done_ns > 0) {
            if (!settings->hold && has_task(settings))
                return;
            answered = true;
            if (settings->hold)
                print_report(settings, audience);
        }
        if (settings->deliveries > 0 && counts->deliveries >= settings->deliveries)
            return;
        audience_look(audience, LOOK_MS);
    }
}

static int crowd_fail(const char *error)
{
    fprintf(stderr, "tally-crowd: %s\n", error);
    return 1;
}

int main(int argc, char **argv)
{
    struct crowd_settings settings;
    struct error error;
    int help;
    int parsed = crowd_settings_parse(&settings, argc, argv, &help, &error);
    if (parsed < 0)
        return crowd_fail(error.text);
    if (parsed == 1) {
        printf("tally-crowd " TALLY_VERSION ": subscribers to one article's totals\n");
        if (help == 'h')
            crowd_settings_print(stdout);
        return 0;
    }
    catch_signals();
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct audience *audience = audience_new(&settings, &stop, &error);
    if (audience == NULL)
        return crowd_fail(error.text);
    printf("ready\n");
    crowd_run(&settings, audience);
    print_report(&settings, audience);
    const struct audience_counts *counts = audience_counts(audience);
    bool failed = counts->connections_lost > 0 || (counts->begun_ns > 0 && counts->done_ns == 0);
    audience_free(audience);
    return failed ? 2 : 0;
}

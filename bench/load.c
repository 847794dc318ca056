/* tally-load: drives a broker with reactions, as many as it takes, and prints one line of JSON:
 * what was sent, what became of it, how long it took. */
#include "drive.h"
#include "meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

/* A caller that measures other processes reads their figures now. The generator also continues at
 * the end of the input. */
static void hold(void)
{
    char line[16];
    printf("ready\n");
    (void)fflush(stdout);
    (void)fgets(line, sizeof line, stdin);
}

static uint64_t print_refused(const struct drive_counts *counts)
{
    uint64_t sum = 0;
    printf("\"refused\":{");
    for (unsigned i = 0; i < 128; i++) {
        if (counts->refused[i] == 0)
            continue;
        printf("%s\"0x%02x\":%" PRIu64, sum > 0 ? "," : "", WIRE_FAILED + i, counts->refused[i]);
        sum += counts->refused[i];
    }
    printf("},");
    return sum;
}

/* Fields are described in README.md. */
static void print_report(const struct load_settings *settings, unsigned window,
                         const struct drive_counts *warmup, const struct drive_counts *counts)
{
    double seconds = (double)(counts->ended_ns - counts->begun_ns) / 1e9;
    printf("{\"program\":\"tally-load\",\"protocol\":\"%s\",\"qos\":%" PRIu64
           ",\"connections\":%" PRIu64 ",\"window\":%u,\"rate\":%" PRIu64 ",\"articles\":%" PRIu64
           ",\"spread\":\"%s\",\"changes\":%" PRIu64 ",\"retractions\":%" PRIu64
           ",\"seed\":%" PRIu64 ",\"warmup_sent\":%" PRIu64 ",\"warmup_acknowledged\":%" PRIu64
           ",\"sent\":%" PRIu64 ",\"first\":%" PRIu64 ",\"standing\":%" PRIu64
           ",\"acknowledged\":%" PRIu64 ",",
           settings->protocol, settings->qos, settings->connections, window, settings->rate,
           settings->articles, settings->spread, settings->changes, settings->retractions,
           settings->seed, warmup->sent, warmup->acknowledged, counts->sent, counts->first,
           counts->standing, counts->acknowledged);
    uint64_t refused = print_refused(counts);
    printf("\"refused_total\":%" PRIu64 ",\"unanswered\":%" PRIu64 ",\"connections_lost\":%" PRIu64
           ",\"seconds\":%.6f,\"per_second\":%.0f,\"cpu_seconds\":%.6f,\"p50_us\":%.1f"
           ",\"p99_us\":%.1f,\"begun_ns\":%" PRIu64 ",\"ended_ns\":%" PRIu64
           ",\"getppid_ns\":%" PRIu64 "}\n",
           refused, counts->unanswered, warmup->connections_lost + counts->connections_lost,
           seconds, seconds > 0 ? (double)counts->sent / seconds : 0, (double)counts->cpu_ns / 1e9,
           (double)latency_quantile(&counts->latency, 0.5) / 1e3,
           (double)latency_quantile(&counts->latency, 0.99) / 1e3, counts->begun_ns,
           counts->ended_ns, meter_system_call_ns());
}

static int load_fail(const char *error)
{
    fprintf(stderr, "tally-load: %s\n", error);
    return 1;
}

int main(int argc, char **argv)
{
    struct load_settings settings;
    struct drive_counts warmup = {0}, counts;
    struct error error;
    int help;
    int parsed = load_settings_parse(&settings, argc, argv, &help, &error);
    if (parsed < 0)
        return load_fail(error.text);
    if (parsed == 1) {
        printf("tally-load " TALLY_VERSION
               ": reactions, as fast as the broker takes them, or at a rate\n");
        if (help == 'h')
            load_settings_print(stdout);
        return 0;
    }
    catch_signals();
    struct drive *drive = drive_new(&settings, &stop, &error);
    if (drive == NULL)
        return load_fail(error.text);
    if (settings.warmup > 0)
        drive_run(drive, settings.warmup, &warmup);
    if (settings.hold)
        hold();
    drive_run(drive, stop != 0 ? 0 : settings.reactions, &counts);
    print_report(&settings, drive_window(drive), &warmup, &counts);
    drive_free(drive);
    return warmup.connections_lost + counts.connections_lost + counts.unanswered > 0 ? 2 : 0;
}

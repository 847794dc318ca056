/* The text format, and what the kernel knows about this process. */
#include "daemon/exposition.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

void exposition_head(struct evbuffer *out, const char *name, enum exposition_type type,
                     const char *help)
{
    static const char *const word[] = {"counter", "gauge", "histogram"};
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, word[type]);
}

void exposition_counter(struct evbuffer *out, const char *name, uint64_t value, const char *help)
{
    exposition_head(out, name, EXPOSITION_COUNTER, help);
    evbuffer_add_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* 17 digits hold every double, and whole numbers stay whole. */
void exposition_gauge(struct evbuffer *out, const char *name, double value, const char *help)
{
    exposition_head(out, name, EXPOSITION_GAUGE, help);
    evbuffer_add_printf(out, "%s %.17g\n", name, value);
}

void exposition_histogram(struct evbuffer *out, const char *name, const struct histogram *histogram,
                          const char *help)
{
    exposition_head(out, name, EXPOSITION_HISTOGRAM, help);
    for (size_t i = 0; i < histogram->n; i++)
        evbuffer_add_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, histogram->bound[i],
                            histogram_up_to(histogram, i));
    uint64_t all = histogram_up_to(histogram, histogram->n);
    evbuffer_add_printf(out,
                        "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.15g\n%s_count %" PRIu64 "\n",
                        name, all, name, histogram->sum, name, all);
}

static void write_processor(struct evbuffer *out)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    exposition_head(out, "process_cpu_seconds_total", EXPOSITION_COUNTER,
                    "Processor time, user and system.");
    evbuffer_add_printf(out, "process_cpu_seconds_total %.6f\n",
                        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void write_memory(struct evbuffer *out)
{
    unsigned long all = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm == NULL)
        return;
    int read = fscanf(statm, "%lu %lu", &all, &resident);
    (void)fclose(statm);
    if (read != 2)
        return;
    double page_bytes = (double)sysconf(_SC_PAGESIZE);
    exposition_gauge(out, "process_resident_memory_bytes", (double)resident * page_bytes,
                     "Memory in RAM.");
    exposition_gauge(out, "process_virtual_memory_bytes", (double)all * page_bytes,
                     "Address space.");
}

static void write_descriptors(struct evbuffer *out)
{
    struct rlimit limit;
    unsigned open = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder != NULL) {
        for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
            open += entry->d_name[0] != '.';
        (void)closedir(folder);
        exposition_gauge(out, "process_open_fds", open > 0 ? open - 1 : 0, /* less this folder */
                         "Open file descriptors.");
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        exposition_gauge(out, "process_max_fds", (double)limit.rlim_cur,
                         "How many file descriptors may be open.");
}

void exposition_process(struct evbuffer *out, const char *program, double started_at_s)
{
    exposition_head(out, "tally_build_info", EXPOSITION_GAUGE,
                    "1; its labels say which program and version this is.");
    evbuffer_add_printf(out, "tally_build_info{program=\"%s\",version=\"%s\"} 1\n", program,
                        TALLY_VERSION);
    write_processor(out);
    write_memory(out);
    write_descriptors(out);
    exposition_gauge(out, "process_start_time_seconds", started_at_s,
                     "When the process started, since 1970.");
}

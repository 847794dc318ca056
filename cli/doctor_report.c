/* Text goes out at once, since some checks wait for seconds. JSON collects the findings, whose
 * number the checks bound. */
#include "doctor_report.h"

#include "core/scan.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct doctor_report {
    FILE *out;
    cJSON *findings; /* NULL: as text */
    bool short_of_memory;
    unsigned counts[DOCTOR_FAIL + 1], unseen;
};

static const char *const signs[] = {"ok", "warn", "FAIL"};

struct doctor_report *doctor_report_new(FILE *out, bool json)
{
    struct doctor_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return NULL;
    report->out = out;
    if (json && (report->findings = cJSON_CreateArray()) == NULL) {
        free(report);
        return NULL;
    }
    return report;
}

void doctor_report_free(struct doctor_report *report)
{
    if (report == NULL)
        return;
    cJSON_Delete(report->findings);
    free(report);
}

static int doctor_report_collect(struct doctor_report *report, enum doctor_sign sign,
                                 const char *what, const char *text)
{
    cJSON *finding = cJSON_CreateObject();
    if (finding == NULL)
        return -1;
    if (cJSON_AddStringToObject(finding, "sign", signs[sign]) != NULL &&
        cJSON_AddStringToObject(finding, "what", what) != NULL &&
        cJSON_AddStringToObject(finding, "text", text) != NULL &&
        cJSON_AddItemToArray(report->findings, finding))
        return 0;
    cJSON_Delete(finding);
    return -1;
}

/* A finding is one line, and text: it may repeat what somebody wrote into a file. A terminal obeys
 * U+0080 to U+009F, too. */
static void doctor_report_clean(unsigned char *at)
{
    const unsigned char *end = at + strlen((const char *)at);
    while (at < end) {
        const size_t bytes = *at < 0x80 ? 1 : scan_utf8(at, end);
        if (*at < ' ' || *at == 0x7f)
            *at = ' ';
        else if (bytes == 2 && at[0] == 0xc2 && at[1] < 0xa0)
            at[0] = at[1] = ' ';
        else if (bytes == 0)
            *at = '?';
        at += bytes > 0 ? bytes : 1;
    }
}

static void doctor_report_take(struct doctor_report *report, enum doctor_sign sign,
                               const char *what, char *text)
{
    report->counts[sign]++;
    doctor_report_clean((unsigned char *)text);
    if (report->findings == NULL) {
        fprintf(report->out, "%-5s %-10s %s\n", signs[sign], what, text);
        (void)fflush(report->out);
    } else if (doctor_report_collect(report, sign, what, text) != 0) {
        report->short_of_memory = true;
    }
}

void doctor_report_add(struct doctor_report *report, enum doctor_sign sign, const char *what,
                       const char *format, ...)
{
    char text[DOCTOR_REPORT_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    doctor_report_take(report, sign, what, text);
}

void doctor_report_unseen(struct doctor_report *report, const char *what, const char *format, ...)
{
    char text[DOCTOR_REPORT_TEXT_BYTES];
    va_list arguments;
    int used = snprintf(text, sizeof text, "could not look: ");
    va_start(arguments, format);
    (void)vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
    va_end(arguments);
    report->unseen++;
    doctor_report_take(report, DOCTOR_WARN, what, text);
}

int doctor_report_status(const struct doctor_report *report)
{
    return report->counts[DOCTOR_FAIL] > 0 ? 1 : report->unseen > 0 ? 2 : 0;
}

int doctor_report_end(struct doctor_report *report)
{
    if (report->findings == NULL)
        return 0;
    cJSON *all = cJSON_CreateObject();
    char *text = NULL;
    if (all != NULL && !report->short_of_memory &&
        cJSON_AddNumberToObject(all, "ok", report->counts[DOCTOR_OK]) != NULL &&
        cJSON_AddNumberToObject(all, "warn", report->counts[DOCTOR_WARN]) != NULL &&
        cJSON_AddNumberToObject(all, "fail", report->counts[DOCTOR_FAIL]) != NULL &&
        cJSON_AddNumberToObject(all, "unseen", report->unseen) != NULL &&
        cJSON_AddItemReferenceToObject(all, "findings", report->findings))
        text = cJSON_PrintUnformatted(all);
    if (text != NULL)
        fprintf(report->out, "%s\n", text);
    int rc = text != NULL ? 0 : -1;
    cJSON_free(text);
    cJSON_Delete(all);
    return rc;
}

/* Opens the store, audits the books and then the articles, and prints the report. */
#include "audit.h"

#include "audit_articles.h"
#include "audit_books.h"
#include "audit_settings.h"
#include "report.h"

#include "daemon/clock.h"
#include "daemon/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS 3000 /* how long a difference may be under way: the feed sends every 250 ms */
#define COULD_NOT_CHECK 2

static void articles(const struct audit_settings *settings, struct report *report,
                     struct store_view *store, const char *secret)
{
    struct error why;
    const struct retained_config broker = {
        .host = settings->links.mqtt_host,
        .port = (int)settings->links.mqtt_port,
        .username = settings->links.user,
        .password = secret,
        .prefix = settings->links.topic_prefix,
    };
    struct audit_articles audit = {
        .report = report,
        .store = store,
        .web = web_new(settings->http_host, (int)settings->http_port),
        .settle_ms = SETTLE_MS,
    };
    audit.retained = retained_open(&broker, &why);
    if (audit.retained == NULL)
        report_fails(report, "articles", why.text);
    else if (audit.web == NULL)
        report_fails(report, "articles", "no memory");
    else
        audit_articles_run(&audit, settings->list.of, settings->list.n);
    retained_free(audit.retained);
    web_free(audit.web);
}

static int audit(const struct audit_settings *settings, const struct links_secrets *secrets)
{
    static struct report report; /* large */
    struct error why;
    if (report_init(&report) != 0)
        return COULD_NOT_CHECK;
    report.at_ms = clock_unix_ms();
    struct store_view *store =
        store_view_open(&settings->links, secrets->redis[0] != '\0' ? secrets->redis : NULL, &why);
    if (store == NULL) {
        report_fails(&report, "store", why.text);
    } else {
        report.store = store_view_id(store);
        audit_books_run(&report, store, settings->spool, clock_monotonic_ms() + SETTLE_MS);
        articles(settings, &report, store, secrets->mqtt);
        report.stats = store_view_stats(store);
    }
    if (settings->json)
        report_json(&report, stdout);
    else
        report_text(&report, stdout);
    int status = report_status(&report);
    store_view_free(store);
    report_fini(&report);
    return status;
}

int audit_run(int argc, char **argv)
{
    static struct audit_settings settings;
    struct links_secrets secrets;
    struct error error;
    int help = 0;
    int rc = audit_settings_parse(&settings, argc, argv, environ, &help, &error);
    if (rc == 1) {
        if (help == 'v')
            puts("tally " TALLY_VERSION);
        else
            option_print(audit_settings_table, audit_settings_count, stdout);
        return 0;
    }
    log_init("tally", LOG_LEVEL_ERROR);
    if (rc == 0)
        rc = links_secrets_load(&secrets, &settings.links, ROLE_OPERATOR, &error);
    if (rc == 0)
        rc = audit(&settings, &secrets);
    else {
        fprintf(stderr, "tally audit: %s\n", error.text);
        rc = COULD_NOT_CHECK;
    }
    links_wipe(&secrets);
    return rc;
}

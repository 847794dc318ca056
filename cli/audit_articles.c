/* Walks the articles one by one: registers, Redis, broker, HTTP. Only what still differs after its
 * retries is reported. */
#include "audit_articles.h"

#include "shown.h"

#include "daemon/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#define ARTICLES_MAX 1000000 /* about 250 bytes each */
#define LOOK_AGAIN_MS 200
#define PAUSED_LOOK_MS 60
#define ARRIVED_MS 800     /* into a pause, everything has arrived: the feed sends every 250 ms */
#define LAST_LOOK_MS 1700  /* after it began, the last look may begin … */
#define PAUSE_SURE_MS 1950 /* … and must be over */
#define PAUSES 4           /* of a shard */
#define SETTLE_MAX_MS 20000

struct subject {
    UT_hash_handle hh;
    uint32_t shard;
    bool pending; /* to be looked at again */
    struct audit_differences
        *evidence; /* differences while nothing moves; NULL nothing is proven */
    size_t bytes;
    char article[];
};

struct run {
    const struct audit_articles *audit;
    struct subject *set; /* all of them, in the order of discovery */
    size_t n;
    bool full, broken;     /* broken: Redis, broker or feed failed; see the report */
    uint64_t paused_at_ms; /* of the current shard; 0 not paused */
};

/* The observations of one article. */
struct look {
    struct subject *subject;
    bool absent, unchecked; /* unchecked: it changed too often to be counted */
    uint64_t begun_ms;
    bool hidden;   /* its state hides its totals */
    bool totalled; /* its total in Redis is known: */
    struct total total;
    struct audit_shown retained;
    struct audit_differences differences;
};

/* --- which articles --- */

static int audit_articles_add(void *user, const char *article, size_t bytes)
{
    struct run *run = user;
    struct subject *found;
    if (!article_valid(article, bytes)) {
        char name[ARTICLE_MAX_BYTES + 1];
        snprintf(name, sizeof name, "%.*s", (int)bytes, article);
        report_differs(run->audit->report, AUDIT_REDIS, name, "no article's name", 0, 1);
        return 0;
    }
    HASH_FIND(hh, run->set, article, bytes, found);
    if (found != NULL)
        return 0;
    found = run->n < ARTICLES_MAX ? calloc(1, sizeof *found + bytes + 1) : NULL;
    if (found == NULL) {
        run->full = true;
        return 0;
    }
    memcpy(found->article, article, bytes);
    found->bytes = bytes;
    found->shard = article_shard(article, bytes, store_view_shards(run->audit->store));
    found->pending = true;
    HASH_ADD_KEYPTR(hh, run->set, found->article, found->bytes, found);
    run->n++;
    return 0;
}

static void add_retained(void *user, const char *article, const char *payload, size_t bytes)
{
    (void)payload;
    (void)bytes;
    (void)audit_articles_add(user, article, strlen(article));
}

static void breaks(struct run *run, const char *what, const char *why)
{
    if (!run->broken)
        report_fails(run->audit->report, what, why);
    run->broken = true;
}

/* An article in a wrong shard's heads is looked up in its own shard, and missing there. */
static void find_all(struct run *run)
{
    for (uint32_t i = 0; i < store_view_shards(run->audit->store); i++)
        if (store_view_articles(run->audit->store, i, audit_articles_add, run) != 0) {
            breaks(run, "articles", store_view_error(run->audit->store));
            return;
        }
    if (retained_all(run->audit->retained, add_retained, run) != 0)
        breaks(run, "articles", retained_error(run->audit->retained));
    if (run->full)
        report_fails(run->audit->report, "articles", "more than 1,000,000, or no memory");
}

/* --- one look --- */

static void look_at_redis(struct run *run, struct look *look)
{
    static struct audit_count count; /* large */
    enum audit_count_step step;
    struct subject *subject = look->subject;
    struct store_view *store = run->audit->store;
    if (store_view_count(store, subject->article, subject->bytes, subject->shard, &count, &step) !=
        0) {
        breaks(run, subject->article, store_view_error(store));
        return;
    }
    look->absent = step == AUDIT_COUNT_ABSENT;
    look->unchecked = step == AUDIT_COUNT_CHANGED;
    if (step == AUDIT_COUNT_DAMAGED)
        audit_compare_damaged(&look->differences);
    look->totalled = look->absent || (step == AUDIT_COUNT_DONE &&
                                      audit_compare_registers(&count, store_view_kinds(store),
                                                              &look->total, &look->differences));
}

/* Whether its totals are hidden now, by the feed's clock or by this one, which differ only by their
 * skew. */
static void look_at_state(struct run *run, struct look *look)
{
    struct store_view_stored stored;
    struct subject *subject = look->subject;
    struct store_view *store = run->audit->store;
    if (store_view_state(store, subject->article, subject->bytes, subject->shard, &stored) != 0) {
        breaks(run, subject->article, store_view_error(store));
        return;
    }
    audit_differs(&look->differences, AUDIT_REDIS, "damaged state", 0,
                  stored.found == STORE_VIEW_BAD_STATE ? 1 : 0);
    look->hidden =
        stored.found == STORE_VIEW_STATE && article_state_hides(&stored.state, clock_unix_ms());
}

struct looks {
    const struct audit_kinds *kinds;
    struct look *look;
    size_t n;
};

static void on_retained(void *user, const char *article, const char *payload, size_t bytes)
{
    struct looks *looks = user;
    for (size_t i = 0; i < looks->n; i++)
        if (strcmp(looks->look[i].subject->article, article) == 0)
            shown_read(&looks->look[i].retained, article, looks->kinds, payload, bytes);
}

static void look_at_broker(struct run *run, struct look *look, size_t n)
{
    const char *articles[RETAINED_BATCH_MAX];
    const struct audit_kinds *kinds = store_view_kinds(run->audit->store);
    struct looks looks = {kinds, look, n};
    for (size_t i = 0; i < n; i++)
        articles[i] = look[i].subject->article;
    if (retained_get(run->audit->retained, articles, n, on_retained, &looks) != 0) {
        breaks(run, "retained totals", retained_error(run->audit->retained));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (look[i].absent || look[i].total.forgotten)
            audit_differs(&look[i].differences, AUDIT_RETAINED, "there", 0,
                          look[i].retained.there ? 1 : 0);
        else if (look[i].hidden)
            audit_compare_hidden(&look[i].retained, AUDIT_RETAINED, &look[i].differences);
        else if (look[i].totalled)
            audit_compare_shown(&look[i].total, &look[i].retained, AUDIT_RETAINED, kinds,
                                &look[i].differences);
    }
}

static void look_at_http(struct run *run, struct look *look)
{
    static char body[WEB_BODY_MAX_BYTES + 1]; /* large */
    struct error why;
    struct audit_shown shown;
    const struct audit_kinds *kinds = store_view_kinds(run->audit->store);
    const char *article = look->subject->article;
    int status, bytes = web_total(run->audit->web, article, &status, body, &why);
    if (bytes < 0) {
        breaks(run, article, why.text);
        return;
    }
    audit_differs(&look->differences, AUDIT_HTTP, "status", 200, status);
    if (status != 200)
        return;
    shown_read(&shown, article, kinds, body, (size_t)bytes);
    if (look->total.forgotten) /* its counts are not shown */
        memset(look->total.count, 0, sizeof look->total.count);
    if (look->hidden)
        audit_compare_hidden(&shown, AUDIT_HTTP, &look->differences);
    else
        audit_compare_shown(&look->total, &shown, AUDIT_HTTP, kinds, &look->differences);
}

/* A difference counts as evidence against an article if its shard had been paused long enough for
 * everything under way to arrive, and was still paused when the look ended. */
static void keep_evidence(const struct run *run, const struct look *look, size_t n)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct store_view *store = run->audit->store;
    for (size_t i = 0; i < n && !run->broken; i++) {
        struct subject *subject = look[i].subject;
        if (run->paused_at_ms == 0 || !subject->pending || look[i].unchecked ||
            now_ms > run->paused_at_ms + PAUSE_SURE_MS ||
            look[i].begun_ms < run->paused_at_ms + ARRIVED_MS ||
            !store_view_pause_holds(store, subject->shard))
            continue;
        if (subject->evidence == NULL)
            subject->evidence = malloc(sizeof *subject->evidence);
        if (subject->evidence != NULL)
            *subject->evidence = look[i].differences;
    }
}

/* Looks at up to RETAINED_BATCH_MAX articles. */
static void look_at(struct run *run, struct look *look, size_t n)
{
    uint64_t begun_ms = clock_monotonic_ms();
    for (size_t i = 0; i < n && !run->broken; i++) {
        look[i].begun_ms = begun_ms;
        look_at_redis(run, &look[i]);
        if (!run->broken)
            look_at_state(run, &look[i]);
    }
    for (size_t i = 0; i < n && !run->broken; i++)
        if (look[i].totalled)
            look_at_http(run, &look[i]);
    if (!run->broken)
        look_at_broker(run, look, n);
    for (size_t i = 0; i < n && !run->broken; i++) {
        look[i].subject->pending = look[i].unchecked || look[i].differences.n > 0;
    }
}

/* --- rounds --- */

#define ANY_SHARD UINT32_MAX

/* Looks at all pending articles (in one shard, or in all) until `limit_ms` at most. Returns how
 * many are still pending. */
static size_t round_of(struct run *run, uint32_t shard, uint64_t limit_ms)
{
    static struct look look[RETAINED_BATCH_MAX]; /* large */
    struct subject *subject = run->set;
    size_t pending = 0;
    while (subject != NULL && !run->broken) {
        size_t n = 0;
        for (; subject != NULL && n < RETAINED_BATCH_MAX; subject = subject->hh.next)
            if (subject->pending && (shard == ANY_SHARD || subject->shard == shard)) {
                memset(&look[n], 0, sizeof look[n]);
                look[n++].subject = subject;
            }
        if (clock_monotonic_ms() < limit_ms) {
            look_at(run, look, n);
            keep_evidence(run, look, n);
        }
        for (size_t i = 0; i < n; i++)
            pending += look[i].subject->pending ? 1 : 0;
    }
    return pending;
}

static size_t pending_of(const struct run *run, uint32_t shard)
{
    size_t n = 0;
    for (const struct subject *one = run->set; one != NULL; one = one->hh.next)
        n += one->pending && one->shard == shard ? 1 : 0;
    return n;
}

/* Whether there is evidence against all pending articles. */
static bool settled(const struct run *run, uint32_t shard)
{
    for (const struct subject *one = run->set; one != NULL; one = one->hh.next)
        if (one->pending && one->shard == shard && one->evidence == NULL)
            return false;
    return true;
}

static void audit_articles_nap(unsigned ms)
{
    const struct timespec pause = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&pause, NULL);
}

/* Looks while the shard is paused, so that everything under way arrives. Returns how many are still
 * pending. */
static size_t look_paused(struct run *run, uint32_t shard, size_t pending)
{
    struct store_view *store = run->audit->store;
    bool paused;
    if (store_view_pause(store, shard, &paused) != 0) {
        breaks(run, "pause", store_view_error(store));
        return pending;
    }
    run->paused_at_ms = paused ? clock_monotonic_ms() : 0;
    while (paused && pending > 0 && !settled(run, shard) && !run->broken &&
           clock_monotonic_ms() < run->paused_at_ms + LAST_LOOK_MS) {
        pending = round_of(run, shard, run->paused_at_ms + LAST_LOOK_MS);
        if (pending > 0)
            audit_articles_nap(PAUSED_LOOK_MS);
    }
    run->paused_at_ms = 0;
    if (store_view_resume(store, shard) != 0)
        breaks(run, "pause", store_view_error(store));
    return pending;
}

/* Reports the differences in a shard after everything had time to arrive. */
static void judge_shard(struct run *run, uint32_t shard)
{
    size_t pending = pending_of(run, shard);
    for (int i = 0; i < PAUSES && pending > 0 && !settled(run, shard) && !run->broken; i++)
        pending = look_paused(run, shard, pending);
    for (struct subject *one = run->set; one != NULL && !run->broken; one = one->hh.next) {
        struct report *report = run->audit->report;
        const struct audit_differences *found = one->evidence;
        if (!one->pending || one->shard != shard)
            continue;
        one->pending = false;
        if (found == NULL) {
            report->unchecked++;
            report_fails(report, one->article, "it changed too fast to audit");
            continue;
        }
        report->differing++;
        for (size_t i = 0; i < found->n; i++)
            report_differs(report, found->of[i].link, one->article, found->of[i].what,
                           found->of[i].expected, found->of[i].found);
    }
}

/* Checks differences again for settle_ms. A shard that gets another node meanwhile may
 * have gone back until its collectors have reapplied what it lost: the time begins again. */
static size_t audit_articles_settle(struct run *run)
{
    struct store_view *store = run->audit->store;
    const uint64_t settle_ms = run->audit->settle_ms;
    uint64_t changes = store_view_changes(store);
    size_t pending = round_of(run, ANY_SHARD, UINT64_MAX);
    const uint64_t begun_ms = clock_monotonic_ms();
    uint64_t limit_ms = begun_ms + settle_ms;
    while (pending > 0 && !run->broken && clock_monotonic_ms() < limit_ms) {
        audit_articles_nap(LOOK_AGAIN_MS);
        pending = round_of(run, ANY_SHARD, UINT64_MAX);
        if (store_view_changes(store) != changes && clock_monotonic_ms() < begun_ms + SETTLE_MAX_MS)
            limit_ms = clock_monotonic_ms() + settle_ms;
        changes = store_view_changes(store);
    }
    return pending;
}

void audit_articles_run(const struct audit_articles *audit, const char *const *list, size_t n)
{
    struct run run = {.audit = audit};
    struct subject *one, *next;
    for (size_t i = 0; i < n; i++)
        (void)audit_articles_add(&run, list[i], strlen(list[i]));
    if (n == 0)
        find_all(&run);
    audit->report->audited = run.n;
    size_t pending = audit_articles_settle(&run);
    for (uint32_t i = 0; i < store_view_shards(audit->store) && pending > 0 && !run.broken; i++)
        judge_shard(&run, i);
    next = run.set;
    HASH_CLEAR(hh, run.set);
    while ((one = next) != NULL) {
        next = one->hh.next;
        audit->report->unchecked += run.broken && one->pending ? 1 : 0;
        free(one->evidence);
        free(one);
    }
}

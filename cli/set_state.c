/* Looks up the state at the broker or in Redis, changes it, publishes it, and waits for the answer.
 */
#include "set_state.h"

#include "command.h"
#include "json_out.h"
#include "retained.h"
#include "state_change.h"

#include "core/scan.h"
#include "daemon/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define AGREE_MS 3000 /* a pause of the store delays its feed for up to two seconds */
#define LOOK_MS 50

struct seen {
    const char *article;
    bool retained; /* by the broker; else it is in Redis */
    bool bad;
    size_t bytes; /* 0: no state */
    char payload[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1];
};

static void on_state(void *user, const char *article, const char *payload, size_t bytes)
{
    struct seen *seen = user;
    if (strcmp(article, seen->article) != 0)
        return;
    seen->retained = true;
    seen->bad = bytes > ARTICLE_STATE_PAYLOAD_MAX_BYTES;
    seen->bytes = seen->bad ? 0 : bytes;
    memcpy(seen->payload, payload, seen->bytes);
    seen->payload[seen->bytes] = '\0';
}

static int look_at_broker(const struct operate_settings *settings, struct retained *retained,
                          struct seen *seen)
{
    if (retained_state(retained, settings->article, on_state, seen) != 0)
        return command_failed(settings, "%s", retained_error(retained));
    return COMMAND_DONE;
}

/* Waits until the broker retains a state, or Redis holds none. A running feed either publishes the
 * stored state or stores that it was cleared; only one of the two is true. If the feed is away, the
 * stored state holds, because the feed will publish it again. */
static int look_until_they_agree(const struct operate_settings *settings, struct retained *retained,
                                 struct store_view *store, struct seen *seen,
                                 struct store_view_stored *stored)
{
    const struct timespec nap = {.tv_nsec = LOOK_MS * 1000000};
    const uint64_t limit_ms = clock_monotonic_ms() + AGREE_MS;
    size_t bytes = strlen(settings->article);
    uint32_t shard = article_shard(settings->article, bytes, store_view_shards(store));
    for (;;) {
        if (store_view_state(store, settings->article, bytes, shard, stored) != 0)
            return command_failed(settings, "%s", store_view_error(store));
        if (stored->found == STORE_VIEW_NO_STATE || clock_monotonic_ms() > limit_ms)
            return COMMAND_DONE;
        nanosleep(&nap, NULL);
        if (look_at_broker(settings, retained, seen) != COMMAND_DONE)
            return COMMAND_FAILED;
        if (seen->retained)
            return COMMAND_DONE;
    }
}

/* The state stored by the feed. A broker that has just started retains nothing until its feed
 * publishes that state. Without it, the parts that a change leaves out would be taken for the
 * default. */
static int look_in_redis(const struct operate_settings *settings,
                         const struct links_secrets *secrets, struct retained *retained,
                         struct seen *seen)
{
    struct store_view_stored stored;
    struct store_view *store = command_open(settings, secrets, NULL);
    if (store == NULL)
        return COMMAND_FAILED;
    int status = look_until_they_agree(settings, retained, store, seen, &stored);
    if (status == COMMAND_DONE && !seen->retained) {
        seen->bad = stored.found == STORE_VIEW_BAD_STATE;
        seen->bytes = stored.text_bytes;
        memcpy(seen->payload, stored.text, sizeof stored.text);
    }
    command_close(store, NULL);
    return status;
}

#define PARTS 5

/* How many of a state's parts the options give. */
static int parts_given(const struct operate_settings *settings)
{
    const char *part[PARTS] = {settings->state, settings->kinds, settings->opens_at,
                               settings->closes_at, settings->results};
    int given = 0;
    for (int i = 0; i < PARTS; i++)
        given += part[i][0] != '\0';
    return given;
}

static bool changes_some(const struct operate_settings *settings)
{
    return settings->clear || parts_given(settings) > 0;
}

/* Whether the options replace every part. */
static bool changes_all(const struct operate_settings *settings)
{
    return settings->clear || parts_given(settings) == PARTS;
}

static int set_state_look(const struct operate_settings *settings,
                          const struct links_secrets *secrets, struct retained *retained,
                          struct seen *seen)
{
    if (look_at_broker(settings, retained, seen) != COMMAND_DONE)
        return COMMAND_FAILED;
    if (seen->retained || changes_all(settings) ||
        look_in_redis(settings, secrets, retained, seen) == COMMAND_DONE)
        return COMMAND_DONE;
    return command_failed(settings, "none is retained, and what Redis holds is not known%s",
                          changes_some(settings) ? "; to set all of it, give state, kinds, "
                                                   "opens_at, closes_at, results"
                                                 : "");
}

/* `seen` NULL: the payload was set. 0 bytes: no state. */
static void state_json(const struct operate_settings *settings, const struct seen *seen,
                       const char *payload, size_t bytes)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *state = bytes > 0 ? cJSON_ParseWithLength(payload, bytes) : cJSON_CreateNull();
    if (state == NULL && bytes > 0) { /* one word */
        char word[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1] = "";
        memcpy(word, payload, scan_line(payload, bytes));
        state = cJSON_CreateString(word);
    }
    cJSON_AddStringToObject(object, "article", settings->article);
    if (seen != NULL) {
        cJSON_AddStringToObject(object, "from", seen->retained ? "broker" : "redis");
        cJSON_AddBoolToObject(object, "understood", !seen->bad);
    }
    cJSON_AddItemToObject(object, "state", state);
    json_out_print(object, stdout);
}

static void show(const struct operate_settings *settings, const struct seen *seen)
{
    if (settings->json) {
        state_json(settings, seen, seen->payload, seen->bytes);
        return;
    }
    const char *where = seen->retained ? "" : "none is retained; Redis holds ";
    if (seen->bad)
        printf("articles/%s: %sno known form of a state\n", settings->article, where);
    else if (seen->bytes == 0)
        printf("articles/%s: none is retained: open, all kinds\n", settings->article);
    else
        printf("articles/%s: %s%s\n", settings->article, where, seen->payload);
}

/* The state to retain: the present one with the changes of the options. */
static int set_state_make(const struct operate_settings *settings, const struct seen *seen,
                          char out[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1], size_t *out_bytes)
{
    const struct state_change change = {
        .state = settings->state,
        .results = settings->results,
        .kinds = settings->kinds,
        .opens_at = settings->opens_at,
        .closes_at = settings->closes_at,
    };
    struct article_state state = {0};
    struct error why;
    *out_bytes = 0;
    if (settings->clear)
        return COMMAND_DONE;
    if (seen->bad || (seen->bytes > 0 &&
                      article_state_parse(&state, settings->article, strlen(settings->article),
                                          seen->payload, seen->bytes) != 0))
        return command_refused(settings, "what is %s is not a state: --clear first",
                               seen->retained ? "retained" : "in Redis");
    state.version = 0; /* it is an operator's now */
    if (state_change_apply(&state, &change, &why) != 0)
        return command_failed(settings, "%s", why.text);
    *out_bytes =
        article_state_write(&state, NULL, 0, false, out, ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1);
    return COMMAND_DONE;
}

static int set_state_publish(const struct operate_settings *settings, struct retained *retained,
                             const char *payload, size_t bytes)
{
    int reason;
    if (retained_put_state(retained, settings->article, payload, bytes, &reason) != 0)
        return command_failed(settings, "%s", retained_error(retained));
    if (reason >= 0x80)
        return command_refused(settings, "the broker refused it (0x%02x): %s", (unsigned)reason,
                               retained_reason(reason));
    if (settings->json)
        state_json(settings, NULL, payload, bytes);
    else if (bytes == 0)
        printf("articles/%s: cleared\n", settings->article);
    else
        printf("articles/%s: %.*s\n", settings->article, (int)bytes, payload);
    return COMMAND_DONE;
}

static int set_state_work(const struct operate_settings *settings,
                          const struct links_secrets *secrets, struct retained *retained)
{
    struct seen seen = {.article = settings->article};
    char payload[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1];
    size_t bytes;
    int status = set_state_look(settings, secrets, retained, &seen);
    if (status != COMMAND_DONE)
        return status;
    if (!changes_some(settings)) {
        show(settings, &seen);
        return COMMAND_DONE;
    }
    status = set_state_make(settings, &seen, payload, &bytes);
    return status == COMMAND_DONE ? set_state_publish(settings, retained, payload, bytes) : status;
}

static int set_state_perform(const struct operate_settings *settings,
                             const struct links_secrets *secrets)
{
    struct error why;
    const struct retained_config broker = {
        .host = settings->links.mqtt_host,
        .port = (int)settings->links.mqtt_port,
        .username = settings->links.user,
        .password = secrets->mqtt,
        .prefix = settings->links.topic_prefix,
    };
    struct retained *retained = retained_open(&broker, &why);
    if (retained == NULL)
        return command_failed(settings, "%s", why.text);
    int status = set_state_work(settings, secrets, retained);
    retained_free(retained);
    return command_printed(settings, status);
}

int set_state_run(int argc, char **argv)
{
    return command_run(OPERATE_ARTICLE, argc, argv, set_state_perform);
}

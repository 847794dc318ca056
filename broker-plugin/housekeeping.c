/* Runs each background task at its own pace, and logs the refusals since the last look. */
#include "housekeeping.h"

#include "broker.h"
#include "quiet.h"

#include "core/article.h"
#include "core/article_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MS 10000
#define REFUSALS_MS 1000     /* ops/refusals: at most this often */
#define TOKEN_KEYS_MS 2000   /* interval between checks of the key file */
#define CREATION_MS 10000    /* ops/refusals, if articles were only registered or forgotten */
#define EXPIRED_MAX 200      /* connections with expired tokens that are ended each time */
#define UNPASSED_AT_ONCE 100 /* states from before the start, published each time */
#define NOTE_MAX_BYTES 1024

/* The counts that the log last reported. */
struct watch {
    uint64_t busy, clock, receipts_dropped, turned_away, too_fast, flooded, sessions, states,
        bad_tokens;
    uint64_t creation_rate, creation_full;
};

struct housekeeping {
    struct edge *edge;
    const struct housekeeping_counts *counts;
    bool ending; /* a connection */
    uint64_t next_watch_ms, next_refusals_ms, next_token_keys_ms;
    struct watch watch;
    bool refusals_told;        /* ops/refusals was published since the start */
    struct refusals_sums told; /* what it said */
    uint64_t told_ms;
    struct quiet quiet;
    char quiet_topic[ARTICLE_PREFIX_MAX_BYTES + sizeof "ops/quiet"];
    char refusals_topic[ARTICLE_PREFIX_MAX_BYTES + sizeof "ops/refusals"];
    char refusals_json[REFUSALS_JSON_MAX_BYTES];
};

static struct watch housekeeping_look(const struct housekeeping *house)
{
    uint64_t flooded = 0;

    for (int flood = 0; flood < FLOOD_COUNT; flood++)
        flooded += house->counts->flooded[flood];
    return (struct watch){
        .busy = spool_refused(house->edge->spool, REASON_BUSY),
        .clock = spool_refused(house->edge->spool, REASON_CLOCK),
        .receipts_dropped = spool_receipts_dropped(house->edge->spool),
        .turned_away = house->counts->turned_away,
        .too_fast = house->counts->too_fast + house->counts->unchecked,
        .flooded = flooded,
        .sessions = house->counts->sessions,
        .states = house->counts->states_refused,
        .bad_tokens = house->counts->bad_tokens,
        .creation_rate = house->edge->admit.creations.rate,
        .creation_full = house->edge->admit.creations.full,
    };
}

/* Refusals since the last check, for lack of space or of a clock: one line in all, not one per
 * refusal. */
static void watch(struct housekeeping *house)
{
    struct watch now = housekeeping_look(house);
    const struct watch *last = &house->watch;
    if (memcmp(&now, last, sizeof now) != 0)
        broker_say(MOSQ_LOG_WARNING, "refused in the last seconds",
                   "busy=%" PRIu64 " clock=%" PRIu64 " receipts_dropped=%" PRIu64
                   " connections_without_room=%" PRIu64 " connections_too_fast=%" PRIu64
                   " connections_that_flooded=%" PRIu64
                   " connections_with_a_session_too_many=%" PRIu64 " states_of_the_feed=%" PRIu64
                   " articles_over_auto_create_rate=%" PRIu64 " articles_over_max_articles=%" PRIu64
                   " tokens_that_did_not_hold=%" PRIu64 " the_last=\"%s\"",
                   now.busy - last->busy, now.clock - last->clock,
                   now.receipts_dropped - last->receipts_dropped,
                   now.turned_away - last->turned_away, now.too_fast - last->too_fast,
                   now.flooded - last->flooded, now.sessions - last->sessions,
                   now.states - last->states, now.creation_rate - last->creation_rate,
                   now.creation_full - last->creation_full, now.bad_tokens - last->bad_tokens,
                   house->counts->bad_token == NULL ? "" : house->counts->bad_token);
    house->watch = now;
}

/* Publishes ops/refusals, if it would say something new. */
static void tell_refusals(struct housekeeping *house, uint64_t now_ms, uint64_t unix_ms)
{
    struct registry *registry = house->edge->admit.registry;
    struct refusals_sums sums = {
        .creations = house->edge->admit.creations,
        .known = registry_count(registry),
        .known_max = (uint32_t)house->edge->settings.max_articles,
        .provisional = registry_provisional(registry),
        .forgotten = registry_forgotten(registry),
        .connections_rate = house->counts->too_fast,
        .connections_no_room = house->counts->turned_away,
        .connections_sessions = house->counts->sessions,
        .connections_token = house->counts->bad_tokens,
        .connections_rate_signature = house->counts->unchecked,
        .receipts_dropped = spool_receipts_dropped(house->edge->spool),
    };

    memcpy(sums.flooded, house->counts->flooded, sizeof sums.flooded);
    for (int reason = 0; reason < REASON_COUNT; reason++)
        sums.refused[reason] = spool_refused(house->edge->spool, (enum reason)reason);
    if (house->refusals_told &&
        !refusals_differ(&sums, &house->told, now_ms - house->told_ms >= CREATION_MS))
        return;
    size_t bytes = refusals_write(house->edge->refusals, &sums, unix_ms, house->refusals_json);
    if (mosquitto_broker_publish_copy(NULL, house->refusals_topic, (int)bytes, house->refusals_json,
                                      0, true, NULL) != MOSQ_ERR_SUCCESS)
        return; /* no memory: tried again */
    house->told = sums;
    house->told_ms = now_ms;
    house->refusals_told = true;
}

/* Asks the feed which of the articles that hardly anyone touched may be forgotten. */
static void ask_for_quiet_ones(struct housekeeping *house, uint64_t now_ms, uint64_t unix_ms)
{
    if (quiet_look(&house->quiet, house->edge->admit.registry,
                   house->edge->settings.forget_hours * 3600u, now_ms, unix_ms))
        (void)mosquitto_broker_publish_copy(NULL, house->quiet_topic, (int)house->quiet.bytes,
                                            house->quiet.json, 0, false, NULL); /* else later */
}

/* Republishes states that an operator set and that no feed had passed on when the broker ended. The
 * broker's retained copies are gone, and the feed finds the states only if they are published
 * again. A few each time. */
static void say_unpassed_states(struct housekeeping *house)
{
    char topic[ARTICLE_PREFIX_MAX_BYTES + sizeof "articles/" + ARTICLE_MAX_BYTES];
    char json[ARTICLE_STATE_TEXT_MAX_BYTES];
    struct article_state state;
    const char *article;
    size_t bytes;

    for (int i = 0; i < UNPASSED_AT_ONCE &&
                    registry_next_unpassed(house->edge->admit.registry, &article, &bytes, &state);
         i++) {
        snprintf(topic, sizeof topic, "%.*sarticles/%.*s", ARTICLE_PREFIX_MAX_BYTES,
                 house->edge->settings.topic_prefix, (int)bytes, article);
        state.version = 0;
        size_t json_bytes = article_state_write(&state, NULL, 0, false, json, sizeof json);
        if (mosquitto_broker_publish_copy(NULL, topic, (int)json_bytes, json, 0, true, NULL) !=
            MOSQ_ERR_SUCCESS)
            broker_say(MOSQ_LOG_WARNING, "no memory to publish a state again", "article=\"%.*s\"",
                       (int)bytes, article);
    }
}

void housekeeping_say_token_keys(const struct edge *edge)
{
    broker_say(MOSQ_LOG_NOTICE, "token keys loaded", "file=\"%s\" keys=%u ignored=%u",
               edge->settings.token_keys, token_keys_count(edge->token_keys),
               token_keys_ignored(edge->token_keys));
}

/* Reloads the token keys if the file has changed, or `anyway`. The cost arises only when an
 * operator changes keys. */
static void tend_token_keys(struct housekeeping *house, bool anyway)
{
    struct error error;

    if (!house->edge->settings.by_token || (!edge_token_keys_changed(house->edge) && !anyway))
        return;
    if (edge_load_token_keys(house->edge, &error) == 0)
        housekeeping_say_token_keys(house->edge);
    else
        broker_say(MOSQ_LOG_WARNING, "cannot reload token keys: keeping the old ones",
                   "reason=\"%s\"", error.text);
}

/* Ends connections whose tokens have expired, a limited number at a time. Their wills are sent, as
 * after every end that the client did not request (MQTT 5, 3.1.2.5), but not to Tally's topics. */
static void end_expired(struct housekeeping *house, uint64_t unix_ms)
{
    char client_id[ROLE_CLIENT_ID_MAX_BYTES + 1];
    uint64_t now_s = unix_ms / 1000u;

    house->ending = true;
    for (int i = 0; i < EXPIRED_MAX && client_next_expired(house->edge->clients, now_s, client_id);
         i++)
        mosquitto_kick_client_by_clientid(client_id, true);
    house->ending = false;
}

struct housekeeping *housekeeping_new(struct edge *edge, const struct housekeeping_counts *counts)
{
    struct housekeeping *house = calloc(1, sizeof *house);
    if (house == NULL)
        return NULL;
    house->edge = edge;
    house->counts = counts;
    house->watch = housekeeping_look(house);
    snprintf(house->refusals_topic, sizeof house->refusals_topic, "%.*sops/refusals",
             ARTICLE_PREFIX_MAX_BYTES, edge->settings.topic_prefix);
    snprintf(house->quiet_topic, sizeof house->quiet_topic, "%.*sops/quiet",
             ARTICLE_PREFIX_MAX_BYTES, edge->settings.topic_prefix);
    return house;
}

void housekeeping_free(struct housekeeping *house)
{
    free(house);
}

void housekeeping_tend(struct housekeeping *house, uint64_t now_ms, uint64_t unix_ms)
{
    char note[NOTE_MAX_BYTES];

    spool_producer_tend(house->edge->spool, note, sizeof note);
    if (note[0] != '\0')
        broker_say(MOSQ_LOG_WARNING, note, "%s", "");
    say_unpassed_states(house);
    end_expired(house, unix_ms);
    ask_for_quiet_ones(house, now_ms, unix_ms);
    if (now_ms >= house->next_token_keys_ms) {
        house->next_token_keys_ms = now_ms + TOKEN_KEYS_MS;
        tend_token_keys(house, false);
    }
    if (now_ms >= house->next_refusals_ms) {
        house->next_refusals_ms = now_ms + REFUSALS_MS;
        tell_refusals(house, now_ms, unix_ms);
    }
    if (now_ms >= house->next_watch_ms) {
        house->next_watch_ms = now_ms + WATCH_MS;
        watch(house);
    }
}

void housekeeping_reload(struct housekeeping *house)
{
    tend_token_keys(house, true);
}

bool housekeeping_ending(const struct housekeeping *house)
{
    return house->ending;
}

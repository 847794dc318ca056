#include "judge.h"

#include "cluster.h"
#include "reader.h"
#include "redis_command.h"
#include "redis_scripts.h"
#include "wire.h"

#include "core/bytes.h"
#include "core/stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 224
#define RINGS_MAX 64
#define TOTALS_MAX 512
#define CLICK_MARGIN_US 2000

/* One record in a ring. */
struct request {
    unsigned reader, article, edge, shard;
    int kind;
    uint32_t send;
    uint64_t click_us, flight_us;
    bool clock_good;
    bool optional;        /* it was lost in a way that was not promised against, or quarantined */
    bool unheld;          /* at a loss of power or a damage: no ring held it then */
    bool torn, recovered; /* its broker was killed in the append; it was found whole all the same */
    uint64_t value, ring_id, position;
    uint64_t counted_in; /* the call */
    uint64_t
        truths[REDIS_SERVERS]; /* bit 0: the register held it; bit 1 + k: a newer one of kind k */
    uint64_t vouched;          /* those of servers that have answered, and were the owner then */
    size_t bytes;
    unsigned char copy[RECORD_MAX_BYTES];
};

struct ring {
    uint64_t id, highest; /* position that Redis ever had */
    uint64_t read;        /* that was found freed last */
    uint64_t answered;    /* up to where `server` has told its collector that it has it … */
    unsigned server;      /* … since it was asked last */
    bool asked;
    bool twins; /* it holds two records of the same reader and stamp */
};

/* Of a shard's current ring, as the collector goes. */
struct going {
    uint64_t ring_id, sent_to;
    unsigned server;    /* that was asked for the position */
    unsigned in_flight; /* batches: the answer to one wakes the collector */
    bool going;
};

struct shown {
    unsigned article;
    uint64_t version;
    int64_t count[WORLD_KINDS + 1];
};

struct judge_counts judge_counts;

static struct request requests[REQUESTS_MAX];
static unsigned n_requests;
static struct ring rings[RINGS_MAX];
static unsigned n_rings;
static struct going pipelines[WORLD_EDGES][WORLD_SHARDS];
static struct shown shown[TOTALS_MAX];
static unsigned n_shown;
static uint64_t newest_version[REDIS_SERVERS][WORLD_SHARDS];
static char kinds[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1]; /* that were ever given */
static bool same_version[WORLD_ARTICLES]; /* two masters gave it the same version by chance */
static uint64_t published[WORLD_EDGES][WORLD_ARTICLES];
static uint64_t interrupted_us[WORLD_EDGES];
static bool happened[JUDGE_LOSSES];
static uint64_t store_of[WORLD_EDGES]; /* that an edge has applied to */
static bool adopts[WORLD_EDGES];

/* What a collector has heard of who owns what: the newest answer of a server with the majority. */
static struct {
    uint64_t epoch;
    int owner[WORLD_SHARDS];
} heard[WORLD_EDGES];

/* What the answer that comes next on a link is to be judged by. */
static struct {
    bool sound;
    uint64_t epoch;
} view[WORLD_EDGES * WIRE_LINKS];

static struct {
    uint64_t ring_id, from, to, voted, number;
} under_way; /* the call of the script */

void judge_begin(void)
{
    n_requests = n_rings = n_shown = 0;
    memset(pipelines, 0, sizeof pipelines);
    memset(newest_version, 0, sizeof newest_version);
    memset(published, 0, sizeof published);
    memset(interrupted_us, 0, sizeof interrupted_us);
    memset(happened, 0, sizeof happened);
    memset(kinds, 0, sizeof kinds);
    memset(same_version, 0, sizeof same_version);
    memset(store_of, 0, sizeof store_of);
    memset(adopts, 0, sizeof adopts);
    memset(heard, 0, sizeof heard);
}

unsigned judge_edge(uint64_t id)
{
    for (unsigned e = 0; e < WORLD_EDGES; e++)
        if (files_edge[e].edge.id == id)
            return e;
    world_wrong("an edge that does not exist has a position in Redis");
    return 0;
}

static struct ring *find_ring(uint64_t id)
{
    for (unsigned i = n_rings; i-- > 0;)
        if (rings[i].id == id)
            return &rings[i];
    if (n_rings == RINGS_MAX)
        abort();
    rings[n_rings] = (struct ring){.id = id};
    return &rings[n_rings++];
}

/* --- admission --- */

static void check_stamp(const struct broker_message *message, const struct record *record,
                        uint64_t last)
{
    uint64_t now = (world_edge_ms(message->edge) - STAMP_EPOCH_UNIX_MS) * STAMP_COUNTS;
    if (message->age_ms == 0 && last <= now + (uint64_t)STAMP_AHEAD_MAX_MS * STAMP_COUNTS &&
        record->stamp <= last)
        world_wrong("the admission clock of edge %u does not rise", message->edge);
}

void judge_admitted(const struct broker_message *message, const struct record *record,
                    const struct files_ring *file, uint64_t last)
{
    if (n_requests == REQUESTS_MAX)
        abort();
    struct request *request = &requests[n_requests++];
    uint64_t now = (world_edge_ms(message->edge) - STAMP_EPOCH_UNIX_MS) * STAMP_COUNTS;
    *request = (struct request){
        .reader = message->reader,
        .article = message->article,
        .edge = message->edge,
        .shard = file->shard,
        .kind = message->kind,
        .send = message->send,
        .click_us = message->click_us,
        .flight_us = world.us - message->sent_us,
        .clock_good = world.edge_ahead_ms[message->edge] == 0 && last <= now + STAMP_COUNTS,
        .value = record->stamp << 4 | record->kind,
        .ring_id = file->id,
        .position = record->position,
        .bytes = record_bytes(record),
    };
    /* A repeat without an age claims to have been clicked when it was sent. */
    if (message->age_ms == 0 && message->sent_us != message->click_us)
        request->clock_good = false;
    memcpy(request->copy,
           file->memory + RING_HEADER_BYTES + record->position % (file->bytes - RING_HEADER_BYTES),
           request->bytes);
    for (unsigned i = 0; i + 1 < n_requests; i++)
        if (requests[i].ring_id == request->ring_id && requests[i].value == request->value &&
            requests[i].reader == request->reader && requests[i].article == request->article)
            find_ring(request->ring_id)->twins = true;
    check_stamp(message, record, last);
    judge_counts.admitted++;
    world_tell("edge %u admits message %u: ring %016" PRIx64 " position %" PRIu64 " stamp %" PRIu64,
               message->edge, message->send, request->ring_id, request->position, record->stamp);
}

void judge_torn(void)
{
    requests[n_requests - 1].torn = requests[n_requests - 1].optional = true;
    world_tell("… and is killed in the middle of it");
}

void judge_quarantine(unsigned edge, const struct record *record)
{
    for (unsigned i = 0; i < n_requests; i++)
        if (requests[i].edge == edge && requests[i].position == record->position &&
            requests[i].value == (record->stamp << 4 | record->kind)) {
            requests[i].optional = true;
            if (!redis.was_poisoned[requests[i].shard])
                world_wrong("a reaction was quarantined that can be applied");
            return;
        }
    world_wrong("a reaction was quarantined that nobody made");
}

/* --- Redis --- */

/* The server that is at work. */
static unsigned here(unsigned shard)
{
    return redis.here != NULL ? (unsigned)(redis.here - redis.server) : redis.owner[shard];
}

static bool lies_whole(const struct request *request, const struct files_ring *file)
{
    uint64_t capacity = file->bytes - RING_HEADER_BYTES;
    return memcmp(file->memory + RING_HEADER_BYTES + request->position % capacity, request->copy,
                  request->bytes) == 0;
}

void judge_call(uint64_t ring_id, uint64_t from, uint64_t to)
{
    under_way.ring_id = ring_id;
    under_way.from = from;
    under_way.to = to;
    under_way.voted = 0;
    under_way.number++;
}

uint64_t judge_voted(void)
{
    return under_way.voted;
}

void judge_vote(unsigned shard, unsigned article, uint64_t reader, uint64_t value, uint64_t before,
                uint64_t after)
{
    bool made = false, counted = false;
    int who = world_find_reader((int)article, reader);
    for (unsigned i = 0; i < n_requests; i++) {
        struct request *request = &requests[i];
        if (request->article != article || (int)request->reader != who || request->value != value)
            continue;
        made = true;
        if (!counted && request->ring_id == under_way.ring_id &&
            request->position >= under_way.from && request->position < under_way.to &&
            request->counted_in != under_way.number) {
            counted = true;
            request->counted_in = under_way.number;
            under_way.voted++;
        }
        request->truths[here(shard)] |= after == value ? 1u : 1u << (1 + (after & 15));
    }
    if (!made)
        world_wrong("a reaction was applied that nobody made: shard %u article %u", shard, article);
    if (after < before)
        world_wrong("a register went back: shard %u article %u", shard, article);
    judge_counts.votes++;
}

/* Whether a torn record's place was given to the next one, which was acknowledged. */
static bool place_reused(const struct request *torn)
{
    for (unsigned i = 0; i < n_requests; i++)
        if (!requests[i].torn && requests[i].ring_id == torn->ring_id &&
            requests[i].position == torn->position)
            return true;
    return false;
}

/* How many records came before a position. A torn one is there only where recovery finds it: after
 * a loss of power perhaps in the place of the one that followed it there, of which it then is the
 * sequence too. */
static uint64_t records_before(uint64_t ring_id, uint64_t position)
{
    uint64_t records = 0;
    for (unsigned i = 0; i < n_requests; i++) {
        struct request *request = &requests[i];
        if (request->ring_id != ring_id || request->position >= position)
            continue;
        if (request->torn && !request->recovered) {
            const struct files_ring *file = files_find(ring_id);
            request->recovered =
                file != NULL && file->name == FILES_OLD && lies_whole(request, file);
        }
        records += !request->torn || (request->recovered && !place_reused(request));
    }
    return records;
}

/* An edge goes on with another store only where its operator says so. What its rings had applied to
 * may not have reached the disk before a loss of power. */
static void check_store(unsigned edge, unsigned shard, uint64_t store)
{
    if (redis.emptied[shard])
        world_wrong("an emptied shard is counted into, and nobody adopted it: shard %u", shard);
    if (!redis.cluster && redis_store()->id != store)
        world_wrong("edge %u applies where there is no store", edge);
    if (store_of[edge] != 0 && store_of[edge] != store && !adopts[edge] && !happened[JUDGE_POWER])
        world_wrong("edge %u applies to another store than before, and nobody adopted it", edge);
    if (store_of[edge] != store)
        adopts[edge] = false;
    store_of[edge] = store;
}

void judge_adopts(unsigned edge)
{
    adopts[edge] = true;
}

void judge_kind(unsigned id, const char *name)
{
    if (kinds[id][0] != '\0' && strcmp(kinds[id], name) != 0 && !happened[JUDGE_WIPED])
        world_wrong("kind id %u was given to %s, and then to %s", id, kinds[id], name);
    snprintf(kinds[id], sizeof kinds[id], "%s", name);
}

void judge_position(unsigned shard, uint64_t store, const struct redis_ring *before,
                    const struct redis_ring *after)
{
    struct ring *ring = find_ring(after->id);
    uint64_t records = records_before(after->id, after->position);
    if (before != NULL && after->position < before->position)
        world_wrong("a ring's position went back: shard %u", shard);
    check_store(judge_edge(after->edge), shard, store);
    if (after->position > ring->highest)
        ring->highest = after->position;
    /* Nobody can tell to which of two twins a vote belongs. */
    if (!ring->twins && after->sequence - after->quarantined - after->lost != after->voted)
        world_wrong("of %" PRIu64 " reactions in a ring %" PRIu64 " were quarantined, %" PRIu64
                    " lost, and %" PRIu64 " applied",
                    after->sequence, after->quarantined, after->lost, after->voted);
    if (records != after->sequence)
        world_wrong("a ring's position says that %" PRIu64
                    " reactions came before it, not %" PRIu64,
                    after->sequence, records);
}

void judge_version(unsigned shard, unsigned article, uint64_t version)
{
    uint64_t *newest = &newest_version[here(shard)][shard];
    if (version <= *newest)
        world_wrong("a version does not rise: shard %u article %u", shard, article);
    *newest = version;
    if (version > redis.newest_version)
        redis.newest_version = version;
}

/* What it takes over is older than what was given last. */
void judge_failed_over(unsigned server, unsigned lost)
{
    for (unsigned s = 0; s < world.shards; s++)
        if (redis.owner[s] == server)
            newest_version[server][s] = redis.server[server].now.shard[s].version;
    if (lost > 0)
        judge_lost(JUDGE_FAILED_OVER);
}

void judge_wiped(void)
{
    memset(newest_version, 0, sizeof newest_version);
    redis.newest_version = 0;
}

/* Counts and voters of a head are those of its registers. */
static void check_head(unsigned article, const struct redis_shard *shard)
{
    const struct redis_head *head = &shard->head[article];
    uint32_t count[KIND_MAX + 1] = {0}, voters = 0;
    for (uint32_t i = 0; i < shard->registers; i++) {
        const struct redis_register *reg = &shard->reg[i];
        if (reg->number != head->number)
            continue;
        voters++;
        if (!head->floored || reg->value >> 4 > head->floor)
            count[reg->value & 15]++;
    }
    for (int kind = 1; kind <= KIND_MAX; kind++)
        if (count[kind] != head->count[kind])
            world_wrong("a total is not the sum of its registers: article %u kind %d: %u, not %u",
                        article, kind, head->count[kind], count[kind]);
    if (voters != head->voters)
        world_wrong("a head counts %u voters, not %u: article %u", head->voters, voters, article);
}

static void note_shown(unsigned article)
{
    struct shown one = {.article = article};
    int64_t count[KIND_MAX + 1];
    redis_total(article, count, &one.version);
    for (unsigned i = n_shown; i-- > 0;) {
        if (shown[i].article != article || shown[i].version != one.version)
            continue;
        if (memcmp(shown[i].count, count, sizeof shown[i].count) == 0)
            return;
        if (!happened[JUDGE_WIPED] && !happened[JUDGE_FAILED_OVER])
            return; /* judge_total will say so */
        same_version[article] = true;
    }
    if (n_shown == TOTALS_MAX)
        abort();
    memcpy(one.count, count, sizeof one.count);
    shown[n_shown++] = one;
}

void judge_shard(unsigned shard)
{
    for (unsigned a = 0; a < world.articles; a++) {
        if (world.article[a].shard != shard || !redis_shard(shard)->head[a].exists)
            continue;
        check_head(a, redis_shard(shard));
        note_shown(a);
    }
}

/* --- the collector's calls --- */

static struct going *pipeline_of(const struct redis_words *words, uint64_t *ring_id)
{
    bool call = redis_command_is_batch(words);
    if (!call && !redis_command_is_position(words))
        return NULL;
    *ring_id = strtoull(words->word[redis_scripts_argv(words)], NULL, 16);
    unsigned shard = (unsigned)strtoul(words->word[3] + strlen("tally:{"), NULL, 10);
    for (int i = 0; i < FILES_MAX; i++)
        if (files[i].used && files[i].name == FILES_RING && files[i].id == *ring_id)
            return &pipelines[platform_now->edge][shard];
    return NULL;
}

void judge_sent(const struct redis_words *words)
{
    uint64_t ring_id;
    struct going *pipeline = pipeline_of(words, &ring_id);
    if (pipeline == NULL)
        return;
    if (pipeline->ring_id != ring_id)
        *pipeline = (struct going){.ring_id = ring_id};
    if (redis_command_is_position(words))
        pipeline->going = false;
    pipeline->in_flight += redis_command_is_batch(words);
    if (redis_command_is_batch(words))
        pipeline->sent_to = bytes_get_u64(words->word[redis_scripts_argv(words) + 2]);
}

/* Whether a position was answered, and not a refusal. */
static bool is_position(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           strcmp(reply->element[0]->str, "at") == 0;
}

static bool is_question(const struct redis_words *words, const char *second)
{
    return words->n == 2 && strcmp(words->word[0], "CLUSTER") == 0 &&
           strcmp(words->word[1], second) == 0;
}

/* Each failover and each move raises the epoch, and a collector that hears of it has to go by it.
 * After a long silence it may believe an older answer, too: whether it then has anything to do is
 * not judged before the owner that it believes in was asked for the position. */
static void note_owners(unsigned link, const struct redis_words *words, const redisReply *reply)
{
    unsigned edge = platform_now->edge;
    if (platform_now->kind != PLATFORM_COLLECTOR || reply == NULL)
        return;
    if (is_question(words, "INFO") && reply->type == REDIS_REPLY_STRING) {
        const char *epoch = strstr(reply->str, "cluster_current_epoch:");
        view[link].sound = strstr(reply->str, "cluster_state:ok") != NULL;
        view[link].epoch = epoch != NULL ? strtoull(strchr(epoch, ':') + 1, NULL, 10) : 0;
    }
    if (!is_question(words, "SLOTS") || reply->type != REDIS_REPLY_ARRAY)
        return;
    bool newer = view[link].sound && view[link].epoch >= heard[edge].epoch;
    if (newer)
        heard[edge].epoch = view[link].epoch;
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        int owner = cluster_owner_in(reply, s);
        if (newer)
            heard[edge].owner[s] = owner;
        if (pipelines[edge][s].server != (unsigned)owner)
            pipelines[edge][s].going = false;
    }
}

/* Whether the collector has heard that another server owns the shard. */
static bool is_former(unsigned edge, unsigned shard, unsigned server)
{
    return heard[edge].epoch > 0 && heard[edge].owner[shard] != (int)server;
}

/* A shard that refuses the store, perhaps because its memory is full, is not applied to. */
static void note_claim(const struct redis_words *words, const redisReply *reply)
{
    if (!redis_command_is_claim(words) || reply == NULL ||
        (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1))
        return;
    unsigned shard = (unsigned)strtoul(words->word[3] + strlen("tally:{"), NULL, 10);
    pipelines[platform_now->edge][shard].going = false;
}

static bool is_applied_answer(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 6;
}

/* Receipts may be given for what the call covers, which may begin before the position. */
static void note_vouched(unsigned server, const struct redis_words *words, const redisReply *reply)
{
    if (!redis_command_is_batch(words) || !is_applied_answer(reply))
        return;
    const char *const *argument = words->word + redis_scripts_argv(words);
    uint64_t ring_id = strtoull(argument[0], NULL, 16);
    uint64_t to = bytes_get_u64(argument[2]);
    for (unsigned i = 0; i < n_requests; i++) {
        struct request *request = &requests[i];
        if (request->ring_id == ring_id && request->position < to &&
            !is_former(request->edge, request->shard, server))
            request->vouched |= request->truths[server];
    }
}

/* What a server has told a collector about a ring: the position that it asked for, and batches
 * after it. What another server answers says nothing about this one. */
static void note_answer(unsigned server, const struct redis_words *words, const redisReply *reply)
{
    bool batch = redis_command_is_batch(words);
    if (!batch && !redis_command_is_position(words))
        return;
    struct ring *ring = find_ring(strtoull(words->word[redis_scripts_argv(words)], NULL, 16));
    const struct files_ring *file = files_find(ring->id);
    if (file == NULL)
        return;
    if (!batch && is_position(reply)) {
        ring->read = ring_read_position(file->memory);
        ring->answered = reply->element[1]->len > 0 ? bytes_get_u64(reply->element[1]->str) : 0;
        ring->server = server;
        ring->asked = true;
    } else if (batch && is_applied_answer(reply) && ring->asked && ring->server == server &&
               !is_former(file->edge, file->shard, server)) {
        uint64_t to = bytes_get_u64(words->word[redis_scripts_argv(words) + 2]);
        if (to > ring->answered)
            ring->answered = to;
    }
}

void judge_reply(unsigned link, unsigned server, const struct redis_words *words,
                 const redisReply *reply)
{
    uint64_t ring_id;
    note_owners(link, words, reply);
    note_vouched(server, words, reply);
    note_answer(server, words, reply);
    note_claim(words, reply);
    struct going *pipeline = pipeline_of(words, &ring_id);
    if (pipeline == NULL || pipeline->ring_id != ring_id)
        return;
    if (!redis_command_is_batch(words)) {
        pipeline->going = is_position(reply);
        pipeline->server = server;
        pipeline->sent_to = pipeline->going && reply->element[1]->len > 0
                                ? bytes_get_u64(reply->element[1]->str)
                                : 0;
    } else {
        pipeline->in_flight -= pipeline->in_flight > 0;
        if (!is_applied_answer(reply))
            pipeline->going = false;
    }
}

void judge_link_lost(const struct event_base *process, unsigned server)
{
    for (unsigned s = 0; s < WORLD_SHARDS && process->kind == PLATFORM_COLLECTOR; s++)
        if (pipelines[process->edge][s].server == server)
            pipelines[process->edge][s].going = false;
}

void judge_ended(const struct event_base *process)
{
    if (process->kind == PLATFORM_COLLECTOR) {
        memset(pipelines[process->edge], 0, sizeof pipelines[process->edge]);
        memset(&heard[process->edge], 0, sizeof heard[process->edge]);
        return;
    }
    interrupted_us[process->edge] = world.us + 1;
    if (!process->alive)
        memset(published[process->edge], 0, sizeof published[process->edge]);
}

void judge_audit(uint64_t differing)
{
    for (unsigned s = 0; s < world.shards; s++)
        if (redis.was_poisoned[s])
            return; /* registers that cannot be read are a difference */
    if (differing > 0)
        world_wrong("the audit finds a difference where there is none");
}

/* --- the broker --- */

void judge_total(unsigned edge, unsigned article, const struct broker_total *total)
{
    judge_counts.totals++;
    if (total->version < published[edge][article] && world.max_articles > WORLD_ARTICLES)
        world_wrong("the feed of edge %u published a lower version of article %u than before", edge,
                    article);
    published[edge][article] = total->version;
    for (unsigned i = n_shown; i-- > 0;)
        if (shown[i].article == article && shown[i].version == total->version) {
            if (memcmp(shown[i].count, total->count, sizeof total->count) == 0)
                return;
            if (happened[JUDGE_WIPED] || same_version[article])
                continue; /* two stores may give the same version, of which one was never shown */
            world_wrong("a total of article %u is not what it was at its version", article);
            return;
        }
    world_wrong("a total of article %u has a version that never was", article);
}

static bool says(const char *payload, const char *name, const char *value)
{
    char want[64];
    snprintf(want, sizeof want, "\"%s\":\"%s\"", name, value);
    return strstr(payload, want) != NULL;
}

static bool is_true(const struct request *request, const char *payload)
{
    if (!says(payload, "reaction", world.kinds.name[request->kind]))
        return false;
    if (says(payload, "outcome", request->kind == 0 ? "retracted" : "counted"))
        return (request->vouched & 1) != 0;
    if (!says(payload, "outcome", "superseded"))
        return false;
    for (int kind = 0; kind <= WORLD_KINDS; kind++)
        if (says(payload, "current", world.kinds.name[kind]))
            return (request->vouched & 1u << (1 + kind)) != 0;
    return false;
}

void judge_receipt(const char *client, const char *payload, const unsigned char *correlation,
                   size_t bytes)
{
    uint32_t send = 0;
    judge_counts.receipts++;
    if (bytes == sizeof send)
        memcpy(&send, correlation, sizeof send);
    for (unsigned i = 0; i < n_requests; i++)
        if (requests[i].send == send && client[4] - '0' == (int)requests[i].reader &&
            strstr(payload, world.article[requests[i].article].name) != NULL &&
            is_true(&requests[i], payload))
            return;
    world_wrong("a receipt is not true: message %u of %s: %s", send, client, payload);
}

/* --- losses --- */

/* Whether a record lies whole in a ring file from which it will be applied. */
static bool is_held(const struct request *request)
{
    const struct files_ring *file = files_find(request->ring_id);
    if (file == NULL)
        return false;
    if (!lies_whole(request, file))
        return false;
    return file->name != FILES_RING || file->power_lost ||
           request->position >= ring_read_position(file->memory);
}

static bool is_applied(const struct request *request)
{
    const struct redis_ring *ring = redis_find_ring(request->shard, request->ring_id);
    return ring != NULL ? request->position < ring->position
                        : redis_is_folded(request->shard, request->ring_id);
}

void judge_lost(enum judge_loss loss)
{
    bool kept = loss == JUDGE_FAILED_OVER && world.replicas && !redis.went_back &&
                !happened[JUDGE_POWER] && !happened[JUDGE_DAMAGE] && !happened[JUDGE_WIPED];
    happened[loss] = true;
    for (unsigned i = 0; i < n_requests; i++) {
        struct request *request = &requests[i];
        bool held = is_held(request);
        if ((loss == JUDGE_POWER || loss == JUDGE_DAMAGE) && !held)
            request->unheld = true;
        if (request->optional || held || is_applied(request))
            continue;
        if (loss == JUDGE_REDIS_WENT_BACK && files_find(request->ring_id) == NULL &&
            !request->unheld && !happened[JUDGE_WIPED])
            world_wrong("a ring was deleted before Redis had its reactions for good");
        if (kept && !request->unheld)
            world_wrong(
                "a reaction left its ring before a replica had it: edge %u shard %u position "
                "%" PRIu64,
                request->edge, request->shard, request->position);
        request->optional = true;
        judge_counts.optional++;
    }
}

/* --- after each step --- */

/* What was applied stays until the ring is half full. So a ring lacks only
 * what was admitted half a ring before, whatever Redis loses. A ring that was renamed keeps all. */
static void check_half(const struct files_ring *file, uint64_t from, uint64_t read)
{
    uint64_t half_bytes = (file->bytes - RING_HEADER_BYTES) / 2;
    uint64_t write = ring_write_position(file->memory);
    if (file->name != FILES_RING || happened[JUDGE_POWER] || happened[JUDGE_DAMAGE])
        return;
    for (unsigned i = 0; i < n_requests; i++)
        if (requests[i].ring_id == file->id && requests[i].position >= from &&
            requests[i].position < read && write - requests[i].position <= half_bytes)
            world_wrong("a ring of edge %u frees a record of its newer half: position %" PRIu64
                        " of %" PRIu64,
                        file->edge, requests[i].position, write);
}

/* Nothing may be freed that the ring's server has not answered for since it was asked; and where
 * durability is `replicas`, nothing that its replica has not got. */
static void check_answered(const struct files_ring *file, uint64_t read)
{
    struct ring *ring = find_ring(file->id);
    if (read <= ring->read)
        return;
    if (ring->asked && read > ring->answered && !happened[JUDGE_POWER])
        world_wrong("a ring of edge %u frees up to %" PRIu64
                    " what its server has answered for only up to %" PRIu64,
                    file->edge, read, ring->answered);
    if (world.replicas && !redis.went_back && !redis.followed && !happened[JUDGE_POWER] &&
        !happened[JUDGE_WIPED] && read > redis_replicated(file->shard, file->id))
        world_wrong("a ring of edge %u frees up to %" PRIu64
                    " what a replica has only up to %" PRIu64,
                    file->edge, read, redis_replicated(file->shard, file->id));
    check_half(file, ring->read, read);
    ring->read = read;
}

/* Nothing may be overwritten that Redis has never had. What it had, answered for, and lost since
 * may be: the answer can have come after that. */
static void check_freed(void)
{
    for (int i = 0; i < FILES_MAX; i++) {
        const struct files_ring *file = &files[i];
        if (!file->used || (file->name != FILES_RING && file->name != FILES_OLD))
            continue;
        uint64_t read = ring_read_position(file->memory);
        check_answered(file, read);
        if (read > 0 && read > find_ring(file->id)->highest && !happened[JUDGE_POWER])
            world_wrong("a ring of edge %u frees up to %" PRIu64
                        " what Redis has only up to %" PRIu64,
                        file->edge, read, find_ring(file->id)->highest);
        const struct redis_ring *ring = redis_find_ring(file->shard, file->id);
        if ((redis.went_back || redis.followed) && read > (ring != NULL ? ring->position : 0))
            judge_lost(redis.went_back ? JUDGE_REDIS_WENT_BACK : JUDGE_FAILED_OVER);
    }
}

/* Whoever sleeps while there is something to do must have been woken. */
static void check_awake(unsigned edge)
{
    const struct event_base *process = &platform_process[edge][PLATFORM_COLLECTOR];
    const struct files_edge *own = &files_edge[edge];
    if (!process->alive || !process->waits || !own->asleep || own->wake_bytes > 0 ||
        wire_due(process) || happened[JUDGE_POWER] || happened[JUDGE_DAMAGE])
        return;
    for (unsigned s = 0; s < world.shards; s++) {
        const struct going *pipeline = &pipelines[edge][s];
        if (pipeline->going && pipeline->in_flight == 0 && own->file[s] >= 0 &&
            files[own->file[s]].id == pipeline->ring_id &&
            ring_write_position(files[own->file[s]].memory) > pipeline->sent_to)
            world_wrong("the collector of edge %u sleeps though a reaction waits", edge);
    }
}

void judge_step(void)
{
    check_freed();
    for (unsigned e = 0; e < world.edges; e++)
        check_awake(e);
}

/* --- the end --- */

static bool total_fits(const struct broker_total *total, unsigned article)
{
    int64_t count[KIND_MAX + 1];
    uint64_t version;
    redis_total(article, count, &version);
    return total->version == version &&
           memcmp(total->count + 1, count + 1, sizeof total->count - sizeof total->count[0]) == 0;
}

static bool rings_done(struct error *why)
{
    for (int i = 0; i < FILES_MAX; i++) {
        const struct files_ring *file = &files[i];
        if (!file->used || file->edge >= world.edges)
            continue;
        if (file->name == FILES_OLD) {
            error_set(why, "an old ring of edge %u is not drained: %s", file->edge,
                      broker[file->edge].collector_reason);
            return false;
        }
        if (file->name != FILES_RING)
            continue;
        uint64_t write = ring_write_position(file->memory);
        const struct redis_ring *ring = redis_find_ring(file->shard, file->id);
        if (write != (ring != NULL ? ring->position : 0)) {
            error_set(why, "a ring of edge %u is not applied: %s", file->edge,
                      broker[file->edge].collector_reason);
            return false;
        }
    }
    return true;
}

static bool totals_done(struct error *why)
{
    for (unsigned e = 0; e < world.edges; e++)
        for (unsigned a = 0; a < world.articles; a++) {
            const struct redis_head *head = &redis_shard(world.article[a].shard)->head[a];
            if ((!head->exists && !broker[e].retained[a].known) || same_version[a] ||
                (head->exists && total_fits(&broker[e].retained[a], a)))
                continue;
            error_set(why, "edge %u does not show article %u's total", e, a);
            return false;
        }
    return true;
}

bool judge_arrived(struct error *why)
{
    return rings_done(why) && totals_done(why);
}

/* The register holds the newest of what must have counted, or one of what may have. */
static void check_register(unsigned reader, unsigned article)
{
    uint64_t held = redis_value(world.article[article].shard, article, world.hash[reader][article]);
    uint64_t least = 0;
    bool made = held == 0;
    for (unsigned i = 0; i < n_requests; i++) {
        const struct request *request = &requests[i];
        if (request->reader != reader || request->article != article)
            continue;
        made = made || request->value == held;
        if (!request->optional && request->value > least)
            least = request->value;
    }
    if (!made)
        world_wrong("reader %u's register on article %u holds what was never requested", reader,
                    article);
    if (held < least)
        world_wrong("an acknowledged reaction is lost: reader %u article %u", reader, article);
}

/* The last click wins, where DESIGN promises it: ages are told, clocks are right, and no message
 * was under way longer than the pause between the clicks. */
static void check_click(unsigned reader, unsigned article)
{
    uint64_t held = redis_value(world.article[article].shard, article, world.hash[reader][article]);
    const struct request *last = NULL;
    for (unsigned i = 0; i < n_requests; i++) {
        const struct request *request = &requests[i];
        if (request->reader != reader || request->article != article)
            continue;
        if (request->optional || !request->clock_good)
            return;
        if (last == NULL || request->click_us >= last->click_us)
            last = request;
    }
    for (unsigned i = 0; i < n_requests && last != NULL; i++) {
        const struct request *request = &requests[i];
        if (request->reader == reader && request->article == article &&
            request->kind != last->kind &&
            request->flight_us + CLICK_MARGIN_US >= last->click_us - request->click_us)
            return;
    }
    if (last != NULL && (held & 15) != (uint64_t)last->kind)
        world_wrong("reader %u's last click on article %u does not win", reader, article);
}

/* admitted = applied + quarantined + lost, once nothing is in the rings. */
static void check_books(unsigned edge, unsigned shard)
{
    const struct redis_shard *redis_of = redis_shard(shard);
    uint64_t admitted = 0, reckoned = 0, lost = (uint64_t)redis_of->lost[edge], optional = 0;
    if (happened[JUDGE_POWER] || happened[JUDGE_DAMAGE] || happened[JUDGE_WIPED])
        return;
    for (unsigned i = 0; i < n_requests; i++) {
        admitted += requests[i].edge == edge && requests[i].shard == shard &&
                    (!requests[i].torn || requests[i].recovered);
        optional += requests[i].edge == edge && requests[i].shard == shard && requests[i].optional;
    }
    reckoned =
        (uint64_t)(redis_of->applied[edge] + redis_of->quarantined[edge] + redis_of->lost[edge]);
    for (int i = 0; i < REDIS_RINGS; i++)
        if (redis_of->ring[i].id != 0 && redis_of->ring[i].edge == files_edge[edge].edge.id) {
            reckoned += redis_of->ring[i].sequence;
            lost += redis_of->ring[i].lost;
        }
    judge_counts.lost += lost;
    if (admitted != reckoned)
        world_wrong("the books of edge %u shard %u know %" PRIu64 " of %" PRIu64 " reactions", edge,
                    shard, reckoned, admitted);
    if (lost > optional)
        world_wrong("the books of edge %u shard %u say that %" PRIu64 " are lost, not %" PRIu64
                    " at most",
                    edge, shard, lost, optional);
}

static void check_subscribers(unsigned edge)
{
    for (int i = 0; i < BROKER_SUBSCRIBERS; i++) {
        const struct broker_subscriber *subscriber = &broker[edge].subscriber[i];
        for (unsigned a = 0; a < world.articles; a++) {
            bool excused = world.max_articles <= WORLD_ARTICLES || subscriber->missed_old[a] ||
                           interrupted_us[edge] >= subscriber->missed_us[a];
            if (!subscriber->online || !broker[edge].retained[a].known ||
                (subscriber->missed[a] && excused))
                continue;
            if (subscriber->total[a].version != broker[edge].retained[a].version)
                world_wrong("a subscriber of edge %u does not end at article %u's newest total",
                            edge, a);
        }
    }
}

void judge_end(void)
{
    for (unsigned r = 0; r < world.readers; r++)
        for (unsigned a = 0; a < world.articles; a++) {
            check_register(r, a);
            check_click(r, a);
        }
    for (unsigned e = 0; e < world.edges; e++) {
        for (unsigned s = 0; s < world.shards; s++)
            check_books(e, s);
        check_subscribers(e);
    }
}

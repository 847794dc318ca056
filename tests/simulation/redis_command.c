/* Takes a command apart and runs it, as the server that it came to would. */
#include "redis_command.h"

#include "cluster.h"
#include "redis_scripts.h"
#include "register_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INFO_BYTES 320

/* The scripts' texts only have to differ. */
#define TEXT(name)                                                                                 \
    extern const unsigned char name##_lua[];                                                       \
    extern const unsigned long name##_lua_bytes;                                                   \
    const unsigned char name##_lua[] = #name ".lua";                                               \
    const unsigned long name##_lua_bytes = sizeof name##_lua - 1;
TEXT(register)
TEXT(position)
TEXT(claim)
TEXT(store)
TEXT(fold)
TEXT(count)
TEXT(pause)
TEXT(state) /* no state is ever stored here */
TEXT(read)
extern const char read_lua_sha1[];
const char read_lua_sha1[] = "read.lua";
TEXT(touch)

size_t redis_scripts_argv(const struct redis_words *words)
{
    return 3 + strtoul(words->word[2], NULL, 10);
}

static bool is(const struct redis_words *words, int i, const char *want)
{
    return words->n > i && words->bytes[i] == strlen(want) &&
           memcmp(words->word[i], want, words->bytes[i]) == 0;
}

/* Its words are EVALSHA's, with a clock in place of the script. */
static bool is_accelerator(const struct redis_words *words)
{
    return is(words, 0, REGISTER_CALL_ACCELERATOR) && words->n > 2;
}

bool redis_command_is_batch(const struct redis_words *words)
{
    return (is(words, 0, "EVALSHA") && !is(words, 1, read_lua_sha1)) || is_accelerator(words);
}

bool redis_command_is_position(const struct redis_words *words)
{
    return is(words, 0, "EVAL") && is(words, 1, (const char *)position_lua);
}

bool redis_command_is_claim(const struct redis_words *words)
{
    return is(words, 0, "EVAL") && is(words, 1, (const char *)claim_lua);
}

bool redis_command_is_store(const struct redis_words *words)
{
    return is(words, 0, "EVAL") && is(words, 1, (const char *)store_lua) &&
           words->word[redis_scripts_argv(words) + 1][0] != 'p'; /* placed */
}

bool redis_command_reads_store(const struct redis_words *words)
{
    return (is(words, 0, "EVAL") && is(words, 1, (const char *)store_lua)) ||
           (is(words, 0, "HGETALL") && is(words, 1, "tally:store"));
}

static bool is_eval(const struct redis_words *words)
{
    return is(words, 0, "EVAL") || is(words, 0, "EVALSHA") || is_accelerator(words);
}

static bool writes(const struct redis_words *words)
{
    return is_eval(words) && !is(words, 1, read_lua_sha1) &&
           !is(words, 1, (const char *)count_lua) &&
           (!redis_command_is_position(words) || words->bytes[redis_scripts_argv(words) + 2] > 0);
}

/* The part that its keys are of. -1: it has none; -2: of several. */
static int part_of(const struct redis_words *words)
{
    int part = -1, first = is_eval(words) ? 3 : 1;
    int end = is_eval(words) ? (int)redis_scripts_argv(words) : words->n < 2 ? words->n : 2;
    for (int i = first; i < end && i < words->n; i++) {
        int its = redis_part_of(words->word[i], words->bytes[i]);
        if (part >= 0 && its >= 0 && its != part && redis.cluster)
            return -2;
        if (part < 0)
            part = its;
    }
    return part;
}

/* What the shard that a key is of answers, or NULL: out of memory and read-only, to what writes
 * only. */
static const char *shard_error(int part, const struct redis_words *words)
{
    const char *error = part >= 0 && part < WORLD_SHARDS ? redis.shard_error[part] : NULL;
    bool of_writes = error != NULL && (error[0] == 'O' || error[0] == 'R');
    return of_writes && !writes(words) ? NULL : error;
}

/* While a slot moves, what was read ahead is elsewhere. register.lua continues up to the first
 * register that is (redis_register.c), where it is run at all: the shard's position can be read
 * while its heads are gone. */
static const char *on_its_way(int part, const struct redis_words *words)
{
    static const char again[] = "TRYAGAIN Multiple keys request during rehashing of slot";
    if (part < 0 || redis.moves_to[part] < 0)
        return NULL;
    bool heads = part < WORLD_SHARDS && redis.moved_heads[part];
    if (redis_command_is_batch(words))
        return heads ? again : NULL;
    if (heads && redis_command_is_position(words))
        return NULL;
    if (dice_percent(&world.dice, 50))
        return NULL;
    if (!is_eval(words))
        return "ASK 7 10.0.0.9:7009";
    return dice_percent(&world.dice, 50) ? again
                                         : "ERR Script attempted to access a non local key in a "
                                           "cluster node script: 0123";
}

static void run_time(struct redis_reply *reply)
{
    uint64_t now = world_redis_us();
    redisReply *all = redis_reply_array(reply, 2);
    all->element[0] = redis_reply_digits(reply, now / 1000000);
    all->element[1] = redis_reply_digits(reply, now % 1000000);
}

static void write_info(const struct redis_server *server, char info[INFO_BYTES])
{
    char replica[80] = "";
    if (!server->alone)
        snprintf(replica, sizeof replica,
                 "slave0:ip=10.0.0.9,port=7009,state=online,offset=%" PRIu64 ",lag=0\r\n",
                 server->replicated + 1);
    snprintf(info, INFO_BYTES,
             "# Server\r\nrun_id:%u%07u\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n"
             "role:%s\r\nconnected_slaves:%d\r\n%smaster_replid:%07u\r\nmaster_replid2:%u\r\n"
             "master_repl_offset:%" PRIu64 "\r\n",
             (unsigned)(server - redis.server), server->runs + 1,
             server->master ? "master" : "slave", server->alone ? 0 : 1, replica, server->history,
             server->history >= REDIS_PAIRS, server->commits + 1);
}

/* Each collector asks each second, and little of it changes. */
static void run_info(struct redis_reply *reply)
{
    static struct {
        uint64_t commits, replicated;
        unsigned runs, history;
        bool master, alone;
        char text[INFO_BYTES]; /* "": none yet */
    } last[REDIS_SERVERS];
    const struct redis_server *server = redis.here;
    size_t i = (size_t)(server - redis.server);
    if (last[i].text[0] == '\0' || last[i].history != server->history ||
        last[i].commits != server->commits || last[i].replicated != server->replicated ||
        last[i].runs != server->runs || last[i].master != server->master ||
        last[i].alone != server->alone) {
        last[i].history = server->history;
        last[i].commits = server->commits;
        last[i].replicated = server->replicated;
        last[i].runs = server->runs;
        last[i].master = server->master;
        last[i].alone = server->alone;
        write_info(server, last[i].text);
    }
    redis_reply_words(reply, last[i].text);
}

static void run_role(struct redis_reply *reply)
{
    redisReply *all = redis_reply_array(reply, 3);
    all->element[0] = redis_reply_words(reply, redis.here->master ? "master" : "slave");
    all->element[1] = redis_reply_number(reply, 0);
    all->element[2] = redis_reply_array(reply, 0);
}

/* Without a replica it would wait for the time that is given, and answer 0; so does a master whose
 * replica has become one, too. */
static void run_wait(struct redis_reply *reply)
{
    unsigned here = (unsigned)(redis.here - redis.server);
    bool has = !redis.here->alone && (!redis.cluster || redis.master[here % REDIS_PAIRS] == here);
    if (!redis.here->master) {
        redis_reply_error(reply, "ERR WAIT cannot be used with replica instances.");
        return;
    }
    if (has)
        redis.here->replicated = redis.here->commits;
    redis_reply_number(reply, has ? 1 : 0);
}

static void run_eval(const struct redis_words *words, struct redis_reply *reply)
{
    static const struct {
        const unsigned char *text;
        void (*run)(const struct redis_words *words, struct redis_reply *reply);
    } scripts[] = {
        {store_lua, redis_store_run},      {position_lua, redis_register_position},
        {claim_lua, redis_register_claim}, {fold_lua, redis_store_fold},
        {count_lua, redis_audit_count},    {pause_lua, redis_audit_pause},
        {touch_lua, redis_read_touch},
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
        if (is(words, 1, (const char *)scripts[i].text)) {
            scripts[i].run(words, reply);
            return;
        }
    redis_reply_error(reply, "ERR an unknown script");
}

/* Of no key. */
static void run_of_server(const struct redis_words *words, struct redis_reply *reply)
{
    if (is(words, 0, "TIME"))
        run_time(reply);
    else if (is(words, 0, "PING"))
        redis_reply_words(reply, "PONG");
    else if (is(words, 0, "INFO"))
        run_info(reply);
    else if (is(words, 0, "ROLE"))
        run_role(reply);
    else if (is(words, 0, "WAIT"))
        run_wait(reply);
    else if (is(words, 0, "CLUSTER") && is(words, 1, "INFO"))
        cluster_answer_info(reply);
    else if (is(words, 0, "CLUSTER"))
        cluster_answer_slots(reply);
    else if (is(words, 0, "SCRIPT")) {
        if (is(words, 2, (const char *)read_lua))
            redis.here->has_read = true;
        else
            redis.here->has_register = true;
        redis_reply_words(reply, "0123456789abcdef0123456789abcdef01234567");
    } else if (is(words, 0, REGISTER_CALL_ACCELERATOR) && redis.here->has_accelerator)
        redis_reply_words(reply, "calls");
    else
        redis_reply_error(reply, "ERR unknown command");
}

static void run_of_part(const struct redis_words *words, struct redis_reply *reply)
{
    bool read = is(words, 0, "EVALSHA") && is(words, 1, read_lua_sha1);
    if (is(words, 0, "EVALSHA") && !(read ? redis.here->has_read : redis.here->has_register))
        redis_reply_error(reply, "NOSCRIPT No matching script. Please use EVAL.");
    else if (read)
        redis_read_run(words, reply);
    else if (is_accelerator(words) && !redis.here->has_accelerator)
        redis_reply_error(reply, "ERR unknown command '" REGISTER_CALL_ACCELERATOR
                                 "', with args beginning with: 'now' ");
    else if (redis_command_is_batch(words))
        redis_register_run(words, reply);
    else if (is(words, 0, "EVAL"))
        run_eval(words, reply);
    else if (is(words, 0, "HRANDFIELD"))
        redis_audit_random(words, reply);
    else if (is(words, 0, "HSETNX"))
        redis_store_set(words, reply);
    else if (is(words, 0, "HGETALL") && is(words, 1, "tally:store"))
        redis_store_answer(reply);
    else if (is(words, 0, "HMGET") || words->word[0][0] == 'Z')
        redis_read_plain(words, reply);
    else if (is(words, 0, "HGET"))
        redis_read_store(words, reply);
    else if (is(words, 0, "HGETALL"))
        redis_read_rings(words, reply);
    else
        redis_reply_error(reply, "ERR unknown command");
}

static void tell(unsigned server, const struct redis_words *words, const struct redis_reply *reply)
{
    const redisReply *answer = &reply->node[0];
    if (!world.tells)
        return;
    if (answer->elements > 0)
        answer = answer->element[0];
    const char *text = answer->str != NULL ? answer->str : "";
    world_tell("    server %u runs %.10s %.12s %.12s: %.*s", server, words->word[0],
               words->n > 1 ? words->word[1] : "", words->n > 3 ? words->word[3] : "",
               (int)strcspn(text, "\r"), text);
}

void redis_command(unsigned server, const struct redis_words *words, struct redis_reply *reply)
{
    char moved[64];
    int part = part_of(words);
    redis.here = &redis.server[server];
    world.server = server;
    redis_reply_begin(reply);
    const char *error = cluster_refuse(server, part, moved);
    if (error == NULL)
        error = shard_error(part, words);
    if (error == NULL)
        error = on_its_way(part, words);
    if (error != NULL)
        redis_reply_error(reply, error);
    else if (part >= 0)
        run_of_part(words, reply);
    else
        run_of_server(words, reply);
    tell(server, words, reply);
    redis.here = NULL;
    world.server = 0;
}

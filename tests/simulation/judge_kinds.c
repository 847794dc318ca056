/* Which kind an id means: that no id means two, and that a collector which knows an id says so
 * before it may be given to another kind. */
#include "judge_state.h"

#include "redis_command.h"
#include "redis_scripts.h"

#include <stdlib.h>
#include <string.h>

/* What an id means that no vote was counted under yet. A master may have given it that is none any
 * more, so the true owner's word counts. */
static const char *kinds_meaning(unsigned id)
{
    const char *owners = redis.server[redis.owner[REDIS_OF_STORE]].now.store.kind[id];
    return judge.counted[id] || owners[0] == '\0' ? judge.kinds[id] : owners;
}

void judge_kinds_begin(void)
{
    memset(judge.kinds, 0, sizeof judge.kinds);
    memset(judge.read, 0, sizeof judge.read);
    memset(judge.known, 0, sizeof judge.known);
    memset(judge.counted, 0, sizeof judge.counted);
    judge.confused = false;
    if (redis_store()->id == 0)
        return;
    memcpy(judge.kinds, redis_store()->kind, sizeof judge.kinds);
    for (unsigned id = 1; id <= KIND_MAX; id++)
        judge.counted[id] = judge.kinds[id][0] != '\0';
}

void judge_kinds_counted(uint64_t value)
{
    unsigned id = value & 15;
    const char *means = kinds_meaning(id);
    if (means != judge.kinds[id])
        memcpy(judge.kinds[id], means, strlen(means) + 1);
    judge.counted[id] = true;
}

/* An id that no vote was counted under may be lost with the master that gave it: the collectors
 * wait until a replica has it. */
void judge_kinds_given(unsigned id, const char *name)
{
    bool another =
        judge.counted[id] && judge.kinds[id][0] != '\0' && strcmp(judge.kinds[id], name) != 0;
    if (another && !judge.happened[JUDGE_WIPED])
        world_wrong("kind id %u was given to %s, and then to %s", id, judge.kinds[id], name);
    judge.confused = judge.confused || another;
    memcpy(judge.kinds[id], name, strlen(name) + 1);
}

uint64_t judge_kinds_world(uint64_t value)
{
    unsigned id = value & 15;
    for (unsigned kind = 1; kind <= WORLD_KINDS && world.kinds_differ && id > 0; kind++)
        if (strcmp(world.kinds.name[kind], kinds_meaning(id)) == 0)
            return (value & ~UINT64_C(15)) | kind;
    return value;
}

bool judge_kinds_same(uint64_t value, uint64_t other)
{
    return judge.confused ? value >> 4 == other >> 4 : value == other;
}

void judge_kinds_corrected(unsigned edge)
{
    if (!judge.happened[JUDGE_WIPED])
        world_wrong(
            "the collector of edge %u wants ids of kinds corrected, though nothing was wiped",
            edge);
    judge.confused = true;
}

/* --- what a collector knows --- */

void judge_kinds_read(unsigned edge, const redisReply *reply)
{
    static const char kind[] = "kind:";
    struct judge_known *read = &judge.read[edge];
    memset(read, 0, sizeof *read);
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const char *name = reply->element[i]->str, *value = reply->element[i + 1]->str;
        unsigned long id = strtoul(value, NULL, 10);
        if (strcmp(name, "id") == 0)
            read->store = strtoull(value, NULL, 16);
        else if (strncmp(name, kind, sizeof kind - 1) == 0 && id <= KIND_MAX)
            memcpy(read->kinds[id], name + sizeof kind - 1, strlen(name) + 2 - sizeof kind);
    }
}

/* It applies: what it read last is what it goes by. */
static void note_known(unsigned edge)
{
    judge.known[edge] = judge.read[edge];
}

static bool says_so(const struct redis_words *words, const char *name, unsigned id)
{
    size_t bytes = strlen(name);
    for (int i = (int)redis_scripts_argv(words) + 5; i < words->n; i++)
        if (strncmp(words->word[i], name, bytes) == 0 && words->word[i][bytes] == ':' &&
            strtoul(words->word[i] + bytes + 1, NULL, 10) == id)
            return true;
    return false;
}

/* `placed` and `seen` give no ids. */
static bool gives_ids(const struct redis_words *words)
{
    const char *what = words->word[redis_scripts_argv(words) + 1];
    return strcmp(what, "make") == 0 || strcmp(what, "keep") == 0;
}

void judge_kinds_sent(unsigned edge, const struct redis_words *words)
{
    const struct judge_known *known = &judge.known[edge];
    if (redis_command_is_batch(words))
        note_known(edge);
    if (!redis_command_is_store(words) || !gives_ids(words) || !world.kinds_differ ||
        strtoull(words->word[redis_scripts_argv(words)], NULL, 16) != known->store)
        return;
    for (unsigned id = 1; id <= KIND_MAX; id++)
        if (known->kinds[id][0] != '\0' && !says_so(words, known->kinds[id], id))
            world_wrong("the collector of edge %u lets kinds be given ids and does not say that %s "
                        "has the id %u",
                        edge, known->kinds[id], id);
}

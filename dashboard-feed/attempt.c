/* Answers come in the order of the commands. They are copied until the last one tells whether they
 * belong together. */
#include "attempt.h"

#include "reply.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64
#define COMMANDS_MAX (QUERY_COMMANDS_MAX + 2) /* with both looks */

struct attempt {
    struct store_link *link;
    uint32_t shard;
    redis_link_cb *callback;
    void *user;
    unsigned sent, answered;
    bool lost;  /* a command has no answer */
    bool apart; /* the answers do not belong together, or are not understood */
    redisReply *answer[COMMANDS_MAX]; /* copies; the second look's is not kept */
    int words;                        /* the call of the script; its texts are behind this struct */
    const char *word[WORDS_MAX];
    size_t bytes[WORDS_MAX];
    char text[];
};

/* ---- copies of replies ---- */

static bool is_plain(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_NIL;
}

/* Of one string, or of none. Returns where the next text goes. */
static char *copy_plain(redisReply *to, const redisReply *from, char *text)
{
    *to = *from;
    if (from->type != REDIS_REPLY_STRING)
        return text;
    to->str = text;
    memcpy(text, from->str, (size_t)from->len);
    text[from->len] = '\0';
    return text + from->len + 1;
}

/* In one piece, to be freed; of a string, of nothing, or of a list of these. NULL: it is something
 * else, or there is no memory. */
static redisReply *copy_reply(const redisReply *from)
{
    bool list = from->type == REDIS_REPLY_ARRAY;
    size_t n = list ? from->elements : 0;
    size_t bytes = (1 + n) * sizeof *from + n * sizeof(void *);
    for (size_t i = 0; i < n; i++) {
        if (!is_plain(from->element[i]))
            return NULL;
        bytes += reply_is_string(from->element[i]) ? (size_t)from->element[i]->len + 1 : 0;
    }
    bytes += reply_is_string(from) ? (size_t)from->len + 1 : 0;
    redisReply *to = list || is_plain(from) ? malloc(bytes) : NULL;
    if (to == NULL)
        return NULL;
    redisReply **element = (redisReply **)(void *)(to + 1 + n);
    char *text = copy_plain(to, from, (char *)(element + n));
    to->element = list ? element : NULL;
    for (size_t i = 0; i < n; i++) {
        element[i] = to + 1 + i;
        text = copy_plain(element[i], from->element[i], text);
    }
    return to;
}

/* ---- answers ---- */

static void attempt_free(struct attempt *attempt)
{
    for (unsigned i = 0; i < COMMANDS_MAX; i++)
        free(attempt->answer[i]);
    free(attempt);
}

static bool is_text(const redisReply *reply, const char *text)
{
    return reply_is_string(reply) && strcmp(reply->str, text) == 0;
}

/* A look at the shard: its store is the one that is followed. */
static bool is_ours(const struct attempt *attempt, const redisReply *look)
{
    return reply_is_array(look, 2) && is_text(look->element[0], store_link_id(attempt->link));
}

/* A shard without articles has no version. */
static bool is_same(const redisReply *a, const redisReply *b)
{
    if (a->type == REDIS_REPLY_NIL || b->type == REDIS_REPLY_NIL)
        return a->type == b->type;
    return reply_is_string(b) && is_text(a, b->str);
}

/* The second look: whether it saw what the first one did. */
static bool is_unchanged(const struct attempt *attempt, const redisReply *look)
{
    const redisReply *first = attempt->answer[0];
    return first != NULL && is_ours(attempt, first) && is_ours(attempt, look) &&
           is_same(first->element[1], look->element[1]);
}

/* As the script would have answered. */
static void hand_out(struct attempt *attempt)
{
    char text[] = "ok";
    redisReply ok = {.type = REDIS_REPLY_STRING, .str = text, .len = 2};
    redisReply *element[COMMANDS_MAX - 1] = {&ok};
    redisReply all = {.type = REDIS_REPLY_ARRAY, .element = element, .elements = attempt->sent - 1};
    for (unsigned i = 1; i + 1 < attempt->sent; i++)
        element[i] = attempt->answer[i];
    attempt->callback(attempt->user, &all);
}

static void attempt_end(struct attempt *attempt)
{
    bool asked = attempt->apart && !attempt->lost &&
                 store_link_send(attempt->link, attempt->shard, attempt->callback, attempt->user,
                                 attempt->words, attempt->word, attempt->bytes) == 0;
    if (!attempt->lost && !attempt->apart)
        hand_out(attempt);
    else if (!asked)
        attempt->callback(attempt->user, NULL);
    attempt_free(attempt);
}

static void on_answer(void *user, const redisReply *reply)
{
    struct attempt *attempt = user;
    unsigned number = attempt->answered++;
    bool last = attempt->answered == attempt->sent;
    if (reply == NULL) {
        attempt->lost = true;
    } else if (last) {
        attempt->apart = attempt->apart || !is_unchanged(attempt, reply);
    } else if (!attempt->apart) {
        attempt->answer[number] = copy_reply(reply);
        attempt->apart = attempt->answer[number] == NULL;
    }
    if (last)
        attempt_end(attempt);
}

/* ---- commands ---- */

static struct attempt *attempt_new(const struct query *query, redis_link_cb *callback, void *user)
{
    size_t bytes = 0;
    for (int i = 0; i < query->n; i++)
        bytes += query->bytes[i];
    struct attempt *attempt = calloc(1, sizeof *attempt + bytes);
    if (attempt == NULL)
        return NULL;
    attempt->link = query->link;
    attempt->shard = query->shard;
    attempt->callback = callback;
    attempt->user = user;
    attempt->words = query->n;
    char *text = attempt->text;
    for (int i = 0; i < query->n; i++) {
        attempt->word[i] = memcpy(text, query->word[i], query->bytes[i]);
        attempt->bytes[i] = query->bytes[i];
        text += query->bytes[i];
    }
    return attempt;
}

/* Nothing is sent behind a command that could not be sent: the answers before are then of no use.
 */
static void attempt_command(struct attempt *attempt, int n, const char **words, const size_t *bytes)
{
    if (attempt->lost)
        return;
    if (store_link_send(attempt->link, attempt->shard, on_answer, attempt, n, words, bytes) == 0)
        attempt->sent++;
    else
        attempt->lost = true;
}

static void attempt_look(struct attempt *attempt, const struct query *query)
{
    const char *words[] = {"HMGET", query->meta, "store", "version"};
    const size_t bytes[] = {5, strlen(query->meta), 5, 7};
    attempt_command(attempt, 4, words, bytes);
}

/* Each command: its number of words, and these; or 0 and a key, for the words before. */
static void attempt_commands(struct attempt *attempt, const struct query *query)
{
    const char *words[WORDS_MAX];
    size_t bytes[WORDS_MAX];
    int n = 0;
    for (int at = query->first; at < query->n;) {
        int count = atoi(query->word[at]);
        if (count > 0) {
            n = count;
            memcpy(words, query->word + at + 1, (size_t)n * sizeof words[0]);
            memcpy(bytes, query->bytes + at + 1, (size_t)n * sizeof bytes[0]);
        } else {
            words[1] = query->word[at + 1];
            bytes[1] = query->bytes[at + 1];
        }
        attempt_command(attempt, n, words, bytes);
        at += count > 0 ? 1 + count : 2;
    }
}

int attempt_send(struct query *query, redis_link_cb *callback, void *user)
{
    if (query->n > WORDS_MAX)
        return query_send(query, callback, user);
    struct attempt *attempt = attempt_new(query, callback, user);
    if (attempt == NULL)
        return -1;
    attempt_look(attempt, query);
    attempt_commands(attempt, query);
    attempt_look(attempt, query);
    if (attempt->sent > 0) /* `sent` is final before the first answer comes, from the loop */
        return 0;
    attempt_free(attempt);
    return -1;
}

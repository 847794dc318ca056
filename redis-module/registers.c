/* Opens buckets by name, and splits them. */
#include "registers.h"

#include "core/bytes.h"

#include <string.h>

#define QUARTERS 4
#define LEVEL_MAX 15

/* The registers of a bucket that is split: pairs of field and value. */
struct pairs {
    struct keys *keys;
    RedisModuleString **all;
    size_t n, room;
    bool twice; /* the server showed more registers than there are */
};

void registers_init(struct registers *registers, struct keys *keys)
{
    memset(registers, 0, sizeof *registers);
    registers->keys = keys;
}

static size_t put_decimal(char *out, uint64_t number)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

void registers_begin(struct registers *registers, const struct call *call, uint32_t number)
{
    registers_end(registers);
    memcpy(registers->name, call->prefix, call->prefix_bytes);
    registers->name_bytes = call->prefix_bytes;
    registers->name_bytes += put_decimal(registers->name + registers->name_bytes, number);
    registers->name[registers->name_bytes++] = ':';
}

static void bucket_close(struct registers *registers, struct keys_key *bucket)
{
    RedisModuleString *name = bucket->name;
    keys_close(registers->keys, bucket);
    keys_free(registers->keys, name);
}

void registers_end(struct registers *registers)
{
    for (size_t i = 0; i < registers->n; i++)
        bucket_close(registers, &registers->open[registers->used[i]]);
    registers->n = 0;
}

static struct keys_key bucket_open(struct registers *registers, uint64_t bucket)
{
    size_t bytes = registers->name_bytes;
    bytes += put_decimal(registers->name + bytes, bucket);
    return keys_open(registers->keys, keys_string(registers->keys, registers->name, bytes));
}

static uint64_t bucket_of(const struct head *head, const unsigned char *hash)
{
    uint32_t low = bytes_get_u32(hash);
    uint64_t mask = (UINT64_C(1) << 2 * head->level) - 1;
    uint64_t bucket = low & mask;
    return bucket < head->split ? (low & (mask << 2 | 3)) : bucket;
}

const struct keys_key *registers_bucket(struct registers *registers, const struct head *head,
                                        const unsigned char hash[CALL_HASH_BYTES])
{
    uint64_t bucket = bucket_of(head, hash);
    size_t at = bucket % REGISTERS_OPEN;
    struct keys_key *open = &registers->open[at];
    if (open->key == NULL || registers->bucket[at] != bucket) {
        if (open->key != NULL)
            bucket_close(registers, open);
        else
            registers->used[registers->n++] = (uint8_t)at;
        *open = bucket_open(registers, bucket);
        registers->bucket[at] = bucket;
    }
    return keys_is_hash(registers->keys, open) ? open : NULL;
}

/* --- splitting --- */

static void on_register(RedisModuleKey *key, RedisModuleString *field, RedisModuleString *value,
                        void *user)
{
    struct pairs *pairs = user;
    (void)key;
    if (pairs->n + 2 > pairs->room) {
        pairs->twice = true;
        return;
    }
    pairs->keys->api->retain_string(NULL, field);
    pairs->keys->api->retain_string(NULL, value);
    pairs->all[pairs->n++] = field;
    pairs->all[pairs->n++] = value;
}

/* Whether it has all of them, once each. */
static bool pairs_read(struct pairs *pairs, struct keys *keys, const struct keys_key *bucket)
{
    *pairs = (struct pairs){.keys = keys, .room = 2 * keys->api->value_length(bucket->key)};
    if (pairs->room == 0)
        return true;
    pairs->all = keys->api->alloc(pairs->room * sizeof(RedisModuleString *));
    RedisModuleScanCursor *cursor = keys->api->scan_cursor_create();
    while (keys->api->scan_key(bucket->key, cursor, on_register, pairs) != 0)
        ;
    keys->api->scan_cursor_destroy(cursor);
    return pairs->n == pairs->room && !pairs->twice;
}

static void pairs_free(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        keys_free(pairs->keys, pairs->all[i]);
    if (pairs->all != NULL)
        pairs->keys->api->free(pairs->all);
}

/* Copies the pairs of one quarter of bucket `size`'s successors to `out`. Returns their number of
 * strings, or -1 if one is not a register. */
static long pairs_quarter(const struct pairs *pairs, uint64_t size, unsigned quarter,
                          RedisModuleString **out)
{
    long n = 0;
    for (size_t i = 0; i < pairs->n; i += 2) {
        size_t bytes;
        const char *hash = pairs->keys->api->string_ptr_len(pairs->all[i], &bytes);
        if (bytes != CALL_HASH_BYTES)
            return -1;
        if (bytes_get_u32((const unsigned char *)hash) % (size * QUARTERS) / size != quarter)
            continue;
        out[n++] = pairs->all[i];
        out[n++] = pairs->all[i + 1];
    }
    return n;
}

/* Writes a quarter to its bucket. Returns NULL, or why not. */
static const char *write_quarter(struct registers *registers, uint64_t bucket,
                                 RedisModuleString **pairs, long n)
{
    if (n <= 0)
        return n < 0 ? "BADREGISTER not 8 bytes" : NULL;
    struct keys_key to = bucket_open(registers, bucket);
    bool hash = keys_is_hash(registers->keys, &to);
    if (hash)
        keys_hash_fill(registers->keys, &to, pairs, (size_t)n);
    bucket_close(registers, &to);
    return hash ? NULL : KEYS_WRONG_TYPE;
}

/* The script builds what stays in this key, so that nothing is left in it. */
static void delete_stay(struct registers *registers)
{
    static const char name[] = {'s', 'p', 'l', 'i', 't'};
    memcpy(registers->name + registers->name_bytes, name, sizeof name);
    struct keys_key stay =
        keys_open(registers->keys, keys_string(registers->keys, registers->name,
                                               registers->name_bytes + sizeof name));
    keys_delete(registers->keys, &stay);
    bucket_close(registers, &stay);
}

static const char *split_pairs(struct registers *registers, const struct head *head,
                               const struct keys_key *from, const struct pairs *pairs,
                               RedisModuleString **some)
{
    uint64_t size = UINT64_C(1) << 2 * head->level;
    for (unsigned quarter = 1; quarter < QUARTERS; quarter++) {
        long n = pairs_quarter(pairs, size, quarter, some);
        const char *why = write_quarter(registers, head->split + quarter * size, some, n);
        if (why != NULL)
            return why;
    }
    long n = pairs_quarter(pairs, size, 0, some);
    if ((size_t)n == pairs->n)
        return NULL; /* nothing leaves it */
    if (n > 0)
        delete_stay(registers);
    keys_delete(registers->keys, from);
    keys_hash_fill(registers->keys, from, some, (size_t)n);
    return NULL;
}

static const char *split_bucket(struct registers *registers, const struct head *head,
                                const struct keys_key *from)
{
    struct pairs pairs;
    RedisModuleString **some = NULL;
    const char *why = NULL;
    if (!keys_is_hash(registers->keys, from))
        return KEYS_WRONG_TYPE;
    if (!pairs_read(&pairs, registers->keys, from)) {
        why = "BADREGISTER not shown once by a scan";
    } else if (pairs.n > 0) {
        some = registers->keys->api->alloc(pairs.n * sizeof(RedisModuleString *));
        why = split_pairs(registers, head, from, &pairs, some);
        registers->keys->api->free(some);
    }
    pairs_free(&pairs);
    return why;
}

const char *registers_split(struct registers *registers, struct head *head)
{
    uint64_t size = UINT64_C(1) << 2 * head->level;
    if (head->level == LEVEL_MAX && head->split + 1 == size)
        return "BADHEAD no more buckets are possible";
    registers_end(registers);
    struct keys_key from = bucket_open(registers, head->split);
    const char *why = split_bucket(registers, head, &from);
    bucket_close(registers, &from);
    if (why != NULL)
        return why;
    if (++head->split == size) {
        head->level++;
        head->split = 0;
    }
    return NULL;
}

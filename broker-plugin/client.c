/* The table of connections, by the broker's pointer; and of those with a token, by client id and by
 * expiry. */
#include "client.h"

#include "core/heap.h"

/* uthash would exit the broker when memory is short. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element), failed = true) /* of who adds */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
    struct client client; /* first, so that its address is the entry's */
    UT_hash_handle hh;    /* 152 bytes in all: malloc gives 160, and for one more 176 */
};

/* The entry of a reader with a token. */
struct proved {
    struct entry entry;      /* first, likewise */
    bool has_id;             /* can be found by its client id: it was not superseded */
    uint64_t expires_s;      /* of the token */
    struct heap_node expiry; /* when to end the connection next; s since 1970 */
    UT_hash_handle hh;
    size_t reader_bytes;
    char *client_id; /* after the reader */
    char reader[];
};

struct client_table {
    struct entry *entries;
    struct proved *by_id; /* those with a token, by their client ids */
    struct heap expiries;
    struct entry *last; /* last found: a PUBLISH looks it up twice */
    struct entry *turn; /* the next in rotation; NULL: the first */
    size_t max;
    const void *ended[CLIENT_ENDED_MAX]; /* keys, oldest overwritten first */
    size_t ended_next;
};

struct client_table *client_table_new(size_t max)
{
    struct client_table *table = calloc(1, sizeof *table);
    if (table != NULL)
        table->max = max;
    return table;
}

static struct proved *proved_of(struct entry *entry)
{
    return (struct proved *)entry;
}

/* Removes it from the client id index and from the expiry heap. */
static void forget_id(struct client_table *table, struct proved *proved)
{
    heap_remove(&table->expiries, &proved->expiry);
    if (proved->has_id)
        HASH_DEL(table->by_id, proved);
    proved->has_id = false;
}

static void client_delete(struct client_table *table, struct entry *entry)
{
    if (table->last == entry)
        table->last = NULL;
    if (table->turn == entry)
        table->turn = entry->hh.next;
    HASH_DEL(table->entries, entry);
    if (entry->client.proved) {
        struct proved *proved = proved_of(entry);
        forget_id(table, proved);
        explicit_bzero(proved->reader, proved->reader_bytes);
    }
    free(entry);
}

void client_table_free(struct client_table *table)
{
    struct entry *entry, *next;

    if (table == NULL)
        return;
    HASH_ITER(hh, table->entries, entry, next)
    {
        client_delete(table, entry);
    }
    heap_fini(&table->expiries);
    free(table);
}

size_t client_table_count(const struct client_table *table)
{
    return HASH_COUNT(table->entries);
}

/* Nobody outside chooses pointers, so this need not be as strong as uthash's own. */
static unsigned client_hash(const void *key)
{
    return (unsigned)((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u >> 32);
}

static struct entry *client_find_entry(struct client_table *table, const void *key)
{
    struct entry *entry;

    if (table->last != NULL && table->last->client.key == key)
        return table->last;
    HASH_FIND_BYHASHVALUE(hh, table->entries, &key, sizeof key, client_hash(key), entry);
    if (entry != NULL)
        table->last = entry;
    return entry;
}

struct client *client_find(struct client_table *table, const void *key)
{
    struct entry *entry = client_find_entry(table, key);
    return entry == NULL ? NULL : &entry->client;
}

/* An entry of this many bytes, which begin with a struct entry. */
static struct entry *client_add(struct client_table *table, const void *key, size_t bytes)
{
    if (HASH_COUNT(table->entries) >= table->max)
        return NULL;
    struct entry *entry = calloc(1, bytes);
    if (entry == NULL)
        return NULL;
    bool failed = false;
    entry->client.key = key;
    HASH_ADD_BYHASHVALUE(hh, table->entries, client.key, sizeof key, client_hash(key), entry);
    if (failed) {
        free(entry);
        return NULL;
    }
    return entry;
}

/* The pointer is in use again: it must not be deleted as one of those that ended. */
static void revive(struct client_table *table, struct entry *entry)
{
    for (size_t i = 0; i < CLIENT_ENDED_MAX; i++)
        if (table->ended[i] == entry->client.key)
            table->ended[i] = NULL;
}

/* The key's entry for a new connection: one of `bytes` bytes, as `proved` says. */
static struct entry *client_begin_entry(struct client_table *table, const void *key,
                                        const struct role_facts *facts, bool proved, size_t bytes)
{
    struct entry *entry = client_find_entry(table, key);
    if (entry != NULL && entry->client.phase == CLIENT_ENDED)
        revive(table, entry);
    if (entry != NULL && (proved || entry->client.proved)) { /* of a different size */
        client_delete(table, entry);
        entry = NULL;
    }
    if (entry == NULL)
        entry = client_add(table, key, bytes);
    if (entry == NULL)
        return NULL;
    entry->client.facts = *facts;
    entry->client.subscriptions = entry->client.filters = 0;
    entry->client.phase = CLIENT_CONNECTED;
    entry->client.keyed = entry->client.lasting = false;
    wire_none(&entry->client.wire);
    entry->client.receipts = entry->client.refusals = 0;
    return entry;
}

struct client *client_begin(struct client_table *table, const void *key,
                            const struct role_facts *facts)
{
    struct entry *entry = client_begin_entry(table, key, facts, false, sizeof *entry);
    return entry == NULL ? NULL : &entry->client;
}

/* --- readers with a token --- */

struct client *client_begin_proved(struct client_table *table, const void *key,
                                   const struct role_facts *facts, const char *client_id,
                                   const struct token *token)
{
    size_t id_bytes = strlen(client_id);
    struct entry *entry = client_begin_entry(
        table, key, facts, true, sizeof(struct proved) + token->reader_bytes + id_bytes + 1);
    if (entry == NULL)
        return NULL;
    struct proved *proved = proved_of(entry);
    proved->entry.client.proved = true;
    proved->expires_s = proved->expiry.due = token->expires_s;
    proved->reader_bytes = token->reader_bytes;
    memcpy(proved->reader, token->reader, token->reader_bytes);
    proved->client_id = proved->reader + token->reader_bytes;
    memcpy(proved->client_id, client_id, id_bytes + 1);
    if (heap_add(&table->expiries, &proved->expiry)) {
        client_supersede(table, client_id); /* not earlier: a refused connection takes no id */
        bool failed = false;
        HASH_ADD_KEYPTR(hh, table->by_id, proved->client_id, id_bytes, proved);
        proved->has_id = !failed;
    }
    if (!proved->has_id) { /* no memory */
        client_delete(table, entry);
        return NULL;
    }
    return &entry->client;
}

void client_supersede(struct client_table *table, const char *client_id)
{
    struct proved *proved;

    HASH_FIND(hh, table->by_id, client_id, strlen(client_id), proved);
    if (proved != NULL)
        forget_id(table, proved);
}

const char *client_reader(const struct client *client, size_t *bytes)
{
    const struct proved *proved = (const struct proved *)client;

    *bytes = client->proved ? proved->reader_bytes : 0;
    return client->proved ? proved->reader : NULL;
}

bool client_expired(const struct client *client, uint64_t now_s)
{
    return client->proved && ((const struct proved *)client)->expires_s <= now_s;
}

bool client_next_expired(struct client_table *table, uint64_t now_s,
                         char client_id[ROLE_CLIENT_ID_MAX_BYTES + 1])
{
    struct heap_node *first = heap_first(&table->expiries);

    if (first == NULL || first->due > now_s)
        return false;
    struct proved *proved = HEAP_OWNER(first, struct proved, expiry);
    heap_remove(&table->expiries, first);
    first->due = now_s + CLIENT_EXPIRED_AGAIN_S;
    heap_add(&table->expiries, first); /* there is space: one was just removed */
    snprintf(client_id, ROLE_CLIENT_ID_MAX_BYTES + 1, "%s", proved->client_id);
    return true;
}

/* --- ends --- */

void client_end(struct client_table *table, const void *key)
{
    struct entry *entry = client_find_entry(table, key);
    if (entry == NULL || entry->client.phase == CLIENT_ENDED)
        return;
    if (entry->client.facts.service == NULL) {
        client_delete(table, entry);
        return;
    }
    const void **slot = &table->ended[table->ended_next];
    table->ended_next = (table->ended_next + 1) % CLIENT_ENDED_MAX;
    const void *oldest = *slot;
    entry->client.phase = CLIENT_ENDED;
    *slot = key;
    if (oldest != NULL)
        client_delete(table, client_find_entry(table, oldest));
}

struct client *client_next(struct client_table *table)
{
    struct entry *entry = table->turn == NULL ? table->entries : table->turn;

    if (entry == NULL)
        return NULL;
    table->turn = entry->hh.next;
    return &entry->client;
}

bool client_subscribe(struct client *client, uint64_t max, uint64_t in_session)
{
    if (client->subscriptions >= max || in_session > max)
        return false;
    client->subscriptions++;
    return true;
}

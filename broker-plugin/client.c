#include "client.h"

/* uthash would exit the broker when memory is short. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->failed = true)

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
    struct client client; /* first, so that its address is the entry's */
    bool failed;          /* to be added */
    UT_hash_handle hh;
};

struct client_table {
    struct entry *entries;
    struct entry *last; /* found: a PUBLISH asks twice for the same */
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

static void delete (struct client_table *table, struct entry *entry)
{
    if (table->last == entry)
        table->last = NULL;
    HASH_DEL(table->entries, entry);
    free(entry);
}

void client_table_free(struct client_table *table)
{
    struct entry *entry, *next;

    if (table == NULL)
        return;
    HASH_ITER(hh, table->entries, entry, next)
    {
        delete (table, entry);
    }
    free(table);
}

size_t client_table_count(const struct client_table *table)
{
    return HASH_COUNT(table->entries);
}

static struct entry *find(struct client_table *table, const void *key)
{
    struct entry *entry;

    if (table->last != NULL && table->last->client.key == key)
        return table->last;
    HASH_FIND_PTR(table->entries, &key, entry);
    if (entry != NULL)
        table->last = entry;
    return entry;
}

struct client *client_find(struct client_table *table, const void *key)
{
    struct entry *entry = find(table, key);
    return entry == NULL ? NULL : &entry->client;
}

static struct entry *add(struct client_table *table, const void *key)
{
    if (HASH_COUNT(table->entries) >= table->max)
        return NULL;
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->client.key = key;
    HASH_ADD_PTR(table->entries, client.key, entry);
    if (entry->failed) {
        free(entry);
        return NULL;
    }
    return entry;
}

/* The pointer lives again: nobody may delete it as one of those that ended. */
static void revive(struct client_table *table, struct entry *entry)
{
    for (size_t i = 0; i < CLIENT_ENDED_MAX; i++)
        if (table->ended[i] == entry->client.key)
            table->ended[i] = NULL;
    entry->client.ended = false;
}

struct client *client_begin(struct client_table *table, const void *key,
                            const struct role_facts *facts)
{
    struct entry *entry = find(table, key);
    if (entry != NULL && entry->client.ended)
        revive(table, entry);
    if (entry == NULL)
        entry = add(table, key);
    if (entry == NULL)
        return NULL;
    entry->client.facts = *facts;
    entry->client.subscriptions = 0;
    entry->client.keyed = false;
    receipt_budget_init(&entry->client.receipts);
    return &entry->client;
}

void client_end(struct client_table *table, const void *key)
{
    struct entry *entry = find(table, key);
    if (entry == NULL || entry->client.ended)
        return;
    if (entry->client.facts.service == NULL) {
        delete (table, entry);
        return;
    }
    const void **slot = &table->ended[table->ended_next];
    table->ended_next = (table->ended_next + 1) % CLIENT_ENDED_MAX;
    const void *oldest = *slot;
    entry->client.ended = true;
    *slot = key;
    if (oldest != NULL)
        delete (table, find(table, oldest));
}

bool client_subscribe(struct client *client, uint64_t max)
{
    if (client->subscriptions >= max)
        return false;
    client->subscriptions++;
    return true;
}

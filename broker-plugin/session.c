/* A bounded table of the sessions that readers leave behind, and a count for each address. */
#include "session.h"

#include "core/heap.h"

/* uthash would exit the broker when memory is short. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element), failed = true) /* of who adds */

#include <stdlib.h>
#include <uthash.h>

struct owner {
    uint64_t address;
    uint64_t sessions;
    UT_hash_handle hh;
};

struct session {
    uint64_t id;
    struct owner *owner;
    const void *holder; /* NULL: the client is away */
    uint32_t lifetime_s;
    struct heap_node expiry; /* s; for a held session: when to check again */
    UT_hash_handle hh;
};

struct session_table {
    struct session *sessions;
    struct owner *owners;
    struct heap expiries;
    size_t max;
    uint64_t max_per_address;
};

struct session_table *session_table_new(size_t max, uint64_t max_per_address)
{
    struct session_table *table = calloc(1, sizeof *table);
    if (table != NULL) {
        table->max = max;
        table->max_per_address = max_per_address;
    }
    return table;
}

size_t session_table_count(const struct session_table *table)
{
    return HASH_COUNT(table->sessions);
}

static struct session *session_find(const struct session_table *table, uint64_t id)
{
    struct session *session;
    HASH_FIND(hh, table->sessions, &id, sizeof id, session);
    return session;
}

static struct owner *find_owner(const struct session_table *table, uint64_t address)
{
    struct owner *owner;
    HASH_FIND(hh, table->owners, &address, sizeof address, owner);
    return owner;
}

/* Forgets an address that has no session left. */
static void session_release(struct session_table *table, struct owner *owner)
{
    if (owner->sessions > 0)
        return;
    HASH_DEL(table->owners, owner);
    free(owner);
}

static void session_delete(struct session_table *table, struct session *session)
{
    heap_remove(&table->expiries, &session->expiry);
    HASH_DEL(table->sessions, session);
    session->owner->sessions--;
    session_release(table, session->owner);
    free(session);
}

void session_table_free(struct session_table *table)
{
    struct session *session, *next;

    if (table == NULL)
        return;
    HASH_ITER(hh, table->sessions, session, next)
    {
        session_delete(table, session);
    }
    heap_fini(&table->expiries);
    free(table);
}

static struct owner *owner_of(struct session_table *table, uint64_t address)
{
    struct owner *owner = find_owner(table, address);
    bool failed = false;

    if (owner != NULL)
        return owner;
    owner = calloc(1, sizeof *owner);
    if (owner == NULL)
        return NULL;
    owner->address = address;
    HASH_ADD(hh, table->owners, address, sizeof owner->address, owner);
    if (failed) {
        free(owner);
        return NULL;
    }
    return owner;
}

static bool has_room(const struct session_table *table, uint64_t address)
{
    const struct owner *owner = find_owner(table, address);
    return HASH_COUNT(table->sessions) < table->max &&
           (owner == NULL ? 0 : owner->sessions) < table->max_per_address;
}

bool session_may_begin(const struct session_table *table, uint64_t id, uint64_t address)
{
    return session_find(table, id) != NULL || has_room(table, address);
}

/* When it will have expired if its client leaves now. */
static uint64_t expiry_of(const struct session *session, uint64_t now_s)
{
    return session->lifetime_s == SESSION_NEVER ? UINT64_MAX
                                                : now_s + session->lifetime_s + SESSION_GRACE_S;
}

static struct session *session_add(struct session_table *table, uint64_t id, uint64_t address)
{
    struct owner *owner = has_room(table, address) ? owner_of(table, address) : NULL;
    struct session *session = owner == NULL ? NULL : calloc(1, sizeof *session);
    bool failed = false;

    if (owner == NULL)
        return NULL;
    if (session != NULL) {
        session->id = id;
        session->owner = owner;
        session->expiry.due = UINT64_MAX;
        failed = !heap_add(&table->expiries, &session->expiry);
        if (!failed)
            HASH_ADD(hh, table->sessions, id, sizeof session->id, session);
    }
    if (session == NULL || failed) {
        if (session != NULL)
            heap_remove(&table->expiries, &session->expiry);
        free(session);
        session_release(table, owner);
        return NULL;
    }
    owner->sessions++;
    return session;
}

static void set_expiry(struct session_table *table, struct session *session, uint64_t due)
{
    heap_remove(&table->expiries, &session->expiry);
    session->expiry.due = due;
    heap_add(&table->expiries, &session->expiry); /* there is space: one was just removed */
}

bool session_begin(struct session_table *table, uint64_t id, uint64_t address, const void *holder,
                   uint32_t lifetime_s, uint64_t now_s)
{
    struct session *session = session_find(table, id);

    if (session == NULL)
        session = session_add(table, id, address);
    if (session == NULL)
        return false;
    session->holder = holder;
    session->lifetime_s = lifetime_s;
    set_expiry(table, session, expiry_of(session, now_s));
    return true;
}

void session_leave(struct session_table *table, uint64_t id, const void *holder, uint64_t now_s)
{
    struct session *session = session_find(table, id);

    if (session == NULL || session->holder != holder)
        return;
    session->holder = NULL;
    set_expiry(table, session, expiry_of(session, now_s));
}

void session_over(struct session_table *table, uint64_t id, const void *holder)
{
    struct session *session = session_find(table, id);
    if (session != NULL && session->holder != holder)
        session_delete(table, session);
}

void session_tend(struct session_table *table, uint64_t now_s, size_t most, session_there_fn there,
                  void *user)
{
    struct heap_node *first;

    for (size_t i = 0; i < most && (first = heap_first(&table->expiries)) != NULL; i++) {
        struct session *session = HEAP_OWNER(first, struct session, expiry);
        if (first->due > now_s)
            return;
        if (session->holder != NULL && there(user, session->holder))
            set_expiry(table, session, expiry_of(session, now_s));
        else
            session_delete(table, session);
    }
}

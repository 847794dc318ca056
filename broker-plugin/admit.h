/* Admission: decides whether a message is a valid reaction, and whose it is. When admit_reaction
 * returns, an admitted reaction is in the spool. Depends on no broker, clock or file, so that a
 * simulator can run this very code. No lock, no allocation, no system call. One thread. */
#ifndef TALLY_BROKER_PLUGIN_ADMIT_H
#define TALLY_BROKER_PLUGIN_ADMIT_H

#include "core/limit.h"
#include "registry.h"

#include "core/kind.h"
#include "core/reader.h"
#include "core/reason.h"
#include "core/record.h"
#include "spool/ring_producer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMIT_TOPIC_MAX_BYTES 96 /* a prefix of 64 and "reactions" or "receipts/" */

/* The ring of a shard, or NULL if it has none yet. */
typedef struct ring_producer *(*admit_ring_fn)(void *user, uint32_t shard);

/* Counts articles that reactions registered, and reactions refused before they could register one,
 * by reason. */
struct admit_creations {
    uint64_t made;
    uint64_t off; /* auto-create is off */
    uint64_t reader, address;
    uint64_t rate; /* the global rate */
    uint64_t full;
};

struct admit {
    struct kind_table kinds;
    struct reader_key key;
    uint32_t shards;
    uint64_t *last_stamp;   /* the admission clock, stored in the spool */
    uint64_t *late_counter; /* likewise */
    admit_ring_fn ring;
    void *ring_user;
    struct registry *registry;           /* NULL: every article is known, and none has a
                                         state */
    struct limit_table *readers;         /* NULL: readers have no limit */
    struct limit_table *addresses;       /* NULL: addresses have no limit */
    struct limit_table *reader_creates;  /* articles that a reader may make known; NULL: …  */
    struct limit_table *address_creates; /* … and an address */
    struct admit_creations creations;
    char reactions[ADMIT_TOPIC_MAX_BYTES + 1]; /* "news/reactions" */
    size_t reactions_bytes;
    char receipts[ADMIT_TOPIC_MAX_BYTES + 1]; /* "news/receipts/" */
    size_t receipts_bytes;
};

/* Sets the topics of a valid prefix (role_prefix_valid); the caller sets the rest. */
void admit_set_prefix(struct admit *admit, const char *prefix);

/* A message as received. All pointers are borrowed; only strings marked so are NUL-terminated. */
struct admit_request {
    const char *topic; /* NUL-terminated */
    const void *payload;
    size_t payload_bytes;
    bool retain;
    bool may_react; /* false: the publisher is not a reader (a bridge, a service, no admitted
                       identity) */
    bool gateway; /* names its reader in the payload, and must; the fields below are then ignored */
    char source;  /* how the reader is identified: 'u', 'c'; 0 if by nothing valid */
    const char *reader; /* the name */
    size_t reader_bytes;
    uint64_t reader_key;        /* key of its limit: admit_reader_key */
    const char *client_id;      /* NUL-terminated */
    const char *response_topic; /* NULL: none */
    size_t response_topic_bytes;
    const unsigned char *correlation;
    size_t correlation_bytes;
    bool address_limited; /* false: it comes from a proxy, a gateway, or not over a network */
    uint64_t address_key; /* key of its limit: address_key */
    bool clock_bad;       /* the edge's clock differs from the store's */
    uint64_t unix_ms;     /* now */
    uint64_t now_ns;      /* now, from a clock that nobody sets */
};

struct admit_verdict {
    enum reason reason;   /* REASON_NONE: it is in the spool */
    uint32_t shard;       /* of an admitted one */
    struct record record; /* of an admitted one, as it was appended */
    /* for a receipt; also filled for a refused one */
    bool wants_receipt;       /* it named its own receipt topic */
    const char *article;      /* into the topic */
    size_t article_bytes;     /* 0: not valid */
    bool known;               /* the article is valid and known */
    int kind;                 /* KIND_UNKNOWN: not valid */
    size_t correlation_bytes; /* to return: 0 if there were none or too many */
};

/* The key of a reader's limit: one for all articles. */
uint64_t admit_reader_key(const struct admit *admit, char source, const char *reader,
                          size_t reader_bytes);

/* Who touches an article: an address, or a reader if there is no address; `reader` is 0. */
struct registry_actor admit_actor(bool address_limited, uint64_t address_key, uint64_t reader_key);

/* Judges in this order: bad_topic, bad_article, bad_payload, unknown_kind, forbidden,
 * unknown_article, closed, rate_reader, rate_address, clock, busy. A reaction that would register
 * an article is also refused as rate_reader or rate_address if its reader or address has registered
 * too many. A refused reaction costs no token and registers no article. */
void admit_reaction(struct admit *admit, const struct admit_request *request,
                    struct admit_verdict *verdict);

enum admit_answer {
    ADMIT_ACKNOWLEDGE, /* PUBACK or PUBREC with a success code */
    ADMIT_REFUSE, /* a refusing reason code; before MQTT 5 there is none, and the plain PUBACK is
                     answered */
    ADMIT_DISCONNECT, /* no answer: the client must not believe that it was counted */
};

/* The answer to the publisher. `protocol_version` is 3, 4 or 5. */
enum admit_answer admit_answer(enum reason reason, int protocol_version, int qos);

#endif

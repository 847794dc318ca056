/* Admission: is this message a reaction that counts, and whose? What is admitted lies in the spool
 * when admit_reaction returns. Knows no broker, no clock and no file, so that a simulator runs this
 * very code. No lock, no allocation, no system call. One thread. */
#ifndef TALLY_BROKER_PLUGIN_ADMIT_H
#define TALLY_BROKER_PLUGIN_ADMIT_H

#include "known.h"
#include "limit.h"

#include "core/kind.h"
#include "core/reader.h"
#include "core/reason.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMIT_TOPIC_MAX_BYTES 96 /* a prefix of 64 and "reactions" or "receipts/" */

/* The ring of a shard, or NULL while it has none. */
typedef struct spool_producer *(*admit_ring_fn)(void *user, uint32_t shard);

/* Articles that reactions have made known, and reactions that would have, by what they were refused
 * for. */
struct admit_creations {
    uint64_t made;
    uint64_t off; /* none is made known so */
    uint64_t reader, address;
    uint64_t rate; /* of all */
    uint64_t full;
};

struct admit {
    struct kind_table kinds;
    struct reader_key key;
    uint32_t shards;
    uint64_t *last_stamp;   /* the admission clock, where the spool keeps it */
    uint64_t *late_counter; /* likewise */
    admit_ring_fn ring;
    void *ring_user;
    struct known *known;                 /* NULL: every article is known, and none has a
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

/* A message as it came. All pointers are borrowed; nothing but what is said is NUL-terminated. */
struct admit_wish {
    const char *topic; /* NUL-terminated */
    const void *payload;
    size_t payload_bytes;
    bool retain;
    bool may_react; /* false: what publishes is no reader (a bridge, a service, no admitted
                       identity) */
    bool gateway;   /* names its reader in the payload, and must; what follows is not looked at */
    char source;    /* by what the reader is known: 'u', 'c'; 0 by nothing that counts */
    const char *reader; /* the name */
    size_t reader_bytes;
    uint64_t reader_key;        /* of its limit: admit_reader_key */
    const char *client_id;      /* NUL-terminated */
    const char *response_topic; /* NULL: none */
    size_t response_topic_bytes;
    const unsigned char *correlation;
    size_t correlation_bytes;
    bool address_limited; /* false: it comes from a proxy, a gateway, or over no network */
    uint64_t address_key; /* of its limit: address_key */
    bool clock_bad;       /* the edge's clock differs from the store's */
    uint64_t unix_ms;     /* now */
    uint64_t now_ns;      /* now, by a clock that nobody sets */
};

struct admit_verdict {
    enum reason reason;   /* REASON_NONE: it lies in the spool */
    uint32_t shard;       /* of an admitted one */
    struct record record; /* of an admitted one, as it was appended */
    /* for a receipt, of a refused one, too */
    bool wants_receipt;       /* it named its own receipt topic */
    const char *article;      /* into the topic */
    size_t article_bytes;     /* 0: not valid */
    bool known;               /* the article is valid and known */
    int kind;                 /* KIND_UNKNOWN: not valid */
    size_t correlation_bytes; /* to return: 0 where there were none or too many */
};

/* By what the limit of a reader is found: one for all articles. */
uint64_t admit_reader_key(const struct admit *admit, char source, const char *reader,
                          size_t reader_bytes);

/* Who touches an article: an address, or a reader where there is none; `reader` is 0. */
struct known_who admit_who(bool address_limited, uint64_t address_key, uint64_t reader_key);

/* Judges in this order: bad_topic, bad_article, bad_payload, unknown_kind, forbidden,
 * unknown_article, closed, rate_reader, rate_address, clock, busy. What would make an article known
 * is refused as rate_reader or rate_address, too, where its reader or address has made too many
 * known. What is refused costs no token and makes no article known. */
void admit_reaction(struct admit *admit, const struct admit_wish *wish,
                    struct admit_verdict *verdict);

enum admit_answer {
    ADMIT_ACKNOWLEDGE, /* PUBACK or PUBREC with a success code */
    ADMIT_REFUSE, /* a refusing reason code; before MQTT 5 there is none, and the plain PUBACK is
                     answered */
    ADMIT_DISCONNECT, /* no answer: the client must not take it for counted */
};

/* What the publisher hears. `protocol_version` is 3, 4 or 5. */
enum admit_answer admit_answer(enum reason reason, int protocol_version, int qos);

#endif

/* Who may connect, subscribe, read and write (INTERFACES.md 2 and 3): decides from role, client id
 * and topic alone. Pure; any thread. */
#ifndef TALLY_BROKER_PLUGIN_ROLE_H
#define TALLY_BROKER_PLUGIN_ROLE_H

#include "core/services.h"

#include <stdbool.h>
#include <stddef.h>

#define ROLE_CLIENT_ID_MAX_BYTES 128
#define ROLE_USERNAME_MIN_BYTES 16 /* of a reader's; a service's may be shorter */
#define ROLE_USERNAME_MAX_BYTES 128

/* The deployment's choices. */
struct role_rules {
    const char *prefix; /* before every topic: "" or "news/" */
    size_t prefix_bytes;
    bool allow_wildcards;   /* everybody may use the newsroom's wildcards */
    bool auto_id_may_react; /* a broker-made client id is an identity */
    bool by_token;          /* a token may identify a reader: a password is one … */
    bool by_username;       /* … by the username … */
    bool by_client_id;      /* … or by the client id */
};

/* What is known about a connection. */
struct role_facts {
    const struct service *service; /* NULL for a reader */
    enum role role;
    bool admitted; /* false: gets nothing of Tally's (only where the broker asked nobody at connect)
                    */
    char source;   /* of the reader's name: 'u' username, 'c' client id, 't' a token names it, or a
                      gateway or feed with each reaction, 0: may watch only */
};

enum role_answer { ROLE_ALLOW, ROLE_DENY, ROLE_DEFER /* not Tally's: others decide */ };

/* Whether this role names the reader of each reaction in the payload: a gateway, and the feed for
 * its probe. */
bool role_names_readers(enum role role);

/* Whether a client may connect, and as what. `password` may be NULL. Returns NULL and fills
 * `facts`, or a constant with the reason if not. A service's username needs its secret. A reader
 * with source 't' may connect only if the password is a valid token. The caller checks that,
 * because it costs more than all of this. */
const char *role_connect(const struct role_rules *rules, const struct services *services,
                         const char *client_id, const char *username, const char *password,
                         struct role_facts *facts);

/* The facts of an unauthenticated client (a listener that takes the identity from the certificate,
 * a bridge, a session whose client is away): a reader, or not admitted if role_connect would have
 * refused it. Never a service. */
void role_unauthenticated(const struct role_rules *rules, const struct services *services,
                          const char *client_id, const char *username, struct role_facts *facts);

enum role_area {
    AREA_FOREIGN, /* not Tally's */
    AREA_REACTIONS,
    AREA_TOTALS,
    AREA_RECEIPTS,
    AREA_TOP,
    AREA_ARTICLES,
    AREA_OPS,
};

/* The area of a topic (not a filter). `*rest` is what follows the area's '/', NULL if nothing does:
 * "totals". */
enum role_area role_area(const struct role_rules *rules, const char *topic, const char **rest);

/* May a client with these facts publish there? (Admission then judges the reaction.) */
enum role_answer role_write(const struct role_facts *facts, enum role_area area, const char *rest);

/* May the message be delivered to that client? */
enum role_answer role_read(const struct role_facts *facts, const char *client_id, const char *topic,
                           enum role_area area, const char *rest);

/* Whether everyone who could subscribe to a topic of this area may read it: most deliveries need no
 * further check. */
bool role_read_public(enum role_area area, const char *rest);

/* May the client subscribe to the filter, as received? A `$share/group/` prefix is stripped
 * first. */
enum role_answer role_subscribe(const struct role_rules *rules, const struct role_facts *facts,
                                const char *client_id, const char *filter);

/* Whether the client's subscriptions are limited: not for the deployment's own daemons and
 * operators. */
bool role_subscriptions_bounded(const struct role_facts *facts);

#endif

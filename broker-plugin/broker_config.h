/* Checks the broker's own configuration for settings that affect Tally's promises. The broker
 * passes none of it to a plugin, so this reads the files that the broker was started with, the way
 * the broker does (mosquitto.conf(5)). Reads files; one thread. */
#ifndef TALLY_BROKER_PLUGIN_BROKER_CONFIG_H
#define TALLY_BROKER_PLUGIN_BROKER_CONFIG_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROKER_CONFIG_TEXT_MAX_BYTES 127

struct broker_config {
    bool per_listener_settings;
    bool persistence;
    bool queue_qos0_messages;
    bool retain_unavailable;
    bool mount_point;
    bool queue_unbounded;   /* max_queued_messages 0 */
    bool no_expiration;     /* persistent_client_expiration is not set */
    uint64_t expiration_s;  /* its value otherwise */
    bool message_limit_low; /* message_size_limit below a reaction's 512 bytes */
    bool foreign_auto_id;   /* an auto_id_prefix that does not begin with "auto-": */
    char auto_id_prefix[BROKER_CONFIG_TEXT_MAX_BYTES + 1];
};

/* Reads the files named with -c on a command line (as in /proc/<pid>/cmdline: each argument ends
 * with a NUL), and those of their include_dir. Returns 0, or -1 with a sentence in `error` if one
 * cannot be read or none is named. */
int broker_config_read(struct broker_config *config, const char *cmdline, size_t cmdline_bytes,
                       struct error *error);

/* The same for this process. */
int broker_config_read_own(struct broker_config *config, struct error *error);

/* Called for each finding. `fatal`: Tally could not keep its promise. */
typedef void (*broker_config_say_fn)(void *user, bool fatal, const char *sentence);

/* Reports what is wrong with it. Returns how many findings are fatal. */
int broker_config_judge(const struct broker_config *config, bool auto_id_may_react,
                        broker_config_say_fn say, void *user);

#endif

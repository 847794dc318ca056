/* What the broker's configuration says about Tally's plugin: those of its options that must agree
 * between edges. Pure, except for reading the file; any thread. */
#ifndef TALLY_CLI_BROKER_OPTIONS_H
#define TALLY_CLI_BROKER_OPTIONS_H

#include "core/error.h"
#include "core/kind.h"
#include "core/option.h"

#include <stdint.h>

/* The plugin's own defaults; a test compares them with docs/reference/options.md. */
#define BROKER_OPTIONS_SHARDS 8
#define BROKER_OPTIONS_KINDS "like,dislike,love,funny,angry,sad,wow"

struct broker_options {
    char key_file[OPTION_TEXT_MAX_BYTES + 1];
    uint32_t shards;
    struct kind_table kinds;
    char topic_prefix[OPTION_TEXT_MAX_BYTES + 1];
};

/* Parses the text of a mosquitto.conf. An option that is absent has its default. Returns 0, or -1
 * with a sentence in `error` that names the option. */
int broker_options_parse(struct broker_options *options, const char *text, struct error *error);

/* The same of a file, 1 MiB at most; files that it includes are not read. */
int broker_options_load(struct broker_options *options, const char *path, struct error *error);

#endif

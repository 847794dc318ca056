/* What the broker's own configuration says, of which a plugin is told nothing: read out of the file
 * that the command line names. */
#ifndef TALLY_BROKER_PLUGIN_SURROUNDINGS_H
#define TALLY_BROKER_PLUGIN_SURROUNDINGS_H

#include <stdbool.h>
#include <stddef.h>

struct surroundings {
    bool
        per_listener_settings; /* listeners without the plugin would acknowledge reactions unseen */
    bool persistence;          /* an old snapshot brings old totals back */
};

/* Reads this process's configuration file and what it includes (include_dir, one level, *.conf).
 * What cannot be read counts as not said. */
void surroundings_read(struct surroundings *out);

/* The same for one named file. */
void surroundings_read_file(struct surroundings *out, const char *path);

#endif

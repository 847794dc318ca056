/* The file `registry` of the spool, mapped (FORMATS.md 4.5). Only the spool's producer opens it,
 * after taking the spool's lock. One thread. */
#ifndef TALLY_BROKER_PLUGIN_REGISTRY_FILE_H
#define TALLY_BROKER_PLUGIN_REGISTRY_FILE_H

#include "registry.h"

struct registry_file;

/* Opens the file in the folder. If it is missing, damaged or of another size, creates a new one
 * with all its space allocated and imports what can be read of the old one. NULL with a sentence in
 * `error`: it cannot be created. `note` (may become empty) reports what was damaged. */
struct registry_file *registry_file_open(const char *folder, const struct registry_rules *rules,
                                         char *note, size_t note_bytes, char *error,
                                         size_t error_bytes);
void registry_file_close(struct registry_file *file); /* NULL is fine */

/* Its contents, which belong to the file. */
struct registry *registry_file_contents(struct registry_file *file);

#endif

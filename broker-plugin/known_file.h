/* The file `known` of the spool, mapped (FORMATS.md 4.5). Only the spool's producer opens it, after
 * taking the spool's lock. One thread. */
#ifndef TALLY_BROKER_PLUGIN_KNOWN_FILE_H
#define TALLY_BROKER_PLUGIN_KNOWN_FILE_H

#include "known.h"

struct known_file;

/* Opens the file in the folder. If it is missing, damaged or of another size, creates a new one
 * with all its space allocated and imports what can be read of the old one. NULL with a sentence in
 * `error`: it cannot be created. `note` (may become empty) reports what was damaged. */
struct known_file *known_file_open(const char *folder, const struct known_rules *rules, char *note,
                                   size_t note_bytes, char *error, size_t error_bytes);
void known_file_close(struct known_file *file); /* NULL is fine */

/* Its contents, which belong to the file. */
struct known *known_file_known(struct known_file *file);

#endif

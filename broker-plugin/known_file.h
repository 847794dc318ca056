/* The file `known` of the spool, mapped (FORMATS.md 4.5). Only the spool's producer opens it,
 * after it has the spool's lock. One thread. */
#ifndef TALLY_BROKER_PLUGIN_KNOWN_FILE_H
#define TALLY_BROKER_PLUGIN_KNOWN_FILE_H

#include "known.h"

struct known_file;

/* Opens the file in the folder, or makes one, with all of its space, of what can be read of the
 * one that is there but damaged or of another size. NULL with a sentence in `error`: it cannot be
 * made. `note` (may become empty) says what was damaged. */
struct known_file *known_file_open(const char *folder, const struct known_rules *rules, char *note,
                                   size_t note_bytes, char *error, size_t error_bytes);
void known_file_close(struct known_file *file); /* NULL is fine */

/* What is in it: the file's own. */
struct known *known_file_known(struct known_file *file);

#endif

/* The JSON that commands print with --json: one object, on one line. One thread. */
#ifndef TALLY_CLI_JSON_OUT_H
#define TALLY_CLI_JSON_OUT_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

/* Adds an exact whole number: cJSON's own numbers are doubles. */
void json_out_whole(cJSON *object, const char *name, int64_t value);

/* Adds 16 hex digits: an edge, a store. */
void json_out_hex(cJSON *object, const char *name, uint64_t value);

/* Writes the object and a line end, and frees it. Bytes that are not UTF-8 become '?'. */
void json_out_print(cJSON *object, FILE *out);

#endif

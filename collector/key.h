/* The names of keys (FORMATS.md 5). Pure; any thread. */
#ifndef TALLY_COLLECTOR_KEY_H
#define TALLY_COLLECTOR_KEY_H

#define KEY_BYTES 64

/* tally:{3}:heads, or tally:store for REDIS_PLACE_STORE. */
void key_of(char key[KEY_BYTES], unsigned place, const char *name);

#endif

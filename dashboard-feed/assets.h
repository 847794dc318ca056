/* The files of web/, embedded at build time (CMakeLists.txt makes the table). */
#ifndef TALLY_FEED_ASSETS_H
#define TALLY_FEED_ASSETS_H

#include <stddef.h>

struct asset {
    const char *name; /* "tally.js" */
    const unsigned char *data;
    const unsigned long *bytes;
};

extern const struct asset assets[];
extern const size_t assets_n;

#endif

/* What the fuzz targets share. A target is a foo_fuzz.c with LLVMFuzzerTestOneInput; it ends by
 * abort() where a property does not hold, which libFuzzer reports with the input. */
#ifndef TALLY_TESTS_FUZZ_H
#define TALLY_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define FUZZ_CHECK(property)                                                                       \
    do {                                                                                           \
        if (!(property)) {                                                                         \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #property);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* --- taking an input apart --- */

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* Up to 8 bytes, little-endian; what is missing is 0. */
static inline uint64_t fuzz_number(struct fuzz_input *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && in->left > 0; i++, in->left--)
        value |= (uint64_t)*in->at++ << (8 * i);
    return value;
}

/* Up to `bytes` bytes into `out`. Returns how many there were. */
static inline size_t fuzz_take(struct fuzz_input *in, void *out, size_t bytes)
{
    size_t n = bytes < in->left ? bytes : in->left;
    if (n > 0)
        memcpy(out, in->at, n);
    in->at += n;
    in->left -= n;
    return n;
}

/* Up to the next newline or the end, as a new string (it ends at a NUL). The caller frees
 * it; NULL if nothing is left. */
static inline char *fuzz_line(struct fuzz_input *in)
{
    if (in->left == 0)
        return NULL;
    const uint8_t *newline = memchr(in->at, '\n', in->left);
    size_t bytes = newline == NULL ? in->left : (size_t)(newline - in->at);
    char *line = malloc(bytes + 1);
    if (line == NULL)
        abort();
    memcpy(line, in->at, bytes);
    line[bytes] = '\0';
    in->at += bytes;
    in->left -= bytes;
    if (newline != NULL) {
        in->at++;
        in->left--;
    }
    return line;
}

/* --- files that are only memory --- */

struct fuzz_file {
    int fd;
    char path[32];
};

static inline void fuzz_file_open(struct fuzz_file *file, const void *data, size_t bytes)
{
    file->fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (file->fd < 0 || fchmod(file->fd, 0600) != 0 ||
        (bytes > 0 && write(file->fd, data, bytes) != (ssize_t)bytes))
        abort();
    snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
}

static inline void fuzz_file_close(const struct fuzz_file *file)
{
    close(file->fd);
}

#endif

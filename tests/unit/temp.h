/* A folder of a test's own, deleted at its end. Include after unit.h. */
#ifndef TALLY_TESTS_TEMP_H
#define TALLY_TESTS_TEMP_H

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char temp_folder[64];

static inline int temp_remove_one(const char *path, const struct stat *status, int flag,
                                  struct FTW *where)
{
    (void)status;
    (void)flag;
    (void)where;
    return remove(path);
}

static inline int temp_setup(void **state)
{
    (void)state;
    (void)snprintf(temp_folder, sizeof temp_folder, "/tmp/tally-unit-XXXXXX");
    return mkdtemp(temp_folder) == NULL ? -1 : 0;
}

static inline int temp_teardown(void **state)
{
    (void)state;
    return nftw(temp_folder, temp_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in the folder; the next call but three overwrites it. */
static inline const char *temp_path(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", temp_folder, name);
    return path;
}

/* Writes a file with this mode, whatever the umask. */
static inline void temp_write(const char *name, const void *content, size_t bytes, mode_t mode)
{
    int fd = open(temp_path(name), O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(write(fd, content, bytes), bytes);
    close(fd);
}

#endif

/* Maps the registry's file, or makes a new one from what can be read of the old. */
#include "registry_file.h"

#include "registry_layout.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "registry"
#define NEW_NAME "registry.new"
#define READABLE_MAX_BYTES (UINT64_C(1) << 30) /* of a file that is taken over */

struct registry_file {
    unsigned char *memory;
    size_t bytes;
    struct registry *registry;
};

/* Maps the existing file. NULL if there is none, or it is not a regular file. */
static unsigned char *map_present(int folder_fd, size_t *bytes)
{
    struct stat status;
    void *memory = MAP_FAILED;
    int fd = openat(folder_fd, NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
        (uint64_t)status.st_size <= READABLE_MAX_BYTES) {
        *bytes = (size_t)status.st_size;
        memory = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Creates an empty file under another name, with its space allocated: on a full disk a sparse file
 * would cause a SIGBUS at a later store. */
static int make_new(struct registry_file *file, int folder_fd, const struct registry_rules *rules,
                    char *error, size_t error_bytes)
{
    uint32_t max = rules->max;
    int wrong;
    void *memory;

    (void)unlinkat(folder_fd, NEW_NAME, 0); /* what a broker that was killed here left behind */
    int fd = openat(folder_fd, NEW_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0660);
    if (fd < 0)
        return error_say(error, error_bytes, "%s cannot be made: %s", NEW_NAME, strerror(errno));
    do
        wrong = posix_fallocate(fd, 0, (off_t)registry_layout_bytes(max));
    while (wrong == EINTR);
    if (wrong == 0 && fchmod(fd, 0660) != 0)
        wrong = errno;
    memory = wrong != 0 ? MAP_FAILED
                        : mmap(NULL, registry_layout_bytes(max), PROT_READ | PROT_WRITE, MAP_SHARED,
                               fd, 0);
    if (wrong == 0 && memory == MAP_FAILED)
        wrong = errno;
    close(fd);
    if (wrong != 0) {
        (void)unlinkat(folder_fd, NEW_NAME, 0);
        return error_say(error, error_bytes, "%s cannot have its %zu bytes: %s", NEW_NAME,
                         registry_layout_bytes(max), strerror(wrong));
    }
    file->memory = memory;
    file->bytes = registry_layout_bytes(max);
    registry_layout_format(file->memory, max, &rules->kinds);
    return 0;
}

/* Moves the new one into place, fully written to disk. */
static int install(struct registry_file *file, int folder_fd, char *error, size_t error_bytes)
{
    if (msync(file->memory, file->bytes, MS_SYNC) != 0 ||
        renameat(folder_fd, NEW_NAME, folder_fd, NAME) != 0)
        return error_say(error, error_bytes, "%s cannot become %s: %s", NEW_NAME, NAME,
                         strerror(errno));
    (void)fsync(folder_fd);
    return 0;
}

static int make_of(struct registry_file *file, int folder_fd, const struct registry_rules *rules,
                   const unsigned char *old, size_t old_bytes, char *error, size_t error_bytes)
{
    if (make_new(file, folder_fd, rules, error, error_bytes) != 0)
        return -1;
    file->registry = registry_new(file->memory, rules);
    int taken = file->registry == NULL ? REGISTRY_NO_MEMORY
                : old == NULL          ? 0
                                       : registry_import(file->registry, old, old_bytes);
    if (taken == REGISTRY_TOO_MANY)
        return error_say(
            error, error_bytes,
            "option max_articles: more than %u articles have a state in the file " NAME,
            rules->max);
    if (taken != 0)
        return error_say(error, error_bytes, "no memory for %u articles", rules->max);
    return install(file, folder_fd, error, error_bytes);
}

/* Continues the existing file, or builds a new one from it. */
static int registry_file_fill(struct registry_file *file, int folder_fd,
                              const struct registry_rules *rules, char *error, size_t error_bytes)
{
    size_t bytes = 0;
    unsigned char *memory = map_present(folder_fd, &bytes);

    if (memory == NULL || !registry_layout_fits(memory, bytes, rules->max, &rules->kinds)) {
        int result = make_of(file, folder_fd, rules, memory, bytes, error, error_bytes);
        if (memory != NULL)
            munmap(memory, bytes);
        return result;
    }
    file->memory = memory;
    file->bytes = bytes;
    file->registry = registry_new(memory, rules);
    if (file->registry == NULL)
        return error_say(error, error_bytes, "no memory for %u articles", rules->max);
    /* It was read in full; only the pages in use need stay. */
    (void)madvise(memory, bytes, MADV_DONTNEED);
    return 0;
}

struct registry_file *registry_file_open(const char *folder, const struct registry_rules *rules,
                                         char *note, size_t note_bytes, char *error,
                                         size_t error_bytes)
{
    char why[256];
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct registry_file *file = calloc(1, sizeof *file);

    error_write(note, note_bytes, "%s", "");
    if (folder_fd < 0 || file == NULL) {
        error_write(error, error_bytes, "spool %s: %s", folder, strerror(errno));
        goto fail;
    }
    if (registry_file_fill(file, folder_fd, rules, why, sizeof why) != 0) {
        error_write(error, error_bytes, "spool %s: %s", folder, why);
        goto fail;
    }
    close(folder_fd);
    if (registry_damaged(file->registry) > 0 || registry_damaged_states(file->registry) > 0)
        error_write(note, note_bytes,
                    "known articles: %u were damaged and are forgotten; the states of %u were "
                    "damaged, and they are closed",
                    registry_damaged(file->registry), registry_damaged_states(file->registry));
    return file;
fail:
    if (folder_fd >= 0)
        close(folder_fd);
    registry_file_close(file);
    return NULL;
}

void registry_file_close(struct registry_file *file)
{
    if (file == NULL)
        return;
    registry_free(file->registry);
    if (file->memory != NULL)
        munmap(file->memory, file->bytes);
    free(file);
}

struct registry *registry_file_contents(struct registry_file *file)
{
    return file->registry;
}

#include "unit.h"

#include "core/bytes.h"
#include "spool/ring_scan.h"
#include "spool/spool_consumer.h"
#include "spool/spool_internal.h"
#include "spool/spool_producer.h"
#include "temp.h"
#include "test_ring.h"

#include <dirent.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#define SHARDS 3u
#define RING_BYTES 16384u

static struct error error;
static char note[1024];

static const char *spool(void)
{
    return temp_path("spool");
}

static const char *in_spool(const char *name)
{
    char path[100];
    (void)snprintf(path, sizeof path, "spool/%s", name);
    return temp_path(path);
}

static struct spool_producer_want wanted(void)
{
    struct spool_producer_want want = {
        .shards = SHARDS, .ring_bytes = RING_BYTES, .fingerprint = {1, 2, 3}};
    assert_int_equal(kind_table_parse(&want.kinds, "like,sad", NULL), 0);
    return want;
}

static struct spool *produce_as(const struct spool_producer_want *want)
{
    error.text[0] = '\0';
    struct spool *dir = spool_producer_open(spool(), want, &error);
    require(dir != NULL, "%s", error.text);
    return dir;
}

static struct spool *produce(void)
{
    struct spool_producer_want want = wanted();
    return produce_as(&want);
}

static struct spool *consume(void)
{
    bool retry;
    error.text[0] = '\0';
    struct spool *dir = spool_consumer_open(spool(), &retry, &error);
    require(dir != NULL, "%s", error.text);
    return dir;
}

/* Appends the record of this number of the run; its sequence may be another. */
static void append(struct spool *dir, uint32_t shard, uint64_t n)
{
    struct test_ring_text text;
    struct record record = test_ring_plain(n, &text);
    struct ring_producer *producer = spool_producer_ring(dir, shard);
    assert_non_null(producer);
    assert_int_equal(ring_producer_append(producer, &record), 0);
}

static int files_like(const char *prefix, char *last, size_t last_bytes)
{
    int n = 0;
    DIR *dir = opendir(spool());
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            n++;
            if (last != NULL)
                (void)snprintf(last, last_bytes, "%s", entry->d_name);
        }
    closedir(dir);
    return n;
}

static struct ring_identity identity_of(const char *name)
{
    static unsigned char header[RING_HEADER_BYTES];
    struct ring_identity identity;
    struct stat status;
    int fd = open(in_spool(name), O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
    close(fd);
    require(ring_identify(header, (uint64_t)status.st_size, &identity, &error) == 0, "%s",
            error.text);
    return identity;
}

/* Gives a ring's file another identity, as if it had been made so; its positions stay. */
static void set_identity(const char *name, const struct ring_identity *identity)
{
    static unsigned char header[RING_HEADER_BYTES];
    int fd = open(in_spool(name), O_RDWR);
    assert_true(fd >= 0);
    ring_format(header, identity);
    assert_int_equal(pwrite(fd, header, 340, 0), 340);
    close(fd);
}

static void change_byte(const char *name, off_t at)
{
    unsigned char byte;
    int fd = open(in_spool(name), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Tends until the shard has a ring. */
static void tend_until_ready(struct spool *dir, uint32_t shard)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        spool_producer_tend(dir, note, sizeof note);
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_true(now.tv_sec - begin.tv_sec < 20);
    } while (spool_producer_ring(dir, shard) == NULL);
}

/* --- making --- */

static void makes_everything_with_its_space_and_modes(void **state)
{
    static const char *const files[] = {"edge", "ring-0", "ring-1", "ring-2"};
    struct stat status;
    (void)state;
    mode_t before = umask(077);
    struct spool *dir = produce();
    umask(before);
    assert_int_equal(stat(spool(), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0770);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        assert_int_equal(stat(in_spool(files[i]), &status), 0);
        assert_true(S_ISREG(status.st_mode));
        require((status.st_mode & 07777) == 0660, "%s", files[i]);
        require(status.st_blocks * 512 >= status.st_size, "%s is sparse", files[i]);
        assert_int_equal(status.st_size, i == 0 ? 4096 : 4096 + RING_BYTES);
    }
    assert_int_equal(stat(in_spool("wake"), &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_int_equal(files_like("", NULL, 0), 2 + 5);

    struct ring_identity identity = identity_of("ring-1");
    assert_int_equal(identity.shard, 1);
    assert_int_equal(identity.shards, SHARDS);
    assert_int_equal(identity.edge_id, spool_id(dir));
    assert_int_equal(identity.kinds.n, 2);
    assert_true(identity.ring_id != 0 && identity.made_ms > 1700000000000u);
    assert_int_not_equal(identity.ring_id, identity_of("ring-2").ring_id);
    assert_int_equal(spool_shards(dir), SHARDS);
    spool_free(dir);
}

static void lets_one_of_each_side_in(void **state)
{
    struct spool_producer_want want = wanted();
    bool retry = true;
    (void)state;
    assert_null(spool_consumer_open(spool(), &retry, &error));
    assert_true(retry); /* there is nothing yet */

    struct spool *producer = produce();
    assert_null(spool_producer_open(spool(), &want, &error));
    assert_non_null(strstr(error.text, "another broker has it"));
    struct spool *consumer = consume();
    assert_true(spool_consumer_has_producer(consumer));
    assert_null(spool_consumer_open(spool(), &retry, &error));
    assert_non_null(strstr(error.text, "another collector has it"));
    assert_false(retry);

    spool_free(producer);
    assert_false(spool_consumer_has_producer(consumer));
    producer = produce();
    assert_true(spool_consumer_has_producer(consumer));
    spool_free(consumer);
    consumer = consume();
    spool_free(consumer);
    spool_free(producer);
    spool_free(NULL);
}

/* A lock is gone with its process, whatever ended it. */
static void a_killed_producer_leaves_no_lock(void **state)
{
    int ready[2];
    char byte;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct spool_producer_want want = wanted();
        struct spool *dir = spool_producer_open(spool(), &want, NULL);
        (void)!write(ready[1], dir == NULL ? "n" : "y", 1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    struct spool_producer_want want = wanted();
    assert_null(spool_producer_open(spool(), &want, &error));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    spool_free(produce());
    close(ready[0]);
    close(ready[1]);
}

static void says_what_it_cannot_do(void **state)
{
    struct spool_producer_want want = wanted();
    (void)state;
    static const struct {
        uint32_t shards;
        uint64_t ring_bytes;
        const char *said;
    } cases[] = {
        {0, RING_BYTES, "0 shards; 1 to 64"}, {65, RING_BYTES, "65 shards; 1 to 64"},
        {1, 0, "multiple of 4096"},           {1, 4095, "multiple of 4096"},
        {1, 5000, "multiple of 4096"},        {1, (1ull << 32) + 4096, "multiple of 4096"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        want.shards = cases[i].shards;
        want.ring_bytes = cases[i].ring_bytes;
        assert_null(spool_producer_open(spool(), &want, &error));
        require(strstr(error.text, cases[i].said) != NULL, "%s", error.text);
        assert_int_equal(access(spool(), F_OK), -1); /* nothing was made */
    }
    want = wanted();
    temp_write("file", "x", 1, 0600);
    assert_null(spool_producer_open(temp_path("file"), &want, &error));
    assert_non_null(strstr(error.text, temp_path("file")));
    assert_null(spool_producer_open(temp_path("file/spool"), &want, &error));
    assert_null(spool_producer_open(temp_path("absent/spool"), &want, &error));
    assert_non_null(strstr(error.text, "No such file"));
    assert_null(spool_producer_open("", &want, &error));
    char path[SPOOL_PATH_MAX_BYTES + 1];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_null(spool_producer_open(path, &want, &error));

    spool_free(produce());
    want.shards = SHARDS + 1;
    assert_null(spool_producer_open(spool(), &want, &error));
    assert_non_null(strstr(error.text, "was made for 3 shards, not 4"));
}

static void takes_no_other_things_for_its_own(void **state)
{
    struct spool_producer_want want = wanted();
    bool retry;
    (void)state;
    spool_free(produce());
    change_byte("edge", 16);
    assert_null(spool_producer_open(spool(), &want, &error));
    assert_non_null(strstr(error.text, "edge is not an edge file of version 1, or damaged"));
    assert_null(spool_consumer_open(spool(), &retry, &error));
    assert_false(retry);
    change_byte("edge", 16);

    assert_int_equal(unlink(in_spool("wake")), 0);
    assert_null(spool_consumer_open(spool(), &retry, &error));
    assert_true(retry);
    temp_write("spool/wake", "x", 1, 0600);
    assert_null(spool_consumer_open(spool(), &retry, &error));
    assert_false(retry);
    assert_null(spool_producer_open(spool(), &want, &error));
    assert_non_null(strstr(error.text, "not a FIFO"));
}

/* A disk that is full, as seen by posix_fallocate: no ring, no file left, and the next attempt goes
 * well. */
static void stands_a_lack_of_space(void **state)
{
    struct rlimit before, small = {8192, 8192};
    struct spool_producer_want want = wanted();
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct spool *dir = spool_producer_open(spool(), &want, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_null(dir);
    assert_non_null(strstr(error.text, "ring-0.new cannot have its 20480 bytes"));
    assert_int_equal(files_like("ring-", NULL, 0), 0);

    /* While it runs: the current ring continues, and is replaced once that is possible. */
    dir = produce();
    append(dir, 0, 0);
    ring_want_rotation(spool_producer_ring(dir, 0)->memory);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    spool_producer_tend(dir, note, sizeof note);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_non_null(strstr(note, "shard 0: no new ring: "));
    assert_int_equal(files_like("old-", NULL, 0), 0);
    append(dir, 0, 1);
    spool_producer_tend(dir, note, sizeof note);
    assert_string_equal(note, ""); /* said once */
    /* And so it does at a start. */
    spool_free(dir);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    dir = spool_producer_open(spool(), &want, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    require(dir != NULL, "%s", error.text);
    assert_int_equal(spool_producer_ring(dir, 0)->sequence, 2);
    append(dir, 0, 2);
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (files_like("old-", NULL, 0) == 0) {
        spool_producer_tend(dir, note, sizeof note);
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_true(now.tv_sec - begin.tv_sec < 20);
    }
    spool_free(dir);
}

static void sweeps_what_was_left_half_made(void **state)
{
    (void)state;
    spool_free(produce());
    temp_write("spool/ring-0.new", "x", 1, 0600);
    temp_write("spool/ring-63.new", "x", 1, 0600);
    temp_write("spool/edge-0123456789abcdef.new", "x", 1, 0600);
    temp_write("spool/other.new", "x", 1, 0600);
    spool_free(produce());
    assert_int_equal(files_like("ring-", NULL, 0), SHARDS);
    assert_int_equal(files_like("edge", NULL, 0), 1);
    assert_int_equal(files_like("other", NULL, 0), 1); /* not ours */
}

/* Appends for as long as it lives, and tells after each one, as the broker's PUBACK does. */
static void append_until_killed(uint64_t *acknowledged) // NOLINT(readability-non-const-parameter)
{
    struct spool_producer_want want = wanted();
    struct spool *dir = spool_producer_open(spool(), &want, NULL);
    struct ring_producer *producer = dir == NULL ? NULL : spool_producer_ring(dir, 0);
    if (producer == NULL)
        _exit(1);
    for (uint64_t n = producer->sequence;; n++) {
        struct test_ring_text text;
        struct record record = test_ring_record(n, 3, &text);
        while (ring_producer_append(producer, &record) != 0)
            sched_yield();
        __atomic_store_n(acknowledged, n + 1, __ATOMIC_RELEASE);
    }
}

/* kill -9 at any moment, again and again: what was acknowledged is there, in order, whole, and the
 * next producer continues it. */
static void loses_nothing_to_a_kill(void **state)
{
    uint64_t *acknowledged =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t random = 8, taken = 0, ring_id;
    struct ring_consumer reader;
    struct ring_identity identity;
    void *memory;
    uint64_t bytes;
    (void)state;
    assert_true(acknowledged != MAP_FAILED);
    struct spool *first = produce();
    ring_id = spool_producer_ring(first, 0)->ring_id;
    spool_free(first);
    struct spool *consumer = consume();
    assert_int_equal(spool_consumer_ring(consumer, 0, &memory, &bytes, &identity, &error), 1);
    assert_int_equal(ring_consumer_open(&reader, memory, bytes, &error), 0);
    for (int kills = 0; kills < 40; kills++) {
        uint64_t until = *acknowledged + 1 + unit_random(&random) % 500;
        pid_t child = fork();
        if (child == 0)
            append_until_killed(acknowledged);
        assert_true(child > 0);
        struct record record;
        int got = 0;
        while (__atomic_load_n(acknowledged, __ATOMIC_ACQUIRE) < until) {
            assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
            while ((got = ring_consumer_next(&reader, &record)) == 1)
                require(test_ring_is(&record, taken++, 3), "record %llu",
                        (unsigned long long)taken);
            assert_int_equal(got, 0);
            ring_consumer_applied(&reader, reader.next);
        }
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while ((got = ring_consumer_next(&reader, &record)) == 1)
            require(test_ring_is(&record, taken++, 3), "record %llu", (unsigned long long)taken);
        assert_int_equal(got, 0);
        ring_consumer_applied(&reader, reader.next);
        /* One may have been published and not yet acknowledged. */
        assert_true(taken == *acknowledged || taken == *acknowledged + 1);
        struct spool *again = produce();
        assert_int_equal(spool_producer_ring(again, 0)->ring_id, ring_id);
        assert_int_equal(spool_producer_ring(again, 0)->sequence, taken);
        spool_free(again);
    }
    spool_free(consumer);
    munmap(acknowledged, 4096);
}

/* --- going on and renaming --- */

static void goes_on_with_its_rings(void **state)
{
    void *memory;
    uint64_t bytes;
    struct ring_identity identity;
    (void)state;
    struct spool *dir = produce();
    for (uint64_t n = 0; n < 10; n++)
        append(dir, 1, n);
    uint64_t ring_id = spool_producer_ring(dir, 1)->ring_id, edge_id = spool_id(dir);
    struct spool *consumer = consume();
    assert_int_equal(spool_id(consumer), edge_id);
    assert_int_equal(spool_shards(consumer), SHARDS);
    assert_int_equal(spool_consumer_ring(consumer, 1, &memory, &bytes, &identity, &error), 1);
    assert_int_equal(identity.ring_id, ring_id);
    spool_free(dir);

    dir = produce();
    assert_int_equal(spool_producer_ring(dir, 1)->ring_id, ring_id);
    assert_int_equal(spool_producer_ring(dir, 1)->sequence, 10);
    assert_int_equal(spool_id(dir), edge_id);
    assert_int_equal(files_like("old-", NULL, 0), 0);
    /* The consumer looks again, and finds the same. */
    assert_int_equal(spool_consumer_ring(consumer, 1, &memory, &bytes, &identity, &error), 0);
    assert_int_equal(bytes, 4096 + RING_BYTES);
    append(dir, 1, 10);
    struct ring_consumer reader;
    struct record record;
    assert_int_equal(ring_consumer_open(&reader, memory, bytes, &error), 0);
    for (uint64_t n = 0; n < 11; n++) {
        assert_int_equal(ring_consumer_next(&reader, &record), 1);
        assert_int_equal(record.sequence, n);
    }
    spool_free(dir);
    spool_free(consumer);
}

/* Drains the only old ring there is. Returns how many records it held. */
static uint64_t drain_old(struct spool *consumer, uint32_t shard, uint64_t ring_id)
{
    struct spool_consumer_old old[SPOOL_OLD_MAX];
    struct ring_scan scan;
    void *memory;
    uint64_t bytes;
    assert_int_equal(spool_consumer_list_old(consumer, old, SPOOL_OLD_MAX), 1);
    assert_int_equal(old[0].shard, shard);
    assert_int_equal(old[0].name_id, ring_id);
    assert_int_equal(spool_consumer_map_old(&old[0], &memory, &bytes, &error), 0);
    assert_int_equal(ring_scan(memory, bytes, NULL, NULL, &scan), 0);
    spool_consumer_unmap_old(memory, bytes);
    assert_int_equal(spool_consumer_delete_old(&old[0]), 0);
    assert_int_equal(spool_consumer_map_old(&old[0], &memory, &bytes, &error), 1);
    assert_int_equal(spool_consumer_list_old(consumer, old, SPOOL_OLD_MAX), 0);
    return scan.records;
}

enum change {
    BOOT_ID,
    EDGE_ID,
    RING_SHARD,
    RING_SHARDS,
    FINGERPRINT,
    KINDS,
    KIND_ORDER,
    FEWER_KINDS,
    SIZE,
    RECORD_DAMAGED,
    POSITIONS,
    ROTATE,
    CHANGES
};

static void change(enum change what, struct spool_producer_want *want)
{
    struct ring_identity identity = identity_of("ring-1");
    unsigned char flag = 1;
    int fd;
    switch (what) {
    case BOOT_ID:
        identity.boot_id[3] ^= 1;
        break;
    case EDGE_ID:
        identity.edge_id++;
        break;
    case RING_SHARD:
        identity.shard = 2;
        break;
    case RING_SHARDS:
        identity.shards = 4;
        break;
    case FINGERPRINT:
        want->fingerprint[7] ^= 1;
        break;
    case KINDS:
        kind_table_add(&want->kinds, "wow", 3);
        break;
    case KIND_ORDER:
        kind_table_parse(&want->kinds, "sad,like", NULL);
        break;
    case FEWER_KINDS:
        kind_table_parse(&want->kinds, "like", NULL);
        break;
    case SIZE:
        want->ring_bytes *= 2;
        break;
    case RECORD_DAMAGED:
        change_byte("ring-1", 4096 + 64 * 9 + 30);
        break;
    case POSITIONS:
        change_byte("ring-1", 512);
        break;
    case ROTATE:
        fd = open(in_spool("ring-1"), O_RDWR);
        assert_int_equal(pwrite(fd, &flag, 1, 664), 1);
        close(fd);
        break;
    case CHANGES:
        break;
    }
    set_identity("ring-1", &identity);
}

static void renames_what_it_cannot_go_on_with(void **state)
{
    (void)state;
    for (enum change what = 0; what < CHANGES; what++) {
        struct spool_producer_want want = wanted();
        struct spool *dir = produce(), *consumer;
        for (uint64_t n = 0; n < 10; n++)
            append(dir, 1, n);
        uint64_t ring_id = spool_producer_ring(dir, 1)->ring_id;
        spool_free(dir);

        change(what, &want);
        dir = produce_as(&want);
        require(spool_producer_ring(dir, 1) != NULL, "change %d", (int)what);
        require(spool_producer_ring(dir, 1)->ring_id != ring_id, "change %d", (int)what);
        assert_int_equal(spool_producer_ring(dir, 1)->write, 0);
        assert_int_equal(spool_producer_ring(dir, 1)->capacity_bytes, want.ring_bytes);
        /* The other two never held a record: they are gone, not renamed. */
        require(files_like("old-", NULL, 0) == 1, "change %d", (int)what);
        assert_int_equal(files_like("ring-", NULL, 0), SHARDS);
        consumer = consume();
        require(drain_old(consumer, 1, ring_id) == (what == RECORD_DAMAGED ? 9 : 10), "change %d",
                (int)what);
        spool_free(consumer);
        spool_free(dir);
        assert_int_equal(temp_teardown(NULL), 0);
        assert_int_equal(temp_setup(NULL), 0);
    }
}

static void puts_away_what_cannot_be_read(void **state)
{
    struct spool_consumer_old old[SPOOL_OLD_MAX];
    struct ring_identity identity;
    struct spool *consumer = NULL;
    void *memory;
    uint64_t bytes;
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct spool *dir = produce();
        append(dir, 0, 1);
        uint64_t ring_id = spool_producer_ring(dir, 0)->ring_id;
        spool_free(dir);
        if (i == 5) /* cut */
            assert_int_equal(truncate(in_spool("ring-0"), 5000), 0);
        else
            change_byte("ring-0", 16 + i);
        dir = produce();
        assert_non_null(spool_producer_ring(dir, 0));
        if (consumer == NULL)
            consumer = consume();
        assert_int_equal(spool_consumer_list_old(consumer, old, SPOOL_OLD_MAX), 1);
        assert_int_not_equal(old[0].name_id, ring_id); /* a fresh one: its own cannot be believed */
        assert_int_not_equal(old[0].name_id, 0);
        error.text[0] = '\0';
        if (i == 5) {
            assert_int_equal(spool_consumer_map_old(&old[0], &memory, &bytes, &error), -1);
            assert_non_null(strstr(error.text, "size"));
        } else {
            assert_int_equal(spool_consumer_map_old(&old[0], &memory, &bytes, &error), 0);
            assert_int_equal(ring_identify(memory, bytes, &identity, &error), -1);
            assert_int_equal(ring_scan(memory, bytes, NULL, NULL, NULL), -1);
            spool_consumer_unmap_old(memory, bytes);
        }
        assert_int_equal(spool_consumer_put_away(consumer, &old[0]), i < 4 ? 0 : 1);
        assert_int_equal(files_like("bad-0-", NULL, 0), i < 4 ? i + 1 : 4);
        assert_int_equal(spool_consumer_list_old(consumer, old, SPOOL_OLD_MAX), 0);
        spool_free(dir);
    }
    spool_free(consumer);
}

/* Data that reached the disk where the header did not: such a ring is not empty. */
static void deletes_no_ring_whose_data_hold_records(void **state)
{
    static const unsigned char zero[8];
    struct spool_producer_want want = wanted();
    (void)state;
    struct spool *dir = produce();
    append(dir, 0, 1);
    uint64_t ring_id = spool_producer_ring(dir, 0)->ring_id;
    spool_free(dir);
    int fd = open(in_spool("ring-0"), O_RDWR);
    assert_int_equal(pwrite(fd, zero, 8, 512), 8);
    close(fd);
    want.fingerprint[0] ^= 1;
    dir = produce_as(&want);
    struct spool *consumer = consume();
    assert_int_equal(drain_old(consumer, 0, ring_id), 1);
    spool_free(consumer);
    spool_free(dir);
}

static void is_busy_after_four_old_rings(void **state)
{
    struct spool_consumer_old old[8];
    struct spool *dir = produce();
    (void)state;
    for (int i = 0; i < SPOOL_OLD_MAX; i++) {
        append(dir, 2, 1);
        ring_want_rotation(spool_producer_ring(dir, 2)->memory);
        spool_producer_tend(dir, note, sizeof note);
        assert_non_null(strstr(note, "shard 2: ring renamed to old-2-"));
        assert_int_equal(files_like("old-2-", NULL, 0), i + 1);
    }
    /* A fifth is not made: the ring is used while it has room. */
    append(dir, 2, 1);
    uint64_t ring_id = spool_producer_ring(dir, 2)->ring_id;
    ring_want_rotation(spool_producer_ring(dir, 2)->memory);
    spool_producer_tend(dir, note, sizeof note);
    assert_non_null(strstr(note, "shard 2: no new ring: 4 old rings"));
    spool_producer_tend(dir, note, sizeof note);
    assert_string_equal(note, "");
    append(dir, 2, 2);
    spool_free(dir);

    /* So does a producer that starts. */
    dir = produce();
    assert_int_equal(spool_producer_ring(dir, 2)->ring_id, ring_id);
    append(dir, 2, 3);
    spool_free(dir);

    /* A producer with other kinds can neither continue it nor rename it. */
    struct spool_producer_want want = wanted();
    kind_table_parse(&want.kinds, "like", NULL);
    dir = produce_as(&want);
    assert_null(spool_producer_ring(dir, 2));
    assert_non_null(spool_producer_ring(dir, 0));
    assert_int_equal(files_like("old-2-", NULL, 0), SPOOL_OLD_MAX);
    assert_int_equal(identity_of("ring-2").ring_id, ring_id);
    spool_producer_tend(dir, note, sizeof note);
    assert_non_null(strstr(note, "shard 2: no new ring: 4 old rings"));
    assert_null(spool_producer_ring(dir, 2));

    struct spool *consumer = consume();
    assert_int_equal(spool_consumer_list_old(consumer, old, 2), 2);
    assert_int_equal(spool_consumer_list_old(consumer, old, 8), SPOOL_OLD_MAX);
    assert_int_equal(spool_consumer_delete_old(&old[0]), 0);
    tend_until_ready(dir, 2);
    assert_non_null(strstr(note, "shard 2: ring renamed to old-2-"));
    assert_int_equal(files_like("old-2-", NULL, 0), SPOOL_OLD_MAX);
    append(dir, 2, 4);
    spool_free(consumer);
    spool_free(dir);
}

/* Killed between the two renames, and between the second and the raised generation: the consumer
 * comes to the new ring both times. */
static void a_killed_change_of_rings_is_gone_on_with(void **state)
{
    void *memory;
    uint64_t bytes;
    struct ring_identity identity;
    char name[64];
    (void)state;
    struct spool *dir = produce(), *consumer = consume();
    append(dir, 0, 1);
    uint64_t first = spool_producer_ring(dir, 0)->ring_id;
    assert_int_equal(spool_consumer_ring(consumer, 0, &memory, &bytes, &identity, &error), 1);
    spool_free(dir);
    (void)snprintf(name, sizeof name, "old-0-%016llx", (unsigned long long)first);
    assert_int_equal(rename(in_spool("ring-0"), in_spool(name)), 0);
    assert_false(spool_consumer_ring_replaced(consumer, 0));
    dir = produce();
    uint64_t second = spool_producer_ring(dir, 0)->ring_id;
    assert_int_not_equal(first, second);
    assert_true(spool_consumer_ring_replaced(consumer, 0));
    assert_int_equal(spool_consumer_ring(consumer, 0, &memory, &bytes, &identity, &error), 1);
    assert_int_equal(identity.ring_id, second);
    assert_false(spool_consumer_ring_replaced(consumer, 0));
    assert_int_equal(drain_old(consumer, 0, first), 1);

    ring_want_rotation(memory);
    append(dir, 0, 2);
    uint32_t generation = spool_edge_generation(&dir->edge, 0);
    spool_producer_tend(dir, note, sizeof note);
    uint64_t third = spool_producer_ring(dir, 0)->ring_id;
    assert_int_equal(spool_edge_generation(&dir->edge, 0), generation + 1);
    bytes_put_u32(dir->edge.memory + 1024, generation); /* it had not come to that */
    spool_free(dir);
    assert_false(spool_consumer_ring_replaced(consumer, 0));
    dir = produce();
    assert_true(spool_consumer_ring_replaced(consumer, 0));
    assert_int_equal(spool_consumer_ring(consumer, 0, &memory, &bytes, &identity, &error), 1);
    assert_int_equal(identity.ring_id, third);
    assert_int_equal(drain_old(consumer, 0, second), 1);
    spool_free(dir);
    spool_free(consumer);
}

static void the_consumer_says_what_it_cannot_map(void **state)
{
    void *memory;
    uint64_t bytes;
    struct ring_identity identity;
    (void)state;
    struct spool *dir = produce(), *consumer = consume();
    assert_true(spool_consumer_ring_replaced(consumer, 0)); /* it never looked */
    change_byte("ring-0", 20);
    assert_int_equal(spool_consumer_ring(consumer, 0, &memory, &bytes, &identity, &error), -1);
    assert_non_null(strstr(error.text, "ring-0"));
    assert_false(spool_consumer_ring_replaced(consumer, 0));
    change_byte("ring-0", 20);
    assert_int_equal(spool_consumer_ring(consumer, 0, &memory, &bytes, &identity, &error), 1);

    assert_int_equal(unlink(in_spool("ring-1")), 0);
    assert_int_equal(spool_consumer_ring(consumer, 1, &memory, &bytes, &identity, &error), -1);
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(rename(in_spool("ring-2"), in_spool("ring-1")), 0);
    assert_int_equal(spool_consumer_ring(consumer, 1, &memory, &bytes, &identity, &error), -1);
    assert_non_null(strstr(error.text, "another shard's"));
    spool_free(dir);
    spool_free(consumer);
}

/* --- rings changed while both sides run --- */

#define CHANGES_OF_RINGS 150u
#define RECORDS_A_RING 20u

struct changing {
    struct spool *producer;
    uint64_t appended;
    bool failed;
};

/* Appends, asks itself for another ring, and continues, as fast as the consumer drains. */
static void *change_rings(void *user)
{
    struct changing *changing = user;
    char said[200];
    for (unsigned i = 0; i < CHANGES_OF_RINGS; i++) {
        uint64_t ring_id = spool_producer_ring(changing->producer, 0)->ring_id;
        for (unsigned n = 0; n < RECORDS_A_RING; n++) {
            struct test_ring_text text;
            struct record record = test_ring_plain(changing->appended, &text);
            record.reader = changing->appended;
            if (ring_producer_append(spool_producer_ring(changing->producer, 0), &record) != 0)
                changing->failed = true;
            changing->appended++;
        }
        spool_producer_wake(changing->producer);
        ring_want_rotation(spool_producer_ring(changing->producer, 0)->memory);
        while (spool_producer_ring(changing->producer, 0) == NULL ||
               spool_producer_ring(changing->producer, 0)->ring_id == ring_id)
            spool_producer_tend(changing->producer, said, sizeof said);
    }
    return NULL;
}

struct seen {
    unsigned char times[CHANGES_OF_RINGS * RECORDS_A_RING];
    uint64_t different;
};

static int see(void *user, const struct record *record)
{
    struct seen *seen = user;
    assert_true(record->reader < COUNT_OF(seen->times));
    if (seen->times[record->reader] < 255 && seen->times[record->reader]++ == 0)
        seen->different++;
    return 0;
}

static void see_old_rings(struct spool *consumer, struct seen *seen)
{
    struct spool_consumer_old old[SPOOL_OLD_MAX];
    int n = spool_consumer_list_old(consumer, old, SPOOL_OLD_MAX);
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        void *memory;
        uint64_t bytes;
        struct ring_scan scan;
        assert_int_equal(spool_consumer_map_old(&old[i], &memory, &bytes, &error), 0);
        assert_int_equal(ring_scan(memory, bytes, see, seen, &scan), 0);
        assert_int_equal(scan.damaged, 0);
        assert_int_equal(scan.records, RECORDS_A_RING);
        spool_consumer_unmap_old(memory, bytes);
        assert_int_equal(spool_consumer_delete_old(&old[i]), 0);
    }
}

static void no_record_is_lost_while_rings_change(void **state)
{
    struct changing changing = {.producer = produce()};
    struct spool *consumer = consume();
    struct ring_consumer reader = {0};
    static struct seen seen;
    struct timespec begin, now;
    pthread_t thread;
    (void)state;
    seen = (struct seen){0};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(pthread_create(&thread, NULL, change_rings, &changing), 0);
    while (seen.different < COUNT_OF(seen.times)) {
        void *memory;
        uint64_t bytes;
        struct ring_identity identity;
        struct record record;
        int got = spool_consumer_ring(consumer, 0, &memory, &bytes, &identity, &error);
        if (got == 1)
            require(ring_consumer_open(&reader, memory, bytes, &error) == 0, "%s", error.text);
        while (got >= 0 && !spool_consumer_ring_replaced(consumer, 0) &&
               (got = ring_consumer_next(&reader, &record)) == 1)
            see(&seen, &record);
        see_old_rings(consumer, &seen);
        clock_gettime(CLOCK_MONOTONIC, &now);
        require(now.tv_sec - begin.tv_sec < 60, "%llu of %llu seen",
                (unsigned long long)seen.different, (unsigned long long)COUNT_OF(seen.times));
    }
    pthread_join(thread, NULL);
    assert_false(changing.failed);
    spool_free(consumer);
    spool_free(changing.producer);
}

/* --- the rest of edge --- */

static void shares_the_edge(void **state)
{
    (void)state;
    struct spool *producer = produce(), *consumer = consume();
    *spool_producer_last_stamp(producer) = 123;
    *spool_producer_late_counter(producer) = 45;
    for (int i = 0; i < 3; i++)
        spool_producer_count_admitted(producer);
    for (int reason = 0; reason < REASON_COUNT; reason++)
        for (int i = 0; i <= reason; i++)
            spool_producer_count_refused(producer, (enum reason)reason);
    spool_producer_count_receipt_dropped(producer);
    assert_false(spool_clock_bad(producer));
    spool_consumer_set_clock_bad(consumer, true);
    assert_true(spool_clock_bad(producer));
    assert_int_equal(spool_admitted(consumer), 3);
    for (int reason = 0; reason < REASON_COUNT; reason++)
        assert_int_equal(spool_refused(consumer, (enum reason)reason), reason + 1);
    assert_int_equal(spool_receipts_dropped(consumer), 1);
    spool_free(producer);

    producer = produce(); /* nothing of it is forgotten */
    assert_int_equal(*spool_producer_last_stamp(producer), 123);
    assert_int_equal(*spool_producer_late_counter(producer), 45);
    assert_int_equal(spool_admitted(producer), 3);
    assert_true(spool_clock_bad(producer));
    spool_consumer_set_clock_bad(consumer, false);
    assert_false(spool_clock_bad(producer));

    /* At the offsets of FORMATS.md 4.1. */
    unsigned char edge[4096];
    int fd = open(in_spool("edge"), O_RDONLY);
    assert_int_equal(read(fd, edge, sizeof edge), sizeof edge);
    close(fd);
    assert_memory_equal(edge, "TALLYEDG", 8);
    assert_int_equal(bytes_get_u32(edge + 8), 1);
    assert_int_equal(bytes_get_u32(edge + 12), SHARDS);
    assert_int_equal(bytes_get_u64(edge + 16), spool_id(producer));
    assert_int_equal(bytes_get_u64(edge + 128), 123);
    assert_int_equal(bytes_get_u64(edge + 136), 45);
    assert_int_equal(bytes_get_u64(edge + 144), 3);
    assert_int_equal(bytes_get_u64(edge + 152 + 8 * REASON_FORBIDDEN), 11);
    assert_int_equal(bytes_get_u64(edge + 280), 1);
    spool_free(producer);
    spool_free(consumer);
}

static bool readable(const struct spool *dir)
{
    struct pollfd wake = {.fd = spool_consumer_wake_fd(dir), .events = POLLIN};
    return poll(&wake, 1, 0) == 1;
}

static void wakes_once_who_sleeps(void **state)
{
    char bytes[8];
    (void)state;
    struct spool *producer = produce(), *consumer = consume();
    assert_true(readable(consumer)); /* what a producer owes at its start */
    spool_consumer_wake_clear(consumer);
    assert_false(readable(consumer));
    spool_producer_wake(producer);
    assert_false(readable(consumer)); /* it does not sleep */
    spool_consumer_asleep(consumer);
    spool_producer_wake(producer);
    spool_producer_wake(producer);
    assert_int_equal(read(spool_consumer_wake_fd(consumer), bytes, sizeof bytes), 1);
    spool_consumer_asleep(consumer);
    spool_consumer_awake(consumer);
    spool_producer_wake(producer);
    assert_false(readable(consumer));

    /* A full FIFO is not an obstacle. */
    for (int i = 0; i < 70000; i++) {
        spool_consumer_asleep(consumer);
        spool_producer_wake(producer);
    }
    assert_true(readable(consumer));
    spool_consumer_wake_clear(consumer);
    assert_false(readable(consumer));
    /* Nor is a producer that is gone. */
    spool_free(producer);
    assert_false(readable(consumer));
    spool_free(consumer);
}

static void quarantines_up_to_its_bound(void **state)
{
    struct test_ring_text text;
    struct record record = test_ring_plain(7, &text), read_back;
    char line[2048];
    unsigned char content[RECORD_MAX_BYTES];
    struct stat status;
    (void)state;
    struct spool *producer = produce(), *consumer = consume();
    record.position = 4096;
    record.sequence = 12;
    assert_int_equal(spool_consumer_quarantine(consumer, &record, "unknown\nkind \x80"), 0);
    FILE *in = fopen(in_spool("quarantine"), "r");
    assert_non_null(fgets(line, sizeof line, in));
    fclose(in);
    assert_string_equal(line + 128, " unknown?kind ?\n");
    line[128] = '\0';
    assert_int_equal(unit_hex(line, content), 64);
    assert_int_equal(record_read(content, 64, 4096, 0, &read_back), 64);
    assert_true(test_ring_same(&read_back, &record));
    assert_int_equal(read_back.sequence, 12);

    int lines = 1;
    for (record.position += 64; spool_consumer_quarantine(consumer, &record, "why") == 0; lines++)
        record.position += 64;
    assert_int_equal(stat(in_spool("quarantine"), &status), 0);
    assert_true(status.st_size <= 1024 * 1024 && status.st_size > 1024 * 1024 - 200);
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_int_equal(spool_consumer_quarantine(consumer, &record, ""), -1);
    in = fopen(in_spool("quarantine"), "r");
    for (; fgets(line, sizeof line, in) != NULL; lines--)
        assert_int_equal(line[strlen(line) - 1], '\n');
    fclose(in);
    assert_int_equal(lines, 0);
    /* A folder in its place, and no place at all. */
    assert_int_equal(unlink(in_spool("quarantine")), 0);
    assert_int_equal(mkdir(in_spool("quarantine"), 0700), 0);
    assert_int_equal(spool_consumer_quarantine(consumer, &record, "why"), -1);
    spool_free(producer);
    spool_free(consumer);
}

/* However often a batch is repeated, and by whichever collector; whatever the reason is by then. */
static void sets_a_record_aside_once(void **state)
{
    struct test_ring_text text;
    struct record record = test_ring_plain(7, &text), other = test_ring_plain(7, &text);
    struct stat before, after;
    (void)state;
    struct spool *producer = produce(), *consumer = consume();
    record.position = 4096;
    other.position = 4160; /* the same request again, behind it */
    assert_int_equal(spool_consumer_quarantine(consumer, &record, "why"), 0);
    assert_int_equal(spool_consumer_quarantine(consumer, &other, "why"), 0);
    assert_int_equal(stat(in_spool("quarantine"), &before), 0);
    spool_free(consumer);
    consumer = consume();
    assert_int_equal(spool_consumer_quarantine(consumer, &record, "why"), 1);
    assert_int_equal(spool_consumer_quarantine(consumer, &other, "another reason"), 1);
    assert_int_equal(stat(in_spool("quarantine"), &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    /* A full file still says what is in it. */
    for (record.position = 8192; spool_consumer_quarantine(consumer, &record, "why") == 0;)
        record.position += 64;
    assert_int_equal(spool_consumer_quarantine(consumer, &record, "why"), -1);
    assert_int_equal(spool_consumer_quarantine(consumer, &other, "why"), 1);
    /* Where somebody has cut the file, the rest of a line is not the record's. */
    assert_int_equal(truncate(in_spool("quarantine"), 100), 0);
    record.position = 4096;
    assert_int_equal(spool_consumer_quarantine(consumer, &record, "why"), 0);
    assert_int_equal(spool_consumer_quarantine(consumer, &record, "why"), 1);
    spool_free(producer);
    spool_free(consumer);
}

/* A small ring, and one larger than what is populated ahead, over several laps. */
static void tends_while_it_is_written(void **state)
{
    static const uint64_t sizes[] = {4096, 12288, 1024 * 1024};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct spool_producer_want want = wanted();
        want.ring_bytes = sizes[i];
        struct spool *dir = produce_as(&want);
        struct ring_producer *producer = spool_producer_ring(dir, 0);
        struct ring_consumer reader;
        struct record taken;
        assert_int_equal(ring_consumer_open(&reader, producer->memory, 4096 + sizes[i], &error), 0);
        for (uint64_t n = 0; producer->write < 5 * sizes[i]; n++) {
            append(dir, 0, n);
            assert_int_equal(ring_consumer_next(&reader, &taken), 1);
            assert_int_equal(taken.sequence, n);
            ring_consumer_applied(&reader, reader.next);
            if (n % 7 == 0) {
                spool_producer_tend(dir, note, sizeof note);
                assert_string_equal(note, "");
                assert_ptr_equal(producer, spool_producer_ring(dir, 0));
            }
        }
        spool_free(dir);
    }
}

static void names_file_systems(void **state)
{
    static const char *const places[] = {"/", "/tmp", "/dev/shm", "/run", "/var/lib"};
    bool safe, survives;
    int known = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct statfs status;
        if (statfs(places[i], &status) != 0)
            continue;
        const char *name = spool_file_system(places[i], &safe, &survives);
        bool tmpfs = status.f_type == TMPFS_MAGIC;
        if (!tmpfs && status.f_type != EXT4_SUPER_MAGIC && status.f_type != OVERLAYFS_SUPER_MAGIC)
            continue;
        known++;
        assert_string_equal(name, tmpfs                               ? "tmpfs"
                                  : status.f_type == EXT4_SUPER_MAGIC ? "ext4"
                                                                      : "overlayfs");
        assert_true(safe);
        assert_int_equal(survives, !tmpfs);
    }
    assert_true(known > 0);
    assert_string_equal(spool_file_system("/proc", &safe, &survives), "unknown");
    assert_false(safe);
    assert_string_equal(spool_file_system(temp_path("absent"), &safe, &survives), "unknown");
    assert_false(safe);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

static uint64_t admitted_after_a_restart(struct spool **dir)
{
    spool_free(*dir);
    *dir = produce();
    return spool_admitted(*dir);
}

/* A producer that was killed between appending a record and counting it. */
static void counts_what_was_appended_last(void **state)
{
    (void)state;
    struct spool *dir = produce();
    for (uint32_t i = 0; i < 5; i++) {
        append(dir, i % SHARDS, i);
        spool_producer_count_admitted(dir);
        assert_int_equal(admitted_after_a_restart(&dir), i + 1);
    }
    append(dir, 1, 7);
    assert_int_equal(admitted_after_a_restart(&dir), 6);
    assert_int_equal(admitted_after_a_restart(&dir), 6);
    /* In a ring that was begun since, too. */
    ring_want_rotation(spool_producer_ring(dir, 0)->memory);
    spool_producer_tend(dir, note, sizeof note);
    append(dir, 0, 8);
    spool_producer_count_admitted(dir);
    append(dir, 0, 9);
    assert_int_equal(admitted_after_a_restart(&dir), 8);
    /* Another counter than one record can explain is left alone. */
    append(dir, 0, 10);
    append(dir, 0, 11);
    assert_int_equal(admitted_after_a_restart(&dir), 8);
    append(dir, 0, 12);
    assert_int_equal(admitted_after_a_restart(&dir), 9);
    /* Other rings at the start: nothing is known of them. */
    append(dir, 0, 13);
    ring_want_rotation(spool_producer_ring(dir, 2)->memory);
    append(dir, 2, 1);
    assert_int_equal(admitted_after_a_restart(&dir), 9);
    spool_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(counts_what_was_appended_last),
        IN_FOLDER(makes_everything_with_its_space_and_modes),
        IN_FOLDER(lets_one_of_each_side_in),
        IN_FOLDER(a_killed_producer_leaves_no_lock),
        IN_FOLDER(says_what_it_cannot_do),
        IN_FOLDER(takes_no_other_things_for_its_own),
        IN_FOLDER(stands_a_lack_of_space),
        IN_FOLDER(sweeps_what_was_left_half_made),
        IN_FOLDER(goes_on_with_its_rings),
        IN_FOLDER(loses_nothing_to_a_kill),
        IN_FOLDER(renames_what_it_cannot_go_on_with),
        IN_FOLDER(puts_away_what_cannot_be_read),
        IN_FOLDER(deletes_no_ring_whose_data_hold_records),
        IN_FOLDER(is_busy_after_four_old_rings),
        IN_FOLDER(a_killed_change_of_rings_is_gone_on_with),
        IN_FOLDER(the_consumer_says_what_it_cannot_map),
        IN_FOLDER(no_record_is_lost_while_rings_change),
        IN_FOLDER(shares_the_edge),
        IN_FOLDER(wakes_once_who_sleeps),
        IN_FOLDER(quarantines_up_to_its_bound),
        IN_FOLDER(sets_a_record_aside_once),

        IN_FOLDER(tends_while_it_is_written),
        IN_FOLDER(names_file_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

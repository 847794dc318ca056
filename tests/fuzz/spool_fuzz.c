/* A whole spool whose ring and edge file hold any bytes: what a broker and a collector do at their
 * start. The broker always gets a ring that can be written; what was in the damaged one is in an
 * old one, and is scanned. */
#include "ring_layout.h"
#include "spool/ring_consumer.h"
#include "spool/ring_scan.h"
#include "spool/spool_consumer.h"
#include "spool/spool_edge.h"
#include "spool/spool_producer.h"

#include <dirent.h>
#include <fcntl.h>

static char folder[64];

static void remove_folder(void)
{
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries != NULL)
        closedir(entries);
    (void)rmdir(folder);
}

static void put(const char *name, const unsigned char *data, size_t bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0660);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes || close(fd) != 0)
        abort();
}

/* Any bytes as `edge`: opened only where it is whole. */
static bool put_edge(struct fuzz_input *in, unsigned fit)
{
    unsigned char content[SPOOL_EDGE_BYTES] = {'T', 'A', 'L', 'L', 'Y', 'E', 'D', 'G', 1};
    struct spool_edge edge;
    size_t bytes = fuzz_number(in, 1) == 255 ? fuzz_number(in, 1) : sizeof content;
    content[12] = content[16] = 1; /* shards, id */
    fuzz_take(in, content + fuzz_number(in, 1), fuzz_number(in, 1) % 64);
    if (fit & RING_FIT_HEADER)
        bytes_put_u32(content + 24, crc32c(0, content, 24));
    put("edge", content, bytes);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool whole = spool_edge_open(&edge, fd, NULL, 0) == 0;
    if (whole) {
        FUZZ_CHECK(edge.shards >= 1 && edge.shards <= SPOOL_EDGE_SHARDS_MAX && edge.id != 0 &&
                   bytes == sizeof content);
        for (uint32_t shard = 0; shard < edge.shards; shard++)
            spool_edge_raise_generation(&edge, shard);
        whole = edge.shards == 1;
        spool_edge_close(&edge);
    }
    close(fd);
    return whole;
}

static void check_old(struct spool *dir)
{
    struct spool_consumer_old old[8];
    int n = spool_consumer_list_old(dir, old, 8);
    FUZZ_CHECK(n >= 0 && n <= 1);
    for (int i = 0; i < n; i++) {
        void *memory;
        uint64_t bytes;
        struct ring_scan scan;
        if (spool_consumer_map_old(&old[i], &memory, &bytes, NULL, 0) != 0) {
            FUZZ_CHECK(spool_consumer_put_away(dir, &old[i]) >= 0);
            continue;
        }
        (void)ring_scan(memory, bytes, NULL, NULL, &scan);
        spool_consumer_unmap_old(memory, bytes);
        FUZZ_CHECK(spool_consumer_delete_old(&old[i]) == 0);
    }
    FUZZ_CHECK(spool_consumer_list_old(dir, old, 8) == 0);
}

static void check_consumer(void)
{
    struct ring_identity identity;
    struct ring_consumer consumer;
    struct record record;
    void *memory;
    uint64_t bytes;
    bool retry, found = false;
    struct spool *dir = spool_consumer_open(folder, &retry, NULL, 0);
    FUZZ_CHECK(dir != NULL);
    FUZZ_CHECK(spool_consumer_ring(dir, 0, &memory, &bytes, &identity, NULL, 0) == 1);
    FUZZ_CHECK(ring_consumer_open(&consumer, memory, bytes, NULL, 0) == 0);
    for (int i = 0; i < 256 && ring_consumer_next(&consumer, &record) == 1; i++)
        found = record.article_bytes == 3 && memcmp(record.article, "new", 3) == 0;
    FUZZ_CHECK(found); /* it is the last */
    check_old(dir);
    spool_free(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static unsigned char memory[RING_BYTES];
    struct fuzz_input in = {data, bytes};
    struct ring_identity identity;
    struct spool_producer_want want = {.shards = 1, .ring_bytes = RING_CAPACITY};
    struct record record = {.article = "new", .article_bytes = 3, .kind = 1, .stamp = 1};
    char error[512] = "";

    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "%s/tally-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (mkdtemp(folder) == NULL)
            abort();
        atexit(remove_folder);
    }
    unsigned fit = (unsigned)fuzz_number(&in, 1);
    size_t length = fuzz_number(&in, 1) == 255 ? fuzz_number(&in, 2) % RING_BYTES : RING_BYTES;
    ring_identity(&identity);
    want.kinds = identity.kinds;
    bool whole = put_edge(&in, fit);
    ring_lay_out(memory, &identity, fit, &in);
    put("ring-0", memory, length);

    struct spool *dir = spool_producer_open(folder, &want, error, sizeof error);
    FUZZ_CHECK((dir != NULL) == whole && (dir != NULL) == (error[0] == '\0'));
    if (dir != NULL) {
        struct ring_producer *producer = spool_producer_ring(dir, 0);
        FUZZ_CHECK(producer != NULL && ring_producer_append(producer, &record) == 0);
        spool_free(dir);
        check_consumer();
    }
    remove_folder();
    if (mkdir(folder, 0700) != 0)
        abort();
    return 0;
}

/* The wake-up between two threads, as between broker and collector: two million records through a
 * 64 KiB ring, with a consumer that sleeps for real. A wake-up that is missed shows as a sleep that
 * only its bound ends while there is something to take. */
#include "unit.h"

#include "spool/spool_consumer.h"
#include "spool/spool_internal.h"
#include "spool/spool_producer.h"
#include "temp.h"
#include "test_ring.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>

#define RECORDS 2000000u
#define PAUSE_EVERY                                                                                \
    500u /* records, on average: the producer then waits until the consumer sleeps */
#define MISSED_MS 10000

struct side {
    struct spool *dir;
    uint32_t *asleep; /* the flag in edge, to wait for */
    bool failed;
};

static void append_all(struct side *side, struct ring_producer *producer)
{
    uint64_t random = 12;
    for (uint64_t n = 0; n < RECORDS; n++) {
        struct record record = {.reader = n,
                                .stamp = n,
                                .kind = n % 16,
                                .article = "world/migrant-caravan",
                                .article_bytes = 21};
        while (ring_producer_append(producer, &record) != 0) {
            spool_producer_wake(side->dir);
            sched_yield();
        }
        /* In bursts, as the broker does: a wake-up for several appends. */
        if (unit_random(&random) % 8 == 0)
            spool_producer_wake(side->dir);
        if (unit_random(&random) % PAUSE_EVERY == 0) {
            spool_producer_wake(side->dir);
            while (__atomic_load_n(side->asleep, __ATOMIC_SEQ_CST) == 0 &&
                   !__atomic_load_n(&side->failed, __ATOMIC_RELAXED))
                sched_yield();
        }
    }
    spool_producer_wake(side->dir);
}

static void *produce(void *user)
{
    struct side *side = user;
    append_all(side, spool_producer_ring(side->dir, 0));
    return NULL;
}

/* Sleeps as the contract says. False where no wake-up came though there was something to take. */
static bool sleep_until_woken(struct spool *dir, const void *memory, uint64_t next,
                              uint64_t *sleeps)
{
    struct pollfd wake = {.fd = spool_consumer_wake_fd(dir), .events = POLLIN};
    spool_consumer_asleep(dir);
    if (ring_write_position(memory) == next) {
        ++*sleeps;
        if (poll(&wake, 1, MISSED_MS) == 0 && ring_write_position(memory) != next)
            return false;
        spool_consumer_wake_clear(dir);
    }
    spool_consumer_awake(dir);
    return true;
}

static void misses_no_wake_up_and_loses_nothing(void **state)
{
    struct spool_producer_want want = {.shards = 1, .ring_bytes = 65536};
    struct ring_identity identity;
    struct ring_consumer consumer;
    struct side side = {0};
    pthread_t thread;
    char error[300] = "";
    bool retry;
    void *memory;
    uint64_t bytes, n = 0, sleeps = 0;
    (void)state;

    kind_table_parse(&want.kinds, "like,sad", NULL, 0);
    side.dir = spool_producer_open(temp_path("spool"), &want, error, sizeof error);
    require(side.dir != NULL, "%s", error);
    side.asleep = (uint32_t *)(side.dir->edge.memory + 512);
    struct spool *dir = spool_consumer_open(temp_path("spool"), &retry, error, sizeof error);
    require(dir != NULL, "%s", error);
    assert_int_equal(spool_consumer_ring(dir, 0, &memory, &bytes, &identity, error, sizeof error),
                     1);
    assert_int_equal(ring_consumer_open(&consumer, memory, bytes, error, sizeof error), 0);

    assert_int_equal(pthread_create(&thread, NULL, produce, &side), 0);
    while (n < RECORDS) {
        struct record record;
        int got = ring_consumer_next(&consumer, &record);
        if (got == 1) {
            require(record.sequence == n && record.reader == n && record.stamp == n &&
                        record.kind == n % 16 && record.article_bytes == 21 &&
                        memcmp(record.article, "world/migrant-caravan", 21) == 0,
                    "record %llu", (unsigned long long)n);
            n++;
            if (n % 50 == 0)
                ring_consumer_applied(&consumer, consumer.next);
            continue;
        }
        require(got == 0, "record %llu", (unsigned long long)n);
        ring_consumer_applied(&consumer, consumer.next);
        if (!sleep_until_woken(dir, memory, consumer.next, &sleeps)) {
            __atomic_store_n(&side.failed, true, __ATOMIC_RELAXED);
            require(false, "missed wake-up after %llu records", (unsigned long long)n);
        }
    }
    pthread_join(thread, NULL);
    assert_int_equal(ring_write_position(memory), consumer.next);
    assert_true(sleeps > RECORDS / PAUSE_EVERY / 2);
    print_message("%llu sleeps\n", (unsigned long long)sleeps);
    spool_free(dir);
    spool_free(side.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(misses_no_wake_up_and_loses_nothing, temp_setup,
                                        temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

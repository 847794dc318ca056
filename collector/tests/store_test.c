#include "unit.h"

#include "store.h"
#include "store_call.h"

static const uint64_t HERE = 0x9b1d000000000001, ELSEWHERE = 0x9b1d000000000002;

static void field(struct store *store, const char *name, const char *value)
{
    store_field(store, name, strlen(name), value, strlen(value));
}

static struct store a_store(void)
{
    struct store store;
    store_init(&store);
    field(&store, "id", "9b1d000000000001");
    field(&store, "format", "1");
    field(&store, "shards", "8");
    field(&store, "key", "0102030405060708");
    field(&store, "split", "40");
    field(&store, "kind:like", "1");
    field(&store, "kind:sad", "2");
    return store;
}

static struct ring_identity a_ring(const char *kinds)
{
    struct ring_identity ring = {.shard = 3, .shards = 8, .ring_id = 5};
    for (int i = 0; i < RING_FINGERPRINT_BYTES; i++)
        ring.fingerprint[i] = (unsigned char)(i + 1);
    assert_int_equal(kind_table_parse(&ring.kinds, kinds, NULL), 0);
    return ring;
}

static struct store_rings rings_of(const char *kinds, uint64_t applied)
{
    struct store_rings rings;
    struct ring_identity ring = a_ring(kinds);
    store_rings_init(&rings);
    store_rings_add(&rings, &ring, 0, 0 != 0);
    store_rings_add(&rings, &ring, applied, applied != 0);
    return rings;
}

static void judge(const struct store *store, const struct store_rings *rings, bool adopt,
                  enum store_verdict want, const char *word)
{
    struct error why;
    enum store_verdict verdict = store_judge(store, rings, adopt, &why);
    require(verdict == want, "verdict %d, not %d (%s)", verdict, want, why.text);
    require(strstr(why.text, word) != NULL, "%s does not say %s", why.text, word);
    assert_int_equal(why.text[0] == '\0', want != STORE_HOLD);
}

/* DESIGN's first row: another store, or none, where the ring has applied before. */
static void test_another_store_or_none(void **state)
{
    (void)state;
    struct store none, store = a_store();
    store_init(&none);
    struct store_rings fresh = rings_of("like,sad", 0), own = rings_of("like,sad", HERE),
                       foreign = rings_of("like,sad", ELSEWHERE);
    judge(&none, &fresh, false, STORE_MAKE, "");
    judge(&none, &own, false, STORE_HOLD, "--adopt");
    judge(&none, &own, true, STORE_MAKE, "");
    judge(&store, &fresh, false, STORE_SERVE, "");
    judge(&store, &own, false, STORE_SERVE, "");
    judge(&store, &foreign, false, STORE_HOLD, "--adopt");
    judge(&store, &foreign, true, STORE_SERVE, "");
}

static void test_rings_of_several_stores(void **state)
{
    (void)state;
    struct store store = a_store();
    struct store_rings rings = rings_of("like", HERE);
    struct ring_identity ring = a_ring("like");
    store_rings_add(&rings, &ring, ELSEWHERE, ELSEWHERE != 0);
    judge(&store, &rings, false, STORE_HOLD, "--adopt");
    judge(&store, &rings, true, STORE_SERVE, "");
}

static void test_what_no_adoption_mends(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *word;
    } rows[] = {
        {"format", "2", "format 2"},
        {"shards", "16", "16 shards"},
        {"key", "ffffffffffffffff", "key"},
        {"id", "", "id"},
        {"split", "x", "split"},
    };
    struct store_rings rings = rings_of("like", HERE);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct store store = a_store();
        field(&store, rows[i].name, rows[i].value);
        judge(&store, &rings, false, STORE_HOLD, rows[i].word);
        judge(&store, &rings, true, STORE_HOLD, rows[i].word);
    }
}

static void test_rings_that_do_not_agree(void **state)
{
    (void)state;
    struct store store = a_store();
    struct ring_identity ring = a_ring("like");
    struct store_rings rings = rings_of("like", 0);
    ring.fingerprint[7]++;
    store_rings_add(&rings, &ring, 0, 0 != 0);
    judge(&store, &rings, true, STORE_HOLD, "keys");
    rings = rings_of("like", 0);
    ring = a_ring("like");
    ring.shards = 4;
    store_rings_add(&rings, &ring, 0, 0 != 0);
    judge(&store, &rings, true, STORE_HOLD, "shards");
    store_rings_init(&rings);
    judge(&store, &rings, true, STORE_HOLD, "no rings");
}

static void test_kinds(void **state)
{
    (void)state;
    struct store none, store = a_store();
    store_init(&none);
    struct store_rings rings = rings_of("sad,wow", HERE);
    judge(&store, &rings, false, STORE_KINDS, "");
    rings = rings_of("a,b,c,d,e,f,g,h,i,j,k,l,m", 0); /* 13 and the store's 2: all there can be */
    judge(&store, &rings, false, STORE_KINDS, "");
    rings = rings_of("a,b,c,d,e,f,g,h,i,j,k,l,m,n", 0);
    judge(&store, &rings, false, STORE_HOLD, "kind");
    judge(&none, &rings, false, STORE_MAKE, "");
    /* Two rings of different configurations, more than 15 together. */
    struct ring_identity more = a_ring("o,p");
    store_rings_add(&rings, &more, 0, 0 != 0);
    judge(&none, &rings, false, STORE_HOLD, "kind");
    /* An id that was given stays given, though the one before it is unknown. */
    field(&store, "kind:zeal", "15");
    rings = rings_of("like,wow", 0);
    judge(&store, &rings, false, STORE_HOLD, "wow");
}

static void test_maps_kinds_by_name(void **state)
{
    (void)state;
    struct store store = a_store();
    struct ring_identity ring = a_ring("sad,like");
    uint8_t ids[KIND_MAX + 1];
    assert_int_equal(store_map(&store, &ring.kinds, ids), 0);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 1);
    assert_string_equal(store_kind(&store, 0), "none");
    assert_string_equal(store_kind(&store, 2), "sad");
    assert_string_equal(store_kind(&store, 3), "");
    assert_string_equal(store_kind(&store, 200), "");
    ring = a_ring("sad,wow");
    assert_int_equal(store_map(&store, &ring.kinds, ids), -1);
}

static void test_leaves_out_what_is_no_field(void **state)
{
    (void)state;
    struct store store = a_store();
    field(&store, "kind:none", "3");
    field(&store, "kind:UPPER", "3");
    field(&store, "kind:zero", "0");
    field(&store, "kind:many", "16");
    field(&store, "kind:", "3");
    field(&store, "kind", "3");
    field(&store, "other", "a value that is longer than any of ours is");
    field(&store, "key", "a value that is longer than any of ours is");
    assert_int_equal(store.kinds, 2);
    assert_string_equal(store.key, "0102030405060708");
}

static void recall(const struct store *known, const struct store *now, bool strict,
                   enum store_verdict want, const char *word)
{
    struct error why = {""};
    enum store_verdict verdict = store_recall(known, now, strict, &why);
    require(verdict == want, "verdict %d, not %d (%s)", verdict, want, why.text);
    require(strstr(why.text, word) != NULL, "%s does not say %s", why.text, word);
}

/* A kind that a failover took back is found missing. If another kind has its id by now, that is
 * more than a gap. */
static void test_kinds_that_were_known(void **state)
{
    (void)state;
    struct store known = a_store(), now = a_store(), none;
    store_init(&none);
    recall(&none, &now, true, STORE_SERVE, "");
    recall(&known, &now, true, STORE_SERVE, "");
    field(&now, "kind:wow", "3"); /* another edge's */
    recall(&known, &now, true, STORE_SERVE, "");
    field(&known, "kind:wow", "3");
    field(&known, "kind:meh", "4");
    recall(&known, &now, true, STORE_KINDS, "");
    field(&now, "kind:bah", "4");
    recall(&known, &now, false, STORE_SERVE, "");
    recall(&known, &now, true, STORE_HOLD, "kind meh had the id 4, which is bah's now");
    field(&now, "id", "9b1d000000000002"); /* another store assigns its own ids */
    recall(&known, &now, true, STORE_SERVE, "");
}

static void test_a_placed_store(void **state)
{
    (void)state;
    struct store store = a_store();
    assert_true(store.placed == 0 && !store_placed(&store));
    field(&store, "placed", "0");
    assert_false(store_placed(&store));
    field(&store, "placed", "1");
    assert_true(store_placed(&store));
}

static void test_placed_shards(void **state)
{
    static const char *const not_shards[] = {"placed:", "placed:64", "placed:x", "placed:-1",
                                             "placed:4294967296"};
    (void)state;
    struct store store = a_store();
    for (size_t i = 0; i < COUNT_OF(not_shards); i++)
        field(&store, not_shards[i], "1");
    assert_true(store.placed == 0);
    field(&store, "placed:0", "1");
    field(&store, "placed:5", "1");
    assert_true(store.placed == 0x21 && !store_placed(&store));
    for (unsigned i = 0; i < store.shards; i++) {
        char name[24];
        snprintf(name, sizeof name, "placed:%u", i);
        assert_false(store_placed(&store) && i == 0);
        field(&store, name, "1");
    }
    assert_true(store_placed(&store));
}

static void test_shards_that_were_applied_to(void **state)
{
    struct ring_identity ring = {.shards = 8, .shard = 3};
    struct store_rings rings;
    (void)state;
    store_rings_init(&rings);
    store_rings_add(&rings, &ring, 0, true); /* to no store */
    ring.shard = 4;
    store_rings_add(&rings, &ring, HERE, false); /* nothing yet */
    assert_true(rings.applied_shards == 0);
    ring.shard = 5;
    store_rings_add(&rings, &ring, HERE, true);
    assert_true(rings.applied_shards == 1 << 5 && rings.applied == HERE);
}

static void words_are(const struct store_call *call, const char *const *want, size_t n)
{
    assert_int_equal(call->n, n);
    assert_string_equal(call->word[0], "EVAL");
    for (size_t i = 2; i < n; i++)
        require(strcmp(call->word[i], want[i]) == 0, "word %zu is %s", i, call->word[i]);
}

static void test_packs_what_the_script_reads(void **state)
{
    (void)state;
    static const char *const kept[] = {"EVAL",
                                       "",
                                       "1",
                                       "t:store",
                                       "9b1d000000000001",
                                       "keep",
                                       "8",
                                       "0102030405060708",
                                       "36",
                                       "like:1",
                                       "sad:2",
                                       "like",
                                       "wow"};
    static const char *const made[] = {
        "EVAL", "",     "1",  "t:store", "9b1d000000000002", "make", "8", "0102030405060708",
        "36",   "like", "wow"};
    static const char *const placed[] = {"EVAL",   "",  "1", "t:store", "9b1d000000000001",
                                         "placed", "0", "2", "63"};
    struct store_call call;
    struct store known = a_store();
    struct store_rings rings = rings_of("like,wow", 0);
    store_call_pack(&call, STORE_CALL_KEEP, "t:", HERE, &known, &rings);
    words_are(&call, kept, COUNT_OF(kept));
    store_call_pack(&call, STORE_CALL_MAKE, "t:", ELSEWHERE, &known, &rings);
    words_are(&call, made, COUNT_OF(made));
    store_call_placed(&call, "t:", HERE, UINT64_C(1) << 63 | 5);
    words_are(&call, placed, COUNT_OF(placed));
    store_call_placed(&call, "t:", HERE, UINT64_MAX);
    assert_int_equal(call.n, STORE_CALL_WORDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_store_or_none),
        cmocka_unit_test(test_rings_of_several_stores),
        cmocka_unit_test(test_what_no_adoption_mends),
        cmocka_unit_test(test_rings_that_do_not_agree),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_maps_kinds_by_name),
        cmocka_unit_test(test_leaves_out_what_is_no_field),
        cmocka_unit_test(test_kinds_that_were_known),
        cmocka_unit_test(test_a_placed_store),
        cmocka_unit_test(test_placed_shards),
        cmocka_unit_test(test_shards_that_were_applied_to),
        cmocka_unit_test(test_packs_what_the_script_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

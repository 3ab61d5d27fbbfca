// SPDX-License-Identifier: Apache-2.0
// The store: order, replacement, borrowing; and what an object costs.
#include "watch_internal.h"

#include "testkit/test.h"

static json_t *thing(int value)
{
    return json_pack("{s:i}", "value", value);
}

static void put(struct store *store, const char *key, int value)
{
    AUTO_JSON json_t *kept = thing(value);
    AUTO_MEM char *version = str_format("%d", value);
    store_put(store, key, kept, slice_of(""), version);
}

TEST(keeps_order_whatever_the_order_of_arrival)
{
    struct loop *loop = loop_new();
    struct store *store = store_new(loop, false);
    const char *keys[] = {"m", "a", "z", "b", "y", "m", "a/b", "a-b"};
    for (int i = 0; i < (int)COUNT(keys); i++)
        put(store, keys[i], i);
    const char *want[] = {"a", "a-b", "a/b", "b", "m", "y", "z"};
    CHECK_INT(store->len, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++)
        CHECK_STR(store_key(store->entries[i]), want[i]);
    CHECK_STR(store_version(store_find(store, "m")), "5");
    store_remove(store, store_find(store, "m"));
    CHECK(store_find(store, "m") == NULL);
    CHECK(store_find(store, "") == NULL);
    store_free(store);
    loop_free(loop);
}

static void on_stop(void *owner)
{
    loop_stop(owner);
}

TEST(what_is_borrowed_lives_until_the_next_turn)
{
    struct loop *loop = loop_new();
    struct store *store = store_new(loop, false);
    put(store, "a", 1);
    const json_t *first = store_borrow(store, store_find(store, "a"));
    put(store, "a", 2);
    CHECK_INT(doc_int(first, 0, "value", NULL), 1); // replaced, and still there
    CHECK_INT(doc_int(store_borrow(store, store_find(store, "a")), 0, "value", NULL), 2);
    store_remove(store, store_find(store, "a"));
    CHECK_INT(doc_int(first, 0, "value", NULL), 1);
    CHECK_INT(json_array_size(store->borrowed), 2);
    struct op *op = loop_sleep(loop, 10, on_stop, loop);
    CHECK(op != NULL);
    loop_run(loop);
    CHECK_INT(json_array_size(store->borrowed), 0);
    store_free(store);
    loop_free(loop);
}

static json_t *node_of(const char *name, const char *said)
{
    return json_pack("{s:{s:s}, s:[{s:s, s:{s:b}}, s]}", "metadata", "name", name, "components",
                     "state", said, "gates", "A", 1, "text");
}

static const json_t *put_tree(struct store *store, const char *key, const char *said)
{
    AUTO_JSON json_t *kept = node_of(key, said);

    return store_borrow(store, store_put(store, key, kept, slice_of(""), said));
}

TEST(where_trees_are_kept_equal_elements_of_lists_are_one_and_what_was_borrowed_lives_on)
{
    struct loop *loop = loop_new();
    struct store *store = store_new(loop, true);
    const json_t *a = put_tree(store, "a", "same"), *b = put_tree(store, "b", "same");
    const json_t *c = put_tree(store, "c", "other");
    AUTO_JSON json_t *want = node_of("a", "same");
    CHECK(doc_equal(a, want));
    CHECK(doc_get(a, "components", "0", NULL) == doc_get(b, "components", "0", NULL));
    CHECK(doc_get(a, "components", "0", NULL) != doc_get(c, "components", "0", NULL));
    CHECK(store_borrow(store, store_find(store, "a")) == a); // no copy for each look
    (void)put_tree(store, "a", "newer");
    store_remove(store, store_find(store, "b"));
    CHECK(doc_equal(a, want));
    CHECK_STR(doc_str(b, "components", "0", "state", NULL), "same");
    store_free(store);
    loop_free(loop);
}

// Each element of its own makes room and goes with its object.
TEST(elements_that_nobody_holds_any_more_go)
{
    struct shares *shares = shares_new();
    AUTO_JSON json_t *kept = NULL;
    for (int i = 0; i < 10000; i++) {
        AUTO_MEM char *said = str_format("%d", i % 5000);
        AUTO_JSON json_t *tree = node_of("a", said);
        json_decref(kept);
        kept = shares_copy(shares, tree);
        CHECK(doc_equal(kept, tree));
    }
    CHECK(shares_count(shares) < 200);
    shares_free(shares);
    CHECK_STR(doc_str(kept, "components", "0", "state", NULL), "4999");
}

// Whoever writes them: what is looked for in vain is kept beside, and no look is long.
TEST(elements_that_want_one_place_are_kept_all_the_same)
{
    struct shares *shares = shares_new();
    json_t *kept[1000];
    for (size_t i = 0; i < COUNT(kept); i++) {
        AUTO_JSON json_t *tree = json_pack("[{s:I}]", "n", (json_int_t)i << 40);
        kept[i] = shares_copy(shares, tree);
        CHECK(doc_equal(kept[i], tree));
    }
    for (size_t i = 0; i < COUNT(kept); i++) {
        CHECK_INT(doc_int(kept[i], 0, "0", "n", NULL), (int64_t)i << 40);
        json_decref(kept[i]);
    }
    shares_free(shares);
}

TEST(trees_have_so_many_bytes_and_room_again_when_one_goes)
{
    struct loop *loop = loop_new();
    struct store *store = store_new(loop, true);
    store->bytes_max = 4000;
    size_t put = 0;
    for (char key[] = "a"; key[0] <= 'z'; key[0]++) {
        AUTO_JSON json_t *kept = node_of(key, key);
        put += store_put(store, key, kept, slice_of(""), "1") != NULL;
    }
    CHECK(put > 1 && put < 26 && put == store->len && store->bytes <= 4000);
    store->bytes_max = store->bytes;
    AUTO_JSON json_t *more =
        node_of("more", "a long text, and so no room for it: ................");
    AUTO_JSON json_t *less = json_object();
    CHECK(store_put(store, "more", more, slice_of(""), "1") == NULL);
    CHECK(store_put(store, "a", more, slice_of(""), "2") == NULL);
    CHECK_STR(store_version(store_find(store, "a")), "1"); // as it was
    CHECK(store_put(store, "a", less, slice_of(""), "2") != NULL);
    store_remove(store, store_find(store, "b"));
    CHECK(store_put(store, "more", more, slice_of(""), "1") != NULL);
    store_free(store);
    loop_free(loop);
}

TEST(a_thousand_in_random_order)
{
    struct loop *loop = loop_new();
    struct store *store = store_new(loop, false);
    rand_seed(7);
    bool there[1000] = {false};
    size_t count = 0;
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)rand_below(COUNT(there));
        AUTO_MEM char *key = str_format("ns/%zu", n);
        if (rand_below(3) > 0) {
            count += !there[n];
            there[n] = true;
            put(store, key, i);
        } else if (there[n]) {
            count--;
            there[n] = false;
            store_remove(store, store_find(store, key));
        }
        CHECK_INT(store->len, count);
    }
    for (size_t n = 0; n < COUNT(there); n++) {
        AUTO_MEM char *key = str_format("ns/%zu", n);
        CHECK((store_find(store, key) != NULL) == there[n]);
    }
    store_free(store);
    loop_free(loop);
}

TEST_MAIN()

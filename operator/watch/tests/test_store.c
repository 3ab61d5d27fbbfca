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
    struct store *store = store_new(loop);
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
    struct store *store = store_new(loop);
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

TEST(a_thousand_in_random_order)
{
    struct loop *loop = loop_new();
    struct store *store = store_new(loop);
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

// SPDX-License-Identifier: Apache-2.0
// Elements of lists that are equal in many objects are kept once: what the agents of a thousand
// nodes report of their kubelets is a handful of texts.
#include "watch_internal.h"

#define ROOM_MIN 64

struct shares {
    json_t **slots; // open addressing; NULL: free
    size_t room, len;
};

struct shares *shares_new(void)
{
    return NEW(struct shares);
}

void shares_free(struct shares *shares)
{
    if (!shares)
        return;
    for (size_t i = 0; i < shares->room; i++)
        json_decref(shares->slots[i]);
    mem_free(shares->slots);
    mem_free(shares);
}

size_t shares_count(const struct shares *shares)
{
    return shares->len;
}

static uint64_t hash_of(const json_t *tree, uint64_t seed)
{
    const char *key;
    json_t *value;
    size_t i;
    uint64_t hash = (seed ^ (uint64_t)json_typeof(tree)) * 1099511628211U;

    if (json_is_string(tree))
        return slice_hash((struct slice){json_string_value(tree), json_string_length(tree)}, hash);
    if (json_is_integer(tree))
        return hash ^ (uint64_t)json_integer_value(tree);
    json_array_foreach((json_t *)(uintptr_t)tree, i, value)
        hash = hash_of(value, hash);
    // Members have an order of their own in each object: it must not count.
    json_object_foreach((json_t *)(uintptr_t)tree, key, value)
        hash += hash_of(value, slice_hash(slice_of(key), seed));
    return hash;
}

static size_t place_of(const struct shares *shares, const json_t *tree)
{
    size_t at = (size_t)hash_of(tree, 0) & (shares->room - 1);

    while (shares->slots[at] && !json_equal(shares->slots[at], tree))
        at = (at + 1) & (shares->room - 1);
    return at;
}

// Those that nobody holds any more go when there is no room; then it is made.
static void make_room(struct shares *shares)
{
    struct shares was = *shares;
    size_t left = 0;

    if ((shares->len + 1) * 2 <= shares->room)
        return;
    for (size_t i = 0; i < was.room; i++)
        left += was.slots[i] && was.slots[i]->refcount > 1;
    shares->room = ROOM_MIN;
    while (shares->room < (left + 1) * 4)
        shares->room *= 2;
    shares->slots = mem_alloc(shares->room * sizeof(*shares->slots));
    shares->len = left;
    for (size_t i = 0; i < was.room; i++) {
        if (was.slots[i] && was.slots[i]->refcount > 1)
            shares->slots[place_of(shares, was.slots[i])] = was.slots[i];
        else
            json_decref(was.slots[i]);
    }
    mem_free(was.slots);
}

// A new reference to the one that is equal.
static json_t *share(struct shares *shares, const json_t *element)
{
    size_t at;

    make_room(shares);
    at = place_of(shares, element);
    if (!shares->slots[at]) {
        shares->slots[at] = doc_copy(element);
        shares->len++;
    }
    return json_incref(shares->slots[at]);
}

json_t *shares_copy(struct shares *shares, const json_t *tree)
{
    json_t *made;
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_object(tree)) {
        made = json_object();
        json_object_foreach((json_t *)(uintptr_t)tree, key, value)
            json_object_set_new(made, key, shares_copy(shares, value));
        return made;
    }
    if (!json_is_array(tree))
        return doc_copy(tree);
    made = json_array();
    json_array_foreach((json_t *)(uintptr_t)tree, i, value)
        json_array_append_new(made, json_is_object(value) ? share(shares, value)
                                                          : shares_copy(shares, value));
    return made;
}

// SPDX-License-Identifier: Apache-2.0
// Elements of lists that are equal in many objects are kept once: what the agents of a thousand
// nodes report of their kubelets is a handful of texts.
#include <string.h>

#include "watch_internal.h"

#define TREE_BYTES 240 // of an object or a list
#define MEMBER_BYTES 80
#define STRING_BYTES 56
#define ROOM_MIN 64
#define LOOKS_MAX 16 // for a place: who writes the elements may want them all in one

struct shares {
    json_t **slots; // open addressing; NULL: free
    size_t room, len;
    uint64_t seed;
};

struct shares *shares_new(void)
{
    struct shares *shares = NEW(struct shares);

    shares->seed = rand_u64();
    return shares;
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

size_t shares_bytes(const json_t *tree)
{
    const char *key;
    json_t *value;
    size_t i, bytes = json_is_string(tree) ? STRING_BYTES + json_string_length(tree) : 0;

    if (json_is_object(tree) || json_is_array(tree))
        bytes = TREE_BYTES;
    json_array_foreach((json_t *)(uintptr_t)tree, i, value)
        bytes += sizeof(value) + shares_bytes(value);
    json_object_foreach((json_t *)(uintptr_t)tree, key, value)
        bytes += MEMBER_BYTES + strlen(key) + shares_bytes(value);
    return bytes;
}

static uint64_t hash_of(const json_t *tree, uint64_t seed)
{
    const char *key;
    json_t *value;
    size_t i;
    uint64_t hash = (seed ^ (uint64_t)json_typeof(tree)) * 1099511628211U;

    if (json_is_string(tree))
        return slice_hash((struct slice){json_string_value(tree), json_string_length(tree)}, hash);
    if (json_is_integer(tree)) {
        json_int_t number = json_integer_value(tree);

        return slice_hash((struct slice){(const char *)&number, sizeof(number)}, hash);
    }
    json_array_foreach((json_t *)(uintptr_t)tree, i, value)
        hash = hash_of(value, hash);
    // Members have an order of their own in each object: it must not count.
    json_object_foreach((json_t *)(uintptr_t)tree, key, value)
        hash += hash_of(value, slice_hash(slice_of(key), seed));
    return hash;
}

// Where tree is, or may go; NULL: there are too many others.
static json_t **place_of(const struct shares *shares, const json_t *tree)
{
    size_t at = (size_t)hash_of(tree, shares->seed);

    for (size_t i = 0; i < LOOKS_MAX; i++) {
        json_t **slot = &shares->slots[(at + i) & (shares->room - 1)];

        if (!*slot || json_equal(*slot, tree))
            return slot;
    }
    return NULL;
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
    shares->len = 0;
    for (size_t i = 0; i < was.room; i++) {
        json_t *kept = was.slots[i];
        json_t **place = kept && kept->refcount > 1 ? place_of(shares, kept) : NULL;

        if (place) {
            *place = kept;
            shares->len++;
        } else {
            json_decref(kept);
        }
    }
    mem_free(was.slots);
}

// A new reference to the one that is equal.
static json_t *share(struct shares *shares, const json_t *element)
{
    json_t **place;

    make_room(shares);
    place = place_of(shares, element);
    if (place && *place)
        return json_incref(*place);
    if (!place)
        return doc_copy(element);
    *place = doc_copy(element);
    shares->len++;
    return json_incref(*place);
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

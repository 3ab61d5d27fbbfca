// SPDX-License-Identifier: Apache-2.0
// The store of a watch: a sorted array of texts. Lists come sorted, so filling it appends; a change
// moves pointers at worst.
#include "watch_internal.h"

#include <string.h>

struct store *store_new(struct loop *loop, bool trees)
{
    struct store *store = NEW(struct store);
    store->loop = loop;
    store->shares = trees ? shares_new() : NULL;
    store->borrowed = json_array();
    store->turn = 1;
    return store;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    store->release = op_drop(store->release);
    for (size_t i = 0; i < store->len; i++) {
        if (store->shares)
            json_decref(store->entries[i]->tree);
        mem_free(store->entries[i]);
    }
    mem_free(store->entries);
    json_decref(store->borrowed);
    shares_free(store->shares);
    mem_free(store);
}

static void on_release(void *owner)
{
    struct store *store = owner;
    store->release = NULL;
    store->turn++;
    json_array_clear(store->borrowed);
}

static void hold_for_turn(struct store *store, json_t *take_tree)
{
    json_array_append_new(store->borrowed, take_tree);
    if (!store->release)
        store->release = loop_defer(store->loop, on_release, store);
}

static void entry_free(struct store *store, struct store_entry *entry)
{
    if (store->shares)
        hold_for_turn(store, entry->tree);
    store->bytes -= entry->tree_bytes;
    mem_free(entry);
}

// False: there is no room for more than the one that it replaces (NULL: none) takes.
static bool put_tree(struct store *store, struct store_entry *entry, const json_t *kept,
                     const struct store_entry *was)
{
    size_t was_bytes = was ? was->tree_bytes : 0;
    entry->tree_bytes = shares_bytes(kept);
    if (store->bytes_max > 0 && entry->tree_bytes > was_bytes &&
        store->bytes - was_bytes + entry->tree_bytes > store->bytes_max)
        return false;
    entry->tree = shares_copy(store->shares, kept);
    store->bytes += entry->tree_bytes;
    return true;
}

const char *store_key(const struct store_entry *entry)
{
    return entry->bytes;
}

const char *store_version(const struct store_entry *entry)
{
    return entry->bytes + entry->version_at;
}

// The index of key, or of where it belongs.
static size_t place_of(const struct store *store, const char *key, bool *ret_there)
{
    size_t low = 0, high = store->len;
    *ret_there = false;
    if (high > 0 && strcmp(store_key(store->entries[high - 1]), key) < 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(store_key(store->entries[middle]), key);
        if (order == 0) {
            *ret_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct store_entry *store_find(const struct store *store, const char *key)
{
    bool there;
    size_t place = place_of(store, key, &there);
    return there ? store->entries[place] : NULL;
}

static struct store_entry *entry_new(const char *key, struct slice text, const char *version)
{
    size_t key_bytes = strlen(key) + 1, version_bytes = strlen(version) + 1;
    struct store_entry *entry =
        mem_alloc(sizeof(*entry) + key_bytes + version_bytes + text.len + 1);
    entry->version_at = (uint32_t)key_bytes;
    entry->text_at = (uint32_t)(key_bytes + version_bytes);
    memcpy(entry->bytes, key, key_bytes);
    memcpy(entry->bytes + entry->version_at, version, version_bytes);
    memcpy(entry->bytes + entry->text_at, text.ptr, text.len);
    return entry;
}

static void insert_at(struct store *store, size_t place, struct store_entry *entry)
{
    if (store->len == store->room) {
        store->room = store->room ? store->room + store->room / 2 + 1 : 16;
        store->entries = mem_realloc(store->entries, store->room * sizeof(struct store_entry *));
    }
    memmove(store->entries + place + 1, store->entries + place,
            (store->len - place) * sizeof(struct store_entry *));
    store->entries[place] = entry;
    store->len++;
}

struct store_entry *store_put(struct store *store, const char *key, const json_t *kept,
                              struct slice text, const char *version)
{
    AUTO_MEM char *printed = !store->shares && text.len == 0 ? doc_print_json(kept) : NULL;
    struct store_entry *entry = entry_new(key,
                                          store->shares ? slice_of("")
                                          : printed     ? slice_of(printed)
                                                        : text,
                                          version);
    bool there;
    size_t place = place_of(store, key, &there);
    if (store->shares && !put_tree(store, entry, kept, there ? store->entries[place] : NULL)) {
        mem_free(entry);
        return NULL;
    }
    if (there) {
        entry->round = store->entries[place]->round;
        entry->facet = store->entries[place]->facet;
        entry_free(store, store->entries[place]);
        store->entries[place] = entry;
    } else {
        insert_at(store, place, entry);
    }
    return entry;
}

struct slice store_text(const struct store_entry *entry)
{
    return slice_of(entry->bytes + entry->text_at);
}

void store_remove(struct store *store, struct store_entry *entry)
{
    bool there;
    size_t place = place_of(store, store_key(entry), &there);
    ASSERT(there && store->entries[place] == entry); // foreign: the store's own order
    entry_free(store, entry);
    store->len--;
    memmove(store->entries + place, store->entries + place + 1,
            (store->len - place) * sizeof(struct store_entry *));
}

json_t *store_parse(const struct store *store, const struct store_entry *entry)
{
    json_t *tree = NULL;
    if (store->shares)
        return json_incref(entry->tree);
    AUTO(error) struct error *err = doc_parse_json(store_text(entry), store_key(entry), &tree);
    ASSERT(!err); // foreign: it was parsed before it was kept
    return tree;
}

void store_lend(struct store *store, struct store_entry *entry, json_t *tree)
{
    if (store->shares)
        return;
    entry->tree = tree;
    entry->turn = store->turn;
    hold_for_turn(store, json_incref(tree));
}

const json_t *store_borrow(struct store *store, struct store_entry *entry)
{
    if (store->shares || (entry->tree && entry->turn == store->turn))
        return entry->tree;
    AUTO_JSON json_t *tree = store_parse(store, entry);
    store_lend(store, entry, tree);
    return tree;
}

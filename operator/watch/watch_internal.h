// SPDX-License-Identifier: Apache-2.0
// The store: objects by key, each as one compact JSON text. A jansson tree costs about ten times
// its text; trees exist only for as long as somebody looks at them.
#pragma once

#include "drawbridge/watch.h"

struct store_entry {
    uint64_t facet; // 0 where the owner wants to hear of everything
    json_t *tree;   // valid while turn is the store's; owned by the store's list of the borrowed
    uint32_t turn;
    uint32_t round;       // of the last list that had it
    uint32_t noted_round; // of the last list that had begun when it was noted
    uint32_t version_at, text_at;
    bool noted;   // put there from the answer to our own write: older events are to be passed over
    char bytes[]; // key, NUL, metadata.resourceVersion, NUL, text, NUL
};

struct store {
    struct loop *loop;
    struct store_entry **entries; // sorted by key
    size_t len, room;
    json_t *borrowed; // trees given out in this turn
    uint32_t turn;
    struct op *release;
};

struct store *store_new(struct loop *loop);
void store_free(struct store *store);
const char *store_key(const struct store_entry *entry);
const char *store_version(const struct store_entry *entry);
struct store_entry *store_find(const struct store *store, const char *key);
// Replaces or adds; kept is printed, not held; text: what that would print, where it is at hand,
// else empty. The entry's round and facet are those of before (0 when new).
struct store_entry *store_put(struct store *store, const char *key, const json_t *kept,
                              struct slice text, const char *version);
void store_remove(struct store *store, struct store_entry *entry);
const json_t *store_borrow(struct store *store, struct store_entry *entry); // until the next turn
// a tree of the caller's own
json_t *store_parse(const struct store_entry *entry);

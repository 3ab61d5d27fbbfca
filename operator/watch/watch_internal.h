// SPDX-License-Identifier: Apache-2.0
// The store: objects by key, each as one compact JSON text. A jansson tree costs about ten times
// its text; trees exist only for as long as somebody looks at them. Of small objects that every
// pass looks at the trees are kept instead: to parse thousands of them costs more than all else.
#pragma once

#include "drawbridge/watch.h"

struct store_entry {
    uint64_t facet; // 0 where the owner wants to hear of everything
    // valid while turn is the store's, and owned by its list of the borrowed; where trees are kept:
    // the entry's own
    json_t *tree;
    uint32_t turn;
    uint32_t round;       // of the last list that had it
    uint32_t noted_round; // of the last list that had begun when it was noted
    size_t tree_bytes;    // where trees are kept
    uint32_t version_at, text_at;
    bool noted;   // put there from the answer to our own write: older events are to be passed over
    char bytes[]; // key, NUL, metadata.resourceVersion, NUL, text (of a tree: none), NUL
};

// --- share.c: equal elements of lists, kept once
struct shares;
struct shares *shares_new(void);
void shares_free(struct shares *shares); // those that are held elsewhere live on
// A copy of tree, in which objects that are elements of lists are shared with those of earlier
// copies. It may not be changed.
json_t *shares_copy(struct shares *shares, const json_t *tree);
// About what a tree takes that shares nothing: an object has room for eight members from the start
// (jansson 2.14).
size_t shares_bytes(const json_t *tree);
size_t shares_count(const struct shares *shares); // held by nobody else any more included

// --- store.c

struct store {
    struct loop *loop;
    struct store_entry **entries; // sorted by key
    size_t len, room;
    json_t *borrowed;        // trees given out in this turn, or replaced in it
    struct shares *shares;   // where trees are kept; NULL: texts are
    size_t bytes, bytes_max; // of trees; 0: as many as come
    uint32_t turn;
    struct op *release;
};

struct store *store_new(struct loop *loop, bool trees);
void store_free(struct store *store);
const char *store_key(const struct store_entry *entry);
const char *store_version(const struct store_entry *entry);
struct store_entry *store_find(const struct store *store, const char *key);
// Replaces or adds; kept is printed or copied, not held; text: what that would print, where it is
// at hand, else empty. The entry's round and facet are those of before (0 when new).
// NULL: there is no room for a tree, and what was there stays.
struct store_entry *store_put(struct store *store, const char *key, const json_t *kept,
                              struct slice text, const char *version);
struct slice store_text(const struct store_entry *entry);
void store_remove(struct store *store, struct store_entry *entry);
const json_t *store_borrow(struct store *store, struct store_entry *entry); // until the next turn
// The tree of what it keeps, at hand: the next to borrow it in this turn makes none.
void store_lend(struct store *store, struct store_entry *entry, json_t *tree);
// a reference of the caller's own to a tree that may be the store's: not to be changed
json_t *store_parse(const struct store *store, const struct store_entry *entry);

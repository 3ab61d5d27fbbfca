// SPDX-License-Identifier: Apache-2.0
// Private to site: what a codec is, and what it works on.
#pragma once

#include "drawbridge/site.h"

// A document: text whose other bytes stay, a tree, or bytes that are no YAML.
struct site_doc {
    const json_t *tree;    // of a text: that of the doc_text, until the next edit
    json_t *edited;        // of a tree: the same, owned; NULL: it is only read
    struct doc_text *text; // of a text that is edited
    char *bytes;           // of what is no YAML
    size_t len;
};
void site_doc_fini(struct site_doc *doc);
#define AUTO_SITE_DOC CLEANUP(site_doc_fini)
// The content of that place, to be edited.
struct error *site_doc_open(struct site_doc *doc, const struct site_place *place,
                            const struct site_content *content);
// What became of it: a text or a tree, the other one is NULL.
void site_doc_close(struct site_doc *doc, char **ret_text, json_t **ret_tree);
// Edits, as of doc_text. A map or a list that is not there is made by add and insert. No key of a
// pointer has ~ or / in it.
struct error *site_doc_set(struct site_doc *doc, const char *pointer, const json_t *value);
struct error *site_doc_add(struct site_doc *doc, const char *pointer, const char *key,
                           const json_t *value);
struct error *site_doc_insert(struct site_doc *doc, const char *pointer, size_t index,
                              const json_t *value);
struct error *site_doc_remove(struct site_doc *doc, const char *pointer);

// What is to be written: maps of name to value, and those whose names are to go.
struct site_change {
    const json_t *set_gates, *unset_gates, *set_runtime, *unset_runtime;
};
struct site_codec {
    bool plain; // no YAML
    struct error *(*read)(const struct site_place *place, const struct site_doc *doc,
                          struct gates_flags *ret_flags);
    struct error *(*write)(const struct site_place *place, struct site_doc *doc,
                           const struct site_change *change);
    // Of an argv in lists; NULL: of none.
    struct error *(*find)(const struct site_place *place, const json_t *tree,
                          struct site_container *ret_container);
    const char *list; // JSON pointer to the containers; NULL: the lists are where place->at is
};
struct error *site_argv_read(const struct site_place *place, const struct site_doc *doc,
                             struct gates_flags *ret_flags);
struct error *site_argv_write(const struct site_place *place, struct site_doc *doc,
                              const struct site_change *change);
struct error *site_argv_edits(const struct site_place *place, const json_t *argv,
                              const struct site_change *change, struct gates_edits *ret_edits);
// "/a/b" as people write it: "a.b", owned.
char *site_dotted(const char *pointer);

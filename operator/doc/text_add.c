// SPDX-License-Identifier: Apache-2.0
// The edits of the door: each finds its place, says what tree must come out, and lets the file for
// block or flow style write.

#include <string.h>

#include "doc_internal.h"

// --- what is wanted ------------------------------------------------------------------------------

// The node of the first depth steps in a tree that may be changed.
static json_t *reach(json_t *tree, const struct doc_place *place, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        const char *step = place->steps.items[i];
        size_t index = 0;
        tree = json_is_array(tree) && doc_step_index(step, &index) ? json_array_get(tree, index)
                                                                   : json_object_get(tree, step);
        ASSERT(tree != NULL); // foreign: doc_text_find() found these steps in the same tree
    }
    return tree;
}

// Puts value (NULL: nothing) where the first depth steps of place lead to.
static void replace(json_t **tree, const struct doc_place *place, size_t depth, json_t *take_value)
{
    if (depth == 0) {
        json_decref(*tree);
        *tree = take_value;
        return;
    }
    json_t *parent = reach(*tree, place, depth - 1);
    const char *step = place->steps.items[depth - 1];
    size_t index = 0;
    if (json_is_object(parent) && take_value != NULL) {
        json_object_set_new(parent, step, take_value);
    } else if (json_is_object(parent)) {
        json_object_del(parent, step);
    } else if (doc_step_index(step, &index) && take_value != NULL) {
        json_array_set_new(parent, index, take_value);
    } else {
        json_array_remove(parent, index);
    }
}

// --- adding --------------------------------------------------------------------------------------

void doc_text_add_lines(const struct doc_text *doc, size_t pos, char *take_lines,
                        struct doc_edit *edit)
{
    const char *newline = doc_text_newline(doc, pos);
    AUTO_MEM char *lines = take_lines;
    bool unfinished = pos == doc->len && pos > doc->base && doc->bytes[pos - 1] != '\n';
    if (!unfinished) {
        doc_edit_add(edit, pos, pos, TAKE(lines));
        return;
    }
    // The text goes on having no final line break.
    ASSERT(str_ends(lines, newline));
    lines[strlen(lines) - strlen(newline)] = '\0';
    doc_edit_add(edit, pos, pos, str_format("%s%s", newline, lines));
}

// value wrapped in a mapping for each step that is not there.
static json_t *wrap_missing(const struct doc_place *place, json_t *take_value)
{
    for (size_t i = place->steps.len; i > place->found; i--) {
        json_t *wrapped = json_object();
        json_object_set_new(wrapped, place->steps.items[i - 1], take_value);
        take_value = wrapped;
    }
    return take_value;
}

// A document with nothing in it: the lines go to its end.
static struct error *fill_document(struct doc_text *doc, const json_t *content,
                                   struct doc_edit *edit)
{
    struct doc_layout layout = doc->layout;
    layout.newline = doc_text_newline(doc, doc->len);
    AUTO_BUF struct buf b = doc_text_buf();
    doc_emit_block(&b, content, 0, false, &layout);
    if (b.overflow) {
        return doc_error(doc->name, 1, 1, "would become larger than %zu bytes", DOC_BYTES_MAX);
    }
    doc_text_add_lines(doc, doc->len, buf_take(&b), edit);
    return NULL;
}

// A null gives way to a collection: "key:" gets its lines, "key: null" becomes flow style.
static struct error *fill_null(struct doc_text *doc, const struct doc_place *place,
                               const json_t *content, struct doc_edit *edit)
{
    const struct doc_node *node = doc_text_node(doc, place->node);
    AUTO_BUF struct buf b = doc_text_buf();
    if (node->content < node->end) {
        doc_emit_flow(&b, content, doc->layout.quote);
        doc_edit_add(edit, node->content, node->end, buf_take(&b));
        return NULL;
    }
    if (place->parent == DOC_NONE) {
        return fill_document(doc, content, edit);
    }
    const struct doc_node *parent = doc_text_node(doc, place->parent);
    struct doc_entry entry = doc_text_entry(doc, place->parent, place->index);
    bool explicit_key = entry.key == NULL || entry.start != entry.key->start;
    if (parent->flow || explicit_key || node->start != node->end) {
        return doc_text_refuse(doc, place->node, "there is no room for a value here");
    }
    struct doc_layout layout = doc->layout;
    layout.newline = doc_text_newline(doc, entry.end);
    size_t indent = doc_text_column(doc, entry.start) +
                    (json_is_array(content) ? layout.seq_offset : layout.step);
    doc_emit_block(&b, content, indent, false, &layout);
    doc_text_add_lines(doc, doc_text_line_after(doc, entry.end), buf_take(&b), edit);
    return NULL;
}

// The deepest node that is there must be able to take what is missing.
static struct error *add_missing(struct doc_text *doc, const struct doc_place *place,
                                 json_t *take_content)
{
    AUTO_JSON json_t *content = take_content;
    AUTO_JSON json_t *wanted = doc_copy(doc->tree);
    AUTO_EDIT struct doc_edit edit = {0};
    const json_t *there = reach(wanted, place, place->found);
    struct error *err = NULL;
    if (json_is_null(there)) {
        replace(&wanted, place, place->found, json_incref(content));
        err = place->node == DOC_NONE ? fill_document(doc, content, &edit)
                                      : fill_null(doc, place, content, &edit);
    } else if (json_is_object(there) && json_is_object(content)) {
        const char *key = json_object_iter_key(json_object_iter(content));
        const json_t *value = json_object_get(content, key);
        bool flow = doc_text_node(doc, place->node)->flow;
        size_t end = doc_text_count(doc, place->node);
        json_object_set_new(reach(wanted, place, place->found), key, doc_copy(value));
        err = flow ? doc_flow_insert(doc, place->node, end, key, value, &edit)
                   : doc_block_insert(doc, place->node, end, key, value, &edit);
    } else {
        return doc_text_refuse(doc, place->node,
                               "something else stands where a mapping or sequence is needed");
    }
    return err != NULL ? err : doc_text_commit(doc, &edit, wanted);
}

static struct error *find_own(const struct doc_text *doc, const char *pointer,
                              struct doc_place *ret_place)
{
    AUTO_PLACE struct doc_place place = {0};
    struct error *err = doc_text_find(doc, pointer, &place);
    if (err != NULL) {
        return err;
    }
    if (place.node != DOC_NONE && doc_text_node(doc, place.node)->kind == DOC_ALIAS) {
        return doc_text_refuse(
            doc, place.node, "an alias: what is changed here would change where its anchor stands");
    }
    *ret_place = place;
    place = (struct doc_place){0};
    return NULL;
}

static bool fits_key(const char *key)
{
    const size_t simple_key_max = 1000;
    return strlen(key) <= simple_key_max;
}

struct error *doc_text_add_key(struct doc_text *doc, const char *pointer, const char *key,
                               const json_t *value)
{
    AUTO_PLACE struct doc_place place = {0};
    struct error *err = find_own(doc, pointer, &place);
    if (err != NULL) {
        return err;
    }
    bool whole = place.found == place.steps.len;
    if (whole && json_object_get(reach(doc->tree, &place, place.found), key) != NULL) {
        return error_new(ERROR_CONFLICT, "%s: %s has the key \"%s\" already", doc->name, pointer,
                         key);
    }
    if (!fits_key(key)) {
        return error_new(ERROR_INVALID, "%s: a key of %zu bytes is too long", doc->name,
                         strlen(key));
    }
    json_t *content = json_object();
    if (json_object_set_new(content, key, doc_copy(value)) != 0) {
        json_decref(content);
        return error_new(ERROR_INVALID, "%s: a key is not UTF-8", doc->name);
    }
    return add_missing(doc, &place, wrap_missing(&place, content));
}

struct error *doc_text_insert(struct doc_text *doc, const char *pointer, size_t index,
                              const json_t *value)
{
    AUTO_PLACE struct doc_place place = {0};
    struct error *err = find_own(doc, pointer, &place);
    if (err != NULL) {
        return err;
    }
    bool whole = place.found == place.steps.len;
    const json_t *there = whole ? reach(doc->tree, &place, place.found) : NULL;
    size_t len = json_array_size(there);
    if (index > len) {
        return error_new(ERROR_INVALID, "%s: %s has %zu items, no place %zu", doc->name, pointer,
                         len, index);
    }
    if (!json_is_array(there)) {
        json_t *content = json_array();
        json_array_append_new(content, doc_copy(value));
        return add_missing(doc, &place, wrap_missing(&place, content));
    }
    AUTO_JSON json_t *wanted = doc_copy(doc->tree);
    json_array_insert_new(reach(wanted, &place, place.found), index, doc_copy(value));
    AUTO_EDIT struct doc_edit edit = {0};
    bool flow = doc_text_node(doc, place.node)->flow;
    err = flow ? doc_flow_insert(doc, place.node, index, NULL, value, &edit)
               : doc_block_insert(doc, place.node, index, NULL, value, &edit);
    return err != NULL ? err : doc_text_commit(doc, &edit, wanted);
}

// --- removing ------------------------------------------------------------------------------------

// Whether somewhere below the node stands an anchor that an alias elsewhere needs.
static bool holds_shared(const struct doc_text *doc, uint32_t node)
{
    const struct doc_node *n = doc_text_node(doc, node);
    bool shared = n->shared;
    for (uint32_t i = n->first; i != DOC_NONE && !shared; i = doc_text_node(doc, i)->next) {
        shared = holds_shared(doc, i);
    }
    return shared;
}

struct error *doc_text_remove(struct doc_text *doc, const char *pointer)
{
    AUTO_PLACE struct doc_place place = {0};
    struct error *err = doc_text_find(doc, pointer, &place);
    if (err != NULL) {
        return err;
    }
    if (place.found < place.steps.len) {
        return error_new(ERROR_NOT_FOUND, "%s: there is no %s", doc->name, pointer);
    }
    if (place.parent == DOC_NONE) {
        return error_new(ERROR_INVALID, "%s: the whole document cannot be removed", doc->name);
    }
    if (holds_shared(doc, place.node) || (place.key != DOC_NONE && holds_shared(doc, place.key))) {
        return doc_text_refuse(doc, place.node, "an alias elsewhere names something in this");
    }
    AUTO_JSON json_t *wanted = doc_copy(doc->tree);
    replace(&wanted, &place, place.found, NULL);
    bool flow = doc_text_node(doc, place.parent)->flow;
    AUTO_EDIT struct doc_edit edit = {0};
    err = flow ? doc_flow_remove(doc, &place, &edit) : doc_block_remove(doc, &place, false, &edit);
    if (err == NULL) {
        err = doc_text_commit(doc, &edit, wanted);
    }
    if (err == NULL || flow || !doc->graph.has_block) {
        return err;
    }
    // The break before the last line can belong to a block scalar's value: then it stays.
    error_free(err);
    AUTO_EDIT struct doc_edit other = {0};
    err = doc_block_remove(doc, &place, true, &other);
    if (err == NULL) {
        err = doc_text_commit(doc, &other, wanted);
    }
    return err;
}

// SPDX-License-Identifier: Apache-2.0
// Nodes to a tree: aliases and merge keys become copies (a shared part of a tree would change in
// two places), counted so that a few lines of anchors cannot fill the memory.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "doc_internal.h"

struct building {
    const struct doc_graph *graph;
    const char *name;
    struct doc_builder *builder;
    size_t depth;
};

static struct error *build(struct building *b, uint32_t index, json_t **ret_tree);

static const struct doc_node *node_of(const struct building *b, uint32_t index)
{
    return &b->graph->nodes[index];
}

static const struct doc_node *followed(const struct doc_graph *graph, uint32_t index)
{
    const struct doc_node *node = &graph->nodes[index];
    return node->kind == DOC_ALIAS ? &graph->nodes[node->target] : node;
}

static bool fits_tag(enum doc_tag tag, const json_t *value)
{
    switch (tag) {
    case DOC_TAG_INT:
        return json_is_integer(value);
    case DOC_TAG_FLOAT:
        return json_is_number(value);
    case DOC_TAG_BOOL:
        return json_is_boolean(value);
    case DOC_TAG_NULL:
        return json_is_null(value);
    case DOC_TAG_NONE:
    case DOC_TAG_PLAIN:
    case DOC_TAG_STR:
        return true;
    }
    return true;
}

static struct error *build_scalar(const char *name, const struct doc_node *node, json_t **ret_value)
{
    bool quoted = node->style != DOC_PLAIN;
    bool is_text = node->tag == DOC_TAG_STR || node->tag == DOC_TAG_PLAIN ||
                   (node->tag == DOC_TAG_NONE && quoted);
    // foreign: what is no UTF-8 is an error
    AUTO_JSON json_t *value = is_text ? json_stringn(node->text, node->text_len)
                                      : doc_resolve(node->text, node->text_len);
    if (value == NULL) {
        return doc_node_error(name, node, is_text ? "not UTF-8" : "%s has no place in JSON",
                              node->text);
    }
    if (!fits_tag(node->tag, value)) {
        return doc_node_error(name, node, "\"%s\" is not what its tag says", node->text);
    }
    if (node->tag == DOC_TAG_FLOAT && json_is_integer(value)) {
        json_t *real = json_real((double)json_integer_value(value));
        json_decref(value);
        value = real;
    }
    *ret_value = TAKE(value);
    return NULL;
}

// The shortest decimal that reads as the same number.
static char *number_text(double real)
{
    char *text = NULL;
    for (int digits = 6; digits <= 17; digits++) {
        mem_free(text);
        text = str_format("%.*g", digits, real);
        if (strtod(text, NULL) == real) {
            break;
        }
    }
    return text;
}

struct error *doc_build_key(const struct doc_graph *graph, const char *name, uint32_t key,
                            char **ret_key)
{
    const struct doc_node *node = followed(graph, key);
    if (node->kind != DOC_SCALAR) {
        return doc_node_error(name, &graph->nodes[key], "a key must be a scalar");
    }
    AUTO_JSON json_t *value = NULL;
    struct error *err = build_scalar(name, node, &value);
    if (err != NULL) {
        return err;
    }
    switch (json_typeof(value)) {
    case JSON_STRING:
        *ret_key = str_dup(json_string_value(value));
        return NULL;
    case JSON_INTEGER:
        *ret_key = str_format("%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return NULL;
    case JSON_REAL:
        *ret_key = number_text(json_real_value(value));
        return NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        *ret_key = str_dup(json_is_true(value) ? "true" : "false");
        return NULL;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    return doc_node_error(name, &graph->nodes[key], "a key must not be null");
}

bool doc_is_merge_key(const struct doc_node *key)
{
    return key->kind == DOC_SCALAR && key->style == DOC_PLAIN && key->tag == DOC_TAG_NONE &&
           str_eq(key->text, "<<");
}

// Entries that are not there yet; what a mapping says itself outranks what it merges.
static struct error *merge_one(struct building *b, uint32_t index, json_t *object)
{
    if (followed(b->graph, index)->kind != DOC_MAPPING) {
        return doc_node_error(b->name, node_of(b, index), "<< merges mappings only");
    }
    AUTO_JSON json_t *source = NULL;
    struct error *err = build(b, index, &source);
    if (err == NULL) {
        json_object_update_missing(object, source);
    }
    return err;
}

static struct error *merge(struct building *b, uint32_t index, json_t *object)
{
    const struct doc_node *node = followed(b->graph, index);
    if (node->kind != DOC_SEQUENCE) {
        return merge_one(b, index, object);
    }
    struct error *err = NULL;
    for (uint32_t i = node->first; i != DOC_NONE && err == NULL; i = node_of(b, i)->next) {
        err = merge_one(b, i, object);
    }
    return err;
}

static struct error *build_entry(struct building *b, uint32_t key, json_t *object)
{
    AUTO_MEM char *text = NULL;
    struct error *err = doc_build_key(b->graph, b->name, key, &text);
    if (err != NULL) {
        return err;
    }
    if (!b->builder->last_wins && json_object_get(object, text) != NULL) {
        return doc_node_error(b->name, node_of(b, key), "key \"%s\" is there twice", text);
    }
    AUTO_JSON json_t *value = NULL;
    err = build(b, node_of(b, key)->next, &value);
    if (err != NULL) {
        return err;
    }
    if (json_object_set_new(object, text, TAKE(value)) != 0) {
        return doc_node_error(b->name, node_of(b, key), "a key is not UTF-8");
    }
    return NULL;
}

static struct error *build_mapping(struct building *b, const struct doc_node *node, json_t *object)
{
    uint32_t merged = DOC_NONE;
    for (uint32_t key = node->first; key != DOC_NONE;
         key = node_of(b, node_of(b, key)->next)->next) {
        struct error *err = NULL;
        if (!doc_is_merge_key(node_of(b, key))) {
            err = build_entry(b, key, object);
        } else if (merged != DOC_NONE) {
            err = doc_node_error(b->name, node_of(b, key), "key \"<<\" is there twice");
        } else {
            merged = node_of(b, key)->next;
        }
        if (err != NULL) {
            return err;
        }
    }
    return merged != DOC_NONE ? merge(b, merged, object) : NULL;
}

static struct error *build_sequence(struct building *b, const struct doc_node *node, json_t *array)
{
    struct error *err = NULL;
    for (uint32_t i = node->first; i != DOC_NONE && err == NULL; i = node_of(b, i)->next) {
        json_t *item = NULL;
        err = build(b, i, &item);
        if (err == NULL) {
            json_array_append_new(array, item);
        }
    }
    return err;
}

static struct error *build(struct building *b, uint32_t index, json_t **ret_tree)
{
    const struct doc_node *node = followed(b->graph, index);
    if (++b->builder->nodes > DOC_NODES_MAX) {
        return doc_node_error(b->name, node_of(b, index),
                              "more than %d nodes with aliases followed", DOC_NODES_MAX);
    }
    if (node->kind == DOC_SCALAR) {
        return build_scalar(b->name, node, ret_tree);
    }
    if (b->depth == DOC_DEPTH_MAX) {
        return doc_node_error(b->name, node_of(b, index),
                              "nested deeper than %d with aliases followed", DOC_DEPTH_MAX);
    }
    b->depth++;
    bool mapping = node->kind == DOC_MAPPING;
    AUTO_JSON json_t *tree = mapping ? json_object() : json_array();
    struct error *err = mapping ? build_mapping(b, node, tree) : build_sequence(b, node, tree);
    b->depth--;
    if (err != NULL) {
        return err;
    }
    *ret_tree = TAKE(tree);
    return NULL;
}

struct error *doc_build(const struct doc_graph *graph, struct doc_builder *builder,
                        json_t **ret_tree)
{
    if (graph->len == 0) {
        *ret_tree = json_null();
        return NULL;
    }
    struct building b = {.graph = graph, .name = builder->name, .builder = builder};
    return build(&b, 0, ret_tree);
}

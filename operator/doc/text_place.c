// SPDX-License-Identifier: Apache-2.0
// Where things stand in a text: pointers to nodes, entries of collections, lines and columns. All
// positions are bytes.

#include <string.h>

#include "doc_internal.h"

const struct doc_node *doc_text_node(const struct doc_text *doc, uint32_t node)
{
    ASSERT(node < doc->graph.len);
    return &doc->graph.nodes[node];
}

struct error *doc_text_refuse(const struct doc_text *doc, uint32_t node, const char *why)
{
    if (node >= doc->graph.len) {
        return doc_error(doc->name, 1, 1, "%s", why);
    }
    return doc_node_error(doc->name, doc_text_node(doc, node), "%s", why);
}

// --- lines ---------------------------------------------------------------------------------------

size_t doc_text_line_start(const struct doc_text *doc, size_t pos)
{
    while (pos > doc->base && doc->bytes[pos - 1] != '\n') {
        pos--;
    }
    return pos;
}

size_t doc_text_line_after(const struct doc_text *doc, size_t pos)
{
    const char *nl = pos < doc->len ? memchr(doc->bytes + pos, '\n', doc->len - pos) : NULL;
    return nl != NULL ? (size_t)(nl - doc->bytes) + 1 : doc->len;
}

size_t doc_text_line_end(const struct doc_text *doc, size_t pos)
{
    size_t end = doc_text_line_after(doc, pos);
    if (end > pos && doc->bytes[end - 1] == '\n') {
        end--;
        end -= end > pos && doc->bytes[end - 1] == '\r';
    }
    return end;
}

size_t doc_text_column(const struct doc_text *doc, size_t pos)
{
    size_t column = 0;
    for (size_t i = doc_text_line_start(doc, pos); i < pos; i++) {
        column += ((unsigned char)doc->bytes[i] & 0xC0) != 0x80;
    }
    return column;
}

bool doc_text_only(const struct doc_text *doc, size_t from, size_t to, const char *set)
{
    for (size_t i = from; i < to; i++) {
        if (strchr(set, doc->bytes[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool doc_text_starts_line(const struct doc_text *doc, size_t pos)
{
    return doc_text_only(doc, doc_text_line_start(doc, pos), pos, " ");
}

size_t doc_text_skip(const struct doc_text *doc, size_t pos)
{
    while (pos < doc->len) {
        if (doc->bytes[pos] == '#') {
            pos = doc_text_line_end(doc, pos);
        } else if (strchr(" \t\r\n", doc->bytes[pos]) != NULL) {
            pos++;
        } else {
            return pos;
        }
    }
    return pos;
}

const char *doc_text_newline(const struct doc_text *doc, size_t pos)
{
    size_t start = doc_text_line_start(doc, pos);
    size_t after = start > doc->base ? start : doc_text_line_after(doc, doc->base);
    return after >= doc->base + 2 && doc->bytes[after - 1] == '\n' && doc->bytes[after - 2] == '\r'
               ? "\r\n"
               : "\n";
}

// --- entries -------------------------------------------------------------------------------------

size_t doc_text_count(const struct doc_text *doc, uint32_t collection)
{
    const struct doc_node *node = doc_text_node(doc, collection);
    return node->kind == DOC_MAPPING ? node->count / 2 : node->count;
}

// The end of an entry whose value is written as nothing: behind the colon if there is one.
static size_t end_of_empty(const struct doc_text *doc, const struct doc_entry *entry)
{
    if (entry->key == NULL) {
        return entry->value->end;
    }
    size_t pos = doc_text_skip(doc, entry->key->end);
    return pos < doc->len && doc->bytes[pos] == ':' ? pos + 1 : entry->key->end;
}

static size_t start_of(const struct doc_text *doc, const struct doc_node *parent, size_t before,
                       const struct doc_entry *entry)
{
    size_t start = entry->key != NULL ? entry->key->start : entry->value->start;
    bool dash = !parent->flow && parent->kind == DOC_SEQUENCE;
    size_t pos = doc_text_skip(doc, before);
    if (parent->flow && pos < doc->len && doc->bytes[pos] == ',') {
        pos = doc_text_skip(doc, pos + 1);
    }
    bool marked = pos < start && (doc->bytes[pos] == '?' || dash);
    return marked ? pos : start;
}

struct doc_entry doc_text_entry(const struct doc_text *doc, uint32_t collection, size_t index)
{
    const struct doc_node *parent = doc_text_node(doc, collection);
    const struct doc_node *nodes = doc->graph.nodes;
    ASSERT(index < doc_text_count(doc, collection)); // foreign: callers count first
    bool brackets = parent->flow && strchr("[{", doc->bytes[parent->content]) != NULL;
    struct doc_entry entry = {0};
    size_t before = parent->content + brackets;
    uint32_t node = parent->first;
    for (size_t i = 0; i <= index; i++) {
        before = i > 0 ? entry.end : before;
        entry.key = parent->kind == DOC_MAPPING ? &nodes[node] : NULL;
        entry.value = entry.key != NULL ? &nodes[nodes[node].next] : &nodes[node];
        bool empty = entry.value->kind == DOC_SCALAR && entry.value->start == entry.value->end;
        entry.end = empty ? end_of_empty(doc, &entry) : entry.value->end;
        node = entry.value->next;
    }
    entry.start = start_of(doc, parent, before, &entry);
    return entry;
}

// --- pointers ------------------------------------------------------------------------------------

void doc_place_fini(struct doc_place *place)
{
    strlist_fini(&place->steps);
}

// The entry of that name or number; DOC_NONE: there is none.
static struct error *step_node(const struct doc_text *doc, const char *step,
                               struct doc_place *place, uint32_t *ret_node)
{
    const struct doc_node *nodes = doc->graph.nodes;
    const struct doc_node *node = &nodes[place->node];
    size_t index = 0, wanted = 0;
    *ret_node = DOC_NONE;
    bool mapping = node->kind == DOC_MAPPING;
    if (node->kind == DOC_SCALAR || (!mapping && !doc_step_index(step, &wanted))) {
        return NULL;
    }
    for (uint32_t i = node->first; i != DOC_NONE; index++) {
        AUTO_MEM char *text = NULL;
        uint32_t value = mapping ? nodes[i].next : i;
        struct error *err = mapping ? doc_build_key(&doc->graph, doc->name, i, &text) : NULL;
        if (err != NULL) {
            return err;
        }
        bool found = mapping ? str_eq(text, step) && !doc_is_merge_key(&nodes[i]) : index == wanted;
        if (found) {
            place->parent = place->node;
            place->key = mapping ? i : DOC_NONE;
            place->index = index;
            *ret_node = value;
            return NULL;
        }
        i = nodes[value].next;
    }
    return NULL;
}

static struct error *check_own(const struct doc_text *doc, uint32_t node)
{
    if (doc_text_node(doc, node)->kind == DOC_ALIAS) {
        return doc_text_refuse(
            doc, node, "an alias: what is changed here would change where its anchor stands");
    }
    if (doc_text_node(doc, node)->shared) {
        return doc_text_refuse(doc, node,
                               "an alias names this: what is changed here would change there too");
    }
    return NULL;
}

static struct error *walk(const struct doc_text *doc, struct doc_place *place)
{
    const json_t *tree = doc->tree;
    while (doc->graph.len > 0) {
        bool last = place->found == place->steps.len;
        // An entry that is an alias may itself be removed or refused by who asked; nothing behind
        // it can be reached.
        if (!last || doc_text_node(doc, place->node)->kind != DOC_ALIAS) {
            struct error *err = check_own(doc, place->node);
            if (err != NULL) {
                return err;
            }
        }
        if (last) {
            return NULL;
        }
        const char *step = place->steps.items[place->found];
        uint32_t next = DOC_NONE;
        struct error *err = step_node(doc, step, place, &next);
        if (err != NULL) {
            return err;
        }
        tree = doc_get(tree, step, NULL);
        if (next == DOC_NONE && tree != NULL) {
            return doc_text_refuse(
                doc, place->node,
                "the entry comes from a merge (<<), it has no place of its own here");
        }
        if (next == DOC_NONE) {
            return NULL;
        }
        place->node = next;
        place->found++;
    }
    return NULL;
}

struct error *doc_text_find(const struct doc_text *doc, const char *pointer,
                            struct doc_place *ret_place)
{
    AUTO_PLACE struct doc_place place = {
        .node = doc->graph.len > 0 ? 0 : DOC_NONE, .key = DOC_NONE, .parent = DOC_NONE};
    if (!doc_pointer_split(pointer, &place.steps)) {
        return error_new(ERROR_INVALID, "%s: \"%s\" is no JSON pointer", doc->name, pointer);
    }
    struct error *err = walk(doc, &place);
    if (err != NULL) {
        return err;
    }
    *ret_place = place;
    place = (struct doc_place){0};
    return NULL;
}

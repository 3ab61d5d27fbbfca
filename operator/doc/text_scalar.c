// SPDX-License-Identifier: Apache-2.0
// One scalar in place of another, in the old one's quotes where the new value can stand in them.

#include <string.h>

#include "doc_internal.h"

// The end of the "|" or ">" and what says how it is chomped and indented.
static size_t header_end(const struct doc_text *doc, size_t pos)
{
    while (pos < doc->len && strchr("|>+-123456789", doc->bytes[pos]) != NULL) {
        pos++;
    }
    return pos;
}

// Blank lines at the end of a block scalar are layout of the file when its value does not keep
// them.
static size_t body_end(const struct doc_text *doc, const struct doc_node *node)
{
    size_t end = node->end;
    for (;;) {
        size_t start = end > doc->base ? doc_text_line_start(doc, end - 1) : end;
        bool blank =
            start < end && start > node->content && doc_text_only(doc, start, end, " \r\n");
        if (!blank || doc->bytes[end - 1] != '\n') {
            return end;
        }
        end = start;
    }
}

// The lines of a literal block scalar with that value; false: it cannot be written so.
static bool write_body(const char *s, size_t indent, const char *newline, struct buf *b)
{
    size_t len = strlen(s);
    bool ends = len > 0 && s[len - 1] == '\n';
    struct slice rest = {.ptr = s, .len = ends ? len - 1 : len}, line;
    if (len == 0 || strchr(" \t\n", s[0]) != NULL || (ends && len > 1 && s[len - 2] == '\n')) {
        return false;
    }
    while (slice_cut(&rest, '\n', &line)) {
        for (size_t i = 0; i < line.len; i++) {
            if ((unsigned char)line.ptr[i] < 0x20 || line.ptr[i] == 0x7F) {
                return false;
            }
        }
        doc_emit_spaces(b, line.len > 0 ? indent : 0);
        buf_add_slice(b, line);
        buf_add_str(b, newline);
    }
    return true;
}

// A block scalar keeps its header's comment and its indentation; what it cannot hold becomes a
// quoted scalar on the header's line.
static void set_block(const struct doc_text *doc, const struct doc_node *node, const json_t *value,
                      struct doc_edit *edit)
{
    const char *s = json_string_value(value);
    size_t header = header_end(doc, node->content);
    size_t body = doc_text_line_after(doc, header);
    size_t first = body;
    while (first < node->end && strchr(" \r\n", doc->bytes[first]) != NULL) {
        first++;
    }
    size_t indent = first < node->end ? doc_text_column(doc, first) : 0;
    const char *newline = doc_text_newline(doc, body);
    size_t end = body_end(doc, node);
    AUTO_BUF struct buf b = doc_text_buf();
    if (s != NULL && indent > 0 && end > body && write_body(s, indent, newline, &b)) {
        bool lines = strchr(s, '\n') != NULL && strchr(s, '\n')[1] != '\0';
        char mark = lines ? '|' : doc->bytes[node->content];
        bool unfinished = end == doc->len && doc->bytes[end - 1] != '\n';
        bool clip = str_ends(s, "\n");
        if (unfinished && !clip) {
            b.ptr[b.len - strlen(newline)] = '\0';
        }
        doc_edit_add(edit, node->content, header, str_format("%c%s", mark, clip ? "" : "-"));
        doc_edit_add(edit, body, end, buf_take(&b));
        return;
    }
    buf_reset(&b);
    doc_emit_scalar(&b, value, DOC_PLAIN, false);
    doc_edit_add(edit, node->content, header, buf_take(&b));
    doc_edit_add(edit, body, end > body ? end : body, NULL); // nothing, when there was no body
}

static struct error *set_flow(const struct doc_text *doc, const struct doc_place *place,
                              const json_t *value, struct doc_edit *edit)
{
    const struct doc_node *node = doc_text_node(doc, place->node);
    bool in_flow = place->parent != DOC_NONE && doc_text_node(doc, place->parent)->flow;
    AUTO_BUF struct buf b = doc_text_buf();
    size_t from = node->content, to = node->end;
    if (from == to) {
        if (in_flow || place->parent == DOC_NONE) {
            return doc_text_refuse(doc, place->node, "there is no room for a value here");
        }
        struct doc_entry entry = doc_text_entry(doc, place->parent, place->index);
        bool no_colon = entry.key != NULL &&
                        (entry.start != entry.key->start || doc->bytes[entry.end - 1] != ':');
        if (no_colon) {
            return doc_text_refuse(doc, place->node, "its key is written with a question mark");
        }
        from = node->start < node->end ? node->end : entry.end;
        to = from;
        buf_add_str(&b, " ");
    } else if (node->content > node->start &&
               strchr(" \t\r\n", doc->bytes[node->content - 1]) == NULL) {
        buf_add_str(&b, " "); // right behind an anchor
    }
    doc_emit_scalar(&b, value, doc->layout.quote ? DOC_DOUBLE : node->style, in_flow);
    // libyaml takes a comment right behind quotes, but not right behind a plain scalar.
    buf_add_str(&b, to < doc->len && doc->bytes[to] == '#' ? " " : "");
    doc_edit_add(edit, from, to, buf_take(&b));
    return NULL;
}

static void want(json_t **tree, const struct doc_place *place, const json_t *value)
{
    json_t *parent = *tree;
    if (place->steps.len == 0) {
        json_decref(*tree);
        *tree = doc_copy(value);
        return;
    }
    size_t index = 0;
    for (size_t i = 0; i + 1 < place->steps.len; i++) {
        const char *step = place->steps.items[i];
        parent = json_is_array(parent) && doc_step_index(step, &index)
                     ? json_array_get(parent, index)
                     : json_object_get(parent, step);
    }
    const char *last = place->steps.items[place->steps.len - 1];
    if (json_is_array(parent) && doc_step_index(last, &index)) {
        json_array_set_new(parent, index, doc_copy(value));
    } else {
        json_object_set_new(parent, last, doc_copy(value));
    }
}

struct error *doc_text_set_scalar(struct doc_text *doc, const char *pointer, const json_t *value)
{
    if (json_is_object(value) || json_is_array(value)) {
        return error_new(ERROR_INVALID, "%s: %s is to be set to a collection", doc->name, pointer);
    }
    AUTO_PLACE struct doc_place place = {0};
    struct error *err = doc_text_find(doc, pointer, &place);
    if (err != NULL) {
        return err;
    }
    if (place.found < place.steps.len || place.node == DOC_NONE) {
        return error_new(ERROR_NOT_FOUND, "%s: there is no %s", doc->name, pointer);
    }
    const struct doc_node *node = doc_text_node(doc, place.node);
    if (node->kind != DOC_SCALAR) {
        return doc_text_refuse(doc, place.node,
                               node->kind == DOC_ALIAS
                                   ? "an alias stands where a value is to be set"
                                   : "a collection stands where a value is to be set");
    }
    if (node->tag != DOC_TAG_NONE) {
        return doc_text_refuse(doc, place.node, "a tag says what type this value has");
    }
    if (node->block_tail && doc_text_starts_line(doc, node->content)) {
        return doc_text_refuse(doc, place.node, "a block scalar away from its key or dash");
    }
    AUTO_JSON json_t *wanted = doc_copy(doc->tree);
    want(&wanted, &place, value);
    AUTO_EDIT struct doc_edit edit = {0};
    if (node->block_tail) {
        set_block(doc, node, value, &edit);
    } else {
        err = set_flow(doc, &place, value, &edit);
    }
    return err != NULL ? err : doc_text_commit(doc, &edit, wanted);
}

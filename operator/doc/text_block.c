// SPDX-License-Identifier: Apache-2.0
// Entries of block collections come and go in whole lines: a new one right after the line its
// predecessor ends on, so that a comment above the next entry stays with it.

#include <string.h>

#include "doc_internal.h"

// Behind the entry, at the start of the next line (or the end of the text).
static size_t after_entry(const struct doc_text *doc, const struct doc_entry *entry)
{
    bool at_line =
        entry->value->block_tail && entry->end > doc->base && doc->bytes[entry->end - 1] == '\n';
    return at_line ? entry->end : doc_text_line_after(doc, entry->end);
}

static bool is_explicit(const struct doc_entry *entry)
{
    return entry->key != NULL && entry->start != entry->key->start;
}

// --- inserting -----------------------------------------------------------------------------------

// How a neighbour writes its strings.
static enum doc_style style_of(const struct doc_node *node)
{
    bool quoted =
        node->kind == DOC_SCALAR && (node->style == DOC_SINGLE || node->style == DOC_DOUBLE);
    return quoted ? node->style : DOC_PLAIN;
}

// Flags are alike; the program's name before them may be written otherwise.
static struct doc_entry neighbour(const struct doc_text *doc, uint32_t collection, size_t index)
{
    size_t count = doc_text_count(doc, collection);
    bool first_only = index <= 1 && index < count;
    return doc_text_entry(doc, collection, first_only ? index : index - 1);
}

// The blanks between a dash or colon and what follows it on its line.
static size_t gap_of(const struct doc_text *doc, size_t mark, const struct doc_node *value)
{
    bool spaces = value->start > mark + 1 && doc_text_only(doc, mark + 1, value->start, " ");
    return spaces ? value->start - mark - 1 : 1;
}

static bool is_collection(const json_t *value)
{
    return json_object_size(value) > 0 || json_array_size(value) > 0;
}

static void write_item(const struct doc_text *doc, const struct doc_entry *like,
                       const json_t *value, const struct doc_layout *layout, struct buf *b)
{
    size_t gap = gap_of(doc, like->start, like->value);
    buf_add_str(b, "-");
    doc_emit_spaces(b, gap);
    if (is_collection(value)) {
        doc_emit_block(b, value, doc_text_column(doc, like->start) + 1 + gap, true, layout);
        return;
    }
    doc_emit_scalar(b, value, style_of(like->value), false);
    buf_add_str(b, layout->newline);
}

static void write_key(const struct doc_text *doc, const struct doc_entry *like, const char *key,
                      const json_t *value, const struct doc_layout *layout, struct buf *b)
{
    AUTO_JSON json_t *name = doc_string(key);
    doc_emit_scalar(b, name, style_of(like->key), false);
    buf_add_str(b, ":");
    if (is_collection(value)) {
        doc_emit_value(b, value, doc_text_column(doc, like->start), layout);
        return;
    }
    buf_add_str(b, " ");
    doc_emit_scalar(b, value, style_of(like->value), false);
    buf_add_str(b, layout->newline);
}

struct error *doc_block_insert(struct doc_text *doc, uint32_t collection, size_t index,
                               const char *key, const json_t *value, struct doc_edit *edit)
{
    struct doc_entry like = neighbour(doc, collection, index);
    struct doc_entry before = doc_text_entry(doc, collection, index > 0 ? index - 1 : 0);
    if (is_explicit(&like)) {
        return doc_text_refuse(doc, collection, "its keys are written with question marks");
    }
    size_t pos = index > 0 ? after_entry(doc, &before) : before.start;
    bool unfinished = pos == doc->len && doc->bytes[pos - 1] != '\n';
    if (index > 0 && before.value->block_tail && unfinished) {
        return doc_text_refuse(doc, collection,
                               "its last text has no final line break, and would get one");
    }
    struct doc_layout layout = doc->layout;
    layout.newline = doc_text_newline(doc, pos);
    AUTO_BUF struct buf b = doc_text_buf();
    size_t column = doc_text_column(doc, like.start);
    doc_emit_spaces(&b, index > 0 ? column : 0);
    if (key == NULL) {
        write_item(doc, &like, value, &layout, &b);
    } else {
        write_key(doc, &like, key, value, &layout, &b);
    }
    if (b.overflow) {
        return doc_error(doc->name, 1, 1, "would become larger than %zu bytes", DOC_BYTES_MAX);
    }
    if (index > 0) {
        doc_text_add_lines(doc, pos, buf_take(&b), edit);
        return NULL;
    }
    // In front of the first: the old first moves to a line of its own.
    doc_emit_spaces(&b, column);
    doc_edit_add(edit, pos, pos, buf_take(&b));
    return NULL;
}

// --- removing ------------------------------------------------------------------------------------

// The bytes of whole lines; at the end of a text without a final line break the break before them
// goes instead.
static void remove_lines(const struct doc_text *doc, size_t from, size_t to, bool keep_break,
                         struct doc_edit *edit)
{
    bool unfinished = to == doc->len && doc->bytes[to - 1] != '\n';
    if (unfinished && !keep_break && from > doc->base) {
        from--;
        from -= from > doc->base && doc->bytes[from - 1] == '\r';
    }
    // Two splices may touch, as when "key:" before it is to get its {}.
    size_t least = edit->len > 0 ? edit->splices[edit->len - 1].to : 0;
    doc_edit_add(edit, from > least ? from : least, to, NULL);
}

// The first of several entries, on the line of a dash: the next one moves up to its place.
static struct error *remove_inline(const struct doc_text *doc, const struct doc_place *place,
                                   struct doc_edit *edit)
{
    struct doc_entry entry = doc_text_entry(doc, place->parent, place->index);
    struct doc_entry next = doc_text_entry(doc, place->parent, place->index + 1);
    size_t after = after_entry(doc, &entry);
    if (after > next.start || !doc_text_only(doc, after, next.start, " \r\n")) {
        return doc_text_refuse(doc, place->node,
                               "a comment stands between this and what would move up to its place");
    }
    doc_edit_add(edit, entry.start, next.start, NULL);
    return NULL;
}

// Where " {}" goes when a collection loses its lines: behind its anchor and tag, else behind the
// colon or dash above.
static bool place_of_brackets(const struct doc_text *doc, const struct doc_node *collection,
                              size_t *ret_pos)
{
    size_t pos = collection->content;
    const struct doc_node *parent = doc_text_node(doc, collection->parent);
    if (collection->start < collection->content) {
        while (pos > collection->start && strchr(" \t\r\n", doc->bytes[pos - 1]) != NULL) {
            pos--;
        }
        *ret_pos = pos;
        // A comment between an anchor and what it names would swallow the brackets.
        return memchr(doc->bytes + collection->start, '#', pos - collection->start) == NULL;
    }
    size_t index = 0;
    uint32_t self = (uint32_t)(collection - doc->graph.nodes);
    const struct doc_node *nodes = doc->graph.nodes;
    for (uint32_t i = parent->first; i != self; i = nodes[i].next) {
        index++;
    }
    struct doc_entry entry =
        doc_text_entry(doc, collection->parent, parent->kind == DOC_MAPPING ? index / 2 : index);
    if (entry.key == NULL) {
        *ret_pos = entry.start + 1;
        return doc->bytes[entry.start] == '-';
    }
    pos = doc_text_skip(doc, entry.key->end);
    *ret_pos = pos + 1;
    return !is_explicit(&entry) && pos < doc->len && doc->bytes[pos] == ':';
}

// The only entry: the collection stays, empty.
static struct error *remove_only(const struct doc_text *doc, const struct doc_place *place,
                                 bool keep_break, struct doc_edit *edit)
{
    const struct doc_node *collection = doc_text_node(doc, place->parent);
    struct doc_entry entry = doc_text_entry(doc, place->parent, 0);
    const char *brackets = collection->kind == DOC_MAPPING ? "{}" : "[]";
    size_t after = after_entry(doc, &entry);
    if (collection->parent != DOC_NONE && doc_text_starts_line(doc, entry.start)) {
        size_t pos = 0;
        if (!place_of_brackets(doc, collection, &pos)) {
            return doc_text_refuse(doc, place->parent, "there is no room for empty brackets here");
        }
        doc_edit_add(edit, pos, pos, str_format(" %s", brackets));
        remove_lines(doc, doc_text_line_start(doc, entry.start), after, keep_break, edit);
        return NULL;
    }
    bool finished = after > doc->base && doc->bytes[after - 1] == '\n';
    const char *newline = finished ? doc_text_newline(doc, after) : "";
    doc_edit_add(edit, entry.start, after, str_format("%s%s", brackets, newline));
    return NULL;
}

struct error *doc_block_remove(struct doc_text *doc, const struct doc_place *place, bool keep_break,
                               struct doc_edit *edit)
{
    struct doc_entry entry = doc_text_entry(doc, place->parent, place->index);
    if (is_explicit(&entry)) {
        return doc_text_refuse(doc, place->node, "its key is written with a question mark");
    }
    if (doc_text_count(doc, place->parent) == 1) {
        return remove_only(doc, place, keep_break, edit);
    }
    if (!doc_text_starts_line(doc, entry.start)) {
        return remove_inline(doc, place, edit);
    }
    remove_lines(doc, doc_text_line_start(doc, entry.start), after_entry(doc, &entry), keep_break,
                 edit);
    return NULL;
}

// --- looking -------------------------------------------------------------------------------------

struct error *doc_text_lines(const struct doc_text *doc, const char *pointer, size_t *ret_from,
                             size_t *ret_to)
{
    AUTO_PLACE struct doc_place place = {0};
    struct error *err = doc_text_find(doc, pointer, &place);
    if (err != NULL) {
        return err;
    }
    if (place.found < place.steps.len || place.parent == DOC_NONE) {
        return error_new(ERROR_NOT_FOUND, "%s: there is no %s", doc->name, pointer);
    }
    struct doc_entry entry = doc_text_entry(doc, place.parent, place.index);
    if (doc_text_node(doc, place.parent)->flow || !doc_text_starts_line(doc, entry.start)) {
        return doc_text_refuse(doc, place.node, "it shares a line with something else");
    }
    *ret_from = doc_text_line_start(doc, entry.start);
    *ret_to = after_entry(doc, &entry);
    return NULL;
}

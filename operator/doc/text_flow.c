// SPDX-License-Identifier: Apache-2.0
// Entries between brackets come and go with one comma. What stands between two neighbours (a blank,
// or a line break and its indentation) is used for the new one too.

#include <string.h>

#include "doc_internal.h"

static bool has_brackets(const struct doc_text *doc, const struct doc_node *node)
{
    return strchr("[{", doc->bytes[node->content]) != NULL;
}

// --- inserting -----------------------------------------------------------------------------------

// What separates two entries here: ", " or a comma and the line break and indentation that the
// others have.
static char *separator(const struct doc_text *doc, uint32_t collection, size_t index)
{
    size_t count = doc_text_count(doc, collection);
    if (count > 1) {
        size_t right = index > 0 && index < count ? index : index == 0 ? 1 : count - 1;
        struct doc_entry a = doc_text_entry(doc, collection, right - 1),
                         b = doc_text_entry(doc, collection, right);
        if (doc_text_only(doc, a.end, b.start, " \t\r\n,")) {
            return str_ndup(doc->bytes + a.end, b.start - a.end);
        }
    }
    struct doc_entry first = doc_text_entry(doc, collection, 0);
    if (doc_text_starts_line(doc, first.start)) {
        AUTO_BUF struct buf b = doc_text_buf();
        buf_printf(&b, ",%s", doc_text_newline(doc, first.start));
        doc_emit_spaces(&b, doc_text_column(doc, first.start));
        return buf_take(&b);
    }
    return str_dup(", ");
}

static bool is_quoted(const struct doc_node *node)
{
    return node->kind == DOC_SCALAR && (node->style == DOC_SINGLE || node->style == DOC_DOUBLE);
}

// The way strings are written here: like the neighbours, or in double quotes in a file that is
// JSON.
static enum doc_style style_of(const struct doc_text *doc, uint32_t collection, size_t index,
                               bool key)
{
    if (doc->layout.quote) {
        return DOC_DOUBLE;
    }
    size_t count = doc_text_count(doc, collection);
    if (count == 0) {
        return DOC_PLAIN;
    }
    struct doc_entry like =
        doc_text_entry(doc, collection, index < count && index <= 1 ? index : index - 1);
    const struct doc_node *node = key ? like.key : like.value;
    return is_quoted(node) ? node->style : DOC_PLAIN;
}

static char *write_entry(const struct doc_text *doc, uint32_t collection, size_t index,
                         const char *key, const json_t *value)
{
    AUTO_BUF struct buf b = doc_text_buf();
    if (key != NULL) {
        AUTO_JSON json_t *name = doc_string(key);
        doc_emit_scalar(&b, name, style_of(doc, collection, index, true), true);
        buf_add_str(&b, ": ");
    }
    enum doc_style style = style_of(doc, collection, index, false);
    if (json_object_size(value) > 0 || json_array_size(value) > 0) {
        doc_emit_flow(&b, value, style == DOC_DOUBLE);
    } else {
        doc_emit_scalar(&b, value, style, true);
    }
    return buf_take(&b);
}

struct error *doc_flow_insert(struct doc_text *doc, uint32_t collection, size_t index,
                              const char *key, const json_t *value, struct doc_edit *edit)
{
    const struct doc_node *node = doc_text_node(doc, collection);
    if (!has_brackets(doc, node)) {
        return doc_text_refuse(doc, collection,
                               "a mapping without brackets inside a flow sequence");
    }
    AUTO_MEM char *entry = write_entry(doc, collection, index, key, value);
    size_t last = doc_text_count(doc, collection);
    size_t behind = last == 0   ? node->content + 1
                    : index > 0 ? doc_text_entry(doc, collection, index - 1).end
                                : 0;
    if (behind > 0 && behind < doc->len && doc->bytes[behind] == '#') {
        return doc_text_refuse(doc, collection, "a comment stands right behind, without a blank");
    }
    if (last == 0) {
        doc_edit_add(edit, node->content + 1, node->content + 1, TAKE(entry));
        return NULL;
    }
    AUTO_MEM char *sep = separator(doc, collection, index);
    if (index == 0) {
        size_t pos = doc_text_entry(doc, collection, 0).start;
        doc_edit_add(edit, pos, pos, str_format("%s%s", entry, sep));
        return NULL;
    }
    size_t pos = doc_text_entry(doc, collection, index - 1).end;
    // libyaml reads no comma right behind a colon.
    const char *blank = doc->bytes[pos - 1] == ':' ? " " : "";
    doc_edit_add(edit, pos, pos, str_format("%s%s%s", blank, sep, entry));
    return NULL;
}

// --- removing ------------------------------------------------------------------------------------

// Behind the comma that follows an entry; the entry's end when none does.
static size_t after_comma(const struct doc_text *doc, const struct doc_entry *entry)
{
    size_t pos = doc_text_skip(doc, entry->end);
    return pos < doc->len && doc->bytes[pos] == ',' ? pos + 1 : entry->end;
}

// What stands between the end of an entry and what comes to stand behind it, where the two must not
// touch: libyaml reads no comma right behind a colon, nothing but a comma or a blank right behind a
// tag, and a "#" behind a plain scalar as a part of it.
static char *apart(const struct doc_text *doc, const struct doc_entry *entry, size_t next)
{
    const struct doc_node *value = entry->value;
    char c = doc->bytes[next];
    bool colon = doc->bytes[entry->end - 1] == ':' && c == ',';
    bool tag = value->kind == DOC_SCALAR && value->text_len == 0 && value->start < value->end &&
               doc->bytes[value->start] == '!' && strchr(" \t\r\n,", c) == NULL;
    return colon || tag || c == '#' ? str_dup(" ") : NULL;
}

// Around comments: the entry and its comma go, the rest of the lines stays.
static void remove_apart(const struct doc_text *doc, const struct doc_entry *before,
                         const struct doc_entry *entry, struct doc_edit *edit)
{
    size_t comma = after_comma(doc, entry);
    if (comma > entry->end) {
        doc_edit_add(edit, entry->start, entry->end, NULL);
        doc_edit_add(edit, comma - 1, comma, NULL);
        return;
    }
    size_t old = after_comma(doc, before);
    doc_edit_add(edit, old - 1, old, old - 1 == before->end ? apart(doc, before, old) : NULL);
    doc_edit_add(edit, entry->start, entry->end, NULL);
}

struct error *doc_flow_remove(struct doc_text *doc, const struct doc_place *place,
                              struct doc_edit *edit)
{
    const char *between = " \t\r\n,";
    size_t count = doc_text_count(doc, place->parent);
    struct doc_entry entry = doc_text_entry(doc, place->parent, place->index);
    if (!has_brackets(doc, doc_text_node(doc, place->parent))) {
        return doc_text_refuse(doc, place->parent,
                               "a mapping without brackets inside a flow sequence");
    }
    if (count == 1) {
        size_t comma = after_comma(doc, &entry);
        bool plain = doc_text_only(doc, entry.end, comma, between);
        doc_edit_add(edit, entry.start, plain ? comma : entry.end, NULL);
        if (!plain) {
            doc_edit_add(edit, comma - 1, comma, NULL);
        }
        return NULL;
    }
    if (place->index > 0) {
        struct doc_entry before = doc_text_entry(doc, place->parent, place->index - 1);
        if (doc_text_only(doc, before.end, entry.start, between)) {
            doc_edit_add(edit, before.end, entry.end, apart(doc, &before, entry.end));
        } else {
            remove_apart(doc, &before, &entry, edit);
        }
        return NULL;
    }
    struct doc_entry next = doc_text_entry(doc, place->parent, 1);
    if (doc_text_only(doc, entry.end, next.start, between)) {
        doc_edit_add(edit, entry.start, next.start, NULL);
    } else {
        remove_apart(doc, &entry, &entry, edit);
    }
    return NULL;
}

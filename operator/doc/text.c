// SPDX-License-Identifier: Apache-2.0
// A YAML text under edit. Every edit is at most two splices of bytes, carried out on a copy; the
// copy is read again and takes the place of the text only if it means just what was wanted, so that
// no edit can do more than it says.

#include <string.h>

#include "doc_internal.h"

#define STEP_DEFAULT 2

struct buf doc_text_buf(void)
{
    return buf_make(DOC_BYTES_MAX);
}

// --- layout: how this file is written ------------------------------------------------------------

static size_t column_of(const struct doc_text *doc, const struct doc_node *node)
{
    return doc_text_column(doc, node->content);
}

// The first mapping in a mapping and the first sequence in a mapping say how this file indents.
static void find_layout(struct doc_text *doc)
{
    const struct doc_graph *g = &doc->graph;
    doc->layout = (struct doc_layout){.newline = "\n", .step = 0, .seq_offset = SIZE_MAX};
    for (size_t i = 0; i < g->len; i++) {
        const struct doc_node *node = &g->nodes[i];
        const struct doc_node *parent = node->parent != DOC_NONE ? &g->nodes[node->parent] : NULL;
        bool block = node->kind != DOC_SCALAR && node->kind != DOC_ALIAS && !node->flow;
        if (!block || parent == NULL || parent->kind != DOC_MAPPING || parent->flow) {
            continue;
        }
        size_t outer = doc_text_column(doc, g->nodes[parent->first].start),
               inner = column_of(doc, node);
        if (node->kind == DOC_MAPPING && doc->layout.step == 0 && inner > outer) {
            doc->layout.step = inner - outer;
        }
        if (node->kind == DOC_SEQUENCE && doc->layout.seq_offset == SIZE_MAX && inner >= outer) {
            doc->layout.seq_offset = inner - outer;
        }
    }
    doc->layout.step = doc->layout.step == 0 ? STEP_DEFAULT : doc->layout.step;
    doc->layout.seq_offset = doc->layout.seq_offset == SIZE_MAX ? 0 : doc->layout.seq_offset;
    doc->layout.quote = g->len > 1 && g->nodes[0].flow;
}

// --- loading -------------------------------------------------------------------------------------

// Breaks that libyaml knows and most editors do not show as such; an edit that counts lines must
// not meet them.
static struct error *check_breaks(const struct doc_text *doc)
{
    size_t line = 1;
    for (size_t i = 0; i < doc->len; i++) {
        const char *s = doc->bytes + i;
        bool lone = s[0] == '\r' && s[1] != '\n';
        bool next_line = strncmp(s, "\xC2\x85", 2) == 0;
        bool separator = strncmp(s, "\xE2\x80\xA8", 3) == 0 || strncmp(s, "\xE2\x80\xA9", 3) == 0;
        if (lone || next_line || separator) {
            return doc_error(doc->name, line, 1, "a line break that is neither LF nor CR LF");
        }
        line += s[0] == '\n';
    }
    return NULL;
}

static struct error *compose(struct doc_text *doc)
{
    AUTO_COMPOSER struct doc_composer composer = {0};
    AUTO_GRAPH struct doc_graph second = {0};
    bool more = false;
    struct error *err =
        doc_composer_open(&composer, (struct slice){doc->bytes, doc->len}, doc->name);
    if (err == NULL) {
        err = doc_composer_next(&composer, &doc->graph, &more);
    }
    doc->base = composer.base;
    if (err == NULL && more) {
        err = doc_composer_next(&composer, &second, &more);
    }
    if (err == NULL && more) {
        err =
            doc_node_error(doc->name, &second.nodes[0], "a second document, where one is expected");
    }
    return err;
}

static struct error *load(char *take_bytes, size_t len, const char *name, struct doc_text **ret_doc)
{
    AUTO(doc_text) struct doc_text *doc = NEW(struct doc_text);
    doc->name = str_dup(name != NULL ? name : "document");
    doc->bytes = take_bytes;
    doc->len = len;
    struct error *err = check_breaks(doc);
    if (err == NULL) {
        err = compose(doc);
    }
    if (err == NULL) {
        err = doc_build(&doc->graph, &(struct doc_builder){.name = doc->name}, &doc->tree);
    }
    if (err != NULL) {
        return err;
    }
    find_layout(doc);
    *ret_doc = TAKE(doc);
    return NULL;
}

struct error *doc_text_new(struct slice text, const char *name, struct doc_text **ret_doc)
{
    if (text.len > DOC_BYTES_MAX) {
        return doc_error(name, 1, 1, "larger than %zu bytes", DOC_BYTES_MAX);
    }
    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) {
        return doc_error(name, 1, 1, "the text holds a NUL character");
    }
    return load(slice_dup(text), text.len, name, ret_doc);
}

void doc_text_free(struct doc_text *doc)
{
    if (doc == NULL) {
        return;
    }
    mem_free(doc->name);
    mem_free(doc->bytes);
    doc_graph_fini(&doc->graph);
    json_decref(doc->tree);
    mem_free(doc);
}

struct slice doc_text_bytes(const struct doc_text *doc)
{
    return (struct slice){.ptr = doc->bytes, .len = doc->len};
}

const json_t *doc_text_tree(const struct doc_text *doc)
{
    return doc->tree;
}

// --- edits ---------------------------------------------------------------------------------------

void doc_edit_add(struct doc_edit *edit, size_t from, size_t to, char *take_with)
{
    ASSERT(edit->len < COUNT(edit->splices));
    ASSERT(from <= to);
    // foreign: places come from the graph, in its order
    ASSERT(edit->len == 0 || edit->splices[edit->len - 1].to <= from);
    edit->splices[edit->len++] = (struct doc_splice){.from = from, .to = to, .with = take_with};
}

void doc_edit_fini(struct doc_edit *edit)
{
    for (size_t i = 0; i < edit->len; i++) {
        mem_free(edit->splices[i].with);
    }
    *edit = (struct doc_edit){0};
}

static struct buf splice(const struct doc_text *doc, const struct doc_edit *edit)
{
    struct buf out = doc_text_buf();
    struct slice old = doc_text_bytes(doc);
    size_t pos = 0;
    for (size_t i = 0; i < edit->len; i++) {
        const struct doc_splice *part = &edit->splices[i];
        buf_add_slice(&out, slice_sub(old, pos, part->from));
        buf_add_str(&out, part->with != NULL ? part->with : "");
        pos = part->to;
    }
    buf_add_slice(&out, slice_sub(old, pos, old.len));
    return out;
}

static size_t line_of(const struct doc_text *doc, size_t pos)
{
    size_t line = 1;
    for (size_t i = 0; i < pos; i++) {
        line += doc->bytes[i] == '\n';
    }
    return line;
}

// The end of a text may have lines of tabs behind a plain scalar, as a part of it; behind anything
// else they are an error. *ret_pos is the start of such a line.
static bool find_tab_line(const struct doc_text *doc, size_t pos, size_t *ret_pos)
{
    bool found = false;
    for (; pos < doc->len && strchr(" \t\r\n", doc->bytes[pos]) != NULL && !found; pos++) {
        *ret_pos = doc_text_line_start(doc, pos);
        found = doc->bytes[pos] == '\t' && doc_text_only(doc, *ret_pos, pos, " ");
    }
    return found;
}

// In a text with aliases an edit can reach further than its place (a merge shows through, an anchor
// goes away), a block scalar can swallow a comment that now stands right behind it, and a tab is
// not taken everywhere: that is the text's doing. Without them it is ours.
static struct error *not_as_wanted(const struct doc_text *doc, const struct doc_edit *edit,
                                   struct error *take_why)
{
    AUTO(error) struct error *why = take_why;
    const char *text = why != NULL ? error_text(why) : "it would mean something else than wanted";
    size_t line = line_of(doc, edit->splices[0].from), tab = 0;
    if (why != NULL && find_tab_line(doc, edit->splices[edit->len - 1].to, &tab)) {
        return doc_error(doc->name, line_of(doc, tab), 1,
                         "the edit cannot be made: this line begins with a tab; put blanks there "
                         "or take the line out");
    }
    if (doc->graph.has_alias || doc->graph.has_block) {
        return doc_error(doc->name, line, 1,
                         "the edit cannot be made: %s; write what is there without aliases and "
                         "block scalars, or edit it by hand",
                         text);
    }
    return error_new(ERROR_INTERNAL, "%s:%zu:1: the edit cannot be made: %s", doc->name, line,
                     text);
}

struct error *doc_text_commit(struct doc_text *doc, const struct doc_edit *edit,
                              const json_t *wanted)
{
    AUTO_BUF struct buf out = splice(doc, edit);
    if (out.overflow) {
        return doc_error(doc->name, 1, 1, "would become larger than %zu bytes", DOC_BYTES_MAX);
    }
    AUTO(doc_text) struct doc_text *after = NULL;
    size_t len = out.len;
    struct error *err = load(buf_take(&out), len, doc->name, &after);
    if (err != NULL || !json_equal(after->tree, wanted)) {
        return not_as_wanted(doc, edit, err);
    }
    struct doc_text before = *doc;
    *doc = *after;
    *after = before;
    return NULL;
}

// SPDX-License-Identifier: Apache-2.0
// What the files of doc share: a YAML document as nodes that know their bytes, scalars, and how
// text is laid out.
#pragma once

#include <yaml.h>

#include "drawbridge/doc.h"

#define DOC_NONE UINT32_MAX

enum doc_kind { DOC_SCALAR, DOC_SEQUENCE, DOC_MAPPING, DOC_ALIAS };
enum doc_style { DOC_PLAIN, DOC_SINGLE, DOC_DOUBLE, DOC_LITERAL, DOC_FOLDED };
enum doc_tag {
    DOC_TAG_NONE,  // resolved by its look when plain
    DOC_TAG_PLAIN, // "!": a string
    DOC_TAG_STR,
    DOC_TAG_INT,
    DOC_TAG_FLOAT,
    DOC_TAG_BOOL,
    DOC_TAG_NULL,
};

// One node of a document. Children of a mapping alternate: key, value, key, value. Positions are
// bytes of the text.
struct doc_node {
    enum doc_kind kind;
    enum doc_style style; // scalars
    enum doc_tag tag;     // scalars
    bool flow;            // collections written with brackets
    bool closed;          // its end was seen: an alias may name it
    bool shared;          // an alias names it
    bool block_tail;      // ends in a block scalar: end is the start of a line (or of nothing)
    size_t start;         // its anchor or tag, else its content
    size_t content;       // what follows anchor and tag
    size_t end;
    size_t line, column; // from 1, in characters
    char *text;          // scalars; NUL-terminated
    size_t text_len;
    uint32_t target; // aliases
    uint32_t parent, first, last, next;
    uint32_t count; // children; of a mapping keys and values
};

struct doc_graph {
    struct doc_node *nodes;
    size_t len, room;
    bool empty;     // no document at all
    bool has_alias; // at least one
    bool has_block; // at least one literal or folded scalar
};
void doc_graph_fini(struct doc_graph *graph);
#define AUTO_GRAPH CLEANUP(doc_graph_fini)

// --- compose.c: text to nodes --------------------------------------------------------------------

struct doc_composer {
    yaml_parser_t parser;
    struct slice text;
    const char *name;
    size_t base;           // bytes of a byte order mark
    uint32_t *checkpoints; // byte of every 32nd character; NULL: one byte a character
    size_t checkpoints_len;
    bool open;
};
struct error *doc_composer_open(struct doc_composer *composer, struct slice text, const char *name);
// The next document; *ret_more false: there was none, and graph is empty.
struct error *doc_composer_next(struct doc_composer *composer, struct doc_graph *ret_graph,
                                bool *ret_more);
void doc_composer_close(struct doc_composer *composer);
#define AUTO_COMPOSER CLEANUP(doc_composer_close)

MUST_USE struct error *doc_error(const char *name, size_t line, size_t column, const char *fmt, ...)
    PRINTF(4, 5);
MUST_USE struct error *doc_node_error(const char *name, const struct doc_node *node,
                                      const char *fmt, ...) PRINTF(3, 4);

// --- resolve.c, build.c: nodes to a tree ---------------------------------------------------------

// What a plain scalar is; a new reference. NULL: infinity or not a number, which JSON does not
// have.
json_t *doc_resolve(const char *text, size_t len);
// Goes with all documents of one text.
struct doc_builder {
    const char *name;
    bool last_wins; // two equal keys in a mapping are no error, and the last one counts
    size_t nodes;   // made so far
};
struct error *doc_build(const struct doc_graph *graph, struct doc_builder *builder,
                        json_t **ret_tree);
// The string that a key node (or an alias of one) stands for. Yours.
struct error *doc_build_key(const struct doc_graph *graph, const char *name, uint32_t key,
                            char **ret_key);
bool doc_is_merge_key(const struct doc_node *key);

// --- emit.c: a tree to text ----------------------------------------------------------------------

struct doc_layout {
    const char *newline;
    size_t step;       // of a mapping in a mapping
    size_t seq_offset; // of a sequence's dashes from the key above
    bool literal;      // texts of many lines as literal block scalars
    bool quote;        // every string in double quotes: a file that is JSON stays JSON
};
// A scalar in the style asked for, or in one that can hold it. flow: between brackets.
void doc_emit_scalar(struct buf *b, const json_t *value, enum doc_style style, bool flow);
void doc_emit_flow(struct buf *b, const json_t *value, bool quote);
// Entries of a mapping or items of a sequence, each from its own indented line to its line break;
// inline_first: the first stands where the text is now. An empty collection or a scalar is one
// line.
void doc_emit_block(struct buf *b, const json_t *value, size_t indent, bool inline_first,
                    const struct doc_layout *layout);
// What follows "key:" or "-": a space and a scalar, or the lines of a collection (indent: of the
// key's or dash's column).
void doc_emit_value(struct buf *b, const json_t *value, size_t indent,
                    const struct doc_layout *layout);
void doc_emit_spaces(struct buf *b, size_t n);

// --- text*.c: edits ------------------------------------------------------------------------------

struct doc_text {
    char *name;
    char *bytes;
    size_t len, base;
    struct doc_graph graph;
    json_t *tree;
    struct doc_layout layout;
};

// A part of the text and what stands there instead. Positions are those of the text before the
// edit.
struct doc_splice {
    size_t from, to;
    char *with; // owned; NULL: nothing
};
struct doc_edit {
    struct doc_splice splices[2]; // in the order of the text
    size_t len;
};
void doc_edit_add(struct doc_edit *edit, size_t from, size_t to, char *take_with);
void doc_edit_fini(struct doc_edit *edit);
#define AUTO_EDIT CLEANUP(doc_edit_fini)
// Makes the edit if its result reads as wanted.
struct error *doc_text_commit(struct doc_text *doc, const struct doc_edit *edit,
                              const json_t *wanted);

// Where a pointer leads.
struct doc_place {
    struct strlist steps; // of the pointer
    size_t found;         // steps that are there
    uint32_t node;        // the deepest node that is there
    uint32_t key;         // its key node, or DOC_NONE
    uint32_t parent;      // the collection that holds it, or DOC_NONE
    size_t index;         // its place among the entries of parent
};
void doc_place_fini(struct doc_place *place);
#define AUTO_PLACE CLEANUP(doc_place_fini)
// INVALID: not a pointer, or the way leads through something that an alias shares or a merge
// brought.
struct error *doc_text_find(const struct doc_text *doc, const char *pointer,
                            struct doc_place *ret_place);
struct error *doc_text_refuse(const struct doc_text *doc, uint32_t node, const char *why);
bool doc_step_index(const char *step, size_t *ret_index);
// The steps of an RFC 6901 pointer; false: it is none.
bool doc_pointer_split(const char *pointer, struct strlist *steps);

const struct doc_node *doc_text_node(const struct doc_text *doc, uint32_t node);
// The nth entry of a collection: the item, or for a mapping key and value.
struct doc_entry {
    const struct doc_node *key; // NULL in a sequence
    const struct doc_node *value;
    size_t start; // the dash, the question mark, the key, or in flow style the item
    size_t end;
};
size_t doc_text_count(const struct doc_text *doc, uint32_t collection);
struct doc_entry doc_text_entry(const struct doc_text *doc, uint32_t collection, size_t index);
size_t doc_text_line_start(const struct doc_text *doc, size_t pos);
size_t doc_text_line_end(const struct doc_text *doc, size_t pos);   // before its break
size_t doc_text_line_after(const struct doc_text *doc, size_t pos); // after its break
size_t doc_text_column(const struct doc_text *doc, size_t pos);     // characters
bool doc_text_starts_line(const struct doc_text *doc, size_t pos);  // nothing but blanks before
size_t doc_text_skip(const struct doc_text *doc, size_t pos);       // blanks, breaks and comments
bool doc_text_only(const struct doc_text *doc, size_t from, size_t to, const char *set);
const char *doc_text_newline(const struct doc_text *doc, size_t pos); // of the line before pos
struct buf doc_text_buf(void);

// Makes the edit that puts an entry into an existing collection. key NULL: a sequence.
struct error *doc_block_insert(struct doc_text *doc, uint32_t collection, size_t index,
                               const char *key, const json_t *value, struct doc_edit *edit);
struct error *doc_flow_insert(struct doc_text *doc, uint32_t collection, size_t index,
                              const char *key, const json_t *value, struct doc_edit *edit);
// keep_break: where the text has no final line break, the break before what is removed stays.
struct error *doc_block_remove(struct doc_text *doc, const struct doc_place *place, bool keep_break,
                               struct doc_edit *edit);
struct error *doc_flow_remove(struct doc_text *doc, const struct doc_place *place,
                              struct doc_edit *edit);
// Lines to stand at pos, which is the start of a line or the end of a text without a final break.
void doc_text_add_lines(const struct doc_text *doc, size_t pos, char *take_lines,
                        struct doc_edit *edit);

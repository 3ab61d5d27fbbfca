// SPDX-License-Identifier: Apache-2.0
// doc: one tree type for JSON and YAML, and edits of YAML text that keep every other byte.
//
// Purpose   parse, print, walk, merge, compare, digest documents; surgical edits of YAML files
// In → Out  bytes → json_t trees; text + edit → text; two texts → a unified diff
// Owns      jansson (its tree crosses all rooms as json_t: borrowed where const, owned where
//           ret_/take_), libyaml
// May use   base
// Never     files, network; words of Kubernetes
// Limits    DOC_BYTES_MAX, DOC_DEPTH_MAX, DOC_NODES_MAX after aliases are followed
// Blocking  no
#pragma once

#include <jansson.h>

#include "drawbridge/base.h"

#define DOC_BYTES_MAX ((size_t)16 << 20)
#define DOC_DEPTH_MAX 64
#define DOC_NODES_MAX 1000000 // of one document, aliases expanded; JSON: see doc_json_nodes()

static inline void json_tree_freep(json_t **p)
{
    json_decref(*p);
}
#define AUTO_JSON CLEANUP(json_tree_freep)

// JSON text to a tree. Error INVALID: "name:line:column: what"; LIMIT: more than DOC_BYTES_MAX or
// DOC_NODES_MAX. Nodes are counted before anything is made of them (doc_json_nodes()): a byte of
// text can cost a hundred of memory.
struct error *doc_parse_json(struct slice text, const char *name, json_t **ret_tree);
// The same with a lower cap, for those whose documents are small by nature.
struct error *doc_parse_json_max(struct slice text, const char *name, size_t nodes_max,
                                 json_t **ret_tree);
// At least as many as the tree of this text would have, and at most twice as many: its commas and
// opening brackets outside of strings, and one.
size_t doc_json_nodes(struct slice text);
// YAML 1.1 as Kubernetes reads it (sigs.k8s.io/yaml: plain scalars resolve to null, bool, int,
// float; the key of a mapping is a string; duplicate keys are refused) to a tree. One document; an
// empty one is JSON null. Error INVALID: "name:line:column: what".
struct error *doc_parse_yaml(struct slice text, const char *name, json_t **ret_tree);
// All documents of a stream, in order, as an array; empty ones are left out. The caps are those of
// one document.
struct error *doc_parse_yaml_all(struct slice text, const char *name, json_t **ret_array);
// The same for what another program has made and read already, as Helm reads the output of a chart:
// of two equal keys in a mapping the last one counts.
struct error *doc_parse_yaml_rendered(struct slice text, const char *name, json_t **ret_array);
char *doc_print_json(const json_t *tree); // compact, keys in order of insertion
// compact, keys sorted: for digests and comparison
char *doc_print_json_sorted(const json_t *tree);
char *doc_print_json_pretty(const json_t *tree); // two spaces
// block style, ends in a newline; strings that would read as another type are quoted
char *doc_print_yaml(const json_t *tree);

// The one way from text that we did not write ourselves to a JSON string, whatever bytes it has
// (text_make()): never NULL, where jansson's json_string() is NULL for what is no UTF-8. NULL gives
// "".
NONNULL json_t *doc_string(const char *text);
// The same in at most bytes_max bytes, cut between characters.
NONNULL json_t *doc_string_of(struct slice text, size_t bytes_max);

// Walks "a", "b", "2" of a NULL-terminated argument list; borrowed; NULL when a step is not there.
const json_t *doc_get(const json_t *tree, ...) __attribute__((sentinel));
// The same for "/a/b/2" (RFC 6901: ~0 is ~, ~1 is /).
const json_t *doc_pointer(const json_t *tree, const char *pointer);
// "" when not there or no string
const char *doc_str(const json_t *tree, ...) __attribute__((sentinel));
int64_t doc_int(const json_t *tree, int64_t absent, ...); // arguments end in NULL
// absent is a bool (C wants an int there); arguments end in NULL
bool doc_bool(const json_t *tree, int absent, ...);
bool doc_equal(const json_t *a, const json_t *b); // NULL equals NULL alone; 1 equals 1.0
// Sets the value at the end of the path, making objects on the way, also in place of what leads
// nowhere (a text, an array without that index); take_value is owned by the tree afterwards.
void doc_set(json_t *tree, json_t *take_value, ...) __attribute__((sentinel));
json_t *doc_copy(const json_t *tree);                               // deep
json_t *doc_merge_patch(const json_t *target, const json_t *patch); // RFC 7386, a new tree
// The RFC 7386 patch that makes target of source; NULL when they are equal.
json_t *doc_make_merge_patch(const json_t *source, const json_t *target);

#define DOC_DIGEST_BYTES 65
// SHA-256 of bytes as lower-case hex (not for secrets: an identity, no signature); ret must hold
// DOC_DIGEST_BYTES.
const char *doc_digest(struct slice bytes, char *ret);
const char *doc_digest_tree(const json_t *tree, char *ret); // of doc_print_json_sorted()

// A unified diff with three lines of context and the headers "--- a_name" and "+++ b_name"; "" when
// equal.
char *doc_diff(struct slice a, struct slice b, const char *a_name, const char *b_name);

// --- surgical edits of YAML text -----------------------------------------------------------------
// A doc_text is a text and where each of its nodes stands. Edits change only the bytes of what they
// name: comments (non-ASCII too), indentation, CRLF, quotes, anchors, order and a missing final
// newline of everything else stay. All positions are bytes. An edit of a node that an alias shares,
// or that is written in a way the edit cannot keep, is an error INVALID and changes nothing; after
// each edit the text is parsed again and must hold just the wanted tree. Else nothing is changed:
// INVALID, "name:line:column: what", where the text is why (aliases, block scalars, tabs), INTERNAL
// where nothing in it is known to be.

struct doc_text;
// Copies text. One document (a leading "---" and directives are fine; a second document is
// INVALID).
struct error *doc_text_new(struct slice text, const char *name, struct doc_text **ret_doc);
void doc_text_free(struct doc_text *doc);
AUTO_DECLARE(doc_text, struct doc_text)
struct slice doc_text_bytes(const struct doc_text *doc); // borrowed until the next edit
const json_t *doc_text_tree(const struct doc_text *doc); // borrowed until the next edit
// Replaces the scalar at pointer (RFC 6901) by value (a string, bool or number); the quoting style
// is kept where it can be.
struct error *doc_text_set_scalar(struct doc_text *doc, const char *pointer, const json_t *value);
// Adds an entry to the mapping at pointer ("" is the root), after its last one (or, in flow style,
// before the closing brace). A mapping that is not there is made, with those above it. An existing
// key is CONFLICT.
struct error *doc_text_add_key(struct doc_text *doc, const char *pointer, const char *key,
                               const json_t *value);
// Inserts value (scalar or tree) into the sequence at pointer so that it gets this index (len: at
// the end). A sequence that is not there is made.
struct error *doc_text_insert(struct doc_text *doc, const char *pointer, size_t index,
                              const json_t *value);
// Removes the entry (of a mapping or sequence) at pointer with its whole lines and a comment at the
// end of them. A mapping or sequence that becomes empty through it is written as {} or [].
struct error *doc_text_remove(struct doc_text *doc, const char *pointer);
// The bytes of the whole lines that the entry at pointer (of a block sequence or mapping) has to
// itself, its dash or key included; what follows them begins a line. NOT_FOUND; INVALID where it
// shares a line.
struct error *doc_text_lines(const struct doc_text *doc, const char *pointer, size_t *ret_from,
                             size_t *ret_to);

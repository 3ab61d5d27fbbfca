// SPDX-License-Identifier: Apache-2.0
// JSON in and out. jansson is strict here (no doubles, no NUL), and its memory comes from ours, so
// that running out of it aborts in one place and what it prints can be freed like everything else.

#include <string.h>

#include "doc_internal.h"

#define INDENT 2

static void *allocate(size_t bytes)
{
    return mem_realloc(NULL, bytes); // jansson needs no zeros
}

// A constructor, because a tree can be made with jansson's own calls before any function of this
// room ran.
__attribute__((constructor)) static void route_memory(void)
{
    json_set_alloc_funcs(allocate, mem_free);
}

struct error *doc_error(const char *name, size_t line, size_t column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    AUTO_MEM char *what = str_vformat(fmt, args);
    va_end(args);
    return error_new(ERROR_INVALID, "%s:%zu:%zu: %s", name != NULL ? name : "document", line,
                     column, what);
}

// What a text will cost, before it is parsed.
struct shape {
    size_t nodes, depth;
};

// Just behind the string whose first character stands at at.
static size_t string_end(struct slice text, size_t at)
{
    while (at < text.len) {
        const char *quote = memchr(text.ptr + at, '"', text.len - at);
        if (quote == NULL) {
            return text.len;
        }
        size_t end = (size_t)(quote - text.ptr), back = end;
        while (back > at && text.ptr[back - 1] == '\\') {
            back--;
        }
        at = end + 1;
        if ((end - back) % 2 == 0) {
            return at;
        }
    }
    return text.len;
}

static struct shape measure(struct slice text)
{
    struct shape shape = {.nodes = 1};
    size_t depth = 0;
    for (size_t at = 0; at < text.len;) {
        char c = text.ptr[at++];
        if (c == '"') {
            at = string_end(text, at);
        } else if (c == ',') {
            shape.nodes++;
        } else if (c == '{' || c == '[') {
            shape.nodes++;
            depth++;
            shape.depth = depth > shape.depth ? depth : shape.depth;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        }
    }
    return shape;
}

size_t doc_json_nodes(struct slice text)
{
    return measure(text).nodes;
}

static struct error *check_shape(struct slice text, const char *name, size_t nodes_max)
{
    if (text.len > DOC_BYTES_MAX) {
        return error_new(ERROR_LIMIT, "%s: larger than %zu bytes", name, DOC_BYTES_MAX);
    }
    struct shape shape = measure(text);
    if (shape.nodes > nodes_max) {
        return error_new(ERROR_LIMIT, "%s: more than %zu values", name, nodes_max);
    }
    if (shape.depth > DOC_DEPTH_MAX) {
        return doc_error(name, 1, 1, "nested deeper than %d", DOC_DEPTH_MAX);
    }
    return NULL;
}

struct error *doc_parse_json_max(struct slice text, const char *name, size_t nodes_max,
                                 json_t **ret_tree)
{
    struct error *err = check_shape(text, name != NULL ? name : "document", nodes_max);
    if (err != NULL) {
        return err;
    }
    json_error_t problem;
    size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_t *tree = json_loadb(text.len == 0 ? "" : text.ptr, text.len, flags, &problem);
    if (tree == NULL) {
        size_t line = problem.line > 0 ? (size_t)problem.line : 1;
        size_t column = problem.column > 0 ? (size_t)problem.column : 1;
        return doc_error(name, line, column, "%s", problem.text);
    }
    *ret_tree = tree;
    return NULL;
}

struct error *doc_parse_json(struct slice text, const char *name, json_t **ret_tree)
{
    return doc_parse_json_max(text, name, DOC_NODES_MAX, ret_tree);
}

static char *print(const json_t *tree, size_t flags)
{
    char *text = json_dumps(tree, flags | JSON_ENCODE_ANY);
    ASSERT(text != NULL); // foreign: no tree holds what is no UTF-8, see doc_string()
    return text;
}

char *doc_print_json(const json_t *tree)
{
    return print(tree, JSON_COMPACT);
}

char *doc_print_json_sorted(const json_t *tree)
{
    return print(tree, JSON_COMPACT | JSON_SORT_KEYS);
}

char *doc_print_json_pretty(const json_t *tree)
{
    return print(tree, JSON_INDENT(INDENT));
}

json_t *doc_string_of(struct slice text, size_t bytes_max)
{
    AUTO_MEM char *made = text_make(text, bytes_max);
    json_t *value = json_string(made); // foreign: text_make() gives what jansson takes
    ASSERT(value != NULL);             // foreign: likewise
    return value;
}

json_t *doc_string(const char *text)
{
    return doc_string_of(slice_of(text), DOC_BYTES_MAX);
}

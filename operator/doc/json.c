// SPDX-License-Identifier: Apache-2.0
// JSON in and out. jansson is strict here (no doubles, no NUL), and its memory comes from ours, so
// that running out of it aborts in one place and what it prints can be freed like everything else.

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

static size_t tree_depth(const json_t *tree)
{
    size_t deepest = 0;
    if (json_is_array(tree)) {
        size_t i;
        json_t *item;
        json_array_foreach(tree, i, item) {
            size_t depth = tree_depth(item);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    if (json_is_object(tree)) {
        const char *key;
        json_t *item;
        // jansson iterates a const object through a cast of its own.
        json_object_foreach((json_t *)(uintptr_t)tree, key, item) {
            size_t depth = tree_depth(item);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    return 0;
}

struct error *doc_parse_json(struct slice text, const char *name, json_t **ret_tree)
{
    if (text.len > DOC_BYTES_MAX) {
        return doc_error(name, 1, 1, "larger than %zu bytes", DOC_BYTES_MAX);
    }
    json_error_t problem;
    size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    AUTO_JSON json_t *tree = json_loadb(text.len == 0 ? "" : text.ptr, text.len, flags, &problem);
    if (tree == NULL) {
        size_t line = problem.line > 0 ? (size_t)problem.line : 1;
        size_t column = problem.column > 0 ? (size_t)problem.column : 1;
        return doc_error(name, line, column, "%s", problem.text);
    }
    if (tree_depth(tree) > DOC_DEPTH_MAX) {
        return doc_error(name, 1, 1, "nested deeper than %d", DOC_DEPTH_MAX);
    }
    *ret_tree = TAKE(tree);
    return NULL;
}

static char *print(const json_t *tree, size_t flags)
{
    char *text = json_dumps(tree, flags | JSON_ENCODE_ANY);
    ASSERT(text != NULL);
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
    json_t *value = json_string(made);
    ASSERT(value != NULL); // text_make() gives what jansson takes
    return value;
}

json_t *doc_string(const char *text)
{
    return doc_string_of(slice_of(text), DOC_BYTES_MAX);
}

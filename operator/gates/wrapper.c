// SPDX-License-Identifier: Apache-2.0
// Edits the "args" of a wrapper's JSON as text, so that escapes and spacing of everything else
// stay. The text is known to be an object with an array "args" of strings; the scan therefore only
// has to count brackets outside of strings.
#include "argv_internal.h"

#include <string.h>

#define WRAPPER_BYTES_MAX DOC_BYTES_MAX

// Byte positions of the array and of the element asked for.
struct place {
    size_t open, close; // of the brackets
    size_t start, end;  // of element index: end is behind its closing quote
    size_t before_end;  // end of the element before it, 0: none
    bool found;
};

// The position behind the string that begins at at.
static size_t skip_string(const char *json, size_t at)
{
    for (at++; json[at] != '"'; at++)
        if (json[at] == '\\')
            at++;
    return at + 1;
}

static size_t skip_space(const char *json, size_t at)
{
    while (json[at] == ' ' || json[at] == '\t' || json[at] == '\n' || json[at] == '\r')
        at++;
    return at;
}

// What the text says, not how: "\u0061rgs" is the same key for the parser.
static bool is_args(struct slice key)
{
    AUTO_JSON json_t *name = NULL;
    AUTO(error) struct error *err = doc_parse_json(key, "key", &name);
    return err == NULL && str_eq(json_string_value(name), "args");
}

// Where the array of the key "args" at depth one opens.
static size_t find_array(const char *json)
{
    size_t found = 0, depth = 0;
    for (size_t at = 0; json[at] != '\0';) {
        if (json[at] == '"') {
            size_t end = skip_string(json, at);
            size_t next = skip_space(json, end);
            if (depth == 1 && json[next] == ':' && is_args((struct slice){json + at, end - at})) {
                next = skip_space(json, next + 1);
                found = json[next] == '[' ? next : found;
            }
            at = end;
            continue;
        }
        depth += json[at] == '{' || json[at] == '[' ? 1 : 0;
        depth -= json[at] == '}' || json[at] == ']' ? 1 : 0;
        at++;
    }
    return found;
}

// strings is counted from 0; one that is not there leaves found false and close and before_end set
// for an append.
static struct place find_place(const char *json, size_t index)
{
    struct place p = {.open = find_array(json)};
    ASSERT(json[p.open] == '['); // foreign: gates_argv_open() saw the array in the tree
    size_t at = p.open + 1, n = 0;
    while (json[at] != ']') {
        if (json[at] != '"') {
            at++;
            continue;
        }
        size_t end = skip_string(json, at);
        if (n < index)
            p.before_end = end;
        if (n == index) {
            p.start = at;
            p.end = end;
            p.found = true;
        }
        n++;
        at = end;
    }
    p.close = at;
    return p;
}

static char *quoted(const char *value)
{
    AUTO_JSON json_t *array = json_pack("[o]", doc_string(value));
    char *text = doc_print_json(array);
    size_t len = strlen(text);
    memmove(text, text + 1, len - 2);
    text[len - 2] = '\0';
    return text;
}

// json with from..to replaced by the two texts.
static char *splice(const char *json, size_t from, size_t to, const char *a, const char *b)
{
    return str_format("%.*s%s%s%s", (int)from, json, a, b, json + to);
}

char *gates_wrapper_set(const char *json, size_t index, const char *value)
{
    struct place p = find_place(json, index);
    ASSERT(p.found); // foreign: index is of a string that gates_argv_open() counted
    AUTO_MEM char *text = quoted(value);
    return splice(json, p.start, p.end, text, "");
}

char *gates_wrapper_insert(const char *json, size_t index, const char *value)
{
    struct place p = find_place(json, index);
    AUTO_MEM char *text = quoted(value);
    if (p.found)
        return splice(json, p.start, p.start, text, ",");
    if (p.before_end > 0)
        return splice(json, p.before_end, p.before_end, ",", text);
    return splice(json, p.open + 1, p.open + 1, text, "");
}

char *gates_wrapper_remove(const char *json, size_t index)
{
    struct place p = find_place(json, index);
    ASSERT(p.found); // foreign: index is of a string that gates_argv_open() counted
    size_t next = skip_space(json, p.end);
    if (json[next] == ',') // with the comma behind it, up to the next one
        return splice(json, p.start, skip_space(json, next + 1), "", "");
    return splice(json, p.before_end > 0 ? p.before_end : p.start, p.end, "", "");
}

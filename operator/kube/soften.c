// SPDX-License-Identifier: Apache-2.0
// The API server stores whatever JSON its users send where a schema leaves them free: NUL
// characters, whole numbers beyond 64 bits, deep nesting. Our parser refuses each, and one such
// object must not hide all the others of its list. Pure: a text that the parser takes, with those
// places changed and no two keys made equal.
#include "kube_internal.h"

#include <string.h>

#define DEPTH_MAX (DOC_DEPTH_MAX - 4) // room for what an answer puts around an object
#define DIGITS_MAX 18                 // of a whole number that surely fits

// Just behind the string that begins at at.
static size_t string_end(struct slice text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++)
        if (text.ptr[at] == '\\')
            at++;
    return at < text.len ? at + 1 : text.len;
}

static bool is_key(struct slice text, size_t end)
{
    while (end < text.len && strchr(" \t\r\n", text.ptr[end]))
        end++;
    return end < text.len && text.ptr[end] == ':';
}

// What a string must not hold, or in a key what stands for it. In keys a NUL becomes U+FFFD and a
// 0, and U+FFFD itself U+FFFD and a 1: two keys that differed still do.
static const struct {
    const char *text, *in_value, *in_key;
} changes[] = {
    {"\\u0000", "\\ufffd", "\\ufffd0"},
    {"\\ufffd", NULL, "\\ufffd1"}, // however its letters are written
    {"\xEF\xBF\xBD", NULL, "\\ufffd1"},
};

// The change that is due at the beginning of text, or -1.
static int find_change(struct slice text, bool key)
{
    for (size_t i = 0; i < COUNT(changes); i++) {
        size_t len = strlen(changes[i].text);
        if ((key || changes[i].in_value) && text.len >= len &&
            strncasecmp(text.ptr, changes[i].text, len) == 0)
            return (int)i;
    }
    return -1;
}

// Copies the string that begins at *at, its quotes included.
static void copy_string(struct slice text, size_t *at, struct buf *out)
{
    size_t begin = *at, end = string_end(text, *at);
    bool key = is_key(text, end);
    for (size_t i = begin; i < end;) {
        int change = find_change(slice_sub(text, i, end), key);
        if (change >= 0) {
            buf_add_slice(out, slice_sub(text, begin, i));
            buf_add_str(out, key ? changes[change].in_key : changes[change].in_value);
            i += strlen(changes[change].text);
            begin = i;
        } else {
            i += text.ptr[i] == '\\' ? 2 : 1;
        }
    }
    buf_add_slice(out, slice_sub(text, begin, end));
    *at = end;
}

// Copies the number, word or single character that begins at *at; a whole number that may not fit
// becomes a real one.
static void copy_token(struct slice text, size_t *at, struct buf *out)
{
    size_t begin = *at, digits = 0;
    bool whole = true;
    while (*at < text.len && !strchr("{}[],:\" \t\r\n", text.ptr[*at])) {
        digits += text.ptr[*at] >= '0' && text.ptr[*at] <= '9';
        whole = whole && strchr("-0123456789", text.ptr[*at]);
        *at += 1;
    }
    if (*at == begin)
        *at += 1;
    buf_add_slice(out, slice_sub(text, begin, *at));
    if (whole && digits > DIGITS_MAX)
        buf_add_str(out, "e0");
}

// Passes over the object or array that begins at *at.
static void skip_nested(struct slice text, size_t *at)
{
    size_t depth = 0;
    bool in_string = false;
    do {
        char c = text.ptr[*at];
        if (in_string && c == '\\')
            *at += 1;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
        *at += 1;
    } while (depth > 0 && *at < text.len);
    *at = *at < text.len ? *at : text.len;
}

char *kube_soften(struct slice text)
{
    AUTO_BUF struct buf out = buf_make(text.len * 3 + 64); // a U+FFFD of three bytes becomes seven
    size_t depth = 0;
    for (size_t at = 0; at < text.len;) {
        char c = text.ptr[at];
        bool opens = c == '{' || c == '[', closes = c == '}' || c == ']';
        if (opens && depth == DEPTH_MAX) {
            skip_nested(text, &at);
            buf_add_str(&out, "null");
            continue;
        }
        depth += opens;
        depth -= closes && depth > 0;
        if (c == '"')
            copy_string(text, &at, &out);
        else
            copy_token(text, &at, &out);
    }
    return buf_take(&out);
}

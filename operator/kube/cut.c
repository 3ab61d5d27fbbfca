// SPDX-License-Identifier: Apache-2.0
// Leaves metadata.managedFields out of an object's text. It is up to half of what a list or a watch
// sends, nobody here reads it, and the parser would make a tree of it only to throw it away. Like
// items.c it only counts braces and strings; a text that is no good JSON stays as it is and is the
// parser's to refuse. Pure.
#include "kube_internal.h"

#include <string.h>

#define FIELD "\"managedFields\":"

// Just behind the string that begins at at.
static size_t string_end(struct slice text, size_t at)
{
    at++;
    while (at < text.len) {
        const char *quote = memchr(text.ptr + at, '"', text.len - at);
        if (!quote)
            break;
        size_t end = (size_t)(quote - text.ptr), back = end;
        while (back > at && text.ptr[back - 1] == '\\')
            back--;
        at = end + 1;
        if ((end - back) % 2 == 0)
            return at;
    }
    return text.len;
}

// Just behind the array that begins at at; 0: it does not end.
static size_t array_end(struct slice text, size_t at)
{
    size_t depth = 0;
    while (at < text.len) {
        char c = text.ptr[at];
        if (c == '"') {
            at = string_end(text, at);
            continue;
        }
        depth += c == '[' || c == '{';
        depth -= (c == ']' || c == '}') && depth > 0;
        at++;
        if (depth == 0)
            return at;
    }
    return 0;
}

// With its first quote.
size_t kube_metadata_field(struct slice text, size_t depth_wanted, const char *field)
{
    size_t depth = 0, key = 0, key_len = 0;
    bool in_metadata = false;
    for (size_t at = 0; at < text.len;) {
        char c = text.ptr[at];
        if (c == '"') {
            if (in_metadata && depth == depth_wanted &&
                slice_starts(slice_sub(text, at, text.len), field))
                return at;
            key = at;
            at = string_end(text, at);
            key_len = at - key;
            continue;
        }
        if (c == '{' || c == '[') {
            depth++;
            if (depth == depth_wanted)
                in_metadata =
                    c == '{' && slice_eq(slice_sub(text, key, key + key_len), "\"metadata\"");
        } else if ((c == '}' || c == ']') && depth > 0) {
            in_metadata = in_metadata && depth != depth_wanted;
            depth--;
        }
        at++;
    }
    return text.len;
}

struct slice kube_cut_managed_fields(struct slice text, size_t depth, struct buf *scratch)
{
    if (!memmem(text.ptr, text.len, FIELD, strlen(FIELD)))
        return text;
    size_t begin = kube_metadata_field(text, depth, FIELD);
    size_t value = begin + strlen(FIELD);
    if (begin == text.len || begin == 0 || value >= text.len || text.ptr[value] != '[')
        return text;
    size_t end = array_end(text, value);
    if (end == 0 || end == text.len)
        return text;
    // One comma goes with it: the one behind, or the one before where it is the last.
    if (text.ptr[end] == ',')
        end++;
    else if (text.ptr[begin - 1] == ',')
        begin--;
    buf_reset(scratch);
    buf_add_slice(scratch, slice_sub(text, 0, begin));
    buf_add_slice(scratch, slice_sub(text, end, text.len));
    return buf_slice(scratch);
}

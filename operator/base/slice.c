// SPDX-License-Identifier: Apache-2.0
// Slices: parts of somebody else's bytes, so that parsers neither copy nor write NULs into what
// they read.
#include "drawbridge/base.h"

#include <string.h>

struct slice slice_of(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

struct slice slice_sub(struct slice s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    if (!s.ptr)
        return (struct slice){NULL, 0};
    return (struct slice){s.ptr + from, to - from};
}

bool slice_eq(struct slice s, const char *text)
{
    size_t len = strlen(text);
    return s.len == len && (len == 0 || (s.ptr && memcmp(s.ptr, text, len) == 0));
}

bool slice_starts(struct slice s, const char *prefix)
{
    return slice_eq(slice_sub(s, 0, strlen(prefix)), prefix);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.ptr && s.len && is_space(s.ptr[0]))
        s = slice_sub(s, 1, s.len);
    while (s.ptr && s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool slice_cut(struct slice *rest, char sep, struct slice *ret_part)
{
    if (!rest->ptr)
        return false;
    const char *at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (!at) {
        *ret_part = *rest;
        *rest = (struct slice){NULL, 0};
        return true;
    }
    size_t len = (size_t)(at - rest->ptr);
    *ret_part = slice_sub(*rest, 0, len);
    *rest = slice_sub(*rest, len + 1, rest->len);
    return true;
}

char *slice_dup(struct slice s)
{
    char *copy = mem_alloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

bool slice_to_u64(struct slice s, uint64_t *ret_n)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        unsigned digit = (unsigned)(s.ptr[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (s.len)
        *ret_n = n;
    return s.len > 0;
}

uint64_t slice_hash(struct slice s, uint64_t seed)
{
    uint64_t hash = 14695981039346656037U ^ seed;
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * 1099511628211U;
    return hash;
}

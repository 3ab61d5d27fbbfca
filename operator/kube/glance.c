// SPDX-License-Identifier: Apache-2.0
// What an object's text tells without a tree of it: its name, its version, and where the values of
// its metadata and its status stand. Most of what a watch sends means nothing to anybody here, and
// a tree costs many times as much as this look. It is stricter than the parser: what it takes, the
// parser takes too and reads the same in it; keys that are there twice or hold an escape, numbers
// that may not fit, what is large or deep are in doubt, and in doubt it is the parser's. Pure.
#include "kube_internal.h"

#include <string.h>

#define GLANCE_BYTES_MAX ((size_t)KUBE_NODES_MAX) // no text has more values than bytes
#define GLANCE_DEPTH_MAX 32
#define GLANCE_KEYS_MAX 256 // of all objects that are open at a time
#define DIGITS_MAX 18       // of a whole number that surely fits

struct glancing {
    struct slice text;
    size_t at;
    struct slice keys[GLANCE_KEYS_MAX]; // of the open objects, one after the other
    size_t keys_len;
    unsigned depth;
    struct kube_glance *glance;
};

static char here(const struct glancing *g)
{
    return g->at < g->text.len ? g->text.ptr[g->at] : '\0';
}

static void skip_space(struct glancing *g)
{
    for (char c = here(g); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = here(g))
        g->at++;
}

static bool take(struct glancing *g, char c)
{
    if (here(g) != c)
        return false;
    g->at++;
    return true;
}

static bool take_word(struct glancing *g, const char *word)
{
    if (!slice_starts(slice_sub(g->text, g->at, g->text.len), word))
        return false;
    g->at += strlen(word);
    return true;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Just behind the backslash. Halves of a pair and the NUL are in doubt.
static bool take_escape(struct glancing *g)
{
    char c = here(g);
    unsigned code = 0;
    if (c == '\0' || !strchr("\"\\/bfnrtu", c))
        return false;
    g->at++;
    for (int i = 0; c == 'u' && i < 4; i++) {
        int digit = hex_of(here(g));
        if (digit < 0)
            return false;
        code = code << 4 | (unsigned)digit;
        g->at++;
    }
    return c != 'u' || (code != 0 && (code < 0xD800 || code > 0xDFFF));
}

// Moves over what ends no string and needs no second look, eight bytes at a time: each test leaves
// the highest bit of a byte where it may be one of those.
static void skip_plain(struct glancing *g)
{
    const uint64_t ones = 0x0101010101010101, high = ones << 7;
    while (g->text.len - g->at >= sizeof(uint64_t)) {
        uint64_t bytes;
        memcpy(&bytes, g->text.ptr + g->at, sizeof(bytes));
        uint64_t control = bytes - ones * ' ', quote = (bytes ^ ones * '"') - ones,
                 escape = (bytes ^ ones * '\\') - ones;
        if ((bytes | control | quote | escape) & high)
            return;
        g->at += sizeof(bytes);
    }
}

// ret: what is between the quotes; plain: no escapes in it.
static bool take_string(struct glancing *g, bool plain, struct slice *ret)
{
    if (!take(g, '"'))
        return false;
    size_t begin = g->at;
    for (skip_plain(g); g->at < g->text.len;) {
        unsigned char c = (unsigned char)g->text.ptr[g->at];
        size_t len = 1;
        if (c == '"') {
            *ret = slice_sub(g->text, begin, g->at);
            g->at++;
            return true;
        }
        if (c < ' ' || (plain && c == '\\'))
            return false;
        if (c >= 0x80)
            len = text_char_len(slice_sub(g->text, g->at, g->text.len));
        if (len == 0)
            return false;
        g->at += len;
        if (c == '\\' && !take_escape(g))
            return false;
        if ((g->at & 7) == 0)
            skip_plain(g);
    }
    return false;
}

static bool take_number(struct glancing *g)
{
    (void)take(g, '-');
    size_t begin = g->at;
    while (here(g) >= '0' && here(g) <= '9')
        g->at++;
    size_t digits = g->at - begin;
    return digits > 0 && digits <= DIGITS_MAX && (digits == 1 || g->text.ptr[begin] != '0') &&
           here(g) != '.' && here(g) != 'e' && here(g) != 'E';
}

static bool take_value(struct glancing *g, struct slice key);

static bool take_array(struct glancing *g)
{
    static const struct slice none = {"", 0};
    g->at++;
    skip_space(g);
    if (take(g, ']'))
        return true;
    do {
        if (!take_value(g, none))
            return false;
    } while (take(g, ','));
    return take(g, ']');
}

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

// first: of this object's keys.
static bool add_key(struct glancing *g, size_t first, struct slice key)
{
    for (size_t i = first; i < g->keys_len; i++)
        if (same(g->keys[i], key))
            return false;
    if (g->keys_len == GLANCE_KEYS_MAX)
        return false;
    g->keys[g->keys_len++] = key;
    return true;
}

static bool note_field(struct kube_fields *fields, struct slice key, struct slice value)
{
    if (fields->len == COUNT(fields->items))
        return false;
    fields->items[fields->len++] = (struct kube_field){key, value};
    return true;
}

// fields: where its own are noted, or NULL; outer: it is the object itself.
static bool take_object(struct glancing *g, struct kube_fields *fields, bool outer)
{
    size_t first = g->keys_len;
    g->at++;
    skip_space(g);
    if (take(g, '}'))
        return true;
    do {
        struct slice key;
        skip_space(g);
        if (!take_string(g, true, &key) || !add_key(g, first, key))
            return false;
        skip_space(g);
        if (!take(g, ':'))
            return false;
        skip_space(g);
        size_t begin = g->at;
        if (!take_value(g, outer ? key : (struct slice){"", 0}))
            return false;
        struct slice value = slice_trim(slice_sub(g->text, begin, g->at));
        if (outer && slice_eq(key, "status"))
            g->glance->status_text = value;
        if (fields && !note_field(fields, key, value))
            return false;
    } while (take(g, ','));
    g->keys_len = first;
    return take(g, '}');
}

static struct kube_fields *fields_of(struct kube_glance *glance, struct slice key)
{
    if (slice_eq(key, "metadata"))
        return &glance->metadata;
    return slice_eq(key, "status") ? &glance->status : NULL;
}

// With the space around it. key: of the object itself, else empty.
static bool take_value(struct glancing *g, struct slice key)
{
    struct slice text;
    bool good;
    skip_space(g);
    char c = here(g);
    if (c == '{' || c == '[') {
        if (g->depth == GLANCE_DEPTH_MAX)
            return false;
        g->depth++;
        good = c == '[' ? take_array(g) : take_object(g, fields_of(g->glance, key), g->depth == 1);
        g->depth--;
    } else if (c == '"') {
        good = take_string(g, false, &text);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        good = take_number(g);
    } else {
        good = take_word(g, "true") || take_word(g, "false") || take_word(g, "null");
    }
    skip_space(g);
    return good;
}

struct slice kube_field_text(const struct kube_fields *fields, const char *key)
{
    for (size_t i = 0; i < fields->len; i++)
        if (slice_eq(fields->items[i].key, key))
            return fields->items[i].value;
    return (struct slice){"", 0};
}

// A string of the metadata, without its quotes; false: it is no string, or has escapes.
static bool find_text(const struct kube_glance *glance, const char *key, struct slice *ret)
{
    *ret = kube_field_text(&glance->metadata, key);
    if (ret->len == 0)
        return true;
    if (ret->ptr[0] != '"' || memchr(ret->ptr, '\\', ret->len))
        return false;
    *ret = slice_sub(*ret, 1, ret->len - 1);
    return true;
}

bool kube_glance(struct slice text, struct kube_glance *ret_glance)
{
    struct glancing g;
    g.text = text;
    g.at = g.keys_len = 0;
    g.depth = 0;
    g.glance = ret_glance;
    ret_glance->text = text;
    ret_glance->status_text = (struct slice){"", 0};
    ret_glance->metadata.len = ret_glance->status.len = 0;
    return text.len > 0 && text.len <= GLANCE_BYTES_MAX && text.ptr[0] == '{' &&
           take_value(&g, (struct slice){"", 0}) && g.at == text.len &&
           find_text(ret_glance, "namespace", &ret_glance->namespace) &&
           find_text(ret_glance, "name", &ret_glance->name) && ret_glance->name.len > 0 &&
           find_text(ret_glance, "resourceVersion", &ret_glance->version) &&
           ret_glance->version.len > 0;
}

// SPDX-License-Identifier: Apache-2.0
// Cuts the items out of the JSON text of a list while it arrives, so that a list of any length
// costs the memory of one item. It only counts braces and strings; whether an item is good JSON is
// for the parser that gets it; of one that is too large it gets the beginning. Pure.
#include "kube_internal.h"

#include <string.h>

struct kube_items kube_items_make(size_t object_bytes_max)
{
    return (struct kube_items){.envelope = buf_make(KUBE_ENVELOPE_BYTES_MAX),
                               .item = buf_make(object_bytes_max)};
}

void kube_items_reset(struct kube_items *items)
{
    buf_reset(&items->envelope);
    buf_reset(&items->item);
    items->depth = 0;
    items->in_string = items->escaped = items->in_items = items->in_item = false;
    items->too_large = false;
    items->broken = NULL;
}

void kube_items_fini(struct kube_items *items)
{
    buf_fini(&items->envelope);
    buf_fini(&items->item);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t without_space(const struct buf *text, size_t len)
{
    while (len > 0 && is_space(text->ptr[len - 1]))
        len--;
    return len;
}

// Does the text so far, an object's, end in its key "items" and a colon?
static bool after_items_key(const struct buf *text)
{
    static const char key[] = "\"items\"";
    size_t len = without_space(text, text->len);
    if (len == 0 || text->ptr[len - 1] != ':')
        return false;
    len = without_space(text, len - 1);
    size_t key_len = sizeof(key) - 1;
    if (len < key_len || memcmp(text->ptr + len - key_len, key, key_len) != 0)
        return false;
    len = without_space(text, len - key_len);
    return len > 0 && (text->ptr[len - 1] == '{' || text->ptr[len - 1] == ',');
}

// Moves over the bytes of one value or of the envelope, as far as nothing has to be decided: true
// when the byte at *at does.
static bool skip_string(struct kube_items *items, struct slice bytes, size_t *at)
{
    while (*at < bytes.len) {
        char c = bytes.ptr[*at];
        *at += 1;
        if (items->escaped) {
            items->escaped = false;
        } else if (c == '\\') {
            items->escaped = true;
        } else if (c == '"') {
            items->in_string = false;
            return true;
        }
    }
    return false;
}

// Inside an item: up to and with its last brace. True when it is whole.
static bool take_item(struct kube_items *items, struct slice *rest)
{
    size_t at = 0;
    bool whole = false;
    while (at < rest->len && !whole) {
        if (items->in_string) {
            skip_string(items, *rest, &at);
            continue;
        }
        char c = rest->ptr[at++];
        if (c == '"')
            items->in_string = true;
        else if (c == '{' || c == '[')
            items->depth++;
        else if (c == '}' || c == ']')
            whole = --items->depth == 2;
    }
    size_t room = items->item.max - items->item.len;
    items->too_large = items->too_large || at > room;
    buf_add(&items->item, rest->ptr, at < room ? at : room);
    *rest = slice_sub(*rest, at, rest->len);
    return whole;
}

// Between items: the next one's beginning, a comma, or the end of the list.
static void take_between(struct kube_items *items, struct slice *rest)
{
    char c = rest->ptr[0];
    if (c == '{') {
        buf_reset(&items->item);
        items->too_large = false;
        items->in_item = true;
        items->depth++;
        buf_add(&items->item, rest->ptr, 1);
    } else if (c == ']') {
        items->in_items = false;
        items->depth--;
        buf_add(&items->envelope, rest->ptr, 1);
    } else if (c != ',' && !is_space(c)) {
        items->broken = "an item is no object";
    }
    *rest = slice_sub(*rest, 1, rest->len);
}

// Outside of the items: one byte, or a run of a string.
static void take_envelope(struct kube_items *items, struct slice *rest)
{
    size_t at = 0;
    if (items->in_string) {
        skip_string(items, *rest, &at);
    } else {
        char c = rest->ptr[at++];
        if (items->depth == 0 && c != '{' && !is_space(c))
            items->broken = "it is no object";
        if (c == '"')
            items->in_string = true;
        else if (c == '[' && items->depth == 1 && after_items_key(&items->envelope))
            items->in_items = true;
        if (c == '{' || c == '[')
            items->depth++;
        else if ((c == '}' || c == ']') && items->depth > 0)
            items->depth--;
    }
    buf_add(&items->envelope, rest->ptr, at);
    *rest = slice_sub(*rest, at, rest->len);
    if (items->envelope.overflow)
        items->broken = "the list without its items is too large";
}

bool kube_items_next(struct kube_items *items, struct slice *rest, struct slice *ret_item)
{
    while (rest->len > 0 && !items->broken) {
        if (items->in_item) {
            if (!take_item(items, rest))
                continue;
            items->in_item = false;
            *ret_item = buf_slice(&items->item);
            return true;
        }
        if (items->in_items)
            take_between(items, rest);
        else
            take_envelope(items, rest);
    }
    return false;
}

struct error *kube_items_envelope(const struct kube_items *items, json_t **ret_tree)
{
    AUTO_BUF struct buf text = buf_make(KUBE_ENVELOPE_BYTES_MAX + 2);
    buf_add_slice(&text, buf_slice(&items->envelope));
    if (items->in_items)
        buf_add_str(&text, "]}");
    return kube_parse_answer(buf_slice(&text), KUBE_NODES_MAX, ret_tree);
}

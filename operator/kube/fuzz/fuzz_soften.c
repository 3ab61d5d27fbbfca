// SPDX-License-Identifier: Apache-2.0
// What the parser takes anyway means the same afterwards; nothing makes the softening stumble.
#include "kube_internal.h"

#include "fuzz.h"

#include <string.h>

// A key of what could be mistaken for what softening puts in.
static void add_key(struct buf *out, const uint8_t *bytes, size_t len)
{
    static const char *const parts[] = {"\\u0000", "\\ufffd", "\\uFFfD", "\xEF\xBF\xBD",
                                        "0",       "1",       "\\\\",    "\\\""};
    for (size_t i = 0; i < len; i++)
        buf_add_str(out, parts[bytes[i] % COUNT(parts)]);
}

// Two keys that are not the same are not the same afterwards.
static void check_keys(const uint8_t *bytes, size_t len)
{
    AUTO_BUF struct buf text = buf_make(len * 8 + 64);
    AUTO_JSON json_t *tree = NULL;
    size_t half = len / 2;
    buf_add_str(&text, "{\"");
    add_key(&text, bytes, half);
    buf_add_str(&text, "\":1,\"");
    add_key(&text, bytes + half, len - half);
    buf_add_str(&text, "\" :2}");
    AUTO_MEM char *softened = kube_soften(buf_slice(&text));
    AUTO(error) struct error *err = doc_parse_json(slice_of(softened), "softened", &tree);
    bool same = half == len - half;
    for (size_t i = 0; i < half && same; i++) {
        uint8_t a = bytes[i] % 8, b = bytes[half + i] % 8;
        same = a == b || (a >= 1 && a <= 3 && b >= 1 && b <= 3);
    }
    ASSERT((err != NULL) == same);
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    if (len < 1000)
        check_keys(bytes, len);
    struct slice text = {(const char *)bytes, len};
    AUTO_MEM char *softened = kube_soften(text);
    AUTO_JSON json_t *was = NULL, *now = NULL;
    AUTO(error) struct error *refused = doc_parse_json(text, "text", &was);
    AUTO(error) struct error *still = doc_parse_json(slice_of(softened), "softened", &now);
    if (refused || memchr(text.ptr, 0, text.len)) // a raw NUL ends the softened text
        return;
    // Two things that the parser takes are changed all the same: the four deepest levels it allows,
    // and numbers of nineteen digits.
    ASSERT(!still);
}

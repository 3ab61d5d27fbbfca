// SPDX-License-Identifier: Apache-2.0
// Bytes that others wrote, as text: files, logs and servers promise no encoding and no length, and
// what we cut ourselves may end inside a character. JSON, errors and the log take UTF-8 alone.
#include "drawbridge/base.h"

#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; // U+FFFD

size_t text_char_len(struct slice s)
{
    if (s.len == 0)
        return 0;
    const unsigned char *c = (const unsigned char *)s.ptr;
    size_t want = c[0] < 0x80                   ? 1
                  : c[0] >= 0xC2 && c[0] < 0xE0 ? 2
                  : c[0] >= 0xE0 && c[0] < 0xF0 ? 3
                  : c[0] >= 0xF0 && c[0] < 0xF5 ? 4
                                                : 0;
    if (want == 0 || want > s.len)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((c[i] & 0xC0) != 0x80)
            return 0;
    bool too_long = (c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xF0 && c[1] < 0x90);
    bool surrogate = c[0] == 0xED && c[1] > 0x9F, beyond = c[0] == 0xF4 && c[1] > 0x8F;
    return too_long || surrogate || beyond ? 0 : want;
}

size_t text_fit(struct slice s, size_t bytes_max)
{
    if (s.len <= bytes_max)
        return s.len;
    // A character has at most four bytes; one that begins before the cut and ends behind it goes.
    for (size_t back = 1; back <= 3 && back <= bytes_max; back++) {
        size_t at = bytes_max - back;
        size_t len = text_char_len(slice_sub(s, at, s.len));
        if (len > 0)
            return len > back ? at : bytes_max;
    }
    return bytes_max;
}

int text_fit_str(const char *text, size_t bytes_max)
{
    ASSERT(bytes_max < INT32_MAX / 2);
    return (int)text_fit((struct slice){text, text ? strnlen(text, bytes_max + 4) : 0}, bytes_max);
}

char *text_make(struct slice s, size_t bytes_max)
{
    AUTO_BUF struct buf b = buf_make(bytes_max);
    size_t from = 0, at = 0; // from..at is well-formed and not copied yet
    while (at < s.len && b.len + (at - from) < bytes_max) {
        size_t len = s.ptr[at] ? text_char_len(slice_sub(s, at, s.len)) : 0;
        if (len > 0) {
            at += len;
            continue;
        }
        buf_add(&b, s.ptr + from, at - from);
        buf_add_str(&b, replacement);
        from = ++at;
    }
    if (!b.overflow) {
        struct slice rest = slice_sub(s, from, at);
        buf_add_slice(&b, slice_sub(rest, 0, text_fit(rest, bytes_max - b.len)));
    }
    return buf_take(&b);
}

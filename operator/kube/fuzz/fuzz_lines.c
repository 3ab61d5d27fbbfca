// SPDX-License-Identifier: Apache-2.0
// The watch framer: however the bytes are cut, the same lines come out.
#include "kube_internal.h"

#include "fuzz.h"

#define LINE_BYTES_MAX 64

static void collect(struct slice all, size_t portion, struct buf *out)
{
    struct kube_lines lines = kube_lines_make(LINE_BYTES_MAX);
    for (size_t at = 0; at < all.len; at += portion) {
        struct slice rest = slice_sub(all, at, at + portion < all.len ? at + portion : all.len),
                     line;
        while (kube_lines_next(&lines, &rest, &line)) {
            ASSERT(line.len > 0 && line.len <= LINE_BYTES_MAX);
            buf_printf(out, "%zu%c", line.len, lines.too_long ? '+' : ':');
            buf_add_slice(out, line);
        }
        ASSERT(rest.len == 0);
    }
    kube_lines_fini(&lines);
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice all = {(const char *)bytes, len < 65536 ? len : 65536};
    AUTO_BUF struct buf whole = buf_make((size_t)1 << 22), one = buf_make((size_t)1 << 22),
                        seven = buf_make((size_t)1 << 22);
    collect(all, all.len + 1, &whole);
    collect(all, 1, &one);
    collect(all, 7, &seven);
    ASSERT(whole.len == one.len && whole.len == seven.len);
    ASSERT(whole.len == 0 || (str_eq(whole.ptr, one.ptr) && str_eq(whole.ptr, seven.ptr)));
}

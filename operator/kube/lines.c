// SPDX-License-Identifier: Apache-2.0
// A watch is a stream of lines. Pure: bytes in whatever portions, whole lines out, none longer than
// a cap.
#include "kube_internal.h"

#include <string.h>

struct kube_lines kube_lines_make(size_t line_bytes_max)
{
    return (struct kube_lines){.held = buf_make(line_bytes_max)};
}

// The end of a line came: the slice of it, from the held beginning where there is one.
static struct slice whole_line(struct kube_lines *lines, struct slice end)
{
    if (lines->held.len == 0 && !lines->held.overflow) {
        lines->held.overflow = end.len > lines->held.max;
        return slice_trim(end);
    }
    buf_add_slice(&lines->held, end);
    lines->complete = true;
    return slice_trim(buf_slice(&lines->held));
}

bool kube_lines_next(struct kube_lines *lines, struct slice *rest, struct slice *ret_line)
{
    if (lines->complete) {
        lines->held.len = 0; // not buf_reset(): an overflow stays known
        lines->complete = false;
    }
    while (rest->len > 0 && !lines->held.overflow) {
        const char *end = memchr(rest->ptr, '\n', rest->len);
        if (!end) {
            buf_add_slice(&lines->held, *rest);
            *rest = slice_sub(*rest, rest->len, rest->len);
            return false;
        }
        size_t len = (size_t)(end - rest->ptr);
        struct slice line = whole_line(lines, slice_sub(*rest, 0, len));
        *rest = slice_sub(*rest, len + 1, rest->len);
        if (lines->held.overflow)
            return false;
        if (line.len > 0) {
            *ret_line = line;
            return true;
        }
        lines->held.len = 0;
        lines->complete = false;
    }
    return false;
}

void kube_lines_fini(struct kube_lines *lines)
{
    buf_fini(&lines->held);
}

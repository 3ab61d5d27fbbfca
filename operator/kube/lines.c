// SPDX-License-Identifier: Apache-2.0
// A watch is a stream of lines. Pure: bytes in whatever portions, lines out, none longer than a
// cap; of a longer one its beginning.
#include "kube_internal.h"

#include <string.h>

struct kube_lines kube_lines_make(size_t line_bytes_max)
{
    return (struct kube_lines){.held = buf_make(line_bytes_max)};
}

// As much of the line as fits.
static void hold(struct kube_lines *lines, struct slice part)
{
    size_t room = lines->held.max - lines->held.len;
    lines->too_long = lines->too_long || part.len > room;
    buf_add_slice(&lines->held, slice_sub(part, 0, room));
}

// The end of a line came: the slice of it, from the held beginning where there is one.
static struct slice whole_line(struct kube_lines *lines, struct slice end)
{
    lines->complete = true;
    if (lines->held.len == 0) {
        lines->too_long = end.len > lines->held.max;
        return slice_trim(slice_sub(end, 0, lines->held.max));
    }
    hold(lines, end);
    return slice_trim(buf_slice(&lines->held));
}

bool kube_lines_next(struct kube_lines *lines, struct slice *rest, struct slice *ret_line)
{
    for (;;) {
        if (lines->complete) {
            buf_reset(&lines->held);
            lines->complete = lines->too_long = false;
        }
        const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
        if (!end) {
            hold(lines, *rest);
            *rest = slice_sub(*rest, rest->len, rest->len);
            return false;
        }
        size_t len = (size_t)(end - rest->ptr);
        *ret_line = whole_line(lines, slice_sub(*rest, 0, len));
        *rest = slice_sub(*rest, len + 1, rest->len);
        if (ret_line->len > 0)
            return true;
    }
}

void kube_lines_fini(struct kube_lines *lines)
{
    buf_fini(&lines->held);
}

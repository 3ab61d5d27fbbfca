// SPDX-License-Identifier: Apache-2.0
// Bytes that grow up to a size said beforehand: whoever fills one from the outside cannot fill the
// machine.
#include "drawbridge/base.h"

#include <stdio.h>
#include <string.h>

enum { ROOM_FIRST = 64 };

struct buf buf_make(size_t bytes_max)
{
    ASSERT(bytes_max < SIZE_MAX / 2);
    return (struct buf){.max = bytes_max};
}

// Room for len more bytes and a NUL; false: they do not fit.
static bool reserve(struct buf *b, size_t len)
{
    if (b->overflow || len > b->max - b->len) {
        b->overflow = true;
        return false;
    }
    size_t need = b->len + len + 1;
    if (need <= b->room)
        return true;
    size_t room = b->room ? b->room : ROOM_FIRST;
    while (room < need)
        room *= 2;
    if (room > b->max + 1)
        room = b->max + 1;
    b->ptr = mem_realloc(b->ptr, room);
    b->room = room;
    return true;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    if (!reserve(b, len))
        return;
    if (len)
        memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.ptr, s.len);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    ASSERT(len >= 0);
    if (reserve(b, (size_t)len)) {
        vsnprintf(b->ptr + b->len, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

void buf_drop_front(struct buf *b, size_t len)
{
    ASSERT(len <= b->len);
    if (len == 0)
        return;
    memmove(b->ptr, b->ptr + len, b->len - len + 1);
    b->len -= len;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->overflow = false;
    if (b->ptr)
        b->ptr[0] = '\0';
}

char *buf_take(struct buf *b)
{
    char *text = b->ptr ? b->ptr : mem_alloc(1);
    *b = buf_make(b->max);
    return text;
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->ptr ? b->ptr : "", b->len};
}

void buf_fini(struct buf *b)
{
    mem_free(b->ptr);
    *b = buf_make(b->max);
}

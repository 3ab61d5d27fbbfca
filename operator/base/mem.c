// SPDX-License-Identifier: Apache-2.0
// Memory that is always there: every input has a cap, so running out is a wrong limit of the pod
// and not a case to handle.
#include "drawbridge/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p, size_t bytes)
{
    if (!p) {
        fprintf(stderr, "out of memory: %zu bytes\n", bytes);
        abort();
    }
    return p;
}

void *mem_alloc(size_t bytes)
{
    return checked(calloc(1, bytes ? bytes : 1), bytes);
}

void *mem_realloc(void *p, size_t bytes)
{
    return checked(realloc(p, bytes ? bytes : 1), bytes);
}

void mem_free(void *p)
{
    free(p);
}

char *str_dup(const char *s)
{
    return s ? str_ndup(s, strlen(s)) : NULL;
}

char *str_ndup(const char *s, size_t len)
{
    if (!s)
        return NULL;
    len = strnlen(s, len);
    char *copy = mem_alloc(len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *str_vformat(const char *fmt, va_list args)
{
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);
    return checked(len < 0 ? NULL : text, 0);
}

char *str_format(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = str_vformat(fmt, args);
    va_end(args);
    return text;
}

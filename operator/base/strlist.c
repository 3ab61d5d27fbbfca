// SPDX-License-Identifier: Apache-2.0
// A list of owned strings, ready to be handed to whoever wants a NULL-terminated array.
#include "drawbridge/base.h"

#include <stdlib.h>
#include <string.h>

void strlist_add(struct strlist *l, const char *s)
{
    ASSERT(s);
    strlist_take(l, str_dup(s));
}

void strlist_take(struct strlist *l, char *take_s)
{
    if (l->len + 1 >= l->room) {
        l->room = l->room ? l->room * 2 : 8;
        l->items = mem_realloc(l->items, l->room * sizeof(*l->items));
    }
    l->items[l->len++] = take_s;
    l->items[l->len] = NULL;
}

bool strlist_has(const struct strlist *l, const char *s)
{
    for (size_t i = 0; i < l->len; i++)
        if (str_eq(l->items[i], s))
            return true;
    return false;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *l)
{
    if (l->len < 2)
        return;
    qsort(l->items, l->len, sizeof(*l->items), compare);
    size_t kept = 1;
    for (size_t i = 1; i < l->len; i++) {
        if (str_eq(l->items[i], l->items[kept - 1]))
            mem_free(l->items[i]);
        else
            l->items[kept++] = l->items[i];
    }
    l->len = kept;
    l->items[kept] = NULL;
}

char *strlist_join(const struct strlist *l, const char *sep)
{
    struct buf b = buf_make(SIZE_MAX / 4); // the items are in memory already
    for (size_t i = 0; i < l->len; i++) {
        if (i)
            buf_add_str(&b, sep);
        buf_add_str(&b, l->items[i]);
    }
    return buf_take(&b);
}

void strlist_fini(struct strlist *l)
{
    for (size_t i = 0; i < l->len; i++)
        mem_free(l->items[i]);
    mem_free(l->items);
    *l = (struct strlist){0};
}

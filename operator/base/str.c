// SPDX-License-Identifier: Apache-2.0
// Questions about terminated strings, the edit distance behind "did you mean" among them.
#include "drawbridge/base.h"

#include <string.h>

bool str_eq(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
    return s && strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t len = s ? strlen(s) : 0, part = strlen(suffix);
    return len >= part && s && memcmp(s + len - part, suffix, part) == 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

// One row of the table of distances between the beginnings of a and b: row i from the two rows
// before it. Gives the row's smallest value.
static unsigned fill_row(const char *a, const char *b, size_t i, unsigned *const rows[3])
{
    unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
    unsigned least = row[0] = (unsigned)i;
    for (size_t j = 1; b[j - 1]; j++) {
        unsigned change = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
        row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + change);
        bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                       lower(a[i - 2]) == lower(b[j - 1]);
        if (swapped && above2[j - 2] + 1 < row[j])
            row[j] = above2[j - 2] + 1;
        if (row[j] < least)
            least = row[j];
    }
    return least;
}

unsigned str_distance(const char *a, const char *b, unsigned max)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    size_t apart = a_len > b_len ? a_len - b_len : b_len - a_len;
    if (apart > max)
        return max + 1;
    AUTO_MEM unsigned *cells = mem_alloc(3 * (b_len + 1) * sizeof(unsigned));
    unsigned *const rows[3] = {cells, cells + b_len + 1, cells + 2 * (b_len + 1)};
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    unsigned least_before = 0;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned least = fill_row(a, b, i, rows);
        if (least > max && least_before > max) // a swap looks two rows back
            return max + 1;
        least_before = least;
    }
    unsigned distance = rows[a_len % 3][b_len];
    return distance > max ? max + 1 : distance;
}

// SPDX-License-Identifier: Apache-2.0
// A unified diff, for `plan` and for logs. Myers' greedy search over lines, after the common ends
// are cut off; when the texts have too little in common the middle is shown as taken out and put
// in, so that time and memory stay bounded.

#include <string.h>

#include "doc_internal.h"

#define CONTEXT 3
#define EDITS_MAX 1000     // above: the middle is replaced as a whole
#define HUNK_HEAD_BYTES 96 // four numbers and their marks, more than they need

struct lines {
    struct slice *items; // each with its line break
    size_t len;
};

// What became of the lines: a run that is kept, taken out of a, or put in from b.
struct diff {
    struct lines a, b;
    bool *removed; // of a
    bool *added;   // of b
    size_t from;   // lines in common at the start
    size_t a_to, b_to;
};

static struct lines split(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += text.ptr[i] == '\n';
    }
    struct lines lines = {.items = mem_alloc((count + 1) * sizeof(struct slice))};
    size_t start = 0;
    while (start < text.len) {
        const char *nl = memchr(text.ptr + start, '\n', text.len - start);
        size_t end = nl != NULL ? (size_t)(nl - text.ptr) + 1 : text.len;
        lines.items[lines.len++] = slice_sub(text, start, end);
        start = end;
    }
    return lines;
}

static bool same(const struct slice a, const struct slice b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static void trim_common(struct diff *d)
{
    while (d->from < d->a.len && d->from < d->b.len &&
           same(d->a.items[d->from], d->b.items[d->from])) {
        d->from++;
    }
    d->a_to = d->a.len;
    d->b_to = d->b.len;
    while (d->a_to > d->from && d->b_to > d->from &&
           same(d->a.items[d->a_to - 1], d->b.items[d->b_to - 1])) {
        d->a_to--;
        d->b_to--;
    }
}

// How far along a each diagonal k = x - y came with d edits; trace[d] holds 2d + 1 of them, for k =
// -d, -d + 2, .. in every other place, so that the way back can be read off.
struct search {
    const struct diff *diff;
    int64_t n, m;
    int64_t *reach; // of diagonal k at [k + EDITS_MAX + 1]
    int64_t **trace;
    int64_t edits; // found with so many; -1: too many
};

static int64_t run(const struct search *s, int64_t x, int64_t y)
{
    const struct diff *d = s->diff;
    while (x < s->n && y < s->m &&
           same(d->a.items[d->from + (size_t)x], d->b.items[d->from + (size_t)y])) {
        x++;
        y++;
    }
    return x;
}

static bool goes_down(const int64_t *v, int64_t k, int64_t edits)
{
    return k == -edits || (k != edits && v[k - 1] < v[k + 1]);
}

static void search(struct search *s)
{
    int64_t *v = s->reach + EDITS_MAX + 1;
    s->edits = -1;
    v[1] = 0;
    for (int64_t edits = 0; edits <= EDITS_MAX && s->edits < 0; edits++) {
        size_t width = (size_t)(2 * edits + 3);
        s->trace[edits] = mem_alloc(width * sizeof(int64_t));
        memcpy(s->trace[edits], v - edits - 1, width * sizeof(int64_t));
        for (int64_t k = -edits; k <= edits; k += 2) {
            int64_t x = goes_down(v, k, edits) ? v[k + 1] : v[k - 1] + 1;
            if (x > s->n || x - k > s->m) {
                // Off the edge: of no use, but its neighbours compare with it.
                v[k] = x;
                continue;
            }
            v[k] = run(s, x, x - k);
            if (v[k] >= s->n && v[k] - k >= s->m) {
                s->edits = edits;
                break;
            }
        }
    }
}

// From the end back to the start, marking each edit.
static void walk_back(const struct search *s, struct diff *d)
{
    int64_t x = s->n, y = s->m;
    for (int64_t edits = s->edits; edits > 0; edits--) {
        const int64_t *v = s->trace[edits] + edits + 1;
        int64_t k = x - y;
        bool down = goes_down(v, k, edits);
        int64_t before = down ? k + 1 : k - 1;
        x = v[before];
        y = x - before;
        if (down) {
            d->added[d->from + (size_t)y] = true;
        } else {
            d->removed[d->from + (size_t)x] = true;
        }
    }
}

static void compare(struct diff *d)
{
    struct search s = {.diff = d};
    s.n = (int64_t)(d->a_to - d->from);
    s.m = (int64_t)(d->b_to - d->from);
    AUTO_MEM int64_t *reach = mem_alloc((2 * EDITS_MAX + 4) * sizeof(int64_t));
    AUTO_MEM int64_t **trace = mem_alloc((EDITS_MAX + 1) * sizeof(int64_t *));
    s.reach = reach;
    s.trace = trace;
    search(&s);
    if (s.edits >= 0) {
        walk_back(&s, d);
    } else {
        memset(d->removed + d->from, true, (size_t)s.n);
        memset(d->added + d->from, true, (size_t)s.m);
    }
    for (size_t i = 0; i <= EDITS_MAX; i++) {
        mem_free(trace[i]);
    }
}

static void add_line(struct buf *out, char mark, struct slice line)
{
    buf_add(out, &mark, 1);
    buf_add_slice(out, line);
    if (line.len == 0 || line.ptr[line.len - 1] != '\n') {
        buf_add_str(out, "\n\\ No newline at end of file\n");
    }
}

// "start,count" counts from 1; of nothing it names the line before.
static void add_range(struct buf *out, char mark, size_t from, size_t to)
{
    buf_printf(out, "%c%zu", mark, to > from ? from + 1 : from);
    if (to - from != 1) {
        buf_printf(out, ",%zu", to - from);
    }
}

// Both sides walk from (a, b) to the end of a run of changes that is closer than two contexts to
// the next.
static void hunk_end(const struct diff *d, size_t *a, size_t *b)
{
    size_t kept = 0;
    size_t i = *a, j = *b;
    while (i < d->a.len || j < d->b.len) {
        if (i < d->a.len && d->removed[i]) {
            i++;
        } else if (j < d->b.len && d->added[j]) {
            j++;
        } else {
            i++;
            j++;
            if (++kept > 2 * CONTEXT) {
                break;
            }
            continue;
        }
        kept = 0;
        *a = i;
        *b = j;
    }
}

static void add_hunk(struct buf *out, const struct diff *d, size_t *a, size_t *b)
{
    size_t lead = *a < CONTEXT ? *a : CONTEXT;
    size_t i = *a - lead, j = *b - lead;
    hunk_end(d, a, b);
    size_t tail = d->a.len - *a < CONTEXT ? d->a.len - *a : CONTEXT;
    buf_add_str(out, "@@ ");
    add_range(out, '-', i, *a + tail);
    buf_add_str(out, " ");
    add_range(out, '+', j, *b + tail);
    buf_add_str(out, " @@\n");
    while (i < *a + tail || j < *b + tail) {
        if (i < d->a.len && d->removed[i]) {
            add_line(out, '-', d->a.items[i++]);
        } else if (j < d->b.len && d->added[j]) {
            add_line(out, '+', d->b.items[j++]);
        } else {
            add_line(out, ' ', d->a.items[i++]);
            j++;
        }
    }
}

static void print(struct buf *out, const struct diff *d)
{
    size_t a = d->from, b = d->from;
    while (a < d->a.len || b < d->b.len) {
        bool changed = (a < d->a.len && d->removed[a]) || (b < d->b.len && d->added[b]);
        if (changed) {
            add_hunk(out, d, &a, &b);
        } else {
            a++;
            b++;
        }
    }
}

char *doc_diff(struct slice a, struct slice b, const char *a_name, const char *b_name)
{
    if (same(a, b)) {
        return str_dup("");
    }
    struct diff d = {.a = split(a), .b = split(b)};
    d.removed = mem_alloc(d.a.len + 1);
    d.added = mem_alloc(d.b.len + 1);
    trim_common(&d);
    compare(&d);
    size_t lines = d.a.len + d.b.len + 2;
    size_t names = strlen(a_name) + strlen(b_name);
    AUTO_BUF struct buf out =
        buf_make(2 * (a.len + b.len) + lines * HUNK_HEAD_BYTES + names + HUNK_HEAD_BYTES);
    buf_printf(&out, "--- %s\n+++ %s\n", a_name, b_name);
    print(&out, &d);
    ASSERT(!out.overflow);
    mem_free(d.a.items);
    mem_free(d.b.items);
    mem_free(d.removed);
    mem_free(d.added);
    return buf_take(&out);
}

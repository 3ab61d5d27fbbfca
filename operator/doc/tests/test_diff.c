// SPDX-License-Identifier: Apache-2.0
// Unified diffs, compared by hand and against the rule that applying them gives the other text.

#include <string.h>

#include "test.h"
#include "drawbridge/doc.h"

static void check(const char *a, const char *b, const char *want)
{
    AUTO_MEM char *got = doc_diff(slice_of(a), slice_of(b), "a.yaml", "b.yaml");
    CHECK_STR(got, want);
}

#define HEAD "--- a.yaml\n+++ b.yaml\n"

TEST(small)
{
    check("a\nb\n", "a\nb\n", "");
    check("", "", "");
    check("", "a\n", HEAD "@@ -0,0 +1 @@\n+a\n");
    check("a\n", "", HEAD "@@ -1 +0,0 @@\n-a\n");
    check("a\nb\nc\n", "a\nB\nc\n", HEAD "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
    check("a\nb\n", "a\nb", HEAD "@@ -1,2 +1,2 @@\n a\n-b\n+b\n\\ No newline at end of file\n");
    check("a", "a\n", HEAD "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
    check("a\r\nb\r\n", "a\r\nx\r\nb\r\n", HEAD "@@ -1,2 +1,3 @@\n a\r\n+x\r\n b\r\n");
}

TEST(context)
{
    check("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n5\n6\n7\n8\n9\n",
          HEAD "@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+x\n 5\n 6\n 7\n");
    // Six lines between two changes: one hunk; seven: two.
    check("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
          HEAD "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
    check("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
          HEAD "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
}

TEST(only_what_changed)
{
    check("x\ny\nx\ny\n", "y\nx\ny\nx\n", HEAD "@@ -1,4 +1,4 @@\n-x\n y\n x\n y\n+x\n");
}

// Takes the lines of b back out of a diff of texts that are one hunk.
static char *apply(const char *diff)
{
    AUTO_BUF struct buf b = buf_make(1 << 22);
    struct slice rest = slice_of(diff), line;
    while (slice_cut(&rest, '\n', &line)) {
        bool head =
            slice_starts(line, "---") || slice_starts(line, "+++") || slice_starts(line, "@@");
        if (!head && line.len > 0 && line.ptr[0] != '-') {
            buf_add_slice(&b, slice_sub(line, 1, line.len));
            buf_add_str(&b, "\n");
        }
    }
    return buf_take(&b);
}

TEST(much_is_bounded)
{
    AUTO_BUF struct buf a = buf_make(1 << 20);
    AUTO_BUF struct buf b = buf_make(1 << 20);
    for (int i = 0; i < 5000; i++) {
        buf_printf(&a, "a%d\n", i);
        buf_printf(&b, "b%d\n", i);
    }
    AUTO_MEM char *diff = doc_diff(buf_slice(&a), buf_slice(&b), "a", "b");
    AUTO_MEM char *got = apply(diff);
    CHECK_STR(got, b.ptr);
}

TEST(random_texts)
{
    rand_seed(7);
    for (int round = 0; round < 300; round++) {
        AUTO_BUF struct buf a = buf_make(1 << 16);
        AUTO_BUF struct buf b = buf_make(1 << 16);
        // Ends that differ, so that the context shows everything between.
        buf_add_str(&a, "a\n");
        buf_add_str(&b, "b\n");
        for (uint64_t i = rand_below(7); i > 0; i--) {
            buf_printf(&a, "%d\n", (int)rand_below(3));
        }
        for (uint64_t i = rand_below(7); i > 0; i--) {
            buf_printf(&b, "%d\n", (int)rand_below(3));
        }
        buf_add_str(&a, "A\n");
        buf_add_str(&b, "B\n");
        AUTO_MEM char *diff = doc_diff(buf_slice(&a), buf_slice(&b), "a", "b");
        AUTO_MEM char *got = apply(diff);
        CHECK_STR(got, b.ptr);
    }
    rand_seed(0);
}

TEST_MAIN()

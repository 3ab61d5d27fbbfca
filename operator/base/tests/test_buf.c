// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <string.h>

TEST(grows_up_to_its_size)
{
    AUTO_BUF struct buf b = buf_make(1000);
    for (int i = 0; i < 100; i++)
        buf_add(&b, "0123456789", 10);
    CHECK_INT(b.len, 1000);
    CHECK(!b.overflow);
    CHECK_INT(strlen(b.ptr), 1000);
    buf_add(&b, "", 0);
    CHECK(!b.overflow);
    buf_add(&b, "x", 1);
    CHECK(b.overflow);
    CHECK_INT(b.len, 1000);
}

TEST(a_text_has_no_holes)
{
    AUTO_BUF struct buf b = buf_make(4);
    buf_add_str(&b, "abc");
    buf_add_str(&b, "def");
    buf_add_str(&b, "g");
    CHECK_STR(b.ptr, "abc");
    CHECK(b.overflow);
    buf_reset(&b);
    CHECK(!b.overflow);
    CHECK_STR(b.ptr, "");
    buf_printf(&b, "%d", 1234);
    CHECK_STR(b.ptr, "1234");
    buf_printf(&b, "%d", 5);
    CHECK_STR(b.ptr, "1234");
    CHECK(b.overflow);
}

TEST(take_empties)
{
    AUTO_BUF struct buf b = buf_make(10);
    CHECK_STR_TAKE(buf_take(&b), "");
    buf_add_str(&b, "abc");
    CHECK_STR_TAKE(buf_take(&b), "abc");
    CHECK_INT(b.len, 0);
    buf_add_str(&b, "0123456789");
    CHECK(!b.overflow);
    CHECK_SLICE(buf_slice(&b), "0123456789");
}

TEST(front_can_go)
{
    AUTO_BUF struct buf b = buf_make(10);
    buf_drop_front(&b, 0);
    buf_add_str(&b, "line\nrest");
    buf_drop_front(&b, 5);
    CHECK_STR(b.ptr, "rest");
    buf_drop_front(&b, 4);
    CHECK_STR(b.ptr, "");
    CHECK(buf_slice(&b).ptr != NULL);
}

TEST(empty_buf_is_an_empty_slice)
{
    AUTO_BUF struct buf b = buf_make(10);
    struct slice rest = buf_slice(&b), part;
    CHECK(slice_cut(&rest, '\n', &part));
    CHECK_INT(part.len, 0);
    AUTO_BUF struct buf none = {0};
    buf_add_str(&none, "x");
    CHECK(none.overflow);
}

TEST(memory_is_zeroed)
{
    AUTO_MEM unsigned char *p = mem_alloc(4096);
    for (size_t i = 0; i < 4096; i++)
        CHECK_INT(p[i], 0);
    mem_free(mem_alloc(0));
    mem_free(mem_realloc(NULL, 0));
}

TEST_MAIN()

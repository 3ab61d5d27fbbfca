// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <string.h>

TEST(strings_compare)
{
    CHECK(str_eq("a", "a"));
    CHECK(!str_eq("a", "b"));
    CHECK(str_eq(NULL, NULL));
    CHECK(!str_eq(NULL, ""));
    CHECK(str_starts("kube-proxy", "kube-"));
    CHECK(!str_starts("kube", "kube-"));
    CHECK(!str_starts(NULL, "a"));
    CHECK(str_ends("config.yaml", ".yaml"));
    CHECK(!str_ends("yaml", ".yaml"));
    CHECK(!str_ends(NULL, "a"));
    CHECK(str_dup(NULL) == NULL);
    CHECK_STR_TAKE(str_ndup("abcdef", 3), "abc");
    CHECK_STR_TAKE(str_ndup("ab", 30), "ab");
    CHECK_STR_TAKE(str_format("%s-%d", "x", 7), "x-7");
}

TEST(distance_counts_edits)
{
    CHECK_INT(str_distance("", "", 3), 0);
    CHECK_INT(str_distance("DynamicResourceAllocation", "dynamicresourceallocation", 3), 0);
    CHECK_INT(str_distance("abc", "abcd", 3), 1);
    CHECK_INT(str_distance("abc", "bc", 3), 1);
    CHECK_INT(str_distance("abc", "axc", 3), 1);
    CHECK_INT(str_distance("abcd", "abdc", 3), 1);
    CHECK_INT(str_distance("kitten", "sitting", 5), 3);
    CHECK_INT(str_distance("abcdef", "uvwxyz", 2), 3);
    CHECK_INT(str_distance("a", "abcdefgh", 2), 3);
    CHECK_INT(str_distance("DynamicResourceAlocation", "DynamicResourceAllocation", 3), 1);
    CHECK_INT(str_distance("", "ab", 5), 2);
}

TEST(slices_cut_and_trim)
{
    struct slice s = slice_of("  a b\r\n");
    CHECK_SLICE(slice_trim(s), "a b");
    CHECK_SLICE(slice_trim(slice_of(" \t\n")), "");
    CHECK_SLICE(slice_sub(slice_of("hello"), 1, 3), "el");
    CHECK_SLICE(slice_sub(slice_of("hello"), 4, 99), "o");
    CHECK_SLICE(slice_sub(slice_of("hello"), 9, 2), "");
    CHECK(slice_eq(slice_of("x"), "x"));
    CHECK(slice_eq(slice_of(NULL), ""));
    CHECK(!slice_eq(slice_of("x"), "xy"));
    CHECK(slice_starts(slice_of("kube:a=b"), "kube:"));
    CHECK(!slice_starts(slice_of("ku"), "kube:"));
}

static char *parts_of(const char *text)
{
    AUTO_BUF struct buf b = buf_make(100);
    struct slice rest = slice_of(text), part;
    while (slice_cut(&rest, ',', &part)) {
        buf_add_str(&b, "[");
        buf_add_slice(&b, part);
        buf_add_str(&b, "]");
    }
    CHECK(rest.ptr == NULL);
    return buf_take(&b);
}

TEST(slice_cut_gives_each_part_once)
{
    CHECK_STR_TAKE(parts_of("a,b"), "[a][b]");
    CHECK_STR_TAKE(parts_of("a,"), "[a][]");
    CHECK_STR_TAKE(parts_of(",a"), "[][a]");
    CHECK_STR_TAKE(parts_of(""), "[]");
    CHECK_STR_TAKE(parts_of(NULL), "");
}

TEST(numbers_are_digits_alone)
{
    uint64_t n = 42;
    CHECK(slice_to_u64(slice_of("0"), &n) && n == 0);
    CHECK(slice_to_u64(slice_of("18446744073709551615"), &n) && n == UINT64_MAX);
    CHECK(!slice_to_u64(slice_of("18446744073709551616"), &n));
    CHECK(!slice_to_u64(slice_of(""), &n));
    CHECK(!slice_to_u64(slice_of("-1"), &n));
    CHECK(!slice_to_u64(slice_of(" 1"), &n));
    CHECK(!slice_to_u64(slice_of("1x"), &n));
    CHECK(n == UINT64_MAX);
}

TEST(lists_sort_and_join)
{
    AUTO_STRLIST struct strlist l = {0};
    CHECK_STR_TAKE(strlist_join(&l, ","), "");
    CHECK(!strlist_has(&l, "a"));
    strlist_sort(&l);
    for (int i = 0; i < 20; i++)
        strlist_take(&l, str_format("n%d", i % 3));
    strlist_add(&l, "a");
    CHECK_INT(l.len, 21);
    CHECK(l.items[21] == NULL);
    strlist_sort(&l);
    CHECK_STR_TAKE(strlist_join(&l, ", "), "a, n0, n1, n2");
    CHECK(l.items[4] == NULL);
    CHECK(strlist_has(&l, "n2"));
    CHECK(!strlist_has(&l, "n3"));
}

#define FFFD "\xEF\xBF\xBD"

TEST(characters_are_well_formed_utf8)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"a", 1},
        {"\xC3\xA4", 2},
        {"\xE2\x82\xAC", 3},
        {"\xF0\x9F\x94\x92", 4},
        {"\xF4\x8F\xBF\xBF", 4},
        {"", 0},
        {"\x80", 0},             // not a beginning
        {"\xC3", 0},             // no end
        {"\xC3(", 0},            // another end
        {"\xC0\xAF", 0},         // longer than it need be
        {"\xE0\x9F\xBF", 0},     // likewise
        {"\xF0\x8F\xBF\xBF", 0}, // likewise
        {"\xED\xA0\x80", 0},     // half of a UTF-16 pair
        {"\xF4\x90\x80\x80", 0}, // beyond Unicode
        {"\xF8\x88\x80\x80", 0}, // no beginning in today's UTF-8
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK_INT(text_char_len(slice_of(cases[i].text)), cases[i].len);
}

static char *made(const char *text, size_t bytes_max)
{
    return text_make(slice_of(text), bytes_max);
}

TEST(text_is_made_of_any_bytes)
{
    CHECK_STR_TAKE(made("a\xC3\xA4", 10), "a\xC3\xA4");
    CHECK_STR_TAKE(made("a\xFF"
                        "b",
                        10),
                   "a" FFFD "b");
    CHECK_STR_TAKE(made("\xE2\x82", 10), FFFD FFFD);
    CHECK_STR_TAKE(made("", 10), "");
    CHECK_STR_TAKE(made(NULL, 10), "");
    CHECK_STR_TAKE(made("abc", 0), "");
    CHECK_STR_TAKE(text_make((struct slice){"a\0b", 3}, 10), "a" FFFD "b");
}

TEST(text_is_cut_at_a_character)
{
    CHECK_STR_TAKE(made("abcdef", 3), "abc");
    CHECK_STR_TAKE(made("ab\xC3\xA4", 4), "ab\xC3\xA4");
    CHECK_STR_TAKE(made("ab\xC3\xA4", 3), "ab");
    CHECK_STR_TAKE(made("a\xF0\x9F\x94\x92z", 5), "a\xF0\x9F\x94\x92");
    CHECK_STR_TAKE(made("a\xF0\x9F\x94\x92z", 4), "a");
    CHECK_STR_TAKE(made("a\xF0\x9F\x94\x92z", 2), "a");
    CHECK_STR_TAKE(made("ab\xFF", 4), "ab"); // what stands for a byte is not cut either
    CHECK_STR_TAKE(made("\xFF"
                        "abc",
                        5),
                   FFFD "ab");
    CHECK_STR_TAKE(made("\x80\x80\x80", 2), "");
    CHECK_STR_TAKE(str_format("%.*s.", TEXT_CUT(4, "ab\xE2\x82\xAC")), "ab.");
    CHECK_STR_TAKE(str_format("%.*s.", TEXT_CUT(5, "ab\xE2\x82\xAC")), "ab\xE2\x82\xAC.");
    CHECK_STR_TAKE(str_format("%.*s.", TEXT_CUT(5, "ab")), "ab.");
}

TEST_MAIN()

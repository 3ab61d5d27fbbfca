// SPDX-License-Identifier: Apache-2.0
// JSON, walking, comparing, changing, merging, digests.

#include <string.h>

#include "test.h"
#include "drawbridge/doc.h"

static json_t *json(const char *text)
{
    json_t *tree = NULL;
    CHECK_OK(doc_parse_json(slice_of(text), "t.json", &tree));
    return tree;
}

TEST(json_is_printed_as_it_was)
{
    AUTO_JSON json_t *tree =
        json(" {\"b\": [1, 2.5, null], \"a\": {\"x\": \"\\u00e9/\\n\"}, \"t\": true} ");
    CHECK_STR_TAKE(doc_print_json(tree),
                   "{\"b\":[1,2.5,null],\"a\":{\"x\":\"\xC3\xA9/\\n\"},\"t\":true}");
    CHECK_STR_TAKE(doc_print_json_sorted(tree),
                   "{\"a\":{\"x\":\"\xC3\xA9/\\n\"},\"b\":[1,2.5,null],\"t\":true}");
    AUTO_JSON json_t *small = json("{\"a\":[1]}");
    CHECK_STR_TAKE(doc_print_json_pretty(small), "{\n  \"a\": [\n    1\n  ]\n}");
    AUTO_JSON json_t *scalar = json("\"x\"");
    CHECK_STR_TAKE(doc_print_json(scalar), "\"x\"");
}

TEST(a_string_is_made_of_any_bytes)
{
    static const char *const texts[] = {
        "plain", "\xC3\xA4", "cut \xE2\x82", "\xFF\xFE", "\xED\xA0\x80", "", NULL};
    for (size_t i = 0; i < COUNT(texts); i++) {
        AUTO_JSON json_t *value = doc_string(texts[i]);
        AUTO_MEM char *printed = doc_print_json(value);
        json_t *again = NULL;
        CHECK_OK(doc_parse_json(slice_of(printed), "t", &again));
        CHECK(doc_equal(again, value));
        json_decref(again);
    }
    AUTO_JSON json_t *plain = doc_string("x\xC3\xA4");
    CHECK_STR(json_string_value(plain), "x\xC3\xA4");
    AUTO_JSON json_t *cut = doc_string_of(slice_of("x\xC3\xA4y"), 2);
    CHECK_STR(json_string_value(cut), "x");
    AUTO_JSON json_t *zero = doc_string_of((struct slice){"a\0b", 3}, 100);
    CHECK_STR(json_string_value(zero), "a\xEF\xBF\xBD"
                                       "b");
}

TEST(values_are_counted_before_they_are_made)
{
    static const struct {
        const char *text;
        size_t nodes;
    } cases[] = {
        {"1", 1},       {"[1,2]", 3},          {"{\"a\":[],\"b\":{}}", 5},
        {"\",[{\"", 1}, {"[\"\\\",[\",1]", 3}, {"[\"\\\\\",[]]", 4},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK_INT(doc_json_nodes(slice_of(cases[i].text)), cases[i].nodes);
    AUTO_BUF struct buf many = buf_make((size_t)4 << 20);
    buf_add_str(&many, "[{}");
    for (size_t i = 0; i < DOC_NODES_MAX / 2; i++)
        buf_add_str(&many, ",{}");
    buf_add_str(&many, "]");
    json_t *tree = NULL;
    CHECK_ERR_HAS(doc_parse_json(buf_slice(&many), "f", &tree), ERROR_LIMIT,
                  "f: more than 1000000 values");
    CHECK_ERR(doc_parse_json_max(slice_of("[1,2]"), "f", 2, &tree), ERROR_LIMIT);
    CHECK_OK(doc_parse_json_max(slice_of("[1,2]"), "f", 3, &tree));
    json_decref(tree);
}

TEST(what_somebody_put_on_the_way_does_not_stop_a_change)
{
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"{}", "{\"metadata\":{\"name\":\"x\"}}"},
        {"{\"metadata\":[1]}", "{\"metadata\":{\"name\":\"x\"}}"},
        {"{\"metadata\":\"y\"}", "{\"metadata\":{\"name\":\"x\"}}"},
        {"{\"metadata\":{\"name\":[1]}}", "{\"metadata\":{\"name\":\"x\"}}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO_JSON json_t *tree = json(cases[i].before);
        doc_set(tree, json_string("x"), "metadata", "name", NULL);
        CHECK_STR_TAKE(doc_print_json(tree), cases[i].after);
    }
    AUTO_JSON json_t *list = json("{\"a\":[1,2]}");
    doc_set(list, json_string("x"), "a", "1", NULL);
    CHECK_STR_TAKE(doc_print_json(list), "{\"a\":[1,\"x\"]}");
    doc_set(list, json_string("y"), "a", "2", NULL);
    CHECK_STR_TAKE(doc_print_json(list), "{\"a\":{\"2\":\"y\"}}");
}

TEST(bad_json_says_where)
{
    json_t *tree = NULL;
    CHECK_ERR_HAS(doc_parse_json(slice_of("{\n \"a\": }"), "f.json", &tree), ERROR_INVALID,
                  "f.json:2:");
    CHECK_ERR(doc_parse_json(slice_of(""), "f", &tree), ERROR_INVALID);
    CHECK_ERR(doc_parse_json(slice_of("{} {}"), "f", &tree), ERROR_INVALID);
    CHECK_ERR_HAS(doc_parse_json(slice_of("{\"a\":1,\"a\":2}"), "f", &tree), ERROR_INVALID,
                  "duplicate");
    CHECK_ERR(doc_parse_json(slice_of("\"\\u0000\""), "f", &tree), ERROR_INVALID);
    CHECK_ERR(doc_parse_json(slice_of("\"\xFF\""), "f", &tree), ERROR_INVALID);
    CHECK(tree == NULL);
}

static char *nested(size_t depth)
{
    AUTO_BUF struct buf b = buf_make(1 << 16);
    for (size_t i = 0; i < depth; i++) {
        buf_add_str(&b, "[");
    }
    for (size_t i = 0; i < depth; i++) {
        buf_add_str(&b, "]");
    }
    return buf_take(&b);
}

TEST(depth_is_capped)
{
    AUTO_MEM char *most = nested(DOC_DEPTH_MAX);
    AUTO_MEM char *more = nested(DOC_DEPTH_MAX + 1);
    AUTO_MEM char *far_more = nested(20000);
    AUTO_JSON json_t *a = NULL;
    AUTO_JSON json_t *b = NULL;
    AUTO_JSON json_t *none = NULL;
    CHECK_OK(doc_parse_json(slice_of(most), "f", &a));
    CHECK_OK(doc_parse_yaml(slice_of(most), "f", &b));
    CHECK_ERR(doc_parse_json(slice_of(more), "f", &none), ERROR_INVALID);
    CHECK_ERR(doc_parse_yaml(slice_of(more), "f", &none), ERROR_INVALID);
    CHECK_ERR(doc_parse_json(slice_of(far_more), "f", &none), ERROR_INVALID);
    CHECK_ERR(doc_parse_yaml(slice_of(far_more), "f", &none), ERROR_INVALID);
}

TEST(walking_never_fails)
{
    AUTO_JSON json_t *t =
        json("{\"a\":{\"b\":[10,{\"c\":\"x\"}]},\"n\":7,\"r\":3.0,\"h\":2.5,\"t\":true,\"s~/\":1}");
    CHECK_STR(doc_str(t, "a", "b", "1", "c", NULL), "x");
    CHECK_STR(doc_str(t, "a", "b", "9", "c", NULL), "");
    CHECK_STR(doc_str(t, "n", NULL), "");
    CHECK_STR(doc_str(NULL, "n", NULL), "");
    CHECK_INT(doc_int(t, -1, "a", "b", "0", NULL), 10);
    CHECK_INT(doc_int(t, -1, "r", NULL), 3);
    CHECK_INT(doc_int(t, -1, "h", NULL), -1);
    CHECK_INT(doc_int(t, -1, "t", NULL), -1);
    CHECK(doc_bool(t, false, "t", NULL));
    CHECK(doc_bool(t, true, "n", NULL));
    CHECK(doc_get(t, NULL) == t);
    CHECK(doc_get(t, "a", "b", "-1", NULL) == NULL);
    CHECK(doc_get(t, "a", "b", "01", NULL) == NULL);
    CHECK(doc_pointer(t, "") == t);
    CHECK_INT(json_integer_value(doc_pointer(t, "/a/b/0")), 10);
    CHECK_INT(json_integer_value(doc_pointer(t, "/s~0~1")), 1);
    CHECK(doc_pointer(t, "a") == NULL);
    CHECK(doc_pointer(t, "/s~2") == NULL);
    CHECK(doc_pointer(t, "/") == NULL);
}

TEST(equal_looks_at_meaning)
{
    AUTO_JSON json_t *a = json("{\"x\":[1,{\"y\":2}],\"z\":null}");
    AUTO_JSON json_t *b = json("{\"z\":null,\"x\":[1.0,{\"y\":2}]}");
    AUTO_JSON json_t *c = json("{\"z\":null,\"x\":[1,{\"y\":3}]}");
    AUTO_JSON json_t *d = json("{\"x\":[1,{\"y\":2}]}");
    CHECK(doc_equal(a, b));
    CHECK(!doc_equal(a, c));
    CHECK(!doc_equal(a, d));
    CHECK(doc_equal(NULL, NULL));
    CHECK(!doc_equal(a, NULL));
    CHECK(!doc_equal(json_true(), json_false()));
}

TEST(set_makes_the_way)
{
    AUTO_JSON json_t *t = json("{\"a\":1,\"l\":[{}]}");
    doc_set(t, json_string("v"), "a", "b", "c", NULL);
    doc_set(t, json_integer(2), "l", "0", "x", NULL);
    doc_set(t, json_true(), "n", NULL);
    CHECK_STR_TAKE(doc_print_json(t), "{\"a\":{\"b\":{\"c\":\"v\"}},\"l\":[{\"x\":2}],\"n\":true}");
    AUTO_JSON json_t *copy = doc_copy(t);
    doc_set(copy, json_integer(3), "l", "0", "x", NULL);
    CHECK_INT(doc_int(t, 0, "l", "0", "x", NULL), 2);
}

// The examples of RFC 7386, appendix A.
TEST(merge_patch)
{
    static const char *const rows[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_JSON json_t *target = json(rows[i][0]);
        AUTO_JSON json_t *patch = json(rows[i][1]);
        AUTO_JSON json_t *got = doc_merge_patch(target, patch);
        CHECK_STR_TAKE(doc_print_json_sorted(got), rows[i][2]);
    }
}

TEST(made_patch_makes_the_target)
{
    AUTO_JSON json_t *a = json("{\"keep\":1,\"gone\":2,\"deep\":{\"x\":1,\"y\":[1]},\"n\":1}");
    AUTO_JSON json_t *b =
        json("{\"keep\":1,\"deep\":{\"x\":1,\"y\":[2],\"z\":{}},\"n\":{\"q\":1}}");
    AUTO_JSON json_t *patch = doc_make_merge_patch(a, b);
    CHECK_STR_TAKE(doc_print_json_sorted(patch),
                   "{\"deep\":{\"y\":[2],\"z\":{}},\"gone\":null,\"n\":{\"q\":1}}");
    AUTO_JSON json_t *result = doc_merge_patch(a, patch);
    CHECK(doc_equal(result, b));
    CHECK(doc_make_merge_patch(a, a) == NULL);
}

TEST(digest)
{
    char hex[DOC_DIGEST_BYTES];
    // FIPS 180: the digests of nothing and of "abc".
    CHECK_STR(doc_digest(slice_of(""), hex),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_STR(doc_digest(slice_of("abc"), hex),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    char other[DOC_DIGEST_BYTES];
    AUTO_JSON json_t *a = json("{\"a\":1,\"b\":{\"c\":2,\"d\":3}}");
    AUTO_JSON json_t *b = json("{\"b\":{\"d\":3,\"c\":2},\"a\":1}");
    CHECK_STR(doc_digest_tree(a, hex), doc_digest_tree(b, other));
}

TEST_MAIN()

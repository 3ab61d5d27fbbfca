// SPDX-License-Identifier: Apache-2.0
// YAML as Kubernetes reads it. The rows were compared with sigs.k8s.io/yaml.

#include <string.h>

#include "test.h"
#include "drawbridge/doc.h"

static void check(const char *yaml, const char *want)
{
    AUTO_JSON json_t *tree = NULL;
    CHECK_OK(doc_parse_yaml(slice_of(yaml), "t.yaml", &tree));
    AUTO_MEM char *got = doc_print_json(tree);
    if (!str_eq(got, want)) {
        test_fail(__FILE__, __LINE__, "%s\n  reads as %s\n  not as   %s", yaml, got, want);
    }
}

static void refuse(const char *yaml, const char *part)
{
    json_t *tree = NULL;
    CHECK_ERR_HAS(doc_parse_yaml(slice_of(yaml), "t.yaml", &tree), ERROR_INVALID, part);
    CHECK(tree == NULL);
}

TEST(plain_scalars_have_types)
{
    check("[yes, No, on, OFF, True, FALSE, y, n]", "[true,false,true,false,true,false,true,false]");
    check("[yEs, tRUE, oN]", "[\"yEs\",\"tRUE\",\"oN\"]");
    check("[~, null, Null, NULL, ]", "[null,null,null,null]");
    check("a:\nb: nUll", "{\"a\":null,\"b\":\"nUll\"}");
    check("[0, 12, -7, +3, 0x1F, -0x10, 0o17, 017, 0b101, 1_000]",
          "[0,12,-7,3,31,-16,15,15,5,1000]");
    check("[9223372036854775807, -9223372036854775808]",
          "[9223372036854775807,-9223372036854775808]");
    check("[0x, 1:30, 2001-12-14, 1.2.3, 10.0.0.1, 12e, -, _1, 0b102, --a]",
          "[\"0x\",\"1:30\",\"2001-12-14\",\"1.2.3\",\"10.0.0.1\",\"12e\",\"-\",\"_1\",\"0b102\","
          "\"--a\"]");
    check("[1.5, .5, -2., 1e3, 08, +.5]", "[1.5,0.5,-2.0,1000.0,8.0,0.5]");
    check("[1e999]", "[\"1e999\"]");
    check("[\"yes\", '12', \"null\", '']", "[\"yes\",\"12\",\"null\",\"\"]");
    check("a: |\n  12\nb: >-\n  x\n  y\n", "{\"a\":\"12\\n\",\"b\":\"x y\"}");
    check("[<<, =, 'x']", "[\"<<\",\"=\",\"x\"]");
}

TEST(keys_are_strings)
{
    check("true: 1\n1: 2\n0x10: 3\n1.5: 4\nno: 5\n",
          "{\"true\":1,\"1\":2,\"16\":3,\"1.5\":4,\"false\":5}");
    refuse("? [a]\n: b\n", "t.yaml:1:3: a key must be a scalar");
    refuse("{a: 1}: b\n", "a key must be a scalar");
    refuse("~: 1\n", "a key must not be null");
    refuse("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: key \"a\" is there twice");
    refuse("yes: 1\n\"true\": 2\n", "key \"true\" is there twice");
}

TEST(tags)
{
    check("[!!str 12, !!int \"3\", !!float 2, !!bool yes, !!null '', ! 5]",
          "[\"12\",3,2.0,true,null,\"5\"]");
    check("!!map {a: !!seq [1]}", "{\"a\":[1]}");
    refuse("a: !!binary aGk=\n", "t.yaml:1:4: tag");
    refuse("a: !mine x\n", "tag !mine is not supported");
    refuse("!!seq {a: 1}\n", "not supported");
    refuse("a: !!int x\n", "not what its tag says");
    refuse("a: .inf\n", "no place in JSON");
    refuse("a: -.NaN\nb: .nan\n", "t.yaml:2:4");
}

TEST(anchors_and_merges)
{
    check("a: &x {b: 1}\nc: *x\n", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}");
    check("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3\n",
          "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"b\":3,\"c\":2}}");
    check("- &x {b: 1}\n- &y {b: 2, c: 3}\n- <<: [*x, *y]\n  d: 4\n",
          "[{\"b\":1},{\"b\":2,\"c\":3},{\"d\":4,\"b\":1,\"c\":3}]");
    check("<<: {a: 1}\nb: 2\n", "{\"b\":2,\"a\":1}");
    check("&k a: 1\nb: *k\n", "{\"a\":1,\"b\":\"a\"}");
    check("\"<<\": 1\n", "{\"<<\":1}");
    refuse("a: *x\n", "t.yaml:1:4: alias *x has no anchor");
    refuse("a: &x [*x]\n", "stands inside its own anchor");
    refuse("<<: 1\n", "<< merges mappings only");
}

TEST(a_bomb_is_refused)
{
    AUTO_BUF struct buf b = buf_make(1 << 16);
    buf_add_str(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) {
            buf_printf(&b, "%s*a%d", j > 0 ? "," : "", i - 1);
        }
        buf_add_str(&b, "]\n");
    }
    refuse(b.ptr, "more than 1000000 nodes");
    buf_reset(&b);
    buf_add_str(&b, "a0: &a0 [x]\n");
    for (int i = 1; i < 80; i++) {
        buf_printf(&b, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    }
    refuse(b.ptr, "nested deeper than 64");
}

// Each document is small enough, all of them are not.
TEST(values_of_a_stream_are_counted_together)
{
    AUTO_BUF struct buf b = buf_make((size_t)4 << 20);
    for (int document = 0; document < 3; document++) {
        buf_add_str(&b, "---\n[0");
        for (int i = 0; i < DOC_NODES_MAX / 2; i++)
            buf_add_str(&b, ",0");
        buf_add_str(&b, "]\n");
    }
    json_t *all = NULL;
    CHECK_ERR_HAS(doc_parse_yaml_all(buf_slice(&b), "t.yaml", &all), ERROR_INVALID,
                  "more than 1000000 nodes");
}

TEST(documents)
{
    check("", "null");
    check("# nothing\n", "null");
    check("---\n", "null");
    check("%YAML 1.1\n--- {a: 1}\n...\n", "{\"a\":1}");
    check("\xEF\xBB\xBF"
          "a: 1\nb: 2\n",
          "{\"a\":1,\"b\":2}");
    check("a: 1\r\nb:\r\n- x\r\n", "{\"a\":1,\"b\":[\"x\"]}");
    refuse("a: 1\n---\nb: 2\n", "a second document");
    AUTO_JSON json_t *all = NULL;
    CHECK_OK(doc_parse_yaml_all(slice_of("---\na: 1\n---\n# no\n---\n- 2\n--- x\n"), "t", &all));
    CHECK_STR_TAKE(doc_print_json(all), "[{\"a\":1},[2],\"x\"]");
    AUTO_JSON json_t *none = NULL;
    CHECK_OK(doc_parse_yaml_all(slice_of(""), "t", &none));
    CHECK_INT(json_array_size(none), 0);
    json_t *bad = NULL;
    CHECK_ERR_HAS(doc_parse_yaml_all(slice_of("a: 1\n---\nb: [\n"), "t", &bad), ERROR_INVALID,
                  "t:4:1");
}

TEST(what_a_chart_rendered_is_read_as_helm_reads_it)
{
    AUTO_JSON json_t *all = NULL;

    CHECK_OK(doc_parse_yaml_rendered(
        slice_of("a: 1\nb: {c: d, c: e}\na: 2\n---\n---\nx: [{z: 1, z: 2}]\n"), "t.yaml", &all));
    CHECK_STR_TAKE(doc_print_json(all), "[{\"a\":2,\"b\":{\"c\":\"e\"}},{\"x\":[{\"z\":2}]}]");
}

TEST(errors_say_where)
{
    refuse("a: 1\n\tb: 2\n", "t.yaml:2:1");
    refuse("a: [1, 2\nb: 3\n", "t.yaml:2:");
    refuse("\xC3\xA9: \xC3\xA9\n\xC3\xA9: [}\n", "t.yaml:2:5");
    refuse("a: 1\nb\xFF: 2\n", "t.yaml:2:2");
    refuse("a: \"\\0\"\n", "NUL");
    refuse("a: b: c\n", "t.yaml:1:5");
}

TEST_MAIN()

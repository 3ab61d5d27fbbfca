// SPDX-License-Identifier: Apache-2.0
// What is printed as YAML must read as the same tree, and look as people write it.

#include <string.h>

#include "test.h"
#include "drawbridge/doc.h"

static void check(const char *json, const char *want)
{
    AUTO_JSON json_t *tree = NULL;
    CHECK_OK(doc_parse_json(slice_of(json), "t.json", &tree));
    AUTO_MEM char *got = doc_print_yaml(tree);
    CHECK_STR(got, want);
    AUTO_JSON json_t *again = NULL;
    CHECK_OK(doc_parse_yaml(slice_of(got), "got.yaml", &again));
    CHECK(json_equal(tree, again));
}

TEST(shapes)
{
    check("{}", "{}\n");
    check("[]", "[]\n");
    check("null", "null\n");
    check("{\"a\":{\"b\":[1,{\"c\":2,\"d\":{}},[3,[4]],[]]},\"e\":null}",
          "a:\n  b:\n  - 1\n  - c: 2\n    d: {}\n  - - 3\n    - - 4\n  - []\ne: null\n");
    check("[{\"a\":{\"b\":1}}]", "- a:\n    b: 1\n");
}

TEST(strings_stay_strings)
{
    check("[\"yes\",\"12\",\"0x1\",\"1e3\",\"\",\"~\",\"null\",\"1:30\",\"2001-12-14\",\".5\",\"<<"
          "\",\"=\",\"y\"]",
          "- \"yes\"\n- \"12\"\n- \"0x1\"\n- \"1e3\"\n- \"\"\n- \"~\"\n- \"null\"\n- \"1:30\"\n- "
          "\"2001-12-14\"\n- \".5\"\n"
          "- \"<<\"\n- \"=\"\n- \"y\"\n");
    check("[\"--feature-gates=A=true,B=false\",\"a: b\",\"a #b\",\"a#b\",\"a:b\",\"- "
          "x\",\"-x\",\"*x\",\"x:\",\" x\",\"x \"]",
          "- --feature-gates=A=true,B=false\n- \"a: b\"\n- \"a #b\"\n- a#b\n- a:b\n- \"- x\"\n- "
          "-x\n- \"*x\"\n- \"x:\"\n- \" x\"\n"
          "- \"x \"\n");
    check("[\"10.0.0.1\",\"v1.33\",\"{a}\",\"[a]\",\"a,b\",\"caf\xC3\xA9\",\"---\",\"a\\tb\","
          "\"\\u0085\\u2028\\ufeff\"]",
          "- 10.0.0.1\n- v1.33\n- \"{a}\"\n- \"[a]\"\n- a,b\n- caf\xC3\xA9\n- \"---\"\n- "
          "\"a\\tb\"\n- \"\\u0085\\u2028\\ufeff\"\n");
    check("{\"true\":1,\"a: b\":2,\"\":3}", "\"true\": 1\n\"a: b\": 2\n\"\": 3\n");
}

TEST(texts_of_many_lines)
{
    check("{\"a\":\"x\\ny\\n\",\"b\":\"x\\n  y\",\"c\":\"x\\n\\ny\\n\\n\"}",
          "a: |\n  x\n  y\nb: |-\n  x\n    y\nc: |+\n  x\n\n  y\n\n");
    check("{\"a\":\" x\\ny\",\"b\":\"x \\ny\",\"c\":\"\\n\",\"d\":\"x\\u0007\\ny\"}",
          "a: \" x\\ny\"\nb: \"x \\ny\"\nc: \"\\n\"\nd: \"x\\u0007\\ny\"\n");
    check("{\"k\":{\"l\":[\"a\\nb\"]}}", "k:\n  l:\n  - |-\n    a\n    b\n");
}

TEST(numbers)
{
    check("[1,-1,1.5,1.0,1e20,0.1]", "- 1\n- -1\n- 1.5\n- 1.0\n- 1e+20\n- 0.1\n");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// What edits refuse, and that a refusal changes nothing. What they do is in the golden cases
// (test_text_cases.c).

#include <string.h>

#include "test.h"
#include "drawbridge/doc.h"

enum verb { SET, ADD, INSERT, REMOVE };

static struct error *edit(struct doc_text *doc, enum verb verb, const char *pointer)
{
    AUTO_JSON json_t *value = json_string("no"); // goes in quotes, where it is not in some already
    switch (verb) {
    case SET:
        return doc_text_set_scalar(doc, pointer, value);
    case ADD:
        return doc_text_add_key(doc, pointer, "k", value);
    case INSERT:
        return doc_text_insert(doc, pointer, 0, value);
    case REMOVE:
        return doc_text_remove(doc, pointer);
    }
    return NULL;
}

static void refuse(const char *text, enum verb verb, const char *pointer, enum error_kind kind,
                   const char *part)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    CHECK_OK(doc_text_new(slice_of(text), "f.yaml", &doc));
    AUTO_JSON json_t *before = doc_copy(doc_text_tree(doc));
    CHECK_ERR_HAS(edit(doc, verb, pointer), kind, part);
    CHECK_SLICE(doc_text_bytes(doc), text);
    CHECK(json_equal(before, doc_text_tree(doc)));
}

static void refuse_text(struct slice text, const char *part)
{
    struct doc_text *doc = NULL;
    CHECK_ERR_HAS(doc_text_new(text, "f.yaml", &doc), ERROR_INVALID, part);
    CHECK(doc == NULL);
}

TEST(aliases_are_not_changed_from_afar)
{
    const char *text = "a: &x\n  l: [1]\n  s: &s v\nb: *x\nc: *s\nm:\n  <<: *x\n  own: 1\n";
    refuse(text, INSERT, "/a/l", ERROR_INVALID, "f.yaml:1:4: an alias names this");
    refuse(text, SET, "/a/s", ERROR_INVALID, "an alias names this");
    refuse(text, ADD, "/a", ERROR_INVALID, "an alias names this");
    refuse(text, ADD, "/b", ERROR_INVALID, "f.yaml:4:4: an alias");
    refuse(text, INSERT, "/b/l", ERROR_INVALID, "an alias");
    refuse(text, SET, "/c", ERROR_INVALID, "an alias");
    refuse(text, REMOVE, "/a", ERROR_INVALID, "an alias");
    refuse(text, REMOVE, "/m/l", ERROR_INVALID, "comes from a merge");
    refuse(text, SET, "/m/s", ERROR_INVALID, "comes from a merge");
}

TEST(an_alias_itself_can_go)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    CHECK_OK(doc_text_new(slice_of("a: &x 1\nb: *x\nc: 2\n"), "f", &doc));
    CHECK_OK(doc_text_remove(doc, "/b"));
    CHECK_SLICE(doc_text_bytes(doc), "a: &x 1\nc: 2\n");
    CHECK_OK(doc_text_remove(doc, "/a"));
    CHECK_SLICE(doc_text_bytes(doc), "c: 2\n");
}

TEST(a_key_that_hides_a_merged_one_stays)
{
    refuse("a: &x {k: 1}\nb:\n  <<: *x\n  k: 2\n", REMOVE, "/b/k", ERROR_INVALID, "cannot be made");
}

TEST(what_is_not_there)
{
    const char *text = "a: 1\nl: [x]\nm: {}\n";
    refuse(text, SET, "/b", ERROR_NOT_FOUND, "there is no /b");
    refuse(text, REMOVE, "/l/1", ERROR_NOT_FOUND, "there is no /l/1");
    refuse(text, REMOVE, "/a/b", ERROR_NOT_FOUND, "there is no");
    refuse(text, REMOVE, "", ERROR_INVALID, "the whole document");
    refuse(text, SET, "a", ERROR_INVALID, "no JSON pointer");
    refuse(text, ADD, "/x~2", ERROR_INVALID, "no JSON pointer");
}

TEST(what_is_something_else)
{
    const char *text = "a: 1\nl: [x]\nm: {k: 1}\n";
    refuse(text, INSERT, "/a", ERROR_INVALID, "f.yaml:1:4: something else");
    refuse(text, INSERT, "/a/b/c", ERROR_INVALID, "something else");
    refuse(text, INSERT, "/m", ERROR_INVALID, "something else");
    refuse(text, ADD, "/l", ERROR_INVALID, "something else");
    refuse(text, ADD, "/l/0/x", ERROR_INVALID, "something else");
    refuse(text, ADD, "/m", ERROR_CONFLICT, "has the key \"k\" already");
    refuse(text, SET, "/m", ERROR_INVALID, "a collection stands");
    refuse("- a\n", ADD, "", ERROR_INVALID, "something else");
}

TEST(an_index_past_the_end)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    CHECK_OK(doc_text_new(slice_of("l: [a]\n"), "f", &doc));
    AUTO_JSON json_t *value = json_string("x");
    CHECK_ERR(doc_text_insert(doc, "/l", 2, value), ERROR_INVALID);
    CHECK_ERR(doc_text_insert(doc, "/n", 1, value), ERROR_INVALID);
    CHECK_SLICE(doc_text_bytes(doc), "l: [a]\n");
}

TEST(ways_of_writing_that_cannot_be_kept)
{
    refuse("? a\n: 1\n? b\n: 2\n", REMOVE, "/a", ERROR_INVALID, "question mark");
    refuse("? a\n: 1\n", ADD, "", ERROR_INVALID, "question mark");
    refuse("a: !!str 1\n", SET, "/a", ERROR_INVALID, "a tag says");
    refuse("l: [a: b]\n", ADD, "/l/0", ERROR_INVALID, "without brackets");
    refuse("l:\n- a: 1\n  # about b\n  b: 2\n", REMOVE, "/l/0/a", ERROR_INVALID,
           "a comment stands between");
    refuse("l:\n- |\n  text", INSERT, "/l/1", ERROR_INVALID, "something else");
    refuse("f: {a: }\n", SET, "/f/a", ERROR_INVALID, "no room");
}

static void removes(const char *text, const char *pointer, const char *after)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    CHECK_OK(doc_text_new(slice_of(text), "f.yaml", &doc));
    CHECK_OK(doc_text_remove(doc, pointer));
    CHECK_SLICE(doc_text_bytes(doc), after);
}

// Some of what stands in front of a comma does not bear what stands behind the next one.
TEST(what_a_comma_kept_apart)
{
    removes("{\"a\":[!,23],\"b\":{}}", "/a/1", "{\"a\":[! ],\"b\":{}}");
    removes("{a: !, b: 1}", "/b", "{a: ! }");
    removes("[!!str, b, c]", "/1", "[!!str, c]");
    removes("[!!str ,# c\n b]", "/1", "[!!str # c\n ]");
    removes("[x,# c\n y]", "/1", "[x # c\n ]");
    removes("{a: x,# c\n b: y}", "/b", "{a: x # c\n }");
    removes("[&x , b]", "/1", "[&x]");
}

// Where the text decides what can be done, the error is for who wrote it, and says where.
TEST(edits_that_the_text_does_not_take)
{
    refuse("# c\nl:A\n\t", SET, "", ERROR_INVALID,
           "f.yaml:3:1: the edit cannot be made: this line");
    refuse("k: 0\na: &x {k: 1}\nb:\n  <<: *x\n  k: 2\n", REMOVE, "/b/k", ERROR_INVALID,
           "f.yaml:5:1: the edit cannot be made: it would mean something else than wanted");
}

TEST(texts_that_are_not_taken)
{
    refuse_text(slice_of("a: 1\n---\nb: 2\n"), "f.yaml:3:1: a second document");
    refuse_text(slice_of("a: 1\rb: 2\n"), "f.yaml:1:1: a line break");
    refuse_text(slice_of("a: 1\n# x\xE2\x80\xA8y\n"), "f.yaml:2:1: a line break");
    refuse_text(slice_of("a: [\n"), "f.yaml:2:1");
    refuse_text((struct slice){.ptr = "a: \0b", .len = 5}, "NUL");
    refuse_text(slice_of("a: 1\na: 2\n"), "f.yaml:2:1: key \"a\" is there twice");
}

// A manifest is edited again and again as gates come and go: the way there and back leaves no
// trace.
TEST(there_and_back)
{
    const char *text = "spec:\r\n  containers:\r\n  - command: # argv\r\n    - kube-apiserver\r\n  "
                       "  # \xC3\xBC\r\n    - \"--a=b\" # x\r\n";
    AUTO(doc_text) struct doc_text *doc = NULL;
    CHECK_OK(doc_text_new(slice_of(text), "f", &doc));
    AUTO_JSON json_t *flag = json_string("--f=A=true");
    for (size_t i = 0; i <= 2; i++) {
        AUTO_MEM char *item = str_format("/spec/containers/0/command/%zu", i);
        CHECK_OK(doc_text_insert(doc, "/spec/containers/0/command", i, flag));
        CHECK_STR(json_string_value(doc_pointer(doc_text_tree(doc), item)), "--f=A=true");
        CHECK_OK(doc_text_remove(doc, item));
        CHECK_SLICE(doc_text_bytes(doc), text);
    }
    CHECK_OK(doc_text_add_key(doc, "/spec/deep/er", "k", flag));
    CHECK_OK(doc_text_remove(doc, "/spec/deep"));
    CHECK_SLICE(doc_text_bytes(doc), text);
}

// Empty one by one, then filled again.
TEST(down_to_nothing)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    CHECK_OK(doc_text_new(slice_of("featureGates:\n    A: true\n    B: false # b\nkind: K\n"), "f",
                          &doc));
    CHECK_OK(doc_text_remove(doc, "/featureGates/A"));
    CHECK_OK(doc_text_remove(doc, "/featureGates/B"));
    CHECK_SLICE(doc_text_bytes(doc), "featureGates: {}\nkind: K\n");
    AUTO_JSON json_t *on = json_true();
    CHECK_OK(doc_text_add_key(doc, "/featureGates", "C", on));
    CHECK_SLICE(doc_text_bytes(doc), "featureGates: {C: true}\nkind: K\n");
    CHECK_OK(doc_text_remove(doc, "/featureGates"));
    CHECK_SLICE(doc_text_bytes(doc), "kind: K\n");
}

static void check_lines(const char *text, const char *pointer, const char *want)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    size_t from = 0, to = 0;
    CHECK_OK(doc_text_new(slice_of(text), "f", &doc));
    CHECK_OK(doc_text_lines(doc, pointer, &from, &to));
    AUTO_MEM char *is = slice_dup(slice_sub(slice_of(text), from, to));
    CHECK_STR(is, want);
}

TEST(the_lines_of_an_entry)
{
    check_lines("a:\n- x: 1\n  y: 2 # two\n# three\n- z\nb: 1\n", "/a/0", "- x: 1\n  y: 2 # two\n");
    check_lines("a:\n  - x: 1\n  - y: |\n      t\n\n  - z\n", "/a/1", "  - y: |\n      t\n\n");
    check_lines("a:\n- x: 1\n- z", "/a/1", "- z");
    check_lines("a: 1\nb:\n  c: 2\n", "/b", "b:\n  c: 2\n");
}

static void check_no_lines(const char *text, const char *pointer, enum error_kind kind)
{
    AUTO(doc_text) struct doc_text *doc = NULL;
    size_t from, to;
    CHECK_OK(doc_text_new(slice_of(text), "f", &doc));
    CHECK_ERR(doc_text_lines(doc, pointer, &from, &to), kind);
}

TEST(an_entry_without_lines_of_its_own)
{
    check_no_lines("a: [x, y]\n", "/a/0", ERROR_INVALID);
    check_no_lines("- - x\n  - y\n", "/0/0", ERROR_INVALID);
    check_no_lines("a: [x]\n", "/b", ERROR_NOT_FOUND);
    check_no_lines("a: [x]\n", "", ERROR_NOT_FOUND);
    check_no_lines("a: &n\n- x\nb: *n\n", "/a/0", ERROR_INVALID);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// cases/text/<name>/{before.yaml, edits.json, after.yaml}: the edits must give just those bytes.
// Then insertions and additions are taken out again in reverse, which must give the bytes before
// each.

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "drawbridge/doc.h"

#define EDITS_MAX 16

static char *read_case(const char *name, const char *file)
{
    AUTO_MEM char *path = str_format("%s/text/%s/%s", TEST_CASES_DIR, name, file);
    return test_read(path);
}

static struct error *edit(struct doc_text *doc, const json_t *e)
{
    const char *verb = doc_str(e, "0", NULL), *pointer = doc_str(e, "1", NULL);
    if (str_eq(verb, "insert")) {
        return doc_text_insert(doc, pointer, (size_t)doc_int(e, 0, "2", NULL),
                               doc_get(e, "3", NULL));
    }
    if (str_eq(verb, "add")) {
        return doc_text_add_key(doc, pointer, doc_str(e, "2", NULL), doc_get(e, "3", NULL));
    }
    if (str_eq(verb, "set")) {
        return doc_text_set_scalar(doc, pointer, doc_get(e, "2", NULL));
    }
    CHECK_STR(verb, "remove");
    return doc_text_remove(doc, pointer);
}

static char *bytes_of(const struct doc_text *doc)
{
    return slice_dup(doc_text_bytes(doc));
}

// Takes out what the edit put into a collection that was there and not empty of text; else NULL.
static void check_undo(const char *before, const json_t *e)
{
    const char *verb = doc_str(e, "0", NULL), *pointer = doc_str(e, "1", NULL);
    AUTO(doc_text) struct doc_text *doc = NULL;
    CHECK_OK(doc_text_new(slice_of(before), "undo.yaml", &doc));
    const json_t *there = doc_pointer(doc_text_tree(doc), pointer);
    bool insert = str_eq(verb, "insert");
    if (!(insert && json_is_array(there)) && !(str_eq(verb, "add") && json_is_object(there))) {
        return;
    }
    AUTO_MEM char *step = insert ? str_format("%lld", (long long)doc_int(e, 0, "2", NULL))
                                 : str_dup(doc_str(e, "2", NULL));
    AUTO_MEM char *item = str_format("%s/%s", pointer, step);
    CHECK_OK(edit(doc, e));
    CHECK_OK(doc_text_remove(doc, item));
    AUTO_MEM char *now = bytes_of(doc);
    CHECK_STR(now, before);
}

static void run_case(const char *name)
{
    AUTO_MEM char *before = read_case(name, "before.yaml");
    AUTO_MEM char *after = read_case(name, "after.yaml");
    AUTO_MEM char *text = read_case(name, "edits.json");
    AUTO_JSON json_t *edits = NULL;
    CHECK_OK(doc_parse_json(slice_of(text), name, &edits));
    CHECK(json_array_size(edits) > 0 && json_array_size(edits) < EDITS_MAX);
    AUTO(doc_text) struct doc_text *doc = NULL;
    CHECK_OK(doc_text_new(slice_of(before), name, &doc));
    for (size_t i = 0; i < json_array_size(edits); i++) {
        AUTO_MEM char *now = bytes_of(doc);
        check_undo(now, json_array_get(edits, i));
        CHECK_OK(edit(doc, json_array_get(edits, i)));
    }
    AUTO_MEM char *got = bytes_of(doc);
    if (!str_eq(got, after)) {
        AUTO_MEM char *diff = doc_diff(slice_of(after), slice_of(got), "wanted", "got");
        test_fail(__FILE__, __LINE__, "%s\n%s", name, diff);
    }
    AUTO_JSON json_t *tree = NULL;
    CHECK_OK(doc_parse_yaml(slice_of(after), name, &tree));
    CHECK(json_equal(tree, doc_text_tree(doc)));
}

TEST(cases)
{
    DIR *dir = opendir(TEST_CASES_DIR "/text");
    CHECK(dir != NULL);
    struct strlist names = {0};
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            strlist_add(&names, entry->d_name);
        }
    }
    closedir(dir);
    strlist_sort(&names);
    for (size_t i = 0; i < names.len; i++) {
        run_case(names.items[i]);
    }
    CHECK(names.len >= 40);
    strlist_fini(&names);
}

TEST_MAIN()

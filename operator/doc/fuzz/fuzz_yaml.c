// SPDX-License-Identifier: Apache-2.0
// Any bytes as YAML: what is read must be printed so that it reads the same.

#include <string.h>

#include "drawbridge/doc.h"
#include "fuzz.h"

#define KEY_MAX 1000 // libyaml reads no longer ones without a question mark

static bool has_long_key(const json_t *tree)
{
    bool found = false;
    for (size_t i = 0; i < json_array_size(tree) && !found; i++) {
        found = has_long_key(json_array_get(tree, i));
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)tree, key, value) {
        found = found || strlen(key) > KEY_MAX / 6 || has_long_key(value);
    }
    return found;
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {.ptr = (const char *)bytes, .len = len};
    AUTO_JSON json_t *all = NULL;
    AUTO(error) struct error *many = doc_parse_yaml_all(text, "f", &all);
    AUTO_JSON json_t *tree = NULL;
    AUTO(error) struct error *err = doc_parse_yaml(text, "f", &tree);
    if (err != NULL) {
        return;
    }
    ASSERT(many == NULL);
    ASSERT(json_array_size(all) <= 1);
    AUTO_MEM char *printed = doc_print_yaml(tree);
    if (has_long_key(tree)) {
        return;
    }
    AUTO_JSON json_t *again = NULL;
    AUTO(error) struct error *second = doc_parse_yaml(slice_of(printed), "f", &again);
    ASSERT(second == NULL);
    ASSERT(json_equal(tree, again));
}

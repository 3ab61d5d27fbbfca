// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON: what is read must be printed so that it reads the same.

#include "drawbridge/doc.h"
#include "fuzz.h"

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {.ptr = (const char *)bytes, .len = len};
    AUTO_JSON json_t *tree = NULL;
    AUTO(error) struct error *err = doc_parse_json(text, "f", &tree);
    if (err != NULL) {
        return;
    }
    AUTO_MEM char *printed = doc_print_json(tree);
    AUTO_JSON json_t *again = NULL;
    AUTO(error) struct error *second = doc_parse_json(slice_of(printed), "f", &again);
    ASSERT(second == NULL);
    ASSERT(doc_equal(tree, again));
    AUTO_JSON json_t *patch = doc_make_merge_patch(tree, again);
    ASSERT(patch == NULL);
}

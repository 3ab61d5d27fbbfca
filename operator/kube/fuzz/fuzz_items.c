// SPDX-License-Identifier: Apache-2.0
// The list splitter: any bytes, in any portions; what it cuts out of a good list is what the parser
// sees in it.
#include "kube_internal.h"

#include "fuzz.h"

#include <string.h>

#define ITEM_BYTES_MAX 256

static size_t collect(struct slice all, size_t portion, json_t *items, bool *ret_broken,
                      bool *ret_too_large)
{
    struct kube_items cut = kube_items_make(ITEM_BYTES_MAX);
    size_t count = 0;
    for (size_t at = 0; at < all.len; at += portion) {
        struct slice rest = slice_sub(all, at, at + portion < all.len ? at + portion : all.len),
                     text;
        while (kube_items_next(&cut, &rest, &text)) {
            count++;
            *ret_too_large = *ret_too_large || cut.too_large;
            ASSERT(text.len <= ITEM_BYTES_MAX);
            json_t *item = NULL;
            AUTO(error) struct error *err = doc_parse_json(text, "item", &item);
            if (!err && items)
                json_array_append_new(items, item);
            else
                json_decref(item);
        }
    }
    AUTO_JSON json_t *envelope = NULL;
    AUTO(error) struct error *err = kube_items_envelope(&cut, &envelope);
    *ret_broken = cut.broken != NULL || err != NULL;
    kube_items_fini(&cut);
    return count;
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice all = {(const char *)bytes, len < 65536 ? len : 65536};
    AUTO_JSON json_t *items = json_array();
    bool broken, broken_too, too_large = false, too_large_too = false;
    size_t count = collect(all, all.len + 1, items, &broken, &too_large);
    ASSERT(collect(all, 1, NULL, &broken_too, &too_large_too) == count && broken == broken_too &&
           too_large == too_large_too);
    AUTO_JSON json_t *tree = NULL;
    AUTO(error) struct error *err = doc_parse_json(all, "list", &tree);
    // Good JSON with one list of objects of that name: the same items.
    const json_t *list = err ? NULL : doc_get(tree, "items", NULL);
    if (!broken && !too_large && json_is_array(list))
        ASSERT(json_array_size(list) == count && json_array_size(items) == count &&
               doc_equal(list, items));
}

// SPDX-License-Identifier: Apache-2.0
// Cutting a field out of a text and parsing it is parsing it and taking the field out of the tree.
#include "kube_internal.h"

#include "fuzz.h"

static void cut_at(struct slice text, size_t depth, const json_t *object, json_t *whole)
{
    AUTO_BUF struct buf scratch = buf_make(text.len + 1);
    AUTO_JSON json_t *cut = NULL;
    struct slice left = kube_cut_managed_fields(text, depth, &scratch);
    AUTO(error) struct error *refused = doc_parse_json(left, "cut", &cut);
    ASSERT(left.len <= text.len);
    if (!whole)
        return;
    ASSERT(!refused);
    // else there was nothing, or it was not written as the server writes it
    if (left.ptr != text.ptr)
        json_object_del(json_object_get(object, "metadata"), "managedFields");
    ASSERT(doc_equal(cut, whole));
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {(const char *)bytes, len < 65536 ? len : 65536};
    AUTO_JSON json_t *item = NULL, *event = NULL;
    AUTO(error) struct error *err = doc_parse_json(text, "item", &item);
    cut_at(text, KUBE_DEPTH_ITEM, item, err ? NULL : item);
    AUTO_BUF struct buf around = buf_make(text.len + 64);
    buf_printf(&around, "{\"type\":\"ADDED\",\"object\":");
    buf_add_slice(&around, text);
    buf_add_str(&around, "}");
    AUTO(error) struct error *broken = doc_parse_json(buf_slice(&around), "event", &event);
    cut_at(buf_slice(&around), KUBE_DEPTH_EVENT, json_object_get(event, "object"),
           broken ? NULL : event);
}

// SPDX-License-Identifier: Apache-2.0
// What a glance takes, the parser takes without softening, and the tree says the same.
#include "kube_internal.h"

#include "fuzz.h"

#include <string.h>

static void check_value(struct slice text, const json_t *value)
{
    AUTO_JSON json_t *read = NULL;
    AUTO(error) struct error *err = doc_parse_json(text, "value", &read);
    ASSERT(!err && value && doc_equal(read, value));
}

static void check_text(struct slice text, const json_t *tree, const char *key)
{
    ASSERT(slice_eq(text, doc_str(tree, "metadata", key, NULL)));
}

static void check_fields(const struct kube_fields *fields, const json_t *object)
{
    ASSERT(json_object_size(object) == fields->len);
    for (size_t i = 0; i < fields->len; i++) {
        AUTO_MEM char *key = slice_dup(fields->items[i].key);
        ASSERT(strlen(key) == fields->items[i].key.len);
        check_value(fields->items[i].value, json_object_get(object, key));
        ASSERT(kube_field_text(fields, key).ptr == fields->items[i].value.ptr);
    }
}

static void check(const struct kube_glance *glance, struct slice text)
{
    AUTO_JSON json_t *tree = NULL;
    bool exact;
    AUTO(error) struct error *err = kube_parse_object(text, KUBE_NODES_MAX, &tree, &exact);
    ASSERT(!err && exact && json_is_object(tree));
    check_fields(&glance->metadata, json_object_get(tree, "metadata"));
    check_fields(&glance->status, json_object_get(tree, "status"));
    check_text(glance->namespace, tree, "namespace");
    check_text(glance->name, tree, "name");
    check_text(glance->version, tree, "resourceVersion");
    ASSERT(glance->name.len > 0 && glance->version.len > 0);
    if (glance->status_text.len > 0)
        check_value(glance->status_text, json_object_get(tree, "status"));
    else
        ASSERT(!json_object_get(tree, "status"));
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {(const char *)bytes, len < 65536 ? len : 65536};
    struct kube_glance glance;
    if (kube_glance(text, &glance))
        check(&glance, text);
}

// SPDX-License-Identifier: Apache-2.0
// RFC 7386 merge patches, both ways: what a controller sends when it changes a few fields of
// somebody else's object.

#include "doc_internal.h"

json_t *doc_merge_patch(const json_t *target, const json_t *patch)
{
    if (!json_is_object(patch)) {
        return json_deep_copy(patch);
    }
    json_t *result = json_is_object(target) ? json_deep_copy(target) : json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
        if (json_is_null(value)) {
            json_object_del(result, key);
        } else {
            json_object_set_new(result, key, doc_merge_patch(json_object_get(result, key), value));
        }
    }
    return result;
}

static json_t *make_object_patch(const json_t *source, const json_t *target)
{
    json_t *patch = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)source, key, value) {
        if (json_object_get(target, key) == NULL) {
            json_object_set_new(patch, key, json_null());
        }
    }
    json_object_foreach((json_t *)(uintptr_t)target, key, value) {
        const json_t *old = json_object_get(source, key);
        json_t *part = old == NULL ? json_deep_copy(value) : doc_make_merge_patch(old, value);
        if (part != NULL) {
            json_object_set_new(patch, key, part);
        }
    }
    return patch;
}

json_t *doc_make_merge_patch(const json_t *source, const json_t *target)
{
    if (doc_equal(source, target)) {
        return NULL;
    }
    if (json_is_object(source) && json_is_object(target)) {
        return make_object_patch(source, target);
    }
    return json_deep_copy(target);
}

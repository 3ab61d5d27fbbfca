// SPDX-License-Identifier: Apache-2.0
// The patch that writes lists and record into an object.
#include "hosted_internal.h"

// --- the patch -----------------------------------------------------------------------------------

static void add_op(json_t *patch, const char *op, const char *path, json_t *take_value)
{
    json_t *step = json_object();

    json_object_set_new(step, "op", doc_string(op));
    json_object_set_new(step, "path", doc_string(path));
    if (take_value)
        json_object_set_new(step, "value", take_value);
    json_array_append_new(patch, step);
}

static void patch_list(json_t *patch, const char *path, const json_t *was, const json_t *now)
{
    if (doc_equal(was, now))
        return;
    add_op(patch, !now ? "remove" : was ? "replace" : "add", path, now ? doc_copy(now) : NULL);
}

// Makes what is above the list, and takes away again what was made.
static void patch_extra_args(const struct platform_part *part, const json_t *lists, json_t *patch)
{
    const char *field = hosted_field(part->component);
    const json_t *deployment = doc_get(part->object, "spec", "controlPlane", "deployment", NULL);
    const json_t *extra = json_object_get(deployment, "extraArgs");
    const json_t *was = json_object_get(part->tree, "args"), *now = json_object_get(lists, "args");
    AUTO_MEM char *path = str_format("/spec/controlPlane/deployment/extraArgs/%s", field);

    if (doc_equal(was, now))
        return;
    if (!deployment)
        add_op(patch, "add", "/spec/controlPlane/deployment", json_object());
    if (!extra)
        add_op(patch, "add", "/spec/controlPlane/deployment/extraArgs", json_object());
    if (!now && json_object_size(extra) == 1 && !doc_bool(lists, true, PLATFORM_PARENTS, NULL))
        add_op(patch, "remove", "/spec/controlPlane/deployment/extraArgs", NULL);
    else
        patch_list(patch, path, was, now);
}

static void patch_containers(const struct platform_part *part, const json_t *lists, json_t *patch)
{
    static const char *const names[] = {"command", "args"};

    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO_MEM char *path =
            str_format("/spec/template/spec/containers/%zu/%s", part->container, names[i]);

        patch_list(patch, path, json_object_get(part->tree, names[i]),
                   json_object_get(lists, names[i]));
    }
}

static void patch_record(const struct platform_part *part, const json_t *record, json_t *patch)
{
    const json_t *annotations = doc_get(part->object, "metadata", "annotations", NULL);
    AUTO_MEM char *key = platform_annotation(part->slot);
    AUTO_MEM char *path =
        str_format("/metadata/annotations/drawbridge.dev~1%s", component_name(part->component));

    if (!record) {
        if (json_object_get(annotations, key))
            add_op(patch, "remove", path, NULL);
        return;
    }
    if (!annotations)
        add_op(patch, "add", "/metadata/annotations", json_object());
    AUTO_MEM char *text = doc_print_json(record);
    add_op(patch, "add", path, doc_string(text));
}

json_t *hosted_patch(const struct platform_part *part, const json_t *lists, const json_t *record)
{
    json_t *patch = json_array();

    // A precondition as a replacement: the API server answers a stale one with 409, a failed "test"
    // with 422 as if the patch were wrong.
    add_op(patch, "replace", "/metadata/resourceVersion",
           doc_string(doc_str(part->object, "metadata", "resourceVersion", NULL)));
    if (lists && part->kind == KIND_TENANT_CONTROL_PLANE)
        patch_extra_args(part, lists, patch);
    else if (lists)
        patch_containers(part, lists, patch);
    patch_record(part, record, patch);
    return patch;
}

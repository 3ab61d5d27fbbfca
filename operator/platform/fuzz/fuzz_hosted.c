// SPDX-License-Identifier: Apache-2.0
// Any JSON as an object of a hosted control plane, its record included: read, judged, edited, put
// back. After an edit the object says what was wanted, and an object that was edited is edited no
// further.
#include "fuzz.h"

#include "hosted/hosted_internal.h"

static json_t *want_of(enum component component)
{
    json_t *want =
        json_pack("{s:s, s:{s:b}, s:{s:b}}", "revision", "r", "featureGates",
                  "DynamicResourceAllocation", 1, "expect", "DynamicResourceAllocation", 1);

    if (component == COMPONENT_APISERVER)
        json_object_set_new(want, "runtimeConfig",
                            json_pack("{s:s}", "resource.k8s.io/v1beta1", "true"));
    return want;
}

static void try_edits(const struct platform_part *part)
{
    AUTO_JSON json_t *want = want_of(part->component);
    AUTO_JSON json_t *lists = NULL;
    AUTO_JSON json_t *record = NULL;
    AUTO_JSON json_t *patch = NULL;
    AUTO(error) struct error *err = platform_record_edit(part, want, 0, &lists, &record);

    if (err)
        return;
    AUTO_FLAGS struct gates_flags flags = {0};
    struct site_container container =
        site_container_of(json_object_get(lists, "command"), json_object_get(lists, "args"));
    AUTO_JSON json_t *argv = site_container_argv(&container, part->component);
    err = gates_flags_read(part->component, argv, &flags);
    ASSERT(!err);
    ASSERT(json_is_true(json_object_get(flags.feature_gates, "DynamicResourceAllocation")));
    patch = hosted_patch(part, lists, record);
    ASSERT(json_array_size(patch) > 0);
}

static void try_put_back(struct platform_part *part)
{
    AUTO_JSON json_t *lists = NULL;
    AUTO_JSON json_t *record = NULL;
    AUTO_JSON json_t *patch = NULL;

    part->reason = part->reason ? part->reason : "ComponentNotReady";
    if (!part->message)
        part->message = str_dup("it did not come up");
    AUTO(error) struct error *err = platform_record_put_back(part, 0, &lists, &record);
    if (!err)
        patch = hosted_patch(part, lists, record);
}

static void try_part(enum component component, enum platform_kind kind, const json_t *object)
{
    struct platform_target target = {.component_timeout_ms = 1000};
    struct platform_look look = {.target = &target, .now_wall_ms = 0, .asked = true};
    struct platform_part part;
    uint64_t again_ms = 0;
    json_t *copy = doc_copy(object);
    AUTO(error) struct error *err =
        hosted_part_make(component, kind, copy, json_incref(copy), &part);

    if (!err) {
        AUTO_JSON json_t *report = platform_part_report(&part, &look, &again_ms);
        AUTO_JSON json_t *settled = part.record ? platform_record_settle(&part, 0) : NULL;
        AUTO_JSON json_t *forgotten = part.record ? platform_record_forget(&part) : NULL;

        try_edits(&part);
        if (part.record)
            try_put_back(&part);
    }
    error_free(err);
    err = platform_check_owner(object, "here", NULL);
    error_free(err);
    err = hosted_check_strategy(kind, object, "here");
    platform_part_fini(&part);
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    static const enum platform_kind kinds[] = {KIND_DEPLOYMENT, KIND_STATEFUL_SET,
                                               KIND_TENANT_CONTROL_PLANE};
    AUTO_JSON json_t *object = NULL;
    struct slice text = {(const char *)bytes, len};
    AUTO(error) struct error *err = doc_parse_json(text, "object", &object);

    if (err || !json_is_object(object))
        return;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        try_part(COMPONENT_APISERVER, kinds[i], object);
        try_part(COMPONENT_SCHEDULER, kinds[i], object);
    }
}

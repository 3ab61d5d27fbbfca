// SPDX-License-Identifier: Apache-2.0
// A Cluster of Cluster API with one object, which is read, edited and read again.
#pragma once

#include <string.h>

#include "capi/capi_internal.h"
#include "test.h"

#define NOW_MS 1764000000000
#define WANT                                                                                       \
    "{revision: r1, expect: {DynamicResourceAllocation: true},"                                    \
    " featureGates: {DynamicResourceAllocation: true}}"
#define WANT_API                                                                                   \
    "{revision: r1, expect: {DynamicResourceAllocation: true},"                                    \
    " featureGates: {DynamicResourceAllocation: true},"                                            \
    " runtimeConfig: {resource.k8s.io/v1beta1: 'true'}}"
#define WANT_NOTHING "{revision: r2, expect: {}, featureGates: {}}"

UNUSED static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

// --- a small management cluster ------------------------------------------------------------------

struct place {
    struct platform_capi capi;
    struct capi_owner owners[2];
};

UNUSED static void begin(struct place *p, const char *version)
{
    *p = (struct place){
        .capi = {.namespace = str_dup("default"),
                 .name = str_dup("one"),
                 .core = str_dup(version),
                 .control_plane = str_dup(version),
                 .bootstrap = str_dup(version),
                 .cluster = parse("{metadata: {name: one, namespace: default}}"),
                 .ours = json_array(),
                 .worker_classes = json_array(),
                 .in_use = json_object()},
    };
    p->capi.owners = p->owners;
}

UNUSED static void end(struct place *p)
{
    for (size_t i = 0; i < p->capi.len; i++)
        capi_owner_fini(&p->owners[i]);
    p->capi.len = 0;
    p->capi.owners = NULL;
    json_decref(p->capi.cluster);
    json_decref(p->capi.ours);
    json_decref(p->capi.in_use);
    json_decref(p->capi.worker_classes);
    json_decref(p->capi.class);
    for (size_t i = 0; i < CAPI_PLACES; i++) {
        capi_carried_fini(&p->capi.carried[i]);
        capi_carried_fini(&p->capi.known[i]);
    }
    mem_free(p->capi.notes);
    mem_free(p->capi.namespace);
    mem_free(p->capi.name);
    mem_free(p->capi.core);
    mem_free(p->capi.control_plane);
    mem_free(p->capi.bootstrap);
}

UNUSED static struct error *read_again(struct place *p, enum platform_kind kind,
                                       json_t *take_object, json_t *take_template,
                                       json_t *take_original)
{
    struct capi_owner *owner = &p->owners[0];

    if (p->capi.len > 0)
        capi_owner_fini(owner);
    p->capi.len = 1;
    *owner = (struct capi_owner){
        .kind = kind, .object = take_object, .template = take_template, .original = take_original};
    return capi_owner_read(owner, &p->capi);
}

UNUSED static struct error *read_control_plane(struct place *p, json_t *take_object)
{
    return read_again(p, KIND_KUBEADM_CONTROL_PLANE, take_object, NULL, NULL);
}

UNUSED static struct platform_part *part_of(struct place *p, const char *slot)
{
    for (size_t i = 0; i < p->owners[0].len; i++) {
        if (str_eq(p->owners[0].parts[i].slot, slot))
            return &p->owners[0].parts[i];
    }
    return NULL;
}

// Every part with what is wanted: the API server want_api, the others want.
UNUSED static struct error *edit_all(struct place *p, const char *want_api, const char *want,
                                     struct capi_edit *edit)
{
    struct capi_owner *owner = &p->owners[0];
    struct error *err = NULL;

    capi_edit_begin(edit, owner);
    for (size_t i = 0; !err && i < owner->len; i++) {
        struct platform_part *part = &owner->parts[i];
        AUTO_JSON json_t *wanted = parse(part->component == COMPONENT_APISERVER ? want_api : want);
        AUTO_JSON json_t *tree = NULL;
        AUTO_JSON json_t *record = NULL;

        err = platform_record_edit(part, wanted, NOW_MS, &tree, &record);
        if (!err)
            err = capi_edit_put(edit, &p->capi, owner, part, tree, record);
    }
    return err;
}

// The object as the API server has it after the patch.
UNUSED static json_t *patched(const struct place *p, const struct capi_edit *edit)
{
    AUTO_JSON json_t *patch = capi_edit_patch(edit, &p->owners[0]);

    if (!patch)
        return doc_copy(p->owners[0].object);
    CHECK_STR(doc_str(patch, "metadata", "resourceVersion", NULL),
              doc_str(p->owners[0].object, "metadata", "resourceVersion", NULL));
    return doc_merge_patch(p->owners[0].object, patch);
}

UNUSED static void check_spec(const json_t *object, const char *want)
{
    AUTO_JSON json_t *wanted = parse(want);
    AUTO_MEM char *text = doc_print_yaml(json_object_get(object, "spec"));
    AUTO_MEM char *want_text = doc_print_yaml(wanted);

    CHECK_STR(text, want_text);
}

// Turned on and off again: the spec is what it was, and no edit is made twice.
UNUSED static void check_both_ways(const char *version, const char *before, const char *after)
{
    AUTO_MEM char *text = str_format(
        "{metadata: {name: one, namespace: default, resourceVersion: '7'}, spec: %s}", before);
    AUTO_JSON json_t *object = parse(text);
    AUTO_JSON json_t *on = NULL;
    AUTO_JSON json_t *off = NULL;
    struct place p;

    begin(&p, version);
    CHECK_OK(read_control_plane(&p, doc_copy(object)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};

        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        on = patched(&p, &edit);
    }
    check_spec(on, after);
    CHECK_OK(read_control_plane(&p, doc_copy(on)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        AUTO_JSON json_t *again = NULL;

        CHECK(part_of(&p, "kube-apiserver")->stands);
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        again = patched(&p, &edit);
        CHECK(doc_equal(json_object_get(again, "spec"), json_object_get(on, "spec")));
    }
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};

        CHECK_OK(edit_all(&p, WANT_NOTHING, WANT_NOTHING, &edit));
        off = patched(&p, &edit);
    }
    CHECK(doc_equal(json_object_get(off, "spec"), json_object_get(object, "spec")));
    end(&p);
}

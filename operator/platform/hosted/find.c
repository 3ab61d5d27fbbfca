// SPDX-License-Identifier: Apache-2.0
// Which object of the namespace is a component, and whether we may write it.
#include <string.h>

#include "hosted_internal.h"

const char *hosted_field(enum component component)
{
    static const char *const fields[] = {"apiServer", "controllerManager", "scheduler"};

    ASSERT(component < COUNT(fields));
    return fields[component];
}

const char *hosted_selector(const json_t *spec, enum component component)
{
    const char *selector = doc_str(spec, hosted_field(component), "selector", NULL);

    return *selector ? selector : NULL;
}

bool hosted_matches(const json_t *spec, enum component component, const json_t *object)
{
    static const char *const labels[] = {"app", "component", "k8s-app", "app.kubernetes.io/name",
                                         "app.kubernetes.io/component"};
    const char *wanted = doc_str(spec, hosted_field(component), "name", NULL);
    const char *own = component_name(component);
    const char *name = doc_str(object, "metadata", "name", NULL);

    if (*wanted)
        return str_eq(name, wanted);
    if (hosted_selector(spec, component))
        return false; // the API server says which
    if (str_eq(name, own))
        return true;
    for (size_t i = 0; i < COUNT(labels); i++) {
        if (str_eq(doc_str(object, "metadata", "labels", labels[i], NULL), own))
            return true;
    }
    return false;
}

struct error *hosted_check_owner(const json_t *object, const char *where)
{
    static const struct {
        const char *map, *key, *who;
    } marks[] = {
        {"labels", "kustomize.toolkit.fluxcd.io/name", "the Flux Kustomization"},
        {"labels", "helm.toolkit.fluxcd.io/name", "the Flux HelmRelease"},
        {"labels", "argocd.argoproj.io/instance", "the Argo CD Application"},
        {"annotations", "argocd.argoproj.io/tracking-id", "the Argo CD Application of"},
    };
    const json_t *owners = doc_get(object, "metadata", "ownerReferences", NULL);

    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);

        if (doc_bool(owner, false, "controller", NULL))
            return error_because(
                ERROR_INVALID, "NotManaged",
                "%s is owned by %s %s (%s), which would undo a change; set the flags there", where,
                doc_str(owner, "kind", NULL), doc_str(owner, "name", NULL),
                doc_str(owner, "apiVersion", NULL));
    }
    for (size_t i = 0; i < COUNT(marks); i++) {
        const char *name = doc_str(object, "metadata", marks[i].map, marks[i].key, NULL);

        if (*name)
            return error_because(
                ERROR_INVALID, "NotManaged",
                "%s belongs to %s %s, which would undo a change; set the flags there", where,
                marks[i].who, name);
    }
    return NULL;
}

struct error *hosted_check_strategy(enum platform_kind kind, const json_t *object,
                                    const char *where)
{
    if (kind == KIND_DEPLOYMENT && doc_bool(object, false, "spec", "paused", NULL))
        return error_because(ERROR_INVALID, "NotManaged",
                             "%s is paused and would not roll out; resume it", where);
    if (kind != KIND_STATEFUL_SET)
        return NULL;
    if (str_eq(doc_str(object, "spec", "updateStrategy", "type", NULL), "OnDelete"))
        return error_because(ERROR_INVALID, "NotManaged",
                             "%s has the updateStrategy OnDelete and would not roll out; set it to "
                             "RollingUpdate",
                             where);
    if (doc_int(object, 0, "spec", "updateStrategy", "rollingUpdate", "partition", NULL) > 0)
        return error_because(
            ERROR_INVALID, "NotManaged",
            "%s has an updateStrategy with a partition and would not roll out whole; set "
            "it to 0",
            where);
    return NULL;
}

// --- a part --------------------------------------------------------------------------------------

static void keep_list(json_t *lists, const char *name, const json_t *list)
{
    if (json_is_array(list))
        json_object_set_new(lists, name, doc_copy(list));
}

static struct error *read_container(struct hosted_part *part)
{
    const json_t *containers =
        doc_get(part->object, "spec", "template", "spec", "containers", NULL);
    struct error *err =
        site_container_find(containers, part->where, part->component, &part->container);

    if (err) {
        error_set_reason(err, "ManifestInvalid");
        return err;
    }
    keep_list(part->lists, "command", json_object_get(part->container.spec, "command"));
    keep_list(part->lists, "args", json_object_get(part->container.spec, "args"));
    (void)platform_image_version(doc_str(part->container.spec, "image", NULL), &part->version);
    return NULL;
}

// Kamaji takes each element as --flag=value and makes the container's args of them, its own beside.
static void read_extra_args(struct hosted_part *part)
{
    const json_t *extra =
        doc_get(part->object, "spec", "controlPlane", "deployment", "extraArgs", NULL);
    const json_t *args = json_object_get(extra, hosted_field(part->component));

    keep_list(part->lists, "args", args);
    json_object_set_new(part->lists, "extraArgs", json_boolean(extra != NULL));
    (void)version_parse(doc_str(part->object, "spec", "kubernetes", "version", NULL),
                        &part->version);
}

struct error *hosted_part_make(enum component component, enum platform_kind kind,
                               json_t *take_object, json_t *take_workload,
                               struct hosted_part *ret_part)
{
    struct site_place place;
    struct error *err = NULL;

    *ret_part = (struct hosted_part){
        .component = component,
        .kind = kind,
        .object = take_object,
        .workload = take_workload,
        .where = str_format("%s %s/%s", platform_kind(kind)->kind,
                            doc_str(take_object, "metadata", "namespace", NULL),
                            doc_str(take_object, "metadata", "name", NULL)),
        .lists = json_object(),
    };
    if (kind == KIND_TENANT_CONTROL_PLANE)
        read_extra_args(ret_part);
    else
        err = read_container(ret_part);
    if (err)
        return err;
    place = hosted_place(ret_part);
    err = site_read_tree(&place, ret_part->lists, &ret_part->flags);
    if (err) {
        error_set_reason(err, "ManifestInvalid");
        return err;
    }
    hosted_record_read(ret_part);
    return NULL;
}

void hosted_part_fini(struct hosted_part *part)
{
    json_decref(part->object);
    json_decref(part->workload);
    json_decref(part->lists);
    json_decref(part->record);
    json_decref(part->owned);
    gates_flags_fini(&part->flags);
    mem_free(part->where);
    mem_free(part->message);
    mem_free(part->words);
    *part = (struct hosted_part){0};
}

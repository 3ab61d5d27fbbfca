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

// --- its roll-out --------------------------------------------------------------------------------

// Whether Kamaji has made the Deployment's args of what is in extraArgs.
static bool is_carried_out(const struct platform_part *part)
{
    const json_t *containers =
        doc_get(part->workload, "spec", "template", "spec", "containers", NULL);
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO_JSON json_t *argv = NULL;
    AUTO_JSON json_t *there = NULL;
    AUTO_JSON json_t *ours = NULL;
    struct site_container container;
    struct error *err = site_container_find(containers, part->where, part->component, &container);

    if (!err) {
        argv = site_container_argv(&container, part->component);
        err = gates_flags_read(part->component, argv, &flags);
    }
    if (err) {
        error_ignore(err, "not there yet: the time for it is limited");
        return false;
    }
    // What we wrote must be there, and what we took out must be gone.
    there = json_pack("{s:O, s:O}", site_kinds[0], part->flags.feature_gates, site_kinds[1],
                      part->flags.runtime_config);
    ours = site_ours(there, &flags);
    return doc_equal(ours, there) &&
           json_object_size(flags.feature_gates) == json_object_size(part->flags.feature_gates);
}

struct rollout hosted_rollout_of(const struct platform_part *part)
{
    struct rollout r = rollout_of(part->workload);

    if (part->kind == KIND_TENANT_CONTROL_PLANE && r.seen && !is_carried_out(part))
        r.seen = r.complete = r.stuck = false;
    return r;
}

// --- a part --------------------------------------------------------------------------------------

static bool is_strings(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!json_is_string(json_array_get(list, i)))
            return false;
    }
    return !list || json_is_array(list);
}

static bool is_lists(const json_t *lists)
{
    return json_is_object(lists) && is_strings(json_object_get(lists, "command")) &&
           is_strings(json_object_get(lists, "args"));
}

static void keep_list(json_t *lists, const char *name, const json_t *list)
{
    if (json_is_array(list))
        json_object_set_new(lists, name, doc_copy(list));
}

static struct error *read_container(struct platform_part *part)
{
    struct site_container container;
    const json_t *containers =
        doc_get(part->object, "spec", "template", "spec", "containers", NULL);
    struct error *err = site_container_find(containers, part->where, part->component, &container);

    if (err) {
        error_set_reason(err, "ManifestInvalid");
        return err;
    }
    part->container = container.index;
    keep_list(part->tree, "command", json_object_get(container.spec, "command"));
    keep_list(part->tree, "args", json_object_get(container.spec, "args"));
    (void)platform_image_version(doc_str(container.spec, "image", NULL), &part->version);
    return NULL;
}

// Kamaji takes each element as --flag=value and makes the container's args of them, its own beside.
static void read_extra_args(struct platform_part *part)
{
    const json_t *extra =
        doc_get(part->object, "spec", "controlPlane", "deployment", "extraArgs", NULL);
    const json_t *args = json_object_get(extra, hosted_field(part->component));

    keep_list(part->tree, "args", args);
    json_object_set_new(part->tree, PLATFORM_PARENTS, json_boolean(extra != NULL));
    (void)version_parse(doc_str(part->object, "spec", "kubernetes", "version", NULL),
                        &part->version);
}

struct error *hosted_part_make(enum component component, enum platform_kind kind,
                               json_t *take_object, json_t *take_workload,
                               struct platform_part *ret_part)
{
    struct error *err = NULL;

    *ret_part = (struct platform_part){
        .component = component,
        .kind = kind,
        .object = take_object,
        .workload = take_workload,
        .where = str_format("%s %s/%s", platform_kind(kind)->kind,
                            doc_str(take_object, "metadata", "namespace", NULL),
                            doc_str(take_object, "metadata", "name", NULL)),
        .tree = json_object(),
        .is_tree = is_lists,
        .slot = component_name(component),
    };
    if (kind == KIND_TENANT_CONTROL_PLANE)
        read_extra_args(ret_part);
    else
        err = read_container(ret_part);
    if (err)
        return err;
    ret_part->place = (struct site_place){&site_lists, component, ret_part->where, .at = NULL};
    err = platform_part_read(ret_part);
    ret_part->rollout = hosted_rollout_of(ret_part);
    return err;
}

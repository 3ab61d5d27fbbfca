// SPDX-License-Identifier: Apache-2.0
// Which questions a work needs answered, and what of each answer is kept.
#include <string.h>

#include "driver_internal.h"

json_t *driver_items(const json_t *facts, const char *key)
{
    static json_t *none; // one for the whole program
    json_t *items = json_object_get(facts, key);

    if (!none)
        none = json_array();
    return json_is_array(items) ? items : none;
}

static void keep(json_t *to, const char *key, const json_t *value)
{
    if (value)
        json_object_set_new(to, key, doc_copy(value));
}

static json_t *trim_class(const json_t *class)
{
    json_t *kept = json_object();

    keep(kept, "name", doc_get(class, "metadata", "name", NULL));
    keep(kept, "labels", doc_get(class, "metadata", "labels", NULL));
    keep(kept, "annotations", doc_get(class, "metadata", "annotations", NULL));
    json_object_del(json_object_get(kept, "annotations"),
                    "kubectl.kubernetes.io/last-applied-configuration");
    return kept;
}

static json_t *trim_slice(const json_t *slice)
{
    const json_t *spec = json_object_get(slice, "spec");
    json_t *kept = json_object();

    keep(kept, "driver", json_object_get(spec, "driver"));
    keep(kept, "node", json_object_get(spec, "nodeName"));
    keep(kept, "pool", doc_get(spec, "pool", "name", NULL));
    json_object_set_new(kept, "generation",
                        json_integer(doc_int(spec, 0, "pool", "generation", NULL)));
    json_object_set_new(kept, "count",
                        json_integer(doc_int(spec, 1, "pool", "resourceSliceCount", NULL)));
    json_object_set_new(
        kept, "devices",
        json_integer((json_int_t)json_array_size(json_object_get(spec, "devices"))));
    return kept;
}

static bool condition_is_true(const json_t *conditions, const char *type)
{
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        if (str_eq(doc_str(condition, "type", NULL), type))
            return str_eq(doc_str(condition, "status", NULL), "True");
    }
    return false;
}

static json_t *trim_node(const json_t *node)
{
    json_t *kept = json_object();

    keep(kept, "name", doc_get(node, "metadata", "name", NULL));
    keep(kept, "labels", doc_get(node, "metadata", "labels", NULL));
    keep(kept, "allocatable", doc_get(node, "status", "allocatable", NULL));
    keep(kept, "runtime", doc_get(node, "status", "nodeInfo", "containerRuntimeVersion", NULL));
    json_object_set_new(
        kept, "ready",
        json_boolean(condition_is_true(doc_get(node, "status", "conditions", NULL), "Ready")));
    return kept;
}

// A plugin of the kubelet has a socket in this directory, whatever the kubelet's root is.
static bool registers(const json_t *spec)
{
    const json_t *volumes = json_object_get(spec, "volumes");

    for (size_t i = 0; i < json_array_size(volumes); i++) {
        struct slice path = slice_of(doc_str(json_array_get(volumes, i), "hostPath", "path", NULL));
        AUTO_MEM char *plain = NULL;

        while (path.len > 1 && path.ptr[path.len - 1] == '/')
            path = slice_sub(path, 0, path.len - 1);
        plain = slice_dup(path);
        if (str_ends(plain, "/plugins_registry"))
            return true;
    }
    return false;
}

static bool picks_nodes(const json_t *spec)
{
    return json_object_size(json_object_get(spec, "nodeSelector")) > 0 ||
           doc_get(spec, "affinity", "nodeAffinity",
                   "requiredDuringSchedulingIgnoredDuringExecution", NULL);
}

static char *selector_of(const json_t *set)
{
    json_t *labels = (json_t *)(uintptr_t)doc_get(set, "spec", "selector", "matchLabels", NULL);
    AUTO_STRLIST struct strlist words = {0};
    const char *name;
    json_t *value;

    json_object_foreach(labels, name, value) { // jansson iterates without const
        strlist_take(&words, str_format("%s=%s", name,
                                        json_string_value(value) ? json_string_value(value) : ""));
    }
    strlist_sort(&words);
    return strlist_join(&words, ",");
}

json_t *driver_trim_set(const json_t *set)
{
    static const char *const kept_of_metadata[] = {"name", "namespace", "uid", "generation"};
    const json_t *metadata = json_object_get(set, "metadata"),
                 *spec = doc_get(set, "spec", "template", "spec", NULL);
    AUTO_MEM char *selector = selector_of(set);
    json_t *kept = json_object();

    for (size_t i = 0; i < COUNT(kept_of_metadata); i++)
        keep(kept, kept_of_metadata[i], json_object_get(metadata, kept_of_metadata[i]));
    keep(kept, "release", doc_get(metadata, "annotations", "meta.helm.sh/release-name", NULL));
    keep(kept, "releaseNamespace",
         doc_get(metadata, "annotations", "meta.helm.sh/release-namespace", NULL));
    keep(kept, "instance", doc_get(metadata, "labels", "app.kubernetes.io/instance", NULL));
    keep(kept, "status", json_object_get(set, "status"));
    json_object_del(json_object_get(kept, "status"), "conditions");
    json_object_set_new(kept, "selector", doc_string(selector));
    json_object_set_new(kept, "registers", json_boolean(registers(spec)));
    json_object_set_new(kept, "picksNodes", json_boolean(picks_nodes(spec)));
    return kept;
}

// --- the DaemonSets of a release

// By what Helm writes on all that it makes, whoever runs Helm. Somebody else's driver may have come
// without Helm: then by the label that charts set, where it was said to be.
static bool is_of(const struct want *want, const json_t *set)
{
    const char *release = doc_str(set, "release", NULL);

    if (*release)
        return str_eq(release, want->release) &&
               str_eq(doc_str(set, "releaseNamespace", NULL), want->namespace);
    return want->engine == ENGINE_EXTERNAL &&
           str_eq(doc_str(set, "instance", NULL), want->release) &&
           str_eq(doc_str(set, "namespace", NULL), want->namespace);
}

static bool has_word(const json_t *set, const char *plugin)
{
    return strstr(doc_str(set, "name", NULL), plugin) != NULL;
}

// The preset knows the plugin by its name; else it is what puts a socket where the kubelet looks
// for one; else every set is.
json_t *driver_sets_of(const struct want *want, const json_t *all)
{
    const char *plugin = doc_str(want->preset, "plugin", NULL);
    json_t *sets = json_array();
    bool named = false, registering = false;

    for (size_t i = 0; want->release && i < json_array_size(all); i++) {
        const json_t *set = json_array_get(all, i);

        if (!is_of(want, set))
            continue;
        json_array_append_new(sets, doc_copy(set));
        named = named || (*plugin && has_word(set, plugin));
        registering = registering || doc_bool(set, false, "registers", NULL);
    }
    for (size_t i = 0; i < json_array_size(sets); i++) {
        json_t *set = json_array_get(sets, i);
        bool is = named         ? has_word(set, plugin)
                  : registering ? doc_bool(set, false, "registers", NULL)
                                : !*plugin;

        json_object_set_new(set, "plugin", json_boolean(is));
    }
    return sets;
}

// Why a container does not run; "" where it does.
static const char *waiting_reason(const json_t *statuses)
{
    for (size_t i = 0; i < json_array_size(statuses); i++) {
        const char *reason =
            doc_str(json_array_get(statuses, i), "state", "waiting", "reason", NULL);
        if (*reason)
            return reason;
    }
    return "";
}

static bool init_is_over(const json_t *pod)
{
    const json_t *statuses = doc_get(pod, "status", "initContainerStatuses", NULL);

    for (size_t i = 0; i < json_array_size(statuses); i++)
        if (!str_eq(doc_str(json_array_get(statuses, i), "state", "terminated", "reason", NULL),
                    "Completed") &&
            !doc_bool(json_array_get(statuses, i), false, "started", NULL))
            return false;
    return true;
}

json_t *driver_trim_pod(const json_t *pod)
{
    const json_t *owner = json_array_get(doc_get(pod, "metadata", "ownerReferences", NULL), 0);
    json_t *kept = json_object();

    keep(kept, "name", doc_get(pod, "metadata", "name", NULL));
    keep(kept, "created", doc_get(pod, "metadata", "creationTimestamp", NULL));
    keep(kept, "node", doc_get(pod, "spec", "nodeName", NULL));
    keep(kept, "owner", json_object_get(owner, "uid"));
    keep(kept, "phase", doc_get(pod, "status", "phase", NULL));
    json_object_set_new(kept, "leaving",
                        json_boolean(*doc_str(pod, "metadata", "deletionTimestamp", NULL)));
    json_object_set_new(
        kept, "ready",
        json_boolean(condition_is_true(doc_get(pod, "status", "conditions", NULL), "Ready")));
    json_object_set_new(kept, "initialized", json_boolean(init_is_over(pod)));
    json_object_set_new(
        kept, "waiting",
        doc_string(waiting_reason(doc_get(pod, "status", "containerStatuses", NULL))));
    return kept;
}

static json_t *trim_event(const json_t *event)
{
    json_t *kept = json_object();

    keep(kept, "object", doc_get(event, "involvedObject", "name", NULL));
    keep(kept, "message", json_object_get(event, "message"));
    return kept;
}

static json_t *trim_claim(const json_t *claim)
{
    const json_t *results = doc_get(claim, "status", "allocation", "devices", "results", NULL);
    json_t *kept = json_object(), *drivers = json_array();

    keep(kept, "name", doc_get(claim, "metadata", "name", NULL));
    keep(kept, "namespace", doc_get(claim, "metadata", "namespace", NULL));
    keep(kept, "smoke", doc_get(claim, "metadata", "labels", "drawbridge.dev/smoke-test", NULL));
    json_object_set_new(kept, "allocated",
                        json_boolean(doc_get(claim, "status", "allocation", NULL) != NULL));
    for (size_t i = 0; i < json_array_size(results); i++)
        json_array_append_new(drivers,
                              doc_string(doc_str(json_array_get(results, i), "driver", NULL)));
    json_object_set_new(kept, "drivers", drivers);
    return kept;
}

static json_t *trim_controller(const json_t *pod)
{
    const json_t *containers = doc_get(pod, "spec", "containers", NULL);
    json_t *kept = json_object();
    json_t *words = json_array();

    keep(kept, "node", doc_get(pod, "spec", "nodeName", NULL));
    json_object_set_new(kept, "words", words);
    for (size_t i = 0; i < json_array_size(containers); i++) {
        static const char *const from[] = {"command", "args"};
        for (size_t k = 0; k < COUNT(from); k++)
            json_array_extend(words, json_object_get(json_array_get(containers, i), from[k]));
    }
    return kept;
}

// What the agent of a control plane's node says of its kube-scheduler.
static json_t *trim_agent(const json_t *config)
{
    const json_t *components = doc_get(config, "status", "components", NULL);
    json_t *kept = json_object();

    keep(kept, "name", doc_get(config, "metadata", "name", NULL));
    for (size_t i = 0; i < json_array_size(components); i++)
        keep(kept, "excludesDRA", json_object_get(json_array_get(components, i), "excludesDRA"));
    return kept;
}

char *driver_smoke_name(const json_t *object)
{
    AUTO_MEM char *whole = str_format("%s/%s", doc_str(object, "metadata", "namespace", NULL),
                                      doc_str(object, "metadata", "name", NULL));
    char digest[DOC_DIGEST_BYTES];

    doc_digest(slice_of(whole), digest);
    digest[10] = '\0';
    return str_format("drawbridge-smoke-test-%s", digest);
}

static void ask_smoke(struct gather *g, const struct driver_work *work, const char *api,
                      const char *namespace)
{
    AUTO_MEM char *name = driver_smoke_name(work->object);

    gather_get(g, "smokeClaim", false, "/apis/resource.k8s.io/%s/namespaces/%s/resourceclaims/%s",
               api, namespace, name);
    gather_get(g, "smokePod", false, "/api/v1/namespaces/%s/pods/%s", namespace, name);
}

static void ask_values(struct gather *g, const struct driver_work *work)
{
    const json_t *sources = doc_get(work->object, "spec", "driver", "valuesFrom", NULL);

    for (size_t i = 0; i < json_array_size(sources); i++) {
        const json_t *source = json_array_get(sources, i);
        AUTO_MEM char *key = str_format("valuesFrom%zu", i);
        struct kube_ref ref = {
            .group = "",
            .version = "v1",
            .resource = str_eq(doc_str(source, "kind", NULL), "Secret") ? "secrets" : "configmaps",
            .namespace = doc_str(work->object, "metadata", "namespace", NULL),
            .name = doc_str(source, "name", NULL),
        };
        AUTO_MEM char *path = kube_path(&ref);
        gather_get(g, key, true, "%s", path);
    }
}

// In the driver's namespace we see what the account sees that helm acts as, and need no rights of
// our own there.
static void ask_release(struct gather *g, const struct want *want)
{
    if (want->engine == ENGINE_HELM) {
        gather_get(g, "namespace", true, "/api/v1/namespaces/%s", want->namespace);
        gather_release(g, want->namespace, want->release);
    }
    if (want->engine == ENGINE_HELM_RELEASE || want->engine == ENGINE_HELM_CHART) {
        AUTO_MEM char *path = driver_delegate_path(want);
        gather_get(g, "delegate", true, "%s", path);
        gather_get(g, "namespace", true, "/api/v1/namespaces/%s", want->namespace);
    }
}

// The pods of each set, wherever it is, and, where some are missing, why they could not be made.
static void ask_pods(struct gather *g, const void *owner)
{
    const struct want *want = owner;
    json_t *sets = driver_sets_of(want, driver_items(gather_facts(g), "daemonSets"));

    json_object_set_new(gather_facts(g), "daemonSets", sets);
    for (size_t i = 0; i < json_array_size(sets); i++) {
        const json_t *set = json_array_get(sets, i);
        const char *namespace = doc_str(set, "namespace", NULL);
        const char *selector = doc_str(set, "selector", NULL);
        AUTO_MEM char *fields =
            str_format("reason=FailedCreate,involvedObject.name=%s", doc_str(set, "name", NULL));
        struct kube_ref pods = {
            .group = "", .version = "v1", .resource = "pods", .namespace = namespace};
        struct kube_ref events = {
            .group = "", .version = "v1", .resource = "events", .namespace = namespace};

        if (!doc_bool(set, false, "plugin", NULL))
            continue;
        gather_follow(g, "pods", true, &pods, NULL, *selector ? selector : NULL, driver_trim_pod);
        if (doc_int(set, 0, "status", "currentNumberScheduled", NULL) <
            doc_int(set, 0, "status", "desiredNumberScheduled", NULL))
            gather_list(g, "events", true, &events, NULL, fields, trim_event);
    }
}

static void ask_operators(struct gather *g, const struct want *want)
{
    const json_t *operators = json_object_get(want->preset, "operators");

    for (size_t i = 0; i < json_array_size(operators); i++) {
        AUTO_MEM char *key = str_format("operator%zu", i);
        gather_get(g, key, false, "%s", doc_str(json_array_get(operators, i), "path", NULL));
    }
}

// What is there of it: while nothing changes, the API server is not asked.
static void ask_state(struct gather *g, const char *api, const struct want *want)
{
    struct kube_ref dra = {.group = "resource.k8s.io", .version = api, .resource = "deviceclasses"};
    struct kube_ref nodes = {.group = "", .version = "v1", .resource = "nodes"};
    struct kube_ref sets = {.group = "apps", .version = "v1", .resource = "daemonsets"};

    if (api) {
        gather_follow(g, "classes", false, &dra, NULL, NULL, trim_class);
        dra.resource = "resourceslices";
        gather_follow(g, "slices", false, &dra, NULL, NULL, trim_slice);
    }
    gather_follow(g, "nodes", false, &nodes, NULL, NULL, trim_node);
    if (!want->release)
        return;
    // In all namespaces as the account, where it may; as ourselves in the driver's alone.
    if (!want->user)
        sets.namespace = want->namespace;
    gather_follow(g, "daemonSets", true, &sets, want->user ? want->namespace : NULL, NULL,
                  driver_trim_set);
    gather_then(g, ask_pods, want);
}

struct gather *driver_facts_ask(struct driver *driver, const struct driver_work *work,
                                const struct want *want, struct kube *account_kube)
{
    const char *api = driver_api_version(work->served);
    struct kube_ref claims = {
        .group = "resource.k8s.io", .version = api, .resource = "resourceclaims"};
    struct kube_ref controllers = {
        .group = "", .version = "v1", .resource = "pods", .namespace = "kube-system"};
    struct kube_ref agents = {
        .group = "drawbridge.dev", .version = "v1alpha1", .resource = "nodedraconfigurations"};
    struct gather *g =
        gather_new(driver, work->cluster, work->key, account_kube, want ? want->user : NULL);

    if (api)
        ask_smoke(g, work, api, driver->spec.namespace);
    if (api && work->gone)
        gather_list_newest(g, "claims", &claims, trim_claim);
    if (!want)
        return g;
    if (!work->gone) {
        gather_list(g, "controllers", false, &controllers, "component=kube-controller-manager",
                    NULL, trim_controller);
        if (!work->cluster->bare) // else no agent of ours is there, and neither is its kind
            gather_list(g, "agents", false, &agents, NULL, NULL, trim_agent);
        ask_values(g, work);
        ask_operators(g, want);
        ask_state(g, api, want);
    }
    if (want->release)
        ask_release(g, want);
    return g;
}

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

static json_t *trim_daemon_set(const json_t *set)
{
    json_t *kept = json_object();

    keep(kept, "name", doc_get(set, "metadata", "name", NULL));
    keep(kept, "uid", doc_get(set, "metadata", "uid", NULL));
    keep(kept, "generation", doc_get(set, "metadata", "generation", NULL));
    keep(kept, "status", json_object_get(set, "status"));
    json_object_del(json_object_get(kept, "status"), "conditions");
    return kept;
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
        json_string(waiting_reason(doc_get(pod, "status", "containerStatuses", NULL))));
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
                              json_string(doc_str(json_array_get(results, i), "driver", NULL)));
    json_object_set_new(kept, "drivers", drivers);
    return kept;
}

static json_t *trim_controller(const json_t *pod)
{
    const json_t *containers = doc_get(pod, "spec", "containers", NULL);
    json_t *words = json_array();

    for (size_t i = 0; i < json_array_size(containers); i++) {
        static const char *const from[] = {"command", "args"};
        for (size_t k = 0; k < COUNT(from); k++)
            json_array_extend(words, json_object_get(json_array_get(containers, i), from[k]));
    }
    return words;
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
    AUTO_MEM char *labels = str_format("app.kubernetes.io/instance=%s", want->release);
    struct kube_ref sets = {
        .group = "apps", .version = "v1", .resource = "daemonsets", .namespace = want->namespace};
    struct kube_ref pods = {
        .group = "", .version = "v1", .resource = "pods", .namespace = want->namespace};
    struct kube_ref events = {
        .group = "", .version = "v1", .resource = "events", .namespace = want->namespace};

    if (want->engine == ENGINE_HELM) {
        gather_get(g, "namespace", true, "/api/v1/namespaces/%s", want->namespace);
        gather_release(g, want->namespace, want->release);
    }
    if (want->engine == ENGINE_HELM_RELEASE || want->engine == ENGINE_HELM_CHART) {
        AUTO_MEM char *path = driver_delegate_path(want);
        gather_get(g, "delegate", true, "%s", path);
        gather_get(g, "namespace", true, "/api/v1/namespaces/%s", want->namespace);
    }
    gather_list(g, "daemonSets", true, &sets, labels, NULL, trim_daemon_set);
    gather_list(g, "pods", true, &pods, labels, NULL, driver_trim_pod);
    gather_list(g, "events", true, &events, NULL, "reason=FailedCreate", trim_event);
}

static void ask_operators(struct gather *g, const struct want *want)
{
    const json_t *operators = json_object_get(want->preset, "operators");

    for (size_t i = 0; i < json_array_size(operators); i++) {
        AUTO_MEM char *key = str_format("operator%zu", i);
        gather_get(g, key, false, "%s", json_string_value(json_array_get(operators, i)));
    }
}

struct gather *driver_facts_ask(const struct driver_work *work, const struct want *want,
                                struct kube *kube, struct kube *account_kube,
                                const char *smoke_namespace)
{
    const char *api = driver_api_version(work->served);
    struct kube_ref dra = {.group = "resource.k8s.io", .version = api};
    struct kube_ref nodes = {.group = "", .version = "v1", .resource = "nodes"};
    struct kube_ref controllers = {
        .group = "", .version = "v1", .resource = "pods", .namespace = "kube-system"};
    struct kube_ref agents = {
        .group = "drawbridge.dev", .version = "v1alpha1", .resource = "nodedraconfigurations"};
    struct gather *g = gather_new(kube, account_kube);

    if (api) {
        dra.resource = "deviceclasses";
        gather_list(g, "classes", false, &dra, NULL, NULL, trim_class);
        dra.resource = "resourceslices";
        gather_list(g, "slices", false, &dra, NULL, NULL, trim_slice);
        ask_smoke(g, work, api, smoke_namespace);
    }
    if (api && work->gone) {
        dra.resource = "resourceclaims";
        gather_list_newest(g, "claims", &dra, trim_claim);
    }
    gather_list(g, "nodes", false, &nodes, NULL, NULL, trim_node);
    if (!want)
        return g;
    if (!work->gone) {
        gather_list(g, "controllers", false, &controllers, "component=kube-controller-manager",
                    NULL, trim_controller);
        gather_list(g, "agents", false, &agents, NULL, NULL, trim_agent);
        ask_values(g, work);
        ask_operators(g, want);
    }
    if (want->release)
        ask_release(g, want);
    return g;
}

// SPDX-License-Identifier: Apache-2.0
// Kubeadm: static pods on control-plane nodes, kubelets everywhere, and the ConfigMaps that
// upgrades and joins read.
#include "kubeadm_internal.h"

struct collection {
    const struct cluster *cluster;
    struct platform_observed *observed;
};

// What nodes that are none say of a control plane is noted, and nothing else.
static bool is_control_plane(const struct collection *c, const char *node)
{
    const json_t *found = watch_get(c->cluster->nodes, node);

    return kube_is_control_plane(doc_get(found, "metadata", "labels", NULL));
}

static void note_stranger(struct collection *c, enum component component, const char *node)
{
    AUTO_MEM char *text = str_format("%s on %s", component_name(component), node);
    json_t *strangers = c->observed->strangers;

    for (size_t i = 0; i < json_array_size(strangers); i++) {
        if (str_eq(json_string_value(json_array_get(strangers, i)), text))
            return;
    }
    if (json_array_size(strangers) < PLATFORM_STRANGERS_MAX)
        json_array_append_new(strangers, doc_string(text));
}

static const json_t *find_component(const json_t *list, enum component component)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(doc_str(json_array_get(list, i), "name", NULL), component_name(component)))
            return json_array_get(list, i);
    }
    return NULL;
}

// What we asked for there is ours to take back, whatever label the node has by now. The spec is the
// controller's own writing.
static bool was_asked(const struct collection *c, const char *node, enum component component)
{
    const json_t *config = watch_get(c->cluster->node_configs, node);

    return find_component(doc_get(config, "spec", "components", NULL), component) != NULL;
}

// What tells how long the agent has had.
static void fill_times(const json_t *config, struct plan_instance *instance)
{
    const json_t *step = doc_get(config, "status", "step", NULL);

    if (!clock_parse(doc_str(config, "metadata", "creationTimestamp", NULL), &instance->known_ms))
        instance->known_ms = 0;
    if (!str_eq(doc_str(step, "component", NULL), component_name(instance->component)) ||
        !clock_parse(doc_str(step, "since", NULL), &instance->worked_ms))
        instance->worked_ms = 0;
    instance->stale =
        doc_int(config, 0, "status", "epoch", NULL) > doc_int(config, 0, "spec", "epoch", NULL);
}

// The agent's word counts for the version of a component: it asks the running process. The image's
// tag is the next best. Of a kubelet its Node says it, and a kubelet emulates no other: the report
// of one worker must not have a gate refused for all.
static void fill_version_from_agent(struct plan_instance *instance)
{
    struct version version;

    if (instance->component == COMPONENT_KUBELET)
        return;
    if (version_parse(doc_str(instance->reported, "version", NULL), &version))
        instance->version = version;
    if (version_parse(doc_str(instance->reported, "emulatedVersion", NULL), &version))
        instance->emulated = version;
}

static void fill_from_agent(struct collection *c, struct plan_instance *instance)
{
    const json_t *config = json_object_get(c->observed->node_configs, instance->node);

    instance->not_ready_ms = platform_not_ready_ms(c->cluster, instance->node);
    if (!config) {
        config = watch_get(c->cluster->node_configs, instance->node);
        if (!config)
            return;
        json_object_set(c->observed->node_configs, instance->node,
                        (json_t *)(uintptr_t)config); // replaced in the store, never changed
    }
    instance->agent = json_object_size(json_object_get(config, "status")) > 0;
    instance->asked =
        find_component(doc_get(config, "spec", "components", NULL), instance->component);
    instance->reported =
        find_component(doc_get(config, "status", "components", NULL), instance->component);
    fill_times(config, instance);
    fill_version_from_agent(instance);
}

// Before its agent has asked it, a component is taken to be of the API server's version; nothing is
// done with it until then.
static void fill_version(struct plan_instance *instance, struct version server)
{
    if (instance->version.major == 0)
        instance->version = server;
}

// Of the component's own container: a sidecar may stand first.
static const char *image_of(const json_t *pod, enum component component)
{
    const json_t *containers = json_object_get(pod, "containers");
    const json_t *own = find_component(containers, component);

    return doc_str(own ? own : json_array_get(containers, 0), "image", NULL);
}

static void on_pod(void *owner, const char *key, const json_t *pod)
{
    struct collection *c = owner;
    enum component component;
    const char *node = doc_str(pod, "spec", "nodeName", NULL);
    struct plan_instance *instance;

    (void)key;
    if (!component_parse(doc_str(pod, "component", NULL), &component) ||
        component == COMPONENT_KUBELET)
        return;
    if (!doc_bool(pod, false, "mirror", NULL) || !*node)
        return;
    if (!is_control_plane(c, node) && !was_asked(c, node, component)) {
        note_stranger(c, component, node);
        return;
    }
    node = platform_add_node(c->observed, node);
    if (platform_note_instance(c->observed, node, component))
        return;
    instance = platform_add_instance(c->observed, component, node, NULL);
    instance->control_plane = true;
    (void)platform_image_version(image_of(pod, component), &instance->version);
    fill_from_agent(c, instance);
}

// A component whose mirror pod is not there just now (the API server has only just come back) is
// still known from its agent.
static void on_node_config(void *owner, const char *key, const json_t *config)
{
    struct collection *c = owner;
    const json_t *components = doc_get(config, "status", "components", NULL);

    for (size_t i = 0; i < json_array_size(components); i++) {
        enum component component;
        struct plan_instance *instance;
        const char *node;

        if (!component_parse(doc_str(json_array_get(components, i), "name", NULL), &component) ||
            component == COMPONENT_KUBELET)
            continue;
        if (!is_control_plane(c, key) && !was_asked(c, key, component)) {
            note_stranger(c, component, key);
            continue;
        }
        node = platform_add_node(c->observed, key);
        if (platform_note_instance(c->observed, node, component))
            continue;
        instance = platform_add_instance(c->observed, component, node, NULL);
        instance->control_plane = true;
        fill_from_agent(c, instance);
    }
}

static void on_managed_node(void *owner, const json_t *node, struct version version)
{
    struct collection *c = owner;
    const char *name = platform_add_node(c->observed, doc_str(node, "metadata", "name", NULL));
    struct plan_instance *instance =
        platform_add_instance(c->observed, COMPONENT_KUBELET, name, NULL);

    instance->control_plane = is_control_plane(c, name);
    instance->version = version;
    fill_from_agent(c, instance);
}

// Without an API server that counts nobody knows what the others may be given.
static struct error *check_api_server(const struct platform_observed *observed)
{
    const char *stranger = json_string_value(json_array_get(observed->strangers, 0));
    struct error *err;

    for (size_t i = 0; i < observed->len; i++) {
        if (observed->instances[i].component == COMPONENT_APISERVER)
            return NULL;
    }
    err = error_new(
        ERROR_INVALID,
        "no node with the label " KUBE_CONTROL_PLANE_LABEL " runs kube-apiserver as a static "
        "pod%s%s%s: label the control plane nodes as kubeadm does; where this is not a kubeadm "
        "cluster, set spec.platform.type to Observe",
        stranger ? " (not counted: " : "", stranger ? stranger : "", stranger ? ")" : "");
    error_set_reason(err, "NoInstances");
    return err;
}

static struct error *collect(const struct cluster *cluster, struct platform_observed *observed)
{
    struct collection c = {cluster, observed};
    struct error *err;

    watch_each(cluster->pods, on_pod, &c);
    watch_each(cluster->node_configs, on_node_config, &c);
    platform_each_managed_node(cluster, observed, on_managed_node, &c);
    for (size_t i = 0; i < observed->len; i++)
        fill_version(&observed->instances[i], observed->server);
    err = check_api_server(observed);
    if (!err)
        err = kubeadm_collect_templates(observed);
    if (err)
        return err;
    if (observed->len > GATES_INSTANCES_MAX)
        return error_new(ERROR_LIMIT, "the cluster has more than %d components to look after",
                         GATES_INSTANCES_MAX);
    return NULL;
}

struct authors {
    const char *key;
    bool ours, others;
};

static void on_author(void *owner, const char *node, const json_t *config)
{
    struct authors *authors = owner;
    const char *key = doc_str(config, "spec", "configuration", NULL);

    (void)node;
    authors->ours = authors->ours || str_eq(key, authors->key);
    authors->others = authors->others || (*key && !str_eq(key, authors->key));
}

static bool wrote(const struct cluster *cluster, const struct api_config *config)
{
    AUTO_MEM char *key = str_format("%s/%s", config->namespace, config->name);
    struct authors authors = {.key = key};

    watch_each(cluster->node_configs, on_author, &authors);
    return authors.ours && !authors.others;
}

const struct platform *platform_kubeadm(void)
{
    static const struct platform platform = {
        .type = PLATFORM_KUBEADM,
        .traits = {.writes = true, .agents = true},
        .wrote = wrote,
        .collect = collect,
        .make_writes = kubeadm_writes,
        .make_release = kubeadm_release,
        .preview = kubeadm_preview,
    };

    return &platform;
}

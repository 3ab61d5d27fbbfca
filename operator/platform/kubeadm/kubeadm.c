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

// What we asked for there is ours to take back, whatever label the node has by now. The spec is the
// controller's own writing.
static bool was_asked(const struct collection *c, const char *node, enum component component)
{
    const json_t *config = watch_get(c->cluster->node_configs, node);

    return platform_find_component(doc_get(config, "spec", "components", NULL), component) != NULL;
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
    const json_t *own = platform_find_component(containers, component);

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
    platform_fill_from_agent(c->cluster, c->observed, instance);
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
        platform_fill_from_agent(c->cluster, c->observed, instance);
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
    platform_fill_from_agent(c->cluster, c->observed, instance);
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

static bool wrote(const struct cluster *cluster, const struct api_config *config)
{
    return platform_wrote_nodes(cluster, config, "");
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

// SPDX-License-Identifier: Apache-2.0
// Kwok: a cluster by kwokctl with the runtime binary. Its components are processes beside each
// other on one host, whose agent edits the cluster's kwok.yaml; its nodes are fakes without a
// kubelet, whatever they say of themselves.
#include "platform_internal.h"

#define SITE API_NODE_KWOK

static void on_node(void *owner, const char *key, const json_t *node)
{
    struct platform_observed *observed = owner;
    const char *why = doc_str(node, "ignored", NULL);

    observed->unmanaged_nodes++;
    json_object_set_new(observed->ignored, key, doc_string(*why ? why : "fake"));
}

// A cluster may be without a scheduler (--disable-kube-scheduler): the agent says what is there.
static bool is_there(const struct cluster *cluster, enum component component)
{
    const json_t *config = watch_get(cluster->node_configs, API_NODE_KWOK);
    const json_t *said = doc_get(config, "status", "components", NULL);

    return component == COMPONENT_APISERVER || json_array_size(said) == 0 ||
           platform_find_component(said, component) ||
           platform_find_component(doc_get(config, "spec", "components", NULL), component);
}

static struct error *collect(const struct cluster *cluster, struct platform_observed *observed)
{
    const char *node = platform_add_node(observed, API_NODE_KWOK);

    for (int c = 0; c < COMPONENT_KUBELET; c++) {
        enum component component = (enum component)c;
        struct plan_instance *instance;

        if (!is_there(cluster, component))
            continue;
        (void)platform_note_instance(observed, node, component);
        instance = platform_add_instance(observed, component, node, NULL);
        instance->control_plane = true;
        instance->version = observed->server;
        platform_fill_from_agent(cluster, observed, instance);
    }
    watch_each(cluster->nodes, on_node, observed);
    return NULL;
}

static bool wrote(const struct cluster *cluster, const struct api_config *config)
{
    return platform_wrote_nodes(cluster, config, SITE);
}

static struct error *make_writes(struct writing *w, const struct cluster *cluster,
                                 const struct platform_change *change)
{
    (void)cluster;
    platform_write_nodes(w, change, SITE);
    return NULL;
}

static void make_release(struct writing *w, const struct cluster *cluster,
                         const struct platform_observed *observed, const json_t *keep, bool forget)
{
    (void)observed;
    (void)forget; // all that is kept about the edits is the agent's
    platform_delete_nodes(w, cluster, SITE, keep, false);
}

// Nothing but what agents write.
static struct error *preview(const struct platform_observed *observed, const struct plan *plan,
                             json_t **ret_before, json_t **ret_after)
{
    (void)observed;
    (void)plan;
    *ret_before = json_object();
    *ret_after = json_object();
    return NULL;
}

const struct platform *platform_kwok(void)
{
    static const struct platform platform = {
        .type = PLATFORM_KWOK,
        .traits = {.writes = true, .agents = true},
        .wrote = wrote,
        .collect = collect,
        .make_writes = make_writes,
        .make_release = make_release,
        .preview = preview,
    };

    return &platform;
}

// SPDX-License-Identifier: Apache-2.0
// The exchange with agents: NodeDRAConfigurations as instances, and what is asked in them.
#include "platform_internal.h"

// --- what agents say -----------------------------------------------------------------------------

const json_t *platform_find_component(const json_t *list, enum component component)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(doc_str(json_array_get(list, i), "name", NULL), component_name(component)))
            return json_array_get(list, i);
    }
    return NULL;
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

void platform_fill_from_agent(const struct cluster *cluster, struct platform_observed *observed,
                              struct plan_instance *instance)
{
    const json_t *config = json_object_get(observed->node_configs, instance->node);

    instance->not_ready_ms = platform_not_ready_ms(cluster, instance->node);
    if (!config) {
        config = watch_get(cluster->node_configs, instance->node);
        if (!config)
            return;
        json_object_set(observed->node_configs, instance->node,
                        (json_t *)(uintptr_t)config); // replaced in the store, never changed
    }
    instance->agent = json_object_size(json_object_get(config, "status")) > 0;
    instance->asked =
        platform_find_component(doc_get(config, "spec", "components", NULL), instance->component);
    instance->reported =
        platform_find_component(doc_get(config, "status", "components", NULL), instance->component);
    fill_times(config, instance);
    fill_version_from_agent(instance);
}

// --- whose they are ------------------------------------------------------------------------------

static bool is_of(const json_t *config, const char *site)
{
    return str_eq(doc_str(config, "metadata", "labels", API_LABEL_SITE, NULL), site);
}

struct authors {
    const char *key, *site;
    bool ours, others;
};

static void on_author(void *owner, const char *node, const json_t *config)
{
    struct authors *authors = owner;
    const char *key = doc_str(config, "spec", "configuration", NULL);

    (void)node;
    if (!is_of(config, authors->site))
        return;
    authors->ours = authors->ours || str_eq(key, authors->key);
    authors->others = authors->others || (*key && !str_eq(key, authors->key));
}

bool platform_wrote_nodes(const struct cluster *cluster, const struct api_config *config,
                          const char *site)
{
    AUTO_MEM char *key = str_format("%s/%s", config->namespace, config->name);
    struct authors authors = {.key = key, .site = site};

    watch_each(cluster->node_configs, on_author, &authors);
    return authors.ours && !authors.others;
}

// --- what is asked -------------------------------------------------------------------------------

#define LABEL_BYTES_MAX 63 // of a label's value (Kubernetes, apimachinery validation)

static char *summarize_node(const struct platform_change *change, const char *node)
{
    AUTO_BUF struct buf text = buf_make(4096);
    size_t len;
    const size_t *steps = plan_steps_of(change->plan, change->observed->instances, node, &len);

    for (size_t i = 0; i < len; i++) {
        const struct plan_step *step = &change->plan->steps[steps[i]];
        const struct plan_instance *instance = &change->observed->instances[step->instance];
        AUTO_MEM char *summary = NULL;

        if (step->state != PLAN_NOW)
            continue;
        summary = plan_step_summary(step, instance);
        buf_printf(&text, "%s%s: %s", text.len ? "; " : "", component_name(instance->component),
                   *summary ? summary : "verify");
    }
    return buf_take(&text);
}

// The labels of a NodeDRAConfiguration: whose it is. The value has at most 63 bytes.
static json_t *make_labels(const struct platform_change *change, const char *site)
{
    json_t *labels = json_object();
    AUTO_MEM char *owner = str_format("%s.%s", change->owner_namespace, change->owner_name);
    char digest[DOC_DIGEST_BYTES];
    bool fits = slice_of(owner).len <= LABEL_BYTES_MAX;

    doc_digest(slice_of(owner), digest);
    json_object_set_new(labels, "app.kubernetes.io/managed-by", json_string("drawbridge"));
    json_object_set_new(
        labels, API_LABEL_CONFIGURATION,
        doc_string_of(slice_of(fits ? owner : digest), fits ? LABEL_BYTES_MAX : 40));
    if (*site)
        json_object_set_new(labels, API_LABEL_SITE, doc_string(site));
    return labels;
}

static void add_node_write(struct writing *w, const struct platform_change *change,
                           const char *node, const char *site)
{
    const json_t *now = json_object_get(change->observed->node_configs, node);
    const json_t *was = json_object_get(now, "spec");
    int64_t epoch = doc_int(was, 0, "epoch", NULL);
    // A new leader alone is no reason to write: the epoch goes out with the next change, unless the
    // agent refuses the one that stands there.
    bool refused =
        doc_int(now, 0, "status", "epoch", NULL) > epoch && (int64_t)change->header.epoch > epoch;
    AUTO_JSON json_t *spec = NULL;
    struct write *write;

    if (now && !refused &&
        plan_node_spec_stands(change->plan, change->observed->instances, node, &change->header,
                              change->enable, was))
        return;
    spec = plan_node_spec(change->plan, change->observed->instances, node, &change->header,
                          change->enable, was);
    write = platform_add_object(w, KIND_NODE_CONFIG, NULL, node, now);
    write->what = summarize_node(change, node);
    doc_set(write->body, make_labels(change, site), "metadata", "labels", NULL);
    json_object_set_new(write->body, "spec", TAKE(spec));
}

struct vanished {
    struct writing *w;
    const struct cluster *cluster;
    const char *site;
    const json_t *nodes; // those that stay
    bool gone_alone;     // of nodes that are there no more
};

static void on_node_config(void *owner, const char *key, const json_t *config)
{
    struct vanished *v = owner;
    struct write *write;

    if (json_object_get(v->nodes, key) || !is_of(config, v->site))
        return;
    // A Node that is there and not managed is no reason: its agent would forget what is ours.
    if (v->gone_alone && watch_get(v->cluster->nodes, key))
        return;
    write = platform_add_delete(v->w, KIND_NODE_CONFIG, NULL, key, config);
    write->what = str_dup(v->gone_alone ? "the node is gone" : "released");
    write->without_node = v->gone_alone;
}

void platform_write_nodes(struct writing *w, const struct platform_change *change, const char *site)
{
    const char *name;
    json_t *number;

    json_object_foreach(change->observed->nodes, name, number)
        add_node_write(w, change, name, site);
}

void platform_delete_nodes(struct writing *w, const struct cluster *cluster, const char *site,
                           const json_t *keep, bool gone_alone)
{
    struct vanished vanished = {w, cluster, site, keep, gone_alone};

    watch_each(cluster->node_configs, on_node_config, &vanished);
}

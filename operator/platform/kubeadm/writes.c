// SPDX-License-Identifier: Apache-2.0
// What Kubeadm writes: NodeDRAConfigurations, and kubeadm's ConfigMaps with the record of before.
#include "kubeadm_internal.h"

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
static json_t *make_labels(const struct platform_change *change)
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
    return labels;
}

static void add_node_write(struct writing *w, const struct platform_change *change,
                           const char *node)
{
    const json_t *now = json_object_get(change->observed->node_configs, node);
    const json_t *was = json_object_get(now, "spec");
    AUTO_JSON json_t *spec = plan_node_spec(change->plan, change->observed->instances, node,
                                            &change->header, change->enable, was);
    struct write *write;

    // A new leader alone is no reason to write: the epoch goes out with the next change, unless the
    // agent refuses the one that stands there.
    if (now) {
        AUTO_JSON json_t *same = doc_copy(spec);
        int64_t epoch = doc_int(was, 0, "epoch", NULL);
        bool refused = doc_int(now, 0, "status", "epoch", NULL) > epoch &&
                       doc_int(spec, 0, "epoch", NULL) > epoch;

        doc_set(same, doc_copy(json_object_get(was, "epoch")), "epoch", NULL);
        if (doc_equal(same, was) && !refused)
            return;
    }
    write = platform_add_object(w, KIND_NODE_CONFIG, NULL, node, now);
    write->what = summarize_node(change, node);
    doc_set(write->body, make_labels(change), "metadata", "labels", NULL);
    json_object_set_new(write->body, "spec", TAKE(spec));
}

struct vanished {
    struct writing *w;
    const struct cluster *cluster;
    const json_t *nodes; // those that stay
    const char *why;
    bool gone_alone; // of nodes that are there no more
};

static void on_node_config(void *owner, const char *key, const json_t *config)
{
    struct vanished *v = owner;
    struct write *write;

    if (json_object_get(v->nodes, key))
        return;
    // A Node that is there and not managed is no reason: its agent would forget what is ours.
    if (v->gone_alone && watch_get(v->cluster->nodes, key))
        return;
    write = platform_add_delete(v->w, KIND_NODE_CONFIG, NULL, key, config);
    write->what = str_dup(v->why);
    write->without_node = v->gone_alone;
}

static struct write *add_config_map_write(struct writing *w,
                                          const struct platform_observed *observed,
                                          const char *name, const char *key, const char *text,
                                          bool quiet)
{
    const json_t *now = json_object_get(observed->config_maps, name);
    struct write *write = platform_add_object(w, KIND_CONFIG_MAP, PLATFORM_NAMESPACE, name, now);

    write->quiet = quiet;
    write->what = str_dup("new nodes and upgrades get the same");
    doc_set(write->body, doc_string(text), "data", key, NULL);
    return write;
}

static void add_undo_write(struct writing *w, const struct platform_observed *observed,
                           const json_t *undo)
{
    struct write *write = NULL;
    json_t *copy = doc_copy(undo);
    const char *name;
    json_t *record;

    json_object_foreach(copy, name, record) {
        AUTO_MEM char *text = doc_print_json(record);

        if (!write)
            write = add_config_map_write(w, observed, KUBEADM_UNDO_CONFIGMAP, name, text, true);
        else
            doc_set(write->body, doc_string(text), "data", name, NULL);
    }
    json_decref(copy);
}

struct error *kubeadm_writes(struct writing *w, const struct cluster *cluster,
                             const struct platform_change *change)
{
    AUTO_JSON json_t *texts = NULL;
    AUTO_JSON json_t *undo = NULL;
    struct vanished vanished = {w, cluster, change->observed->nodes, "the node is gone", true};
    struct error *err = kubeadm_edit_templates(change->observed, change->plan, &texts, &undo);
    const char *name;
    json_t *text, *number;

    if (err)
        return err;
    json_object_foreach(change->observed->nodes, name, number)
        add_node_write(w, change, name);
    watch_each(cluster->node_configs, on_node_config, &vanished);
    // before the edit: what is recorded and not there is nobody's
    add_undo_write(w, change->observed, undo);
    json_object_foreach(texts, name, text) {
        add_config_map_write(w, change->observed, name, kubeadm_template_key(name),
                             json_string_value(text), false);
    }
    return NULL;
}

void kubeadm_release(struct writing *w, const struct cluster *cluster,
                     const struct platform_observed *observed, const json_t *keep, bool forget)
{
    struct vanished vanished = {w, cluster, keep, "released", false};
    const json_t *undo =
        observed ? json_object_get(observed->config_maps, KUBEADM_UNDO_CONFIGMAP) : NULL;

    watch_each(cluster->node_configs, on_node_config, &vanished);
    if (forget && undo)
        platform_add_delete(w, KIND_CONFIG_MAP, PLATFORM_NAMESPACE, KUBEADM_UNDO_CONFIGMAP, undo)
            ->quiet = true;
}

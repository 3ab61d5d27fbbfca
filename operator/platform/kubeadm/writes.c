// SPDX-License-Identifier: Apache-2.0
// What Kubeadm writes: NodeDRAConfigurations, and kubeadm's ConfigMaps with the record of before.
#include "kubeadm_internal.h"

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
    struct error *err = kubeadm_edit_templates(change->observed, change->plan, &texts, &undo);
    const char *name;
    json_t *text;

    if (err)
        return err;
    platform_write_nodes(w, change, "");
    platform_delete_nodes(w, cluster, "", change->observed->nodes, true);
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
    const json_t *undo =
        observed ? json_object_get(observed->config_maps, KUBEADM_UNDO_CONFIGMAP) : NULL;

    platform_delete_nodes(w, cluster, "", keep, false);
    if (forget && undo)
        platform_add_delete(w, KIND_CONFIG_MAP, PLATFORM_NAMESPACE, KUBEADM_UNDO_CONFIGMAP, undo)
            ->quiet = true;
}

// SPDX-License-Identifier: Apache-2.0
// The ConfigMaps kubeadm-config and kubelet-config: what new nodes and upgrades are made from. They
// are instances like any other, with flags, owned entries and an undo record (the ConfigMap
// drawbridge-undo holds the text from before our edit and its digest after).
#include "kubeadm_internal.h"

const char *kubeadm_template_key(const char *config_map)
{
    return str_eq(config_map, KUBEADM_CONFIG) ? "ClusterConfiguration" : "kubelet";
}

static const char *text_of(const struct platform_observed *observed, const char *config_map)
{
    const json_t *text =
        doc_get(observed->config_maps, config_map, "data", kubeadm_template_key(config_map), NULL);

    return json_string_value(text);
}

static const char *template_of(enum component component)
{
    return component == COMPONENT_KUBELET ? KUBEADM_KUBELET_CONFIG : KUBEADM_CONFIG;
}

static struct site_place place_of(enum component component)
{
    return (struct site_place){component == COMPONENT_KUBELET ? &site_kubelet_configuration
                                                              : &site_cluster_configuration,
                               component, template_of(component), .at = NULL};
}

// The record of one ConfigMap: {"before", "after", "owned": {component: {featureGates,
// runtimeConfig}}, "replaced": the same, "previous": the record that this one follows}.
static json_t *parse_record(const struct platform_observed *observed, const char *config_map)
{
    const char *text =
        doc_str(observed->config_maps, KUBEADM_UNDO_CONFIGMAP, "data", config_map, NULL);
    json_t *record = NULL;

    if (*text)
        error_ignore(doc_parse_json(slice_of(text), KUBEADM_UNDO_CONFIGMAP, &record),
                     "a record that cannot be read is none: what stands in the ConfigMap counts as "
                     "the user's");
    return record ? record : json_object();
}

static bool is_after(const json_t *record, const char *standing)
{
    char digest[DOC_DIGEST_BYTES];

    return str_eq(doc_str(record, "after", NULL), doc_digest(slice_of(standing), digest));
}

// The record is written before the ConfigMap: that its edit never went out must lose nothing, so
// each keeps what held before it, and the text that stands says which of them speaks.
static json_t *read_record(const struct platform_observed *observed, const char *config_map)
{
    static const char *const maps[] = {"owned", "replaced"};
    json_t *record = parse_record(observed, config_map);
    AUTO_JSON json_t *previous = json_incref(json_object_get(record, "previous"));
    const char *standing = text_of(observed, config_map);

    if (!previous)
        return record;
    json_object_del(record, "previous");
    if (!standing || is_after(record, standing))
        return record;
    if (is_after(previous, standing)) {
        json_decref(record);
        return TAKE(previous);
    }
    // Somebody edited it, and nobody can tell before or after us: what either says, where it still
    // stands.
    for (size_t i = 0; i < COUNT(maps); i++) {
        const json_t *was = json_object_get(previous, maps[i]);
        const json_t *now = json_object_get(record, maps[i]);

        if (was)
            json_object_set_new(record, maps[i], now ? doc_merge_patch(was, now) : doc_copy(was));
    }
    return record;
}

json_t *platform_entries_ours(const json_t *recorded, const json_t *standing)
{
    json_t *ours = json_object();
    json_t *copy = doc_copy(recorded);
    const char *name;
    json_t *value;

    json_object_foreach(copy, name, value) {
        if (doc_equal(value, json_object_get(standing, name)))
            json_object_set(ours, name, value);
    }
    json_decref(copy);
    return ours;
}

static json_t *make_report(const json_t *record, const char *name, const struct gates_flags *flags)
{
    json_t *report = json_object();

    json_object_set(report, "featureGates", flags->feature_gates);
    json_object_set(report, "runtimeConfig", flags->runtime_config);
    doc_set(report,
            platform_entries_ours(doc_get(record, "owned", name, "featureGates", NULL),
                                  flags->feature_gates),
            "owned", "featureGates", NULL);
    doc_set(report,
            platform_entries_ours(doc_get(record, "owned", name, "runtimeConfig", NULL),
                                  flags->runtime_config),
            "owned", "runtimeConfig", NULL);
    if (doc_get(record, "replaced", name, NULL))
        json_object_set_new(report, "replaced", doc_copy(doc_get(record, "replaced", name, NULL)));
    return report;
}

static struct error *add_template(struct platform_observed *observed, enum component component,
                                  const char *text, struct version version)
{
    AUTO_JSON json_t *record = read_record(observed, template_of(component));
    struct site_place place = place_of(component);
    AUTO_FLAGS struct gates_flags flags = {0};
    struct plan_instance *instance;
    json_t *report;
    struct error *err;

    err = site_read_text(&place, slice_of(text), &flags);
    if (err)
        return err;
    report = make_report(record, component_name(component), &flags);
    instance = platform_add_instance(observed, component, NULL, template_of(component));
    instance->version = version;
    instance->emulated = flags.emulated;
    instance->reported = report;
    json_array_append_new(observed->reports, report);
    return NULL;
}

struct error *kubeadm_collect_templates(struct platform_observed *observed)
{
    const char *cluster = text_of(observed, KUBEADM_CONFIG);
    const char *kubelet = text_of(observed, KUBEADM_KUBELET_CONFIG);
    struct version version = observed->server;
    struct error *err = NULL;

    if (cluster) {
        AUTO_JSON json_t *tree = NULL;

        err = doc_parse_yaml(slice_of(cluster), KUBEADM_CONFIG, &tree);
        if (err)
            return err;
        if (!version_parse(doc_str(tree, "kubernetesVersion", NULL), &version))
            version = observed->server;
        for (int component = 0; !err && component < COMPONENT_KUBELET; component++)
            err = add_template(observed, (enum component)component, cluster, version);
    }
    if (!err && kubelet)
        err = add_template(observed, COMPONENT_KUBELET, kubelet, version);
    return err;
}

// --- editing -------------------------------------------------------------------------------------

json_t *platform_entries_without(const json_t *map, const json_t *kept)
{
    json_t *rest = doc_copy(map);
    json_t *copy = doc_copy(kept);
    const char *name;
    json_t *value;

    json_object_foreach(copy, name, value) {
        json_object_del(rest, name);
    }
    json_decref(copy);
    return rest;
}

json_t *platform_entries_with_replaced(const json_t *want, const json_t *given_up,
                                       const json_t *replaced)
{
    json_t *set = want ? doc_copy(want) : json_object();
    json_t *copy = doc_copy(given_up);
    const char *name;
    json_t *value;

    json_object_foreach(copy, name, value) {
        if (json_object_get(replaced, name))
            json_object_set_new(set, name, doc_copy(json_object_get(replaced, name)));
    }
    json_decref(copy);
    return set;
}

// One component's entries in the document. base: report of the text that is edited; on the original
// text nothing is ours yet.
static struct error *edit_component(enum component component, const json_t *want,
                                    const json_t *report, bool on_original, char **text)
{
    const json_t *owned_gates = on_original ? NULL : doc_get(report, "owned", "featureGates", NULL);
    const json_t *owned_runtime =
        on_original ? NULL : doc_get(report, "owned", "runtimeConfig", NULL);
    const json_t *gates = json_object_get(want, "featureGates");
    const json_t *runtime = json_object_get(want, "runtimeConfig");
    AUTO_JSON json_t *gone_gates = platform_entries_without(owned_gates, gates);
    AUTO_JSON json_t *gone_runtime = platform_entries_without(owned_runtime, runtime);
    AUTO_JSON json_t *set_gates = platform_entries_with_replaced(
        gates, gone_gates, doc_get(report, "replaced", "featureGates", NULL));
    AUTO_JSON json_t *set_runtime = platform_entries_with_replaced(
        runtime, gone_runtime, doc_get(report, "replaced", "runtimeConfig", NULL));
    AUTO_JSON json_t *unset_gates = platform_entries_without(gone_gates, set_gates);
    AUTO_JSON json_t *unset_runtime = platform_entries_without(gone_runtime, set_runtime);
    struct site_place place = place_of(component);
    struct site_change change;
    char *edited = NULL;
    struct error *err;

    change = (struct site_change){set_gates, unset_gates, set_runtime, unset_runtime};
    err = site_write_text(&place, slice_of(*text), &change, &edited);
    if (err)
        return err;
    mem_free(*text);
    *text = edited;
    return NULL;
}

json_t *platform_entries_replaced(const json_t *want, const json_t *standing, const json_t *owned,
                                  const json_t *before)
{
    json_t *replaced = json_object();
    json_t *copy = doc_copy(want);
    const char *name;
    json_t *value;

    json_object_foreach(copy, name, value) {
        const json_t *was = json_object_get(owned, name) ? json_object_get(before, name)
                                                         : json_object_get(standing, name);
        if (was)
            json_object_set_new(replaced, name, doc_copy(was));
    }
    json_decref(copy);
    return replaced;
}

static void record_component(json_t *record, const char *name, const json_t *want,
                             const json_t *report)
{
    static const char *const maps[] = {"featureGates", "runtimeConfig"};

    for (size_t i = 0; i < COUNT(maps); i++) {
        const json_t *entries = json_object_get(want, maps[i]);

        if (!entries)
            continue;
        doc_set(record,
                platform_entries_replaced(entries, json_object_get(report, maps[i]),
                                          doc_get(report, "owned", maps[i], NULL),
                                          doc_get(report, "replaced", maps[i], NULL)),
                "replaced", name, maps[i], NULL);
        doc_set(record, doc_copy(entries), "owned", name, maps[i], NULL);
    }
}

// What a template is to say after this pass: its step's want where the step is taken (all: whatever
// its turn), else what is ours there now.
static json_t *entries_after(const struct plan_step *step, const struct plan_instance *instance,
                             bool all, bool *changed)
{
    json_t *now;

    if (step->state == PLAN_NOW || (all && step->changes)) {
        *changed = true;
        return doc_copy(step->want);
    }
    now = doc_copy(json_object_get(instance->reported, "owned"));
    return now ? now : json_object();
}

// What holds until the edit of standing is out.
static json_t *make_previous(const json_t *record, const char *standing)
{
    json_t *previous = doc_copy(record);
    char digest[DOC_DIGEST_BYTES];

    if (!is_after(record, standing))
        json_object_del(previous, "before");
    json_object_set_new(previous, "after", doc_string(doc_digest(slice_of(standing), digest)));
    return previous;
}

// The edit went out: what was given up with it is nobody's any more.
static void settle_record(const struct platform_observed *observed, const char *config_map,
                          const char *standing, json_t *undo)
{
    AUTO_JSON json_t *record = parse_record(observed, config_map);

    if (json_object_size(doc_get(record, "previous", "owned", NULL)) == 0 ||
        !is_after(record, standing))
        return;
    json_object_del(record, "previous");
    json_object_set(undo, config_map, record);
}

static struct error *edit_map(const struct platform_observed *observed, const struct plan *plan,
                              const char *config_map, bool all, json_t *texts, json_t *undo)
{
    AUTO_JSON json_t *record = read_record(observed, config_map);
    AUTO_JSON json_t *previous = NULL;
    const char *standing = text_of(observed, config_map);
    char digest[DOC_DIGEST_BYTES];
    AUTO_MEM char *text = NULL;
    bool original, changed = false;
    struct error *err = NULL;

    if (!standing)
        return NULL;
    previous = make_previous(record, standing);
    // Nobody touched it since: the edit is made anew on what was there before us.
    original = is_after(record, standing) && *doc_str(record, "before", NULL);
    text = str_dup(original ? doc_str(record, "before", NULL) : standing);
    if (!original)
        json_object_set_new(record, "before",
                            doc_string(json_object_get(record, "owned") ? "" : standing));
    for (size_t i = 0; !err && i < plan->len; i++) {
        const struct plan_instance *instance = &observed->instances[plan->steps[i].instance];
        AUTO_JSON json_t *want = NULL;

        if (!str_eq(instance->object, config_map))
            continue;
        want = entries_after(&plan->steps[i], instance, all, &changed);
        err = edit_component(instance->component, want, instance->reported, original, &text);
        record_component(record, component_name(instance->component), want, instance->reported);
    }
    if (err)
        return err;
    if (!changed) {
        settle_record(observed, config_map, standing, undo);
        return NULL;
    }
    json_object_set_new(record, "after", doc_string(doc_digest(slice_of(text), digest)));
    json_object_set(record, "previous", previous);
    json_object_set_new(texts, config_map, doc_string(text));
    json_object_set(undo, config_map, record);
    return NULL;
}

struct error *kubeadm_edit_templates(const struct platform_observed *observed,
                                     const struct plan *plan, json_t **ret_texts, json_t **ret_undo)
{
    AUTO_JSON json_t *texts = json_object();
    AUTO_JSON json_t *undo = json_object();
    struct error *err = edit_map(observed, plan, KUBEADM_CONFIG, false, texts, undo);

    if (!err)
        err = edit_map(observed, plan, KUBEADM_KUBELET_CONFIG, false, texts, undo);
    if (err)
        return err;
    *ret_texts = TAKE(texts);
    *ret_undo = TAKE(undo);
    return NULL;
}

struct error *kubeadm_preview(const struct platform_observed *observed, const struct plan *plan,
                              json_t **ret_before, json_t **ret_after)
{
    static const char *const maps[] = {KUBEADM_CONFIG, KUBEADM_KUBELET_CONFIG};
    AUTO_JSON json_t *before = json_object();
    AUTO_JSON json_t *after = json_object();
    AUTO_JSON json_t *edited = json_object();
    AUTO_JSON json_t *undo = json_object();

    for (size_t i = 0; i < COUNT(maps); i++) {
        struct error *err = edit_map(observed, plan, maps[i], true, edited, undo);

        if (err)
            return err;
        if (json_object_get(edited, maps[i])) {
            AUTO_MEM char *name = str_format("configmap/%s/%s", PLATFORM_NAMESPACE, maps[i]);

            json_object_set_new(before, name, doc_string(text_of(observed, maps[i])));
            json_object_set(after, name, json_object_get(edited, maps[i]));
        }
    }
    *ret_before = TAKE(before);
    *ret_after = TAKE(after);
    return NULL;
}

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

        json_t *both = was ? doc_copy(was) : NULL;

        // No merge patch: a null is an entry that shall not stand.
        if (both && now)
            json_object_update_recursive(both, (json_t *)(uintptr_t)now);
        if (both)
            json_object_set_new(record, maps[i], both);
    }
    return record;
}

static json_t *make_report(const json_t *record, const char *name, const struct gates_flags *flags)
{
    json_t *report = json_object();

    json_object_set(report, site_kinds[0], flags->feature_gates);
    json_object_set(report, site_kinds[1], flags->runtime_config);
    json_t *ours = site_ours(doc_get(record, "owned", name, NULL), flags);
    json_t *removed = site_take_removed(ours);

    json_object_set_new(report, "owned", ours);
    if (removed)
        json_object_set_new(report, "removed", removed);
    if (doc_get(record, "replaced", name, NULL))
        json_object_set_new(report, "replaced", doc_copy(doc_get(record, "replaced", name, NULL)));
    return report;
}

#define PLACES_MAX 64

// Where the entries stand, for people.
static json_t *make_places(const struct site_place *place, const char *text,
                           const struct gates_flags *flags)
{
    const json_t *const all[] = {flags->feature_gates, flags->runtime_config};
    json_t *places = json_object();

    for (size_t i = 0; i < COUNT(all); i++) {
        const char *name;
        json_t *value;

        json_object_foreach((json_t *)(uintptr_t)all[i], name, value) {
            unsigned line =
                json_object_size(places) < PLACES_MAX ? site_line(place, slice_of(text), name) : 0;
            AUTO_MEM char *where = str_format("ConfigMap kube-system/%s, %s, line %u", place->name,
                                              kubeadm_template_key(place->name), line);

            if (line > 0)
                json_object_set_new(places, name, doc_string(where));
        }
    }
    return places;
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
    json_object_set_new(report, "places", make_places(&place, text, &flags));
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

static void record_part(json_t *record, const struct site_part *part)
{
    const char *name = component_name(part->place.component);

    for (int k = 0; k < SITE_KINDS; k++) {
        const char *kind = site_kinds[k];

        if (!json_object_get(part->want, kind))
            continue;
        doc_set(record, json_incref(json_object_get(part->ret_replaced, kind)), "replaced", name,
                kind, NULL);
        doc_set(record, json_incref(json_object_get(part->ret_owned, kind)), "owned", name, kind,
                NULL);
    }
}

// What a template is to say after this pass: its step's want where the step is taken (all: whatever
// its turn), else what is ours there now.
static json_t *entries_after(const struct plan_step *step, const struct plan_instance *instance,
                             bool all, bool *changed)
{
    if (step->state == PLAN_NOW || (all && step->changes)) {
        *changed = true;
        return site_wanted(step->want);
    }
    return site_owned_of(instance->reported);
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

// The components of one ConfigMap. want is borrowed from wants.
struct parts {
    struct site_part items[COMPONENT_COUNT];
    size_t len;
    json_t *wants, *owned; // arrays
    bool changed;
};

static void parts_fini(struct parts *parts)
{
    for (size_t i = 0; i < parts->len; i++)
        site_part_fini(&parts->items[i]);
    json_decref(parts->wants);
    json_decref(parts->owned);
}

static void collect_parts(const struct platform_observed *observed, const struct plan *plan,
                          const char *config_map, bool all, struct parts *parts)
{
    *parts = (struct parts){.wants = json_array(), .owned = json_array()};
    for (size_t i = 0; i < plan->len && parts->len < COUNT(parts->items); i++) {
        const struct plan_instance *instance = &observed->instances[plan->steps[i].instance];
        json_t *want, *owned;

        if (!str_eq(instance->object, config_map))
            continue;
        want = entries_after(&plan->steps[i], instance, all, &parts->changed);
        json_array_append_new(parts->wants, want);
        owned = site_owned_of(instance->reported);
        json_array_append_new(parts->owned, owned);
        parts->items[parts->len++] = (struct site_part){
            .place = place_of(instance->component),
            .owned = owned,
            .replaced = json_object_get(instance->reported, "replaced"),
            .want = want,
        };
    }
}

// The record that goes with the edit.
static void fill_record(json_t *record, const struct parts *parts, const struct site_edit *edit,
                        const char *standing)
{
    char digest[DOC_DIGEST_BYTES];

    if (edit->before != SITE_BEFORE_KEPT)
        json_object_set_new(record, "before",
                            doc_string(edit->before == SITE_BEFORE_NOW ? standing : ""));
    for (size_t i = 0; i < parts->len; i++)
        record_part(record, &parts->items[i]);
    json_object_set_new(record, "after", doc_string(doc_digest(slice_of(edit->text), digest)));
}

static struct error *edit_map(const struct platform_observed *observed, const struct plan *plan,
                              const char *config_map, bool all, json_t *texts, json_t *undo)
{
    AUTO_JSON json_t *record = read_record(observed, config_map);
    AUTO_JSON json_t *previous = NULL;
    AUTO_SITE_EDIT struct site_edit edit = {0};
    const char *standing = text_of(observed, config_map), *before;
    CLEANUP(parts_fini) struct parts parts;
    struct site_document document;
    struct error *err;

    collect_parts(observed, plan, config_map, all, &parts);
    if (!standing)
        return NULL;
    previous = make_previous(record, standing);
    before = doc_str(record, "before", NULL);
    document = (struct site_document){
        .now.text = slice_of(standing),
        .before.text = slice_of(*before ? before : NULL),
        .untouched = is_after(record, standing),
    };
    err = parts.len > 0 ? site_edit(&document, parts.items, parts.len, &edit) : NULL;
    if (err)
        return err;
    if (!parts.changed) {
        settle_record(observed, config_map, standing, undo);
        return NULL;
    }
    fill_record(record, &parts, &edit, standing);
    json_object_set(record, "previous", previous);
    json_object_set_new(texts, config_map, doc_string(edit.text));
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

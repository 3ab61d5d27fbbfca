// SPDX-License-Identifier: Apache-2.0
// GiantSwarm: a cluster is what a chart makes of the values of an App, or of a HelmRelease, in the
// management cluster. Ours are in a ConfigMap of our own that it names beside the user's; what
// Cluster API does with what comes out is followed as the platform ClusterAPI does.
#include "giantswarm_internal.h"

void platform_giantswarm_free(struct platform_giantswarm *gs)
{
    if (!gs)
        return;
    for (size_t i = 0; i < gs->layers_len; i++)
        giantswarm_layer_fini(&gs->layers[i]);
    for (size_t i = 0; i < gs->len; i++)
        platform_part_fini(&gs->parts[i]);
    mem_free(gs->layers);
    mem_free(gs->namespace);
    mem_free(gs->name);
    mem_free(gs->where);
    mem_free(gs->release);
    json_decref(gs->object);
    json_decref(gs->ours);
    json_decref(gs->values);
    mem_free(gs);
}

// --- instances -----------------------------------------------------------------------------------

static bool is_rolling(const struct platform_part *part)
{
    return part->record && part->stands && !json_object_get(part->record, "settled") &&
           !json_object_get(part->record, "failed");
}

static bool owns_gates(const struct platform_part *part)
{
    return json_object_size(json_object_get(part->owned, site_kinds[0])) > 0;
}

// All of a control plane comes out at once: where some of what we wrote is in it and some is not,
// the chart has no use for that.
static void take_out_ignored(struct platform_giantswarm *gs)
{
    const struct platform_part *ignored = NULL;
    bool some = false;

    for (size_t i = 0; i < gs->len; i++) {
        const struct platform_part *part = &gs->parts[i];

        if (!is_rolling(part) || !owns_gates(part))
            continue;
        some = some || gs->brought[i];
        if (!gs->brought[i] && !ignored)
            ignored = part;
    }
    for (size_t i = 0; some && ignored && i < gs->len; i++) {
        struct platform_part *part = &gs->parts[i];

        if (!is_rolling(part) || !owns_gates(part))
            continue;
        mem_free(part->message);
        part->need = NEED_PUT_BACK;
        part->reason = "NotManaged";
        part->message = str_format(
            "the chart of %s takes gates of %s and does nothing with them; Giant Swarm's releases "
            "from 33 on (chart cluster 4.1.0) have them",
            gs->where, component_name(ignored->component));
    }
}

static const char *name_of(const json_t *object)
{
    return doc_str(object, "metadata", "name", NULL);
}

// MachinePools are not watched: not every cluster has them.
static void look_again_at_pools(struct platform_observed *observed)
{
    const struct platform_capi *capi = observed->capi;

    for (size_t i = 0; i < capi->len; i++) {
        if (capi->owners[i].kind == KIND_MACHINE_POOL &&
            giantswarm_is_waited_for(observed->giantswarm) &&
            (observed->again_ms == 0 || observed->again_ms > CAPI_AGAIN_MS))
            observed->again_ms = CAPI_AGAIN_MS;
    }
}

// Nobody tells when they are gone.
static void note_left(struct platform_observed *observed, const struct platform_target *target)
{
    const struct platform_giantswarm *gs = observed->giantswarm;
    const char *named = giantswarm_named(gs);

    for (size_t i = 0; i < json_array_size(gs->ours); i++) {
        if (named && str_eq(name_of(json_array_get(gs->ours, i)), named))
            continue;
        observed->unsettled = true;
        if (target->deleting && (observed->again_ms == 0 || observed->again_ms > CAPI_AGAIN_MS))
            observed->again_ms = CAPI_AGAIN_MS;
    }
}

void giantswarm_collect(struct platform_observed *observed, const struct platform_look *look,
                        const struct platform_said *said)
{
    struct platform_giantswarm *gs = observed->giantswarm;
    const struct platform_capi *capi = observed->capi;
    unsigned nodes = 0;

    for (size_t i = 0; i < capi->len; i++)
        nodes += capi_nodes_of(&capi->owners[i]);
    for (size_t i = 0; i < gs->len; i++) {
        struct platform_part *part = &gs->parts[i];
        struct plan_instance *instance = platform_add_part(observed, part, look);

        instance->unit = gs->where;
        instance->nodes = part->component == COMPONENT_KUBELET ? nodes : 0;
    }
    take_out_ignored(gs);
    for (size_t i = 0; i < gs->len; i++)
        observed->unsettled = observed->unsettled || gs->parts[i].need != NEED_NOTHING;
    observed->managed_nodes += gs->len > 0 ? nodes : 0;
    if (observed->server.major == 0 && capi->len > 0)
        observed->server = capi->owners[0].version;
    note_left(observed, look->target);
    look_again_at_pools(observed);
    platform_add_kubelets(observed, said, "a kubelet of the workload cluster");
}

// --- writes --------------------------------------------------------------------------------------

// What becomes of the object and of the ConfigMap beside it.
struct edit {
    json_t *object;
    json_t *map; // NULL: there is none
    struct strlist what;
};

static void edit_fini(struct edit *edit)
{
    json_decref(edit->object);
    json_decref(edit->map);
    strlist_fini(&edit->what);
}
#define AUTO_EDIT CLEANUP(edit_fini)

// Others' entries are in others' values.
static struct error *check_without(const struct platform_giantswarm *gs,
                                   const struct platform_work *work, size_t part,
                                   const struct platform_next *next)
{
    const struct plan_step *step = platform_find_step(work->plan, part);

    if (!next->tree || gs->parts[part].need == NEED_PUT_BACK ||
        json_array_size(json_object_get(step->want, "withoutFeatureGates")) == 0)
        return NULL;
    return error_because(ERROR_INVALID, "NotManaged",
                         "%s: gates of %s that are to be taken out are in the values of the "
                         "cluster; take them out there",
                         gs->where, component_name(gs->parts[part].component));
}

static struct error *make_map(const struct platform_giantswarm *gs, const json_t *gates,
                              json_t **ret_map)
{
    AUTO_JSON json_t *values = NULL;
    struct error *err = giantswarm_make_values(gs, gates, &values);

    *ret_map = values ? giantswarm_make_map(gs, values) : NULL;
    return err;
}

static struct error *make_edit(const struct platform_work *work, struct edit *edit)
{
    const struct platform_giantswarm *gs = work->observed->giantswarm;
    struct platform_next next[GIANTSWARM_PLACES] = {0};
    AUTO_JSON json_t *gates = json_object();
    struct error *err = NULL;
    bool keep = true;

    for (size_t i = 0; !err && i < gs->len; i++) {
        const json_t *tree;

        err = platform_part_next(work, &gs->parts[i], i, &next[i]);
        if (!err)
            err = check_without(gs, work, i, &next[i]);
        tree = next[i].tree ? next[i].tree : gs->parts[i].tree;
        keep = keep && doc_int(tree, 1, PLATFORM_PARENTS, NULL) > 0;
        if (json_object_get(tree, site_kinds[0]))
            json_object_set(gates, gs->parts[i].slot, json_object_get(tree, site_kinds[0]));
        if (next[i].what)
            strlist_add(&edit->what, next[i].what);
    }
    if (!err)
        err = make_map(gs, gates, &edit->map);
    if (!err)
        edit->object = giantswarm_name_map(gs, edit->map ? name_of(edit->map) : NULL, keep);
    for (size_t i = 0; i < gs->len; i++) {
        if (!err && next[i].changes)
            platform_record_put(edit->object, &gs->parts[i], next[i].record);
        platform_next_fini(&next[i]);
    }
    return err;
}

static bool is_there(const struct platform_giantswarm *gs, const char *map)
{
    for (size_t i = 0; i < json_array_size(gs->ours); i++) {
        if (str_eq(name_of(json_array_get(gs->ours, i)), map))
            return true;
    }
    return false;
}

// It is there before the object names it, and goes when it does not any more.
static void add_writes(struct writing *w, const struct platform_giantswarm *gs,
                       const struct edit *edit)
{
    json_t *patch = platform_make_patch(gs->object, edit->object);
    const char *map = edit->map ? name_of(edit->map) : NULL;
    struct write *write;

    if (map && !is_there(gs, map)) {
        write = platform_add_write(w, WRITE_CREATE, KIND_VALUES, gs->namespace, map);
        write->body = doc_copy(edit->map);
        write->what = str_dup("");
        write->quiet = write->same_is_fine = true;
    }
    if (patch) {
        write = platform_add_write(w, WRITE_PATCH, gs->kind, gs->namespace, gs->name);
        write->body = patch;
        write->what = strlist_join(&edit->what, "; ");
        write->quiet = edit->what.len == 0;
    }
    for (size_t i = 0; i < json_array_size(gs->ours); i++) {
        const json_t *other = json_array_get(gs->ours, i);

        if (map && str_eq(name_of(other), map))
            continue;
        write = platform_add_delete(w, KIND_VALUES, gs->namespace, name_of(other), other);
        write->what = str_dup("");
        write->quiet = true;
    }
}

static struct error *make_writes(struct writing *w, const struct cluster *cluster UNUSED,
                                 const struct platform_change *change)
{
    const struct platform_giantswarm *gs = change->observed->giantswarm;
    const struct platform_work work = {.observed = change->observed, .plan = change->plan};
    AUTO_EDIT struct edit edit = {0};
    struct error *err;

    if (!gs || gs->len == 0)
        return NULL;
    err = make_edit(&work, &edit);
    if (!err)
        add_writes(w, gs, &edit);
    return err;
}

// Nothing of ours is left once everything was reverted. Else the records stay: a later
// DRAConfiguration is to know what was ours.
static void make_release(struct writing *w, const struct cluster *cluster UNUSED,
                         const struct platform_observed *observed, const json_t *keep UNUSED,
                         bool forget)
{
    const struct platform_giantswarm *gs = observed ? observed->giantswarm : NULL;
    AUTO_EDIT struct edit edit = {0};

    if (!forget || !gs || !gs->object)
        return;
    edit.object = giantswarm_name_map(gs, NULL, true);
    for (size_t i = 0; i < GIANTSWARM_PLACES; i++) {
        const struct platform_part part = {.slot = giantswarm_places[i].slot};

        platform_record_put(edit.object, &part, NULL);
    }
    add_writes(w, gs, &edit);
}

// --- for `drawbridge plan` -----------------------------------------------------------------------

static struct error *preview(const struct platform_observed *observed, const struct plan *plan,
                             json_t **ret_before, json_t **ret_after)
{
    const struct platform_giantswarm *gs = observed->giantswarm;
    const struct platform_work work = {.observed = observed, .plan = plan, .all = true};
    AUTO_EDIT struct edit edit = {0};
    AUTO_JSON json_t *before = json_object();
    AUTO_JSON json_t *after = json_object();
    struct error *err = gs && gs->len > 0 ? make_edit(&work, &edit) : NULL;
    const json_t *was = gs ? json_object_get(gs->object, "spec") : NULL,
                 *now = json_object_get(edit.object, "spec");

    if (err)
        return err;
    if (edit.object && !doc_equal(was, now)) {
        AUTO_MEM char *object =
            str_format("%s/%s/%s", platform_kind(gs->kind)->resource, gs->namespace, gs->name);
        AUTO_MEM char *map =
            str_format("configmaps/%s/%s (values beside the user's)", gs->namespace, gs->name);
        AUTO_MEM char *was_text = doc_print_yaml(was);
        AUTO_MEM char *now_text = doc_print_yaml(now);
        AUTO_MEM char *was_values = gs->values ? doc_print_yaml(gs->values) : str_dup("");

        json_object_set_new(before, object, doc_string(was_text));
        json_object_set_new(after, object, doc_string(now_text));
        json_object_set_new(before, map, doc_string(was_values));
        json_object_set_new(after, map,
                            doc_string(doc_str(edit.map, "data", GIANTSWARM_KEY, NULL)));
    }
    *ret_before = TAKE(before);
    *ret_after = TAKE(after);
    return NULL;
}

static bool wrote(const struct cluster *cluster UNUSED, const struct api_config *config)
{
    static const enum platform_kind kinds[] = {KIND_APP, KIND_HELM_RELEASE};

    return platform_wrote_objects(config, kinds, COUNT(kinds));
}

const struct platform *platform_giantswarm(void)
{
    static const struct platform platform = {
        .type = PLATFORM_GIANT_SWARM,
        .traits = {.writes = true,
                   .objects = true,
                   .nodes_elsewhere = true,
                   .field = "giantSwarm",
                   .chart_value = "giantSwarm"},
        .name_targets = giantswarm_name_targets,
        .reaches = giantswarm_reaches,
        .follows = giantswarm_follows,
        .signs = giantswarm_signs,
        .is_sign = giantswarm_is_sign,
        .way = giantswarm_kubeconfig,
        .wrote = wrote,
        .observe = giantswarm_observe,
        .make_writes = make_writes,
        .make_release = make_release,
        .preview = preview,
    };

    return &platform;
}

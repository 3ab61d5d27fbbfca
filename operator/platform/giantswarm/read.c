// SPDX-License-Identifier: Apache-2.0
// What stands: of our values what is theirs, and what became of them in the objects that Giant
// Swarm's chart makes of all values. Those are read as ClusterAPI reads them, and never written.
#include <string.h>

#include "giantswarm_internal.h"

// --- what is ours --------------------------------------------------------------------------------

// Of the edit before, or of the one that was put back.
static const json_t *were_ours(const json_t *record)
{
    const json_t *tried = doc_get(record, "tried", site_kinds[0], NULL);

    return tried ? tried : doc_get(record, "previous", "owned", site_kinds[0], NULL);
}

static bool names(const json_t *record, const char *gate)
{
    return doc_get(record, "owned", site_kinds[0], gate, NULL) ||
           json_object_get(were_ours(record), gate);
}

// Of the list that we wrote, without what was taken over from the user's.
static json_t *tree_of(const struct platform_giantswarm *gs, const struct giantswarm_place *place,
                       const json_t *record)
{
    const struct giantswarm_layer *layer;
    const json_t *list = doc_pointer(gs->values, place->provider);
    const json_t *theirs = giantswarm_said(gs, place->provider, false, &layer);
    bool there = json_is_array(doc_get(gs->object, "spec", giantswarm_list(gs->kind), NULL));
    json_t *tree = json_object();

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *gate = doc_str(item, "name", NULL);

        if (*gate &&
            (record ? names(record, gate) : !doc_equal(giantswarm_item(theirs, gate), item)))
            doc_set(tree, json_boolean(doc_bool(item, false, "enabled", NULL)), site_kinds[0], gate,
                    NULL);
    }
    json_object_set_new(tree, PLATFORM_PARENTS, json_integer(there));
    return tree;
}

static bool is_tree(const json_t *tree)
{
    json_t *gates = json_object_get(tree, site_kinds[0]), *value;
    const char *name;
    bool good = !gates || json_is_object(gates);

    json_object_foreach(gates, name, value)
        good = good && json_is_boolean(value);
    return good;
}

// --- what came out -------------------------------------------------------------------------------

static const struct gates_flags *flags_of(const struct capi_owner *owner, enum component component)
{
    for (size_t i = 0; i < owner->len; i++) {
        if (owner->parts[i].component == component)
            return &owner->parts[i].flags;
    }
    return NULL;
}

// What the user's values say of a gate stays when ours is gone.
static bool is_theirs(const struct platform_giantswarm *gs, const struct giantswarm_place *place,
                      const char *gate)
{
    const char *const lists[] = {place->provider, place->internal};
    const struct giantswarm_layer *layer;
    bool found = false;

    for (size_t i = 0; i < COUNT(lists); i++) {
        found = found || giantswarm_item(giantswarm_said(gs, lists[i], false, &layer), gate) ||
                giantswarm_item(giantswarm_said(gs, lists[i], true, &layer), gate);
    }
    return found;
}

// Whether an object says what the record has: what is ours, and nothing that was.
static bool says(const struct platform_giantswarm *gs, const struct giantswarm_place *place,
                 const json_t *record, const struct gates_flags *flags)
{
    json_t *owned = (json_t *)(uintptr_t)doc_get(record, "owned", site_kinds[0], NULL);
    json_t *was = (json_t *)(uintptr_t)were_ours(record);
    const json_t *gates = flags ? flags->feature_gates : NULL;
    const char *gate;
    json_t *value;
    bool same = true;

    json_object_foreach(owned, gate, value)
        same = same && (json_is_null(value) || doc_equal(json_object_get(gates, gate), value));
    json_object_foreach(was, gate, value) {
        if (!json_object_get(owned, gate) && !is_theirs(gs, place, gate))
            same = same && !doc_equal(json_object_get(gates, gate), value);
    }
    return same;
}

// What others say counts where ours says nothing: the plan is to know it.
static void add_foreign(struct platform_part *part, const struct gates_flags *flags)
{
    const char *name;
    json_t *value;

    if (!flags)
        return;
    json_object_foreach(flags->feature_gates, name, value) {
        if (!json_object_get(part->flags.feature_gates, name) && !names(part->record, name))
            json_object_set(part->flags.feature_gates, name, value);
    }
    json_object_update(part->flags.runtime_config, flags->runtime_config);
    part->flags.emulated = flags->emulated;
}

static char *words_of(const struct platform_giantswarm *gs)
{
    const json_t *conditions = doc_get(gs->object, "status", "conditions", NULL);
    const char *status = doc_str(gs->object, "status", "release", "status", NULL),
               *reason = doc_str(gs->object, "status", "release", "reason", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (str_eq(doc_str(condition, "type", NULL), "Ready")) {
            status = doc_str(condition, "reason", NULL);
            reason = doc_str(condition, "message", NULL);
        }
    }
    AUTO_JSON json_t *cut = doc_string_of(slice_of(reason), 400);

    return str_format("%s has not brought its values into the KubeadmControlPlane%s%s%s%s",
                      gs->where, *status ? ": " : "", status, *reason ? ": " : "",
                      json_string_value(cut));
}

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// A component of the control plane is over with it; kubelets with every pool too.
static void put_rollout(struct platform_giantswarm *gs, const struct giantswarm_place *place,
                        struct platform_part *part, const struct platform_capi *capi)
{
    size_t len = place->component == COMPONENT_KUBELET ? capi->len : 1;
    bool settled = json_object_get(part->record, "settled") != NULL, brought = true;

    part->rollout = (struct rollout){.seen = true, .complete = true};
    for (size_t i = 0; i < len && i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        struct rollout r = capi_rollout_of(owner, capi->sets_listed);

        brought = brought && (owner->len == 0 ||
                              says(gs, place, part->record, flags_of(owner, place->component)));
        part->rollout.seen = part->rollout.seen && r.seen;
        part->rollout.complete = part->rollout.complete && r.complete;
        part->rollout.desired += r.desired;
        part->rollout.updated += r.updated;
        part->rollout.available += r.available;
        part->progress_ms = greater(part->progress_ms, owner->machines.newest_ms);
        if (owner->machines.words && !part->words)
            part->words = str_dup(owner->machines.words);
    }
    if (brought || !part->record)
        return;
    part->stands = part->stands && !settled; // somebody's values came to say otherwise
    part->rollout.seen = part->rollout.complete = false;
    mem_free(part->words);
    part->words = words_of(gs);
}

// --- parts ---------------------------------------------------------------------------------------

// Kubelets of the oldest pool are what the plan has to do with.
static struct version version_of(const struct giantswarm_place *place,
                                 const struct platform_capi *capi)
{
    struct version version = capi->owners[0].version;

    for (size_t i = 1; place->component == COMPONENT_KUBELET && i < capi->len; i++) {
        struct version other = capi->owners[i].version;

        if (other.major > 0 && version_compare_minor(other, version) < 0)
            version = other;
    }
    return version;
}

static struct error *add_part(struct platform_giantswarm *gs, const struct giantswarm_place *place,
                              const struct platform_capi *capi)
{
    struct platform_part *part = &gs->parts[gs->len];
    AUTO_JSON json_t *record = capi_record(gs->object, place->slot);
    const struct gates_flags *flags = flags_of(&capi->owners[0], place->component);
    struct error *err;

    *part = (struct platform_part){
        .component = place->component,
        .kind = gs->kind,
        .slot = place->slot,
        .object = json_incref(gs->object),
        .where = str_dup(gs->where),
        .tree = tree_of(gs, place, record),
        .is_tree = is_tree,
        .version = version_of(place, capi),
    };
    part->place =
        (struct site_place){&site_gate_map, place->component, part->where, "/featureGates", false};
    err = platform_part_read(part);
    gs->len++;
    if (err)
        return err;
    gs->brought[gs->len - 1] = says(gs, place, part->record, flags);
    put_rollout(gs, place, part, capi);
    add_foreign(part, flags);
    return NULL;
}

struct error *giantswarm_read(struct platform_giantswarm *gs, const struct platform_capi *capi)
{
    struct error *err = NULL;

    if (capi->len == 0) // the Cluster is gone, and what is ours goes without a roll-out
        return NULL;
    giantswarm_read_chart(gs, capi->owners[0].object);
    for (size_t i = 0; !err && i < GIANTSWARM_PLACES; i++)
        err = add_part(gs, &giantswarm_places[i], capi);
    return err;
}

bool giantswarm_is_waited_for(const struct platform_giantswarm *gs)
{
    for (size_t i = 0; i < GIANTSWARM_PLACES; i++) {
        AUTO_JSON json_t *record = capi_record(gs->object, giantswarm_places[i].slot);

        if (platform_is_rolling(gs->object, giantswarm_places[i].slot) ||
            json_object_get(record, "failed"))
            return true;
    }
    return false;
}

// SPDX-License-Identifier: Apache-2.0
// From what was observed to what the gates room decides on.
#include "drawbridge/plan.h"

// What the flags say beside what we wrote; where our entry stands in for somebody's, theirs.
static json_t *foreign(const struct plan_instance *instance, const char *map)
{
    json_t *all = doc_copy(json_object_get(instance->reported, map));
    json_t *owned = doc_copy(doc_get(instance->reported, "owned", map, NULL));
    const char *name;
    json_t *value;

    if (!all)
        all = json_object();
    json_object_foreach(owned, name, value) {
        const json_t *replaced = doc_get(instance->reported, "replaced", map, name, NULL);

        if (!doc_equal(json_object_get(all, name), value))
            continue; // somebody changed it after us: theirs
        if (replaced)
            json_object_set_new(all, name, doc_copy(replaced));
        else
            json_object_del(all, name);
    }
    json_decref(owned);
    return all;
}

// What others had said and we took out. What stands again is somebody's, and among the foreign.
static json_t *removed(const struct plan_instance *instance, const char *map, const json_t *stands)
{
    const json_t *names = doc_get(instance->reported, "removed", map, NULL);
    json_t *all = json_object();

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const json_t *stood =
            name ? doc_get(instance->reported, "replaced", map, name, NULL) : NULL;

        if (stood && !json_object_get(stands, name))
            json_object_set_new(all, name, doc_copy(stood));
    }
    return all;
}

void plan_inputs_make(const struct plan_instance *instances, size_t len,
                      struct plan_inputs *ret_inputs)
{
    struct plan_inputs inputs = {.len = len, .trees = json_array()};

    inputs.instances = mem_alloc(len * sizeof(*inputs.instances));
    for (size_t i = 0; i < len; i++) {
        const struct plan_instance *from = &instances[i];
        json_t *gates = foreign(from, "featureGates");
        json_t *runtime = foreign(from, "runtimeConfig");

        json_array_append_new(inputs.trees, gates);
        json_array_append_new(inputs.trees, runtime);
        json_t *removed_gates = removed(from, "featureGates", gates);
        json_t *removed_runtime = removed(from, "runtimeConfig", runtime);

        json_array_append_new(inputs.trees, removed_gates);
        json_array_append_new(inputs.trees, removed_runtime);
        inputs.instances[i] = (struct gates_instance){
            .id = from->id,
            .component = from->component,
            .version = from->version,
            .emulated = from->emulated,
            .foreign_gates = gates,
            .foreign_runtime = runtime,
            .removed_gates = removed_gates,
            .removed_runtime = removed_runtime,
            .extra_gates = json_object_get(from->reported, "extraGates"),
            .missing_gates = json_object_get(from->reported, "missingGates"),
            .places = json_object_get(from->reported, "places"),
        };
    }
    *ret_inputs = inputs;
}

void plan_inputs_fini(struct plan_inputs *inputs)
{
    mem_free(inputs->instances);
    json_decref(inputs->trees);
    *inputs = (struct plan_inputs){0};
}

// --- resolution ----------------------------------------------------------------------------------

// The live ones, in order, and where they stand among all.
static size_t pick_live(const struct plan_instance *instances, const struct plan_inputs *inputs,
                        struct gates_instance *live, size_t *where)
{
    size_t len = 0;

    for (size_t i = 0; i < inputs->len; i++) {
        if (instances[i].object)
            continue;
        live[len] = inputs->instances[i];
        where[len++] = i;
    }
    return len;
}

// Live components get what was resolved among them, templates what was resolved with all.
static void take_live_desired(struct gates_resolution *all, struct gates_resolution *live,
                              const size_t *where)
{
    for (size_t i = 0; i < live->desired_len; i++) {
        struct gates_desired theirs = all->desired[where[i]];

        all->desired[where[i]] = live->desired[i];
        live->desired[i] = theirs; // freed with live
    }
}

// What the live ones say of the cluster counts; refusals of theirs come before those of templates.
static void take_live_verdict(struct gates_resolution *all, struct gates_resolution *live)
{
    struct gates_resolution theirs = *all;

    all->needed = live->needed;
    all->dra = live->dra;
    live->needed = theirs.needed;
    if (live->refusals_len == 0)
        return;
    all->refusals = live->refusals;
    all->refusals_len = live->refusals_len;
    live->refusals = theirs.refusals;
    live->refusals_len = theirs.refusals_len;
}

struct error *plan_resolve(const struct gates_table *table, const struct gates_intent *intent,
                           const struct plan_instance *instances, const struct plan_inputs *inputs,
                           struct gates_resolution *ret_resolution)
{
    AUTO_MEM struct gates_instance *live = mem_alloc(inputs->len * sizeof(*live));
    AUTO_MEM size_t *where = mem_alloc(inputs->len * sizeof(*where));
    size_t live_len = pick_live(instances, inputs, live, where);
    AUTO_RESOLUTION struct gates_resolution among_live = {0};
    struct gates_resolution all = {0};
    struct error *err;

    err = gates_resolve(table, intent, live, live_len, &among_live);
    if (!err)
        err = gates_resolve(table, intent, inputs->instances, inputs->len, &all);
    if (err)
        return err;
    take_live_desired(&all, &among_live, where);
    take_live_verdict(&all, &among_live);
    *ret_resolution = all;
    return NULL;
}

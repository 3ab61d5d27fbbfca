// SPDX-License-Identifier: Apache-2.0
// From an intent and the live instances to what must be written into each, or to the reasons why
// nothing may be.
//
// Instances that are alike (component, minor, flags) form a class and are judged once: a thousand
// kubelets are a few classes.
#include "resolve_internal.h"

#include <stdlib.h>
#include <string.h>

static void resolver_fini(struct resolver *r)
{
    for (size_t i = 0; i < r->classes_len; i++) {
        mem_free(r->classes[i].know);
        mem_free(r->classes[i].targeted);
        json_decref(r->classes[i].desired.feature_gates);
        json_decref(r->classes[i].desired.runtime_config);
        json_decref(r->classes[i].desired.effective);
        json_decref(r->classes[i].desired.without_gates);
        json_decref(r->classes[i].desired.without_runtime);
    }
    for (size_t i = 0; i < r->refusals_len; i++) {
        mem_free(r->refusals[i].refusal.subject);
        mem_free(r->refusals[i].refusal.instance);
        mem_free(r->refusals[i].refusal.message);
    }
    mem_free(r->wants);
    mem_free(r->classes);
    mem_free(r->refusals);
    mem_free(r->features);
    json_decref(r->given);
    json_decref(r->needed);
    json_decref(r->ignored);
}
#define AUTO_RESOLVER CLEANUP(resolver_fini)

void gates_resolution_fini(struct gates_resolution *resolution)
{
    for (size_t i = 0; i < resolution->desired_len; i++) {
        json_decref(resolution->desired[i].feature_gates);
        json_decref(resolution->desired[i].runtime_config);
        json_decref(resolution->desired[i].effective);
        json_decref(resolution->desired[i].without_gates);
        json_decref(resolution->desired[i].without_runtime);
    }
    for (size_t i = 0; i < resolution->refusals_len; i++) {
        mem_free(resolution->refusals[i].subject);
        mem_free(resolution->refusals[i].instance);
        mem_free(resolution->refusals[i].message);
    }
    mem_free(resolution->desired);
    mem_free(resolution->refusals);
    json_decref(resolution->needed);
    json_decref(resolution->ignored);
    *resolution = (struct gates_resolution){0};
}

// --- input ---------------------------------------------------------------------------------------

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 1099511628211u;
}

// The content of a map or array, in any order of keys.
static uint64_t hash_tree(const json_t *tree)
{
    uint64_t sum = 0;
    const char *key;
    json_t *value;
    for (size_t i = 0; i < json_array_size(tree); i++) {
        uint64_t h = 1469598103934665603u;
        for (const char *c = json_string_value(json_array_get(tree, i)); c != NULL && *c != '\0';
             c++)
            h = mix(h, (uint64_t)(unsigned char)*c);
        sum += h;
    }
    json_object_foreach((json_t *)(uintptr_t)tree, key, value) {
        uint64_t h = mix(1469598103934665603u,
                         json_is_true(value) || str_eq(json_string_value(value), "true"));
        for (const char *c = key; *c != '\0'; c++)
            h = mix(h, (uint64_t)(unsigned char)*c);
        sum += h;
    }
    return sum;
}

static uint64_t hash_instance(const struct gates_instance *i)
{
    uint64_t h =
        mix(mix((uint64_t)i->component, (uint64_t)i->version.minor), (uint64_t)i->emulated.minor);
    h = mix(mix(h, hash_tree(i->foreign_gates)), hash_tree(i->foreign_runtime));
    h = mix(mix(h, hash_tree(i->removed_gates)), hash_tree(i->removed_runtime));
    // A list that was not read differs from an empty one.
    return mix(mix(mix(h, hash_tree(i->extra_gates)), i->extra_gates == NULL),
               hash_tree(i->missing_gates));
}

// NULL and {} say the same of flags.
static bool same_map(const json_t *a, const json_t *b)
{
    return a == b ||
           (json_object_size(a) == 0 && json_object_size(b) == 0 && json_array_size(a) == 0 &&
            json_array_size(b) == 0) ||
           doc_equal(a, b);
}

static bool same_class(const struct class *c, uint64_t hash, const struct gates_instance *b)
{
    const struct gates_instance *a = c->instance;
    return c->hash == hash && a->component == b->component &&
           a->version.minor == b->version.minor && a->emulated.minor == b->emulated.minor &&
           same_map(a->foreign_gates, b->foreign_gates) &&
           same_map(a->foreign_runtime, b->foreign_runtime) &&
           same_map(a->removed_gates, b->removed_gates) &&
           same_map(a->removed_runtime, b->removed_runtime) &&
           (a->extra_gates == NULL) == (b->extra_gates == NULL) &&
           same_map(a->extra_gates, b->extra_gates) && same_map(a->missing_gates, b->missing_gates);
}

static void add_class(struct resolver *r, const struct gates_instance *i, size_t index,
                      uint64_t hash)
{
    bool emulates = i->emulated.major == 1 && version_compare_minor(i->emulated, i->version) < 0;
    r->classes[r->classes_len++] = (struct class){
        .instance = i,
        .index = index,
        .minor = i->version.minor,
        .emulated = emulates ? i->emulated.minor : i->version.minor,
        .hash = hash,
        .know = mem_alloc(r->wants_len),
        .targeted = mem_alloc(r->wants_len * sizeof(bool)),
        .desired = {json_object(), json_object(), json_object(), json_array(), json_array()},
    };
}

// class_of: for each instance the number of its class. The table is open-addressed, at most half
// full.
static struct error *sort_into_classes(struct resolver *r, const struct gates_instance *instances,
                                       size_t len, size_t *class_of)
{
    size_t slots_len = 16;
    while (slots_len < len * 2)
        slots_len *= 2;
    AUTO_MEM size_t *slots = mem_alloc(slots_len * sizeof(*slots)); // class number + 1
    r->classes = mem_alloc(len * sizeof(*r->classes));
    for (size_t i = 0; i < len; i++) {
        const struct gates_instance *instance = &instances[i];
        if (instance->version.major != 1)
            return error_new(ERROR_INVALID, "%s: its Kubernetes version is not known",
                             instance->id);
        if (json_object_size(instance->foreign_gates) > GATES_ENTRIES_MAX ||
            json_object_size(instance->foreign_runtime) > GATES_ENTRIES_MAX)
            return error_new(ERROR_LIMIT, "%s has more than %d entries", instance->id,
                             GATES_ENTRIES_MAX);
        uint64_t hash = hash_instance(instance);
        size_t slot = (size_t)hash & (slots_len - 1);
        while (slots[slot] != 0 && !same_class(&r->classes[slots[slot] - 1], hash, instance))
            slot = (slot + 1) & (slots_len - 1);
        if (slots[slot] == 0) {
            add_class(r, instance, i, hash);
            slots[slot] = r->classes_len;
        }
        class_of[i] = slots[slot] - 1;
    }
    return NULL;
}

// --- who takes a gate ----------------------------------------------------------------------------

static bool is_known(const struct class *c, size_t w)
{
    return c->know[w] == KNOWN || c->know[w] == KNOWN_TO_BINARY;
}

// Which minors there are among the classes that matter for a want, and whether the ends of that
// range know it.
struct reach {
    int oldest, newest;
    bool oldest_knows, newest_knows, any;
};

static struct reach reach_of(const struct resolver *r, size_t w)
{
    struct reach reach = {0};
    for (size_t i = 0; i < r->classes_len; i++) {
        const struct class *c = &r->classes[i];
        if (c->know[w] == NOT_RELEVANT)
            continue;
        bool known = is_known(c, w);
        reach.any = reach.any || known;
        if (reach.newest == 0 || c->minor > reach.newest) {
            reach.newest = c->minor;
            reach.newest_knows = known;
        } else if (c->minor == reach.newest)
            reach.newest_knows = reach.newest_knows || known;
        if (reach.oldest == 0 || c->minor < reach.oldest) {
            reach.oldest = c->minor;
            reach.oldest_knows = known;
        } else if (c->minor == reach.oldest)
            reach.oldest_knows = reach.oldest_knows || known;
    }
    return reach;
}

static bool minor_knows(const struct resolver *r, size_t w, int minor)
{
    for (size_t i = 0; i < r->classes_len; i++)
        if (r->classes[i].minor == minor && is_known(&r->classes[i], w))
            return true;
    return false;
}

// A gate of no minor belongs to a vendor: it goes to the binaries that list it. One of the table
// may be missing in some instances while a roll goes from the minors without it to those with it or
// back; anything else is refused.
static void judge_want_everywhere(struct resolver *r, size_t w)
{
    struct want *want = &r->wants[w];
    struct reach reach = reach_of(r, w);
    for (size_t i = 0; i < r->classes_len; i++) {
        struct class *c = &r->classes[i];
        enum knowledge know = (enum knowledge)c->know[w];
        if (know == NOT_RELEVANT || is_known(c, w))
            continue;
        bool rolling = reach.any && (reach.oldest_knows || reach.newest_knows) &&
                       !minor_knows(r, w, c->minor) && (know == REMOVED || know == NOT_YET);
        bool vendors = want->row == NULL && reach.any;
        if (!rolling && !vendors)
            refuse_gate(r, c, want, know);
    }
}

static unsigned readers_of(const struct class *c, const struct want *w)
{
    struct gate gate;
    if (w->row == NULL || !w->row->dra)
        return ~0u;
    if (gates_row_at(w->row, c->minor, &gate))
        return gate.components;
    // Known to the binary alone: those who read it last.
    return w->row->read_by_len == 0 ? ~0u : w->row->read_by[w->row->read_by_len - 1].bits;
}

// A gate that is turned on brings what it needs to the same component, one that is turned off
// brings what needs it: the check of dependencies is each binary's own.
static bool pulled_in(const struct resolver *r, const struct class *c, size_t w)
{
    for (size_t i = 0; i < r->wants_len; i++) {
        if (!c->targeted[i] || r->wants[i].value != r->wants[w].value || r->wants[i].row == NULL ||
            r->wants[w].row == NULL)
            continue;
        const struct want *needer = r->wants[w].value ? &r->wants[i] : &r->wants[w];
        const struct want *needed = r->wants[w].value ? &r->wants[w] : &r->wants[i];
        if (gates_names_have(gates_row_depends_on(needer->row, c->minor), needed->name))
            return true;
    }
    return false;
}

// Whether the class's binary takes the want at all, though its component may not read it.
static bool registers(const struct class *c, const struct want *w)
{
    struct gate gate;
    return w->row != NULL && judge_gate(c, w->row, &gate);
}

static void choose_targets(struct resolver *r, struct class *c)
{
    for (size_t w = 0; w < r->wants_len; w++)
        c->targeted[w] =
            is_known(c, w) && (readers_of(c, &r->wants[w]) & (1u << c->instance->component)) != 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t w = 0; w < r->wants_len; w++)
            if (!c->targeted[w] && registers(c, &r->wants[w]) && pulled_in(r, c, w))
                changed = c->targeted[w] = true;
    }
}

// --- what is written -----------------------------------------------------------------------------

static void decide_gate(struct resolver *r, struct class *c, size_t index)
{
    const struct want *w = &r->wants[index];
    struct gate gate;
    if (!c->targeted[index])
        return;
    json_object_set_new(c->desired.effective, w->name, json_boolean(w->value));
    if (w->row == NULL || !judge_gate(c, w->row, &gate)) {
        // The running value tells nothing about the default: always said.
        if (json_object_get(c->instance->foreign_gates, w->name) == NULL ||
            judge_value_unasked(r, c, w) != w->value)
            json_object_set_new(c->desired.feature_gates, w->name, json_boolean(w->value));
        return;
    }
    if (gate.locked && gate.value != w->value) {
        refuse_locked(r, c, w, gate.value);
        return;
    }
    if (gate.stage == STAGE_ALPHA && w->value && !gate.value && !r->intent->allow_alpha) {
        refuse_alpha_gate(r, c, w);
        return;
    }
    if (judge_value_unasked(r, c, w) != w->value)
        json_object_set_new(c->desired.feature_gates, w->name, json_boolean(w->value));
}

static void decide_class(struct resolver *r, struct class *c)
{
    for (size_t w = 0; w < r->wants_len; w++)
        decide_gate(r, c, w);
    judge_dependencies(r, c);
    const struct gate_row *dra = gates_row(r->table, DRA_GATE);
    struct gate gate;
    if (dra != NULL && judge_gate(c, dra, &gate))
        json_object_set_new(c->desired.effective, DRA_GATE,
                            json_boolean(judge_value(r, c, DRA_GATE, dra, true)));
}

static void decide(struct resolver *r)
{
    for (size_t i = 0; i < r->classes_len; i++)
        for (size_t w = 0; w < r->wants_len; w++)
            r->classes[i].know[w] = (uint8_t)judge_knowledge(r, &r->classes[i], &r->wants[w]);
    wants_judge_features(r);
    for (size_t w = 0; w < r->wants_len; w++)
        judge_want_everywhere(r, w);
    for (size_t i = 0; i < r->classes_len; i++) {
        choose_targets(r, &r->classes[i]);
        decide_class(r, &r->classes[i]);
    }
    size_t dra = judge_want(r, DRA_GATE);
    // Whoever asks for a feature asks for what it is a feature of, also where that has no gate.
    r->dra = (dra < r->wants_len && r->wants[dra].value) || r->features_len > 0;
    needs_resolve(r);
    struct version target =
        r->intent->remove_foreign ? r->intent->prepare_for : (struct version){0};
    for (size_t i = 0; i < r->classes_len; i++) {
        const struct gates_instance *instance = r->classes[i].instance;
        if (target.major != 0 || json_object_size(instance->removed_gates) > 0 ||
            json_object_size(instance->removed_runtime) > 0)
            prepare_without(r->table, instance, target, &r->classes[i].desired);
    }
}

// --- output --------------------------------------------------------------------------------------

static int by_place(const void *a, const void *b)
{
    const struct found_refusal *x = a, *y = b;
    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    int order = strcmp(x->refusal.subject, y->refusal.subject);
    return order != 0 ? order : (int)x->refusal.kind - (int)y->refusal.kind;
}

static void take_results(struct resolver *r, const size_t *class_of, size_t instances_len,
                         struct gates_resolution *ret)
{
    *ret = (struct gates_resolution){
        .desired = mem_alloc(instances_len * sizeof(*ret->desired)),
        .desired_len = instances_len,
        .refusals = mem_alloc(r->refusals_len * sizeof(*ret->refusals)),
        .refusals_len = r->refusals_len,
        .needed = TAKE(r->needed),
        .ignored = TAKE(r->ignored),
        .dra = r->dra,
    };
    for (size_t i = 0; i < instances_len; i++) {
        const struct gates_desired *d = &r->classes[class_of[i]].desired;
        ret->desired[i] = (struct gates_desired){
            .feature_gates = json_incref(d->feature_gates),
            .runtime_config = json_incref(d->runtime_config),
            .effective = json_incref(d->effective),
            .without_gates = json_incref(d->without_gates),
            .without_runtime = json_incref(d->without_runtime),
        };
    }
    if (r->refusals_len > 0)
        qsort(r->refusals, r->refusals_len, sizeof(*r->refusals), by_place);
    for (size_t i = 0; i < r->refusals_len; i++)
        ret->refusals[i] = r->refusals[i].refusal;
    r->refusals_len = 0;
}

struct error *gates_resolve(const struct gates_table *table, const struct gates_intent *intent,
                            const struct gates_instance *instances, size_t instances_len,
                            struct gates_resolution *ret_resolution)
{
    if (instances_len > GATES_INSTANCES_MAX)
        return error_new(ERROR_LIMIT, "more than %d instances", GATES_INSTANCES_MAX);
    AUTO_RESOLVER struct resolver r = {
        .table = table, .intent = intent, .needed = json_array(), .ignored = json_array()};
    AUTO_MEM size_t *class_of = mem_alloc(instances_len * sizeof(*class_of));
    struct error *err = wants_read(&r, instances, instances_len);
    if (err == NULL)
        err = sort_into_classes(&r, instances, instances_len, class_of);
    if (err != NULL)
        return err;
    decide(&r);
    take_results(&r, class_of, instances_len, ret_resolution);
    return NULL;
}

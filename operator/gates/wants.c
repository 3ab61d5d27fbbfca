// SPDX-License-Identifier: Apache-2.0
// What the intent asks for, as gates: its own entries, and those that its features take in the
// minors that are there.
#include "resolve_internal.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct want *)a)->name, ((const struct want *)b)->name);
}

static int emulated_minor(const struct gates_instance *i)
{
    bool emulates = i->emulated.major == 1 && version_compare_minor(i->emulated, i->version) < 0;
    return emulates ? i->emulated.minor : i->version.minor;
}

// "33": the gates of all features there, each with the feature that brings it.
static json_t *given_in(const struct resolver *r, int minor)
{
    json_t *given = json_object();
    for (size_t f = 0; f < r->features_len; f++) {
        AUTO_JSON json_t *closure = gates_feature_closure(r->table, r->features[f], minor);
        for (size_t i = 0; i < json_array_size(closure); i++) {
            const char *name = json_string_value(json_array_get(closure, i));
            if (json_object_get(given, name) == NULL)
                json_object_set_new(given, name, doc_string(r->features[f]->name));
        }
    }
    return given;
}

static void read_given(struct resolver *r, const struct gates_instance *instances, size_t len)
{
    for (size_t i = 0; i < len && r->features_len > 0; i++) {
        char key[16];
        int minor = gates_feature_minor(r->table, emulated_minor(&instances[i]));
        snprintf(key, sizeof(key), "%d", minor);
        if (json_object_get(r->given, key) == NULL)
            json_object_set_new(r->given, key, given_in(r, minor));
    }
}

const char *wants_feature(const struct resolver *r, const struct class *c, const char *gate)
{
    char key[16];
    snprintf(key, sizeof(key), "%d", gates_feature_minor(r->table, c->emulated));
    return json_string_value(json_object_get(json_object_get(r->given, key), gate));
}

// Gates that only features ask for. What the intent names itself is there already.
static void add_given(struct resolver *r)
{
    size_t room = r->wants_len, own = r->wants_len;
    const char *minor, *name;
    json_t *given, *feature;
    json_object_foreach(r->given, minor, given)
        room += json_object_size(given);
    r->wants = mem_realloc(r->wants, (room > 0 ? room : 1) * sizeof(*r->wants));
    json_object_foreach(r->given, minor, given) {
        json_object_foreach(given, name, feature) {
            bool there = json_object_get(r->intent->feature_gates, name) != NULL;
            for (size_t i = own; i < r->wants_len; i++)
                there = there || str_eq(r->wants[i].name, name);
            if (!there)
                r->wants[r->wants_len++] = (struct want){.name = name,
                                                         .value = true,
                                                         .row = gates_row(r->table, name),
                                                         .feature = json_string_value(feature)};
        }
    }
}

struct error *wants_read(struct resolver *r, const struct gates_instance *instances, size_t len)
{
    const json_t *map = r->intent->feature_gates;
    size_t features = json_array_size(r->intent->features);
    const char *key;
    json_t *value;
    if (json_object_size(map) > GATES_ENTRIES_MAX || features > GATES_ENTRIES_MAX ||
        json_object_size(r->intent->runtime_config) > GATES_ENTRIES_MAX)
        return error_new(ERROR_LIMIT, "the intent has more than %d entries", GATES_ENTRIES_MAX);
    r->wants = mem_alloc(json_object_size(map) * sizeof(*r->wants));
    r->features = mem_alloc(features * sizeof(*r->features));
    r->given = json_object();
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        if (!json_is_boolean(value))
            return error_new(ERROR_INVALID, "feature gate %s must be true or false", key);
        if (gates_is_kkp_flag(key))
            json_array_append_new(r->ignored, doc_string(key));
        else
            r->wants[r->wants_len++] = (struct want){
                .name = key, .value = json_is_true(value), .row = gates_row(r->table, key)};
    }
    for (size_t i = 0; i < features; i++) {
        const char *name = json_string_value(json_array_get(r->intent->features, i));
        const struct feature_row *row = name == NULL ? NULL : gates_feature_row(r->table, name);
        if (row != NULL)
            r->features[r->features_len++] = row;
    }
    read_given(r, instances, len);
    add_given(r);
    if (r->wants_len > 0)
        qsort(r->wants, r->wants_len, sizeof(*r->wants), by_name);
    return NULL;
}

// --- whether the features are there --------------------------------------------------------------

static void judge_name(struct resolver *r, const char *name)
{
    const char *nearest;
    if (gates_feature_row(r->table, name) != NULL)
        return;
    nearest = gates_feature_nearest(r->table, name);
    if (nearest != NULL)
        refuse_with(r, &r->classes[0], REFUSAL_FEATURE_UNKNOWN, name,
                    "spec.features: there is no feature %s; did you mean %s?", name, nearest);
    else
        refuse_with(r, &r->classes[0], REFUSAL_FEATURE_UNKNOWN, name,
                    "spec.features: there is no feature %s; `drawbridge features` lists them",
                    name);
}

// The API servers decide what is there; where there is none, everybody.
static bool decides(const struct resolver *r, const struct class *c)
{
    if (c->instance->component == COMPONENT_APISERVER)
        return true;
    for (size_t i = 0; i < r->classes_len; i++)
        if (r->classes[i].instance->component == COMPONENT_APISERVER)
            return false;
    return true;
}

// While they roll between minors, it is there when one of them has it.
static void judge_minor(struct resolver *r, const struct feature_row *row)
{
    const struct class *without = NULL;
    bool there = false;
    for (size_t i = 0; i < r->classes_len; i++) {
        const struct class *c = &r->classes[i];
        if (!decides(r, c))
            continue;
        if (gates_feature_gates(row, gates_feature_minor(r->table, c->emulated)) != NULL)
            there = true;
        else if (without == NULL)
            without = c;
    }
    struct version first = {0};
    if (there || without == NULL || !gates_feature_since(r->table, row->name, &first))
        return;
    if (first.minor > without->emulated)
        refuse_with(r, without, REFUSAL_FEATURE_UNAVAILABLE, row->name,
                    "feature %s exists from Kubernetes 1.%d on; upgrade first or take it out of "
                    "spec.features",
                    row->name, first.minor);
    else
        refuse_with(r, without, REFUSAL_FEATURE_UNAVAILABLE, row->name,
                    "this version has no feature %s any more; take it out of spec.features",
                    row->name);
}

static void judge_conflicts(struct resolver *r, const struct class *c)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)r->intent->feature_gates, name, value) {
        const char *feature = wants_feature(r, c, name);
        if (feature != NULL && !json_is_true(value))
            refuse_with(r, c, REFUSAL_FEATURE_CONFLICT, feature,
                        "feature %s needs feature gate %s, which spec.featureGates turns off; take "
                        "one of the two out",
                        feature, name);
    }
}

void wants_judge_features(struct resolver *r)
{
    if (r->classes_len == 0)
        return;
    for (size_t i = 0; i < json_array_size(r->intent->features); i++) {
        const char *name = json_string_value(json_array_get(r->intent->features, i));
        if (name != NULL)
            judge_name(r, name);
    }
    for (size_t i = 0; i < r->features_len; i++)
        judge_minor(r, r->features[i]);
    for (size_t i = 0; i < r->classes_len && r->features_len > 0; i++)
        if (decides(r, &r->classes[i]))
            judge_conflicts(r, &r->classes[i]);
}

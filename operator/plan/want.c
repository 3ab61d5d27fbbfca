// SPDX-License-Identifier: Apache-2.0
// What one instance must be asked for, and how that differs from what is written there.
#include <string.h>

#include "plan_internal.h"

static const json_t *owned(const struct plan_instance *instance, const char *map)
{
    return doc_get(instance->reported, "owned", map, NULL);
}

// Entries of others that were taken out: names.
static const json_t *removed(const struct plan_instance *instance, const char *map)
{
    return doc_get(instance->reported, "removed", map, NULL);
}

static bool has_name(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        if (str_eq(json_string_value(json_array_get(names, i)), name))
            return true;
    }
    return false;
}

// By kinds: what is wanted and reported as maps, and the names of what shall not stand.
static const struct {
    const char *map, *without;
} kinds[] = {{"featureGates", "withoutFeatureGates"}, {"runtimeConfig", "withoutRuntimeConfig"}};

// Whether something that shall not stand does, or something that was taken out is given back.
static bool without_changes(const json_t *want, const struct plan_instance *instance, size_t kind,
                            bool given_back)
{
    const json_t *names = json_object_get(want, kinds[kind].without);
    const json_t *out = removed(instance, kinds[kind].map);
    const json_t *stands = json_object_get(instance->reported, kinds[kind].map);

    for (size_t i = 0; !given_back && i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        if (name && json_object_get(stands, name))
            return true;
    }
    for (size_t i = 0; given_back && i < json_array_size(out); i++) {
        const char *name = json_string_value(json_array_get(out, i));

        if (name && !has_name(names, name))
            return true;
    }
    return false;
}

bool plan_same_names(const json_t *a, const json_t *b)
{
    return json_array_size(a) == json_array_size(b) && (json_array_size(a) == 0 || doc_equal(a, b));
}

bool plan_same_map(const json_t *a, const json_t *b)
{
    if (json_object_size(a) == 0 && json_object_size(b) == 0)
        return true;
    return doc_equal(a, b);
}

// Part of map a that b does not have, or has with another value.
static bool is_subset(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;
    json_t *map = doc_copy(a);
    bool subset = true;

    if (!map)
        return true;
    json_object_foreach(map, name, value) {
        if (!doc_equal(json_object_get(b, name), value))
            subset = false;
    }
    json_decref(map);
    return subset;
}

json_t *plan_want(const struct plan_instance *instance, const struct gates_desired *desired)
{
    json_t *want = json_object();
    char digest[DOC_DIGEST_BYTES];

    json_object_set_new(want, "name", doc_string(component_name(instance->component)));
    json_object_set_new(want, "featureGates", doc_copy(desired->feature_gates));
    if (instance->component == COMPONENT_APISERVER)
        json_object_set_new(want, "runtimeConfig", doc_copy(desired->runtime_config));
    json_object_set_new(want, "expect", doc_copy(desired->effective));
    // Where there are none, a revision is what it was before there were such.
    if (json_array_size(desired->without_gates))
        json_object_set_new(want, kinds[0].without, doc_copy(desired->without_gates));
    if (json_array_size(desired->without_runtime))
        json_object_set_new(want, kinds[1].without, doc_copy(desired->without_runtime));
    doc_digest_tree(want, digest);
    digest[PLAN_REVISION_BYTES - 1] = '\0';
    json_object_set_new(want, "revision", doc_string(digest));
    return want;
}

bool plan_want_changes(const json_t *want, const struct plan_instance *instance)
{
    for (size_t k = 0; k < COUNT(kinds); k++) {
        if (!plan_same_map(json_object_get(want, kinds[k].map), owned(instance, kinds[k].map)) ||
            without_changes(want, instance, k, false) || without_changes(want, instance, k, true))
            return true;
    }
    return false;
}

bool plan_want_is_met(const json_t *want, const struct plan_instance *instance)
{
    const json_t *enabled = json_object_get(instance->reported, "enabled");
    json_t *expect = json_object_get(want, "expect");
    const char *name;
    json_t *value;

    if (instance->blind)
        return true;
    json_object_foreach(expect, name, value) {
        const json_t *now = json_object_get(enabled, name);
        // A gate that the binary does not list is off.
        if (json_is_true(value) ? !json_is_true(now) : json_is_true(now))
            return false;
    }
    return true;
}

bool plan_want_is_cleanup(const json_t *want, const struct plan_instance *instance)
{
    const json_t *gates = json_object_get(want, "featureGates");
    const json_t *runtime = json_object_get(want, "runtimeConfig");
    const json_t *expect = json_object_get(want, "expect");
    json_t *written = doc_copy(owned(instance, "featureGates"));
    const char *name;
    json_t *value;
    bool cleanup = is_subset(gates, owned(instance, "featureGates")) &&
                   is_subset(runtime, owned(instance, "runtimeConfig"));

    // An entry whose gate nobody expects anything of any more is a wish taken back, not a leftover.
    json_object_foreach(written, name, value) {
        if (!json_object_get(gates, name) && !json_object_get(expect, name))
            cleanup = false;
    }
    json_decref(written);
    for (size_t k = 0; k < COUNT(kinds); k++)
        cleanup = cleanup && !without_changes(want, instance, k, true);
    if (json_object_size(runtime) != json_object_size(owned(instance, "runtimeConfig")))
        cleanup = cleanup && json_is_true(json_object_get(expect, "DynamicResourceAllocation"));
    return cleanup && plan_want_is_met(want, instance);
}

static void add_shown(struct buf *text, const char *name, const json_t *value)
{
    AUTO_MEM char *shown =
        json_is_string(value) ? str_dup(json_string_value(value)) : doc_print_json(value);

    buf_printf(text, "%s+%s=%s", text->len ? " " : "", name, shown);
}

static void add_changes(struct buf *text, const json_t *now, const json_t *want)
{
    const char *name;
    json_t *value;
    json_t *was = doc_copy(now), *to = doc_copy(want);

    json_object_foreach(to, name, value) {
        if (!doc_equal(json_object_get(was, name), value))
            add_shown(text, name, value);
    }
    json_object_foreach(was, name, value) {
        if (!json_object_get(to, name))
            buf_printf(text, "%s-%s", text->len ? " " : "", name);
    }
    json_decref(was);
    json_decref(to);
}

// What others had said: what goes, and what comes back.
static void add_without(struct buf *text, const json_t *want, const struct plan_instance *instance,
                        size_t kind)
{
    const json_t *names = json_object_get(want, kinds[kind].without);
    const json_t *out = removed(instance, kinds[kind].map);

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        if (name && doc_get(instance->reported, kinds[kind].map, name, NULL))
            buf_printf(text, "%s-%s", text->len ? " " : "", name);
    }
    for (size_t i = 0; i < json_array_size(out); i++) {
        const char *name = json_string_value(json_array_get(out, i));
        const json_t *stood =
            name ? doc_get(instance->reported, "replaced", kinds[kind].map, name, NULL) : NULL;

        if (stood && !has_name(names, name))
            add_shown(text, name, stood);
    }
}

char *plan_step_summary(const struct plan_step *step, const struct plan_instance *instance)
{
    AUTO_BUF struct buf text = buf_make(4096);

    add_changes(&text, owned(instance, "featureGates"),
                json_object_get(step->want, "featureGates"));
    add_changes(&text, owned(instance, "runtimeConfig"),
                json_object_get(step->want, "runtimeConfig"));
    for (size_t k = 0; k < COUNT(kinds); k++)
        add_without(&text, step->want, instance, k);
    return buf_take(&text);
}

const char *plan_revision(const struct gates_intent *intent, char *ret)
{
    AUTO_JSON json_t *tree = json_object();
    char digest[DOC_DIGEST_BYTES];

    json_object_set_new(tree, "featureGates",
                        intent->feature_gates ? doc_copy(intent->feature_gates) : json_object());
    json_object_set_new(tree, "runtimeConfig",
                        intent->runtime_config ? doc_copy(intent->runtime_config) : json_object());
    json_object_set_new(tree, "allowAlpha", json_boolean(intent->allow_alpha));
    // Where there are none, a revision is what it was before there were features.
    if (json_array_size(intent->features))
        json_object_set_new(tree, "features", doc_copy(intent->features));
    if (intent->remove_foreign && intent->prepare_for.major) {
        AUTO_MEM char *minor = version_format_minor(intent->prepare_for);

        json_object_set_new(tree, "removeFor", doc_string(minor));
    }
    doc_digest_tree(tree, digest);
    memcpy(ret, digest, PLAN_REVISION_BYTES - 1);
    ret[PLAN_REVISION_BYTES - 1] = '\0';
    return ret;
}

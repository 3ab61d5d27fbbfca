// SPDX-License-Identifier: Apache-2.0
// Which intent is in force: the spec's, or after its roll-out was put back, the last known good one
// from the history.
#include <string.h>

#include "drawbridge/plan.h"

#define HISTORY_MAX 5

static const json_t *find_known_good(const struct api_config *config)
{
    const json_t *history = json_object_get(config->status, "history");
    const char *wanted = doc_str(config->status, "lastKnownGoodRevision", NULL);

    for (size_t i = 0; *wanted && i < json_array_size(history); i++) {
        const json_t *entry = json_array_get(history, i);

        if (str_eq(doc_str(entry, "revision", NULL), wanted) && json_object_get(entry, "intent"))
            return json_object_get(entry, "intent");
    }
    return NULL;
}

// Of a minor for which entries of others go. Major 0: none.
static struct version read_minor(const char *text, bool remove)
{
    struct version minor = {0};

    return remove && version_parse(text, &minor) ? minor : (struct version){0};
}

static struct version good_minor(const json_t *intent)
{
    return read_minor(doc_str(intent, "prepareFor", NULL),
                      str_eq(doc_str(intent, "foreignEntries", NULL), "Remove"));
}

bool intent_known_good(const struct api_config *config, struct gates_intent *ret_good)
{
    const json_t *found = find_known_good(config);

    if (!found)
        return false;
    *ret_good = (struct gates_intent){
        .feature_gates = json_object_get(found, "featureGates"),
        .runtime_config = json_object_get(found, "runtimeConfig"),
        .allow_alpha = doc_bool(found, false, "allowAlpha", NULL),
        .features = json_object_get(found, "features"),
        .prepare_for = good_minor(found),
        .remove_foreign = good_minor(found).major != 0,
    };
    return true;
}

// Names in any order are the same wish.
static json_t *sorted_names(const json_t *names)
{
    AUTO_STRLIST struct strlist list = {0};
    json_t *sorted;

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name)
            strlist_add(&list, name);
    }
    if (!list.len)
        return NULL;
    strlist_sort(&list);
    sorted = json_array();
    for (size_t i = 0; i < list.len; i++)
        json_array_append_new(sorted, doc_string(list.items[i]));
    return sorted;
}

static json_t *object_or_empty(const json_t *tree)
{
    return json_is_object(tree) ? doc_copy(tree) : json_object();
}

void intent_make(const struct api_config *config, struct intent *ret_intent)
{
    AUTO_JSON json_t *features = sorted_names(config->features);
    struct version prepare_for = read_minor(config->prepare_for, config->remove_foreign);
    struct gates_intent asked = {
        .feature_gates = config->feature_gates,
        .runtime_config = config->runtime_config,
        .allow_alpha = config->allow_alpha,
        .features = features,
        .prepare_for = prepare_for,
        .remove_foreign = prepare_for.major != 0,
    };
    struct intent intent = {.allow_alpha = config->allow_alpha};
    const json_t *from = NULL;
    bool retry;

    plan_revision(&asked, intent.asked_revision);
    retry = config->reconcile_requested_at &&
            !str_eq(config->reconcile_requested_at,
                    doc_str(config->status, "lastHandledReconcileAt", NULL));
    intent.again = retry;
    if (!retry &&
        str_eq(doc_str(config->status, "lastAttemptedRevision", NULL), intent.asked_revision))
        intent.started = doc_str(config->status, "lastAttemptedAt", NULL);
    intent.fresh = retry || !str_eq(doc_str(config->status, "lastAttemptedRevision", NULL),
                                    intent.asked_revision);
    from = find_known_good(config);
    intent.known_good = from && str_eq(doc_str(config->status, "lastKnownGoodRevision", NULL),
                                       intent.asked_revision);
    intent.rolled_back =
        !config->deleting && !retry && !intent.known_good &&
        str_eq(doc_str(config->status, "failedRevision", NULL), intent.asked_revision);
    if (config->deleting) {
        intent.feature_gates = json_object();
        intent.runtime_config = json_object();
    } else if (intent.rolled_back) {
        intent.feature_gates = object_or_empty(json_object_get(from, "featureGates"));
        intent.runtime_config = object_or_empty(json_object_get(from, "runtimeConfig"));
        intent.features = sorted_names(json_object_get(from, "features"));
        intent.allow_alpha = doc_bool(from, false, "allowAlpha", NULL);
        intent.prepare_for = good_minor(from);
    } else {
        intent.feature_gates = doc_copy(config->feature_gates);
        intent.runtime_config = doc_copy(config->runtime_config);
        intent.features = json_incref(features);
        intent.prepare_for = prepare_for;
    }
    asked = intent_gates(&intent);
    plan_revision(&asked, intent.revision);
    *ret_intent = intent;
}

void intent_fini(struct intent *intent)
{
    json_decref(intent->feature_gates);
    json_decref(intent->runtime_config);
    json_decref(intent->features);
    *intent = (struct intent){0};
}

struct gates_intent intent_gates(const struct intent *intent)
{
    return (struct gates_intent){
        .feature_gates = intent->feature_gates,
        .runtime_config = intent->runtime_config,
        .allow_alpha = intent->allow_alpha,
        .features = intent->features,
        .prepare_for = intent->prepare_for,
        .remove_foreign = intent->prepare_for.major != 0,
    };
}

bool plan_enables(const struct gates_intent *intent)
{
    const json_t *core = json_object_get(intent->feature_gates, "DynamicResourceAllocation");

    if (core)
        return json_is_true(core);
    return json_object_size(intent->feature_gates) > 0 ||
           json_object_size(intent->runtime_config) > 0 || json_array_size(intent->features) > 0;
}

static json_t *make_entry(const struct intent *intent, const char *result, const char *reason,
                          const char *message, const char *started)
{
    json_t *entry = json_object();

    // What failed is the spec's revision; what is in force by then is another.
    json_object_set_new(entry, "revision", doc_string(intent->asked_revision));
    json_object_set_new(entry, "result", doc_string(result));
    if (*reason)
        json_object_set_new(entry, "reason", doc_string(reason));
    if (*message)
        json_object_set_new(entry, "message", doc_string_of(slice_of(message), 1024));
    json_object_set_new(entry, "startedAt", doc_string(started));
    return entry;
}

static bool has_good_entry(const json_t *history, size_t from)
{
    for (size_t i = from; i < json_array_size(history); i++) {
        if (json_object_get(json_array_get(history, i), "intent"))
            return true;
    }
    return false;
}

// The entries that stay behind a new one. One of a revision will do, but what was applied is not
// forgotten because the same revision failed later; and the newest entry that was applied is kept
// however many came after it: it is what there is to go back to.
static void keep_entries(json_t *history, const json_t *was, const char *revision, bool applied)
{
    bool good = applied; // the newest one that was applied is in it
    size_t len = json_array_size(was), i = 0;

    while (i < len && str_eq(doc_str(json_array_get(was, i), "revision", NULL), revision) &&
           (applied || !json_object_get(json_array_get(was, i), "intent")))
        i++;
    for (; i < len; i++) {
        const json_t *entry = json_array_get(was, i);
        bool last = json_array_size(history) == HISTORY_MAX - 1;

        if (json_array_size(history) == HISTORY_MAX)
            return;
        if (last && !good && !json_object_get(entry, "intent") && has_good_entry(was, i))
            continue;
        good = good || json_object_get(entry, "intent");
        json_array_append_new(history, doc_copy(entry));
    }
}

json_t *intent_history(const json_t *was, const struct intent *intent, const char *result,
                       const char *reason, const char *message, int64_t now_wall_ms)
{
    char now[CLOCK_TEXT_BYTES];
    const json_t *first = json_array_get(was, 0);
    bool same = str_eq(doc_str(first, "revision", NULL), intent->asked_revision);
    const char *started = intent->started && *intent->started ? intent->started
                          : same                              ? doc_str(first, "startedAt", NULL)
                                                              : "";
    json_t *history = json_array();
    json_t *entry;

    clock_format(now_wall_ms, now);
    entry = make_entry(intent, result, reason, message, *started ? started : now);
    json_object_set_new(entry, "finishedAt", doc_string(now));
    if (str_eq(result, "Applied")) {
        json_t *kept = json_object();

        json_object_set(kept, "featureGates", intent->feature_gates);
        json_object_set(kept, "runtimeConfig", intent->runtime_config);
        if (intent->features)
            json_object_set(kept, "features", intent->features);
        json_object_set_new(kept, "allowAlpha", json_boolean(intent->allow_alpha));
        if (intent->prepare_for.major) {
            AUTO_MEM char *minor = version_format_minor(intent->prepare_for);

            json_object_set_new(kept, "prepareFor", doc_string(minor));
            json_object_set_new(kept, "foreignEntries", json_string("Remove"));
        }
        json_object_set_new(entry, "intent", kept);
    }
    json_array_append_new(history, entry);
    keep_entries(history, was, intent->asked_revision, str_eq(result, "Applied"));
    return history;
}

// SPDX-License-Identifier: Apache-2.0
// REPORT: the status of a DRAConfiguration, written only when it differs, and the events that its
// changes are.
#include "controller_internal.h"

#define OBSERVE_AGAIN_MS 30000 // nobody tells us when somebody else turns the API on
#define SERVED_AGAIN_MS 5000   // everything is read back, discovery lags a moment

static void put_str(json_t *object, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(object, key, doc_string(value));
}

// --- components ----------------------------------------------------------------------------------

static char *entries_text(const struct gates_desired *desired)
{
    AUTO_BUF struct buf text = buf_make(8192);
    const char *name;
    json_t *value;

    json_object_foreach(desired->feature_gates, name, value) {
        buf_printf(&text, "%s%s=%s", text.len ? "," : "", name,
                   json_is_true(value) ? "true" : "false");
    }
    json_object_foreach(desired->runtime_config, name, value) {
        buf_printf(&text, "%s%s=%s", text.len ? "," : "", name, json_string_value(value));
    }
    return buf_take(&text);
}

static const json_t *find_named(const json_t *list, const char *key, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(doc_str(json_array_get(list, i), key, NULL), name))
            return json_array_get(list, i);
    }
    return NULL;
}

// A pass that plans nothing has nothing new to say of it, and must not forget it.
static void keep_object(const struct pass *pass, enum component component, json_t *made)
{
    static const char *const kept[] = {"object", "writtenRevision", "reverted"};
    const json_t *was = find_named(json_object_get(pass->config.status, "components"), "name",
                                   component_name(component));

    for (size_t i = 0; i < COUNT(kept); i++) {
        if (json_object_get(was, kept[i]))
            json_object_set_new(made, kept[i], doc_copy(json_object_get(was, kept[i])));
    }
}

// In which object a component's flags are, what we wrote there, and how often it was undone.
static void put_object(const struct pass *pass, enum component component, json_t *made)
{
    if (!platform_traits(pass->observed->type)->objects)
        return;
    if (!pass->planned)
        keep_object(pass, component, made);
    for (size_t i = 0; pass->planned && i < pass->plan.len; i++) {
        const struct plan_step *step = &pass->plan.steps[i];
        const struct plan_instance *instance = &pass->observed->instances[step->instance];
        const char *written = doc_str(instance->reported, "writtenRevision", NULL);

        if (instance->component != component)
            continue;
        // All three are of one object.
        json_object_del(made, "writtenRevision");
        json_object_del(made, "reverted");
        // What has gone out in this pass is not observed yet.
        if (step->state == PLAN_NOW && pass->applied)
            written = json_object_size(json_object_get(step->want, "featureGates")) +
                                  json_object_size(json_object_get(step->want, "runtimeConfig")) >
                              0
                          ? step->revision
                          : "";
        put_str(made, "object", doc_str(instance->reported, "object", NULL));
        put_str(made, "writtenRevision", written);
        if (doc_int(instance->reported, 0, "reverted", NULL) > 0)
            json_object_set_new(
                made, "reverted",
                json_integer((json_int_t)doc_int(instance->reported, 0, "reverted", NULL)));
    }
}

static json_t *make_component(const struct pass *pass, enum component component)
{
    json_t *made = json_object();
    AUTO_STRLIST struct strlist versions = {0};
    json_t *list = json_array();
    const struct plan_count *counts = &pass->plan.counts[component];
    bool told = false;

    json_object_set_new(made, "name", doc_string(component_name(component)));
    for (size_t i = 0; i < pass->observed->len; i++) {
        const struct plan_instance *instance = &pass->observed->instances[i];

        if (instance->component != component)
            continue;
        // Templates come last and speak only where nothing runs.
        if (pass->resolved && pass->resolution.refusals_len == 0 && !told) {
            AUTO_MEM char *text = entries_text(&pass->resolution.desired[i]);
            put_str(made, "desired", text);
            told = !instance->object;
        }
        if (!instance->object && instance->version.major)
            strlist_take(&versions, version_format(instance->version));
    }
    if (pass->planned) {
        json_object_set_new(made, "instances", json_integer(counts->instances));
        json_object_set_new(made, "updated", json_integer(counts->updated));
        json_object_set_new(made, "ready", json_integer(counts->ready));
    }
    AUTO_MEM char *removed =
        plan_removed_text(pass->observed->instances, pass->observed->len, component);
    put_str(made, "removed", removed);
    put_object(pass, component, made);
    strlist_sort(&versions);
    for (size_t i = 0; i < versions.len && i < 64; i++)
        json_array_append_new(list, doc_string(versions.items[i]));
    json_object_set_new(made, "versions", list);
    return made;
}

static void put_components(const struct pass *pass, json_t *status)
{
    json_t *components = json_array();
    AUTO_MEM char *summary = NULL;
    unsigned right = 0;

    for (int i = 0; i < COMPONENT_COUNT; i++) {
        json_array_append_new(components, make_component(pass, (enum component)i));
        right += pass->planned && pass->plan.counts[i].updated == pass->plan.counts[i].instances;
    }
    json_object_set_new(status, "components", components);
    if (!pass->planned)
        return;
    summary = str_format("%u/%d", right, COMPONENT_COUNT);
    put_str(status, "componentSummary", summary);
}

static void put_nodes(const struct pass *pass, json_t *status)
{
    unsigned updated = 0, failed = 0, missing = 0, not_ready = 0, nodes;

    for (size_t i = 0; i < pass->plan.len; i++) {
        const struct plan_step *step = &pass->plan.steps[i];
        const struct plan_instance *instance = &pass->observed->instances[step->instance];

        if (instance->object || instance->elsewhere || instance->beside ||
            instance->component != COMPONENT_KUBELET)
            continue;
        nodes = instance->node ? 1 : instance->nodes;
        updated += step->state == PLAN_DONE ? nodes : 0;
        failed += step->state == PLAN_FAILED || step->state == PLAN_BLOCKED ? nodes : 0;
        missing += step->state == PLAN_MISSING;
        not_ready += instance->not_ready_ms != 0;
    }
    doc_set(status, json_integer(pass->observed->managed_nodes), "nodes", "managed", NULL);
    doc_set(status, json_integer(pass->observed->unmanaged_nodes), "nodes", "ignored", NULL);
    if (!pass->planned)
        return;
    doc_set(status, json_integer(updated), "nodes", "updated", NULL);
    doc_set(status, json_integer(failed), "nodes", "failed", NULL);
    doc_set(status, json_integer(missing), "nodes", "withoutAgent", NULL);
    doc_set(status, json_integer(not_ready), "nodes", "notReady", NULL);
}

// --- what was seen -------------------------------------------------------------------------------

static char *versions_text(const struct pass *pass)
{
    struct version oldest = pass->observed->server, newest = pass->observed->server;
    AUTO_MEM char *from = NULL;
    AUTO_MEM char *to = NULL;

    for (size_t i = 0; i < pass->observed->len; i++) {
        const struct plan_instance *instance = &pass->observed->instances[i];

        if (instance->object || instance->component != COMPONENT_APISERVER ||
            !instance->version.major)
            continue;
        if (version_compare_minor(instance->version, oldest) < 0)
            oldest = instance->version;
        if (version_compare_minor(instance->version, newest) > 0)
            newest = instance->version;
    }
    from = version_format(oldest);
    to = version_format(newest);
    return str_eq(from, to) ? TAKE(from) : str_format("%s-%s", from, to);
}

static void put_observed(const struct pass *pass, json_t *status)
{
    AUTO_MEM char *version = versions_text(pass);
    AUTO_STRLIST struct strlist served = {0};
    AUTO_MEM char *summary = NULL;

    put_str(status, "platform", platform_type_name(pass->observed->type));
    put_str(status, "kubernetesVersion", version);
    doc_set(status, json_string("resource.k8s.io"), "api", "group", NULL);
    doc_set(status, doc_copy(pass->observed->served), "api", "served", NULL);
    if (pass->resolved)
        doc_set(status, doc_copy(pass->resolution.needed), "api", "needed", NULL);
    for (size_t i = 0; i < json_array_size(pass->observed->served); i++)
        strlist_add(&served, json_string_value(json_array_get(pass->observed->served, i)));
    summary = strlist_join(&served, ",");
    put_str(status, "apiSummary", summary);
    put_components(pass, status);
    report_put_features(pass, status);
    put_nodes(pass, status);
}

// --- revisions -----------------------------------------------------------------------------------

static void note_failure(struct pass *pass, json_t *status)
{
    const struct plan_step *step = &pass->plan.steps[pass->plan.undo];
    const struct plan_instance *instance = &pass->observed->instances[step->instance];
    AUTO_MEM char *message =
        str_format("%s: %s", instance->id, doc_str(instance->reported, "message", NULL));

    json_object_set_new(status, "failedRevision", doc_string(pass->intent.asked_revision));
    json_object_set_new(
        status, "history",
        intent_history(json_object_get(pass->config.status, "history"), &pass->intent, "RolledBack",
                       doc_str(instance->reported, "reason", NULL), message, clock_wall_ms()));
    events_emit(pass->controller->events, pass->object, true, "RollingBack",
                "Revision %s is put back: %s", pass->intent.asked_revision, message);
    pass->after_ms = 1; // our own status change wakes nobody
}

static void note_success(struct pass *pass, json_t *status)
{
    const json_t *history = json_object_get(pass->config.status, "history");
    const json_t *last = json_array_get(history, 0);

    json_object_set_new(status, "lastAppliedRevision", doc_string(pass->intent.asked_revision));
    json_object_set_new(status, "lastKnownGoodRevision", doc_string(pass->intent.asked_revision));
    if (!str_eq(doc_str(last, "revision", NULL), pass->intent.asked_revision) ||
        !str_eq(doc_str(last, "result", NULL), "Applied"))
        json_object_set_new(
            status, "history",
            intent_history(history, &pass->intent, "Applied", "", "", clock_wall_ms()));
}

// When the revision was tried first: what status.history[].startedAt will say.
static void put_attempt(const struct pass *pass, json_t *status)
{
    char now[CLOCK_TEXT_BYTES];

    clock_format(clock_wall_ms(), now);
    put_str(status, "lastAttemptedAt",
            pass->intent.started && *pass->intent.started ? pass->intent.started : now);
}

// In which other cluster something of ours is. Where flags are elsewhere than the driver, that is
// the driver alone, and without it another cluster may come in its place.
static void put_cluster(const struct pass *pass, json_t *status)
{
    bool drives = *doc_str(status, "driver", "release", NULL);

    if (!pass_drives_elsewhere(pass)) {
        if ((pass->planned && pass_writes(pass)) || drives)
            put_str(status, "clusterUID", cluster_uid(pass->cluster));
    } else if (drives && pass->driver) {
        put_str(status, "clusterUID", cluster_uid(pass->workload));
    } else if (!drives) {
        json_object_del(status, "clusterUID");
    }
}

static void put_revisions(struct pass *pass, json_t *status)
{
    static const char *const kept[] = {"lastAttemptedRevision",
                                       "lastAttemptedAt",
                                       "lastAppliedRevision",
                                       "lastKnownGoodRevision",
                                       "history",
                                       "lastHandledReconcileAt",
                                       "clusterUID",
                                       "observedClusterUID"};

    for (size_t i = 0; i < COUNT(kept); i++) {
        if (json_object_get(pass->config.status, kept[i]))
            json_object_set_new(status, kept[i],
                                doc_copy(json_object_get(pass->config.status, kept[i])));
    }
    put_cluster(pass, status);
    // What is to be tried again and has not had its turn is asked for in the next pass too.
    if (pass->config.reconcile_requested_at && !(pass->planned && pass->plan.again))
        json_object_set_new(status, "lastHandledReconcileAt",
                            doc_string(pass->config.reconcile_requested_at));
    if (pass->intent.rolled_back)
        json_object_set_new(status, "failedRevision", doc_string(pass->intent.asked_revision));
    if (!pass->planned || pass->config.deleting)
        return;
    put_str(status, "lastAttemptedRevision", pass->intent.asked_revision);
    put_attempt(pass, status);
    if (pass->intent.rolled_back)
        return;
    // A revision that was good before stays in force, whatever fails now: there is nothing better
    // to go back to, and what runs well with it is let be.
    if (pass->plan.undo < pass->plan.len && !pass->intent.known_good && pass->config.rollback &&
        pass_writes(pass))
        note_failure(pass, status);
    else if (pass->plan.complete)
        note_success(pass, status);
}

// --- events --------------------------------------------------------------------------------------

static void emit_component_events(struct pass *pass)
{
    const json_t *components = json_object_get(pass->status, "components");

    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *now = json_array_get(components, i);
        const char *name = doc_str(now, "name", NULL);
        const json_t *was =
            find_named(json_object_get(pass->config.status, "components"), "name", name);
        int64_t updated = doc_int(now, 0, "updated", NULL);

        if (was && updated > doc_int(was, updated, "updated", NULL))
            events_emit(pass->controller->events, pass->object, false, "ComponentUpdated",
                        "%s: %lld of %lld updated and read back", name, (long long)updated,
                        (long long)doc_int(now, 0, "instances", NULL));
    }
}

static void emit_ready_event(struct pass *pass)
{
    const json_t *was =
        find_named(json_object_get(pass->config.status, "conditions"), "type", "Ready");
    const json_t *now = find_named(json_object_get(pass->status, "conditions"), "type", "Ready");
    const char *reason = doc_str(now, "reason", NULL);
    bool ready = str_eq(doc_str(now, "status", NULL), "True");
    const struct api_reason *known = api_reason_find(reason);

    if (str_eq(doc_str(was, "status", NULL), doc_str(now, "status", NULL)) &&
        str_eq(doc_str(was, "reason", NULL), reason))
        return;
    events_emit(pass->controller->events, pass->object, known && api_reason_warns(known) && !ready,
                ready ? "Ready" : reason, "%s", doc_str(now, "message", NULL));
}

// --- the step ------------------------------------------------------------------------------------

static bool on_report_seen(void *owner, const struct kube_glance *glance)
{
    const struct pass *pass = owner;

    return watch_note_glance(pass->controller->configs, glance);
}

static void on_reported(void *owner, struct error *take_err, json_t *take_body)
{
    struct pass *pass = owner;

    if (!take_err) {
        if (!json_is_null(take_body)) // else a look at its text was enough
            watch_note_write(pass->controller->configs, take_body);
        // A status is no news to on_config(), but it is what a mirror shows.
        adopter_note_config(pass->controller->adopter, pass->walk.key);
        emit_component_events(pass);
        emit_ready_event(pass);
    }
    json_decref(take_body);
    walk_continue(&pass->walk, error_wrap(take_err, "report the status"));
}

void report_choose_next_look(struct pass *pass)
{
    bool ready = api_conditions_state(pass->conditions, CONDITION_READY) == STATE_TRUE;

    uint64_t again_ms = 0;

    if (ready || pass->walk.failed || !pass->resolved)
        return;
    if (pass->observed->api_unread) {
        // One that does not answer is asked later each time.
        again_ms = pass->observed->again_ms > 0 ? pass->observed->again_ms : OBSERVE_AGAIN_MS;
    } else if (platform_traits(pass->observed->type)->writes) {
        bool served =
            api_conditions_state(pass->conditions, CONDITION_RESOURCE_API_SERVED) == STATE_TRUE;

        if (pass->planned && pass->plan.complete && !pass->intent.rolled_back &&
            (pass->plan.done || !served))
            again_ms = SERVED_AGAIN_MS;
    } else if (pass->observed->edition == 0 ||
               scouts_ask(pass->controller->scouts, pass->cluster, pass->walk.key)) {
        again_ms = OBSERVE_AGAIN_MS;
    }
    // The driver alone may have chosen a much later one.
    if (again_ms > 0 && (pass->after_ms == 0 || again_ms < pass->after_ms))
        pass->after_ms = again_ms;
}

struct error *step_report(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    AUTO_JSON json_t *difference = NULL;
    AUTO_JSON json_t *body = NULL;
    struct kube_ref ref = config_ref(pass, "status");
    struct kube_patch patch = {.type = KUBE_PATCH_MERGE, .field_manager = API_FIELD_MANAGER_STATUS};
    int64_t generation = doc_int(pass->object, 0, "metadata", "generation", NULL);
    const json_t *was = json_object_get(pass->object, "status");

    *ret_verdict = VERDICT_NEXT;
    conditions_make(pass);
    report_choose_next_look(pass);
    // What could not be seen this time stays as it was: the last good state is kept.
    pass->status = pass->observed ? json_object() : was ? doc_copy(was) : json_object();
    json_object_set_new(pass->status, "observedGeneration", json_integer((json_int_t)generation));
    report_put_driver(pass, pass->status);
    if (pass->observed) {
        put_observed(pass, pass->status);
        put_revisions(pass, pass->status);
    }
    json_object_set_new(pass->status, "conditions",
                        api_conditions_merge(pass->conditions, json_object_get(was, "conditions"),
                                             generation, clock_wall_ms()));
    difference = doc_make_merge_patch(was, pass->status);
    if (!difference)
        return NULL;
    body = json_object();
    doc_set(body, doc_string(doc_str(pass->object, "metadata", "resourceVersion", NULL)),
            "metadata", "resourceVersion", NULL);
    json_object_set(body, "status", difference);
    patch.body = body;
    pass->walk.pending =
        kube_patch_glance(pass->home, &ref, &patch, on_report_seen, on_reported, pass);
    *ret_verdict = VERDICT_WAIT;
    return NULL;
}

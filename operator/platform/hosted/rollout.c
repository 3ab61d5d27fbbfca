// SPDX-License-Identifier: Apache-2.0
// How far a roll-out is, and what that says of the edit that caused it.
#include <string.h>

#include "hosted_internal.h"

// --- the workload --------------------------------------------------------------------------------

// Whether Kamaji has made the Deployment's args of what is in extraArgs.
static bool is_carried_out(const struct hosted_part *part)
{
    const json_t *containers =
        doc_get(part->workload, "spec", "template", "spec", "containers", NULL);
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO_JSON json_t *argv = NULL;
    AUTO_JSON json_t *there = NULL;
    AUTO_JSON json_t *ours = NULL;
    struct site_container container;
    struct error *err = site_container_find(containers, part->where, part->component, &container);

    if (!err) {
        argv = site_container_argv(&container, part->component);
        err = gates_flags_read(part->component, argv, &flags);
    }
    if (err) {
        error_ignore(err, "not there yet: the time for it is limited");
        return false;
    }
    // What we wrote must be there, and what we took out must be gone.
    there = json_pack("{s:O, s:O}", site_kinds[0], part->flags.feature_gates, site_kinds[1],
                      part->flags.runtime_config);
    ours = site_ours(there, &flags);
    return doc_equal(ours, there) &&
           json_object_size(flags.feature_gates) == json_object_size(part->flags.feature_gates);
}

struct rollout hosted_rollout_of(const struct hosted_part *part)
{
    struct rollout r = rollout_of(part->workload);

    if (part->kind == KIND_TENANT_CONTROL_PLANE && r.seen && !is_carried_out(part))
        r.seen = r.complete = r.stuck = false;
    return r;
}

// --- somebody else -------------------------------------------------------------------------------

static const json_t *find_last(const json_t *components, enum component component)
{
    for (size_t i = 0; i < json_array_size(components); i++) {
        if (str_eq(doc_str(json_array_get(components, i), "name", NULL), component_name(component)))
            return json_array_get(components, i);
    }
    return NULL;
}

// Who wrote the spec last beside us, as the object's managedFields tell; "" when they do not.
static const char *last_writer(const struct hosted_part *part)
{
    const json_t *entries = doc_get(part->object, "metadata", "managedFields", NULL);
    const char *who = "", *when = "";

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *manager = doc_str(entry, "manager", NULL), *time = doc_str(entry, "time", NULL);

        if (str_eq(manager, API_FIELD_MANAGER) || *doc_str(entry, "subresource", NULL) ||
            !doc_get(entry, "fieldsV1", "f:spec", NULL) || strcmp(time, when) < 0)
            continue;
        who = manager;
        when = time;
    }
    return who;
}

// How often what we wrote was undone, this time included.
static int64_t count_reverts(const struct hosted_part *part, const struct platform_target *target)
{
    const json_t *last = find_last(target->components, part->component);
    const char *written = doc_str(last, "writtenRevision", NULL);
    bool standing = part->record && part->stands;

    if (target->fresh)
        return 0;
    return doc_int(last, 0, "reverted", NULL) + (*written && !standing ? 1 : 0);
}

// --- the report ----------------------------------------------------------------------------------

struct judgement {
    const char *state, *reason; // reason NULL: none
    char *message;              // NULL: none
};

static bool is_met(const json_t *expect, const json_t *enabled)
{
    json_t *copy = doc_copy(expect);
    const char *name;
    json_t *value;
    bool met = true;

    json_object_foreach(copy, name, value) {
        // A gate that the binary does not list is off.
        if (json_is_true(value) != json_is_true(json_object_get(enabled, name)))
            met = false;
    }
    json_decref(copy);
    return met;
}

static void need_put_back(struct hosted_part *part, const char *reason, char *take_message)
{
    part->need = HOSTED_PUT_BACK;
    part->reason = reason;
    part->message = take_message;
}

// An edit whose roll-out is not known to be complete yet.
static struct judgement judge_running(struct hosted_part *part, const struct hosted_look *look,
                                      const struct rollout *r, uint64_t *again_ms)
{
    const char *since = doc_str(part->record, "since", NULL);
    int64_t left_ms = (int64_t)look->target->component_timeout_ms, since_ms;
    bool readable = part->component == COMPONENT_APISERVER && look->asked;
    bool met = look->enabled && is_met(json_object_get(part->record, "expect"), look->enabled);
    AUTO_MEM char *how = rollout_describe(r);

    if (clock_parse(since, &since_ms))
        left_ms = since_ms + left_ms - look->now_wall_ms;
    if (r->complete && (!readable || met || (!look->enabled && left_ms <= 0))) {
        part->need = HOSTED_SETTLE;
        return (struct judgement){.state = "UpToDate"};
    }
    if (r->complete && left_ms <= 0)
        need_put_back(part, "ReadBackMismatch",
                      str_dup("its roll-out is complete, but its /metrics do not show the gates "
                              "that it was given"));
    else if (r->stuck || left_ms <= 0)
        need_put_back(part, "ComponentNotReady",
                      str_format("%s %s%s%s", how,
                                 r->stuck ? "when its progressDeadlineSeconds were over"
                                          : "when rollout.componentTimeout was over",
                                 part->words ? "; " : "", part->words ? part->words : ""));
    else if (r->complete && (uint64_t)left_ms > HOSTED_READ_AGAIN_MS)
        left_ms = HOSTED_READ_AGAIN_MS;
    if (left_ms > 0 && (*again_ms == 0 || (uint64_t)left_ms < *again_ms))
        *again_ms = (uint64_t)left_ms;
    return (struct judgement){.state = "Updating",
                              .message =
                                  str_format("rolling out since %s: %s", since,
                                             r->complete ? "complete, not read back yet" : how)};
}

// It was put back. Also that is a roll-out, with the same time.
static struct judgement judge_failed(struct hosted_part *part, const struct hosted_look *look,
                                     const struct rollout *r, uint64_t *again_ms)
{
    const char *message = doc_str(part->record, "failed", "message", NULL);
    const char *since = doc_str(part->record, "since", NULL);
    int64_t left_ms = 0, since_ms;
    const struct api_reason *reason =
        api_reason_find(doc_str(part->record, "failed", "reason", NULL));
    AUTO_MEM char *how = rollout_describe(r);

    if (clock_parse(since, &since_ms))
        left_ms = since_ms + (int64_t)look->target->component_timeout_ms - look->now_wall_ms;
    if (r->complete)
        return (struct judgement){"Failed", reason ? reason->name : "ComponentNotReady",
                                  str_dup(message)};
    if (r->stuck || left_ms <= 0)
        return (struct judgement){"Failed", "RollbackFailed",
                                  str_format("%s; put back, and still %s", message, how)};
    if (*again_ms == 0 || (uint64_t)left_ms < *again_ms)
        *again_ms = (uint64_t)left_ms;
    return (struct judgement){
        .state = "RollingBack",
        .message = str_format("being put back since %s (%s): %s", since, message, how)};
}

static struct judgement judge(struct hosted_part *part, const struct hosted_look *look,
                              const struct rollout *r, int64_t reverts, uint64_t *again_ms)
{
    const char *who = last_writer(part);

    if (json_object_get(part->record, "failed") && !look->target->fresh)
        return judge_failed(part, look, r, again_ms);
    if (json_object_get(part->record, "failed")) {
        part->need = HOSTED_FORGET;
        return (struct judgement){.state = "Observed"};
    }
    if (reverts >= HOSTED_REVERTS_MAX && !(part->record && part->stands))
        return (struct judgement){"Reverted", "ChangesReverted",
                                  str_format("its flags were taken out again %lld times%s%s",
                                             (long long)reverts,
                                             *who ? ", last by the field manager " : "", who)};
    if (!part->record || !part->stands)
        return (struct judgement){.state = "Observed"};
    if (json_object_get(part->record, "settled"))
        return (struct judgement){.state = "UpToDate"};
    return judge_running(part, look, r, again_ms);
}

json_t *hosted_report(struct hosted_part *part, const struct hosted_look *look, uint64_t *again_ms)
{
    struct rollout r = hosted_rollout_of(part);
    int64_t reverts = count_reverts(part, look->target);
    struct judgement j = judge(part, look, &r, reverts, again_ms);
    json_t *report = json_object();
    bool standing = part->record && part->stands && !json_object_get(part->record, "failed");

    json_object_set_new(report, "object", doc_string(part->where));
    json_object_set_new(report, "state", doc_string(j.state));
    if (j.reason)
        json_object_set_new(report, "reason", doc_string(j.reason));
    if (j.message)
        json_object_set_new(report, "message", doc_string(j.message));
    mem_free(j.message);
    json_object_set_new(report, "healthy", json_boolean(r.complete && r.desired > 0));
    json_object_set_new(report, "reverted", json_integer((json_int_t)reverts));
    json_object_set_new(report, "revision", doc_string(doc_str(part->record, "revision", NULL)));
    if (standing && (json_object_size(doc_get(part->owned, "featureGates", NULL)) > 0 ||
                     json_object_size(doc_get(part->owned, "runtimeConfig", NULL)) > 0))
        json_object_set_new(report, "writtenRevision",
                            doc_string(doc_str(part->record, "revision", NULL)));
    json_object_set_new(report, "featureGates", doc_copy(part->flags.feature_gates));
    json_object_set_new(report, "runtimeConfig", doc_copy(part->flags.runtime_config));
    json_t *owned = doc_copy(part->owned);
    json_t *removed = site_take_removed(owned);

    json_object_set_new(report, "owned", owned);
    if (removed)
        json_object_set_new(report, "removed", removed);
    if (json_object_get(part->record, "replaced"))
        json_object_set_new(report, "replaced",
                            doc_copy(json_object_get(part->record, "replaced")));
    if (part->component == COMPONENT_APISERVER && look->enabled)
        json_object_set_new(report, "enabled", doc_copy(look->enabled));
    return report;
}

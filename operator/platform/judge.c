// SPDX-License-Identifier: Apache-2.0
// How far a roll-out is, and what that says of the edit that caused it.
#include <string.h>

#include "part.h"

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// --- somebody else -------------------------------------------------------------------------------

struct error *platform_check_owner(const json_t *object, const char *where, const char *but)
{
    static const struct {
        const char *map, *key, *who;
    } marks[] = {
        {"labels", "kustomize.toolkit.fluxcd.io/name", "the Flux Kustomization"},
        {"labels", "helm.toolkit.fluxcd.io/name", "the Flux HelmRelease"},
        {"labels", "argocd.argoproj.io/instance", "the Argo CD Application"},
        {"annotations", "argocd.argoproj.io/tracking-id", "the Argo CD Application of"},
    };
    const json_t *owners = doc_get(object, "metadata", "ownerReferences", NULL);

    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);

        if (doc_bool(owner, false, "controller", NULL) &&
            !(but && str_starts(doc_str(owner, "apiVersion", NULL), but)))
            return error_because(
                ERROR_INVALID, "NotManaged",
                "%s is owned by %s %s (%s), which would undo a change; set the flags there", where,
                doc_str(owner, "kind", NULL), doc_str(owner, "name", NULL),
                doc_str(owner, "apiVersion", NULL));
    }
    for (size_t i = 0; i < COUNT(marks); i++) {
        const char *name = doc_str(object, "metadata", marks[i].map, marks[i].key, NULL);

        if (*name)
            return error_because(
                ERROR_INVALID, "NotManaged",
                "%s belongs to %s %s, which would undo a change; set the flags there", where,
                marks[i].who, name);
    }
    return NULL;
}

// What was last reported of the part's component, where that was about its object.
static const json_t *find_last(const json_t *components, const struct platform_part *part)
{
    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *last = json_array_get(components, i);

        if (str_eq(doc_str(last, "name", NULL), component_name(part->component)) &&
            str_eq(doc_str(last, "object", NULL), part->where))
            return last;
    }
    return NULL;
}

// Who wrote the spec last beside us, as the object's managedFields tell; "" when they do not.
static const char *last_writer(const struct platform_part *part)
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

// How often what we wrote was undone, this time included: as the record tells, and the status where
// the record went with it.
static int64_t count_reverts(const struct platform_part *part, const struct platform_target *target)
{
    const json_t *last = find_last(target->components, part);
    const char *written = doc_str(last, "writtenRevision", NULL);
    bool standing = part->record && part->stands, failed = json_object_get(part->record, "failed");
    int64_t told = doc_int(last, 0, "reverted", NULL) + (*written && !standing ? 1 : 0);
    int64_t kept = doc_int(part->record, 0, "reverted", NULL) +
                   (part->record && !part->stands && !failed ? 1 : 0);

    return target->fresh ? 0 : greater(told, kept);
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

static void need_put_back(struct platform_part *part, const char *reason, char *take_message)
{
    part->need = NEED_PUT_BACK;
    part->reason = reason;
    part->message = take_message;
}

// An edit whose roll-out is not known to be complete yet.
static struct judgement judge_running(struct platform_part *part, const struct platform_look *look,
                                      const struct rollout *r, uint64_t *again_ms)
{
    const char *since = doc_str(part->record, "since", NULL);
    int64_t left_ms = (int64_t)look->target->component_timeout_ms, since_ms;
    bool readable = part->component == COMPONENT_APISERVER && look->asked;
    bool met = look->enabled && is_met(json_object_get(part->record, "expect"), look->enabled);
    AUTO_MEM char *how = rollout_describe(r);

    if (clock_parse(since, &since_ms))
        left_ms = greater(since_ms, part->progress_ms) + left_ms - look->now_wall_ms;
    if (r->complete && (!readable || met || (!look->enabled && left_ms <= 0))) {
        part->need = NEED_SETTLE;
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
    else if (r->complete && (uint64_t)left_ms > PLATFORM_READ_AGAIN_MS)
        left_ms = PLATFORM_READ_AGAIN_MS;
    if (left_ms > 0 && (*again_ms == 0 || (uint64_t)left_ms < *again_ms))
        *again_ms = (uint64_t)left_ms;
    return (struct judgement){.state = "Updating",
                              .message =
                                  str_format("rolling out since %s: %s", since,
                                             r->complete ? "complete, not read back yet" : how)};
}

// It was put back. Also that is a roll-out, with the same time.
static struct judgement judge_failed(struct platform_part *part, const struct platform_look *look,
                                     const struct rollout *r, uint64_t *again_ms)
{
    const char *message = doc_str(part->record, "failed", "message", NULL);
    const char *since = doc_str(part->record, "since", NULL);
    int64_t left_ms = 0, since_ms;
    const struct api_reason *reason =
        api_reason_find(doc_str(part->record, "failed", "reason", NULL));
    AUTO_MEM char *how = rollout_describe(r);

    if (clock_parse(since, &since_ms))
        left_ms = greater(since_ms, part->progress_ms) +
                  (int64_t)look->target->component_timeout_ms - look->now_wall_ms;
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

static struct judgement judge(struct platform_part *part, const struct platform_look *look,
                              const struct rollout *r, int64_t reverts, uint64_t *again_ms)
{
    const char *who = last_writer(part);

    if (json_object_get(part->record, "failed") && !look->target->fresh)
        return judge_failed(part, look, r, again_ms);
    if (json_object_get(part->record, "failed")) {
        part->need = NEED_FORGET;
        return (struct judgement){.state = "Observed"};
    }
    if (reverts >= PLATFORM_REVERTS_MAX && !(part->record && part->stands))
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

json_t *platform_part_report(struct platform_part *part, const struct platform_look *look,
                             uint64_t *again_ms)
{
    const struct rollout *r = &part->rollout;
    struct judgement j;
    json_t *report = json_object();
    bool standing = part->record && part->stands && !json_object_get(part->record, "failed");

    part->reverts = count_reverts(part, look->target);
    j = judge(part, look, r, part->reverts, again_ms);
    json_object_set_new(report, "object", doc_string(part->where));
    json_object_set_new(report, "state", doc_string(j.state));
    if (j.reason)
        json_object_set_new(report, "reason", doc_string(j.reason));
    if (j.message)
        json_object_set_new(report, "message", doc_string(j.message));
    mem_free(j.message);
    // No replica of a component is one that does not run; no node needs no kubelet.
    json_object_set_new(
        report, "healthy",
        json_boolean(r->complete && (r->desired > 0 || part->component == COMPONENT_KUBELET)));
    json_object_set_new(report, "reverted", json_integer((json_int_t)part->reverts));
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

// --- instances -----------------------------------------------------------------------------------

// An edit is asked for while its record speaks of it; what was undone must be asked for again.
static const json_t *make_asked(struct platform_observed *observed,
                                const struct platform_part *part, const struct platform_look *look)
{
    bool failed = json_object_get(part->record, "failed") != NULL;
    json_t *asked;

    if (!part->record || (failed ? look->target->fresh : !part->stands))
        return NULL;
    asked = json_object();
    json_object_set_new(asked, "revision", doc_string(doc_str(part->record, "revision", NULL)));
    json_array_append_new(observed->reports, asked);
    return asked;
}

// A roll-out that is not ours is waited for, unless it is ours that did not end well.
static bool is_busy(const struct platform_part *part, const struct platform_look *look)
{
    bool ours = part->record && !json_object_get(part->record, "settled");

    return !ours && !look->target->deleting && !part->rollout.complete;
}

struct plan_instance *platform_add_part(struct platform_observed *observed,
                                        struct platform_part *part,
                                        const struct platform_look *look)
{
    struct plan_instance *instance = platform_add_instance(observed, part->component, NULL, NULL);
    json_t *report = platform_part_report(part, look, &observed->again_ms);

    json_array_append_new(observed->reports, report);
    mem_free(instance->id);
    instance->id = str_format("%s in %s", component_name(part->component), part->where);
    instance->control_plane = true;
    instance->agent = true;
    instance->blind = !json_object_get(report, "enabled");
    instance->busy = is_busy(part, look);
    instance->version = part->version;
    instance->emulated = part->flags.emulated;
    instance->reported = report;
    instance->asked = make_asked(observed, part, look);
    return instance;
}

bool platform_wrote_objects(const struct api_config *config, const enum platform_kind *kinds,
                            size_t len)
{
    const json_t *components = json_object_get(config->status, "components");

    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *component = json_array_get(components, i);
        struct slice object = slice_of(doc_str(component, "object", NULL)), kind;

        slice_cut(&object, ' ', &kind);
        for (size_t k = 0; k < len && *doc_str(component, "writtenRevision", NULL); k++) {
            if (slice_eq(kind, platform_kind(kinds[k])->kind))
                return true;
        }
    }
    return false;
}

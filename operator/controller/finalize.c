// SPDX-License-Identifier: Apache-2.0
// RELEASE: the end of a DRAConfiguration. The agents' objects go, then our finalizer; with Revert
// this comes after every file is as it was.
#include "controller_internal.h"

static void on_finalizer_removed(void *owner, struct error *take_err, json_t *take_body)
{
    struct pass *pass = owner;

    json_decref(take_body);
    if (take_err && error_kind(take_err) == ERROR_NOT_FOUND) {
        error_free(take_err);
        take_err = NULL;
    }
    walk_continue(&pass->walk, error_wrap(take_err, "remove the finalizer"));
}

static struct op *remove_finalizer(struct pass *pass)
{
    AUTO_JSON json_t *body = json_object();
    json_t *kept = json_array();
    const json_t *now = doc_get(pass->object, "metadata", "finalizers", NULL);
    struct kube_ref ref = config_ref(pass, NULL);
    struct kube_patch patch = {
        .type = KUBE_PATCH_MERGE, .body = body, .field_manager = API_FIELD_MANAGER};

    for (size_t i = 0; i < json_array_size(now); i++) {
        if (!str_eq(json_string_value(json_array_get(now, i)), API_FINALIZER))
            json_array_append(kept, json_array_get(now, i));
    }
    doc_set(body, kept, "metadata", "finalizers", NULL);
    doc_set(body, doc_string(pass->config.resource_version), "metadata", "resourceVersion", NULL);
    return kube_patch(pass->home, &ref, &patch, on_finalizer_removed, pass);
}

// The nodes that were not ready, and whose agents have what was asked of them still to do; NULL:
// none. Their NodeDRAConfigurations stay for that.
static json_t *nodes_to_do(const struct pass *pass)
{
    json_t *nodes = NULL;

    for (size_t i = 0; pass->planned && pass->config.revert && i < pass->plan.len; i++) {
        const struct plan_step *step = &pass->plan.steps[i];

        if (!step->left)
            continue;
        if (!nodes)
            nodes = json_object();
        json_object_set_new(nodes, pass->observed->instances[step->instance].node, json_true());
    }
    return nodes;
}

static void emit_end(struct pass *pass)
{
    AUTO_JSON json_t *left = nodes_to_do(pass);
    AUTO_STRLIST struct strlist names = {0};
    AUTO_MEM char *text = NULL;
    const char *name;
    json_t *value;

    json_object_foreach(left, name, value) {
        if (names.len < NODES_NAMED)
            strlist_add(&names, name);
    }
    text = strlist_join(&names, ", ");
    if (left)
        events_emit(
            pass->controller->events, pass->object, true, "NodeNotReady",
            "Not reverted, as the nodes are not ready: %s%s; their NodeDRAConfigurations stay, "
            "so that their agents do it when they are back",
            text, names.len < json_object_size(left) ? ", ..." : "");
    else
        events_emit(pass->controller->events, pass->object, false,
                    pass->config.revert ? "Reverted" : "Retained",
                    pass->config.revert ? "Every component is as it was before"
                                        : "What was written stays as it is");
}

static void on_released(void *owner, struct error *take_err, bool more)
{
    struct pass *pass = owner;

    pass->walk.pending = NULL;
    if (take_err) {
        walk_continue(&pass->walk, error_wrap(take_err, "release what was written"));
        return;
    }
    if (more) {
        pass->after_ms = 1;
        walk_continue(&pass->walk, NULL);
        return;
    }
    emit_end(pass);
    pass->walk.pending = remove_finalizer(pass);
}

struct error *step_release(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    struct controller *c = pass->controller;
    AUTO_JSON json_t *keep = nodes_to_do(pass);

    *ret_verdict = VERDICT_WAIT;
    // Who never wrote here, or may not any more, has nothing to release; what is in a cluster that
    // cannot be had stays there.
    if (pass->conflict || pass->forbidden || !pass->cluster ||
        !platform_traits(pass->config.platform)->writes)
        pass->walk.pending = remove_finalizer(pass);
    else
        pass->walk.pending =
            platform_release(c->loop, pass->cluster, pass->config.platform, pass->observed, keep,
                             pass->config.revert, on_released, pass);
    return NULL;
}

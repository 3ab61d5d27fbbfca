// SPDX-License-Identifier: Apache-2.0
// What the API server says of a cluster whose flags are in objects of this one, where a kubeconfig
// leads to it: its version, the API, its gates, and which kubelets it has. One request after the
// other, all of them within CLUSTER_ASK_MS: it is somebody else's server, and may be dead, slow or
// endless.
#include "ask.h"

// The largest answers: discovery; the lines of /metrics and as much again on its way; the list of
// nodes with one of them in three buffers, beside the gates, which take twice their text.
_Static_assert(KUBE_GROUP_BYTES_MAX <= CLUSTER_BYTES_MAX, "discovery");
_Static_assert(2 * GATES_METRICS_BYTES_MAX <= CLUSTER_BYTES_MAX, "/metrics");
_Static_assert(KUBE_ENVELOPE_BYTES_MAX + 3 * CLUSTER_ITEM_BYTES_MAX + 2 * GATES_METRICS_BYTES_MAX <=
                   CLUSTER_BYTES_MAX,
               "nodes");

enum phase { PHASE_ASK, PHASE_NODES, PHASE_END };

struct ask {
    struct op op;            // must be first
    struct cluster *cluster; // that is asked
    struct platform_observed *observed;
    struct platform_said *said;
    platform_said_fn *done;
    void *owner;
    struct op *pending, *deadline;
    enum phase phase;
    bool asking;       // cluster_begin_asking()
    bool listed_again; // the list of nodes, whose pages had expired
    struct loop *loop;
};

static void advance(struct ask *ask);

void platform_said_fini(struct platform_said *said)
{
    json_decref(said->gates);
    mem_free(said->unread);
    *said = (struct platform_said){0};
}

static void ask_drop(struct op *op)
{
    struct ask *ask = (struct ask *)op;

    op_drop(ask->pending);
    op_drop(ask->deadline);
    if (ask->asking)
        cluster_end_asking(ask->cluster);
    mem_free(ask);
}

static void finish(struct ask *ask)
{
    platform_said_fn *done = ask->done;
    void *owner = ask->owner;

    ask_drop(&ask->op);
    done(owner);
}

// It may be rolling out just now: what it does not say is unknown, and no reason to stop.
static void note_unread(struct ask *ask, struct error *take_err)
{
    mem_free(ask->said->unread);
    ask->said->unread = str_dup(error_text(take_err));
    error_free(ask->observed->unread);
    ask->observed->unread = take_err;
    ask->observed->api_unread = true;
    ask->observed->again_ms = cluster_again_ms(ask->cluster, false);
    finish(ask);
}

static void on_deadline(void *owner)
{
    struct ask *ask = owner;

    ask->deadline = NULL;
    ask->pending = op_drop(ask->pending);
    if (ask->phase == PHASE_NODES) { // all else was said; unseen kubelets are of its own minor
        platform_forget_nodes(ask->said);
        ask->phase = PHASE_END;
        advance(ask);
        return;
    }
    note_unread(ask, error_new(ERROR_TRANSIENT, "%s has not said all within %d s",
                               kube_server(ask->cluster->kube), CLUSTER_ASK_MS / 1000));
}

void platform_note_node(struct platform_said *said, const json_t *node)
{
    AUTO_JSON json_t *small = cluster_trim_node(node);
    struct version version;

    if (*doc_str(small, "ignored", NULL) ||
        !version_parse(doc_str(small, "kubeletVersion", NULL), &version))
        return;
    said->nodes++;
    for (size_t i = 0; i < said->kubelets_len; i++) {
        if (version_compare_minor(said->kubelets[i], version) == 0)
            return;
    }
    if (said->kubelets_len < PLATFORM_KUBELETS_MAX)
        said->kubelets[said->kubelets_len++] = version;
}

void platform_forget_nodes(struct platform_said *said)
{
    said->nodes = 0;
    said->kubelets_len = 0;
}

static void on_node(void *owner, json_t *node)
{
    const struct ask *ask = owner;

    platform_note_node(ask->said, node);
}

static void on_nodes(void *owner, struct error *take_err, json_t *take_body)
{
    struct ask *ask = owner;

    ask->pending = NULL;
    json_decref(take_body);
    if (take_err)
        platform_forget_nodes(ask->said);
    if (take_err && error_kind(take_err) == ERROR_GONE && !ask->listed_again) {
        error_free(take_err);
        ask->listed_again = true;
        advance(ask);
        return;
    }
    if (take_err)
        error_ignore(take_err, "kubelets that cannot be seen are taken to be of the control "
                               "plane's minor");
    ask->phase = PHASE_END;
    advance(ask);
}

static void on_said(void *owner, struct error *take_err, struct cluster_said *take_said)
{
    struct ask *ask = owner;

    ask->pending = NULL;
    if (take_err) {
        note_unread(ask, take_err);
        return;
    }
    platform_take_said(ask->observed, take_said);
    ask->said->gates = TAKE(take_said->gates);
    if (take_said->unread) { // discovery was read
        ask->said->denied = error_kind(take_said->unread) == ERROR_DENIED ||
                            error_kind(take_said->unread) == ERROR_NOT_FOUND;
        ask->said->unread = str_dup(error_text(take_said->unread));
    }
    cluster_said_fini(take_said);
    ask->phase = PHASE_NODES;
    advance(ask);
}

static void on_full(void *owner)
{
    struct ask *ask = owner;

    ask->pending = NULL;
    note_unread(ask, error_new(ERROR_TRANSIENT, "%d other clusters are being asked at the moment",
                               CLUSTER_ASKED_MAX));
}

static void advance(struct ask *ask)
{
    static const struct kube_ref nodes = {.group = "", .version = "v1", .resource = "nodes"};
    static const struct cluster_question question = {.gates = true};

    switch (ask->phase) {
    case PHASE_ASK:
        ask->pending = cluster_ask(ask->loop, ask->cluster->kube, &question, on_said, ask);
        return;
    case PHASE_NODES:
        ask->pending =
            kube_list_each(ask->cluster->kube, &nodes, NULL, NULL, "0", on_node, on_nodes, ask);
        return;
    case PHASE_END:
        (void)cluster_again_ms(ask->cluster, true);
        finish(ask);
    }
}

struct error *platform_check_reached(const struct platform_target *target,
                                     struct platform_said *said)
{
    const struct error *err = target->unreached;

    if (!err)
        return NULL;
    if (target->cluster && !target->deleting)
        return error_new(error_kind(err), "%s", error_text(err));
    mem_free(said->unread);
    said->unread = str_dup(error_text(err));
    return NULL;
}

struct platform_look platform_look_at(const struct platform_target *target,
                                      const struct platform_said *said)
{
    return (struct platform_look){.target = target,
                                  .now_wall_ms = clock_wall_ms(),
                                  .enabled = target->deleting ? NULL : said->gates,
                                  .asked = said->asked && !said->denied && !target->deleting};
}

struct op *platform_ask(struct loop *loop, const struct platform_target *target,
                        struct platform_observed *observed, struct platform_said *said,
                        platform_said_fn *done, void *owner)
{
    struct ask *ask;

    if (!target->workload)
        return NULL;
    ask = NEW(struct ask);
    ask->op.drop = ask_drop;
    ask->loop = loop;
    ask->cluster = target->workload;
    ask->observed = observed;
    ask->said = said;
    ask->done = done;
    ask->owner = owner;
    said->asked = true;
    if (target->let_others)
        target->let_others(target->owner);
    ask->asking = cluster_begin_asking(ask->cluster);
    if (!ask->asking) {
        ask->pending = loop_defer(loop, on_full, ask);
        return &ask->op;
    }
    ask->deadline = loop_sleep(loop, CLUSTER_ASK_MS, on_deadline, ask);
    advance(ask);
    return &ask->op;
}

void platform_add_kubelets(struct platform_observed *observed, const struct platform_said *said,
                           const char *name)
{
    for (size_t i = 0; i < said->kubelets_len; i++) {
        struct plan_instance *instance =
            platform_add_instance(observed, COMPONENT_KUBELET, NULL, NULL);

        mem_free(instance->id);
        instance->id = str_dup(name);
        instance->version = said->kubelets[i];
        instance->elsewhere = true;
    }
}

// SPDX-License-Identifier: Apache-2.0
// What the API server of a hosted control plane says, where the spec has a kubeconfig for it: its
// version, the API, its gates, and which kubelets it has. One request after the other, all of them
// within PLATFORM_TARGET_ASK_MS: it is somebody else's server, and may be dead, slow or endless.
#include "hosted_internal.h"

// The largest answers: discovery; the lines of /metrics and as much again on its way; the list of
// nodes with one of them in three buffers, beside the gates, which take twice their text.
_Static_assert(KUBE_GROUP_BYTES_MAX <= PLATFORM_TARGET_BYTES_MAX, "discovery");
_Static_assert(2 * GATES_METRICS_BYTES_MAX <= PLATFORM_TARGET_BYTES_MAX, "/metrics");
_Static_assert(KUBE_ENVELOPE_BYTES_MAX + 3 * PLATFORM_TARGET_ITEM_BYTES_MAX +
                       2 * GATES_METRICS_BYTES_MAX <=
                   PLATFORM_TARGET_BYTES_MAX,
               "nodes");

enum phase { PHASE_SECRET, PHASE_VERSION, PHASE_GROUP, PHASE_METRICS, PHASE_NODES, PHASE_END };

struct ask {
    struct op op; // must be first
    const struct platform_cluster *cluster;
    const struct platform_target *target;
    struct platform_observed *observed;
    struct hosted_said *said;
    hosted_said_fn *done;
    void *owner;
    struct op *pending, *deadline;
    enum phase phase;
    bool listed_again; // the list of nodes, whose pages had expired
    struct loop *loop;
    char *key;         // of its kubeconfig among the targets
    struct kube *kube; // of the hosted cluster
};

static void advance(struct ask *ask);

void hosted_said_fini(struct hosted_said *said)
{
    json_decref(said->gates);
    mem_free(said->unread);
    *said = (struct hosted_said){0};
}

static void ask_drop(struct op *op)
{
    struct ask *ask = (struct ask *)op;

    op_drop(ask->pending);
    op_drop(ask->deadline);
    mem_free(ask->key);
    mem_free(ask);
}

static void finish(struct ask *ask, struct error *take_err)
{
    hosted_said_fn *done = ask->done;
    void *owner = ask->owner;

    ask_drop(&ask->op);
    done(owner, take_err);
}

// It may be rolling out just now: what it does not say is unknown, and no reason to stop.
static void note_unread(struct ask *ask, struct error *take_err)
{
    mem_free(ask->said->unread);
    ask->said->unread = str_dup(error_text(take_err));
    error_free(take_err);
    ask->observed->api_unread = true;
    ask->observed->again_ms = platform_targets_note(ask->cluster->targets, ask->key, false);
    finish(ask, NULL);
}

static void on_deadline(void *owner)
{
    struct ask *ask = owner;

    ask->deadline = NULL;
    ask->pending = op_drop(ask->pending);
    if (ask->phase == PHASE_NODES) { // all else was said; unseen kubelets are of its own minor
        hosted_forget_nodes(ask->observed);
        ask->phase = PHASE_END;
        advance(ask);
        return;
    }
    note_unread(ask, error_new(ERROR_TRANSIENT, "%s has not said all within %d s",
                               kube_server(ask->kube), PLATFORM_TARGET_ASK_MS / 1000));
}

static void on_metrics(void *owner, struct error *take_err, struct slice text)
{
    struct ask *ask = owner;
    struct version version;
    int64_t start_ms;

    ask->pending = NULL;
    if (!take_err)
        take_err = gates_metrics_read(text, &ask->said->gates, &version, &start_ms);
    if (take_err) { // discovery was read
        ask->said->denied = error_kind(take_err) == ERROR_DENIED;
        ask->said->unread = str_dup(error_text(take_err));
        error_free(take_err);
    }
    ask->phase = PHASE_NODES;
    advance(ask);
}

void hosted_note_node(struct platform_observed *observed, const json_t *node)
{
    struct platform_hosted *hosted = observed->hosted;
    AUTO_JSON json_t *small = platform_trim_node(node);
    struct version version;

    if (*doc_str(small, "ignored", NULL) ||
        !version_parse(doc_str(small, "kubeletVersion", NULL), &version))
        return;
    observed->kubelets_elsewhere++;
    for (size_t i = 0; i < hosted->kubelets_len; i++) {
        if (version_compare_minor(hosted->kubelets[i], version) == 0)
            return;
    }
    if (hosted->kubelets_len < HOSTED_KUBELETS_MAX)
        hosted->kubelets[hosted->kubelets_len++] = version;
}

void hosted_forget_nodes(struct platform_observed *observed)
{
    observed->kubelets_elsewhere = 0;
    observed->hosted->kubelets_len = 0;
}

static void on_node(void *owner, json_t *node)
{
    const struct ask *ask = owner;

    hosted_note_node(ask->observed, node);
}

static void on_nodes(void *owner, struct error *take_err, json_t *take_body)
{
    struct ask *ask = owner;

    ask->pending = NULL;
    json_decref(take_body);
    if (take_err)
        hosted_forget_nodes(ask->observed);
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

static void on_said(void *owner, struct error *take_err, json_t *take_body)
{
    struct ask *ask = owner;
    AUTO_JSON json_t *body = take_body;

    ask->pending = NULL;
    if (!take_err &&
        !(ask->phase == PHASE_GROUP ? platform_says_group(body) : platform_says_version(body)))
        take_err = error_new(ERROR_TRANSIENT, "%s: the answer is not what was asked for",
                             kube_server(ask->kube));
    if (take_err && ask->phase == PHASE_GROUP && error_kind(take_err) == ERROR_NOT_FOUND) {
        error_free(take_err); // the group is not served
    } else if (take_err) {
        note_unread(ask, take_err);
        return;
    } else if (ask->phase == PHASE_VERSION) {
        platform_take_version(ask->observed, body);
    } else {
        platform_take_group(ask->observed, body);
    }
    ask->phase++;
    advance(ask);
}

static struct error *open_target(struct ask *ask, const json_t *secret)
{
    const json_t *ref = json_object_get(ask->target->cluster, "kubeconfigSecretRef");
    const char *name = doc_str(ref, "name", NULL), *key = doc_str(ref, "key", NULL);
    AUTO_MEM char *text = NULL;
    size_t len = 0;
    struct error *err;

    if (!*key)
        key = "value";
    ask->key = str_format("Secret %s/%s, key %s", ask->target->namespace, name, key);
    if (!json_is_string(doc_get(secret, "data", key, NULL)))
        err = error_new(ERROR_NOT_FOUND, "there is no such key");
    else if (!kube_base64_decode(slice_of(doc_str(secret, "data", key, NULL)), &text, &len))
        err = error_new(ERROR_INVALID, "it is not base64");
    else
        err = platform_targets_get(ask->cluster->targets, ask->key, (struct slice){text, len},
                                   &ask->kube);
    return error_wrap(err, "spec.cluster.kubeconfigSecretRef: %s", ask->key);
}

static void on_secret(void *owner, struct error *take_err, json_t *take_body)
{
    struct ask *ask = owner;
    AUTO_JSON json_t *secret = take_body;

    ask->pending = NULL;
    if (take_err)
        take_err = error_wrap(take_err, "spec.cluster.kubeconfigSecretRef");
    else
        take_err = open_target(ask, secret);
    if (take_err) {
        finish(ask, take_err);
        return;
    }
    ask->said->asked = true;
    if (ask->target->let_others)
        ask->target->let_others(ask->target->owner);
    ask->deadline = loop_sleep(ask->loop, PLATFORM_TARGET_ASK_MS, on_deadline, ask);
    ask->phase = PHASE_VERSION;
    advance(ask);
}

static void ask_secret(struct ask *ask)
{
    const char *name = doc_str(ask->target->cluster, "kubeconfigSecretRef", "name", NULL);
    struct kube_ref ref = {.group = "",
                           .version = "v1",
                           .resource = "secrets",
                           .namespace = ask->target->namespace,
                           .name = name};

    ask->pending = kube_get(ask->cluster->kube, &ref, on_secret, ask);
}

static void advance(struct ask *ask)
{
    static const struct kube_ref nodes = {.group = "", .version = "v1", .resource = "nodes"};

    switch (ask->phase) {
    case PHASE_SECRET:
        ask_secret(ask);
        return;
    case PHASE_VERSION:
        ask->pending = kube_get_path(ask->kube, "/version", KUBE_VERSION_BYTES_MAX, on_said, ask);
        return;
    case PHASE_GROUP:
        ask->pending =
            kube_get_path(ask->kube, "/apis/resource.k8s.io", KUBE_GROUP_BYTES_MAX, on_said, ask);
        return;
    case PHASE_METRICS:
        ask->pending =
            kube_get_lines(ask->kube, "/metrics", PLATFORM_METRICS_BYTES_MAX,
                           GATES_METRICS_BYTES_MAX, gates_metrics_wants, on_metrics, ask);
        return;
    case PHASE_NODES:
        ask->pending = kube_list_each(ask->kube, &nodes, NULL, NULL, "0", on_node, on_nodes, ask);
        return;
    case PHASE_END:
        platform_targets_note(ask->cluster->targets, ask->key, true);
        finish(ask, NULL);
    }
}

struct op *hosted_ask(struct loop *loop, const struct platform_cluster *cluster,
                      const struct platform_target *target, struct platform_observed *observed,
                      struct hosted_said *said, hosted_said_fn *done, void *owner)
{
    struct ask *ask;

    // Undoing asks nobody: a cluster that is gone must not hold it up.
    if (!target->cluster || !cluster->targets || target->deleting)
        return NULL;
    ask = NEW(struct ask);
    ask->op.drop = ask_drop;
    ask->loop = loop;
    ask->cluster = cluster;
    ask->target = target;
    ask->observed = observed;
    ask->said = said;
    ask->done = done;
    ask->owner = owner;
    advance(ask);
    return &ask->op;
}

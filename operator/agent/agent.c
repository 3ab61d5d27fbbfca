// SPDX-License-Identifier: Apache-2.0
// The agent: its NodeDRAConfiguration's spec goes to the node room, the node room's status comes
// back. No decision is made here.
#include "drawbridge/agent.h"
#include "drawbridge/api.h"
#include "drawbridge/node.h"
#include "drawbridge/watch.h"

#define RETRY_MS_FIRST 500
#define RETRY_MS_MAX 15000
#define AGAIN_MS_FIRST 1000
#define AGAIN_MS_MAX 30000
#define MESSAGE_BYTES_MAX 1024 // of status.refused (crds/)

struct agent {
    struct loop *loop;
    struct agent_spec spec;
    char *field_selector;
    struct watch *watch;
    struct op *pending; // the status write, or the pause before the next try
    struct op *again;   // the pause before a spec that was refused is tried again
    uint64_t again_ms;
    struct error *refused; // why the newest spec was not taken; NULL: it was
    bool looked; // the node has seen its components once: a restart of ours writes nothing
    bool dirty;  // the status changed since the last write began
    uint64_t retry_ms;
    int64_t generation; // of the spec that the node works on
    json_t *seen;       // that spec, NULL: none yet
};

static void write_status(struct agent *agent);

static void on_retry(void *owner)
{
    struct agent *agent = owner;

    agent->pending = NULL;
    write_status(agent);
}

static void on_written(void *owner, struct error *take_err, json_t *take_body)
{
    struct agent *agent = owner;

    agent->pending = NULL;
    if (!take_err) {
        agent->retry_ms = RETRY_MS_FIRST;
        watch_note_write(agent->watch, take_body); // which may hold a newer spec
    } else {
        // While the API server of this node is being changed this is what happens: the node goes on
        // without us.
        log_line(LOG_DEBUG, "agent", "status of %s: %s", agent->spec.node_name,
                 error_text(take_err));
        agent->dirty = error_kind(take_err) != ERROR_NOT_FOUND;
        agent->pending =
            loop_sleep(agent->loop, rand_below(agent->retry_ms) + 100, on_retry, agent);
        agent->retry_ms = agent->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : agent->retry_ms * 2;
    }
    error_free(take_err);
    json_decref(take_body);
    if (!agent->pending)
        write_status(agent);
}

// Why the spec is not followed.
static void put_refused(const struct agent *agent, json_t *status)
{
    if (!agent->refused)
        return;
    doc_set(status, doc_string(policy_reason(agent->refused)), "refused", "reason", NULL);
    doc_set(status, doc_string_of(slice_of(error_text(agent->refused)), MESSAGE_BYTES_MAX),
            "refused", "message", NULL);
}

// The whole status, as it is all ours, of this very object and no later one of its name.
static json_t *make_patch(const json_t *object, const json_t *status)
{
    return json_pack("[{s:s, s:s, s:o}, {s:s, s:s, s:O}]", "op", "test", "path", "/metadata/uid",
                     "value", doc_string(doc_str(object, "metadata", "uid", NULL)), "op", "add",
                     "path", "/status", "value", status);
}

static void write_status(struct agent *agent)
{
    const json_t *object = watch_get(agent->watch, agent->spec.node_name);
    AUTO_JSON json_t *status = NULL;
    AUTO_JSON json_t *difference = NULL;
    AUTO_JSON json_t *body = NULL;
    struct kube_ref ref = {.group = API_GROUP,
                           .version = API_VERSION,
                           .resource = "nodedraconfigurations",
                           .name = agent->spec.node_name,
                           .subresource = "status"};
    struct kube_patch patch = {.type = KUBE_PATCH_JSON, .field_manager = API_FIELD_MANAGER_STATUS};

    agent->looked = agent->looked || node_has_looked(agent->spec.node);
    if (agent->pending || !agent->dirty || !object || !agent->looked)
        return;
    agent->dirty = false;
    status = doc_copy(node_status(agent->spec.node));
    json_object_set_new(status, "observedGeneration", json_integer((json_int_t)agent->generation));
    put_refused(agent, status);
    difference = doc_make_merge_patch(json_object_get(object, "status"), status);
    if (!difference)
        return;
    body = make_patch(object, status);
    patch.body = body;
    agent->pending = kube_patch(agent->spec.kube, &ref, &patch, on_written, agent);
}

void agent_note_change(void *owner)
{
    struct agent *agent = owner;

    agent->dirty = true;
    write_status(agent);
}

static void on_again(void *owner);

static void note_refused(struct agent *agent, struct error *take_err)
{
    bool same = agent->refused && str_eq(error_text(agent->refused), error_text(take_err));

    log_line(same ? LOG_DEBUG : LOG_WARN, "agent", "NodeDRAConfiguration %s: %s",
             agent->spec.node_name, error_text(take_err));
    error_free(agent->refused);
    agent->refused = take_err;
    agent->dirty = true;
    if (agent->again)
        return;
    agent->again_ms = !same                                ? AGAIN_MS_FIRST
                      : agent->again_ms * 2 < AGAIN_MS_MAX ? agent->again_ms * 2
                                                           : AGAIN_MS_MAX;
    agent->again =
        loop_sleep(agent->loop, agent->again_ms + rand_below(agent->again_ms), on_again, agent);
}

static void take_spec(struct agent *agent, const json_t *object)
{
    struct error *err;
    json_t *spec = json_object_get(object, "spec");

    if (agent->seen && !agent->refused && doc_equal(agent->seen, spec))
        return;
    err = node_set_desired(agent->spec.node, spec);
    if (err) {
        note_refused(agent, err);
        return;
    }
    error_free(TAKE(agent->refused));
    agent->again = op_drop(agent->again);
    // A kubelet's program is replaced without a change of any file: its Node tells the controller,
    // and that us.
    if (!str_eq(doc_str(agent->seen, "kubeletVersion", NULL),
                doc_str(spec, "kubeletVersion", NULL)))
        node_refresh(agent->spec.node);
    json_decref(agent->seen);
    agent->seen = doc_copy(spec);
    agent->generation = doc_int(object, 0, "metadata", "generation", NULL);
    agent->dirty = true;
}

static void on_again(void *owner)
{
    struct agent *agent = owner;
    const json_t *object = watch_get(agent->watch, agent->spec.node_name);

    agent->again = NULL;
    if (object)
        take_spec(agent, object);
    write_status(agent);
}

// Nobody asks anything of this node any more: the files stay as they are, and what others change in
// them from now on is theirs.
static void release(struct agent *agent)
{
    AUTO_JSON json_t *nothing = json_object();

    json_decref(agent->seen);
    agent->seen = NULL;
    error_free(TAKE(agent->refused));
    agent->again = op_drop(agent->again);
    json_object_set_new(
        nothing, "epoch",
        json_integer((json_int_t)doc_int(node_status(agent->spec.node), 0, "epoch", NULL)));
    json_object_set_new(nothing, "components", json_array());
    error_ignore(node_set_desired(agent->spec.node, nothing),
                 "a journal that cannot be written now is written with the next wish");
}

static void on_sync(void *owner)
{
    struct agent *agent = owner;

    if (!watch_get(agent->watch, agent->spec.node_name))
        release(agent);
}

static void on_change(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct agent *agent = owner;

    (void)key;
    (void)was;
    if (now)
        take_spec(agent, now);
    else
        release(agent);
    agent_note_change(agent);
}

bool agent_ready(void *owner, struct buf *why)
{
    const struct agent *agent = owner;
    const struct error *err = watch_error(agent->watch);

    if (watch_synced(agent->watch))
        return true;
    buf_printf(why, "nodedraconfigurations: %s", err ? error_text(err) : "not synced yet");
    return false;
}

struct agent *agent_new(struct loop *loop, const struct agent_spec *spec)
{
    struct agent *agent = NEW(struct agent);
    struct watch_spec watch = {
        .kube = spec->kube,
        .ref = {.group = API_GROUP, .version = API_VERSION, .resource = "nodedraconfigurations"},
        .on_change = on_change,
        .on_sync = on_sync,
        .owner = agent,
    };

    agent->loop = loop;
    agent->spec = *spec;
    agent->retry_ms = RETRY_MS_FIRST;
    agent->field_selector = str_format("metadata.name=%s", spec->node_name);
    watch.field_selector = agent->field_selector;
    agent->watch = watch_new(loop, &watch);
    return agent;
}

void agent_free(struct agent *agent)
{
    if (!agent)
        return;
    op_drop(agent->pending);
    op_drop(agent->again);
    error_free(agent->refused);
    watch_free(agent->watch);
    json_decref(agent->seen);
    mem_free(agent->field_selector);
    mem_free(agent);
}

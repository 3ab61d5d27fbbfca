// SPDX-License-Identifier: Apache-2.0
// A DRAConfiguration that cannot be read has no pass. That it is there, and why nothing is done
// about it, is written into its status all the same: its name is known.
#include <string.h>

#include "controller_internal.h"

#define WAITING_MAX 1000
#define AGAIN_MS 1000 // after a write that failed, and twice as late each time, up to
#define AGAIN_MS_MAX 30000

struct unreadable {
    struct controller *controller;
    json_t *waiting; // {KEY: [reason, message, resourceVersion]}
    json_t *told;    // {KEY: message}: its status says so
    struct op *pending;
    char *key;    // that is being written; NULL: the pause before another try, or nothing
    json_t *sent; // of waiting, what is being written there; something else may wait there by now
    uint64_t again_ms;
};

static void send_next(struct unreadable *u);

static void on_again(void *owner)
{
    struct unreadable *u = owner;

    u->pending = NULL;
    send_next(u);
}

// It was written: this text, whatever was noted meanwhile.
static void note_told(struct unreadable *u, const char *key, const json_t *sent)
{
    json_t *message = json_array_get(sent, 1);
    const json_t *now = json_object_get(u->waiting, key);

    if (!now)
        return; // it was read meanwhile, or is gone
    json_object_set(u->told, key, message);
    // The event of this write itself may be here before its answer.
    if (doc_equal(json_array_get(now, 1), message))
        json_object_del(u->waiting, key);
}

// Whether another try can end otherwise. What was changed meanwhile is noted by the watch, and what
// the server refuses is refused as long as nobody changes it.
static bool is_tried_again(const struct error *err)
{
    enum error_kind kind = error_kind(err);

    return kind != ERROR_NOT_FOUND && kind != ERROR_CONFLICT && kind != ERROR_INVALID &&
           kind != ERROR_REJECTED;
}

static void on_sent(void *owner, struct error *take_err, struct slice text)
{
    struct unreadable *u = owner;
    AUTO_MEM char *key = TAKE(u->key);
    AUTO_JSON json_t *sent = TAKE(u->sent);
    AUTO(error) struct error *err = take_err;
    AUTO_JSON json_t *now = json_incref(json_object_get(u->waiting, key));

    (void)text;
    u->pending = NULL;
    if (err)
        log_line(error_kind(err) == ERROR_NOT_FOUND || error_kind(err) == ERROR_CONFLICT ? LOG_DEBUG
                                                                                         : LOG_WARN,
                 "controller", "%s: write that it cannot be read: %s", key, error_text(err));
    if (!err) {
        note_told(u, key, sent);
    } else if (now && (now != sent || is_tried_again(err))) {
        json_object_del(u->waiting, key); // to the end of the line
        json_object_set(u->waiting, key, now);
    } else {
        json_object_del(u->waiting, key);
    }
    if (!err || !is_tried_again(err)) {
        u->again_ms = AGAIN_MS;
        send_next(u);
        return;
    }
    u->pending = loop_sleep(u->controller->loop, u->again_ms, on_again, u);
    u->again_ms = u->again_ms * 2 < AGAIN_MS_MAX ? u->again_ms * 2 : AGAIN_MS_MAX;
}

static json_t *make_body(const json_t *what)
{
    AUTO(api_conditions) struct api_conditions *conditions = api_conditions_new();
    const char *reason = json_string_value(json_array_get(what, 0));
    json_t *body = json_object();

    api_conditions_set(conditions, CONDITION_CONFIG_VALID, STATE_FALSE, reason, "%s",
                       json_string_value(json_array_get(what, 1)));
    api_conditions_summarize(conditions);
    doc_set(body, json_incref(json_array_get(what, 2)), "metadata", "resourceVersion", NULL);
    doc_set(body, api_conditions_merge(conditions, NULL, 0, clock_wall_ms()), "status",
            "conditions", NULL);
    return body;
}

static void send_next(struct unreadable *u)
{
    const char *key = json_object_iter_key(json_object_iter(u->waiting));
    struct slice name = slice_of(key), part;
    AUTO_MEM char *namespace = NULL;
    AUTO_JSON json_t *body = NULL;
    struct kube_ref ref = {.group = API_GROUP,
                           .version = API_VERSION,
                           .resource = "draconfigurations",
                           .subresource = "status"};
    struct kube_patch patch = {.type = KUBE_PATCH_MERGE, .field_manager = API_FIELD_MANAGER_STATUS};

    if (u->pending || !key || !controller_may_write(u->controller))
        return;
    u->key = str_dup(key);
    slice_cut(&name, '/', &part);
    namespace = slice_dup(part);
    ref.namespace = namespace;
    ref.name = strchr(u->key, '/') + 1;
    u->sent = json_incref(json_object_get(u->waiting, u->key));
    body = make_body(u->sent);
    patch.body = body;
    u->pending = kube_patch_text(u->controller->spec.kube, &ref, &patch, on_sent, u);
}

void unreadable_note(struct unreadable *u, const char *key, const char *version,
                     const struct error *why)
{
    AUTO_MEM char *message = str_format("Drawbridge cannot read this object: %s", error_text(why));
    bool full =
        json_object_size(u->waiting) >= WAITING_MAX || json_object_size(u->told) >= WAITING_MAX;

    // While something else is being written there, what its status says is about to change.
    if (!strchr(key, '/') || full ||
        (str_eq(doc_str(u->told, key, NULL), message) && !json_object_get(u->waiting, key)))
        return;
    json_object_set_new(u->waiting, key,
                        json_pack("[o, o, o]", doc_string(policy_reason(why)), doc_string(message),
                                  doc_string(version)));
    send_next(u);
}

void unreadable_forget(struct unreadable *u, const char *key)
{
    json_object_del(u->waiting, key);
    json_object_del(u->told, key);
}

void unreadable_wake(struct unreadable *u)
{
    send_next(u);
}

void unreadable_drop(struct unreadable *u)
{
    u->pending = op_drop(u->pending);
    mem_free(TAKE(u->key));
    json_decref(TAKE(u->sent));
}

struct unreadable *unreadable_new(struct controller *controller)
{
    struct unreadable *u = NEW(struct unreadable);

    u->controller = controller;
    u->again_ms = AGAIN_MS;
    u->waiting = json_object();
    u->told = json_object();
    return u;
}

void unreadable_free(struct unreadable *u)
{
    if (!u)
        return;
    unreadable_drop(u);
    json_decref(u->waiting);
    json_decref(u->told);
    mem_free(u);
}

// SPDX-License-Identifier: Apache-2.0
// Writes that are held to what is there now: a read that no cache answers, then the write with the
// version that was read. For who decides on a name alone.
#include "kube_internal.h"

struct held {
    struct op op; // first
    struct kube *kube;
    struct op *pending;
    struct kube_ref ref; // its strings are ours
    json_t *body;        // of an apply; NULL: delete
    char *field_manager;
    kube_done_fn *done;
    void *owner;
};

static void held_free(struct held *held)
{
    held->pending = op_drop(held->pending);
    const char *owned[] = {held->ref.group,     held->ref.version, held->ref.resource,
                           held->ref.namespace, held->ref.name,    held->ref.subresource};
    for (size_t i = 0; i < COUNT(owned); i++)
        mem_free((char *)(uintptr_t)owned[i]);
    mem_free(held->field_manager);
    json_decref(held->body);
    mem_free(held);
}

static void held_drop(struct op *op)
{
    held_free((struct held *)(void *)op);
}

static void held_finish(struct held *held, struct error *take_err, json_t *take_body)
{
    kube_done_fn *done = held->done;
    void *owner = held->owner;
    held_free(held);
    done(owner, take_err, take_body);
}

static void on_held_written(void *owner, struct error *take_err, json_t *take_body)
{
    struct held *held = owner;
    held->pending = NULL;
    held_finish(held, take_err, take_body);
}

static struct op *send_apply(struct held *held, const char *version)
{
    struct kube_patch patch = {.type = KUBE_PATCH_APPLY,
                               .body = held->body,
                               .field_manager = held->field_manager,
                               .force = true,
                               .creates = !*version};
    if (*version)
        doc_set(held->body, doc_string(version), "metadata", "resourceVersion", NULL);
    return kube_patch(held->kube, &held->ref, &patch, on_held_written, held);
}

static void on_held_read(void *owner, struct error *take_err, json_t *take_body)
{
    struct held *held = owner;
    AUTO_JSON json_t *now = take_body;
    bool absent = take_err && error_kind(take_err) == ERROR_NOT_FOUND;
    held->pending = NULL;
    if (take_err && (!absent || !held->body)) {
        held_finish(held, take_err, NULL);
        return;
    }
    error_free(take_err);
    const char *version = doc_str(now, "metadata", "resourceVersion", NULL);
    held->pending = held->body
                        ? send_apply(held, version)
                        : kube_delete(held->kube, &held->ref, doc_str(now, "metadata", "uid", NULL),
                                      version, on_held_written, held);
}

static char *dup_part(const char *text)
{
    return text ? str_dup(text) : NULL;
}

static struct op *begin(struct kube *kube, const struct kube_ref *ref, const json_t *body,
                        const char *field_manager, kube_done_fn *done, void *owner)
{
    struct held *held = NEW(struct held);
    held->op.drop = held_drop;
    held->kube = kube;
    held->ref = (struct kube_ref){.group = dup_part(ref->group),
                                  .version = dup_part(ref->version),
                                  .resource = dup_part(ref->resource),
                                  .namespace = dup_part(ref->namespace),
                                  .name = dup_part(ref->name),
                                  .subresource = dup_part(ref->subresource)};
    held->body = body ? doc_copy(body) : NULL;
    held->field_manager = dup_part(field_manager);
    held->done = done;
    held->owner = owner;
    held->pending = kube_get(kube, ref, on_held_read, held);
    return &held->op;
}

struct op *kube_apply_now(struct kube *kube, const struct kube_ref *ref, const json_t *body,
                          const char *field_manager, kube_done_fn *done, void *owner)
{
    return begin(kube, ref, body, field_manager, done, owner);
}

struct op *kube_delete_now(struct kube *kube, const struct kube_ref *ref, kube_done_fn *done,
                           void *owner)
{
    return begin(kube, ref, NULL, NULL, done, owner);
}

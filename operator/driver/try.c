// SPDX-License-Identifier: Apache-2.0
// The objects of a release one by one, in the name of the account. Tried out: each is sent to the
// API server as a dry run, and what the account may not do, what the server does not take, is known
// before anything is made, where helm itself would stop half way. Removed: what helm cannot do once
// the server does not serve a version any more that the release names.
#include <string.h>

#include "driver_internal.h"

struct
try {
    struct op op; // must be first
    struct kube *kube;
    json_t *objects;
    char *namespace;
    bool remove;
    json_t *groups; // "apps/v1" → its resources
    size_t next;
    struct op *pending;
    try_done_fn *done;
    void *owner;
};

static void try_free(struct try *t)
{
    op_drop(t->pending);
    json_decref(t->objects);
    json_decref(t->groups);
    mem_free(t->namespace);
    mem_free(t);
}

static void try_drop(struct op *op)
{
    try_free((struct try *)op);
}

static void advance(struct try *t);

static void finish(struct try *t, struct error *take_err)
{
    try_done_fn *done = t->done;
    void *owner = t->owner;

    try_free(t);
    done(owner, take_err);
}

static const json_t *current(const struct try *t)
{
    size_t len = json_array_size(t->objects);

    return json_array_get(t->objects, t->remove ? len - 1 - t->next : t->next);
}

// A group that a CRD of the chart itself will bring is not there yet: nothing to try.
static void note_group(struct try *t, json_t *take_group)
{
    json_object_set_new(t->groups, doc_str(current(t), "apiVersion", NULL),
                        take_group ? take_group : json_object());
    advance(t);
}

static void on_group(void *owner, struct error *take_err, json_t *take_body);

static void on_versions(void *owner, struct error *take_err, json_t *take_body)
{
    struct try *t = owner;
    AUTO_JSON json_t *body = take_body;
    const char *version = doc_str(body, "preferredVersion", "groupVersion", NULL);
    AUTO_MEM char *path = str_format("/apis/%s", version);

    t->pending = NULL;
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        finish(t, take_err);
        return;
    }
    error_free(take_err);
    if (*version)
        t->pending = kube_get_path(t->kube, path, KUBE_GROUP_BYTES_MAX, on_group, t);
    else
        note_group(t, NULL); // the group is gone, and its objects with it
}

static void on_group(void *owner, struct error *take_err, json_t *take_body)
{
    struct try *t = owner;
    const char *api = doc_str(current(t), "apiVersion", NULL), *slash = strchr(api, '/');
    AUTO_MEM char *path = slash ? str_format("/apis/%.*s", (int)(slash - api), api) : NULL;

    t->pending = NULL;
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        finish(t, take_err);
        return;
    }
    if (take_err && t->remove && path)
        t->pending = kube_get_path(t->kube, path, KUBE_GROUP_BYTES_MAX, on_versions, t);
    else
        note_group(t, take_body);
    error_free(take_err);
}

static void on_tried(void *owner, struct error *take_err, json_t *take_body)
{
    struct try *t = owner;
    const char *text = take_err ? error_text(take_err) : "";
    // The namespace is made later, and some webhooks do not take part in a dry run.
    bool harmless = take_err && (error_kind(take_err) == ERROR_NOT_FOUND ||
                                 strstr(text, "dry run") || strstr(text, "dryRun"));

    t->pending = NULL;
    json_decref(take_body);
    if (take_err && !harmless) {
        finish(t, error_wrap(take_err, "%s %s", doc_str(current(t), "kind", NULL),
                             doc_str(current(t), "metadata", "name", NULL)));
        return;
    }
    error_free(take_err);
    t->next++;
    advance(t);
}

static const json_t *find_resource(const json_t *group, const char *kind)
{
    const json_t *resources = json_object_get(group, "resources");

    for (size_t i = 0; i < json_array_size(resources); i++) {
        const json_t *resource = json_array_get(resources, i);
        if (str_eq(doc_str(resource, "kind", NULL), kind) &&
            !strchr(doc_str(resource, "name", NULL), '/'))
            return resource;
    }
    return NULL;
}

static void send(struct try *t, const json_t *group_list, const json_t *resource)
{
    const json_t *object = current(t);
    // Of the list, since what is removed may have been written in a version that is gone.
    const char *api = doc_str(group_list, "groupVersion", NULL), *slash = strchr(api, '/');
    const char *own = doc_str(object, "metadata", "namespace", NULL);
    AUTO_MEM char *group = slash ? str_ndup(api, (size_t)(slash - api)) : str_dup("");
    struct kube_ref ref = {.group = group,
                           .version = slash ? slash + 1 : api,
                           .resource = doc_str(resource, "name", NULL),
                           .name = doc_str(object, "metadata", "name", NULL)};
    struct kube_patch patch = {.type = KUBE_PATCH_APPLY,
                               .body = object,
                               .field_manager = DRIVER_FIELD_MANAGER,
                               .force = true,
                               .dry_run = true};

    if (doc_bool(resource, false, "namespaced", NULL))
        ref.namespace = *own ? own : t->namespace;
    t->pending = t->remove ? kube_delete_now(t->kube, &ref, on_tried, t)
                           : kube_patch(t->kube, &ref, &patch, on_tried, t);
}

static bool is_kept(const json_t *object)
{
    return str_eq(doc_str(object, "metadata", "annotations", "helm.sh/resource-policy", NULL),
                  "keep");
}

static void advance(struct try *t)
{
    for (; t->next < json_array_size(t->objects); t->next++) {
        const json_t *object = current(t), *group, *resource;
        const char *api = doc_str(object, "apiVersion", NULL);

        if (!*api || !*doc_str(object, "metadata", "name", NULL) || (t->remove && is_kept(object)))
            continue;
        group = json_object_get(t->groups, api);
        if (!group) {
            AUTO_MEM char *path = str_format("%s/%s", strchr(api, '/') ? "/apis" : "/api", api);
            t->pending = kube_get_path(t->kube, path, KUBE_GROUP_BYTES_MAX, on_group, t);
            return;
        }
        resource = find_resource(group, doc_str(object, "kind", NULL));
        if (!resource)
            continue;
        send(t, group, resource);
        return;
    }
    finish(t, NULL);
}

static void on_begin(void *owner)
{
    struct try *t = owner;

    t->pending = NULL;
    advance(t);
}

static struct op *begin(struct loop *loop, struct kube *kube, const json_t *objects,
                        const char *namespace, try_done_fn *done, void *owner)
{
    struct try *t = NEW(struct try);

    t->op.drop = try_drop;
    t->kube = kube;
    t->objects = json_incref((json_t *)(uintptr_t)objects);
    t->namespace = str_dup(namespace);
    t->groups = json_object();
    t->done = done;
    t->owner = owner;
    t->pending = loop_defer(loop, on_begin, t);
    return &t->op;
}

struct op *driver_try(struct loop *loop, struct kube *kube, const json_t *objects,
                      const char *namespace, try_done_fn *done, void *owner)
{
    return begin(loop, kube, objects, namespace, done, owner);
}

struct op *driver_remove(struct loop *loop, struct kube *kube, const json_t *objects,
                         const char *namespace, try_done_fn *done, void *owner)
{
    struct op *op = begin(loop, kube, objects, namespace, done, owner);

    ((struct try *)op)->remove = true;
    return op;
}

// SPDX-License-Identifier: Apache-2.0
// The writes of a pass, made up before the first is sent, then sent one after the other, each on
// the resourceVersion it was decided on.
#include "platform_internal.h"

#define LABEL_BYTES_MAX 63 // of a label's value (Kubernetes, apimachinery validation)

struct writing {
    struct op op; // must be first
    const struct platform_cluster *cluster;
    platform_applied_fn *done;
    void *owner;
    struct op *pending;
    struct write *writes;
    size_t len, next;
    struct platform_writes made;
    struct error *failed; // the writes could not be made up: nothing is sent
};

const struct platform_kind_info *platform_kind(enum platform_kind kind)
{
    static const struct platform_kind_info kinds[] = {
        [KIND_NODE_CONFIG] = {"NodeDRAConfiguration", API_GROUP, API_VERSION,
                              "nodedraconfigurations"},
        [KIND_CONFIG_MAP] = {"ConfigMap", "", "v1", "configmaps"},
        [KIND_DEPLOYMENT] = {"Deployment", "apps", "v1", "deployments"},
        [KIND_STATEFUL_SET] = {"StatefulSet", "apps", "v1", "statefulsets"},
        [KIND_TENANT_CONTROL_PLANE] = {"TenantControlPlane", "kamaji.clastix.io", "v1alpha1",
                                       "tenantcontrolplanes"},
    };

    ASSERT(kind < COUNT(kinds));
    return &kinds[kind];
}

struct write *platform_add_write(struct writing *w, enum write_kind how, enum platform_kind kind,
                                 const char *namespace, const char *name)
{
    struct write *write;

    w->writes = mem_realloc(w->writes, (w->len + 1) * sizeof(*w->writes));
    write = &w->writes[w->len++];
    *write = (struct write){
        .how = how, .kind = kind, .namespace = str_dup(namespace), .name = str_dup(name)};
    return write;
}

static void guard(struct write *write, const json_t *object)
{
    write->resource_version = str_dup(doc_str(object, "metadata", "resourceVersion", NULL));
    write->uid = str_dup(doc_str(object, "metadata", "uid", NULL));
}

// --- what to write -------------------------------------------------------------------------------

static char *summarize_node(const struct platform_change *change, const char *node)
{
    AUTO_BUF struct buf text = buf_make(4096);
    size_t len;
    const size_t *steps = plan_steps_of(change->plan, change->observed->instances, node, &len);

    for (size_t i = 0; i < len; i++) {
        const struct plan_step *step = &change->plan->steps[steps[i]];
        const struct plan_instance *instance = &change->observed->instances[step->instance];
        AUTO_MEM char *summary = NULL;

        if (step->state != PLAN_NOW)
            continue;
        summary = plan_step_summary(step, instance);
        buf_printf(&text, "%s%s: %s", text.len ? "; " : "", component_name(instance->component),
                   *summary ? summary : "verify");
    }
    return buf_take(&text);
}

// The labels of a NodeDRAConfiguration: whose it is. The value has at most 63 bytes.
static json_t *make_labels(const struct platform_change *change)
{
    json_t *labels = json_object();
    AUTO_MEM char *owner = str_format("%s.%s", change->owner_namespace, change->owner_name);
    char digest[DOC_DIGEST_BYTES];
    bool fits = slice_of(owner).len <= LABEL_BYTES_MAX;

    doc_digest(slice_of(owner), digest);
    json_object_set_new(labels, "app.kubernetes.io/managed-by", json_string("drawbridge"));
    json_object_set_new(
        labels, API_LABEL_CONFIGURATION,
        doc_string_of(slice_of(fits ? owner : digest), fits ? LABEL_BYTES_MAX : 40));
    return labels;
}

static void add_node_write(struct writing *w, const struct platform_change *change,
                           const char *node)
{
    const json_t *now = json_object_get(change->observed->node_configs, node);
    const json_t *was = json_object_get(now, "spec");
    AUTO_JSON json_t *spec = plan_node_spec(change->plan, change->observed->instances, node,
                                            &change->header, change->enable, was);
    struct write *write;

    // A new leader alone is no reason to write: the epoch goes out with the next change, unless the
    // agent refuses the one that stands there.
    if (now) {
        AUTO_JSON json_t *same = doc_copy(spec);
        int64_t epoch = doc_int(was, 0, "epoch", NULL);
        bool refused = doc_int(now, 0, "status", "epoch", NULL) > epoch &&
                       doc_int(spec, 0, "epoch", NULL) > epoch;

        doc_set(same, doc_copy(json_object_get(was, "epoch")), "epoch", NULL);
        if (doc_equal(same, was) && !refused)
            return;
    }
    write = platform_add_write(w, now ? WRITE_PATCH : WRITE_CREATE, KIND_NODE_CONFIG, NULL, node);
    write->what = summarize_node(change, node);
    write->body = json_object();
    json_object_set_new(write->body, "apiVersion", json_string(API_GROUP_VERSION));
    json_object_set_new(write->body, "kind", json_string("NodeDRAConfiguration"));
    doc_set(write->body, doc_string(node), "metadata", "name", NULL);
    doc_set(write->body, make_labels(change), "metadata", "labels", NULL);
    json_object_set_new(write->body, "spec", TAKE(spec));
    if (now) {
        guard(write, now);
        doc_set(write->body, doc_string(write->resource_version), "metadata", "resourceVersion",
                NULL);
    }
}

struct vanished {
    struct writing *w;
    const json_t *nodes; // those that stay
    const char *why;
    bool gone_alone; // of nodes that are there no more
};

static void on_node_config(void *owner, const char *key, const json_t *config)
{
    struct vanished *v = owner;
    struct write *write;

    if (json_object_get(v->nodes, key))
        return;
    // A Node that is there and not managed is no reason: its agent would forget what is ours.
    if (v->gone_alone && watch_get(v->w->cluster->nodes, key))
        return;
    write = platform_add_write(v->w, WRITE_DELETE, KIND_NODE_CONFIG, NULL, key);
    write->what = str_dup(v->why);
    write->without_node = v->gone_alone;
    guard(write, config);
}

static void add_config_map_write(struct writing *w, const struct platform_observed *observed,
                                 const char *name, const char *key, const char *text, bool quiet)
{
    const json_t *now = json_object_get(observed->config_maps, name);
    struct write *write = platform_add_write(w, now ? WRITE_PATCH : WRITE_CREATE, KIND_CONFIG_MAP,
                                             PLATFORM_NAMESPACE, name);

    write->quiet = quiet;
    write->what = str_dup("new nodes and upgrades get the same");
    write->body = json_object();
    json_object_set_new(write->body, "apiVersion", json_string("v1"));
    json_object_set_new(write->body, "kind", json_string("ConfigMap"));
    doc_set(write->body, doc_string(name), "metadata", "name", NULL);
    if (now) {
        guard(write, now);
        doc_set(write->body, doc_string(write->resource_version), "metadata", "resourceVersion",
                NULL);
    }
    doc_set(write->body, doc_string(text), "data", key, NULL);
}

static void add_undo_write(struct writing *w, const struct platform_observed *observed,
                           const json_t *undo)
{
    struct write *write = NULL;
    json_t *copy = doc_copy(undo);
    const char *name;
    json_t *record;

    json_object_foreach(copy, name, record) {
        AUTO_MEM char *text = doc_print_json(record);

        if (!write) {
            add_config_map_write(w, observed, PLATFORM_UNDO_CONFIGMAP, name, text, true);
            write = &w->writes[w->len - 1];
        } else {
            doc_set(write->body, doc_string(text), "data", name, NULL);
        }
    }
    json_decref(copy);
}

struct error *platform_kubeadm_writes(struct writing *w, const struct platform_change *change)
{
    AUTO_JSON json_t *texts = NULL;
    AUTO_JSON json_t *undo = NULL;
    struct vanished vanished = {w, change->observed->nodes, "the node is gone", true};
    struct error *err = platform_edit_templates(change->observed, change->plan, &texts, &undo);
    const char *name;
    json_t *text, *number;

    if (err)
        return err;
    json_object_foreach(change->observed->nodes, name, number)
        add_node_write(w, change, name);
    watch_each(w->cluster->node_configs, on_node_config, &vanished);
    // before the edit: what is recorded and not there is nobody's
    add_undo_write(w, change->observed, undo);
    json_object_foreach(texts, name, text) {
        add_config_map_write(w, change->observed, name, platform_template_key(name),
                             json_string_value(text), false);
    }
    return NULL;
}

void platform_kubeadm_release(struct writing *w, const struct platform_observed *observed,
                              const json_t *keep, bool forget)
{
    struct vanished vanished = {w, keep, "released", false};
    const json_t *undo =
        observed ? json_object_get(observed->config_maps, PLATFORM_UNDO_CONFIGMAP) : NULL;

    watch_each(w->cluster->node_configs, on_node_config, &vanished);
    if (forget && undo) {
        struct write *write = platform_add_write(w, WRITE_DELETE, KIND_CONFIG_MAP,
                                                 PLATFORM_NAMESPACE, PLATFORM_UNDO_CONFIGMAP);
        write->quiet = true;
        guard(write, undo);
    }
}

// --- sending -------------------------------------------------------------------------------------

static void writing_free(struct writing *w)
{
    for (size_t i = 0; i < w->len; i++) {
        mem_free(w->writes[i].namespace);
        mem_free(w->writes[i].name);
        mem_free(w->writes[i].resource_version);
        mem_free(w->writes[i].uid);
        mem_free(w->writes[i].what);
        json_decref(w->writes[i].body);
    }
    mem_free(w->writes);
    error_free(w->failed);
    platform_writes_fini(&w->made);
    mem_free(w);
}

void platform_writes_fini(struct platform_writes *writes)
{
    for (size_t i = 0; i < writes->len; i++) {
        mem_free(writes->items[i].object);
        mem_free(writes->items[i].what);
    }
    mem_free(writes->items);
    *writes = (struct platform_writes){0};
}

static void writing_drop(struct op *op)
{
    struct writing *w = (struct writing *)op;

    op_drop(w->pending);
    writing_free(w);
}

static void finish(struct writing *w, struct error *take_err)
{
    platform_applied_fn *done = w->done;
    void *owner = w->owner;
    struct platform_writes made = w->made;

    w->made = (struct platform_writes){0};
    writing_free(w);
    done(owner, take_err, &made);
    platform_writes_fini(&made);
}

static char *describe(const struct write *write)
{
    const char *kind = platform_kind(write->kind)->kind;

    return write->namespace ? str_format("%s %s/%s", kind, write->namespace, write->name)
                            : str_format("%s %s", kind, write->name);
}

static void note_made(struct writing *w, const struct write *write)
{
    struct platform_write *made;

    if (write->quiet || str_eq(write->what, ""))
        return;
    w->made.items = mem_realloc(w->made.items, (w->made.len + 1) * sizeof(*w->made.items));
    made = &w->made.items[w->made.len++];
    made->object = describe(write);
    made->what = str_dup(write->what);
}

static void advance(void *owner);

// Whether the API server takes no such write from us, and not just now.
static bool is_refused(const struct error *err)
{
    return error_kind(err) == ERROR_DENIED || error_kind(err) == ERROR_INVALID ||
           error_kind(err) == ERROR_LIMIT;
}

static void on_written(void *owner, struct error *take_err, json_t *take_body)
{
    struct writing *w = owner;
    const struct write *write = &w->writes[w->next];
    AUTO_JSON json_t *body = take_body;

    w->pending = NULL;
    if (take_err && write->how == WRITE_DELETE && error_kind(take_err) == ERROR_NOT_FOUND) {
        error_free(take_err);
    } else if (take_err) {
        AUTO_MEM char *object = describe(write);

        if (write->kind == KIND_CONFIG_MAP && is_refused(take_err))
            error_set_reason(take_err, "ClusterConfigNotUpdated");
        finish(w, error_wrap(take_err, "write %s", object));
        return;
    } else if (write->kind == KIND_NODE_CONFIG && write->how != WRITE_DELETE) {
        watch_note_write(w->cluster->node_configs, body);
    }
    note_made(w, write);
    w->next++;
    advance(w);
}

static struct op *send_write(struct writing *w, const struct write *write)
{
    const struct platform_kind_info *kind = platform_kind(write->kind);
    struct kube_ref ref = {.group = kind->group,
                           .version = kind->version,
                           .resource = kind->resource,
                           .namespace = write->namespace};
    struct kube_patch patch = {.type = write->how == WRITE_JSON_PATCH ? KUBE_PATCH_JSON
                                                                      : KUBE_PATCH_MERGE,
                               .body = write->body,
                               .field_manager = API_FIELD_MANAGER};

    if (write->how == WRITE_CREATE)
        return kube_create(w->cluster->kube, &ref, write->body, on_written, w);
    ref.name = write->name;
    if (write->how == WRITE_DELETE)
        return kube_delete(w->cluster->kube, &ref, write->uid, NULL, on_written, w);
    return kube_patch(w->cluster->kube, &ref, &patch, on_written, w);
}

// The watch may be of an old cache, or of before the Node came: the API server itself has to say
// that there is none.
static void on_node(void *owner, struct error *take_err, json_t *take_body)
{
    struct writing *w = owner;
    const struct write *write = &w->writes[w->next];

    w->pending = NULL;
    json_decref(take_body);
    if (take_err && error_kind(take_err) != ERROR_NOT_FOUND) {
        finish(w, error_wrap(take_err, "see whether Node %s is gone", write->name));
        return;
    }
    if (take_err) {
        error_free(take_err);
        w->pending = send_write(w, write);
        return;
    }
    w->next++;
    advance(w);
}

static void advance(void *owner)
{
    struct writing *w = owner;
    struct kube_ref node = {.group = "", .version = "v1", .resource = "nodes"};

    w->pending = NULL;
    if (w->next == w->len) {
        finish(w, NULL);
        return;
    }
    node.name = w->writes[w->next].name;
    w->pending = w->writes[w->next].without_node ? kube_get(w->cluster->kube, &node, on_node, w)
                                                 : send_write(w, &w->writes[w->next]);
}

static void on_failed_early(void *owner)
{
    struct writing *w = owner;

    w->pending = NULL;
    finish(w, TAKE(w->failed));
}

static struct writing *writing_new(const struct platform_cluster *cluster,
                                   platform_applied_fn *done, void *owner)
{
    struct writing *w = NEW(struct writing);

    w->op.drop = writing_drop;
    w->cluster = cluster;
    w->done = done;
    w->owner = owner;
    return w;
}

struct op *platform_apply(struct loop *loop, const struct platform_cluster *cluster,
                          const struct platform_change *change, platform_applied_fn *done,
                          void *owner)
{
    struct writing *w = writing_new(cluster, done, owner);

    w->failed = platform_find(change->observed->type)->make_writes(w, change);
    w->pending = loop_defer(loop, w->failed ? on_failed_early : advance, w);
    return &w->op;
}

struct op *platform_release(struct loop *loop, const struct platform_cluster *cluster,
                            enum platform_type type, const struct platform_observed *observed,
                            const json_t *keep, bool forget, platform_applied_fn *done, void *owner)
{
    struct writing *w = writing_new(cluster, done, owner);
    const struct platform *platform = platform_find(type);

    // Auto that was never decided: what Kubeadm would have left, which may be nothing.
    if (!platform)
        platform = platform_kubeadm();
    if (platform->make_release)
        platform->make_release(w, observed, keep, forget);
    w->pending = loop_defer(loop, advance, w);
    return &w->op;
}

// SPDX-License-Identifier: Apache-2.0
// The writes of a pass, made up before the first is sent, then sent one after the other, each on
// the resourceVersion it was decided on.
#include "platform_internal.h"

struct writing {
    struct op op; // must be first
    const struct cluster *cluster;
    platform_wrote_fn *wrote; // NULL: nobody asks
    platform_applied_fn *done;
    void *owner;
    uint64_t began_ms;
    struct op *pending;
    struct write *writes;
    size_t len, next;
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
        // Which version of these is served, discovery tells.
        [KIND_CLUSTER] = {"Cluster", "cluster.x-k8s.io", "v1beta2", "clusters"},
        [KIND_KUBEADM_CONTROL_PLANE] = {"KubeadmControlPlane", "controlplane.cluster.x-k8s.io",
                                        "v1beta2", "kubeadmcontrolplanes"},
        [KIND_MACHINE_DEPLOYMENT] = {"MachineDeployment", "cluster.x-k8s.io", "v1beta2",
                                     "machinedeployments"},
        [KIND_KUBEADM_CONFIG_TEMPLATE] = {"KubeadmConfigTemplate", "bootstrap.cluster.x-k8s.io",
                                          "v1beta2", "kubeadmconfigtemplates"},
        [KIND_MACHINE_POOL] = {"MachinePool", "cluster.x-k8s.io", "v1beta2", "machinepools"},
        [KIND_KUBEADM_CONFIG] = {"KubeadmConfig", "bootstrap.cluster.x-k8s.io", "v1beta2",
                                 "kubeadmconfigs"},
        [KIND_APP] = {"App", "application.giantswarm.io", "v1alpha1", "apps"},
        [KIND_HELM_RELEASE] = {"HelmRelease", "helm.toolkit.fluxcd.io", "v2", "helmreleases"},
        [KIND_VALUES] = {"ConfigMap", "", "v1", "configmaps"},
    };

    ASSERT(kind < COUNT(kinds));
    return &kinds[kind];
}

// --- making up -----------------------------------------------------------------------------------

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

struct write *platform_add_object(struct writing *w, enum platform_kind kind, const char *namespace,
                                  const char *name, const json_t *now)
{
    const struct platform_kind_info *info = platform_kind(kind);
    struct write *write =
        platform_add_write(w, now ? WRITE_PATCH : WRITE_CREATE, kind, namespace, name);
    AUTO_MEM char *version =
        *info->group ? str_format("%s/%s", info->group, info->version) : str_dup(info->version);

    write->body = json_object();
    json_object_set_new(write->body, "apiVersion", doc_string(version));
    json_object_set_new(write->body, "kind", doc_string(info->kind));
    doc_set(write->body, doc_string(name), "metadata", "name", NULL);
    if (now)
        doc_set(write->body, doc_string(doc_str(now, "metadata", "resourceVersion", NULL)),
                "metadata", "resourceVersion", NULL);
    return write;
}

struct write *platform_add_delete(struct writing *w, enum platform_kind kind, const char *namespace,
                                  const char *name, const json_t *now)
{
    struct write *write = platform_add_write(w, WRITE_DELETE, kind, namespace, name);

    write->uid = str_dup(doc_str(now, "metadata", "uid", NULL));
    return write;
}

// --- sending -------------------------------------------------------------------------------------

static void writing_free(struct writing *w)
{
    for (size_t i = 0; i < w->len; i++) {
        mem_free(w->writes[i].namespace);
        mem_free(w->writes[i].name);
        mem_free(w->writes[i].version);
        mem_free(w->writes[i].uid);
        mem_free(w->writes[i].what);
        json_decref(w->writes[i].body);
    }
    mem_free(w->writes);
    error_free(w->failed);
    mem_free(w);
}

static void writing_drop(struct op *op)
{
    struct writing *w = (struct writing *)op;

    op_drop(w->pending);
    writing_free(w);
}

static void finish(struct writing *w, struct error *take_err, bool more)
{
    platform_applied_fn *done = w->done;
    void *owner = w->owner;

    writing_free(w);
    done(owner, take_err, more);
}

static char *describe(const struct write *write)
{
    const char *kind = platform_kind(write->kind)->kind;

    return write->namespace ? str_format("%s %s/%s", kind, write->namespace, write->name)
                            : str_format("%s %s", kind, write->name);
}

static void tell(const struct writing *w, const struct write *write)
{
    AUTO_MEM char *object = describe(write);

    if (w->wrote && !write->quiet && !str_eq(write->what, ""))
        w->wrote(w->owner, object, write->what);
}

static void advance(void *owner);

// Whether the API server takes no such write from us, and not just now.
static bool is_refused(const struct error *err)
{
    return error_kind(err) == ERROR_DENIED || error_kind(err) == ERROR_INVALID ||
           error_kind(err) == ERROR_LIMIT;
}

static bool is_done_already(const struct write *write, const struct error *err)
{
    if (write->how == WRITE_DELETE)
        return error_kind(err) == ERROR_NOT_FOUND;
    return write->same_is_fine && str_eq(error_reason(err), "AlreadyExists");
}

static void on_written(void *owner, struct error *take_err, json_t *take_body)
{
    struct writing *w = owner;
    const struct write *write = &w->writes[w->next];
    AUTO_JSON json_t *body = take_body;

    w->pending = NULL;
    if (take_err && is_done_already(write, take_err)) {
        error_free(take_err);
    } else if (take_err) {
        AUTO_MEM char *object = describe(write);

        if (write->kind == KIND_CONFIG_MAP && is_refused(take_err))
            error_set_reason(take_err, "ClusterConfigNotUpdated");
        finish(w, error_wrap(take_err, "write %s", object), false);
        return;
    } else if (write->kind == KIND_NODE_CONFIG && write->how != WRITE_DELETE) {
        watch_note_write(w->cluster->node_configs, body);
    }
    tell(w, write);
    w->next++;
    advance(w);
}

static struct op *send_write(struct writing *w, const struct write *write)
{
    const struct platform_kind_info *kind = platform_kind(write->kind);
    struct kube_ref ref = {.group = kind->group,
                           .version = write->version ? write->version : kind->version,
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
        finish(w, error_wrap(take_err, "see whether Node %s is gone", write->name), false);
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
    if (w->next == w->len || (w->next > 0 && clock_ms() - w->began_ms >= PLATFORM_WRITE_MS)) {
        finish(w, NULL, w->next < w->len);
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
    finish(w, TAKE(w->failed), false);
}

static struct writing *writing_new(const struct cluster *cluster, platform_applied_fn *done,
                                   void *owner)
{
    struct writing *w = NEW(struct writing);

    w->op.drop = writing_drop;
    w->cluster = cluster;
    w->done = done;
    w->owner = owner;
    w->began_ms = clock_ms();
    return w;
}

struct op *platform_apply(struct loop *loop, const struct cluster *cluster,
                          const struct platform_change *change, platform_applied_fn *done,
                          void *owner)
{
    struct writing *w = writing_new(cluster, done, owner);

    w->wrote = change->wrote;
    w->failed = platform_find(change->observed->type)->make_writes(w, cluster, change);
    w->pending = loop_defer(loop, w->failed ? on_failed_early : advance, w);
    return &w->op;
}

struct op *platform_release(struct loop *loop, const struct cluster *cluster,
                            enum platform_type type, const struct platform_observed *observed,
                            const json_t *keep, bool forget, platform_applied_fn *done, void *owner)
{
    struct writing *w = writing_new(cluster, done, owner);
    const struct platform *platform = platform_find(type);

    // Auto that was never decided: what Kubeadm would have left, which may be nothing.
    if (!platform)
        platform = platform_kubeadm();
    if (platform->make_release)
        platform->make_release(w, cluster, observed, keep, forget);
    w->pending = loop_defer(loop, advance, w);
    return &w->op;
}

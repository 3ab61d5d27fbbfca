// SPDX-License-Identifier: Apache-2.0
// The observation of a Cluster: which versions of Cluster API's groups are served here, its
// objects, and then what its own API server says. One request after the other.
#include <string.h>

#include "capi_internal.h"

enum phase {
    PHASE_GROUPS,
    PHASE_CLUSTER,
    PHASE_CLASS,
    PHASE_CONTROL_PLANE,
    PHASE_DEPLOYMENTS,
    PHASE_POOLS,
    PHASE_TEMPLATES,
    PHASE_ORIGINALS,
    PHASE_OURS,
    PHASE_OUR_CONFIGS,
    PHASE_SETS,
    PHASE_MACHINES,
    PHASE_ASK,
    PHASE_END
};

struct observation {
    struct op op; // must be first
    struct loop *loop;
    const struct cluster *cluster;
    const struct platform_target *target;
    platform_observed_fn *done;
    void *owner;
    struct op *pending;
    struct capi_question question; // its namespace and name are borrowed from the observation
    enum phase phase;
    size_t next;          // within a phase
    char *selector;       // of what is the Cluster's
    struct error *failed; // of a list
    struct platform_said said;
    struct platform_observed *observed;
};

static void advance(struct observation *o);

static void observation_free(struct observation *o)
{
    mem_free(o->selector);
    error_free(o->failed);
    platform_said_fini(&o->said);
    platform_observed_free(o->observed);
    mem_free(o);
}

static void observation_drop(struct op *op)
{
    struct observation *o = (struct observation *)op;

    op_drop(o->pending);
    observation_free(o);
}

static void finish(struct observation *o, struct error *take_err)
{
    platform_observed_fn *done = o->done;
    void *owner = o->owner;
    struct platform_observed *observed = take_err ? NULL : TAKE(o->observed);

    observation_free(o);
    done(owner, take_err, observed);
}

static struct platform_capi *capi_of(const struct observation *o)
{
    return o->observed->capi;
}

static void go_on(struct observation *o, enum phase phase)
{
    o->phase = phase;
    o->next = 0;
    advance(o);
}

// --- the end -------------------------------------------------------------------------------------

static void note_owners(struct platform_capi *capi)
{
    for (size_t i = 0; i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        AUTO_MEM char *note = NULL;
        AUTO_MEM char *kubelets = NULL;

        if (owner->foreign)
            note =
                str_format("kubelets of %s are not configured: %s", owner->where, owner->foreign);
        else if (capi_is_on_delete(owner->object))
            note = str_format("%s has the strategy OnDelete: each of its Machines gets what was "
                              "written when somebody deletes it",
                              owner->where);
        else if (owner->kind == KIND_MACHINE_POOL && owner->parts[0].record)
            note = str_format("%s gives out its new bootstrap data; whether its nodes are replaced "
                              "is its infrastructure provider's to say",
                              owner->where);
        if (note)
            capi_add_note(capi, note);
        kubelets = capi_kubelets_note(owner);
        if (kubelets)
            capi_add_note(capi, kubelets);
    }
}

static char *say_read_back(const struct observation *o)
{
    static const char others[] = "kube-controller-manager, kube-scheduler and kubelets by their "
                                 "complete roll-outs";
    const char *notes = capi_of(o)->notes;

    if (o->said.gates)
        return str_format("kube-apiserver as its /metrics say, %s%s%s", others, notes ? "; " : "",
                          notes ? notes : "");
    return str_format("every component by its complete roll-out; nothing was read back: %s%s%s",
                      o->said.unread ? o->said.unread : "the API server was not asked",
                      notes ? "; " : "", notes ? notes : "");
}

static bool is_paused(const json_t *object)
{
    return doc_bool(object, false, "spec", "paused", NULL) ||
           doc_get(object, "metadata", "annotations", "cluster.x-k8s.io/paused", NULL);
}

static struct error *check_paused(const json_t *object, const char *kind)
{
    if (!is_paused(object))
        return NULL;
    return error_because(ERROR_INVALID, "ClusterPaused",
                         "%s %s/%s is paused, so that Cluster API carries nothing out and nothing "
                         "is written; take spec.paused or the annotation cluster.x-k8s.io/paused "
                         "away when it may go on",
                         kind, doc_str(object, "metadata", "namespace", NULL),
                         doc_str(object, "metadata", "name", NULL));
}

static struct error *collect_own(void *owner UNUSED, struct platform_observed *observed,
                                 const struct platform_look *look, const struct platform_said *said)
{
    capi_collect(observed, look, said);
    return NULL;
}

static void collect(struct observation *o)
{
    struct platform_capi *capi = capi_of(o);
    struct error *failed;
    struct platform_look look = platform_look_at(o->target, &o->said);

    if (capi->cluster && capi->len > 0 && !capi->above)
        capi_variables_choose(capi);
    for (size_t i = 0; i < capi->len; i++) {
        const struct capi_owner *owner = &capi->owners[i];
        struct error *err = capi_owner_read(&capi->owners[i], capi);

        // Where nothing is ours the end needs no roll-out.
        if (!err && owner->len > 0 &&
            (capi->above ? o->question.waits || !o->target->deleting
                         : !o->target->deleting || owner->parts[0].record))
            err = check_paused(owner->object, platform_kind(owner->kind)->kind);
        if (err) {
            finish(o, err);
            return;
        }
    }
    failed = o->question.collect(o->question.owner, o->observed, &look, &o->said);
    o->observed->gone = o->target->deleting && !capi->cluster;
    note_owners(capi);
    o->observed->read_back = say_read_back(o);
    finish(o, failed);
}

// --- requests ------------------------------------------------------------------------------------

static struct kube_ref ref_of(const struct observation *o, enum platform_kind kind,
                              const char *name)
{
    const struct platform_capi *capi = capi_of(o);
    const struct platform_kind_info *info = platform_kind(kind);

    return (struct kube_ref){.group = info->group,
                             .version = kind == KIND_KUBEADM_CONTROL_PLANE ? capi->control_plane
                                        : kind == KIND_KUBEADM_CONFIG_TEMPLATE ||
                                                kind == KIND_KUBEADM_CONFIG
                                            ? capi->bootstrap
                                            : capi->core,
                             .resource = info->resource,
                             .namespace = capi->namespace,
                             .name = name};
}

// Of a Cluster that is gone there is nothing to take back.
static bool is_gone(const struct observation *o, const struct error *err)
{
    return err && o->target->deleting && error_kind(err) == ERROR_NOT_FOUND;
}

static const struct {
    const char *group;
    size_t at; // of the version in struct platform_capi
} groups[] = {
    {CAPI_CORE_GROUP, offsetof(struct platform_capi, core)},
    {CAPI_CONTROL_PLANE_GROUP, offsetof(struct platform_capi, control_plane)},
    {CAPI_BOOTSTRAP_GROUP, offsetof(struct platform_capi, bootstrap)},
};

// NULL: none that we can write.
static const char *choose_version(const json_t *group)
{
    static const char *const known[] = {"v1beta2", "v1beta1"};
    const json_t *versions = json_object_get(group, "versions");

    for (size_t k = 0; k < COUNT(known); k++) {
        for (size_t i = 0; i < json_array_size(versions); i++) {
            if (str_eq(doc_str(json_array_get(versions, i), "version", NULL), known[k]))
                return known[k];
        }
    }
    return NULL;
}

static void on_group(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    AUTO_JSON json_t *body = take_body;
    const char *version = choose_version(body);
    char **at = (char **)((char *)capi_of(o) + groups[o->next].at);

    o->pending = NULL;
    if (is_gone(o, take_err)) {
        error_free(take_err);
        go_on(o, PHASE_END);
        return;
    }
    if (take_err && error_kind(take_err) == ERROR_NOT_FOUND) {
        error_free(take_err);
        take_err = error_because(ERROR_INVALID, "NotSupported",
                                 "Cluster API is not installed in this cluster: %s is not served",
                                 groups[o->next].group);
    } else if (!take_err && !version) {
        take_err =
            error_because(ERROR_INVALID, "NotSupported",
                          "%s is served as neither v1beta2 nor v1beta1", groups[o->next].group);
    }
    if (take_err) {
        finish(o, take_err);
        return;
    }
    *at = str_dup(version);
    o->next++;
    advance(o);
}

static bool ask_groups(struct observation *o)
{
    AUTO_MEM char *path = NULL;

    if (o->next == COUNT(groups))
        return false;
    path = str_format("/apis/%s", groups[o->next].group);
    o->pending = kube_get_path(o->cluster->kube, path, KUBE_GROUP_BYTES_MAX, on_group, o);
    return true;
}

static void on_cluster(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    struct platform_capi *capi = capi_of(o);
    const char *name;

    o->pending = NULL;
    if (is_gone(o, take_err)) {
        error_free(take_err);
        go_on(o, PHASE_END);
        return;
    }
    if (!take_err) {
        capi->cluster = take_body;
        take_err = check_paused(capi->cluster, "Cluster");
    }
    if (!take_err)
        take_err = capi_control_plane_name(capi->cluster, &name);
    if (take_err) {
        finish(o, error_wrap(take_err, "Cluster %s/%s", capi->namespace, capi->name));
        return;
    }
    go_on(o, PHASE_CLASS);
}

// --- a ClusterClass ------------------------------------------------------------------------------

static void on_class(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    AUTO_JSON json_t *class = take_body;
    bool retry =
        take_err && error_kind(take_err) != ERROR_NOT_FOUND && error_kind(take_err) != ERROR_DENIED;

    o->pending = NULL;
    if (retry) {
        finish(o, error_wrap(take_err, "the ClusterClass of Cluster %s/%s", capi_of(o)->namespace,
                             capi_of(o)->name));
        return;
    }
    if (take_err) {
        AUTO_MEM char *note = str_format("no variable of its ClusterClass is used, since that "
                                         "cannot be read (%s)",
                                         error_text(take_err));

        capi_add_note(capi_of(o), note);
        error_free(take_err);
    } else {
        capi_class_read(capi_of(o), class);
    }
    go_on(o, PHASE_CONTROL_PLANE);
}

// v1beta2: classRef; v1beta1: class, classNamespace
static bool ask_class(struct observation *o)
{
    const struct platform_capi *capi = capi_of(o);
    const json_t *topology = doc_get(capi->cluster, "spec", "topology", NULL);
    const char *name = doc_str(topology, "classRef", "name", NULL),
               *namespace = doc_str(topology, "classRef", "namespace", NULL);
    struct kube_ref ref = ref_of(o, KIND_CLUSTER, NULL);

    if (!*name) {
        name = doc_str(topology, "class", NULL);
        namespace = doc_str(topology, "classNamespace", NULL);
    }
    if (!*name || capi->above)
        return false;
    ref.resource = "clusterclasses";
    ref.name = name;
    if (*namespace)
        ref.namespace = namespace;
    o->pending = kube_get(o->cluster->kube, &ref, on_class, o);
    return true;
}

static void on_control_plane(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    struct platform_capi *capi = capi_of(o);

    o->pending = NULL;
    if (!take_err) {
        capi_add_owner(capi, KIND_KUBEADM_CONTROL_PLANE, take_body);
        take_err = check_paused(take_body, "KubeadmControlPlane");
    }
    if (take_err && !is_gone(o, take_err)) {
        finish(o, error_wrap(take_err, "the control plane of Cluster %s/%s", capi->namespace,
                             capi->name));
        return;
    }
    error_free(take_err);
    go_on(o, PHASE_DEPLOYMENTS);
}

static void ask_object(struct observation *o)
{
    struct platform_capi *capi = capi_of(o);
    struct kube_ref ref = ref_of(o, KIND_CLUSTER, capi->name);
    const char *name = NULL;

    if (o->phase == PHASE_CLUSTER) {
        o->pending = kube_get(o->cluster->kube, &ref, on_cluster, o);
        return;
    }
    error_ignore(capi_control_plane_name(capi->cluster, &name),
                 "it was looked at with the Cluster");
    ref = ref_of(o, KIND_KUBEADM_CONTROL_PLANE, name);
    o->pending = kube_get(o->cluster->kube, &ref, on_control_plane, o);
}

// --- lists ---------------------------------------------------------------------------------------

static void add_workers(struct observation *o, enum platform_kind kind, json_t *item)
{
    struct platform_capi *capi = capi_of(o);

    if (doc_get(item, "metadata", "deletionTimestamp", NULL))
        return;
    if (capi->len > CAPI_DEPLOYMENTS_MAX && !o->failed)
        o->failed = error_new(ERROR_LIMIT,
                              "Cluster %s/%s has more than %d MachineDeployments and "
                              "MachinePools",
                              capi->namespace, capi->name, CAPI_DEPLOYMENTS_MAX);
    if (!o->failed)
        capi_add_owner(capi, kind, doc_copy(item));
}

static void on_deployment(void *owner, json_t *item)
{
    add_workers(owner, KIND_MACHINE_DEPLOYMENT, item);
}

static void on_pool(void *owner, json_t *item)
{
    struct observation *o = owner;
    const char *data =
        doc_str(item, "spec", "template", "spec", "bootstrap", "dataSecretName", NULL);

    // The Secret has the name of the KubeadmConfig that it is made of.
    if (*data)
        json_object_set_new(capi_of(o)->in_use, data, json_true());
    add_workers(o, KIND_MACHINE_POOL, item);
}

static void on_ours(void *owner, json_t *item)
{
    struct observation *o = owner;

    json_array_append_new(capi_of(o)->ours, doc_copy(item));
}

static void on_our_config(void *owner, json_t *item)
{
    struct observation *o = owner;
    json_t *config = doc_copy(item);

    json_object_set_new(config, "kind", json_string("KubeadmConfig"));
    json_array_append_new(capi_of(o)->ours, config);
}

static struct capi_owner *find_deployment(struct platform_capi *capi, const json_t *of)
{
    const char *name = doc_str(of, "metadata", "labels", CAPI_DEPLOYMENT_LABEL, NULL);

    for (size_t i = 0; *name && i < capi->len; i++) {
        if (capi->owners[i].kind == KIND_MACHINE_DEPLOYMENT &&
            str_eq(doc_str(capi->owners[i].object, "metadata", "name", NULL), name))
            return &capi->owners[i];
    }
    return NULL;
}

static void on_set(void *owner, json_t *item)
{
    struct observation *o = owner;
    const char *name = capi_template_name(item);
    struct capi_owner *of = find_deployment(capi_of(o), item);

    if (name && (doc_int(item, 0, "spec", "replicas", NULL) > 0 ||
                 doc_int(item, 0, "status", "replicas", NULL) > 0))
        json_object_set_new(capi_of(o)->in_use, name, json_true());
    if (of)
        capi_note_set(of, item);
}

static void on_machine(void *owner, json_t *item)
{
    struct observation *o = owner;
    struct platform_capi *capi = capi_of(o);
    bool control_plane = doc_get(item, "metadata", "labels", CAPI_CONTROL_PLANE_LABEL, NULL);
    struct capi_owner *of = control_plane ? &capi->owners[0] : find_deployment(capi, item);

    if (of && of->kind == (control_plane ? KIND_KUBEADM_CONTROL_PLANE : KIND_MACHINE_DEPLOYMENT))
        capi_note_machine(of, item);
}

static const struct {
    enum phase phase, then;
    const char *resource; // NULL: of the kind
    enum platform_kind kind;
    kube_item_fn *on_item;
} lists[] = {
    {PHASE_DEPLOYMENTS, PHASE_POOLS, NULL, KIND_MACHINE_DEPLOYMENT, on_deployment},
    {PHASE_POOLS, PHASE_TEMPLATES, NULL, KIND_MACHINE_POOL, on_pool},
    {PHASE_OURS, PHASE_OUR_CONFIGS, NULL, KIND_KUBEADM_CONFIG_TEMPLATE, on_ours},
    {PHASE_OUR_CONFIGS, PHASE_SETS, NULL, KIND_KUBEADM_CONFIG, on_our_config},
    {PHASE_SETS, PHASE_MACHINES, "machinesets", KIND_MACHINE_DEPLOYMENT, on_set},
    {PHASE_MACHINES, PHASE_ASK, "machines", KIND_MACHINE_DEPLOYMENT, on_machine},
};

static size_t list_of(enum phase phase)
{
    size_t i = 0;

    while (lists[i].phase != phase)
        i++;
    return i;
}

// Not every Cluster API serves MachinePools, and who has none need not give a right to them.
static struct error *forgive_pools(struct platform_capi *capi, struct error *take_err)
{
    bool denied = take_err && error_kind(take_err) == ERROR_DENIED;

    if (denied) {
        AUTO_MEM char *note =
            str_format("MachinePools are not looked at (%s)", error_text(take_err));
        capi_add_note(capi, note);
    }
    if (!denied && !(take_err && error_kind(take_err) == ERROR_NOT_FOUND))
        return take_err;
    error_free(take_err);
    return NULL;
}

static void on_listed(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    size_t i = list_of(o->phase);
    const char *resource =
        lists[i].resource ? lists[i].resource : platform_kind(lists[i].kind)->resource;

    o->pending = NULL;
    if (o->phase == PHASE_POOLS)
        take_err = forgive_pools(capi_of(o), take_err);
    if (!take_err && o->failed)
        take_err = TAKE(o->failed);
    if (!take_err && json_object_get(take_body, "skipped"))
        take_err = error_new(ERROR_TRANSIENT, "an object cannot be read, and may be the one");
    json_decref(take_body);
    if (take_err) {
        finish(o, error_wrap(take_err, "list %s of Cluster %s/%s", resource, capi_of(o)->namespace,
                             capi_of(o)->name));
        return;
    }
    if (o->phase == PHASE_SETS)
        capi_of(o)->sets_listed = true;
    go_on(o, lists[i].then);
}

static void ask_list(struct observation *o)
{
    size_t i = list_of(o->phase);
    struct kube_ref ref = ref_of(o, lists[i].kind, NULL);
    AUTO_MEM char *ours = str_format(CAPI_OURS_LABEL "=%s", capi_of(o)->name);

    if (lists[i].resource)
        ref.resource = lists[i].resource;
    o->pending =
        kube_list_each(o->cluster->kube, &ref,
                       o->phase == PHASE_OURS || o->phase == PHASE_OUR_CONFIGS ? ours : o->selector,
                       NULL, "", lists[i].on_item, on_listed, o);
}

// --- templates -----------------------------------------------------------------------------------

static void on_template(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    struct capi_owner *of = &capi_of(o)->owners[o->next];
    bool gone = take_err && error_kind(take_err) == ERROR_NOT_FOUND;

    o->pending = NULL;
    // One that is named and not there makes no Machine; that is its owner's to see to.
    if (take_err && !gone) {
        finish(o,
               error_wrap(take_err, "%s of %s %s/%s", platform_kind(capi_template_kind(of))->kind,
                          platform_kind(of->kind)->kind, capi_of(o)->namespace,
                          doc_str(of->object, "metadata", "name", NULL)));
        return;
    }
    error_free(take_err);
    *(o->phase == PHASE_TEMPLATES ? &of->template : &of->original) = take_body;
    o->next++;
    advance(o);
}

static bool ask_templates(struct observation *o)
{
    const struct platform_capi *capi = capi_of(o);

    for (; o->next < capi->len; o->next++) {
        const struct capi_owner *of = &capi->owners[o->next];
        AUTO_MEM char *original = NULL;
        const char *name = NULL;
        struct kube_ref ref;

        if (capi_makes_workers(of) && o->phase == PHASE_TEMPLATES)
            name = capi_template_name(of->object);
        else if (capi_makes_workers(of))
            name = original = capi_original_name(of->object);
        if (!name)
            continue;
        ref = ref_of(o, capi_template_kind(of), name);
        o->pending = kube_get(o->cluster->kube, &ref, on_template, o);
        return true;
    }
    return false;
}

// --- the op --------------------------------------------------------------------------------------

static bool has_left(const struct platform_capi *capi)
{
    for (size_t i = 0; i < json_array_size(capi->ours); i++) {
        if (capi_is_left(capi, json_array_get(capi->ours, i)))
            return true;
    }
    return false;
}

static bool has_pools(const struct platform_capi *capi)
{
    for (size_t i = 0; i < capi->len; i++) {
        if (capi->owners[i].kind == KIND_MACHINE_POOL)
            return true;
    }
    return false;
}

static bool is_waiting(const struct observation *o)
{
    const struct platform_capi *capi = capi_of(o);

    if (capi_is_cluster_waited_for(capi->cluster))
        return true;
    for (size_t i = 0; i < capi->len; i++) {
        if (capi_is_waited_for(&capi->owners[i]))
            return true;
    }
    return o->question.waits;
}

static void on_said(void *owner)
{
    struct observation *o = owner;

    o->pending = NULL;
    go_on(o, PHASE_END);
}

static bool ask_workload(struct observation *o)
{
    struct error *err = platform_check_reached(o->target, &o->said);

    if (err) {
        finish(o, err);
        return true;
    }
    o->pending = platform_ask(o->loop, o->target, o->observed, &o->said, on_said, o);
    return o->pending != NULL;
}

static void advance(struct observation *o)
{
    const struct platform_capi *capi = capi_of(o);

    if (o->phase == PHASE_GROUPS && ask_groups(o))
        return;
    if (o->phase == PHASE_GROUPS)
        o->phase = PHASE_CLUSTER;
    if (o->phase == PHASE_CLASS && ask_class(o))
        return;
    if (o->phase == PHASE_CLASS)
        o->phase = PHASE_CONTROL_PLANE;
    if (o->phase == PHASE_CLUSTER || o->phase == PHASE_CONTROL_PLANE) {
        ask_object(o);
        return;
    }
    if ((o->phase == PHASE_TEMPLATES || o->phase == PHASE_ORIGINALS) && ask_templates(o))
        return;
    if (o->phase == PHASE_TEMPLATES && !capi->above) {
        go_on(o, PHASE_ORIGINALS);
        return;
    }
    if (o->phase == PHASE_TEMPLATES) // there are none of ours
        o->phase = PHASE_SETS;
    if (o->phase == PHASE_ORIGINALS)
        o->phase = PHASE_OURS;
    if (o->phase == PHASE_OUR_CONFIGS && !has_pools(capi))
        o->phase = PHASE_SETS;
    if (o->phase == PHASE_SETS && !has_left(capi) && !is_waiting(o))
        o->phase = PHASE_MACHINES;
    if (o->phase == PHASE_MACHINES && !is_waiting(o))
        o->phase = PHASE_ASK;
    if (o->phase < PHASE_ASK) {
        ask_list(o);
        return;
    }
    if (o->phase == PHASE_ASK && ask_workload(o))
        return;
    if (!o->said.gates && json_array_size(o->observed->served) == 0)
        o->observed->api_unread = true;
    collect(o);
}

static void on_begin(void *owner)
{
    struct observation *o = owner;

    o->pending = NULL;
    advance(o);
}

struct op *capi_see(struct loop *loop, const struct cluster *cluster,
                    const struct platform_target *target, const struct capi_question *question,
                    platform_observed_fn *done, void *owner)
{
    struct observation *o = NEW(struct observation);
    struct platform_capi *capi = NEW(struct platform_capi);

    capi->namespace = str_dup(question->namespace);
    capi->name = str_dup(question->name);
    capi->above = question->above;
    capi->ours = json_array();
    capi->in_use = json_object();
    capi->worker_classes = json_array();
    o->op.drop = observation_drop;
    o->loop = loop;
    o->cluster = cluster;
    o->target = target;
    o->done = done;
    o->owner = owner;
    o->question = *question;
    o->question.namespace = capi->namespace;
    o->question.name = capi->name;
    o->selector = str_format(CAPI_CLUSTER_LABEL "=%s", capi->name);
    o->observed = platform_observed_new();
    o->observed->type = question->type;
    o->observed->capi = capi;
    o->pending = loop_defer(loop, on_begin, o);
    return &o->op;
}

struct op *capi_observe(struct loop *loop, const struct cluster *cluster,
                        const struct platform_target *target, platform_observed_fn *done,
                        void *owner)
{
    const char *namespace = doc_str(target->capi, "namespace", NULL);
    AUTO_MEM char *name =
        platform_name_of(doc_str(target->capi, "name", NULL), target->cluster, target->name);
    struct capi_question question = {.type = PLATFORM_CLUSTER_API,
                                     .namespace = *namespace ? namespace : target->namespace,
                                     .name = name,
                                     .collect = collect_own};

    return capi_see(loop, cluster, target, &question, done, owner);
}

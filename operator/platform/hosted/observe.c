// SPDX-License-Identifier: Apache-2.0
// The observation of a hosted control plane: its objects in this cluster, then (ask.c) what
// its API server says. One request after the other.
#include <string.h>

#include "hosted_internal.h"

enum phase {
    PHASE_TENANT,
    PHASE_TENANT_DEPLOYMENT,
    PHASE_LISTS,
    PHASE_OBJECTS,
    PHASE_PODS,
    PHASE_ASK,
    PHASE_END
};

// of each kind: without a selector, and with each component's
#define QUERIES (1 + HOSTED_COMPONENTS)

struct observation {
    struct op op; // must be first
    struct loop *loop;
    const struct cluster *cluster;
    const struct platform_target *target;
    platform_observed_fn *done;
    void *owner;
    struct op *pending;
    enum phase phase;
    size_t query;  // of PHASE_LISTS: kind by kind
    size_t object; // of PHASE_OBJECTS
    size_t pods;   // of PHASE_PODS: whose
    char *words[HOSTED_COMPONENTS];
    json_t *found[HOSTED_COMPONENTS];
    enum platform_kind kinds[HOSTED_COMPONENTS];
    json_t *tenant, *deployment; // of Kamaji
    struct error *failed;        // two objects for a component
    struct platform_said said;
    struct platform_observed *observed;
};

static void advance(struct observation *o);

static void observation_free(struct observation *o)
{
    for (size_t i = 0; i < HOSTED_COMPONENTS; i++)
        json_decref(o->found[i]);
    for (size_t i = 0; i < HOSTED_COMPONENTS; i++)
        mem_free(o->words[i]);
    json_decref(o->tenant);
    json_decref(o->deployment);
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

static const char *namespace_of(const struct observation *o)
{
    return o->observed->hosted->namespace;
}

static const char *tenant_of(const struct observation *o)
{
    return doc_str(o->target->hosted, "tenantControlPlane", NULL);
}

// --- parts ---------------------------------------------------------------------------------------

static struct error *not_found(const struct observation *o, enum component component)
{
    const char *name = component_name(component), *field = hosted_field(component);

    return error_new(
        ERROR_NOT_FOUND,
        "no Deployment or StatefulSet in namespace %s is %s by name or label; say which "
        "in spec.platform.hostedControlPlane.%s",
        namespace_of(o), name, field);
}

static struct error *check_part(const struct platform_part *part)
{
    struct error *err = platform_check_owner(part->object, part->where, NULL);

    if (!err)
        err = hosted_check_strategy(part->kind, part->object, part->where);
    if (!err && part->version.major == 0) {
        err = error_new(ERROR_INVALID,
                        "%s: the image of %s has no tag that is a version of Kubernetes",
                        part->where, component_name(part->component));
        error_set_reason(err, "VersionsUnknown");
    }
    return err;
}

// When all is to be undone, what has no record needs nothing, whatever it is.
static bool is_left_alone(const struct observation *o, const json_t *object,
                          enum component component)
{
    AUTO_MEM char *key = platform_annotation(component_name(component));

    return o->target->deleting && !doc_get(object, "metadata", "annotations", key, NULL);
}

static struct error *add_part(struct observation *o, enum component component,
                              enum platform_kind kind, const json_t *object, const json_t *workload)
{
    struct platform_hosted *hosted = o->observed->hosted;
    struct platform_part *part = &hosted->parts[hosted->len];
    struct error *err;

    if (is_left_alone(o, object, component))
        return NULL;
    hosted->len++;
    err = hosted_part_make(component, kind, json_incref((json_t *)(uintptr_t)object),
                           json_incref((json_t *)(uintptr_t)workload), part);
    part->words = TAKE(o->words[component]);
    if (!err && component == COMPONENT_APISERVER && part->version.major == 0)
        part->version = o->observed->server; // it was asked
    return err ? err : check_part(part);
}

static struct error *make_parts(struct observation *o)
{
    for (size_t i = 0; i < HOSTED_COMPONENTS; i++) {
        struct error *err = NULL;

        if (o->tenant)
            err =
                add_part(o, (enum component)i, KIND_TENANT_CONTROL_PLANE, o->tenant, o->deployment);
        else if (o->found[i])
            err = add_part(o, (enum component)i, o->kinds[i], o->found[i], o->found[i]);
        else if (!o->target->deleting)
            err = not_found(o, (enum component)i);
        if (err)
            return err;
    }
    return NULL;
}

static char *say_read_back(const struct observation *o)
{
    const char *others = "kube-controller-manager and kube-scheduler by their complete roll-outs, "
                         "since their /metrics cannot be reached from here";

    if (o->said.gates)
        return str_format("kube-apiserver as its /metrics say, %s", others);
    if (!o->target->cluster)
        return str_dup("every component by its complete roll-out; nothing was read back: "
                       "spec.cluster.kubeconfigSecretRef is not set");
    return str_format("every component by its complete roll-out; nothing was read back: %s",
                      o->said.unread ? o->said.unread : "the API server was not asked");
}

static bool has_objects(const struct observation *o)
{
    bool any = o->tenant != NULL;

    for (size_t i = 0; i < HOSTED_COMPONENTS; i++)
        any = any || o->found[i];
    return any;
}

static void collect(struct observation *o)
{
    struct platform_look look = platform_look_at(o->target, &o->said);
    struct error *err = o->failed ? TAKE(o->failed) : make_parts(o);

    if (err) {
        finish(o, err);
        return;
    }
    hosted_collect(o->observed, &look, &o->said);
    o->observed->gone = o->target->deleting && !has_objects(o);
    o->observed->read_back = say_read_back(o);
    finish(o, NULL);
}

// --- objects -------------------------------------------------------------------------------------

static struct kube_ref ref_of(const struct observation *o, enum platform_kind kind,
                              const char *name)
{
    const struct platform_kind_info *info = platform_kind(kind);

    return (struct kube_ref){.group = info->group,
                             .version = info->version,
                             .resource = info->resource,
                             .namespace = namespace_of(o),
                             .name = name};
}

static void on_tenant(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    bool gone = take_err && error_kind(take_err) == ERROR_NOT_FOUND;

    o->pending = NULL;
    if (gone && (o->target->deleting || o->phase == PHASE_TENANT_DEPLOYMENT)) {
        error_free(take_err);
    } else if (take_err) {
        json_decref(take_body);
        finish(o, error_wrap(take_err, "TenantControlPlane %s/%s", namespace_of(o), tenant_of(o)));
        return;
    } else if (o->phase == PHASE_TENANT) {
        o->tenant = TAKE(take_body);
    } else {
        o->deployment = TAKE(take_body);
    }
    json_decref(take_body);
    o->phase = o->phase == PHASE_TENANT && o->tenant ? PHASE_TENANT_DEPLOYMENT : PHASE_PODS;
    advance(o);
}

static void ask_tenant(struct observation *o)
{
    struct kube_ref ref = ref_of(o, KIND_TENANT_CONTROL_PLANE, tenant_of(o));
    const char *name =
        doc_str(o->tenant, "status", "kubernetesResources", "deployment", "name", NULL);

    if (o->phase == PHASE_TENANT_DEPLOYMENT)
        ref = ref_of(o, KIND_DEPLOYMENT, *name ? name : tenant_of(o));
    o->pending = kube_get(o->cluster->kube, &ref, on_tenant, o);
}

static enum platform_kind kind_of_query(const struct observation *o)
{
    return o->query < QUERIES ? KIND_DEPLOYMENT : KIND_STATEFUL_SET;
}

// NULL: without a selector.
static const char *selector_of_query(const struct observation *o)
{
    size_t of = o->query % QUERIES;

    return of == 0 ? NULL : hosted_selector(o->target->hosted, (enum component)(of - 1));
}

static bool is_in_query(const struct observation *o, enum component component, const json_t *item)
{
    size_t of = o->query % QUERIES;

    return of == 0 ? hosted_matches(o->target->hosted, component, item) : of - 1 == component;
}

static void on_item(void *owner, json_t *item)
{
    struct observation *o = owner;

    for (size_t i = 0; i < HOSTED_COMPONENTS; i++) {
        if (!is_in_query(o, (enum component)i, item))
            continue;
        if (o->found[i] && !o->failed)
            o->failed = error_new(
                ERROR_INVALID,
                "spec.platform.hostedControlPlane.%s: both %s %s and %s %s in namespace %s are "
                "%s; give the name of one",
                hosted_field((enum component)i), platform_kind(o->kinds[i])->kind,
                doc_str(o->found[i], "metadata", "name", NULL),
                platform_kind(kind_of_query(o))->kind, doc_str(item, "metadata", "name", NULL),
                namespace_of(o), component_name((enum component)i));
        if (o->found[i])
            continue;
        o->found[i] = doc_copy(item);
        o->kinds[i] = kind_of_query(o);
    }
}

static void on_listed(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    bool gone = take_err && error_kind(take_err) == ERROR_NOT_FOUND;

    o->pending = NULL;
    if (!take_err && json_object_get(take_body, "skipped"))
        take_err = error_new(ERROR_TRANSIENT, "an object cannot be read, and may be the one");
    json_decref(take_body);
    if (take_err && !(gone && o->target->deleting)) {
        finish(o, error_wrap(take_err, "list %s of namespace %s",
                             platform_kind(kind_of_query(o))->resource, namespace_of(o)));
        return;
    }
    error_free(take_err);
    o->query++;
    advance(o);
}

static bool ask_lists(struct observation *o)
{
    for (; o->query < 2 * QUERIES; o->query++) {
        struct kube_ref ref = ref_of(o, kind_of_query(o), NULL);
        const char *selector = selector_of_query(o);

        if (o->query % QUERIES != 0 && !selector)
            continue;
        o->pending =
            kube_list_each(o->cluster->kube, &ref, selector, NULL, "", on_item, on_listed, o);
        return true;
    }
    return false;
}

// Lists leave out who wrote what. Where somebody has undone what we wrote, that is looked up.
static bool is_fought_over(const struct observation *o, size_t i)
{
    const json_t *components = o->target->components;

    for (size_t k = 0; o->found[i] && k < json_array_size(components); k++) {
        const json_t *last = json_array_get(components, k);

        if (str_eq(doc_str(last, "name", NULL), component_name((enum component)i)))
            return doc_int(last, 0, "reverted", NULL) > 0;
    }
    return false;
}

static void on_object(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;

    o->pending = NULL;
    if (take_err) {
        finish(o,
               error_wrap(take_err, "%s %s/%s", platform_kind(o->kinds[o->object])->kind,
                          namespace_of(o), doc_str(o->found[o->object], "metadata", "name", NULL)));
        return;
    }
    json_decref(o->found[o->object]);
    o->found[o->object++] = take_body;
    advance(o);
}

static bool ask_objects(struct observation *o)
{
    for (; o->object < HOSTED_COMPONENTS; o->object++) {
        struct kube_ref ref;

        if (!is_fought_over(o, o->object))
            continue;
        ref =
            ref_of(o, o->kinds[o->object], doc_str(o->found[o->object], "metadata", "name", NULL));
        o->pending = kube_get(o->cluster->kube, &ref, on_object, o);
        return true;
    }
    return false;
}

static void on_pod(void *owner, json_t *pod)
{
    struct observation *o = owner;

    if (!o->words[o->pods])
        o->words[o->pods] = rollout_pod_words(pod);
}

static void on_pods(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;

    o->pending = NULL;
    json_decref(take_body);
    if (take_err)
        error_ignore(take_err, "pods only tell why: how far it is, their owner says");
    o->pods++;
    advance(o);
}

// While a roll-out is waited for its pods are asked why.
static bool ask_pods(struct observation *o)
{
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "pods", .namespace = namespace_of(o)};

    for (; o->pods < HOSTED_COMPONENTS; o->pods++) {
        const json_t *object = o->tenant ? o->tenant : o->found[o->pods];
        AUTO_MEM char *selector = NULL;

        if (!object || !platform_is_rolling(object, component_name((enum component)o->pods)))
            continue;
        selector = rollout_pod_selector(o->tenant ? o->deployment : object);
        if (!selector)
            continue;
        o->pending = kube_list_each(o->cluster->kube, &ref, selector, NULL, "", on_pod, on_pods, o);
        return true;
    }
    return false;
}

// --- the op --------------------------------------------------------------------------------------

static void on_said(void *owner)
{
    struct observation *o = owner;

    o->pending = NULL;
    o->phase = PHASE_END;
    advance(o);
}

static bool ask_hosted(struct observation *o)
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
    if (o->phase == PHASE_TENANT && !*tenant_of(o))
        o->phase = PHASE_LISTS;
    if (o->phase == PHASE_TENANT || o->phase == PHASE_TENANT_DEPLOYMENT) {
        ask_tenant(o);
        return;
    }
    if (o->phase == PHASE_LISTS && ask_lists(o))
        return;
    if (o->phase == PHASE_LISTS)
        o->phase = PHASE_OBJECTS;
    if (o->phase == PHASE_OBJECTS && ask_objects(o))
        return;
    if (o->phase == PHASE_OBJECTS)
        o->phase = PHASE_PODS;
    if (o->phase == PHASE_PODS && ask_pods(o))
        return;
    if (o->phase == PHASE_PODS)
        o->phase = PHASE_ASK;
    if (o->phase == PHASE_ASK && ask_hosted(o))
        return;
    if (!o->said.asked)
        o->observed->api_unread = true;
    collect(o);
}

static void on_begin(void *owner)
{
    struct observation *o = owner;

    o->pending = NULL;
    advance(o);
}

struct op *hosted_observe(struct loop *loop, const struct cluster *cluster,
                          const struct platform_target *target, platform_observed_fn *done,
                          void *owner)
{
    struct observation *o = NEW(struct observation);
    const char *namespace = doc_str(target->hosted, "namespace", NULL);

    o->op.drop = observation_drop;
    o->loop = loop;
    o->cluster = cluster;
    o->target = target;
    o->done = done;
    o->owner = owner;
    o->observed = platform_observed_new();
    o->observed->type = PLATFORM_HOSTED_CONTROL_PLANE;
    o->observed->hosted = NEW(struct platform_hosted);
    o->observed->hosted->namespace = str_dup(*namespace ? namespace : target->namespace);
    o->pending = loop_defer(loop, on_begin, o);
    return &o->op;
}

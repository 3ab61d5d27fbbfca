// SPDX-License-Identifier: Apache-2.0
// The observation of a cluster of Giant Swarm's: the App or the HelmRelease that it is made from,
// the ConfigMaps with its values, ours, and then the Cluster as ClusterAPI looks at it.
#include "giantswarm_internal.h"

enum phase { PHASE_APP, PHASE_RELEASE, PHASE_LAYERS, PHASE_OURS, PHASE_CLUSTER };

struct observation {
    struct op op; // must be first
    struct loop *loop;
    const struct cluster *cluster;
    const struct platform_target *target;
    platform_observed_fn *done;
    void *owner;
    struct op *pending;
    enum phase phase;
    size_t next; // of the layers
    json_t *app; // NULL: there is none
    struct platform_giantswarm *gs;
};

static void advance(struct observation *o);

static void observation_free(struct observation *o)
{
    json_decref(o->app);
    platform_giantswarm_free(o->gs);
    mem_free(o);
}

static void observation_drop(struct op *op)
{
    struct observation *o = (struct observation *)op;

    op_drop(o->pending);
    observation_free(o);
}

static void finish(struct observation *o, struct error *take_err,
                   struct platform_observed *take_observed)
{
    platform_observed_fn *done = o->done;
    void *owner = o->owner;

    observation_free(o);
    done(owner, take_err, take_observed);
}

// --- the object ----------------------------------------------------------------------------------

static struct error *check_paused(const struct platform_giantswarm *gs)
{
    bool app = gs->kind == KIND_APP;
    static const char annotation[] = "app-operator.giantswarm.io/paused";

    if (app ? !doc_get(gs->object, "metadata", "annotations", annotation, NULL)
            : !doc_bool(gs->object, false, "spec", "suspend", NULL))
        return NULL;
    return error_because(ERROR_INVALID, "ClusterPaused",
                         "%s is paused, so that nothing comes of its values and nothing is "
                         "written; take %s away when it may go on",
                         gs->where,
                         app ? "its annotation app-operator.giantswarm.io/paused" : "spec.suspend");
}

static struct error *check_object(const struct observation *o)
{
    const struct platform_giantswarm *gs = o->gs;
    struct error *err = NULL;

    if (o->target->deleting && !giantswarm_named(gs) && !giantswarm_is_waited_for(gs))
        return NULL; // nothing is ours there
    err = capi_check_owner(gs->object, gs->where);
    return err ? err : check_paused(gs);
}

static void finish_gone(struct observation *o)
{
    struct platform_observed *observed = platform_observed_new();

    observed->type = PLATFORM_GIANT_SWARM;
    observed->giantswarm = TAKE(o->gs);
    observed->gone = true;
    finish(o, NULL, observed);
}

static void take_object(struct observation *o, enum platform_kind kind, json_t *take_object)
{
    struct platform_giantswarm *gs = o->gs;
    struct error *err;

    gs->kind = kind;
    gs->object = take_object;
    gs->where = str_format("%s %s/%s", platform_kind(kind)->kind, gs->namespace, gs->name);
    err = check_object(o);
    if (!err)
        err = giantswarm_find_layers(gs);
    if (err) {
        finish(o, err, NULL);
        return;
    }
    o->phase = PHASE_LAYERS;
    advance(o);
}

// Which of the two it is shows in which is there.
static void on_object(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    bool gone = take_err && error_kind(take_err) == ERROR_NOT_FOUND, app = o->phase == PHASE_APP;

    o->pending = NULL;
    if (take_err && !gone) {
        finish(o,
               error_wrap(take_err, "%s %s/%s", app ? "App" : "HelmRelease", o->gs->namespace,
                          o->gs->name),
               NULL);
        return;
    }
    error_free(take_err);
    if (app) {
        o->app = take_body;
        o->phase = PHASE_RELEASE;
        advance(o);
    } else if (o->app && take_body) {
        json_decref(take_body);
        finish(o,
               error_because(ERROR_INVALID, "NotManaged",
                             "there are both an App and a HelmRelease %s/%s, and which of them "
                             "makes the cluster is not known",
                             o->gs->namespace, o->gs->name),
               NULL);
    } else if (o->app || take_body) {
        take_object(o, take_body ? KIND_HELM_RELEASE : KIND_APP,
                    take_body ? take_body : TAKE(o->app));
    } else if (o->target->deleting) {
        finish_gone(o);
    } else {
        finish(o,
               error_new(ERROR_NOT_FOUND, "there is neither an App nor a HelmRelease %s/%s",
                         o->gs->namespace, o->gs->name),
               NULL);
    }
}

static void ask_object(struct observation *o, enum platform_kind kind)
{
    const struct platform_kind_info *info = platform_kind(kind);
    struct kube_ref ref = {.group = info->group,
                           .version = info->version,
                           .resource = info->resource,
                           .namespace = o->gs->namespace,
                           .name = o->gs->name};

    o->pending = kube_get(o->cluster->kube, &ref, on_object, o);
}

// --- values --------------------------------------------------------------------------------------

static struct kube_ref maps_ref(const struct observation *o)
{
    return (struct kube_ref){
        .group = "", .version = "v1", .resource = "configmaps", .namespace = o->gs->namespace};
}

static void on_layer(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    struct giantswarm_layer *layer = &o->gs->layers[o->next];
    AUTO_JSON json_t *map = take_body;

    o->pending = NULL;
    // Without it nothing comes of the object either, or it may be missing.
    if (take_err && error_kind(take_err) == ERROR_NOT_FOUND) {
        error_free(take_err);
        take_err = NULL;
    } else if (!take_err) {
        take_err = giantswarm_read_map(map, layer->where, layer->key, &layer->values);
    }
    if (take_err) {
        finish(o, error_wrap(take_err, "%s", layer->where), NULL);
        return;
    }
    o->next++;
    advance(o);
}

static bool ask_layer(struct observation *o)
{
    struct kube_ref ref = maps_ref(o);

    while (o->next < o->gs->layers_len && !o->gs->layers[o->next].name)
        o->next++;
    if (o->next == o->gs->layers_len)
        return false;
    ref.name = o->gs->layers[o->next].name;
    o->pending = kube_get(o->cluster->kube, &ref, on_layer, o);
    return true;
}

static void on_map(void *owner, json_t *item)
{
    struct observation *o = owner;

    json_array_append_new(o->gs->ours, doc_copy(item));
}

static void on_ours(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    struct platform_giantswarm *gs = o->gs;
    const char *named = giantswarm_named(gs);

    o->pending = NULL;
    json_decref(take_body);
    for (size_t i = 0; !take_err && named && i < json_array_size(gs->ours); i++) {
        const json_t *map = json_array_get(gs->ours, i);

        if (str_eq(doc_str(map, "metadata", "name", NULL), named))
            take_err = giantswarm_read_map(map, named, GIANTSWARM_KEY, &gs->values);
    }
    if (take_err) {
        finish(o, error_wrap(take_err, "ConfigMaps of %s", gs->where), NULL);
        return;
    }
    o->phase = PHASE_CLUSTER;
    advance(o);
}

static void ask_ours(struct observation *o)
{
    struct kube_ref ref = maps_ref(o);
    AUTO_MEM char *selector = str_format(CAPI_OURS_LABEL "=%s", o->gs->name);

    o->pending = kube_list_each(o->cluster->kube, &ref, selector, NULL, "", on_map, on_ours, o);
}

// --- the Cluster ---------------------------------------------------------------------------------

static struct error *collect(void *owner, struct platform_observed *observed,
                             const struct platform_look *look, const struct platform_said *said)
{
    struct observation *o = owner;
    struct error *err = giantswarm_read(o->gs, observed->capi);

    if (!err && !o->target->deleting)
        err = giantswarm_check_chart(o->gs);
    if (err)
        return err;
    observed->giantswarm = TAKE(o->gs);
    giantswarm_collect(observed, look, said);
    return NULL;
}

static void on_seen(void *owner, struct error *take_err, struct platform_observed *take_observed)
{
    struct observation *o = owner;

    o->pending = NULL;
    finish(o, take_err, take_observed);
}

static void advance(struct observation *o)
{
    if (o->phase == PHASE_APP) {
        ask_object(o, KIND_APP);
        return;
    }
    if (o->phase == PHASE_RELEASE) {
        ask_object(o, KIND_HELM_RELEASE);
        return;
    }
    if (o->phase == PHASE_LAYERS && ask_layer(o))
        return;
    if (o->phase == PHASE_LAYERS)
        o->phase = PHASE_OURS;
    if (o->phase == PHASE_OURS) {
        ask_ours(o);
        return;
    }
    struct capi_question question = {.type = PLATFORM_GIANT_SWARM,
                                     .namespace = o->gs->namespace,
                                     .name = o->gs->name,
                                     .above = true,
                                     .waits = giantswarm_is_waited_for(o->gs),
                                     .collect = collect,
                                     .owner = o};
    o->pending = capi_see(o->loop, o->cluster, o->target, &question, on_seen, o);
}

static void on_begin(void *owner)
{
    struct observation *o = owner;

    o->pending = NULL;
    advance(o);
}

struct op *giantswarm_observe(struct loop *loop, const struct cluster *cluster,
                              const struct platform_target *target, platform_observed_fn *done,
                              void *owner)
{
    struct observation *o = NEW(struct observation);
    const char *namespace = doc_str(target->giantswarm, "namespace", NULL);

    o->gs = NEW(struct platform_giantswarm);
    o->gs->namespace = str_dup(*namespace ? namespace : target->namespace);
    o->gs->name =
        platform_name_of(doc_str(target->giantswarm, "name", NULL), target->cluster, target->name);
    o->gs->ours = json_array();
    o->gs->release = str_dup("");
    o->op.drop = observation_drop;
    o->loop = loop;
    o->cluster = cluster;
    o->target = target;
    o->done = done;
    o->owner = owner;
    o->pending = loop_defer(loop, on_begin, o);
    return &o->op;
}

// SPDX-License-Identifier: Apache-2.0
// The common observation of a pass: a few requests one after the other, then the platform turns
// them and the watches into instances.
#include <string.h>

#include "platform_internal.h"

static const char *const config_maps[] = {KUBEADM_CONFIG, KUBEADM_KUBELET_CONFIG,
                                          KUBEADM_UNDO_CONFIGMAP};

struct observation {
    struct op op; // must be first
    struct loop *loop;
    const struct cluster *cluster;
    enum platform_type wanted;
    bool detects; // Auto, whether or not it was decided earlier
    platform_observed_fn *done;
    void *owner;
    struct op *pending, *deadline; // deadline: of a server that is somebody else's
    size_t next;                   // of config_maps
    struct cluster_said said;
    struct platform_observed *observed;
};

// --- building what was observed ------------------------------------------------------------------

const json_t *platform_keep(struct platform_observed *observed, const json_t *tree)
{
    json_t *copy;

    if (!tree)
        return NULL;
    copy = json_incref(
        (json_t *)(uintptr_t)
            tree); // trees in a watch are replaced, never changed: a reference is a copy
    json_array_append_new(observed->reports, copy);
    return copy;
}

struct plan_instance *platform_add_instance(struct platform_observed *observed,
                                            enum component component, const char *node,
                                            const char *object)
{
    struct plan_instance *instance;

    if ((observed->len & (observed->len + 1)) == 0 || !observed->instances) {
        size_t room = observed->len ? (observed->len + 1) * 2 : 1;
        observed->instances = mem_realloc(observed->instances, room * sizeof(*observed->instances));
    }
    instance = &observed->instances[observed->len++];
    *instance = (struct plan_instance){.component = component, .node = node, .object = object};
    if (object)
        instance->id = str_format("%s in %s", component_name(component), object);
    else if (node)
        instance->id = str_format("%s on %s", component_name(component), node);
    else
        instance->id = str_dup(component_name(component));
    return instance;
}

bool platform_image_version(const char *image, struct version *ret_version)
{
    const char *digest = strchr(image, '@');
    AUTO_MEM char *name = digest ? str_ndup(image, (size_t)(digest - image)) : str_dup(image);
    const char *tag = strrchr(name, ':');

    return tag && version_parse(tag + 1, ret_version);
}

void platform_observed_fini(struct platform_observed *observed)
{
    for (size_t i = 0; i < observed->len; i++)
        mem_free(observed->instances[i].id);
    mem_free(observed->instances);
    json_decref(observed->served);
    json_decref(observed->nodes);
    json_decref(observed->ignored);
    json_decref(observed->strangers);
    json_decref(observed->config_maps);
    json_decref(observed->node_configs);
    json_decref(observed->reports);
    mem_free(observed->read_back);
    error_free(observed->unread);
    platform_hosted_free(observed->hosted);
    platform_giantswarm_free(observed->giantswarm);
    platform_capi_free(observed->capi);
}

struct platform_observed *platform_observed_new(void)
{
    struct platform_observed *observed = NEW(struct platform_observed);

    observed->served = json_array();
    observed->nodes = json_object();
    observed->ignored = json_object();
    observed->strangers = json_array();
    observed->config_maps = json_object();
    observed->node_configs = json_object();
    observed->reports = json_array();
    return observed;
}

void platform_observed_free(struct platform_observed *observed)
{
    if (!observed)
        return;
    platform_observed_fini(observed);
    mem_free(observed);
}

static void advance(struct observation *o);

// --- the op --------------------------------------------------------------------------------------

static void observation_drop(struct op *op)
{
    struct observation *o = (struct observation *)op;

    op_drop(o->pending);
    op_drop(o->deadline);
    cluster_said_fini(&o->said);
    platform_observed_free(o->observed);
    mem_free(o);
}

static void finish(struct observation *o, struct error *take_err)
{
    platform_observed_fn *done = o->done;
    void *owner = o->owner;
    struct platform_observed *observed = TAKE(o->observed);

    if (take_err) {
        platform_observed_free(observed);
        observed = NULL;
    }
    observation_drop(&o->op);
    done(owner, take_err, observed);
}

static enum platform_type detect(const struct observation *o)
{
    bool kubeadm = json_object_get(o->observed->config_maps, KUBEADM_CONFIG) &&
                   watch_count(o->cluster->pods) > 0;

    return kubeadm ? PLATFORM_KUBEADM : PLATFORM_OBSERVE;
}

static struct error *find_platform(const struct observation *o,
                                   const struct platform **ret_platform)
{
    enum platform_type type = o->wanted == PLATFORM_AUTO ? detect(o) : o->wanted;

    *ret_platform = platform_find(type);
    if (*ret_platform)
        return NULL;
    return error_because(ERROR_INVALID, "NotSupported",
                         "spec.platform.type: %s is not supported by this version",
                         platform_type_name(type));
}

// Where nobody's agent asks, the API server that answers us is asked itself: discovery never proves
// a gate. What it was given is not what is in effect, but what an upgrade may refuse.
static void put_gates(struct observation *o)
{
    json_t *report;

    if (!o->said.gates && !o->said.flags)
        return;
    report = o->said.flags ? doc_copy(o->said.flags) : json_object();
    if (o->said.gates)
        json_object_set(report, "enabled", o->said.gates);
    json_array_append_new(o->observed->reports, report);
    for (size_t i = 0; i < o->observed->len; i++) {
        if (o->observed->instances[i].component == COMPONENT_APISERVER)
            o->observed->instances[i].reported = report;
    }
}

static void on_gates(void *owner)
{
    struct observation *o = owner;

    o->pending = NULL;
    put_gates(o);
    finish(o, NULL);
}

static void collect(struct observation *o)
{
    const struct platform *platform = NULL;
    struct error *err = find_platform(o, &platform);

    if (!err) {
        o->observed->type = platform->type;
        o->observed->looks_like = o->detects ? detect(o) : PLATFORM_AUTO;
        err = platform->collect(o->cluster, o->observed);
    }
    // Auto is Observe only now.
    if (!err && !platform->make_writes && o->wanted != PLATFORM_OBSERVE) {
        o->pending = cluster_ask_gates(o->cluster->kube, &o->said, on_gates, o);
        return;
    }
    if (!err && !platform->make_writes)
        put_gates(o);
    finish(o, err);
}

void platform_take_said(struct platform_observed *observed, struct cluster_said *said)
{
    observed->server = said->server;
    observed->server_emulated = said->emulated;
    observed->edition = said->edition;
    json_decref(observed->served);
    observed->served = TAKE(said->served);
}

static void on_config_map(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    const char *name = config_maps[o->next];
    bool gone = take_err && error_kind(take_err) == ERROR_NOT_FOUND;

    o->pending = NULL;
    if (take_err && !gone) {
        json_decref(take_body);
        finish(o, error_wrap(take_err, "observe ConfigMap %s/%s", PLATFORM_NAMESPACE, name));
        return;
    }
    error_free(take_err); // that it is not there is an answer too
    if (!gone)
        json_object_set_new(o->observed->config_maps, name, take_body);
    o->next++;
    advance(o);
}

static void advance(struct observation *o)
{
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "configmaps", .namespace = PLATFORM_NAMESPACE};

    // The ConfigMaps are kubeadm's; who only looks does not ask for them.
    if ((o->wanted == PLATFORM_OBSERVE && !o->detects) || o->next == COUNT(config_maps)) {
        collect(o);
        return;
    }
    ref.name = config_maps[o->next];
    o->pending = kube_get(o->cluster->kube, &ref, on_config_map, o);
}

static void on_said(void *owner, struct error *take_err, struct cluster_said *take_said)
{
    struct observation *o = owner;

    o->pending = NULL;
    if (take_err) {
        finish(o, error_wrap(take_err, "observe"));
        return;
    }
    o->said = *take_said;
    platform_take_said(o->observed, &o->said);
    advance(o);
}

static void on_deadline(void *owner)
{
    struct observation *o = owner;

    o->deadline = NULL;
    o->pending = op_drop(o->pending);
    finish(o, error_new(ERROR_TRANSIENT, "%s has not said all within %d s",
                        kube_server(o->cluster->kube), CLUSTER_ASK_MS / 1000));
}

static struct op *observe_common(struct loop *loop, const struct cluster *cluster,
                                 const struct platform_target *target, platform_observed_fn *done,
                                 void *owner)
{
    struct observation *o = NEW(struct observation);
    bool looks = target->type == PLATFORM_OBSERVE;
    struct cluster_question question = {.gates = looks,
                                        .flags = looks,
                                        .facts = looks ? cluster->facts : NULL,
                                        .term = watch_term(cluster->nodes)};

    o->op.drop = observation_drop;
    o->loop = loop;
    o->cluster = cluster;
    o->wanted = target->type;
    o->detects = target->decided || target->type == PLATFORM_AUTO;
    o->done = done;
    o->owner = owner;
    o->observed = platform_observed_new();
    if (cluster->held)
        o->deadline = loop_sleep(loop, CLUSTER_ASK_MS, on_deadline, o);
    o->pending = cluster_ask(loop, cluster->kube, &question, on_said, o);
    return &o->op;
}

struct op *platform_observe(struct loop *loop, const struct cluster *cluster,
                            const struct platform_target *target, platform_observed_fn *done,
                            void *owner)
{
    const struct platform *platform = platform_find(target->type);

    if (platform && platform->observe)
        return platform->observe(loop, cluster, target, done, owner);
    return observe_common(loop, cluster, target, done, owner);
}

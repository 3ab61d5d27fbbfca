// SPDX-License-Identifier: Apache-2.0
// The common observation of a pass: a few requests one after the other, then the platform turns
// them and the watches into instances.
#include <string.h>

#include "platform_internal.h"

struct request {
    const char *path;
    size_t bytes_max;       // of the answer
    const char *config_map; // NULL: not a ConfigMap
};

static const struct request requests[] = {
    {"/version", KUBE_VERSION_BYTES_MAX, NULL},
    {"/apis/resource.k8s.io", KUBE_GROUP_BYTES_MAX, NULL},
    {"/api/v1/namespaces/kube-system/configmaps/kubeadm-config", KUBE_LINE_BYTES_MAX,
     KUBEADM_CONFIG},
    {"/api/v1/namespaces/kube-system/configmaps/kubelet-config", KUBE_LINE_BYTES_MAX,
     KUBEADM_KUBELET_CONFIG},
    {"/api/v1/namespaces/kube-system/configmaps/drawbridge-undo", KUBE_LINE_BYTES_MAX,
     KUBEADM_UNDO_CONFIGMAP},
};

struct observation {
    struct op op; // must be first
    struct loop *loop;
    const struct platform_cluster *cluster;
    enum platform_type wanted;
    platform_observed_fn *done;
    void *owner;
    struct op *pending;
    size_t next;
    uint64_t term, began_ms; // for what is kept
    struct platform_observed *observed;
};

// --- trims: what the watches keep ----------------------------------------------------------------

void platform_trim_keep(json_t *to, const json_t *from, const char *a, const char *b)
{
    const json_t *value = doc_get(from, a, b, NULL);

    if (value)
        doc_set(to, doc_copy(value), a, b, NULL);
}

json_t *platform_trim_pod(const json_t *pod)
{
    json_t *kept = json_object();
    const json_t *containers = doc_get(pod, "spec", "containers", NULL);
    json_t *list = json_array();

    platform_trim_keep(kept, pod, "metadata", "name");
    platform_trim_keep(kept, pod, "metadata", "namespace");
    platform_trim_keep(kept, pod, "metadata", "resourceVersion");
    platform_trim_keep(kept, pod, "spec", "nodeName");
    doc_set(kept, doc_string(doc_str(pod, "metadata", "labels", "component", NULL)), "component",
            NULL);
    if (doc_get(pod, "metadata", "annotations", "kubernetes.io/config.mirror", NULL))
        doc_set(kept, json_true(), "mirror", NULL);
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        json_t *small = json_object();
        static const char *const fields[] = {"name", "image", "command", "args"};

        for (size_t k = 0; k < COUNT(fields); k++) {
            if (json_object_get(container, fields[k]))
                json_object_set_new(small, fields[k],
                                    doc_copy(json_object_get(container, fields[k])));
        }
        json_array_append_new(list, small);
    }
    json_object_set_new(kept, "containers", list);
    return kept;
}

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
    platform_hosted_free(observed->hosted);
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
    mem_free(o);
    done(owner, take_err, observed);
}

static struct error *find_platform(const struct observation *o,
                                   const struct platform **ret_platform)
{
    bool kubeadm = json_object_get(o->observed->config_maps, KUBEADM_CONFIG) &&
                   watch_count(o->cluster->pods) > 0;
    enum platform_type type = o->wanted;

    if (type == PLATFORM_AUTO)
        type = kubeadm ? PLATFORM_KUBEADM : PLATFORM_OBSERVE;
    *ret_platform = platform_find(type);
    if (*ret_platform)
        return NULL;
    return error_because(ERROR_INVALID, "NotSupported",
                         "spec.platform.type: %s is not supported by this version",
                         platform_type_name(type));
}

static void put_gates(struct observation *o, json_t *take_gates)
{
    json_t *report = json_object();

    json_object_set_new(report, "enabled", take_gates);
    json_array_append_new(o->observed->reports, report);
    for (size_t i = 0; i < o->observed->len; i++) {
        if (o->observed->instances[i].component == COMPONENT_APISERVER)
            o->observed->instances[i].reported = report;
    }
}

// Where nobody's agent asks, the API server that answers us is asked itself: discovery never proves
// a gate.
static void on_metrics(void *owner, struct error *take_err, struct slice text)
{
    struct observation *o = owner;
    json_t *gates = NULL;
    struct version version;
    int64_t start_ms;

    o->pending = NULL;
    if (!take_err)
        take_err = gates_metrics_read(text, &gates, &version, &start_ms);
    // What merely failed is asked again by the next.
    if (o->wanted == PLATFORM_OBSERVE && (!take_err || error_kind(take_err) == ERROR_DENIED))
        platform_facts_keep(o->cluster->facts, o->term, o->began_ms, o->observed, gates);
    if (take_err)
        error_ignore(take_err, "without the right to read /metrics the gate stays unknown");
    else
        put_gates(o, gates);
    finish(o, NULL);
}

static void on_kept(void *owner)
{
    struct observation *o = owner;
    struct error *err;
    json_t *gates = NULL;

    o->pending = NULL;
    if (!platform_facts_get(o->cluster->facts, o->term, o->observed, &gates)) {
        advance(o);
        return;
    }
    o->observed->type = PLATFORM_OBSERVE;
    err = platform_observe_only()->collect(o->cluster, o->observed);
    if (gates)
        put_gates(o, gates);
    finish(o, err);
}

static void collect(struct observation *o)
{
    const struct platform *platform = NULL;
    json_t *gates = NULL;
    struct error *err = find_platform(o, &platform);

    if (!err) {
        o->observed->type = platform->type;
        err = platform->collect(o->cluster, o->observed);
    }
    if (!err && o->wanted == PLATFORM_OBSERVE &&
        platform_facts_still(o->cluster->facts, o->term, o->began_ms, o->observed, &gates)) {
        put_gates(o, gates);
        finish(o, NULL);
        return;
    }
    if (!err && !platform->make_writes)
        o->pending = kube_get_lines(o->cluster->kube, "/metrics", PLATFORM_METRICS_BYTES_MAX,
                                    GATES_METRICS_BYTES_MAX, gates_metrics_wants, on_metrics, o);
    else
        finish(o, err);
}

void platform_take_version(struct platform_observed *observed, const json_t *body)
{
    AUTO_MEM char *emulated = str_format("%s.%s", doc_str(body, "emulationMajor", NULL),
                                         doc_str(body, "emulationMinor", NULL));

    if (!version_parse(doc_str(body, "gitVersion", NULL), &observed->server))
        observed->server = (struct version){0};
    if (!version_parse(emulated, &observed->server_emulated) ||
        version_compare_minor(observed->server_emulated, observed->server) == 0)
        observed->server_emulated = (struct version){0};
}

void platform_take_group(struct platform_observed *observed, const json_t *body)
{
    const json_t *versions = json_object_get(body, "versions");

    for (size_t i = 0; i < json_array_size(versions); i++)
        json_array_append_new(observed->served,
                              doc_string(doc_str(json_array_get(versions, i), "version", NULL)));
}

static void take_answer(struct observation *o, const struct request *request, const json_t *body)
{
    if (request->config_map) {
        json_object_set_new(o->observed->config_maps, request->config_map, doc_copy(body));
    } else if (str_eq(request->path, "/version")) {
        platform_take_version(o->observed, body);
    } else {
        platform_take_group(o->observed, body);
    }
}

bool platform_says_version(const json_t *body)
{
    return *doc_str(body, "gitVersion", NULL) != '\0';
}

bool platform_says_group(const json_t *body)
{
    return json_is_array(json_object_get(body, "versions"));
}

// An empty answer, or one of something else, does not say that nothing is there.
static bool is_answer(const struct request *request, const json_t *body)
{
    if (request->config_map)
        return str_eq(doc_str(body, "metadata", "name", NULL), request->config_map);
    return str_eq(request->path, "/version") ? platform_says_version(body)
                                             : platform_says_group(body);
}

static void on_answer(void *owner, struct error *take_err, json_t *take_body)
{
    struct observation *o = owner;
    const struct request *request = &requests[o->next];
    AUTO_JSON json_t *body = take_body;

    o->pending = NULL;
    if (!take_err && !is_answer(request, body))
        take_err = error_new(ERROR_TRANSIENT, "the answer is not what was asked for");
    if (take_err && error_kind(take_err) == ERROR_NOT_FOUND && o->next > 0) {
        error_free(take_err); // the group is not served, the ConfigMap is not there: an answer too
    } else if (take_err) {
        finish(o, error_wrap(take_err, "observe %s", request->path));
        return;
    } else {
        take_answer(o, request, body);
    }
    o->next++;
    advance(o);
}

static void advance(struct observation *o)
{
    // The ConfigMaps are kubeadm's; who only looks does not ask for them.
    while (o->wanted == PLATFORM_OBSERVE && o->next < COUNT(requests) &&
           requests[o->next].config_map)
        o->next++;
    if (o->next == COUNT(requests))
        collect(o);
    else
        o->pending = kube_get_path(o->cluster->kube, requests[o->next].path,
                                   requests[o->next].bytes_max, on_answer, o);
}

static struct op *observe_common(struct loop *loop, const struct platform_cluster *cluster,
                                 enum platform_type wanted, platform_observed_fn *done, void *owner)
{
    struct observation *o = NEW(struct observation);

    o->op.drop = observation_drop;
    o->loop = loop;
    o->cluster = cluster;
    o->wanted = wanted;
    o->done = done;
    o->owner = owner;
    o->observed = platform_observed_new();
    o->term = watch_term(cluster->nodes);
    o->began_ms = clock_ms();
    if (wanted == PLATFORM_OBSERVE && cluster->facts)
        o->pending = loop_defer(loop, on_kept, o);
    else
        advance(o);
    return &o->op;
}

struct op *platform_observe(struct loop *loop, const struct platform_cluster *cluster,
                            const struct platform_target *target, platform_observed_fn *done,
                            void *owner)
{
    const struct platform *platform = platform_find(target->type);

    if (platform && platform->observe)
        return platform->observe(loop, cluster, target, done, owner);
    return observe_common(loop, cluster, target->type, done, owner);
}

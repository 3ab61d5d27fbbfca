// SPDX-License-Identifier: Apache-2.0
// The steps of a pass up to the writes: LOAD, CLAIM, OBSERVE, RESOLVE, PLAN, APPLY.
#include "controller_internal.h"

struct kube_ref config_ref(const struct pass *pass, const char *subresource)
{
    return (struct kube_ref){
        .group = API_GROUP,
        .version = API_VERSION,
        .resource = "draconfigurations",
        .namespace = doc_str(pass->object, "metadata", "namespace", NULL),
        .name = doc_str(pass->object, "metadata", "name", NULL),
        .subresource = subresource,
    };
}

static struct error *read_object(const struct pass *pass, const json_t *object,
                                 struct api_config *ret_config)
{
    struct error *err = platform_parse(object, ret_config);

    if (!err && ret_config->deleting && pass->cluster)
        ret_config->platform = platform_decide_end(pass->cluster, ret_config);
    return err;
}

// The cluster that this pass looks at and writes. An end that takes nothing back needs none.
static struct error *find_cluster(struct pass *pass)
{
    struct controller *c = pass->controller;
    struct error *err;

    if (!platform_is_in_target(&pass->config)) {
        pass->cluster = &c->cluster;
        return NULL;
    }
    err = cluster_targets_get(c->targets, pass->walk.key, &pass->cluster);
    if (!err || !pass->config.deleting || pass->config.revert)
        return err;
    error_ignore(err, "what was written there stays, as the spec says");
    return NULL;
}

static struct error *wrote_elsewhere(const char *where)
{
    return error_because(
        ERROR_INVALID, "InvalidConfiguration",
        "spec.cluster: what this DRAConfiguration wrote is in %s; let it lead there again, or "
        "delete the object with deletionPolicy Retain to leave what was written, and make another "
        "one",
        where);
}

struct error *pass_check_cluster(const struct pass *pass, const struct cluster *cluster)
{
    const char *uid = doc_str(pass->config.status, "clusterUID", NULL);
    const struct cluster *home = &pass->controller->cluster;
    bool flags = cluster == pass->cluster && platform_wrote(home, &pass->config);
    // Flags in objects are in those of this cluster, wherever a driver of theirs is.
    bool objects = flags && platform_traits(platform_decide_end(home, &pass->config))->objects;
    AUTO_MEM char *where = NULL;

    if (*uid && !str_eq(uid, cluster_uid(cluster)))
        where = str_format("the cluster whose namespace kube-system has UID %s", uid);
    else if (cluster != home && (objects || !*uid) &&
             (flags || *doc_str(pass->config.status, "driver", "release", NULL)))
        where = str_dup("the cluster that Drawbridge runs in");
    return where ? wrote_elsewhere(where) : NULL;
}

// The UID in the status is that of the cluster of its nodes, where its driver is: other things
// wrote it down for the platforms that are all in one cluster.
static bool is_told_of_nodes(const struct pass *pass)
{
    return pass_drives_elsewhere(pass) && str_eq(doc_str(pass->config.status, "platform", NULL),
                                                 platform_type_name(pass->config.platform));
}

// What was written in one cluster is not left for another one. Only an end that leaves it anyway
// goes on, without a cluster.
static struct error *check_same_cluster(struct pass *pass)
{
    struct error *err;

    if (!pass->cluster || is_told_of_nodes(pass))
        return NULL;
    err = pass_check_cluster(pass, pass->cluster);
    if (!err || !pass->config.deleting || pass->config.revert)
        return err;
    error_ignore(err, "what was written there stays, as the spec says");
    cluster_unref(pass->cluster);
    pass->cluster = NULL;
    return NULL;
}

// Undoing asks nobody, for a cluster that is gone must not hold it up; but a driver there goes
// first.
static bool wants_workload(const struct pass *pass)
{
    return pass_drives_elsewhere(pass) &&
           (!pass->config.deleting || (pass->config.revert && pass_leaves_driver(pass)));
}

// Flags go on without it, as far as its platform does.
static void find_workload(struct pass *pass)
{
    AUTO_CLUSTER_WAY struct cluster_way way = {0};

    if (wants_workload(pass) && platform_way(pass->object, &way))
        pass->unreached =
            cluster_targets_open(pass->controller->targets, pass->walk.key, &pass->workload);
}

// One that is being deleted ends, and takes nothing back that is not its own any more: what it has
// written it must still be allowed to write.
static struct error *check_allowed(struct pass *pass)
{
    struct error *err = tenancy_check(&pass->controller->spec, pass->config.platform, pass->object);

    pass->forbidden = err != NULL;
    if (!pass->config.deleting)
        return err;
    error_free(err);
    return NULL;
}

static void let_others(void *owner)
{
    struct pass *pass = owner;

    queue_let_others(pass->controller->queue, pass->walk.key);
}

static void on_noted(void *owner, struct error *take_err, json_t *take_body)
{
    struct pass *pass = owner;

    pass->over = take_err == NULL;
    if (take_body)
        watch_note_write(pass->controller->configs, take_body);
    json_decref(take_body);
    walk_continue(&pass->walk, error_wrap(take_err, "note which cluster it is"));
}

// What is to be written in the status before anything else is done: the pass is over with it, and
// what changes calls for the next.
static void note_status(struct pass *pass, const char *field, const char *value)
{
    AUTO_JSON json_t *body = json_object();
    struct kube_ref ref = config_ref(pass, "status");
    struct kube_patch patch = {
        .type = KUBE_PATCH_MERGE, .body = body, .field_manager = API_FIELD_MANAGER};

    doc_set(body, doc_string(pass->config.resource_version), "metadata", "resourceVersion", NULL);
    doc_set(body, doc_string(value), "status", field, NULL);
    pass->walk.pending = kube_patch(pass->home, &ref, &patch, on_noted, pass);
}

// Whose this DRAConfiguration is follows from it, and so may not be told together with anything
// that only that one may do.
static struct error *note_cluster(struct pass *pass)
{
    struct moves *moves = pass->controller->moves;
    bool moves_on = *doc_str(pass->config.status, "observedClusterUID", NULL);

    if (moves_on && moves_left_ms(moves, pass->walk.key) > 0)
        return error_because(ERROR_TRANSIENT, "Progressing",
                             "spec.cluster.kubeconfigSecretRef: %s: the cluster names another UID "
                             "of its namespace kube-system than before, and not for the first "
                             "time: it is taken at its word later",
                             pass->cluster->by);
    if (moves_on)
        moves_note(moves, pass->walk.key);
    note_status(pass, "observedClusterUID", cluster_uid(pass->cluster));
    return NULL;
}

// Where it is written, and by whom.
static struct error *load_cluster(struct pass *pass, enum verdict *ret_verdict)
{
    struct error *err = NULL;

    // Its watches call for the next pass.
    pass->over = (platform_is_in_target(&pass->config) || wants_workload(pass)) &&
                 cluster_targets_begin(pass->controller->targets, pass->walk.key);
    if (pass->over) {
        pass->after_ms =
            pass_drives_elsewhere(pass) ? CLUSTER_AGAIN_MS : CLUSTER_ASK_MS; // flags need it less
        return NULL;
    }
    if (!err)
        err = find_cluster(pass);
    if (pass->cluster && pass->cluster->held) // somebody else's server, which may never answer
        let_others(pass);
    if (!err && pass->cluster &&
        shards_notes(pass->controller->shards, pass->cluster, pass->object)) {
        *ret_verdict = VERDICT_WAIT;
        return note_cluster(pass);
    }
    if (!err)
        err = check_same_cluster(pass);
    if (!err)
        err = read_object(pass, pass->object, &pass->config);
    if (!err && !pass->config.deleting)
        err = platform_check_kept(pass->cluster, &pass->config);
    if (!err)
        err = check_allowed(pass);
    if (err)
        return err;
    find_workload(pass);
    if (platform_traits(pass->config.platform)->writes) {
        AUTO_MEM char *writer = roster_writer(pass->controller->roster, pass->walk.key);
        if (writer && !str_eq(writer, pass->walk.key))
            pass->conflict = TAKE(writer);
    }
    return NULL;
}

static void on_detected(void *owner, struct error *take_err, const char *name)
{
    struct pass *pass = owner;
    enum verdict verdict = VERDICT_NEXT;

    pass->walk.pending = NULL;
    if (!take_err && name) {
        note_status(pass, "platform", name);
        return;
    }
    if (!take_err)
        take_err = load_cluster(pass, &verdict);
    if (take_err || verdict == VERDICT_NEXT)
        walk_continue(&pass->walk, take_err);
}

struct error *step_load(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    const json_t *object = watch_get(pass->controller->configs, pass->walk.key);
    struct error *err;

    *ret_verdict = VERDICT_NEXT;
    if (!object)
        return NULL;
    pass->object = json_incref((json_t *)(uintptr_t)object); // replaced in the store, never changed
    err = platform_parse(pass->object, &pass->config);
    if (err)
        return err;
    intent_make(&pass->config, &pass->intent);
    if (pass->unheld)
        return NULL;
    if (!pass->config.deleting)
        err = platform_check(&pass->config);
    if (err || !platform_is_undecided(&pass->config))
        return err ? err : load_cluster(pass, ret_verdict);
    *ret_verdict = VERDICT_WAIT;
    pass->walk.pending = platform_detect(pass->controller->loop, pass->controller->cluster.kube,
                                         pass->object, on_detected, pass);
    return NULL;
}

// The answer of a write of ours to the object is what the pass goes on with.
static struct error *adopt_object(struct pass *pass, json_t *take_body)
{
    struct api_config config;
    struct error *err = read_object(pass, take_body, &config);

    if (err) { // the pass goes on to its report with what it had
        json_decref(take_body);
        return err;
    }
    watch_note_write(pass->controller->configs, take_body);
    intent_fini(&pass->intent);
    json_decref(pass->object);
    pass->object = take_body;
    pass->config = config;
    intent_make(&pass->config, &pass->intent);
    return NULL;
}

static void on_claimed(void *owner, struct error *take_err, json_t *take_body)
{
    struct pass *pass = owner;

    walk_continue(&pass->walk, take_err ? error_wrap(take_err, "add the finalizer")
                                        : adopt_object(pass, take_body));
}

// Gone, made anew, or released by now: this pass was about something that is over.
static void on_looked(void *owner, struct error *take_err, json_t *take_body)
{
    struct pass *pass = owner;
    bool gone = take_err && error_kind(take_err) == ERROR_NOT_FOUND;

    if (!gone && take_err) {
        json_decref(take_body);
        walk_continue(&pass->walk, error_wrap(take_err, "look whether it is still there"));
        return;
    }
    error_free(take_err);
    pass->over = gone || !str_eq(doc_str(take_body, "metadata", "uid", NULL), pass->config.uid);
    if (pass->over)
        json_decref(take_body);
    walk_continue(&pass->walk, pass->over ? NULL : adopt_object(pass, take_body));
}

struct error *step_claim(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    AUTO_JSON json_t *body = NULL;
    json_t *finalizers;
    struct kube_ref ref = config_ref(pass, NULL);
    struct kube_patch patch = {.type = KUBE_PATCH_MERGE, .field_manager = API_FIELD_MANAGER};
    const json_t *now = doc_get(pass->object, "metadata", "finalizers", NULL);

    if (pass->config.deleting) {
        // What the watch has may be older than our own last write: without this look the objects of
        // an end that is over would be made again, for ever.
        pass->walk.pending = kube_get(pass->home, &ref, on_looked, pass);
        *ret_verdict = VERDICT_WAIT;
        return NULL;
    }
    *ret_verdict = VERDICT_NEXT;
    if (pass->config.has_finalizer || pass->config.suspend ||
        (!platform_traits(pass->config.platform)->writes && !pass->config.driver))
        return NULL;
    finalizers = json_is_array(now) ? doc_copy(now) : json_array();
    json_array_append_new(finalizers, json_string(API_FINALIZER));
    body = json_object();
    doc_set(body, finalizers, "metadata", "finalizers", NULL);
    doc_set(body, doc_string(pass->config.resource_version), "metadata", "resourceVersion", NULL);
    patch.body = body;
    pass->walk.pending = kube_patch(pass->home, &ref, &patch, on_claimed, pass);
    *ret_verdict = VERDICT_WAIT;
    return NULL;
}

static void on_observed(void *owner, struct error *take_err,
                        struct platform_observed *take_observed)
{
    struct pass *pass = owner;

    pass->observed = take_observed;
    if (take_observed)
        scouts_note_facts(pass->controller->scouts, pass->cluster, take_observed->edition);
    if (take_observed)
        pass_look_elsewhere(pass);
    walk_continue(&pass->walk, take_err);
}

struct error *step_observe(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    struct controller *c = pass->controller;

    pass->target = (struct platform_target){
        .type = platform_decide(&pass->config),
        .decided = pass->config.platform != platform_decide(&pass->config),
        .namespace = pass->config.namespace,
        .name = pass->config.name,
        .cluster = pass->config.cluster,
        .workload = pass->workload,
        .unreached = pass->unreached,
        .hosted = pass->config.hosted,
        .capi = pass->config.capi,
        .giantswarm = pass->config.giantswarm,
        .components = json_object_get(pass->config.status, "components"),
        .fresh = pass->intent.fresh,
        .deleting = pass->config.deleting,
        .component_timeout_ms = pass->config.component_timeout_ms,
        .let_others = let_others,
        .owner = pass,
    };
    pass->walk.pending = platform_observe(c->loop, pass->cluster, &pass->target, on_observed, pass);
    *ret_verdict = VERDICT_WAIT;
    return NULL;
}

struct error *step_resolve(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    struct gates_intent intent = intent_gates(&pass->intent);
    struct error *err;

    *ret_verdict = VERDICT_NEXT;
    plan_inputs_make(pass->observed->instances, pass->observed->len, &pass->inputs);
    err = plan_resolve(pass->controller->spec.table, &intent, pass->observed->instances,
                       &pass->inputs, &pass->resolution);
    pass->resolved = !err;
    return err;
}

// What each instance has in the revision that is gone back to if this one fails. Only a roll-out of
// another one needs it.
static void resolve_good(const struct pass *pass, struct gates_resolution *ret_good)
{
    struct gates_intent good;
    struct error *err;

    if (pass->intent.known_good || pass->intent.rolled_back || pass->config.deleting ||
        !intent_known_good(&pass->config, &good))
        return;
    err = plan_resolve(pass->controller->spec.table, &good, pass->observed->instances,
                       &pass->inputs, ret_good);
    if (err)
        error_ignore(err, "without it every component counts as changed");
}

struct error *step_plan(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    AUTO_RESOLUTION struct gates_resolution good = {0};
    struct gates_intent intent = intent_gates(&pass->intent);
    const struct platform_traits *traits = platform_traits(pass->observed->type);
    struct plan_policy policy = {
        .enable = plan_enables(&intent),
        .max_unavailable = pass->config.max_unavailable,
        .max_unavailable_percent = pass->config.max_unavailable_percent,
        .min_ready_ms = pass->config.min_ready_ms,
        .suspend = pass->config.suspend,
        .retry = pass->intent.again ? pass->config.reconcile_requested_at : NULL,
        .leaving = pass->config.deleting && traits->agents,
        .component_timeout_ms = pass->config.component_timeout_ms,
    };

    *ret_verdict = VERDICT_NEXT;
    // Nothing is touched while there is a refusal.
    if (pass->resolution.refusals_len > 0 || !traits->writes)
        return NULL;
    resolve_good(pass, &good);
    policy.good = good.desired_len == pass->observed->len ? good.desired : NULL;
    plan_make(&policy, pass->observed->instances, pass->resolution.desired, pass->observed->len,
              clock_wall_ms(), &pass->plan);
    pass->planned = true;
    pass->after_ms = pass->plan.wait_ms;
    if (pass->observed->again_ms > 0 &&
        (pass->after_ms == 0 || pass->observed->again_ms < pass->after_ms))
        pass->after_ms = pass->observed->again_ms;
    return NULL;
}

bool pass_writes(const struct pass *pass)
{
    return pass->planned && !pass->config.suspend && !pass->conflict;
}

static void on_wrote(void *owner, const char *object, const char *what)
{
    struct pass *pass = owner;

    // Nobody watches kubeadm's ConfigMaps: what was written there is looked at in a pass of its
    // own.
    if (str_starts(object, "ConfigMap"))
        pass->after_ms = 1;
    events_emit(pass->controller->events, pass->object, false,
                pass->intent.rolled_back ? "RollingBack" : "Updating", "%s: %s", object, what);
}

static void on_applied(void *owner, struct error *take_err, bool more)
{
    struct pass *pass = owner;

    pass->applied = !take_err && !more;
    pass->more = more;
    if (more)
        pass->after_ms = 1;
    walk_continue(&pass->walk, take_err);
}

struct error *step_apply(void *walk, enum verdict *ret_verdict)
{
    struct pass *pass = walk;
    struct controller *c = pass->controller;
    struct gates_intent intent = intent_gates(&pass->intent);
    AUTO_MEM char *configuration = NULL;
    uint64_t epoch;
    struct platform_change change = {
        .observed = pass->observed,
        .plan = &pass->plan,
        .enable = plan_enables(&intent),
        .owner_namespace = pass->config.namespace,
        .owner_name = pass->config.name,
        .wrote = on_wrote,
    };

    *ret_verdict = VERDICT_NEXT;
    if (!pass_writes(pass))
        return NULL;
    configuration = str_format("%s/%s", pass->config.namespace, pass->config.name);
    // A target's agents may know of later terms than ours; what they say raises theirs alone.
    epoch = shards_epoch(c->shards, pass->cluster);
    if (cluster_epoch(pass->cluster) > epoch)
        epoch = cluster_epoch(pass->cluster);
    change.header = (struct plan_header){epoch, configuration, pass->intent.revision,
                                         pass->config.component_timeout_ms};
    pass->walk.pending = platform_apply(c->loop, pass->cluster, &change, on_applied, pass);
    *ret_verdict = VERDICT_WAIT;
    return NULL;
}

// SPDX-License-Identifier: Apache-2.0
// The controller: watches that turn into keys, a queue that turns into passes, and the lease that
// allows them.
#include <string.h>

#include "controller_internal.h"

#define BACKOFF_MS 500
#define BACKOFF_MS_MAX 30000
// Passes at once that wait for the API server of the cluster that we run in; one a lane. Those that
// wait for other clusters do not count.
#define WORKERS 16

bool controller_may_write(void *owner)
{
    const struct controller *c = owner;

    return !c->stop && (!c->spec.leader_elect || lead_may_write(c->lead));
}

static bool may_write_cluster(void *owner, const struct cluster *cluster)
{
    if (cluster->held && !cluster->bare)
        return shards_may_write_target(owner, cluster_uid(cluster));
    // Whose flags are in objects here is the leader's, whatever it says to be.
    return (!cluster->held || *cluster_uid(cluster)) && controller_may_write(owner);
}

static bool works(void *owner)
{
    const struct controller *c = owner;

    return shards_works(c->shards);
}

static bool controller_may_look(void *owner, const char *from, const char *to)
{
    const struct controller *c = owner;

    return tenancy_looks(&c->spec, from, to);
}

uint64_t controller_epoch(const struct controller *c)
{
    // Without an election there is nobody to tell ourselves from.
    return c->lead ? lead_epoch(c->lead) : c->epoch_seen;
}

static bool is_synced(const struct controller *c)
{
    return watch_synced(c->configs) && watch_synced(c->cluster.nodes) &&
           watch_synced(c->cluster.pods) && watch_synced(c->cluster.node_configs);
}

bool controller_ready(void *owner, struct buf *why)
{
    const struct controller *c = owner;
    const struct error *err = watch_error(c->configs);
    const char *failed = watch_failed(c->configs);
    bool ready = watch_synced(c->configs) && !failed;

    if (!ready && watch_synced(c->configs))
        buf_printf(why, "draconfigurations: not followed for a minute: %s\n", failed);
    else if (!ready)
        buf_printf(why, "draconfigurations: %s\n", err ? error_text(err) : "not synced yet");
    ready = shards_ready(c->shards, why) && ready;
    return cluster_synced(&c->cluster, why) && ready;
}

// --- keys ----------------------------------------------------------------------------------------

static void enqueue(void *owner, const char *key)
{
    struct controller *c = owner;

    queue_add(c->queue, key);
}

static void enqueue_all(struct controller *c)
{
    roster_each(c->roster, ROSTER_ALL, enqueue, c);
}

static void enqueue_writers(struct controller *c)
{
    roster_each(c->roster, ROSTER_WRITERS, enqueue, c);
}

static void enqueue_soon(void *owner, const char *key)
{
    struct controller *c = owner;

    queue_add_after(c->queue, key, cluster_hold_ms(&c->cluster));
}

void controller_enqueue_of(struct controller *c, const char *cluster)
{
    if (str_eq(cluster, CLUSTER_HOME))
        roster_each(c->roster, ROSTER_HOME, enqueue, c);
    else
        cluster_targets_wake(c->targets, cluster);
}

static bool same(const json_t *was, const json_t *now, const char *a, const char *b)
{
    return doc_equal(b ? doc_get(was, a, b, NULL) : json_object_get(was, a),
                     b ? doc_get(now, a, b, NULL) : json_object_get(now, a));
}

static void note_target(struct controller *c, const char *key, const json_t *config)
{
    AUTO_CLUSTER_WAY struct cluster_way way = {0};
    bool leads = config && shards_follows(c->shards, config) && tenancy_allows(&c->spec, config) &&
                 platform_way(config, &way);

    cluster_targets_note(c->targets, key, leads ? &way : NULL);
}

static void on_target(void *owner, const char *key, uint64_t hold_ms)
{
    struct controller *c = owner;

    queue_add_after(c->queue, key, hold_ms);
}

// What was written once stays claimed when its kubeconfig leads elsewhere or is lost.
static void note_writer(struct controller *c, const char *key, const json_t *config)
{
    AUTO_STRLIST struct strlist clusters = {0};

    cluster_targets_names(c->targets, key, doc_str(config, "status", "clusterUID", NULL),
                          &clusters);
    if (roster_note(c->roster, &c->spec, key, config, &clusters))
        enqueue_writers(c);
}

static void on_name(void *owner, const char *key)
{
    struct controller *c = owner;

    note_writer(c, key, watch_get(c->configs, key));
}

static void on_config(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct controller *c = owner;

    unreadable_forget(c->unreadable, key);
    adopter_note_config(c->adopter, key);
    follows_note(c->follows, key, now);
    note_target(c, key, now);
    note_writer(c, key, now);
    sources_note_config(c->sources, was, now);
    if (!now) {
        driver_forget_notes(c->driver, key);
        moves_forget(c->moves, key);
    }
    queue_add(c->queue, key);
}

static void on_unreadable_config(void *owner, const char *key, const char *version,
                                 const struct error *why)
{
    const struct controller *c = owner;

    unreadable_note(c->unreadable, key, version, why);
}

static void on_node(void *owner, const char *key, const json_t *was, const json_t *now)
{
    const struct controller *c = owner;

    (void)key;
    if (!doc_equal(was, now))
        roster_each(c->roster, ROSTER_HOME, enqueue_soon, owner);
}

// Static pods and what agents say are nothing to Observe.
static void on_pod(void *owner, const char *key, const json_t *was, const json_t *now)
{
    const struct controller *c = owner;

    (void)key;
    if (!doc_equal(was, now))
        roster_each(c->roster, ROSTER_HOME_WRITERS, enqueue, owner);
}

// An agent refuses what is older than it has seen. It may know of later terms than the Lease: etcd
// was restored from a backup, or somebody edited the Lease.
static void note_epoch(struct controller *c, const json_t *node_config)
{
    int64_t epoch = doc_int(node_config, 0, "status", "epoch", NULL);

    if (epoch <= 0 || (uint64_t)epoch > LEAD_EPOCH_MAX || (uint64_t)epoch <= c->epoch_seen)
        return;
    c->epoch_seen = (uint64_t)epoch;
    if (c->lead)
        lead_note_epoch(c->lead, c->epoch_seen);
}

static void on_node_config(void *owner, const char *key, const json_t *was, const json_t *now)
{
    const struct controller *c = owner;

    (void)key;
    note_epoch(owner, now);
    if (was && now && same(was, now, "status", NULL) && same(was, now, "spec", NULL))
        return;
    roster_each(c->roster, ROSTER_HOME_WRITERS, enqueue_soon, owner);
}

// --- work ----------------------------------------------------------------------------------------

static char *on_lane(void *owner, const char *key)
{
    const struct controller *c = owner;

    return str_dup(roster_lane(c->roster, key));
}

static void on_work(void *owner, const char *key)
{
    struct controller *c = owner;

    if (!shards_has(c->shards, watch_get(c->configs, key)) || !is_synced(c)) {
        queue_done(c->queue, key, false, 0); // it is queued again when it is ours, and we see
        return;
    }
    pass_start(c, key);
}

static void forget_failures(void *owner, const char *key)
{
    struct controller *c = owner;

    queue_forget(c->queue, key);
}

void controller_wake(struct controller *c)
{
    if (!shards_works(c->shards) || !is_synced(c))
        return;
    // The API server was away: what failed for that is no reason to wait any longer.
    roster_each(c->roster, ROSTER_ALL, forget_failures, c);
    enqueue_all(c);
    if (!controller_may_write(c))
        return;
    adopter_wake(c->adopter);
    sources_wake(c->sources);
    unreadable_wake(c->unreadable);
}

static void on_synced(void *owner)
{
    controller_wake(owner);
}

void controller_note_leader(struct controller *c, const char *lease, bool leads)
{
    if (c->leader_status)
        metric_set(c->leader_status, leads, lease);
}

static void note_again(void *owner, const char *key, const json_t *config)
{
    note_target(owner, key, config);
    note_writer(owner, key, config);
}

static void on_gained(void *owner)
{
    struct controller *c = owner;

    log_line(LOG_INFO, "controller", "leading, epoch=%llu",
             (unsigned long long)controller_epoch(c));
    controller_note_leader(c, CONTROLLER_LEASE_NAME, true);
    shards_note_gained(c->shards);
    watch_each(c->configs, note_again, c); // what is followed beside shards is the leader's
    controller_wake(c);
}

static void on_driver(void *owner, const char *key)
{
    struct controller *c = owner;

    if (!watch_get(c->configs, key))
        driver_forget_notes(c->driver, key); // it went while helm was at work
    if (!c->stop)
        queue_add(c->queue, key);
}

static bool is_anothers(const void *walk)
{
    const struct pass *pass = walk;

    return !shards_has(pass->controller->shards,
                       watch_get(pass->controller->configs, pass->walk.key));
}

static void drop_passes(struct controller *c)
{
    sources_drop(c->sources);
    unreadable_drop(c->unreadable);
    walks_drop(&c->passes, is_anothers);
}

void controller_note_shards(struct controller *c)
{
    if (c->stop)
        return;
    walks_drop(&c->passes, is_anothers);
    driver_interrupt(c->driver);
    watch_each(c->configs, note_again, c);
    controller_wake(c);
}

// What is under way must not be finished by us any more. We stand for election again: on a one-node
// control plane the lease runs out each time the API server is restarted, also by us.
static void on_lost(void *owner)
{
    struct controller *c = owner;

    log_line(LOG_WARN, "controller",
             "the lease is lost: nothing is written until it is gained again");
    controller_note_leader(c, CONTROLLER_LEASE_NAME, false);
    shards_note_lost(c->shards);
    drop_passes(c);
    driver_interrupt(c->driver); // helm ends with the lease
    if (c->spec.on_lost)
        c->spec.on_lost(c->spec.owner);
}

// --- making and ending ---------------------------------------------------------------------------

static struct watch *follow(struct controller *c, struct watch_spec spec,
                            void (*on_change)(void *, const char *, const json_t *, const json_t *))
{
    spec.kube = c->spec.kube;
    spec.on_change = on_change;
    spec.on_sync = on_synced;
    spec.owner = c;
    return watch_new(c->loop, &spec);
}

// Who has the shard of its UID does nothing for whoever names it: that is ours, if we lead.
static void on_home(void *owner)
{
    controller_note_shards(owner);
}

static void start_watches(struct controller *c)
{
    struct watch_spec configs = {
        .ref = {.group = API_GROUP, .version = API_VERSION, .resource = "draconfigurations"},
        .facet = facet_of_config,
        .same_facet = facet_is_same,
        .on_unreadable = on_unreadable_config};
    struct cluster_targets_spec targets = {.loop = c->loop,
                                           .home = c->spec.kube,
                                           .on_change = on_target,
                                           .on_name = on_name,
                                           .on_home = shards_count(c->shards) ? on_home : NULL,
                                           .may_write = may_write_cluster,
                                           .owner = c};

    c->cluster.kube = c->spec.kube;
    c->cluster.facts = cluster_facts_new();
    c->follows = follows_new(c);
    c->targets = cluster_targets_new(&targets);
    c->roster = roster_new();
    c->scouts = scouts_new(c);
    c->unreadable = unreadable_new(c);
    c->configs = follow(c, configs, on_config);
    c->cluster.nodes = follow(c, cluster_watch_spec(CLUSTER_NODES), on_node);
    c->cluster.pods = follow(c, cluster_watch_spec(CLUSTER_PODS), on_pod);
    c->cluster.node_configs = follow(c, cluster_watch_spec(CLUSTER_NODE_CONFIGS), on_node_config);
}

// What works on DRAConfigurations beside their passes.
static void start_others(struct controller *c)
{
    struct adopter_spec adopter = {
        .kube = c->spec.kube, .configs = c->configs, .may_write = controller_may_write, .owner = c};
    struct sources_spec sources = {.kube = c->spec.kube,
                                   .configs = c->configs,
                                   .events = c->events,
                                   .metrics = c->spec.metrics,
                                   .git_file_root = c->spec.git_file_root,
                                   .git_pack_bytes_max = c->spec.git_pack_bytes_max,
                                   .may_write = controller_may_write,
                                   .on_change = enqueue,
                                   .owner = c};

    c->adopter = adopter_new(c->loop, &adopter);
    c->sources = sources_new(c->loop, &sources);
}

static void print_queue(void *owner)
{
    struct controller *c = owner;
    struct queue_stats stats = queue_stats(c->queue);
    struct metrics *m = c->spec.metrics;

    metric_set(
        metrics_family(m, "workqueue_depth", METRIC_GAUGE, "name,controller", "Keys that wait"),
        (double)stats.depth, "draconfiguration", "draconfiguration");
    metric_set(
        metrics_family(m, "workqueue_adds_total", METRIC_COUNTER, "name,controller", "Keys added"),
        (double)stats.adds_total, "draconfiguration", "draconfiguration");
    metric_set(metrics_family(m, "workqueue_retries_total", METRIC_COUNTER, "name,controller",
                              "Keys tried again"),
               (double)stats.retries_total, "draconfiguration", "draconfiguration");
    metric_set(metrics_family(m, "controller_runtime_active_workers", METRIC_GAUGE, "controller",
                              "Passes in work"),
               (double)stats.working, "draconfiguration");
}

static void print_skipped(void *owner, const char *resource, uint64_t total)
{
    metric_set(owner, (double)total, resource);
}

static void print_unreadable(void *owner)
{
    const struct controller *c = owner;

    kube_each_skipped(c->spec.kube, print_skipped,
                      metrics_family(c->spec.metrics, "drawbridge_unreadable_objects_total",
                                     METRIC_COUNTER, "resource",
                                     "Objects of lists and watches that were left out"));
}

static void make_metrics(struct controller *c)
{
    struct metrics *m = c->spec.metrics;

    if (!m)
        return;
    c->leader_status = metrics_family(m, "leader_election_master_status", METRIC_GAUGE, "name",
                                      "1 for the one that leads");
    controller_note_leader(c, CONTROLLER_LEASE_NAME, !c->spec.leader_elect);
    metric_set(metrics_family(m, "controller_runtime_max_concurrent_reconciles", METRIC_GAUGE,
                              "controller", "Passes that may be in work at once"),
               WORKERS, "draconfiguration");
    metrics_on_print(m, print_queue, c);
    metrics_on_print(m, print_unreadable, c);
}

// What keeps those that read strangers' charts and repositories from the files of ours that are not
// for them.
static void tell_confinement(const struct controller_spec *spec)
{
    bool confined = loop_confine_has_paths();

    if (spec->metrics)
        metric_set(metrics_family(spec->metrics, "drawbridge_landlock", METRIC_GAUGE, "",
                                  "1 where the kernel keeps git workers and helm from files that "
                                  "are not theirs"),
                   confined);
    if (!confined)
        log_line(LOG_WARN, "controller",
                 "this kernel has no Landlock: git workers%s can read the controller's token, "
                 "should a repository or a chart take one over",
                 spec->helm_account ? " and helm" : "");
}

struct controller *controller_new(struct loop *loop, const struct controller_spec *spec)
{
    struct controller *c = NEW(struct controller);
    struct queue_spec queue = {.name = "draconfiguration",
                               .workers = WORKERS,
                               .backoff_ms = BACKOFF_MS,
                               .backoff_ms_max =
                                   spec->backoff_ms_max ? spec->backoff_ms_max : BACKOFF_MS_MAX,
                               .lane = on_lane,
                               .work = on_work,
                               .owner = c};
    struct lead_spec lead = {.kube = spec->kube,
                             .namespace = spec->lease_namespace,
                             .name = CONTROLLER_LEASE_NAME,
                             .says_first = SHARDS_WORD_LOST,
                             .identity = spec->identity,
                             .on_gained = on_gained,
                             .on_lost = on_lost,
                             .owner = c};

    struct driver_spec driver = {.helm = spec->helm,
                                 .dir = spec->helm_dir,
                                 .kubeconfig = spec->helm_kubeconfig,
                                 .context = spec->helm_context,
                                 .helm_account = spec->helm_account,
                                 .chart_root = spec->chart_root,
                                 .namespace = spec->smoke_test_namespace,
                                 .smoke_test_image = spec->smoke_test_image,
                                 .smoke_test_timeout_ms = spec->smoke_test_timeout_ms,
                                 .helm_timeout_ms = spec->helm_timeout_ms,
                                 .on_change = on_driver,
                                 .may_write = may_write_cluster,
                                 .may_look = controller_may_look,
                                 .owner = c};

    c->loop = loop;
    c->spec = *spec;
    // All that is written but the Lease itself goes through this client.
    c->spec.kube = kube_new_as(spec->kube, NULL);
    kube_guard(c->spec.kube, controller_may_write, c);
    make_metrics(c);
    c->events_kube = kube_new_as(spec->kube, NULL);
    kube_guard(c->events_kube, works, c);
    c->events = events_new(loop, c->events_kube, "drawbridge-controller", spec->identity);
    c->queue = queue_new(loop, &queue);
    c->passes.kind = &pass_kind;
    c->passes.loop = loop;
    c->passes.queue = c->queue;
    walks_count(&c->passes, spec->metrics);
    tell_confinement(spec);
    c->driver = driver_new(loop, &driver);
    c->shards = shards_new(c, spec->kube);
    c->moves = moves_new();
    start_watches(c);
    start_others(c);
    if (spec->leader_elect)
        c->lead = lead_new(loop, &lead);
    return c;
}

// The end of a controller: helm first, then the leases.
struct ending {
    struct op op; // must be first
    struct controller *controller;
    struct op *pending;
    loop_fn *done;
    void *owner;
};

static void ending_drop(struct op *op)
{
    struct ending *ending = (struct ending *)op;

    op_drop(ending->pending);
    mem_free(ending);
}

static void on_ended(void *owner)
{
    struct ending ending = *(struct ending *)owner;

    mem_free(owner);
    ending.done(ending.owner);
}

static void on_shards_released(void *owner)
{
    struct ending *ending = owner;
    struct controller *c = ending->controller;

    ending->pending =
        c->lead ? lead_release(c->lead, on_ended, ending) : loop_defer(c->loop, on_ended, ending);
}

static void on_driver_stopped(void *owner)
{
    struct ending *ending = owner;

    ending->pending = shards_release(ending->controller->shards, on_shards_released, ending);
}

struct op *controller_stop(struct controller *c, loop_fn *done, void *owner)
{
    struct ending *ending = NEW(struct ending);

    c->stop = true;
    drop_passes(c);
    *ending = (struct ending){{ending_drop}, c, NULL, done, owner};
    ending->pending = driver_stop(c->driver, on_driver_stopped, ending);
    return &ending->op;
}

void controller_free(struct controller *c)
{
    if (!c)
        return;
    c->stop = true;
    drop_passes(c);
    adopter_free(c->adopter);
    driver_free(c->driver);
    sources_free(c->sources);
    queue_free(c->queue);
    watch_free(c->configs);
    follows_free(c->follows);
    cluster_targets_free(c->targets);
    unreadable_free(c->unreadable);
    roster_free(c->roster);
    watch_free(c->cluster.nodes);
    watch_free(c->cluster.pods);
    watch_free(c->cluster.node_configs);
    cluster_facts_free(c->cluster.facts);
    shards_free(c->shards);
    moves_free(c->moves);
    lead_free(c->lead);
    events_free(c->events);
    kube_free(c->events_kube);
    kube_free(c->spec.kube);
    scouts_free(c->scouts);
    mem_free(c);
}

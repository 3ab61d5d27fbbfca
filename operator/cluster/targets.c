// SPDX-License-Identifier: Apache-2.0
// Target clusters: each kubeconfig that DRAConfigurations name by a Secret is one cluster with a
// client, watches and facts of its own, shared by all that name it, and there while one does.
//
// The Secret is followed. When it changes, the cluster is made anew and passes that are under way
// end with the one that they began with; when it is gone, so is the access.
#include <string.h>

#include "cluster_internal.h"

// Of one kind in a target: it is somebody else's. Some 20,000 workers have room.
#define OBJECTS_MAX 50000
#define LINE_MS 10  // between the beginnings of two targets
#define SEEN_MAX 16 // clusters that one Secret led to
static const size_t bytes_max[] = {
    [CLUSTER_NODES] = (size_t)32 << 20,
    [CLUSTER_PODS] = (size_t)8 << 20,
    [CLUSTER_NODE_CONFIGS] = (size_t)160 << 20,
};

unsigned cluster_targets_max = CLUSTER_TARGETS_MAX;
struct error *(*cluster_parse_kubeconfig)(struct slice text, struct kube_config **ret_config) =
    kube_config_parse_untrusted;

// What a pass borrows, and who it belongs to. Public part first.
struct held {
    struct cluster cluster; // must be first
    unsigned refs;
    struct http *http;
    struct identity *identity; // NULL: it waits in line
    char *what;                // of its target, which may be gone first
    uint64_t began_ms;
    uint64_t woken_ms;     // when passes were called for last, or will be
    uint64_t epoch;        // the greatest that an agent there has told of
    struct target *target; // NULL: it has another one by now, or is gone
    struct held *next;     // of those that wait for their last request
    struct cluster_targets *all;
};

struct target {
    struct target *next;
    struct cluster_targets *all;
    struct cluster_way way;
    char *selector; // of the Secret
    char *what;     // "Secret NAMESPACE/NAME, key FIELD"
    json_t *keys;   // of the DRAConfigurations that name it
    // UID → name of the clusters that it was seen to lead to; the last one's name, NULL: none yet
    json_t *seen;
    char *name_seen;
    bool has_place;                // it is one of those that are followed
    struct watch *secret;          // NULL: it waits in line, or has no place
    char digest[DOC_DIGEST_BYTES]; // of the kubeconfig that held was made from
    struct held *held;             // NULL: see error
    struct error *error;           // why there is none
    uint64_t began_ms;             // to read the Secret
};

struct cluster_targets {
    struct cluster_targets_spec spec;
    struct identity *home; // NULL: nobody needed it yet
    struct target *first;
    unsigned places; // that are taken
    unsigned asked;  // at the moment
    struct op *line; // until the next is begun; NULL: none waits
    struct held *retired;
    struct op *sweep;
};

// --- clusters that are held ----------------------------------------------------------------------

static void stop_following(struct held *held)
{
    struct cluster *cluster = &held->cluster;

    identity_free(TAKE(held->identity));
    watch_free(TAKE(cluster->nodes));
    watch_free(TAKE(cluster->pods));
    watch_free(TAKE(cluster->node_configs));
}

static void held_free(struct held *held)
{
    cluster_facts_free(held->cluster.facts);
    kube_free(held->cluster.kube);
    http_free(held->http);
    mem_free(held->what);
    mem_free(held);
}

// Those whose last request is over: an op that was dropped is away in the next turn.
static void sweep(void *owner)
{
    struct cluster_targets *all = owner;
    struct held **at = &all->retired;

    all->sweep = NULL;
    while (*at) {
        struct held *held = *at;

        if (held->refs == 0)
            stop_following(held);
        if (held->refs > 0 || kube_busy(held->cluster.kube)) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        held_free(held);
    }
}

static void sweep_soon(struct cluster_targets *all)
{
    if (!all->sweep)
        all->sweep = loop_defer(all->spec.loop, sweep, all);
}

// It stays, and what is followed of it, for the passes that have it.
static void retire(struct target *target)
{
    struct held *held = TAKE(target->held);
    struct cluster_targets *all = target->all;

    target->digest[0] = '\0';
    if (!held)
        return;
    held->target = NULL;
    held->next = all->retired;
    all->retired = held;
    sweep_soon(all);
}

struct cluster *cluster_ref(struct cluster *cluster)
{
    if (cluster && cluster->held)
        ((struct held *)cluster)->refs++;
    return cluster;
}

void cluster_unref(struct cluster *cluster)
{
    struct held *held = (struct held *)cluster;

    if (!cluster || !cluster->held)
        return;
    ASSERT(held->refs > 0);
    if (--held->refs == 0 && !held->target)
        sweep_soon(held->all);
}

bool cluster_begin_asking(struct cluster *cluster)
{
    struct held *held = (struct held *)cluster;

    if (!cluster->held)
        return true;
    if (held->all->asked == CLUSTER_ASKED_MAX)
        return false;
    held->all->asked++;
    return true;
}

void cluster_end_asking(struct cluster *cluster)
{
    if (cluster->held)
        ((struct held *)cluster)->all->asked--;
}

bool cluster_is_current(const struct cluster *cluster)
{
    return !cluster->held || ((const struct held *)cluster)->target;
}

const char *cluster_uid(const struct cluster *cluster)
{
    return cluster->held ? identity_uid(((const struct held *)cluster)->identity) : "";
}

const char *cluster_targets_home(const struct cluster_targets *all)
{
    return identity_uid(all->home);
}

uint64_t cluster_epoch(const struct cluster *cluster)
{
    const struct held *held = (const struct held *)cluster;

    return cluster->held ? held->epoch : 0;
}

// --- what happens there --------------------------------------------------------------------------

static void wake(struct target *target, uint64_t hold_ms)
{
    const char *key;
    json_t *value;

    json_object_foreach(target->keys, key, value)
        target->all->spec.on_change(target->all->spec.owner, key, hold_ms);
}

static void on_synced(void *owner)
{
    const struct held *held = owner;

    if (held->target && cluster_synced(&held->cluster, NULL))
        wake(held->target, 0);
}

static bool was_listed(const struct cluster *cluster)
{
    return watch_synced(cluster->nodes) && watch_synced(cluster->pods) &&
           watch_synced(cluster->node_configs);
}

// However much happens there, it calls for a pass now and then; what a first list has, at its end.
static void wake_for_news(struct held *held)
{
    uint64_t now_ms = clock_ms(), hold_ms = cluster_hold_ms(&held->cluster);

    if (!was_listed(&held->cluster))
        return;
    if (held->woken_ms > 0 && now_ms < held->woken_ms + CLUSTER_WAKE_MS &&
        hold_ms < held->woken_ms + CLUSTER_WAKE_MS - now_ms)
        hold_ms = held->woken_ms + CLUSTER_WAKE_MS - now_ms;
    if (held->woken_ms <= now_ms)
        held->woken_ms = now_ms + hold_ms;
    wake(held->target, hold_ms);
}

static void on_object(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct held *held = owner;

    (void)key;
    if (held->target && !doc_equal(was, now))
        wake_for_news(held);
}

static void on_node_config(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct held *held = owner;
    int64_t epoch = doc_int(now, 0, "status", "epoch", NULL);

    (void)key;
    if (!held->target)
        return;
    if (epoch > 0 && (uint64_t)epoch > held->epoch)
        held->epoch = (uint64_t)epoch;
    if (was && now && doc_equal(json_object_get(was, "spec"), json_object_get(now, "spec")) &&
        doc_equal(json_object_get(was, "status"), json_object_get(now, "status")))
        return;
    wake_for_news(held);
}

void cluster_targets_wake(struct cluster_targets *all, const char *by)
{
    for (struct target *target = all->first; target; target = target->next) {
        if (str_eq(target->what, by))
            wake(target, 0);
    }
}

static void tell_name(struct target *target)
{
    const char *key;
    json_t *value;

    json_object_foreach(target->keys, key, value)
        target->all->spec.on_name(target->all->spec.owner, key);
    wake(target, 0);
}

static void on_identity(void *owner)
{
    const struct held *held = owner;
    const char *name = identity_name(held->identity);
    struct target *target = held->target;

    if (!target)
        return;
    if (!*name || str_eq(target->name_seen, name)) {
        wake(target, 0);
        return;
    }
    mem_free(target->name_seen);
    target->name_seen = str_dup(name);
    if (json_object_size(target->seen) == SEEN_MAX)
        json_object_clear(target->seen);
    json_object_set_new(target->seen, identity_uid(held->identity), doc_string(name));
    tell_name(target);
}

static void on_home(void *owner)
{
    struct cluster_targets *all = owner;

    for (struct target *target = all->first; target; target = target->next)
        tell_name(target);
    if (all->spec.on_home && *identity_uid(all->home))
        all->spec.on_home(all->spec.owner);
}

static void ask_home(struct cluster_targets *all)
{
    if (!all->home)
        all->home = identity_new(all->spec.loop, all->spec.home, on_home, all);
}

static struct watch *follow(struct held *held, enum cluster_kind kind,
                            void (*on_change)(void *, const char *, const json_t *, const json_t *))
{
    struct watch_spec spec = cluster_watch_spec(kind);

    spec.kube = held->cluster.kube;
    spec.objects_max = OBJECTS_MAX;
    spec.bytes_max = bytes_max[kind];
    spec.on_change = on_change;
    spec.on_sync = on_synced;
    spec.owner = held;
    return watch_new(held->all->spec.loop, &spec);
}

static void start(struct held *held)
{
    struct cluster *cluster = &held->cluster;
    const struct cluster_targets_spec *spec = &held->all->spec;

    held->began_ms = clock_ms();
    cluster->facts = cluster_facts_new();
    held->identity = identity_new(spec->loop, cluster->kube, on_identity, held);
    if (cluster->bare)
        return;
    cluster->nodes = follow(held, CLUSTER_NODES, on_object);
    cluster->pods = follow(held, CLUSTER_PODS, on_object);
    cluster->node_configs = follow(held, CLUSTER_NODE_CONFIGS, on_node_config);
}

static void on_line(void *owner);

// Handshakes are work, and the Lease has to be renewed meanwhile: one target is begun, or its
// Secret, and the next in a later turn, which on a busy machine is late.
static void line_up(struct cluster_targets *all)
{
    if (!all->line)
        all->line = loop_defer(all->spec.loop, on_line, all);
}

// --- the kubeconfig ------------------------------------------------------------------------------

static json_t *trim_secret(const json_t *secret)
{
    json_t *kept = json_object();

    cluster_trim_keep(kept, secret, "metadata", "name");
    cluster_trim_keep(kept, secret, "metadata", "namespace");
    cluster_trim_keep(kept, secret, "metadata", "resourceVersion");
    if (json_is_object(json_object_get(secret, "data")))
        json_object_set_new(kept, "data", doc_copy(json_object_get(secret, "data")));
    return kept;
}

static bool held_may_write(void *owner)
{
    const struct held *held = owner;
    const struct cluster_targets_spec *spec = &held->all->spec;

    return spec->may_write(spec->owner, &held->cluster);
}

static struct error *open_client(struct target *target, struct slice kubeconfig)
{
    const struct cluster_targets_spec *spec = &target->all->spec;
    struct kube_config *config = NULL;
    struct error *err = cluster_parse_kubeconfig(kubeconfig, &config);
    struct held *held;

    if (err)
        return err;
    held = NEW(struct held);
    held->all = target->all;
    held->target = target;
    held->http = http_new(spec->loop, "drawbridge");
    http_pace(held->http, CLUSTER_BURST_MS, CLUSTER_PERCENT);
    held->cluster.kube = kube_new(spec->loop, held->http, config);
    held->cluster.held = true;
    held->cluster.bare = target->way.bare;
    held->cluster.by = held->what = str_dup(target->what);
    kube_limit_objects(held->cluster.kube, CLUSTER_ITEM_BYTES_MAX);
    if (spec->may_write)
        kube_guard(held->cluster.kube, held_may_write, held);
    target->held = held;
    line_up(target->all);
    return NULL;
}

// The same kubeconfig with another resourceVersion is none that changed.
static void take_secret(struct target *target, const json_t *secret)
{
    AUTO_MEM char *text = kube_secret_text(secret, target->way.key);
    char digest[DOC_DIGEST_BYTES] = "";
    struct error *err = NULL;

    if (text)
        doc_digest(slice_of(text), digest);
    if (target->held && text && str_eq(digest, target->digest))
        return;
    retire(target);
    if (!secret)
        err = error_new(ERROR_NOT_FOUND, "the Secret is not there");
    else if (!text)
        err = error_new(ERROR_NOT_FOUND, "there is no such key with a text");
    else
        err = open_client(target, slice_of(text));
    error_free(target->error);
    target->error = error_wrap(err, "%s: %s", target->way.field, target->what);
    memcpy(target->digest, digest, sizeof(digest));
    wake(target, 0);
}

static void on_secret(void *owner, const char *key, const json_t *was, const json_t *now)
{
    (void)key;
    (void)was;
    take_secret(owner, now);
}

static void on_secret_synced(void *owner)
{
    struct target *target = owner;

    if (watch_count(target->secret) == 0)
        take_secret(target, NULL);
}

// --- who names it --------------------------------------------------------------------------------

static void target_free(struct target *target)
{
    if (target->has_place)
        target->all->places--;
    watch_free(target->secret);
    retire(target);
    error_free(target->error);
    json_decref(target->keys);
    cluster_way_fini(&target->way);
    mem_free(target->selector);
    mem_free(target->what);
    mem_free(target->name_seen);
    json_decref(target->seen);
    mem_free(target);
}

static void follow_secret(struct target *target)
{
    struct watch_spec spec = {.kube = target->all->spec.home,
                              .ref = {.group = "",
                                      .version = "v1",
                                      .resource = "secrets",
                                      .namespace = target->way.namespace},
                              .field_selector = target->selector,
                              .objects_max = 1,
                              .trim = trim_secret,
                              .on_change = on_secret,
                              .on_sync = on_secret_synced,
                              .owner = target};

    target->began_ms = clock_ms();
    target->secret = watch_new(target->all->spec.loop, &spec);
}

// What is there of one goes on before another is begun.
static bool begin_next(struct cluster_targets *all)
{
    struct target *oldest = NULL;

    for (struct target *target = all->first; target; target = target->next) {
        if (target->held && !target->held->identity) {
            start(target->held);
            return true;
        }
        oldest = target->has_place && !target->secret ? target : oldest;
    }
    if (oldest)
        follow_secret(oldest);
    return oldest != NULL;
}

static void on_line(void *owner)
{
    struct cluster_targets *all = owner;

    all->line = NULL;
    if (begin_next(all))
        all->line = loop_sleep(all->spec.loop, LINE_MS, on_line, all);
}

static void take_place(struct target *target)
{
    struct cluster_targets *all = target->all;

    error_free(TAKE(target->error));
    if (all->places >= cluster_targets_max) {
        target->error = error_new(ERROR_LIMIT,
                                  "%s: %s: %u other Secrets with "
                                  "kubeconfigs are followed, and no more can be",
                                  target->way.field, target->what, all->places);
        return;
    }
    target->has_place = true;
    all->places++;
    line_up(all);
}

void cluster_way_fini(struct cluster_way *way)
{
    mem_free(way->namespace);
    mem_free(way->name);
    mem_free(way->key);
    *way = (struct cluster_way){0};
}

static struct target *target_new(struct cluster_targets *all, const struct cluster_way *way)
{
    struct target *target = NEW(struct target);

    target->all = all;
    target->way = *way;
    target->way.namespace = str_dup(way->namespace);
    target->way.name = str_dup(way->name);
    target->way.key = str_dup(way->key);
    target->selector = str_format("metadata.name=%s", way->name);
    target->what = str_format("Secret %s/%s, key %s", way->namespace, way->name, way->key);
    target->keys = json_object();
    target->seen = json_object();
    take_place(target);
    target->next = all->first;
    all->first = target;
    ask_home(all);
    return target;
}

static struct target *find(const struct cluster_targets *all, const char *key)
{
    struct target *target = all->first;

    while (target && !json_object_get(target->keys, key))
        target = target->next;
    return target;
}

static bool is_of(const struct target *target, const struct cluster_way *way)
{
    return str_eq(target->way.namespace, way->namespace) && str_eq(target->way.name, way->name) &&
           str_eq(target->way.key, way->key) && target->way.bare == way->bare &&
           str_eq(target->way.field, way->field);
}

// There is room again for who waited longest.
static void give_place(struct cluster_targets *all)
{
    struct target *oldest = NULL;

    for (struct target *target = all->first; target; target = target->next)
        oldest = target->has_place ? oldest : target;
    if (!oldest || all->places >= cluster_targets_max)
        return;
    take_place(oldest);
    wake(oldest, 0);
}

static void leave(struct cluster_targets *all, const char *key)
{
    struct target **at = &all->first;

    while (*at) {
        struct target *target = *at;

        json_object_del(target->keys, key);
        if (json_object_size(target->keys) > 0) {
            at = &target->next;
            continue;
        }
        *at = target->next;
        target_free(target);
        give_place(all);
    }
}

void cluster_targets_note(struct cluster_targets *all, const char *key,
                          const struct cluster_way *way)
{
    struct target *target = find(all, key);

    if (target && way && is_of(target, way))
        return;
    leave(all, key);
    if (!way)
        return;
    target = all->first;
    while (target && !is_of(target, way))
        target = target->next;
    if (!target)
        target = target_new(all, way);
    json_object_set_new(target->keys, key, json_true());
}

static void add_name(const struct cluster_targets *all, const char *seen, struct strlist *names)
{
    AUTO_MEM char *name = str_eq(seen, identity_name(all->home)) ? str_dup(CLUSTER_HOME)
                                                                 : str_format("cluster %s", seen);

    if (*seen && !strlist_has(names, name))
        strlist_take(names, TAKE(name));
}

void cluster_targets_names(const struct cluster_targets *all, const char *key, const char *uid,
                           struct strlist *names)
{
    const struct target *target = find(all, key);

    if (!target)
        return;
    add_name(all, target->name_seen ? target->name_seen : "", names);
    add_name(all, doc_str(target->seen, uid, NULL), names);
}

// Nothing is done to a cluster before it is known who else writes it.
static struct error *check_known(const struct identity *identity, const char *whose)
{
    const struct error *err = identity_error(identity);

    if (*identity_uid(identity))
        return NULL;
    return error_new(err ? error_kind(err) : ERROR_TRANSIENT, "%s: %s", whose,
                     err ? error_text(err) : "it has not said yet which cluster it is");
}

struct error *cluster_check_known(const struct cluster *cluster)
{
    const struct held *held = (const struct held *)cluster;
    AUTO_MEM char *whose = NULL;
    struct error *err;

    if (!cluster->held)
        return NULL;
    whose = str_format("the cluster of %s", held->what);
    err = check_known(held->identity, whose);
    return err ? err : check_known(held->all->home, "the cluster that Drawbridge runs in");
}

static bool has_failed(const struct cluster *cluster)
{
    return watch_error(cluster->nodes) || watch_error(cluster->pods) ||
           watch_error(cluster->node_configs);
}

bool cluster_targets_begin(const struct cluster_targets *all, const char *key)
{
    const struct target *target = find(all, key);
    const struct held *held = target ? target->held : NULL;

    if (!target || target->error)
        return false;
    if (held ? !held->identity : !target->secret)
        return true; // it waits in line
    if (!held)
        return !watch_error(target->secret) && clock_ms() - target->began_ms < CLUSTER_ASK_MS;
    if (held->cluster.bare)
        return false; // whether it answers, who asks it is told
    if (has_failed(&held->cluster) || identity_error(held->identity) || identity_error(all->home))
        return false;
    return clock_ms() - held->began_ms < CLUSTER_ASK_MS &&
           (!cluster_synced(&held->cluster, NULL) || !*identity_uid(held->identity) ||
            !*identity_uid(all->home));
}

static struct error *why_none(const struct target *target)
{
    const struct error *err = target->error ? target->error : watch_error(target->secret);

    if (target->error)
        return error_new(error_kind(err), "%s", error_text(err));
    return error_new(err ? error_kind(err) : ERROR_TRANSIENT, "%s: %s: %s", target->way.field,
                     target->what, err ? error_text(err) : "not read yet");
}

struct error *cluster_targets_open(struct cluster_targets *all, const char *key,
                                   struct cluster **ret_cluster)
{
    const struct target *target = find(all, key);

    if (!target)
        return error_new(ERROR_INTERNAL, "%s names no other cluster", key);
    if (!target->held)
        return why_none(target);
    *ret_cluster = cluster_ref(&target->held->cluster);
    return NULL;
}

struct error *cluster_targets_get(struct cluster_targets *all, const char *key,
                                  struct cluster **ret_cluster)
{
    AUTO_BUF struct buf why = buf_make(4096);
    struct cluster *cluster = NULL;
    struct error *err = cluster_targets_open(all, key, &cluster);

    if (!err && !cluster_synced(cluster, &why))
        err = error_new(ERROR_TRANSIENT, "the cluster of %s: %s", cluster->by, why.ptr);
    if (!err)
        err = cluster_check_known(cluster);
    if (err)
        cluster_unref(cluster);
    else
        *ret_cluster = cluster;
    return err;
}

struct cluster_targets *cluster_targets_new(const struct cluster_targets_spec *spec)
{
    struct cluster_targets *all = NEW(struct cluster_targets);

    all->spec = *spec;
    if (spec->on_home)
        ask_home(all);
    return all;
}

void cluster_targets_free(struct cluster_targets *all)
{
    if (!all)
        return;
    while (all->first) {
        struct target *target = all->first;

        all->first = target->next;
        target_free(target);
    }
    identity_free(all->home);
    op_drop(all->line);
    op_drop(all->sweep);
    sweep(all);
    ASSERT(!all->retired);
    mem_free(all);
}

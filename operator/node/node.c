// SPDX-License-Identifier: Apache-2.0
// The door: what is desired comes in, the status goes out, and changes in the watched directories
// wake us. Nothing runs when all is settled.
#include "node_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct node_timing node_timing = {
    .tick_ms = 300,
    .debounce_ms = 300,
    .rewatch_ms = 20000,
    .metrics_ms = 2000,
    .patience_ms = 10000,
    .grace_ms = 5000,
    .kubelet_hold_ms = 10000,
    .follow_ms = 150000,
    .retry_ms = 1000,
    .retry_ms_max = 30000,
    .write_retry_ms = 30000,
    .probe_ms = 5000,
    .metrics_probe_ms = 30000,
    .timeout_ms_min = 10000,
    .edits_window_ms = 600000,
};

#define TIMEOUT_MS_MAX 3600000
#define TIMEOUT_MS_DEFAULT 300000

const json_t *node_desired(const struct node *node)
{
    return json_object_get(node->journal, "desired");
}

const json_t *node_desired_component(const struct node *node, enum component component)
{
    size_t i;
    json_t *wanted;
    json_array_foreach(doc_get(node_desired(node), "components", NULL), i, wanted) {
        if (str_eq(doc_str(wanted, "name", NULL), component_name(component)))
            return wanted;
    }
    return NULL;
}

uint64_t node_component_timeout_ms(const struct node *node)
{
    int64_t seconds =
        doc_int(node_desired(node), TIMEOUT_MS_DEFAULT / 1000, "componentTimeoutSeconds", NULL);
    uint64_t ms = seconds > 0 && seconds <= TIMEOUT_MS_MAX / 1000 ? (uint64_t)seconds * 1000
                                                                  : TIMEOUT_MS_DEFAULT;
    return ms < node_timing.timeout_ms_min ? node_timing.timeout_ms_min : ms;
}

// --- turns ---------------------------------------------------------------------------------------

static void on_notify(void *owner)
{
    struct node *node = owner;
    node->notify = NULL;
    if (node->spec.on_change)
        node->spec.on_change(node->spec.owner);
}

void node_publish(struct node *node)
{
    json_t *now = node_status_build(node);
    // That all was looked at is news too, even where it changed nothing: the owner waits for it.
    bool looked = !node->looked && node_has_looked(node);
    node->looked = node->looked || looked;
    if (!looked && doc_equal(now, node->status)) {
        json_decref(now);
        return;
    }
    json_decref(node->status);
    node->status = now;
    if (!node->notify)
        node->notify = loop_defer(node->loop, on_notify, node);
}

static void on_advance(void *owner)
{
    struct node *node = owner;
    node->advance = NULL;
    node_advance(node);
}

void node_wake(struct node *node)
{
    if (!node->advance)
        node->advance = loop_defer(node->loop, on_advance, node);
}

// --- looking -------------------------------------------------------------------------------------

static void on_debounced(void *owner)
{
    struct node *node = owner;
    node->debounce = NULL;
    node_observe_files(node);
    node_publish(node);
    node_wake(node);
}

static void on_directory(void *owner)
{
    struct node *node = owner;
    if (!node->debounce)
        node->debounce = loop_sleep(node->loop, node_timing.debounce_ms, on_debounced, node);
}

static struct error *watch(struct node *node, const char *dir, struct op **op)
{
    if (*op)
        return NULL;
    struct error *err = loop_watch_dir(node->loop, dir, on_directory, node, op);
    if (!err || error_kind(err) != ERROR_NOT_FOUND)
        return err;
    error_ignore(err, "a node without that directory has nothing to watch there");
    return NULL;
}

static struct error *watch_all(struct node *node)
{
    struct error *err =
        watch(node, node_site(node)->dir(&node->spec.paths), &node->watch_manifests);
    if (err || !node->kubelet_config)
        return err;
    AUTO_MEM char *dir = guard_dir_of(node->kubelet_config);
    err = watch(node, dir, &node->watch_kubelet);
    return !err && node->drop_in_dir ? watch(node, node->drop_in_dir, &node->watch_drop_ins) : err;
}

// Nodes run out of inotify instances (fs.inotify.max_user_instances); then we look now and then, as
// the kubelet does.
static void follow(struct node *node);

static void on_rewatch(void *owner)
{
    struct node *node = owner;
    node->rewatch = NULL;
    follow(node);
    on_debounced(node);
}

static void follow(struct node *node)
{
    struct error *err = watch_all(node);
    if (!err)
        return;
    error_ignore(err, "the directories are looked at each 20 s instead");
    if (!node->rewatch)
        node->rewatch = loop_sleep(node->loop, node_timing.rewatch_ms, on_rewatch, node);
}

void node_rewatch(struct node *node)
{
    node->watch_kubelet = op_drop(node->watch_kubelet);
    node->watch_drop_ins = op_drop(node->watch_drop_ins);
    follow(node);
}

void node_refresh(struct node *node)
{
    follow(node);
    node_observe_files(node);
    for (size_t c = 0; c < COMPONENT_COUNT; c++)
        node_unit_probe(&node->units[c]);
    node_publish(node);
    node_wake(node);
}

bool node_is_idle(const struct node *node)
{
    bool idle = !node->step && !node->advance && !node->debounce && !node->notify && !node->hold;
    for (size_t c = 0; c < COMPONENT_COUNT; c++)
        idle = idle && !node->units[c].probe && !node->units[c].retry;
    return idle;
}

// One try that fails says little: the component may be busy. After the third it counts as an
// answer.
bool node_has_looked(const struct node *node)
{
    if (node->step)
        return true; // what it does is worth telling
    for (size_t c = 0; c < COMPONENT_COUNT; c++) {
        const struct node_unit *unit = &node->units[c];
        bool told = unit->probed && unit->healthy && (unit->metrics_read || unit->metrics_denied);
        if (unit->present && !unit->problem && !told && unit->retry_ms < 4 * node_timing.retry_ms)
            return false;
    }
    return true;
}

const json_t *node_status(const struct node *node)
{
    return node->status;
}

// --- what is desired -----------------------------------------------------------------------------

static bool is_true_or_false(const json_t *value)
{
    return str_eq(json_string_value(value), "true") || str_eq(json_string_value(value), "false");
}

// Whoever may write our object is not therefore root on this node: nothing but names and truth
// values goes into a file.
static struct error *check_map(const json_t *map, const char *name, const char *what, bool gates)
{
    const char *key;
    json_t *value;
    if (map && !json_is_object(map))
        return error_new(ERROR_INVALID, "%s: %s is not a map", name, what);
    if (json_object_size(map) > GATES_ENTRIES_MAX)
        return error_new(ERROR_LIMIT, "%s: %s has more than %d entries", name, what,
                         GATES_ENTRIES_MAX);
    json_object_foreach(node_iterable(map), key, value) {
        if (gates ? !gates_name_valid(key) : !gates_api_name_valid(key)) {
            AUTO_MEM char *plain = node_plain(slice_sub(slice_of(key), 0, 100));
            return error_new(ERROR_INVALID, "%s: %s: \"%s\" is no name of %s", name, what, plain,
                             gates ? "a feature gate" : "an API version");
        }
        if (gates ? !json_is_boolean(value) : !is_true_or_false(value))
            return error_new(ERROR_INVALID, "%s: %s.%s is neither true nor false", name, what, key);
    }
    return NULL;
}

static struct error *check_desired(const json_t *spec)
{
    size_t i;
    json_t *wanted;
    unsigned seen = 0;
    if (!json_is_integer(json_object_get(spec, "epoch")))
        return error_new(ERROR_INVALID, "spec.epoch is not a number");
    json_array_foreach(json_object_get(spec, "components"), i, wanted) {
        enum component component;
        const char *name = doc_str(wanted, "name", NULL);
        if (!component_parse(name, &component) || seen & 1U << component)
            return error_new(ERROR_INVALID, "spec.components[%zu]: unknown or repeated name \"%s\"",
                             i, name);
        seen |= 1U << component;
        if (!doc_str(wanted, "revision", NULL)[0])
            return error_new(ERROR_INVALID, "spec.components[%zu]: no revision", i);
        struct error *err =
            check_map(json_object_get(wanted, "featureGates"), name, "featureGates", true);
        if (!err)
            err = check_map(json_object_get(wanted, "expect"), name, "expect", true);
        if (!err)
            err = check_map(json_object_get(wanted, "runtimeConfig"), name, "runtimeConfig", false);
        if (!err)
            err = node_check_without(wanted, name);
        if (err)
            return err;
    }
    return NULL;
}

// A step for something that nobody wants any more is not waited for; the way back is always gone to
// its end.
static void drop_superseded_step(struct node *node)
{
    const struct node_step *step = node->step;
    if (!step || step->kind == NODE_STEP_ROLLBACK)
        return;
    const json_t *want = node_desired_component(node, step->unit->component);
    if (want && str_eq(doc_str(want, "revision", NULL), step->revision))
        return;
    struct node_unit *unit = step->unit;
    node_step_drop(node);
    node_unit_probe(unit);
}

struct error *node_set_desired(struct node *node, const json_t *spec)
{
    struct error *err = check_desired(spec);
    if (err)
        return err;
    int64_t epoch = doc_int(spec, 0, "epoch", NULL),
            seen = doc_int(node->journal, INT64_MIN, "epoch", NULL);
    if (epoch < seen) {
        err = error_new(ERROR_CONFLICT, "epoch %lld is older than %lld, which was seen here",
                        (long long)epoch, (long long)seen);
        error_set_reason(err, "StaleEpoch");
        return err;
    }
    if (doc_equal(spec, node_desired(node)))
        return NULL;
    json_object_set_new(node->journal, "epoch", json_integer((json_int_t)epoch));
    json_object_set_new(node->journal, "desired", doc_copy(spec));
    if ((err = node_journal_save(node))) {
        // No file is touched before the journal could be saved: what is to be edited then says why
        // it is not, and is tried again.
        log_line(LOG_WARN, "node", "the new desired state is not on the disk: %s", error_text(err));
        error_free(err);
    }
    for (size_t c = 0; c < COMPONENT_COUNT; c++)
        node->units[c].edits = 0;
    drop_superseded_step(node);
    node_publish(node);
    node_wake(node);
    return NULL;
}

// --- life ----------------------------------------------------------------------------------------

// Two agents on one node would each take the other's edit for somebody else's.
static struct error *take_state_dir(struct node *node)
{
    const char *dir = node->spec.paths.state_dir;
    struct error *err = node_dir_make(dir);
    if (err)
        return err;
    node->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (node->lock_fd < 0)
        return error_errno(errno, "open %s", dir);
    // A volume of the node's may have been made for everybody to read. Where it is read-only it
    // stays as it is.
    (void)fchmod(node->lock_fd, 0700);
    // The directory itself: a lock file could not be made where nothing can be written.
    if (flock(node->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return NULL;
    return errno == EWOULDBLOCK
               ? error_new(ERROR_CONFLICT,
                           "%s is in use by another agent on this node: end that one first", dir)
               : error_errno(errno, "lock %s", dir);
}

static struct error *prepare(struct node *node)
{
    const struct node_paths *paths = &node->spec.paths;
    struct error *err = take_state_dir(node);
    if (!err)
        err = node_dir_make(node->backups_dir);
    if (!err)
        err = node_journal_load(node);
    if (err)
        return err;
    node_dir_sweep(node_site(node)->dir(paths));
    node_dir_sweep(paths->state_dir);
    node_dir_sweep(node->backups_dir);
    AUTO_JSON json_t *argv = NULL;
    if (node_site(node)->kubelet)
        (void)node_kubelet_find(node, &argv);
    follow(node);
    return NULL;
}

struct error *node_new(struct loop *loop, const struct node_spec *spec, struct node **ret_node)
{
    AUTO(node) struct node *node = NEW(struct node);
    node->loop = loop;
    node->lock_fd = -1;
    node->spec = *spec;
    node->journal_path = str_format("%s/journal.json", spec->paths.state_dir);
    node->backups_dir = str_format("%s/backups", spec->paths.state_dir);
    for (unsigned c = 0; c < COMPONENT_COUNT; c++)
        node->units[c] = (struct node_unit){.node = node, .component = (enum component)c};
    struct error *err = prepare(node);
    if (err)
        return error_wrap(err, "node");
    node_nets_sweep(node);
    node_backup_sweep(node);
    node_observe_files(node);
    node->status = node_status_build(node);
    node_wake(node);
    *ret_node = TAKE(node);
    return NULL;
}

void node_free(struct node *node)
{
    if (!node)
        return;
    node_step_drop(node);
    for (size_t c = 0; c < COMPONENT_COUNT; c++)
        node_unit_fini(&node->units[c]);
    node_kwok_fini(node);
    node->watch_manifests = op_drop(node->watch_manifests);
    node->watch_kubelet = op_drop(node->watch_kubelet);
    node->watch_drop_ins = op_drop(node->watch_drop_ins);
    node->debounce = op_drop(node->debounce);
    node->advance = op_drop(node->advance);
    node->notify = op_drop(node->notify);
    node->hold = op_drop(node->hold);
    node->again = op_drop(node->again);
    node->rewatch = op_drop(node->rewatch);
    node->disarm = op_drop(node->disarm);
    if (node->lock_fd >= 0)
        close(node->lock_fd);
    json_decref(node->journal);
    json_decref(node->status);
    mem_free(node->journal_path);
    mem_free(node->backups_dir);
    mem_free(node->kubelet_config);
    mem_free(node->drop_in_dir);
    mem_free(node);
}

// SPDX-License-Identifier: Apache-2.0
// What is on this node: which file is which component, what it says, and what the running component
// answers.
#include "node_internal.h"

#include <string.h>

// One file of the manifests directory.
struct sighting {
    struct node_file file;
    json_t *tree; // NULL: it is no YAML
    char *problem;
};

struct sightings {
    struct sighting *items;
    size_t len;
};

static void sightings_fini(struct sightings *sightings)
{
    for (size_t i = 0; i < sightings->len; i++) {
        node_file_fini(&sightings->items[i].file);
        json_decref(sightings->items[i].tree);
        mem_free(sightings->items[i].problem);
    }
    mem_free(sightings->items);
}

// Names of files are anybody's bytes.
static json_t *plain_json(const char *text)
{
    AUTO_MEM char *plain = node_plain(slice_of(text));
    return doc_string(plain);
}

char *node_take_text(struct error *take_err)
{
    AUTO(error) struct error *err = take_err;
    return node_plain(slice_of(error_text(err)));
}

static void look_at(const char *dir, const char *name, struct sighting *sighting)
{
    AUTO_MEM char *path = str_format("%s/%s", dir, name);
    struct error *err = node_file_read(path, &sighting->file);
    if (!err)
        err = doc_parse_yaml(node_file_slice(&sighting->file), path, &sighting->tree);
    if (!sighting->file.path)
        sighting->file.path = TAKE(path);
    if (err)
        sighting->problem = node_take_text(err);
}

static void look_around(const char *dir, struct sightings *sightings)
{
    AUTO_STRLIST struct strlist names = {0};
    struct error *err = node_dir_list(dir, false, &names);
    if (err) {
        error_ignore(err, "a node without static pods has no such directory");
        return;
    }
    sightings->items = mem_alloc(names.len * sizeof(struct sighting));
    for (; sightings->len < names.len; sightings->len++)
        look_at(dir, names.items[sightings->len], &sightings->items[sightings->len]);
}

// Kubeadm's name for the file.
static bool is_named(const struct sighting *sighting, enum component component)
{
    AUTO_MEM char *yaml = str_format("%s.yaml", component_name(component));
    AUTO_MEM char *json = str_format("%s.json", component_name(component));
    const char *name = node_base_name(sighting->file.path);
    return str_eq(name, yaml) || str_eq(name, json);
}

// A process that runs with just this file's words came from it.
static bool is_running(const struct sighting *sighting, enum component component)
{
    struct site_place place = {&site_pod, component, sighting->file.path, .at = NULL};
    struct site_container container;
    struct error *err = site_find(&place, sighting->tree, &container);
    if (err) {
        error_ignore(err, "other evidence must do");
        return false;
    }
    AUTO_JSON json_t *argv = site_container_argv(&container, component);
    return node_proc_runs(argv, node_manifest_uid(sighting->tree, container.index));
}

// The name, and that we have written it, say more than a process: all that lie there are run, and
// the one that was just edited is not yet. Each is more than all the smaller ones together.
enum { WEIGHT_RUNNING = 4, WEIGHT_OURS = 8, WEIGHT_NAMED = 16, WEIGHT_UNREADABLE = 64 };

// How much speaks for a file being the component; 0: nothing. One that cannot be read speaks
// through its name alone, and nobody can say that it is not the one. ours: the path of the file
// that has what we wrote.
static unsigned weigh(const struct sighting *sighting, enum component component, const char *ours)
{
    bool named = is_named(sighting, component);
    if (!sighting->tree)
        return named ? WEIGHT_UNREADABLE : 0;
    unsigned weight = node_manifest_weight(sighting->tree, component, named);
    if (weight == 0)
        return 0;
    return weight + (named ? WEIGHT_NAMED : 0) +
           (str_eq(sighting->file.path, ours) ? WEIGHT_OURS : 0);
}

// --- units ---------------------------------------------------------------------------------------

static void clear_files(struct node_unit *unit)
{
    for (int i = 0; i < NODE_FILE_COUNT; i++)
        node_file_fini(&unit->files[i]);
    json_decref(TAKE(unit->tree));
    json_decref(TAKE(unit->others));
    json_decref(TAKE(unit->argv));
    json_decref(TAKE(unit->gates));
    json_decref(TAKE(unit->runtime));
    json_decref(TAKE(unit->places));
    json_decref(TAKE(unit->live));
    json_decref(TAKE(unit->live_server));
    json_decref(TAKE(unit->server));
    node_drop_ins_fini(&unit->drop_ins);
    mem_free(TAKE(unit->image));
    mem_free(TAKE(unit->container));
    mem_free(TAKE(unit->problem));
    unit->emulated = (struct version){0};
}

static void stop_asking(struct node_unit *unit)
{
    unit->probe = op_drop(unit->probe);
    unit->retry = op_drop(unit->retry);
    unit->retry_ms = 0;
}

void node_unit_fini(struct node_unit *unit)
{
    stop_asking(unit);
    clear_files(unit);
    json_decref(TAKE(unit->running));
    mem_free(TAKE(unit->answer));
    mem_free(TAKE(unit->message));
    mem_free(TAKE(unit->revision));
    unit->write_retry = op_drop(unit->write_retry);
    mem_free(TAKE(unit->unwritable));
}

static struct error *take_flags(struct node_unit *unit, const json_t *file_gates)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err = gates_flags_read(unit->component, unit->argv, &flags);
    if (err)
        return error_wrap(err, "%s", component_name(unit->component));
    unit->gates = file_gates ? doc_copy(file_gates) : json_object();
    json_object_update(unit->gates, flags.feature_gates); // the command line outranks the file
    unit->runtime = json_incref(flags.runtime_config);
    unit->emulated = flags.emulated;
    node_unit_locate(unit);
    return NULL;
}

static struct error *read_manifest(struct node_unit *unit)
{
    struct site_place place = node_place(unit, NODE_FILE_MAIN);
    struct site_container container;
    struct error *err = site_find(&place, unit->tree, &container);
    if (err)
        return err;
    unit->argv = site_container_argv(&container, unit->component);
    unit->image = str_dup(doc_str(container.spec, "image", NULL));
    unit->container = str_dup(doc_str(container.spec, "name", NULL));
    unit->container_index = container.index;
    return take_flags(unit, NULL);
}

// From the weakest voice to the strongest: the file, the drop-ins, the command line.
static struct error *read_kubelet(struct node_unit *unit)
{
    const struct node_file *config = &unit->files[NODE_FILE_MAIN],
                           *env = &unit->files[NODE_FILE_ENV],
                           *ours = &unit->files[NODE_FILE_DROP_IN];
    AUTO_JSON json_t *gates = NULL;
    AUTO_JSON json_t *dropped = NULL;
    AUTO_JSON json_t *server = json_object();
    struct error *err =
        node_kubelet_config_read(node_file_slice(config), config->path, &gates, server);
    if (!err && ours->len > 0)
        err = node_kubelet_config_read(node_file_slice(ours), ours->path, &dropped, NULL);
    if (!err)
        err = site_env_argv(node_file_slice(env), env->path ? env->path : "", &unit->argv);
    if (err)
        return err;
    const json_t *const voices[] = {unit->drop_ins.before, dropped, unit->drop_ins.after,
                                    unit->live};
    for (size_t i = 0; i < COUNT(voices); i++) {
        if (voices[i])
            json_object_update(gates, node_iterable(voices[i]));
    }
    AUTO_JSON json_t *flags = node_kubelet_server_flags(unit->argv);
    node_kubelet_server_update(server, unit->drop_ins.server);
    node_kubelet_server_update(server, flags);
    node_kubelet_server_update(server, unit->live_server);
    unit->server = TAKE(server);
    return take_flags(unit, gates);
}

// Another file, or other bytes: it is looked at until the component runs with them.
static void follow(struct node_unit *unit)
{
    bool ours = unit->node->step && unit->node->step->unit == unit;
    if (!unit->probed || ours)
        return;
    unit->follow_until_ms = clock_ms() + node_timing.follow_ms;
    unit->changed_wall_ms = clock_wall_ms();
}

static bool same_file(const struct node_file *a, const struct node_file *b)
{
    return str_eq(a->path, b->path) && !a->text == !b->text && str_eq(a->digest, b->digest);
}

static bool is_news(const struct node_unit *unit, const struct node_found *found)
{
    bool same = unit->present && str_eq(unit->problem, found->problem) &&
                doc_equal(unit->drop_ins.before, found->drop_ins.before) &&
                doc_equal(unit->drop_ins.after, found->drop_ins.after) &&
                doc_equal(unit->drop_ins.server, found->drop_ins.server) &&
                doc_equal(unit->live, found->live) &&
                doc_equal(unit->live_server, found->live_server) &&
                doc_equal(unit->others, found->others);
    for (int i = 0; i < NODE_FILE_COUNT; i++)
        same = same && same_file(&unit->files[i], &found->files[i]);
    return !same;
}

static void found_fini(struct node_found *found)
{
    for (int i = 0; i < NODE_FILE_COUNT; i++)
        node_file_fini(&found->files[i]);
    node_drop_ins_fini(&found->drop_ins);
    json_decref(found->live);
    json_decref(found->live_server);
}

// A drop-in that says the same in another line is no news.
static void take_places(struct node_unit *unit, struct node_found *found)
{
    if (unit->problem || doc_equal(unit->drop_ins.places, found->drop_ins.places))
        return;
    json_decref(unit->drop_ins.places);
    unit->drop_ins.places = TAKE(found->drop_ins.places);
    node_unit_locate(unit);
}

void node_unit_adopt(struct node_unit *unit, struct node_found *found)
{
    if (!is_news(unit, found)) {
        take_places(unit, found);
        found_fini(found);
        return;
    }
    clear_files(unit);
    unit->present = true;
    unit->outdated = unit->probed;
    memcpy(unit->files, found->files, sizeof(unit->files));
    unit->drop_ins = found->drop_ins;
    unit->live = found->live;
    unit->live_server = found->live_server;
    unit->tree = found->tree ? doc_copy(found->tree) : NULL;
    unit->others = found->others ? doc_copy(found->others) : NULL;
    unit->problem = str_dup(found->problem);
    if (!found->problem) {
        struct error *err =
            unit->component == COMPONENT_KUBELET ? read_kubelet(unit) : read_manifest(unit);
        unit->problem = err ? node_take_text(err) : NULL;
    }
    follow(unit);
    if (unit->problem)
        stop_asking(unit);
    else
        node_unit_probe(unit);
}

void node_unit_vanish(struct node_unit *unit)
{
    if (!unit->present)
        return;
    node_unit_fini(unit);
    *unit = (struct node_unit){.node = unit->node, .component = unit->component};
}

// The files of the directory that look like one component.
struct claims {
    const struct sighting *best; // NULL: there is none
    const struct sighting *same; // that nothing tells from the best; NULL: there is none
    json_t *others;              // paths of those that are something else
};

static bool is_same_pod(const json_t *a, const json_t *b)
{
    const char *one = doc_str(a, "metadata", "namespace", NULL),
               *two = doc_str(b, "metadata", "namespace", NULL);
    return a && b && str_eq(*one ? one : "default", *two ? two : "default") &&
           str_eq(doc_str(a, "metadata", "name", NULL), doc_str(b, "metadata", "name", NULL));
}

static void weigh_all(const struct sightings *sightings, const struct node_unit *unit,
                      struct claims *claims)
{
    enum component component = unit->component;
    const char *ours = node_wish_of(unit->node, component).path;
    AUTO_MEM unsigned *weights = mem_alloc((sightings->len + 1) * sizeof(*weights));
    unsigned found = 0, best = 0;
    for (size_t i = 0; i < sightings->len; i++) {
        weights[i] = weigh(&sightings->items[i], component, ours);
        found += weights[i] > 0;
    }
    for (size_t i = 0; i < sightings->len; i++) {
        if (found > 1 && weights[i] > 0 && sightings->items[i].tree &&
            is_running(&sightings->items[i], component))
            weights[i] += WEIGHT_RUNNING;
        if (weights[i] > best)
            claims->best = &sightings->items[i];
        best = weights[i] > best ? weights[i] : best;
    }
    for (size_t i = 0; i < sightings->len; i++) {
        const struct sighting *other = &sightings->items[i];
        if (best == 0 || other == claims->best ||
            (weights[i] == 0 && !node_manifest_runs(other->tree, component)))
            continue;
        if (weights[i] == best || is_same_pod(claims->best->tree, other->tree))
            claims->same = claims->same ? claims->same : other;
        else if (json_array_size(claims->others) < NODE_OTHERS_MAX)
            json_array_append_new(claims->others, plain_json(other->file.path));
    }
}

// Two files for one pod: the kubelet runs one of them, and at its next start maybe the other.
static char *say_twice(const struct claims *claims, enum component component)
{
    const char *one = claims->best->file.path, *two = claims->same->file.path;
    if (is_same_pod(claims->best->tree, claims->same->tree))
        return str_format("%s and %s both are the pod %s of %s: the kubelet runs one of the two; "
                          "keep copies in another directory",
                          one, two, doc_str(claims->best->tree, "metadata", "name", NULL),
                          component_name(component));
    return str_format("%s and %s both are %s", one, two, component_name(component));
}

static void observe_pod(struct node_unit *unit, const struct sightings *sightings)
{
    AUTO_JSON json_t *others = json_array();
    struct claims claims = {.others = others};
    weigh_all(sightings, unit, &claims);
    const struct sighting *best = claims.best;
    if (!best) {
        node_unit_vanish(unit);
        return;
    }
    AUTO_MEM char *twice = claims.same ? say_twice(&claims, unit->component) : NULL;
    struct node_found news = {
        .files = {{
            .path = str_dup(best->file.path),
            .text = best->file.text ? str_ndup(best->file.text, best->file.len) : NULL,
            .len = best->file.len,
        }},
        .tree = best->tree,
        .others = others,
        .problem = twice ? twice : best->problem};
    doc_digest(node_file_slice(&news.files[0]), news.files[0].digest);
    node_unit_adopt(unit, &news);
}

// Gates on the command line that the flags file does not say: somebody else's, and where we do not
// write.
static json_t *live_gates(const json_t *argv, const struct node_file *env)
{
    AUTO_JSON json_t *words = NULL;
    AUTO_FLAGS struct gates_flags live = {0};
    AUTO_FLAGS struct gates_flags known = {0};
    struct error *err = argv ? gates_flags_read(COMPONENT_KUBELET, argv, &live) : NULL;
    if (!err && argv)
        err = site_env_argv(node_file_slice(env), env->path ? env->path : "", &words);
    if (!err && argv)
        err = gates_flags_read(COMPONENT_KUBELET, words, &known);
    if (err)
        error_ignore(err, "the kubelet runs with it; what it reports is read back");
    if (err || !argv)
        return NULL;
    json_t *gates = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(live.feature_gates, name, value) {
        if (!json_object_get(known.feature_gates, name))
            json_object_set(gates, name, value);
    }
    if (json_object_size(gates) > 0)
        return gates;
    json_decref(gates);
    return NULL;
}

static struct error *read_drop_in(const struct node *node, struct node_found *found)
{
    AUTO_MEM char *path = str_format("%s/" NODE_DROP_IN, node->drop_in_dir);
    struct error *err = node_file_read_or_empty(path, &found->files[NODE_FILE_DROP_IN]);
    return err ? err : node_drop_ins_read(node->drop_in_dir, &found->drop_ins);
}

static struct error *read_kubelet_files(const struct node *node, struct node_found *found)
{
    const char *flags = node->spec.paths.kubelet_flags;
    struct error *err = node_file_read(node->kubelet_config, &found->files[NODE_FILE_MAIN]);
    if (err)
        return err;
    err = flags ? node_file_read(flags, &found->files[NODE_FILE_ENV]) : NULL;
    if (err && error_kind(err) == ERROR_NOT_FOUND) {
        error_free(err);
        err = NULL;
    }
    return !err && node->drop_in_dir ? read_drop_in(node, found) : err;
}

static void observe_kubelet(struct node_unit *unit)
{
    struct node *node = unit->node;
    struct node_found found = {0};
    AUTO_JSON json_t *argv = NULL;
    AUTO_MEM char *problem = NULL;
    if (node_kubelet_find(node, &argv))
        node_rewatch(node);
    struct error *err = node->kubelet_config ? read_kubelet_files(node, &found)
                                             : error_new(ERROR_NOT_FOUND, "no kubelet");
    if (err && error_kind(err) == ERROR_NOT_FOUND && !found.files[NODE_FILE_MAIN].path) {
        error_free(err);
        node_unit_vanish(unit);
        return;
    }
    if (err)
        problem = node_take_text(err);
    if (!found.files[NODE_FILE_MAIN].path)
        found.files[NODE_FILE_MAIN].path = str_dup(node->kubelet_config);
    found.live_server = argv ? node_kubelet_server_flags(argv) : NULL;
    found.live = live_gates(argv, &found.files[NODE_FILE_ENV]);
    found.problem = problem;
    node_unit_adopt(unit, &found);
}

void node_observe_pods(struct node *node)
{
    struct sightings sightings = {0};
    look_around(node->spec.paths.manifests_dir, &sightings);
    for (unsigned c = 0; c < COMPONENT_KUBELET; c++)
        observe_pod(&node->units[c], &sightings);
    sightings_fini(&sightings);
    observe_kubelet(&node->units[COMPONENT_KUBELET]);
}

void node_observe_files(struct node *node)
{
    node_site(node)->observe(node);
}

// --- asking the component ------------------------------------------------------------------------

void node_unit_take_answer(struct node_unit *unit, const struct node_answer *answer)
{
    unit->probed = true;
    unit->outdated = false;
    unit->healthy = answer->healthy;
    unit->metrics_read = answer->metrics_read;
    unit->metrics_denied = answer->metrics_denied;
    mem_free(unit->answer);
    unit->answer = str_dup(answer->message);
    if (!answer->metrics_read)
        return;
    json_decref(unit->running);
    unit->running = doc_copy(answer->gates);
    unit->version = answer->version;
    unit->start_ms = answer->start_ms;
}

static void on_retry(void *owner)
{
    struct node_unit *unit = owner;
    unit->retry = NULL;
    node_unit_probe(unit);
}

// process_start_time_seconds is computed from the boot time, which has whole seconds only.
static bool follows(struct node_unit *unit)
{
    if (unit->follow_until_ms == 0)
        return false;
    bool settled =
        unit->healthy && unit->metrics_read && unit->start_ms + 1500 >= unit->changed_wall_ms;
    if (settled || clock_ms() >= unit->follow_until_ms)
        unit->follow_until_ms = 0;
    return unit->follow_until_ms != 0;
}

void node_unit_probe_later(struct node_unit *unit)
{
    if (!unit->probe && !unit->retry)
        unit->retry = loop_sleep(unit->node->loop, node_timing.retry_ms_max, on_retry, unit);
}

static void on_answer(void *owner, const struct node_answer *answer)
{
    struct node_unit *unit = owner;
    unit->probe = NULL;
    node_unit_take_answer(unit, answer);
    bool settled = answer->healthy && (answer->metrics_read || answer->metrics_denied);
    if (settled && !follows(unit)) {
        unit->retry_ms = 0;
    } else {
        uint64_t most =
            unit->follow_until_ms ? node_timing.retry_ms_max / 3 : node_timing.retry_ms_max;
        unit->retry_ms = unit->retry_ms == 0 ? node_timing.retry_ms : unit->retry_ms * 2;
        unit->retry_ms = unit->retry_ms > most ? most : unit->retry_ms;
        unit->retry = loop_sleep(unit->node->loop, unit->retry_ms, on_retry, unit);
    }
    node_publish(unit->node);
    node_wake(unit->node);
}

void node_unit_probe(struct node_unit *unit)
{
    unit->probe = op_drop(unit->probe);
    unit->retry = op_drop(unit->retry);
    // A step asks by itself, and more often.
    if (unit->node->step && unit->node->step->unit == unit)
        return;
    if (unit->present && !unit->problem)
        unit->probe = node_probe(unit, true, on_answer, unit);
}

// SPDX-License-Identifier: Apache-2.0
// ConfigSources: their watch, queue and memory, and the steps of their passes. A controller without
// a ConfigSource has an idle watch for all this, and never starts a worker.
#include "source_internal.h"

#define BACKOFF_MS 1000
#define BACKOFF_MS_MAX 60000
// Passes at once. Those that look at a repository are fewer: turns.c.
#define WORKERS 8
#define QUEUED_MS 15000 // who waits for a worker is woken; this is for the case that nobody does

static const struct walk_step steps[SOURCE_STEP_COUNT] = {
    [SOURCE_LOAD] = {"LOAD", source_load},
    [SOURCE_SECRETS] = {"SECRETS", source_secrets},
    [SOURCE_FETCH] = {"FETCH", source_fetch},
    [SOURCE_CHECK] = {"CHECK", source_check},
    [SOURCE_PREVIEW] = {"PREVIEW", source_preview},
    [SOURCE_APPLY] = {"APPLY", source_apply},
    [SOURCE_PRUNE] = {"PRUNE", source_prune},
    [SOURCE_REPORT] = {"REPORT", source_report},
    [SOURCE_END] = {"END", NULL},
};

bool source_is_over(const struct source_pass *pass)
{
    const json_t *now = watch_get(pass->sources->watch, pass->walk.key);

    return !now || doc_get(now, "metadata", "deletionTimestamp", NULL);
}

static unsigned step_after(const void *walk, bool failed)
{
    const struct source_pass *pass = walk;
    enum source_step step = (enum source_step)pass->walk.step;

    if (step != SOURCE_LOAD && source_is_over(pass))
        return SOURCE_END;
    if (failed)
        return step == SOURCE_REPORT || !pass->object ? SOURCE_END : SOURCE_REPORT;
    switch (step) {
    case SOURCE_LOAD:
        if (!pass->object || pass->spec.deleting)
            return SOURCE_END;
        return pass->spec.suspend || pass->announce ? SOURCE_REPORT : SOURCE_SECRETS;
    case SOURCE_CHECK: // without documents there is nothing to compare with, and nothing to prune
                       // by
        return pass->documents ? SOURCE_PREVIEW : SOURCE_REPORT;
    case SOURCE_REPORT:
        return SOURCE_END;
    case SOURCE_SECRETS:
    case SOURCE_FETCH:
    case SOURCE_PREVIEW:
    case SOURCE_APPLY:
    case SOURCE_PRUNE:
    case SOURCE_END:
    case SOURCE_STEP_COUNT:
        break;
    }
    return step + 1;
}

static void pass_free(void *walk)
{
    struct source_pass *pass = walk;

    source_items_free(pass->items, pass->len);
    error_free(pass->problem);
    api_conditions_free(pass->conditions);
    json_t *const trees[] = {pass->secret, pass->signers, pass->documents, pass->live,
                             pass->left,   pass->status,  pass->object};
    for (size_t i = 0; i < COUNT(trees); i++)
        json_decref(trees[i]);
    char *const texts[] = {pass->fingerprint, pass->held,   pass->held_reason,
                           pass->good,        pass->ref,    pass->head,
                           pass->commit,      pass->signer, pass->commit_ref};
    for (size_t i = 0; i < COUNT(texts); i++)
        mem_free(texts[i]);
    mem_free(pass);
}

static uint64_t next_look(const struct source_pass *pass)
{
    uint64_t now = clock_ms();

    if (!pass->source || pass->spec.suspend || pass->spec.deleting)
        return 0;
    if (pass->queued)
        return QUEUED_MS;
    return pass->source->look_ms > now ? pass->source->look_ms - now : 1;
}

static void forget(struct sources *sources, const char *key);

static uint64_t pass_end(void *walk)
{
    struct source_pass *pass = walk;
    uint64_t after_ms = next_look(pass);

    if (!pass->queued)
        source_turn_leave(pass->sources, pass->walk.key);
    if (!watch_get(pass->sources->watch, pass->walk.key))
        forget(pass->sources, pass->walk.key); // deleted while it was looked at
    // What failed comes again after its back-off, and not at the next look alone.
    return pass->walk.failed ? 0 : after_ms;
}

// A fetch, which may have ten minutes (spec.timeout), or a commit's objects one after the other.
#define STEP_MS_MAX 900000

static const struct walk_kind kind = {.controller = "configsource",
                                      .prefix = "ConfigSource ",
                                      .steps = steps,
                                      .step_ms_max = STEP_MS_MAX,
                                      .next = step_after,
                                      .end = pass_end,
                                      .drop = pass_free};

struct kube_ref source_ref(const struct source_pass *pass, const char *subresource)
{
    return (struct kube_ref){.group = API_GROUP,
                             .version = API_VERSION,
                             .resource = "configsources",
                             .namespace = pass->spec.namespace,
                             .name = pass->spec.name,
                             .subresource = subresource};
}

// --- memory --------------------------------------------------------------------------------------

static struct source *source_of(struct sources *sources, const char *key)
{
    struct source *source = sources->known;

    while (source && !str_eq(source->key, key))
        source = source->next;
    if (source)
        return source;
    source = NEW(struct source);
    source->key = str_dup(key);
    source->next = sources->known;
    sources->known = source;
    return source;
}

static void source_free(struct source *source)
{
    char *const texts[] = {source->key,       source->fingerprint, source->ref,
                           source->head,      source->head_reason, source->head_error,
                           source->commit,    source->signer,      source->documents,
                           source->shown,     source->away_reason, source->away_error,
                           source->commit_ref};

    for (size_t i = 0; i < COUNT(texts); i++)
        mem_free(texts[i]);
    mem_free(source);
}

static void hide(struct sources *sources, const struct source *source)
{
    struct slice rest = slice_of(source->key), part = {0};
    AUTO_MEM char *namespace = slice_cut(&rest, '/', &part) ? slice_dup(part) : str_dup("");
    AUTO_MEM char *name = slice_dup(rest);

    if (!sources->ready)
        return;
    metric_remove(sources->ready, namespace, name);
    metric_remove(sources->answered, namespace, name);
    metric_remove(sources->fetch_seconds, namespace, name);
    metric_remove_all(sources->fetch_total, 2, namespace, name);
    if (source->shown)
        metric_remove(sources->info, namespace, name, source->shown);
}

static void forget(struct sources *sources, const char *key)
{
    for (struct source **at = &sources->known; *at; at = &(*at)->next) {
        struct source *gone = *at;

        if (!str_eq(gone->key, key))
            continue;
        *at = gone->next;
        source_turn_leave(sources, key);
        hide(sources, gone);
        source_free(gone);
        return;
    }
}

static bool in_work(const struct sources *sources, const char *key)
{
    const struct walk *walk = sources->passes.first;

    while (walk && !str_eq(walk->key, key))
        walk = walk->next;
    return walk != NULL;
}

// --- keys ----------------------------------------------------------------------------------------

static void on_work(void *owner, const char *key)
{
    struct sources *sources = owner;
    struct source_pass *pass;

    if (!sources->spec.may_write(sources->spec.owner) || !watch_synced(sources->spec.configs)) {
        // everything is queued again when we lead and see
        queue_done(sources->queue, key, false, 0);
        return;
    }
    pass = NEW(struct source_pass);
    pass->sources = sources;
    pass->source = watch_get(sources->watch, key) ? source_of(sources, key) : NULL;
    walk_start(&pass->walk, &sources->passes, key);
}

static void wake_one(void *owner, const char *key, const json_t *object)
{
    struct sources *sources = owner;

    (void)object;
    queue_add(sources->queue, key);
}

void sources_wake(struct sources *sources)
{
    watch_each(sources->watch, wake_one, sources);
}

struct made_from {
    const struct sources *sources;
    const char *source;
};

static void look_at_one(void *owner, const char *key, const json_t *object)
{
    const struct made_from *made = owner;

    if (str_eq(doc_str(object, "metadata", "annotations", API_ANNOTATION_SOURCE, NULL),
               made->source))
        made->sources->spec.on_change(made->sources->spec.owner, key);
}

static bool same(const json_t *was, const json_t *now, const char *a, const char *b)
{
    return doc_equal(doc_get(was, a, b, NULL), doc_get(now, a, b, NULL));
}

static void on_source(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct sources *sources = owner;
    struct made_from made = {sources, key};

    // SourceReady of what came from it; our own status shows there when it is written.
    if (!now || !was)
        watch_each(sources->spec.configs, look_at_one, &made);
    if (!now && !in_work(sources, key))
        forget(sources, key);
    if (!was || !now || !same(was, now, "metadata", "generation") ||
        !same(was, now, "metadata", "annotations"))
        queue_add(sources->queue, key);
}

static const json_t *find_ready(const json_t *object)
{
    const json_t *conditions = doc_get(object, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++)
        if (str_eq(doc_str(json_array_get(conditions, i), "type", NULL), "Ready"))
            return json_array_get(conditions, i);
    return NULL;
}

uint64_t sources_facet(const json_t *config, uint64_t hash)
{
    static const char *const kept[] = {"labels", "annotations"};
    const json_t *ready = find_ready(config);

    for (size_t i = 0; i < COUNT(kept); i++) {
        const json_t *map = doc_get(config, "metadata", kept[i], NULL);
        AUTO_MEM char *text = map ? doc_print_json_sorted(map) : str_dup("");

        hash = slice_hash(slice_of(text), hash);
    }
    hash = slice_hash(slice_of(doc_str(config, "status", "failedRevision", NULL)), hash);
    hash = slice_hash(slice_of(doc_str(ready, "status", NULL)), hash);
    return hash ^ (uint64_t)doc_int(ready, 0, "observedGeneration", NULL);
}

void sources_note_config(struct sources *sources, const json_t *was, const json_t *now)
{
    const char *before = doc_str(was, "metadata", "annotations", API_ANNOTATION_SOURCE, NULL);
    const char *after = doc_str(now, "metadata", "annotations", API_ANNOTATION_SOURCE, NULL);
    const json_t *ready_before = find_ready(was), *ready_after = find_ready(now);

    if (!*before && !*after)
        return;
    // Put back what somebody changed, and notice what the roll-out of a commit came to; progress in
    // between is nothing to us.
    if (was && now && same(was, now, "metadata", "generation") &&
        same(was, now, "metadata", "annotations") && same(was, now, "metadata", "labels") &&
        same(was, now, "metadata", "deletionTimestamp") &&
        same(was, now, "status", "failedRevision") &&
        str_eq(doc_str(ready_before, "status", NULL), doc_str(ready_after, "status", NULL)) &&
        doc_equal(json_object_get(ready_before, "observedGeneration"),
                  json_object_get(ready_after, "observedGeneration")))
        return;
    if (*before && watch_get(sources->watch, before))
        queue_add(sources->queue, before);
    if (*after && watch_get(sources->watch, after))
        queue_add(sources->queue, after);
}

void sources_say(const struct sources *sources, const json_t *object,
                 struct api_conditions *conditions)
{
    const char *key = doc_str(object, "metadata", "annotations", API_ANNOTATION_SOURCE, NULL);
    const json_t *source, *ready;
    const char *state;

    if (!*key || !watch_synced(sources->watch))
        return;
    source = watch_get(sources->watch, key);
    ready = find_ready(source);
    state = doc_str(ready, "status", NULL);
    if (!source)
        api_conditions_set(conditions, CONDITION_SOURCE_READY, STATE_FALSE, "NotFound",
                           "ConfigSource %s is gone; take the annotation " API_ANNOTATION_SOURCE
                           " off if that is meant",
                           key);
    else if (!ready || !api_reason_find(doc_str(ready, "reason", NULL)))
        api_conditions_set(conditions, CONDITION_SOURCE_READY, STATE_UNKNOWN, "Progressing",
                           "ConfigSource %s has not reported yet", key);
    else
        api_conditions_set(conditions, CONDITION_SOURCE_READY,
                           str_eq(state, "True")    ? STATE_TRUE
                           : str_eq(state, "False") ? STATE_FALSE
                                                    : STATE_UNKNOWN,
                           doc_str(ready, "reason", NULL), "ConfigSource %s: %s", key,
                           doc_str(ready, "message", NULL));
}

// --- making and ending ---------------------------------------------------------------------------

static void make_metrics(struct sources *sources)
{
    struct metrics *m = sources->spec.metrics;

    if (!m)
        return;
    sources->fetch_total = metrics_family(
        m, "drawbridge_configsource_fetches_total", METRIC_COUNTER, "namespace,name,result",
        "Looks at a repository: unchanged, fetched, or the reason why not");
    sources->fetch_seconds =
        metrics_family(m, "drawbridge_configsource_fetch_seconds", METRIC_HISTOGRAM,
                       "namespace,name", "How long looks at a repository take");
    sources->ready = metrics_family(m, "drawbridge_configsource_ready", METRIC_GAUGE,
                                    "namespace,name", "1 when the ConfigSource is Ready");
    sources->answered =
        metrics_family(m, "drawbridge_configsource_last_fetched_timestamp_seconds", METRIC_GAUGE,
                       "namespace,name", "When the repository last answered");
    sources->info = metrics_family(m, "drawbridge_configsource_info", METRIC_GAUGE,
                                   "namespace,name,revision", "1 for the revision that is applied");
}

struct sources *sources_new(struct loop *loop, const struct sources_spec *spec)
{
    struct sources *sources = NEW(struct sources);
    struct queue_spec queue = {.name = "configsource",
                               .workers = WORKERS,
                               .backoff_ms = BACKOFF_MS,
                               .backoff_ms_max = BACKOFF_MS_MAX,
                               .work = on_work,
                               .owner = sources};
    struct watch_spec watch = {
        .kube = spec->kube,
        .ref = {.group = API_GROUP, .version = API_VERSION, .resource = "configsources"},
        .on_change = on_source,
        .owner = sources,
    };

    sources->loop = loop;
    sources->spec = *spec;
    make_metrics(sources);
    sources->queue = queue_new(loop, &queue);
    sources->passes.kind = &kind;
    sources->passes.loop = loop;
    sources->passes.queue = sources->queue;
    walks_count(&sources->passes, spec->metrics);
    sources->watch = watch_new(loop, &watch);
    return sources;
}

void sources_drop(struct sources *sources)
{
    walks_drop(&sources->passes, NULL);
    source_turns_drop(sources);
}

void sources_free(struct sources *sources)
{
    if (!sources)
        return;
    sources_drop(sources);
    while (sources->known)
        forget(sources, sources->known->key);
    watch_free(sources->watch);
    queue_free(sources->queue);
    mem_free(sources);
}

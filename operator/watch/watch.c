// SPDX-License-Identifier: Apache-2.0
// The reflector: list, watch from there, and again. Its constants and what it does after each
// failure are client-go's (tools/cache/reflector.go), so that an API server sees nothing new.
#include "watch_internal.h"

#include <inttypes.h>
#include <string.h>

#define BACKOFF_MS 800
#define BACKOFF_MS_MAX 30000
#define BACKOFF_RESET_MS 120000           // of success
#define LEND_BYTES_MAX ((size_t)64 << 10) // of text: trees that wait for the end of the turn
#define SHORT_WATCH_MS 1000               // a watch that ends so soon without an event is a failure
// longer than a connect may take: a watch that is still there then was accepted
#define FOLLOWS_AFTER_MS 12000

struct watch {
    struct loop *loop;
    struct watch_spec spec;
    struct store *store;
    struct op *pending;     // the list, the watch, or the pause before one
    char *version;          // to go on from; NULL: never listed
    bool discovers;         // which version of its group it follows
    char *preferred;        // that version; NULL: not known yet
    bool listing, watching; // which of them pending is
    bool list_next;         // the pause ends in a list
    // a list must ask for the newest: the version is too old, or from a server that was ahead
    bool newest_next;
    bool got_event; // of this watch
    // there was no room for an object of this list or watch, for their number or their bytes
    bool too_many, too_large;
    bool synced;
    struct error *error;
    char *said;                // the last failure that was logged; NULL: none since it followed
    uint64_t failing_since_ms; // 0: it follows
    bool told_long;            // that it has failed for WATCH_FAILED_MS was logged
    uint64_t watch_began_ms;
    uint64_t backoff_ms, backoff_at_ms;
    uint64_t relist_ms; // when a version was last too old
    uint32_t round;     // of lists
    size_t listed;      // objects of this list so far
    uint64_t term;      // of watches
    bool *freed;        // of the turn that calls the owner
};

static void begin_list(struct watch *watch);
static void begin_watch(struct watch *watch);

char *watch_key(const json_t *object)
{
    const char *namespace = doc_str(object, "metadata", "namespace", NULL),
               *name = doc_str(object, "metadata", "name", NULL);
    return namespace[0] ? str_format("%s/%s", namespace, name) : str_dup(name);
}

static char *glance_key(const struct kube_glance *glance)
{
    AUTO_MEM char *namespace = slice_dup(glance->namespace);
    AUTO_MEM char *name = slice_dup(glance->name);
    return namespace[0] ? str_format("%s/%s", namespace, name) : TAKE(name);
}

static const char *version_of(const json_t *object)
{
    return doc_str(object, "metadata", "resourceVersion", NULL);
}

// A reference of our own. Counting it changes nothing that a reader of the document sees.
static json_t *hold(const json_t *object)
{
    json_t *held;
    memcpy(&held, &object, sizeof(held));
    return json_incref(held);
}

static json_t *trim(const struct watch *watch, json_t *object)
{
    if (watch->spec.trim)
        return watch->spec.trim(object);
    json_t *metadata = json_object_get(object, "metadata");
    if (!json_object_get(metadata, "managedFields"))
        return json_incref(object);
    json_t *kept = json_copy(object);
    json_object_set_new(kept, "metadata", json_copy(metadata));
    json_object_del(json_object_get(kept, "metadata"), "managedFields");
    return kept;
}

// True when the watch is still there afterwards.
static bool report(struct watch *watch, const char *key, const json_t *was, const json_t *now)
{
    if (!watch->spec.on_change)
        return true;
    bool freed = false;
    bool *outer = watch->freed;
    watch->freed = &freed;
    watch->spec.on_change(watch->spec.owner, key, was, now);
    if (freed) {
        if (outer)
            *outer = true;
        return false;
    }
    watch->freed = outer;
    return true;
}

enum origin { FROM_LIST, FROM_EVENT, FROM_WRITE };

// A list that asked for the newest and began after our write was answered cannot be older than it,
// whatever the versions say: etcd was restored from a backup.
static bool list_decides(const struct watch *watch, const struct store_entry *entry)
{
    return watch->listing && watch->newest_next && entry->noted_round != watch->round;
}

// What our own write was answered with is newer than this version of the server's.
static bool is_overtaken(const struct watch *watch, const struct store_entry *entry,
                         const char *version)
{
    return entry->noted && kube_is_newer(store_version(entry), version) &&
           !list_decides(watch, entry);
}

static size_t objects_max(const struct watch *watch)
{
    return watch->spec.objects_max ? watch->spec.objects_max : WATCH_OBJECTS_MAX;
}

// Whether what came changes the store.
static bool is_news(struct watch *watch, struct store_entry *entry, const char *version,
                    enum origin origin)
{
    // Not newer than what the watch has told already: then the store knows better, also that it is
    // gone by now.
    if (origin == FROM_WRITE)
        return kube_is_newer(version, entry ? store_version(entry) : watch->version);
    if (!entry)
        return true;
    if (!str_eq(store_version(entry), version))
        return !is_overtaken(watch, entry, version);
    entry->noted = false; // the server says so, too
    return false;
}

// Who heard of a change often looks at the object in the same turn.
static void lend(struct watch *watch, const char *key, const char *version, json_t *tree)
{
    struct store_entry *entry = store_find(watch->store, key);
    if (entry && str_eq(store_version(entry), version))
        store_lend(watch->store, entry, tree);
}

// What the text alone tells to be no news: true, and it is in the store where it belongs there.
static bool take_text(struct watch *watch, const struct kube_glance *now, enum origin origin)
{
    AUTO_MEM char *key = glance_key(now);
    AUTO_MEM char *version = slice_dup(now->version);
    struct store_entry *entry = store_find(watch->store, key);
    struct kube_glance was;
    if (!entry)
        return false;
    if (!is_news(watch, entry, version, origin))
        return true;
    if (!watch->spec.same_facet || watch->spec.trim || watch->spec.trees || entry->facet == 0 ||
        !kube_glance(store_text(entry), &was) || !watch->spec.same_facet(&was, now))
        return false;
    entry = store_put(watch->store, key, NULL, now->text, version);
    entry->noted = origin == FROM_WRITE;
    entry->noted_round = watch->round;
    return true;
}

// The other way into the store. text: the object as it came where it is at hand, else empty. False:
// the watch is gone.
static bool take_object(struct watch *watch, json_t *object, struct slice text, enum origin origin)
{
    AUTO_MEM char *key = watch_key(object);
    const char *version = version_of(object);
    struct store_entry *entry = store_find(watch->store, key);
    if (entry && origin == FROM_LIST)
        entry->round = watch->round;
    // What a list does not have makes room for what it has, at its end.
    size_t others = origin == FROM_LIST ? watch->listed++ : watch->store->len;
    if (!is_news(watch, entry, version, origin))
        return true;
    if (!entry && others >= objects_max(watch)) {
        watch->too_many = true;
        return true;
    }
    uint64_t facet = watch->spec.facet ? watch->spec.facet(object) : 0;
    bool told = entry && facet && entry->facet == facet;
    AUTO_JSON json_t *was = entry && !told ? store_parse(watch->store, entry) : NULL;
    AUTO_JSON json_t *now = trim(watch, object);
    entry = store_put(watch->store, key, now, now == object ? text : slice_of(""), version);
    if (!entry) {
        watch->too_large = true;
        return true;
    }
    entry->facet = facet;
    entry->noted = origin == FROM_WRITE;
    entry->noted_round = watch->round;
    if (origin == FROM_LIST)
        entry->round = watch->round;
    if (!told && !report(watch, key, was, now))
        return false;
    if (!told && origin == FROM_EVENT && text.len <= LEND_BYTES_MAX)
        lend(watch, key, version, now);
    return true;
}

static bool drop_entry(struct watch *watch, struct store_entry *entry)
{
    AUTO_MEM char *key = str_dup(store_key(entry));
    AUTO_JSON json_t *was = store_parse(watch->store, entry);
    store_remove(watch->store, entry);
    return report(watch, key, was, NULL);
}

static void take_deletion(struct watch *watch, const json_t *object)
{
    AUTO_MEM char *key = watch_key(object);
    struct store_entry *entry = store_find(watch->store, key);
    if (entry && !is_overtaken(watch, entry, version_of(object)))
        (void)drop_entry(watch, entry);
}

static void set_version(struct watch *watch, const char *version)
{
    if (!version[0] || str_eq(version, watch->version))
        return;
    mem_free(watch->version);
    watch->version = str_dup(version);
}

static void set_error(struct watch *watch, struct error *take_err)
{
    error_free(watch->error);
    watch->error = take_err;
}

// It follows the server: an event came, or it is there for so long that it was not refused.
static void note_follows(struct watch *watch)
{
    set_error(watch, NULL);
    if (watch->said)
        log_line(LOG_INFO, "watch", "%s are followed again", watch->spec.ref.resource);
    mem_free(TAKE(watch->said));
    watch->failing_since_ms = 0;
    watch->told_long = false;
}

// Each cause is told once, and once more that it lasts.
static void note_failure(struct watch *watch, const struct error *err)
{
    const char *resource = watch->spec.ref.resource;
    uint64_t now_ms = clock_ms();
    if (watch->failing_since_ms == 0)
        watch->failing_since_ms = now_ms > 0 ? now_ms : 1;
    if (!str_eq(watch->said, error_text(err))) {
        mem_free(watch->said);
        watch->said = str_dup(error_text(err));
        log_line(LOG_WARN, "watch", "%s cannot be followed, trying again: %s", resource,
                 error_text(err));
    }
    if (!watch->told_long && now_ms - watch->failing_since_ms >= WATCH_FAILED_MS) {
        watch->told_long = true;
        log_line(LOG_WARN, "watch", "%s have not been followed for a minute: %s", resource,
                 error_text(err));
    }
}

static void on_pause_over(void *owner)
{
    struct watch *watch = owner;
    watch->pending = NULL;
    if (watch->list_next)
        begin_list(watch);
    else
        begin_watch(watch);
}

static bool version_unusable(const struct error *err)
{
    return error_kind(err) == ERROR_GONE || str_eq(error_reason(err), "ResourceVersionTooLarge");
}

// A version that is too old says that the server is well: no reason for a long pause, unless it
// happens again and again.
static bool wants_prompt_list(struct watch *watch, const struct error *err)
{
    if (!version_unusable(err))
        return false;
    uint64_t now_ms = clock_ms(), last_ms = watch->relist_ms;
    watch->relist_ms = now_ms;
    return last_ms == 0 || now_ms - last_ms > BACKOFF_MS_MAX;
}

// Waits before the next try: up to the back-off, at random, and at least as long as the server
// asked for.
static void pause_then(struct watch *watch, bool list, struct error *take_err)
{
    if (watch->spec.refusal_ends && error_kind(take_err) == ERROR_DENIED) {
        set_error(watch, take_err);
        return;
    }
    uint64_t now_ms = clock_ms(), at_least_ms = error_retry_after_ms(take_err);
    // A server that refuses after it was away is back: its RBAC is warm in some seconds, and the
    // back-off of the outage would be waited for in vain.
    bool back = error_kind(take_err) == ERROR_DENIED && watch->error &&
                error_kind(watch->error) != ERROR_DENIED;
    if (watch->backoff_ms == 0 || back || now_ms - watch->backoff_at_ms > BACKOFF_RESET_MS)
        watch->backoff_ms = BACKOFF_MS;
    uint64_t wait_ms = rand_below(BACKOFF_MS + 1);
    if (!wants_prompt_list(watch, take_err)) {
        note_failure(watch, take_err);
        wait_ms = rand_below(watch->backoff_ms + 1);
        watch->backoff_ms =
            watch->backoff_ms * 2 < BACKOFF_MS_MAX ? watch->backoff_ms * 2 : BACKOFF_MS_MAX;
    }
    wait_ms = wait_ms > at_least_ms ? wait_ms : at_least_ms;
    watch->backoff_at_ms = now_ms + wait_ms;
    log_line(LOG_DEBUG, "watch", "%s: again in %" PRIu64 " ms: %s", watch->spec.ref.resource,
             wait_ms, error_text(take_err));
    set_error(watch, take_err);
    watch->list_next = list;
    watch->pending = loop_sleep(watch->loop, wait_ms, on_pause_over, watch);
}

static void on_item(void *owner, json_t *item)
{
    struct watch *watch = owner;
    (void)take_object(watch, item, slice_of(""), FROM_LIST);
}

// The server has it and it cannot be read: what was kept of it stays.
static void on_skip(void *owner, const char *key, const char *version, const struct error *why)
{
    struct watch *watch = owner;
    struct store_entry *entry = store_find(watch->store, key);
    if (entry && watch->listing)
        entry->round = watch->round;
    if (watch->spec.on_unreadable)
        watch->spec.on_unreadable(watch->spec.owner, key, version, why);
}

// What the list did not have is gone. False: the watch is, too.
static bool sweep(struct watch *watch)
{
    for (size_t i = watch->store->len; i-- > 0;) {
        // The owner may have changed the store meanwhile.
        if (i >= watch->store->len)
            continue;
        struct store_entry *entry = watch->store->entries[i];
        // What we made after the list was taken stays: the watch goes on from the list.
        if (entry->round == watch->round || is_overtaken(watch, entry, watch->version))
            continue;
        if (!drop_entry(watch, entry))
            return false;
    }
    return true;
}

static bool is_full(const struct watch *watch)
{
    return watch->too_many || watch->too_large;
}

static struct error *too_many(const struct watch *watch)
{
    if (watch->too_large)
        return error_new(ERROR_LIMIT, "what is kept of all %s has more than %zu bytes",
                         watch->spec.ref.resource, watch->spec.bytes_max);
    return error_new(ERROR_LIMIT, "there are more than %zu %s", objects_max(watch),
                     watch->spec.ref.resource);
}

static void list_failed(struct watch *watch, struct error *take_err)
{
    bool unusable = version_unusable(take_err), asked_newest = watch->newest_next;
    watch->newest_next = asked_newest || unusable;
    if (unusable && !asked_newest) {
        error_free(take_err);
        begin_list(watch);
        return;
    }
    pause_then(watch, true, take_err);
}

static void on_list_end(void *owner, struct error *take_err, json_t *take_body)
{
    struct watch *watch = owner;
    AUTO_JSON json_t *body = take_body;
    watch->pending = NULL;
    if (!take_err && is_full(watch))
        take_err = too_many(watch);
    if (take_err) {
        watch->listing = false;
        list_failed(watch, take_err);
        return;
    }
    set_version(watch, version_of(body));
    set_error(watch, NULL);
    if (!sweep(watch))
        return;
    watch->listing = watch->newest_next = false;
    begin_watch(watch);
    if (!watch->synced) {
        watch->synced = true;
        if (watch->spec.on_sync)
            watch->spec.on_sync(watch->spec.owner);
    }
}

static void start_list(struct watch *watch)
{
    // "0": whatever the server has in memory. Later not older than what we saw, so that we never go
    // back in time.
    const char *version = watch->newest_next ? "" : watch->version ? watch->version : "0";
    watch->round++;
    watch->listed = 0;
    watch->too_many = watch->too_large = false;
    watch->listing = true;
    watch->pending =
        kube_list_each(watch->spec.kube, &watch->spec.ref, watch->spec.label_selector,
                       watch->spec.field_selector, version, on_item, on_list_end, watch);
    kube_list_on_skip(watch->pending, on_skip);
}

static void on_group(void *owner, struct error *take_err, json_t *take_body)
{
    struct watch *watch = owner;
    AUTO_JSON json_t *body = take_body;
    const char *version = doc_str(body, "preferredVersion", "version", NULL);

    watch->pending = NULL;
    if (!take_err && !*version)
        take_err =
            error_new(ERROR_TRANSIENT, "discovery of %s names no version", watch->spec.ref.group);
    if (take_err) {
        pause_then(watch, true, take_err);
        return;
    }
    mem_free(watch->preferred);
    watch->preferred = str_dup(version);
    watch->spec.ref.version = watch->preferred;
    start_list(watch);
}

static void begin_list(struct watch *watch)
{
    AUTO_MEM char *path = NULL;

    if (!watch->discovers) {
        start_list(watch);
        return;
    }
    path = str_format("/apis/%s", watch->spec.ref.group);
    watch->pending = kube_get_path(watch->spec.kube, path, KUBE_GROUP_BYTES_MAX, on_group, watch);
}

// There is no room for what an event told of: a store that lacks objects must not look whole. A
// list finds out when there is room again.
static void stop_following(struct watch *watch)
{
    watch->pending = op_drop(watch->pending);
    watch->watching = false;
    pause_then(watch, true, too_many(watch));
}

static void on_event(void *owner, enum kube_event event, const json_t *object, struct slice text)
{
    struct watch *watch = owner;
    watch->got_event = true;
    note_follows(watch);
    set_version(watch, version_of(object));
    switch (event) {
    case KUBE_BOOKMARK:
        return;
    case KUBE_DELETED:
        take_deletion(watch, object);
        return;
    case KUBE_ADDED:
    case KUBE_MODIFIED: {
        // kube frees the event after this call: trimming by reference needs a reference of our own.
        AUTO_JSON json_t *held = hold(object);
        if (take_object(watch, held, text, FROM_EVENT) && is_full(watch))
            stop_following(watch);
        return;
    }
    }
}

static bool on_glance(void *owner, const struct kube_glance *glance)
{
    struct watch *watch = owner;
    if (!take_text(watch, glance, FROM_EVENT))
        return false;
    AUTO_MEM char *version = slice_dup(glance->version);
    watch->got_event = true;
    note_follows(watch);
    set_version(watch, version);
    return true;
}

static void on_watch_end(void *owner, struct error *take_err, json_t *take_body UNUSED)
{
    struct watch *watch = owner;
    watch->pending = NULL;
    watch->watching = false;
    bool lasted = clock_ms() - watch->watch_began_ms >= SHORT_WATCH_MS || watch->got_event;
    if (clock_ms() - watch->watch_began_ms > FOLLOWS_AFTER_MS)
        note_follows(watch);
    if (!take_err && lasted) {
        begin_watch(watch);
        return;
    }
    if (!take_err)
        take_err = error_new(ERROR_TRANSIENT, "the server ended the watch at once");
    if (version_unusable(take_err))
        watch->newest_next = true;
    // After a broken connection the same version serves; after anything else only a list tells
    // where we are.
    bool same = error_kind(take_err) == ERROR_TRANSIENT || error_kind(take_err) == ERROR_THROTTLED;
    pause_then(watch, !same || watch->newest_next, take_err);
}

static void begin_watch(struct watch *watch)
{
    watch->got_event = false;
    watch->too_many = watch->too_large = false;
    watch->watching = true;
    watch->term++;
    watch->watch_began_ms = clock_ms();
    watch->pending =
        kube_watch(watch->spec.kube, &watch->spec.ref, watch->spec.label_selector,
                   watch->spec.field_selector, watch->version, on_event, on_watch_end, watch);
    kube_watch_on_skip(watch->pending, on_skip);
    kube_watch_on_glance(watch->pending, on_glance);
}

struct watch *watch_new(struct loop *loop, const struct watch_spec *spec)
{
    struct watch *watch = NEW(struct watch);
    watch->loop = loop;
    watch->spec = *spec;
    watch->discovers = !*spec->ref.version;
    watch->store = store_new(loop, spec->trees);
    watch->store->bytes_max = spec->bytes_max;
    begin_list(watch);
    return watch;
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    if (watch->freed)
        *watch->freed = true;
    watch->pending = op_drop(watch->pending);
    store_free(watch->store);
    error_free(watch->error);
    mem_free(watch->said);
    mem_free(watch->version);
    mem_free(watch->preferred);
    mem_free(watch);
}

bool watch_synced(const struct watch *watch)
{
    return watch->synced;
}

uint64_t watch_term(const struct watch *watch)
{
    return watch->watching ? watch->term : 0;
}

// A watch says nothing until something changes; one that was not refused by now follows.
static bool follows(const struct watch *watch)
{
    return watch->watching && clock_ms() - watch->watch_began_ms > FOLLOWS_AFTER_MS;
}

const struct error *watch_error(const struct watch *watch)
{
    return follows(watch) ? NULL : watch->error;
}

const char *watch_failed(const struct watch *watch)
{
    bool failed = watch->failing_since_ms > 0 && !follows(watch) &&
                  clock_ms() - watch->failing_since_ms >= WATCH_FAILED_MS;
    return failed ? watch->said : NULL;
}

const json_t *watch_get(const struct watch *watch, const char *key)
{
    struct store_entry *entry = store_find(watch->store, key);
    return entry ? store_borrow(watch->store, entry) : NULL;
}

size_t watch_count(const struct watch *watch)
{
    return watch->store->len;
}

void watch_each(const struct watch *watch, watch_each_fn *fn, void *owner)
{
    for (size_t i = 0; i < watch->store->len; i++) {
        const struct store_entry *entry = watch->store->entries[i];
        AUTO_JSON json_t *tree = store_parse(watch->store, entry);
        fn(owner, store_key(entry), tree);
    }
}

void watch_note_write(struct watch *watch, const json_t *object)
{
    AUTO_JSON json_t *held = hold(object);
    (void)take_object(watch, held, slice_of(""), FROM_WRITE);
}

bool watch_note_glance(struct watch *watch, const struct kube_glance *glance)
{
    return take_text(watch, glance, FROM_WRITE);
}

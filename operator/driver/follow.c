// SPDX-License-Identifier: Apache-2.0
// What the passes look at again and again is followed by watches, which all configurations share: a
// pass costs the API server nothing when nothing has changed, and a change calls for a pass.
#include "drawbridge/watch.h"

#include "driver_internal.h"

#define REFUSED_MS 600000        // who was not allowed to look is not asked for again before
#define TARGET_OBJECTS_MAX 50000 // of a target: it is somebody else's server
#define CALM_MS 1000 // changes of so long are one pass: a roll-out changes a thousand pods

// Whose passes look at it, and in which pass last.
struct interest {
    struct interest *next;
    char *key;
    uint64_t pass;
};

struct followed {
    struct followed *next;
    struct driver *driver;
    struct cluster *cluster; // kept
    char *name;
    struct kube *account; // NULL: it is followed as ourselves
    char *group, *version, *resource, *namespace, *labels;
    json_t *(*trim)(const json_t *);
    struct watch *watch; // NULL: it was refused
    struct error *refused;
    uint64_t refused_ms;
    struct interest *interests;
    bool changed; // since passes were called for
};

static void interest_free(struct interest *interest)
{
    mem_free(interest->key);
    mem_free(interest);
}

static void followed_free(struct followed *followed)
{
    char *owned[] = {followed->name,     followed->group,     followed->version,
                     followed->resource, followed->namespace, followed->labels};

    watch_free(followed->watch);
    error_free(followed->refused);
    kube_free(followed->account);
    cluster_unref(followed->cluster);
    while (followed->interests) {
        struct interest *interest = followed->interests;
        followed->interests = interest->next;
        interest_free(interest);
    }
    for (size_t i = 0; i < COUNT(owned); i++)
        mem_free(owned[i]);
    mem_free(followed);
}

static void on_calm(void *owner)
{
    struct driver *driver = owner;
    AUTO_STRLIST struct strlist keys = {0};

    driver->calm = NULL;
    for (struct followed *f = driver->followed; f; f = f->next) {
        for (struct interest *i = f->interests; f->changed && i; i = i->next)
            if (!strlist_has(&keys, i->key))
                strlist_add(&keys, i->key);
        f->changed = false;
    }
    for (size_t i = 0; i < keys.len; i++)
        driver->spec.on_change(driver->spec.owner, keys.items[i]);
}

// was and now are what is kept of an object: heartbeats are not in it.
static void on_change(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct followed *followed = owner;
    struct driver *driver = followed->driver;

    (void)key;
    // What the first list brings is waited for by whom it is for.
    if (!followed->watch || !watch_synced(followed->watch) || doc_equal(was, now))
        return;
    followed->changed = true;
    if (!driver->calm)
        driver->calm = loop_sleep(driver->loop, CALM_MS, on_calm, driver);
}

static void start_watch(struct followed *followed)
{
    struct driver *driver = followed->driver;
    struct watch_spec spec = {.kube =
                                  followed->account ? followed->account : followed->cluster->kube,
                              .ref = {.group = followed->group,
                                      .version = followed->version,
                                      .resource = followed->resource,
                                      .namespace = followed->namespace},
                              .label_selector = followed->labels,
                              .objects_max = followed->cluster->by ? TARGET_OBJECTS_MAX : 0,
                              .trim = followed->trim,
                              .on_change = on_change,
                              .refusal_ends = true,
                              .owner = followed};

    followed->watch = watch_new(driver->loop, &spec);
}

static struct followed *start(struct driver *driver, struct cluster *cluster, char *take_name,
                              const char *user, const struct kube_ref *ref, const char *labels,
                              json_t *(*trim)(const json_t *))
{
    struct followed *followed = NEW(struct followed);

    followed->driver = driver;
    followed->cluster = cluster_ref(cluster);
    followed->account = user ? kube_new_as(cluster->kube, user) : NULL;
    followed->trim = trim;
    followed->name = take_name;
    followed->group = str_dup(ref->group);
    followed->version = str_dup(ref->version);
    followed->resource = str_dup(ref->resource);
    followed->namespace = str_dup(ref->namespace);
    followed->labels = str_dup(labels);
    followed->next = driver->followed;
    driver->followed = followed;
    start_watch(followed);
    return followed;
}

static void note_interest(struct followed *followed, const char *key, uint64_t pass)
{
    struct interest *interest = followed->interests;

    while (interest && !str_eq(interest->key, key))
        interest = interest->next;
    if (!interest) {
        interest = NEW(struct interest);
        interest->key = str_dup(key);
        interest->next = followed->interests;
        followed->interests = interest;
    }
    interest->pass = pass;
}

struct followed *follow(struct driver *driver, struct cluster *cluster, const char *key,
                        uint64_t pass, const char *user, const struct kube_ref *ref,
                        const char *labels, json_t *(*trim)(const json_t *))
{
    // What one account may see is not another's.
    AUTO_MEM char *name =
        str_format("%s %s/%s/%s/%s?%s", user ? user : "", ref->group, ref->version, ref->resource,
                   ref->namespace ? ref->namespace : "", labels ? labels : "");
    struct followed *followed = driver->followed;

    while (followed && (followed->cluster != cluster || !str_eq(followed->name, name)))
        followed = followed->next;
    if (!followed)
        followed = start(driver, cluster, TAKE(name), user, ref, labels, trim);
    else if (!followed->watch && clock_ms() - followed->refused_ms > REFUSED_MS)
        start_watch(followed);
    note_interest(followed, key, pass);
    return followed;
}

bool follow_is_synced(const struct followed *followed)
{
    return followed->watch && watch_synced(followed->watch);
}

const struct error *follow_error(struct followed *followed)
{
    const struct error *err = followed->watch ? watch_error(followed->watch) : followed->refused;

    if (!followed->watch || !err || error_kind(err) != ERROR_DENIED)
        return err;
    error_free(followed->refused);
    followed->refused = error_new(ERROR_DENIED, "%s", error_text(err));
    followed->refused_ms = clock_ms();
    watch_free(followed->watch);
    followed->watch = NULL;
    return followed->refused;
}

void follow_each(const struct followed *followed,
                 void (*each)(void *owner, const char *key, const json_t *object), void *owner)
{
    watch_each(followed->watch, each, owner);
}

// Lets go of what key looked at before this pass, and of what nobody looks at any more.
static void let_go(struct driver *driver, const char *key, uint64_t pass)
{
    struct followed **at = &driver->followed;

    while (*at) {
        struct followed *followed = *at;
        struct interest **of = &followed->interests;

        while (*of && !(str_eq((*of)->key, key) && (*of)->pass < pass))
            of = &(*of)->next;
        if (*of) {
            struct interest *interest = *of;
            *of = interest->next;
            interest_free(interest);
        }
        if (followed->interests) {
            at = &followed->next;
            continue;
        }
        *at = followed->next;
        followed_free(followed);
    }
}

void follow_settle(struct driver *driver, const char *key, uint64_t pass)
{
    let_go(driver, key, pass);
}

void driver_forget(struct driver *driver, const char *key)
{
    let_go(driver, key, UINT64_MAX);
}

void follow_end(struct driver *driver)
{
    driver->calm = op_drop(driver->calm);
    while (driver->followed) {
        struct followed *followed = driver->followed;
        driver->followed = followed->next;
        followed_free(followed);
    }
}

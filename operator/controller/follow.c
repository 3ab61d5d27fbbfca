// SPDX-License-Identifier: Apache-2.0
// Watches of the objects that platforms write beside nodes. They only wake passes, which look for
// themselves. Nothing is followed that no configuration names, and nothing twice.
#include "controller_internal.h"

#define OBJECTS_MAX 2000 // of one kind in one namespace: it is somebody else's, and may be full

struct followed {
    struct followed *next;
    struct follows *all;
    char *name;                    // kind, namespace and selector
    json_t *keys;                  // of the configurations that it wakes
    struct platform_follow follow; // the watch borrows from it
    struct watch *watch;
};

struct follows {
    struct controller *controller;
    struct followed *first;
};

static char *name_of(const struct platform_follow *follow)
{
    AUTO_MEM char *path = kube_path(&follow->ref);

    return str_format("%s?%s", path, follow->field_selector ? follow->field_selector : "");
}

static void on_change(void *owner, const char *name, const json_t *was, const json_t *now)
{
    static const char *const told[] = {"status", "generation", "marks"};
    struct followed *followed = owner;
    const char *key;
    json_t *value;
    bool same = was && now;

    (void)name;
    for (size_t i = 0; same && i < COUNT(told); i++)
        same = doc_equal(json_object_get(was, told[i]), json_object_get(now, told[i]));
    if (same)
        return;
    json_object_foreach(followed->keys, key, value)
        queue_add(followed->all->controller->queue, key);
}

static void add(struct follows *all, const char *name, struct platform_follow *take_follow,
                const char *key)
{
    struct followed *followed = all->first;

    while (followed && !str_eq(followed->name, name))
        followed = followed->next;
    if (!followed) {
        struct watch_spec spec = {.kube = all->controller->spec.kube,
                                  .ref = take_follow->ref,
                                  .field_selector = take_follow->field_selector,
                                  .objects_max = OBJECTS_MAX,
                                  .trim = platform_trim_followed,
                                  .on_change = on_change};

        followed = NEW(struct followed);
        followed->all = all;
        followed->name = str_dup(name);
        followed->follow = *take_follow;
        *take_follow = (struct platform_follow){0};
        followed->keys = json_object();
        followed->next = all->first;
        all->first = followed;
        spec.owner = followed;
        followed->watch = watch_new(all->controller->loop, &spec);
    }
    json_object_set_new(followed->keys, key, json_true());
    platform_follow_fini(take_follow);
}

static void followed_free(struct followed *followed)
{
    watch_free(followed->watch);
    platform_follow_fini(&followed->follow);
    json_decref(followed->keys);
    mem_free(followed->name);
    mem_free(followed);
}

// This configuration is woken by these alone from now on.
static void keep(struct follows *all, const char *key, const struct strlist *names)
{
    struct followed **at = &all->first;

    while (*at) {
        struct followed *followed = *at;

        if (!strlist_has(names, followed->name))
            json_object_del(followed->keys, key);
        if (json_object_size(followed->keys) > 0) {
            at = &followed->next;
            continue;
        }
        *at = followed->next;
        followed_free(followed);
    }
}

void follows_note(struct follows *all, const char *key, const json_t *config)
{
    struct platform_follow wanted[PLATFORM_FOLLOWS_MAX] = {0};
    AUTO_STRLIST struct strlist names = {0};
    bool allowed = config && tenancy_allows(&all->controller->spec, config);
    size_t len = allowed ? platform_follows(config, wanted) : 0;

    for (size_t i = 0; i < len; i++) {
        strlist_take(&names, name_of(&wanted[i]));
        add(all, names.items[names.len - 1], &wanted[i], key);
    }
    keep(all, key, &names);
}

struct follows *follows_new(struct controller *controller)
{
    struct follows *all = NEW(struct follows);

    all->controller = controller;
    return all;
}

void follows_free(struct follows *all)
{
    if (!all)
        return;
    while (all->first) {
        struct followed *followed = all->first;

        all->first = followed->next;
        followed_free(followed);
    }
    mem_free(all);
}

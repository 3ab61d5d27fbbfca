// SPDX-License-Identifier: Apache-2.0
// Watches of the objects of hosted control planes. They only wake passes, which look for
// themselves; nothing is followed that no configuration names.
#include "reconcile_internal.h"

#define WATCHES 2        // kinds of object for one configuration
#define OBJECTS_MAX 2000 // of one kind in one namespace: it is somebody else's, and may be full

struct followed {
    struct followed *next;
    struct hosted_watches *all;
    char *key;                // of the configuration
    char *namespace, *tenant; // tenant "": Deployments and StatefulSets
    char *selector;
    struct watch *watches[WATCHES];
};

struct hosted_watches {
    struct controller *controller;
    struct followed *first;
};

bool hosted_is(const json_t *config)
{
    return str_eq(doc_str(config, "spec", "platform", "type", NULL),
                  platform_type_name(PLATFORM_HOSTED_CONTROL_PLANE));
}

const char *hosted_namespace(const json_t *config)
{
    const char *given =
        doc_str(config, "spec", "platform", "hostedControlPlane", "namespace", NULL);

    return *given ? given : doc_str(config, "metadata", "namespace", NULL);
}

static const char *tenant_of(const json_t *config)
{
    return doc_str(config, "spec", "platform", "hostedControlPlane", "tenantControlPlane", NULL);
}

bool hosted_same(const json_t *config, const json_t *other)
{
    static const char *const fields[] = {"apiServer", "controllerManager", "scheduler"};

    if (!str_eq(hosted_namespace(config), hosted_namespace(other)))
        return false;
    if (*tenant_of(config) || *tenant_of(other))
        return str_eq(tenant_of(config), tenant_of(other));
    for (size_t i = 0; i < COUNT(fields); i++) {
        const json_t *one =
            doc_get(config, "spec", "platform", "hostedControlPlane", fields[i], NULL);
        const json_t *two =
            doc_get(other, "spec", "platform", "hostedControlPlane", fields[i], NULL);

        if (doc_equal(one, two))
            return true;
    }
    return false;
}

// --- following -----------------------------------------------------------------------------------

// Owners, marks of other tools, our record: of which only whether they changed matters.
static void keep_metadata(json_t *kept, const json_t *object)
{
    static const char *const parts[] = {"labels", "annotations", "ownerReferences"};
    json_t *all = json_object();
    char digest[DOC_DIGEST_BYTES];

    for (size_t i = 0; i < COUNT(parts); i++) {
        const json_t *part = doc_get(object, "metadata", parts[i], NULL);

        if (part)
            json_object_set_new(all, parts[i], doc_copy(part));
    }
    doc_set(kept, doc_string(doc_digest_tree(all, digest)), "marks", NULL);
    json_decref(all);
}

// What a pass would see change; the heartbeats of a status are not in it.
static json_t *trim(const json_t *object)
{
    static const char *const counts[] = {"observedGeneration", "replicas", "updatedReplicas",
                                         "availableReplicas"};
    json_t *kept = json_object();
    const json_t *conditions = doc_get(object, "status", "conditions", NULL);

    for (size_t i = 0; i < COUNT(counts); i++)
        doc_set(kept, json_integer((json_int_t)doc_int(object, 0, "status", counts[i], NULL)),
                "status", counts[i], NULL);
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (str_eq(doc_str(condition, "type", NULL), "Progressing"))
            doc_set(kept, doc_string(doc_str(condition, "status", NULL)), "status", "progressing",
                    NULL);
    }
    doc_set(kept, doc_string(doc_str(object, "metadata", "name", NULL)), "metadata", "name", NULL);
    doc_set(kept, doc_string(doc_str(object, "metadata", "namespace", NULL)), "metadata",
            "namespace", NULL);
    doc_set(kept, doc_string(doc_str(object, "metadata", "resourceVersion", NULL)), "metadata",
            "resourceVersion", NULL);
    doc_set(kept, json_integer((json_int_t)doc_int(object, 0, "metadata", "generation", NULL)),
            "generation", NULL);
    keep_metadata(kept, object);
    return kept;
}

static void on_change(void *owner, const char *key, const json_t *was, const json_t *now)
{
    struct followed *followed = owner;

    static const char *const told[] = {"status", "generation", "marks"};
    bool same = was && now;

    for (size_t i = 0; same && i < COUNT(told); i++)
        same = doc_equal(json_object_get(was, told[i]), json_object_get(now, told[i]));
    if (same)
        return;
    (void)key;
    queue_add(followed->all->controller->queue, followed->key);
}

static void start(struct followed *followed)
{
    struct controller *c = followed->all->controller;
    bool tenant = *followed->tenant != '\0';
    struct kube_ref refs[WATCHES] = {
        {.group = "apps",
         .version = "v1",
         .resource = "deployments",
         .namespace = followed->namespace},
        {.group = "apps",
         .version = "v1",
         .resource = "statefulsets",
         .namespace = followed->namespace},
    };

    if (tenant)
        refs[1] = (struct kube_ref){.group = "kamaji.clastix.io",
                                    .version = "v1alpha1",
                                    .resource = "tenantcontrolplanes",
                                    .namespace = followed->namespace};
    for (size_t i = 0; i < WATCHES; i++) {
        struct watch_spec spec = {.kube = c->spec.kube,
                                  .ref = refs[i],
                                  .field_selector = tenant ? followed->selector : NULL,
                                  .objects_max = OBJECTS_MAX,
                                  .trim = trim,
                                  .on_change = on_change,
                                  .owner = followed};

        followed->watches[i] = watch_new(c->loop, &spec);
    }
}

static void followed_free(struct followed *followed)
{
    for (size_t i = 0; i < WATCHES; i++)
        watch_free(followed->watches[i]);
    mem_free(followed->key);
    mem_free(followed->namespace);
    mem_free(followed->tenant);
    mem_free(followed->selector);
    mem_free(followed);
}

static struct followed **find(struct hosted_watches *all, const char *key)
{
    struct followed **at = &all->first;

    while (*at && !str_eq((*at)->key, key))
        at = &(*at)->next;
    return at;
}

void hosted_watches_note(struct hosted_watches *all, const char *key, const json_t *config)
{
    struct followed **at = find(all, key), *followed = *at;
    bool wanted = hosted_is(config) && tenancy_allows(&all->controller->spec, config);

    if (followed && wanted && str_eq(followed->namespace, hosted_namespace(config)) &&
        str_eq(followed->tenant, tenant_of(config)))
        return;
    if (followed) {
        *at = followed->next;
        followed_free(followed);
    }
    if (!wanted)
        return;
    followed = NEW(struct followed);
    followed->all = all;
    followed->key = str_dup(key);
    followed->namespace = str_dup(hosted_namespace(config));
    followed->tenant = str_dup(tenant_of(config));
    followed->selector = str_format("metadata.name=%s", followed->tenant);
    followed->next = all->first;
    all->first = followed;
    start(followed);
}

struct hosted_watches *hosted_watches_new(struct controller *controller)
{
    struct hosted_watches *all = NEW(struct hosted_watches);

    all->controller = controller;
    return all;
}

void hosted_watches_free(struct hosted_watches *all)
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

// SPDX-License-Identifier: Apache-2.0
// Clients of the clusters that kubeconfigs in Secrets lead to. Each has connections of its own: one
// that is silent keeps no place of another's.
#include "cluster_internal.h"

struct client {
    struct client *next; // of those that are no longer another cluster's, and still have requests
    struct http *http;
    struct kube *kube;
};

struct other {
    char *key;
    char digest[DOC_DIGEST_BYTES]; // of the kubeconfig
    struct client *client;
    uint64_t used;
    unsigned failures; // in a row
};

struct clusters {
    struct loop *loop;
    struct other others[CLUSTERS_MAX];
    size_t len;
    uint64_t uses;
    struct client *retired;
};

struct clusters *clusters_new(struct loop *loop)
{
    struct clusters *all = NEW(struct clusters);

    all->loop = loop;
    return all;
}

static void client_free(struct client *client)
{
    if (!client)
        return;
    kube_free(client->kube);
    http_free(client->http);
    mem_free(client);
}

// Those whose last request is over.
static void free_retired(struct clusters *all)
{
    struct client **at = &all->retired;

    while (*at) {
        struct client *client = *at;

        if (kube_busy(client->kube)) {
            at = &client->next;
            continue;
        }
        *at = client->next;
        client_free(client);
    }
}

// A pass may be asking it just now, with the kubeconfig from before.
static void retire(struct clusters *all, struct client *take_client)
{
    if (!take_client)
        return;
    take_client->next = all->retired;
    all->retired = take_client;
    free_retired(all);
}

void clusters_free(struct clusters *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->len; i++) {
        client_free(all->others[i].client);
        mem_free(all->others[i].key);
    }
    free_retired(all);
    ASSERT(!all->retired);
    mem_free(all);
}

static bool is_asked(const struct other *target)
{
    return target->client && kube_busy(target->client->kube);
}

static struct other *find(struct clusters *all, const char *key)
{
    for (size_t i = 0; i < all->len; i++) {
        if (str_eq(all->others[i].key, key))
            return &all->others[i];
    }
    return NULL;
}

// A place for this key: its own, a new one, or that of the least used. NULL: all are being asked.
static struct other *find_place(struct clusters *all, const char *key)
{
    struct other *target = find(all, key);

    if (target)
        return target;
    if (all->len < CLUSTERS_MAX) {
        target = &all->others[all->len++];
    } else {
        for (size_t i = 0; i < all->len; i++) {
            struct other *other = &all->others[i];

            if (!is_asked(other) && (!target || other->used < target->used))
                target = other;
        }
        if (!target)
            return NULL;
        client_free(target->client);
        mem_free(target->key);
    }
    *target = (struct other){.key = str_dup(key)};
    return target;
}

static struct error *client_of(struct clusters *all, const char *key, struct slice kubeconfig,
                               struct kube **ret_kube)
{
    struct other *target = find_place(all, key);
    char digest[DOC_DIGEST_BYTES];

    if (!target)
        return error_new(ERROR_TRANSIENT, "%d other clusters are being asked at the moment",
                         CLUSTERS_MAX);
    doc_digest(kubeconfig, digest);
    target->used = ++all->uses;
    if (!target->client || !str_eq(target->digest, digest)) {
        struct kube_config *config = NULL;
        struct error *err = kube_config_parse_untrusted(kubeconfig, &config);

        if (err)
            return err;
        retire(all, target->client);
        target->client = NEW(struct client);
        target->client->http = http_new(all->loop, "drawbridge");
        http_pace(target->client->http, CLUSTER_BURST_MS, CLUSTER_PERCENT);
        target->client->kube = kube_new(all->loop, target->client->http, config);
        kube_limit_objects(target->client->kube, CLUSTER_ITEM_BYTES_MAX);
        target->failures = 0;
        doc_digest(kubeconfig, target->digest);
    }
    *ret_kube = target->client->kube;
    return NULL;
}

struct error *clusters_open(struct clusters *all, const char *namespace, const json_t *ref,
                            const json_t *secret, struct kube **ret_kube, char **ret_key)
{
    const char *name = doc_str(ref, "name", NULL), *field = doc_str(ref, "key", NULL);
    AUTO_MEM char *key = NULL;
    AUTO_MEM char *text = NULL;
    size_t len = 0;
    struct error *err;

    if (!*field)
        field = "value";
    key = str_format("Secret %s/%s, key %s", namespace, name, field);
    if (!json_is_string(doc_get(secret, "data", field, NULL)))
        err = error_new(ERROR_NOT_FOUND, "there is no such key");
    else if (!kube_base64_decode(slice_of(doc_str(secret, "data", field, NULL)), &text, &len))
        err = error_new(ERROR_INVALID, "it is not base64");
    else
        err = client_of(all, key, (struct slice){text, len}, ret_kube);
    if (err)
        return error_wrap(err, "spec.cluster.kubeconfigSecretRef: %s", key);
    *ret_key = TAKE(key);
    return NULL;
}

uint64_t clusters_note(struct clusters *all, const char *key, bool answered)
{
    struct other *target = find(all, key);
    uint64_t wait_ms = CLUSTER_AGAIN_MS;

    if (!target || answered) {
        if (target)
            target->failures = 0;
        return wait_ms;
    }
    for (unsigned i = 0; i < target->failures && wait_ms < CLUSTER_AGAIN_MS_MAX; i++)
        wait_ms *= 2;
    target->failures++;
    return wait_ms < CLUSTER_AGAIN_MS_MAX ? wait_ms : CLUSTER_AGAIN_MS_MAX;
}

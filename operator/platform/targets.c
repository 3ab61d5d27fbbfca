// SPDX-License-Identifier: Apache-2.0
// Clients of the clusters that kubeconfigs in Secrets lead to. Each has connections of its own: one
// that is silent keeps no place of another's.
#include "platform_internal.h"

struct client {
    struct client *next; // of those that are no longer a target's, and still have requests
    struct http *http;
    struct kube *kube;
};

struct target {
    char *key;
    char digest[DOC_DIGEST_BYTES]; // of the kubeconfig
    struct client *client;
    uint64_t used;
    unsigned failures; // in a row
};

struct platform_targets {
    struct loop *loop;
    struct target targets[PLATFORM_TARGETS_MAX];
    size_t len;
    uint64_t uses;
    struct client *retired;
};

struct platform_targets *platform_targets_new(struct loop *loop)
{
    struct platform_targets *targets = NEW(struct platform_targets);

    targets->loop = loop;
    return targets;
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
static void free_retired(struct platform_targets *targets)
{
    struct client **at = &targets->retired;

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
static void retire(struct platform_targets *targets, struct client *take_client)
{
    if (!take_client)
        return;
    take_client->next = targets->retired;
    targets->retired = take_client;
    free_retired(targets);
}

void platform_targets_free(struct platform_targets *targets)
{
    if (!targets)
        return;
    for (size_t i = 0; i < targets->len; i++) {
        client_free(targets->targets[i].client);
        mem_free(targets->targets[i].key);
    }
    free_retired(targets);
    ASSERT(!targets->retired);
    mem_free(targets);
}

static bool is_asked(const struct target *target)
{
    return target->client && kube_busy(target->client->kube);
}

static struct target *find(struct platform_targets *targets, const char *key)
{
    for (size_t i = 0; i < targets->len; i++) {
        if (str_eq(targets->targets[i].key, key))
            return &targets->targets[i];
    }
    return NULL;
}

// A place for this key: its own, a new one, or that of the least used. NULL: all are being asked.
static struct target *find_place(struct platform_targets *targets, const char *key)
{
    struct target *target = find(targets, key);

    if (target)
        return target;
    if (targets->len < PLATFORM_TARGETS_MAX) {
        target = &targets->targets[targets->len++];
    } else {
        for (size_t i = 0; i < targets->len; i++) {
            struct target *other = &targets->targets[i];

            if (!is_asked(other) && (!target || other->used < target->used))
                target = other;
        }
        if (!target)
            return NULL;
        client_free(target->client);
        mem_free(target->key);
    }
    *target = (struct target){.key = str_dup(key)};
    return target;
}

struct error *platform_targets_get(struct platform_targets *targets, const char *key,
                                   struct slice kubeconfig, struct kube **ret_kube)
{
    struct target *target = find_place(targets, key);
    char digest[DOC_DIGEST_BYTES];

    if (!target)
        return error_new(ERROR_TRANSIENT, "%d other clusters are being asked at the moment",
                         PLATFORM_TARGETS_MAX);
    doc_digest(kubeconfig, digest);
    target->used = ++targets->uses;
    if (!target->client || !str_eq(target->digest, digest)) {
        struct kube_config *config = NULL;
        struct error *err = kube_config_parse_untrusted(kubeconfig, &config);

        if (err)
            return err;
        retire(targets, target->client);
        target->client = NEW(struct client);
        target->client->http = http_new(targets->loop, "drawbridge");
        target->client->kube = kube_new(targets->loop, target->client->http, config);
        kube_limit_items(target->client->kube, PLATFORM_TARGET_ITEM_BYTES_MAX);
        target->failures = 0;
        doc_digest(kubeconfig, target->digest);
    }
    *ret_kube = target->client->kube;
    return NULL;
}

uint64_t platform_targets_note(struct platform_targets *targets, const char *key, bool answered)
{
    struct target *target = find(targets, key);
    uint64_t wait_ms = PLATFORM_TARGET_AGAIN_MS;

    if (!target || answered) {
        if (target)
            target->failures = 0;
        return wait_ms;
    }
    for (unsigned i = 0; i < target->failures && wait_ms < PLATFORM_TARGET_AGAIN_MS_MAX; i++)
        wait_ms *= 2;
    target->failures++;
    return wait_ms < PLATFORM_TARGET_AGAIN_MS_MAX ? wait_ms : PLATFORM_TARGET_AGAIN_MS_MAX;
}

// SPDX-License-Identifier: Apache-2.0
// Clients of the clusters that kubeconfigs in Secrets lead to.
#include "platform_internal.h"

struct target {
    char *key;
    char digest[DOC_DIGEST_BYTES]; // of the kubeconfig
    struct kube *kube;
    uint64_t used;
};

struct platform_targets {
    struct loop *loop;
    struct http *http;
    struct target targets[PLATFORM_TARGETS_MAX];
    size_t len;
    uint64_t uses;
};

struct platform_targets *platform_targets_new(struct loop *loop)
{
    struct platform_targets *targets = NEW(struct platform_targets);

    targets->loop = loop;
    return targets;
}

static void target_fini(struct target *target)
{
    kube_free(target->kube);
    mem_free(target->key);
    *target = (struct target){0};
}

void platform_targets_free(struct platform_targets *targets)
{
    if (!targets)
        return;
    for (size_t i = 0; i < targets->len; i++)
        target_fini(&targets->targets[i]);
    http_free(targets->http);
    mem_free(targets);
}

// A place for this key: its own, a new one, or the least used.
static struct target *find_place(struct platform_targets *targets, const char *key)
{
    struct target *oldest = &targets->targets[0];

    for (size_t i = 0; i < targets->len; i++) {
        struct target *target = &targets->targets[i];

        if (str_eq(target->key, key))
            return target;
        if (target->used < oldest->used)
            oldest = target;
    }
    if (targets->len < PLATFORM_TARGETS_MAX)
        return &targets->targets[targets->len++];
    target_fini(oldest);
    return oldest;
}

struct error *platform_targets_get(struct platform_targets *targets, const char *key,
                                   struct slice kubeconfig, struct kube **ret_kube)
{
    struct target *target = find_place(targets, key);
    char digest[DOC_DIGEST_BYTES];

    doc_digest(kubeconfig, digest);
    target->used = ++targets->uses;
    if (!target->key)
        target->key = str_dup(key);
    if (!target->kube || !str_eq(target->digest, digest)) {
        struct kube_config *config = NULL;
        struct error *err = kube_config_parse_untrusted(kubeconfig, &config);

        if (err)
            return err;
        if (!targets->http)
            targets->http = http_new(targets->loop, "drawbridge");
        kube_free(target->kube);
        target->kube = kube_new(targets->loop, targets->http, config);
        doc_digest(kubeconfig, target->digest);
    }
    *ret_kube = target->kube;
    return NULL;
}

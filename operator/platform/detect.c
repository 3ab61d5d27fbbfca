// SPDX-License-Identifier: Apache-2.0
// Auto, where spec.cluster leads to another cluster: which platform made that one is told by the
// objects that stand beside its kubeconfig. One question after the other, to this cluster.
#include <string.h>

#include "platform_internal.h"

struct detection {
    struct op op; // must be first
    struct kube *kube;
    json_t *config;
    platform_detected_fn *done;
    void *owner;
    struct op *pending;
    int type;    // whose signs are looked for
    size_t next; // of these
    struct platform_sign signs[PLATFORM_SIGNS_MAX];
    size_t len;
    char *version; // of the sign's group
};

static void advance(struct detection *d);

void platform_sign_fini(struct platform_sign *sign)
{
    mem_free(sign->namespace);
    mem_free(sign->name);
    *sign = (struct platform_sign){0};
}

static void forget_signs(struct detection *d)
{
    for (size_t i = 0; i < d->len; i++)
        platform_sign_fini(&d->signs[i]);
    d->len = d->next = 0;
}

static void detection_drop(struct op *op)
{
    struct detection *d = (struct detection *)op;

    op_drop(d->pending);
    forget_signs(d);
    json_decref(d->config);
    mem_free(d->version);
    mem_free(d);
}

static void finish(struct detection *d, struct error *take_err, const char *name)
{
    platform_detected_fn *done = d->done;
    void *owner = d->owner;

    detection_drop(&d->op);
    done(owner, take_err, name);
}

// What is not served, not there, or not for us to see is no sign.
static bool is_none(const struct error *err)
{
    return err && (error_kind(err) == ERROR_NOT_FOUND || error_kind(err) == ERROR_DENIED);
}

static void on_sign(void *owner, struct error *take_err, json_t *take_body)
{
    struct detection *d = owner;
    AUTO_JSON json_t *body = take_body;
    const struct platform *platform = platform_find((enum platform_type)d->type);

    d->pending = NULL;
    if (take_err && !is_none(take_err)) {
        finish(d, error_wrap(take_err, "find out what made the cluster of the kubeconfig"), NULL);
        return;
    }
    if (!take_err && (!platform->is_sign || platform->is_sign(body))) {
        finish(d, NULL, platform_type_name(platform->type));
        return;
    }
    error_free(take_err);
    d->next++;
    advance(d);
}

static void on_group(void *owner, struct error *take_err, json_t *take_body)
{
    struct detection *d = owner;
    AUTO_JSON json_t *body = take_body;
    const struct platform_sign *sign = &d->signs[d->next];
    const char *version = doc_str(body, "preferredVersion", "version", NULL);
    struct kube_ref ref = {.group = sign->group,
                           .resource = sign->resource,
                           .namespace = sign->namespace,
                           .name = sign->name};

    d->pending = NULL;
    if (take_err && !is_none(take_err)) {
        finish(d, error_wrap(take_err, "find out what made the cluster of the kubeconfig"), NULL);
        return;
    }
    error_free(take_err);
    if (!*version || version[strspn(version, "abcdefghijklmnopqrstuvwxyz0123456789")]) {
        d->next++;
        advance(d);
        return;
    }
    mem_free(d->version);
    d->version = str_dup(version);
    ref.version = d->version;
    d->pending = kube_get(d->kube, &ref, on_sign, d);
}

// A platform above another one comes first: its clusters have the signs of both.
static void advance(struct detection *d)
{
    AUTO_MEM char *path = NULL;

    while (d->next == d->len && d->type > 0) {
        const struct platform *platform = platform_find((enum platform_type)-- d->type);

        forget_signs(d);
        if (platform && platform->signs)
            d->len = platform->signs(d->config, d->signs);
    }
    if (d->next == d->len) {
        finish(d, NULL, NULL);
        return;
    }
    path = str_format("/apis/%s", d->signs[d->next].group);
    d->pending = kube_get_path(d->kube, path, KUBE_GROUP_BYTES_MAX, on_group, d);
}

static void on_begin(void *owner)
{
    struct detection *d = owner;

    d->pending = NULL;
    advance(d);
}

bool platform_is_undecided(const struct api_config *config)
{
    return config->platform == PLATFORM_AUTO && config->cluster && !config->deleting &&
           !*doc_str(config->status, "platform", NULL);
}

struct op *platform_detect(struct loop *loop, struct kube *kube, const json_t *config,
                           platform_detected_fn *done, void *owner)
{
    struct detection *d = NEW(struct detection);

    d->op.drop = detection_drop;
    d->kube = kube;
    d->config = json_incref((json_t *)(uintptr_t)config); // read alone
    d->done = done;
    d->owner = owner;
    d->type = PLATFORM_TYPE_COUNT;
    d->pending = loop_defer(loop, on_begin, d);
    return &d->op;
}

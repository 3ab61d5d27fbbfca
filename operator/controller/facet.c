// SPDX-License-Identifier: Apache-2.0
// What of a DRAConfiguration's changes is news to its passes: from its tree, and, since most
// changes are none, from its text alone. Pure.
#include "controller_internal.h"

#include <string.h>

// A label or our own status is no news.
uint64_t facet_of_config(const json_t *config)
{
    const json_t *metadata = json_object_get(config, "metadata");
    uint64_t hash = (uint64_t)doc_int(metadata, 0, "generation", NULL);

    hash = slice_hash(slice_of(doc_str(metadata, "uid", NULL)), hash);
    hash = slice_hash(slice_of(doc_str(metadata, "deletionTimestamp", NULL)), hash);
    hash = slice_hash(slice_of(doc_str(metadata, "annotations", API_ANNOTATION_RECONCILE, NULL)),
                      hash);
    hash = slice_hash(slice_of(doc_str(config, "status", "observedClusterUID", NULL)), hash);
    if (platform_is_detected(slice_of(doc_str(config, "status", "platform", NULL))))
        hash = slice_hash(slice_of(doc_str(config, "status", "platform", NULL)), hash);
    if (*doc_str(metadata, "annotations", API_ANNOTATION_SOURCE, NULL))
        hash = sources_facet(config, hash);
    return hash | 1; // 0 stands for none
}

static bool same_text(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool same_field(const struct kube_fields *was, const struct kube_fields *now,
                       const char *key)
{
    return same_text(kube_field_text(was, key), kube_field_text(now, key));
}

// Its first platform is no news where it is the one that everybody takes it for.
static bool is_detected(const struct kube_fields *status)
{
    struct slice text = kube_field_text(status, "platform");

    return text.len > 2 && platform_is_detected(slice_sub(text, 1, text.len - 1));
}

bool facet_is_same(const struct kube_glance *was, const struct kube_glance *now)
{
    static const char *const fields[] = {"generation", "uid", "deletionTimestamp", "annotations"};
    struct slice annotations = kube_field_text(&now->metadata, "annotations");

    for (size_t i = 0; i < COUNT(fields); i++) {
        if (!same_field(&was->metadata, &now->metadata, fields[i]))
            return false;
    }
    if (!same_field(&was->status, &now->status, "observedClusterUID"))
        return false;
    if (!same_field(&was->status, &now->status, "platform") &&
        (is_detected(&was->status) || is_detected(&now->status)))
        return false;
    // Of what came from a ConfigSource more is looked at.
    return !memmem(annotations.ptr, annotations.len, API_ANNOTATION_SOURCE,
                   strlen(API_ANNOTATION_SOURCE)) ||
           (same_field(&was->metadata, &now->metadata, "labels") &&
            same_text(was->status_text, now->status_text));
}

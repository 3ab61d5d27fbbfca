// SPDX-License-Identifier: Apache-2.0
// Paths and queries of the Kubernetes API.
#include "kube_internal.h"

#include <string.h>

#define PATH_BYTES_MAX 65536 // continue tokens and selectors can be long

void kube_encode(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c);
        if (plain)
            buf_add(out, text, 1);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static void add_segment(struct buf *out, const char *segment)
{
    buf_add_str(out, "/");
    // A segment of dots alone would be walked up by whoever normalizes the path.
    if (str_eq(segment, ".") || str_eq(segment, ".."))
        buf_add_str(out, segment[1] ? "%2E%2E" : "%2E");
    else
        kube_encode(out, segment);
}

static void add_path(struct buf *out, const struct kube_ref *ref)
{
    buf_add_str(out, ref->group[0] ? "/apis" : "/api");
    if (ref->group[0])
        add_segment(out, ref->group);
    add_segment(out, ref->version);
    if (ref->namespace) {
        buf_add_str(out, "/namespaces");
        add_segment(out, ref->namespace);
    }
    add_segment(out, ref->resource);
    if (ref->name)
        add_segment(out, ref->name);
    if (ref->subresource)
        add_segment(out, ref->subresource);
}

char *kube_path(const struct kube_ref *ref)
{
    AUTO_BUF struct buf out = buf_make(PATH_BYTES_MAX);
    add_path(&out, ref);
    return buf_take(&out);
}

struct kube_query kube_query_of(const struct kube_ref *ref)
{
    struct kube_query query = {.url = buf_make(PATH_BYTES_MAX)};
    add_path(&query.url, ref);
    return query;
}

void kube_query_add(struct kube_query *query, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    buf_printf(&query->url, "%c%s=", query->any ? '&' : '?', name);
    kube_encode(&query->url, value);
    query->any = true;
}

// SPDX-License-Identifier: Apache-2.0
// The paths of the fake API server: what a request speaks of.
#pragma once

#include "drawbridge/base.h"

#include "testkit/test.h"

#include <string.h>

#define FAKE UNUSED static

// "/apis/g/v/namespaces/ns/things/x/status" in parts, and what it speaks of.
struct fake_path {
    char *object;     // of the object or collection, without subresource
    char *collection; // "/apis/g/v/things"
    char *namespace, *name, *subresource;
    char *only; // the field selector: objects of this name; NULL: all
};

FAKE void fake_path_fini(struct fake_path *path)
{
    mem_free(path->object);
    mem_free(path->collection);
    mem_free(path->namespace);
    mem_free(path->name);
    mem_free(path->subresource);
    mem_free(path->only);
}
#define AUTO_FAKE_PATH CLEANUP(fake_path_fini)

FAKE char *fake_take_part(struct slice *rest)
{
    struct slice part;

    return slice_cut(rest, '/', &part) ? slice_dup(part) : NULL;
}

FAKE void fake_path_parse(const char *target, struct fake_path *ret_path)
{
    struct slice rest = {target, strcspn(target, "?")};
    struct slice part;
    AUTO_BUF struct buf prefix = buf_make(4096);
    AUTO_BUF struct buf object = buf_make(4096);
    AUTO_MEM char *resource = NULL;
    struct fake_path path = {0};
    int parts = str_starts(target, "/apis/") ? 3 : 2;
    const char *only = strstr(target, "fieldSelector=metadata.name%3D");

    (void)slice_cut(&rest, '/', &part);
    while (parts-- > 0 && slice_cut(&rest, '/', &part)) {
        buf_add_str(&prefix, "/");
        buf_add_slice(&prefix, part);
    }
    buf_add_slice(&object, buf_slice(&prefix));
    resource = fake_take_part(&rest);
    if (str_eq(resource, "namespaces") && rest.ptr && memchr(rest.ptr, '/', rest.len)) {
        mem_free(resource);
        path.namespace = fake_take_part(&rest);
        resource = fake_take_part(&rest);
        buf_printf(&object, "/namespaces/%s", path.namespace);
    }
    path.name = fake_take_part(&rest);
    path.subresource = fake_take_part(&rest);
    if (resource)
        buf_printf(&object, "/%s", resource);
    if (path.name)
        buf_printf(&object, "/%s", path.name);
    if (only)
        path.only = str_ndup(only + 30, strcspn(only + 30, "&"));
    path.object = buf_take(&object);
    path.collection = str_format("%s/%s", prefix.ptr ? prefix.ptr : "", resource ? resource : "");
    *ret_path = path;
}

// Whether the object of that path is one of the collection's.
FAKE bool fake_is_among(const struct fake_path *collection, const struct fake_path *path)
{
    return str_eq(path->collection, collection->collection) &&
           (!collection->namespace || str_eq(path->namespace, collection->namespace)) &&
           (!collection->only || str_eq(path->name, collection->only));
}

// SPDX-License-Identifier: Apache-2.0
// What a commit's documents may be, and what is sent for them. Pure: a commit is judged whole
// before anything is asked of the API server.
#include <string.h>

#include "source_internal.h"

// The order in which they are applied: what is named comes before what names it.
static const struct source_kind kinds[] = {
    {"v1", "ConfigMap", {.group = "", .version = "v1", .resource = "configmaps"}, true},
    {"v1", "Secret", {.group = "", .version = "v1", .resource = "secrets"}, true},
    {API_GROUP_VERSION,
     "DRAConfiguration",
     {.group = API_GROUP, .version = API_VERSION, .resource = "draconfigurations"},
     false},
    {"kubermatic.k8c.io/v1",
     "KubermaticConfiguration",
     {.group = "kubermatic.k8c.io", .version = "v1", .resource = "kubermaticconfigurations"},
     false},
};

const struct source_kind *source_kind_find(const char *kind)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (str_eq(kinds[i].kind, kind))
            return &kinds[i];
    return NULL;
}

MUST_USE static struct error *invalid(const char *where, const char *fmt, ...) PRINTF(2, 3);
static struct error *invalid(const char *where, const char *fmt, ...)
{
    AUTO_MEM char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = str_vformat(fmt, args);
    va_end(args);
    return error_because(ERROR_INVALID, "InvalidDocument", "%s: %s", where, text);
}

// --- what names what -----------------------------------------------------------------------------

static bool names(const json_t *config, const char *kind, const char *name)
{
    const json_t *values = doc_get(config, "spec", "driver", "valuesFrom", NULL);

    if (str_eq(kind, "Secret") &&
        str_eq(doc_str(config, "spec", "cluster", "kubeconfigSecretRef", "name", NULL), name))
        return true;
    for (size_t i = 0; i < json_array_size(values); i++)
        if (str_eq(doc_str(json_array_get(values, i), "kind", NULL), kind) &&
            str_eq(doc_str(json_array_get(values, i), "name", NULL), name))
            return true;
    return false;
}

static bool is_named(const json_t *documents, const char *kind, const char *name)
{
    for (size_t i = 0; i < json_array_size(documents); i++) {
        const json_t *object = doc_get(json_array_get(documents, i), "object", NULL);

        if (str_eq(doc_str(object, "kind", NULL), "DRAConfiguration") && names(object, kind, name))
            return true;
    }
    return false;
}

// --- Secrets -------------------------------------------------------------------------------------

// Of other types the API server, or somebody who trusts the type, makes more than was written: a
// token for any ServiceAccount of the namespace, a release of helm.
static struct error *check_secret(const json_t *object, const char *where)
{
    const char *type = doc_str(object, "type", NULL);

    if (*type && !str_eq(type, "Opaque") && !str_eq(type, "cluster.x-k8s.io/secret"))
        return invalid(where, "a Secret of a repository is of type Opaque, not %.*s",
                       TEXT_CUT(100, type));
    return NULL;
}

static struct error *check_metadata(const json_t *object, const char *where)
{
    if (doc_get(object, "metadata", "annotations", API_ANNOTATION_HOSTS, NULL))
        return invalid(where,
                       "the annotation " API_ANNOTATION_HOSTS
                       " is not taken from a repository: it says where a Secret may be sent");
    return NULL;
}

// --- one document --------------------------------------------------------------------------------

static struct error *check_content(const json_t *object, const struct source_kind *kind)
{
    AUTO_JSON json_t *adopted = NULL;
    struct api_config config;

    if (str_eq(kind->kind, "DRAConfiguration"))
        return api_config_parse(object, &config);
    if (str_eq(kind->kind, "KubermaticConfiguration"))
        return api_adopt_kubermatic(object, &adopted);
    return NULL;
}

static struct error *check_one(const json_t *documents, const json_t *object,
                               const struct api_source *spec, const char *where)
{
    const struct source_kind *kind = source_kind_find(doc_str(object, "kind", NULL));
    const char *namespace = doc_str(object, "metadata", "namespace", NULL),
               *name = doc_str(object, "metadata", "name", NULL);
    AUTO(error) struct error *content = NULL;

    if (!kind || !str_eq(doc_str(object, "apiVersion", NULL), kind->api_version))
        return invalid(where,
                       "a repository holds DRAConfigurations, KubermaticConfigurations, and the "
                       "ConfigMaps and Secrets that a "
                       "DRAConfiguration names, not %.*s %.*s",
                       TEXT_CUT(100, doc_str(object, "apiVersion", NULL)),
                       TEXT_CUT(100, doc_str(object, "kind", NULL)));
    if (!*name)
        return invalid(where, "metadata.name is missing");
    if (*namespace && !str_eq(namespace, spec->namespace))
        return invalid(
            where,
            "metadata.namespace is %.*s; a ConfigSource applies to its own namespace alone, %s",
            TEXT_CUT(100, namespace), spec->namespace);
    if (kind->named_alone && !is_named(documents, kind->kind, name))
        return invalid(where, "no DRAConfiguration of the commit names this %s", kind->kind);
    content = check_metadata(object, where);
    if (!content && str_eq(kind->kind, "Secret"))
        content = check_secret(object, where);
    if (content)
        return TAKE(content);
    content = check_content(object, kind);
    return content ? invalid(where, "%s", error_text(content)) : NULL;
}

// What people own in metadata; the rest is the server's, or would be a way around its rules.
static json_t *make_body(const json_t *object, const struct api_source *spec)
{
    json_t *body = doc_copy(object);
    json_t *metadata = json_object();
    AUTO_MEM char *source = str_format("%s/%s", spec->namespace, spec->name);

    json_object_del(body, "status");
    json_object_set_new(metadata, "name", doc_string(doc_str(object, "metadata", "name", NULL)));
    json_object_set_new(metadata, "namespace", doc_string(spec->namespace));
    if (json_is_object(doc_get(object, "metadata", "labels", NULL)))
        json_object_set_new(metadata, "labels",
                            doc_copy(doc_get(object, "metadata", "labels", NULL)));
    if (json_is_object(doc_get(object, "metadata", "annotations", NULL)))
        json_object_set_new(metadata, "annotations",
                            doc_copy(doc_get(object, "metadata", "annotations", NULL)));
    doc_set(metadata, doc_string(source), "annotations", API_ANNOTATION_SOURCE, NULL);
    json_object_set_new(body, "metadata", metadata);
    return body;
}

// --- all of them ---------------------------------------------------------------------------------

static const char *name_of(const struct source_item *item)
{
    return doc_str(item->body, "metadata", "name", NULL);
}

static const struct source_item *find_twin(const struct source_item *items, size_t len,
                                           const struct source_item *item)
{
    for (size_t i = 0; i < len; i++)
        if (items[i].kind == item->kind && str_eq(name_of(&items[i]), name_of(item)))
            return &items[i];
    return NULL;
}

static struct error *add(const json_t *documents, const json_t *document,
                         const struct api_source *spec, struct source_item *items, size_t *len)
{
    const json_t *object = json_object_get(document, "object");
    struct source_item *item = &items[*len];
    const struct source_item *twin;
    struct error *err;

    item->where = str_format("%s: %.*s %.*s", doc_str(document, "file", NULL),
                             TEXT_CUT(63, doc_str(object, "kind", NULL)),
                             TEXT_CUT(253, doc_str(object, "metadata", "name", NULL)));
    err = check_one(documents, object, spec, item->where);
    (*len)++;
    if (err)
        return err;
    item->kind = source_kind_find(doc_str(object, "kind", NULL));
    item->body = make_body(object, spec);
    twin = find_twin(items, *len - 1, item);
    return twin ? invalid(item->where, "the same object is in %s", twin->where) : NULL;
}

static void sort(struct source_item *items, size_t len)
{
    for (size_t i = 1; i < len; i++)
        for (size_t k = i; k > 0 && items[k].kind < items[k - 1].kind; k--) {
            struct source_item other = items[k];
            items[k] = items[k - 1];
            items[k - 1] = other;
        }
}

struct error *source_items_make(const json_t *documents, const struct api_source *spec,
                                struct source_item **ret_items, size_t *ret_len)
{
    struct source_item *items = mem_alloc((json_array_size(documents) + 1) * sizeof(*items));
    size_t len = 0;

    for (size_t i = 0; i < json_array_size(documents); i++) {
        struct error *err = add(documents, json_array_get(documents, i), spec, items, &len);

        if (err) {
            source_items_free(items, len);
            return err;
        }
    }
    sort(items, len);
    *ret_items = items;
    *ret_len = len;
    return NULL;
}

void source_items_free(struct source_item *items, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        mem_free(items[i].where);
        mem_free(items[i].version);
        json_decref(items[i].body);
        json_decref(items[i].extra);
    }
    mem_free(items);
}

static json_t *essence(const json_t *object)
{
    static const char *const served[] = {"managedFields", "resourceVersion", "generation", "uid",
                                         "creationTimestamp"};
    json_t *copy = doc_copy(object);

    json_object_del(copy, "status");
    for (size_t i = 0; i < COUNT(served); i++)
        json_object_del(json_object_get(copy, "metadata"), served[i]);
    return copy;
}

bool source_differs(const json_t *live, const json_t *dry_run)
{
    AUTO_JSON json_t *before = essence(live);
    AUTO_JSON json_t *after = essence(dry_run);

    return !doc_equal(before, after);
}

json_t *source_extra(const json_t *applied, const json_t *alone, const json_t *body)
{
    AUTO_JSON json_t *patch = doc_make_merge_patch(json_object_get(applied, "spec"), alone);

    if (!doc_get(body, "spec", "featureGates", NULL))
        json_object_del(patch, "featureGates");
    return json_object_size(patch) > 0 ? TAKE(patch) : NULL;
}

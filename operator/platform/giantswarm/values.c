// SPDX-License-Identifier: Apache-2.0
// Where the values of a cluster come from, and what ours are to say beside them. Maps of values are
// merged, lists replace each other: ours go into the list that the chart itself leaves empty, with
// what the user has there, and the user's own list and the chart's defaults stay as they are.
#include <string.h>

#include "giantswarm_internal.h"

#define PROVIDER "/cluster/providerIntegration"
#define INTERNAL "/cluster/internal/advancedConfiguration"
#define CDI "/global/components/containerd/cdi/enabled"

// giantswarm/cluster, helm/cluster/values.schema.json, from 4.1.0 on.
const struct giantswarm_place giantswarm_places[GIANTSWARM_PLACES] = {
    {COMPONENT_APISERVER, "kube-apiserver",
     PROVIDER "/controlPlane/kubeadmConfig/clusterConfiguration/apiServer/featureGates",
     INTERNAL "/controlPlane/apiServer/featureGates"},
    {COMPONENT_CONTROLLER_MANAGER, "kube-controller-manager",
     PROVIDER "/controlPlane/kubeadmConfig/clusterConfiguration/controllerManager/featureGates",
     INTERNAL "/controlPlane/controllerManager/featureGates"},
    {COMPONENT_SCHEDULER, "kube-scheduler",
     PROVIDER "/controlPlane/kubeadmConfig/clusterConfiguration/scheduler/featureGates",
     INTERNAL "/controlPlane/scheduler/featureGates"},
    // Of the control plane and of every pool: there is none for one pool.
    {COMPONENT_KUBELET, "kubelet", PROVIDER "/kubeadmConfig/featureGates",
     INTERNAL "/kubelet/featureGates"},
};

static bool is_app(const struct platform_giantswarm *gs)
{
    return gs->kind == KIND_APP;
}

const char *giantswarm_list(enum platform_kind kind)
{
    return kind == KIND_APP ? "extraConfigs" : "valuesFrom";
}

// --- ours ----------------------------------------------------------------------------------------

static char *prefix_of(const struct platform_giantswarm *gs)
{
    return str_format("%.*s-drawbridge-", TEXT_CUT(GIANTSWARM_NAME_BYTES_MAX, gs->name));
}

static const json_t *list_of(const struct platform_giantswarm *gs)
{
    return doc_get(gs->object, "spec", giantswarm_list(gs->kind), NULL);
}

// "configMap" of an App, where that is the default; "ConfigMap" of a HelmRelease.
static bool is_map(const struct platform_giantswarm *gs, const json_t *entry)
{
    const char *kind = doc_str(entry, "kind", NULL);

    return is_app(gs) ? !*kind || str_eq(kind, "configMap") : str_eq(kind, "ConfigMap");
}

// A HelmRelease knows none but its own.
static bool is_here(const struct platform_giantswarm *gs, const json_t *entry)
{
    return !is_app(gs) || str_eq(doc_str(entry, "namespace", NULL), gs->namespace);
}

int giantswarm_entry(const struct platform_giantswarm *gs)
{
    const json_t *list = list_of(gs);
    AUTO_MEM char *prefix = prefix_of(gs);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);

        if (is_map(gs, entry) && is_here(gs, entry) &&
            str_starts(doc_str(entry, "name", NULL), prefix))
            return (int)i;
    }
    return -1;
}

const char *giantswarm_named(const struct platform_giantswarm *gs)
{
    int entry = giantswarm_entry(gs);

    return entry < 0 ? NULL : doc_str(json_array_get(list_of(gs), (size_t)entry), "name", NULL);
}

// --- layers --------------------------------------------------------------------------------------

void giantswarm_layer_fini(struct giantswarm_layer *layer)
{
    mem_free(layer->where);
    mem_free(layer->name);
    mem_free(layer->key);
    json_decref(layer->values);
    *layer = (struct giantswarm_layer){0};
}

static struct giantswarm_layer *add_layer(struct platform_giantswarm *gs, unsigned rank)
{
    gs->layers = mem_realloc(gs->layers, (gs->layers_len + 1) * sizeof(*gs->layers));
    gs->layers[gs->layers_len] = (struct giantswarm_layer){.rank = rank};
    return &gs->layers[gs->layers_len++];
}

static void add_map(struct platform_giantswarm *gs, const char *name, const char *key,
                    unsigned rank, bool after)
{
    struct giantswarm_layer *layer = add_layer(gs, rank);

    layer->where = str_format("ConfigMap %s/%s", gs->namespace, name);
    layer->name = str_dup(name);
    layer->key = key ? str_dup(key) : NULL;
    layer->after = after;
}

// The App's own configuration comes after extra ones of up to 50, its user's after those of up to
// 100, and of equal ones the later after the earlier (giantswarm/app, pkg/values).
#define RANK_CONFIG 101
#define RANK_USER 201
#define RANK_OF(priority) ((unsigned)(priority) * 2)

static void add_app_map(struct platform_giantswarm *gs, const json_t *ref, unsigned rank,
                        bool after)
{
    const char *name = doc_str(ref, "name", NULL);

    if (*name && is_here(gs, ref))
        add_map(gs, name, NULL, rank, after);
    else if (*name)
        gs->unread++;
}

static void find_app_layers(struct platform_giantswarm *gs)
{
    static const struct {
        const char *field;
        unsigned rank;
    } fixed[] = {{"config", RANK_CONFIG}, {"userConfig", RANK_USER}};
    const json_t *list = list_of(gs);
    int entry = giantswarm_entry(gs);

    for (size_t i = 0; i < COUNT(fixed); i++) {
        add_app_map(gs, doc_get(gs->object, "spec", fixed[i].field, "configMap", NULL),
                    fixed[i].rank, false);
        if (*doc_str(gs->object, "spec", fixed[i].field, "secret", "name", NULL))
            gs->unread++;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        int64_t priority = doc_int(item, GIANTSWARM_PRIORITY_DEFAULT, "priority", NULL);

        priority = priority < 0 ? 0 : priority > 150 ? 150 : priority;
        if ((int)i == entry)
            continue;
        if (is_map(gs, item))
            add_app_map(gs, item, RANK_OF(priority),
                        priority > GIANTSWARM_PRIORITY ||
                            (priority == GIANTSWARM_PRIORITY && entry >= 0 && (int)i > entry));
        else
            gs->unread++;
    }
}

// One after the other, and what stands in the HelmRelease itself comes last
// (fluxcd/helm-controller, docs/spec/v2/helmreleases.md).
static void find_release_layers(struct platform_giantswarm *gs)
{
    const json_t *list = list_of(gs), *values = doc_get(gs->object, "spec", "values", NULL);
    int entry = giantswarm_entry(gs);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *key = doc_str(item, "valuesKey", NULL);

        if ((int)i == entry)
            continue;
        if (is_map(gs, item) && !*doc_str(item, "targetPath", NULL))
            add_map(gs, doc_str(item, "name", NULL), *key ? key : "values.yaml", (unsigned)i,
                    entry >= 0 && (int)i > entry);
        else
            gs->unread++;
    }
    if (values) {
        struct giantswarm_layer *layer = add_layer(gs, (unsigned)json_array_size(list));

        layer->where = str_format("spec.values of %s", gs->where);
        layer->after = true;
        layer->values = doc_copy(values);
    }
}

static void sort_layers(struct platform_giantswarm *gs)
{
    for (size_t i = 1; i < gs->layers_len; i++) {
        struct giantswarm_layer layer = gs->layers[i];
        size_t k = i;

        for (; k > 0 && gs->layers[k - 1].rank > layer.rank; k--)
            gs->layers[k] = gs->layers[k - 1];
        gs->layers[k] = layer;
    }
}

struct error *giantswarm_find_layers(struct platform_giantswarm *gs)
{
    if (json_array_size(list_of(gs)) > GIANTSWARM_LAYERS_MAX)
        return error_new(ERROR_LIMIT, "%s: spec.%s has more than %d entries", gs->where,
                         giantswarm_list(gs->kind), GIANTSWARM_LAYERS_MAX);
    if (is_app(gs))
        find_app_layers(gs);
    else
        find_release_layers(gs);
    sort_layers(gs);
    return NULL;
}

struct error *giantswarm_read_map(const json_t *map, const char *where, const char *key,
                                  json_t **ret_values)
{
    const json_t *data = json_object_get(map, "data");
    const json_t *text = key ? json_object_get(data, key)
                             : json_object_iter_value(json_object_iter((json_t *)(uintptr_t)data));
    AUTO_MEM char *name = str_format("%s: data", where);

    *ret_values = NULL;
    if (!json_is_string(text) || !*json_string_value(text))
        return NULL; // the chart gets nothing from it either
    return error_wrap(doc_parse_yaml(slice_of(json_string_value(text)), name, ret_values),
                      "values of the cluster");
}

// --- what they say -------------------------------------------------------------------------------

const json_t *giantswarm_said(const struct platform_giantswarm *gs, const char *at, bool after,
                              const struct giantswarm_layer **ret_layer)
{
    const json_t *said = NULL;

    *ret_layer = NULL;
    for (size_t i = 0; i < gs->layers_len; i++) {
        const json_t *list = doc_pointer(gs->layers[i].values, at);

        // An App's empty list is as none (imdario/mergo, WithOverride).
        if (gs->layers[i].after != after || !list || json_is_null(list) ||
            (is_app(gs) && json_is_array(list) && json_array_size(list) == 0))
            continue;
        said = list;
        *ret_layer = &gs->layers[i];
    }
    return said;
}

const json_t *giantswarm_item(const json_t *list, const char *gate)
{
    const json_t *found = NULL;

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(doc_str(json_array_get(list, i), "name", NULL), gate))
            found = json_array_get(list, i);
    }
    return found;
}

// "cluster.internal. .. .featureGates", as people write it. Owned.
static char *dotted(const char *pointer)
{
    char *text = str_dup(pointer + 1);

    for (char *c = text; *c; c++)
        *c = *c == '/' ? '.' : *c;
    return text;
}

static struct error *say_other(const struct platform_giantswarm *gs,
                               const struct giantswarm_layer *layer, const char *at,
                               const char *gate, const json_t *value)
{
    AUTO_MEM char *path = dotted(at);

    return error_because(ERROR_INVALID, "NotManaged",
                         "%s: %s in %s counts more than what is written for it, and %s there; set "
                         "it to %s, or take it out",
                         gs->where, path, layer->where, gate,
                         json_is_true(value) ? "true" : "false");
}

// Lists that win over ours must not say otherwise.
static struct error *check_others(const struct platform_giantswarm *gs,
                                  const struct giantswarm_place *place, const json_t *wanted)
{
    const struct giantswarm_layer *last, *before;
    const json_t *later = giantswarm_said(gs, place->provider, true, &last);
    const struct giantswarm_layer *internal_layer;
    const json_t *internal = giantswarm_said(gs, place->internal, true, &internal_layer);
    const char *gate;
    json_t *value;

    if (!internal) {
        internal = giantswarm_said(gs, place->internal, false, &before);
        internal_layer = before;
    }
    json_object_foreach((json_t *)(uintptr_t)wanted, gate, value) {
        const json_t *item = giantswarm_item(internal, gate);
        AUTO_MEM char *words =
            str_format("has %s as %s", gate, json_is_true(value) ? "false" : "true");

        if (item && doc_bool(item, false, "enabled", NULL) != json_is_true(value))
            return say_other(gs, internal_layer, place->internal, words, value);
        item = giantswarm_item(later, gate);
        if (later && (!item || doc_bool(item, false, "enabled", NULL) != json_is_true(value))) {
            mem_free(words);
            words = str_format("%s is not %s", gate, json_is_true(value) ? "true" : "false");
            return say_other(gs, last, place->provider, words, value);
        }
    }
    return NULL;
}

// --- ours, made ----------------------------------------------------------------------------------

// The value there, made with the maps above it.
static void put_at(json_t *tree, const char *pointer, json_t *take_value)
{
    struct slice rest = slice_of(pointer + 1), part;
    json_t *at = tree;

    while (slice_cut(&rest, '/', &part) && rest.len > 0) {
        AUTO_MEM char *key = slice_dup(part);

        if (!json_object_get(at, key))
            json_object_set_new(at, key, json_object());
        at = json_object_get(at, key);
    }
    AUTO_MEM char *last = slice_dup(part);
    json_object_set_new(at, last, take_value);
}

// The first minor that has the gate no more: the chart then leaves it out by itself.
static void put_max(json_t *item, const char *gate)
{
    const struct gates_table *table = gates_table_builtin();
    struct version first, last;
    AUTO_MEM char *text = NULL;

    if (!gates_ever(table, gate, &first, &last) ||
        version_compare_minor(last, gates_table_newest(table)) >= 0)
        return;
    text = str_format("%d.%d.0", last.major, last.minor + 1);
    json_object_set_new(item, "maxKubernetesVersion", doc_string(text));
}

static json_t *make_list(const struct platform_giantswarm *gs, const struct giantswarm_place *place,
                         const json_t *wanted)
{
    const struct giantswarm_layer *layer;
    const json_t *theirs = giantswarm_said(gs, place->provider, false, &layer);
    AUTO_STRLIST struct strlist names = {0};
    json_t *list = json_array(), *value;
    const char *gate;

    for (size_t i = 0; i < json_array_size(theirs); i++) {
        const json_t *item = json_array_get(theirs, i);

        if (!json_object_get(wanted, doc_str(item, "name", NULL)))
            json_array_append_new(list, doc_copy(item));
    }
    json_object_foreach((json_t *)(uintptr_t)wanted, gate, value)
        strlist_add(&names, gate);
    strlist_sort(&names);
    for (size_t i = 0; i < names.len; i++) {
        json_t *item = json_object();

        json_object_set_new(item, "name", doc_string(names.items[i]));
        json_object_set(item, "enabled", json_object_get(wanted, names.items[i]));
        if (giantswarm_has(gs, GIANTSWARM_MAX_VERSION))
            put_max(item, names.items[i]);
        json_array_append_new(list, item);
    }
    return list;
}

// What a driver gives to containers goes by CDI, which the chart has off.
static void put_cdi(const struct platform_giantswarm *gs, json_t *values)
{
    const struct giantswarm_layer *layer;

    if (giantswarm_has(gs, GIANTSWARM_CDI) && !giantswarm_said(gs, CDI, false, &layer) &&
        !giantswarm_said(gs, CDI, true, &layer))
        put_at(values, CDI, json_true());
}

struct error *giantswarm_make_values(const struct platform_giantswarm *gs, const json_t *gates,
                                     json_t **ret_values)
{
    AUTO_JSON json_t *values = json_object();
    struct error *err = NULL;

    *ret_values = NULL;
    for (size_t i = 0; !err && i < GIANTSWARM_PLACES; i++) {
        const struct giantswarm_place *place = &giantswarm_places[i];
        const json_t *wanted = json_object_get(gates, place->slot);

        if (json_object_size(wanted) == 0)
            continue;
        err = check_others(gs, place, wanted);
        if (!err)
            put_at(values, place->provider, make_list(gs, place, wanted));
    }
    if (err || json_object_size(values) == 0)
        return err;
    put_cdi(gs, values);
    *ret_values = TAKE(values);
    return NULL;
}

json_t *giantswarm_make_map(const struct platform_giantswarm *gs, const json_t *values)
{
    AUTO_MEM char *text = doc_print_yaml(values);
    AUTO_MEM char *prefix = prefix_of(gs);
    AUTO_MEM char *name = NULL;
    char digest[DOC_DIGEST_BYTES];
    json_t *map = json_object();

    doc_digest(slice_of(text), digest);
    digest[8] = '\0';
    name = str_format("%s%s", prefix, digest);
    json_object_set_new(map, "apiVersion", doc_string("v1"));
    json_object_set_new(map, "kind", doc_string("ConfigMap"));
    doc_set(map, doc_string(name), "metadata", "name", NULL);
    doc_set(map, doc_string(gs->namespace), "metadata", "namespace", NULL);
    doc_set(map, doc_string(gs->name), "metadata", "labels", CAPI_OURS_LABEL, NULL);
    doc_set(map, doc_string(gs->name), "metadata", "labels", "giantswarm.io/cluster", NULL);
    doc_set(map, doc_string(text), "data", GIANTSWARM_KEY, NULL);
    json_object_set_new(map, "immutable", json_true()); // its name says what is in it
    return map;
}

static json_t *make_entry(const struct platform_giantswarm *gs, const char *map)
{
    json_t *entry = json_object();

    json_object_set_new(entry, "kind", doc_string(is_app(gs) ? "configMap" : "ConfigMap"));
    json_object_set_new(entry, "name", doc_string(map));
    if (is_app(gs)) {
        json_object_set_new(entry, "namespace", doc_string(gs->namespace));
        json_object_set_new(entry, "priority", json_integer(GIANTSWARM_PRIORITY));
    } else {
        json_object_set_new(entry, "valuesKey", doc_string(GIANTSWARM_KEY));
    }
    return entry;
}

json_t *giantswarm_name_map(const struct platform_giantswarm *gs, const char *map, bool keep)
{
    const char *field = giantswarm_list(gs->kind);
    json_t *object = doc_copy(gs->object);
    json_t *spec = json_object_get(object, "spec"), *list = json_object_get(spec, field);
    int entry = giantswarm_entry(gs);

    if (map && entry >= 0) {
        json_array_set_new(list, (size_t)entry, make_entry(gs, map));
    } else if (map) {
        if (!json_is_array(list))
            doc_set(object, json_array(), "spec", field, NULL);
        json_array_append_new(json_object_get(json_object_get(object, "spec"), field),
                              make_entry(gs, map));
    } else if (entry >= 0) {
        json_array_remove(list, (size_t)entry);
        if (json_array_size(list) == 0 && !keep)
            json_object_del(spec, field);
    }
    return object;
}

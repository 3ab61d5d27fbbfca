// SPDX-License-Identifier: Apache-2.0
// The table of platforms, and what everybody else asks of it.
#include <string.h>

#include "platform_internal.h"

typedef const struct platform *platform_get_fn(void);

static platform_get_fn *const table[PLATFORM_TYPE_COUNT] = {
    [PLATFORM_KUBEADM] = platform_kubeadm,  [PLATFORM_HOSTED_CONTROL_PLANE] = platform_hosted,
    [PLATFORM_CLUSTER_API] = platform_capi, [PLATFORM_GIANT_SWARM] = platform_giantswarm,
    [PLATFORM_KWOK] = platform_kwok,        [PLATFORM_OBSERVE] = platform_observe_only,
};

const struct platform *platform_find(enum platform_type type)
{
    ASSERT(type < PLATFORM_TYPE_COUNT);
    return table[type] ? table[type]() : NULL;
}

const struct platform_traits *platform_traits(enum platform_type type)
{
    static const struct platform_traits unknown = {.writes = true};
    const struct platform *platform = platform_find(type);

    return platform ? &platform->traits : &unknown;
}

static enum platform_type type_named(const char *name)
{
    for (int i = 0; i < PLATFORM_TYPE_COUNT; i++) {
        if (str_eq(platform_type_name((enum platform_type)i), name))
            return (enum platform_type)i;
    }
    return PLATFORM_AUTO;
}

bool platform_is_detected(struct slice name)
{
    for (int i = 0; i < PLATFORM_TYPE_COUNT; i++) {
        const struct platform *platform = platform_find((enum platform_type)i);

        if (platform && platform->signs &&
            slice_eq(name, platform_type_name((enum platform_type)i)))
            return true;
    }
    return false;
}

enum platform_type platform_type_of(const json_t *config)
{
    enum platform_type type = type_named(doc_str(config, "spec", "platform", "type", NULL));
    const char *found = doc_str(config, "status", "platform", NULL);

    return type == PLATFORM_AUTO && platform_is_detected(slice_of(found)) ? type_named(found)
                                                                          : type;
}

struct error *platform_parse(const json_t *object, struct api_config *ret_config)
{
    struct error *err = api_config_parse(object, ret_config);

    if (!err && ret_config->platform == PLATFORM_AUTO)
        ret_config->platform = platform_type_of(object);
    return err;
}

char *platform_name_of_secret(const json_t *cluster)
{
    static const char end[] = "-kubeconfig";
    const json_t *ref = json_object_get(cluster, "kubeconfigSecretRef");
    const char *name = doc_str(ref, "name", NULL), *key = doc_str(ref, "key", NULL);
    size_t len = strlen(name);

    if (len < sizeof(end) || !str_eq(name + len - strlen(end), end) ||
        (*key && !str_eq(key, "value")))
        return NULL;
    return str_ndup(name, len - strlen(end));
}

char *platform_name_of(const char *given, const json_t *cluster, const char *own)
{
    char *name = *given ? str_dup(given) : platform_name_of_secret(cluster);

    return name ? name : str_dup(own);
}

const struct platform_traits *platform_traits_of(const json_t *config)
{
    return platform_traits(platform_type_of(config));
}

enum platform_type platform_decide(const struct api_config *config)
{
    static const enum platform_type found[] = {PLATFORM_KUBEADM, PLATFORM_OBSERVE};

    for (size_t i = 0; config->platform == PLATFORM_AUTO && i < COUNT(found); i++) {
        if (str_eq(doc_str(config->status, "platform", NULL), platform_type_name(found[i])))
            return found[i];
    }
    return config->platform;
}

// PLATFORM_TYPE_COUNT: none
static enum platform_type find_writer(const struct cluster *cluster,
                                      const struct api_config *config)
{
    int i = 0;

    for (; i < PLATFORM_TYPE_COUNT; i++) {
        const struct platform *platform = platform_find((enum platform_type)i);

        if (platform && platform->wrote && platform->wrote(cluster, config))
            break;
    }
    return (enum platform_type)i;
}

bool platform_wrote(const struct cluster *cluster, const struct api_config *config)
{
    return find_writer(cluster, config) != PLATFORM_TYPE_COUNT;
}

enum platform_type platform_decide_end(const struct cluster *cluster,
                                       const struct api_config *config)
{
    enum platform_type found = find_writer(cluster, config);

    return found == PLATFORM_TYPE_COUNT ? config->platform : found;
}

struct error *platform_check_kept(const struct cluster *cluster, const struct api_config *config)
{
    enum platform_type was = platform_decide_end(cluster, config);
    const struct platform *platform = platform_find(config->platform);

    if (was == platform_decide(config))
        return NULL;
    // Objects are found by that spec alone; what agents wrote the end takes back.
    if (!platform_traits(was)->objects && !(platform && platform->traits.writes))
        return NULL;
    return error_because(
        ERROR_INVALID, "InvalidConfiguration",
        "spec.platform.type: what this DRAConfiguration wrote as %s is still "
        "there; set it back to that, or delete the object with deletionPolicy Revert, or with "
        "Retain to leave it",
        platform_type_name(was));
}

bool platform_is_in_target(const struct api_config *config)
{
    return config->cluster && !platform_traits(config->platform)->nodes_elsewhere;
}

bool platform_names_target(const json_t *config)
{
    return doc_get(config, "spec", "cluster", NULL) && !platform_traits_of(config)->nodes_elsewhere;
}

bool platform_drives_here(const json_t *config)
{
    return !platform_names_target(config) && !platform_traits_of(config)->nodes_elsewhere;
}

bool platform_way(const json_t *config, struct cluster_way *ret_way)
{
    const struct platform *platform = platform_find(platform_type_of(config));
    const json_t *ref = doc_get(config, "spec", "cluster", "kubeconfigSecretRef", NULL);
    const char *key = doc_str(ref, "key", NULL);

    *ret_way = (struct cluster_way){0};
    if (ref)
        *ret_way = (struct cluster_way){.namespace =
                                            str_dup(doc_str(config, "metadata", "namespace", NULL)),
                                        .name = str_dup(doc_str(ref, "name", NULL)),
                                        .key = str_dup(*key ? key : "value"),
                                        .field = "spec.cluster.kubeconfigSecretRef"};
    else if (config && platform && platform->way)
        platform->way(config, ret_way);
    ret_way->bare = platform_traits_of(config)->nodes_elsewhere;
    return ret_way->name != NULL;
}

// "Kubeadm, HostedControlPlane or Observe"
static char *names_text(void)
{
    AUTO_STRLIST struct strlist names = {0};
    AUTO_MEM char *first = NULL;
    AUTO_MEM char *last = NULL;

    for (int i = 0; i < PLATFORM_TYPE_COUNT; i++) {
        if (table[i])
            strlist_add(&names, platform_type_name((enum platform_type)i));
    }
    last = str_dup(names.items[names.len - 1]);
    mem_free(names.items[--names.len]);
    first = strlist_join(&names, ", ");
    return str_format("%s or %s", first, last);
}

struct error *platform_check(const struct api_config *config)
{
    const struct platform *platform = platform_find(config->platform);
    AUTO_MEM char *names = NULL;

    if (!platform && config->platform != PLATFORM_AUTO) {
        names = names_text();
        return error_because(ERROR_INVALID, "NotSupported",
                             "spec.platform.type: %s is not supported by this version; use %s",
                             platform_type_name(config->platform), names);
    }
    return platform && platform->check ? platform->check(config) : NULL;
}

char *platform_cluster_named(const json_t *config)
{
    const json_t *ref = doc_get(config, "spec", "cluster", "kubeconfigSecretRef", NULL);

    if (!ref)
        return str_dup(CLUSTER_HOME);
    return str_format("cluster of Secret %s/%s %s", doc_str(config, "metadata", "namespace", NULL),
                      doc_str(ref, "name", NULL), doc_str(ref, "key", NULL));
}

void platform_targets_named(const json_t *config, struct strlist *names)
{
    const struct platform *platform = platform_find(platform_type_of(config));

    if (platform && platform->name_targets)
        platform->name_targets(config, names);
    else if (!platform || platform->traits.writes)
        strlist_take(names, platform_cluster_named(config));
    strlist_sort(names);
}

const char *platform_reaches(enum platform_type type, const json_t *config)
{
    const struct platform *platform = platform_find(type);

    return platform && platform->reaches ? platform->reaches(config) : NULL;
}

size_t platform_follows(const json_t *config, struct platform_follow follows[PLATFORM_FOLLOWS_MAX])
{
    const struct platform *platform = platform_find(platform_type_of(config));

    return platform && platform->follows ? platform->follows(config, follows) : 0;
}

void platform_follow_fini(struct platform_follow *follow)
{
    mem_free(follow->namespace);
    mem_free(follow->field_selector);
    *follow = (struct platform_follow){0};
}

struct error *platform_preview(const struct platform_observed *observed, const struct plan *plan,
                               json_t **ret_before, json_t **ret_after)
{
    const struct platform *platform = platform_find(observed->type);

    ASSERT(platform && platform->preview);
    return platform->preview(observed, plan, ret_before, ret_after);
}

// --- what of an object matters -------------------------------------------------------------------

// Owners, marks of other tools, our record: of which only whether they changed matters.
static void keep_metadata(json_t *kept, const json_t *object)
{
    static const char *const parts[] = {"labels", "annotations", "ownerReferences"};
    AUTO_JSON json_t *all = json_object();
    char digest[DOC_DIGEST_BYTES];

    for (size_t i = 0; i < COUNT(parts); i++) {
        const json_t *part = doc_get(object, "metadata", parts[i], NULL);

        if (part)
            json_object_set_new(all, parts[i], doc_copy(part));
    }
    doc_set(kept, doc_string(doc_digest_tree(all, digest)), "marks", NULL);
}

// Of a workload, and of Cluster API's objects.
static bool is_told(const char *type)
{
    static const char *const types[] = {"Progressing", "TopologyReconciled", "Paused"};
    bool told = false;

    for (size_t i = 0; i < COUNT(types); i++)
        told = told || str_eq(types[i], type);
    return told;
}

json_t *platform_trim_followed(const json_t *object)
{
    static const char *const counts[] = {"observedGeneration", "replicas",
                                         "updatedReplicas",    "upToDateReplicas",
                                         "readyReplicas",      "availableReplicas"};
    json_t *kept = json_object();
    const json_t *conditions = doc_get(object, "status", "conditions", NULL);

    for (size_t i = 0; i < COUNT(counts); i++)
        doc_set(kept, json_integer((json_int_t)doc_int(object, 0, "status", counts[i], NULL)),
                "status", counts[i], NULL);
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (is_told(doc_str(condition, "type", NULL)))
            doc_set(kept, doc_string(doc_str(condition, "status", NULL)), "status",
                    doc_str(condition, "type", NULL), NULL);
    }
    cluster_trim_keep(kept, object, "metadata", "name");
    cluster_trim_keep(kept, object, "metadata", "namespace");
    cluster_trim_keep(kept, object, "metadata", "resourceVersion");
    doc_set(kept, json_integer((json_int_t)doc_int(object, 0, "metadata", "generation", NULL)),
            "generation", NULL);
    keep_metadata(kept, object);
    return kept;
}

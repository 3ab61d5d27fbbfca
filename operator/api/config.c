// SPDX-License-Identifier: Apache-2.0
// From the object of the API server (or of a file) to the view that the rest of the program works
// with.
#include <string.h>

#include "api_internal.h"

static const char *const platforms[PLATFORM_TYPE_COUNT] = {
    [PLATFORM_AUTO] = "Auto",
    [PLATFORM_KUBEADM] = "Kubeadm",
    [PLATFORM_HOSTED_CONTROL_PLANE] = "HostedControlPlane",
    [PLATFORM_KUBERMATIC] = "Kubermatic",
    [PLATFORM_CLUSTER_API] = "ClusterAPI",
    [PLATFORM_GIANT_SWARM] = "GiantSwarm",
    [PLATFORM_KWOK] = "Kwok",
    [PLATFORM_OBSERVE] = "Observe",
};

const char *platform_type_name(enum platform_type type)
{
    ASSERT(type < PLATFORM_TYPE_COUNT);
    return platforms[type];
}

// One for the whole program: views point to it where the object has no map.
static const json_t *empty_map(void)
{
    static json_t *map;

    if (!map)
        map = json_object();
    return map;
}

static const json_t *map_or_empty(const json_t *value)
{
    return json_is_object(value) ? value : empty_map();
}

static bool is_set(const json_t *value)
{
    return value && !json_is_null(value);
}

static const json_t *set_or_null(const json_t *value)
{
    return is_set(value) ? value : NULL;
}

static struct error *read_kind(const json_t *object)
{
    const char *version = doc_str(object, "apiVersion", NULL);
    const char *kind = doc_str(object, "kind", NULL);

    if (!json_is_object(object))
        return api_invalid("object", "must be a map");
    // Items of a list may come without both.
    if (!json_object_get(object, "kind") && !json_object_get(object, "apiVersion"))
        return NULL;
    if (!str_eq(kind, "DRAConfiguration"))
        return api_invalid("kind", "must be DRAConfiguration, not %.*s",
                           TEXT_CUT(100, *kind ? kind : "nothing"));
    if (!str_eq(version, API_GROUP_VERSION))
        return api_invalid("apiVersion", "must be %s, not %.*s", API_GROUP_VERSION,
                           TEXT_CUT(100, *version ? version : "nothing"));
    return NULL;
}

static struct error *read_metadata(const json_t *object, struct api_config *config)
{
    const json_t *finalizers = doc_get(object, "metadata", "finalizers", NULL);

    config->namespace = doc_str(object, "metadata", "namespace", NULL);
    config->name = doc_str(object, "metadata", "name", NULL);
    config->uid = doc_str(object, "metadata", "uid", NULL);
    config->resource_version = doc_str(object, "metadata", "resourceVersion", NULL);
    config->reconcile_requested_at = json_string_value(
        doc_get(object, "metadata", "annotations", API_ANNOTATION_RECONCILE, NULL));
    config->generation = doc_int(object, 0, "metadata", "generation", NULL);
    config->deleting = is_set(doc_get(object, "metadata", "deletionTimestamp", NULL));
    for (size_t i = 0; i < json_array_size(finalizers); i++)
        if (str_eq(json_string_value(json_array_get(finalizers, i)), API_FINALIZER))
            config->has_finalizer = true;
    if (!*config->name)
        return api_invalid("metadata.name", "is required");
    return NULL;
}

static struct error *read_duration(const json_t *spec, const char *name, const char *fallback,
                                   uint64_t min_ms, uint64_t *ret_ms)
{
    const char *text = doc_str(spec, "rollout", name, NULL);
    AUTO_MEM char *path = str_format("spec.rollout.%s", name);
    struct error *err;

    if (!is_set(doc_get(spec, "rollout", name, NULL)))
        text = fallback;
    err = api_duration_parse(text, ret_ms);
    if (err) {
        err = error_wrap(err, "%s", path);
        error_set_reason(err, "InvalidConfiguration");
        return err;
    }
    if (*ret_ms < min_ms || *ret_ms > DURATION_MAX_MS)
        return api_invalid(path, "must be between %us and 1h", (unsigned)(min_ms / 1000));
    return NULL;
}

static enum platform_type read_platform(const json_t *spec)
{
    const char *name = doc_str(spec, "platform", "type", NULL);

    for (size_t i = 0; i < PLATFORM_TYPE_COUNT; i++)
        if (str_eq(platforms[i], name))
            return (enum platform_type)i;
    return PLATFORM_AUTO; // absent: api_fields_check() has seen that nothing else is there
}

// An object is named in one way.
static struct error *check_hosted(const json_t *hosted)
{
    static const char *const components[] = {"apiServer", "controllerManager", "scheduler"};

    for (size_t i = 0; i < COUNT(components); i++) {
        const json_t *component = set_or_null(json_object_get(hosted, components[i]));
        AUTO_MEM char *path = str_format("spec.platform.hostedControlPlane.%s", components[i]);
        if (component && *doc_str(hosted, "tenantControlPlane", NULL))
            return api_invalid(path, "has no meaning beside tenantControlPlane");
        if (component && is_set(json_object_get(component, "name")) ==
                             is_set(json_object_get(component, "selector")))
            return api_invalid(path, "needs either a name or a selector");
    }
    return NULL;
}

static struct error *read_spec(const json_t *spec, struct api_config *config)
{
    struct error *err = api_fields_check(spec);
    struct version minor;

    if (err)
        return err;
    config->feature_gates = map_or_empty(doc_get(spec, "featureGates", NULL));
    config->runtime_config = map_or_empty(doc_get(spec, "runtimeConfig", NULL));
    config->features = set_or_null(doc_get(spec, "features", NULL));
    config->prepare_for = doc_str(spec, "upgrade", "prepareFor", NULL);
    if (*config->prepare_for && !version_parse(config->prepare_for, &minor))
        return api_invalid("spec.upgrade.prepareFor", "must be a minor version such as 1.38");
    config->remove_foreign = str_eq(doc_str(spec, "upgrade", "foreignEntries", NULL), "Remove");
    config->allow_alpha = doc_bool(spec, false, "allowAlpha", NULL);
    config->suspend = doc_bool(spec, false, "suspend", NULL);
    config->revert = str_eq(doc_str(spec, "deletionPolicy", NULL), "Revert");
    config->rollback = !str_eq(doc_str(spec, "rollout", "onFailure", NULL), "Pause");
    config->platform = read_platform(spec);
    config->max_unavailable_percent = api_percent(doc_get(spec, "rollout", "maxUnavailable", NULL));
    config->max_unavailable = (unsigned)doc_int(spec, 1, "rollout", "maxUnavailable", NULL);
    config->driver = set_or_null(doc_get(spec, "driver", NULL));
    config->cluster = set_or_null(doc_get(spec, "cluster", NULL));
    config->hosted = set_or_null(doc_get(spec, "platform", "hostedControlPlane", NULL));
    config->capi = set_or_null(doc_get(spec, "platform", "clusterAPI", NULL));
    config->giantswarm = set_or_null(doc_get(spec, "platform", "giantSwarm", NULL));
    config->smoke_test = doc_bool(spec, false, "smokeTest", "enabled", NULL);
    if (config->hosted && config->platform != PLATFORM_HOSTED_CONTROL_PLANE)
        return api_invalid("spec.platform.hostedControlPlane",
                           "goes with platform.type HostedControlPlane alone");
    if (config->capi && config->platform != PLATFORM_CLUSTER_API)
        return api_invalid("spec.platform.clusterAPI", "goes with platform.type ClusterAPI alone");
    if (config->giantswarm && config->platform != PLATFORM_GIANT_SWARM)
        return api_invalid("spec.platform.giantSwarm", "goes with platform.type GiantSwarm alone");
    err = check_hosted(config->hosted);
    if (err)
        return err;
    err = read_duration(spec, "componentTimeout", "5m", DURATION_MIN_MS,
                        &config->component_timeout_ms);
    if (err)
        return err;
    return read_duration(spec, "minReady", "30s", 0, &config->min_ready_ms);
}

struct error *api_config_parse(const json_t *object, struct api_config *ret_config)
{
    struct api_config config = {.namespace = ""};
    struct error *err = read_kind(object);

    if (!err)
        err = read_metadata(object, &config);
    if (!err)
        err = read_spec(doc_get(object, "spec", NULL), &config);
    if (err)
        return err;
    config.status = doc_get(object, "status", NULL);
    if (!is_set(config.status))
        config.status = NULL;
    *ret_config = config;
    return NULL;
}

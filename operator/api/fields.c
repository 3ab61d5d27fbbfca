// SPDX-License-Identifier: Apache-2.0
// The properties of a DRAConfiguration and a ConfigSource in one table, and the check of an object
// against it: `plan -f FILE` sees files that no API server has looked at, and an API server may
// have an older schema than this program.
#include <string.h>

#include "api_internal.h"

#define DEPTH_MAX 8

static const struct api_field fields[] = {
    {.path = "spec.featureGates",
     .type = FIELD_MAP_BOOL,
     .max = 256,
     .fallback = "{}",
     .read = true},
    {.path = "spec.runtimeConfig",
     .type = FIELD_MAP_TEXT,
     .max = 64,
     .values = "true false",
     .fallback = "{}",
     .read = true},
    {.path = "spec.features", .type = FIELD_NAMES, .max = 64, .read = true},
    {.path = "spec.upgrade", .type = FIELD_OBJECT, .read = true},
    {.path = "spec.upgrade.prepareFor", .type = FIELD_TEXT, .min = 1, .max = 16},
    {.path = "spec.upgrade.foreignEntries",
     .type = FIELD_TEXT,
     .values = "Report Remove",
     .fallback = "\"Report\"",
     .read = true},
    {.path = "spec.allowAlpha", .type = FIELD_BOOL, .fallback = "false", .read = true},
    {.path = "spec.cluster", .type = FIELD_OBJECT, .read = true},
    {.path = "spec.cluster.kubeconfigSecretRef", .type = FIELD_OBJECT, .required = true},
    {.path = "spec.cluster.kubeconfigSecretRef.name",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253,
     .required = true},
    {.path = "spec.cluster.kubeconfigSecretRef.key",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253,
     .fallback = "\"value\""},
    {.path = "spec.platform", .type = FIELD_OBJECT, .fallback = "{}", .read = true},
    {.path = "spec.platform.type",
     .type = FIELD_TEXT,
     .values = "Auto Kubeadm HostedControlPlane Kubermatic ClusterAPI GiantSwarm Kwok Observe",
     .fallback = "\"Auto\"",
     .read = true},
    {.path = "spec.platform.clusterAPI", .type = FIELD_OBJECT, .read = true},
    {.path = "spec.platform.clusterAPI.namespace", .type = FIELD_TEXT, .min = 1, .max = 63},
    {.path = "spec.platform.clusterAPI.name", .type = FIELD_TEXT, .min = 1, .max = 63},
    {.path = "spec.platform.giantSwarm", .type = FIELD_OBJECT, .read = true},
    {.path = "spec.platform.giantSwarm.namespace", .type = FIELD_TEXT, .min = 1, .max = 63},
    {.path = "spec.platform.giantSwarm.name", .type = FIELD_TEXT, .min = 1, .max = 63},
    {.path = "spec.platform.hostedControlPlane", .type = FIELD_OBJECT, .read = true},
    {.path = "spec.platform.hostedControlPlane.namespace", .type = FIELD_TEXT, .min = 1, .max = 63},
    {.path = "spec.platform.hostedControlPlane.tenantControlPlane",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253},
    {.path = "spec.platform.hostedControlPlane.apiServer", .type = FIELD_OBJECT},
    {.path = "spec.platform.hostedControlPlane.apiServer.name",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253},
    {.path = "spec.platform.hostedControlPlane.apiServer.selector",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 1024},
    {.path = "spec.platform.hostedControlPlane.controllerManager", .type = FIELD_OBJECT},
    {.path = "spec.platform.hostedControlPlane.controllerManager.name",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253},
    {.path = "spec.platform.hostedControlPlane.controllerManager.selector",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 1024},
    {.path = "spec.platform.hostedControlPlane.scheduler", .type = FIELD_OBJECT},
    {.path = "spec.platform.hostedControlPlane.scheduler.name",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253},
    {.path = "spec.platform.hostedControlPlane.scheduler.selector",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 1024},
    {.path = "spec.driver", .type = FIELD_OBJECT, .read = true},
    {.path = "spec.driver.preset", .type = FIELD_TEXT, .min = 1, .max = 63},
    {.path = "spec.driver.chart", .type = FIELD_OBJECT},
    {.path = "spec.driver.chart.ref", .type = FIELD_TEXT, .max = 1024},
    {.path = "spec.driver.chart.path", .type = FIELD_TEXT, .min = 1, .max = 1024},
    {.path = "spec.driver.chart.repo", .type = FIELD_TEXT, .max = 1024},
    {.path = "spec.driver.chart.name", .type = FIELD_TEXT, .min = 1, .max = 253},
    {.path = "spec.driver.chart.version", .type = FIELD_TEXT, .min = 1, .max = 128},
    {.path = "spec.driver.chart.digest", .type = FIELD_TEXT, .max = 71},
    {.path = "spec.driver.release", .type = FIELD_TEXT, .max = 53},
    {.path = "spec.driver.namespace", .type = FIELD_TEXT, .max = 63},
    {.path = "spec.driver.values", .type = FIELD_ANY},
    {.path = "spec.driver.valuesFrom", .type = FIELD_LIST, .max = 16},
    {.path = "spec.driver.valuesFrom[].kind",
     .type = FIELD_TEXT,
     .values = "ConfigMap Secret",
     .required = true},
    {.path = "spec.driver.valuesFrom[].name",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253,
     .required = true},
    {.path = "spec.driver.valuesFrom[].key",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253,
     .fallback = "\"values.yaml\""},
    {.path = "spec.driver.valuesFrom[].optional", .type = FIELD_BOOL, .fallback = "false"},
    {.path = "spec.driver.serviceAccountName", .type = FIELD_TEXT, .min = 1, .max = 253},
    {.path = "spec.driver.engine",
     .type = FIELD_TEXT,
     .values = "Helm HelmRelease HelmChart ApplicationInstallation External",
     .fallback = "\"Helm\""},
    {.path = "spec.rollout", .type = FIELD_OBJECT, .fallback = "{}", .read = true},
    {.path = "spec.rollout.maxUnavailable",
     .type = FIELD_INTEGER_OR_PERCENT,
     .min = 1,
     .max = API_UNAVAILABLE_MAX,
     .fallback = "1",
     .read = true},
    {.path = "spec.rollout.componentTimeout",
     .type = FIELD_DURATION,
     .max = 32,
     .fallback = "\"5m\"",
     .read = true},
    {.path = "spec.rollout.minReady",
     .type = FIELD_DURATION,
     .max = 32,
     .fallback = "\"30s\"",
     .read = true},
    {.path = "spec.rollout.onFailure",
     .type = FIELD_TEXT,
     .values = "Rollback Pause",
     .fallback = "\"Rollback\"",
     .read = true},
    {.path = "spec.smokeTest", .type = FIELD_OBJECT},
    {.path = "spec.smokeTest.enabled", .type = FIELD_BOOL, .fallback = "false"},
    {.path = "spec.smokeTest.deviceClassName", .type = FIELD_TEXT, .min = 1, .max = 253},
    {.path = "spec.deletionPolicy",
     .type = FIELD_TEXT,
     .values = "Retain Revert",
     .fallback = "\"Retain\"",
     .read = true},
    {.path = "spec.suspend", .type = FIELD_BOOL, .fallback = "false", .read = true},

    // spec of a ConfigSource
    {.path = "source.url", .type = FIELD_TEXT, .min = 1, .max = 2048, .required = true},
    {.path = "source.ref", .type = FIELD_OBJECT, .fallback = "{}"},
    {.path = "source.ref.branch", .type = FIELD_TEXT, .min = 1, .max = 250},
    {.path = "source.ref.tag", .type = FIELD_TEXT, .min = 1, .max = 250},
    {.path = "source.ref.semver", .type = FIELD_TEXT, .min = 1, .max = 250},
    {.path = "source.ref.commit", .type = FIELD_TEXT, .min = 40, .max = 40},
    {.path = "source.path", .type = FIELD_TEXT, .max = 1024, .fallback = "\"\""},
    {.path = "source.interval", .type = FIELD_DURATION, .max = 32, .fallback = "\"5m\""},
    {.path = "source.timeout", .type = FIELD_DURATION, .max = 32, .fallback = "\"1m\""},
    {.path = "source.secretRef", .type = FIELD_OBJECT},
    {.path = "source.secretRef.name", .type = FIELD_TEXT, .min = 1, .max = 253, .required = true},
    {.path = "source.verify", .type = FIELD_OBJECT},
    {.path = "source.verify.secretRef", .type = FIELD_OBJECT, .required = true},
    {.path = "source.verify.secretRef.name",
     .type = FIELD_TEXT,
     .min = 1,
     .max = 253,
     .required = true},
    {.path = "source.prune", .type = FIELD_BOOL, .fallback = "false"},
    {.path = "source.suspend", .type = FIELD_BOOL, .fallback = "false"},
};

const struct api_field *api_fields(size_t *ret_len)
{
    *ret_len = COUNT(fields);
    return fields;
}

const struct api_field *api_field_find(const char *path)
{
    for (size_t i = 0; i < COUNT(fields); i++)
        if (str_eq(fields[i].path, path))
            return &fields[i];
    return NULL;
}

struct error *api_invalid(const char *path, const char *fmt, ...)
{
    AUTO_MEM char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = str_vformat(fmt, args);
    va_end(args);
    return error_because(ERROR_INVALID, "InvalidConfiguration", "%s: %s", path, text);
}

bool api_word_in(const char *words, const char *word)
{
    struct slice rest = slice_of(words), part;

    while (slice_cut(&rest, ' ', &part))
        if (slice_eq(part, word))
            return true;
    return false;
}

static struct error *check_text(const struct api_field *field, const char *path,
                                const json_t *value)
{
    int64_t bytes;

    if (!json_is_string(value))
        return api_invalid(path, "must be a string");
    bytes = (int64_t)json_string_length(value);
    if (strlen(json_string_value(value)) != (size_t)bytes)
        return api_invalid(path, "must not contain a zero byte");
    if (field->values && !api_word_in(field->values, json_string_value(value)))
        return api_invalid(path, "%s is not one of: %s", json_string_value(value), field->values);
    if (bytes < field->min || (field->max && bytes > field->max))
        return api_invalid(path, "must have %d to %d characters", (int)field->min, (int)field->max);
    return NULL;
}

struct error *api_check_gate_name(const char *path, const char *name)
{
    if (gates_name_valid(name))
        return NULL;
    return api_invalid(path,
                       "\"%.*s\" is no name of a feature gate: it has 1 to %d letters and digits, "
                       "and begins with a letter",
                       TEXT_CUT(100, name), GATES_NAME_BYTES_MAX);
}

static struct error *check_api_name(const char *path, const char *name)
{
    if (gates_api_name_valid(name))
        return NULL;
    return api_invalid(path,
                       "\"%.*s\" is no API version: it is written like resource.k8s.io/v1beta1 or "
                       "api/beta, with at most %d characters",
                       TEXT_CUT(100, name), GATES_API_NAME_BYTES_MAX);
}

static struct error *check_entry(const struct api_field *field, const char *path, const char *key,
                                 const json_t *value)
{
    struct error *err =
        field->type == FIELD_MAP_BOOL ? api_check_gate_name(path, key) : check_api_name(path, key);

    if (err)
        return err;
    if (field->type == FIELD_MAP_BOOL)
        return json_is_boolean(value) ? NULL : api_invalid(path, "%s must be true or false", key);
    if (!json_is_string(value) || !api_word_in(field->values, json_string_value(value)))
        return api_invalid(path, "%s must be the string \"true\" or \"false\"", key);
    return NULL;
}

static struct error *check_map(const struct api_field *field, const char *path, const json_t *map)
{
    void *iter;

    if (!json_is_object(map))
        return api_invalid(path, "must be a map");
    if ((int64_t)json_object_size(map) > field->max)
        return api_invalid(path, "must have at most %d entries", (int)field->max);
    for (iter = json_object_iter((json_t *)(uintptr_t)map); iter;
         iter = json_object_iter_next((json_t *)(uintptr_t)map, iter)) {
        struct error *err =
            check_entry(field, path, json_object_iter_key(iter), json_object_iter_value(iter));
        if (err)
            return err;
    }
    return NULL;
}

// The schema leaves its inside free; whoever carries it on shall not be the one to find that it is
// too much.
static struct error *check_any(const char *path, const json_t *value)
{
    AUTO_MEM char *text = NULL;

    if (!json_is_object(value))
        return api_invalid(path, "must be a map");
    text = doc_print_json(value);
    if (strlen(text) > API_ANY_BYTES_MAX || doc_json_nodes(slice_of(text)) > API_ANY_NODES_MAX)
        return api_invalid(path, "must have at most %d bytes as JSON, and %d values",
                           API_ANY_BYTES_MAX, API_ANY_NODES_MAX);
    return NULL;
}

static struct error *check_integer(const struct api_field *field, const char *path,
                                   const json_t *value)
{
    if (!json_is_integer(value))
        return api_invalid(path, "must be a whole number");
    if (json_integer_value(value) < field->min || json_integer_value(value) > field->max)
        return api_invalid(path, "must be between %d and %d", (int)field->min, (int)field->max);
    return NULL;
}

unsigned api_percent(const json_t *value)
{
    struct slice text = slice_of(json_string_value(value));
    uint64_t number = 0;

    if (text.len < 2 || text.len > 4 || text.ptr[0] == '0' || text.ptr[text.len - 1] != '%' ||
        !slice_to_u64(slice_sub(text, 0, text.len - 1), &number) || number > 100)
        return 0;
    return (unsigned)number;
}

static struct error *check_integer_or_percent(const struct api_field *field, const char *path,
                                              const json_t *value)
{
    if (json_is_integer(value))
        return check_integer(field, path, value);
    return api_percent(value)
               ? NULL
               : api_invalid(path, "must be a whole number, or a text of 1%% to 100%%");
}

static struct error *check_object(const char *pattern, const char *path, const json_t *object,
                                  unsigned depth);

static struct error *check_list(const struct api_field *field, const char *path, const json_t *list,
                                unsigned depth)
{
    AUTO_MEM char *pattern = str_format("%s[]", field->path);

    if (!json_is_array(list))
        return api_invalid(path, "must be a list");
    if ((int64_t)json_array_size(list) > field->max)
        return api_invalid(path, "must have at most %d entries", (int)field->max);
    for (size_t i = 0; i < json_array_size(list); i++) {
        AUTO_MEM char *item = str_format("%s[%zu]", path, i);
        struct error *err = check_object(pattern, item, json_array_get(list, i), depth + 1);
        if (err)
            return err;
    }
    return NULL;
}

static bool has_before(const json_t *list, size_t at, const char *text)
{
    for (size_t i = 0; i < at; i++)
        if (str_eq(json_string_value(json_array_get(list, i)), text))
            return true;
    return false;
}

static struct error *check_names(const struct api_field *field, const char *path,
                                 const json_t *list)
{
    if (!json_is_array(list))
        return api_invalid(path, "must be a list");
    if ((int64_t)json_array_size(list) > field->max)
        return api_invalid(path, "must have at most %d entries", (int)field->max);
    for (size_t i = 0; i < json_array_size(list); i++) {
        AUTO_MEM char *item = str_format("%s[%zu]", path, i);
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || !gates_name_valid(text))
            return api_invalid(item,
                               "must be a name of 1 to %d letters and digits that begins with a "
                               "letter",
                               GATES_NAME_BYTES_MAX);
        if (has_before(list, i, text))
            return api_invalid(item, "%s is there twice", text);
    }
    return NULL;
}

static struct error *check_value(const struct api_field *field, const char *path,
                                 const json_t *value, unsigned depth)
{
    switch (field->type) {
    case FIELD_OBJECT:
        return check_object(field->path, path, value, depth + 1);
    case FIELD_BOOL:
        return json_is_boolean(value) ? NULL : api_invalid(path, "must be true or false");
    case FIELD_TEXT:
    case FIELD_DURATION:
        return check_text(field, path, value);
    case FIELD_INTEGER:
        return check_integer(field, path, value);
    case FIELD_INTEGER_OR_PERCENT:
        return check_integer_or_percent(field, path, value);
    case FIELD_MAP_BOOL:
    case FIELD_MAP_TEXT:
        return check_map(field, path, value);
    case FIELD_LIST:
        return check_list(field, path, value, depth);
    case FIELD_NAMES:
        return check_names(field, path, value);
    case FIELD_ANY:
        return check_any(path, value);
    }
    ASSERT(false); // foreign: the types of the table are all above
    return NULL;
}

static bool is_child(const char *path, const char *pattern)
{
    size_t len = strlen(pattern);

    return str_starts(path, pattern) && path[len] == '.' && !strpbrk(path + len + 1, ".[");
}

static struct error *unknown_field(const char *pattern, const char *path, const char *key)
{
    AUTO_MEM char *full = str_format("%s.%.*s", path, TEXT_CUT(100, key));
    const char *nearest = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < COUNT(fields); i++) {
        const char *name = strrchr(fields[i].path, '.') + 1;
        unsigned distance;
        if (!is_child(fields[i].path, pattern))
            continue;
        distance = str_distance(key, name, best);
        if (distance < best) {
            best = distance;
            nearest = name;
        }
    }
    if (nearest)
        return api_invalid(full, "there is no such field; did you mean %s?", nearest);
    return api_invalid(full, "there is no such field");
}

static struct error *check_required(const char *pattern, const char *path, const json_t *object)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        const char *name = strrchr(fields[i].path, '.') + 1;
        const json_t *value;
        if (!fields[i].required || !is_child(fields[i].path, pattern))
            continue;
        value = json_object_get(object, name);
        if (!value || json_is_null(value))
            return api_invalid(path, "%s is required", name);
    }
    return NULL;
}

static struct error *check_object(const char *pattern, const char *path, const json_t *object,
                                  unsigned depth)
{
    json_t *walked = (json_t *)(uintptr_t)object; // jansson iterates without const
    void *iter;

    ASSERT(depth <= DEPTH_MAX); // the table's own depth
    if (!json_is_object(object))
        return api_invalid(path, "must be a map");
    for (iter = json_object_iter(walked); iter; iter = json_object_iter_next(walked, iter)) {
        const char *key = json_object_iter_key(iter);
        AUTO_MEM char *child_pattern = str_format("%s.%s", pattern, key);
        AUTO_MEM char *child = str_format("%s.%s", path, key);
        const struct api_field *field = strpbrk(key, ".[") ? NULL : api_field_find(child_pattern);
        struct error *err;
        if (!field)
            return unknown_field(pattern, path, key);
        if (json_is_null(json_object_iter_value(iter)))
            continue;
        err = check_value(field, child, json_object_iter_value(iter), depth);
        if (err)
            return err;
    }
    return check_required(pattern, path, object);
}

struct error *api_source_fields_check(const json_t *spec)
{
    return check_object("source", "spec", spec, 0);
}

struct error *api_fields_check(const json_t *spec)
{
    if (!spec || json_is_null(spec))
        return NULL;
    return check_object("spec", "spec", spec, 0);
}

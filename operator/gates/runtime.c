// SPDX-License-Identifier: Apache-2.0
// What --runtime-config makes of an API version: wildcards first, then group/version, then
// group/version/resource.
#include "gates_internal.h"

#include <string.h>

bool gates_runtime_is_wildcard(const char *key)
{
    static const char *const wildcards[] = {"api/all", "api/ga", "api/beta", "api/alpha", NULL};
    return gates_names_have(wildcards, key);
}

// The core group goes by several names: "v1", "api/v1", and with anything behind; the API server
// makes "/v1" of them all.
static bool is_core(const char *key)
{
    key += str_starts(key, "api/") ? strlen("api/") : 0;
    return str_eq(key, "v1") || str_starts(key, "v1/");
}

bool gates_runtime_split(const char *key, char **ret_group, char **ret_version, char **ret_resource)
{
    struct slice rest = slice_of(key), part[3] = {0};
    size_t n = 0;
    if (gates_runtime_is_wildcard(key))
        return false;
    if (is_core(key)) {
        *ret_group = str_dup("");
        *ret_version = str_dup("v1");
        *ret_resource = NULL;
        return true;
    }
    for (struct slice s; slice_cut(&rest, '/', &s); n++) {
        if (n == COUNT(part))
            return false;
        part[n] = s;
    }
    // The group may be empty: "/v1" is the core group.
    if (n < 2 || part[1].len == 0 || (n == 3 && part[2].len == 0))
        return false;
    for (const char *c = key; *c != '\0'; c++)
        if (*c <= ' ' || *c == ',' || *c == '=')
            return false;
    for (size_t i = 0; i < part[2].len; i++)
        if (part[2].ptr[i] >= 'A' && part[2].ptr[i] <= 'Z')
            return false;
    *ret_group = slice_dup(part[0]);
    *ret_version = slice_dup(part[1]);
    *ret_resource = n == 3 ? slice_dup(part[2]) : NULL;
    return true;
}

bool gates_runtime_key_valid(const char *key)
{
    AUTO_MEM char *group = NULL;
    AUTO_MEM char *version = NULL;
    AUTO_MEM char *resource = NULL;
    // api/legacy is taken and means nothing.
    return gates_runtime_is_wildcard(key) || str_eq(key, "api/legacy") ||
           gates_runtime_split(key, &group, &version, &resource);
}

// -1: the map does not speak of the key.
static int says(const json_t *runtime, const char *key)
{
    const char *text = json_string_value(json_object_get(runtime, key));
    return text == NULL ? -1 : str_eq(text, "true") ? 1 : 0;
}

static bool version_on(const json_t *runtime, const char *group_version, const char *version,
                       bool served_by_default)
{
    static const char *const by_level[] = {
        [API_GA] = "api/ga", [API_BETA] = "api/beta", [API_ALPHA] = "api/alpha"};
    const char *const keys[] = {"api/all", by_level[gates_api_level(version)], group_version};
    bool on = served_by_default;
    for (size_t i = 0; i < COUNT(keys); i++) {
        int said = says(runtime, keys[i]);
        on = said < 0 ? on : said == 1;
    }
    return on;
}

bool gates_runtime_serves(const json_t *runtime, const char *group, const char *version,
                          bool served_by_default, const char *const *resources)
{
    AUTO_MEM char *group_version = str_format("%s/%s", group, version);
    bool on = version_on(runtime, group_version, version, served_by_default);
    bool any = false;
    for (; resources != NULL && *resources != NULL; resources++) {
        AUTO_MEM char *key = str_format("%s/%s", group_version, *resources);
        int said = says(runtime, key);
        if (said == 0 || (said < 0 && !on))
            return false;
        any = true;
    }
    return on || any;
}

// SPDX-License-Identifier: Apache-2.0
// Names and versions: components, stages, Kubernetes versions, API versions, and the flags of KKP
// that are no gates.
#include "gates_internal.h"

#include <string.h>

static const char *const component_names[COMPONENT_COUNT] = {
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
};

const char *component_name(enum component component)
{
    ASSERT(component < COMPONENT_COUNT);
    return component_names[component];
}

bool component_parse(const char *name, enum component *ret_component)
{
    for (size_t i = 0; i < COMPONENT_COUNT; i++)
        if (str_eq(name, component_names[i])) {
            *ret_component = (enum component)i;
            return true;
        }
    return false;
}

// Digits at the front of *s; false when there are none or far too many.
static bool take_number(const char **s, int *ret_n)
{
    int n = 0, digits = 0;
    while (**s >= '0' && **s <= '9' && digits < 7) {
        n = n * 10 + (**s - '0');
        (*s)++;
        digits++;
    }
    if (digits == 0 || (**s >= '0' && **s <= '9'))
        return false;
    *ret_n = n;
    return true;
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool gates_name_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > GATES_NAME_BYTES_MAX || (name[0] >= '0' && name[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_lower_or_digit(name[i]) && (name[i] < 'A' || name[i] > 'Z'))
            return false;
    }
    return true;
}

// Letters and digits, inside dots and dashes too.
static bool is_api_part(struct slice part)
{
    if (part.len == 0 || !is_lower_or_digit(part.ptr[0]) ||
        !is_lower_or_digit(part.ptr[part.len - 1]))
        return false;
    for (size_t i = 0; i < part.len; i++) {
        if (!is_lower_or_digit(part.ptr[i]) && part.ptr[i] != '.' && part.ptr[i] != '-')
            return false;
    }
    return true;
}

bool gates_api_name_valid(const char *name)
{
    struct slice rest = slice_of(name), part;
    unsigned parts = 0;
    if (rest.len == 0 || rest.len > GATES_API_NAME_BYTES_MAX)
        return false;
    while (slice_cut(&rest, '/', &part)) {
        if (++parts > 3 || !is_api_part(part))
            return false;
    }
    return true;
}

bool version_parse(const char *text, struct version *ret_version)
{
    struct version v = {0};
    if (text == NULL)
        return false;
    if (*text == 'v')
        text++;
    if (!take_number(&text, &v.major) || v.major == 0 || *text++ != '.' ||
        !take_number(&text, &v.minor))
        return false;
    if (*text == '.') {
        text++;
        if (!take_number(&text, &v.patch))
            return false;
    }
    // What builders add: "-gke.1", "+k3s1", "-eks-abc". A fourth number or letters right behind are
    // something else.
    if (*text != '\0' && *text != '-' && *text != '+')
        return false;
    *ret_version = v;
    return true;
}

int version_compare_minor(struct version a, struct version b)
{
    if (a.major != b.major)
        return a.major < b.major ? -1 : 1;
    return a.minor == b.minor ? 0 : a.minor < b.minor ? -1 : 1;
}

char *version_format(struct version v)
{
    return str_format("v%d.%d.%d", v.major, v.minor, v.patch);
}

char *version_format_minor(struct version v)
{
    return str_format("%d.%d", v.major, v.minor);
}

const char *stage_name(enum stage stage)
{
    static const char *const names[] = {[STAGE_ALPHA] = "ALPHA",
                                        [STAGE_BETA] = "BETA",
                                        [STAGE_GA] = "GA",
                                        [STAGE_DEPRECATED] = "DEPRECATED"};
    ASSERT((size_t)stage < COUNT(names));
    return names[stage];
}

const char *refusal_reason(enum refusal refusal)
{
    static const char *const reasons[REFUSAL_COUNT] = {
        [REFUSAL_UNKNOWN_GATE] = "UnknownFeatureGate",
        [REFUSAL_GATE_LOCKED] = "FeatureGateLocked",
        [REFUSAL_GATE_REMOVED] = "FeatureGateRemoved",
        [REFUSAL_GATE_TOO_NEW] = "FeatureGateTooNew",
        [REFUSAL_GATE_DEPENDENCY] = "FeatureGateDependency",
        [REFUSAL_ALPHA] = "AlphaNotAllowed",
        [REFUSAL_API_NOT_REGISTERED] = "APIVersionNotRegistered",
        [REFUSAL_API_INVALID] = "InvalidRuntimeConfig",
        [REFUSAL_TOO_OLD] = "KubernetesTooOld",
        [REFUSAL_TOO_NEW] = "KubernetesTooNew",
        [REFUSAL_SKEW] = "VersionSkewUnsupported",
        [REFUSAL_API_NEEDED] = "APIVersionNeeded",
        [REFUSAL_FEATURE_UNKNOWN] = "UnknownFeature",
        [REFUSAL_FEATURE_UNAVAILABLE] = "FeatureUnavailable",
        [REFUSAL_FEATURE_CONFLICT] = "FeatureConflict",
    };
    ASSERT(refusal < REFUSAL_COUNT);
    return reasons[refusal];
}

// KKP knows DynamicResourceAllocation too; that one is Kubernetes' and not in this list.
bool gates_is_kkp_flag(const char *name)
{
    static const char *const flags[] = {
        "DevelopmentEnvironment",
        "DisableUserSSHKey",
        "EtcdDataCorruptionChecks",
        "EtcdLauncher",
        "ExternalApplicationCatalogManager",
        "HTTPRouteGatewaySync",
        "HeadlessInstallation",
        "KubeVirtAcceleratorQuota",
        "OIDCKubeCfgEndpoint",
        "OpenIDAuthPlugin",
        "PrometheusEndpoint",
        "UserClusterMLA",
        "VerticalPodAutoscaler",
        NULL,
    };
    return gates_names_have(flags, name);
}

bool gates_names_have(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (str_eq(*names, name))
            return true;
    return false;
}

bool gates_bool_parse(struct slice text, bool *ret_value)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        if (slice_eq(text, yes[i]) || slice_eq(text, no[i])) {
            *ret_value = slice_eq(text, yes[i]);
            return true;
        }
    }
    return false;
}

// "v2beta3" → 2, API_BETA, 3; a version of another form counts as GA, as the API server's own
// patterns leave it out.
static enum api_level split_version(const char *version, int *ret_major, int *ret_minor)
{
    *ret_major = 0;
    *ret_minor = 0;
    if (*version == 'v')
        version++;
    if (!take_number(&version, ret_major))
        return API_GA;
    bool alpha = str_starts(version, "alpha"), beta = str_starts(version, "beta");
    if (!alpha && !beta)
        return API_GA;
    version += alpha ? strlen("alpha") : strlen("beta");
    return take_number(&version, ret_minor) && *version == '\0' ? (alpha ? API_ALPHA : API_BETA)
                                                                : API_GA;
}

enum api_level gates_api_level(const char *version)
{
    int major, minor;
    return split_version(version, &major, &minor);
}

int gates_api_compare(const char *a, const char *b)
{
    int a_major, a_minor, b_major, b_minor;
    enum api_level a_level = split_version(a, &a_major, &a_minor);
    enum api_level b_level = split_version(b, &b_major, &b_minor);
    if (a_level != b_level)
        return a_level < b_level ? -1 : 1;
    if (a_major != b_major)
        return a_major > b_major ? -1 : 1;
    if (a_minor != b_minor)
        return a_minor > b_minor ? -1 : 1;
    return strcmp(a, b);
}

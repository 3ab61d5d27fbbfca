// SPDX-License-Identifier: Apache-2.0
// Tenancy: whose DRAConfigurations may configure this cluster, and which other namespaces they may
// name. The administrator lists both; what is not listed takes nothing away from anybody.
#include "controller_internal.h"

bool tenancy_governs(const struct controller_spec *spec, const char *namespace)
{
    return str_eq(namespace, spec->lease_namespace) ||
           (spec->governing_namespaces && strlist_has(spec->governing_namespaces, namespace));
}

// Its own namespace is everybody's.
static bool is_listed(const struct strlist *list, const char *from, const char *to)
{
    AUTO_MEM char *pair = NULL;

    if (str_eq(from, to))
        return true;
    pair = str_format("%s=%s", from, to);
    return list && strlist_has(list, pair);
}

// What is written there.
static bool tenancy_reaches(const struct controller_spec *spec, const char *from, const char *to)
{
    return is_listed(spec->reach, from, to);
}

bool tenancy_looks(const struct controller_spec *spec, const char *from, const char *to)
{
    return is_listed(spec->look, from, to);
}

static struct error *not_allowed(char *take_message)
{
    AUTO_MEM char *message = take_message;
    struct error *err = error_new(ERROR_INVALID, "%s", message);

    error_set_reason(err, "NamespaceNotAllowed");
    return err;
}

struct error *tenancy_check(const struct controller_spec *spec, enum platform_type platform,
                            const json_t *config)
{
    const char *from = doc_str(config, "metadata", "namespace", NULL);
    const char *to = platform_reaches(platform, config);
    const struct platform_traits *traits = platform_traits(platform);

    if (to && !tenancy_reaches(spec, from, to))
        return not_allowed(str_format(
            "spec.platform.%s.namespace: DRAConfigurations of namespace %s may not configure what "
            "is in namespace %s; the administrator can list %s in the chart's value %s[].from of "
            "namespace %s (drawbridge run --reach %s=%s)",
            traits->field, from, to, from, traits->chart_value, to, from, to));
    if (!to && !doc_get(config, "spec", "cluster", NULL) && traits->writes &&
        !tenancy_governs(spec, from))
        return not_allowed(str_format(
            "DRAConfigurations of namespace %s may not configure this cluster; the administrator "
            "can list %s in the chart's value governingNamespaces (drawbridge run "
            "--governing-namespace %s), and spec.platform.type Observe is open to everybody",
            from, from, from));
    return NULL;
}

bool tenancy_allows(const struct controller_spec *spec, const json_t *config)
{
    AUTO(error) struct error *err = tenancy_check(spec, platform_type_of(config), config);

    return err == NULL;
}

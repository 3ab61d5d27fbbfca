// SPDX-License-Identifier: Apache-2.0
// What a DRAConfiguration of HostedControlPlane names: whose objects, which ones, and what of them
// its passes look at.
#include "hosted_internal.h"

static const json_t *spec_of(const json_t *config)
{
    return doc_get(config, "spec", "platform", "hostedControlPlane", NULL);
}

const char *hosted_reaches(const json_t *config)
{
    const char *given = doc_str(spec_of(config), "namespace", NULL);

    return *given ? given : doc_str(config, "metadata", "namespace", NULL);
}

static const char *tenant_of(const json_t *config)
{
    return doc_str(spec_of(config), "tenantControlPlane", NULL);
}

// Two that name the same object of one component write the same control plane, whatever else they
// name.
void hosted_name_targets(const json_t *config, struct strlist *names)
{
    const char *namespace = hosted_reaches(config);

    if (*tenant_of(config)) {
        strlist_take(names, str_format("TenantControlPlane %s/%s", namespace, tenant_of(config)));
        return;
    }
    for (size_t i = 0; i < HOSTED_COMPONENTS; i++) {
        const char *field = hosted_field((enum component)i);
        const json_t *given = json_object_get(spec_of(config), field);
        char digest[DOC_DIGEST_BYTES];

        strlist_take(names, str_format("%s of %s %s", field, namespace,
                                       given ? doc_digest_tree(given, digest) : "by name"));
    }
}

size_t hosted_follows(const json_t *config, struct platform_follow follows[PLATFORM_FOLLOWS_MAX])
{
    static const enum platform_kind plain[] = {KIND_DEPLOYMENT, KIND_STATEFUL_SET},
                                    tenants[] = {KIND_DEPLOYMENT, KIND_TENANT_CONTROL_PLANE};
    const char *tenant = tenant_of(config);
    const enum platform_kind *kinds = *tenant ? tenants : plain;

    for (size_t i = 0; i < COUNT(plain); i++) {
        const struct platform_kind_info *kind = platform_kind(kinds[i]);

        char *namespace = str_dup(hosted_reaches(config));

        follows[i] = (struct platform_follow){
            .ref = {.group = kind->group,
                    .version = kind->version,
                    .resource = kind->resource,
                    .namespace = namespace},
            .namespace = namespace,
            .field_selector = *tenant ? str_format("metadata.name=%s", tenant) : NULL};
    }
    return COUNT(plain);
}

// Which of the Secrets of a namespace leads to the hosted cluster nobody but the user knows.
struct error *hosted_check(const struct api_config *config)
{
    if ((config->driver || config->smoke_test) && !config->cluster)
        return error_because(ERROR_INVALID, "InvalidConfiguration",
                             "%s with platform.type HostedControlPlane belongs into the hosted "
                             "cluster: set spec.cluster.kubeconfigSecretRef, which leads there",
                             config->driver ? "spec.driver" : "spec.smokeTest");
    return NULL;
}

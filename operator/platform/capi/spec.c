// SPDX-License-Identifier: Apache-2.0
// What a DRAConfiguration of ClusterAPI names: one Cluster, and what of it its passes look at.
#include "capi_internal.h"

static const json_t *spec_of(const json_t *config)
{
    return doc_get(config, "spec", "platform", "clusterAPI", NULL);
}

const char *capi_reaches(const json_t *config)
{
    const char *given = doc_str(spec_of(config), "namespace", NULL);

    return *given ? given : doc_str(config, "metadata", "namespace", NULL);
}

static char *name_of(const json_t *config)
{
    return platform_name_of(doc_str(spec_of(config), "name", NULL),
                            doc_get(config, "spec", "cluster", NULL),
                            doc_str(config, "metadata", "name", NULL));
}

void capi_name_targets(const json_t *config, struct strlist *names)
{
    AUTO_MEM char *name = name_of(config);

    strlist_take(names, str_format("Cluster %s/%s", capi_reaches(config), name));
}

size_t capi_signs(const json_t *config, struct platform_sign signs[PLATFORM_SIGNS_MAX])
{
    char *name = platform_name_of_secret(doc_get(config, "spec", "cluster", NULL));

    if (!name)
        return 0;
    signs[0] =
        (struct platform_sign){.group = CAPI_CORE_GROUP,
                               .resource = "clusters",
                               .namespace = str_dup(doc_str(config, "metadata", "namespace", NULL)),
                               .name = name};
    return 1;
}

// Which control plane and which MachineDeployments are its is in the objects: those of the
// namespace are followed.
size_t capi_follows(const json_t *config, struct platform_follow follows[PLATFORM_FOLLOWS_MAX])
{
    AUTO_MEM char *name = name_of(config);
    static const enum platform_kind kinds[] = {KIND_CLUSTER, KIND_KUBEADM_CONTROL_PLANE,
                                               KIND_MACHINE_DEPLOYMENT};

    _Static_assert(COUNT(kinds) <= PLATFORM_FOLLOWS_MAX, "follows");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const struct platform_kind_info *kind = platform_kind(kinds[i]);
        char *namespace = str_dup(capi_reaches(config));

        follows[i] = (struct platform_follow){
            .ref = {.group = kind->group,
                    .version = "",
                    .resource = kind->resource,
                    .namespace = namespace},
            .namespace = namespace,
            .field_selector =
                kinds[i] == KIND_CLUSTER ? str_format("metadata.name=%s", name) : NULL};
    }
    return COUNT(kinds);
}

// Cluster API's control planes keep it there for its own controllers.
void capi_kubeconfig_of(const char *namespace, const char *name, struct cluster_way *ret_way)
{
    *ret_way = (struct cluster_way){.namespace = str_dup(namespace),
                                    .name = str_format("%s-kubeconfig", name),
                                    .key = str_dup("value"),
                                    .field = "the Cluster's kubeconfig"};
}

void capi_kubeconfig(const json_t *config, struct cluster_way *ret_way)
{
    AUTO_MEM char *name = name_of(config);

    capi_kubeconfig_of(capi_reaches(config), name, ret_way);
}

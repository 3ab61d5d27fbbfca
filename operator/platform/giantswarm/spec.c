// SPDX-License-Identifier: Apache-2.0
// What a DRAConfiguration of GiantSwarm names: one App or HelmRelease, and what its passes look at.
#include "giantswarm_internal.h"

static const json_t *spec_of(const json_t *config)
{
    return doc_get(config, "spec", "platform", "giantSwarm", NULL);
}

const char *giantswarm_reaches(const json_t *config)
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

// The Cluster that comes out has its name: who writes that as ClusterAPI writes the same.
void giantswarm_name_targets(const json_t *config, struct strlist *names)
{
    AUTO_MEM char *name = name_of(config);

    strlist_take(names, str_format("Cluster %s/%s", giantswarm_reaches(config), name));
}

size_t giantswarm_signs(const json_t *config, struct platform_sign signs[PLATFORM_SIGNS_MAX])
{
    static const enum platform_kind kinds[] = {KIND_APP, KIND_HELM_RELEASE};
    const char *namespace = doc_str(config, "metadata", "namespace", NULL);
    AUTO_MEM char *name = platform_name_of_secret(doc_get(config, "spec", "cluster", NULL));

    _Static_assert(COUNT(kinds) <= PLATFORM_SIGNS_MAX, "signs");
    for (size_t i = 0; name && i < COUNT(kinds); i++) {
        const struct platform_kind_info *kind = platform_kind(kinds[i]);

        signs[i] = (struct platform_sign){.group = kind->group,
                                          .resource = kind->resource,
                                          .namespace = str_dup(namespace),
                                          .name = str_dup(name)};
    }
    return name ? COUNT(kinds) : 0;
}

// The charts of its providers are called cluster-aws, cluster-azure and so on.
bool giantswarm_is_sign(const json_t *object)
{
    return str_starts(doc_str(object, "spec", "name", NULL), "cluster-") ||
           str_starts(doc_str(object, "spec", "chart", "spec", "chart", NULL), "cluster-") ||
           str_starts(doc_str(object, "spec", "chartRef", "name", NULL), "cluster-");
}

size_t giantswarm_follows(const json_t *config,
                          struct platform_follow follows[PLATFORM_FOLLOWS_MAX])
{
    AUTO_MEM char *name = name_of(config);
    static const enum platform_kind kinds[] = {KIND_APP, KIND_HELM_RELEASE,
                                               KIND_KUBEADM_CONTROL_PLANE, KIND_MACHINE_DEPLOYMENT};

    _Static_assert(COUNT(kinds) <= PLATFORM_FOLLOWS_MAX, "follows");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const struct platform_kind_info *kind = platform_kind(kinds[i]);
        bool named = kinds[i] == KIND_APP || kinds[i] == KIND_HELM_RELEASE;
        char *namespace = str_dup(giantswarm_reaches(config));

        follows[i] = (struct platform_follow){
            .ref = {.group = kind->group,
                    .version = named ? kind->version : "",
                    .resource = kind->resource,
                    .namespace = namespace},
            .namespace = namespace,
            .field_selector = named ? str_format("metadata.name=%s", name) : NULL};
    }
    return COUNT(kinds);
}

// That of the Cluster that comes out.
void giantswarm_kubeconfig(const json_t *config, struct cluster_way *ret_way)
{
    AUTO_MEM char *name = name_of(config);

    capi_kubeconfig_of(giantswarm_reaches(config), name, ret_way);
}

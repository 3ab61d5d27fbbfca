// SPDX-License-Identifier: Apache-2.0
// Which version of Giant Swarm's chart "cluster", which all of its providers' charts contain, does
// what. An older one takes values that it has no use for.
#include <string.h>

#include "giantswarm_internal.h"

#define CHART_LABEL "helm.sh/chart"
#define CHART_PREFIX "cluster-"
#define RELEASE_LABEL "release.giantswarm.io/version"

// giantswarm/cluster, helm/cluster/values.schema.json at its tags.
static const struct version since[GIANTSWARM_FEATURES] = {
    [GIANTSWARM_ALL_COMPONENTS] = {4, 1, 0},
    [GIANTSWARM_CDI] = {4, 2, 0},
    [GIANTSWARM_MAX_VERSION] = {6, 6, 0},
};

static bool is_at_least(struct version v, struct version least)
{
    int minor = version_compare_minor(v, least);

    return minor > 0 || (minor == 0 && v.patch >= least.patch);
}

// What nobody tells the version of takes no more than the oldest that takes everything.
bool giantswarm_has(const struct platform_giantswarm *gs, enum giantswarm_feature feature)
{
    if (gs->chart.major == 0)
        return feature == GIANTSWARM_ALL_COMPONENTS;
    return is_at_least(gs->chart, since[feature]);
}

void giantswarm_read_chart(struct platform_giantswarm *gs, const json_t *control_plane)
{
    const char *chart = doc_str(control_plane, "metadata", "labels", CHART_LABEL, NULL);

    if (str_starts(chart, CHART_PREFIX))
        (void)version_parse(chart + strlen(CHART_PREFIX), &gs->chart);
    mem_free(gs->release);
    gs->release = str_dup(doc_str(control_plane, "metadata", "labels", RELEASE_LABEL, NULL));
}

struct error *giantswarm_check_chart(const struct platform_giantswarm *gs)
{
    AUTO_MEM char *chart = version_format(gs->chart);

    if (giantswarm_has(gs, GIANTSWARM_ALL_COMPONENTS))
        return NULL;
    return error_because(
        ERROR_INVALID, "NotManaged",
        "%s: chart cluster %s%s%s takes feature gates of kube-scheduler and kubelets and does "
        "nothing with them; Giant Swarm's releases from 33 on (chart cluster 4.1.0) have them: "
        "upgrade the cluster first",
        gs->where, chart + 1, *gs->release ? " of release " : "", gs->release);
}

// SPDX-License-Identifier: Apache-2.0
// What the files of the platform HostedControlPlane share.
#pragma once

#include "ask.h"
#include "part.h"

#define HOSTED_COMPONENTS ((size_t)COMPONENT_KUBELET)

struct platform_hosted {
    char *namespace;
    struct platform_part parts[HOSTED_COMPONENTS];
    size_t len;
};

// --- spec.c: what a DRAConfiguration names, see struct platform

const char *hosted_reaches(const json_t *config);
void hosted_name_targets(const json_t *config, struct strlist *names);
size_t hosted_follows(const json_t *config, struct platform_follow follows[PLATFORM_FOLLOWS_MAX]);
struct error *hosted_check(const struct api_config *config);

// --- find.c: which object is a component, and whether we may write it

// The field of spec.platform.hostedControlPlane, and of Kamaji's extraArgs: "apiServer", ...
const char *hosted_field(enum component component);
// The label selector of a component; NULL: none is given.
const char *hosted_selector(const json_t *spec, enum component component);
// Whether the object goes by the component's name: the one in the spec, or where there is none the
// component's own, as its name or as one of the usual labels.
bool hosted_matches(const json_t *spec, enum component component, const json_t *object);
// INVALID, reason NotManaged: it would never roll out.
struct error *hosted_check_strategy(enum platform_kind kind, const json_t *object,
                                    const char *where);
// Fills a part from its object and workload. take_object and take_workload are the part's also
// after an error.
struct error *hosted_part_make(enum component component, enum platform_kind kind,
                               json_t *take_object, json_t *take_workload,
                               struct platform_part *ret_part);
struct rollout hosted_rollout_of(const struct platform_part *part);

// --- patch.c

// The JSON patch to these lists (NULL: as they are) and this record (NULL: none), on the
// resourceVersion of the object.
json_t *hosted_patch(const struct platform_part *part, const json_t *lists, const json_t *record);

// --- hosted.c

// Turns the parts into instances; look and said: what the hosted API server said.
void hosted_collect(struct platform_observed *observed, const struct platform_look *look,
                    const struct platform_said *said);

// --- observe.c

struct op *hosted_observe(struct loop *loop, const struct cluster *cluster,
                          const struct platform_target *target, platform_observed_fn *done,
                          void *owner);

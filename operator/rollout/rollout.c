// SPDX-License-Identifier: Apache-2.0
// How far the roll-out of a workload is, by its status.
#include "drawbridge/rollout.h"

static bool is_stuck(const json_t *workload)
{
    const json_t *conditions = doc_get(workload, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (str_eq(doc_str(condition, "type", NULL), "Progressing") &&
            str_eq(doc_str(condition, "status", NULL), "False") &&
            str_eq(doc_str(condition, "reason", NULL), "ProgressDeadlineExceeded"))
            return true;
    }
    return false;
}

struct rollout rollout_of(const json_t *w)
{
    struct rollout r = {
        .seen = w && doc_int(w, 0, "status", "observedGeneration", NULL) >=
                         doc_int(w, 1, "metadata", "generation", NULL),
        .desired = doc_int(w, 1, "spec", "replicas", NULL),
        .updated = doc_int(w, 0, "status", "updatedReplicas", NULL),
        .available = doc_int(w, 0, "status", "availableReplicas", NULL),
    };
    int64_t all = doc_int(w, 0, "status", "replicas", NULL);

    r.complete = r.seen && r.updated == r.desired && r.available == r.desired && all == r.desired;
    // A StatefulSet's; a Deployment has neither.
    if (r.desired > 0)
        r.complete = r.complete && str_eq(doc_str(w, "status", "currentRevision", NULL),
                                          doc_str(w, "status", "updateRevision", NULL));
    r.stuck = r.seen && !r.complete && is_stuck(w);
    return r;
}

char *rollout_describe(const struct rollout *r)
{
    if (!r->seen)
        return str_dup("not taken up by its controller yet");
    return str_format("%lld of %lld replicas updated, %lld available", (long long)r->updated,
                      (long long)r->desired, (long long)r->available);
}

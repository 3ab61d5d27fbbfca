// SPDX-License-Identifier: Apache-2.0
// Why a roll-out does not get on, in the words of the pods' own status.
#include "drawbridge/rollout.h"

// A container that waits for more than its image, or has ended. Owned; NULL: it is fine.
static char *container_words(const json_t *status)
{
    const char *name = doc_str(status, "name", NULL);
    const json_t *waiting = doc_get(status, "state", "waiting", NULL);
    const json_t *ended = doc_get(status, "state", "terminated", NULL);
    const char *reason = doc_str(waiting, "reason", NULL);

    if (doc_bool(status, false, "ready", NULL))
        return NULL; // whatever was before
    if (!ended)
        ended = doc_get(status, "lastState", "terminated", NULL);
    if (ended)
        return str_format("container %s ended with exit code %lld%s%s", name,
                          (long long)doc_int(ended, 0, "exitCode", NULL),
                          *doc_str(ended, "message", NULL) ? ": " : "",
                          doc_str(ended, "message", NULL));
    if (!*reason || str_eq(reason, "ContainerCreating") || str_eq(reason, "PodInitializing"))
        return NULL;
    return str_format("container %s: %s%s%s", name, reason,
                      *doc_str(waiting, "message", NULL) ? ": " : "",
                      doc_str(waiting, "message", NULL));
}

static char *unscheduled_words(const json_t *pod)
{
    const json_t *conditions = doc_get(pod, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (str_eq(doc_str(condition, "type", NULL), "PodScheduled") &&
            str_eq(doc_str(condition, "status", NULL), "False"))
            return str_format("%s: %s", doc_str(condition, "reason", NULL),
                              doc_str(condition, "message", NULL));
    }
    return NULL;
}

char *rollout_pod_words(const json_t *pod)
{
    const json_t *statuses = doc_get(pod, "status", "containerStatuses", NULL);
    AUTO_MEM char *words = NULL;

    if (doc_get(pod, "metadata", "deletionTimestamp", NULL))
        return NULL;
    for (size_t i = 0; i < json_array_size(statuses) && !words; i++)
        words = container_words(json_array_get(statuses, i));
    if (!words)
        words = unscheduled_words(pod);
    return words ? str_format("pod %s: %.*s", doc_str(pod, "metadata", "name", NULL),
                              TEXT_CUT(500, words))
                 : NULL;
}

char *rollout_pod_selector(const json_t *workload)
{
    AUTO_STRLIST struct strlist parts = {0};
    AUTO_JSON json_t *labels = doc_copy(doc_get(workload, "spec", "selector", "matchLabels", NULL));
    const char *key;
    json_t *value;

    json_object_foreach(labels, key, value) {
        strlist_take(&parts, str_format("%s=%s", key, json_string_value(value)));
    }
    return parts.len ? strlist_join(&parts, ",") : NULL;
}

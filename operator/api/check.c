// SPDX-License-Identifier: Apache-2.0
// The oracle: what kstatus, `kubectl wait` and Flux expect of a status, checked on every status
// that a test sees.
#include <string.h>

#include "api_internal.h"

struct seen {
    const json_t *object, *list;
    const json_t *of[CONDITION_COUNT];
    int64_t generation, observed;
};

static bool is_true(const json_t *condition)
{
    return str_eq(doc_str(condition, "status", NULL), "True");
}

static bool is_text(const json_t *condition, const char *key)
{
    return json_is_string(json_object_get(condition, key));
}

// The form of a metav1.Condition, whoever it belongs to.
static char *check_form(const struct seen *seen, const json_t *condition)
{
    const char *type = doc_str(condition, "type", NULL);
    int64_t observed = doc_int(condition, -1, "observedGeneration", NULL);
    int64_t when_ms;

    if (!*type)
        return str_dup("a condition has no type");
    if (!api_word_in("True False Unknown", doc_str(condition, "status", NULL)))
        return str_format("%s: status is not True, False or Unknown", type);
    if (!clock_parse(doc_str(condition, "lastTransitionTime", NULL), &when_ms))
        return str_format("%s: lastTransitionTime is no time", type);
    if (!is_text(condition, "message") || !*doc_str(condition, "reason", NULL))
        return str_format("%s: message or reason is missing", type);
    if (observed < 0)
        return str_format("%s: observedGeneration is missing", type);
    if (observed > seen->generation)
        return str_format("%s: observedGeneration %lld is ahead of metadata.generation", type,
                          (long long)observed);
    return NULL;
}

// What we ask of our own types beyond that.
static char *check_ours(const json_t *condition, enum condition which)
{
    const char *type = condition_name(which);
    const char *message = doc_str(condition, "message", NULL);
    const struct api_reason *reason = api_reason_find(doc_str(condition, "reason", NULL));

    if (!reason || !api_reason_fits(reason, which))
        return str_format("%s: reason %s is not in the list for it", type,
                          doc_str(condition, "reason", NULL));
    if (strlen(message) > API_MESSAGE_BYTES_MAX || strpbrk(message, "\r\n\t"))
        return str_format("%s: the message is too long or not one line", type);
    if (!is_true(condition) && which != CONDITION_DEGRADED && !*message)
        return str_format("%s: not True, and no message says why", type);
    if (condition_only_when_true(which) && !is_true(condition))
        return str_format("%s: present and not True", type);
    return NULL;
}

static char *collect(struct seen *seen)
{
    enum condition which;
    char *broken = NULL;

    for (size_t i = 0; !broken && i < json_array_size(seen->list); i++) {
        const json_t *condition = json_array_get(seen->list, i);
        broken = check_form(seen, condition);
        for (size_t k = 0; !broken && k < i; k++)
            if (str_eq(doc_str(json_array_get(seen->list, k), "type", NULL),
                       doc_str(condition, "type", NULL)))
                broken = str_format("%s: twice in the list", doc_str(condition, "type", NULL));
        if (broken || !api_condition_parse(doc_str(condition, "type", NULL), &which))
            continue;
        seen->of[which] = condition;
        broken = check_ours(condition, which);
        if (!broken && doc_int(condition, 0, "observedGeneration", NULL) > seen->observed)
            broken = str_format("%s: observedGeneration is ahead of status.observedGeneration",
                                condition_name(which));
    }
    return broken;
}

static char *check_ready_true(const struct seen *seen)
{
    const struct api_summary *sum = api_summary(seen->of[CONDITION_FETCHED] != NULL);

    if (seen->of[CONDITION_RECONCILING] || seen->of[CONDITION_STALLED])
        return str_dup("Ready is True with Reconciling or Stalled");
    if (seen->of[CONDITION_DEGRADED] && is_true(seen->of[CONDITION_DEGRADED]))
        return str_dup("Ready is True with Degraded");
    for (size_t i = 0; i < sum->len; i++) {
        const json_t *condition = seen->of[sum->of[i]];
        const char *type = condition_name(sum->of[i]);
        if (!condition && i < sum->required)
            return str_format("Ready is True without %s", type);
        if (!condition)
            continue;
        if (!is_true(condition) && !api_reason_is_fine(doc_str(condition, "reason", NULL)))
            return str_format("Ready is True, and %s is not", type);
        if (doc_int(condition, -1, "observedGeneration", NULL) != seen->observed)
            return str_format("Ready is True, and %s speaks of another generation", type);
    }
    return NULL;
}

static char *check_summary(const struct seen *seen)
{
    const json_t *ready = seen->of[CONDITION_READY];
    const json_t *why;

    if (!ready)
        return str_dup("Ready is missing");
    if (json_array_get(seen->list, 0) != ready)
        return str_dup("Ready is not the first");
    if (doc_int(ready, -1, "observedGeneration", NULL) != seen->observed)
        return str_dup("Ready speaks of another generation than status.observedGeneration");
    if (seen->of[CONDITION_RECONCILING] && seen->of[CONDITION_STALLED])
        return str_dup("Reconciling and Stalled at the same time");
    if (is_true(ready))
        return check_ready_true(seen);
    why =
        seen->of[CONDITION_STALLED] ? seen->of[CONDITION_STALLED] : seen->of[CONDITION_RECONCILING];
    if (!why)
        return str_dup("Ready is not True, and neither Reconciling nor Stalled is there: nobody "
                       "could tell what to wait for");
    if (!str_eq(doc_str(why, "reason", NULL), doc_str(ready, "reason", NULL)))
        return str_format("%s and Ready give different reasons", doc_str(why, "type", NULL));
    if (api_reason_find(doc_str(ready, "reason", NULL))->terminal !=
        (why == seen->of[CONDITION_STALLED]))
        return str_format("%s does not fit the reason %s", doc_str(why, "type", NULL),
                          doc_str(ready, "reason", NULL));
    return NULL;
}

char *api_conditions_check(const json_t *object)
{
    struct seen seen = {.object = object};
    char *broken;

    seen.list = doc_get(object, "status", "conditions", NULL);
    seen.generation = doc_int(object, -1, "metadata", "generation", NULL);
    seen.observed = doc_int(object, -1, "status", "observedGeneration", NULL);
    if (seen.generation < 0 || seen.observed < 0)
        return str_dup("metadata.generation or status.observedGeneration is missing");
    if (seen.observed > seen.generation)
        return str_dup("status.observedGeneration is ahead of metadata.generation");
    if (!json_is_array(seen.list))
        return str_dup("status.conditions is missing");
    broken = collect(&seen);
    if (!broken)
        broken = check_summary(&seen);
    return broken ? broken : str_dup("");
}

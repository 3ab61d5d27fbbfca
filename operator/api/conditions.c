// SPDX-License-Identifier: Apache-2.0
// What a pass found, summed up in Ready, Reconciling and Stalled, and merged into status.conditions
// so that a pass that finds nothing new makes the same list again: nothing is written then.
#include <string.h>

#include "api_internal.h"

static const char *const names[CONDITION_COUNT] = {
    [CONDITION_READY] = "Ready",
    [CONDITION_RECONCILING] = "Reconciling",
    [CONDITION_STALLED] = "Stalled",
    [CONDITION_CONFIG_VALID] = "ConfigValid",
    [CONDITION_CONTROL_PLANE_UPDATED] = "ControlPlaneUpdated",
    [CONDITION_NODES_UPDATED] = "NodesUpdated",
    [CONDITION_RESOURCE_API_SERVED] = "ResourceAPIServed",
    [CONDITION_DRIVER_READY] = "DriverReady",
    [CONDITION_DEVICES_PUBLISHED] = "DevicesPublished",
    [CONDITION_SMOKE_TEST_PASSED] = "SmokeTestPassed",
    [CONDITION_SOURCE_READY] = "SourceReady",
    [CONDITION_UPGRADEABLE] = "Upgradeable",
    [CONDITION_DEGRADED] = "Degraded",
    [CONDITION_FETCHED] = "Fetched",
    [CONDITION_SOURCE_VERIFIED] = "SourceVerified",
    [CONDITION_APPLIED] = "Applied",
};

static const struct api_summary summaries[] = {
    {{CONDITION_CONFIG_VALID, CONDITION_CONTROL_PLANE_UPDATED, CONDITION_NODES_UPDATED,
      CONDITION_RESOURCE_API_SERVED, CONDITION_DRIVER_READY, CONDITION_DEVICES_PUBLISHED,
      CONDITION_SMOKE_TEST_PASSED},
     7,
     4},
    {{CONDITION_FETCHED, CONDITION_SOURCE_VERIFIED, CONDITION_APPLIED}, 3, 3},
};

const struct api_summary *api_summary(bool of_source)
{
    return &summaries[of_source];
}

struct entry {
    bool set;
    bool summary; // by api_conditions_summarize(), not by the caller
    enum tristate state;
    const char *reason; // of the table
    char *message;
};

struct api_conditions {
    struct entry entries[CONDITION_COUNT];
};

const char *condition_name(enum condition condition)
{
    ASSERT(condition < CONDITION_COUNT);
    return names[condition];
}

bool condition_only_when_true(enum condition condition)
{
    return condition == CONDITION_RECONCILING || condition == CONDITION_STALLED;
}

bool api_condition_parse(const char *name, enum condition *ret_condition)
{
    for (size_t i = 0; i < CONDITION_COUNT; i++) {
        if (!str_eq(names[i], name))
            continue;
        *ret_condition = (enum condition)i;
        return true;
    }
    return false;
}

struct api_conditions *api_conditions_new(void)
{
    return NEW(struct api_conditions);
}

void api_conditions_free(struct api_conditions *conditions)
{
    if (!conditions)
        return;
    for (size_t i = 0; i < CONDITION_COUNT; i++)
        mem_free(conditions->entries[i].message);
    mem_free(conditions);
}

// One line of UTF-8 in at most API_MESSAGE_BYTES_MAX bytes: words of a crashed process get in here.
static char *tidy(char *take_message)
{
    // four more: what does not fit is longer than the cap then, also when cut at a character
    char *text = text_make(slice_of(take_message), API_MESSAGE_BYTES_MAX + 4);

    mem_free(take_message);
    if (strlen(text) > API_MESSAGE_BYTES_MAX)
        memcpy(text + text_fit(slice_of(text), API_MESSAGE_BYTES_MAX - 3), "...", 4);
    for (char *at = text; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < 0x20 || byte == 0x7F)
            *at = ' ';
    }
    return text;
}

static void put(struct api_conditions *conditions, enum condition condition, enum tristate state,
                const char *reason, char *take_message, bool summary)
{
    struct entry *entry = &conditions->entries[condition];

    mem_free(entry->message);
    *entry = (struct entry){
        .set = true, .summary = summary, .state = state, .reason = reason, .message = take_message};
}

void api_conditions_set(struct api_conditions *conditions, enum condition condition,
                        enum tristate state, const char *reason, const char *fmt, ...)
{
    const struct api_reason *known = api_reason_find(reason);
    char *message;
    va_list args;

    ASSERT(condition < CONDITION_COUNT);
    // A reason can come from elsewhere, a report or an answer: that must not end the process.
    if (!known) {
        log_line(LOG_ERROR, "api", "the reason \"%.*s\" of %s is not in the list",
                 TEXT_CUT(60, reason), condition_name(condition));
        known = api_reason_find("InternalError");
    }
    va_start(args, fmt);
    message = str_vformat(fmt, args);
    va_end(args);
    put(conditions, condition, state, known->name, tidy(message), false);
}

enum tristate api_conditions_state(const struct api_conditions *conditions,
                                   enum condition condition)
{
    ASSERT(condition < CONDITION_COUNT);
    return conditions->entries[condition].set ? conditions->entries[condition].state
                                              : STATE_UNKNOWN;
}

const char *api_conditions_reason(const struct api_conditions *conditions, enum condition condition)
{
    ASSERT(condition < CONDITION_COUNT);
    return conditions->entries[condition].set ? conditions->entries[condition].reason : "";
}

const char *api_conditions_message(const struct api_conditions *conditions,
                                   enum condition condition)
{
    ASSERT(condition < CONDITION_COUNT);
    return conditions->entries[condition].set ? conditions->entries[condition].message : "";
}

// --- the summary ---------------------------------------------------------------------------------

static void copy_to_ready(struct api_conditions *conditions, enum tristate state,
                          enum condition from)
{
    const struct entry *entry = &conditions->entries[from];

    put(conditions, CONDITION_READY, state, entry->reason, str_dup(entry->message), true);
}

// What keeps Ready from being True; CONDITION_COUNT: nothing.
static enum condition find_blocker(const struct api_conditions *conditions)
{
    const struct api_summary *sum = api_summary(conditions->entries[CONDITION_FETCHED].set);

    for (size_t i = 0; i < sum->len; i++) {
        const struct entry *entry = &conditions->entries[sum->of[i]];
        if (!entry->set && i < sum->required)
            return sum->of[i];
        if (entry->set && entry->state != STATE_TRUE && !api_reason_is_fine(entry->reason))
            return sum->of[i];
    }
    return CONDITION_COUNT;
}

static void set_ready_true(struct api_conditions *conditions)
{
    static const enum condition told[] = {CONDITION_CONTROL_PLANE_UPDATED,
                                          CONDITION_RESOURCE_API_SERVED, CONDITION_CONFIG_VALID};
    enum condition from = CONDITION_RESOURCE_API_SERVED;

    if (conditions->entries[CONDITION_READY].set && !conditions->entries[CONDITION_READY].summary)
        return; // the caller's own words, and they are true
    if (conditions->entries[CONDITION_FETCHED].set) {
        copy_to_ready(conditions, STATE_TRUE, CONDITION_APPLIED);
        return;
    }
    for (size_t i = COUNT(told); i-- > 0;)
        if (!str_eq(conditions->entries[told[i]].reason, "AsExpected"))
            from = told[i];
    copy_to_ready(conditions, STATE_TRUE, from);
}

static void set_ready(struct api_conditions *conditions)
{
    const struct entry *ready = &conditions->entries[CONDITION_READY];
    bool degraded = api_conditions_state(conditions, CONDITION_DEGRADED) == STATE_TRUE;
    enum condition blocker = find_blocker(conditions);

    if (ready->set && !ready->summary && ready->state != STATE_TRUE)
        return; // the caller knows more: suspended, API server away
    if (blocker == CONDITION_COUNT) {
        if (degraded)
            copy_to_ready(conditions, STATE_FALSE, CONDITION_DEGRADED);
        else
            set_ready_true(conditions);
    } else if (!conditions->entries[blocker].set) {
        put(conditions, CONDITION_READY, degraded ? STATE_FALSE : STATE_UNKNOWN, "Progressing",
            str_format("%s is not known yet", names[blocker]), true);
    } else {
        copy_to_ready(conditions, degraded ? STATE_FALSE : conditions->entries[blocker].state,
                      blocker);
    }
}

void api_conditions_summarize(struct api_conditions *conditions)
{
    const struct entry *ready = &conditions->entries[CONDITION_READY];
    enum condition why;

    set_ready(conditions);
    put(conditions, CONDITION_RECONCILING, STATE_FALSE, ready->reason, str_dup(""), true);
    put(conditions, CONDITION_STALLED, STATE_FALSE, ready->reason, str_dup(""), true);
    if (ready->state == STATE_TRUE)
        return;
    why = api_reason_find(ready->reason)->terminal ? CONDITION_STALLED : CONDITION_RECONCILING;
    put(conditions, why, STATE_TRUE, ready->reason, str_dup(ready->message), true);
}

// --- the list for status.conditions --------------------------------------------------------------

static const json_t *find_in(const json_t *list, const char *type)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_eq(doc_str(json_array_get(list, i), "type", NULL), type))
            return json_array_get(list, i);
    return NULL;
}

static json_t *make(const struct entry *entry, enum condition condition, const json_t *was,
                    int64_t generation, int64_t now_wall_ms)
{
    static const char *const states[] = {
        [STATE_FALSE] = "False", [STATE_TRUE] = "True", [STATE_UNKNOWN] = "Unknown"};
    const char *since = doc_str(was, "lastTransitionTime", NULL);
    json_t *made = json_object();
    char now[CLOCK_TEXT_BYTES];
    int64_t since_ms;

    if (!str_eq(doc_str(was, "status", NULL), states[entry->state]) ||
        !clock_parse(since, &since_ms))
        since = clock_format(now_wall_ms, now);
    json_object_set_new(made, "type", doc_string(names[condition]));
    json_object_set_new(made, "status", doc_string(states[entry->state]));
    json_object_set_new(made, "observedGeneration", json_integer(generation));
    json_object_set_new(made, "lastTransitionTime", doc_string(since));
    json_object_set_new(made, "reason", doc_string(entry->reason));
    json_object_set_new(made, "message", doc_string(entry->message));
    return made;
}

json_t *api_conditions_merge(const struct api_conditions *conditions, const json_t *was,
                             int64_t generation, int64_t now_wall_ms)
{
    json_t *list = json_array();
    enum condition ours;

    for (size_t i = 0; i < CONDITION_COUNT; i++) {
        const struct entry *entry = &conditions->entries[i];
        const json_t *before = find_in(was, names[i]);
        if (condition_only_when_true((enum condition)i) &&
            (!entry->set || entry->state != STATE_TRUE))
            continue;
        if (entry->set)
            json_array_append_new(list,
                                  make(entry, (enum condition)i, before, generation, now_wall_ms));
        else if (before)
            json_array_append_new(list, doc_copy(before));
    }
    for (size_t i = 0; i < json_array_size(was); i++) {
        const json_t *before = json_array_get(was, i);
        const char *type = doc_str(before, "type", NULL);
        if (*type && !api_condition_parse(type, &ours) && !find_in(list, type))
            json_array_append_new(list, doc_copy(before));
    }
    return list;
}

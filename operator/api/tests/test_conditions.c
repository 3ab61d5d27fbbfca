// SPDX-License-Identifier: Apache-2.0
// Summing up and merging of conditions.
#include <string.h>

#include "drawbridge/api.h"
#include "test.h"

#define T0 1767225600000 // 2026-01-01T00:00:00Z
#define T1 1767225660000

static struct api_conditions *all_well(void)
{
    struct api_conditions *c = api_conditions_new();

    api_conditions_set(c, CONDITION_CONFIG_VALID, STATE_TRUE, "AsExpected",
                       "the configuration is valid");
    api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "AsExpected",
                       "3 of 3 components are as desired");
    api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_TRUE, "AsExpected",
                       "1 of 1 node is as desired");
    api_conditions_set(c, CONDITION_RESOURCE_API_SERVED, STATE_TRUE, "AsExpected",
                       "resource.k8s.io/v1beta1 is served");
    api_conditions_set(c, CONDITION_DEGRADED, STATE_FALSE, "AsExpected", "nothing is degraded");
    return c;
}

static void check_ready(struct api_conditions *c, enum tristate state, const char *reason,
                        const char *message)
{
    api_conditions_summarize(c);
    CHECK_INT(api_conditions_state(c, CONDITION_READY), state);
    CHECK_STR(api_conditions_reason(c, CONDITION_READY), reason);
    CHECK_STR(api_conditions_message(c, CONDITION_READY), message);
}

static void check_kstatus(const struct api_conditions *c, bool reconciling, bool stalled)
{
    CHECK_INT(api_conditions_state(c, CONDITION_RECONCILING) == STATE_TRUE, reconciling);
    CHECK_INT(api_conditions_state(c, CONDITION_STALLED) == STATE_TRUE, stalled);
}

// What the oracle says of an object with this list.
static void check_oracle(const struct api_conditions *c)
{
    AUTO_JSON json_t *object = json_pack("{s: {s: i}, s: {s: i}}", "metadata", "generation", 4,
                                         "status", "observedGeneration", 4);

    doc_set(object, api_conditions_merge(c, NULL, 4, T0), "status", "conditions", NULL);
    CHECK_STR_TAKE(api_conditions_check(object), "");
}

TEST(ready_when_all_is_well)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    check_ready(c, STATE_TRUE, "AsExpected", "resource.k8s.io/v1beta1 is served");
    check_kstatus(c, false, false);
    check_oracle(c);
}

TEST(ready_says_why_nothing_was_written)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_TRUE, "DefaultOn",
                       "1.36 has DRA on by default");
    api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_TRUE, "NoManagedNodes", "no managed node");
    check_ready(c, STATE_TRUE, "DefaultOn", "1.36 has DRA on by default");
    check_oracle(c);
}

TEST(ready_in_the_callers_words)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    api_conditions_set(c, CONDITION_READY, STATE_TRUE, "AsExpected", "pods can claim devices");
    check_ready(c, STATE_TRUE, "AsExpected", "pods can claim devices");
    api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_FALSE, "RollingOut", "1 of 3 nodes");
    check_ready(c, STATE_FALSE, "RollingOut", "1 of 3 nodes");
    check_oracle(c);
}

TEST(suspended_stands_before_all_else)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    api_conditions_set(c, CONDITION_READY, STATE_FALSE, "Suspended", "spec.suspend is true");
    check_ready(c, STATE_FALSE, "Suspended", "spec.suspend is true");
    check_kstatus(c, false, true);
    check_oracle(c);
}

TEST(first_in_order_is_named)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    api_conditions_set(c, CONDITION_DEVICES_PUBLISHED, STATE_FALSE, "NoResourceSlices",
                       "no devices");
    check_ready(c, STATE_FALSE, "NoResourceSlices", "no devices");
    api_conditions_set(c, CONDITION_RESOURCE_API_SERVED, STATE_FALSE, "APINotServed", "not served");
    check_ready(c, STATE_FALSE, "APINotServed", "not served");
    api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_UNKNOWN, "AgentNotReporting", "silence");
    check_ready(c, STATE_UNKNOWN, "AgentNotReporting", "silence");
    api_conditions_set(c, CONDITION_CONTROL_PLANE_UPDATED, STATE_FALSE, "RollingOut", "1 of 3");
    check_ready(c, STATE_FALSE, "RollingOut", "1 of 3");
    check_kstatus(c, true, false);
    api_conditions_set(c, CONDITION_CONFIG_VALID, STATE_FALSE, "UnknownFeatureGate",
                       "no such gate");
    check_ready(c, STATE_FALSE, "UnknownFeatureGate", "no such gate");
    check_kstatus(c, false, true);
    check_oracle(c);
}

TEST(what_is_not_known_yet_is_not_ready)
{
    AUTO(api_conditions) struct api_conditions *c = api_conditions_new();

    api_conditions_set(c, CONDITION_CONFIG_VALID, STATE_TRUE, "AsExpected", "valid");
    check_ready(c, STATE_UNKNOWN, "Progressing", "ControlPlaneUpdated is not known yet");
    check_kstatus(c, true, false);
    check_oracle(c);
}

TEST(dra_off_as_asked_for_is_ready)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    api_conditions_set(c, CONDITION_RESOURCE_API_SERVED, STATE_FALSE, "DRADisabled",
                       "DRA is off, as the spec says");
    check_ready(c, STATE_TRUE, "DRADisabled", "DRA is off, as the spec says");
    check_oracle(c);
}

TEST(degraded_forces_not_ready)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    api_conditions_set(c, CONDITION_DEGRADED, STATE_TRUE, "RolledBack", "kube-scheduler crashed");
    check_ready(c, STATE_FALSE, "RolledBack", "kube-scheduler crashed");
    check_kstatus(c, false, true);
    check_oracle(c);
    api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_UNKNOWN, "Progressing", "looking");
    check_ready(c, STATE_FALSE, "Progressing", "looking");
    check_oracle(c);
}

TEST(summary_follows_when_the_cause_is_gone)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    api_conditions_set(c, CONDITION_CONFIG_VALID, STATE_FALSE, "NotSupported", "spec.driver");
    check_ready(c, STATE_FALSE, "NotSupported", "spec.driver");
    api_conditions_set(c, CONDITION_CONFIG_VALID, STATE_TRUE, "AsExpected", "valid");
    check_ready(c, STATE_TRUE, "AsExpected", "resource.k8s.io/v1beta1 is served");
    check_kstatus(c, false, false);
}

static const char *since(const json_t *list, size_t i)
{
    return doc_str(json_array_get(list, i), "lastTransitionTime", NULL);
}

TEST(merge_keeps_times_until_the_status_changes)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();
    AUTO_JSON json_t *one = NULL, *two = NULL, *three = NULL;

    api_conditions_summarize(c);
    one = api_conditions_merge(c, NULL, 1, T0);
    CHECK_STR(doc_str(json_array_get(one, 0), "type", NULL), "Ready");
    CHECK_STR(since(one, 0), "2026-01-01T00:00:00Z");
    two = api_conditions_merge(c, one, 1, T1);
    CHECK(doc_equal(one, two)); // nothing to write
    api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_TRUE, "NoManagedNodes",
                       "no node any more");
    three = api_conditions_merge(c, two, 2, T1);
    CHECK_STR(since(three, 3), "2026-01-01T00:00:00Z"); // other words, same status
    CHECK_STR(doc_str(json_array_get(three, 3), "reason", NULL), "NoManagedNodes");
    CHECK_INT(doc_int(json_array_get(three, 3), 0, "observedGeneration", NULL), 2);
    api_conditions_set(c, CONDITION_NODES_UPDATED, STATE_FALSE, "AgentMissing",
                       "node-1 has no agent");
    json_decref(three);
    three = api_conditions_merge(c, two, 2, T1);
    CHECK_STR(since(three, 3), "2026-01-01T00:01:00Z");
    CHECK_STR(since(three, 2), "2026-01-01T00:00:00Z");
}

TEST(merge_keeps_what_it_does_not_know)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();
    AUTO_JSON json_t *was = json_pack("[{s: s, s: s}, {s: s, s: s, s: s}, {s: s, s: s}, n]", "type",
                                      "vendor.example/Blessed", "status", "True", "type",
                                      "Upgradeable", "status", "False", "lastTransitionTime",
                                      "2025-01-01T00:00:00Z", "type", "Stalled", "status", "True");
    AUTO_JSON json_t *list = NULL;
    size_t len;

    api_conditions_summarize(c);
    list = api_conditions_merge(c, was, 1, T0);
    len = json_array_size(list);
    // Ready, four, Upgradeable from before, Degraded, the foreign one; Stalled is gone
    CHECK_INT(len, 8);
    CHECK_STR(doc_str(json_array_get(list, 5), "type", NULL), "Upgradeable");
    CHECK_STR(since(list, 5), "2025-01-01T00:00:00Z");
    CHECK_STR(doc_str(json_array_get(list, 7), "type", NULL), "vendor.example/Blessed");
    CHECK_STR(doc_str(json_array_get(list, 0), "type", NULL), "Ready");
}

TEST(messages_are_one_short_line_of_utf8)
{
    AUTO(api_conditions) struct api_conditions *c = api_conditions_new();
    char longer[1200];
    const char *kept;

    api_conditions_set(c, CONDITION_DEGRADED, STATE_TRUE, "ComponentCrashed", "one\ntwo\tthree %s",
                       "four\r");
    CHECK_STR(api_conditions_message(c, CONDITION_DEGRADED), "one two three four ");
    api_conditions_set(c, CONDITION_DEGRADED, STATE_TRUE, "ComponentCrashed", "bad \xff\xfe byte");
    CHECK_STR(api_conditions_message(c, CONDITION_DEGRADED), "bad \xEF\xBF\xBD\xEF\xBF\xBD byte");
    for (size_t i = 0; i + 1 < sizeof(longer); i += 2)
        memcpy(longer + i, "\xc3\xa4", 2);
    longer[sizeof(longer) - 1] = '\0';
    longer[sizeof(longer) - 2] = '\0';
    api_conditions_set(c, CONDITION_DEGRADED, STATE_TRUE, "ComponentCrashed", "%s", longer);
    kept = api_conditions_message(c, CONDITION_DEGRADED);
    CHECK_INT(strlen(kept), 1023); // 1021 would split a letter: 1020 and the dots
    CHECK(str_ends(kept, "\xc3\xa4..."));
}

TEST(a_reason_that_is_not_in_the_list_does_not_end_the_process)
{
    AUTO(api_conditions) struct api_conditions *c = all_well();

    api_conditions_set(c, CONDITION_DRIVER_READY, STATE_FALSE, "ResourceVersionTooLarge", "x");
    check_ready(c, STATE_FALSE, "InternalError", "x");
    check_oracle(c);
}

TEST(unset_is_unknown)
{
    AUTO(api_conditions) struct api_conditions *c = api_conditions_new();

    CHECK_INT(api_conditions_state(c, CONDITION_UPGRADEABLE), STATE_UNKNOWN);
    CHECK_STR(api_conditions_reason(c, CONDITION_UPGRADEABLE), "");
    CHECK_STR(api_conditions_message(c, CONDITION_UPGRADEABLE), "");
}

TEST_MAIN()

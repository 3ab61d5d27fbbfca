// SPDX-License-Identifier: Apache-2.0
// The oracle must find each broken rule: from a good status, one thing is spoilt at a time.
#include "drawbridge/api.h"
#include "test.h"

#define GOOD                                                                                       \
    "metadata: {generation: 4}\n"                                                                  \
    "status:\n"                                                                                    \
    "  observedGeneration: 4\n"                                                                    \
    "  conditions:\n"                                                                              \
    "  - {type: Ready, status: 'True', reason: AsExpected, message: m, observedGeneration: 4, "    \
    "lastTransitionTime: &t "                                                                      \
    "'2026-01-01T00:00:00Z'}\n"                                                                    \
    "  - {type: ConfigValid, status: 'True', reason: AsExpected, message: m, observedGeneration: " \
    "4, "                                                                                          \
    "lastTransitionTime: *t}\n"                                                                    \
    "  - {type: ControlPlaneUpdated, status: 'True', reason: AsExpected, message: m, "             \
    "observedGeneration: 4, "                                                                      \
    "lastTransitionTime: *t}\n"                                                                    \
    "  - {type: NodesUpdated, status: 'True', reason: AsExpected, message: m, "                    \
    "observedGeneration: 4, "                                                                      \
    "lastTransitionTime: *t}\n"                                                                    \
    "  - {type: ResourceAPIServed, status: 'True', reason: AsExpected, message: m, "               \
    "observedGeneration: 4, "                                                                      \
    "lastTransitionTime: *t}\n"                                                                    \
    "  - {type: Degraded, status: 'False', reason: AsExpected, message: '', observedGeneration: "  \
    "4, "                                                                                          \
    "lastTransitionTime: *t}\n"

static json_t *good(void)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(GOOD), "good", &tree));
    return tree;
}

static json_t *list_of(json_t *object)
{
    return json_object_get(json_object_get(object, "status"), "conditions");
}

static void check_broken(const json_t *object, const char *part)
{
    AUTO_MEM char *said = api_conditions_check(object);

    CHECK_HAS(said, part);
}

// One key of one condition spoilt.
static void check_spoilt(size_t i, const char *key, json_t *take_value, const char *part)
{
    AUTO_JSON json_t *object = good();
    json_t *condition = json_array_get(list_of(object), i);

    if (take_value)
        json_object_set_new(condition, key, take_value);
    else
        json_object_del(condition, key);
    check_broken(object, part);
}

static void add(json_t *object, const char *type, const char *status, const char *reason)
{
    json_array_append_new(list_of(object),
                          json_pack("{s: s, s: s, s: s, s: s, s: i, s: s}", "type", type, "status",
                                    status, "reason", reason, "message", "m", "observedGeneration",
                                    4, "lastTransitionTime", "2026-01-01T00:00:00Z"));
}

TEST(good_is_good)
{
    AUTO_JSON json_t *object = good();

    CHECK_STR_TAKE(api_conditions_check(object), "");
    add(object, "vendor.example/Blessed", "False", "AnyReasonOfTheirs");
    CHECK_STR_TAKE(api_conditions_check(object), "");
}

TEST(form)
{
    check_spoilt(1, "type", NULL, "has no type");
    check_spoilt(1, "status", json_string("true"), "ConfigValid: status");
    check_spoilt(1, "lastTransitionTime", json_string("yesterday"), "lastTransitionTime");
    check_spoilt(1, "message", NULL, "message or reason");
    check_spoilt(1, "reason", json_string(""), "message or reason");
    check_spoilt(1, "observedGeneration", NULL, "observedGeneration is missing");
    check_spoilt(1, "observedGeneration", json_integer(5), "ahead of metadata.generation");
    check_spoilt(1, "reason", json_string("Whatever"), "reason Whatever is not in the list");
    check_spoilt(1, "reason", json_string("NoManagedNodes"),
                 "reason NoManagedNodes is not in the list for it");
    check_spoilt(1, "message", json_string("a\nb"), "not one line");
    check_spoilt(1, "type", json_string("Ready"), "twice");
}

TEST(generations)
{
    AUTO_JSON json_t *object = good();

    doc_set(object, json_integer(3), "status", "observedGeneration", NULL);
    check_broken(object, "ahead of status.observedGeneration");
    doc_set(object, json_integer(5), "status", "observedGeneration", NULL);
    check_broken(object, "status.observedGeneration is ahead");
    json_object_del(json_object_get(object, "status"), "observedGeneration");
    check_broken(object, "is missing");
    check_spoilt(0, "observedGeneration", json_integer(3), "Ready speaks of another generation");
    check_spoilt(2, "observedGeneration", json_integer(3),
                 "ControlPlaneUpdated speaks of another generation");
}

TEST(ready_true_excludes)
{
    check_spoilt(5, "status", json_string("True"), "Ready is True with Degraded");
    check_spoilt(2, "status", json_string("False"), "ControlPlaneUpdated is not");
    check_spoilt(4, "type", json_string("Other"), "Ready is True without ResourceAPIServed");
    AUTO_JSON json_t *object = good();
    add(object, "Reconciling", "True", "Progressing");
    check_broken(object, "Ready is True with Reconciling");
}

TEST(ready_is_first_and_there)
{
    AUTO_JSON json_t *object = good();
    AUTO_JSON json_t *ready = json_incref(json_array_get(list_of(object), 0));

    json_array_remove(list_of(object), 0);
    check_broken(object, "Ready is missing");
    json_array_append(list_of(object), ready);
    check_broken(object, "Ready is not the first");
}

static json_t *not_ready(const char *reason)
{
    json_t *object = good();
    json_t *ready = json_array_get(list_of(object), 0);

    json_object_set_new(ready, "status", json_string("False"));
    json_object_set_new(ready, "reason", json_string(reason));
    return object;
}

TEST(not_ready_says_what_to_wait_for)
{
    AUTO_JSON json_t *silent = not_ready("RollingOut");
    AUTO_JSON json_t *both = not_ready("RollingOut");
    AUTO_JSON json_t *fine = not_ready("RollingOut");
    AUTO_JSON json_t *wrong = not_ready("RolledBack");
    AUTO_JSON json_t *other = not_ready("RollingOut");

    check_broken(silent, "neither Reconciling nor Stalled");
    add(both, "Reconciling", "True", "RollingOut");
    add(both, "Stalled", "True", "RollingOut");
    check_broken(both, "at the same time");
    add(fine, "Reconciling", "True", "RollingOut");
    CHECK_STR_TAKE(api_conditions_check(fine), "");
    add(wrong, "Reconciling", "True", "RolledBack");
    check_broken(wrong, "does not fit the reason RolledBack");
    add(other, "Reconciling", "True", "Progressing");
    check_broken(other, "different reasons");
    add(other, "Stalled", "False", "RollingOut");
    check_broken(other, "Stalled: present and not True");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Which intent is in force, and what the history keeps of it.
#include <string.h>

#include "drawbridge/plan.h"
#include "test.h"

static struct api_config config_with(json_t *gates, json_t *status)
{
    static json_t *none;

    if (!none)
        none = json_object();
    return (struct api_config){
        .feature_gates = gates, .runtime_config = none, .status = status, .rollback = true};
}

TEST(the_spec_is_in_force)
{
    AUTO_JSON json_t *gates = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    struct api_config config = config_with(gates, NULL);
    struct intent intent;

    intent_make(&config, &intent);
    CHECK(!intent.rolled_back);
    CHECK(doc_equal(intent.feature_gates, gates));
    CHECK_STR(intent.revision, intent.asked_revision);
    intent_fini(&intent);
}

TEST(after_a_failure_the_last_known_good_is_in_force_until_the_spec_changes)
{
    AUTO_JSON json_t *good = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *bad =
        json_pack("{s:b,s:b}", "DynamicResourceAllocation", 1, "DRAAdminAccess", 1);
    AUTO_JSON json_t *other =
        json_pack("{s:b,s:b}", "DynamicResourceAllocation", 1, "DRAPrioritizedList", 1);
    AUTO_JSON json_t *status = json_object();
    struct api_config config = config_with(good, NULL);
    struct intent intent;

    intent_make(&config, &intent);
    json_object_set_new(status, "history", intent_history(NULL, &intent, "Applied", "", "", 0));
    json_object_set_new(status, "lastKnownGoodRevision", json_string(intent.asked_revision));
    intent_fini(&intent);

    config = config_with(bad, NULL);
    intent_make(&config, &intent);
    json_object_set_new(status, "failedRevision", json_string(intent.asked_revision));
    json_object_set_new(status, "history",
                        intent_history(json_object_get(status, "history"), &intent, "RolledBack",
                                       "ComponentCrashed", "x", 1000));
    intent_fini(&intent);

    config = config_with(bad, status);
    intent_make(&config, &intent);
    CHECK(intent.rolled_back);
    CHECK(doc_equal(intent.feature_gates, good));
    CHECK(!str_eq(intent.revision, intent.asked_revision));
    intent_fini(&intent);

    config = config_with(other, status);
    intent_make(&config, &intent);
    CHECK(!intent.rolled_back);
    CHECK(doc_equal(intent.feature_gates, other));
    intent_fini(&intent);

    config = config_with(bad, status); // somebody asks to try it again
    config.reconcile_requested_at = "2026-11-21T10:00:00Z";
    intent_make(&config, &intent);
    CHECK(!intent.rolled_back);
    intent_fini(&intent);
}

// Puts the revision of these gates into status as it is after such an end.
static void note(json_t *status, json_t *gates, const char *result)
{
    struct api_config config = config_with(gates, status);
    struct intent intent;
    bool good = str_eq(result, "Applied");

    intent_make(&config, &intent);
    json_object_set_new(status, good ? "lastKnownGoodRevision" : "failedRevision",
                        json_string(intent.asked_revision));
    json_object_set_new(status, "history",
                        intent_history(json_object_get(status, "history"), &intent, result,
                                       good ? "" : "ComponentCrashed", good ? "" : "x", 1000));
    intent_fini(&intent);
}

TEST(a_good_revision_stays_the_last_known_good_one_when_it_fails_later)
{
    AUTO_JSON json_t *good = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *status = json_object();
    struct api_config config = config_with(good, status);
    struct intent intent;

    note(status, good, "Applied");
    note(status, good, "RolledBack");
    note(status, good, "RolledBack");
    CHECK_INT(json_array_size(json_object_get(status, "history")), 2);
    intent_make(&config, &intent);
    CHECK(intent.known_good);
    CHECK(!intent.rolled_back);
    CHECK(doc_equal(intent.feature_gates, good));
    intent_fini(&intent);
    note(status, good, "Applied");
    CHECK_INT(json_array_size(json_object_get(status, "history")), 1);
}

TEST(history_says_when_a_revision_was_tried_first_and_when_it_ended)
{
    AUTO_JSON json_t *gates = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *status = json_object();
    struct api_config config = config_with(gates, status);
    struct intent intent;

    intent_make(&config, &intent);
    json_object_set_new(status, "lastAttemptedRevision", json_string(intent.asked_revision));
    json_object_set_new(status, "lastAttemptedAt", json_string("1969-12-31T23:59:00Z"));
    intent_fini(&intent);
    note(status, gates, "Applied"); // one second after 1970 began
    CHECK_STR(doc_str(status, "history", "0", "startedAt", NULL), "1969-12-31T23:59:00Z");
    CHECK_STR(doc_str(status, "history", "0", "finishedAt", NULL), "1970-01-01T00:00:01Z");
}

TEST(the_last_known_good_revision_is_kept_however_many_fail_after_it)
{
    AUTO_JSON json_t *good = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *status = json_object();

    note(status, good, "Applied");
    for (int i = 0; i < 7; i++) {
        AUTO_MEM char *name = str_format("Gate%d", i);
        AUTO_JSON json_t *bad = json_pack("{s:b}", name, 1);
        struct api_config config = config_with(bad, status);
        struct intent intent;

        note(status, bad, "RolledBack");
        intent_make(&config, &intent);
        CHECK(intent.rolled_back && !intent.known_good);
        CHECK(doc_equal(intent.feature_gates, good));
        intent_fini(&intent);
    }
    CHECK_INT(json_array_size(json_object_get(status, "history")), 5);
}

TEST(without_a_good_one_nothing_is_in_force)
{
    AUTO_JSON json_t *bad = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *status = json_object();
    struct api_config config = config_with(bad, NULL);
    struct intent intent;

    intent_make(&config, &intent);
    json_object_set_new(status, "failedRevision", json_string(intent.asked_revision));
    intent_fini(&intent);
    config = config_with(bad, status);
    intent_make(&config, &intent);
    CHECK(intent.rolled_back);
    CHECK_INT(json_object_size(intent.feature_gates), 0);
    intent_fini(&intent);
}

TEST(deletion_wants_nothing)
{
    AUTO_JSON json_t *gates = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    struct api_config config = config_with(gates, NULL);
    struct gates_intent wanted;
    struct intent intent;

    config.deleting = true;
    intent_make(&config, &intent);
    wanted = intent_gates(&intent);
    CHECK_INT(json_object_size(intent.feature_gates), 0);
    CHECK(!plan_enables(&wanted));
    intent_fini(&intent);
}

TEST(the_history_keeps_five_and_one_entry_for_a_revision)
{
    AUTO_JSON json_t *history = NULL;
    json_t *next;

    for (int i = 0; i < 7; i++) {
        AUTO_MEM char *name = str_format("Gate%d", i);
        AUTO_JSON json_t *gates = json_pack("{s:b}", name, 1);
        struct api_config config = config_with(gates, NULL);
        struct intent intent;

        intent_make(&config, &intent);
        for (int twice = 0; twice < 2; twice++) {
            next = intent_history(history, &intent, "Applied", "", "", 1000 * i);
            json_decref(history);
            history = next;
        }
        intent_fini(&intent);
    }
    CHECK_INT(json_array_size(history), 5);
    CHECK(doc_get(json_array_get(history, 0), "intent", "featureGates", "Gate6", NULL) != NULL);
    CHECK(doc_get(json_array_get(history, 4), "intent", "featureGates", "Gate2", NULL) != NULL);
}

TEST(a_message_that_is_cut_inside_a_letter_or_no_utf8_is_kept_in_the_history)
{
    AUTO_JSON json_t *gates = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    struct api_config config = config_with(gates, NULL);
    struct intent intent;

    intent_make(&config, &intent);
    for (size_t odd = 0; odd < 2; odd++) {
        AUTO_BUF struct buf message = buf_make(3000);
        buf_add(&message, "xx", odd);
        while (message.len < 2000)
            buf_add_str(&message, "\xC3\xA4");
        AUTO_JSON json_t *history =
            intent_history(NULL, &intent, "RolledBack", "ComponentCrashed", message.ptr, 0);
        AUTO_MEM char *printed = doc_print_json(history);
        CHECK_HAS(printed, "\xC3\xA4\"");
    }
    AUTO_JSON json_t *history =
        intent_history(NULL, &intent, "RolledBack", "ComponentCrashed", "bad \xFF", 0);
    AUTO_MEM char *printed = doc_print_json(history);
    CHECK_HAS(printed, "\"bad \xEF\xBF\xBD\"");
    intent_fini(&intent);
}

TEST(the_direction_follows_the_core_gate)
{
    AUTO_JSON json_t *on = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *off =
        json_pack("{s:b,s:b}", "DynamicResourceAllocation", 0, "DRAAdminAccess", 1);
    AUTO_JSON json_t *other = json_pack("{s:b}", "ImageVolume", 1);

    CHECK(plan_enables(&(struct gates_intent){.feature_gates = on}));
    CHECK(!plan_enables(&(struct gates_intent){.feature_gates = off}));
    CHECK(plan_enables(&(struct gates_intent){.feature_gates = other}));
    CHECK(!plan_enables(&(struct gates_intent){0}));
}

TEST(a_foreign_entry_is_what_the_flags_say_without_ours_and_with_what_ours_replaced)
{
    AUTO_JSON json_t *report = json_pack(
        "{s:{s:b,s:b,s:b},s:{s:{s:b,s:b}},s:{s:{s:b}}}", "featureGates", "A", 1, "B", 1, "C", 0,
        "owned", "featureGates", "A", 1, "B", 1, "replaced", "featureGates", "B", 0);
    struct plan_instance instance = {.component = COMPONENT_SCHEDULER, .reported = report};
    AUTO_INPUTS struct plan_inputs inputs = {0};

    plan_inputs_make(&instance, 1, &inputs);
    CHECK(json_object_get(inputs.instances[0].foreign_gates, "A") == NULL);
    CHECK(json_is_false(json_object_get(inputs.instances[0].foreign_gates, "B")));
    CHECK(json_is_false(json_object_get(inputs.instances[0].foreign_gates, "C")));
}

TEST(what_was_taken_out_is_told_apart_from_what_stands)
{
    AUTO_JSON json_t *reported =
        json_pack("{s:{s:b,s:b}, s:{s:{}}, s:{s:[s,s,s,i,n]}, s:{s:{s:b,s:b}}}", "featureGates",
                  "B", 1, "C", 1, "owned", "featureGates", "removed", "featureGates", "A", "C", "D",
                  7, "replaced", "featureGates", "A", 1, "C", 0);
    struct plan_instance instance = {.id = (char *)(uintptr_t)"x", .reported = reported};
    struct plan_inputs inputs;

    plan_inputs_make(&instance, 1, &inputs);
    CHECK_STR_TAKE(doc_print_json_sorted(inputs.instances[0].foreign_gates),
                   "{\"B\":true,\"C\":true}"); // C was written again
    CHECK_STR_TAKE(doc_print_json_sorted(inputs.instances[0].removed_gates), "{\"A\":true}");
    plan_inputs_fini(&inputs);
}

TEST(what_is_prepared_for_is_part_of_the_intent_where_something_goes_for_it)
{
    AUTO_JSON json_t *gates = json_pack("{s:b}", "DynamicResourceAllocation", 1);
    AUTO_JSON json_t *status = json_object();
    struct api_config config = config_with(gates, NULL);
    struct gates_intent wanted;
    struct intent intent;
    char plain[PLAN_REVISION_BYTES];

    intent_make(&config, &intent);
    memcpy(plain, intent.revision, sizeof(plain));
    intent_fini(&intent);
    config.prepare_for = "1.38";
    intent_make(&config, &intent);
    wanted = intent_gates(&intent);
    CHECK_STR(intent.revision, plain); // it is looked at alone
    CHECK(!wanted.remove_foreign);
    intent_fini(&intent);
    config.remove_foreign = true;
    intent_make(&config, &intent);
    wanted = intent_gates(&intent);
    CHECK(!str_eq(intent.revision, plain));
    CHECK(wanted.remove_foreign);
    CHECK_INT(wanted.prepare_for.minor, 38);
    json_object_set_new(status, "history", intent_history(NULL, &intent, "Applied", "", "", 0));
    json_object_set_new(status, "lastKnownGoodRevision", json_string(intent.asked_revision));
    intent_fini(&intent);
    // What is gone back to has it too.
    config.status = status;
    config.prepare_for = "1.39";
    intent_make(&config, &intent);
    json_object_set_new(status, "failedRevision", json_string(intent.asked_revision));
    intent_fini(&intent);
    intent_make(&config, &intent);
    CHECK(intent.rolled_back);
    CHECK_INT(intent_gates(&intent).prepare_for.minor, 38);
    CHECK(intent_known_good(&config, &wanted));
    CHECK(wanted.remove_foreign && wanted.prepare_for.minor == 38);
    intent_fini(&intent);
}

TEST_MAIN()

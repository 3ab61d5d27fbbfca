// SPDX-License-Identifier: Apache-2.0
// What status says of DRAConfigurations in all their states.
#include "status.h"

#include "testkit/test.h"

#include <string.h>

static struct status_view view;

static void look(const char *configs, const char *nodes, const char *name)
{
    AUTO_JSON json_t *all = NULL;
    AUTO_JSON json_t *agents = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(configs), "configs", &all));
    CHECK_OK(doc_parse_yaml(slice_of(nodes), "nodes", &agents));
    status_view_fini(&view);
    status_view_make(all, agents, name, &view);
}

#define META(generation) "metadata: {namespace: ns, name: dra, generation: " #generation "}"
#define READY(is) "{type: Ready, status: '" is "', reason: R, message: the words}"

TEST(an_object_that_no_controller_has_seen_says_so)
{
    look("[{" META(1) "}]", "[]", NULL);
    CHECK_HAS(view.text, "ns/dra");
    CHECK_HAS(view.text, "Ready=Unknown");
    CHECK_HAS(view.text, "No controller has reported");
    CHECK(!view.ready && !view.settled);
    status_view_fini(&view);
}

TEST(ready_is_of_the_present_generation)
{
    look("[{" META(2) ", status: {observedGeneration: 2, conditions: [" READY("True") "]}}]", "[]",
         NULL);
    CHECK(view.ready && view.settled);
    look("[{" META(3) ", status: {observedGeneration: 2, conditions: [" READY("True") "]}}]", "[]",
         NULL);
    CHECK(!view.ready && !view.settled);
    CHECK_HAS(view.text, "of the spec before");
    status_view_fini(&view);
}

TEST(one_that_is_stalled_is_settled_and_not_ready)
{
    look("[{" META(1) ", status: {observedGeneration: 1, conditions: [" READY(
             "False") ", {type: "
                      "Stalled, status: 'True', reason: R, message: m}]}}]",
         "[]", NULL);
    CHECK(!view.ready && view.settled);
    status_view_fini(&view);
}

TEST(features_are_told)
{
    look("[{" META(1) ", status: {observedGeneration: 1, features: [{name: PoolStatus, state: "
                      "'Off', message: what is missing}, {name: DeviceTaints, state: Default}], "
                      "conditions: [" READY("True") "]}}]",
         "[]", NULL);
    CHECK_HAS(view.text, "|- feature PoolStatus Off: what is missing\n|- feature DeviceTaints "
                         "Default\n");
    status_view_fini(&view);
}

TEST(what_was_taken_out_of_others_is_told)
{
    look("[{" META(1) ", status: {observedGeneration: 1, components: [{name: kubelet, instances: "
                      "2, updated: 2, removed: 'A=true (w-1, w-2)'}, {name: kube-scheduler, "
                      "instances: 1, updated: 1}], conditions: [" READY("True") "]}}]",
         "[]", NULL);
    CHECK_HAS(view.text, "|- kubelet 2/2  nothing to write\n"
                         "|   taken out, of others: A=true (w-1, w-2)\n"
                         "|- kube-scheduler 1/1  nothing to write\n`- Ready");
    status_view_fini(&view);
}

TEST(words_of_an_agent_without_a_reason_stand_alone)
{
    look(
        "[{" META(1) ", status: {observedGeneration: 1, components: [{name: kubelet, instances: 1, "
                     "updated: 1}], conditions: [" READY("True") "]}}]",
        "[{metadata: {name: w}, spec: {configuration: ns/dra, components: [{name: kubelet, "
        "revision: r}]}, status: {components: [{name: kubelet, state: UpToDate, revision: r, "
        "version: v1, message: by hand}]}}]",
        NULL);
    CHECK_HAS(view.text, "|   |- w: UpToDate v1 (by hand)\n");
    status_view_fini(&view);
}

TEST(another_name_is_left_out)
{
    look("[{" META(1) "}]", "[]", "other");
    CHECK_INT(json_array_size(view.picked), 0);
    CHECK_STR(view.text, "");
    status_view_fini(&view);
}

TEST(an_agent_that_speaks_of_the_revision_before_is_not_up_to_date)
{
    look(
        "[{" META(1) ", status: {observedGeneration: 1, components: [{name: kubelet, instances: 1, "
                     "updated: 0, desired: 'A=true'}], conditions: [" READY("False") "]}}]",
        "[{metadata: {name: w}, spec: {configuration: ns/dra, components: [{name: kubelet, "
        "revision: "
        "new}]}, status: {components: [{name: kubelet, state: UpToDate, revision: old}]}}]",
        NULL);
    CHECK_HAS(view.text, "kubelet 0/1  A=true");
    CHECK_HAS(view.text, "w: Asked");
    CHECK(!strstr(view.text, "UpToDate"));
    status_view_fini(&view);
}

TEST(what_is_not_looked_at_and_what_was_said_is_not_said)
{
    look(
        "[{" META(1) ", status: {observedGeneration: 1, components: [{name: kubelet, instances: 0, "
                     "updated: 0}], conditions: [" READY(
                         "False") ", {type: ConfigValid, status: "
                                  "'False', reason: R, message: the words}]}}]",
        "[]", NULL);
    CHECK(!strstr(view.text, "0/0"));
    CHECK_HAS(view.text, "Ready=False R: the words");
    CHECK_HAS(view.text, "ConfigValid=False R (see Ready)");
    status_view_fini(&view);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// How far a roll-out is, and what its pods say.
#include "drawbridge/rollout.h"
#include "test.h"

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

// Of a workload of two replicas in its third generation.
static struct rollout look(const char *status)
{
    AUTO_MEM char *text =
        str_format("{metadata: {generation: 3}, spec: {replicas: 2}, status: %s}", status);
    AUTO_JSON json_t *workload = parse(text);

    return rollout_of(workload);
}

static void check_not_complete(const char *status, const char *words)
{
    struct rollout r = look(status);

    CHECK(!r.complete && !r.stuck);
    CHECK_STR_TAKE(rollout_describe(&r), words);
}

#define ALL "replicas: 2, updatedReplicas: 2, availableReplicas: 2"

TEST(every_replica_is_new_and_available_and_no_old_one_is_left)
{
    CHECK(look("{observedGeneration: 3, " ALL "}").complete);
    CHECK(look("{observedGeneration: 4, " ALL "}").complete);
    check_not_complete("{observedGeneration: 2, " ALL "}", "not taken up by its controller yet");
    check_not_complete("{}", "not taken up by its controller yet");
    check_not_complete("{observedGeneration: 3, replicas: 3, updatedReplicas: 2,"
                       " availableReplicas: 2}",
                       "2 of 2 replicas updated, 2 available");
    check_not_complete("{observedGeneration: 3, replicas: 2, updatedReplicas: 1,"
                       " availableReplicas: 2}",
                       "1 of 2 replicas updated, 2 available");
    check_not_complete("{observedGeneration: 3, replicas: 2, updatedReplicas: 2,"
                       " availableReplicas: 1}",
                       "2 of 2 replicas updated, 1 available");
}

TEST(a_stateful_set_is_at_one_revision_in_the_end)
{
    CHECK(look("{observedGeneration: 3, " ALL ", currentRevision: b, updateRevision: b}").complete);
    check_not_complete("{observedGeneration: 3, " ALL ", currentRevision: a, updateRevision: b}",
                       "2 of 2 replicas updated, 2 available");
}

#define GAVE_UP                                                                                    \
    "replicas: 3, updatedReplicas: 1, availableReplicas: 2,"                                       \
    " conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]"

TEST(its_controller_gives_up)
{
    CHECK(look("{observedGeneration: 3, " GAVE_UP "}").stuck);
    CHECK(!look("{observedGeneration: 2, " GAVE_UP "}").stuck); // of the generation before
}

TEST(what_is_not_there_is_not_rolled_out)
{
    struct rollout r = rollout_of(NULL);

    CHECK(!r.seen && !r.complete && !r.stuck);
}

TEST(pods_are_found_by_the_labels_of_their_workload)
{
    AUTO_JSON json_t *workload = parse("{spec: {selector: {matchLabels: {a: b, c: d}}}}");
    AUTO_JSON json_t *none = parse("{spec: {}}");

    CHECK_STR_TAKE(rollout_pod_selector(workload), "a=b,c=d");
    CHECK(rollout_pod_selector(none) == NULL);
}

static void check_words(const char *pod_text, const char *expected)
{
    AUTO_JSON json_t *pod = parse(pod_text);
    AUTO_MEM char *words = rollout_pod_words(pod);

    CHECK_STR(words, expected);
}

TEST(pods_say_why)
{
    check_words("{metadata: {name: a}, status: {conditions: [{type: PodScheduled, status: 'False',"
                " reason: Unschedulable, message: no node}]}}",
                "pod a: Unschedulable: no node");
    check_words(
        "{metadata: {name: a}, status: {containerStatuses: [{name: x, state: {running: {}}},"
        " {name: k, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated:"
        " {exitCode: 1, message: 'unrecognized feature gate: X'}}}]}}",
        "pod a: container k ended with exit code 1: unrecognized feature gate: X");
    check_words("{metadata: {name: a}, status: {containerStatuses: [{name: k, state: {waiting:"
                " {reason: ImagePullBackOff, message: gone}}}]}}",
                "pod a: container k: ImagePullBackOff: gone");
    check_words("{metadata: {name: a}, status: {containerStatuses: [{name: k, state: {waiting:"
                " {reason: ContainerCreating}}}]}}",
                NULL);
    check_words("{metadata: {name: a, deletionTimestamp: x}, status: {containerStatuses: [{name: k,"
                " state: {terminated: {exitCode: 0}}}]}}",
                NULL);
}

// The words are cut, here inside of a letter of two bytes, and must still be text in the record.

TEST_MAIN()

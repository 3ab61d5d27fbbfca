// SPDX-License-Identifier: Apache-2.0
// How far the roll-out of a control plane or a MachineDeployment is, by what Cluster API says.
#include "capi/capi_internal.h"
#include "test.h"

#define NOW_MS 1764000000000

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

static void check_rollout(const char *generation, const char *status, unsigned deleting, bool want)
{
    AUTO_MEM char *text =
        str_format("{metadata: {name: one, generation: %s}, spec: {replicas: 1}, status: %s}",
                   generation, status);
    AUTO_JSON json_t *object = parse(text);
    const struct capi_owner owner = {
        .kind = KIND_KUBEADM_CONTROL_PLANE, .object = object, .machines = {.deleting = deleting}};
    struct rollout r = capi_rollout_of(&owner, false);

    if (r.complete != want)
        test_fail(__FILE__, __LINE__, "%s", status);
}

#define NOT_ROLLING "conditions: [{type: RollingOut, status: 'False'}]"

// Seen of Cluster API 1.14.2, in this order, of one replica.
TEST(a_roll_out_is_over_by_its_counts_and_by_no_condition)
{
    static const char *const not_over[] = {
        "{observedGeneration: 1, replicas: 1, upToDateReplicas: 1, readyReplicas: 1, " NOT_ROLLING
        "}",
        "{observedGeneration: 2, replicas: 1, upToDateReplicas: 0, readyReplicas: 1}",
        "{observedGeneration: 2, replicas: 2, upToDateReplicas: 1, readyReplicas: 1}",
        "{observedGeneration: 2, replicas: 2, upToDateReplicas: 1, readyReplicas: 0}",
        "{observedGeneration: 2, replicas: 2, upToDateReplicas: 2, readyReplicas: 1, " NOT_ROLLING
        "}",
        "{observedGeneration: 2}",
    };
    static const char over[] =
        "{observedGeneration: 2, replicas: 1, upToDateReplicas: 1, readyReplicas: 1}";

    for (size_t i = 0; i < COUNT(not_over); i++)
        check_rollout("2", not_over[i], 0, false);
    check_rollout("2", over, 1, false);
    check_rollout("2", over, 0, true);
    check_rollout("2", "{observedGeneration: 2, replicas: 1, updatedReplicas: 1, readyReplicas: 1}",
                  0, true);
}

// It has seen the generation, and still counts the Machines of the template from before.
TEST(a_machine_deployment_is_over_when_its_machines_are_of_its_template)
{
    AUTO_JSON json_t *deployment =
        parse("{metadata: {name: w, generation: 2}, spec: {replicas: 2, template: {spec:"
              " {bootstrap: {configRef: {kind: KubeadmConfigTemplate, name: new}}}}}, status:"
              " {observedGeneration: 2, replicas: 2, upToDateReplicas: 2, readyReplicas: 2,"
              " availableReplicas: 2}}");
    AUTO_JSON json_t *old =
        parse("{spec: {replicas: 2, template: {spec: {bootstrap: {configRef:"
              " {kind: KubeadmConfigTemplate, name: old}}}}}, status: {replicas: 2}}");
    AUTO_JSON json_t *emptied =
        parse("{spec: {replicas: 0, template: {spec: {bootstrap: {configRef:"
              " {kind: KubeadmConfigTemplate, name: old}}}}}, status: {replicas: 0}}");
    AUTO_JSON json_t *new =
        parse("{spec: {replicas: 2, template: {spec: {bootstrap: {configRef:"
              " {kind: KubeadmConfigTemplate, name: new}}}}}, status: {replicas: 1}}");
    struct capi_owner owner = {.kind = KIND_MACHINE_DEPLOYMENT, .object = deployment};

    CHECK(capi_rollout_of(&owner, false).complete);
    capi_note_set(&owner, old);
    CHECK(!capi_rollout_of(&owner, true).complete);
    owner.machines = (struct capi_machines){0};
    capi_note_set(&owner, emptied);
    CHECK(!capi_rollout_of(&owner, true).complete);
    capi_note_set(&owner, new);
    CHECK(capi_rollout_of(&owner, true).complete);
}

TEST(a_machine_says_when_it_came_and_why_it_does_not_get_ready)
{
    static const char machine[] =
        "{metadata: {name: one-b528m, creationTimestamp: '2025-11-24T16:00:00Z'}, status: {%s"
        "conditions: [{type: UpToDate, status: 'False', message: 'not yet'},"
        " {type: NodeHealthy, status: Unknown, message: 'Waiting for a Node'},"
        " {type: APIServerPodHealthy, status: 'False', message: 'back-off 5m0s'}]}}";
    AUTO_MEM char *text = str_format(machine, "");
    AUTO_JSON json_t *bad = parse(text);
    AUTO_JSON json_t *going =
        parse("{metadata: {name: old, creationTimestamp: '2025-11-01T16:00:00Z',"
              " deletionTimestamp: '2025-11-24T16:00:05Z'}}");
    AUTO_JSON json_t *good = parse("{metadata: {name: x}, status: {conditions: [{type: Ready,"
                                   " status: 'True'}, {type: Paused, status: 'False', message:"
                                   " no}]}}");
    struct capi_owner owner = {.kind = KIND_KUBEADM_CONTROL_PLANE};

    capi_note_machine(&owner, good);
    CHECK(owner.machines.words == NULL);
    capi_note_machine(&owner, bad);
    capi_note_machine(&owner, going);
    CHECK_STR(owner.machines.words, "Machine one-b528m: APIServerPodHealthy: back-off 5m0s");
    CHECK_INT(owner.machines.newest_ms, NOW_MS + 5000);
    CHECK_INT(owner.machines.deleting, 1);
    mem_free(owner.machines.words);
}

static void check_strategy(const char *spec, bool want)
{
    AUTO_JSON json_t *deployment = parse(spec);

    CHECK_INT(capi_is_on_delete(deployment), want);
}

TEST(machines_that_are_replaced_by_hand_are_not_waited_for)
{
    check_strategy("{spec: {rollout: {strategy: {type: OnDelete}}}}", true);
    check_strategy("{spec: {strategy: {type: OnDelete}}}", true);
    check_strategy("{spec: {strategy: {type: RollingUpdate}}}", false);
}

TEST_MAIN()

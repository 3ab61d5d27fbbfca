// SPDX-License-Identifier: Apache-2.0
// Entries of others that shall not stand: taken out and read back like any edit, told of, given
// back, and named where nobody edits.
#include "world.h"

#define KUBELET COMPONENT_KUBELET
#define SCHED COMPONENT_SCHEDULER

static bool scheduler_failed(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "Failed") &&
           !json_object_get(node_status(world->node), "step");
}

// A world with one scheduler that has been observed.
static void one_scheduler(struct world *world, const char *flags)
{
    world_init(world);
    world_add(world, SCHED, flags);
    world_start_agent(world);
    CHECK(world_wait(world, idle, 5000));
}

static char *scheduler_text(const struct world *world)
{
    return test_read(world->fakes[SCHED].path);
}

#define WITHOUT(revision, expect)                                                                  \
    "{\"epoch\": 1, \"components\": [{\"name\": \"kube-scheduler\", \"revision\": \"" revision     \
    "\", \"featureGates\": {}, \"withoutFeatureGates\": [\"NodeLogQuery\"], \"expect\": {" expect  \
    "}}]}"

TEST(an_entry_of_others_is_taken_out_told_of_and_given_back)
{
    struct world world;
    one_scheduler(&world, "    - --feature-gates=NodeLogQuery=false\n");
    AUTO_MEM char *theirs = scheduler_text(&world);
    world_desire_json(&world, WITHOUT("r1", "\"NodeLogQuery\": false"));
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *without = scheduler_text(&world);
    CHECK(strstr(without, "NodeLogQuery") == NULL);
    const json_t *told = world_component(&world, "kube-scheduler");
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(told, "owned")),
                   "{\"featureGates\":{},\"runtimeConfig\":{}}");
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(told, "removed")),
                   "{\"featureGates\":[\"NodeLogQuery\"],\"runtimeConfig\":[]}");
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(told, "replaced")),
                   "{\"featureGates\":{\"NodeLogQuery\":false},\"runtimeConfig\":{}}");
    // What the journal says outlives the agent.
    world_stop_agent(&world);
    world_start_agent(&world);
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_INT(world.fakes[SCHED].starts, 2);
    world_desire(&world, "r2", "", "Disable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR_TAKE(scheduler_text(&world), theirs);
    CHECK(!json_object_get(world_component(&world, "kube-scheduler"), "removed"));
    world_fini(&world);
}

TEST(an_entry_of_others_that_had_an_effect_is_put_back)
{
    struct world world;
    one_scheduler(&world, "    - --feature-gates=NodeLogQuery=true\n");
    AUTO_MEM char *theirs = scheduler_text(&world);
    world_desire_json(&world, WITHOUT("r1", "\"NodeLogQuery\": true"));
    CHECK(world_wait(&world, scheduler_failed, 5000));
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "reason", NULL),
              "ReadBackMismatch");
    CHECK_STR_TAKE(scheduler_text(&world), theirs);
    CHECK(!json_object_get(world_component(&world, "kube-scheduler"), "removed"));
    world_fini(&world);
}

TEST(what_stands_where_nobody_edits_is_named)
{
    struct world world;
    world_init(&world);
    world_add(&world, KUBELET, "");
    AUTO_MEM char *text =
        str_format("KUBELET_KUBEADM_ARGS=\"--feature-gates=NodeLogQuery=false\"\n");
    test_write(world.config, "kind: KubeletConfiguration\nfeatureGates: {NodeLogQuery: false, "
                             "DynamicResourceAllocation: false}\n");
    test_write(world.env, text);
    world_start_agent(&world);
    world_desire_json(
        &world, "{\"epoch\": 1, \"components\": [{\"name\": \"kubelet\", \"revision\": \"r1\", "
                "\"withoutFeatureGates\": [\"NodeLogQuery\"]}]}");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK_STR_TAKE(test_read(world.env), "KUBELET_KUBEADM_ARGS=\"\"\n");
    AUTO_MEM char *left = str_format("NodeLogQuery (%s, line 2)", world.config);
    CHECK_HAS(doc_str(world_component(&world, "kubelet"), "message", NULL), left);
    world_fini(&world);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Objects that many nodes are made from, and of many things that went wrong, which the others are.
#include "world.h"

// Objects that nodes are made from, and what runs elsewhere, which nobody begins.
TEST(a_share_counts_objects_that_nodes_are_made_from)
{
    static const char *const units[] = {"a", "b", "c", "d", "d"};
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_policy policy = {.enable = true, .max_unavailable_percent = 50};
    unsigned now = 0;

    for (unsigned i = 0; i < COUNT(units); i++) {
        struct plan_instance *instance = add(&w, NULL, COMPONENT_KUBELET, false);

        instance->unit = units[i];
        instance->beside = i == 4;
    }
    add(&w, NULL, COMPONENT_KUBELET, false)->elsewhere = true;
    make(&w, policy, &plan);
    for (size_t i = 0; i < plan.len; i++)
        now += plan.steps[i].state == PLAN_NOW && !w.instances[plan.steps[i].instance].beside;
    CHECK_INT(now, 2);
    world_fini(&w);
}

static void check_others(unsigned failed, const char *want)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_policy policy = {.enable = true};

    for (unsigned i = 0; i < COUNT(names); i++)
        add(&w, names[i], COMPONENT_KUBELET, false);
    w.instances[0].unit = w.instances[5].unit = "a"; // told together
    make(&w, policy, &plan);
    for (unsigned i = 0; i < failed; i++)
        plan.steps[i].state = PLAN_FAILED;
    plan.steps[6].state = PLAN_BLOCKED; // that is something else
    CHECK_STR_TAKE(plan_others_text(&plan, w.instances, 0), want);
    world_fini(&w);
}

TEST(what_else_failed_is_named)
{
    check_others(1, "");
    check_others(2, "; failed too: kubelet on b");
    check_others(4, "; failed too: kubelet on b, kubelet on c, kubelet on d");
    check_others(6, "; failed too: kubelet on b, kubelet on c, kubelet on d and 1 more");
}

TEST_MAIN()

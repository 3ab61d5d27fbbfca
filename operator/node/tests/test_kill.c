// SPDX-License-Identifier: Apache-2.0
// The agent is killed at its n-th file operation, for every n, and started again on the same tree:
// the file is whole at each moment, and what comes out is the same as if nothing had happened.
#include "world.h"

#include <sys/wait.h>

static unsigned die_at, stages;

static void die(const char *stage)
{
    (void)stage;
    if (++stages == die_at)
        _exit(9);
}

static bool failed(struct world *world)
{
    const json_t *component =
        json_array_get(json_object_get(node_status(world->node), "components"), 0);
    return str_eq(doc_str(component, "state", NULL), "Failed") &&
           !json_object_get(node_status(world->node), "step");
}

struct plan {
    enum component component;
    const char *gate;
    uint16_t port;
    char *path, *before, *after; // after: NULL when it must come out as before
};

static void run_world(struct world *world, struct plan *plan)
{
    world_init(world);
    node_timing.tick_ms = node_timing.debounce_ms = 5;
    node_timing.kubelet_hold_ms = 20;
    world->restart_ms = 10;
    world->fakes[plan->component].port = plan->port;
    world_add(world, plan->component, "");
    if (plan->component == COMPONENT_KUBELET)
        world_add_nets(world);
    plan->port = world->fakes[plan->component].port;
    world_start_agent(world);
}

static void first_life(struct plan *plan)
{
    struct world world;
    guard_test_hook = die;
    run_world(&world, plan);
    world_desire(&world, "r1", plan->gate, "Enable");
    bool done = world_wait(&world, plan->after ? all_up_to_date : failed, 5000);
    _exit(done ? 0 : 1);
}

static void check_whole(const struct plan *plan, const char *after)
{
    AUTO_MEM char *now = test_read(plan->path);
    CHECK(str_eq(now, plan->before) || str_eq(now, after));
}

// The journal may or may not know the wish yet; the controller gives it again.
static void second_life(struct plan *plan)
{
    struct world world;
    run_world(&world, plan);
    world_desire(&world, "r1", plan->gate, "Enable");
    CHECK(world_wait(&world, plan->after ? all_up_to_date : failed, 8000));
    CHECK_STR_TAKE(test_read(plan->path), plan->after ? plan->after : plan->before);
    if (plan->after) {
        world_desire(&world, "r2", "", "Disable");
        CHECK(world_wait(&world, all_up_to_date, 8000));
        CHECK_STR_TAKE(test_read(plan->path), plan->before);
    }
    world_fini(&world);
}

static void wipe(void)
{
    AUTO_MEM char *command = str_format("rm -rf '%s'/*", test_dir());
    CHECK(system(command) == 0);
}

// Every sixth n, beginning at from: six tests share the work.
static void kill_everywhere(enum component component, const char *gate, bool comes_out,
                            unsigned from)
{
    struct plan plan = {.component = component, .gate = gate};
    struct world world;
    run_world(&world, &plan);
    plan.path = str_dup(world.fakes[component].path);
    plan.before = test_read(plan.path);
    AUTO_JSON json_t *set = json_pack("{s:b}", gate, 1);
    struct site_place place = {component == COMPONENT_KUBELET ? &site_kubelet_configuration
                                                              : &site_pod,
                               component, "x", .at = NULL};
    AUTO_JSON json_t *want = json_pack("{s:O}", site_kinds[0], set);
    AUTO_SITE_PART struct site_part part = {.place = place, .want = want};
    struct site_document document = {.now.text = slice_of(plan.before)};
    struct site_edit edit = {0};
    CHECK_OK(site_edit(&document, &part, 1, &edit));
    char *after = edit.text;
    plan.after = comes_out ? after : NULL;
    world_fini(&world);
    bool finished = false;
    for (die_at = from; !finished; die_at += 6) {
        wipe();
        pid_t pid = fork();
        if (pid == 0)
            first_life(&plan);
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
        finished = WEXITSTATUS(status) == 0;
        if (test_exists(plan.path))
            check_whole(&plan, after);
        second_life(&plan);
    }
    CHECK(die_at > 20);
    mem_free(plan.path);
    mem_free(plan.before);
    mem_free(after);
}

#define KILL(noun, component, gate, comes_out, from)                                               \
    TEST(noun##_##from)                                                                            \
    {                                                                                              \
        kill_everywhere(component, gate, comes_out, from);                                         \
    }
#define KILLS(noun, component, gate, comes_out)                                                    \
    KILL(noun, component, gate, comes_out, 1)                                                      \
    KILL(noun, component, gate, comes_out, 2)                                                      \
    KILL(noun, component, gate, comes_out, 3)                                                      \
    KILL(noun, component, gate, comes_out, 4)                                                      \
    KILL(noun, component, gate, comes_out, 5)                                                      \
    KILL(noun, component, gate, comes_out, 6)

KILLS(edit_of_a_manifest, COMPONENT_SCHEDULER, "DynamicResourceAllocation", true)
KILLS(edit_of_the_kubelet, COMPONENT_KUBELET, "DynamicResourceAllocation", true)
KILLS(rollback_of_the_kubelet, COMPONENT_KUBELET, "Bogus", false)
KILLS(rollback_of_a_manifest, COMPONENT_SCHEDULER, "Bogus", false)

TEST_MAIN()

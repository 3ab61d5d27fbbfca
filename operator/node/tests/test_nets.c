// SPDX-License-Identifier: Apache-2.0
// The nets under an edit of the kubelet's file: armed before it is touched, disarmed when it is
// vouched for, and what comes of it when they had to hold.
#include "world.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#define KUBELET COMPONENT_KUBELET

static const char *reason_of(const struct world *world)
{
    return doc_str(world_component(world, "kubelet"), "reason", NULL);
}

static const char *message_of(const struct world *world)
{
    return doc_str(world_component(world, "kubelet"), "message", NULL);
}

static bool kubelet_failed(struct world *world)
{
    return str_eq(world_state(world, "kubelet"), "Failed") &&
           !json_object_get(node_status(world->node), "step");
}

static bool kubelet_failed_and_idle(struct world *world)
{
    return kubelet_failed(world) && node_is_idle(world->node);
}

static void one_kubelet(struct world *world)
{
    world_init(world);
    world_add(world, KUBELET, "");
    world_add_nets(world);
    world_start_agent(world);
    CHECK(world_wait(world, idle, 5000));
}

static struct guard_state look(const struct world *world)
{
    struct guard_state state;
    CHECK_OK(guard_look(world->guard, &state));
    return state;
}

static char *edit_id(const struct world *world)
{
    const json_t *edit = doc_get(node_record_peek(world->node, KUBELET), "edit", NULL);
    return str_dup(doc_str(edit, "guard", NULL));
}

static bool file_is_edited(struct world *world)
{
    AUTO_MEM char *text = test_read(world->config);
    return strstr(text, "featureGates") != NULL;
}

static bool kubelet_refuses(struct world *world)
{
    return file_is_edited(world) && !world->fakes[KUBELET].up;
}

static bool file_is_not_edited(struct world *world)
{
    return !file_is_edited(world);
}

static bool timer_was_stopped(struct world *world)
{
    AUTO_MEM char *said = test_exists(world->host_log) ? test_read(world->host_log) : str_dup("");
    return strstr(said, " systemctl stop drawbridge-guard-") != NULL;
}

TEST(armed_before_the_file_is_touched_and_disarmed_when_it_is_read_back)
{
    struct world world;
    one_kubelet(&world);
    world.timeout_s = OVER_S;
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    CHECK(world_wait(&world, timer_was_stopped, 5000));
    AUTO_MEM char *said = test_read(world.host_log);
    AUTO_MEM char *armed =
        str_format("old,armed %s/drawbridge-guard arm %s ", world.guard, world.guard);
    CHECK(str_starts(said, armed));
    AUTO_MEM char *disarmed =
        str_format(" %d kubelet /etc/systemd/system/kubelet.service.d\nnew systemctl stop "
                   "drawbridge-guard-",
                   30 + OVER_S);
    CHECK_HAS(said, disarmed);
    AUTO_MEM char *installed = str_format("%s/drawbridge-guard", world.guard);
    CHECK_STR_TAKE(test_read(installed), "#!/bin/sh\n");
    struct guard_state state = look(&world);
    CHECK(!state.armed && !state.judged && !state.counted);
    CHECK_INT(world.fakes[KUBELET].starts, 2);
    world_fini(&world);
}

TEST(a_kubelet_that_does_not_last_is_put_back_and_told)
{
    struct world world;
    one_kubelet(&world);
    AUTO_MEM char *before = test_read(world.config);
    world_desire_json(
        &world,
        "{\"epoch\": 1, \"componentTimeoutSeconds\": 60, \"components\": [{\"name\": \"kubelet\", "
        "\"revision\": \"r1\", \"featureGates\": {\"Bogus\": true}}]}");
    CHECK(world_wait(&world, kubelet_failed_and_idle, 8000));
    CHECK_STR(reason_of(&world), "KubeletNotReady");
    CHECK_HAS(message_of(&world), "started 3 times");
    CHECK_HAS(message_of(&world), "the component is healthy");
    CHECK_STR_TAKE(test_read(world.config), before);
    CHECK(!json_object_get(world_component(&world, "kubelet"), "owned"));
    struct guard_state state = look(&world);
    CHECK(!state.armed && !state.judged);
    // Not again, also not by another life; another wish is tried.
    unsigned starts = world.fakes[KUBELET].starts;
    world_stop_agent(&world);
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    CHECK(kubelet_failed(&world));
    CHECK_INT(world.fakes[KUBELET].starts, starts);
    world_desire(&world, "r2", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    world_fini(&world);
}

// As a kubelet of 1.36 ends: the last line is a frame of the stack.
#define PANIC                                                                                      \
    "I1125 04:00:00.000000     77 server.go:212] \"Kubelet version\"\n"                            \
    "panic: failed to merge global and in-flight KubeletConfiguration while setting defaults, "    \
    "error: unrecognized feature gate: Bogus\n\ngoroutine 1 [running]:\n"                          \
    "main.main()\n\tk8s.io/kubernetes/cmd/kubelet/kubelet.go:34 +0x1d\n"

TEST(its_log_is_searched_for_the_refusal)
{
    static const char *const command[] = {"journal", NULL};
    struct world world;
    world_init(&world);
    world_add(&world, KUBELET, "");
    world_add_nets(&world);
    world.restart_ms = 60000; // the service manager takes its time, and so does the guard
    world.spec.paths.kubelet_log = command;
    AUTO_MEM char *script = test_read(world.host);
    AUTO_MEM char *log = test_path("kubelet.log");
    AUTO_MEM char *more = str_format("%s[ \"$1\" != journal ] || cat '%s'\n", script, log);
    test_write(world.host, more);
    test_write(log, PANIC);
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    world_desire_json(
        &world,
        "{\"epoch\": 1, \"componentTimeoutSeconds\": 60, \"components\": [{\"name\": \"kubelet\", "
        "\"revision\": \"r1\", \"featureGates\": {\"Bogus\": true}}]}");
    CHECK(world_wait(&world, kubelet_failed_and_idle, 8000));
    CHECK_STR(reason_of(&world), "ComponentCrashed");
    CHECK_HAS(
        message_of(&world),
        "refuses its configuration: panic: failed to merge global and in-flight "
        "KubeletConfiguration while setting defaults, error: unrecognized feature gate: Bogus");
    AUTO_MEM char *said = test_read(world.host_log);
    CHECK_HAS(said, " journal --since=@");
    CHECK(!file_is_edited(&world));
    world_fini(&world);
}

static void leave_after_the_edit(struct world *world, const char *gate)
{
    world_desire(world, "r1", gate, "Enable");
    CHECK(world_wait(world, str_eq(gate, "Bogus") ? kubelet_refuses : file_is_edited, 5000));
    world_stop_agent(world);
}

// Nothing to read back, and so the kubelet from before looks just as right as the one with the
// edit.
TEST(a_verdict_is_not_taken_for_a_success)
{
    for (int i = 0; i < 5; i++) {
        struct world world;
        one_kubelet(&world);
        world.restart_ms = 1 + (uint64_t)i * 10; // the guard acts somewhere between two looks
        world_desire_json(
            &world, "{\"epoch\": 1, \"componentTimeoutSeconds\": 60, \"components\": [{\"name\": "
                    "\"kubelet\", \"revision\": \"r1\", \"featureGates\": {\"Bogus\": true}}]}");
        CHECK(world_wait(&world, kubelet_failed_and_idle, 8000));
        CHECK(!json_object_get(world_component(&world, "kubelet"), "owned"));
        world_stop_agent(&world);
        world_fini(&world);
        AUTO_MEM char *command = str_format("rm -rf '%s'/*", test_dir());
        CHECK(system(command) == 0);
    }
}

TEST(without_the_agent_too)
{
    struct world world;
    one_kubelet(&world);
    AUTO_MEM char *before = test_read(world.config);
    leave_after_the_edit(&world, "Bogus");
    CHECK(world_wait(&world, file_is_not_edited, 5000));
    CHECK_STR_TAKE(test_read(world.config), before);
    world_start_agent(&world);
    CHECK(world_wait(&world, kubelet_failed_and_idle, 8000));
    CHECK_STR(reason_of(&world), "KubeletNotReady");
    CHECK_HAS(message_of(&world), "the guard on the node put it back");
    CHECK(world_wait(&world, timer_was_stopped, 5000));
    CHECK(!look(&world).judged);
    CHECK_STR_TAKE(test_read(world.config), before);
    world_fini(&world);
}

TEST(the_timer_speaks_for_one_that_only_hangs)
{
    struct world world;
    one_kubelet(&world);
    world.fakes[KUBELET].never_ready = true;
    world_desire(&world, "r1", "Broken", "Enable");
    CHECK(world_wait(&world, file_is_edited, 5000));
    AUTO_MEM char *id = edit_id(&world);
    world_stop_agent(&world);
    bool put_back = false;
    CHECK_OK(guard_on_timer(world.guard, id, &put_back));
    CHECK(put_back);
    world_start_agent(&world);
    CHECK(world_wait(&world, kubelet_failed_and_idle, 8000));
    CHECK_STR(reason_of(&world), "KubeletNotReady");
    CHECK_HAS(message_of(&world), "the timer put its file back");
    world_fini(&world);
}

TEST(without_nets_the_file_is_not_touched)
{
    struct world world;
    one_kubelet(&world);
    AUTO_MEM char *fails = test_path("host-fails");
    AUTO_MEM char *before = test_read(world.config);
    unsigned starts = world.fakes[KUBELET].starts;
    test_write(fails, "");
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    CHECK(world_wait(&world, kubelet_failed_and_idle, 5000));
    CHECK_STR(reason_of(&world), "KubeletUnguarded");
    CHECK_HAS(message_of(&world), "no service manager here; the file is as it was");
    CHECK_STR_TAKE(test_read(world.config), before);
    CHECK_INT(world.fakes[KUBELET].starts, starts);
    CHECK(!look(&world).armed);
    world_fini(&world);
}

TEST(a_second_life_arms_again_before_it_restarts)
{
    struct world world;
    one_kubelet(&world);
    leave_after_the_edit(&world, "DynamicResourceAllocation");
    CHECK(look(&world).armed);
    CHECK(unlink(world.host_log) == 0);
    world_start_agent(&world);
    CHECK(world_wait(&world, all_up_to_date, 8000));
    AUTO_MEM char *said = test_read(world.host_log);
    CHECK(str_starts(said, "new,armed "));
    CHECK_HAS(said, "/drawbridge-guard arm ");
    CHECK(!look(&world).armed);
    world_fini(&world);
}

static unsigned starts_before;

static bool kubelet_started_again(struct world *world)
{
    return world->fakes[KUBELET].starts > starts_before || all_up_to_date(world);
}

// What the guard counts is that the kubelet does not last. That we do not is another matter.
TEST(an_agent_that_dies_over_and_over_says_nothing_of_the_kubelet)
{
    struct world world;
    one_kubelet(&world);
    world_desire(&world, "r1", "DynamicResourceAllocation", "Enable");
    for (int life = 0; life < 6; life++) {
        starts_before = world.fakes[KUBELET].starts;
        // From the second life on it may well have no need to.
        CHECK(world_wait(&world, kubelet_started_again, life == 0 ? 5000 : 200) || life > 0);
        world_stop_agent(&world);
        CHECK(file_is_edited(&world));
        world_start_agent(&world);
    }
    CHECK(world_wait(&world, all_up_to_date, 8000));
    CHECK(file_is_edited(&world));
    CHECK(!look(&world).armed);
    CHECK(world.fakes[KUBELET].starts <= 4);
    world_fini(&world);
}

TEST(one_that_cannot_be_armed_again_is_put_back)
{
    struct world world;
    one_kubelet(&world);
    AUTO_MEM char *fails = test_path("host-fails");
    AUTO_MEM char *before = test_read(world.config);
    leave_after_the_edit(&world, "DynamicResourceAllocation");
    test_write(fails, "");
    world_start_agent(&world);
    CHECK(world_wait(&world, kubelet_failed_and_idle, 8000));
    CHECK_STR(reason_of(&world), "KubeletUnguarded");
    CHECK_STR_TAKE(test_read(world.config), before);
    CHECK(!look(&world).armed);
    world_fini(&world);
}

TEST(somebody_elses_edit_meanwhile_disarms)
{
    struct world world;
    one_kubelet(&world);
    world.restart[2] = "true"; // and so it waits
    world_desire_json(
        &world,
        "{\"epoch\": 1, \"componentTimeoutSeconds\": 60, \"components\": [{\"name\": \"kubelet\", "
        "\"revision\": \"r1\", \"featureGates\": {\"DynamicResourceAllocation\": true}, "
        "\"expect\": {\"DynamicResourceAllocation\": true}}]}");
    CHECK(world_wait(&world, file_is_edited, 5000));
    AUTO_MEM char *ours = test_read(world.config);
    AUTO_MEM char *theirs = str_format("%s# theirs\n", ours);
    world.restart[2] = world.restart_line;
    test_write(world.config, theirs);
    CHECK(world_wait(&world, all_up_to_date, 8000));
    CHECK_STR_TAKE(test_read(world.config), theirs);
    CHECK(!look(&world).armed);
    world_fini(&world);
}

TEST(what_an_earlier_life_left_armed_is_disarmed)
{
    struct world world;
    one_kubelet(&world);
    world_stop_agent(&world);
    struct guard_record record = {.id = "0123456789abcdef",
                                  .path = world.config,
                                  .starts_max = 3,
                                  .mode = 0644,
                                  .before_there = true,
                                  .after_there = true,
                                  .before = slice_of("a\n"),
                                  .after = slice_of("b\n")};
    CHECK_OK(guard_arm(world.guard, &record));
    world_start_agent(&world);
    CHECK(!look(&world).armed);
    CHECK(world_wait(&world, timer_was_stopped, 5000));
    world_fini(&world);
}

// The guard replaces files through a temporary one, and without it there would be no way back.
TEST(what_the_guard_is_just_writing_is_not_swept_away)
{
    struct world world;
    one_kubelet(&world);
    world_stop_agent(&world);
    CHECK_OK(node_dir_make(world.guard));
    AUTO_MEM char *note = str_format("%s/.drawbridge-verdict.1.tmp", world.guard);
    AUTO_MEM char *beside = guard_dir_of(world.config);
    AUTO_MEM char *config = str_format("%s/.drawbridge-config.yaml.1.tmp", beside);
    AUTO_MEM char *path = str_format("%s/lock", world.guard);
    test_write(note, "x");
    test_write(config, "x");
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(lock >= 0 && flock(lock, LOCK_EX) == 0);
    world_start_agent(&world);
    CHECK(test_exists(note) && test_exists(config));
    world_stop_agent(&world);
    close(lock);
    world_start_agent(&world);
    CHECK(!test_exists(note) && !test_exists(config));
    world_fini(&world);
}

TEST_MAIN()

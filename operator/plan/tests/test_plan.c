// SPDX-License-Identifier: Apache-2.0
// Order, barriers and pace of a roll-out, told as small clusters.
#include "world.h"

TEST(one_component_after_the_other)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add_control_plane(&w, "a");
    add(&w, "a", COMPONENT_KUBELET, true);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Waiting");
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Waiting");
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Waiting");
    plan_fini(&plan);
    finish(&w, 0, "Updating", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Running");
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Waiting");
    plan_fini(&plan);
    finish(&w, 0, "UpToDate", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Done");
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Now");
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Waiting");
    world_fini(&w);
}

TEST(disabling_goes_the_other_way)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_policy disable = {.enable = false, .max_unavailable = 1};

    add_control_plane(&w, "a");
    add(&w, "a", COMPONENT_KUBELET, true);
    add(&w, "b", COMPONENT_KUBELET, false);
    make(&w, disable, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Waiting");
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Waiting");
    CHECK_STR(w.instances[plan.steps[plan.len - 1].instance].id, "kube-apiserver on a");
    world_fini(&w);
}

// One object with a control plane in it, and two that workers are made from.
static void add_units(struct world *w)
{
    for (int i = 0; i < COMPONENT_COUNT; i++)
        add(w, NULL, (enum component)i, true)->unit = "control plane";
    add(w, NULL, COMPONENT_KUBELET, true)->unit = "control plane";
    w->instances[w->len - 1].beside = true;
    add(w, NULL, COMPONENT_KUBELET, false)->unit = "workers a";
    add(w, NULL, COMPONENT_KUBELET, false)->unit = "workers b";
    for (size_t i = 0; i < w->len; i++) {
        mem_free(w->instances[i].id);
        w->instances[i].id = str_format("%s %zu of %s", component_name(w->instances[i].component),
                                        i, w->instances[i].unit);
    }
}

TEST(what_is_written_in_one_object_is_asked_for_at_once)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add_units(&w);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver 0 of control plane"), "Now");
    CHECK_STR(state_of(&w, &plan, "kube-scheduler 2 of control plane"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet 4 of control plane"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet 5 of workers a"), "Waiting");
    CHECK_INT(plan.counts[COMPONENT_KUBELET].instances, 3);
    plan_fini(&plan);
    for (size_t i = 0; i < 5; i++)
        finish(&w, i, i == 3 ? "Updating" : "UpToDate", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet 5 of workers a"), "Waiting");
    plan_fini(&plan);
    finish(&w, 3, "UpToDate", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet 5 of workers a"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet 6 of workers b"), "Waiting");
    world_fini(&w);
}

TEST(the_control_plane_of_one_object_is_disabled_after_its_workers)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_policy disable = {.enable = false, .max_unavailable = 2};

    add_units(&w);
    make(&w, disable, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet 5 of workers a"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet 6 of workers b"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet 3 of control plane"), "Waiting");
    plan_fini(&plan);
    finish(&w, 5, "UpToDate", LONG_AGO);
    finish(&w, 6, "UpToDate", LONG_AGO);
    make(&w, disable, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet 3 of control plane"), "Now");
    CHECK_STR(state_of(&w, &plan, "kube-apiserver 0 of control plane"), "Now");
    world_fini(&w);
}

TEST(every_api_server_before_any_controller_manager_and_one_at_a_time)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add_control_plane(&w, "a");
    add_control_plane(&w, "b");
    add_control_plane(&w, "c");
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Waiting");
    plan_fini(&plan);
    finish(&w, 0, "UpToDate", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Now");
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Waiting");
    world_fini(&w);
}

TEST(the_next_instance_waits_min_ready)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    char ten_seconds_ago[CLOCK_TEXT_BYTES];

    clock_format(NOW_MS - 10000, ten_seconds_ago);
    add(&w, "a", COMPONENT_APISERVER, true);
    add(&w, "b", COMPONENT_APISERVER, true);
    finish(&w, 0, "UpToDate", ten_seconds_ago);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Waiting");
    CHECK_INT(plan.wait_ms, 20000);
    plan_fini(&plan);
    finish(&w, 0, "UpToDate", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Now");
    CHECK_INT(plan.wait_ms, PLAN_MARGIN_MS); // for its answer
    world_fini(&w);
}

TEST(workers_go_max_unavailable_at_a_time_the_worst_first)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_policy two = {.enable = true, .max_unavailable = 2};

    add(&w, "a", COMPONENT_KUBELET, false);
    add(&w, "b", COMPONENT_KUBELET, false);
    add(&w, "c", COMPONENT_KUBELET, false);
    json_object_set_new(w.trees[8], "healthy", json_false()); // that of c
    make(&w, two, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on c"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Waiting");
    world_fini(&w);
}

// How many of these workers are begun at once.
static unsigned begun(unsigned workers, unsigned percent)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_policy policy = {.enable = true, .max_unavailable_percent = percent};
    unsigned now = 0;

    for (unsigned i = 0; i < workers; i++) {
        static const char *const names[] = {"a", "b", "c", "d"};
        add(&w, names[i], COMPONENT_KUBELET, false);
    }
    make(&w, policy, &plan);
    for (size_t i = 0; i < plan.len; i++)
        now += plan.steps[i].state == PLAN_NOW;
    world_fini(&w);
    return now;
}

TEST(a_share_of_the_workers_is_rounded_up)
{
    CHECK_INT(begun(4, 50), 2);
    CHECK_INT(begun(4, 51), 3);
    CHECK_INT(begun(4, 1), 1);
    CHECK_INT(begun(4, 100), 4);
    CHECK_INT(begun(1, 1), 1);
}

TEST(a_share_of_many_workers_is_no_more_than_a_number_can_say)
{
    enum { WORKERS = API_UNAVAILABLE_MAX + 2 };
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_policy all = {.enable = true, .max_unavailable_percent = 100};
    struct plan_instance *instances = mem_alloc(WORKERS * sizeof(*instances));
    struct gates_desired *desired = mem_alloc(WORKERS * sizeof(*desired));
    char(*names)[16] = mem_alloc(WORKERS * sizeof(*names));
    unsigned now = 0;

    add(&w, "", COMPONENT_KUBELET, false);
    for (unsigned i = 0; i < WORKERS; i++) {
        snprintf(names[i], sizeof(names[i]), "w%u", i);
        instances[i] = w.instances[0];
        instances[i].node = instances[i].id = names[i];
        desired[i] = w.desired[0];
    }
    plan_make(&all, instances, desired, WORKERS, NOW_MS, &plan);
    for (size_t i = 0; i < plan.len; i++)
        now += plan.steps[i].state == PLAN_NOW;
    CHECK_INT(now, 1000);
    mem_free(names);
    mem_free(desired);
    mem_free(instances);
    world_fini(&w);
}

TEST(a_failed_component_stops_what_has_not_begun)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add_control_plane(&w, "a");
    finish(&w, 0, "UpToDate", LONG_AGO);
    finish(&w, 1, "Failed", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Failed");
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Waiting");
    CHECK(plan.failed < plan.len);
    CHECK(!plan.nodes_failed);
    world_fini(&w);
}

TEST(a_failed_kubelet_pauses)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_KUBELET, false);
    add(&w, "b", COMPONENT_KUBELET, false);
    finish(&w, 0, "Failed", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Waiting");
    CHECK(plan.nodes_failed);
    world_fini(&w);
}

TEST(nothing_begins_before_every_control_plane_agent_has_reported)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add_control_plane(&w, "a");
    w.instances[2].reported = NULL;
    w.instances[2].agent = false;
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Waiting");
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Missing");
    world_fini(&w);
}

TEST(a_worker_without_an_agent_does_not_hold_the_others)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_KUBELET, false);
    add(&w, "b", COMPONENT_KUBELET, false);
    w.instances[0].reported = NULL;
    w.instances[0].agent = false;
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Missing");
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    CHECK(!plan.done);
    world_fini(&w);
}

TEST(what_is_as_wanted_is_never_asked_for)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_header header = {
        .epoch = 1, .configuration = "n/c", .revision = "r", .component_timeout_ms = 300000};
    AUTO_JSON json_t *spec = NULL;

    add_control_plane(&w, "a");
    for (size_t i = 0; i < 3; i++) { // 1.36: on by default
        json_object_clear(w.desired[i].feature_gates);
        json_object_clear(w.desired[i].runtime_config);
        json_object_set_new(json_object_get(w.trees[i * 4], "enabled"), "DynamicResourceAllocation",
                            json_true());
    }
    make(&w, enable, &plan);
    CHECK(plan.done);
    spec = plan_node_spec(&plan, w.instances, "a", &header, true, NULL);
    CHECK_INT(json_array_size(json_object_get(spec, "components")), 0);
    world_fini(&w);
}

TEST(a_leftover_waits_for_the_end_of_an_upgrade_but_a_wish_taken_back_does_not)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add_control_plane(&w, "a");
    for (size_t i = 0; i < 3; i++)
        finish(&w, i, "UpToDate", LONG_AGO);
    w.instances[0].version = (struct version){1, 34, 10};
    json_object_clear(w.desired[0].feature_gates); // on by default there
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Done");
    CHECK(step_of(&w, &plan, "kube-apiserver on a")->deferred);
    plan_fini(&plan);
    json_object_clear(w.desired[0].effective); // nobody asks for the gate any more
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    plan_fini(&plan);
    json_object_set_new(w.desired[0].effective, "DynamicResourceAllocation", json_true());
    w.instances[1].version = w.instances[2].version = w.instances[0].version; // the upgrade is over
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    world_fini(&w);
}

TEST(an_upgrade_ends_with_kubeadm_config_and_the_kubelets_of_the_control_plane)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    struct plan_instance *kubelet, *template;

    add_control_plane(&w, "a");
    kubelet = add(&w, "a", COMPONENT_KUBELET, true);
    add(&w, "w", COMPONENT_KUBELET, false);
    for (size_t i = 0; i < 5; i++)
        finish(&w, i, "UpToDate", LONG_AGO);
    template = add(&w, "c", COMPONENT_APISERVER, false);
    template->object = "kubeadm-config";
    for (size_t i = 0; i < 3; i++)
        w.instances[i].version = (struct version){1, 34, 10};
    json_object_clear(w.desired[0].feature_gates); // on by default there
    make(&w, enable, &plan);
    CHECK(step_of(&w, &plan, "kube-apiserver on a")->deferred);
    plan_fini(&plan);
    template->version = w.instances[0].version;
    make(&w, enable, &plan);
    CHECK(step_of(&w, &plan, "kube-apiserver on a")->deferred);
    plan_fini(&plan);
    kubelet->version = w.instances[0].version; // the worker's may stay as old as it likes
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    world_fini(&w);
}

// A component whose gates nobody can read: what its flags say, and its roll-out, is all there is to
// see.
TEST(what_cannot_be_read_back_is_not_asked_for_again)
{
    struct world w = {0};
    struct plan plan;

    add(&w, "a", COMPONENT_SCHEDULER, true);
    w.desired[0].feature_gates = own(&w, json_object()); // on by default
    make(&w, (struct plan_policy){.enable = true}, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Now");
    plan_fini(&plan);
    w.instances[0].blind = true;
    make(&w, (struct plan_policy){.enable = true}, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Done");
    CHECK(plan.done);
    plan_fini(&plan);
    world_fini(&w);
}

TEST(a_busy_component_is_not_begun_and_holds_the_next)
{
    struct world w = {0};
    struct plan plan;

    add(&w, "a", COMPONENT_APISERVER, true)->busy = true;
    add(&w, "a", COMPONENT_SCHEDULER, true);
    make(&w, (struct plan_policy){.enable = true}, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Waiting");
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Waiting");
    plan_fini(&plan);
    world_fini(&w);
}

TEST(what_is_taken_out_each_time_fails_while_something_is_wanted_of_it)
{
    struct world w = {0};
    struct plan plan;

    add(&w, "a", COMPONENT_SCHEDULER, true)->blind = true;
    w.instances[0].reported = own(&w, json_pack("{s:s,s:{s:{},s:{}}}", "state", "Reverted", "owned",
                                                "featureGates", "runtimeConfig"));
    make(&w, (struct plan_policy){.enable = true}, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Failed");
    CHECK_INT(plan.failed, 0);
    plan_fini(&plan);
    w.desired[0].feature_gates = own(&w, json_object());
    make(&w, (struct plan_policy){.enable = true}, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Done");
    plan_fini(&plan);
    world_fini(&w);
}

// What an agent says of a file is no attempt: it holds what has not begun, and undoes nothing.
TEST(a_statement_about_a_file_blocks_and_fails_nothing)
{
    static const char *const said[][2] = {{"Unreadable", "ManifestInvalid"},
                                          {"Unreadable", "FileConflict"},
                                          {"Failed", "FileConflict"}};

    for (size_t i = 0; i < COUNT(said); i++) {
        struct world w = {0};
        struct plan plan;

        add_control_plane(&w, "a");
        finish(&w, 0, "UpToDate", LONG_AGO);
        finish(&w, 1, said[i][0], LONG_AGO); // asked for
        say(&w, 1, "reason", said[i][1]);
        make(&w, enable, &plan);
        CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Blocked");
        CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Waiting");
        CHECK_INT(plan.failed, plan.len);
        CHECK_INT(plan.undo, plan.len);
        CHECK(plan.blocked < plan.len);
        CHECK(!plan.done);
        plan_fini(&plan);
        world_fini(&w);
    }
}

TEST(a_file_that_nobody_asked_to_change_blocks_and_comes_back_by_itself)
{
    struct world w = {0};
    struct plan plan;

    add_control_plane(&w, "a");
    say(&w, 2, "state", "Unreadable");
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Blocked");
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Waiting");
    CHECK_INT(plan.undo, plan.len);
    plan_fini(&plan);
    say(&w, 2, "state", "Observed");
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    CHECK_INT(plan.blocked, plan.len);
    plan_fini(&plan);
    world_fini(&w);
}

TEST(the_way_back_is_asked_for_by_a_changed_control_plane_component_alone)
{
    struct world w = {0};
    struct plan plan;

    add_control_plane(&w, "a");
    add(&w, "a", COMPONENT_KUBELET, true);
    finish(&w, 3, "Failed", LONG_AGO);
    make(&w, enable, &plan);
    CHECK(plan.failed < plan.len);
    CHECK_INT(plan.undo, plan.len); // a kubelet's
    plan_fini(&plan);
    finish(&w, 1, "Failed", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_INT(plan.steps[plan.undo].instance, 1);
    plan_fini(&plan);
    // It has what is wanted without us, was looked at alone, and is not well.
    json_object_clear(w.desired[1].feature_gates);
    finish(&w, 1, "Failed", LONG_AGO);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Failed");
    CHECK_INT(plan.undo, plan.len);
    plan_fini(&plan);
    world_fini(&w);
}

TEST(what_this_revision_does_not_change_is_no_reason_to_put_it_back)
{
    struct world w = {0};
    struct plan plan;
    struct plan_policy policy = enable;
    struct gates_desired good[3];

    add_control_plane(&w, "a");
    for (size_t i = 0; i < 3; i++) {
        finish(&w, i, "UpToDate", LONG_AGO);
        good[i] = w.desired[i];
    }
    policy.good = good;
    w.desired[0].feature_gates =
        own(&w, json_pack("{s:b,s:b}", "DynamicResourceAllocation", 1, "DRAAdminAccess", 1));
    say(&w, 2, "state", "Failed"); // the scheduler, with what it had before
    make(&w, policy, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Failed");
    CHECK_INT(plan.undo, plan.len);
    plan_fini(&plan);
    finish(&w, 0, "Failed", LONG_AGO);
    make(&w, policy, &plan);
    CHECK_INT(plan.steps[plan.undo].instance, 0);
    plan_fini(&plan);
    world_fini(&w);
}

// As gates_resolve() gives what is the same for all of them: once.
TEST(steps_that_want_the_same_are_named_each_for_itself)
{
    struct world w = {0};
    struct plan plan;
    struct plan_policy asked = enable;

    add(&w, "a", COMPONENT_KUBELET, false);
    add(&w, "b", COMPONENT_KUBELET, false);
    add(&w, "c", COMPONENT_KUBELET, false);
    w.desired[1] = w.desired[2] = w.desired[0];
    finish(&w, 0, "Failed", LONG_AGO);
    finish(&w, 1, "UpToDate", LONG_AGO);
    finish(&w, 2, "Failed", LONG_AGO);
    asked.retry = "2026-11-27T10:00:00Z";
    make(&w, asked, &plan);
    CHECK_STR(step_of(&w, &plan, "kubelet on b")->revision,
              doc_str(w.instances[1].asked, "revision", NULL));
    CHECK_STR(step_of(&w, &plan, "kubelet on a")->revision,
              step_of(&w, &plan, "kubelet on c")->revision);
    CHECK(!str_eq(step_of(&w, &plan, "kubelet on a")->revision,
                  step_of(&w, &plan, "kubelet on b")->revision));
    plan_fini(&plan);
    world_fini(&w);
}

TEST(what_failed_is_tried_once_more_for_each_request)
{
    struct world w = {0};
    struct plan plan;
    struct plan_policy asked = enable;
    AUTO_MEM char *first = NULL;

    add_control_plane(&w, "a");
    finish(&w, 0, "UpToDate", LONG_AGO);
    finish(&w, 1, "Failed", LONG_AGO);
    asked.retry = "2026-11-27T10:00:00Z";
    make(&w, asked, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Now");
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Done"); // what is well is let be
    CHECK_INT(plan.undo, plan.len);
    first = str_dup(step_of(&w, &plan, "kube-controller-manager on a")->revision);
    CHECK(!str_eq(first, doc_str(w.instances[1].asked, "revision", NULL)));
    w.instances[1].asked =
        own(&w, doc_copy(step_of(&w, &plan, "kube-controller-manager on a")->want));
    plan_fini(&plan);

    make(&w, enable, &plan); // the agent has not seen it yet
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Running");
    CHECK_STR(step_of(&w, &plan, "kube-controller-manager on a")->revision, first);
    plan_fini(&plan);

    say(&w, 1, "revision", first); // it fails again: that was the one try
    make(&w, asked, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Failed");
    CHECK_INT(plan.steps[plan.undo].instance, 1);
    plan_fini(&plan);
    asked.retry = "2026-11-27T11:00:00Z";
    asked.suspend = true;
    make(&w, asked, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Waiting");
    CHECK(plan.again); // not forgotten while it cannot be done
    plan_fini(&plan);

    say(&w, 1, "state", "UpToDate");
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-controller-manager on a"), "Done");
    CHECK(!plan.again);
    plan_fini(&plan);
    world_fini(&w);
}

TEST(suspend_shows_and_does_nothing)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_policy suspend = {.enable = true, .max_unavailable = 1, .suspend = true};

    add_control_plane(&w, "a");
    make(&w, suspend, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Waiting");
    CHECK(step_of(&w, &plan, "kube-apiserver on a")->changes);
    world_fini(&w);
}

TEST(the_spec_of_a_node_keeps_what_waits_as_it_was_asked_before)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    const struct plan_header header = {
        .epoch = 3, .configuration = "n/c", .revision = "r", .component_timeout_ms = 300000};
    AUTO_JSON json_t *spec = NULL;
    const json_t *components;

    add_control_plane(&w, "a");
    for (size_t i = 0; i < 3; i++)
        finish(&w, i, "UpToDate", LONG_AGO);
    for (size_t i = 0; i < 3; i++) // a second gate is wanted now
        json_object_set_new(w.desired[i].feature_gates, "DRAPrioritizedList", json_true());
    make(&w, enable, &plan);
    spec = plan_node_spec(&plan, w.instances, "a", &header, true, NULL);
    components = json_object_get(spec, "components");
    CHECK_INT(json_array_size(components), 3);
    CHECK(doc_get(components, "0", "featureGates", "DRAPrioritizedList", NULL) != NULL);
    CHECK(doc_get(components, "1", "featureGates", "DRAPrioritizedList", NULL) == NULL);
    CHECK(doc_get(components, "1", "featureGates", "DynamicResourceAllocation", NULL) != NULL);
    world_fini(&w);
}

TEST(a_step_says_what_it_changes)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    AUTO_MEM char *summary = NULL;

    add(&w, "a", COMPONENT_APISERVER, true);
    make(&w, enable, &plan);
    summary = plan_step_summary(&plan.steps[0], &w.instances[0]);
    CHECK_STR(summary, "+DynamicResourceAllocation=true +resource.k8s.io/v1beta1=true");
    world_fini(&w);
}

TEST(the_revision_follows_the_intent_and_not_the_order_of_its_keys)
{
    AUTO_JSON json_t *one = json_pack("{s:b,s:b}", "A", 1, "B", 0);
    AUTO_JSON json_t *two = json_pack("{s:b,s:b}", "B", 0, "A", 1);
    AUTO_JSON json_t *three = json_pack("{s:b,s:b}", "A", 1, "B", 1);
    char a[PLAN_REVISION_BYTES], b[PLAN_REVISION_BYTES];

    plan_revision(&(struct gates_intent){.feature_gates = one}, a);
    plan_revision(&(struct gates_intent){.feature_gates = two}, b);
    CHECK_STR(a, b);
    plan_revision(&(struct gates_intent){.feature_gates = three}, b);
    CHECK(!str_eq(a, b));
    // A later minor that is looked at alone is none of it.
    plan_revision(&(struct gates_intent){.feature_gates = one, .prepare_for = {1, 38, 0}}, b);
    CHECK_STR(a, b);
}

static json_t *names(struct world *w, const char *name)
{
    return own(w, name ? json_pack("[s]", name) : json_array());
}

// What its file says of that gate, what of it we took out, and what it had said.
static void set_report(struct world *w, size_t index, bool stands, bool taken_out)
{
    json_t *report = (json_t *)(uintptr_t)w->instances[index].reported;

    json_object_set_new(report, "featureGates",
                        stands ? json_pack("{s:b}", "Old", 1) : json_object());
    json_object_del(report, "removed");
    json_object_del(report, "replaced");
    if (!taken_out)
        return;
    json_object_set_new(report, "removed", json_pack("{s:[s]}", "featureGates", "Old"));
    json_object_set_new(report, "replaced", json_pack("{s:{s:b}}", "featureGates", "Old", 1));
}

TEST(entries_of_others_are_a_step_like_any_other)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    AUTO_MEM char *goes = NULL;
    AUTO_MEM char *comes = NULL;

    add_control_plane(&w, "a");
    for (size_t i = 0; i < 3; i++)
        finish(&w, i, "UpToDate", LONG_AGO);
    set_report(&w, 2, true, false);
    w.desired[2].without_gates = names(&w, NULL);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Done");
    CHECK(json_object_get(step_of(&w, &plan, "kube-scheduler on a")->want, "withoutFeatureGates") ==
          NULL);
    plan_fini(&plan);
    w.desired[2].without_gates = names(&w, "Old");
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Now");
    goes = plan_step_summary(step_of(&w, &plan, "kube-scheduler on a"), &w.instances[2]);
    CHECK_STR(goes, "-Old");
    CHECK_STR_TAKE(doc_print_json(json_object_get(step_of(&w, &plan, "kube-scheduler on a")->want,
                                                  "withoutFeatureGates")),
                   "[\"Old\"]");
    plan_fini(&plan);
    // Not in an upgrade: it has no effect.
    w.instances[0].version = (struct version){1, 34, 10};
    make(&w, enable, &plan);
    CHECK(step_of(&w, &plan, "kube-scheduler on a")->deferred);
    plan_fini(&plan);
    w.instances[0].version = w.instances[1].version;
    finish(&w, 2, "UpToDate", LONG_AGO);
    set_report(&w, 2, false, true);
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Done");
    CHECK(!step_of(&w, &plan, "kube-scheduler on a")->changes);
    plan_fini(&plan);
    // A wish that is taken back is carried out at once.
    w.desired[2].without_gates = names(&w, NULL);
    w.instances[0].version = (struct version){1, 34, 10};
    make(&w, enable, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on a"), "Now");
    comes = plan_step_summary(step_of(&w, &plan, "kube-scheduler on a"), &w.instances[2]);
    CHECK_STR(comes, "+Old=true");
    world_fini(&w);
}

// Its flags without that entry are what this revision changes.
TEST(an_entry_of_others_that_was_taken_out_is_a_reason_to_put_it_back)
{
    struct world w = {0};
    struct plan plan;
    struct plan_policy policy = enable;
    struct gates_desired good[3];

    add_control_plane(&w, "a");
    for (size_t i = 0; i < 3; i++) {
        finish(&w, i, "UpToDate", LONG_AGO);
        good[i] = w.desired[i];
    }
    policy.good = good;
    w.desired[2].without_gates = names(&w, "Old");
    finish(&w, 2, "Failed", LONG_AGO);
    make(&w, policy, &plan);
    CHECK_INT(plan.steps[plan.undo].instance, 2);
    plan_fini(&plan);
    good[2].without_gates = names(&w, "Old");
    make(&w, policy, &plan);
    CHECK_INT(plan.undo, plan.len);
    plan_fini(&plan);
    world_fini(&w);
}

TEST(what_was_taken_out_is_told_with_its_places)
{
    static const char *const nodes[] = {"a", "b", "c", "d", "e"};
    struct world w = {0};

    for (size_t i = 0; i < COUNT(nodes); i++)
        add(&w, nodes[i], COMPONENT_KUBELET, false);
    CHECK_STR_TAKE(plan_removed_text(w.instances, w.len, COMPONENT_KUBELET), "");
    for (size_t i = 0; i < COUNT(nodes); i++)
        set_report(&w, i, false, true);
    w.instances[1].node = NULL;
    w.instances[1].object = "kubelet-config";
    json_t *first = (json_t *)(uintptr_t)w.instances[0].reported;
    json_object_set_new(first, "removed",
                        json_pack("{s:[s,s,n,s], s:[s]}", "featureGates", "Old", "Older", "Unknown",
                                  "runtimeConfig", "g/v1"));
    json_object_set_new(first, "replaced",
                        json_pack("{s:{s:b,s:b}, s:{s:s}}", "featureGates", "Old", 1, "Older", 0,
                                  "runtimeConfig", "g/v1", "true"));
    CHECK_STR_TAKE(plan_removed_text(w.instances, w.len, COMPONENT_KUBELET),
                   "Old=true (a, kubelet-config, c and 2 more), Older=false (a), g/v1=true (a)");
    CHECK_STR_TAKE(plan_removed_text(w.instances, w.len, COMPONENT_SCHEDULER), "");
    for (int n = 0; n < 12; n++) {
        AUTO_MEM char *name = str_format("Old%02d", n);
        json_array_append_new((json_t *)(uintptr_t)doc_get(first, "removed", "featureGates", NULL),
                              json_string(name));
        json_object_set_new((json_t *)(uintptr_t)doc_get(first, "replaced", "featureGates", NULL),
                            name, json_true());
    }
    AUTO_MEM char *many = plan_removed_text(w.instances, w.len, COMPONENT_KUBELET);
    CHECK_HAS(many, "Old07=true (a) and 7 more");
    world_fini(&w);
}

TEST_MAIN()

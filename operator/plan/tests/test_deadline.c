// SPDX-License-Identifier: Apache-2.0
// What a roll-out waits for, how long, and who holds whom.
#include "world.h"

#define TIMEOUT_MS 300000
#define ALLOWED_MS (TIMEOUT_MS + PLAN_MARGIN_MS)
static const struct plan_policy timed = {
    .enable = true, .max_unavailable = 1, .component_timeout_ms = TIMEOUT_MS};
static const struct plan_policy leaving = {
    .enable = false, .max_unavailable = 1, .component_timeout_ms = TIMEOUT_MS, .leaving = true};

static void make_at(struct world *w, struct plan_policy policy, int64_t now_ms,
                    struct plan *ret_plan)
{
    plan_fini(ret_plan);
    plan_make(&policy, w->instances, w->desired, w->len, now_ms, ret_plan);
    check_specs(w, ret_plan);
}

// What is written for the node goes into the object, and that is all a later pass knows.
static void write_node(struct world *w, const struct plan *plan, const char *node)
{
    const struct plan_header header = {
        .epoch = 1, .configuration = "n/c", .revision = "r", .component_timeout_ms = TIMEOUT_MS};
    json_t *spec = own(w, plan_node_spec(plan, w->instances, node, &header, true, NULL));
    const json_t *entries = json_object_get(spec, "components");

    for (size_t i = 0; i < w->len; i++) {
        for (size_t k = 0; k < json_array_size(entries); k++) {
            if (str_eq(w->instances[i].node, node) &&
                str_eq(doc_str(json_array_get(entries, k), "name", NULL),
                       component_name(w->instances[i].component)))
                w->instances[i].asked = json_array_get(entries, k);
        }
    }
}

// Its agent has done what stands in its object.
static void finish_asked(struct world *w, size_t index)
{
    struct plan_instance *instance = &w->instances[index];

    instance->reported =
        own(w, json_pack("{s:s,s:s,s:b,s:s,s:{s:O,s:{}},s:O}", "state", "UpToDate", "revision",
                         doc_str(instance->asked, "revision", NULL), "healthy", 1, "updatedAt",
                         LONG_AGO, "owned", "featureGates",
                         json_object_get(instance->asked, "featureGates"), "runtimeConfig",
                         "enabled", json_object_get(instance->asked, "expect")));
}

static struct plan_instance *add_template(struct world *w)
{
    struct plan_instance *instance = add(w, "x", COMPONENT_KUBELET, false);

    instance->object = "kubelet-config";
    return instance;
}

TEST(what_was_asked_has_a_deadline_that_is_in_the_object)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_KUBELET, false);
    add(&w, "b", COMPONENT_KUBELET, false);
    add_template(&w);
    make_at(&w, timed, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Now");
    CHECK_INT(plan.wait_ms, ALLOWED_MS);
    write_node(&w, &plan, "a");
    // whoever makes the later plans knows the object alone
    make_at(&w, timed, NOW_MS + 100000, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Running");
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Waiting");
    CHECK_INT(plan.wait_ms, ALLOWED_MS - 100000);
    write_node(&w, &plan, "a"); // and another write of it does not begin anew
    make_at(&w, timed, NOW_MS + ALLOWED_MS - 1, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Running");
    make_at(&w, timed, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Overdue");
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet on x"), "Waiting");
    CHECK(!plan.complete);
    finish(&w, 1, "UpToDate", LONG_AGO);
    make_at(&w, timed, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on x"), "Now");
    // it is still asked, and answers after all
    write_node(&w, &plan, "a");
    CHECK_STR(doc_str(w.instances[0].asked, "revision", NULL),
              step_of(&w, &plan, "kubelet on a")->revision);
    finish(&w, 0, "UpToDate", LONG_AGO);
    make_at(&w, timed, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Done");
    world_fini(&w);
}

TEST(an_agent_at_work_has_the_time_again_and_a_clock_that_went_back_gives_none)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_KUBELET, false);
    make_at(&w, timed, NOW_MS, &plan);
    write_node(&w, &plan, "a");
    w.instances[0].worked_ms = NOW_MS + 200000; // it puts back
    make_at(&w, timed, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Running");
    CHECK_INT(plan.wait_ms, 200000);
    make_at(&w, timed, NOW_MS + 200000 + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Overdue");
    w.instances[0].worked_ms = NOW_MS + 1000000000; // by its own clock
    make_at(&w, timed, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Overdue");
    // ours went back: it counts from the first write after that
    w.instances[0].worked_ms = 0;
    make_at(&w, timed, NOW_MS - 10 * ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Running");
    write_node(&w, &plan, "a");
    make_at(&w, timed, NOW_MS - 9 * ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Overdue");
    world_fini(&w);
}

TEST(a_dead_worker_counts_as_unavailable_and_then_holds_nobody)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_KUBELET, false)->not_ready_ms = NOW_MS;
    add(&w, "b", COMPONENT_KUBELET, false);
    add_template(&w);
    make_at(&w, timed, NOW_MS + 1000, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Away");
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Waiting");
    CHECK_INT(plan.wait_ms, ALLOWED_MS - 1000);
    make_at(&w, timed, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Away");
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    finish(&w, 1, "UpToDate", LONG_AGO);
    make_at(&w, timed, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on x"), "Now");
    w.instances[0].not_ready_ms = 0; // it is back
    make_at(&w, timed, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Now");
    world_fini(&w);
}

TEST(a_dead_worker_takes_one_of_two_places_whether_it_is_done_or_not)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    struct plan_policy two = timed;

    two.max_unavailable = 2;
    add(&w, "a", COMPONENT_KUBELET, false);
    add(&w, "b", COMPONENT_KUBELET, false);
    add(&w, "c", COMPONENT_KUBELET, false);
    finish(&w, 0, "UpToDate", LONG_AGO);
    w.instances[0].not_ready_ms = NOW_MS - 1000;
    make_at(&w, two, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Done");
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet on c"), "Waiting");
    CHECK_INT(plan.wait_ms, ALLOWED_MS - 1000);
    world_fini(&w);
}

TEST(a_node_without_an_agent_holds_the_templates_for_a_minute)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_KUBELET, false);
    w.instances[0].reported = NULL;
    w.instances[0].agent = false;
    add_template(&w);
    make_at(&w, timed, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Missing");
    CHECK_STR(state_of(&w, &plan, "kubelet on x"), "Waiting");
    w.instances[0].known_ms = NOW_MS;
    make_at(&w, timed, NOW_MS + PLAN_MARGIN_MS - 1, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on x"), "Waiting");
    CHECK_INT(plan.wait_ms, 1);
    make_at(&w, timed, NOW_MS + PLAN_MARGIN_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on x"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Missing");
    world_fini(&w);
}

TEST(a_kubelet_whose_file_cannot_be_read_holds_neither_the_control_plane_nor_other_nodes)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add_control_plane(&w, "a");
    add(&w, "a", COMPONENT_KUBELET, true);
    add(&w, "b", COMPONENT_KUBELET, false);
    add_template(&w);
    w.instances[3].reported =
        own(&w, json_pack("{s:s,s:s,s:s}", "state", "Unreadable", "reason", "ManifestInvalid",
                          "message", "config.yaml:8:1: key \"featureGates\" is there twice"));
    make_at(&w, timed, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    for (size_t i = 0; i < 3; i++)
        finish(&w, i, "UpToDate", LONG_AGO);
    make_at(&w, timed, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Blocked");
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    finish(&w, 4, "UpToDate", LONG_AGO);
    make_at(&w, timed, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on x"), "Now");
    CHECK(!plan.nodes_failed && !plan.nodes_paused); // and nothing is put back for it
    CHECK_INT(plan.undo, plan.len);
    world_fini(&w);
}

TEST(a_kubelet_that_put_itself_back_holds_kubelets_and_not_the_control_plane)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_APISERVER, true);
    add(&w, "a", COMPONENT_KUBELET, true);
    add(&w, "b", COMPONENT_KUBELET, false);
    finish(&w, 2, "Failed", LONG_AGO);
    make_at(&w, timed, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    finish(&w, 0, "UpToDate", LONG_AGO);
    make_at(&w, timed, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Waiting");
    CHECK(plan.nodes_paused);
    world_fini(&w);
}

TEST(a_control_plane_instance_that_does_not_answer_holds_what_comes_after)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_APISERVER, true);
    add(&w, "b", COMPONENT_APISERVER, true);
    add(&w, "b", COMPONENT_SCHEDULER, true);
    make_at(&w, timed, NOW_MS, &plan);
    write_node(&w, &plan, "a");
    make_at(&w, timed, NOW_MS + 2 * ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Overdue");
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Waiting"); // one at a time
    CHECK_STR(state_of(&w, &plan, "kube-scheduler on b"), "Waiting");
    world_fini(&w);
}

// The world was changed by us and is to be as before.
static void revert(struct world *w)
{
    for (size_t i = 0; i < w->len; i++)
        finish(w, i, "UpToDate", LONG_AGO);
    for (size_t i = 0; i < w->len; i++) {
        w->desired[i].feature_gates = own(w, json_object());
        w->desired[i].runtime_config = own(w, json_object());
        w->desired[i].effective = own(w, json_object());
    }
}

TEST(a_revert_asks_a_dead_worker_too_and_does_not_wait_for_ever)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_APISERVER, true);
    add(&w, "b", COMPONENT_KUBELET, false);
    add(&w, "c", COMPONENT_KUBELET, false);
    revert(&w);
    w.instances[1].not_ready_ms = NOW_MS;
    make_at(&w, leaving, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now"); // its agent does it when it is back
    CHECK_STR(state_of(&w, &plan, "kubelet on c"), "Now"); // and it takes nobody's place
    write_node(&w, &plan, "b");
    finish(&w, 2, "UpToDate", LONG_AGO);
    make_at(&w, leaving, NOW_MS + 1000, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Running");
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Waiting");
    make_at(&w, leaving, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Overdue");
    CHECK(step_of(&w, &plan, "kubelet on b")->left);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on a"), "Now");
    CHECK(!plan.complete);
    finish(&w, 0, "UpToDate", LONG_AGO);
    make_at(&w, leaving, NOW_MS + ALLOWED_MS, &plan);
    CHECK(plan.complete && !plan.done);
    // while it is ready again it is waited for: its agent is at it
    w.instances[1].not_ready_ms = 0;
    make_at(&w, leaving, NOW_MS + ALLOWED_MS, &plan);
    CHECK(!plan.complete);
    world_fini(&w);
}

TEST(a_worker_that_goes_away_after_it_was_asked_holds_the_next_and_not_for_ever)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    struct plan_policy two = timed;

    two.max_unavailable = 2;
    add(&w, "a", COMPONENT_KUBELET, false);
    add(&w, "b", COMPONENT_KUBELET, false);
    add(&w, "c", COMPONENT_KUBELET, false);
    add(&w, "d", COMPONENT_KUBELET, false);
    make_at(&w, two, NOW_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    write_node(&w, &plan, "a");
    write_node(&w, &plan, "b");
    finish_asked(&w, 1);
    w.instances[0].not_ready_ms = NOW_MS + 5000;
    make_at(&w, two, NOW_MS + 6000, &plan); // a place is free
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Running");
    CHECK_STR(state_of(&w, &plan, "kubelet on c"), "Waiting");
    CHECK(step_of(&w, &plan, "kubelet on a")->holds && plan.nodes_paused);
    w.instances[0].not_ready_ms = 0;
    make_at(&w, two, NOW_MS + 6000, &plan); // that was its restart
    CHECK_STR(state_of(&w, &plan, "kubelet on c"), "Now");
    CHECK(!plan.nodes_paused);
    // its agent says that it is well, and its node does not become ready
    finish_asked(&w, 0);
    w.instances[0].not_ready_ms = NOW_MS + 5000;
    make_at(&w, two, NOW_MS + 100000, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on a"), "Done");
    CHECK_STR(state_of(&w, &plan, "kubelet on c"), "Waiting");
    CHECK_INT(plan.wait_ms, 5000 + ALLOWED_MS - 100000);
    make_at(&w, two, NOW_MS + 5000 + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on c"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet on d"), "Now");
    world_fini(&w);
}

TEST(a_node_that_is_not_ready_for_something_else_takes_a_place_and_holds_nobody)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    struct plan_policy two = timed;
    int64_t later_ms = NOW_MS + 10 * ALLOWED_MS;

    two.max_unavailable = 2;
    add(&w, "a", COMPONENT_KUBELET, false);
    make_at(&w, two, NOW_MS, &plan);
    write_node(&w, &plan, "a");
    finish_asked(&w, 0);
    add(&w, "b", COMPONENT_KUBELET, false); // both came long after
    add(&w, "c", COMPONENT_KUBELET, false);
    w.instances[0].not_ready_ms = later_ms;
    make_at(&w, two, later_ms, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    CHECK_STR(state_of(&w, &plan, "kubelet on c"), "Waiting");
    // since nobody knows when, which is taken for since it was asked
    w.instances[0].not_ready_ms = PLAN_UNKNOWN_MS;
    make_at(&w, two, NOW_MS + ALLOWED_MS - 1, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Waiting");
    make_at(&w, two, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kubelet on b"), "Now");
    world_fini(&w);
}

TEST(nothing_of_a_control_plane_node_is_begun_while_another_one_is_not_ready)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add_control_plane(&w, "a");
    add_control_plane(&w, "b");
    add(&w, "a", COMPONENT_KUBELET, true);
    finish(&w, 0, "UpToDate", LONG_AGO);
    w.instances[0].not_ready_ms = NOW_MS;
    make_at(&w, timed, NOW_MS + 1000, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Waiting");
    CHECK_STR(step_of(&w, &plan, "kube-apiserver on b")->waits_for, "a");
    make_at(&w, timed, NOW_MS + 10 * ALLOWED_MS, &plan); // however long
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Waiting");
    w.instances[0].not_ready_ms = 0;
    make_at(&w, timed, NOW_MS + 1000, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Now");
    // The node that is away itself is nobody's other.
    w.instances[3].not_ready_ms = NOW_MS;
    make_at(&w, timed, NOW_MS + 1000, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Now");
    world_fini(&w);
}

TEST(a_revert_waits_for_another_control_plane_node_as_long_as_for_a_worker)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_APISERVER, true);
    add(&w, "b", COMPONENT_APISERVER, true);
    add(&w, "a", COMPONENT_KUBELET, true);
    revert(&w);
    finish(&w, 0, "UpToDate", LONG_AGO);
    finish(&w, 2, "UpToDate", LONG_AGO);
    w.instances[0].not_ready_ms = NOW_MS;
    make_at(&w, leaving, NOW_MS + 1000, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Waiting");
    CHECK_INT(plan.wait_ms, ALLOWED_MS - 1000);
    make_at(&w, leaving, NOW_MS + ALLOWED_MS, &plan);
    CHECK_STR(state_of(&w, &plan, "kube-apiserver on b"), "Now");
    world_fini(&w);
}

TEST(a_revert_has_nothing_to_do_where_nothing_was_ever_asked)
{
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};

    add(&w, "a", COMPONENT_KUBELET, false); // no agent ever spoke for it
    w.instances[0].reported = NULL;
    w.instances[0].agent = false;
    add(&w, "b", COMPONENT_KUBELET, false); // its file cannot be read
    w.instances[1].reported = own(&w, json_pack("{s:s}", "state", "Unreadable"));
    for (size_t i = 0; i < w.len; i++) {
        w.desired[i].feature_gates = own(&w, json_object());
        w.desired[i].effective = own(&w, json_object());
    }
    make_at(&w, leaving, NOW_MS, &plan);
    CHECK(plan.done && plan.complete);
    world_fini(&w);
}

// A pass asks for each node's steps: were they searched among all, a thousand nodes would be a
// million looks.
TEST(each_step_stands_with_its_node_and_nowhere_else)
{
    static const char *const nodes[] = {"c", "a", "b"};
    struct world w = {0};
    AUTO_PLAN struct plan plan = {0};
    size_t len, all = 0;

    for (size_t i = 0; i < COUNT(nodes); i++) {
        add(&w, nodes[i], COMPONENT_KUBELET, true);
        add_control_plane(&w, nodes[i]);
    }
    add_template(&w);
    make_at(&w, timed, NOW_MS, &plan);
    for (size_t i = 0; i < COUNT(nodes); i++) {
        const size_t *steps = plan_steps_of(&plan, w.instances, nodes[i], &len);

        CHECK_INT(len, COMPONENT_COUNT);
        for (size_t k = 0; k < len; k++) {
            const struct plan_instance *instance = &w.instances[plan.steps[steps[k]].instance];

            CHECK_STR(instance->node, nodes[i]);
            CHECK_INT(instance->component, k);
        }
        all += len;
    }
    CHECK_INT(all, plan.by_node_len);
    CHECK_INT(all, plan.len - 1); // without the template
    (void)plan_steps_of(&plan, w.instances, "bb", &len);
    CHECK_INT(len, 0);
    world_fini(&w);
}

TEST_MAIN()

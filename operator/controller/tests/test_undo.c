// SPDX-License-Identifier: Apache-2.0
// What undoes a roll-out, and what does not: a cluster in which something else than a changed
// component is wrong stays as it is, says so, and comes back by itself.
#include <unistd.h>

#include "sim.h"

#define QUIET_MS 300 // without a request: whatever was to be done about it is done

struct wait {
    struct loop *loop;
    struct sim *sim;
    const char *type, *wanted; // of a condition: "True", or "False ManifestInvalid"
};

#define UNTIL_OF struct wait
#include "testkit/until.h"

static bool says(const struct sim *sim, const char *type, const char *wanted)
{
    const json_t *config = fake_get(sim->api, SIM_CONFIG);
    const json_t *condition = fake_condition(sim->api, SIM_CONFIG, type);
    AUTO_MEM char *is =
        str_format("%s %s", doc_str(condition, "status", NULL), doc_str(condition, "reason", NULL));

    return (str_eq(is, wanted) || str_eq(doc_str(condition, "status", NULL), wanted)) &&
           doc_int(condition, -1, "observedGeneration", NULL) ==
               doc_int(config, 0, "metadata", "generation", NULL);
}

static bool is_so(const struct wait *wait)
{
    return says(wait->sim, wait->type, wait->wanted) &&
           clock_ms() - wait->sim->api->asked_ms >= QUIET_MS;
}

// Until the condition is so, and the controller has nothing more to do about it.
static void wait_until(struct sim *sim, const char *type, const char *wanted)
{
    struct wait wait = {sim->loop, sim, type, wanted};

    until(&wait, is_so);
}

static void check_says(const struct sim *sim, const char *type, const char *wanted)
{
    if (!says(sim, type, wanted))
        sim_fail(sim, wanted);
}

static struct sim *start(void)
{
    struct sim_plan plan = {.name = "undo", .at = UINT32_MAX};
    struct sim *sim;

    alarm(120);
    log_set_level(LOG_ERROR);
    sim = sim_new(loop_new(), &plan);
    sim_start_controller(sim);
    return sim;
}

static void stop(struct sim *sim)
{
    struct loop *loop = sim->loop;

    sim_free(sim);
    loop_free(loop);
}

static void claim(struct sim *sim, enum component component, const char *state, const char *reason)
{
    sim->parts[component].claim = state;
    sim->parts[component].reason = reason;
    sim_wake_agent(sim);
}

static const char *message_of(const struct sim *sim, const char *type)
{
    return doc_str(fake_condition(sim->api, SIM_CONFIG, type), "message", NULL);
}

static unsigned with_gate(const struct sim *sim)
{
    unsigned count = 0;

    for (int component = 0; component < COMPONENT_COUNT; component++)
        count += sim_owns(sim, (enum component)component);
    return count;
}

// Nothing was given up, and what was good before is remembered.
static void check_nothing_undone(const struct sim *sim, unsigned gates)
{
    const json_t *config = fake_get(sim->api, SIM_CONFIG);

    CHECK_INT(with_gate(sim), gates);
    CHECK_STR(doc_str(config, "status", "failedRevision", NULL), "");
    for (size_t i = 0; i < json_array_size(doc_get(config, "status", "history", NULL)); i++)
        CHECK_STR(
            doc_str(json_array_get(doc_get(config, "status", "history", NULL), i), "result", NULL),
            "Applied");
}

static const struct {
    const char *state, *reason;
} statements[] = {
    {"Unreadable", "ManifestInvalid"}, {"Unreadable", "FileConflict"}, {"Failed", "FileConflict"}};

TEST(a_ready_cluster_survives_what_is_said_of_a_file_and_is_ready_again_without_it)
{
    struct sim *sim = start();

    wait_until(sim, "Ready", "True");
    for (size_t i = 0; i < COUNT(statements); i++) {
        AUTO_MEM char *wanted = str_format("False %s", statements[i].reason);

        claim(sim, COMPONENT_CONTROLLER_MANAGER, statements[i].state, statements[i].reason);
        wait_until(sim, "ControlPlaneUpdated", wanted);
        check_nothing_undone(sim, COMPONENT_COUNT);
        CHECK_STR(message_of(sim, "ControlPlaneUpdated"),
                  "kube-controller-manager on cp-1: the agent's words");
        check_says(sim, "ResourceAPIServed", "True");
        claim(sim, COMPONENT_CONTROLLER_MANAGER, NULL, NULL);
        wait_until(sim, "Ready", "True");
        check_nothing_undone(sim, COMPONENT_COUNT);
    }
    stop(sim);
}

TEST(a_roll_out_that_a_file_stops_is_not_given_up_and_goes_on_without_an_annotation)
{
    for (size_t i = 0; i < COUNT(statements); i++) {
        struct sim *sim = start();
        AUTO_MEM char *wanted = str_format("False %s", statements[i].reason);
        bool asked = str_eq(statements[i].state, "Failed"); // before that, nobody reports a failure

        if (!asked)
            claim(sim, COMPONENT_SCHEDULER, statements[i].state, statements[i].reason);
        else
            sim->parts[COMPONENT_SCHEDULER] =
                (struct sim_part){.gates = sim->parts[COMPONENT_SCHEDULER].gates,
                                  .runtime = sim->parts[COMPONENT_SCHEDULER].runtime,
                                  .claim = statements[i].state,
                                  .reason = statements[i].reason};
        wait_until(sim, "ControlPlaneUpdated", wanted);
        check_says(sim, "Degraded", "True");
        CHECK_STR(doc_str(fake_get(sim->api, SIM_CONFIG), "status", "failedRevision", NULL), "");
        claim(sim, COMPONENT_SCHEDULER, NULL, NULL);
        wait_until(sim, "Ready", "True");
        check_nothing_undone(sim, COMPONENT_COUNT);
        stop(sim);
    }
}

TEST(a_component_that_fails_later_with_a_revision_that_was_good_undoes_nothing_elsewhere)
{
    struct sim *sim = start();
    const json_t *history;

    wait_until(sim, "Ready", "True");
    claim(sim, COMPONENT_SCHEDULER, "Failed", "ComponentCrashed");
    wait_until(sim, "ControlPlaneUpdated", "False ComponentCrashed");
    check_nothing_undone(sim, COMPONENT_COUNT);
    CHECK_HAS(message_of(sim, "ControlPlaneUpdated"), "everything else stays as it is");
    check_says(sim, "ResourceAPIServed", "True");
    history = doc_get(fake_get(sim->api, SIM_CONFIG), "status", "history", NULL);
    CHECK_INT(json_array_size(history), 1);
    CHECK(json_object_get(json_array_get(history, 0), "intent") != NULL);
    claim(sim, COMPONENT_SCHEDULER, NULL, NULL);
    wait_until(sim, "Ready", "True");
    stop(sim);
}

// Its cause is gone, and somebody says so.
TEST(what_failed_with_a_good_revision_is_tried_again_by_the_annotation)
{
    struct sim *sim = start();
    struct sim_part *part = &sim->parts[COMPONENT_SCHEDULER];

    wait_until(sim, "Ready", "True");
    part->failed = true;
    sim_wake_agent(sim);
    wait_until(sim, "ControlPlaneUpdated", "False ComponentCrashed");
    fake_edit(sim->api, SIM_CONFIG,
              json_pack("{s:{s:{s:s}}}", "metadata", "annotations",
                        "drawbridge.dev/reconcile-requested-at", "2026-11-27T10:00:00Z"));
    wait_until(sim, "Ready", "True");
    check_nothing_undone(sim, COMPONENT_COUNT);
    CHECK_STR(doc_str(fake_get(sim->api, SIM_CONFIG), "status", "lastHandledReconcileAt", NULL),
              "2026-11-27T10:00:00Z");
    stop(sim);
}

// The next revision fails: it alone is taken back, and what was good stays on everywhere.
TEST(a_later_revision_that_fails_leaves_the_good_one_in_force)
{
    struct sim *sim = start();

    wait_until(sim, "Ready", "True");
    sim->parts[COMPONENT_CONTROLLER_MANAGER].refuses = "DRAAdminAccess";
    fake_edit(sim->api, SIM_CONFIG,
              json_pack("{s:{s:{s:b}, s:b}}", "spec", "featureGates", "DRAAdminAccess", 1,
                        "allowAlpha", 1));
    wait_until(sim, "ControlPlaneUpdated", "False RolledBack");
    CHECK(json_object_get(sim->parts[COMPONENT_APISERVER].gates, "DRAAdminAccess") == NULL);
    CHECK_INT(with_gate(sim), COMPONENT_COUNT);
    check_says(sim, "ResourceAPIServed", "True");
    stop(sim);
}

// The scheduler fails while a revision is rolled out that changes the API server alone.
TEST(a_component_that_a_revision_does_not_change_does_not_undo_it)
{
    struct sim *sim = start();

    wait_until(sim, "Ready", "True");
    claim(sim, COMPONENT_SCHEDULER, "Failed", "ComponentCrashed");
    fake_edit(
        sim->api, SIM_CONFIG,
        json_pack("{s:{s:{s:b}}}", "spec", "featureGates", "DRAResourceClaimDeviceStatus", 0));
    wait_until(sim, "ControlPlaneUpdated", "False ComponentCrashed");
    check_nothing_undone(sim, COMPONENT_COUNT);
    claim(sim, COMPONENT_SCHEDULER, NULL, NULL);
    wait_until(sim, "Ready", "True");
    CHECK(json_is_false(
        json_object_get(sim->parts[COMPONENT_APISERVER].gates, "DRAResourceClaimDeviceStatus")));
    check_nothing_undone(sim, COMPONENT_COUNT);
    stop(sim);
}

TEST(a_mirror_pod_of_a_worker_holds_nothing_and_is_named)
{
    struct sim *sim = start();

    fake_seed(sim->api, "/api/v1/nodes/worker-1",
              json_pack("{s:{s:{}}, s:{s:{s:s}}}", "metadata", "labels", "status", "nodeInfo",
                        "kubeletVersion", ""));
    fake_seed(sim->api, "/api/v1/namespaces/kube-system/pods/kube-apiserver-worker-1",
              json_pack("{s:{s:{s:s, s:s}, s:{s:s}}, s:{s:s, s:[{s:s, s:s, s:[s]}]}}", "metadata",
                        "labels", "component", "kube-apiserver", "tier", "control-plane",
                        "annotations", "kubernetes.io/config.mirror", "0123", "spec", "nodeName",
                        "worker-1", "containers", "name", "kube-apiserver", "image",
                        "x/kube-apiserver:v1.20.0", "command", "kube-apiserver"));
    wait_until(sim, "Ready", "True");
    check_nothing_undone(sim, COMPONENT_COUNT);
    CHECK_HAS(message_of(sim, "ControlPlaneUpdated"),
              "not counted, since these nodes do not have the label "
              "node-role.kubernetes.io/control-plane: kube-apiserver on worker-1");
    stop(sim);
}

TEST(a_kubelet_whose_file_cannot_be_edited_did_not_put_itself_back)
{
    struct sim *sim = start();

    claim(sim, COMPONENT_KUBELET, "Unreadable", "ManifestInvalid");
    wait_until(sim, "NodesUpdated", "False ManifestInvalid");
    CHECK_STR(message_of(sim, "NodesUpdated"),
              "kubelet on cp-1: the agent's words; it is not touched, and nobody waits for it");
    claim(sim, COMPONENT_KUBELET, NULL, NULL);
    wait_until(sim, "Ready", "True");
    check_nothing_undone(sim, COMPONENT_COUNT);
    stop(sim);
}

TEST(a_second_scheduler_is_named_and_holds_nothing)
{
    struct sim *sim = start();

    sim->parts[COMPONENT_SCHEDULER].other = "/etc/kubernetes/manifests/batch-scheduler.yaml";
    wait_until(sim, "Ready", "True");
    CHECK_INT(with_gate(sim), COMPONENT_COUNT);
    CHECK_HAS(message_of(sim, "ControlPlaneUpdated"),
              "left alone: /etc/kubernetes/manifests/batch-scheduler.yaml beside kube-scheduler on "
              "cp-1");
    stop(sim);
}

TEST_MAIN()

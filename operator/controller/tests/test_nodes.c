// SPDX-License-Identifier: Apache-2.0
// A kubeadm cluster in which some nodes do not take part: dead, without an agent, with a file that
// cannot be read. The others are changed, the ConfigMaps are written, and the conditions say who is
// waited for and who is not.
#include <time.h>

#include "fleet.h"
#include "scene.h"

#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/dra"

struct story {
    struct scene scene;
    struct batch batch;
    struct op *agents;
    json_t *silent;                 // node → true: nobody answers there
    json_t *unreadable;             // node → true: its kubelet's file cannot be read
    json_t *events;                 // "Warning AgentMissing: ..."
    bool claimed;                   // a ResourceClaim has a device
    const char *refused;            // writes to a path with this in it are forbidden; NULL: none
    bool removes;                   // the last write of a NodeDRAConfiguration did
    bool slow;                      // a write of a NodeDRAConfiguration takes half a minute
    unsigned written, written_most; // NodeDRAConfigurations since the last report, at most
    struct story_wait wait;
};

#include "story.h"

static uint64_t slow_ms;
static uint64_t slow_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + slow_ms;
}

static const json_t *node_config(const struct story *s, const char *node)
{
    return fleet_object(s->scene.api, node);
}

static const json_t *asked(const struct story *s, const char *node, const char *component)
{
    return fleet_asked(s->scene.api, node, component);
}

static bool config_map_has_gate(const struct story *s)
{
    return strstr(doc_str(fake_get(s->scene.api, KUBEADM), "data", "ClusterConfiguration", NULL),
                  "DynamicResourceAllocation") != NULL;
}

static bool has_event(const struct story *s, const char *start)
{
    for (size_t i = 0; i < json_array_size(s->events); i++) {
        if (str_starts(json_string_value(json_array_get(s->events, i)), start))
            return true;
    }
    return false;
}

// --- the agents ----------------------------------------------------------------------------------

static json_t *report(const struct story *s, const char *node, const char *component)
{
    if (str_eq(component, "kubelet") && json_object_get(s->unreadable, node))
        return json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", component, "state", "Unreadable",
                         "version", "v1.33.13", "reason", "ManifestInvalid", "message",
                         "config.yaml:8:1: key \"featureGates\" is there twice");
    return fleet_report(s->scene.api, node, component);
}

static void answer(struct story *s, const char *node)
{
    static const char *const all[] = {"kube-apiserver", "kube-controller-manager", "kube-scheduler",
                                      "kubelet"};
    json_t *reports = json_array();

    for (size_t i = str_starts(node, "cp-") ? 0 : 3; i < COUNT(all); i++)
        json_array_append_new(reports, report(s, node, all[i]));
    fleet_say(s->scene.api, node, doc_int(node_config(s, node), 0, "spec", "epoch", NULL), reports);
}

static void on_agents(void *owner)
{
    static const char *const nodes[] = {"cp-1", "worker-1", "worker-2"};
    struct story *s = owner;

    s->agents = NULL;
    for (size_t i = 0; i < COUNT(nodes); i++) {
        if (node_config(s, nodes[i]) && !json_object_get(s->silent, nodes[i]))
            answer(s, nodes[i]);
    }
}

// Something else comes between the writes. What waits for its time is not to see the clock jump.
static void end_portion(struct story *s)
{
    s->written = 0;
    slow_ms = 0;
}

static void on_write(void *owner, const struct fake_path *path, const json_t *was UNUSED,
                     const json_t *now)
{
    struct story *s = owner;

    if (str_eq(path->object, CONFIG))
        end_portion(s);
    if (str_starts(path->object, NODE_CONFIGS)) {
        if (s->removes != !now)
            end_portion(s); // another step
        s->removes = !now;
        slow_ms += s->slow ? 30000 : 0;
        s->written++;
        s->written_most = s->written > s->written_most ? s->written : s->written_most;
    }
    if (str_starts(path->object, NODE_CONFIGS) && !s->agents)
        s->agents = loop_sleep(s->scene.loop, 2, on_agents, s);
}

static enum fault on_choose(void *owner, unsigned index UNUSED,
                            const struct server_request *request)
{
    struct story *s = owner;
    AUTO_JSON json_t *event = NULL;

    if (str_eq(request->method, "GET") && str_eq(request->target, CONFIG))
        end_portion(s);
    if (str_eq(request->method, "POST") && str_ends(request->target, "/events") &&
        !doc_parse_json(request->body, "event", &event)) {
        AUTO_MEM char *line =
            str_format("%s %s: %s", doc_str(event, "type", NULL), doc_str(event, "reason", NULL),
                       doc_str(event, "message", NULL));

        json_array_append_new(s->events, json_string(line));
    }
    if (s->refused && !str_eq(request->method, "GET") && strstr(request->target, s->refused))
        return FAULT_403;
    return FAULT_NONE;
}

static json_t *on_page(void *owner, const char *path)
{
    const struct story *s = owner;

    if (str_starts(path, "/apis/resource.k8s.io/v1beta1/resourceclaims?"))
        return !s->claimed ? json_pack("{s:{}, s:[]}", "metadata", "items")
                           : json_pack("{s:{}, s:[{s:{s:s, s:s}, s:{s:{s:{s:[]}}}}]}", "metadata",
                                       "items", "metadata", "namespace", "default", "name",
                                       "holder", "status", "allocation", "devices", "results");
    if (str_eq(path, "/apis/resource.k8s.io") && asked(s, "cp-1", "kube-apiserver") &&
        json_object_size(json_object_get(asked(s, "cp-1", "kube-apiserver"), "runtimeConfig")) > 0)
        return json_pack("{s:[{s:s}]}", "versions", "version", "v1beta1");
    return scene_on_page(NULL, path);
}

// --- the cluster ---------------------------------------------------------------------------------

static void add_node(struct story *s, const char *name, const char *not_ready_since)
{
    fleet_add_node(s->scene.api, name, not_ready_since);
}

static struct story *story_new(void)
{
    struct story *s = story_open();

    strlist_add(&s->scene.governing, "default");
    s->scene.api->on_write = on_write;
    s->scene.api->on_page = on_page;
    s->scene.api->choose = on_choose;
    s->silent = json_object();
    s->unreadable = json_object();
    s->events = json_array();
    fleet_add_cluster(s->scene.api);
    fake_seed(s->scene.api, CONFIG,
              json_pack("{s:s, s:s, s:{}, s:{s:{s:b}, s:s, s:{s:s}}}", "apiVersion",
                        API_GROUP_VERSION, "kind", "DRAConfiguration", "metadata", "spec",
                        "featureGates", "DynamicResourceAllocation", 1, "deletionPolicy", "Revert",
                        "rollout", "minReady", "0s"));
    return s;
}

static void story_free(struct story *s)
{
    op_drop(s->agents);
    json_decref(s->silent);
    json_decref(s->unreadable);
    json_decref(s->events);
    story_close(s);
}

static char *story_tell(const struct story *s)
{
    return doc_print_json_pretty(s->events);
}

// --- the stories ---------------------------------------------------------------------------------

static bool node_is_not_ready(const struct story *s)
{
    return is(s, "Ready", "False", "NodeNotReady");
}
static bool is_gone_with_a_warning(const struct story *s)
{
    return !fake_get(s->scene.api, CONFIG) &&
           has_event(s,
                     "Warning NodeNotReady: Not reverted, as the nodes are not ready: worker-1;");
}
static bool is_gone_and_reverted(const struct story *s)
{
    return !fake_get(s->scene.api, CONFIG) && has_event(s, "Normal Reverted");
}

TEST(a_dead_worker_is_named_and_holds_nobody_and_a_revert_ends)
{
    struct story *s = story_new();
    const json_t *left;

    add_node(s, "worker-1", LONG_AGO);
    add_node(s, "worker-2", NULL);
    WAIT_FOR(s, node_is_not_ready);
    CHECK_HAS(message(s, "NodesUpdated"), "kubelet on worker-1: the node is not ready since 2001-");
    CHECK(asked(s, "worker-2", "kubelet") && !asked(s, "worker-1", "kubelet"));
    CHECK(config_map_has_gate(s));
    CHECK(is(s, "ControlPlaneUpdated", "True", "AsExpected"));
    CHECK_INT(doc_int(fake_get(s->scene.api, CONFIG), 0, "status", "nodes", "notReady", NULL), 1);
    // It is the good revision all the same.
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "history", "0", "result", NULL),
              "Applied");
    // It is back.
    fake_edit(s->scene.api, "/api/v1/nodes/worker-1",
              json_pack("{s:{s:[{s:s, s:s}]}}", "status", "conditions", "type", "Ready", "status",
                        "True"));
    WAIT_FOR(s, is_ready);
    CHECK(asked(s, "worker-1", "kubelet"));
    // It dies for good, and everything is to be as before.
    json_object_set_new(s->silent, "worker-1", json_true());
    fake_edit(s->scene.api, "/api/v1/nodes/worker-1",
              json_pack("{s:{s:[{s:s, s:s, s:s}]}}", "status", "conditions", "type", "Ready",
                        "status", "Unknown", "lastTransitionTime", LONG_AGO));
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone_with_a_warning);
    CHECK(!config_map_has_gate(s));
    CHECK(!node_config(s, "cp-1") && !node_config(s, "worker-2"));
    left = asked(s, "worker-1", "kubelet"); // its agent does it when it returns
    CHECK(left && json_object_size(json_object_get(left, "featureGates")) == 0);
    CHECK(!has_event(s, "Normal Reverted"));
    story_free(s);
}

TEST(a_node_whose_last_transition_is_no_time_is_not_ready_since_no_date)
{
    struct story *s = story_new();

    add_node(s, "worker-1", "2999-01-01T00:00:00Z"); // a clock far ahead
    WAIT_FOR(s, node_is_not_ready);
    CHECK_STR(
        message(s, "NodesUpdated"),
        "kubelet on worker-1: the node is not ready; it is changed when the node is back, and "
        "the others do not wait for it");
    story_free(s);
}

static bool worker_2_waits_for_worker_1(const struct story *s)
{
    return is(s, "NodesUpdated", "False", "NodeNotReady") &&
           strstr(message(s, "NodesUpdated"), "after it was asked at");
}

// Its agent is content, its node is not.
TEST(a_worker_that_goes_away_after_it_was_asked_is_named_and_no_other_is_begun)
{
    struct story *s = story_new();
    char now[CLOCK_TEXT_BYTES];

    clock_format(clock_wall_ms(), now);
    add_node(s, "worker-1", NULL);
    WAIT_FOR(s, is_ready);
    CHECK(asked(s, "worker-1", "kubelet"));
    fake_edit(s->scene.api, "/api/v1/nodes/worker-1",
              json_pack("{s:{s:[{s:s, s:s, s:s}]}}", "status", "conditions", "type", "Ready",
                        "status", "False", "lastTransitionTime", now));
    add_node(s, "worker-2", NULL);
    WAIT_FOR(s, worker_2_waits_for_worker_1);
    CHECK_HAS(message(s, "NodesUpdated"), "kubelet on worker-1: the node is not ready since ");
    CHECK_HAS(message(s, "NodesUpdated"), ": no other kubelet is begun before it is back, or ");
    CHECK(!asked(s, "worker-2", "kubelet"));
    CHECK(is(s, "ControlPlaneUpdated", "True", "AsExpected"));
    fake_edit(s->scene.api, "/api/v1/nodes/worker-1",
              json_pack("{s:{s:[{s:s, s:s}]}}", "status", "conditions", "type", "Ready", "status",
                        "True"));
    WAIT_FOR(s, is_ready);
    CHECK(asked(s, "worker-2", "kubelet"));
    story_free(s);
}

static bool control_plane_waits_for_cp_2(const struct story *s)
{
    return is(s, "ControlPlaneUpdated", "False", "NodeNotReady");
}

TEST(what_waits_for_another_control_plane_node_says_for_which)
{
    struct story *s = story_new();

    add_node(s, "cp-2", LONG_AGO);
    WAIT_FOR(s, control_plane_waits_for_cp_2);
    CHECK_STR(message(s, "ControlPlaneUpdated"),
              "kube-apiserver on cp-1 has to be changed and waits for control-plane node cp-2, "
              "which is not ready; bring that back, or remove it from the cluster");
    CHECK(!asked(s, "cp-1", "kube-apiserver"));
    fake_delete(s->scene.api, "/api/v1/nodes/cp-2");
    WAIT_FOR(s, is_ready);
    CHECK(asked(s, "cp-1", "kube-apiserver"));
    story_free(s);
}

static bool agent_does_not_report(const struct story *s)
{
    return is(s, "Ready", "False", "AgentNotReporting") &&
           has_event(s, "Warning AgentNotReporting");
}

TEST(an_agent_that_does_not_answer_is_told_of_and_a_new_controller_knows_since_when)
{
    struct story *s = story_new();
    const char *at;

    add_node(s, "worker-1", NULL);
    add_node(s, "worker-2", NULL);
    WAIT_FOR(s, is_ready);
    at = doc_str(asked(s, "worker-1", "kubelet"), "askedAt", NULL);
    CHECK(*at);
    // The next change is asked for, and the node falls silent; that was long ago.
    json_object_set_new(s->silent, "worker-1", json_true());
    controller_free(TAKE(s->scene.controller));
    fake_edit(s->scene.api, NODE_CONFIGS "worker-1",
              json_pack("{s:{s:[{s:s, s:s, s:o, s:o, s:s}]}, s:{s:[{s:s, s:s, s:s, s:s}]}}", "spec",
                        "components", "name", "kubelet", "revision",
                        doc_str(asked(s, "worker-1", "kubelet"), "revision", NULL), "featureGates",
                        doc_copy(json_object_get(asked(s, "worker-1", "kubelet"), "featureGates")),
                        "expect",
                        doc_copy(json_object_get(asked(s, "worker-1", "kubelet"), "expect")),
                        "askedAt", LONG_AGO, "status", "components", "name", "kubelet", "state",
                        "Observed", "revision", "", "version", "v1.33.13"));
    WAIT_FOR(s, agent_does_not_report);
    CHECK_HAS(message(s, "Ready"), "kubelet on worker-1 was asked at " LONG_AGO);
    CHECK(is(s, "ControlPlaneUpdated", "True", "AsExpected"));
    story_free(s);
}

static bool has_config_of_worker(const struct story *s)
{
    return node_config(s, "worker-1") != NULL;
}

static bool newer_leader_is_told_of(const struct story *s)
{
    return is(s, "NodesUpdated", "False", "StaleEpoch");
}

static bool refusal_is_told_of(const struct story *s)
{
    return is(s, "NodesUpdated", "False", "AgentNotReporting");
}

// What a worker's agent says beside its kubelet, once and never again.
static struct story *begin_with_words(json_t *take_status)
{
    struct story *s = story_new();

    json_object_set_new(s->silent, "worker-1", json_true());
    add_node(s, "worker-1", NULL);
    WAIT_FOR(s, has_config_of_worker);
    json_object_set_new(take_status, "components",
                        json_pack("[{s:s, s:s, s:s, s:s}]", "name", "kubelet", "state", "Observed",
                                  "revision", "", "version", "v1.33.13"));
    fake_edit(s->scene.api, NODE_CONFIGS "worker-1", json_pack("{s:o}", "status", take_status));
    return s;
}

// No leader of ours can be that new: a lie, or another installation's.
TEST(an_agent_that_has_seen_a_newer_leader_is_told_of)
{
    struct story *s = begin_with_words(json_pack("{s:I}", "epoch", (json_int_t)LEAD_EPOCH_MAX + 1));

    WAIT_FOR(s, newer_leader_is_told_of);
    CHECK_HAS(message(s, "NodesUpdated"), "kubelet on worker-1: its agent has seen a newer leader");
    story_free(s);
}

static bool worker_is_asked(const struct story *s)
{
    return asked(s, "worker-1", "kubelet") != NULL;
}

static bool worker_is_asked_by_a_newer_leader(const struct story *s)
{
    return doc_int(node_config(s, "worker-1"), 0, "spec", "epoch", NULL) >= 99;
}

// It was asked already, and did not take it: its object comes from a backup, say.
TEST(what_was_asked_by_an_epoch_that_is_too_old_is_asked_anew)
{
    struct story *s = begin_with_words(json_pack("{s:i}", "epoch", 0));

    WAIT_FOR(s, worker_is_asked);
    fake_edit(s->scene.api, NODE_CONFIGS "worker-1", json_pack("{s:{s:i}}", "status", "epoch", 99));
    WAIT_FOR(s, worker_is_asked_by_a_newer_leader);
    story_free(s);
}

TEST(an_agent_that_refuses_its_spec_is_told_of)
{
    struct story *s = begin_with_words(json_pack("{s:{s:s, s:s}}", "refused", "reason",
                                                 "InvalidConfiguration", "message", "its words"));

    WAIT_FOR(s, refusal_is_told_of);
    CHECK_HAS(message(s, "NodesUpdated"), "its words");
    story_free(s);
}

static bool file_is_told_of(const struct story *s)
{
    return is(s, "Stalled", "True", "ManifestInvalid");
}

TEST(a_kubelet_whose_file_cannot_be_read_stalls_and_the_rest_goes_on)
{
    struct story *s = story_new();

    add_node(s, "worker-1", NULL);
    json_object_set_new(s->unreadable, "cp-1", json_true());
    WAIT_FOR(s, file_is_told_of);
    CHECK(is(s, "ControlPlaneUpdated", "True", "AsExpected"));
    CHECK(is(s, "NodesUpdated", "False", "ManifestInvalid"));
    CHECK_HAS(message(s, "NodesUpdated"), "kubelet on cp-1: config.yaml:8:1: key");
    CHECK_HAS(message(s, "NodesUpdated"), "it is not touched");
    CHECK(asked(s, "worker-1", "kubelet"));
    CHECK(config_map_has_gate(s));
    CHECK(!condition(s, "Reconciling"));
    story_free(s);
}

static bool waits_for_agents(const struct story *s)
{
    return is(s, "NodesUpdated", "False", "Progressing") &&
           str_eq(message(s, "NodesUpdated"),
                  "Waiting for the agent to report on kubelet on worker-1");
}
static bool agent_is_missing(const struct story *s)
{
    return is(s, "Ready", "False", "AgentMissing") &&
           strstr(message(s, "Ready"), "kubelet on worker-1") &&
           has_event(s, "Warning AgentMissing");
}

TEST(an_agent_has_a_minute_before_it_is_missing_and_then_it_is_a_warning)
{
    struct story *s = story_new();
    char now[CLOCK_TEXT_BYTES];

    clock_format(clock_wall_ms() + 3600000, now); // however long this takes
    add_node(s, "worker-1", NULL);
    json_object_set_new(s->silent, "worker-1", json_true());
    fake_seed(s->scene.api, NODE_CONFIGS "worker-1",
              json_pack("{s:{}, s:{s:i, s:[]}}", "metadata", "spec", "epoch", 0, "components"));
    fake_edit(s->scene.api, NODE_CONFIGS "worker-1",
              json_pack("{s:{s:s}}", "metadata", "creationTimestamp", now));
    WAIT_FOR(s, waits_for_agents);
    CHECK(!has_event(s, "Normal AgentMissing") && !has_event(s, "Warning AgentMissing"));
    fake_edit(s->scene.api, NODE_CONFIGS "worker-1",
              json_pack("{s:{s:s}}", "metadata", "creationTimestamp", LONG_AGO));
    fake_edit(
        s->scene.api, CONFIG,
        json_pack("{s:{s:{s:s}}}", "metadata", "annotations", API_ANNOTATION_RECONCILE, "now"));
    WAIT_FOR(s, agent_is_missing);
    CHECK(config_map_has_gate(s));
    CHECK(!has_event(s, "Normal AgentMissing"));
    story_free(s);
}

TEST(what_auto_decided_once_is_what_a_revert_undoes)
{
    struct story *s = story_new();

    add_node(s, "worker-1", NULL);
    WAIT_FOR(s, is_ready);
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "platform", NULL), "Kubeadm");
    json_object_del(s->scene.api->objects, KUBEADM); // somebody removes it
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone_and_reverted);
    CHECK(has_event(s, "Normal Updating: NodeDRAConfiguration cp-1: kube-apiserver: "
                       "-DynamicResourceAllocation"));
    CHECK(!node_config(s, "cp-1"));
    story_free(s);
}

static bool looks_different(const struct story *s)
{
    return is(s, "Degraded", "True", "PlatformChanged");
}

static bool looks_the_same(const struct story *s)
{
    return is(s, "Degraded", "False", "AsExpected");
}

static void look_again(struct story *s, const char *when)
{
    fake_edit(
        s->scene.api, CONFIG,
        json_pack("{s:{s:{s:s}}}", "metadata", "annotations", API_ANNOTATION_RECONCILE, when));
}

TEST(what_auto_decided_once_stays_and_a_change_is_told)
{
    struct story *s = story_new();
    AUTO_JSON json_t *kept = NULL;

    WAIT_FOR(s, is_ready);
    kept = json_incref(json_object_get(s->scene.api->objects, KUBEADM));
    json_object_del(s->scene.api->objects, KUBEADM); // somebody removes it
    look_again(s, "one");
    WAIT_FOR(s, looks_different);
    CHECK_HAS(message(s, "Degraded"), "found to be Kubeadm; now it looks like Observe");
    CHECK_STR(doc_str(fake_get(s->scene.api, CONFIG), "status", "platform", NULL), "Kubeadm");
    CHECK(asked(s, "cp-1", "kube-apiserver"));
    json_object_set(s->scene.api->objects, KUBEADM, kept);
    look_again(s, "two");
    WAIT_FOR(s, looks_the_same);
    story_free(s);
}

static bool is_observing(const struct story *s)
{
    return is(s, "ControlPlaneUpdated", "True", "Observing");
}

static void observe_from_now_on(struct story *s)
{
    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:{s:s}}}", "spec", "platform", "type", "Observe"));
}

TEST(what_was_written_as_kubeadm_is_taken_back_although_the_type_is_observe_by_then)
{
    struct story *s = story_new();

    add_node(s, "worker-1", NULL);
    WAIT_FOR(s, is_ready);
    observe_from_now_on(s);
    WAIT_FOR(s, is_observing);
    CHECK(asked(s, "cp-1", "kube-apiserver") && config_map_has_gate(s)); // it stays meanwhile
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone_and_reverted);
    CHECK(has_event(s, "Normal Updating: NodeDRAConfiguration cp-1: kube-apiserver: "
                       "-DynamicResourceAllocation"));
    CHECK(!config_map_has_gate(s));
    CHECK(!node_config(s, "cp-1") && !node_config(s, "worker-1"));
    story_free(s);
}

static bool is_refused(const struct story *s)
{
    return is(s, "ConfigValid", "False", "InvalidConfiguration");
}

// Else the new platform would be written too, and one of the two forgotten.
TEST(a_platform_that_was_written_is_not_left_for_another_that_writes)
{
    struct story *s = story_new();

    WAIT_FOR(s, is_ready);
    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:{s:s}}}", "spec", "platform", "type", "HostedControlPlane"));
    WAIT_FOR(s, is_refused);
    CHECK_HAS(message(s, "ConfigValid"),
              "spec.platform.type: what this DRAConfiguration wrote as Kubeadm is still there");
    CHECK(asked(s, "cp-1", "kube-apiserver") && config_map_has_gate(s));
    fake_delete(s->scene.api, CONFIG); // also now
    WAIT_FOR(s, is_gone_and_reverted);
    CHECK(!config_map_has_gate(s));
    story_free(s);
}

TEST(what_another_one_writes_by_now_is_not_taken_back)
{
    struct story *s = story_new();

    WAIT_FOR(s, is_ready);
    observe_from_now_on(s);
    WAIT_FOR(s, is_observing);
    fake_edit(s->scene.api, NODE_CONFIGS "cp-1",
              json_pack("{s:{s:s}}", "spec", "configuration", "default/other"));
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    CHECK(asked(s, "cp-1", "kube-apiserver") && config_map_has_gate(s));
    story_free(s);
}

static bool maps_are_refused(const struct story *s)
{
    return is(s, "Ready", "False", "ClusterConfigNotUpdated") &&
           has_event(s, "Warning ClusterConfigNotUpdated");
}

TEST(a_config_map_that_must_not_be_written_is_told_as_such)
{
    struct story *s = story_new();

    s->refused = "/configmaps";
    WAIT_FOR(s, maps_are_refused);
    CHECK(is(s, "NodesUpdated", "True", "AsExpected"));
    CHECK_HAS(message(s, "ControlPlaneUpdated"), "kubeadm upgrade");
    s->refused = NULL;
    WAIT_FOR(s, is_ready);
    story_free(s);
}

static bool waits_for_claims(const struct story *s)
{
    return is(s, "Ready", "False", "ClaimsInUse") && has_event(s, "Warning ClaimsInUse");
}

TEST(a_deletion_that_waits_for_claims_says_so)
{
    struct story *s = story_new();

    WAIT_FOR(s, is_ready);
    s->claimed = true;
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, waits_for_claims);
    CHECK_HAS(message(s, "Ready"), "default/holder");
    CHECK(is(s, "ControlPlaneUpdated", "False", "ClaimsInUse"));
    CHECK(json_object_size(
        json_object_get(asked(s, "cp-1", "kubelet"), "featureGates"))); // nothing was begun
    s->claimed = false;
    WAIT_FOR(s, is_gone_and_reverted);
    story_free(s);
}

static bool all_nodes_are_asked(const struct story *s)
{
    return is_ready(s) && asked(s, "worker-2", "kubelet");
}

// A revision that goes to many nodes, or to an API server that is slow, takes longer than a step
// may last: it goes out in portions, and each write is told of.
TEST(writes_that_take_long_go_out_in_portions)
{
    struct story *s = story_new();

    clock_set_source(slow_clock, NULL);
    s->slow = true;
    add_node(s, "worker-1", NULL);
    add_node(s, "worker-2", NULL);
    WAIT_FOR(s, all_nodes_are_asked);
    CHECK_INT(s->written_most, 2);
    CHECK(!has_event(s, "Warning APIServerUnreachable"));
    CHECK(has_event(s, "Normal Updating: NodeDRAConfiguration cp-1: "));
    s->written_most = 0;
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone_and_reverted);
    CHECK_INT(s->written_most, 2); // they are deleted
    CHECK(!node_config(s, "cp-1") && !node_config(s, "worker-2"));
    clock_set_source(NULL, NULL);
    story_free(s);
}

static bool has_no_instances(const struct story *s)
{
    return is(s, "ConfigValid", "False", "NoInstances");
}

TEST(a_kubeadm_cluster_without_a_control_plane_component_is_none)
{
    struct story *s = story_new();
    static const char *const pods[] = {"kube-apiserver", "kube-controller-manager",
                                       "kube-scheduler"};

    for (size_t i = 0; i < COUNT(pods); i++) {
        AUTO_MEM char *path = str_format("/api/v1/namespaces/kube-system/pods/%s-cp-1", pods[i]);

        json_object_del(s->scene.api->objects, path);
    }
    fake_edit(s->scene.api, CONFIG,
              json_pack("{s:{s:{s:s}}}", "spec", "platform", "type", "Kubeadm"));
    WAIT_FOR(s, has_no_instances);
    CHECK(!node_config(s, "cp-1"));
    story_free(s);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// What a kubeadm cluster is taken for: which nodes have a kubelet to look after, and what is known
// of each.
#include "kubeadm/kubeadm_internal.h"
#include "place.h"

static void add_pod(struct place *c, const char *component, const char *node)
{
    AUTO_MEM char *text =
        str_format("{metadata: {name: %s-%s, labels: {component: %s, tier: control-plane},"
                   " annotations: {kubernetes.io/config.mirror: x}}, spec: {nodeName: %s,"
                   " containers: [{name: %s, image: 'r/%s:v1.33.13', command: [%s]}]}}",
                   component, node, component, node, component, component, component);

    json_array_append_new(c->pods, parse(text));
}

static void add_control_plane(struct place *c, const char *node)
{
    AUTO_MEM char *text =
        str_format("{metadata: {name: %s, labels: {node-role.kubernetes.io/control-plane: ''}},"
                   " status: {nodeInfo: {kubeletVersion: v1.33.13, operatingSystem: linux}}}",
                   node);

    json_array_append_new(c->nodes, parse(text));
    add_pod(c, "kube-apiserver", node);
    add_pod(c, "kube-controller-manager", node);
    add_pod(c, "kube-scheduler", node);
}

TEST(virtual_kubelets_and_windows_nodes_have_no_kubelet_to_configure)
{
    static const char *const others[] = {
        "{metadata: {name: a, labels: {type: virtual-kubelet}},"
        " status: {nodeInfo: {kubeletVersion: v1.33.2, operatingSystem: Linux}}}",
        "{metadata: {name: b}, spec: {taints: [{key: node.kubernetes.io/unreachable},"
        " {key: virtual-kubelet.io/provider, value: acme, effect: NoSchedule}]},"
        " status: {nodeInfo: {kubeletVersion: v1.33.2}}}",
        "{metadata: {name: c}, status: {nodeInfo: {kubeletVersion: v1.19.10-vk-azure-aci-1.4.8}}}",
        "{metadata: {name: d}, status: {nodeInfo: {kubeletVersion: v1.33.4,"
        " operatingSystem: windows}}}",
        "{metadata: {name: e, labels: {kubernetes.io/os: windows}},"
        " status: {nodeInfo: {kubeletVersion: v1.33.4}}}",
        "{metadata: {name: f}, status: {nodeInfo: {kubeletVersion: v1.33.4,"
        " operatingSystem: plan9}}}",
        "{metadata: {name: g}, status: {nodeInfo: {kubeletVersion: fake}}}",
        "{metadata: {name: h, annotations: {kwok.x-k8s.io/node: fake}},"
        " status: {nodeInfo: {kubeletVersion: v1.33.4}}}",
        "{metadata: {name: i}, status: {nodeInfo: {kubeletVersion: v7.0.2}}}",
    };
    static const char *const whys[] = {
        "virtual kubelet",   "virtual kubelet", "virtual kubelet",    "Windows",
        "Windows",           "not Linux",       "no kubelet version", "fake",
        "no kubelet version"};
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    for (size_t i = 0; i < COUNT(others); i++)
        json_array_append_new(c->nodes, parse(others[i]));
    json_array_append_new(c->nodes,
                          parse("{metadata: {name: worker},"
                                " status: {nodeInfo: {kubeletVersion: v1.33.1-eks-1234567}}}"));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(c->observed->managed_nodes, 2);
    CHECK_INT(c->observed->unmanaged_nodes, COUNT(others));
    CHECK_INT(json_object_size(c->observed->nodes), 2);
    CHECK(find(c, "kubelet on cp-1") && find(c, "kubelet on worker"));
    for (size_t i = 0; i < COUNT(others); i++) {
        AUTO_MEM char *name = str_format("%c", 'a' + (char)i);
        AUTO_MEM char *id = str_format("kubelet on %s", name);

        CHECK(!find(c, id));
        CHECK_STR(doc_str(c->observed->ignored, name, NULL), whys[i]);
    }
    place_free(c);
}

TEST(a_component_is_there_once_whoever_tells_of_it)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    add_pod(c, "kube-scheduler", "cp-1");
    json_array_append_new(c->configs,
                          parse("{metadata: {name: cp-1}, status: {components: ["
                                "{name: kube-apiserver, state: Observed, version: v1.33.13},"
                                "{name: kubelet, state: Observed, version: v1.33.13}]}}"));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(c->observed->len, 4);
    CHECK(find(c, "kube-apiserver on cp-1")->agent);
    CHECK(find(c, "kubelet on cp-1")->control_plane);
    place_free(c);
}

static void add_worker(struct place *c, const char *node)
{
    json_array_append_new(c->nodes, json_pack("{s:{s:s}, s:{s:{s:s}}}", "metadata", "name", node,
                                              "status", "nodeInfo", "kubeletVersion", "v1.33.13"));
}

static bool is_stranger(const struct place *c, const char *id)
{
    for (size_t i = 0; i < json_array_size(c->observed->strangers); i++) {
        if (str_eq(json_string_value(json_array_get(c->observed->strangers, i)), id))
            return true;
    }
    return false;
}

TEST(a_worker_that_reports_an_api_server_is_named_and_counts_for_nothing)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    add_worker(c, "worker-1");
    json_array_append_new(c->configs,
                          parse("{metadata: {name: worker-1}, status: {components: ["
                                "{name: kube-apiserver, state: Unreadable, version: v1.20.0},"
                                "{name: kubelet, state: Observed, version: v1.33.13}]}}"));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(c->observed->len, 5);
    CHECK(!find(c, "kube-apiserver on worker-1"));
    CHECK(is_stranger(c, "kube-apiserver on worker-1"));
    CHECK(!find(c, "kubelet on worker-1")->control_plane);
    place_free(c);
}

// What a kubelet is decides for all which gates are refused: its Node says it, and it emulates
// nothing, whatever its agent reports.
TEST(the_version_of_a_kubelet_is_its_nodes_and_no_report_changes_it)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    add_worker(c, "worker-1");
    json_array_append_new(
        c->configs, parse("{metadata: {name: worker-1}, status: {components: ["
                          "{name: kubelet, state: Observed, version: v1.20.0, emulatedVersion: "
                          "'1.20'}]}}"));
    json_array_append_new(c->configs,
                          parse("{metadata: {name: cp-1}, status: {components: ["
                                "{name: kube-apiserver, state: Observed, version: v1.33.13, "
                                "emulatedVersion: '1.32'}]}}"));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(find(c, "kubelet on worker-1")->version.minor, 33);
    CHECK_INT(find(c, "kubelet on worker-1")->emulated.major, 0);
    CHECK_INT(find(c, "kube-apiserver on cp-1")->emulated.minor, 32);
    place_free(c);
}

TEST(a_mirror_pod_of_a_worker_is_named_and_counts_for_nothing)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    add_worker(c, "worker-1");
    add_pod(c, "kube-scheduler", "worker-1");
    add_pod(c, "kube-scheduler", "nowhere"); // a node that is not there
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(c->observed->len, 5);
    CHECK_INT(json_array_size(c->observed->strangers), 2);
    CHECK(is_stranger(c, "kube-scheduler on worker-1"));
    CHECK_INT(json_object_size(c->observed->nodes), 2); // nobody is asked on the third
    CHECK(!find(c, "kubelet on worker-1")->control_plane);
    place_free(c);
}

TEST(of_the_words_of_many_workers_a_few_are_kept)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    for (int i = 0; i < 100; i++) {
        AUTO_MEM char *node = str_format("other-%d", i);

        add_pod(c, "kube-apiserver", node);
    }
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(c->observed->len, 4);
    CHECK_INT(json_array_size(c->observed->strangers), PLATFORM_STRANGERS_MAX);
    place_free(c);
}

TEST(the_agent_of_a_control_plane_node_is_believed_without_a_mirror_pod)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    json_array_clear(c->pods);
    json_array_append_new(c->configs,
                          parse("{metadata: {name: cp-1}, status: {components: ["
                                "{name: kube-apiserver, state: Observed, version: v1.33.13}]}}"));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK(find(c, "kube-apiserver on cp-1"));
    CHECK_INT(json_array_size(c->observed->strangers), 0);
    place_free(c);
}

TEST(without_a_control_plane_that_counts_the_label_is_asked_for)
{
    struct place *c = place_new();

    add_worker(c, "cp-1");
    add_pod(c, "kube-apiserver", "cp-1");
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_STR(error_reason(c->err), "NoInstances");
    CHECK_HAS(error_text(c->err), "not counted: kube-apiserver on cp-1");
    CHECK_ERR_HAS(TAKE(c->err), ERROR_INVALID, KUBE_CONTROL_PLANE_LABEL);
    place_free(c);
}

TEST(the_limit_counts_what_templates_stand_for_too)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    for (unsigned i = 0; i < GATES_INSTANCES_MAX - 4; i++) {
        AUTO_MEM char *name = str_format("w%u", i);

        json_array_append_new(c->nodes,
                              json_pack("{s:{s:s}, s:{s:{s:s}}}", "metadata", "name", name,
                                        "status", "nodeInfo", "kubeletVersion", "v1.33.13"));
    }
    json_object_set_new(c->maps, "kubeadm-config",
                        json_pack("{s:{s:s, s:s}, s:{s:s}}", "metadata", "name", "kubeadm-config",
                                  "resourceVersion", "1", "data", "ClusterConfiguration",
                                  "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
                                  "kubernetesVersion: v1.33.13\n"));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_ERR_HAS(TAKE(c->err), ERROR_LIMIT, "more than 20000 components");
    place_free(c);
}

TEST(an_entry_of_kubeadms_config_maps_is_told_with_its_line)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    json_object_set_new(c->maps, "kubeadm-config",
                        json_pack("{s:{s:s, s:s}, s:{s:s}}", "metadata", "name", "kubeadm-config",
                                  "resourceVersion", "1", "data", "ClusterConfiguration",
                                  "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
                                  "kubernetesVersion: v1.33.13\napiServer:\n  extraArgs:\n"
                                  "  - {name: feature-gates, value: A=true}\nscheduler:\n"
                                  "  extraArgs:\n  - name: feature-gates\n    value: A=true\n"));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK_STR(doc_str(find(c, "kube-apiserver in kubeadm-config")->reported, "places", "A", NULL),
              "ConfigMap kube-system/kubeadm-config, ClusterConfiguration, line 6");
    CHECK_STR(doc_str(find(c, "kube-scheduler in kubeadm-config")->reported, "places", "A", NULL),
              "ConfigMap kube-system/kubeadm-config, ClusterConfiguration, line 10");
    CHECK(doc_get(find(c, "kube-controller-manager in kubeadm-config")->reported, "places", "A",
                  NULL) == NULL);
    place_free(c);
}

// What was asked for there is to be taken back: a node that is not looked at would keep our flags.
TEST(a_control_plane_node_that_lost_its_label_is_still_looked_after_where_it_was_asked)
{
    struct place *c = place_new();
    const struct plan_instance *server;

    add_control_plane(c, "cp-1");
    add_worker(c, "cp-2");
    add_pod(c, "kube-apiserver", "cp-2");
    add_pod(c, "kube-scheduler", "cp-2");
    json_array_append_new(
        c->configs,
        parse(
            "{metadata: {name: cp-2}, spec: {components: ["
            "{name: kube-apiserver, revision: r, featureGates: {DynamicResourceAllocation: true}},"
            "{name: kube-controller-manager, revision: r}]}, status: {components: ["
            "{name: kube-apiserver, state: UpToDate, version: v1.33.13},"
            "{name: kube-controller-manager, state: UpToDate, version: v1.33.13},"
            "{name: kube-scheduler, state: Observed, version: v1.33.13}]}}"));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    server = find(c, "kube-apiserver on cp-2");
    CHECK(server && server->control_plane);
    CHECK_STR(doc_str(server->asked, "revision", NULL), "r");
    CHECK(find(c, "kube-controller-manager on cp-2")); // its mirror pod is not there just now
    CHECK(!find(c, "kube-scheduler on cp-2"));         // it was never asked for anything
    CHECK_INT(json_array_size(c->observed->strangers), 1);
    CHECK(is_stranger(c, "kube-scheduler on cp-2"));
    place_free(c);
}

static int64_t now_wall(void)
{
    return 1764000000500;
}

static int64_t not_ready_ms(const struct place *c, const char *node)
{
    AUTO_MEM char *id = str_format("kubelet on %s", node);

    return find(c, id)->not_ready_ms;
}

TEST(since_when_a_node_is_not_ready_is_never_in_the_future)
{
    static const struct {
        const char *node, *since;
        int64_t ms;
    } cases[] = {
        {"ago", "2025-11-24T15:00:00Z", 1763996400000},
        {"a-little-ahead", "2025-11-24T16:00:30Z", 1764000000500}, // now is 16:00:00.5
        {"at-the-margin", "2025-11-24T16:01:00Z", 1764000000500},
        {"far-ahead", "2025-11-24T16:01:01Z", PLAN_UNKNOWN_MS},
        {"no-time", "yesterday", PLAN_UNKNOWN_MS},
        {"before-time", "1969-01-01T00:00:00Z", PLAN_UNKNOWN_MS},
    };
    struct place *c = place_new();

    clock_set_source(NULL, now_wall);
    add_control_plane(c, "cp-1");
    for (size_t i = 0; i < COUNT(cases); i++)
        json_array_append_new(c->nodes,
                              json_pack("{s:{s:s}, s:{s:{s:s}, s:[{s:s, s:s, s:s}]}}", "metadata",
                                        "name", cases[i].node, "status", "nodeInfo",
                                        "kubeletVersion", "v1.33.13", "conditions", "type", "Ready",
                                        "status", "Unknown", "lastTransitionTime", cases[i].since));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(not_ready_ms(c, "cp-1"), 0);
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK_INT(not_ready_ms(c, cases[i].node), cases[i].ms);
    place_free(c);
}

#define CLUSTER_CONFIGURATION(args)                                                                \
    "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"                             \
    "kubernetesVersion: v1.37.1\n" args
#define THEIRS                                                                                     \
    CLUSTER_CONFIGURATION("scheduler:\n  extraArgs:\n  - name: feature-gates # theirs\n"           \
                          "    value: B=true,DynamicResourceAllocation=true\n")

static json_t *map_with(const char *name, const char *key, const char *text)
{
    return json_pack("{s:{s:s, s:s}, s:{s:s}}", "metadata", "name", name, "resourceVersion", "1",
                     "data", key, text);
}

// kubeadm-config with that text and record, as it is seen.
static struct place *with_config(const char *text, const char *record)
{
    struct place *c = place_new();

    add_control_plane(c, "cp-1");
    json_object_set_new(c->maps, KUBEADM_CONFIG,
                        map_with(KUBEADM_CONFIG, "ClusterConfiguration", text));
    if (record)
        json_object_set_new(c->maps, KUBEADM_UNDO_CONFIGMAP,
                            map_with(KUBEADM_UNDO_CONFIGMAP, KUBEADM_CONFIG, record));
    cluster_open(c);
    observe(c, PLATFORM_KUBEADM);
    CHECK_OK(TAKE(c->err));
    return c;
}

// What the component's section is to be in the text, and the record that goes with it.
static char *ask(enum component component, const char *text, const char *want_text, char **record)
{
    struct place *c = with_config(text, *record);
    AUTO_JSON json_t *want = parse(want_text);
    AUTO_JSON json_t *texts = NULL;
    AUTO_JSON json_t *undo = NULL;
    struct plan_step steps[COMPONENT_COUNT] = {{0}};
    struct plan plan = {.steps = steps};
    char *result;

    for (size_t i = 0; i < c->observed->len && plan.len < COUNT(steps); i++) {
        bool its = c->observed->instances[i].component == component;

        if (c->observed->instances[i].object)
            steps[plan.len++] = (struct plan_step){
                .instance = i, .state = its ? PLAN_NOW : PLAN_DONE, .want = want};
    }
    CHECK_OK(kubeadm_edit_templates(c->observed, &plan, &texts, &undo));
    result = str_dup(json_string_value(json_object_get(texts, KUBEADM_CONFIG)));
    mem_free(*record);
    *record = doc_print_json(json_object_get(undo, KUBEADM_CONFIG));
    place_free(c);
    return result;
}

static char *ask_scheduler(const char *text, const char *want, char **record)
{
    return ask(COMPONENT_SCHEDULER, text, want, record);
}

TEST(an_entry_of_others_goes_from_kubeadm_config_and_comes_back)
{
    static const char without[] =
        "{featureGates: {}, withoutFeatureGates: [DynamicResourceAllocation]}";
    AUTO_MEM char *record = NULL;
    AUTO_MEM char *once = ask_scheduler(THEIRS, without, &record);
    AUTO_MEM char *first = str_dup(record);
    struct place *c = with_config(once, record);
    const json_t *report = find(c, "kube-scheduler in kubeadm-config")->reported;

    CHECK_STR(once, CLUSTER_CONFIGURATION("scheduler:\n  extraArgs:\n"
                                          "  - name: feature-gates # theirs\n"
                                          "    value: B=true\n"));
    CHECK_STR_TAKE(doc_print_json(json_object_get(report, "removed")),
                   "{\"featureGates\":[\"DynamicResourceAllocation\"],\"runtimeConfig\":[]}");
    CHECK_INT(json_object_size(doc_get(report, "owned", "featureGates", NULL)), 0);
    place_free(c);
    CHECK_STR_TAKE(ask_scheduler(once, "{featureGates: {}}", &record), THEIRS);
    // Somebody edited it when nobody knew whether ours was out.
    AUTO_MEM char *edited = str_format("%snetworking: {}\n", once);
    AUTO_MEM char *back = ask_scheduler(edited, "{featureGates: {}}", &first);
    CHECK_HAS(back, "    value: B=true,DynamicResourceAllocation=true\n");
    CHECK_HAS(back, "networking: {}\n");
}

TEST(an_entry_of_others_stays_out_of_kubeadm_config_when_something_else_is_written)
{
    static const char both[] =
        "{featureGates: {X: true}, withoutFeatureGates: [DynamicResourceAllocation]}";
    AUTO_MEM char *record = NULL;
    AUTO_MEM char *ours = ask_scheduler(THEIRS, "{featureGates: {X: true}}", &record);
    AUTO_MEM char *without = ask_scheduler(ours, both, &record);
    AUTO_MEM char *second = str_dup(record);

    CHECK_HAS(without, "    value: B=true,X=true\n");
    // Another component's turn.
    AUTO_MEM char *other =
        ask(COMPONENT_CONTROLLER_MANAGER, without, "{featureGates: {Z: true}}", &record);
    CHECK_HAS(other, "    value: B=true,X=true\n");
    CHECK_HAS(other, "Z=true");
    AUTO_MEM char *back = ask_scheduler(other, "{featureGates: {}}", &record);
    CHECK_HAS(back, "    value: B=true,DynamicResourceAllocation=true\n");
    CHECK_HAS(back, "Z=true");
    // Somebody edited it when nobody knew whether it was out, beside what was ours before.
    AUTO_MEM char *edited = str_format("%snetworking: {}\n", without);
    CHECK_STR_TAKE(ask_scheduler(edited, "{featureGates: {}}", &second), THEIRS "networking: {}\n");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "doctor_internal.h"
#include "test.h"

static json_t *examine(const char *facts_text)
{
    AUTO_JSON json_t *facts = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(facts_text), "facts", &facts));
    return doctor_examine(facts);
}

static const json_t *find(const json_t *findings, const char *check)
{
    for (size_t i = 0; i < json_array_size(findings); i++)
        if (str_eq(doc_str(json_array_get(findings, i), "check", NULL), check))
            return json_array_get(findings, i);
    return NULL;
}

static void check_finding(const char *facts_text, const char *check, const char *verdict,
                          const char *part)
{
    AUTO_JSON json_t *findings = examine(facts_text);
    const json_t *found = find(findings, check);

    if (!found)
        test_fail(__FILE__, __LINE__, "no finding of %s", check);
    CHECK_STR(doc_str(found, "verdict", NULL), verdict);
    AUTO_MEM char *all =
        str_format("%s -> %s", doc_str(found, "detail", NULL), doc_str(found, "fix", NULL));
    CHECK_HAS(all, part);
}

static void check_none(const char *facts_text, const char *check)
{
    AUTO_JSON json_t *findings = examine(facts_text);

    CHECK(!find(findings, check));
}

#define SERVED                                                                                     \
    "served: [v1], gate: true, resources: [deviceclasses, resourceclaims, "                        \
    "resourceclaimtemplates, resourceslices], "
#define IN_USE "claims: [{metadata: {namespace: d, name: c}}], "
#define DEPLOYMENT(name, account, container)                                                       \
    "deployments: [{metadata: {namespace: ns, name: " name "}, spec: {template: {spec: "           \
    "{serviceAccountName: " account ", containers: [{name: main, " container "}]}}}}], "

// --- taints of pools for devices

#define GPU_NODE(more)                                                                             \
    "nodes: [{metadata: {name: gpu-1, labels: {giantswarm.io/machine-pool: berlin-gpu}}, spec:"    \
    " {taints: [{key: nvidia.com/gpu, value: Exists, effect: NoSchedule}]}}" more "], "
#define PLUGIN_SET(more)                                                                           \
    "daemonsets: [{metadata: {namespace: gpu, name: dra-plugin}, spec: {template: {spec:"          \
    " {containers: [{name: gpus, image: 'r/nvidia/k8s-dra-driver-gpu:v25.3.2'}], volumes:"         \
    " [{name: r, hostPath: {path: /var/lib/kubelet/plugins_registry}}]" more "}}}}]"

TEST(a_driver_that_does_not_tolerate_the_taint_of_its_pool)
{
    static const char *const check = "driver gpu/dra-plugin";

    check_finding(
        "{" GPU_NODE("") PLUGIN_SET("") "}", check, "warning",
        "it does not run on node gpu-1 (pool berlin-gpu), which has the taint "
        "nvidia.com/gpu=Exists:NoSchedule: no device of it is published -> add to the "
        "driver's values, where the chart has its tolerations: kubeletPlugin.tolerations: "
        "[{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]");
    check_finding("{" GPU_NODE(", {metadata: {name: gpu-2}, spec: {taints: [{key: nvidia.com/gpu,"
                               " effect: NoExecute}]}}") PLUGIN_SET("") "}",
                  check, "warning", "node gpu-1 and 1 more (pool berlin-gpu)");
    check_finding("{" GPU_NODE("")
                      PLUGIN_SET(", tolerations: [{key: nvidia.com/gpu, operator: Exists,"
                                 " effect: NoExecute}, {key: nvidia.com/gpu}]") "}",
                  check, "warning", "does not run");
}

TEST(a_driver_that_tolerates_the_taint_or_is_of_other_nodes_is_not_told_of)
{
    static const char *const check = "driver gpu/dra-plugin";

    check_none("{" GPU_NODE("") PLUGIN_SET(", tolerations: [{operator: Exists}]") "}", check);
    check_none("{" GPU_NODE("") PLUGIN_SET(", tolerations: [{key: nvidia.com/gpu, operator: Exists,"
                                           " effect: NoSchedule}]") "}",
               check);
    check_none("{" GPU_NODE("")
                   PLUGIN_SET(", tolerations: [{key: nvidia.com/gpu, value: Exists}]") "}",
               check);
    check_none("{" GPU_NODE("") PLUGIN_SET(", nodeSelector: {gpu: present}") "}", check);
    check_none("{nodes: [{metadata: {name: a}, spec: {taints: [{key: amd.com/gpu, effect:"
               " NoSchedule}, {key: nvidia.com/gpu, effect: PreferNoSchedule}, {key:"
               " node-role.kubernetes.io/control-plane, effect: NoSchedule}, {key: nvidia, effect:"
               " NoSchedule}]}}], " PLUGIN_SET("") "}",
               check);
}

// --- autoscalers

#define CA(tag, words)                                                                             \
    DEPLOYMENT("cluster-autoscaler", "ca",                                                         \
               "image: 'registry:5000/autoscaling/cluster-autoscaler:" tag                         \
               "', command: [./cluster-autoscaler, --v=4" words "]")

TEST(a_cluster_autoscaler_that_does_not_look_at_claims)
{
    static const char *const check = "cluster-autoscaler ns/cluster-autoscaler";

    check_finding("{" IN_USE CA("v1.36.0", "") "}", check, "warning",
                  "adds no node for a pod that waits for a device -> kubectl patch -n ns "
                  "deployment/cluster-autoscaler --type=json -p '[{\"op\":\"add\",\"path\":"
                  "\"/spec/template/spec/containers/0/command/-\",\"value\":"
                  "\"--enable-dynamic-resource-allocation=true\"}]'");
    check_finding("{" IN_USE CA("v1.36.0", ", --enable-dynamic-resource-allocation=false") "}",
                  check, "warning",
                  "\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/0/command/2\"");
    check_finding("{" IN_USE CA("v1.36.0", ", --enable-dynamic-resource-allocation=true") "}",
                  check, "ok", "it has --enable");
    check_finding("{" IN_USE CA("v1.36.0", ", -enable-dynamic-resource-allocation") "}", check,
                  "ok", "it has --enable");
    check_finding("{" IN_USE DEPLOYMENT("cluster-autoscaler", "ca",
                                        "image: r/mirror:1, args: [cluster-autoscaler, --v=4]") "}",
                  check, "warning", "/containers/0/args/-");
    check_none("{" CA("v1.36.0", "") "}", check); // no DRA here
    check_none("{" IN_USE DEPLOYMENT("cluster-autoscaler", "ca",
                                     "image: r/cluster-autoscaler-operator:1") "}",
               check);
    check_finding("{" IN_USE "denied: {deployments: 'cannot list deployments'}}",
                  "cluster-autoscaler and Karpenter", "unknown", "cannot list deployments");
}

TEST(a_cluster_autoscaler_that_waits_for_an_api_that_is_not_there)
{
    static const char *const check = "cluster-autoscaler ns/cluster-autoscaler";

    check_finding("{server: v1.31.9, served: [], " CA("v1.35.0", "") "}", check, "failed",
                  "1.35 waits for resource.k8s.io/v1, which this 1.31 does not serve: it adds no "
                  "node for any pod -> use the minor of the cluster: kubectl set image -n ns "
                  "deployment/cluster-autoscaler main=REPOSITORY/cluster-autoscaler:v1.31.PATCH");
    check_finding("{server: v1.33.9, served: [v1beta1], " IN_USE CA("v1.34.0@sha256:00", "") "}",
                  check, "failed", "1.34 waits for resource.k8s.io/v1");
    // of the cluster's minor, or one that finds what it asks for
    check_finding("{server: v1.35.1, served: [v1], " IN_USE CA("v1.36.0", "") "}", check, "warning",
                  "without");
    check_none("{server: v1.34.1, served: [], " CA("v1.34.0", "") "}", check);
    // before 1.34 it asks only where it is told to
    check_none("{server: v1.31.9, served: [], " CA("v1.32.0", "") "}", check);
    check_finding("{server: v1.31.9, served: [], " CA("v1.32.0",
                                                      ", --enable-dynamic-resource-allocation") "}",
                  check, "failed", "v1beta1");
    // who may not see what is served says nothing
    check_none("{server: v1.31.9, served: [], denied: {group: 'no right'}, " CA("v1.35.0", "") "}",
               check);
}

#define KARPENTER(env)                                                                             \
    DEPLOYMENT("karpenter", "k", "image: 'public/karpenter/controller:1.13.0', env: [" env "]")

TEST(a_karpenter_that_ignores_claims)
{
    static const char *const check = "Karpenter ns/karpenter";

    check_finding("{" IN_USE KARPENTER("") "}", check, "warning",
                  "IGNORE_DRA_REQUESTS is not set, which is true: it adds no node for the devices "
                  "that a pod claims -> kubectl set env -n ns deployment/karpenter "
                  "IGNORE_DRA_REQUESTS=false");
    check_finding("{" IN_USE KARPENTER("{name: IGNORE_DRA_REQUESTS, value: 'true'}") "}", check,
                  "warning", "IGNORE_DRA_REQUESTS is true");
    check_finding("{" IN_USE KARPENTER("{name: IGNORE_DRA_REQUESTS, value: 'false'}") "}", check,
                  "ok", "counts claims");
    check_finding("{" IN_USE KARPENTER("{name: IGNORE_DRA_REQUESTS, valueFrom: {configMapKeyRef: "
                                       "{name: x, key: y}}}") "}",
                  check, "unknown", "an object that is not looked at");
    check_none("{" KARPENTER("") "}", check);
}

// --- one owner of a device

TEST(both_resources_of_nvidias_operator)
{
    static const char *const check = "GPUCluster and ClusterPolicy";

    check_finding(
        "{gpuclusters: [{metadata: {name: g}}], clusterpolicies: [{metadata: {name: p}}]}", check,
        "warning",
        "GPUCluster g and ClusterPolicy p -> keep one; for DRA that is the GPUCluster: "
        "kubectl delete clusterpolicies.nvidia.com p");
    check_none("{gpuclusters: [{metadata: {name: g}}], clusterpolicies: []}", check);
    check_none("{gpuclusters: [], clusterpolicies: [{metadata: {name: p}}]}", check);
    check_finding("{denied: {gpuclusters: 'cannot list gpuclusters'}}", check, "unknown",
                  "cannot list gpuclusters");
}

#define NODE(name, allocatable)                                                                    \
    "{metadata: {name: " name "}, status: {allocatable: {" allocatable "}}}, "
#define SLICE(node, driver) "{spec: {driver: " driver ", nodeName: " node ", devices: [{}]}}, "

TEST(a_device_plugin_and_a_driver_for_the_same_devices)
{
    check_finding("{nodes: [" NODE("a", "nvidia.com/gpu: '4'") NODE("b", "nvidia.com/gpu: '0'")
                      NODE("c", "nvidia.com/gpu: '8'")
                          NODE("d", "cpu: '8'") "], slices: [" SLICE("a", "gpu.nvidia.com")
                              SLICE("a", "gpu.nvidia.com") SLICE("b", "gpu.nvidia.com")
                                  SLICE("d", "gpu.nvidia.com") "]}",
                  "device plugin beside gpu.nvidia.com", "failed",
                  "gives nvidia.com/gpu away on 1 node where gpu.nvidia.com publishes the same "
                  "devices: a; one device may be given twice -> let one of the two have a node; "
                  "with NVIDIA's operator: kubectl label node a "
                  "nvidia.com/gpu.deploy.device-plugin=false");
    check_finding(
        "{nodes: [" NODE("a", "gpu.intel.com/xe: '1'") NODE("b", "gpu.intel.com/xe: '1'")
            NODE("c", "gpu.intel.com/xe: '1'") NODE("d", "gpu.intel.com/xe: '1'")
                NODE("e", "gpu.intel.com/xe: '1'")
                    NODE("f", "gpu.intel.com/xe: '1'") "], slices: [" SLICE("a", "gpu.intel.com")
                        SLICE("b", "gpu.intel.com") SLICE("c", "gpu.intel.com")
                            SLICE("d", "gpu.intel.com") SLICE("e", "gpu.intel.com")
                                SLICE("f", "gpu.intel.com") "]}",
        "device plugin beside gpu.intel.com", "failed", "on 6 nodes where gpu.intel.com publishes");
    check_finding(
        "{nodes: [" NODE("a", "gpu.intel.com/xe: '1'") NODE("b", "gpu.intel.com/xe: '1'")
            NODE("c", "gpu.intel.com/xe: '1'") NODE("d", "gpu.intel.com/xe: '1'")
                NODE("e", "gpu.intel.com/xe: '1'")
                    NODE("f", "gpu.intel.com/xe: '1'") "], slices: [" SLICE("a", "gpu.intel.com")
                        SLICE("b", "gpu.intel.com") SLICE("c", "gpu.intel.com")
                            SLICE("d", "gpu.intel.com") SLICE("e", "gpu.intel.com")
                                SLICE("f", "gpu.intel.com") "]}",
        "device plugin beside gpu.intel.com", "failed", "a, b, c, d, e and 1 more; one device");
    // channels between GPUs are no GPUs: they go with the device plugin
    check_none("{nodes: [" NODE("a", "nvidia.com/gpu: '4'") "], slices: [" SLICE(
                   "a", "compute-domain.nvidia.com") "]}",
               "device plugin beside compute-domain.nvidia.com");
}

// --- schedulers

#define POD(name, scheduler)                                                                       \
    "{metadata: {namespace: d, name: " name "}, spec: {schedulerName: " scheduler                  \
    ", resourceClaims: [{name: c}]}}, "
#define VOLCANO(arguments)                                                                         \
    "volcano: [{metadata: {namespace: volcano-system, name: volcano-scheduler-configmap}, data: "  \
    "{volcano-scheduler.conf: \"actions: 'allocate'\\ntiers:\\n- plugins:\\n  - name: gang\\n"     \
    "- plugins:\\n  - name: predicates\\n    arguments: {" arguments "}\\n\"}}], "
#define VC(tag)                                                                                    \
    DEPLOYMENT("volcano-scheduler", "v", "image: 'docker/volcanosh/vc-scheduler:" tag "'")
#define SWITCH "predicate.DynamicResourceAllocationEnable"

TEST(pods_with_claims_of_another_scheduler)
{
    check_finding("{pods: [" POD("p", "volcano") "], " VOLCANO(SWITCH ": false") VC("v1.15.0") "}",
                  "scheduler volcano", "warning",
                  SWITCH " is false; 1 pod with claims waits for it: d/p -> set " SWITCH
                         ": true in the arguments of its plugin predicates: kubectl edit "
                         "configmap -n volcano-system volcano-scheduler-configmap");
    check_finding("{pods: [" POD("p", "volcano") "], " VOLCANO("") VC("v1.14.2") "}",
                  "scheduler volcano", "warning", "is not set, and off in Volcano 1.14");
    check_finding("{pods: [" POD("p", "volcano") POD("q", "volcano") "], " VOLCANO("")
                      VC("v1.15.0") "}",
                  "scheduler volcano", "warning",
                  "2 pods with claims wait for it: d/p, d/q -> see whether it knows DRA");
    check_finding("{pods: [" POD("p", "volcano") "], denied: {volcano: 'cannot list configmaps'}}",
                  "scheduler volcano", "unknown", "cannot list configmaps");
    check_finding("{pods: [" POD("p", "kai-scheduler") "], " DEPLOYMENT(
                      "kai-scheduler-default", "k",
                      "image: 'ghcr/kai-scheduler/kai-scheduler/scheduler:v0.9.0', args: "
                      "['--feature-gates=DynamicResourceAllocation=false']") "}",
                  "scheduler kai-scheduler", "warning",
                  "-> take DynamicResourceAllocation=false out of its arguments: kubectl edit "
                  "deployment -n ns kai-scheduler-default");
    check_finding("{pods: [" POD("p", "mine") "]}", "scheduler mine", "warning",
                  "1 pod with claims waits for it: d/p");
    check_none("{pods: [" POD("p", "default-scheduler") "]}", "scheduler default-scheduler");
    // whose log to read is that scheduler's
    check_finding("{" SERVED "claims: [{metadata: {namespace: d, name: c}}], pods: [{metadata: "
                  "{namespace: d, name: p}, spec: {schedulerName: mine, resourceClaims: [{name: c, "
                  "resourceClaimName: c}]}}]}",
                  "pod d/p", "warning",
                  "no scheduler has looked at it -> see whether its scheduler mine runs");
}

#define SCHEDULER(name) DEPLOYMENT(name, "sa", "image: 'r/vc-scheduler:v1.15.0'")
#define ACCESS(rights) "access: {'system:serviceaccount:ns:sa': {" rights "}}, "
#define BOTH "'update status': true, 'patch status': true, "

TEST(a_scheduler_that_may_not_bind_claims)
{
    static const char *const check = "rights of scheduler ns/s";

    check_finding("{" SERVED "server: v1.36.3, " SCHEDULER("s")
                      ACCESS(BOTH "'update binding': false, 'patch binding': false") "}",
                  check, "failed",
                  "system:serviceaccount:ns:sa may update and patch resourceclaims/status and not "
                  "resourceclaims/binding, and since 1.36 what it allocates is refused -> kubectl "
                  "create clusterrole sa-claim-binding --verb=update,patch "
                  "--resource=resourceclaims.resource.k8s.io/binding && kubectl create "
                  "clusterrolebinding sa-claim-binding --clusterrole=sa-claim-binding "
                  "--serviceaccount=ns:sa");
    check_finding("{" SERVED "granular: true, " SCHEDULER("s")
                      ACCESS(BOTH "'update binding': true, 'patch binding': false") "}",
                  check, "warning", "may patch resourceclaims/status and not");
    check_finding("{" SERVED "granular: true, " SCHEDULER("s")
                      ACCESS(BOTH "'update binding': true, 'patch binding': true") "}",
                  check, "ok",
                  "may update and patch resourceclaims/status and resourceclaims/bind");
    // the API server does not ask for it
    check_none("{" SERVED "server: v1.35.3, " SCHEDULER("s")
                   ACCESS(BOTH "'update binding': false, 'patch binding': false") "}",
               check);
    check_none("{" SERVED "server: v1.36.3, granular: false, " SCHEDULER("s")
                   ACCESS(BOTH "'update binding': false, 'patch binding': false") "}",
               check);
    // who writes no status of claims needs no more
    check_none("{" SERVED "granular: true, " SCHEDULER("s")
                   ACCESS("'update status': false, 'patch status': false") "}",
               check);
    check_finding("{" SERVED "granular: true, " SCHEDULER(
                      "s") "denied: {access: 'cannot create subjectaccessreviews'}}",
                  "rights on resourceclaims/binding and resourceclaims/driver", "unknown",
                  "cannot create subjectaccessreviews");
    check_finding("{" SERVED "granular: true, denied: {deployments: 'cannot list deployments'}}",
                  "rights of schedulers", "unknown", "cannot list deployments");
}

// Somebody's scheduler that is no Deployment is not guessed at.
TEST(a_scheduler_whose_account_nobody_knows)
{
    static const char *const check = "rights of scheduler mine";

    check_finding("{" SERVED "granular: true, deployments: [], pods: [" POD("p", "mine")
                      POD("q", "mine") "]}",
                  check, "unknown",
                  "no Deployment is a scheduler, so that its account is not known -> kubectl auth "
                  "can-i update resourceclaims.resource.k8s.io --subresource=binding -A "
                  "--as=system:serviceaccount:NAMESPACE:NAME");
    check_none("{" SERVED "granular: true, " SCHEDULER("s") "pods: [" POD("p", "mine") "]}", check);
    check_none("{" SERVED "granular: false, deployments: [], pods: [" POD("p", "mine") "]}", check);
    // who may not list them is told that alone
    check_none("{" SERVED
               "granular: true, denied: {deployments: 'no right'}, pods: [" POD("p", "mine") "]}",
               check);
}

#define DRIVER                                                                                     \
    "slices: [{spec: {driver: gpu.example.com, devices: [{}]}}, {spec: {driver: other.com, "       \
    "devices: [{}]}}], daemonsets: [{metadata: {namespace: ns, name: p}, spec: {template: {spec: " \
    "{serviceAccountName: sa, containers: [{name: main, image: 'r/driver:1', env: [{name: "        \
    "DRIVER_NAME, value: gpu.example.com}]}], volumes: [{name: r, hostPath: {path: "               \
    "/var/lib/kubelet/plugins_registry}}]}}}}], "

TEST(a_driver_that_may_not_say_what_its_devices_are_like)
{
    static const char *const check = "rights of driver ns/p";

    check_finding("{" SERVED "granular: true, " DRIVER ACCESS(
                      "'update status': true, 'patch status': false, 'associated-node:update "
                      "driver gpu.example.com': false, 'arbitrary-node:update driver "
                      "gpu.example.com': false") "}",
                  check, "warning",
                  "may update resourceclaims/status and not resourceclaims/driver, and since 1.36 "
                  "what it says of its devices there is refused -> kubectl create clusterrole "
                  "sa-claim-driver --verb=associated-node:update "
                  "--resource=resourceclaims.resource.k8s.io/driver "
                  "--resource-name=gpu.example.com && kubectl create clusterrolebinding "
                  "sa-claim-driver --clusterrole=sa-claim-driver --serviceaccount=ns:sa");
    check_finding("{" SERVED "granular: true, " DRIVER ACCESS(
                      "'update status': true, 'patch status': false, 'associated-node:update "
                      "driver gpu.example.com': false, 'arbitrary-node:update driver "
                      "gpu.example.com': true") "}",
                  check, "ok", "resourceclaims/driver");
    check_none("{" SERVED "granular: true, " DRIVER ACCESS(
                   "'update status': false, 'patch status': false") "}",
               check);
}

static char *next_questions(const char *facts_text)
{
    AUTO_JSON json_t *facts = NULL;
    AUTO_JSON json_t *questions = NULL;
    AUTO_STRLIST struct strlist keys = {0};

    CHECK_OK(doc_parse_yaml(slice_of(facts_text), "facts", &facts));
    questions = doctor_questions(facts);
    for (size_t i = 0; i < json_array_size(questions); i++) {
        const json_t *question = json_array_get(questions, i);

        CHECK_STR(doc_str(question, "user", NULL), "system:serviceaccount:ns:sa");
        CHECK_STR(doc_str(question, "groups", "1", NULL), "system:serviceaccounts:ns");
        strlist_add(&keys, doc_str(question, "key", NULL));
    }
    return strlist_join(&keys, ", ");
}

TEST(what_the_api_server_is_asked_follows_from_what_it_said)
{
    static const struct {
        const char *facts, *keys;
    } rows[] = {
        {"{granular: true, " SCHEDULER("s") "}", "update status, patch status"},
        {"{granular: true, " SCHEDULER("s") ACCESS(BOTH) "}", "update binding, patch binding"},
        {"{granular: true, " SCHEDULER("s")
             ACCESS("'update status': false, 'patch status': false") "}",
         ""},
        {"{granular: false, " SCHEDULER("s") "}", ""},
        {"{server: v1.35.0, " SCHEDULER("s") "}", ""},
        {"{granular: true, " DRIVER ACCESS("'update status': true, 'patch status': false") "}",
         "associated-node:update driver gpu.example.com"},
        {"{granular: true, " DRIVER ACCESS("'update status': true, 'patch status': false, "
                                           "'associated-node:update driver gpu.example.com': "
                                           "false") "}",
         "arbitrary-node:update driver gpu.example.com"},
        {"{granular: true, " CA("v1.36.0", "") "}", ""}, // binds nothing
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MEM char *keys = next_questions(rows[i].facts);

        CHECK_STR(keys, rows[i].keys);
    }
}

TEST(a_list_that_was_too_long_is_told)
{
    AUTO_BUF struct buf facts = buf_make(65536);

    check_finding("{capped: {deployments: 200}}", "deployments", "unknown",
                  "more than the 200 that were looked at");
    buf_printf(&facts, "{" SERVED "granular: true, deployments: [");
    for (int i = 0; i < 34; i++)
        buf_printf(&facts,
                   "{metadata: {namespace: ns%d, name: s}, spec: {template: {spec: {containers: "
                   "[{image: r/vc-scheduler:v1}]}}}}, ",
                   i);
    buf_printf(&facts, "]}"); // none of them has a right
    AUTO_MEM char *text = buf_take(&facts);
    check_finding(text, "rights on resourceclaims/binding and resourceclaims/driver", "unknown",
                  "2 accounts are beyond the 32 that are asked about");
}

// Of a workload nothing is kept that nobody looks at, such as what its variables hold elsewhere.
TEST(what_is_kept_of_a_workload)
{
    AUTO_JSON json_t *other = NULL;
    AUTO_JSON json_t *scheduler = NULL;
    AUTO_JSON json_t *kept = NULL;

    CHECK_OK(doc_parse_yaml(slice_of("{metadata: {name: web}, spec: {template: {spec: {containers: "
                                     "[{image: nginx}]}}}}"),
                            "x", &other));
    CHECK(!doctor_keep_workload(other));
    CHECK_OK(
        doc_parse_yaml(slice_of("{metadata: {namespace: ns, name: s, uid: u}, spec: {template: "
                                "{spec: {serviceAccountName: sa, containers: [{name: c, "
                                "image: r/vc-scheduler:v1, resources: {}}]}}}, status: {}}"),
                       "x", &scheduler));
    kept = doctor_keep_workload(scheduler);
    AUTO_MEM char *text = doc_print_json_sorted(kept);
    CHECK_STR(text, "{\"metadata\":{\"name\":\"s\",\"namespace\":\"ns\"},\"spec\":{\"template\":{"
                    "\"spec\":{\"containers\":[{\"image\":\"r/vc-scheduler:v1\",\"name\":\"c\"}],"
                    "\"serviceAccountName\":\"sa\"}}}}");
}

TEST_MAIN()

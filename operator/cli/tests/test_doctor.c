// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "doctor.h"
#include "drawbridge/api.h"
#include "test.h"

#define SERVED                                                                                     \
    "served: [v1], gate: true, resources: [deviceclasses, resourceclaims, "                        \
    "resourceclaimtemplates, resourceslices], "
#define CLASSES                                                                                    \
    "classes: [{metadata: {name: gpu.nvidia.com}, spec: {selectors: [{cel: {expression: "          \
    "\"device.driver == "                                                                          \
    "'gpu.nvidia.com'\"}}]}}], "
#define SLICES "slices: [{spec: {driver: gpu.nvidia.com, devices: [{}, {}]}}], "

#define CONTROL_PLANE                                                                              \
    "nodes: [{metadata: {name: cp-1, labels: {node-role.kubernetes.io/control-plane: ''}}}, "      \
    "{metadata: {name: w}}], "

// The finding of this check must have the verdict, and the words in detail or fix.
static void check_finding(const char *facts_text, const char *check, const char *verdict,
                          const char *part)
{
    AUTO_JSON json_t *facts = NULL;
    AUTO_JSON json_t *findings = NULL;
    const json_t *found = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(facts_text), "facts", &facts));
    findings = doctor_examine(facts);
    for (size_t i = 0; i < json_array_size(findings); i++)
        if (str_eq(doc_str(json_array_get(findings, i), "check", NULL), check))
            found = json_array_get(findings, i);
    if (!found)
        test_fail(__FILE__, __LINE__, "no finding of %s", check);
    CHECK_STR(doc_str(found, "verdict", NULL), verdict);
    AUTO_MEM char *all =
        str_format("%s -> %s", doc_str(found, "detail", NULL), doc_str(found, "fix", NULL));
    CHECK_HAS(all, part);
}

static void check_times(const char *facts_text, const char *check, int times)
{
    AUTO_JSON json_t *facts = NULL;
    AUTO_JSON json_t *findings = NULL;
    int found = 0;

    CHECK_OK(doc_parse_yaml(slice_of(facts_text), "facts", &facts));
    findings = doctor_examine(facts);
    for (size_t i = 0; i < json_array_size(findings); i++)
        found += str_eq(doc_str(json_array_get(findings, i), "check", NULL), check);
    CHECK_INT(found, times);
}

TEST(the_control_plane)
{
    check_finding("{served: [], resources: []}", "API resource.k8s.io", "failed",
                  "serves no version");
    check_finding("{served: [v1beta1], resources: [deviceclasses]}", "API resource.k8s.io",
                  "failed", "v1beta1 has no resourceclaims");
    check_finding("{" SERVED "}", "API resource.k8s.io", "ok", "served as v1");
    check_finding("{gate: false}", "gate of kube-apiserver", "failed", "off");
    check_finding("{}", "gate of kube-apiserver", "unknown", "/metrics");
    check_finding("{builtIn: true}", "gate of kube-apiserver", "ok", "no gate for it any more");
    check_finding("{" CONTROL_PLANE
                  "controlPlane: [{metadata: {labels: {component: kube-controller-manager}}, "
                  "spec: {nodeName: cp-1, containers: "
                  "[{command: [x, '--controllers=*,-resourceclaim-controller']}]}}]}",
                  "kube-controller-manager", "failed", "take resourceclaim-controller back");
    check_finding(
        "{" CONTROL_PLANE
        "controlPlane: [{metadata: {labels: {component: kube-controller-manager}}, "
        "spec: {nodeName: cp-1, containers: [{args: [--controllers, 'deployment-controller']}]}}]}",
        "kube-controller-manager", "failed", "--controllers=deployment-controller");
#define COMPONENT(name, image, words)                                                              \
    "{" CONTROL_PLANE "controlPlane: [{metadata: {labels: {component: " name                       \
    "}}, spec: {nodeName: cp-1, containers: [{image: '" image "', command: [" words "]}]}}]}"
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.33.13", "kube-scheduler"),
                  "kube-scheduler", "failed", "1.33, and no flag of it turns");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.36.3", "kube-scheduler"),
                  "kube-scheduler", "ok", "default since 1.34");
    check_finding(COMPONENT("kube-scheduler", "r:5000/kube-scheduler:v1.33.13",
                            "kube-scheduler, "
                            "'--feature-gates=A=false,DynamicResourceAllocation=true'"),
                  "kube-scheduler", "ok", "as its flags say");
    check_finding(COMPONENT("kube-scheduler", "x",
                            "kube-scheduler, '--feature-gates=DynamicResourceAllocation=false'"),
                  "kube-scheduler", "failed", "take that flag out");
    check_finding("{agents: [{metadata: {name: a}, status: {components: [{name: kubelet, enabled: "
                  "{DynamicResourceAllocation: false}}]}}]}",
                  "kubelet", "failed", "on a, DynamicResourceAllocation is off");
    check_finding("{agents: [{metadata: {name: a}, status: {components: [{name: kubelet, enabled: "
                  "{DynamicResourceAllocation: true}}]}}]}",
                  "kubelet", "ok", "on in 1 of 1");
    check_finding("{" CONTROL_PLANE
                  "agents: [{metadata: {name: cp-1}, status: {components: [{name: kube-apiserver}, "
                  "{name: kube-scheduler, excludesDRA: 'c.yaml: the profile x is without it'}]}}]}",
                  "kube-scheduler", "failed", "on cp-1, c.yaml: the profile x");
}

TEST(what_the_next_minor_refuses)
{
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.37.2",
                            "kube-scheduler, '--feature-gates=DynamicResourceAllocation=true'"),
                  "upgrade to 1.38", "warning",
                  "kube-scheduler on cp-1 has DynamicResourceAllocation=true, which is removed in "
                  "1.38 and means nothing today");
    check_finding(COMPONENT("kube-apiserver", "r/kube-apiserver:v1.37.2",
                            "kube-apiserver, '--feature-gates=DRAPartitionableDevices=false'"),
                  "upgrade to 1.38", "warning", "locked to true in 1.38 and means something today");
    check_finding("{agents: [{metadata: {name: a}, status: {components: [{name: kubelet, version: "
                  "v1.37.2, featureGates: {DynamicResourceAllocation: true}, enabled: "
                  "{DynamicResourceAllocation: true}}]}}]}",
                  "upgrade to 1.38", "warning", "drawbridge plan --prepare-for 1.38");
    check_finding(
        "{agents: [{metadata: {name: a}, status: {components: [{name: kubelet, version: "
        "v1.37.2, featureGates: {DynamicResourceAllocation: true}, enabled: "
        "{DynamicResourceAllocation: true}, places: {DynamicResourceAllocation: "
        "'/k/config.yaml, line 12'}}]}}]}",
        "upgrade to 1.38", "warning",
        "kubelet on a has DynamicResourceAllocation=true (/k/config.yaml, line 12), which "
        "is removed in 1.38");
    check_times(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.36.3",
                          "kube-scheduler, '--feature-gates=DynamicResourceAllocation=true'"),
                "upgrade to 1.37", 0);
}

// A kubelet can make any mirror pod and its agent report anything: of the control plane its own
// nodes speak alone, of a kubelet each node.
TEST(a_worker_says_nothing_of_the_control_plane)
{
    check_finding(
        "{" CONTROL_PLANE "controlPlane: [{metadata: {labels: {component: kube-scheduler}}, spec: "
        "{nodeName: w, containers: [{image: 'r/kube-scheduler:v1.33.13', command: [x]}]}}"
        "]}",
        "kube-scheduler", "warning",
        "on w is not counted: w does not have the label node-role.kubernetes.io/control-plane");
    check_finding("{" CONTROL_PLANE
                  "agents: [{metadata: {name: w}, status: {components: [{name: kube-scheduler, "
                  "excludesDRA: 'c.yaml: the profile x is without it'}]}}]}",
                  "kube-scheduler", "warning", "not counted: w does not have");
    check_finding("{" CONTROL_PLANE
                  "agents: [{metadata: {name: w}, status: {components: [{name: kube-apiserver, "
                  "enabled: {DynamicResourceAllocation: false}}]}}]}",
                  "kube-apiserver", "warning", "not counted");
    check_finding("{" CONTROL_PLANE
                  "agents: [{metadata: {name: gone}, status: {components: [{name: kube-apiserver, "
                  "enabled: {DynamicResourceAllocation: false}}]}}]}",
                  "kube-apiserver", "warning", "not counted: gone does not have");
    // the label is the controller's to write: it is no node's
    check_finding("{" CONTROL_PLANE
                  "agents: [{metadata: {name: kwok, labels: {drawbridge.dev/site: kwok}}, status: "
                  "{components: [{name: kube-apiserver, "
                  "enabled: {DynamicResourceAllocation: false}}]}}]}",
                  "kube-apiserver", "failed", "on kwok, DynamicResourceAllocation is off");
    check_finding("{" CONTROL_PLANE
                  "agents: [{metadata: {name: w}, status: {components: [{name: kubelet, enabled: "
                  "{DynamicResourceAllocation: false}}]}}]}",
                  "kubelet", "failed", "on w, DynamicResourceAllocation is off");
    // a kubelet has no profiles, and what is no component at all is nobody's word
    check_times("{agents: [{metadata: {name: w}, status: {components: [{name: kubelet, "
                "excludesDRA: x}]}}]}",
                "kubelet", 0);
    check_times("{agents: [{metadata: {name: w}, status: {components: [{name: 'API "
                "resource.k8s.io 2', enabled: {DynamicResourceAllocation: false}}]}}]}",
                "API resource.k8s.io 2", 0);
    // told once, whoever says it
    check_times("{" CONTROL_PLANE
                "controlPlane: [{metadata: {labels: {component: kube-scheduler}}, spec: {nodeName: "
                "w, containers: [{image: 'r/kube-scheduler:v1.33.13', command: [x]}]}}], agents: "
                "[{metadata: {name: w}, status: {components: [{name: kube-scheduler, enabled: "
                "{DynamicResourceAllocation: false}}]}}]}",
                "kube-scheduler", 1);
    // who may not read the nodes cannot tell
    check_finding("{denied: {nodes: 'no right'}, "
                  "controlPlane: [{metadata: {labels: {component: kube-scheduler}}, spec: "
                  "{nodeName: w, containers: [{image: 'r/kube-scheduler:v1.33.13', command: [x]}]}}"
                  "]}",
                  "control plane", "unknown", "no right");
}

#define CONFIG "configurations: [{metadata: {namespace: d, name: c}, spec: {}"
#define NOW "now: '2026-11-01T10:00:00Z', "
#define LEASE(renewed)                                                                             \
    NOW "leases: [{metadata: {name: drawbridge, namespace: x}, spec: {holderIdentity: me, "        \
        "leaseDurationSeconds: 15, renewTime: '" renewed "'}}], "

TEST(nobody_acts_on_the_objects)
{
    check_finding("{" NOW "leases: [], " CONFIG "}]}", "controller", "failed", "has ever led");
    check_finding("{" LEASE("2026-11-01T09:59:00.000000Z") CONFIG "}]}", "controller", "failed",
                  "no controller leads; the Lease was last renewed at 2026-11-01T09:59:00");
    check_finding("{" LEASE("2026-11-01T09:59:58.000000Z") CONFIG "}]}", "controller", "ok",
                  "me leads");
    check_finding("{" LEASE("2026-11-01T09:59:58.000000Z") CONFIG "}]}", "DRAConfiguration d/c",
                  "failed", "no controller has reported on it");
    check_finding("{agents: [{metadata: {name: w}, spec: {}}]}", "agent on w", "failed",
                  "never reported");
}

TEST(a_remedy_is_what_to_do)
{
    // who has asked for it is not told to ask for it
    check_finding("{served: [], resources: [], " CONFIG "}]}", "API resource.k8s.io", "failed",
                  "see why the DRAConfiguration");
    check_finding("{served: [], resources: [], configurations: []}", "API resource.k8s.io",
                  "failed", "apply a DRAConfiguration");
    // the documented action of the reason itself
    check_finding("{" CONFIG ", status: {conditions: [{type: Ready, status: 'False', reason: "
                  "TargetConflict, message: m}]}}]}",
                  "DRAConfiguration d/c", "failed", api_reason_find("TargetConflict")->action);
}

TEST(gates_by_stage_and_containers_beside_the_component)
{
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.33.13",
                            "kube-scheduler, '--feature-gates=AllBeta=true'"),
                  "kube-scheduler", "ok", "as its flags say");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.31.0",
                            "kube-scheduler, '--feature-gates=AllBeta=true'"), // alpha by then
                  "kube-scheduler", "failed", "1.31");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.33.13",
                            "kube-scheduler, "
                            "'--feature-gates=AllBeta=true,DynamicResourceAllocation=false'"),
                  "kube-scheduler", "failed", "take that flag out");
    check_finding(
        "{" CONTROL_PLANE
        "controlPlane: [{metadata: {labels: {component: kube-controller-manager}}, "
        "spec: {nodeName: cp-1, containers: [{name: kms, image: 'r/kms:v1', command: [kms]}, "
        "{name: "
        "kube-controller-manager, image: 'r/kube-controller-manager:v1.33.13', command: "
        "[kube-controller-manager, '--feature-gates=DynamicResourceAllocation=false']}]}}]}",
        "kube-controller-manager", "failed", "take that flag out");
}

// Before 1.32 the API of that name is another one, and before 1.26 there is none.
TEST(a_kubernetes_from_before_the_api_of_today)
{
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.29.4",
                            "kube-scheduler, '--feature-gates=DynamicResourceAllocation=true'"),
                  "kube-scheduler", "failed",
                  "on, as its flags say, but in 1.29 it is for resource.k8s.io v1alpha2, which "
                  "today's drivers do not use -> upgrade to Kubernetes 1.32 or newer");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.31.0",
                            "kube-scheduler, '--feature-gates=AllAlpha=true'"),
                  "kube-scheduler", "failed", "v1alpha3");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.29.4", "kube-scheduler"),
                  "kube-scheduler", "failed", "upgrade to Kubernetes 1.32 or newer");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.25.3", "kube-scheduler"),
                  "kube-scheduler", "failed",
                  "1.25 has no DynamicResourceAllocation -> upgrade to Kubernetes 1.32 or newer");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.25.3",
                            "kube-scheduler, '--feature-gates=DynamicResourceAllocation=true'"),
                  "kube-scheduler", "failed", "1.25 has no DynamicResourceAllocation");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.32.0",
                            "kube-scheduler, '--feature-gates=DynamicResourceAllocation=true'"),
                  "kube-scheduler", "ok", "as its flags say");
    check_finding(COMPONENT("kube-scheduler", "r/kube-scheduler:v1.60.0", "kube-scheduler"),
                  "kube-scheduler", "ok", "default since 1.34");
    check_finding("{served: [v1alpha2], resources: []}", "API resource.k8s.io", "failed",
                  "served as v1alpha2 alone, which today's drivers do not use -> upgrade to "
                  "Kubernetes 1.32 or newer, or serve v1beta1 or newer");
}

TEST(no_driver_was_asked_for)
{
    check_finding("{" SERVED "slices: [], classes: [], " CONFIG "}]}", "ResourceSlices", "warning",
                  "no device");
    check_finding("{" SERVED "slices: [], classes: [], configurations: [{spec: {driver: {preset: "
                  "NVIDIA}}}]}",
                  "ResourceSlices", "failed", "no device");
    // It is another cluster that gets one.
    check_finding("{" SERVED "slices: [], classes: [], " CONFIG
                  "}, {spec: {driver: {preset: NVIDIA}, "
                  "cluster: {kubeconfigSecretRef: {name: far}}}}]}",
                  "ResourceSlices", "warning", "no device");
}

TEST(devices)
{
    check_finding("{" SERVED "slices: []}", "ResourceSlices", "failed", "install a driver");
    check_finding("{" SERVED "denied: {slices: 'no right'}}", "ResourceSlices", "unknown",
                  "no right");
    check_finding("{" SERVED CLASSES SLICES "}", "DeviceClass gpu.nvidia.com", "ok",
                  "2 devices of gpu.nvidia.com");
    check_finding("{" SERVED CLASSES "slices: [{spec: {driver: other, devices: [{}]}}]}",
                  "DeviceClass gpu.nvidia.com", "failed", "gpu.nvidia.com publishes no device");
    check_finding("{" SERVED SLICES "classes: [{metadata: {name: all}, spec: {}}]}",
                  "DeviceClass all", "warning", "every device is of it");
    check_finding("{nodes: [{metadata: {name: a}, status: {nodeInfo: {containerRuntimeVersion: "
                  "'containerd://1.6.1'}}}]}",
                  "node a", "failed", "knows no CDI");
    check_finding("{nodes: [{metadata: {name: a}, status: {nodeInfo: {kubeletVersion: v1.34.1}}}]}",
                  "node a", "warning", "1.34.2");
}

#define POD(message)                                                                               \
    "pods: [{metadata: {namespace: d, name: p}, spec: {resourceClaims: [{name: c, "                \
    "resourceClaimTemplateName: t}]}, "                                                            \
    "status: {conditions: [{type: PodScheduled, status: 'False', message: '" message "'}]}}]"
#define TEMPLATE(class, selector)                                                                  \
    "templates: [{metadata: {namespace: d, name: t}, spec: {spec: {devices: {requests: [{name: "   \
    "r, exactly: "                                                                                 \
    "{deviceClassName: " class ", selectors: [{cel: {expression: '" selector "'}}]}}]}}}}], "

TEST(a_pod_that_waits)
{
    check_finding("{" SERVED CLASSES SLICES POD("x") "}", "pod d/p", "failed",
                  "no ResourceClaimTemplate t in namespace d");
    check_finding("{" SERVED CLASSES SLICES TEMPLATE("gpu.example.com", "true") POD("x") "}",
                  "pod d/p", "failed", "no DeviceClass gpu.example.com");
    check_finding("{" SERVED CLASSES SLICES TEMPLATE(
                      "gpu.nvidia.com", "device.attributes[\"type\"].string == \"gpu\"")
                      POD("CEL runtime error: no such key: string") "}",
                  "pod d/p", "failed", "write device.attributes[\"DRIVER\"].type");
    check_finding("{" SERVED CLASSES SLICES TEMPLATE("gpu.nvidia.com", "true")
                      POD("had untolerated taint {x: y}") "}",
                  "pod d/p", "failed", "give the pod a toleration");
    check_finding("{" SERVED CLASSES SLICES TEMPLATE("gpu.nvidia.com", "true")
                      POD("cannot allocate all claims") "}",
                  "pod d/p", "failed", "no free device fits");
}

// The page of the seed installs the chart with resources.gpus.enabled=false and then claims
// gpu.nvidia.com.
TEST(the_contradiction_of_the_seed)
{
    check_finding("{" SERVED SLICES
                  "configurations: [{metadata: {namespace: d, name: c}, spec: {driver: {preset: "
                  "NVIDIALegacy, values: {resources: {gpus: {enabled: false}}}}}}], " TEMPLATE(
                      "gpu.nvidia.com", "true") POD("x") "}",
                  "pod d/p", "failed", "gpuResourcesEnabledOverride");
}

TEST_MAIN()

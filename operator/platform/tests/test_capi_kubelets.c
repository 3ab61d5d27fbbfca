// SPDX-License-Identifier: Apache-2.0
// Where the kubelets of a Cluster get their gates: a file, or the command line.
#include "cluster.h"

TEST(gates_of_kubelets_go_into_the_file_that_is_there)
{
    check_both_ways(
        "v1beta2",
        "{version: v1.33.13, kubeadmConfigSpec: {files: [{path: /etc/x, content: 'x'},"
        " {path: /etc/kubernetes/patches/kubeletconfiguration0+strategic.yaml,"
        " content: \"# ours\\nmaxPods: 50 # few\\n\"}],"
        " initConfiguration: {patches: {directory: /etc/kubernetes/patches/}}}}",
        "{version: v1.33.13, kubeadmConfigSpec: {files: [{path: /etc/x, content: 'x'},"
        " {path: /etc/kubernetes/patches/kubeletconfiguration0+strategic.yaml,"
        " content: \"# ours\\nmaxPods: 50 # few\\nfeatureGates:\\n  DynamicResourceAllocation:"
        " true\\n\"}],"
        " initConfiguration: {patches: {directory: /etc/kubernetes/patches/}},"
        " clusterConfiguration: {apiServer: {extraArgs:"
        " [{name: feature-gates, value: DynamicResourceAllocation=true},"
        " {name: runtime-config, value: resource.k8s.io/v1beta1=true}]},"
        " controllerManager: {extraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]},"
        " scheduler: {extraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]}}}}");
}

// --- which place holds the kubelets' gates -------------------------------------------------------

static void check_kubelet_slots(const char *spec, const char *want)
{
    AUTO_MEM char *text =
        str_format("{metadata: {name: one, namespace: default}, spec: {version: v1.33.13,"
                   " kubeadmConfigSpec: %s}}",
                   spec);
    AUTO_BUF struct buf slots = buf_make(256);
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(&p, parse(text)));
    for (size_t i = 3; i < p.owners[0].len; i++)
        buf_printf(&slots, "%s at %s ", p.owners[0].parts[i].slot, p.owners[0].parts[i].place.at);
    CHECK_STR(slots.ptr, want);
    end(&p);
}

#define JOIN_PATCHES "joinConfiguration: {patches: {directory: /etc/kubernetes/patches}}"
#define BOTH_ARGS "kubelet at /kubeletExtraArgs kubelet-init at /kubeletExtraArgs "

TEST(a_file_of_the_kubelets_is_told_from_other_files)
{
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kubeletconfiguration.yaml,"
                        " content: 'a: 1'}], " JOIN_PATCHES "}",
                        "kubelet at /content ");
    check_kubelet_slots("{files: [{path: /etc/k.yaml, content: 'a: 1'}], joinConfiguration:"
                        " {nodeRegistration: {kubeletExtraArgs: [{name: config, value:"
                        " /etc/k.yaml}]}}}",
                        "kubelet at /content ");
    // a patch in JSON's own form has no map of gates
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kubeletconfiguration+json.yaml,"
                        " content: '[]'}], " JOIN_PATCHES "}",
                        BOTH_ARGS);
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kube-apiserver.yaml,"
                        " content: 'a: 1'}], " JOIN_PATCHES "}",
                        BOTH_ARGS);
    // what a Secret holds is not ours to read
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kubeletconfiguration.yaml,"
                        " contentFrom: {secret: {name: s, key: k}}}], " JOIN_PATCHES "}",
                        BOTH_ARGS);
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kubeletconfiguration.yaml,"
                        " encoding: base64, content: YTogMQo=}], " JOIN_PATCHES "}",
                        "kubelet at /content ");
    // that could not be given back as it was
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kubeletconfiguration.yaml,"
                        " encoding: base64, content: \"YTog\\nMQo=\"}], " JOIN_PATCHES "}",
                        BOTH_ARGS);
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kubeletconfiguration.yaml,"
                        " encoding: base64, content: '****'}], " JOIN_PATCHES "}",
                        BOTH_ARGS);
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kubeletconfiguration.yaml,"
                        " encoding: gzip+base64, content: H4sIAAAAAAAAA0u0UjDkAgDLNQvXBQAAAA==}],"
                        " " JOIN_PATCHES "}",
                        BOTH_ARGS);
    // bytes that are no text: "a: \xff\n"
    check_kubelet_slots("{files: [{path: /etc/kubernetes/patches/kubeletconfiguration.yaml,"
                        " encoding: base64, content: YTog/wo=}], " JOIN_PATCHES "}",
                        BOTH_ARGS);
    // gates on the command line win over the file, key by key
    check_kubelet_slots("{files: [{path: /etc/k/kubeletconfiguration.yaml, content: 'a: 1'}],"
                        " joinConfiguration: {patches: {directory: /etc/k}, nodeRegistration:"
                        " {kubeletExtraArgs: [{name: feature-gates, value: 'A=true'}]}}}",
                        BOTH_ARGS);
}

// The topology controller has the whole of files[], and of the arguments those that it sets.
TEST(a_file_that_the_topology_controller_writes_is_left_alone)
{
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(
        &p, parse("{metadata: {name: one, namespace: default, labels:"
                  " {topology.cluster.x-k8s.io/owned: ''}}, spec: {version: v1.33.13,"
                  " kubeadmConfigSpec: {files: [{path: /etc/k/kubeletconfiguration.yaml, content:"
                  " 'featureGates: {A: true}'}], joinConfiguration: {patches: {directory:"
                  " /etc/k}}}}}")));
    CHECK_STR(part_of(&p, "kubelet")->place.at, "/kubeletExtraArgs");
    CHECK_STR(part_of(&p, "kubelet-init")->place.at, "/kubeletExtraArgs");
    CHECK(json_is_true(json_object_get(part_of(&p, "kubelet")->flags.feature_gates, "A")));
    end(&p);
}

// Also when nothing is kept of before, as somebody added an argument meanwhile.
TEST(what_is_ours_beside_such_a_file_comes_back)
{
    AUTO_JSON json_t *on = NULL;
    AUTO_JSON json_t *again = NULL;
    AUTO_JSON json_t *off = NULL;
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(
        &p, parse("{metadata: {name: one, namespace: default, labels:"
                  " {topology.cluster.x-k8s.io/owned: ''}}, spec: {version: v1.33.13,"
                  " kubeadmConfigSpec: {files: [{path: /etc/k/kubeletconfiguration.yaml, content:"
                  " 'featureGates: {A: true}'}], joinConfiguration: {patches: {directory:"
                  " /etc/k}}}}}")));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        on = patched(&p, &edit);
    }
    json_array_append_new((json_t *)(uintptr_t)doc_get(on, "spec", "kubeadmConfigSpec",
                                                       "joinConfiguration", "nodeRegistration",
                                                       "kubeletExtraArgs", NULL),
                          parse("{name: v, value: '3'}"));
    CHECK_OK(read_control_plane(&p, doc_copy(on)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        again = patched(&p, &edit);
    }
    CHECK_OK(read_control_plane(&p, doc_copy(again)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_NOTHING, WANT_NOTHING, &edit));
        off = patched(&p, &edit);
    }
    check_spec(off, "{version: v1.33.13, kubeadmConfigSpec: {files: [{path:"
                    " /etc/k/kubeletconfiguration.yaml, content: 'featureGates: {A: true}'}],"
                    " joinConfiguration: {patches: {directory: /etc/k}, nodeRegistration:"
                    " {kubeletExtraArgs: [{name: v, value: '3'}]}}}}");
    end(&p);
}

// base64 of "maxPods: 50\n", and of that with the gate.
TEST(a_file_in_base64_is_written_in_base64)
{
    check_both_ways(
        "v1beta2",
        "{version: v1.33.13, kubeadmConfigSpec: {files: [{path: /etc/k/kubeletconfiguration.yaml,"
        " encoding: base64, content: bWF4UG9kczogNTAK}],"
        " initConfiguration: {patches: {directory: /etc/k}}}}",
        "{version: v1.33.13, kubeadmConfigSpec: {files: [{path: /etc/k/kubeletconfiguration.yaml,"
        " encoding: base64, content: bWF4UG9kczogNTAKZmVhdHVyZUdhdGVzOgogIER5bmFtaWNSZXNvdXJjZUFsb"
        "G9jYXRpb246IHRydWUK}],"
        " initConfiguration: {patches: {directory: /etc/k}},"
        " clusterConfiguration: {apiServer: {extraArgs:"
        " [{name: feature-gates, value: DynamicResourceAllocation=true},"
        " {name: runtime-config, value: resource.k8s.io/v1beta1=true}]},"
        " controllerManager: {extraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]},"
        " scheduler: {extraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]}}}}");
}

static void check_note(const char *file, const char *args, const char *want)
{
    AUTO_MEM char *text = str_format(
        "{metadata: {name: one, namespace: default}, spec: {version: v1.33.13, kubeadmConfigSpec:"
        " {files: [{path: /etc/k/kubeletconfiguration.yaml%s}], joinConfiguration: {patches:"
        " {directory: /etc/k}, nodeRegistration: {kubeletExtraArgs: [%s]}}}}}",
        file, args);
    AUTO_MEM char *note = NULL;
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(&p, parse(text)));
    note = capi_kubelets_note(&p.owners[0]);
    CHECK_STR(note ? note : "", want);
    end(&p);
}

#define ON_COMMAND_LINE                                                                            \
    ": the kubelets' gates are written on their command line, which counts over it"

TEST(where_kubelets_get_their_gates_is_told_where_it_is_not_plain)
{
    check_note(", content: 'a: 1'", "{name: v, value: '2'}", "");
    check_note(", content: 'a: 1'", "{name: feature-gates, value: A=true}",
               "kubelets of KubeadmControlPlane default/one take --feature-gates in"
               " kubeletExtraArgs over what is in /etc/k/kubeletconfiguration.yaml: their gates are"
               " written there");
    check_note(", contentFrom: {secret: {name: s, key: k}}", "{name: v, value: '2'}",
               "/etc/k/kubeletconfiguration.yaml of KubeadmControlPlane default/one is in a Secret,"
               " which is not read" ON_COMMAND_LINE);
    check_note(", encoding: gzip, content: x", "{name: v, value: '2'}",
               "/etc/k/kubeletconfiguration.yaml of KubeadmControlPlane default/one is gzip that is"
               " not read here" ON_COMMAND_LINE);
}

TEST(gates_of_a_file_count_where_the_command_line_says_nothing)
{
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(
        &p, parse("{metadata: {name: one, namespace: default}, spec: {version: v1.33.13,"
                  " kubeadmConfigSpec: {files: [{path: /etc/k/kubeletconfiguration.yaml, content:"
                  " \"featureGates: {A: true, B: true}\"}], joinConfiguration: {patches:"
                  " {directory: /etc/k}, nodeRegistration: {kubeletExtraArgs:"
                  " [{name: feature-gates, value: 'A=false'}]}}}}}")));
    CHECK(json_is_false(json_object_get(part_of(&p, "kubelet")->flags.feature_gates, "A")));
    CHECK(json_is_true(json_object_get(part_of(&p, "kubelet")->flags.feature_gates, "B")));
    end(&p);
}

// The kubelet takes its flags over its file, gate by gate, so that the file goes on being good for
// those that the command line does not name.
TEST(what_is_ours_in_a_file_stays_there_when_flags_come_to_name_gates)
{
    AUTO_JSON json_t *object =
        parse("{metadata: {name: one, namespace: default, resourceVersion: '7'}, spec:"
              " {version: v1.33.13, kubeadmConfigSpec: {files: [{path:"
              " /etc/k/kubeletconfiguration.yaml, content: 'maxPods: 50'}], joinConfiguration:"
              " {patches: {directory: /etc/k}}}}}");
    AUTO_JSON json_t *on = NULL;
    AUTO_JSON json_t *off = NULL;
    AUTO_MEM char *notes = NULL;
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(&p, doc_copy(object)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        on = patched(&p, &edit);
    }
    doc_set(on, parse("[{name: feature-gates, value: 'A=true,DynamicResourceAllocation=false'}]"),
            "spec", "kubeadmConfigSpec", "joinConfiguration", "nodeRegistration",
            "kubeletExtraArgs", NULL);
    CHECK_OK(read_control_plane(&p, doc_copy(on)));
    CHECK_STR(part_of(&p, "kubelet")->place.at, "/content");
    CHECK(json_is_true(json_object_get(part_of(&p, "kubelet")->flags.feature_gates, "A")));
    notes = capi_kubelets_note(&p.owners[0]);
    CHECK_STR(notes, "kubelets of KubeadmControlPlane default/one take"
                     " DynamicResourceAllocation=false of --feature-gates in kubeletExtraArgs over"
                     " what is in /etc/k/kubeletconfiguration.yaml");
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_NOTHING, WANT_NOTHING, &edit));
        off = patched(&p, &edit);
    }
    doc_set(object,
            parse("{kubeletExtraArgs: [{name: feature-gates, value:"
                  " 'A=true,DynamicResourceAllocation=false'}]}"),
            "spec", "kubeadmConfigSpec", "joinConfiguration", "nodeRegistration", NULL);
    CHECK(doc_equal(json_object_get(off, "spec"), json_object_get(object, "spec")));
    end(&p);
}

TEST_MAIN()

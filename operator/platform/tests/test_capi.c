// SPDX-License-Identifier: Apache-2.0
// Clusters of Cluster API as pure functions: where flags are written, edits and ways back.
#include "cluster.h"

TEST(a_list_of_arguments_is_edited_and_comes_back)
{
    check_both_ways(
        "v1beta2",
        "{version: v1.33.13, kubeadmConfigSpec: {clusterConfiguration: {apiServer: {certSANs: [a],"
        " extraArgs: [{name: v, value: '2'}, {name: feature-gates, value: 'A=true'}]}},"
        " initConfiguration: {nodeRegistration: {criSocket: s}}}}",
        "{version: v1.33.13, kubeadmConfigSpec: {clusterConfiguration: {apiServer: {certSANs: [a],"
        " extraArgs: [{name: v, value: '2'},"
        " {name: feature-gates, value: 'A=true,DynamicResourceAllocation=true'},"
        " {name: runtime-config, value: resource.k8s.io/v1beta1=true}]},"
        " controllerManager: {extraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]},"
        " scheduler: {extraArgs: [{name: feature-gates, value: DynamicResourceAllocation=true}]}},"
        " initConfiguration: {nodeRegistration: {criSocket: s,"
        " kubeletExtraArgs: [{name: feature-gates, value: DynamicResourceAllocation=true}]}},"
        " joinConfiguration: {nodeRegistration: {kubeletExtraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]}}}}");
}

TEST(a_map_of_arguments_is_edited_and_its_empty_sections_stay)
{
    check_both_ways(
        "v1beta1",
        "{version: v1.33.13, kubeadmConfigSpec: {clusterConfiguration: {apiServer: {extraArgs:"
        " {v: '2'}}, controllerManager: {}, scheduler: {}}, joinConfiguration: {discovery: {},"
        " nodeRegistration: {}}, initConfiguration: {nodeRegistration: {}}}}",
        "{version: v1.33.13, kubeadmConfigSpec: {clusterConfiguration: {apiServer: {extraArgs:"
        " {v: '2', feature-gates: DynamicResourceAllocation=true,"
        " runtime-config: resource.k8s.io/v1beta1=true}},"
        " controllerManager: {extraArgs: {feature-gates: DynamicResourceAllocation=true}},"
        " scheduler: {extraArgs: {feature-gates: DynamicResourceAllocation=true}}},"
        " joinConfiguration: {discovery: {}, nodeRegistration: {kubeletExtraArgs:"
        " {feature-gates: DynamicResourceAllocation=true}}},"
        " initConfiguration: {nodeRegistration: {kubeletExtraArgs:"
        " {feature-gates: DynamicResourceAllocation=true}}}}}");
}

// Which v1beta1 does not do without.
TEST(a_section_that_must_be_there_stays)
{
    check_both_ways(
        "v1beta1", "{version: v1.33.13, kubeadmConfigSpec: {}}",
        "{version: v1.33.13, kubeadmConfigSpec: {clusterConfiguration: {apiServer: {extraArgs:"
        " {feature-gates: DynamicResourceAllocation=true,"
        " runtime-config: resource.k8s.io/v1beta1=true}},"
        " controllerManager: {extraArgs: {feature-gates: DynamicResourceAllocation=true}},"
        " scheduler: {extraArgs: {feature-gates: DynamicResourceAllocation=true}}},"
        " joinConfiguration: {nodeRegistration: {kubeletExtraArgs:"
        " {feature-gates: DynamicResourceAllocation=true}}},"
        " initConfiguration: {nodeRegistration: {kubeletExtraArgs:"
        " {feature-gates: DynamicResourceAllocation=true}}}}}");
}

TEST(where_nothing_was_nothing_stays)
{
    check_both_ways(
        "v1beta2", "{version: v1.33.13}",
        "{version: v1.33.13, kubeadmConfigSpec: {clusterConfiguration: {apiServer: {extraArgs:"
        " [{name: feature-gates, value: DynamicResourceAllocation=true},"
        " {name: runtime-config, value: resource.k8s.io/v1beta1=true}]},"
        " controllerManager: {extraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]},"
        " scheduler: {extraArgs: [{name: feature-gates, value: DynamicResourceAllocation=true}]}},"
        " joinConfiguration: {nodeRegistration: {kubeletExtraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]}},"
        " initConfiguration: {nodeRegistration: {kubeletExtraArgs: [{name: feature-gates, value:"
        " DynamicResourceAllocation=true}]}}}}");
}

// --- what is not written -------------------------------------------------------------------------

static void check_refused(struct error *take_err, const char *reason, const char *part)
{
    CHECK(take_err != NULL);
    CHECK_STR(error_reason(take_err), reason);
    CHECK_ERR_HAS(take_err, ERROR_INVALID, part);
}

TEST(who_else_writes_a_control_plane_is_named)
{
    static const struct {
        const char *metadata, *part;
    } rows[] = {
        {"annotations: {meta.helm.sh/release-name: berlin, meta.helm.sh/release-namespace: org}",
         "of the Helm release org/berlin"},
        {"labels: {kustomize.toolkit.fluxcd.io/name: clusters}", "the Flux Kustomization clusters"},
        {"ownerReferences: [{apiVersion: x/v1, kind: Fleet, name: f, controller: true}]",
         "owned by Fleet f"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MEM char *text =
            str_format("{metadata: {name: one, namespace: default, %s}, spec: {version: v1.33.13}}",
                       rows[i].metadata);
        struct place p;

        begin(&p, "v1beta2");
        check_refused(read_control_plane(&p, parse(text)), "NotManaged", rows[i].part);
        end(&p);
    }
}

TEST(a_control_plane_that_is_not_kubeadms_is_named)
{
    AUTO_JSON json_t *talos = parse("{metadata: {name: one, namespace: n}, spec: {controlPlaneRef:"
                                    " {apiGroup: x, kind: TalosControlPlane, name: t}}}");
    AUTO_JSON json_t *none = parse("{metadata: {name: one, namespace: n}, spec: {}}");
    const char *name;

    check_refused(capi_control_plane_name(talos, &name), "NotSupported", "a TalosControlPlane");
    check_refused(capi_control_plane_name(none, &name), "NotSupported", "not named");
}

TEST(a_value_that_is_too_long_is_not_sent)
{
    struct place p;
    AUTO_CAPI_EDIT struct capi_edit edit = {0};
    AUTO_MEM char *long_gates = mem_alloc(1024);
    AUTO_MEM char *text = NULL;

    memset(long_gates, 'a', 1000);
    long_gates[1000] = '\0';
    text = str_format("{metadata: {name: one, namespace: default}, spec: {version: v1.33.13,"
                      " kubeadmConfigSpec: {clusterConfiguration: {scheduler: {extraArgs:"
                      " [{name: feature-gates, value: '%s=true'}]}}}}}",
                      long_gates);
    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(&p, parse(text)));
    check_refused(edit_all(&p, WANT_API, WANT, &edit), "InvalidConfiguration",
                  "--feature-gates of kube-scheduler would have 1036 bytes, and Cluster API takes "
                  "1024");
    end(&p);
}

// --- ClusterClass --------------------------------------------------------------------------------

#define TOPOLOGY                                                                                   \
    "metadata: {name: one, namespace: default, resourceVersion: '7', labels:"                      \
    " {topology.cluster.x-k8s.io/owned: ''}, ownerReferences: [{apiVersion:"                       \
    " cluster.x-k8s.io/v1beta2, kind: Cluster, name: one, controller: true}]}"

TEST(a_flag_that_a_cluster_class_sets_is_not_changed)
{
    struct place p;
    AUTO_CAPI_EDIT struct capi_edit edit = {0};

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(
        &p, parse("{" TOPOLOGY ", spec: {version: v1.33.13, kubeadmConfigSpec:"
                  " {clusterConfiguration: {apiServer: {extraArgs: [{name: feature-gates, value:"
                  " 'A=true'}]}}}}}")));
    check_refused(edit_all(&p, WANT_API, WANT, &edit), "NotManaged",
                  "have the ClusterClass set "
                  "--feature-gates=A=true,DynamicResourceAllocation=true");
    end(&p);
}

TEST(a_flag_that_a_cluster_class_does_not_set_is_added_and_taken_out)
{
    AUTO_JSON json_t *on = NULL;
    AUTO_JSON json_t *off = NULL;
    AUTO_JSON json_t *object = parse("{" TOPOLOGY ", spec: {version: v1.33.13}}");
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(&p, doc_copy(object)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        on = patched(&p, &edit);
    }
    CHECK_OK(read_control_plane(&p, doc_copy(on)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_NOTHING, WANT_NOTHING, &edit));
        off = patched(&p, &edit);
    }
    CHECK(doc_equal(json_object_get(off, "spec"), json_object_get(object, "spec")));
    end(&p);
}

// Somebody adds another flag beside ours, and then more is wanted: nothing is kept of before.
TEST(what_is_all_ours_in_a_cluster_class_can_be_taken_out)
{
    json_t *object = parse("{" TOPOLOGY ", spec: {version: v1.33.13}}");
    struct place p;

    begin(&p, "v1beta2");
    for (int i = 0; i < 3; i++) {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        const char *want = i < 2 ? WANT : WANT_NOTHING;

        CHECK_OK(read_control_plane(&p, object));
        CHECK_OK(edit_all(&p, want, want, &edit));
        object = patched(&p, &edit);
        if (i == 0)
            json_array_append_new((json_t *)(uintptr_t)doc_get(object, "spec", "kubeadmConfigSpec",
                                                               "clusterConfiguration", "scheduler",
                                                               "extraArgs", NULL),
                                  parse("{name: v, value: '4'}"));
    }
    check_spec(object, "{version: v1.33.13, kubeadmConfigSpec: {clusterConfiguration: {scheduler:"
                       " {extraArgs: [{name: v, value: '4'}]}}}}");
    json_decref(object);
    end(&p);
}

static void collect(struct place *p, struct platform_observed *observed, bool deleting)
{
    const struct platform_target target = {.deleting = deleting, .component_timeout_ms = 60000};
    const struct platform_look look = {.target = &target, .now_wall_ms = NOW_MS};
    const struct platform_said said = {0};

    *observed = (struct platform_observed){.reports = json_array(), .capi = &p->capi};
    capi_collect(observed, &look, &said);
}

static void forget(struct platform_observed *observed)
{
    observed->capi = NULL;
    platform_observed_fini(observed);
}

TEST(when_the_topology_controller_stops_ours_is_taken_out)
{
    struct place p;
    struct platform_observed observed;
    json_t *on;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(&p, parse("{" TOPOLOGY ", spec: {version: v1.33.13}}")));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        on = patched(&p, &edit);
    }
    CHECK_OK(read_control_plane(&p, on));
    collect(&p, &observed, false);
    CHECK_INT(part_of(&p, "kube-scheduler")->need, NEED_NOTHING);
    forget(&observed);
    json_decref(p.capi.cluster);
    p.capi.cluster =
        parse("{metadata: {name: one}, status: {conditions: [{type: TopologyReconciled, status:"
              " 'False', message: 'error reconciling the Cluster topology: failed to create patch"
              " helper for KubeadmControlPlane default/one: server side apply dry-run failed for"
              " modified object: KubeadmControlPlane.controlplane.cluster.x-k8s.io \"one\" is"
              " invalid: spec.kubeadmConfigSpec.clusterConfiguration.scheduler.extraArgs: Invalid"
              " value: extraArgs name must be unique'}]}}");
    collect(&p, &observed, false);
    CHECK_INT(part_of(&p, "kube-scheduler")->need, NEED_PUT_BACK);
    CHECK_HAS(part_of(&p, "kube-scheduler")->message, "ours was taken out");
    CHECK_INT(part_of(&p, "kube-apiserver")->need, NEED_NOTHING);
    CHECK_INT(part_of(&p, "kubelet")->need, NEED_NOTHING);
    forget(&observed);
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        AUTO_JSON json_t *off = NULL;

        capi_edit_begin(&edit, &p.owners[0]);
        for (size_t i = 0; i < p.owners[0].len; i++) {
            struct platform_part *part = &p.owners[0].parts[i];
            AUTO_JSON json_t *tree = NULL;
            AUTO_JSON json_t *record = NULL;

            json_object_del(part->record, "previous"); // its roll-out was over long ago
            CHECK_OK(platform_record_put_back(part, NOW_MS, &tree, &record));
            CHECK_OK(capi_edit_put(&edit, &p.capi, &p.owners[0], part, tree, record));
        }
        off = patched(&p, &edit);
        check_spec(off, "{version: v1.33.13}"); // nor a section that is empty
    }
    end(&p);
}

// The same words are said of other objects, other lists and other components.
TEST(what_stopped_the_topology_controller_elsewhere_is_not_ours)
{
    static const char *const messages[] = {
        "KubeadmControlPlane.controlplane.cluster.x-k8s.io \"two\" is invalid:"
        " spec.kubeadmConfigSpec.clusterConfiguration.scheduler.extraArgs: Invalid value:"
        " extraArgs name must be unique",
        "KubeadmConfigTemplate.bootstrap.cluster.x-k8s.io \"one\" is invalid:"
        " spec.template.spec.joinConfiguration.nodeRegistration.kubeletExtraArgs: Invalid value:"
        " kubeletExtraArgs name must be unique",
        "KubeadmControlPlane.controlplane.cluster.x-k8s.io \"one\" is invalid:"
        " spec.kubeadmConfigSpec.files: Invalid value: path must be unique",
        "KubeadmControlPlane.controlplane.cluster.x-k8s.io \"one\" is invalid:"
        " spec.kubeadmConfigSpec.clusterConfiguration.etcd.local.extraArgs: Invalid value:"
        " extraArgs name must be unique",
    };
    json_t *object = parse("{" TOPOLOGY ", spec: {version: v1.33.13}}");
    struct platform_observed observed;
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(&p, object));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        object = patched(&p, &edit);
    }
    CHECK_OK(read_control_plane(&p, object));
    for (size_t i = 0; i < COUNT(messages); i++) {
        AUTO_JSON json_t *condition = json_pack("{s:s, s:s, s:s}", "type", "TopologyReconciled",
                                                "status", "False", "message", messages[i]);

        doc_set(p.capi.cluster, json_pack("[O]", condition), "status", "conditions", NULL);
        collect(&p, &observed, false);
        for (size_t k = 0; k < p.owners[0].len; k++)
            CHECK_INT(p.owners[0].parts[k].need, NEED_NOTHING);
        forget(&observed);
    }
    end(&p);
}

// --- templates -----------------------------------------------------------------------------------

#define DEPLOYMENT(template)                                                                       \
    "{metadata: {name: workers, namespace: default, resourceVersion: '9', generation: 1}, spec:"   \
    " {replicas: 1, template: {spec: {version: v1.33.13, bootstrap: {configRef: {apiGroup: b,"     \
    " kind: KubeadmConfigTemplate, name: " template "}}}}}}"
#define TEMPLATE                                                                                   \
    "{metadata: {name: workers, namespace: default, annotations: {x: y}, ownerReferences: [{}]},"  \
    " spec: {template: {spec: {joinConfiguration: {nodeRegistration: {criSocket: s}}}}}}"

static json_t *name_of(const json_t *deployment)
{
    return doc_copy(
        doc_get(deployment, "spec", "template", "spec", "bootstrap", "configRef", NULL));
}

TEST(kubelets_of_workers_get_a_template_of_their_own_and_the_old_one_back)
{
    AUTO_JSON json_t *template = parse(TEMPLATE);
    AUTO_JSON json_t *copy = NULL;
    AUTO_JSON json_t *on = NULL;
    AUTO_JSON json_t *off = NULL;
    AUTO_JSON json_t *ref = NULL;
    const char *name;
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_again(&p, KIND_MACHINE_DEPLOYMENT, parse(DEPLOYMENT("workers")),
                        doc_copy(template), NULL));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        CHECK(edit.creates);
        copy = doc_copy(edit.template);
        on = patched(&p, &edit);
    }
    name = doc_str(copy, "metadata", "name", NULL);
    CHECK_HAS(name, "workers-");
    CHECK_INT(strlen(name), strlen("workers-") + 8);
    CHECK_STR(doc_str(copy, "apiVersion", NULL), "bootstrap.cluster.x-k8s.io/v1beta2");
    CHECK_STR(doc_str(copy, "metadata", "labels", CAPI_CLUSTER_LABEL, NULL), "one");
    CHECK_STR(doc_str(copy, "metadata", "labels", CAPI_OURS_LABEL, NULL), "one");
    CHECK(doc_get(copy, "metadata", "ownerReferences", NULL) == NULL);
    check_spec(copy, "{template: {spec: {joinConfiguration: {nodeRegistration: {criSocket: s,"
                     " kubeletExtraArgs: [{name: feature-gates, value:"
                     " DynamicResourceAllocation=true}]}}}}}");
    CHECK_STR(capi_template_name(on), name);
    CHECK_STR_TAKE(capi_original_name(on), "workers");

    // The same again makes no other one.
    json_array_append_new(p.capi.ours, doc_copy(copy));
    CHECK_OK(
        read_again(&p, KIND_MACHINE_DEPLOYMENT, doc_copy(on), doc_copy(copy), doc_copy(template)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        AUTO_JSON json_t *again = NULL;
        CHECK(part_of(&p, "kubelet")->stands);
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        CHECK(!edit.creates);
        again = patched(&p, &edit);
        CHECK_STR(capi_template_name(again), name);
    }
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_NOTHING, WANT_NOTHING, &edit));
        CHECK(edit.template == NULL);
        off = patched(&p, &edit);
    }
    ref = name_of(off);
    CHECK_STR(doc_str(ref, "name", NULL), "workers");
    end(&p);
}

// Of many MachineDeployments the status tells one: each record has its own count.
TEST(how_often_somebody_undid_it_is_in_the_record)
{
    AUTO_JSON json_t *template = parse(TEMPLATE);
    AUTO_JSON json_t *on = NULL;
    struct platform_observed observed;
    struct place p;

    begin(&p, "v1beta2");
    for (int64_t times = 0; times <= PLATFORM_REVERTS_MAX; times++) {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        const char *state;

        if (on) // the template from before is named again, and the record stays
            doc_set(on, json_string("workers"), "spec", "template", "spec", "bootstrap",
                    "configRef", "name", NULL);
        CHECK_OK(read_again(&p, KIND_MACHINE_DEPLOYMENT,
                            on ? doc_copy(on) : parse(DEPLOYMENT("workers")), doc_copy(template),
                            on ? doc_copy(template) : NULL));
        collect(&p, &observed, false);
        CHECK_INT(part_of(&p, "kubelet")->reverts, times);
        state = doc_str(observed.instances[0].reported, "state", NULL);
        CHECK_STR(state, times < PLATFORM_REVERTS_MAX ? "Observed" : "Reverted");
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        forget(&observed);
        json_decref(on);
        on = patched(&p, &edit);
    }
    end(&p);
}

// As an autoscaler leaves it when nobody needs such nodes.
TEST(a_machine_deployment_without_replicas_is_as_wanted_and_ready)
{
    struct platform_observed observed;
    struct place p;
    json_t *deployment = parse(DEPLOYMENT("workers"));

    doc_set(deployment, json_integer(0), "spec", "replicas", NULL);
    doc_set(deployment, parse("{observedGeneration: 1, replicas: 0}"), "status", NULL);
    begin(&p, "v1beta2");
    CHECK_OK(read_again(&p, KIND_MACHINE_DEPLOYMENT, deployment, parse(TEMPLATE), NULL));
    collect(&p, &observed, false);
    CHECK(doc_bool(observed.instances[0].reported, false, "healthy", NULL));
    forget(&observed);
    end(&p);
}

TEST(a_template_that_is_not_there_is_told)
{
    static const char other[] = "{metadata: {name: workers, namespace: default}, spec: {template:"
                                " {spec: {bootstrap: {configRef: {apiGroup: b, kind: TalosConfig,"
                                " name: t}}}}}}";
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_again(&p, KIND_MACHINE_DEPLOYMENT, parse(DEPLOYMENT("workers")), NULL, NULL));
    CHECK_STR(p.owners[0].foreign, "KubeadmConfigTemplate default/workers, which it names, is not"
                                   " there");
    CHECK_OK(read_again(&p, KIND_MACHINE_DEPLOYMENT, parse(other), NULL, NULL));
    CHECK_STR(p.owners[0].foreign, "its Machines are made of no KubeadmConfigTemplate");
    end(&p);
}

TEST(nodes_are_counted_by_what_they_are_made_from)
{
    struct platform_observed observed;
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_control_plane(&p, parse("{metadata: {name: one, namespace: default}, spec:"
                                          " {version: v1.33.13, replicas: 3}, status:"
                                          " {replicas: 3}}")));
    collect(&p, &observed, false);
    CHECK_INT(observed.managed_nodes, 3);
    CHECK_INT(observed.len, 5);
    CHECK_INT(observed.instances[0].nodes, 0);
    CHECK_INT(observed.instances[3].nodes, 3);
    CHECK(!observed.instances[3].beside);
    CHECK(observed.instances[4].beside); // the kubelets of init are the same nodes
    CHECK_STR(observed.instances[4].unit, observed.instances[0].unit);
    forget(&observed);
    end(&p);
}

TEST(what_somebody_changed_in_the_template_from_before_is_in_the_next_copy)
{
    AUTO_JSON json_t *template = parse(TEMPLATE);
    AUTO_JSON json_t *changed = parse(TEMPLATE);
    AUTO_JSON json_t *copy = NULL;
    json_t *on;
    struct place p;

    begin(&p, "v1beta2");
    CHECK_OK(read_again(&p, KIND_MACHINE_DEPLOYMENT, parse(DEPLOYMENT("workers")),
                        doc_copy(template), NULL));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        copy = doc_copy(edit.template);
        on = patched(&p, &edit);
    }
    doc_set(changed, parse("[{name: v, value: '4'}]"), "spec", "template", "spec",
            "joinConfiguration", "nodeRegistration", "kubeletExtraArgs", NULL);
    CHECK_OK(read_again(&p, KIND_MACHINE_DEPLOYMENT, on, doc_copy(copy), doc_copy(changed)));
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        CHECK(edit.creates);
        check_spec(edit.template,
                   "{template: {spec: {joinConfiguration: {nodeRegistration: {criSocket: s,"
                   " kubeletExtraArgs: [{name: feature-gates, value:"
                   " DynamicResourceAllocation=true}, {name: v, value: '4'}]}}}}}");
    }
    end(&p);
}

TEST_MAIN()

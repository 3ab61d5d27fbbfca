// SPDX-License-Identifier: Apache-2.0
// Clusters of a ClusterClass: which of its variables are the value of a flag, what is written there
// and back, and what is to be written where none is.
#include "cluster.h"

#define CP_PATH "/spec/template/spec/kubeadmConfigSpec/"
#define API_PATCH(path, value)                                                                     \
    "{selector: {apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind:"                         \
    " KubeadmControlPlaneTemplate, matchResources: {controlPlane: true}}, jsonPatches:"            \
    " [{op: add, path: " CP_PATH path ", " value "}]}"
#define GATES "clusterConfiguration/apiServer/extraArgs/-"
#define TEMPLATE(text) "valueFrom: {template: \"" text "\"}"
#define STRING(name) "{name: " name ", required: false, schema: {openAPIV3Schema: {type: string}}}"

static json_t *class_of(const char *variables, const char *patches)
{
    AUTO_MEM char *text = str_format(
        "{metadata: {name: plain, namespace: default}, spec: {controlPlane: {templateRef:"
        " {apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind: KubeadmControlPlaneTemplate,"
        " name: t}}, variables: [%s], patches: [%s]}}",
        variables, patches);

    return parse(text);
}

// Which variable the API server's gates are, "none" with what is told otherwise.
static char *found(const char *enabled_if, const char *definition, const char *type)
{
    AUTO_MEM char *patch = str_format("{name: p, %sdefinitions: [%s]}", enabled_if, definition);
    AUTO_MEM char *variable =
        str_format("{name: gates, schema: {openAPIV3Schema: {type: %s}}}", type);
    AUTO_JSON json_t *class = class_of(variable, patch);
    char *text;
    struct place p;

    begin(&p, "v1beta2");
    capi_class_read(&p.capi, class);
    text = p.capi.carried[CAPI_PLACE_API_SERVER].variables[0]
               ? str_format("%s%s", p.capi.carried[CAPI_PLACE_API_SERVER].variables[0],
                            p.capi.notes ? p.capi.notes : "")
               : str_format("none: %s", p.capi.notes ? p.capi.notes : "");
    end(&p);
    return text;
}

#define UNCLEAR                                                                                    \
    "none: ClusterClass plain sets flags by patches that are not a variable's whole value (p); "   \
    "nothing is written there"

TEST(a_variable_that_is_the_whole_value_of_a_flag_is_found)
{
    static const char *const definitions[] = {
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: {{ .gates | quote }}}")),
        API_PATCH(GATES, TEMPLATE("name: feature-gates\\nvalue: {{.gates}}")),
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: '{{ .gates }}'}")),
        API_PATCH("clusterConfiguration/apiServer/extraArgs",
                  TEMPLATE("[{name: v, value: '2'}, {name: feature-gates, value: {{ .gates | quote"
                           " }}}]")),
        API_PATCH("clusterConfiguration/apiServer",
                  TEMPLATE("extraArgs: [{name: feature-gates, value: {{ .gates | quote }}}]")),
        API_PATCH("clusterConfiguration/apiServer/extraArgs/feature-gates",
                  "valueFrom: {variable: gates}"),
    };
    static const char *const enabled[] = {"", "enabledIf: \"{{ if .gates }}true{{ end }}\", ",
                                          "enabledIf: '{{ if ne .gates \"\" }}true{{end}}', ",
                                          "enabledIf: '{{ ne .gates \"\" }}', "};

    for (size_t i = 0; i < COUNT(definitions); i++)
        CHECK_STR_TAKE(found("", definitions[i], "string"), "gates");
    for (size_t i = 0; i < COUNT(enabled); i++)
        CHECK_STR_TAKE(found(enabled[i], definitions[0], "string"), "gates");
}

TEST(a_patch_that_is_not_understood_is_named_and_not_used)
{
    static const char *const definitions[] = {
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: 'A=true,{{ .gates }}'}")),
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: {{ .gates }}}")), // two in a map
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: {{ .gates | upper | quote }}}")),
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: {{ .gates.all | quote }}}")),
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: {{ .builtin | quote }}}")),
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: '{{ .a }}{{ .gates }}'}")),
        API_PATCH(GATES, "value: {name: feature-gates, value: 'A=true'}"),
    };
    static const char good[] =
        API_PATCH(GATES, TEMPLATE("{name: feature-gates, value: {{ .gates | quote }}}"));

    for (size_t i = 0; i < COUNT(definitions); i++)
        CHECK_STR_TAKE(found("", definitions[i], "string"), UNCLEAR);
    CHECK_STR_TAKE(found("enabledIf: '{{ not .gates }}', ", good, "string"), UNCLEAR);
    CHECK_STR_TAKE(found("", good, "array"),
                   "none: variables of ClusterClass plain for kube-apiserver are not used (gates is"
                   " no string)");
    // of other flags, other templates, other places
    CHECK_STR_TAKE(
        found("", API_PATCH(GATES, TEMPLATE("{name: v, value: {{ .gates | quote }}}")), "string"),
        "none: ");
    CHECK_STR_TAKE(found("", API_PATCH("files", TEMPLATE("{{ .gates }}")), "string"), "none: ");
}

// One patch: what it patches, where, and the template of its value.
static char *patch_of(const char *name, const char *what, const char *path, const char *template)
{
    bool workers = str_eq(what, "workers");

    return str_format(
        "{name: %s, enabledIf: '{{ if .%s }}true{{ end }}', definitions: [{selector: {apiVersion:"
        " %s.cluster.x-k8s.io/v1beta2, kind: %s, matchResources: %s}, jsonPatches: [{op: add, path:"
        " %s%s, valueFrom: {template: '%s'}}]}]}",
        name, name, workers ? "bootstrap" : "controlplane",
        workers ? "KubeadmConfigTemplate" : "KubeadmControlPlaneTemplate",
        workers ? "{machineDeploymentClass: {names: [workers]}}" : "{controlPlane: true}",
        workers ? "/spec/template/spec/" : CP_PATH, path, template);
}

TEST(a_variable_of_several_places_is_not_used)
{
    AUTO_MEM char *one = patch_of("gates", "control plane", GATES,
                                  "{name: feature-gates, value: {{ .gates | quote }}}");
    AUTO_MEM char *two =
        patch_of("gates", "control plane", "clusterConfiguration/scheduler",
                 "{extraArgs: [{name: feature-gates, value: {{ .gates | quote }}}]}");
    AUTO_MEM char *both = str_format("%s, %s", one, two);
    AUTO_JSON json_t *class = class_of(STRING("gates"), both);
    struct place p;

    begin(&p, "v1beta2");
    capi_class_read(&p.capi, class);
    CHECK(!p.capi.carried[CAPI_PLACE_API_SERVER].variables[0]);
    CHECK_HAS(p.capi.notes, "for kube-scheduler are not used (gates is the value of another flag"
                            " too)");
    end(&p);
}

// A class where "gates" is the API server's, with one more patch.
static char *found_beside(const char *cluster, const char *patch)
{
    AUTO_MEM char *one = patch_of("gates", "control plane", GATES,
                                  "{name: feature-gates, value: {{ .gates | quote }}}");
    AUTO_MEM char *both = str_format("%s, %s", one, patch);
    AUTO_JSON json_t *class = class_of(STRING("gates"), both);
    char *text;
    struct place p;

    begin(&p, "v1beta2");
    json_decref(p.capi.cluster);
    p.capi.cluster = parse(cluster);
    capi_class_read(&p.capi, class);
    text = str_format("%s%s",
                      p.capi.carried[CAPI_PLACE_API_SERVER].variables[0]
                          ? p.capi.carried[CAPI_PLACE_API_SERVER].variables[0]
                          : "none",
                      p.capi.notes && strstr(p.capi.notes, "(gates is for something else too)")
                          ? ": for something else"
                          : "");
    end(&p);
    return text;
}

#define BESIDE(enabled, kind, resources, from)                                                     \
    "{name: q, " enabled "definitions: [{selector: {apiVersion: x/v1, kind: " kind                 \
    ", matchResources: " resources "}, jsonPatches: [{op: add, path: /spec/template/spec/x, " from \
    "}]}]}"
#define PLAIN "{metadata: {name: one, namespace: default}}"

TEST(a_variable_that_is_for_something_else_too_is_not_used)
{
    static const char *const elsewhere[] = {
        BESIDE("", "DevMachineTemplate", "{controlPlane: true}", "valueFrom: {variable: gates}"),
        BESIDE("", "DevMachineTemplate", "{controlPlane: true}",
               "valueFrom: {template: 'x {{ $.gates }}'}"),
        BESIDE("", "KubeadmConfigTemplate", "{machineDeploymentClass: {names: [w]}}",
               "valueFrom: {template: 'v=1,{{ index . \"gates\" }}'}"),
        BESIDE("enabledIf: '{{ if .gates }}true{{ end }}', ", "DevMachineTemplate",
               "{controlPlane: true}", "value: 5"),
        API_PATCH("clusterConfiguration/scheduler/extraArgs/-",
                  TEMPLATE("{name: feature-gates, value: 'A=true,{{ .gates }}'}")),
    };
    static const char *const nothing[] = {
        BESIDE("", "DevMachineTemplate", "{controlPlane: true}", "valueFrom: {variable: gatesTwo}"),
        BESIDE("", "DevMachineTemplate", "{controlPlane: true}",
               "valueFrom: {template: '/gates {{ .other.gates }}'}"),
        BESIDE("", "KubeadmConfigTemplate", "{machinePoolClass: {names: [p]}}",
               "valueFrom: {variable: gates}"),
    };

    for (size_t i = 0; i + 1 < COUNT(elsewhere); i++)
        CHECK_STR_TAKE(found_beside(PLAIN, elsewhere[i]), "none: for something else");
    {
        AUTO_MEM char *patch = str_format("{name: q, definitions: [%s]}", elsewhere[4]);

        CHECK_STR_TAKE(found_beside(PLAIN, patch), "none: for something else");
    }
    for (size_t i = 0; i < COUNT(nothing); i++)
        CHECK_STR_TAKE(found_beside(PLAIN, nothing[i]), "gates");
    CHECK_STR_TAKE(found_beside("{metadata: {name: one, namespace: default}, spec: {topology:"
                                " {workers: {machinePools: [{class: p, name: p}]}}}}",
                                nothing[2]),
                   "none: for something else");
}

static bool covers(const char *names, const char *class)
{
    AUTO_MEM char *cluster = str_format("{spec: {topology: {workers: {machineDeployments:"
                                        " [{class: %s, name: w}]}}}}",
                                        class);
    AUTO_JSON json_t *deployment =
        parse("{metadata: {labels: {topology.cluster.x-k8s.io/deployment-name: w}}}");
    bool covered;
    struct place p;

    begin(&p, "v1beta2");
    json_decref(p.capi.cluster);
    json_decref(p.capi.worker_classes);
    p.capi.cluster = parse(cluster);
    p.capi.worker_classes = parse(names);
    p.capi.carried[CAPI_PLACE_WORKERS].variables[0] = str_dup("nodes");
    covered = capi_class_covers(&p.capi, deployment);
    end(&p);
    return covered;
}

TEST(classes_of_workers_are_matched_as_cluster_api_matches_them)
{
    CHECK(covers("[other, workers]", "workers"));
    CHECK(covers("['*']", "workers"));
    CHECK(covers("['gpu-*']", "gpu-workers"));
    CHECK(covers("['*-workers']", "gpu-workers"));
    CHECK(!covers("['gpu-*']", "workers"));
    CHECK(!covers("['*-workers']", "workers"));
    CHECK(!covers("['', 5]", "workers"));
    CHECK(!covers("['work*ers', 'workers-*']", "workers"));
}

// --- there and back ------------------------------------------------------------------------------

#define VARIABLES STRING("api") ", " STRING("served") ", " STRING("scheduler") ", " STRING("nodes")

static json_t *whole_class(void)
{
    AUTO_MEM char *api =
        patch_of("api", "control plane", GATES, "{name: feature-gates, value: {{ .api | quote }}}");
    AUTO_MEM char *served = patch_of("served", "control plane", GATES,
                                     "{name: runtime-config, value: {{ .served | quote }}}");
    AUTO_MEM char *scheduler =
        patch_of("scheduler", "control plane", "clusterConfiguration/scheduler",
                 "{extraArgs: [{name: feature-gates, value: {{ .scheduler | quote }}}]}");
    AUTO_MEM char *nodes =
        patch_of("nodes", "workers", "joinConfiguration/nodeRegistration/kubeletExtraArgs",
                 "[{name: feature-gates, value: {{ .nodes | quote }}}]");
    AUTO_MEM char *all = str_format("%s, %s, %s, %s", api, served, scheduler, nodes);

    return class_of(VARIABLES, all);
}

#define OWNED                                                                                      \
    "name: one, namespace: default, resourceVersion: '7', labels:"                                 \
    " {topology.cluster.x-k8s.io/owned: ''"
#define CLUSTER(variables)                                                                         \
    "{metadata: {" OWNED                                                                           \
    "}}, spec: {topology: {classRef: {name: plain}, version: v1.33.13" variables                   \
    ", workers: {machineDeployments: [{class: workers, name: w}]}}}}"

struct topology {
    struct place p;
    struct capi_owner *cluster; // NULL: no variable is used
};

// A Cluster with its control plane and, where template is not NULL, a MachineDeployment.
static void topology_begin_of(struct topology *t, json_t *take_class, json_t *take_cluster,
                              const char *control_plane, json_t *take_template)
{
    AUTO_JSON json_t *class = take_class;
    AUTO_MEM char *text = str_format(
        "{metadata: {" OWNED "}}, spec: {version: v1.33.13, replicas: 1, kubeadmConfigSpec: %s},"
        " status: {replicas: 1, upToDateReplicas: 1, readyReplicas: 1}}",
        control_plane);
    struct platform_capi *capi = &t->p.capi;

    begin(&t->p, "v1beta2");
    capi->owners = NULL;
    json_decref(capi->cluster);
    capi->cluster = take_cluster;
    capi_class_read(capi, class);
    capi_add_owner(capi, KIND_KUBEADM_CONTROL_PLANE, parse(text));
    if (take_template)
        capi_add_owner(
            capi, KIND_MACHINE_DEPLOYMENT,
            parse("{metadata: {" OWNED ", topology.cluster.x-k8s.io/deployment-name: w}}, spec:"
                  " {replicas: 2, template: {spec: {bootstrap: {configRef: {kind:"
                  " KubeadmConfigTemplate, name: t}}}}}, status: {replicas: 2, upToDateReplicas: 2,"
                  " availableReplicas: 2}}"))
            ->template = take_template;
    capi_variables_choose(capi);
    t->cluster = NULL;
    for (size_t i = 0; i < capi->len; i++) {
        CHECK_OK(capi_owner_read(&capi->owners[i], capi));
        if (capi->owners[i].kind == KIND_CLUSTER)
            t->cluster = &capi->owners[i];
    }
}

static void topology_begin(struct topology *t, json_t *take_cluster, const char *control_plane,
                           json_t *take_template)
{
    topology_begin_of(t, whole_class(), take_cluster, control_plane, take_template);
}

static void topology_end(struct topology *t)
{
    for (size_t i = 0; i < t->p.capi.len; i++)
        capi_owner_fini(&t->p.capi.owners[i]);
    mem_free(t->p.capi.owners);
    t->p.capi.owners = NULL;
    t->p.capi.len = 0;
    end(&t->p);
}

static struct platform_part *find_part(struct capi_owner *owner, const char *slot)
{
    for (size_t i = 0; owner && i < owner->len; i++) {
        if (str_eq(owner->parts[i].slot, slot))
            return &owner->parts[i];
    }
    return NULL;
}

static struct error *edit_cluster(struct topology *t, const char *want_api, const char *want,
                                  json_t **ret_cluster)
{
    AUTO_CAPI_EDIT struct capi_edit edit = {0};
    struct error *err = NULL;

    capi_edit_begin(&edit, t->cluster);
    for (size_t i = 0; !err && i < t->cluster->len; i++) {
        struct platform_part *part = &t->cluster->parts[i];
        AUTO_JSON json_t *wanted = parse(part->component == COMPONENT_APISERVER ? want_api : want);
        AUTO_JSON json_t *tree = NULL;
        AUTO_JSON json_t *record = NULL;

        err = platform_record_edit(part, wanted, NOW_MS, &tree, &record);
        if (!err)
            err = capi_edit_put(&edit, &t->p.capi, t->cluster, part, tree, record);
    }
    if (!err) {
        AUTO_JSON json_t *patch = capi_edit_patch(&edit, t->cluster);

        *ret_cluster = doc_merge_patch(t->cluster->object, patch);
    }
    return err;
}

static void check_variables(const json_t *cluster, const char *want)
{
    const json_t *variables = doc_get(cluster, "spec", "topology", "variables", NULL);
    AUTO_MEM char *text = variables ? doc_print_json(variables) : str_dup("");

    CHECK_STR(text, want);
}

#define EMPTY_TEMPLATE "{metadata: {name: t}, spec: {template: {spec: {}}}}"

TEST(variables_are_written_and_come_back)
{
    static const char *const before[] = {
        "", ", variables: [{name: other, value: 5}]",
        ", variables: [{name: scheduler, value: 'A=true'}, {name: api, value: ''}]"};
    static const char *const kcp[] = {
        "{}", "{}",
        "{clusterConfiguration: {scheduler: {extraArgs: [{name: feature-gates, value:"
        " 'A=true'}]}}}"};

    for (size_t i = 0; i < COUNT(before); i++) {
        AUTO_MEM char *text = str_format(CLUSTER("%s"), before[i]);
        AUTO_JSON json_t *cluster = parse(text);
        AUTO_JSON json_t *on = NULL;
        AUTO_JSON json_t *off = NULL;
        struct topology t;

        topology_begin(&t, doc_copy(cluster), kcp[i], parse(EMPTY_TEMPLATE));
        CHECK(t.cluster != NULL);
        CHECK_INT(t.cluster->len, 3);
        CHECK(!find_part(&t.p.capi.owners[0], "kube-apiserver"));
        CHECK(find_part(&t.p.capi.owners[0], "kube-controller-manager") != NULL);
        CHECK_INT(t.p.capi.owners[1].len, 0);
        CHECK(!t.p.capi.owners[1].foreign);
        CHECK_OK(edit_cluster(&t, WANT_API, WANT, &on));
        topology_end(&t);
        if (i == 0)
            check_variables(on, "[{\"name\":\"api\",\"value\":\"DynamicResourceAllocation=true\"},"
                                "{\"name\":\"served\",\"value\":\"resource.k8s.io/v1beta1=true\"},"
                                "{\"name\":\"scheduler\",\"value\":"
                                "\"DynamicResourceAllocation=true\"},"
                                "{\"name\":\"nodes\",\"value\":"
                                "\"DynamicResourceAllocation=true\"}]");
        if (i == 2)
            CHECK_STR(doc_str(capi_variable(on, "scheduler"), "value", NULL),
                      "A=true,DynamicResourceAllocation=true");
        topology_begin(&t, doc_copy(on), kcp[i], parse(EMPTY_TEMPLATE));
        CHECK(find_part(t.cluster, "kube-apiserver")->stands);
        CHECK(!find_part(t.cluster, "kube-apiserver")->rollout.complete);
        CHECK(!find_part(t.cluster, CAPI_SLOT_WORKERS)->rollout.complete);
        CHECK_OK(edit_cluster(&t, WANT_NOTHING, WANT_NOTHING, &off));
        CHECK(doc_equal(json_object_get(off, "spec"), json_object_get(cluster, "spec")));
        topology_end(&t);
    }
}

TEST(a_variable_is_rolled_out_when_the_objects_have_it_and_are)
{
    AUTO_JSON json_t *cluster = parse(CLUSTER(", variables: [{name: nodes, value: 'A=true'}]"));
    AUTO_MEM char *key = platform_annotation(CAPI_SLOT_WORKERS);
    struct topology t;

    doc_set(cluster, json_string("{\"owned\": {}, \"since\": \"2025-11-24T16:00:00Z\"}"),
            "metadata", "annotations", key, NULL);
    topology_begin(&t, doc_copy(cluster), "{}", parse(EMPTY_TEMPLATE));
    CHECK(!find_part(t.cluster, CAPI_SLOT_WORKERS)->rollout.seen);
    topology_end(&t);
    topology_begin(&t, doc_copy(cluster), "{}",
                   parse("{metadata: {name: t}, spec: {template: {spec: {joinConfiguration:"
                         " {nodeRegistration: {kubeletExtraArgs: [{name: feature-gates, value:"
                         " 'A=true'}]}}}}}}"));
    CHECK(find_part(t.cluster, CAPI_SLOT_WORKERS)->rollout.complete);
    CHECK_INT(find_part(t.cluster, CAPI_SLOT_WORKERS)->rollout.desired, 2);
    CHECK_INT(capi_variables_nodes(&t.p.capi, find_part(t.cluster, CAPI_SLOT_WORKERS)), 2);
    topology_end(&t);
}

// Somebody adds to what we wrote, so that nothing of before is kept; then the class has no
// variables any more.
TEST(a_variable_comes_back_when_the_class_makes_nothing_of_it_any_more)
{
    AUTO_JSON json_t *cluster = parse(CLUSTER(""));
    AUTO_JSON json_t *on = NULL;
    AUTO_JSON json_t *again = NULL;
    AUTO_JSON json_t *off = NULL;
    struct topology t;

    topology_begin(&t, doc_copy(cluster), "{}", parse(EMPTY_TEMPLATE));
    CHECK_OK(edit_cluster(&t, WANT_API, WANT, &on));
    topology_end(&t);
    json_object_set_new((json_t *)(uintptr_t)capi_variable(on, "scheduler"), "value",
                        json_string("Mine=true,DynamicResourceAllocation=true"));
    topology_begin(&t, doc_copy(on), "{}", parse(EMPTY_TEMPLATE));
    CHECK_OK(edit_cluster(&t, WANT_API, WANT, &again));
    topology_end(&t);
    topology_begin_of(&t, class_of("", ""), doc_copy(again), "{}", parse(EMPTY_TEMPLATE));
    CHECK(find_part(t.cluster, "kube-scheduler") != NULL);
    CHECK_OK(edit_cluster(&t, WANT_NOTHING, WANT_NOTHING, &off));
    check_variables(off, "[{\"name\":\"scheduler\",\"value\":\"Mine=true\"}]");
    topology_end(&t);
}

static bool is_over(json_t *take_class, const char *record, const char *variables)
{
    AUTO_MEM char *text = str_format(CLUSTER("%s"), variables);
    AUTO_MEM char *key = platform_annotation("kube-scheduler");
    json_t *cluster = parse(text);
    struct topology t;
    bool over;

    doc_set(cluster, json_string(record), "metadata", "annotations", key, NULL);
    topology_begin_of(&t, take_class, cluster,
                      "{clusterConfiguration: {scheduler: {extraArgs: [{name: feature-gates, value:"
                      " 'B=true'}]}}}",
                      parse(EMPTY_TEMPLATE));
    over = find_part(t.cluster, "kube-scheduler")->rollout.complete;
    topology_end(&t);
    return over;
}

TEST(the_way_back_does_not_wait_for_what_the_class_sets_itself_by_then)
{
    static const char back[] = "{\"variables\": {\"featureGates\": \"scheduler\"}}",
                      ours[] = "{\"variables\": {\"featureGates\": \"scheduler\"}, \"owned\":"
                               " {\"featureGates\": {\"A\": true}}}";
    static const char on[] = ", variables: [{name: scheduler, value: 'A=true'}]";

    CHECK(is_over(class_of("", ""), back, ""));
    CHECK(!is_over(class_of("", ""), ours, on));
    CHECK(!is_over(whole_class(), back, ""));
}

// An upgrade reaches the control plane first.
TEST(a_variable_of_workers_is_for_the_oldest_of_them)
{
    struct topology t;

    topology_begin(&t, parse(CLUSTER("")), "{}", parse(EMPTY_TEMPLATE));
    CHECK_INT(find_part(t.cluster, CAPI_SLOT_WORKERS)->version.minor, 33);
    doc_set(t.p.capi.owners[1].object, json_string("v1.32.9"), "spec", "template", "spec",
            "version", NULL);
    for (size_t i = 0; i < t.p.capi.len; i++) {
        struct capi_owner *owner = &t.p.capi.owners[i];
        struct capi_owner now = {.kind = owner->kind,
                                 .object = json_incref(owner->object),
                                 .template = json_incref(owner->template)};

        capi_owner_fini(owner);
        *owner = now;
        CHECK_OK(capi_owner_read(owner, &t.p.capi));
    }
    CHECK_INT(find_part(t.cluster, CAPI_SLOT_WORKERS)->version.minor, 32);
    CHECK_INT(find_part(t.cluster, "kube-scheduler")->version.minor, 33);
    topology_end(&t);
}

static void check_unused(const char *cluster, const char *control_plane, const char *slot,
                         const char *note)
{
    struct topology t;

    topology_begin(&t, parse(cluster), control_plane, parse(EMPTY_TEMPLATE));
    CHECK(!find_part(t.cluster, slot));
    if (!str_eq(slot, CAPI_SLOT_WORKERS))
        CHECK(find_part(&t.p.capi.owners[0], slot) != NULL);
    CHECK_HAS(t.p.capi.notes, note);
    topology_end(&t);
}

TEST(a_variable_that_does_not_say_what_stands_is_not_used)
{
    check_unused(CLUSTER(""),
                 "{clusterConfiguration: {scheduler: {extraArgs: [{name: feature-gates, value:"
                 " 'B=true'}]}}}",
                 "kube-scheduler", "not used for kube-scheduler: something else sets that flag");
    check_unused("{metadata: {name: one, namespace: default}, spec: {topology: {workers:"
                 " {machineDeployments: [{class: workers, name: w, variables: {overrides:"
                 " [{name: nodes, value: 'A=true'}]}}]}}}}",
                 "{}", CAPI_SLOT_WORKERS, "nodes is overridden for a part of the topology");
}

// The control plane of it is still the topology controller's: what is not there can be added.
TEST(a_cluster_that_something_else_writes_keeps_its_variables)
{
    AUTO_JSON json_t *cluster = parse(CLUSTER(""));
    struct topology t;

    doc_set(cluster, json_string("clusters"), "metadata", "labels",
            "kustomize.toolkit.fluxcd.io/name", NULL);
    topology_begin(&t, doc_copy(cluster), "{}", parse(EMPTY_TEMPLATE));
    CHECK(!t.cluster);
    CHECK(find_part(&t.p.capi.owners[0], "kube-scheduler") != NULL);
    CHECK_HAS(t.p.capi.notes, "variable scheduler of Cluster default/one is not used for"
                              " kube-scheduler: Cluster default/one belongs to the Flux"
                              " Kustomization clusters");
    topology_end(&t);
}

// --- what somebody else is to write --------------------------------------------------------------

// Whoever reads it can append it to spec.patches.
TEST(the_patch_to_write_is_told)
{
    struct place p;
    AUTO_CAPI_EDIT struct capi_edit edit = {0};
    AUTO_JSON json_t *patch = NULL;
    AUTO_JSON json_t *want = parse(
        "{name: drawbridge-kube-apiserver, definitions: [{selector: {apiVersion:"
        " controlplane.cluster.x-k8s.io/v1beta2, kind: KubeadmControlPlaneTemplate,"
        " matchResources: {controlPlane: true}}, jsonPatches: [{op: add, path:"
        " /spec/template/spec/kubeadmConfigSpec/clusterConfiguration/apiServer/extraArgs, value:"
        " [{name: v, value: '2'}, {name: feature-gates, value:"
        " 'A=true,DynamicResourceAllocation=true'}, {name: runtime-config, value:"
        " resource.k8s.io/v1beta1=true}]}]}]}");
    AUTO_JSON json_t *class = class_of("", "");
    struct error *err;
    const char *at;

    begin(&p, "v1beta2");
    capi_class_read(&p.capi, class);
    CHECK_OK(read_control_plane(
        &p, parse("{metadata: {" OWNED "}}, spec: {version: v1.33.13, kubeadmConfigSpec:"
                  " {clusterConfiguration: {apiServer: {extraArgs: [{name: v, value: '2'},"
                  " {name: feature-gates, value: 'A=true'}]}}}}}")));
    err = edit_all(&p, WANT_API, WANT, &edit);
    CHECK(err != NULL);
    CHECK_STR(error_reason(err), "NotManaged");
    CHECK_HAS(error_text(err), "have ClusterClass default/plain set"
                               " --feature-gates=A=true,DynamicResourceAllocation=true");
    at = strstr(error_text(err), "spec.patches: ");
    CHECK(at != NULL);
    CHECK_OK(doc_parse_json(slice_of(at + strlen("spec.patches: ")), "patch", &patch));
    CHECK(doc_equal(patch, want));
    error_free(err);
    end(&p);
}

TEST(the_variable_to_set_is_told)
{
    struct topology t;
    AUTO_MEM char *advice = NULL;

    topology_begin(&t, parse(CLUSTER("")), "{}", parse(EMPTY_TEMPLATE));
    advice = capi_advice(&t.p.capi, find_part(t.cluster, "kube-scheduler"), 0, "A=true", NULL);
    CHECK_STR(advice, "set variable scheduler of Cluster default/one to \"A=true\"");
    topology_end(&t);
}

TEST_MAIN()

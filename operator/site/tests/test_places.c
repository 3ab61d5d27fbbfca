// SPDX-License-Identifier: Apache-2.0
// The codecs in objects: the same flags in trees, wherever an object keeps them.
#include "edit.h"
#include "test.h"

#define ARGS_AT "/spec/kubeadmConfigSpec/clusterConfiguration/apiServer/extraArgs"

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "object", &tree));
    return tree;
}

// Edits the object, looks at what became of it, and takes the entries out again.
static void check_both_ways(const struct site_place *place, const char *text, const char *want)
{
    AUTO_JSON json_t *object = parse(text);
    AUTO_JSON json_t *wanted = parse(want);
    AUTO_JSON json_t *gates = parse("{DynamicResourceAllocation: true}");
    AUTO_JSON json_t *edited = NULL;
    AUTO_JSON json_t *again = NULL;
    AUTO_JSON json_t *back = NULL;
    AUTO_FLAGS struct gates_flags flags = {0};
    struct change change = {.set_gates = gates};

    CHECK_OK(edit_tree(place, object, &change, &edited));
    CHECK_STR_TAKE(doc_print_yaml(edited), want);
    CHECK_OK(site_read_tree(place, edited, &flags));
    CHECK(doc_bool(flags.feature_gates, false, "DynamicResourceAllocation", NULL));
    CHECK_OK(edit_tree(place, edited, &change, &again));
    CHECK(doc_equal(again, wanted));
    change = (struct change){.unset_gates = gates};
    CHECK_OK(edit_tree(place, edited, &change, &back));
    CHECK_STR_TAKE(doc_print_yaml(back), text);
}

TEST(extra_args_of_an_object_as_a_map)
{
    struct site_place place = {&site_extra_args, COMPONENT_APISERVER, "object", ARGS_AT, true};

    check_both_ways(&place,
                    "spec:\n"
                    "  kubeadmConfigSpec:\n"
                    "    clusterConfiguration:\n"
                    "      apiServer:\n"
                    "        extraArgs:\n"
                    "          v: \"2\"\n",
                    "spec:\n"
                    "  kubeadmConfigSpec:\n"
                    "    clusterConfiguration:\n"
                    "      apiServer:\n"
                    "        extraArgs:\n"
                    "          v: \"2\"\n"
                    "          feature-gates: DynamicResourceAllocation=true\n");
    check_both_ways(&place,
                    "spec:\n"
                    "  kubeadmConfigSpec:\n"
                    "    clusterConfiguration:\n"
                    "      apiServer: {}\n",
                    "spec:\n"
                    "  kubeadmConfigSpec:\n"
                    "    clusterConfiguration:\n"
                    "      apiServer:\n"
                    "        extraArgs:\n"
                    "          feature-gates: DynamicResourceAllocation=true\n");
}

TEST(extra_args_of_an_object_as_a_list)
{
    struct site_place place = {&site_extra_args, COMPONENT_APISERVER, "object", ARGS_AT, false};

    check_both_ways(&place,
                    "spec:\n"
                    "  kubeadmConfigSpec:\n"
                    "    clusterConfiguration:\n"
                    "      apiServer:\n"
                    "        extraArgs:\n"
                    "        - name: feature-gates\n"
                    "          value: A=true\n"
                    "        - name: v\n"
                    "          value: \"2\"\n",
                    "spec:\n"
                    "  kubeadmConfigSpec:\n"
                    "    clusterConfiguration:\n"
                    "      apiServer:\n"
                    "        extraArgs:\n"
                    "        - name: feature-gates\n"
                    "          value: A=true,DynamicResourceAllocation=true\n"
                    "        - name: v\n"
                    "          value: \"2\"\n");
}

TEST(what_is_above_extra_args_is_made)
{
    struct site_place place = {&site_extra_args, COMPONENT_APISERVER, "object", ARGS_AT, false};
    AUTO_JSON json_t *object = parse("spec: {kubeadmConfigSpec: {}}");
    AUTO_JSON json_t *gates = parse("{A: true}");
    AUTO_JSON json_t *edited = NULL;
    struct change change = {.set_gates = gates};

    CHECK_OK(edit_tree(&place, object, &change, &edited));
    CHECK_STR(doc_str(doc_pointer(edited, ARGS_AT "/0"), "value", NULL), "A=true");
    CHECK(!doc_pointer(object, ARGS_AT)); // the object that was given stays as it was
}

TEST(a_map_of_gates_in_an_object)
{
    struct site_place place = {&site_gate_map, COMPONENT_SCHEDULER, "object",
                               "/spec/componentsOverride/scheduler/featureGates", false};

    check_both_ways(&place,
                    "spec:\n"
                    "  componentsOverride:\n"
                    "    scheduler:\n"
                    "      featureGates:\n"
                    "        A: false\n",
                    "spec:\n"
                    "  componentsOverride:\n"
                    "    scheduler:\n"
                    "      featureGates:\n"
                    "        A: false\n"
                    "        DynamicResourceAllocation: true\n");
    check_both_ways(&place,
                    "spec:\n"
                    "  componentsOverride:\n"
                    "    scheduler: {}\n",
                    "spec:\n"
                    "  componentsOverride:\n"
                    "    scheduler:\n"
                    "      featureGates:\n"
                    "        DynamicResourceAllocation: true\n");
}

TEST(a_kubelets_configuration_in_an_object)
{
    struct site_place place = {&site_kubelet_configuration, COMPONENT_KUBELET, "object",
                               .at = NULL};

    check_both_ways(&place, "kind: KubeletConfiguration\nmaxPods: 99\n",
                    "kind: KubeletConfiguration\nmaxPods: 99\nfeatureGates:\n"
                    "  DynamicResourceAllocation: true\n");
}

TEST(a_kubelets_configuration_as_a_text_in_an_object)
{
    struct site_place place = {&site_kubelet_text, COMPONENT_KUBELET, "object",
                               .at = "/files/0/content"};

    check_both_ways(&place,
                    "files:\n"
                    "- content: |\n"
                    "    maxPods: 50 # few\n",
                    "files:\n"
                    "- content: |\n"
                    "    maxPods: 50 # few\n"
                    "    featureGates:\n"
                    "      DynamicResourceAllocation: true\n");
}

TEST(a_map_of_gates_has_no_place_for_an_api)
{
    struct site_place place = {&site_gate_map, COMPONENT_APISERVER, "object", "/gates", false};
    AUTO_JSON json_t *object = parse("{}");
    AUTO_JSON json_t *apis = parse("{resource.k8s.io/v1beta1: 'true'}");
    AUTO_JSON json_t *edited = NULL;
    struct change change = {.set_runtime = apis};

    CHECK_ERR_HAS(edit_tree(&place, object, &change, &edited), ERROR_INVALID,
                  "no place for runtimeConfig");
}

static void refuse(const struct site_place *place, const char *text, const char *part)
{
    AUTO_JSON json_t *object = parse(text);
    AUTO_JSON json_t *gates = parse("{A: true}");
    AUTO_JSON json_t *edited = NULL;
    struct change change = {.set_gates = gates};

    CHECK_ERR_HAS(edit_tree(place, object, &change, &edited), ERROR_INVALID, part);
}

TEST(what_leads_nowhere_is_refused)
{
    struct site_place map = {&site_gate_map, COMPONENT_SCHEDULER, "object", "/a/gates", false};
    struct site_place args = {&site_extra_args, COMPONENT_SCHEDULER, "object", "/a/args", false};

    refuse(&map, "a: 7", "leads nowhere");
    refuse(&map, "a: [1]", "leads nowhere");
    refuse(&map, "a: {gates: x}", "a.gates is not a map");
    refuse(&map, "a: {gates: {B: 1}}", "a.gates.B is neither true nor false");
    refuse(&args, "a: text", "leads nowhere");
    refuse(&args, "a: {args: 7}", "a.args is neither a list nor a map");
}

TEST(a_text_in_an_object_that_is_none_is_refused)
{
    struct site_place place = {&site_kubelet_text, COMPONENT_KUBELET, "object", .at = "/content"};
    AUTO_JSON json_t *number = parse("{content: 3}");
    AUTO_JSON json_t *list = parse("{content: '- a'}");
    AUTO_FLAGS struct gates_flags flags = {0};

    CHECK_ERR_HAS(site_read_tree(&place, number, &flags), ERROR_INVALID, "content is no text");
    CHECK_OK(site_read_tree(&place, list, &flags));
}

TEST_MAIN()

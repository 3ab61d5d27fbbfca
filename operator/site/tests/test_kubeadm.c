// SPDX-License-Identifier: Apache-2.0
// kubeadm's documents, as kubeadm writes them and as people edit them: only our entries move.
#include <string.h>

#include "edit.h"
#include "test.h"

#define NEW_STYLE                                                                                  \
    "apiServer:\n  extraArgs:\n  - name: authorization-mode\n    value: Node,RBAC # ours\n"        \
    "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: "          \
    "v1.33.13\nscheduler: {}\n"
#define OLD_STYLE                                                                                  \
    "apiServer:\n  extraArgs:\n    authorization-mode: Node,RBAC\n    feature-gates: A=true\n"     \
    "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: "          \
    "v1.30.14\n"

static json_t *dra(void)
{
    return json_pack("{s:b}", "DynamicResourceAllocation", 1);
}

static struct site_place place_of(enum component component)
{
    return (struct site_place){&site_cluster_configuration, component, "kubeadm-config",
                               .at = NULL};
}

static char *edit(const char *text, enum component component, json_t *set, json_t *unset,
                  json_t *runtime, json_t *unset_runtime)
{
    struct site_place place = place_of(component);
    struct change change = {set, unset, runtime, unset_runtime};
    char *edited = NULL;

    CHECK_OK(edit_text(&place, slice_of(text), &change, &edited));
    return edited;
}

static void read(const char *text, enum component component, struct gates_flags *ret_flags)
{
    struct site_place place = place_of(component);

    CHECK_OK(site_read_text(&place, slice_of(text), ret_flags));
}

static void check_refused(const char *text)
{
    AUTO_JSON json_t *gates = dra();
    struct site_place place = place_of(COMPONENT_APISERVER);
    struct change change = {.set_gates = gates};
    char *edited = NULL;

    CHECK_ERR(edit_text(&place, slice_of(text), &change, &edited), ERROR_INVALID);
}

TEST(a_list_gets_items_and_loses_them_again)
{
    AUTO_JSON json_t *gates = dra();
    AUTO_JSON json_t *runtime = json_pack("{s:s}", "resource.k8s.io/v1beta1", "true");
    AUTO_MEM char *after = edit(NEW_STYLE, COMPONENT_APISERVER, gates, NULL, runtime, NULL);
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO_MEM char *back = NULL;

    CHECK(strstr(after, "value: Node,RBAC # ours\n") != NULL);
    CHECK(strstr(after, "name: feature-gates") != NULL);
    read(after, COMPONENT_APISERVER, &flags);
    CHECK(doc_bool(flags.feature_gates, false, "DynamicResourceAllocation", NULL));
    CHECK_STR(doc_str(flags.runtime_config, "resource.k8s.io/v1beta1", NULL), "true");
    back = edit(after, COMPONENT_APISERVER, NULL, gates, NULL, runtime);
    CHECK_STR(back, NEW_STYLE);
}

TEST(a_section_that_is_empty_is_made_and_goes_again)
{
    AUTO_JSON json_t *gates = dra();
    AUTO_MEM char *after = edit(NEW_STYLE, COMPONENT_SCHEDULER, gates, NULL, NULL, NULL);
    AUTO_JSON json_t *tree = NULL;
    AUTO_MEM char *back = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(after), "after", &tree));
    CHECK_STR(doc_str(doc_pointer(tree, "/scheduler/extraArgs/0"), "value", NULL),
              "DynamicResourceAllocation=true");
    back = edit(after, COMPONENT_SCHEDULER, NULL, gates, NULL, NULL);
    json_decref(tree);
    tree = NULL;
    CHECK_OK(doc_parse_yaml(slice_of(back), "back", &tree));
    CHECK(doc_get(tree, "scheduler", "extraArgs", NULL) == NULL);
}

TEST(a_section_that_is_missing_is_made)
{
    AUTO_JSON json_t *gates = dra();
    AUTO_MEM char *after = edit(NEW_STYLE, COMPONENT_CONTROLLER_MANAGER, gates, NULL, NULL, NULL);
    AUTO_FLAGS struct gates_flags flags = {0};

    read(after, COMPONENT_CONTROLLER_MANAGER, &flags);
    CHECK(doc_bool(flags.feature_gates, false, "DynamicResourceAllocation", NULL));
}

TEST(a_map_keeps_the_gates_of_others)
{
    AUTO_JSON json_t *gates = dra();
    AUTO_JSON json_t *runtime = json_pack("{s:s}", "resource.k8s.io/v1alpha2", "true");
    AUTO_MEM char *after = edit(OLD_STYLE, COMPONENT_APISERVER, gates, NULL, runtime, NULL);
    AUTO_MEM char *back = NULL;

    CHECK(strstr(after, "    feature-gates: A=true,DynamicResourceAllocation=true\n") != NULL);
    CHECK(strstr(after, "    runtime-config: resource.k8s.io/v1alpha2=true\n") != NULL);
    back = edit(after, COMPONENT_APISERVER, NULL, gates, NULL, runtime);
    CHECK_STR(back, OLD_STYLE);
}

TEST(what_is_no_cluster_configuration_is_refused)
{
    check_refused("kind: InitConfiguration\n");
    check_refused("kind: ClusterConfiguration\napiServer: {extraArgs: 7}\n");
}

TEST(the_kubelets_document_gets_a_section_and_loses_it)
{
    const char *before =
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 110\n";
    struct site_place place = {&site_kubelet_configuration, COMPONENT_KUBELET, "kubelet-config",
                               .at = NULL};
    AUTO_JSON json_t *gates = dra();
    struct change change = {.set_gates = gates};
    AUTO_MEM char *after = NULL;
    AUTO_MEM char *back = NULL;

    CHECK_OK(edit_text(&place, slice_of(before), &change, &after));
    CHECK(strstr(after, "featureGates:\n  DynamicResourceAllocation: true\n") != NULL);
    change = (struct change){.unset_gates = gates};
    CHECK_OK(edit_text(&place, slice_of(after), &change, &back));
    CHECK_STR(back, before);
}

TEST_MAIN()

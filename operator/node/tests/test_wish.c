// SPDX-License-Identifier: Apache-2.0
// What a NodeDRAConfiguration may ask for. Whoever may write one is not therefore root on the node.
#include "world.h"

static void check_wish(struct world *world, const char *component, const char *what,
                       const char *name, json_t *take_value, const char *complaint)
{
    AUTO_JSON json_t *map = json_object();
    json_object_set_new(map, name, take_value);
    AUTO_JSON json_t *spec = json_pack("{s:i, s:[{s:s, s:s, s:O}]}", "epoch", 1, "components",
                                       "name", component, "revision", "r1", what, map);
    CHECK_ERR_HAS(node_set_desired(world->node, spec), ERROR_INVALID, complaint);
}

TEST(names_of_gates_cannot_carry_flags)
{
    static const char *const names[] = {"A=true --authorization-mode AlwaysAllow",
                                        "A=true\r--authorization-mode",
                                        "A=true\n--x",
                                        "A\tB",
                                        "A\"",
                                        "A'",
                                        "A\\",
                                        "A,B",
                                        "kube:A",
                                        "-A",
                                        "1A",
                                        ""};
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_KUBELET, "");
    world_start_agent(&world);
    for (size_t i = 0; i < COUNT(names); i++) {
        check_wish(&world, "kubelet", "featureGates", names[i], json_true(),
                   "is no name of a feature gate");
        check_wish(&world, "kubelet", "expect", names[i], json_true(),
                   "is no name of a feature gate");
    }
    world_fini(&world);
}

TEST(names_of_api_versions_cannot_carry_flags)
{
    static const char *const names[] = {
        "api/all=true,api/beta", "a/v1 --x", "a/v1\r", "a//v1", "a/b/c/d", "A/v1", "/v1", ""};
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_APISERVER, "");
    world_start_agent(&world);
    for (size_t i = 0; i < COUNT(names); i++)
        check_wish(&world, "kube-apiserver", "runtimeConfig", names[i], json_string("true"),
                   "is no name of an API version");
    check_wish(&world, "kube-apiserver", "runtimeConfig", "a/v1", json_string("true --x"),
               "is neither true nor false");
    world_fini(&world);
}

// The editor of kubeadm-flags.env believes nobody either.
TEST(nothing_that_splits_words_goes_into_the_kubelets_flags)
{
    static const char *const names[] = {"A B",  "A\rB", "A\nB", "A\tB",
                                        "A\"B", "A'B",  "A\\B", "A$B"};
    const char *env = "KUBELET_KUBEADM_ARGS=\"--feature-gates=X=true --v=2\"\n";
    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO_JSON json_t *set = json_object();
        AUTO_MEM char *text = NULL;
        json_object_set_new(set, names[i], json_true());
        CHECK_ERR_HAS(node_kubelet_env_edit(slice_of(env), "env", set, NULL, &text), ERROR_INVALID,
                      "env");
    }
}

TEST(flags_that_go_on_where_they_do_not_seem_to_are_refused)
{
    static const char *const texts[] = {"KUBELET_KUBEADM_ARGS=\"--a=1\r--b=2\"\n",
                                        "KUBELET_KUBEADM_ARGS=--a=1 \\\n--b=2\n",
                                        "KUBELET_KUBEADM_ARGS=\"--a=1\n--b=2\"\n"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        json_t *argv = NULL;
        CHECK_ERR_HAS(node_kubelet_env_argv(slice_of(texts[i]), "env", &argv), ERROR_INVALID,
                      "goes on in the next line");
    }
}

TEST_MAIN()

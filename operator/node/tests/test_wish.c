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

TEST(names_of_what_shall_not_stand_are_names)
{
    static const char *const lists[][2] = {
        {"withoutFeatureGates", "A=true"},
        {"withoutFeatureGates", ""},
        {"withoutRuntimeConfig", "api/all=true,api/beta"},
        {"withoutRuntimeConfig", "/v1"},
    };
    struct world world;
    world_init(&world);
    world_add(&world, COMPONENT_APISERVER, "");
    world_start_agent(&world);
    for (size_t i = 0; i < COUNT(lists); i++) {
        AUTO_JSON json_t *spec =
            json_pack("{s:i, s:[{s:s, s:s, s:[s]}]}", "epoch", 1, "components", "name",
                      "kube-apiserver", "revision", "r1", lists[i][0], lists[i][1]);
        AUTO_JSON json_t *map = json_pack("{s:i, s:[{s:s, s:s, s:{}}]}", "epoch", 1, "components",
                                          "name", "kube-apiserver", "revision", "r1", lists[i][0]);
        CHECK_ERR_HAS(node_set_desired(world.node, spec), ERROR_INVALID, "is no name of");
        CHECK_ERR_HAS(node_set_desired(world.node, map), ERROR_INVALID, "is not a list");
    }
    AUTO_JSON json_t *names = json_array();
    for (int i = 0; i <= GATES_ENTRIES_MAX; i++)
        json_array_append_new(names, json_string("A"));
    AUTO_JSON json_t *many =
        json_pack("{s:i, s:[{s:s, s:s, s:O}]}", "epoch", 1, "components", "name", "kube-apiserver",
                  "revision", "r1", "withoutFeatureGates", names);
    CHECK_ERR_HAS(node_set_desired(world.node, many), ERROR_LIMIT, "more than 1000 entries");
    AUTO_JSON json_t *number =
        json_pack("{s:i, s:[{s:s, s:s, s:[i]}]}", "epoch", 1, "components", "name", "kubelet",
                  "revision", "r1", "withoutFeatureGates", 7);
    CHECK_ERR_HAS(node_set_desired(world.node, number), ERROR_INVALID, "is no name of");
    world_fini(&world);
}

TEST_MAIN()

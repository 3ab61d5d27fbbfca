// SPDX-License-Identifier: Apache-2.0
// The scheduler's own configuration: which profiles are without the plugin, and where its file is.
#include "node_internal.h"
#include "testkit/test.h"

#include <string.h>

static json_t *yaml(const char *text)
{
    json_t *tree = NULL;
    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

// NULL: nothing is left out.
static void check(const char *profiles, const char *wanted)
{
    AUTO_MEM char *text =
        str_format("{kind: KubeSchedulerConfiguration, profiles: [%s]}", profiles);
    AUTO_JSON json_t *config = yaml(text);
    AUTO_MEM char *said = node_scheduler_excludes(config);
    CHECK_STR(said ? said : "", wanted ? wanted : "");
}

#define DEFAULT "{schedulerName: default-scheduler}"
#define OFF "disabled: [{name: DynamicResources}]"
#define AT(point) "the profile default-scheduler is without DynamicResources at " point

TEST(profiles)
{
    check("", NULL);
    check(DEFAULT, NULL);
    check("{plugins: {score: {disabled: [{name: '*'}]}}}", NULL);
    check("{plugins: {filter: {disabled: [{name: NodePorts}]}}}", NULL);
    check("{plugins: {filter: {" OFF "}}}", AT("filter"));
    check("{plugins: {reserve: {disabled: [{name: '*'}]}}}", AT("reserve"));
    check("{plugins: {preBind: {" OFF ", enabled: [{name: DynamicResources}]}}}", NULL);
    check("{plugins: {multiPoint: {disabled: [{name: '*'}], enabled: [{name: NodePorts}]}}}",
          AT("preFilter"));
    check("{plugins: {multiPoint: {disabled: [{name: '*'}], enabled: [{name: DynamicResources}]}}}",
          NULL);
}

TEST(another_profile_may_be_without_it)
{
    check(DEFAULT ", {schedulerName: plain, plugins: {multiPoint: {" OFF "}}}", NULL);
    check("{schedulerName: plain, plugins: {multiPoint: {" OFF "}}}",
          "the profile plain is without DynamicResources at preFilter");
    check("{schedulerName: plain, plugins: {filter: {" OFF "}}}, {plugins: {filter: {" OFF "}}}",
          "the profile plain is without DynamicResources at filter, " AT("filter"));
}

// What the agent says of a scheduler with that argument and mounts, when the host has etc/s/c.yaml.
static void check_file(const char *argument, const char *mounts, const char *wanted)
{
    AUTO_MEM char *root = test_path("host");
    AUTO_MEM char *dir = str_format("%s/etc/s", root);
    AUTO_MEM char *file = str_format("%s/c.yaml", dir);
    AUTO_MEM char *pod =
        str_format("{spec: {containers: [{name: x}, {volumeMounts: [%s]}], volumes: "
                   "[{name: a, hostPath: {path: /etc}}, {name: b, hostPath: {path: "
                   "/etc/s}}, {name: c, emptyDir: {}}]}}",
                   mounts);
    struct node node = {.spec = {.paths = {.host_root = root}}};
    struct node_unit unit = {.node = &node, .component = COMPONENT_SCHEDULER, .container_index = 1};
    AUTO_MEM char *said = NULL;

    CHECK_OK(node_dir_make(dir));
    test_write(file, "profiles: [{plugins: {filter: {" OFF "}}}]");
    unit.tree = yaml(pod);
    unit.argv = json_pack("[s, s]", "kube-scheduler", argument);
    said = node_unit_excludes(&unit);
    CHECK_STR(said ? said : "", wanted);
    node_unit_fini(&unit);
}

TEST(the_file_is_found_on_the_host)
{
    static const char *const said = "/etc/s/c.yaml: " AT("filter");
    check_file("--config=/etc/s/c.yaml", "{name: a, mountPath: /etc}", said);
    check_file("--config=/x/c.yaml", "{name: c, mountPath: /}, {name: b, mountPath: /x}", said);
    check_file("--config=/etc/s/c.yaml", "{name: a, mountPath: /etc}, {name: c, mountPath: /etc/s}",
               "");
    check_file("--config=/etc/s/other.yaml", "{name: a, mountPath: /etc}", "");
    check_file("--config=/xy/c.yaml", "{name: b, mountPath: /x}", "");
    check_file("--v=2", "{name: a, mountPath: /etc}", "");
}

TEST_MAIN()

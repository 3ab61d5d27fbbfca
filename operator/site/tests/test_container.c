// SPDX-License-Identifier: Apache-2.0
// Which container is the component, and where an edit of its argv goes.
#include "edit.h"
#include "test.h"

static const struct site_place lists_place = {&site_lists, COMPONENT_SCHEDULER, "test", .at = NULL};

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

static json_t *or_empty(json_t *list)
{
    return list ? json_incref(list) : json_array();
}

// The container of kube-scheduler after DynamicResourceAllocation=true, as JSON.
static char *edited(const char *containers)
{
    AUTO_JSON json_t *list = parse(containers);
    AUTO_JSON json_t *gates = parse("{DynamicResourceAllocation: true}");
    AUTO_JSON json_t *lists = NULL;
    AUTO_JSON json_t *both = NULL;
    struct change change = {.set_gates = gates};
    struct site_container found;

    CHECK_OK(site_container_find(list, "test", COMPONENT_SCHEDULER, &found));
    CHECK_OK(edit_tree(&lists_place, found.spec, &change, &lists));
    both = json_pack("[ioo]", (int)found.index, or_empty(json_object_get(lists, "command")),
                     or_empty(json_object_get(lists, "args")));
    return doc_print_json(both);
}

TEST(flags_in_command)
{
    AUTO_MEM char *text = edited("[{name: a, command: [kube-scheduler, --v=2]}]");

    CHECK_STR(text, "[0,[\"kube-scheduler\",\"--feature-gates=DynamicResourceAllocation=true\","
                    "\"--v=2\"],[]]");
}

TEST(flags_in_args_behind_a_bare_command_and_a_sidecar_first)
{
    AUTO_MEM char *text =
        edited("[{name: proxy, image: x, args: [--v=1]},"
               " {name: main, command: [/usr/bin/kube-scheduler], args: [--v=2]}]");

    CHECK_STR(text, "[1,[\"/usr/bin/kube-scheduler\"],"
                    "[\"--feature-gates=DynamicResourceAllocation=true\",\"--v=2\"]]");
}

TEST(only_args)
{
    AUTO_MEM char *text = edited("[{name: kube-scheduler, args: [--v=2]}]");

    CHECK_STR(text, "[0,[],[\"--feature-gates=DynamicResourceAllocation=true\",\"--v=2\"]]");
}

TEST(flag_merged_where_it_stands)
{
    AUTO_MEM char *text =
        edited("[{command: [kube-scheduler, --feature-gates, A=true], args: [--v=2]}]");

    CHECK_STR(text, "[0,[\"kube-scheduler\",\"--feature-gates\","
                    "\"A=true,DynamicResourceAllocation=true\"],[\"--v=2\"]]");
}

TEST(lists_that_stand_elsewhere)
{
    AUTO_JSON json_t *gates = parse("{DynamicResourceAllocation: true}");
    AUTO_JSON json_t *empty = json_object();
    AUTO_JSON json_t *lists = NULL;
    AUTO_MEM char *text = NULL;
    struct change change = {.set_gates = gates};

    CHECK_OK(edit_tree(&lists_place, empty, &change, &lists));
    CHECK(!json_object_get(lists, "command"));
    text = doc_print_json(json_object_get(lists, "args"));
    CHECK_STR(text, "[\"--feature-gates=DynamicResourceAllocation=true\"]");
}

static void refuse(const char *containers, const char *message)
{
    AUTO_JSON json_t *list = parse(containers);
    struct site_container found;
    AUTO(error) struct error *err = site_container_find(list, "here", COMPONENT_SCHEDULER, &found);

    CHECK(err != NULL);
    CHECK_STR(error_text(err), message);
}

TEST(refusals_say_where)
{
    refuse("{}", "here: spec.containers is not a list");
    refuse("[{name: a}]", "here: no container is kube-scheduler");
    refuse("[{name: kube-scheduler}]",
           "here: the container of kube-scheduler has neither command nor args");
    refuse("[{name: kube-scheduler, args: [--v=1]}, {name: kube-scheduler, args: [--v=2]}]",
           "here: more than one container is kube-scheduler");
    refuse("[{name: kube-scheduler, command: [sh, -c, kube-scheduler]}]",
           "here: kube-scheduler is started by sh: its flags cannot be edited");
    refuse("[{name: kube-scheduler, args: [1]}]", "here: args[0] is not a string");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Which entries of others go on the way to a later minor: those that it refuses and that say what
// is so anyway.
#include "gates_internal.h"
#include "test.h"

static json_t *parse(const char *text)
{
    json_t *tree = NULL;
    CHECK_OK(doc_parse_json(slice_of(text), "test", &tree));
    return tree;
}

// "gates; apis" that go from an instance with these entries, where these gates are asked for.
static char *without(struct gates_intent intent, enum component component, int minor,
                     const char *wish, const char *gates, const char *runtime)
{
    AUTO_JSON json_t *w = parse(wish);
    AUTO_JSON json_t *g = parse(gates);
    AUTO_JSON json_t *r = parse(runtime);
    AUTO_RESOLUTION struct gates_resolution resolution = {0};
    struct gates_instance i = {.id = "one",
                               .component = component,
                               .version = {1, minor, 1},
                               .foreign_gates = g,
                               .foreign_runtime = r};
    intent.feature_gates = w;
    CHECK_OK(gates_resolve(gates_table_builtin(), &intent, &i, 1, &resolution));
    CHECK_INT(resolution.desired_len, 1);
    AUTO_MEM char *a = doc_print_json(resolution.desired[0].without_gates);
    AUTO_MEM char *b = doc_print_json(resolution.desired[0].without_runtime);
    return str_format("%s %s", a, b);
}

static const struct gates_intent remove_38 = {.prepare_for = {1, 38, 0}, .remove_foreign = true};

TEST(what_says_what_is_so_anyway_goes)
{
    CHECK_STR_TAKE(without(remove_38, COMPONENT_KUBELET, 37, "{}",
                           "{\"DynamicResourceAllocation\":true}", "{}"),
                   "[\"DynamicResourceAllocation\"] []");
    // On the way from 1.36 to 1.38 there is 1.37.
    CHECK_STR_TAKE(without(remove_38, COMPONENT_KUBELET, 36, "{}",
                           "{\"SidecarContainers\":true,\"DynamicResourceAllocation\":true}", "{}"),
                   "[\"DynamicResourceAllocation\",\"SidecarContainers\"] []");
    CHECK_STR_TAKE(without(remove_38, COMPONENT_APISERVER, 36, "{}", "{}",
                           "{\"scheduling.k8s.io/v1alpha2\":\"false\",\"apps/v1\":\"true\"}"),
                   "[] [\"scheduling.k8s.io/v1alpha2\"]");
}

TEST(what_has_an_effect_is_never_touched)
{
    CHECK_STR_TAKE(without(remove_38, COMPONENT_APISERVER, 37, "{}",
                           "{\"DRAPartitionableDevices\":false}",
                           "{\"scheduling.k8s.io/v1alpha2\":\"true\"}"),
                   "[] []");
}

// A vendor's gate may be on where the entry is not, and a gate of a missing list may be its own.
TEST(what_the_table_does_not_have_in_this_minor_stays)
{
    CHECK_STR_TAKE(without(remove_38, COMPONENT_KUBELET, 37, "{}",
                           "{\"VendorThing\":false,\"SidecarContainers\":false}",
                           "{\"vendor.example/v1\":\"false\"}"),
                   "[] []");
}

TEST(nothing_goes_where_nobody_asks_for_it)
{
    static const char gates[] = "{\"DynamicResourceAllocation\":true}";
    struct gates_intent report = remove_38, nowhere = remove_38, near = remove_38;
    report.remove_foreign = false;
    nowhere.prepare_for = (struct version){0};
    near.prepare_for = (struct version){1, 37, 0};
    CHECK_STR_TAKE(without(report, COMPONENT_KUBELET, 37, "{}", gates, "{}"), "[] []");
    CHECK_STR_TAKE(without(nowhere, COMPONENT_KUBELET, 37, "{}", gates, "{}"), "[] []");
    CHECK_STR_TAKE(without(near, COMPONENT_KUBELET, 37, "{}", gates, "{}"), "[] []");
}

TEST(what_the_spec_asks_for_too_goes_where_it_is_so_without_being_said)
{
    CHECK_STR_TAKE(without(remove_38, COMPONENT_KUBELET, 37, "{\"DynamicResourceAllocation\":true}",
                           "{\"DynamicResourceAllocation\":true}", "{}"),
                   "[\"DynamicResourceAllocation\"] []");
}

// A report is somebody's word.
TEST(a_list_of_what_was_taken_out_is_names_and_no_more_than_an_agent_takes)
{
    AUTO_JSON json_t *removed = parse("{\"a b\":true,\"A=true,B\":true,\"Old\":1}");
    AUTO_JSON json_t *apis = parse("{\"v1,api/all\":\"true\",\"gone.k8s.io/v1 "
                                   "\":\"true\",\"scheduling.k8s.io/v1alpha2\":\"false\"}");
    struct gates_instance i = {.id = "one",
                               .component = COMPONENT_APISERVER,
                               .version = {1, 37, 1},
                               .removed_gates = removed,
                               .removed_runtime = apis};
    AUTO_RESOLUTION struct gates_resolution resolution = {0};
    AUTO_RESOLUTION struct gates_resolution many = {0};
    CHECK_OK(gates_resolve(gates_table_builtin(), &remove_38, &i, 1, &resolution));
    CHECK_STR_TAKE(doc_print_json(resolution.desired[0].without_gates), "[\"Old\"]");
    CHECK_STR_TAKE(doc_print_json(resolution.desired[0].without_runtime),
                   "[\"scheduling.k8s.io/v1alpha2\"]");
    for (int n = 0; n < 300; n++) {
        AUTO_MEM char *name = str_format("Old%d", n);
        json_object_set_new(removed, name, json_true());
    }
    CHECK_OK(gates_resolve(gates_table_builtin(), &remove_38, &i, 1, &many));
    CHECK_INT(json_array_size(many.desired[0].without_gates), 256);
}

// What was taken out is wanted so until nobody asks for it: as long as the entry would go, and once
// the minor that refuses it runs.
TEST(what_was_taken_out_stays_out)
{
    AUTO_JSON json_t *removed = parse("{\"DynamicResourceAllocation\":true,\"Old\":true}");
    struct gates_instance i = {.id = "one",
                               .component = COMPONENT_KUBELET,
                               .version = {1, 37, 1},
                               .removed_gates = removed};
    for (int minor = 36; minor <= 38; minor++) {
        AUTO_RESOLUTION struct gates_resolution resolution = {0};
        AUTO_RESOLUTION struct gates_resolution nothing = {0};
        struct gates_intent report = remove_38;
        i.version.minor = minor;
        CHECK_OK(gates_resolve(gates_table_builtin(), &remove_38, &i, 1, &resolution));
        CHECK_STR_TAKE(doc_print_json(resolution.desired[0].without_gates),
                       "[\"DynamicResourceAllocation\",\"Old\"]");
        // Given back, but where the component would not start with it.
        report.remove_foreign = false;
        CHECK_OK(gates_resolve(gates_table_builtin(), &report, &i, 1, &nothing));
        CHECK_STR_TAKE(doc_print_json(nothing.desired[0].without_gates),
                       minor == 38 ? "[\"DynamicResourceAllocation\",\"Old\"]" : "[\"Old\"]");
    }
}

TEST(that_nothing_changes_is_to_be_read_back)
{
    AUTO_JSON json_t *gates = parse("{\"AllBeta\":false,\"DRAPartitionableDevices\":false,"
                                    "\"DynamicResourceAllocation\":true}");
    struct gates_instance i = {.id = "one",
                               .component = COMPONENT_APISERVER,
                               .version = {1, 37, 1},
                               .foreign_gates = gates};
    AUTO_RESOLUTION struct gates_resolution resolution = {0};
    CHECK_OK(gates_resolve(gates_table_builtin(), &remove_38, &i, 1, &resolution));
    CHECK_STR_TAKE(doc_print_json_sorted(resolution.desired[0].effective),
                   "{\"DRAPartitionableDevices\":false,\"DynamicResourceAllocation\":true}");
}

// AllBeta=false makes the entry superfluous, and ours says the other value in its place.
TEST(what_is_written_by_us_is_not_taken_out)
{
    CHECK_STR_TAKE(without(remove_38, COMPONENT_APISERVER, 37, "{}",
                           "{\"AllBeta\":false,\"DRAPartitionableDevices\":false}", "{}"),
                   "[\"DRAPartitionableDevices\"] []");
    CHECK_STR_TAKE(without(remove_38, COMPONENT_APISERVER, 37, "{\"DRAPartitionableDevices\":true}",
                           "{\"AllBeta\":false,\"DRAPartitionableDevices\":false}", "{}"),
                   "[] []");
}

// An API version as a whole and one resource of it.
TEST(of_two_that_say_the_same_one_stays)
{
    CHECK_STR_TAKE(without(remove_38, COMPONENT_APISERVER, 36, "{}", "{}",
                           "{\"scheduling.k8s.io/v1alpha2\":\"true\","
                           "\"scheduling.k8s.io/v1alpha2/workloads\":\"true\"}"),
                   "[] [\"scheduling.k8s.io/v1alpha2/workloads\"]");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// The compiled table: against the DRA stage matrix (read off the release sources,
// cases/dra-stages.txt), and its lookups.
#include "gates_internal.h"
#include "test.h"

#include <string.h>

static const struct gates_table *t(void)
{
    return gates_table_builtin();
}

static struct version v(int minor)
{
    return (struct version){1, minor, 0};
}

// "G+L" of the matrix: stage, default, lock; "." for a gate that is not there.
static char *cell_of(const char *name, int minor)
{
    struct gate gate;
    if (!gates_find(t(), name, v(minor), &gate))
        return str_dup(".");
    return str_format("%c%c%s", stage_name(gate.stage)[0], gate.value ? '+' : '-',
                      gate.locked ? "L" : "");
}

TEST(dra_gates_are_as_the_release_sources_say)
{
    AUTO_MEM char *text = test_read(TEST_CASES_DIR "/dra-stages.txt");
    struct slice rest = slice_of(text), line;
    int rows = 0;
    slice_cut(&rest, '\n', &line); // the header: gate 1.26 .. 1.38
    while (slice_cut(&rest, '\n', &line) && line.len > 0) {
        struct slice name, want;
        slice_cut(&line, ' ', &name);
        AUTO_MEM char *gate = slice_dup(name);
        CHECK(gates_is_dra(t(), gate));
        for (int minor = 26; minor <= 38; minor++) {
            CHECK(slice_cut(&line, ' ', &want));
            AUTO_MEM char *expected = slice_dup(want);
            AUTO_MEM char *got = cell_of(gate, minor);
            if (!str_eq(got, expected))
                test_fail(__FILE__, __LINE__, "%s at 1.%d: %s, want %s", gate, minor, got,
                          expected);
        }
        rows++;
    }
    CHECK_INT(rows, 27);
}

TEST(covers_the_minors_without_a_gap)
{
    CHECK_INT(gates_table_oldest(t()).minor, 30);
    CHECK_INT(gates_table_newest(t()).minor, 38);
    CHECK_INT(gates_table_newest_release(t()).minor, 37);
    CHECK_STR(gates_table_release(t(), v(37)), "1.37.2");
    CHECK(!gates_table_is_preview(t(), v(37)) && gates_table_is_preview(t(), v(38)));
    CHECK(!gates_table_release(t(), v(39)) && !gates_table_is_preview(t(), v(39)));
    // Figures of the feature gates that the binaries of these minors list.
    AUTO_JSON json_t *newest = gates_list(t(), v(36), true);
    AUTO_JSON json_t *dra = gates_list(t(), v(36), false);
    CHECK(json_array_size(newest) > 200);
    CHECK_INT(json_array_size(dra), 21);
}

TEST(find_knows_who_reads_and_what_is_needed)
{
    struct gate gate;
    CHECK(gates_find(t(), "DRADeviceTaints", v(33), &gate));
    CHECK_STR(gate.requires_api, "resource.k8s.io/v1alpha3");
    CHECK_INT(gate.components, 1 << COMPONENT_APISERVER | 1 << COMPONENT_CONTROLLER_MANAGER |
                                   1 << COMPONENT_SCHEDULER);
    CHECK_STR(gate.depends_on[0], "DynamicResourceAllocation");
    CHECK(gates_find(t(), "DRADeviceTaints", v(35), &gate));
    CHECK(gate.requires_api == NULL);
    CHECK(gates_find(t(), "DRAResourceClaimDeviceStatus", v(33), &gate));
    CHECK_INT(gate.components, 1 << COMPONENT_APISERVER);
    CHECK(gate.depends_on[0] == NULL);
    CHECK(gates_find(t(), "ContainerCheckpoint", v(33), &gate));
    CHECK_INT(gate.components, 0);
    // The scheduler of 1.36 does not have this one; the others do.
    CHECK(gates_find(t(), "ControllerManagerReleaseLeaderElectionLockOnExit", v(36), &gate));
    CHECK_INT(gate.components, 1 << COMPONENT_APISERVER | 1 << COMPONENT_CONTROLLER_MANAGER |
                                   1 << COMPONENT_KUBELET);
    CHECK(!gates_find(t(), "NoSuchGate", v(33), &gate));
    CHECK(!gates_find(t(), "DynamicResourceAllocation", v(25), &gate));
    CHECK(!gates_find(t(), "DynamicResourceAllocation", (struct version){2, 33, 0}, &gate));
}

TEST(ever_tells_first_and_last)
{
    struct version first, last;
    CHECK(gates_ever(t(), "DRAControlPlaneController", &first, &last));
    CHECK_INT(first.minor, 31);
    CHECK_INT(last.minor, 31);
    CHECK(gates_ever(t(), "DynamicResourceAllocation", &first, &last));
    CHECK_INT(first.minor, 26);
    CHECK_INT(last.minor, 37);
    CHECK(!gates_ever(t(), "NoSuchGate", &first, &last));
}

TEST(nearest_is_near)
{
    CHECK_STR(gates_nearest(t(), "DynamicResourceAlocation", v(33)), "DynamicResourceAllocation");
    CHECK_STR(gates_nearest(t(), "draprioritizedlist", v(33)), "DRAPrioritizedList");
    CHECK(gates_nearest(t(), "DRAPriorotizedLst", v(32)) == NULL ||
          !str_eq(gates_nearest(t(), "DRAPriorotizedLst", v(32)), "DRAPrioritizedList"));
    CHECK(gates_nearest(t(), "SomethingElseEntirely", v(33)) == NULL);
    CHECK(gates_nearest(t(), "X", v(33)) == NULL);
}

TEST(kkp_flags_are_no_gates)
{
    CHECK(gates_is_kkp_flag("EtcdLauncher"));
    CHECK(gates_is_kkp_flag("KubeVirtAcceleratorQuota"));
    CHECK(!gates_is_kkp_flag("DynamicResourceAllocation"));
    struct version first, last;
    CHECK(!gates_ever(t(), "UserClusterMLA", &first, &last));
}

static void check_api(const char *group, int minor, const char *want)
{
    const json_t *api = gates_api(t(), group, v(minor));
    AUTO_MEM char *text = api == NULL ? str_dup("NULL") : doc_print_json(api);
    CHECK_STR(text, want);
    CHECK(gates_api(t(), group, v(minor)) == api);
}

TEST(api_versions_by_minor)
{
    check_api("resource.k8s.io", 25, "NULL");
    check_api("resource.k8s.io", 26,
              "{\"registered\":[\"v1alpha1\"],\"default\":[],\"clients\":\"v1alpha1\"}");
    check_api("resource.k8s.io", 29,
              "{\"registered\":[\"v1alpha2\"],\"default\":[],\"clients\":\"v1alpha2\"}");
    check_api("resource.k8s.io", 30,
              "{\"registered\":[\"v1alpha2\"],\"default\":[],\"clients\":\"v1alpha2\"}");
    check_api("resource.k8s.io", 31,
              "{\"registered\":[\"v1alpha3\"],\"default\":[],\"clients\":\"v1alpha3\"}");
    check_api("resource.k8s.io", 32,
              "{\"registered\":[\"v1beta1\",\"v1alpha3\"],\"default\":[],\"clients\":\"v1beta1\"}");
    check_api("resource.k8s.io", 33,
              "{\"registered\":[\"v1beta2\",\"v1beta1\",\"v1alpha3\"],\"default\":[],\"clients\":"
              "\"v1beta1\"}");
    check_api("resource.k8s.io", 34,
              "{\"registered\":[\"v1\",\"v1beta2\",\"v1beta1\",\"v1alpha3\"],\"default\":[\"v1\"],"
              "\"clients\":\"v1\"}");
    check_api("resource.k8s.io", 36,
              "{\"registered\":[\"v1\",\"v1beta2\",\"v1beta1\",\"v1alpha3\"],\"default\":[\"v1\"],"
              "\"clients\":\"v1\"}");
    check_api("no.such.group", 33, "NULL");
    CHECK(gates_api(t(), "scheduling.k8s.io", v(36)) != NULL);
}

TEST(versions_parse_as_nodes_print_them)
{
    struct version got;
    CHECK(version_parse("v1.33.13", &got) && got.major == 1 && got.minor == 33 && got.patch == 13);
    CHECK(version_parse("1.33", &got) && got.minor == 33 && got.patch == 0);
    CHECK(version_parse("v1.33.4-gke.1036000", &got) && got.patch == 4);
    CHECK(version_parse("v1.33.13+k3s1", &got) && got.patch == 13);
    static const char *const bad[] = {"fake",         "kwok-v0.8.0", "",        "1",       "v1.",
                                      "v1.x",         "1.33.",       "1.2.3.4", "v0.33.1", "1.33 ",
                                      "99999999999.1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(!version_parse(bad[i], &got));
    CHECK(!version_parse(NULL, &got));
    CHECK_STR_TAKE(version_format((struct version){1, 33, 13}), "v1.33.13");
    CHECK_STR_TAKE(version_format_minor((struct version){1, 33, 13}), "1.33");
    CHECK(version_compare_minor(v(33), v(34)) < 0 && version_compare_minor(v(34), v(33)) > 0);
    CHECK_INT(version_compare_minor((struct version){1, 33, 1}, (struct version){1, 33, 9}), 0);
}

TEST(api_versions_order_as_kubernetes_does)
{
    static const char *const order[] = {"v2",      "v1",       "v2beta1", "v1beta2",
                                        "v1beta1", "v1alpha3", "v1alpha2"};
    for (size_t i = 0; i + 1 < COUNT(order); i++)
        CHECK(gates_api_compare(order[i], order[i + 1]) < 0 &&
              gates_api_compare(order[i + 1], order[i]) > 0);
    CHECK_INT(gates_api_compare("v1", "v1"), 0);
}

// The form that a mounted file has is the form of data/: loading those gives the compiled table.
TEST(a_loaded_table_equals_the_compiled_one)
{
    AUTO_MEM char *a = test_read(TEST_SOURCE_ROOT "/operator/gates/data/gates.yaml");
    AUTO_MEM char *b = test_read(TEST_SOURCE_ROOT "/operator/gates/data/dra.yaml");
    AUTO_MEM char *c = test_read(TEST_SOURCE_ROOT "/operator/gates/data/features.yaml");
    AUTO_MEM char *both = str_format("%s\n---\n%s\n---\n%s", a, b, c);
    AUTO(gates_table) struct gates_table *loaded = NULL;
    CHECK_OK(gates_table_load(slice_of(both), "both", &loaded));
    for (int minor = 25; minor <= 39; minor++) {
        AUTO_JSON json_t *features_x = gates_features_list(loaded, v(minor));
        AUTO_JSON json_t *features_y = gates_features_list(t(), v(minor));
        CHECK(json_array_size(features_x) > 0 && doc_equal(features_x, features_y));
        AUTO_JSON json_t *x = gates_list(loaded, v(minor), true);
        AUTO_JSON json_t *y = gates_list(t(), v(minor), true);
        CHECK(doc_equal(x, y));
        CHECK(doc_equal(gates_api(loaded, "resource.k8s.io", v(minor)),
                        gates_api(t(), "resource.k8s.io", v(minor))));
    }
    CHECK_INT(gates_table_newest(loaded).minor, 38);
    CHECK(gates_table_is_preview(loaded, v(38)));
}

static void check_load_fails(const char *yaml, const char *part)
{
    struct gates_table *table;
    CHECK_ERR_HAS(gates_table_load(slice_of(yaml), "t.yaml", &table), ERROR_INVALID, part);
}

TEST(a_broken_table_is_refused)
{
    check_load_fails("gates: {}", "schema");
    check_load_fails("schema: 1", "kubernetes");
    check_load_fails("schema: 1\nkubernetes: {\"1.30\": x, \"1.32\": x}", "without a gap");
    check_load_fails("schema: 1\ngates: {A: {spans: [[\"1.31\", \"1.30\", ga, true, true]]}}",
                     "ends before it begins");
    check_load_fails("schema: 1\ngates: {A: {spans: [[\"1.30\", \"1.30\", gamma, true, true]]}}",
                     "a stage is");
    check_load_fails("schema: 1\ngates: {A: {spans: [[\"1.30\", \"1.30\", ga, 1, true]]}}",
                     "stage, default, locked");
    check_load_fails("schema: 1\ngates: {A: {spans: [[1.30, \"1.30\", ga, true, true]]}}",
                     "a minor is a string");
    check_load_fails("schema: 1\ngates: {A: {what: []}}", "not a field");
    check_load_fails("schema: 1\ngates: {A: {read_by: [[\"1.30\", \"1.30\", kube-proxy]]}}",
                     "not a component");
    check_load_fails("schema: 1\nfeatures: {A: {gates: [[\"1.30\", \"1.30\", 7]]}}",
                     "a name is a string");
    check_load_fails("schema: 1\nfeatures: {A: {what: x}}", "summary, gates and apis");
    check_load_fails("schema: 1\nfeatures: {\"A b\": {}}", "called like a feature gate");
    check_load_fails("schema: 1\nkubernetes: {\"1.30\": 1}", "a release is a string");
    check_load_fails("schema: 1\napis: {nothing: []}", "group/version is expected");
    check_load_fails("schema: 1\ngates: [", "t.yaml");
}

TEST_MAIN()

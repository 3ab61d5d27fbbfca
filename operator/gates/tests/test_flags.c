// SPDX-License-Identifier: Apache-2.0
// Reading and editing of --feature-gates and --runtime-config in every notation that components
// take.
#include "argv_internal.h"
#include "test.h"

#include <string.h>

static json_t *parse(const char *text)
{
    json_t *tree = NULL;
    if (text == NULL)
        return NULL;
    CHECK_OK(doc_parse_json(slice_of(text), "test", &tree));
    return tree;
}

static void check_tree(const json_t *got, const char *want)
{
    AUTO_MEM char *text = doc_print_json_sorted(got);
    CHECK_STR(text, want);
}

static struct gates_flags must_read(enum component component, const char *argv)
{
    AUTO_JSON json_t *tree = parse(argv);
    struct gates_flags flags;
    CHECK_OK(gates_flags_read(component, tree, &flags));
    return flags;
}

static void check_gates(enum component component, const char *argv, const char *want)
{
    AUTO_FLAGS struct gates_flags flags = must_read(component, argv);
    check_tree(flags.feature_gates, want);
}

static void check_runtime(const char *argv, const char *want)
{
    AUTO_FLAGS struct gates_flags flags = must_read(COMPONENT_APISERVER, argv);
    check_tree(flags.runtime_config, want);
}

static void check_refused(enum component component, const char *argv, const char *part)
{
    AUTO_JSON json_t *tree = parse(argv);
    struct gates_flags flags;
    CHECK_ERR_HAS(gates_flags_read(component, tree, &flags), ERROR_INVALID, part);
    struct gates_edits edits;
    AUTO_JSON json_t *set = parse("{\"X\": true}");
    CHECK_ERR_HAS(gates_flags_edit(component, tree, set, NULL, NULL, NULL, &edits), ERROR_INVALID,
                  part);
}

TEST(reads_both_notations_and_repeats)
{
    check_gates(COMPONENT_SCHEDULER, "[\"kube-scheduler\"]", "{}");
    check_gates(COMPONENT_SCHEDULER, "[\"kube-scheduler\",\"--feature-gates=A=true,B=false\"]",
                "{\"A\":true,\"B\":false}");
    check_gates(COMPONENT_SCHEDULER,
                "[\"kube-scheduler\",\"--feature-gates\",\"A=true\",\"--v=2\"]", "{\"A\":true}");
    check_gates(
        COMPONENT_SCHEDULER,
        "[\"x\",\"--feature-gates=A=true\",\"--v\",\"2\",\"--feature-gates\",\"B=true,A=false\"]",
        "{\"A\":false,\"B\":true}");
    check_gates(COMPONENT_SCHEDULER, "[\"x\",\"--feature_gates=A=true\"]", "{\"A\":true}");
    check_gates(COMPONENT_SCHEDULER, "[\"x\",\"--feature-gates=\"]", "{}");
    check_gates(COMPONENT_SCHEDULER, "[\"x\",\"--feature-gates= A = T ,,B=0,\"]",
                "{\"A\":true,\"B\":false}");
    check_gates(COMPONENT_SCHEDULER, "[\"x\",\"--feature-gates=\\\"A=true,B=1\\\"\"]",
                "{\"A\":true,\"B\":true}");
    // Behind "--" there are no flags; another program's flags in front of the component's name are
    // not its own.
    check_gates(COMPONENT_SCHEDULER, "[\"x\",\"--\",\"--feature-gates=A=true\"]", "{}");
    check_gates(COMPONENT_SCHEDULER,
                "[\"/tini\",\"--\",\"/usr/bin/kube-scheduler\",\"--feature-gates=A=true\"]",
                "{\"A\":true}");
    check_gates(COMPONENT_SCHEDULER, "[\"x\",\"--feature-gates-file=A\"]", "{}");
}

TEST(reads_the_prefix)
{
    AUTO_FLAGS struct gates_flags flags = must_read(
        COMPONENT_APISERVER,
        "[\"kube-apiserver\",\"--feature-gates=kube:A=true\",\"--feature-gates=kube: B=false\"]");
    check_tree(flags.feature_gates, "{\"A\":true,\"B\":false}");
    CHECK(flags.kube_prefix);
    check_refused(COMPONENT_APISERVER,
                  "[\"kube-apiserver\",\"--feature-gates=kube:A=true,B=true\"]", "mixes");
    check_refused(COMPONENT_APISERVER, "[\"kube-apiserver\",\"--feature-gates=foo:A=true\"]",
                  "prefix other than kube:");
    check_refused(COMPONENT_KUBELET, "[\"kubelet\",\"--feature-gates=kube:A=true\"]",
                  "which the kubelet does not take");
}

TEST(refuses_what_the_component_would)
{
    check_refused(COMPONENT_SCHEDULER, "[\"x\",\"--feature-gates=A\"]", "has no value");
    check_refused(COMPONENT_SCHEDULER, "[\"x\",\"--feature-gates=A=maybe\"]",
                  "neither true nor false");
    check_refused(COMPONENT_SCHEDULER, "[\"x\",\"--feature-gates==true\"]",
                  "names no feature gate");
    check_refused(COMPONENT_SCHEDULER, "[\"x\",\"--feature-gates\"]",
                  "--feature-gates has no value");
    check_refused(COMPONENT_KUBELET, "[\"x\",\"--feature-gates=A=true, \"]", "has no value");
    check_refused(COMPONENT_APISERVER, "[\"x\",\"--runtime-config=foo\"]", "neither group/version");
    check_refused(COMPONENT_APISERVER, "[\"x\",\"--runtime-config=a/v1/Pods=true\"]",
                  "neither group/version");
    check_refused(COMPONENT_APISERVER, "[\"x\",\"--runtime-config=api/beta=1\"]",
                  "exactly true or false");
    check_refused(COMPONENT_APISERVER, "[\"x\",\"--runtime-config=api/beta\"]",
                  "exactly true or false");
    check_refused(COMPONENT_APISERVER, "[\"x\",\"--runtime-config=apps/v1=on\"]",
                  "neither true nor false");
    check_refused(COMPONENT_APISERVER, "[\"x\",\"--emulated-version=latest\"]", "is not a version");
    check_refused(COMPONENT_APISERVER, "[]", "no arguments");
    check_refused(COMPONENT_APISERVER, "[\"x\",3]", "argument 1 is not a string");
    check_refused(COMPONENT_APISERVER, "{}", "not a list");
}

TEST(refuses_a_shell)
{
    check_refused(COMPONENT_APISERVER, "[\"sh\",\"-c\",\"exec kube-apiserver --x\"]",
                  "started by a shell");
    check_refused(COMPONENT_APISERVER, "[\"/bin/bash\",\"-ec\",\"/usr/bin/kube-apiserver\"]",
                  "started by a shell");
    check_refused(COMPONENT_APISERVER, "[\"/bin/sh\",\"/start.sh\"]", "started by a shell");
    check_refused(
        COMPONENT_SCHEDULER,
        "[\"w\",\"{\\\"command\\\":\\\"/bin/sh\\\",\\\"args\\\":[\\\"-c\\\",\\\"x\\\"]}\"]",
        "started by a shell");
}

TEST(reads_runtime_config_of_the_api_server_alone)
{
    check_runtime("[\"x\",\"--runtime-config=resource.k8s.io/v1beta1=true,api/all=false\"]",
                  "{\"api/all\":\"false\",\"resource.k8s.io/v1beta1\":\"true\"}");
    check_runtime("[\"x\",\"--runtime-config\",\"apps/v1\",\"--runtime-config=apps/v1=f,/v1=1\"]",
                  "{\"/v1\":\"true\",\"apps/v1\":\"false\"}");
    check_runtime("[\"x\",\"--runtime-config=v1,api/legacy=false\"]",
                  "{\"api/legacy\":\"false\",\"v1\":\"true\"}");
    check_runtime("[\"x\",\"--runtime-config=resource.k8s.io/v1alpha3/devicetaintrules=true\"]",
                  "{\"resource.k8s.io/v1alpha3/devicetaintrules\":\"true\"}");
    AUTO_FLAGS struct gates_flags flags =
        must_read(COMPONENT_SCHEDULER, "[\"x\",\"--runtime-config=apps/v1=true\"]");
    check_tree(flags.runtime_config, "{}");
}

TEST(reads_the_emulated_version)
{
    AUTO_FLAGS struct gates_flags flags =
        must_read(COMPONENT_APISERVER, "[\"x\",\"--emulated-version=1.33\"]");
    CHECK_INT(flags.emulated.minor, 33);
    AUTO_FLAGS struct gates_flags kube =
        must_read(COMPONENT_SCHEDULER, "[\"x\",\"--emulated-version\",\"other=1.2,kube=1.34\"]");
    CHECK_INT(kube.emulated.minor, 34);
    AUTO_FLAGS struct gates_flags none = must_read(COMPONENT_SCHEDULER, "[\"x\"]");
    CHECK_INT(none.emulated.major, 0);
}

static const char wrapper[] =
    "[\"/http-prober-bin/http-prober\",\"-endpoint\",\"https://a\",\"-command\","
    "\"{\\\"command\\\":\\\"/usr/local/bin/"
    "kube-scheduler\\\",\\\"args\\\":[\\\"--feature-gates\\\",\\\"A=true\\\", "
    "\\\"--x=\\\\u003c\\\"]}\"]";

TEST(reads_json_behind_a_wrapper)
{
    check_gates(COMPONENT_SCHEDULER, wrapper, "{\"A\":true}");
    check_gates(COMPONENT_SCHEDULER,
                "[\"w\",\"-command={\\\"command\\\":\\\"s\\\",\\\"args\\\":[\\\"--feature-gates=A="
                "true\\\"]}\"]",
                "{\"A\":true}");
    // Braces that are no wrapper's JSON are just text.
    check_gates(COMPONENT_SCHEDULER, "[\"w\",\"--x={a}\",\"--feature-gates=A=true\"]",
                "{\"A\":true}");
}

// --- editing -------------------------------------------------------------------------------------

static void apply(json_t *argv, const struct gates_edits *edits)
{
    for (size_t i = 0; i < edits->len; i++) {
        const struct gates_edit *e = &edits->items[i];
        if (e->what == EDIT_SET)
            CHECK_INT(json_array_set_new(argv, e->index, json_string(e->value)), 0);
        else if (e->what == EDIT_INSERT)
            CHECK_INT(json_array_insert_new(argv, e->index, json_string(e->value)), 0);
        else
            CHECK_INT(json_array_remove(argv, e->index), 0);
    }
}

// Edits, compares, and edits again: the second time nothing is left to do.
static void check_edit_all(enum component component, const char *argv, const char *set_gates,
                           const char *unset_gates, const char *set_runtime,
                           const char *unset_runtime, const char *want)
{
    AUTO_JSON json_t *tree = parse(argv);
    AUTO_JSON json_t *sg = parse(set_gates);
    AUTO_JSON json_t *ug = parse(unset_gates);
    AUTO_JSON json_t *sr = parse(set_runtime);
    AUTO_JSON json_t *ur = parse(unset_runtime);
    AUTO_EDITS struct gates_edits edits = {0};
    CHECK_OK(gates_flags_edit(component, tree, sg, ug, sr, ur, &edits));
    apply(tree, &edits);
    AUTO_MEM char *got = doc_print_json(tree);
    CHECK_STR(got, want);
    AUTO_EDITS struct gates_edits again = {0};
    CHECK_OK(gates_flags_edit(component, tree, sg, ug, sr, ur, &again));
    CHECK_INT(again.len, 0);
}

static void check_set(const char *argv, const char *set, const char *want)
{
    check_edit_all(COMPONENT_SCHEDULER, argv, set, NULL, NULL, NULL, want);
}

static void check_unset(const char *argv, const char *unset, const char *want)
{
    check_edit_all(COMPONENT_SCHEDULER, argv, NULL, unset, NULL, NULL, want);
}

TEST(merges_into_the_flag_that_is_there)
{
    check_set("[\"s\",\"--feature-gates=A=true\"]", "{\"D\":true,\"C\":false}",
              "[\"s\",\"--feature-gates=A=true,C=false,D=true\"]");
    check_set("[\"s\",\"--feature-gates\",\"A=true\",\"--v=2\"]", "{\"D\":true}",
              "[\"s\",\"--feature-gates\",\"A=true,D=true\",\"--v=2\"]");
    check_set("[\"s\",\"--feature-gates=Z=true, A = false ,B=true\"]", "{\"A\":true}",
              "[\"s\",\"--feature-gates=Z=true, A = true ,B=true\"]");
    // The last occurrence counts, and is the one that changes or takes new entries.
    check_set("[\"s\",\"--feature-gates=A=true\",\"--x=1\",\"--feature-gates=A=false\"]",
              "{\"A\":true,\"B\":true}",
              "[\"s\",\"--feature-gates=A=true\",\"--x=1\",\"--feature-gates=A=true,B=true\"]");
    check_set("[\"s\",\"--feature-gates=kube:A=true\"]", "{\"B\":true}",
              "[\"s\",\"--feature-gates=kube:A=true,kube:B=true\"]");
    check_set("[\"s\",\"--feature-gates=A=true,\"]", "{\"B\":true}",
              "[\"s\",\"--feature-gates=A=true,B=true,\"]");
    check_set("[\"s\",\"--feature-gates=\"]", "{\"B\":true}", "[\"s\",\"--feature-gates=B=true\"]");
    check_set("[\"s\",\"--feature-gates=\\\"A=true\\\"\"]", "{\"B\":true}",
              "[\"s\",\"--feature-gates=\\\"A=true,B=true\\\"\"]");
    // Another way to write what is wanted is left as it is.
    check_set("[\"s\",\"--feature-gates=A=T\"]", "{\"A\":true}", "[\"s\",\"--feature-gates=A=T\"]");
}

TEST(puts_a_new_flag_where_it_sorts)
{
    check_set("[\"s\",\"--a=1\",\"--leader-elect=true\"]", "{\"B\":true,\"A\":true}",
              "[\"s\",\"--a=1\",\"--feature-gates=A=true,B=true\",\"--leader-elect=true\"]");
    check_set("[\"s\",\"--a\",\"1\",\"--leader-elect=true\"]", "{\"A\":true}",
              "[\"s\",\"--a\",\"1\",\"--feature-gates=A=true\",\"--leader-elect=true\"]");
    check_set("[\"s\",\"--z=1\",\"--b=2\"]", "{\"A\":true}",
              "[\"s\",\"--z=1\",\"--b=2\",\"--feature-gates=A=true\"]");
    check_set("[\"s\"]", "{\"A\":true}", "[\"s\",\"--feature-gates=A=true\"]");
    check_set("[\"s\",\"--z=1\",\"--\",\"file\"]", "{\"A\":true}",
              "[\"s\",\"--feature-gates=A=true\",\"--z=1\",\"--\",\"file\"]");
    check_set("[\"s\",\"--a=1\",\"--\",\"file\"]", "{\"A\":true}",
              "[\"s\",\"--a=1\",\"--feature-gates=A=true\",\"--\",\"file\"]");
    check_set("[\"/tini\",\"--\",\"kube-scheduler\",\"--z=1\"]", "{\"A\":true}",
              "[\"/tini\",\"--\",\"kube-scheduler\",\"--feature-gates=A=true\",\"--z=1\"]");
}

// Found by the fuzzer: a value that looks like a flag is still a value.
TEST(never_parts_a_flag_from_its_value)
{
    check_edit_all(COMPONENT_APISERVER, "[\"a\",\"--feature-gates\",\"--v=0\"]", NULL, NULL,
                   "{\"apps/v1\":\"true\"}", NULL,
                   "[\"a\",\"--feature-gates\",\"--v=0\",\"--runtime-config=apps/v1=true\"]");
    check_set("[\"s\",\"--a\",\"-1\",\"--z=1\"]", "{\"A\":true}",
              "[\"s\",\"--a\",\"-1\",\"--feature-gates=A=true\",\"--z=1\"]");
}

TEST(takes_out_and_leaves_the_rest)
{
    check_unset("[\"s\",\"--feature-gates=A=true,B=true,C=true\"]", "[\"B\"]",
                "[\"s\",\"--feature-gates=A=true,C=true\"]");
    check_unset("[\"s\",\"--feature-gates=A=true,B=true\"]", "[\"A\"]",
                "[\"s\",\"--feature-gates=B=true\"]");
    check_unset("[\"s\",\"--feature-gates=A=true, B=true\"]", "{\"B\":true}",
                "[\"s\",\"--feature-gates=A=true\"]");
    check_unset("[\"s\",\"--feature-gates=A=true\",\"--v=2\"]", "[\"A\"]", "[\"s\",\"--v=2\"]");
    check_unset("[\"s\",\"--feature-gates\",\"A=true\",\"--v=2\"]", "[\"A\"]", "[\"s\",\"--v=2\"]");
    check_unset("[\"s\",\"--feature-gates=A=true\",\"--feature-gates=B=true,A=false\"]", "[\"A\"]",
                "[\"s\",\"--feature-gates=B=true\"]");
    check_unset("[\"s\",\"--feature-gates=A=true\"]", "[\"B\"]",
                "[\"s\",\"--feature-gates=A=true\"]");
    check_edit_all(COMPONENT_SCHEDULER, "[\"s\",\"--feature-gates=A=true\"]", "{\"B\":true}",
                   "[\"A\"]", NULL, NULL, "[\"s\",\"--feature-gates=B=true\"]");
}

TEST(edits_both_flags_of_the_api_server)
{
    check_edit_all(COMPONENT_APISERVER,
                   "[\"kube-apiserver\",\"--advertise-address=1.2.3.4\",\"--etcd-servers=x\",\"--"
                   "secure-port=6443\"]",
                   "{\"DynamicResourceAllocation\":true}", NULL,
                   "{\"resource.k8s.io/v1beta1\":\"true\"}", NULL,
                   "[\"kube-apiserver\",\"--advertise-address=1.2.3.4\",\"--etcd-servers=x\","
                   "\"--feature-gates=DynamicResourceAllocation=true\",\"--runtime-config=resource."
                   "k8s.io/v1beta1=true\","
                   "\"--secure-port=6443\"]");
    check_edit_all(COMPONENT_APISERVER, "[\"a\",\"--runtime-config=api/all=true,apps/v1\"]", NULL,
                   NULL, "{\"apps/v1\":\"false\"}", "[\"api/all\"]",
                   "[\"a\",\"--runtime-config=apps/v1=false\"]");
    // "group/version" alone is true already.
    check_edit_all(COMPONENT_APISERVER, "[\"a\",\"--runtime-config=apps/v1\"]", NULL, NULL,
                   "{\"apps/v1\":\"true\"}", NULL, "[\"a\",\"--runtime-config=apps/v1\"]");
}

TEST(edits_inside_the_wrapper_and_nothing_else)
{
    check_set(wrapper, "{\"B\":true}",
              "[\"/http-prober-bin/http-prober\",\"-endpoint\",\"https://a\",\"-command\","
              "\"{\\\"command\\\":\\\"/usr/local/bin/"
              "kube-scheduler\\\",\\\"args\\\":[\\\"--feature-gates\\\",\\\"A=true,B=true\\\", "
              "\\\"--x=\\\\u003c\\\"]}\"]");
    check_unset(wrapper, "[\"A\"]",
                "[\"/http-prober-bin/http-prober\",\"-endpoint\",\"https://a\",\"-command\","
                "\"{\\\"command\\\":\\\"/usr/local/bin/"
                "kube-scheduler\\\",\\\"args\\\":[\\\"--x=\\\\u003c\\\"]}\"]");
    check_set(
        "[\"w\",\"{\\\"command\\\":\\\"s\\\",\\\"args\\\":[]}\"]", "{\"A\":true}",
        "[\"w\",\"{\\\"command\\\":\\\"s\\\",\\\"args\\\":[\\\"--feature-gates=A=true\\\"]}\"]");
    check_set("[\"w\",\"{ \\\"args\\\" : [ \\\"--a=1\\\" , \\\"--z=1\\\" ], "
              "\\\"command\\\":\\\"s\\\"}\"]",
              "{\"A\":true}",
              "[\"w\",\"{ \\\"args\\\" : [ \\\"--a=1\\\" , "
              "\\\"--feature-gates=A=true\\\",\\\"--z=1\\\" ], \\\"command\\\":\\\"s\\\"}\"]");
    check_unset("[\"w\",\"{\\\"command\\\":\\\"s\\\",\\\"args\\\":[\\\"--a=1\\\",\\\"--feature-"
                "gates=A=true\\\"]}\"]",
                "[\"A\"]", "[\"w\",\"{\\\"command\\\":\\\"s\\\",\\\"args\\\":[\\\"--a=1\\\"]}\"]");
}

TEST(edits_a_wrapper_whose_key_is_written_with_escapes)
{
    check_set("[\"w\",\"{\\\"command\\\":\\\"s\\\",\\\"\\\\u0061rgs\\\":[\\\"--a=1\\\"]}\"]",
              "{\"A\":true}",
              "[\"w\",\"{\\\"command\\\":\\\"s\\\",\\\"\\\\u0061rgs\\\":[\\\"--a=1\\\","
              "\\\"--feature-gates=A=true\\\"]}\"]");
}

TEST(runtime_config_for_another_component_than_the_api_server_is_refused)
{
    AUTO_JSON json_t *argv = parse("[\"kube-scheduler\"]");
    AUTO_JSON json_t *runtime = parse("{\"resource.k8s.io/v1beta1\":\"true\"}");
    AUTO_EDITS struct gates_edits edits = {0};
    CHECK_ERR_HAS(gates_flags_edit(COMPONENT_SCHEDULER, argv, NULL, NULL, runtime, NULL, &edits),
                  ERROR_INVALID, "kube-scheduler has no --runtime-config");
}

// As Kubernetes 1.37.2 answers, with --feature-gates given twice.
TEST(reads_flagz)
{
    AUTO_JSON json_t *body = parse(
        "{\"kind\":\"Flagz\",\"apiVersion\":\"config.k8s.io/v1beta1\",\"flags\":{\"feature-gates\":"
        "\":DRAListTypeAttributes=true,:DRAResourcePoolStatus=false,:ContainerCheckpoint=true\","
        "\"runtime-config\":\"batch/v1=true,resource.k8s.io/v1alpha3=false\",\"emulated-version\":"
        "\"[]\"}}");
    AUTO_JSON json_t *prefixed =
        parse("{\"kind\":\"Flagz\",\"flags\":{\"feature-gates\":\"kube:A=true,kube:B=false\","
              "\"runtime-config\":\"\"}}");
    AUTO_JSON json_t *none =
        parse("{\"kind\":\"Flagz\",\"flags\":{\"feature-gates\":\"\",\"runtime-config\":\"\"}}");
    AUTO_JSON json_t *other = parse("{\"kind\":\"Status\",\"code\":406}");
    AUTO_JSON json_t *broken =
        parse("{\"kind\":\"Flagz\",\"flags\":{\"feature-gates\":\":A=perhaps\"}}");
    AUTO_JSON json_t *gates = parse("{\"DRAListTypeAttributes\":true,\"DRAResourcePoolStatus\":"
                                    "false,\"ContainerCheckpoint\":true}");
    AUTO_JSON json_t *runtime =
        parse("{\"batch/v1\":\"true\",\"resource.k8s.io/v1alpha3\":\"false\"}");
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO_FLAGS struct gates_flags with = {0};
    AUTO_FLAGS struct gates_flags without = {0};
    struct gates_flags unread;
    CHECK_OK(gates_flagz_read(body, &flags));
    CHECK(doc_equal(flags.feature_gates, gates) && doc_equal(flags.runtime_config, runtime));
    CHECK_OK(gates_flagz_read(prefixed, &with));
    CHECK_INT(json_object_size(with.feature_gates), 2);
    CHECK(json_is_false(json_object_get(with.feature_gates, "B")) && with.kube_prefix);
    CHECK_OK(gates_flagz_read(none, &without));
    CHECK_INT(json_object_size(without.feature_gates) + json_object_size(without.runtime_config),
              0);
    CHECK_ERR_HAS(gates_flagz_read(other, &unread), ERROR_INVALID, "no Flagz");
    CHECK_ERR_HAS(gates_flagz_read(broken, &unread), ERROR_INVALID, "neither true nor false");
}

TEST_MAIN()

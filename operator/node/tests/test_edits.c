// SPDX-License-Identifier: Apache-2.0
// Golden edits: cases/<name>/ holds the file before, the edit, and the file after, byte for byte.
// Whatever is not ours stays as it was.
#include "node_internal.h"
#include "testkit/test.h"

#include <string.h>

static char *case_path(const char *name, const char *file)
{
    return str_format(TEST_CASES_DIR "/%s/%s", name, file);
}

static struct error *run_edit(struct slice text, const json_t *edit, const json_t *set,
                              const json_t *unset, const json_t *set_runtime,
                              const json_t *unset_runtime, char **ret_text)
{
    enum component component;
    CHECK(component_parse(doc_str(edit, "component", NULL), &component));
    if (str_eq(doc_str(edit, "file", NULL), "env"))
        return node_kubelet_env_edit(text, "env", set, unset, ret_text);
    struct gates_flags_change change = {set, unset, set_runtime, unset_runtime};
    if (str_eq(doc_str(edit, "file", NULL), "kwok"))
        return node_kwok_edit(text, "kwok.yaml", component, &change, ret_text);
    if (component == COMPONENT_KUBELET)
        return node_edit_kubelet_config(text, "config.yaml", set, unset, ret_text);
    return node_edit_manifest(text, "pod.yaml", component, set, unset, set_runtime, unset_runtime,
                              ret_text);
}

static json_t *names_of(const json_t *map)
{
    json_t *names = json_array();
    const char *name;
    json_t *value;
    json_object_foreach(node_iterable(map), name, value)
        json_array_append_new(names, json_string(name));
    return names;
}

static void check_case(const char *name)
{
    AUTO_MEM char *before_path = case_path(name, "before"), *after_path = case_path(name, "after"),
                  *edit_path = case_path(name, "edit.json");
    AUTO_MEM char *before = test_read(before_path);
    AUTO_MEM char *after = test_read(after_path);
    AUTO_MEM char *edit_text = test_read(edit_path);
    AUTO_JSON json_t *edit = NULL;
    CHECK_OK(doc_parse_json(slice_of(edit_text), edit_path, &edit));
    const json_t *set = json_object_get(edit, "set"), *runtime = json_object_get(edit, "runtime"),
                 *unset = json_object_get(edit, "unset");
    AUTO_MEM char *once = NULL;
    AUTO_MEM char *twice = NULL;
    CHECK_OK(run_edit(slice_of(before), edit, set, unset, runtime, NULL, &once));
    CHECK_STR(once, after);
    CHECK_OK(run_edit(slice_of(once), edit, set, unset, runtime, NULL, &twice));
    CHECK_STR(twice, after);
    if (!json_is_true(json_object_get(edit, "back")))
        return;
    // The inverse edit, entry by entry, gives the bytes from before.
    AUTO_JSON json_t *gates = names_of(set);
    AUTO_JSON json_t *apis = names_of(runtime);
    AUTO_MEM char *back = NULL;
    CHECK_OK(run_edit(slice_of(after), edit, NULL, gates, NULL, apis, &back));
    CHECK_STR(back, before);
}

#define CASE(noun, name)                                                                           \
    TEST(noun)                                                                                     \
    {                                                                                              \
        check_case(name);                                                                          \
    }

CASE(kubeadm_apiserver, "kubeadm-apiserver")
CASE(crlf, "crlf")
CASE(other_gates, "other-gates")
CASE(two_arguments, "two-arguments")
CASE(repeats, "repeats-last-wins")
CASE(kube_prefix, "kube-prefix")
CASE(comments, "comments")
CASE(odd_indentation, "odd-indentation")
CASE(anchors, "anchors")
CASE(args, "args")
CASE(command_and_args, "command-and-args")
CASE(sidecar_first, "sidecar-first")
CASE(flow_style, "flow-style")
CASE(json, "json")
CASE(no_final_newline, "no-final-newline")
CASE(unset, "unset")
CASE(nothing_to_do, "nothing-to-do")
CASE(kwok, "kwok")
CASE(kwok_indented, "kwok-indented")
CASE(kubelet_none, "kubelet-none")
CASE(kubelet_some, "kubelet-some")
CASE(kubelet_other_value, "kubelet-other-value")
CASE(kubelet_flow, "kubelet-flow")
CASE(kubelet_null, "kubelet-null")
CASE(kubelet_crlf, "kubelet-crlf")
CASE(kubelet_unset_last, "kubelet-unset-last")
CASE(env_merge, "env-merge")
CASE(env_two_arguments, "env-two-arguments")
CASE(env_last_flag_goes, "env-last-flag-goes")

#define POD(containers)                                                                            \
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {component: "                          \
    "kube-scheduler}}\nspec:\n  containers:\n" containers

static void check_refused(const char *text, const char *part)
{
    AUTO_JSON json_t *argv = NULL;
    AUTO_MEM char *image = NULL;
    CHECK_ERR_HAS(
        node_read_manifest(slice_of(text), "pod.yaml", COMPONENT_SCHEDULER, &argv, &image),
        ERROR_INVALID, part);
    AUTO_JSON json_t *set = json_pack("{s:b}", "A", 1);
    AUTO_MEM char *edited = NULL;
    CHECK_ERR_HAS(node_edit_manifest(slice_of(text), "pod.yaml", COMPONENT_SCHEDULER, set, NULL,
                                     NULL, NULL, &edited),
                  ERROR_INVALID, part);
}

TEST(refuses_what_is_no_such_pod)
{
    check_refused("kind: ConfigMap\n", "not a Pod");
    check_refused("kind: Pod\nspec: {containers: 3}\n", "not a list");
    check_refused(POD("  - {name: other, command: [x]}\n"), "no container is kube-scheduler");
    check_refused(POD("  - {name: kube-scheduler}\n"), "neither command nor args");
    check_refused(POD("  - {name: a, command: [kube-scheduler]}\n  - {name: b, command: "
                      "[/bin/kube-scheduler]}\n"),
                  "more than one");
    check_refused(POD("  - {name: kube-scheduler, command: [/bin/sh, -c, exec kube-scheduler]}\n"),
                  "started by /bin/sh");
    check_refused(POD("  - {name: kube-scheduler, command: [kube-scheduler, 3]}\n"),
                  "command[1] is not a string");
    check_refused("kind: Pod\nspec: [\n", "pod.yaml:");
}

#define KWOK(items) "kind: KwokctlConfiguration\noptions: {runtime: binary}\ncomponents:\n" items
#define ITEM "- {name: kube-scheduler, binary: /b/kube-scheduler, workDir: /w, args: [--a=1]}\n"

static void check_kwok_refused(const char *text, enum error_kind kind, const char *part)
{
    AUTO_JSON json_t *set = json_pack("{s:b}", "A", 1);
    AUTO_MEM char *edited = NULL;
    struct gates_flags_change change = {.set_gates = set};
    CHECK_ERR_HAS(
        node_kwok_edit(slice_of(text), "kwok.yaml", COMPONENT_SCHEDULER, &change, &edited), kind,
        part);
}

TEST(refuses_what_is_no_such_kwok_cluster)
{
    check_kwok_refused("kind: Stage\n", ERROR_INVALID, "no KwokctlConfiguration");
    check_kwok_refused("", ERROR_INVALID, "no KwokctlConfiguration");
    check_kwok_refused("kind: KwokctlConfiguration\noptions: {runtime: docker}\n", ERROR_INVALID,
                       "options.runtime is \"docker\"");
    check_kwok_refused(KWOK("- {name: etcd}\n") "---\n" KWOK(ITEM), ERROR_NOT_FOUND,
                       "there is no kube-scheduler");
    check_kwok_refused(KWOK(ITEM ITEM), ERROR_INVALID, "kube-scheduler is there twice");
    check_kwok_refused(KWOK("- {name: kube-scheduler, binary: /b, workDir: w, args: [--a]}\n"),
                       ERROR_INVALID, "not absolute");
    check_kwok_refused(
        KWOK("- {name: kube-scheduler, binary: /b, workDir: /w, user: u, args: [--a]}\n"),
        ERROR_INVALID, "a user of its own");
    check_kwok_refused(KWOK("- {name: kube-scheduler, binary: /b, workDir: /w}\n"), ERROR_INVALID,
                       "has no args");
    check_kwok_refused(KWOK("- {name: kube-scheduler, binary: /b, workDir: /w, args: [--a, 3]}\n"),
                       ERROR_INVALID, "args[1] of kube-scheduler is not a string");
    check_kwok_refused(KWOK("- {name: kube-scheduler, binary: /b, workDir: /w, args: [x, --a]}\n"),
                       ERROR_INVALID, "begin with no flag");
    check_kwok_refused("kind: KwokctlConfiguration\noptions: {runtime: binary}\n"
                       "components: [{name: kube-scheduler}]\n",
                       ERROR_INVALID, "shares a line");
    check_kwok_refused(KWOK("- [\n"), ERROR_INVALID, "kwok.yaml:");
}

TEST(reads_argv_and_image)
{
    AUTO_JSON json_t *argv = NULL;
    AUTO_MEM char *image = NULL;
    const char *text =
        POD("  - {name: x, image: side, command: [x]}\n  - {name: y, image: "
            "'r/kube-scheduler:v1.34.1', command: [/bin/kube-scheduler], args: [--a, b]}\n");
    CHECK_OK(node_read_manifest(slice_of(text), "pod.yaml", COMPONENT_SCHEDULER, &argv, &image));
    CHECK_STR_TAKE(doc_print_json(argv), "[\"/bin/kube-scheduler\",\"--a\",\"b\"]");
    CHECK_STR(image, "r/kube-scheduler:v1.34.1");
}

TEST(reads_flags_in_both_notations)
{
    AUTO_JSON json_t *argv = json_pack("[s, s, s, s, s]", "kube-apiserver", "--secure-port", "6443",
                                       "--secure-port-x=1", "--bind-address=::");
    CHECK_STR(node_argv_flag(argv, "secure-port"), "6443");
    CHECK_STR(node_argv_flag(argv, "bind-address"), "::");
    CHECK(node_argv_flag(argv, "port") == NULL);
}

TEST(kubelet_config_of_another_kind)
{
    AUTO_JSON json_t *gates = NULL;
    CHECK_ERR_HAS(node_kubelet_config_gates(slice_of("kind: Pod\n"), "c", &gates), ERROR_INVALID,
                  "KubeletConfiguration");
    CHECK_ERR_HAS(node_kubelet_config_gates(
                      slice_of("kind: KubeletConfiguration\nfeatureGates: {A: 1}\n"), "c", &gates),
                  ERROR_INVALID, "featureGates.A");
}

TEST(env_words)
{
    AUTO_JSON json_t *argv = NULL;
    CHECK_OK(node_kubelet_env_argv(slice_of("A=b\nKUBELET_KUBEADM_ARGS=\"--x=1\t --y 2\"\r\n"),
                                   "env", &argv));
    CHECK_STR_TAKE(doc_print_json(argv), "[\"kubelet\",\"--x=1\",\"--y\",\"2\"]");
    AUTO_JSON json_t *none = NULL;
    CHECK_OK(node_kubelet_env_argv(slice_of(NULL), "env", &none));
    CHECK_STR_TAKE(doc_print_json(none), "[\"kubelet\"]");
}

TEST_MAIN()

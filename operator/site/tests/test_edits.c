// SPDX-License-Identifier: Apache-2.0
// Golden edits: cases/<name>/ holds the file before, the edit, and the file after, byte for byte.
// Whatever is not ours stays as it was.
#include <string.h>

#include "edit.h"
#include "test.h"

static char *case_path(const char *name, const char *file)
{
    return str_format(TEST_CASES_DIR "/%s/%s", name, file);
}

static struct error *run_edit(struct slice text, const json_t *edit, const struct change *change,
                              char **ret_text)
{
    const char *file = doc_str(edit, "file", NULL);
    struct site_place place = {.codec = &site_pod, .name = "pod.yaml"};
    CHECK(component_parse(doc_str(edit, "component", NULL), &place.component));
    if (str_eq(file, "kwok"))
        return edit_kwok(text, place.component, change, ret_text);
    if (str_eq(file, "env"))
        place.codec = &site_env_file;
    else if (place.component == COMPONENT_KUBELET)
        place.codec = &site_kubelet_configuration;
    return edit_text(&place, text, change, ret_text);
}

static json_t *names_of(const json_t *map)
{
    json_t *names = json_array();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
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
    struct change change = {set, unset, runtime, NULL};
    CHECK_OK(run_edit(slice_of(before), edit, &change, &once));
    CHECK_STR(once, after);
    CHECK_OK(run_edit(slice_of(once), edit, &change, &twice));
    CHECK_STR(twice, after);
    if (!json_is_true(json_object_get(edit, "back")))
        return;
    // The inverse edit, entry by entry, gives the bytes from before.
    AUTO_JSON json_t *gates = names_of(set);
    AUTO_JSON json_t *apis = names_of(runtime);
    AUTO_MEM char *back = NULL;
    change = (struct change){NULL, gates, NULL, apis};
    CHECK_OK(run_edit(slice_of(after), edit, &change, &back));
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

static const struct site_place pod = {&site_pod, COMPONENT_SCHEDULER, "pod.yaml", .at = NULL};

static void check_refused(const char *text, const char *part)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    CHECK_ERR_HAS(site_read_text(&pod, slice_of(text), &flags), ERROR_INVALID, part);
    AUTO_JSON json_t *set = json_pack("{s:b}", "A", 1);
    AUTO_MEM char *edited = NULL;
    struct change change = {.set_gates = set};
    CHECK_ERR_HAS(edit_text(&pod, slice_of(text), &change, &edited), ERROR_INVALID, part);
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
    struct change change = {.set_gates = set};
    CHECK_ERR_HAS(edit_kwok(slice_of(text), COMPONENT_SCHEDULER, &change, &edited), kind, part);
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

TEST(finds_argv_and_image)
{
    AUTO_JSON json_t *tree = NULL;
    struct site_container container;
    const char *text =
        POD("  - {name: x, image: side, command: [x]}\n  - {name: y, image: "
            "'r/kube-scheduler:v1.34.1', command: [/bin/kube-scheduler], args: [--a, b]}\n");
    CHECK_OK(doc_parse_yaml(slice_of(text), "pod.yaml", &tree));
    CHECK_OK(site_find(&pod, tree, &container));
    AUTO_JSON json_t *argv = site_container_argv(&container, COMPONENT_SCHEDULER);
    CHECK_STR_TAKE(doc_print_json(argv), "[\"/bin/kube-scheduler\",\"--a\",\"b\"]");
    CHECK_STR(doc_str(container.spec, "image", NULL), "r/kube-scheduler:v1.34.1");
}

TEST(kubelet_config_of_another_kind)
{
    struct site_place place = {&site_kubelet_configuration, COMPONENT_KUBELET, "c", .at = NULL};
    AUTO_FLAGS struct gates_flags flags = {0};
    CHECK_ERR_HAS(site_read_text(&place, slice_of("kind: Pod\n"), &flags), ERROR_INVALID,
                  "KubeletConfiguration");
    CHECK_ERR_HAS(site_read_text(&place,
                                 slice_of("kind: KubeletConfiguration\nfeatureGates: {A: 1}\n"),
                                 &flags),
                  ERROR_INVALID, "featureGates.A");
}

TEST(env_words)
{
    AUTO_JSON json_t *argv = NULL;
    CHECK_OK(
        site_env_argv(slice_of("A=b\nKUBELET_KUBEADM_ARGS=\"--x=1\t --y 2\"\r\n"), "env", &argv));
    CHECK_STR_TAKE(doc_print_json(argv), "[\"kubelet\",\"--x=1\",\"--y\",\"2\"]");
    AUTO_JSON json_t *none = NULL;
    CHECK_OK(site_env_argv(slice_of(NULL), "env", &none));
    CHECK_STR_TAKE(doc_print_json(none), "[\"kubelet\"]");
}

// The editor of kubeadm-flags.env believes nobody either.
TEST(nothing_that_splits_words_goes_into_the_kubelets_flags)
{
    static const char *const names[] = {"A B",  "A\rB", "A\nB", "A\tB",
                                        "A\"B", "A'B",  "A\\B", "A$B"};
    struct site_place place = {&site_env_file, COMPONENT_KUBELET, "env", .at = NULL};
    const char *env = "KUBELET_KUBEADM_ARGS=\"--feature-gates=X=true --v=2\"\n";
    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO_JSON json_t *set = json_object();
        AUTO_MEM char *text = NULL;
        json_object_set_new(set, names[i], json_true());
        struct change change = {.set_gates = set};
        CHECK_ERR_HAS(edit_text(&place, slice_of(env), &change, &text), ERROR_INVALID, "env");
    }
}

TEST(flags_that_go_on_where_they_do_not_seem_to_are_refused)
{
    static const char *const texts[] = {"KUBELET_KUBEADM_ARGS=\"--a=1\r--b=2\"\n",
                                        "KUBELET_KUBEADM_ARGS=--a=1 \\\n--b=2\n",
                                        "KUBELET_KUBEADM_ARGS=\"--a=1\n--b=2\"\n"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        json_t *argv = NULL;
        CHECK_ERR_HAS(site_env_argv(slice_of(texts[i]), "env", &argv), ERROR_INVALID,
                      "goes on in the next line");
    }
}

TEST_MAIN()

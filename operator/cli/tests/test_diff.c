// SPDX-License-Identifier: Apache-2.0
// What `drawbridge plan` shows is what will be written.
#include "plan.h"

#include "testkit/test.h"

#define FILE_TEXT "kind: KubeletConfiguration\nfeatureGates:\n"

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

// The diff of one kubelet's file, as its agent reported it.
static char *diff(const char *file_text, const char *reported_text, const char *want_text)
{
    AUTO_JSON json_t *reported = parse(reported_text);
    AUTO_JSON json_t *want = parse(want_text);
    AUTO_MEM char *path = test_path("config.yaml");
    struct plan_instance instance = {.id = (char *)(uintptr_t)"kubelet on n",
                                     .component = COMPONENT_KUBELET,
                                     .node = "n",
                                     .reported = reported};
    struct platform_observed observed = {.type = PLATFORM_KWOK, .instances = &instance, .len = 1};
    struct plan_step step = {.want = want, .changes = true};
    struct plan_view view = {
        .observed = &observed, .plan = {.steps = &step, .len = 1}, .kubelet_config = path};
    char *text = NULL;

    test_write(path, file_text);
    CHECK_OK(plan_view_diff(&view, &text));
    return text;
}

TEST(what_is_given_up_becomes_what_it_stood_in_for)
{
    AUTO_MEM char *text = diff(FILE_TEXT "  A: true\n  B: true\n",
                               "{owned: {featureGates: {A: true, B: true}},"
                               " replaced: {featureGates: {A: false}}}",
                               "{featureGates: {}}");

    CHECK_HAS(text, "-  A: true\n-  B: true\n+  A: false\n");
}

TEST(what_somebody_changed_since_is_not_taken_out)
{
    AUTO_MEM char *text = diff(FILE_TEXT "  A: false\n", "{owned: {featureGates: {A: true}}}",
                               "{featureGates: {C: true}}");

    CHECK_HAS(text, "   A: false\n+  C: true\n");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// The engine: whose an entry is, what it stands in for, and what giving it up leaves, on any codec.
#include "drawbridge/site.h"
#include "test.h"

// A document with one part, its record, and whether somebody else wrote since the last edit.
struct rig {
    struct site_place place;
    char *text, *before;
    json_t *owned, *replaced;
    bool touched;
};

static void rig_init(struct rig *rig, const struct site_codec *codec, enum component component,
                     const char *text)
{
    *rig = (struct rig){.place = {codec, component, "document", .at = NULL}, .text = str_dup(text)};
}

static void rig_fini(struct rig *rig)
{
    mem_free(rig->text);
    mem_free(rig->before);
    json_decref(rig->owned);
    json_decref(rig->replaced);
}

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

// The text with these gates, and the record as somebody would keep it.
static const char *ask(struct rig *rig, const char *gates)
{
    AUTO_JSON json_t *wanted = parse(gates);
    AUTO_JSON json_t *want = json_pack("{s:O}", site_kinds[0], wanted);
    AUTO_SITE_PART struct site_part part = {
        .place = rig->place, .owned = rig->owned, .replaced = rig->replaced, .want = want};
    AUTO_SITE_EDIT struct site_edit edit = {0};
    struct site_document document = {.now.text = slice_of(rig->text),
                                     .before.text = slice_of(rig->before),
                                     .untouched = !rig->touched};

    CHECK_OK(site_edit(&document, &part, 1, &edit));
    CHECK(edit.tree == NULL);
    if (edit.before != SITE_BEFORE_KEPT) {
        mem_free(rig->before);
        rig->before = edit.before == SITE_BEFORE_NOW ? TAKE(rig->text) : NULL;
    }
    mem_free(rig->text);
    rig->text = TAKE(edit.text);
    json_decref(rig->owned);
    json_decref(rig->replaced);
    rig->owned = TAKE(part.ret_owned);
    rig->replaced = TAKE(part.ret_replaced);
    rig->touched = false;
    return rig->text;
}

static void write_over(struct rig *rig, const char *text)
{
    mem_free(rig->text);
    rig->text = str_dup(text);
    rig->touched = true;
}

#define KUBELET "kind: KubeletConfiguration\n"

TEST(nothing_wanted_gives_the_bytes_back)
{
    struct rig rig;

    rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET,
             KUBELET "featureGates: {} # empty\n");
    CHECK_STR(ask(&rig, "{A: true, B: false}"),
              KUBELET "featureGates: {A: true, B: false} # empty\n");
    CHECK_STR(ask(&rig, "{B: true}"), KUBELET "featureGates: {B: true} # empty\n");
    CHECK_STR(ask(&rig, "{}"), KUBELET "featureGates: {} # empty\n");
    rig_fini(&rig);
}

TEST(what_somebody_wrote_meanwhile_stays)
{
    struct rig rig;

    rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET,
             KUBELET "featureGates:\n  A: false # theirs\n");
    CHECK_STR(ask(&rig, "{A: true, B: true}"),
              KUBELET "featureGates:\n  A: true # theirs\n  B: true\n");
    write_over(&rig, KUBELET "featureGates:\n  A: true # theirs\n  B: true\n  C: true\n");
    CHECK_STR(ask(&rig, "{A: true}"), KUBELET "featureGates:\n  A: true # theirs\n  C: true\n");
    CHECK(rig.before == NULL); // nobody knows what it was like without us
    CHECK_STR(ask(&rig, "{}"), KUBELET "featureGates:\n  A: false # theirs\n  C: true\n");
    rig_fini(&rig);
}

TEST(what_somebody_changed_is_no_longer_ours)
{
    struct rig rig;

    rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET, KUBELET);
    ask(&rig, "{A: true}");
    write_over(&rig, KUBELET "featureGates:\n  A: false\n");
    CHECK_STR(ask(&rig, "{}"), KUBELET "featureGates:\n  A: false\n");
    rig_fini(&rig);
}

TEST(where_nothing_of_ours_is_left_what_stands_is_kept_anew)
{
    struct rig rig;

    rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET, KUBELET);
    ask(&rig, "{A: true}");
    write_over(&rig, KUBELET "maxPods: 9\nfeatureGates: {} # theirs\n");
    ask(&rig, "{B: true}");
    CHECK_STR(rig.before, KUBELET "maxPods: 9\nfeatureGates: {} # theirs\n");
    CHECK_STR(ask(&rig, "{}"), KUBELET "maxPods: 9\nfeatureGates: {} # theirs\n");
    rig_fini(&rig);
}

TEST(the_engine_does_not_care_how_flags_are_written)
{
    const char *env = "KUBELET_KUBEADM_ARGS=\"--feature-gates=A=false --v=2\"\n";
    const char *args = "kind: ClusterConfiguration\nscheduler:\n  extraArgs:\n"
                       "  - name: feature-gates\n    value: A=false\n";
    struct rig rig;

    rig_init(&rig, &site_env_file, COMPONENT_KUBELET, env);
    CHECK_STR(ask(&rig, "{A: true, B: true}"),
              "KUBELET_KUBEADM_ARGS=\"--feature-gates=A=true,B=true --v=2\"\n");
    rig.touched = true;
    CHECK_STR(ask(&rig, "{}"), env);
    rig_fini(&rig);
    rig_init(&rig, &site_cluster_configuration, COMPONENT_SCHEDULER, args);
    ask(&rig, "{A: true, B: true}");
    rig.touched = true;
    CHECK_STR(ask(&rig, "{}"), args);
    rig_fini(&rig);
}

TEST(what_counts_from_elsewhere_is_not_said_again)
{
    AUTO_JSON json_t *want = parse("{featureGates: {A: true, B: true}}");
    AUTO_JSON json_t *elsewhere = parse("{featureGates: {A: true, B: false}}");
    AUTO_SITE_PART struct site_part part = {
        .place = {&site_kubelet_configuration, COMPONENT_KUBELET, "document", .at = NULL},
        .want = want,
        .elsewhere = elsewhere};
    AUTO_SITE_EDIT struct site_edit edit = {0};
    struct site_document document = {.now.text = slice_of(KUBELET)};

    CHECK_OK(site_edit(&document, &part, 1, &edit));
    CHECK_STR(edit.text, KUBELET "featureGates:\n  B: true\n");
    CHECK_STR_TAKE(doc_print_json(part.ret_owned),
                   "{\"featureGates\":{\"B\":true},\"runtimeConfig\":{}}");
}

TEST(parts_of_one_document_and_a_tree)
{
    AUTO_JSON json_t *object = parse("{a: {featureGates: {X: false}}, b: {}}");
    AUTO_JSON json_t *want = parse("{featureGates: {X: true}}");
    struct site_part parts[] = {
        {.place = {&site_gate_map, COMPONENT_APISERVER, "object", "/a/featureGates", false},
         .want = want},
        {.place = {&site_gate_map, COMPONENT_SCHEDULER, "object", "/b/featureGates", false},
         .want = want}};
    AUTO_SITE_EDIT struct site_edit edit = {0};
    struct site_document document = {.now.tree = object};

    CHECK_OK(site_edit(&document, parts, COUNT(parts), &edit));
    CHECK(edit.text == NULL && edit.before == SITE_BEFORE_NOW);
    CHECK_STR_TAKE(doc_print_json(edit.tree),
                   "{\"a\":{\"featureGates\":{\"X\":true}},\"b\":{\"featureGates\":{\"X\":true}}}");
    CHECK_STR_TAKE(doc_print_json(parts[0].ret_replaced),
                   "{\"featureGates\":{\"X\":false},\"runtimeConfig\":{}}");
    CHECK_STR_TAKE(doc_print_json(parts[1].ret_replaced),
                   "{\"featureGates\":{},\"runtimeConfig\":{}}");
    for (size_t i = 0; i < COUNT(parts); i++)
        site_part_fini(&parts[i]);
}

TEST(what_would_not_be_read_as_wanted_is_refused)
{
    AUTO_JSON json_t *want = parse("{featureGates: {'A,B': true}}");
    AUTO_JSON json_t *lists = parse("{args: [--v=2]}");
    AUTO_SITE_PART struct site_part part = {
        .place = {&site_lists, COMPONENT_SCHEDULER, "object", .at = NULL}, .want = want};
    AUTO_SITE_EDIT struct site_edit edit = {0};
    struct site_document document = {.now.tree = lists};
    AUTO(error) struct error *err = site_edit(&document, &part, 1, &edit);

    CHECK(err != NULL);
}

TEST_MAIN()

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

// --- entries that shall not stand ----------------------------------------------------------------

TEST(an_entry_that_shall_not_stand_is_taken_out_and_given_back)
{
    const char *theirs = KUBELET "featureGates:\n  A: true # theirs\n  B: false\n";
    struct rig rig;

    rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET, theirs);
    CHECK_STR(ask(&rig, "{A: null, C: true}"), KUBELET "featureGates:\n  B: false\n  C: true\n");
    CHECK_STR_TAKE(doc_print_json(rig.owned),
                   "{\"featureGates\":{\"A\":null,\"C\":true},\"runtimeConfig\":{}}");
    CHECK_STR_TAKE(doc_print_json(rig.replaced),
                   "{\"featureGates\":{\"A\":true},\"runtimeConfig\":{}}");
    CHECK_STR(ask(&rig, "{A: null}"), KUBELET "featureGates:\n  B: false\n");
    CHECK_STR(ask(&rig, "{A: null}"), KUBELET "featureGates:\n  B: false\n");
    CHECK_STR(ask(&rig, "{}"), theirs);
    rig_fini(&rig);
}

TEST(an_entry_that_was_taken_out_comes_back_beside_what_somebody_wrote)
{
    struct rig rig;

    rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET,
             KUBELET "featureGates:\n  A: true\n");
    CHECK_STR(ask(&rig, "{A: null}"), KUBELET);
    write_over(&rig, KUBELET "featureGates:\n  C: true\n");
    CHECK_STR(ask(&rig, "{A: null}"), KUBELET "featureGates:\n  C: true\n");
    CHECK(rig.before == NULL); // it is not what was there without us
    write_over(&rig, KUBELET "featureGates:\n  C: true\n");
    CHECK_STR(ask(&rig, "{}"), KUBELET "featureGates:\n  C: true\n  A: true\n");
    rig_fini(&rig);
}

TEST(what_somebody_wrote_back_is_theirs_and_goes_while_it_shall_not_stand)
{
    const char *again = KUBELET "featureGates:\n  A: false # anew\n";
    struct rig rig;

    rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET,
             KUBELET "featureGates:\n  A: true\n");
    ask(&rig, "{A: null}");
    write_over(&rig, again);
    CHECK_STR(ask(&rig, "{A: null}"), KUBELET);
    CHECK_STR(ask(&rig, "{}"), again);
    ask(&rig, "{A: null}");
    write_over(&rig, again);
    CHECK_STR(ask(&rig, "{}"), again); // nothing of ours is in it
    rig_fini(&rig);
}

TEST(what_does_not_stand_is_not_ours)
{
    struct rig rig;

    rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET, KUBELET);
    CHECK_STR(ask(&rig, "{A: null}"), KUBELET);
    CHECK_STR_TAKE(doc_print_json(rig.owned), "{\"featureGates\":{},\"runtimeConfig\":{}}");
    write_over(&rig, KUBELET "featureGates:\n  A: true\n");
    CHECK_STR(ask(&rig, "{}"), KUBELET "featureGates:\n  A: true\n");
    rig_fini(&rig);
}

TEST(a_value_becomes_an_absence_and_the_other_way_round)
{
    const char *theirs = KUBELET "featureGates:\n  A: false\n";
    struct rig rig;

    for (int touched = 0; touched < 2; touched++) {
        rig_init(&rig, &site_kubelet_configuration, COMPONENT_KUBELET, theirs);
        CHECK_STR(ask(&rig, "{A: true, B: true}"), KUBELET "featureGates:\n  A: true\n  B: true\n");
        rig.touched = touched;
        CHECK_STR(ask(&rig, "{A: null, B: null}"), KUBELET);
        CHECK_STR_TAKE(doc_print_json(rig.owned),
                       "{\"featureGates\":{\"A\":null},\"runtimeConfig\":{}}");
        rig.touched = touched;
        CHECK_STR(ask(&rig, "{A: true}"), KUBELET "featureGates:\n  A: true\n");
        rig.touched = touched;
        CHECK_STR(ask(&rig, "{}"), theirs);
        rig_fini(&rig);
    }
}

// How each way of writing flags says it with A and B of somebody else's, and without A; a way whose
// only entry goes loses its flag.
static const struct {
    const struct site_codec *codec;
    enum component component;
    const char *theirs, *without_a, *without;
} ways[] = {
    {&site_pod, COMPONENT_SCHEDULER,
     "kind: Pod\nspec:\n  containers:\n  - name: kube-scheduler\n    command:\n"
     "    - kube-scheduler\n    - --feature-gates=A=false,B=true\n    - --v=2\n",
     "kind: Pod\nspec:\n  containers:\n  - name: kube-scheduler\n    command:\n"
     "    - kube-scheduler\n    - --feature-gates=B=true\n    - --v=2\n",
     "kind: Pod\nspec:\n  containers:\n  - name: kube-scheduler\n    command:\n"
     "    - kube-scheduler\n    - --v=2\n"},
    {&site_lists, COMPONENT_SCHEDULER, "args:\n- --feature-gates=A=false,B=true\n- --v=2\n",
     "args:\n- --feature-gates=B=true\n- --v=2\n", "args:\n- --v=2\n"},
    {&site_kwok, COMPONENT_SCHEDULER,
     "- name: kube-scheduler\n  binary: /b\n  workDir: /w\n  args:\n"
     "  - --feature-gates=A=false,B=true\n  - --v=2\n",
     "- name: kube-scheduler\n  binary: /b\n  workDir: /w\n  args:\n"
     "  - --feature-gates=B=true\n  - --v=2\n",
     "- name: kube-scheduler\n  binary: /b\n  workDir: /w\n  args:\n  - --v=2\n"},
    {&site_cluster_configuration, COMPONENT_SCHEDULER,
     "kind: ClusterConfiguration\nscheduler:\n  extraArgs:\n"
     "  - name: feature-gates\n    value: A=false,B=true\n  - name: v\n    value: \"2\"\n",
     "kind: ClusterConfiguration\nscheduler:\n  extraArgs:\n"
     "  - name: feature-gates\n    value: B=true\n  - name: v\n    value: \"2\"\n",
     "kind: ClusterConfiguration\nscheduler:\n  extraArgs:\n  - name: v\n    value: \"2\"\n"},
    {&site_cluster_configuration, COMPONENT_SCHEDULER,
     "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nscheduler:\n  extraArgs:\n"
     "    feature-gates: A=false,B=true\n    v: \"2\"\n",
     "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nscheduler:\n  extraArgs:\n"
     "    feature-gates: B=true\n    v: \"2\"\n",
     "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nscheduler:\n  extraArgs:\n"
     "    v: \"2\"\n"},
    {&site_gate_map, COMPONENT_SCHEDULER, "A: false\nB: true\nC: true\n", "B: true\nC: true\n",
     "C: true\n"},
    {&site_kubelet_configuration, COMPONENT_KUBELET,
     KUBELET "featureGates:\n  A: false\n  B: true\n", KUBELET "featureGates:\n  B: true\n",
     KUBELET},
    {&site_env_file, COMPONENT_KUBELET,
     "KUBELET_KUBEADM_ARGS=\"--feature-gates=A=false,B=true --v=2\"\n",
     "KUBELET_KUBEADM_ARGS=\"--feature-gates=B=true --v=2\"\n", "KUBELET_KUBEADM_ARGS=\"--v=2\"\n"},
};

TEST(every_codec_takes_entries_out_and_puts_them_back)
{
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct rig rig;

        rig_init(&rig, ways[i].codec, ways[i].component, ways[i].theirs);
        CHECK_STR(ask(&rig, "{A: null}"), ways[i].without_a);
        CHECK_STR(ask(&rig, "{A: null, B: null}"), ways[i].without);
        CHECK_STR(ask(&rig, "{}"), ways[i].theirs);
        // Entry by entry what they said comes back too, wherever it stands then.
        CHECK_STR(ask(&rig, "{A: null, B: null}"), ways[i].without);
        rig.touched = true;
        CHECK_STR(ask(&rig, "{A: null, B: null}"), ways[i].without);
        rig.touched = true;
        ask(&rig, "{}");
        AUTO_FLAGS struct gates_flags flags = {0};
        CHECK_OK(site_read_text(&rig.place, slice_of(rig.text), &flags));
        CHECK(json_is_false(json_object_get(flags.feature_gates, "A")));
        CHECK(json_is_true(json_object_get(flags.feature_gates, "B")));
        rig_fini(&rig);
    }
}

TEST(runtime_config_goes_as_gates_do)
{
    AUTO_JSON json_t *want = parse("{runtimeConfig: {resource.k8s.io/v1beta1: null}}");
    AUTO_JSON json_t *lists =
        parse("{args: ['--runtime-config=resource.k8s.io/v1beta1=true,api/alpha=true']}");
    AUTO_SITE_PART struct site_part part = {
        .place = {&site_lists, COMPONENT_APISERVER, "object", .at = NULL}, .want = want};
    AUTO_SITE_EDIT struct site_edit edit = {0};
    struct site_document document = {.now.tree = lists};

    CHECK_OK(site_edit(&document, &part, 1, &edit));
    CHECK_STR_TAKE(doc_print_json(edit.tree), "{\"args\":[\"--runtime-config=api/alpha=true\"]}");
    CHECK_STR_TAKE(
        doc_print_json(part.ret_replaced),
        "{\"featureGates\":{},\"runtimeConfig\":{\"resource.k8s.io/v1beta1\":\"true\"}}");
}

TEST(an_absence_is_ours_while_nobody_says_otherwise)
{
    AUTO_JSON json_t *owned = parse("{featureGates: {A: null, B: null, C: true}}");
    AUTO_JSON json_t *gates = parse("{B: false, C: true}");
    struct gates_flags flags = {.feature_gates = gates};

    AUTO_JSON json_t *ours = site_ours(owned, &flags);

    CHECK_STR_TAKE(doc_print_json(json_object_get(ours, "featureGates")),
                   "{\"A\":null,\"C\":true}");
}

TEST(what_shall_not_stand_is_said_by_name_where_null_cannot_be_said)
{
    AUTO_JSON json_t *want = parse("{featureGates: {A: true}, withoutFeatureGates: [A, B], "
                                   "withoutRuntimeConfig: [g/v1], revision: r}");
    AUTO_JSON json_t *report = parse("{owned: {featureGates: {A: true}, runtimeConfig: {}}, "
                                     "removed: {featureGates: [B], runtimeConfig: []}}");
    AUTO_JSON json_t *wanted = site_wanted(want);
    AUTO_JSON json_t *owned = site_owned_of(report);
    AUTO_JSON json_t *removed = site_take_removed(owned);
    AUTO_JSON json_t *none = site_take_removed(owned);

    CHECK_STR_TAKE(doc_print_json(wanted),
                   "{\"featureGates\":{\"A\":true,\"B\":null},\"runtimeConfig\":{\"g/v1\":null}}");
    CHECK(doc_equal(removed, json_object_get(report, "removed")));
    CHECK(doc_equal(owned, json_object_get(report, "owned")));
    CHECK(none == NULL);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Hosted control planes as pure functions: which object is a component, the record, edits and ways
// back, and how far a roll-out is.
#include <string.h>

#include "hosted/hosted_internal.h"
#include "test.h"

#define NOW_MS 1764000000000
#define API                                                                                        \
    "{kind: Deployment, metadata: {name: kube-apiserver, namespace: t, resourceVersion: '7',"      \
    " generation: 3}, spec: {replicas: 2, template: {spec: {containers: ["                         \
    "{name: sidecar, image: x, args: [--v=9]},"                                                    \
    "{name: api, image: 'r:5000/kube-apiserver:v1.33.13@sha256:00', command: [kube-apiserver],"    \
    " args: [--v=2]}]}}}, status: {observedGeneration: 3, replicas: 2, updatedReplicas: 2,"        \
    " availableReplicas: 2}}"
#define WANT                                                                                       \
    "{revision: r1, expect: {DynamicResourceAllocation: true},"                                    \
    " featureGates: {DynamicResourceAllocation: true},"                                            \
    " runtimeConfig: {resource.k8s.io/v1beta1: 'true'}}"

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

static struct platform_part make(enum component component, enum platform_kind kind,
                                 const json_t *object)
{
    struct platform_part part;
    json_t *copy = doc_copy(object);

    CHECK_OK(hosted_part_make(component, kind, copy, json_incref(copy), &part));
    return part;
}

// Carries out the operations of a patch that these tests meet.
static json_t *patched(const json_t *object, const json_t *patch)
{
    json_t *result = doc_copy(object);

    for (size_t i = 0; i < json_array_size(patch); i++) {
        const json_t *op = json_array_get(patch, i);
        AUTO_MEM char *path = str_dup(doc_str(op, "path", NULL));
        char *slash = strrchr(path, '/'), *tilde = strstr(slash, "~1");
        json_t *parent;

        *slash++ = '\0';
        if (tilde) {
            tilde[0] = '/';
            memmove(tilde + 1, tilde + 2, strlen(tilde + 2) + 1);
        }
        parent = (json_t *)(uintptr_t)doc_pointer(result, path);
        CHECK(json_is_object(parent));
        if (str_eq(doc_str(op, "op", NULL), "remove"))
            CHECK_INT(json_object_del(parent, slash), 0);
        else
            json_object_set_new(parent, slash, doc_copy(json_object_get(op, "value")));
        CHECK(!str_eq(doc_str(op, "op", NULL), "replace") || json_object_get(op, "value"));
    }
    return result;
}

// The object after want was written.
static json_t *written(enum component component, enum platform_kind kind, const json_t *object,
                       const char *want_text)
{
    struct platform_part part = make(component, kind, object);
    AUTO_JSON json_t *want = parse(want_text);
    AUTO_JSON json_t *lists = NULL;
    AUTO_JSON json_t *record = NULL;
    AUTO_JSON json_t *patch = NULL;
    json_t *result;

    CHECK_OK(platform_record_edit(&part, want, NOW_MS, &lists, &record));
    patch = hosted_patch(&part, lists, record);
    CHECK_STR(doc_str(json_array_get(patch, 0), "path", NULL), "/metadata/resourceVersion");
    result = patched(object, patch);
    platform_part_fini(&part);
    return result;
}

static json_t *put_back(enum component component, enum platform_kind kind, const json_t *object)
{
    struct platform_part part = make(component, kind, object);
    AUTO_JSON json_t *lists = NULL;
    AUTO_JSON json_t *record = NULL;
    AUTO_JSON json_t *patch = NULL;
    json_t *result;

    part.reason = "ComponentNotReady";
    part.message = str_dup("it did not come up");
    CHECK_OK(platform_record_put_back(&part, NOW_MS, &lists, &record));
    patch = hosted_patch(&part, lists, record);
    result = patched(object, patch);
    platform_part_fini(&part);
    return result;
}

static void check_same_spec(const json_t *a, const json_t *b)
{
    CHECK(doc_equal(json_object_get(a, "spec"), json_object_get(b, "spec")));
}

static const char *arg(const json_t *object, const char *container, const char *index)
{
    return doc_str(object, "spec", "template", "spec", "containers", container, "args", index,
                   NULL);
}

TEST(by_name_and_by_label)
{
    AUTO_JSON json_t *none = json_object();
    AUTO_JSON json_t *named = parse("{apiServer: {name: a}, scheduler: {selector: x=y}}");
    AUTO_JSON json_t *by_name = parse("{metadata: {name: kube-apiserver}}");
    AUTO_JSON json_t *by_label = parse("{metadata: {name: a, labels: {k8s-app: kube-apiserver}}}");
    AUTO_JSON json_t *scheduler = parse("{metadata: {name: kube-scheduler}}");

    CHECK(hosted_matches(NULL, COMPONENT_APISERVER, by_name));
    CHECK(hosted_matches(none, COMPONENT_APISERVER, by_label));
    CHECK(!hosted_matches(none, COMPONENT_SCHEDULER, by_label));
    CHECK(!hosted_matches(named, COMPONENT_APISERVER, by_name));
    CHECK(hosted_matches(named, COMPONENT_APISERVER, by_label));
    CHECK(!hosted_matches(named, COMPONENT_SCHEDULER, scheduler)); // its selector says which
    CHECK_STR(hosted_selector(named, COMPONENT_SCHEDULER), "x=y");
}

static void check_refused(struct error *take_err, const char *words)
{
    AUTO(error) struct error *err = take_err;

    CHECK(err != NULL);
    CHECK_INT(error_kind(err), ERROR_INVALID);
    CHECK_STR(error_reason(err), "NotManaged");
    CHECK(strstr(error_text(err), words) != NULL);
}

TEST(owners_are_named)
{
    AUTO_JSON json_t *owned =
        parse("{metadata: {ownerReferences: [{kind: ReplicaSet, name: no, apiVersion: apps/v1},"
              " {kind: Cluster, name: abc, apiVersion: kubermatic.k8c.io/v1, controller: true}]}}");
    AUTO_JSON json_t *flux =
        parse("{metadata: {labels: {kustomize.toolkit.fluxcd.io/name: apps}}}");
    AUTO_JSON json_t *argo =
        parse("{metadata: {annotations: {argocd.argoproj.io/tracking-id: 'a:apps/Deployment'}}}");
    AUTO_JSON json_t *helm = parse("{metadata: {labels: {app.kubernetes.io/managed-by: Helm}}}");

    check_refused(platform_check_owner(owned, "here", NULL),
                  "here is owned by Cluster abc (kubermatic.k8c.io/v1)");
    check_refused(platform_check_owner(flux, "here", NULL), "the Flux Kustomization apps");
    check_refused(platform_check_owner(argo, "here", NULL),
                  "the Argo CD Application of a:apps/Deployment");
    CHECK_OK(platform_check_owner(helm, "here", NULL)); // it does nothing by itself
}

TEST(what_would_not_roll_out_is_refused)
{
    AUTO_JSON json_t *paused = parse("{spec: {paused: true}}");
    AUTO_JSON json_t *on_delete = parse("{spec: {updateStrategy: {type: OnDelete}}}");
    AUTO_JSON json_t *part =
        parse("{spec: {updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}}}");

    check_refused(hosted_check_strategy(KIND_DEPLOYMENT, paused, "here"), "is paused");
    check_refused(hosted_check_strategy(KIND_STATEFUL_SET, on_delete, "here"), "OnDelete");
    check_refused(hosted_check_strategy(KIND_STATEFUL_SET, part, "here"), "partition");
    CHECK_OK(hosted_check_strategy(KIND_DEPLOYMENT, part, "here"));
}

TEST(an_edit_and_the_way_back)
{
    AUTO_JSON json_t *object = parse(API);
    AUTO_JSON json_t *after = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, object, WANT);
    AUTO_JSON json_t *back = put_back(COMPONENT_APISERVER, KIND_DEPLOYMENT, after);
    struct platform_part part = make(COMPONENT_APISERVER, KIND_DEPLOYMENT, after);

    CHECK_STR(arg(after, "0", "0"), "--v=9");
    CHECK_STR(arg(after, "1", "0"), "--feature-gates=DynamicResourceAllocation=true");
    CHECK_STR(arg(after, "1", "1"), "--runtime-config=resource.k8s.io/v1beta1=true");
    CHECK(part.stands);
    CHECK_INT(part.version.minor, 33);
    CHECK_STR(doc_str(part.record, "revision", NULL), "r1");
    check_same_spec(object, back);
    platform_part_fini(&part);
    part = make(COMPONENT_APISERVER, KIND_DEPLOYMENT, back);
    CHECK_STR(doc_str(part.record, "failed", "message", NULL), "it did not come up");
    CHECK_STR(doc_str(part.record, "revision", NULL), "r1");
    platform_part_fini(&part);
}

TEST(nothing_wanted_gives_back_what_was)
{
    AUTO_JSON json_t *object = parse(API);
    AUTO_JSON json_t *after = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, object, WANT);
    AUTO_JSON json_t *more = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, after,
                                     "{revision: r2, featureGates: {A: true, "
                                     "DynamicResourceAllocation: true}, runtimeConfig: {}}");
    AUTO_JSON json_t *less = put_back(COMPONENT_APISERVER, KIND_DEPLOYMENT, more);
    AUTO_JSON json_t *none =
        written(COMPONENT_APISERVER, KIND_DEPLOYMENT, more, "{revision: r3, featureGates: {}}");

    CHECK_STR(arg(more, "1", "0"), "--feature-gates=A=true,DynamicResourceAllocation=true");
    CHECK_STR(arg(more, "1", "1"), "--v=2");
    check_same_spec(less, after); // one step back, not all
    check_same_spec(none, object);
}

TEST(a_later_change_of_somebody_stays)
{
    AUTO_JSON json_t *object = parse(API);
    AUTO_JSON json_t *after = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, object, WANT);
    AUTO_JSON json_t *back = NULL;
    AUTO_JSON json_t *none = NULL;
    json_t *args = (json_t *)(uintptr_t)doc_get(after, "spec", "template", "spec", "containers",
                                                "1", "args", NULL);

    json_array_append_new(args, json_string("--theirs"));
    json_array_set_new(args, 0,
                       json_string("--feature-gates=B=true,DynamicResourceAllocation=true"));
    back = put_back(COMPONENT_APISERVER, KIND_DEPLOYMENT, after);
    none = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, after, "{revision: r3, featureGates: {}}");
    CHECK_STR(arg(back, "1", "0"), "--feature-gates=B=true");
    CHECK_STR(arg(back, "1", "1"), "--v=2");
    CHECK_STR(arg(back, "1", "2"), "--theirs");
    CHECK_STR(arg(back, "1", "3"), "");
    check_same_spec(back, none);
}

TEST(a_later_change_of_somebody_outlives_the_way_back)
{
    AUTO_JSON json_t *object = parse(API);
    AUTO_JSON json_t *after = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, object, WANT);
    AUTO_JSON json_t *more = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, after,
                                     "{revision: r2, featureGates: {A: true, "
                                     "DynamicResourceAllocation: true}, runtimeConfig: {}}");
    AUTO_JSON json_t *back = NULL;
    AUTO_JSON json_t *none = NULL;

    json_array_append_new((json_t *)(uintptr_t)doc_get(more, "spec", "template", "spec",
                                                       "containers", "1", "args", NULL),
                          json_string("--theirs"));
    back = put_back(COMPONENT_APISERVER, KIND_DEPLOYMENT, more);
    none = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, back, "{revision: r3, featureGates: {}}");
    CHECK_STR(arg(none, "1", "0"), "--v=2");
    CHECK_STR(arg(none, "1", "1"), "--theirs");
}

TEST(a_value_of_somebody_comes_back)
{
    AUTO_JSON json_t *object =
        parse("{metadata: {name: s, namespace: t, annotations: {}}, spec: {template: {spec: "
              "{containers: [{image: 'k:v1.33.1', command: [kube-scheduler,"
              " '--feature-gates=DynamicResourceAllocation=false']}]}}}}");
    AUTO_JSON json_t *after =
        written(COMPONENT_SCHEDULER, KIND_DEPLOYMENT, object,
                "{revision: r1, featureGates: {DynamicResourceAllocation: true}}");
    AUTO_JSON json_t *none = NULL;
    struct platform_part part = make(COMPONENT_SCHEDULER, KIND_DEPLOYMENT, after);

    CHECK(json_is_false(
        doc_get(part.record, "replaced", "featureGates", "DynamicResourceAllocation", NULL)));
    json_array_append_new((json_t *)(uintptr_t)doc_get(after, "spec", "template", "spec",
                                                       "containers", "0", "command", NULL),
                          json_string("--theirs"));
    none = written(COMPONENT_SCHEDULER, KIND_DEPLOYMENT, after, "{revision: r3, featureGates: {}}");
    CHECK_STR(doc_str(none, "spec", "template", "spec", "containers", "0", "command", "1", NULL),
              "--feature-gates=DynamicResourceAllocation=false");
    platform_part_fini(&part);
}

TEST(extra_args_are_made_and_taken_away)
{
    AUTO_JSON json_t *object =
        parse("{kind: TenantControlPlane, metadata: {name: a, namespace: t}, spec: {controlPlane: "
              "{deployment: {replicas: 1}}, kubernetes: {version: v1.33.13}}}");
    AUTO_JSON json_t *one = written(COMPONENT_APISERVER, KIND_TENANT_CONTROL_PLANE, object, WANT);
    AUTO_JSON json_t *two =
        written(COMPONENT_SCHEDULER, KIND_TENANT_CONTROL_PLANE, one,
                "{revision: r1, featureGates: {DynamicResourceAllocation: true}}");
    AUTO_JSON json_t *back_one = written(COMPONENT_SCHEDULER, KIND_TENANT_CONTROL_PLANE, two,
                                         "{revision: r2, featureGates: {}}");
    AUTO_JSON json_t *back = written(COMPONENT_APISERVER, KIND_TENANT_CONTROL_PLANE, back_one,
                                     "{revision: r2, featureGates: {}}");

    CHECK_STR(
        doc_str(two, "spec", "controlPlane", "deployment", "extraArgs", "scheduler", "0", NULL),
        "--feature-gates=DynamicResourceAllocation=true");
    check_same_spec(back_one, one);
    check_same_spec(back, object);
}

TEST(a_record_that_is_damaged_is_none)
{
    static const char *const texts[] = {
        "[", "[]", "null", "\"x\"", "{\"owned\": 3}", "{\"owned\": {\"featureGates\": []}}", "{}"};

    for (size_t i = 0; i < COUNT(texts); i++) {
        AUTO_JSON json_t *object = parse(API);
        struct platform_part part;
        AUTO_JSON json_t *after = NULL;

        doc_set(object, json_string(texts[i]), "metadata", "annotations",
                "drawbridge.dev/kube-apiserver", NULL);
        part = make(COMPONENT_APISERVER, KIND_DEPLOYMENT, object);
        CHECK_INT(json_object_size(json_object_get(part.owned, "featureGates")), 0);
        platform_part_fini(&part);
        after = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, object, WANT);
        CHECK_STR(arg(after, "1", "0"), "--feature-gates=DynamicResourceAllocation=true");
    }
}

TEST(a_record_that_is_too_large_is_refused)
{
    AUTO_JSON json_t *object = parse(API);
    AUTO_JSON json_t *want = parse(WANT);
    AUTO_JSON json_t *lists = NULL;
    AUTO_JSON json_t *record = NULL;
    AUTO_MEM char *word = mem_alloc(40001);
    struct platform_part part;

    memset(word, 'x', 40000);
    json_array_append_new((json_t *)(uintptr_t)doc_get(object, "spec", "template", "spec",
                                                       "containers", "1", "args", NULL),
                          json_string(word));
    part = make(COMPONENT_APISERVER, KIND_DEPLOYMENT, object);
    AUTO(error) struct error *err = platform_record_edit(&part, want, NOW_MS, &lists, &record);
    CHECK_INT(error_kind(err), ERROR_LIMIT);
    platform_part_fini(&part);
}

// --- roll-outs -----------------------------------------------------------------------------------

struct story {
    json_t *object, *enabled;
    struct platform_target target;
    struct platform_look look;
    uint64_t again_ms;
    enum platform_need need;
};

// Four seconds after WANT was written, with 10 s for it.
static struct story story_new(const char *status)
{
    AUTO_JSON json_t *object = parse(API);
    struct story story = {.object = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, object, WANT)};

    json_object_set_new(story.object, "status", parse(status));
    story.target = (struct platform_target){.component_timeout_ms = 10000};
    story.look = (struct platform_look){.now_wall_ms = NOW_MS + 4000};
    return story;
}

static const char *state_of(struct story *story)
{
    static char text[256];
    struct platform_part part = make(COMPONENT_APISERVER, KIND_DEPLOYMENT, story->object);
    AUTO_JSON json_t *report = NULL;

    story->look.target = &story->target;
    story->look.enabled = story->enabled;
    story->again_ms = 0;
    report = platform_part_report(&part, &story->look, &story->again_ms);
    story->need = part.need;
    snprintf(text, sizeof(text), "%s %s", doc_str(report, "state", NULL),
             part.reason ? part.reason : doc_str(report, "reason", NULL));
    platform_part_fini(&part);
    return text;
}

static void story_fini(struct story *story)
{
    json_decref(story->object);
    json_decref(story->enabled);
}

#define COMPLETE "{observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2}"
#define HALF "{observedGeneration: 3, replicas: 3, updatedReplicas: 1, availableReplicas: 2}"

TEST(waits_for_the_controller_and_every_replica)
{
    static const char *const waiting[] = {
        "{observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2}",
        HALF,
        "{observedGeneration: 3, replicas: 3, updatedReplicas: 2, availableReplicas: 2}",
        "{observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 1}",
        "{}",
    };

    for (size_t i = 0; i < COUNT(waiting); i++) {
        struct story story = story_new(waiting[i]);

        CHECK_STR(state_of(&story), "Updating ");
        CHECK_INT(story.need, NEED_NOTHING);
        CHECK_INT(story.again_ms, 6000);
        story_fini(&story);
    }
}

TEST(complete_is_settled_once)
{
    struct story story = story_new(COMPLETE);
    struct platform_part part;
    AUTO_JSON json_t *record = NULL;
    AUTO_JSON json_t *patch = NULL;

    CHECK_STR(state_of(&story), "UpToDate ");
    CHECK_INT(story.need, NEED_SETTLE);
    part = make(COMPONENT_APISERVER, KIND_DEPLOYMENT, story.object);
    record = platform_record_settle(&part, NOW_MS);
    patch = hosted_patch(&part, NULL, record);
    CHECK_INT(json_array_size(patch), 2); // the precondition and the record alone
    platform_part_fini(&part);
    json_t *settled = patched(story.object, patch);
    json_decref(story.object);
    story.object = settled;
    CHECK_STR(state_of(&story), "UpToDate ");
    CHECK_INT(story.need, NEED_NOTHING);
    // A pod that is missing long after is no failure of the edit.
    json_object_set_new(story.object, "status", parse(HALF));
    story.look.now_wall_ms = NOW_MS + 3600000;
    CHECK_STR(state_of(&story), "UpToDate ");
    CHECK_INT(story.need, NEED_NOTHING);
    story_fini(&story);
}

TEST(too_late_is_put_back)
{
    struct story story = story_new(HALF);

    story.look.now_wall_ms = NOW_MS + 10000;
    CHECK_STR(state_of(&story), "Updating ComponentNotReady");
    CHECK_INT(story.need, NEED_PUT_BACK);
    story_fini(&story);
    story =
        story_new("{observedGeneration: 3, replicas: 3, updatedReplicas: 1, availableReplicas: 2,"
                  " conditions: [{type: Progressing, status: 'False',"
                  " reason: ProgressDeadlineExceeded}]}");
    CHECK_STR(state_of(&story), "Updating ComponentNotReady");
    CHECK_INT(story.need, NEED_PUT_BACK);
    story_fini(&story);
}

TEST(read_back_counts_where_it_can_be_asked)
{
    struct story story = story_new(COMPLETE);

    story.look.asked = true;
    CHECK_STR(state_of(&story), "Updating ");
    CHECK_INT(story.again_ms, PLATFORM_READ_AGAIN_MS);
    story.enabled = parse("{DynamicResourceAllocation: false}");
    CHECK_STR(state_of(&story), "Updating ");
    story.look.now_wall_ms = NOW_MS + 10000;
    CHECK_STR(state_of(&story), "Updating ReadBackMismatch");
    CHECK_INT(story.need, NEED_PUT_BACK);
    json_decref(story.enabled);
    story.enabled = parse("{DynamicResourceAllocation: true}");
    CHECK_STR(state_of(&story), "UpToDate ");
    // One that cannot be reached is not taken back for that.
    json_decref(story.enabled);
    story.enabled = NULL;
    CHECK_STR(state_of(&story), "UpToDate ");
    story_fini(&story);
}

TEST(what_was_put_back_has_its_time_too)
{
    struct story story = story_new(COMPLETE);
    json_t *back = put_back(COMPONENT_APISERVER, KIND_DEPLOYMENT, story.object);

    json_decref(story.object);
    story.object = back;
    CHECK_STR(state_of(&story), "Failed ComponentNotReady");
    json_object_set_new(story.object, "status", parse(HALF));
    CHECK_STR(state_of(&story), "RollingBack ");
    story.look.now_wall_ms = NOW_MS + 10000;
    CHECK_STR(state_of(&story), "Failed RollbackFailed");
    story.target.fresh = true;
    CHECK_STR(state_of(&story), "Observed ");
    CHECK_INT(story.need, NEED_FORGET);
    story_fini(&story);
}

TEST(long_words_of_a_pod_that_is_not_ascii_do_not_end_the_way_back)
{
    AUTO_JSON json_t *object = parse(API);
    AUTO_JSON json_t *after = written(COMPONENT_APISERVER, KIND_DEPLOYMENT, object, WANT);
    AUTO_JSON json_t *pod = parse("{metadata: {name: a}, status: {conditions: ["
                                  "{type: PodScheduled, status: 'False', reason: U}]}}");
    struct platform_part part = make(COMPONENT_APISERVER, KIND_DEPLOYMENT, after);
    AUTO_JSON json_t *lists = NULL;
    AUTO_JSON json_t *record = NULL;

    for (size_t odd = 0; odd < 2; odd++) {
        AUTO_BUF struct buf message = buf_make(1000);
        AUTO_MEM char *printed = NULL;
        buf_add(&message, "xx", odd);
        while (message.len < 600)
            buf_add_str(&message, "\xC3\xA4");
        json_object_set_new(json_array_get(doc_get(pod, "status", "conditions", NULL), 0),
                            "message", json_string(message.ptr));
        part.reason = "ComponentNotReady";
        part.message = rollout_pod_words(pod);
        CHECK(strlen(part.message) >= 500);
        CHECK_OK(platform_record_put_back(&part, NOW_MS, &lists, &record));
        printed = doc_print_json(record);
        CHECK_HAS(printed, "\xC3\xA4\"");
        mem_free(TAKE(part.message));
        json_decref(TAKE(lists));
        json_decref(TAKE(record));
    }
    platform_part_fini(&part);
}

TEST(undone_twice_is_told)
{
    AUTO_JSON json_t *last =
        parse("[{name: kube-apiserver, object: Deployment t/kube-apiserver, writtenRevision: r1}]");
    AUTO_JSON json_t *again = parse("[{name: kube-apiserver, object: Deployment t/kube-apiserver, "
                                    "writtenRevision: r1, reverted: 1}]");
    AUTO_JSON json_t *told =
        parse("[{name: kube-apiserver, object: Deployment t/kube-apiserver, reverted: 2}]");
    struct story story = story_new(COMPLETE);
    AUTO_JSON json_t *undone = parse(API);
    json_t *with_flags = story.object;

    story.target.components = last;
    CHECK_STR(state_of(&story), "UpToDate ");
    story.object = undone;
    CHECK_STR(state_of(&story), "Observed "); // once: it is written again
    story.target.components = again;
    CHECK_STR(state_of(&story), "Reverted ChangesReverted");
    story.target.components = told;
    CHECK_STR(state_of(&story), "Reverted ChangesReverted");
    story.target.fresh = true;
    CHECK_STR(state_of(&story), "Observed ");
    story.object = with_flags;
    story_fini(&story);
}

TEST(kubelets_of_a_hosted_cluster_are_those_that_somebody_could_configure)
{
    static const char *const others[] = {
        "{metadata: {name: a, annotations: {kwok.x-k8s.io/node: fake}},"
        " status: {nodeInfo: {kubeletVersion: v1.30.4}}}",
        "{metadata: {name: b, labels: {type: virtual-kubelet}},"
        " status: {nodeInfo: {kubeletVersion: v1.29.2, operatingSystem: Linux}}}",
        "{metadata: {name: c}, spec: {taints: [{key: virtual-kubelet.io/provider}]},"
        " status: {nodeInfo: {kubeletVersion: v1.28.2}}}",
        "{metadata: {name: d}, status: {nodeInfo: {kubeletVersion: v1.19.10-vk-azure-aci-1.4.8}}}",
        "{metadata: {name: e}, status: {nodeInfo: {kubeletVersion: v1.27.4,"
        " operatingSystem: windows}}}",
        "{metadata: {name: f}, status: {nodeInfo: {kubeletVersion: v1.26.4,"
        " operatingSystem: plan9}}}",
        "{metadata: {name: g}, status: {nodeInfo: {kubeletVersion: fake}}}",
        "{metadata: {name: h}}",
    };
    static const char *const kubelets[] = {"v1.33.1", "v1.32.9", "v1.33.7"};
    struct platform_said said = {0};

    for (size_t i = 0; i < COUNT(others); i++) {
        AUTO_JSON json_t *node = parse(others[i]);

        platform_note_node(&said, node);
    }
    CHECK_INT(said.nodes, 0);
    CHECK_INT(said.kubelets_len, 0);
    for (size_t i = 0; i < COUNT(kubelets); i++) {
        AUTO_JSON json_t *node =
            json_pack("{s:{s:s}, s:{s:{s:s, s:s}}}", "metadata", "name", "w", "status", "nodeInfo",
                      "kubeletVersion", kubelets[i], "operatingSystem", "linux");

        platform_note_node(&said, node);
    }
    CHECK_INT(said.nodes, 3);
    CHECK_INT(said.kubelets_len, 2); // one of each minor
    CHECK_INT(said.kubelets[0].minor, 33);
    CHECK_INT(said.kubelets[1].minor, 32);
    platform_forget_nodes(&said); // the list did not come to its end
    CHECK_INT(said.nodes, 0);
    CHECK_INT(said.kubelets_len, 0);
}

TEST(an_entry_of_somebody_is_taken_out_and_given_back)
{
    AUTO_JSON json_t *object =
        parse("{metadata: {name: s, namespace: t, annotations: {}}, spec: {template: {spec: "
              "{containers: [{image: 'k:v1.37.1', command: [kube-scheduler,"
              " '--feature-gates=B=true,DynamicResourceAllocation=true']}]}}}}");
    AUTO_JSON json_t *after = written(COMPONENT_SCHEDULER, KIND_DEPLOYMENT, object,
                                      "{revision: r1, featureGates: {}, withoutFeatureGates: "
                                      "[DynamicResourceAllocation]}");
    AUTO_JSON json_t *none =
        written(COMPONENT_SCHEDULER, KIND_DEPLOYMENT, after, "{revision: r2, featureGates: {}}");
    AUTO_JSON json_t *back = put_back(COMPONENT_SCHEDULER, KIND_DEPLOYMENT, after);
    struct platform_part part = make(COMPONENT_SCHEDULER, KIND_DEPLOYMENT, after);
    json_t *command = (json_t *)(uintptr_t)doc_get(after, "spec", "template", "spec", "containers",
                                                   "0", "command", NULL);
    AUTO_JSON json_t *later = NULL;
    const struct platform_target target = {0};
    const struct platform_look look = {.target = &target};
    uint64_t again_ms = 0;

    CHECK_STR(json_string_value(json_array_get(command, 1)), "--feature-gates=B=true");
    CHECK(part.stands);
    CHECK(json_is_null(doc_get(part.owned, "featureGates", "DynamicResourceAllocation", NULL)));
    AUTO_JSON json_t *report = platform_part_report(&part, &look, &again_ms);
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(report, "removed")),
                   "{\"featureGates\":[\"DynamicResourceAllocation\"],\"runtimeConfig\":[]}");
    CHECK_STR_TAKE(doc_print_json_sorted(json_object_get(report, "owned")),
                   "{\"featureGates\":{},\"runtimeConfig\":{}}");
    check_same_spec(none, object);
    check_same_spec(back, object);
    // Beside what somebody wrote since.
    json_array_append_new(command, json_string("--theirs"));
    later =
        written(COMPONENT_SCHEDULER, KIND_DEPLOYMENT, after, "{revision: r3, featureGates: {}}");
    CHECK_STR(doc_str(later, "spec", "template", "spec", "containers", "0", "command", "1", NULL),
              "--feature-gates=B=true,DynamicResourceAllocation=true");
    platform_part_fini(&part);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Which documents a commit may hold, and what is sent for them.
#include "source_internal.h"
#include "test.h"

#define CONFIG                                                                                     \
    "{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, metadata: {name: a}, spec: "    \
    "{featureGates: {DynamicResourceAllocation: true}}}"

static const struct api_source spec = {.namespace = "ns", .name = "src"};

static struct error *make(const char *stream, struct source_item **ret_items, size_t *ret_len)
{
    AUTO_JSON json_t *all = NULL;
    AUTO_JSON json_t *documents = json_array();

    CHECK_OK(doc_parse_yaml_all(slice_of(stream), "test", &all));
    for (size_t i = 0; i < json_array_size(all); i++)
        json_array_append_new(documents, json_pack("{s: s, s: O}", "file", "f.yaml", "object",
                                                   json_array_get(all, i)));
    return source_items_make(documents, &spec, ret_items, ret_len);
}

TEST(bodies)
{
    struct source_item *items = NULL;
    size_t len = 0;
    AUTO_MEM char *text = NULL;

    CHECK_OK(make("{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, metadata: {name: "
                  "a, namespace: ns, uid: x, resourceVersion: '1', "
                  "finalizers: [f], ownerReferences: [], labels: {l: v}, annotations: {k: v}}, "
                  "spec: {}, status: {x: y}}",
                  &items, &len));
    CHECK_INT(len, 1);
    text = doc_print_json_sorted(items[0].body);
    CHECK_STR(text, "{\"apiVersion\":\"drawbridge.dev/"
                    "v1alpha1\",\"kind\":\"DRAConfiguration\",\"metadata\":{\"annotations\":{"
                    "\"drawbridge.dev/source\":\"ns/"
                    "src\",\"k\":\"v\"},\"labels\":{\"l\":\"v\"},\"name\":\"a\",\"namespace\":"
                    "\"ns\"},\"spec\":{}}");
    CHECK_STR(items[0].where, "f.yaml: DRAConfiguration a");
    source_items_free(items, len);
}

TEST(what_is_named_comes_first)
{
    struct source_item *items = NULL;
    size_t len = 0;

    CHECK_OK(make("{apiVersion: kubermatic.k8c.io/v1, kind: KubermaticConfiguration, metadata: "
                  "{name: k, namespace: ns}, spec: {featureGates: {A: true}}}\n---\n"
                  "{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, metadata: {name: "
                  "a}, spec: {driver: {preset: NVIDIA, valuesFrom: [{kind: "
                  "ConfigMap, name: values}]}, cluster: {kubeconfigSecretRef: {name: kc}}}}\n---\n"
                  "{apiVersion: v1, kind: Secret, metadata: {name: kc}}\n---\n{apiVersion: v1, "
                  "kind: ConfigMap, metadata: {name: values}}",
                  &items, &len));
    CHECK_INT(len, 4);
    CHECK_STR(items[0].kind->kind, "ConfigMap");
    CHECK_STR(items[1].kind->kind, "Secret");
    CHECK_STR(items[2].kind->kind, "DRAConfiguration");
    CHECK_STR(items[3].kind->kind, "KubermaticConfiguration");
    source_items_free(items, len);
}

TEST(what_is_refused)
{
    static const struct {
        const char *stream, *part;
    } all[] = {
        {"{apiVersion: v1, kind: Pod, metadata: {name: a}}", "not v1 Pod"},
        {"{apiVersion: drawbridge.dev/v1alpha1, kind: NodeDRAConfiguration, metadata: {name: a}, "
         "spec: {epoch: 1}}",
         "NodeDRAConfiguration"},
        {"{apiVersion: drawbridge.dev/v1alpha1, kind: ConfigSource, metadata: {name: a}, spec: "
         "{url: x}}",
         "ConfigSource"},
        {"{apiVersion: drawbridge.dev/v1, kind: DRAConfiguration, metadata: {name: a}, spec: {}}",
         "not drawbridge.dev/v1 "},
        {"{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, spec: {}}",
         "metadata.name is missing"},
        {"{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, metadata: {name: a, "
         "namespace: other}, spec: {}}",
         "its own namespace alone, ns"},
        {"{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, metadata: {name: a}, spec: "
         "{featuregates: {}}}",
         "did you mean featureGates"},
        {"{apiVersion: v1, kind: Secret, metadata: {name: kc}}",
         "no DRAConfiguration of the commit names this Secret"},
        {CONFIG "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: values}}",
         "names this ConfigMap"},
        {CONFIG "\n---\n" CONFIG, "the same object is in f.yaml"},
        {"{kind: DRAConfiguration}", "not  DRAConfiguration"},
    };

    for (size_t i = 0; i < COUNT(all); i++) {
        struct source_item *items = NULL;
        size_t len = 0;
        struct error *err = make(all[i].stream, &items, &len);

        if (!err)
            test_fail(__FILE__, __LINE__, "should be refused: %s", all[i].stream);
        CHECK_STR(error_reason(err), "InvalidDocument");
        CHECK_HAS(error_text(err), "f.yaml: ");
        CHECK_ERR_HAS(err, ERROR_INVALID, all[i].part);
    }
}

TEST(what_is_a_difference)
{
    AUTO_JSON json_t *live = NULL;
    AUTO_JSON json_t *same = NULL;
    AUTO_JSON json_t *other = NULL;

    CHECK_OK(
        doc_parse_yaml(slice_of("{metadata: {name: a, uid: u, resourceVersion: '1', generation: 1, "
                                "managedFields: []}, spec: {a: 1}, status: {b: 1}}"),
                       "live", &live));
    CHECK_OK(doc_parse_yaml(slice_of("{metadata: {name: a, uid: u, resourceVersion: '2', "
                                     "generation: 2, managedFields: [1]}, spec: {a: 1}}"),
                            "same", &same));
    CHECK_OK(doc_parse_yaml(slice_of("{metadata: {name: a, annotations: {x: y}}, spec: {a: 1}}"),
                            "other", &other));
    CHECK(!source_differs(live, same));
    CHECK(source_differs(live, other));
}

static json_t *tree(const char *text)
{
    json_t *made = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "tree", &made));
    return made;
}

TEST(what_others_added)
{
    AUTO_JSON json_t *applied =
        tree("{spec: {featureGates: {A: true, B: true}, allowAlpha: true, suspend: false}}");
    AUTO_JSON json_t *alone = tree("{featureGates: {A: true}, allowAlpha: false, suspend: false}");
    AUTO_JSON json_t *body = tree("{spec: {featureGates: {A: true}}}");
    AUTO_JSON json_t *silent = tree("{spec: {}}");
    AUTO_JSON json_t *same =
        tree("{spec: {featureGates: {A: true}, allowAlpha: false, suspend: false}}");
    AUTO_JSON json_t *extra = source_extra(applied, alone, body);
    AUTO_JSON json_t *rest = source_extra(applied, alone, silent);

    CHECK_STR_TAKE(doc_print_json_sorted(extra),
                   "{\"allowAlpha\":false,\"featureGates\":{\"B\":null}}");
    CHECK_STR_TAKE(doc_print_json_sorted(rest), "{\"allowAlpha\":false}");
    CHECK(!source_extra(same, alone, body));
}

TEST(when_to_look_again)
{
    static const struct {
        uint64_t interval_ms;
        unsigned failures;
        uint64_t about_ms;
    } all[] = {{300000, 0, 300000}, {300000, 1, 10000},   {300000, 2, 20000}, {300000, 5, 160000},
               {300000, 6, 300000}, {300000, 99, 300000}, {10000, 1, 10000},  {10000, 3, 10000}};

    for (size_t i = 0; i < COUNT(all); i++) {
        uint64_t least = UINT64_MAX, most = 0, about = all[i].about_ms;

        for (unsigned k = 0; k < 1000; k++) {
            uint64_t wait = source_wait_ms(all[i].interval_ms, all[i].failures);

            least = wait < least ? wait : least;
            most = wait > most ? wait : most;
        }
        CHECK(least >= about - about / 20 && most <= about + about / 20);
        CHECK(most - least > about / 20); // spread over the tenth, and not in one place
    }
}

TEST(commit_of_a_revision)
{
    CHECK_STR_TAKE(source_ref_of("main@sha1:0123"), "main");
    CHECK_STR_TAKE(source_ref_of("sha1:0123"), "");
    CHECK_STR_TAKE(source_ref_of(""), "");
    CHECK_STR(source_commit_of("main@sha1:0123"), "0123");
    CHECK_STR(source_commit_of("sha1:0123"), "0123");
    CHECK_STR(source_commit_of(""), "");
}

TEST_MAIN()

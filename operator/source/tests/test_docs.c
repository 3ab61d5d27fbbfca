// SPDX-License-Identifier: Apache-2.0
// Which documents a commit may hold, and what is sent for them.
#include "source_internal.h"
#include "test.h"

#define CONFIG                                                                                     \
    "{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, metadata: {name: a}, spec: "    \
    "{featureGates: {DynamicResourceAllocation: true}}}"

#define CONFIG_WITH_SECRET                                                                         \
    "{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, metadata: {name: a}, spec: "    \
    "{cluster: {kubeconfigSecretRef: {name: kc}}}}\n---\n"

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
        {CONFIG_WITH_SECRET "{apiVersion: v1, kind: Secret, type: "
                            "kubernetes.io/service-account-token, metadata: {name: kc, "
                            "annotations: {kubernetes.io/service-account.name: admin}}}",
         "of type Opaque, not kubernetes.io/service-account-token"},
        {CONFIG_WITH_SECRET "{apiVersion: v1, kind: Secret, type: helm.sh/release.v1, metadata: "
                            "{name: kc}}",
         "of type Opaque, not helm.sh/release.v1"},
        {CONFIG_WITH_SECRET "{apiVersion: v1, kind: Secret, metadata: {name: kc, annotations: "
                            "{drawbridge.dev/hosts: elsewhere.example.org}}}",
         "not taken from a repository"},
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

// --- where a Secret may be sent -----------------------------------------------------------------

static json_t *secret_for(const char *hosts)
{
    json_t *secret = json_pack("{s:{s:s, s:s}, s:{s:s}}", "metadata", "name", "git", "namespace",
                               "ns", "data", "password", "d29yZA==");

    if (hosts)
        doc_set(secret, json_string(hosts), "metadata", "annotations", "drawbridge.dev/hosts",
                NULL);
    return secret;
}

TEST(a_secret_is_sent_to_the_hosts_alone_that_it_is_bound_to)
{
    static const struct {
        const char *hosts, *url, *reason; // NULL: it is sent
    } all[] = {
        {NULL, "https://git.example.org/x", "SecretNotForHost"},
        {"", "https://git.example.org/x", "SecretNotForHost"},
        {"git.example.org", "https://git.example.org/x", NULL},
        {"git.example.org", "https://GIT.example.org:443/x", NULL},
        {"a, GIT.Example.org:443,b", "https://git.example.org", NULL},
        {"a\ngit.example.org\n", "https://git.example.org/x", NULL},
        {"git.example.org", "https://git.example.org:8443/x", "SecretNotForHost"},
        {"git.example.org:8443", "https://git.example.org:8443/x", NULL},
        {"git.example.org", "https://git.example.org.evil.example/x", "SecretNotForHost"},
        {"git.example.org", "https://evilgit.example.org/x", "SecretNotForHost"},
        {"*.example.org", "https://git.example.org/x", NULL},
        {"*.example.org", "https://a.b.example.org/x", NULL},
        {"*.example.org", "https://example.org/x", "SecretNotForHost"},
        {"*.example.org", "https://evilexample.org/x", "SecretNotForHost"},
        {"*", "https://git.example.org/x", "SecretNotForHost"},
        {"*.", "https://git.example.org./x", "SecretNotForHost"},
        {"[::1]:8443", "https://[::1]:8443/x", NULL},
        {"[::1]", "https://[::1]/x", NULL},
        // what two parsers could read as two hosts
        {"git.example.org", "https://git.example.org\\@evil.example/x", "InvalidConfiguration"},
        {"git.example.org", "https://git.example.org#@evil.example/x", "InvalidConfiguration"},
        {"git.example.org", "https://git.example.org?@evil.example/x", "InvalidConfiguration"},
        {"git.example.org", "https://git.example.org:443@evil.example/x", "InvalidConfiguration"},
        {"git.example.org", "https://git.example.org%2f@evil/x", "InvalidConfiguration"},
        {"git.example.org", "https:///git.example.org/x", "InvalidConfiguration"},
        {"git.example.org", "https://[::1/x", "InvalidConfiguration"},
        {"git.example.org", "https://git.example.org:0/x", "InvalidConfiguration"},
    };

    for (size_t i = 0; i < COUNT(all); i++) {
        AUTO_JSON json_t *secret = secret_for(all[i].hosts);
        AUTO(error) struct error *err = source_secret_check(secret, all[i].url);

        if (!all[i].reason != !err)
            test_fail(__FILE__, __LINE__, "%s to %s: %s", all[i].hosts ? all[i].hosts : "none",
                      all[i].url, err ? error_text(err) : "sent");
        CHECK_STR(err ? error_reason(err) : "", all[i].reason ? all[i].reason : "");
    }
}

TEST(who_is_refused_is_told_what_to_do_and_what_sends_nothing_needs_no_hosts)
{
    AUTO_JSON json_t *secret = secret_for(NULL);

    CHECK_ERR_HAS(source_secret_check(secret, "https://git.example.org:8443/x"), ERROR_INVALID,
                  "kubectl annotate secret git -n ns "
                  "drawbridge.dev/hosts=git.example.org:8443 --overwrite");
    CHECK_OK(source_secret_check(NULL, "https://git.example.org/x"));
    CHECK_OK(source_secret_check(secret, "ssh://git@git.example.org/x"));
    json_object_clear(json_object_get(secret, "data"));
    json_object_set_new(json_object_get(secret, "data"), "ca.crt", json_string("eA=="));
    CHECK_OK(source_secret_check(secret, "https://git.example.org/x"));
    json_object_set_new(json_object_get(secret, "data"), "bearerToken", json_string("eA=="));
    CHECK_ERR_HAS(source_secret_check(secret, "https://git.example.org/x"), ERROR_INVALID,
                  "it allows no host yet");
}

TEST(documents_kept_of_all_repositories_have_a_limit_and_who_has_most_gives)
{
    struct source sources_of[] = {{.key = (char[]){"a/one"}, .documents_len = 10},
                                  {.key = (char[]){"b/one"}, .documents_len = 20},
                                  {.key = (char[]){"b/two"}, .documents_len = 30},
                                  {.key = (char[]){"c/one"}, .documents_len = 40}};
    struct sources sources = {.known = sources_of};

    for (size_t i = 0; i < COUNT(sources_of); i++) {
        sources_of[i].documents = str_dup("[]");
        sources_of[i].head = str_dup("0123");
        sources_of[i].next = i + 1 < COUNT(sources_of) ? &sources_of[i + 1] : NULL;
    }
    sources_limit_memory(&sources, 100);
    for (size_t i = 0; i < COUNT(sources_of); i++)
        CHECK(sources_of[i].documents && sources_of[i].head);
    sources_limit_memory(&sources, 99); // b has 50
    CHECK(!sources_of[2].documents && !sources_of[2].head);
    CHECK(sources_of[0].documents && sources_of[1].documents && sources_of[3].documents);
    sources_limit_memory(&sources, 69); // c has 40
    CHECK(!sources_of[3].documents && sources_of[1].documents);
    sources_limit_memory(&sources, 0);
    for (size_t i = 0; i < COUNT(sources_of); i++) {
        CHECK(!sources_of[i].documents && !sources_of[i].head);
        mem_free(sources_of[i].head);
    }
}

TEST_MAIN()

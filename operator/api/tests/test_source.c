// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "api_internal.h"
#include "test.h"

static json_t *make(const char *spec)
{
    AUTO_MEM char *text = str_format("{apiVersion: %s, kind: ConfigSource, metadata: {name: a, "
                                     "namespace: b, generation: 3, annotations: "
                                     "{" API_ANNOTATION_RECONCILE ": now, " API_ANNOTATION_ACCEPT
                                     ": abc}}, spec: %s}",
                                     API_GROUP_VERSION, spec);
    json_t *object = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &object));
    return object;
}

TEST(defaults)
{
    AUTO_JSON json_t *object = make("{url: \"https://example.org/x\"}");
    struct api_source source;

    CHECK_OK(api_source_parse(object, &source));
    CHECK_STR(source.url, "https://example.org/x");
    CHECK_STR(source.reconcile_requested_at, "now");
    CHECK_STR(source.accept, "abc");
    CHECK_INT(source.generation, 3);
    CHECK_INT(source.interval_ms, 300000);
    CHECK_INT(source.timeout_ms, 60000);
    CHECK(!source.prune && !source.suspend && !source.verify && !source.deleting);
    CHECK_STR(source.branch, "");
    CHECK_STR(source.secret, "");
}

TEST(everything)
{
    AUTO_JSON json_t *object = make("{url: \"ssh://git@h/x\", ref: {branch: main, commit: "
                                    "0123456789012345678901234567890123456789}, path: a/b, "
                                    "interval: 10s, timeout: 5s, secretRef: {name: s}, verify: "
                                    "{secretRef: {name: v}}, prune: true, suspend: true}");
    struct api_source source;

    // YAML reads the forty digits as a number
    doc_set(object, json_string("0123456789012345678901234567890123456789"), "spec", "ref",
            "commit", NULL);
    CHECK_OK(api_source_parse(object, &source));
    CHECK_STR(source.branch, "main");
    CHECK_STR(source.commit, "0123456789012345678901234567890123456789");
    CHECK_STR(source.path, "a/b");
    CHECK_INT(source.interval_ms, 10000);
    CHECK_INT(source.timeout_ms, 5000);
    CHECK_STR(source.secret, "s");
    CHECK_STR(source.verify_secret, "v");
    CHECK(source.prune && source.suspend && source.verify);
}

TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *spec, *part;
    } all[] = {
        {"{}", "url is required"},
        {"{url: \"\"}", "spec.url"},
        {"{url: x, ref: {branch: a, tag: b}}", "spec.ref"},
        {"{url: x, ref: {tag: a, semver: b}}", "spec.ref"},
        {"{url: x, ref: {commit: abc}}", "spec.ref.commit"},
        {"{url: x, interval: 9s}", "spec.interval"},
        {"{url: x, interval: 25h}", "spec.interval"},
        {"{url: x, timeout: soon}", "spec.timeout"},
        {"{url: x, timeout: 11m}", "spec.timeout"},
        {"{url: x, verify: {}}", "secretRef is required"},
        {"{url: x, secretref: {name: a}}", "did you mean secretRef"},
        {"{url: x, prune: 1}", "spec.prune"},
    };

    for (size_t i = 0; i < COUNT(all); i++) {
        AUTO_JSON json_t *object = make(all[i].spec);
        struct api_source source;
        CHECK_ERR_HAS(api_source_parse(object, &source), ERROR_INVALID, all[i].part);
    }
}

TEST(summary_of_a_source)
{
    AUTO(api_conditions) struct api_conditions *conditions = api_conditions_new();
    AUTO_JSON json_t *object = json_pack("{s: {s: i}, s: {s: i}}", "metadata", "generation", 1,
                                         "status", "observedGeneration", 1);

    api_conditions_set(conditions, CONDITION_FETCHED, STATE_TRUE, "AsExpected", "main@sha1:1");
    api_conditions_set(conditions, CONDITION_SOURCE_VERIFIED, STATE_FALSE, "SignatureMissing",
                       "commit 1 is not signed");
    api_conditions_set(conditions, CONDITION_APPLIED, STATE_TRUE, "AsExpected",
                       "main@sha1:0 is applied");
    api_conditions_summarize(conditions);
    CHECK_INT(api_conditions_state(conditions, CONDITION_READY), STATE_FALSE);
    CHECK_STR(api_conditions_reason(conditions, CONDITION_STALLED), "SignatureMissing");
    doc_set(object, api_conditions_merge(conditions, NULL, 1, 0), "status", "conditions", NULL);
    CHECK_STR_TAKE(api_conditions_check(object), "");
    // nobody asked for signatures
    api_conditions_set(conditions, CONDITION_SOURCE_VERIFIED, STATE_FALSE,
                       "VerificationNotRequested", "spec.verify is not set");
    api_conditions_summarize(conditions);
    CHECK_INT(api_conditions_state(conditions, CONDITION_READY), STATE_TRUE);
    CHECK_STR(api_conditions_message(conditions, CONDITION_READY), "main@sha1:0 is applied");
    doc_set(object, api_conditions_merge(conditions, NULL, 1, 0), "status", "conditions", NULL);
    CHECK_STR_TAKE(api_conditions_check(object), "");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// What of a DRAConfiguration's changes is news, from its tree and from its text.
#include "controller_internal.h"

#include "test.h"

static const struct row {
    const char *annotations, *metadata, *status;
    bool news; // after the first row of its kind
} plain[] = {
    {"", "\"generation\":1,\"uid\":\"u\"", "", false},
    {"", "\"generation\":1,\"uid\":\"u\",\"labels\":{\"l\":\"1\"}", "", false},
    {"", "\"generation\":1,\"uid\":\"u\"", "\"failedRevision\":\"r\"", false},
    {"", "\"generation\":1,\"uid\":\"u\",\"finalizers\":[\"f\"],\"x\":{\"generation\":9}", "",
     false},
    {"", "\"uid\":\"u\",\"generation\":1", "", false},
    {"", "\"generation\":2,\"uid\":\"u\"", "", true},
    {"", "\"generation\":12,\"uid\":\"u\"", "", true},
    {"", "\"uid\":\"u\"", "", true},
    {"", "\"generation\":1,\"uid\":\"v\"", "", true},
    {"", "\"generation\":1,\"uid\":\"u\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"", "", true},
    {"", "\"generation\":1,\"uid\":\"u\"", "\"observedClusterUID\":\"c\"", true},
    {"", "\"generation\":1,\"uid\":\"u\"", "\"x\":{\"observedClusterUID\":\"c\"}", false},
    {"", "\"generation\":1,\"uid\":\"u\"", "\"platform\":\"Observe\"", false},
    {"", "\"generation\":1,\"uid\":\"u\"", "\"platform\":\"ClusterAPI\"", true},
    {"\"" API_ANNOTATION_RECONCILE "\":\"1\"", "\"generation\":1,\"uid\":\"u\"", "", true},
    {"\"" API_ANNOTATION_SOURCE "\":\"s/a\"", "\"generation\":1,\"uid\":\"u\"", "", true},
};

#define SOURCE "\"" API_ANNOTATION_SOURCE "\":\"s/a\""
#define READY(status)                                                                              \
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"" status "\",\"observedGeneration\":1}]"

static const struct row made[] = {
    {SOURCE, "\"generation\":1", READY("False"), false},
    {SOURCE, "\"generation\":1,\"finalizers\":[\"f\"]", READY("False"), false},
    {SOURCE, "\"generation\":1,\"labels\":{\"l\":\"1\"}", READY("False"), true},
    {SOURCE ",\"a\":\"b\"", "\"generation\":1", READY("False"), true},
    {SOURCE, "\"generation\":1", READY("True"), true},
    {SOURCE, "\"generation\":1", READY("False") ",\"failedRevision\":\"r\"", true},
    {"", "\"generation\":1", READY("False"), true},
};

static char *text_of(const struct row *row, int version)
{
    return str_format(
        "{\"metadata\":{\"name\":\"n\",\"namespace\":\"s\",\"resourceVersion\":\"%d\","
        "%s,\"annotations\":{%s}},\"status\":{%s}}",
        version, row->metadata, row->annotations, row->status);
}

static uint64_t facet_of_text(const char *text)
{
    AUTO_JSON json_t *tree = NULL;

    CHECK_OK(doc_parse_json(slice_of(text), "t", &tree));
    return facet_of_config(tree);
}

static void check(const struct row *rows, size_t len)
{
    AUTO_MEM char *first = text_of(&rows[0], 1);
    struct kube_glance was, now;

    CHECK(kube_glance(slice_of(first), &was));
    for (size_t i = 0; i < len; i++) {
        AUTO_MEM char *text = text_of(&rows[i], 2);

        CHECK(kube_glance(slice_of(text), &now));
        CHECK_INT(facet_is_same(&was, &now), !rows[i].news);
        CHECK_INT(facet_is_same(&now, &was), !rows[i].news);
        CHECK_INT(facet_of_text(text) == facet_of_text(first), !rows[i].news);
    }
}

TEST(the_text_tells_what_is_no_news_as_the_tree_does)
{
    check(plain, COUNT(plain));
}

TEST(of_what_came_from_a_source_more_is_news)
{
    check(made, COUNT(made));
}

// The text is the stricter one of the two.
TEST(what_reads_the_same_and_is_written_otherwise_is_left_to_the_tree)
{
    static const struct row rows[] = {
        {"\"a\":\"b\"", "\"generation\":1,\"uid\":\"u\"", "", false},
        {"\"a\":\"\\u0062\"", "\"generation\":1,\"uid\":\"u\"", "", false},
        {"\"a\": \"b\"", "\"generation\":1,\"uid\":\"u\"", "", false},
        {"\"a\":\"b\"", "\"generation\":1,\"uid\":\"\\u0075\"", "", false},
        {"\"a\":\"c\"", "\"generation\":1,\"uid\":\"u\"", "", false},
    };
    AUTO_MEM char *first = text_of(&rows[0], 1);
    struct kube_glance was, now;

    CHECK(kube_glance(slice_of(first), &was));
    for (size_t i = 1; i < COUNT(rows); i++) {
        AUTO_MEM char *text = text_of(&rows[i], 2);

        CHECK(kube_glance(slice_of(text), &now));
        CHECK(!facet_is_same(&was, &now));
        CHECK(facet_of_text(text) == facet_of_text(first));
    }
    AUTO_MEM char *escaped = str_dup("{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\","
                                     "\"annotations\":{\"drawbridge.dev\\/source\":\"s/a\"}}}");
    CHECK(!kube_glance(slice_of(escaped), &now));
}

TEST_MAIN()

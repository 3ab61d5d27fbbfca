// SPDX-License-Identifier: Apache-2.0
// kube's pure parts: paths, base64, lines, items, statuses.
#include "kube_internal.h"

#include "testkit/test.h"

#include <string.h>

TEST(paths)
{
    struct kube_ref ref = {.group = "apps",
                           .version = "v1",
                           .resource = "deployments",
                           .namespace = "x",
                           .name = "y",
                           .subresource = "status"};
    CHECK_STR_TAKE(kube_path(&ref), "/apis/apps/v1/namespaces/x/deployments/y/status");
    ref = (struct kube_ref){.group = "", .version = "v1", .resource = "nodes", .name = "n"};
    CHECK_STR_TAKE(kube_path(&ref), "/api/v1/nodes/n");
    ref = (struct kube_ref){.group = "", .version = "v1", .resource = "pods"};
    CHECK_STR_TAKE(kube_path(&ref), "/api/v1/pods");
    ref.name = "../../secrets?x#y z%";
    CHECK_STR_TAKE(kube_path(&ref), "/api/v1/pods/..%2F..%2Fsecrets%3Fx%23y%20z%25");
    ref.name = "..";
    CHECK_STR_TAKE(kube_path(&ref), "/api/v1/pods/%2E%2E");
}

TEST(resource_versions_are_numbers_of_any_length)
{
    CHECK(kube_is_newer("2", "1"));
    CHECK(kube_is_newer("10", "9"));
    CHECK(kube_is_newer("18446744073709551617", "18446744073709551616")); // 2^64 and one more
    CHECK(!kube_is_newer("1", "1"));
    CHECK(!kube_is_newer("9", "10"));
    static const char *const others[] = {NULL, "", "0", "01", "1a", "-1", "+1", " 1", "1 ", "1.0"};
    for (size_t i = 0; i < COUNT(others); i++) {
        CHECK(!kube_is_newer(others[i], "1"));
        CHECK(!kube_is_newer("2", others[i]));
    }
}

TEST(queries)
{
    struct kube_ref ref = {.group = "", .version = "v1", .resource = "pods"};
    struct kube_query query = kube_query_of(&ref);
    kube_query_add(&query, "limit", "500");
    kube_query_add(&query, "empty", "");
    kube_query_add(&query, "none", NULL);
    kube_query_add(&query, "labelSelector", "a=b,c in (d)");
    CHECK_STR_TAKE(buf_take(&query.url),
                   "/api/v1/pods?limit=500&labelSelector=a%3Db%2Cc%20in%20%28d%29");
}

static char *decoded(const char *text)
{
    char *bytes = NULL;
    size_t len = 0;
    if (!kube_base64_decode(slice_of(text), &bytes, &len))
        return str_dup("refused");
    CHECK_INT(strlen(bytes), len);
    return bytes;
}

TEST(base64)
{
    CHECK_STR_TAKE(decoded(""), "");
    CHECK_STR_TAKE(decoded("Zg=="), "f");
    CHECK_STR_TAKE(decoded("Zm8="), "fo");
    CHECK_STR_TAKE(decoded("Zm9v"), "foo");
    CHECK_STR_TAKE(decoded("Zm9v\nYmFy\n"), "foobar");
    CHECK_STR_TAKE(decoded("Zm9vYmE="), "fooba");
    CHECK_STR_TAKE(decoded("Zg"), "refused");
    CHECK_STR_TAKE(decoded("Z"), "refused");
    CHECK_STR_TAKE(decoded("Zg=a"), "refused");
    CHECK_STR_TAKE(decoded("Zm9*"), "refused");
    CHECK_STR_TAKE(decoded("Zm9v===="), "foo");
}

TEST(base64_in_one_line)
{
    CHECK_STR_TAKE(kube_base64_encode(slice_of("")), "");
    CHECK_STR_TAKE(kube_base64_encode(slice_of("f")), "Zg==");
    CHECK_STR_TAKE(kube_base64_encode(slice_of("fo")), "Zm8=");
    CHECK_STR_TAKE(kube_base64_encode(slice_of("foo")), "Zm9v");
    CHECK_STR_TAKE(kube_base64_encode(slice_of("foobar")), "Zm9vYmFy");
    CHECK_STR_TAKE(kube_base64_encode(slice_of("\xff\xfe?>")), "//4/Pg==");
}

TEST(lines_however_they_are_cut)
{
    static const char text[] = "one\n\n  \r\ntwo\r\nthree";
    for (size_t portion = 1; portion <= sizeof(text); portion++) {
        struct kube_lines lines = kube_lines_make(100);
        AUTO_BUF struct buf out = buf_make(100);
        struct slice all = slice_of(text);
        for (size_t at = 0; at < all.len; at += portion) {
            struct slice rest = slice_sub(all, at, at + portion < all.len ? at + portion : all.len),
                         line;
            while (kube_lines_next(&lines, &rest, &line)) {
                buf_add_slice(&out, line);
                buf_add_str(&out, "|");
            }
        }
        CHECK_STR(out.ptr, "one|two|");
        CHECK_SLICE(buf_slice(&lines.held), "three");
        kube_lines_fini(&lines);
    }
}

TEST(of_a_line_that_is_too_long_the_beginning_is_given_and_the_next_ones_are_whole)
{
    static const char text[] = "ab\n0123456789\n012345678\n0123456789\ncd\n";
    for (size_t portion = 1; portion <= sizeof(text); portion++) {
        struct kube_lines lines = kube_lines_make(9);
        AUTO_BUF struct buf out = buf_make(200);
        struct slice all = slice_of(text);
        for (size_t at = 0; at < all.len; at += portion) {
            struct slice rest = slice_sub(all, at, at + portion < all.len ? at + portion : all.len),
                         line;
            while (kube_lines_next(&lines, &rest, &line)) {
                buf_add_slice(&out, line);
                buf_add_str(&out, lines.too_long ? "+|" : "|");
            }
        }
        CHECK_STR(out.ptr, "ab|012345678+|012345678|012345678+|cd|");
        CHECK_INT(lines.held.len, 0);
        kube_lines_fini(&lines);
    }
}

// "item|item|" and the envelope.
static char *cut_items(const char *text, size_t portion, char **ret_envelope)
{
    struct kube_items items = kube_items_make(64);
    AUTO_BUF struct buf out = buf_make(1000);
    struct slice all = slice_of(text);
    for (size_t at = 0; at < all.len; at += portion) {
        struct slice rest = slice_sub(all, at, at + portion < all.len ? at + portion : all.len),
                     item;
        while (kube_items_next(&items, &rest, &item)) {
            buf_add_slice(&out, item);
            buf_add_str(&out, items.too_large ? "+|" : "|");
        }
    }
    if (items.broken)
        buf_printf(&out, "broken: %s", items.broken);
    if (ret_envelope)
        *ret_envelope = str_ndup(items.envelope.ptr ? items.envelope.ptr : "", items.envelope.len);
    kube_items_fini(&items);
    return buf_take(&out);
}

TEST(items_however_they_are_cut)
{
    static const char text[] =
        "{\"kind\":\"PodList\",\"metadata\":{\"items\":[{\"no\":1}]},\"note\":\"\\\"items\\\":[{}"
        "\","
        "\"items\" : [ {\"a\":\"}]\\\"\\\\\"},\n{\"b\":[{\"c\":[]}]} ],\"z\":[{}]}";
    for (size_t portion = 1; portion <= sizeof(text); portion++) {
        char *envelope = NULL;
        CHECK_STR_TAKE(cut_items(text, portion, &envelope),
                       "{\"a\":\"}]\\\"\\\\\"}|{\"b\":[{\"c\":[]}]}|");
        CHECK_STR_TAKE(envelope, "{\"kind\":\"PodList\",\"metadata\":{\"items\":[{\"no\":1}]},"
                                 "\"note\":\"\\\"items\\\":[{}\",\"items\" : [],\"z\":[{}]}");
    }
}

TEST(items_that_are_no_list)
{
    CHECK_STR_TAKE(cut_items("{\"items\":[1]}", 1, NULL), "broken: an item is no object");
    CHECK_STR_TAKE(cut_items("[{}]", 4, NULL), "broken: it is no object");
    CHECK_STR_TAKE(cut_items("<html>", 4, NULL), "broken: it is no object");
    CHECK_STR_TAKE(cut_items("{\"items\":null}", 4, NULL), "");
    CHECK_STR_TAKE(cut_items("{\"items\":[]}", 4, NULL), "");
}

TEST(of_an_item_that_is_too_large_the_beginning_is_given_and_the_next_ones_are_whole)
{
    AUTO_BUF struct buf text = buf_make(300);
    buf_add_str(&text, "{\"items\":[{\"a\":1},{\"b\":\"");
    for (int i = 0; i < 100; i++)
        buf_add_str(&text, "x");
    buf_add_str(&text, "\"},{\"c\":1}]}");
    for (size_t portion = 1; portion <= text.len; portion++) {
        AUTO_MEM char *items = cut_items(text.ptr, portion, NULL);
        CHECK(str_starts(items, "{\"a\":1}|{\"b\":\"xxx"));
        CHECK(str_ends(items, "xxx+|{\"c\":1}|"));
        CHECK_INT(strlen(items), 8 + 64 + 2 + 8);
    }
}

static struct error *status_of(long code, const char *body)
{
    struct http_response response = {.status = code,
                                     .body = slice_of(body),
                                     .content_type = "",
                                     .retry_after = "",
                                     .warning = ""};
    return kube_status_error(&response);
}

TEST(kinds_by_status)
{
    static const struct {
        long code;
        enum error_kind kind;
    } rows[] = {
        {400, ERROR_REJECTED},  {401, ERROR_DENIED},    {403, ERROR_DENIED},
        {404, ERROR_NOT_FOUND}, {405, ERROR_REJECTED},  {408, ERROR_TRANSIENT},
        {409, ERROR_CONFLICT},  {410, ERROR_GONE},      {413, ERROR_LIMIT},
        {415, ERROR_REJECTED},  {422, ERROR_REJECTED},  {429, ERROR_THROTTLED},
        {500, ERROR_TRANSIENT}, {503, ERROR_TRANSIENT}, {504, ERROR_TRANSIENT},
        {302, ERROR_REJECTED},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ERR(status_of(rows[i].code, ""), rows[i].kind);
}

TEST(texts_of_statuses)
{
    CHECK_ERR_HAS(status_of(404, "{\"kind\":\"Status\",\"message\":\"nodes \\\"x\\\" not "
                                 "found\",\"reason\":\"NotFound\"}"),
                  ERROR_NOT_FOUND, "nodes \"x\" not found");
    CHECK_ERR_HAS(status_of(502, "<html>\nbad gateway"), ERROR_TRANSIENT,
                  "the server answered 502: <html>");
    CHECK_ERR_HAS(
        status_of(
            500, "[+]ping ok\n[-]etcd failed: reason withheld\n[+]x ok\n[-]informer-sync failed\n"),
        ERROR_TRANSIENT,
        "the server answered 500: etcd failed: reason withheld, informer-sync failed");
    AUTO(error) struct error *err =
        status_of(429, "{\"kind\":\"Status\",\"details\":{\"retryAfterSeconds\":3}}");
    CHECK_INT(error_retry_after_ms(err), 3000);
    AUTO(error) struct error *exists =
        status_of(409, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"m\"}");
    CHECK_STR(error_reason(exists), "AlreadyExists");
    AUTO(error) struct error *ahead =
        status_of(504, "{\"kind\":\"Status\",\"reason\":\"Timeout\",\"message\":\"m\",\"details\":{"
                       "\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}");
    CHECK_STR(error_reason(ahead), "ResourceVersionTooLarge");
}

TEST(softens_what_the_parser_refuses)
{
    CHECK_STR_TAKE(kube_soften(slice_of("{\"a\": [1, -2.5, true, \"x\\\\u0000\"]}")),
                   "{\"a\": [1, -2.5, true, \"x\\\\u0000\"]}");
    CHECK_STR_TAKE(kube_soften(slice_of("{\"a\\u0000\":\"\\u0000b\\\\\\u0000\"}")),
                   "{\"a\\ufffd0\":\"\\ufffdb\\\\\\ufffd\"}");
    CHECK_STR_TAKE(
        kube_soften(slice_of("[100000000000000000000,-9223372036854775809,123456789012345678]")),
        "[100000000000000000000e0,-9223372036854775809e0,123456789012345678]");
    AUTO_BUF struct buf deep = buf_make(1000);
    for (int i = 0; i < 70; i++)
        buf_add_str(&deep, "[");
    buf_add_str(&deep, "\"]\"");
    for (int i = 0; i < 70; i++)
        buf_add_str(&deep, "]");
    AUTO_JSON json_t *tree = NULL;
    CHECK_OK(kube_parse_answer(buf_slice(&deep), 1000, &tree));
    AUTO_JSON json_t *number = NULL;
    CHECK_OK(kube_parse_answer(slice_of("{\"v\":100000000000000000000}"), 1000, &number));
    CHECK(json_is_real(doc_get(number, "v", NULL)));
    CHECK_ERR(kube_parse_answer(slice_of("{\"v\":"), 1000, &number), ERROR_TRANSIENT);
}

// Each of these pairs is two keys for the API server.
TEST(softening_makes_no_two_keys_equal)
{
    static const char *const pairs[][2] = {
        {"a\\u0000", "a\\ufffd"},         {"a\\u0000", "a\xEF\xBF\xBD"},
        {"a\\u0000", "a\\uFFfd0"},        {"a\\u0000\\u0000", "a\\ufffd\\u0000"},
        {"a\\u00001", "a\\u0000\\u0000"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        AUTO_JSON json_t *tree = NULL;
        AUTO_MEM char *text = str_format("{\"%s\":1,\"%s\":2}", pairs[i][0], pairs[i][1]);
        CHECK_OK(kube_parse_answer(slice_of(text), 1000, &tree));
        CHECK_INT(json_object_size(tree), 2);
    }
}

TEST(more_values_than_an_answer_may_have_are_refused_before_they_are_made)
{
    AUTO_JSON json_t *tree = NULL;
    CHECK_ERR_HAS(kube_parse_answer(slice_of("[1,2,3,4]"), 4, &tree), ERROR_LIMIT,
                  "more than 4 values");
    CHECK_OK(kube_parse_answer(slice_of("[1,2,3]"), 4, &tree));
}

TEST(what_cannot_be_parsed_is_named_by_its_text)
{
    static const char item[] = "{\"kind\":\"x\",\"metadata\":{\"labels\":{\"name\":\"no\"},"
                               "\"name\":\"b\",\"namespace\":\"a\"},\"spec\":{\"x\":1,\"x\":2}}";
    AUTO_MEM char *event = str_format("{\"type\":\"ADDED\",\"object\":%s}", item);
    CHECK_STR_TAKE(kube_text_key(slice_of(item), KUBE_DEPTH_ITEM), "a/b");
    CHECK_STR_TAKE(kube_text_key(slice_of(event), KUBE_DEPTH_EVENT), "a/b");
    CHECK_STR_TAKE(kube_text_key(slice_of("{\"metadata\":{\"name\":\"n\""), KUBE_DEPTH_ITEM), "n");
    static const char *const none[] = {"", "{", "{\"metadata\":{}}", "{\"metadata\":{\"name\":1}}",
                                       "{\"metadata\":{\"name\":"};
    for (size_t i = 0; i < COUNT(none); i++)
        CHECK_STR_TAKE(kube_text_key(slice_of(none[i]), KUBE_DEPTH_ITEM), "");
}

static char *cut(const char *text, size_t depth)
{
    AUTO_BUF struct buf scratch = buf_make(1000);
    return slice_dup(kube_cut_managed_fields(slice_of(text), depth, &scratch));
}

TEST(managed_fields_are_cut_out_of_metadata_alone)
{
    CHECK_STR_TAKE(
        cut("{\"metadata\":{\"a\":1,\"managedFields\":[{\"x\":\"]\\\"\"}],\"name\":\"n\"}}", 2),
        "{\"metadata\":{\"a\":1,\"name\":\"n\"}}");
    CHECK_STR_TAKE(cut("{\"metadata\":{\"name\":\"n\",\"managedFields\":[[],{}]},\"spec\":1}", 2),
                   "{\"metadata\":{\"name\":\"n\"},\"spec\":1}");
    CHECK_STR_TAKE(cut("{\"metadata\":{\"managedFields\":[]}}", 2), "{\"metadata\":{}}");
    CHECK_STR_TAKE(
        cut("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"managedFields\":[1],\"name\":\"n\"}}}",
            3),
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"n\"}}}");
    // What is called so elsewhere, or is no list of the server's, is somebody's data.
    static const char *const whole[] = {
        "{\"spec\":{\"managedFields\":[1]},\"metadata\":{\"labels\":{\"managedFields\":\"x\"}}}",
        "{\"spec\":{\"metadata\":{\"managedFields\":[1]}}}",
        "{\"metadata\":{\"managedFields\":{\"a\":[1]}}}",
        "{\"metadata\":{\"note\":\",\\\"managedFields\\\":[1]\"}}",
        "{\"metadata\":{\"managedFields\":[1",
    };
    for (size_t i = 0; i < COUNT(whole); i++)
        CHECK_STR_TAKE(cut(whole[i], 2), whole[i]);
}

// Namespace, name, version, status and the metadata's fields; "in doubt" where that is so.
static char *glance_at(const char *text)
{
    struct kube_glance glance;
    AUTO_BUF struct buf out = buf_make(4096);
    if (!kube_glance(slice_of(text), &glance))
        return str_dup("in doubt");
    struct slice parts[] = {glance.namespace, glance.name, glance.version, glance.status_text};
    for (size_t i = 0; i < COUNT(parts); i++)
        buf_printf(&out, "%.*s|", (int)parts[i].len, parts[i].ptr);
    const struct kube_fields *both[] = {&glance.metadata, &glance.status};
    for (size_t b = 0; b < COUNT(both); b++)
        for (size_t i = 0; i < both[b]->len; i++)
            buf_printf(&out, "%s%.*s",
                       i   ? ","
                       : b ? ";"
                           : "",
                       (int)both[b]->items[i].key.len, both[b]->items[i].key.ptr);
    return buf_take(&out);
}

TEST(a_glance_sees_what_the_parser_would)
{
    CHECK_STR_TAKE(glance_at("{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\"}}"),
                   "|n|1||name,resourceVersion");
    CHECK_STR_TAKE(
        glance_at(
            "{\"status\":{\"a\":[1,-2,0]} ,\"spec\":{\"metadata\":{\"name\":\"x\"},\"status\":1},"
            "\"metadata\":{\"resourceVersion\":\"1\" , \"name\":\"n\",\"namespace\":\"s\","
            "\"l\":{\"name\":null}}}"),
        "s|n|1|{\"a\":[1,-2,0]}|resourceVersion,name,namespace,l;a");
    // Any text that the parser takes as it is, also one that no API server writes like this.
    CHECK_STR_TAKE(glance_at("{\"metadata\":{\"name\":\"\xC3\xA9\",\"resourceVersion\":\"1\",\"a\":"
                             "\"\\u00e9\\n\\\"\\\\\",\"b\":[[],{},true,false,null]}}\n"),
                   "|\xC3\xA9|1||name,resourceVersion,a,b");
}

TEST(a_glance_leaves_the_rest_to_the_parser)
{
    static const char *const rest[] = {
        "",
        "x",
        "{",
        "[]",
        "{}",
        "{\"metadata\":{}}",
        "{\"metadata\":1}",
        "{\"metadata\":[\"name\"]}",
        "{\"metadata\":{\"name\":\"n\"}}",
        "{\"metadata\":{\"name\":\"\",\"resourceVersion\":\"1\"}}",
        "{\"metadata\":{\"name\":1,\"resourceVersion\":\"1\"}}",
        "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\",\"namespace\":null}}",
    };
    for (size_t i = 0; i < COUNT(rest); i++)
        CHECK_STR_TAKE(glance_at(rest[i]), "in doubt");
    static const char *const values[] = {
        "",
        "tru",
        "nul",
        "truex",
        "01",
        "-",
        "+1",
        ".5",
        "1.5",
        "1e5",
        "1E5",
        "--1",
        "0x1",
        "1234567890123456789",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{1:2}",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u00zz\"",
        "\"\\u0000\"",
        "\"\\ud83d\"",
        "\"\n\"",
        "\"\xFF\"",
        "\"\xC3\"",
        "\"a",
        "[1}",
        "{\"a\":1]",
        "1,\"b\":1,\"b\":2",
        "{\"a\":1,\"a\":1}",
        "{\"\\u0061\":1}",
        "1,\"metadata\":{}",
        "1}{",
        "'a'",
        "/**/1",
        "\"\\ud83d\\ude00\"",
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        AUTO_MEM char *text = str_format(
            "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\"},\"v\":%s}", values[i]);
        AUTO_MEM char *in_array = str_format(
            "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\"},\"v\":[%s]}", values[i]);
        CHECK_STR_TAKE(glance_at(text), "in doubt");
        if (values[i][0])
            CHECK_STR_TAKE(glance_at(in_array), "in doubt");
    }
}

// Each limit: what is at it is taken, what is above it is the parser's.
TEST(a_glance_has_limits)
{
    for (int above = 0; above <= 1; above++) {
        const char *want = above ? "in doubt" : "|n|1|";
        AUTO_BUF struct buf deep = buf_make(4096), fields = buf_make(4096), keys = buf_make(16384);
        buf_add_str(&deep, "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\"},\"v\":");
        for (int i = 0; i < 31 + above; i++)
            buf_add_str(&deep, "[");
        for (int i = 0; i < 31 + above; i++)
            buf_add_str(&deep, "]");
        buf_add_str(&deep, "}");
        buf_add_str(&fields, "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\"");
        for (int i = 0; i < KUBE_FIELDS_MAX - 2 + above; i++)
            buf_printf(&fields, ",\"f%d\":1", i);
        buf_add_str(&fields, "}}");
        buf_add_str(&keys,
                    "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\"},\"v\":{\"k\":1");
        for (int i = 0; i < 253 + above; i++)
            buf_printf(&keys, ",\"k%d\":1", i);
        buf_add_str(&keys, "}}");
        const char *texts[] = {deep.ptr, fields.ptr, keys.ptr};
        for (size_t i = 0; i < COUNT(texts); i++) {
            AUTO_MEM char *got = glance_at(texts[i]);
            CHECK(str_starts(got, want));
        }
    }
    AUTO_BUF struct buf large = buf_make(KUBE_NODES_MAX + 100);
    buf_add_str(&large, "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\"},\"v\":\"");
    while (large.len < KUBE_NODES_MAX)
        buf_add_str(&large, "x");
    buf_add_str(&large, "\"}");
    CHECK_STR_TAKE(glance_at(large.ptr), "in doubt");
}

TEST_MAIN()

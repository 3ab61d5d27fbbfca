// SPDX-License-Identifier: Apache-2.0
// What is read from a component's metrics page.
#include "gates_internal.h"
#include "test.h"

#include <string.h>

static const char page[] =
    "# HELP kubernetes_feature_enabled [BETA] This metric records the data about the stage and "
    "enablement of a k8s feature.\n"
    "# TYPE kubernetes_feature_enabled gauge\n"
    "kubernetes_feature_enabled{name=\"DynamicResourceAllocation\",stage=\"BETA\"} 1\n"
    "kubernetes_feature_enabled{name=\"AllAlpha\",stage=\"ALPHA\"} 0\n"
    "kubernetes_feature_enabled{stage=\"\",name=\"VendorGate\"} 1 1700000000000\n"
    "kubernetes_feature_enabled_other{name=\"No\",stage=\"\"} 1\n"
    "kubernetes_build_info{build_date=\"a\\\"b}\",git_version=\"v1.33.13\",major=\"1\"} 1\n"
    "process_start_time_seconds 1.76371234567e+09\n"
    "process_cpu_seconds_total 3\n";

TEST(reads_gates_version_and_start)
{
    AUTO_JSON json_t *gates = NULL;
    struct version version;
    int64_t start_ms;
    CHECK_OK(gates_metrics_read(slice_of(page), &gates, &version, &start_ms));
    AUTO_MEM char *text = doc_print_json_sorted(gates);
    CHECK_STR(text, "{\"AllAlpha\":false,\"DynamicResourceAllocation\":true,\"VendorGate\":true}");
    CHECK_INT(version.minor, 33);
    CHECK_INT(version.patch, 13);
    CHECK_INT(start_ms, 1763712345670);
}

TEST(what_is_kept_of_a_page_says_the_same_as_all_of_it)
{
    AUTO_BUF struct buf kept = buf_make(GATES_METRICS_BYTES_MAX);
    struct slice rest = slice_of(page), line;
    AUTO_JSON json_t *gates = NULL;
    struct version version;
    int64_t start_ms;
    while (slice_cut(&rest, '\n', &line)) {
        if (!gates_metrics_wants(line))
            continue;
        buf_add_slice(&kept, line);
        buf_add_str(&kept, "\n");
    }
    CHECK(!strstr(kept.ptr, "#") && !strstr(kept.ptr, "_other") && !strstr(kept.ptr, "cpu"));
    CHECK_OK(gates_metrics_read(buf_slice(&kept), &gates, &version, &start_ms));
    CHECK_INT(json_object_size(gates), 3);
    CHECK_INT(version.patch, 13);
    CHECK_INT(start_ms, 1763712345670);
    CHECK(!gates_metrics_wants(slice_of("")));
}

TEST(absent_parts_are_zero)
{
    AUTO_JSON json_t *gates = NULL;
    struct version version = {9, 9, 9};
    int64_t start_ms = 9;
    CHECK_OK(gates_metrics_read(slice_of("kubernetes_feature_enabled{name=\"A\",stage=\"\"} 1"),
                                &gates, &version, &start_ms));
    CHECK_INT(version.major, 0);
    CHECK_INT(start_ms, 0);
}

TEST(a_page_without_gates_is_an_error)
{
    AUTO_JSON json_t *gates = NULL;
    struct version version;
    int64_t start_ms;
    CHECK_ERR(gates_metrics_read(slice_of(""), &gates, &version, &start_ms), ERROR_INVALID);
    CHECK_ERR(gates_metrics_read(slice_of("<html>404</html>\nprocess_start_time_seconds nan\n"),
                                 &gates, &version, &start_ms),
              ERROR_INVALID);
}

TEST(broken_lines_are_left_out)
{
    static const char broken[] = "kubernetes_feature_enabled{name=\"A\n"
                                 "kubernetes_feature_enabled{name=\"B\"}\n"
                                 "kubernetes_feature_enabled{name=B} 1\n"
                                 "kubernetes_feature_enabled{name=\n"
                                 "kubernetes_feature_enabled{\n"
                                 "kubernetes_feature_enabled\n"
                                 "kubernetes_feature_enabled{name=\"C\",stage=\"\"} x\n"
                                 "kubernetes_feature_enabled{name=\"D\",stage=\"\"} 1\r\n"
                                 "process_start_time_seconds 1e300\n";
    AUTO_JSON json_t *gates = NULL;
    struct version version;
    int64_t start_ms;
    CHECK_OK(gates_metrics_read(slice_of(broken), &gates, &version, &start_ms));
    AUTO_MEM char *text = doc_print_json_sorted(gates);
    CHECK_STR(text, "{\"D\":true}");
    CHECK_INT(start_ms, 0);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
#include "drawbridge/serve.h"
#include "test.h"

#include <math.h>
#include <string.h>

TEST(counters_and_gauges)
{
    AUTO(metrics) struct metrics *m = metrics_new();
    struct metric *b =
        metrics_family(m, "b_total", METRIC_COUNTER, "controller,result", "How often\nit \\ ran.");
    struct metric *a = metrics_family(m, "a", METRIC_GAUGE, "", "A number.");
    metrics_family(m, "c", METRIC_GAUGE, "label", "Nothing yet.");
    metric_add(b, 1, "dra", "success");
    metric_add(b, 2, "dra", "error");
    metric_add(b, 0.5, "dra", "success");
    metric_add(b, 1, "a\"b\\c\nd", "");
    metric_set(a, -3);
    metric_add(a, 1);
    CHECK_STR_TAKE(metrics_print(m), "# HELP a A number.\n"
                                     "# TYPE a gauge\n"
                                     "a -2\n"
                                     "# HELP b_total How often\\nit \\\\ ran.\n"
                                     "# TYPE b_total counter\n"
                                     "b_total{controller=\"a\\\"b\\\\c\\nd\",result=\"\"} 1\n"
                                     "b_total{controller=\"dra\",result=\"error\"} 2\n"
                                     "b_total{controller=\"dra\",result=\"success\"} 1.5\n");
    CHECK(metric_get(b, "dra", "success") > 1.4);
    CHECK_INT(metric_get(b, "dra", "never"), 0);
    CHECK(metrics_family(m, "a", METRIC_GAUGE, "", "Again.") == a);
}

TEST(numbers_read_back)
{
    AUTO(metrics) struct metrics *m = metrics_new();
    struct metric *g = metrics_family(m, "g", METRIC_GAUGE, "", "G.");
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "g 0\n"},
                 {0.1, "g 0.1\n"},
                 {1e21, "g 1e+21\n"},
                 {1792000000, "g 1792000000\n"},
                 {(double)INFINITY, "g +Inf\n"},
                 {-(double)INFINITY, "g -Inf\n"},
                 {(double)NAN, "g NaN\n"},
                 {1.0 / 3, "g 0.33333333333333331\n"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        metric_set(g, cases[i].value);
        AUTO_MEM char *text = metrics_print(m);
        CHECK_HAS(text, cases[i].text);
    }
}

TEST(histograms_cumulate)
{
    AUTO(metrics) struct metrics *m = metrics_new();
    struct metric *h = metrics_family(m, "h_seconds", METRIC_HISTOGRAM, "controller", "H.");
    metric_observe(h, 0.005, "x");
    metric_observe(h, 0.02, "x");
    metric_observe(h, 100, "x");
    AUTO_MEM char *text = metrics_print(m);
    CHECK_HAS(text, "# TYPE h_seconds histogram\n");
    CHECK_HAS(text, "h_seconds_bucket{controller=\"x\",le=\"0.005\"} 1\n");
    CHECK_HAS(text, "h_seconds_bucket{controller=\"x\",le=\"0.01\"} 1\n");
    CHECK_HAS(text, "h_seconds_bucket{controller=\"x\",le=\"0.025\"} 2\n");
    CHECK_HAS(text, "h_seconds_bucket{controller=\"x\",le=\"60\"} 2\n");
    CHECK_HAS(text, "h_seconds_bucket{controller=\"x\",le=\"+Inf\"} 3\n");
    CHECK_HAS(text, "h_seconds_sum{controller=\"x\"} 100.02");
    CHECK_HAS(text, "h_seconds_count{controller=\"x\"} 3\n");
    CHECK_INT(metric_get(h, "x"), 3);
}

TEST(too_many_series_become_other)
{
    AUTO(metrics) struct metrics *m = metrics_new();
    struct metric *c = metrics_family(m, "c_total", METRIC_COUNTER, "verb,host", "C.");
    for (int i = 0; i < 1500; i++) {
        AUTO_MEM char *host = str_format("h%d", i);
        metric_add(c, 1, "GET", host);
    }
    CHECK_INT(metric_get(c, "GET", "other"), 500);
    CHECK_INT(metric_get(c, "GET", "h999"), 1);
    CHECK_INT(metric_get(c, "GET", "h1000"), 0);
}

static void on_print(void *owner)
{
    metric_add(owner, 1);
}

TEST(series_that_end)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct metric *info = metrics_family(metrics, "info", METRIC_GAUGE, "name,revision", "of each");

    for (unsigned i = 0; i < 5000; i++) {
        AUTO_MEM char *was = str_format("r%u", i), *now = str_format("r%u", i + 1);

        metric_remove(info, "a", was);
        metric_set(info, 1, "a", now);
    }
    metric_set(info, 1, "b", "r1");
    metric_remove(info, "b", "r2"); // not there
    CHECK_STR_TAKE(metrics_print(metrics), "# HELP info of each\n# TYPE info gauge\n"
                                           "info{name=\"a\",revision=\"r5000\"} 1\n"
                                           "info{name=\"b\",revision=\"r1\"} 1\n");
}

TEST(all_series_of_one_object_end)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct metric *m =
        metrics_family(metrics, "m_total", METRIC_COUNTER, "namespace,name,result", "Looks");
    metric_add(m, 1, "ns", "a", "fetched");
    metric_add(m, 2, "ns", "a", "unchanged");
    metric_add(m, 3, "ns", "ab", "fetched");
    metric_add(m, 4, "n", "sa", "fetched");
    metric_add(m, 5, "ns", "", "fetched");
    metric_remove_all(m, 2, "ns", "a");
    metric_remove_all(m, 2, "ns", "none");
    CHECK_INT((int)metric_get(m, "ns", "a", "fetched"), 0);
    CHECK_INT((int)metric_get(m, "ns", "a", "unchanged"), 0);
    CHECK_INT((int)metric_get(m, "ns", "ab", "fetched"), 3);
    CHECK_INT((int)metric_get(m, "n", "sa", "fetched"), 4);
    CHECK_INT((int)metric_get(m, "ns", "", "fetched"), 5);
}

TEST(hooks_run_before_each_print)
{
    AUTO(metrics) struct metrics *m = metrics_new();
    struct metric *g = metrics_family(m, "g", METRIC_GAUGE, "", "G.");
    metrics_on_print(m, on_print, g);
    mem_free(metrics_print(m));
    AUTO_MEM char *text = metrics_print(m);
    CHECK_HAS(text, "\ng 2\n");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
#include "test.h"

static int64_t fixed_wall(void)
{
    return 1763719200000; // 2025-11-21T10:00:00Z
}

static void begin_capture(void)
{
    clock_set_source(NULL, fixed_wall);
    test_capture();
}

TEST(text_lines)
{
    begin_capture();
    log_line(LOG_INFO, "node", "manifest written file=%s", "a.yaml");
    log_line(LOG_DEBUG, "node", "not shown");
    log_line(LOG_ERROR, "kube", "two\nlines \x01 and \xFF");
    CHECK_STR_TAKE(test_captured(),
                   "2025-11-21T10:00:00Z info  node: manifest written file=a.yaml\n"
                   "2025-11-21T10:00:00Z error kube: two\\nlines \\u0001 and \xEF\xBF\xBD\n");
}

TEST(json_lines)
{
    begin_capture();
    log_set_json(true);
    log_set_level(LOG_DEBUG);
    CHECK_INT(log_get_level(), LOG_DEBUG);
    log_line(LOG_DEBUG, "node", "say \"hi\" \\ \xC3\xA4\t");
    CHECK_STR_TAKE(test_captured(),
                   "{\"time\":\"2025-11-21T10:00:00Z\",\"level\":\"debug\",\"room\":\"node\","
                   "\"message\":\"say \\\"hi\\\" \\\\ \xC3\xA4\\u0009\"}\n");
}

TEST(lines_end_somewhere)
{
    AUTO_BUF struct buf b = buf_make(100000);
    for (int i = 0; i < 100000; i++)
        buf_add(&b, "\x01", 1);
    begin_capture();
    log_line(LOG_WARN, "base", "%s", b.ptr);
    AUTO_MEM char *text = test_captured();
    struct slice s = slice_of(text);
    CHECK(s.len > 1000 && s.len <= 16384);
    CHECK(s.ptr[s.len - 1] == '\n');
}

TEST_MAIN()

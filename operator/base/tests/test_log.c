// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <fcntl.h>
#include <unistd.h>

static int64_t fixed_wall(void)
{
    return 1763719200000; // 2025-11-21T10:00:00Z
}

// Sends stderr to a file while the test logs; end_capture() gives what was written.
static int saved_stderr;
static char *capture_path;

static void begin_capture(void)
{
    clock_set_source(NULL, fixed_wall);
    capture_path = test_path("log");
    saved_stderr = dup(STDERR_FILENO);
    int fd = open(capture_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static char *end_capture(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    char *text = test_read(capture_path);
    mem_free(capture_path);
    return text;
}

TEST(text_lines)
{
    begin_capture();
    log_line(LOG_INFO, "node", "manifest written file=%s", "a.yaml");
    log_line(LOG_DEBUG, "node", "not shown");
    log_line(LOG_ERROR, "kube", "two\nlines \x01 and \xFF");
    CHECK_STR_TAKE(end_capture(),
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
    CHECK_STR_TAKE(end_capture(),
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
    AUTO_MEM char *text = end_capture();
    struct slice s = slice_of(text);
    CHECK(s.len > 1000 && s.len <= 16384);
    CHECK(s.ptr[s.len - 1] == '\n');
}

TEST_MAIN()

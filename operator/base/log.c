// SPDX-License-Identifier: Apache-2.0
// The log: a line is one write, so that lines of several processes do not mix, and holds no control
// characters of others' text.
#include "drawbridge/base.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 16384 };

static enum log_level level_now = LOG_INFO;
static bool json_now;

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

void log_set_level(enum log_level level)
{
    ASSERT((size_t)level < COUNT(level_names));
    level_now = level;
}

enum log_level log_get_level(void)
{
    return level_now;
}

void log_set_json(bool json)
{
    json_now = json;
}

bool log_is_json(void)
{
    return json_now;
}

// Control characters are spelled out; quotes too, when it goes into a JSON
// string.
static void add_escaped(struct buf *b, const char *text)
{
    for (const char *s = text; *s; s++) {
        unsigned char byte = (unsigned char)*s;
        if (byte == '\n')
            buf_add_str(b, "\\n");
        else if (byte < 0x20 || byte == 0x7F)
            buf_printf(b, "\\u%04x", byte);
        else if (json_now && (byte == '"' || byte == '\\'))
            buf_printf(b, "\\%c", byte);
        else
            buf_add(b, s, 1);
    }
}

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
    if (level < level_now)
        return;
    va_list args;
    va_start(args, fmt);
    AUTO_MEM char *whole = str_vformat(fmt, args);
    va_end(args);
    // six bytes for each is the longest escape
    AUTO_MEM char *text = text_make(slice_of(whole), LINE_BYTES_MAX / 8);
    char when[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_ms(), when);
    AUTO_BUF struct buf line = buf_make(LINE_BYTES_MAX);
    buf_printf(&line,
               json_now ? "{\"time\":\"%s\",\"level\":\"%s\",\"room\":\"%s\",\"message\":\""
                        : "%s %-5s %s: ",
               when, level_names[level], room);
    add_escaped(&line, text);
    buf_add_str(&line, json_now ? "\"}\n" : "\n");
    ssize_t written = write(STDERR_FILENO, line.ptr, line.len);
    (void)written; // nobody to tell
}

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

// Bytes of the UTF-8 sequence at s (of at most len); 0: it is none.
static size_t utf8_len(const unsigned char *s, size_t len)
{
    size_t want = s[0] < 0x80                   ? 1
                  : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
                  : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
                  : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                                : 0;
    if (want == 0 || want > len)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    bool too_long = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xED && s[1] > 0x9F, beyond = s[0] == 0xF4 && s[1] > 0x8F;
    return too_long || surrogate || beyond ? 0 : want;
}

// Control characters and what is no UTF-8 are spelled out; quotes too, when it goes into a JSON
// string.
static void add_escaped(struct buf *b, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t len = strlen(text); len > 0;) {
        size_t step = utf8_len(s, len);
        if (step == 0)
            buf_add_str(b, "\xEF\xBF\xBD");
        else if (*s == '\n')
            buf_add_str(b, "\\n");
        else if (*s < 0x20 || *s == 0x7F)
            buf_printf(b, "\\u%04x", *s);
        else if (json_now && (*s == '"' || *s == '\\'))
            buf_printf(b, "\\%c", *s);
        else
            buf_add(b, s, step);
        step = step ? step : 1;
        s += step;
        len -= step;
    }
}

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
    if (level < level_now)
        return;
    va_list args;
    va_start(args, fmt);
    AUTO_MEM char *text = str_vformat(fmt, args);
    va_end(args);
    text[strnlen(text, LINE_BYTES_MAX / 8)] = '\0'; // six bytes for each is the longest escape
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

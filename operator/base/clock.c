// SPDX-License-Identifier: Apache-2.0
// Time as Kubernetes writes it, and the one place where tests can stop it.
#include "drawbridge/base.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t (*source_monotonic)(void);
static int64_t (*source_wall)(void);

void clock_set_source(uint64_t (*monotonic_ms)(void), int64_t (*wall_ms)(void))
{
    source_monotonic = monotonic_ms;
    source_wall = wall_ms;
}

uint64_t clock_ms(void)
{
    if (source_monotonic)
        return source_monotonic();
    struct timespec now;
    // It goes on while the machine sleeps: who slept through its lease must not believe in it.
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    if (source_wall)
        return source_wall();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Years 0 to 9999, what RFC 3339 can say; later and earlier is the nearest of them.
#define WALL_MS_MIN (-62167219200000)
#define WALL_MS_MAX 253402300799999

// Whole seconds without the Z into ret; the milliseconds that remain are the value.
static unsigned format_seconds(int64_t wall_ms, char *ret)
{
    wall_ms = wall_ms < WALL_MS_MIN ? WALL_MS_MIN : wall_ms > WALL_MS_MAX ? WALL_MS_MAX : wall_ms;
    int64_t rest = wall_ms % 1000;
    if (rest < 0)
        rest += 1000;
    time_t seconds = (time_t)((wall_ms - rest) / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(ret, CLOCK_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u",
             (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
             (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u,
             (unsigned)tm.tm_sec % 100u);
    return (unsigned)rest;
}

const char *clock_format(int64_t wall_ms, char *ret)
{
    format_seconds(wall_ms, ret);
    size_t len = strlen(ret);
    snprintf(ret + len, CLOCK_TEXT_BYTES - len, "Z");
    return ret;
}

const char *clock_format_micro(int64_t wall_ms, char *ret)
{
    unsigned ms = format_seconds(wall_ms, ret);
    size_t len = strlen(ret);
    snprintf(ret + len, CLOCK_TEXT_BYTES - len, ".%03u000Z", ms);
    return ret;
}

// count digits at *p, of which the value must be within low and high.
static bool take_number(const char **p, int count, int low, int high, int *ret)
{
    int n = 0;
    for (int i = 0; i < count; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        n = n * 10 + (**p - '0');
    }
    *ret = n;
    return n >= low && n <= high;
}

static bool take_char(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

// ".123456" in milliseconds, cut; no point is 0.
static bool take_fraction(const char **p, int *ret_ms)
{
    int ms = 0, digits = 0;
    if (!take_char(p, '.')) {
        *ret_ms = 0;
        return true;
    }
    for (; **p >= '0' && **p <= '9'; (*p)++, digits++)
        if (digits < 3)
            ms = ms * 10 + (**p - '0');
    for (int i = digits; i < 3; i++)
        ms *= 10;
    *ret_ms = ms;
    return digits > 0;
}

static bool take_offset(const char **p, int *ret_seconds)
{
    int hours, minutes, sign = **p == '-' ? -1 : 1;
    if (take_char(p, 'Z')) {
        *ret_seconds = 0;
        return true;
    }
    if (!take_char(p, '+') && !take_char(p, '-'))
        return false;
    if (!take_number(p, 2, 0, 23, &hours) || !take_char(p, ':') ||
        !take_number(p, 2, 0, 59, &minutes))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool clock_parse(const char *text, int64_t *ret_wall_ms)
{
    const char *p = text;
    struct tm tm = {0};
    int year, month, ms, offset;
    if (!text || !take_number(&p, 4, 0, 9999, &year) || !take_char(&p, '-') ||
        !take_number(&p, 2, 1, 12, &month) || !take_char(&p, '-') ||
        !take_number(&p, 2, 1, days_of_month(year, month), &tm.tm_mday) || !take_char(&p, 'T') ||
        !take_number(&p, 2, 0, 23, &tm.tm_hour) || !take_char(&p, ':') ||
        !take_number(&p, 2, 0, 59, &tm.tm_min) || !take_char(&p, ':') ||
        !take_number(&p, 2, 0, 59, &tm.tm_sec))
        return false;
    if (!take_fraction(&p, &ms) || !take_offset(&p, &offset) || *p)
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *ret_wall_ms = ((int64_t)timegm(&tm) - offset) * 1000 + ms;
    return true;
}

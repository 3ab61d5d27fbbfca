// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

TEST(times_are_written)
{
    char text[CLOCK_TEXT_BYTES];
    CHECK_STR(clock_format(0, text), "1970-01-01T00:00:00Z");
    CHECK_STR(clock_format(1763719200999, text), "2025-11-21T10:00:00Z");
    CHECK_STR(clock_format(-1, text), "1969-12-31T23:59:59Z");
    CHECK_STR(clock_format_micro(1763719200045, text), "2025-11-21T10:00:00.045000Z");
    CHECK_STR(clock_format(INT64_MAX, text), "9999-12-31T23:59:59Z");
    CHECK_STR(clock_format(INT64_MIN, text), "0000-01-01T00:00:00Z");
}

TEST(times_are_read)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2025-11-21T10:00:00Z", 1763719200000},
        {"2025-11-21T10:00:00.045678Z", 1763719200045},
        {"2025-11-21T10:00:00.5Z", 1763719200500},
        {"2025-11-21T12:00:00+02:00", 1763719200000},
        {"2025-11-21T04:30:00-05:30", 1763719200000},
        {"2024-02-29T00:00:00Z", 1709164800000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = -1;
        CHECK(clock_parse(cases[i].text, &ms));
        CHECK_INT(ms, cases[i].want);
    }
}

TEST(what_is_no_time_is_refused)
{
    static const char *const cases[] = {
        NULL,
        "",
        "2025",
        "2025-11-21",
        "2025-11-21 10:00:00Z",
        "2025-11-21T10:00:00",
        "2025-13-21T10:00:00Z",
        "2025-02-29T10:00:00Z",
        "2025-11-31T10:00:00Z",
        "2025-11-21T24:00:00Z",
        "2025-11-21T10:60:00Z",
        "2025-11-21T10:00:00.Z",
        "2025-11-21T10:00:00Zx",
        "2025-11-21T10:00:00+0200",
        "2025-11-00T10:00:00Z",
        "2025-00-10T10:00:00Z",
    };
    int64_t ms = 7;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(!clock_parse(cases[i], &ms));
    CHECK_INT(ms, 7);
}

static uint64_t fixed(void)
{
    return 12345;
}

TEST(the_source_can_be_replaced)
{
    clock_set_source(fixed, NULL);
    CHECK_INT(clock_ms(), 12345);
    clock_set_source(NULL, NULL);
    uint64_t before = clock_ms();
    CHECK(clock_ms() >= before);
    CHECK(clock_wall_ms() > 1700000000000);
}

TEST(random_numbers)
{
    rand_seed(7);
    uint64_t a = rand_u64(), b = rand_u64();
    rand_seed(7);
    CHECK(rand_u64() == a && rand_u64() == b && a != b);
    unsigned seen[5] = {0};
    for (int i = 0; i < 5000; i++)
        seen[rand_below(5)]++;
    for (size_t i = 0; i < COUNT(seen); i++)
        CHECK(seen[i] > 800 && seen[i] < 1200);
    CHECK_INT(rand_below(1), 0);
    rand_seed(0);
    CHECK(rand_u64() != rand_u64());
}

// Takes the place of libc's: a machine that slept for slept_s since it was started.
static int64_t slept_s;

int clock_gettime(clockid_t which, struct timespec *ret_now)
{
    int status = (int)syscall(SYS_clock_gettime, which, ret_now);
    if (status == 0 && which == CLOCK_BOOTTIME)
        ret_now->tv_sec += slept_s;
    return status;
}

// Who slept through its lease must not believe in it.
TEST(the_time_that_a_machine_sleeps_is_counted)
{
    uint64_t before = clock_ms();
    slept_s = 86400;
    uint64_t after = clock_ms();
    CHECK(after - before >= 86400000);
    CHECK(after - before < 2 * 86400000);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Durations, against what Go's time.ParseDuration takes.
#include "drawbridge/api.h"
#include "test.h"

static void check_ms(const char *text, uint64_t want)
{
    uint64_t ms = 1;

    CHECK_OK(api_duration_parse(text, &ms));
    CHECK_INT(ms, want);
}

static void check_refused(const char *text)
{
    uint64_t ms = 77;

    CHECK_ERR(api_duration_parse(text, &ms), ERROR_INVALID);
    CHECK_INT(ms, 77); // set on success alone
}

TEST(units)
{
    check_ms("0", 0);
    check_ms("0s", 0);
    check_ms("250ms", 250);
    check_ms("30s", 30000);
    check_ms("5m", 300000);
    check_ms("2h", 7200000);
    check_ms("1h30m", 5400000);
    check_ms("1m30s500ms", 90500);
    check_ms("1500us", 1);
    check_ms("2000000ns", 2);
    check_ms("3000\xc2\xb5s", 3);
    check_ms("3000\xce\xbcs", 3);
}

TEST(fractions)
{
    check_ms("1.5h", 5400000);
    check_ms(".5s", 500);
    check_ms("1.s", 1000);
    check_ms("0.0000000001h", 0);
    check_ms("0.001s", 1);
    check_ms("0.999999999999999s", 999);
}

TEST(refused)
{
    check_refused(NULL);
    check_refused("");
    check_refused("5");
    check_refused("s");
    check_refused(".s");
    check_refused("5 m");
    check_refused("-5m");
    check_refused("5d");
    check_refused("5m3");
    check_refused("1e3s");
    check_refused("99999999999999999999s");
    check_refused("2562048h"); // past 2^63 ns
}

TEST(largest)
{
    check_ms("2562047h", 9223369200000ULL);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
#include "drawbridge/git.h"
#include "test.h"

TEST(order)
{
    // the example of semver.org, point 11
    static const char *const ordered[] = {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                          "1.0.0-beta",  "1.0.0-beta.2",  "1.0.0-beta.11",
                                          "1.0.0-rc.1",  "v1.0.0",        "1.0.1",
                                          "1.9.0",       "1.10.0",        "2.0.0"};

    for (size_t i = 0; i < COUNT(ordered); i++)
        for (size_t k = 0; k < COUNT(ordered); k++)
            CHECK_INT(semver_compare(ordered[i], ordered[k]), (i > k) - (i < k));
    CHECK_INT(semver_compare("1.0.0+a", "1.0.0+b"), 0);
}

TEST(ranges)
{
    static const struct {
        const char *range, *in, *out;
    } all[] = {
        {"1.2.3", "1.2.3 v1.2.3 1.2.3+b", "1.2.4 1.2.2 1.2.3-rc.1"},
        {">=1.2.0 <2.0.0", "1.2.0 1.9.9", "1.1.9 2.0.0 2.0.0-rc.1 1.5.0-rc.1"},
        {">= 1.2.0, < 2.0.0", "1.2.0 1.9.9", "1.1.9 2.0.0"},
        {"^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0"},
        {"^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"},
        {"^0.0.3", "0.0.3", "0.0.4"},
        {"~1.2.3", "1.2.3 1.2.9", "1.3.0"},
        {"~1", "1.0.0 1.9.9", "2.0.0"},
        {"1.2.x", "1.2.0 1.2.9", "1.3.0"},
        {"1", "1.0.0 1.9.9", "2.0.0 0.9.9"},
        {"*", "0.0.1 99.0.0", "1.0.0-rc.1"},
        {">1.2", "1.3.0 2.0.0", "1.2.9"},
        {"<=1.2", "1.2.9 0.1.0", "1.3.0"},
        {"^1.0 || ^3.0", "1.5.0 3.1.0", "2.0.0 4.0.0"},
        {"1.x !=1.5.0", "1.4.0 1.6.0", "1.5.0"},
        {">=1.0.0-rc.0", "1.0.0-rc.1 1.0.0 1.4.0", "1.0.0-beta.1 1.4.0-rc.1"},
    };

    for (size_t i = 0; i < COUNT(all); i++) {
        struct slice in = slice_of(all[i].in), out = slice_of(all[i].out), one;

        while (slice_cut(&in, ' ', &one)) {
            AUTO_MEM char *tag = slice_dup(one);
            if (!semver_matches(tag, all[i].range))
                test_fail(__FILE__, __LINE__, "%s should be in %s", tag, all[i].range);
        }
        while (slice_cut(&out, ' ', &one)) {
            AUTO_MEM char *tag = slice_dup(one);
            if (semver_matches(tag, all[i].range))
                test_fail(__FILE__, __LINE__, "%s should not be in %s", tag, all[i].range);
        }
    }
}

TEST(what_is_none)
{
    static const char *const ranges[] = {
        "", " ", ">=", "a.b.c", "1.2.3 - 2.0.0", "1.2.3.4", "||", "1 ||", "^", "1.2-rc.1", "x.1"};
    static const char *const tags[] = {
        "", "1.2", "v", "release", "1.2.3-", "1.2.3+", "1.2.3-a..b", "1.-2.3", "9999999999999.0.0"};

    for (size_t i = 0; i < COUNT(ranges); i++)
        if (semver_valid_range(ranges[i]))
            test_fail(__FILE__, __LINE__, "\"%s\" is no range", ranges[i]);
    for (size_t i = 0; i < COUNT(tags); i++)
        if (semver_valid(tags[i]))
            test_fail(__FILE__, __LINE__, "\"%s\" is no version", tags[i]);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// The guard is killed at its n-th file operation, for every n: the kubelet's file is whole at each
// moment, and in the end it is the one from before, with a verdict that says so.
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drawbridge/guard.h"
#include "testkit/test.h"

#define ID "0123456789abcdef"

static unsigned die_at, stages;
static char *dir, *config;
static const char *before, *after; // NULL: no file

static void die(const char *stage)
{
    (void)stage;
    if (++stages == die_at)
        _exit(9);
}

static void write_or_remove(const char *text)
{
    if (text)
        test_write(config, text);
    else
        unlink(config);
}

static bool file_is(const char *text)
{
    if (!text || !test_exists(config))
        return !text && !test_exists(config);
    AUTO_MEM char *now = test_read(config);
    return str_eq(now, text);
}

static void arm(void)
{
    struct guard_record record = {.id = ID,
                                  .path = config,
                                  .starts_max = 2,
                                  .mode = 0644,
                                  .before_there = before != NULL,
                                  .after_there = after != NULL,
                                  .before = slice_of(before),
                                  .after = slice_of(after)};

    CHECK_OK(guard_arm(dir, &record));
}

static void by_starts(void)
{
    bool put_back = false;

    for (int i = 0; i < 6 && !put_back; i++)
        CHECK_OK(guard_on_start(dir, &put_back));
    // The run that finds all done but the last word says nothing.
    CHECK(put_back || file_is(before));
    CHECK_OK(guard_on_start(dir, &put_back));
}

static void by_timer(void)
{
    bool put_back = false;

    CHECK_OK(guard_on_timer(dir, ID, &put_back));
}

static void wipe(void)
{
    AUTO_MEM char *command = str_format("rm -rf '%s'/* '%s'/.drawbridge*", test_dir(), test_dir());

    CHECK(system(command) == 0);
}

static void kill_everywhere(void (*run)(void), enum guard_by by, unsigned at_least)
{
    bool finished = false;

    dir = test_path("guard");
    config = test_path("config.yaml");
    for (die_at = 1; !finished; die_at++) {
        wipe();
        write_or_remove(before);
        arm();
        write_or_remove(after);
        pid_t pid = fork();
        if (pid == 0) {
            guard_test_hook = die;
            run();
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
        finished = WEXITSTATUS(status) == 0;
        CHECK(file_is(before) || file_is(after));
        struct guard_state state;
        CHECK_OK(guard_look(dir, &state));
        CHECK(file_is(after) || state.judged); // never put back without a word
        by_starts();
        CHECK(file_is(before));
        CHECK_OK(guard_look(dir, &state));
        CHECK(state.judged && !state.armed && !state.counted);
        CHECK(str_eq(state.verdict.id, ID) &&
              (by == GUARD_BY_STARTS || finished ? state.verdict.by == by : true));
    }
    CHECK(die_at > at_least);
    mem_free(dir);
    mem_free(config);
}

TEST(by_starts)
{
    before = "before\n";
    after = "after\n";
    kill_everywhere(by_starts, GUARD_BY_STARTS, 20);
}

TEST(by_the_timer)
{
    before = "before\n";
    after = "after\n";
    kill_everywhere(by_timer, GUARD_BY_TIMER, 12);
}

TEST(where_the_edit_made_the_file)
{
    before = NULL;
    after = "after\n";
    kill_everywhere(by_starts, GUARD_BY_STARTS, 15);
}

TEST(where_the_edit_took_the_file_away)
{
    before = "before\n";
    after = NULL;
    kill_everywhere(by_starts, GUARD_BY_STARTS, 20);
}

// Armed or not, disarmed or not, and nothing in between: what comes after is a whole record or
// none.
static void kill_the_agent(void (*run)(void), bool armed_in_the_end)
{
    bool finished = false;

    before = "before\n";
    after = "after\n";
    dir = test_path("guard");
    config = test_path("config.yaml");
    for (die_at = 1; !finished; die_at++) {
        wipe();
        test_write(config, before);
        if (!armed_in_the_end)
            arm();
        pid_t pid = fork();
        if (pid == 0) {
            guard_test_hook = die;
            run();
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        struct guard_state state;
        CHECK_OK(guard_look(dir, &state));
        CHECK(!finished || state.armed == armed_in_the_end);
        CHECK(!state.judged && file_is(before));
        test_write(config, after);
        bool put_back = false, any = false;
        for (int i = 0; i < 3; i++) {
            CHECK_OK(guard_on_start(dir, &put_back));
            any = any || put_back;
        }
        CHECK(any == state.armed && file_is(any ? before : after));
    }
    CHECK(die_at > 2);
    mem_free(dir);
    mem_free(config);
}

static void disarm(void)
{
    CHECK_OK(guard_disarm(dir));
}

TEST(while_it_is_armed)
{
    kill_the_agent(arm, true);
}

TEST(while_it_is_disarmed)
{
    kill_the_agent(disarm, false);
}

TEST_MAIN()

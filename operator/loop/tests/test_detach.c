// SPDX-License-Identifier: Apache-2.0
#include "drawbridge/loop.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct error *start(const char *program, const char *dir, const char *script, int64_t *pid)
{
    const char *const argv[] = {program, "-c", script, NULL};
    const char *const env[] = {"DRAWBRIDGE_WORD=mine", NULL};
    AUTO_MEM char *log = test_path("log");
    struct loop_detached_spec spec = {
        .program = program, .argv = argv, .env = env, .dir = dir, .output = log};
    return loop_detach(&spec, pid);
}

// What it wrote, once a line "end" is there.
static char *wait_for_log(void)
{
    AUTO_MEM char *log = test_path("log");
    for (;;) {
        char *text = test_read(log);
        if (strstr(text, "end\n"))
            return text;
        mem_free(text);
        usleep(10000);
    }
}

TEST(it_is_nobodys_child_and_in_a_session_of_its_own)
{
    int64_t pid = 0;
    AUTO_MEM char *log = test_path("log");
    test_write(log, "what was there before\n");
    setenv("DRAWBRIDGE_OTHER", "ours", 1);
    CHECK_OK(start("/bin/sh", "/",
                   "echo $DRAWBRIDGE_WORD $DRAWBRIDGE_OTHER; pwd; echo err >&2; "
                   "read x || echo empty; echo $$; cut -d' ' -f6 /proc/$$/stat; "
                   "grep PPid /proc/$$/status; echo end",
                   &pid));
    AUTO_MEM char *text = wait_for_log();
    AUTO_MEM char *begins =
        str_format("mine ours\n/\nerr\nempty\n%lld\n%lld\n", (long long)pid, (long long)pid);
    CHECK(str_starts(text, begins));
    AUTO_MEM char *ours = str_format("PPid:\t%d\n", getpid());
    CHECK(!strstr(text, ours));
}

// Of two of a name most programs take the first.
TEST(a_word_that_is_given_takes_the_place_of_ours)
{
    int64_t pid = 0;
    setenv("DRAWBRIDGE_WORD", "ours", 1);
    setenv("DRAWBRIDGE_WORDS", "others", 1); // begins alike
    CHECK_OK(start("/bin/sh", "/",
                   "tr '\\0' '\\n' </proc/$$/environ | grep ^DRAWBRIDGE_WORD | sort; echo end",
                   &pid));
    AUTO_MEM char *text = wait_for_log();
    CHECK_STR(text, "DRAWBRIDGE_WORD=mine\nDRAWBRIDGE_WORDS=others\nend\n");
}

TEST(what_cannot_be_started_is_said)
{
    int64_t pid = 0;
    AUTO_MEM char *nowhere = test_path("nowhere");
    CHECK_ERR_HAS(start(nowhere, "/", "", &pid), ERROR_NOT_FOUND, "run ");
    CHECK_ERR_HAS(start("/bin/sh", nowhere, "", &pid), ERROR_NOT_FOUND, "enter ");
}

// Whoever may make a link there could have any file of ours emptied.
TEST(what_it_says_goes_through_no_link)
{
    int64_t pid = 0;
    AUTO_MEM char *log = test_path("log"), *other = test_path("other");
    test_write(other, "kept\n");
    CHECK(symlink(other, log) == 0);
    CHECK_ERR_HAS(start("/bin/sh", "/", "echo said", &pid), ERROR_TRANSIENT, log);
    CHECK_STR_TAKE(test_read(other), "kept\n");
}

TEST(none_of_our_files_is_open_in_it)
{
    int64_t pid = 0;
    int fd = dup(STDERR_FILENO); // without FD_CLOEXEC
    CHECK(fd > 2);
    AUTO_MEM char *script = str_format("[ -e /proc/$$/fd/%d ] && echo open; echo end", fd);
    CHECK_OK(start("/bin/sh", "/", script, &pid));
    AUTO_MEM char *text = wait_for_log();
    CHECK_STR(text, "end\n");
    close(fd);
}

TEST_MAIN()

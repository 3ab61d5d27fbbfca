// SPDX-License-Identifier: Apache-2.0
#include "drawbridge/loop.h"
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct story {
    struct loop *loop;
    struct op *a, *b;
    char text[64];
    size_t len;
};

static void note(struct story *s, char c)
{
    if (s->len + 1 < sizeof(s->text))
        s->text[s->len++] = c;
}

static void on_a(void *owner)
{
    struct story *s = owner;
    s->a = NULL;
    note(s, 'a');
}

static void on_b(void *owner)
{
    struct story *s = owner;
    s->b = NULL;
    note(s, 'b');
}

static void on_drops_b(void *owner)
{
    struct story *s = owner;
    s->a = NULL;
    note(s, 'x');
    s->b = op_drop(s->b);
}

TEST(nothing_to_wait_for_ends_the_run)
{
    AUTO(loop) struct loop *loop = loop_new();
    loop_run(loop);
    loop_run(loop);
}

TEST(done_never_runs_before_the_send_returns)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct story s = {.loop = loop};
    s.a = loop_defer(loop, on_a, &s);
    s.b = loop_sleep(loop, 0, on_b, &s);
    CHECK_STR(s.text, "");
    loop_run(loop);
    CHECK(s.a == NULL && s.b == NULL);
    CHECK_INT(s.len, 2);
}

TEST(sleeps_wake_in_order_of_time_then_of_start)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct story s = {.loop = loop};
    uint64_t began = clock_ms();
    s.b = loop_sleep(loop, 60, on_b, &s);
    s.a = loop_sleep(loop, 30, on_a, &s);
    loop_run(loop);
    CHECK_STR(s.text, "ab");
    CHECK(clock_ms() - began >= 59);
}

TEST(a_dropped_op_does_not_run)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct story s = {.loop = loop};
    s.a = loop_sleep(loop, 1, on_a, &s);
    s.b = loop_defer(loop, on_b, &s);
    s.a = op_drop(s.a);
    s.b = op_drop(s.b);
    CHECK(op_drop(NULL) == NULL);
    loop_run(loop);
    CHECK_STR(s.text, "");
}

TEST(a_due_sleep_can_be_dropped_by_the_one_before)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct story s = {.loop = loop};
    s.a = loop_sleep(loop, 5, on_drops_b, &s);
    s.b = loop_sleep(loop, 5, on_b, &s);
    usleep(20000); // both are due in the same pass
    loop_run(loop);
    CHECK_STR(s.text, "x");
}

TEST(a_deferred_call_can_be_dropped_by_the_one_before)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct story s = {.loop = loop};
    s.a = loop_defer(loop, on_drops_b, &s);
    s.b = loop_defer(loop, on_b, &s);
    loop_run(loop);
    CHECK_STR(s.text, "x");
}

static void on_again(void *owner)
{
    struct story *s = owner;
    note(s, 'r');
    s->a = s->len < 20 ? loop_defer(s->loop, on_again, s) : NULL;
}

static void on_slept_again(void *owner)
{
    struct story *s = owner;
    note(s, 'r');
    s->a = s->len < 20 ? loop_sleep(s->loop, 0, on_slept_again, s) : NULL;
}

TEST(what_a_callback_starts_waits_for_the_next_turn)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct story s = {.loop = loop};
    uint64_t before = loop_turns(loop);
    s.a = loop_defer(loop, on_again, &s);
    loop_run(loop);
    CHECK_INT(s.len, 20);
    CHECK(loop_turns(loop) - before >= 20);
    s.len = 0;
    before = loop_turns(loop);
    s.a = loop_sleep(loop, 0, on_slept_again, &s);
    loop_run(loop);
    CHECK_INT(s.len, 20);
    CHECK(loop_turns(loop) - before >= 20);
}

#define STEP_MS 100
static uint64_t last_due;
static unsigned woken;

static void on_counted(void *owner)
{
    uint64_t *due = owner;
    // a busy machine may stop us between reading the clock and the send
    CHECK(*due + STEP_MS - 5 >= last_due);
    last_due = *due;
    *due = 0;
    woken++;
}

TEST(many_sleeps_keep_their_order_when_some_are_dropped)
{
    enum { MANY = 2000 };
    AUTO(loop) struct loop *loop = loop_new();
    static uint64_t dues[MANY];
    static struct op *ops[MANY];
    rand_seed(11);
    for (size_t i = 0; i < MANY; i++) {
        uint64_t delay_ms = (1 + rand_below(20)) * STEP_MS;
        dues[i] = clock_ms() + delay_ms;
        ops[i] = loop_sleep(loop, delay_ms, on_counted, &dues[i]);
    }
    for (size_t i = 0; i < MANY; i += 3)
        ops[i] = op_drop(ops[i]);
    loop_run(loop);
    CHECK_INT(woken, MANY - (MANY + 2) / 3);
    for (size_t i = 0; i < MANY; i++)
        CHECK((i % 3 == 0) == (dues[i] != 0));
}

static void on_stop(void *owner)
{
    struct story *s = owner;
    s->a = NULL;
    loop_stop(s->loop);
}

TEST(stop_leaves_what_is_pending)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct story s = {.loop = loop};
    s.a = loop_sleep(loop, 5, on_stop, &s);
    s.b = loop_sleep(loop, 100000, on_b, &s);
    loop_run(loop);
    CHECK(s.a == NULL && s.b != NULL);
    s.b = op_drop(s.b);
}

static void on_far(void *owner)
{
    (void)owner;
    test_fail(__FILE__, __LINE__, "a far sleep woke up");
}

TEST(an_idle_loop_does_not_turn)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct story s = {.loop = loop};
    struct op *far = loop_sleep(loop, UINT64_MAX, on_far, NULL), *watch = NULL;
    CHECK_OK(loop_watch_dir(loop, test_dir(), on_far, NULL, &watch));
    struct op *signal = loop_on_signal(loop, SIGUSR1, on_far, NULL);
    s.a = loop_sleep(loop, 20, on_stop, &s);
    loop_run(loop);
    uint64_t before = loop_turns(loop);
    s.a = loop_sleep(loop, 1000, on_stop, &s);
    loop_run(loop);
    CHECK(loop_turns(loop) - before <= 3);
    op_drop(far);
    op_drop(watch);
    op_drop(signal);
}

TEST(a_loop_in_use_cannot_be_freed)
{
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        struct loop *loop = loop_new();
        struct op *op = loop_defer(loop, on_far, NULL);
        loop_free(loop);
        op_drop(op);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(status != 0);
}

TEST_MAIN()

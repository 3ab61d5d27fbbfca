// SPDX-License-Identifier: Apache-2.0
// The queue: each key once, one worker a key, back-off, delays by one timer.
#include "queue_internal.h"

#include "testkit/test.h"

#include <string.h>

struct bench {
    struct loop *loop;
    struct queue *queue;
    struct op *timer;
    struct buf log;
    bool done_at_once, fail, free_in_work;
    uint64_t after_ms; // what the first work asks for
    unsigned works;
    uint64_t last_ms;
    bool merged; // all keys have one lane
};

static void on_work(void *owner, const char *key)
{
    struct bench *bench = owner;
    bench->works++;
    bench->last_ms = clock_ms();
    buf_printf(&bench->log, "%s ", key);
    if (bench->free_in_work)
        queue_free(TAKE(bench->queue));
    else if (bench->done_at_once)
        queue_done(bench->queue, key, bench->fail, bench->works == 1 ? bench->after_ms : 0);
}

// "a1" and "a2" have the lane "a".
static char *on_lane(void *owner, const char *key)
{
    const struct bench *bench = owner;
    return str_ndup(bench->merged ? "all" : key, bench->merged ? 3 : 1);
}

static struct bench *bench_with(unsigned workers, char *(*lane)(void *, const char *))
{
    struct bench *bench = NEW(struct bench);
    bench->loop = loop_new();
    bench->log = buf_make(100000);
    struct queue_spec spec = {.name = "q",
                              .workers = workers,
                              .backoff_ms = 10,
                              .backoff_ms_max = 80,
                              .lane = lane,
                              .work = on_work,
                              .owner = bench};
    bench->queue = queue_new(bench->loop, &spec);
    return bench;
}

static struct bench *bench_new(unsigned workers)
{
    return bench_with(workers, NULL);
}

static void bench_free(struct bench *bench)
{
    queue_free(bench->queue);
    op_drop(bench->timer);
    loop_free(bench->loop);
    buf_fini(&bench->log);
    mem_free(bench);
}

static void on_stop(void *owner)
{
    struct bench *bench = owner;
    bench->timer = NULL;
    loop_stop(bench->loop);
}

static void run_for(struct bench *bench, uint64_t ms)
{
    bench->timer = loop_sleep(bench->loop, ms, on_stop, bench);
    while (bench->timer)
        loop_run(bench->loop);
}

// On a busy machine a delay is a least, never a most.
static void run_until(struct bench *bench, unsigned works)
{
    while (bench->works < works)
        run_for(bench, 5);
}

TEST(each_key_once_in_order)
{
    struct bench *bench = bench_new(10);
    bench->done_at_once = true;
    queue_add(bench->queue, "a");
    queue_add(bench->queue, "b");
    queue_add(bench->queue, "a");
    CHECK_INT(bench->works, 0); // never inside the add
    CHECK_INT(queue_stats(bench->queue).depth, 2);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a b ");
    CHECK_INT(queue_stats(bench->queue).depth, 0);
    CHECK_INT(queue_stats(bench->queue).adds_total, 2);
    CHECK_INT(queue_stats(bench->queue).work_seconds_count, 2);
    CHECK_INT(bench->queue->map.len, 0); // nothing is remembered of it
    bench_free(bench);
}

TEST(what_is_added_while_worked_on_runs_once_more)
{
    struct bench *bench = bench_new(10);
    queue_add(bench->queue, "a");
    run_for(bench, 5);
    queue_add(bench->queue, "a");
    queue_add(bench->queue, "a");
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a ");
    queue_done(bench->queue, "a", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a a ");
    queue_done(bench->queue, "a", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a a ");
    CHECK_INT(queue_stats(bench->queue).adds_total, 2);
    CHECK_INT(bench->queue->map.len, 0);
    bench_free(bench);
}

TEST(no_more_workers_than_allowed)
{
    struct bench *bench = bench_new(2);
    queue_add(bench->queue, "a");
    queue_add(bench->queue, "b");
    queue_add(bench->queue, "c");
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a b ");
    CHECK_INT(queue_stats(bench->queue).working, 2);
    queue_done(bench->queue, "b", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a b c ");
    bench_free(bench);
}

TEST(what_waits_for_somebody_else_takes_no_worker)
{
    struct bench *bench = bench_new(1);
    queue_add(bench->queue, "a");
    queue_add(bench->queue, "b");
    queue_add(bench->queue, "c");
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a ");
    queue_let_others(bench->queue, "a");
    queue_let_others(bench->queue, "a"); // no second worker for it
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a b ");
    CHECK_INT(queue_stats(bench->queue).working, 1);
    CHECK_INT(queue_stats(bench->queue).waiting, 1);
    queue_add(bench->queue, "a"); // still in work: once more after
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a b ");
    queue_done(bench->queue, "a", false, 0);
    queue_done(bench->queue, "b", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a b c ");
    queue_done(bench->queue, "c", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a b c a ");
    CHECK_INT(queue_stats(bench->queue).waiting, 0);
    queue_done(bench->queue, "a", false, 0);
    CHECK_INT(queue_stats(bench->queue).working, 0);
    CHECK_INT(bench->queue->map.len, 0);
    bench_free(bench);
}

// All keys of the bench's log are done.
static void finish(struct bench *bench, const char *keys)
{
    struct slice rest = slice_of(keys), key;
    while (slice_cut(&rest, ' ', &key)) {
        AUTO_MEM char *text = slice_dup(key);
        queue_done(bench->queue, text, false, 0);
    }
    run_for(bench, 5);
    CHECK_INT(queue_stats(bench->queue).working, 0);
    CHECK_INT(bench->queue->map.len, 0);
    CHECK_INT(bench->queue->lanes.map.len, 0);
}

TEST(one_key_of_a_lane_at_once_and_lanes_take_turns)
{
    struct bench *bench = bench_with(2, on_lane);
    queue_add(bench->queue, "a1");
    queue_add(bench->queue, "a2");
    queue_add(bench->queue, "a3");
    queue_add(bench->queue, "b1");
    queue_add(bench->queue, "c1");
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 ");
    CHECK_INT(queue_stats(bench->queue).depth, 3);
    queue_done(bench->queue, "a1", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 c1 "); // before the second of a
    queue_done(bench->queue, "b1", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 c1 a2 ");
    queue_done(bench->queue, "c1", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 c1 a2 ");
    queue_done(bench->queue, "a2", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 c1 a2 a3 ");
    finish(bench, "a3");
    bench_free(bench);
}

TEST(what_waits_for_somebody_else_keeps_its_lane)
{
    struct bench *bench = bench_with(1, on_lane);
    queue_add(bench->queue, "a1");
    queue_add(bench->queue, "a2");
    queue_add(bench->queue, "b1");
    run_for(bench, 5);
    queue_let_others(bench->queue, "a1");
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 ");
    queue_add(bench->queue, "a1"); // after the one that waits for longer
    queue_done(bench->queue, "b1", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 ");
    queue_done(bench->queue, "a1", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 a2 ");
    queue_done(bench->queue, "a2", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 b1 a2 a1 ");
    finish(bench, "a1");
    bench_free(bench);
}

// A kubeconfig turns out to lead to the same cluster as another one.
TEST(the_lane_is_that_of_the_moment_when_the_work_begins)
{
    struct bench *bench = bench_with(3, on_lane);
    queue_add(bench->queue, "a1");
    run_for(bench, 5);
    queue_add(bench->queue, "a2");
    queue_add(bench->queue, "b1");
    bench->merged = true;
    queue_add(bench->queue, "c1");
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 c1 ");
    queue_done(bench->queue, "a1", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 c1 ");
    queue_done(bench->queue, "c1", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 c1 b1 ");
    queue_done(bench->queue, "b1", false, 0);
    run_for(bench, 5);
    CHECK_STR(bench->log.ptr, "a1 c1 b1 a2 ");
    finish(bench, "a2");
    bench_free(bench);
}

TEST(failures_back_off_and_success_forgets_them)
{
    struct bench *bench = bench_new(1);
    bench->done_at_once = bench->fail = true;
    queue_add(bench->queue, "a");
    uint64_t began_ms = clock_ms();
    while (bench->works < 8)
        run_for(bench, 5);
    // Half of 10, 20, 40 and 80 ms on average, then of 80 each.
    CHECK(clock_ms() - began_ms >= 30);
    CHECK_INT(queue_stats(bench->queue).retries_total, bench->works);
    bench->fail = false;
    while (bench->queue->map.len)
        run_for(bench, 5);
    bench_free(bench);
}

TEST(what_is_forgotten_backs_off_as_the_first_time)
{
    struct bench *bench = bench_new(1);
    bench->done_at_once = bench->fail = true;
    queue_add(bench->queue, "a");
    while (bench->works < 6)
        run_for(bench, 5);
    const struct queue_item *item = queue_map_find(&bench->queue->map, "a");
    CHECK(item->failures >= 6);
    queue_forget(bench->queue, "a");
    queue_forget(bench->queue, "unknown");
    CHECK_INT(item->failures, 0);
    bench->fail = false;
    while (bench->queue->map.len)
        run_for(bench, 5);
    bench_free(bench);
}

TEST(jitter_spreads_over_the_whole_back_off)
{
    struct bench *bench = bench_new(1);
    rand_seed(3);
    uint64_t low = UINT64_MAX, high = 0;
    for (int i = 0; i < 200; i++) {
        AUTO_MEM char *key = str_format("k%d", i);
        queue_add(bench->queue, key);
        run_for(bench, 0);
        while (queue_stats(bench->queue).working == 0)
            run_for(bench, 1);
        queue_done(bench->queue, key, true, 0);
        struct queue_item *item = queue_map_find(&bench->queue->map, key);
        uint64_t wait_ms = item->due_ms - clock_ms();
        if (item->heap_at > 0 && item->due_ms >= clock_ms()) {
            low = wait_ms < low ? wait_ms : low;
            high = wait_ms > high ? wait_ms : high;
        }
        queue_heap_remove(&bench->queue->heap, item);
    }
    CHECK(low <= 2);
    CHECK(high >= 8 && high <= 10);
    bench_free(bench);
}

TEST(delays_and_the_earliest_wish_wins)
{
    struct bench *bench = bench_new(1);
    bench->done_at_once = true;
    uint64_t began_ms = clock_ms();
    queue_add_after(bench->queue, "a", 60000);
    queue_add_after(bench->queue, "a", 40);
    queue_add_after(bench->queue, "a", 50000);
    CHECK_INT(queue_stats(bench->queue).delayed, 1);
    run_until(bench, 1);
    CHECK(bench->last_ms - began_ms >= 40);
    CHECK_INT(queue_stats(bench->queue).delayed, 0);
    queue_add_after(bench->queue, "b", 30);
    queue_add(bench->queue, "b"); // now, and not again later
    run_for(bench, 60);
    CHECK_STR(bench->log.ptr, "a b ");
    bench_free(bench);
}

TEST(done_can_ask_to_come_again)
{
    struct bench *bench = bench_new(1);
    bench->done_at_once = true;
    bench->after_ms = 30;
    uint64_t began_ms = clock_ms();
    queue_add(bench->queue, "a");
    run_until(bench, 2);
    CHECK(bench->last_ms - began_ms >= 30);
    run_for(bench, 40);
    CHECK_INT(bench->works, 2);
    bench_free(bench);
}

TEST(a_delayed_key_does_not_wake_the_loop_before_its_time)
{
    struct bench *bench = bench_new(1);
    for (int i = 0; i < 100; i++) {
        AUTO_MEM char *key = str_format("k%d", i);
        queue_add_after(bench->queue, key, 10000 + (uint64_t)i);
    }
    run_for(bench, 10);
    uint64_t before = loop_turns(bench->loop);
    run_for(bench, 200);
    CHECK(loop_turns(bench->loop) - before <= 3);
    bench_free(bench);
}

TEST(freed_inside_work)
{
    struct bench *bench = bench_new(4);
    bench->free_in_work = true;
    queue_add(bench->queue, "a");
    queue_add(bench->queue, "b");
    run_for(bench, 5);
    CHECK_INT(bench->works, 1);
    bench_free(bench);
}

TEST(many_keys_in_random_order)
{
    struct bench *bench = bench_new(3);
    bench->done_at_once = true;
    rand_seed(11);
    for (int i = 0; i < 2000; i++) {
        AUTO_MEM char *key = str_format("k%d", (int)rand_below(700));
        if (rand_below(2))
            queue_add(bench->queue, key);
        else
            queue_add_after(bench->queue, key, 1 + rand_below(40));
    }
    while (queue_stats(bench->queue).depth || queue_stats(bench->queue).delayed)
        run_for(bench, 5);
    CHECK_INT(bench->queue->map.len, 0);
    CHECK_INT(bench->queue->lanes.map.len, 0);
    CHECK_INT(queue_stats(bench->queue).adds_total, bench->works);
    bench_free(bench);
}

TEST_MAIN()

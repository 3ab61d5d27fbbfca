// SPDX-License-Identifier: Apache-2.0
// The motor of passes by itself: steps that never end are given up.
#include "drawbridge/walk.h"
#include "testkit/test.h"

enum { HANGS, REPORTS, ENDS };

struct bench {
    struct loop *loop;
    struct queue *queue;
    struct walks walks;
    unsigned started, dropped, reports, ends;
    struct op *stop;
};
static struct bench bench;

static struct op *wait_for_ever(void)
{
    return loop_sleep(bench.loop, UINT32_MAX, NULL, NULL);
}

static struct error *hang(void *owner, enum verdict *ret_verdict)
{
    struct walk *walk = owner;

    walk->pending = wait_for_ever();
    *ret_verdict = VERDICT_WAIT;
    return NULL;
}

// The report hangs too: nobody is told, and the pass ends all the same.
static struct error *report(void *owner, enum verdict *ret_verdict)
{
    const struct walk *walk = owner;

    bench.reports++;
    CHECK_INT(error_kind(walk->err), ERROR_TRANSIENT);
    CHECK_STR(error_reason(walk->err), "APIServerUnreachable");
    CHECK_HAS(error_text(walk->err), "HANGS");
    return hang(owner, ret_verdict);
}

static const struct walk_step steps[] = {
    [HANGS] = {"HANGS", hang}, [REPORTS] = {"REPORTS", report}, [ENDS] = {"ENDS", NULL}};

static unsigned next(const void *owner, bool failed)
{
    const struct walk *walk = owner;

    CHECK(failed);
    return walk->step == HANGS ? REPORTS : ENDS;
}

static uint64_t end(void *owner)
{
    const struct walk *walk = owner;

    CHECK(walk->failed); // it comes again
    bench.ends++;
    loop_stop(bench.loop);
    return 0;
}

static void drop(void *owner)
{
    bench.dropped++;
    mem_free(owner);
}

static const struct walk_kind kind = {.controller = "test",
                                      .prefix = "",
                                      .steps = steps,
                                      .step_ms_max = 5,
                                      .next = next,
                                      .end = end,
                                      .drop = drop};

static void on_work(void *owner UNUSED, const char *key)
{
    bench.started++;
    walk_start(NEW(struct walk), &bench.walks, key);
}

TEST(a_step_that_never_ends_is_given_up_and_so_is_its_report)
{
    struct queue_spec spec = {.name = "test",
                              .workers = 1,
                              .backoff_ms = 60000,
                              .backoff_ms_max = 60000,
                              .work = on_work};

    log_set_level(LOG_ERROR);
    bench.loop = loop_new();
    bench.queue = queue_new(bench.loop, &spec);
    bench.walks = (struct walks){.kind = &kind, .loop = bench.loop, .queue = bench.queue};
    queue_add(bench.queue, "a");
    loop_run(bench.loop);
    CHECK_INT(bench.started, 1);
    CHECK_INT(bench.reports, 1);
    CHECK_INT(bench.ends, 1);
    CHECK_INT(bench.dropped, 1);
    CHECK_INT(queue_stats(bench.queue).working, 0);
    CHECK_INT(queue_stats(bench.queue).retries_total, 1);
    queue_free(bench.queue);
    loop_free(bench.loop);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Whose git worker runs, and who is woken when one is free.
#include "source_internal.h"
#include "test.h"

struct line {
    struct loop *loop;
    struct sources sources;
    char woken[512];
};

static void on_work(void *owner, const char *key)
{
    struct line *line = owner;
    AUTO_MEM char *before = str_dup(line->woken);

    snprintf(line->woken, sizeof(line->woken), "%s%s ", before, key);
    queue_done(line->sources.queue, key, false, 0);
}

static void line_start(struct line *line)
{
    struct queue_spec queue = {.name = "turns",
                               .workers = 1,
                               .backoff_ms = 1,
                               .backoff_ms_max = 1,
                               .work = on_work,
                               .owner = line};

    line->loop = loop_new();
    line->sources.queue = queue_new(line->loop, &queue);
}

static void line_end(struct line *line)
{
    source_turns_drop(&line->sources);
    queue_free(line->sources.queue);
    loop_free(line->loop);
}

static bool take(struct line *line, const char *key)
{
    return source_turn_take(&line->sources, key);
}

// Who is woken when this one leaves.
static const char *leave(struct line *line, const char *key)
{
    line->woken[0] = '\0';
    source_turn_leave(&line->sources, key);
    loop_run(line->loop);
    return line->woken;
}

TEST(one_namespace_leaves_the_last_worker_to_others)
{
    struct line line = {0};

    CHECK_INT(FETCH_WORKERS_MAX, 3);
    line_start(&line);
    CHECK(take(&line, "a/1") && take(&line, "a/2") && !take(&line, "a/3"));
    CHECK(take(&line, "a/1")); // once more
    CHECK(take(&line, "b/1") && !take(&line, "b/2") && !take(&line, "c/1"));
    // the worker is one of three now: a namespace that has none comes before who asked earlier
    CHECK_STR(leave(&line, "a/1"), "c/1 ");
    CHECK(!take(&line, "a/3") && !take(&line, "b/2") && take(&line, "c/1"));
    CHECK_STR(leave(&line, "c/1"), ""); // a and b have one each, and the last is for others
    CHECK(take(&line, "d/1"));
    CHECK_STR(leave(&line, "d/1"), "");
    CHECK_STR(leave(&line, "b/1"), "b/2 ");
    CHECK(!take(&line, "a/3") && take(&line, "b/2"));
    CHECK_STR(leave(&line, "b/2"), "a/3 ");
    CHECK(take(&line, "a/3"));
    line_end(&line);
}

TEST(who_may_go_and_has_not_come_yet_keeps_the_worker)
{
    struct line line = {0};

    line_start(&line);
    CHECK(take(&line, "a/1") && take(&line, "b/1") && take(&line, "c/1"));
    CHECK(!take(&line, "d/1") && !take(&line, "e/1"));
    CHECK_STR(leave(&line, "b/1"), "d/1 ");
    CHECK(!take(&line, "e/1") && !take(&line, "f/1"));
    CHECK_STR(leave(&line, "d/1"), "e/1 "); // it went before it ran
    CHECK_STR(leave(&line, "x/1"), "");     // nobody knows it
    CHECK(take(&line, "e/1"));
    line_end(&line);
}

// n1 and n10 are two namespaces.
TEST(many_wait_and_go_in_the_order_in_which_they_came)
{
    enum { MANY = 1000 };
    struct line line = {0};
    unsigned ran = 0;

    line_start(&line);
    for (unsigned i = 0; i < MANY; i++) {
        AUTO_MEM char *key = str_format("n%u/source", i);
        CHECK(take(&line, key) == (i < FETCH_WORKERS_MAX));
    }
    for (unsigned i = 0; i < MANY; i++) {
        AUTO_MEM char *key = str_format("n%u/source", i);
        CHECK(take(&line, key));
        source_turn_leave(&line.sources, key);
        ran++;
    }
    CHECK_INT(ran, MANY);
    line_end(&line);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
#include "drawbridge/loop.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct watcher {
    struct loop *loop;
    struct op *op, *timer;
    struct loop_poll *poll;
    unsigned calls;
    int step;
};

static void on_deadline(void *owner)
{
    struct watcher *w = owner;
    w->timer = NULL;
    loop_stop(w->loop);
}

static void on_seen(void *owner)
{
    struct watcher *w = owner;
    w->calls++;
}

static void run_for(struct watcher *w, uint64_t ms)
{
    w->timer = loop_sleep(w->loop, ms, on_deadline, w);
    loop_run(w->loop);
    w->timer = op_drop(w->timer);
}

TEST(a_directory_that_is_not_there)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct op *op = NULL;
    AUTO_MEM char *missing = test_path("missing"), *file = test_path("file");
    test_write(file, "x");
    CHECK_ERR_HAS(loop_watch_dir(loop, missing, on_seen, NULL, &op), ERROR_NOT_FOUND, "missing");
    CHECK_ERR(loop_watch_dir(loop, file, on_seen, NULL, &op), ERROR_INVALID);
    CHECK(op == NULL);
}

TEST(every_kind_of_change_is_seen)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct watcher w = {.loop = loop};
    AUTO_MEM char *outside = str_format("%s-outside", test_dir()), *a = test_path("a"),
                  *b = test_path("b");
    CHECK_OK(loop_watch_dir(loop, test_dir(), on_seen, &w, &w.op));
    run_for(&w, 30);
    CHECK_INT(w.calls, 0);
    test_write(a, "1"); // created and written
    run_for(&w, 30);
    CHECK(w.calls >= 1);
    w.calls = 0;
    test_write(a, "2"); // written
    run_for(&w, 30);
    CHECK(w.calls >= 1);
    w.calls = 0;
    CHECK(rename(a, b) == 0);
    run_for(&w, 30);
    CHECK_INT(w.calls, 1); // both halves of a rename in one turn are one call
    w.calls = 0;
    test_write(outside, "3");
    run_for(&w, 30);
    CHECK_INT(w.calls, 0);
    CHECK(rename(outside, b) == 0); // replaced from outside, as an atomic write does
    run_for(&w, 30);
    CHECK_INT(w.calls, 1);
    w.calls = 0;
    CHECK(unlink(b) == 0);
    run_for(&w, 30);
    CHECK_INT(w.calls, 1);
    w.op = op_drop(w.op);
}

static void on_seen_once(void *owner)
{
    struct watcher *w = owner;
    w->calls++;
    w->op = op_drop(w->op);
}

TEST(a_watch_can_be_dropped_in_its_own_call)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct watcher w = {.loop = loop};
    AUTO_MEM char *a = test_path("a");
    CHECK_OK(loop_watch_dir(loop, test_dir(), on_seen_once, &w, &w.op));
    test_write(a, "1");
    loop_run(loop); // ends by itself: nothing is left
    CHECK_INT(w.calls, 1);
}

TEST(signals_come_each_time_until_dropped)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct watcher w = {.loop = loop};
    w.op = loop_on_signal(loop, SIGUSR1, on_seen, &w);
    kill(getpid(), SIGUSR1);
    run_for(&w, 20);
    kill(getpid(), SIGUSR1);
    run_for(&w, 20);
    CHECK_INT(w.calls, 2);
    w.op = op_drop(w.op);
    w.op = loop_on_signal(loop, SIGUSR2, on_seen_once, &w);
    kill(getpid(), SIGUSR2);
    loop_run(loop);
    CHECK_INT(w.calls, 3);
}

static void on_ready(void *owner, int fd, int events)
{
    struct watcher *w = owner;
    char byte;
    w->calls++;
    switch (w->step++) {
    case 0: // writable at once
        CHECK_INT(events, LOOP_WRITE);
        loop_poll_set(w->poll, LOOP_READ);
        break;
    case 1:
        CHECK_INT(events, LOOP_READ);
        CHECK_INT(read(fd, &byte, 1), 1);
        loop_poll_set(w->poll, 0);
        break;
    default:
        loop_poll_free(w->poll);
        w->poll = NULL;
        loop_stop(w->loop);
    }
}

TEST(descriptors_are_watched_for_what_was_asked)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct watcher w = {.loop = loop};
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    w.poll = loop_poll_new(loop, pair[0], on_ready, &w);
    run_for(&w, 20);
    CHECK_INT(w.calls, 0); // nothing was asked for
    loop_poll_set(w.poll, LOOP_WRITE);
    run_for(&w, 20);
    CHECK_INT(w.calls, 1);
    CHECK_INT(write(pair[1], "xy", 2), 2);
    run_for(&w, 20);
    CHECK_INT(w.calls, 2); // paused with a byte left
    loop_poll_set(w.poll, LOOP_READ);
    run_for(&w, 2000);
    CHECK_INT(w.calls, 3);
    CHECK(w.poll == NULL);
    CHECK_INT(write(pair[0], "z", 1), 1); // the descriptor is still open
    loop_poll_free(NULL);
    close(pair[0]);
    close(pair[1]);
}

TEST(a_descriptor_can_come_back_in_the_same_turn)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct watcher w = {.loop = loop};
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    struct loop_poll *first = loop_poll_new(loop, pair[0], on_ready, &w);
    loop_poll_set(first, LOOP_READ);
    loop_poll_free(first);
    w.poll = loop_poll_new(loop, pair[0], on_ready, &w);
    w.step = 2;
    loop_poll_set(w.poll, LOOP_WRITE);
    run_for(&w, 2000);
    CHECK_INT(w.calls, 1);
    close(pair[0]);
    close(pair[1]);
}

TEST_MAIN()

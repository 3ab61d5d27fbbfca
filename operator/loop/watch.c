// SPDX-License-Identifier: Apache-2.0
// What may call many times: descriptors of others, signals, changes in a directory. Each is freed
// by libuv's close callback, a turn after its owner let go, so that letting go inside the callback
// is fine.
#include "loop_internal.h"

#include <errno.h>
#include <sys/stat.h>

// --- descriptors ---------------------------------------------------------------------------------

struct loop_poll {
    uv_poll_t uv;
    struct loop *loop;
    loop_poll_fn *fn;
    void *owner;
    int fd;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_poll *poll = uv->data;
    // An error is for whoever reads the descriptor to find; libuv has stopped, so nothing spins.
    int seen = status < 0 ? LOOP_READ | LOOP_WRITE
                          : (events & UV_READABLE ? LOOP_READ : 0) |
                                (events & UV_WRITABLE ? LOOP_WRITE : 0);
    if (seen)
        poll->fn(poll->owner, poll->fd, seen);
}

struct loop_poll *loop_poll_new(struct loop *loop, int fd, loop_poll_fn *fn, void *owner)
{
    struct loop_poll *poll = NEW(struct loop_poll);
    *poll = (struct loop_poll){.loop = loop, .fn = fn, .owner = owner, .fd = fd};
    ASSERT(uv_poll_init(&loop->uv, &poll->uv, fd) == 0);
    poll->uv.data = poll;
    loop->live++;
    return poll;
}

void loop_poll_set(struct loop_poll *poll, int events)
{
    int wanted = (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0);
    if (wanted)
        ASSERT(uv_poll_start(&poll->uv, wanted, on_poll) == 0);
    else
        uv_poll_stop(&poll->uv);
}

static void on_poll_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

void loop_poll_free(struct loop_poll *poll)
{
    if (!poll)
        return;
    poll->loop->live--;
    uv_close(loop_handle(&poll->uv), on_poll_closed);
}

// --- signals -------------------------------------------------------------------------------------

struct signal_op {
    struct op op;
    uv_signal_t uv;
    struct loop *loop;
    loop_fn *fn;
    void *owner;
};

static void on_signal(uv_signal_t *uv, int signum)
{
    (void)signum;
    struct signal_op *signal = uv->data;
    signal->fn(signal->owner);
}

static void on_signal_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void on_drop_signal(struct op *op)
{
    struct signal_op *signal = (struct signal_op *)op;
    signal->loop->live--;
    uv_close(loop_handle(&signal->uv), on_signal_closed);
}

struct op *loop_on_signal(struct loop *loop, int signum, loop_fn *fn, void *owner)
{
    struct signal_op *signal = NEW(struct signal_op);
    *signal = (struct signal_op){.op.drop = on_drop_signal, .loop = loop, .fn = fn, .owner = owner};
    uv_signal_init(&loop->uv, &signal->uv);
    signal->uv.data = signal;
    ASSERT(uv_signal_start(&signal->uv, on_signal, signum) == 0);
    loop->live++;
    return &signal->op;
}

// --- directories ---------------------------------------------------------------------------------

struct watch_op {
    struct op op;
    uv_fs_event_t uv;
    struct loop *loop;
    loop_fn *fn;
    void *owner;
    struct op *pending; // the call that tells of what was seen in this turn
};

static void on_told(void *owner)
{
    struct watch_op *watch = owner;
    watch->pending = NULL;
    watch->fn(watch->owner);
}

static void on_fs_event(uv_fs_event_t *uv, const char *name, int events, int status)
{
    (void)name, (void)events, (void)status;
    struct watch_op *watch = uv->data;
    if (!watch->pending)
        watch->pending = loop_defer(watch->loop, on_told, watch);
}

static void on_watch_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void on_drop_watch(struct op *op)
{
    struct watch_op *watch = (struct watch_op *)op;
    watch->pending = op_drop(watch->pending);
    watch->loop->live--;
    uv_close(loop_handle(&watch->uv), on_watch_closed);
}

struct error *loop_watch_dir(struct loop *loop, const char *dir, loop_fn *fn, void *owner,
                             struct op **ret_op)
{
    struct stat st;
    if (stat(dir, &st) != 0)
        return error_errno(errno, "watch %s", dir);
    if (!S_ISDIR(st.st_mode))
        return error_new(ERROR_INVALID, "watch %s: it is not a directory", dir);
    struct watch_op *watch = NEW(struct watch_op);
    *watch = (struct watch_op){.op.drop = on_drop_watch, .loop = loop, .fn = fn, .owner = owner};
    uv_fs_event_init(&loop->uv, &watch->uv);
    watch->uv.data = watch;
    loop->live++;
    int status = uv_fs_event_start(&watch->uv, on_fs_event, dir, 0);
    if (status < 0) {
        op_drop(&watch->op);
        return error_errno(-status, "watch %s", dir);
    }
    *ret_op = &watch->op;
    return NULL;
}

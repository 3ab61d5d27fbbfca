// SPDX-License-Identifier: Apache-2.0
// drawbridge-guard: on the node itself, static, run by its service manager (start, expire) and by
// the agent in the host's namespaces (arm, remove). It needs no API server, no agent and no
// library.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard_internal.h"

#define WORDS_MAX 16

static int say(struct error *take_err)
{
    AUTO(error) struct error *err = take_err;

    if (err)
        dprintf(STDERR_FILENO, "%s: %s\n", GUARD_PROGRAM, error_text(err));
    return err ? 1 : 0;
}

// Runs the host's own program and waits for it.
static struct error *run(const char *const *argv)
{
    char *words[WORDS_MAX] = {NULL};
    int status = 0;

    for (size_t i = 0; argv[i]; i++) {
        ASSERT(i + 1 < WORDS_MAX);
        words[i] = str_dup(argv[i]);
    }
    pid_t pid = fork();
    if (pid == 0) {
        execvp(words[0], words);
        _exit(127);
    }
    struct error *err = pid < 0 ? error_errno(errno, "fork") : NULL;
    while (!err && waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            err = error_errno(errno, "wait for %s", argv[0]);
    }
    if (!err && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        err =
            error_new(ERROR_TRANSIENT, "%s %s failed (%s)", argv[0], argv[1],
                      WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "not there" : "see above");
    for (size_t i = 0; words[i]; i++)
        mem_free(words[i]);
    return err;
}

static struct error *reload(bool changed)
{
    const char *const argv[] = {"systemctl", "daemon-reload", NULL};

    return changed ? run(argv) : NULL;
}

static int on_start(char **args)
{
    bool put_back = false;
    struct error *err = guard_on_start(args[0], &put_back);

    if (put_back)
        dprintf(STDERR_FILENO,
                "%s: the kubelet did not start with the edited configuration: the one from before "
                "is back\n",
                GUARD_PROGRAM);
    return say(err);
}

static int on_expire(char **args)
{
    const char *const restart[] = {"systemctl", "restart", args[2], NULL};
    bool put_back = false;
    struct error *err = guard_on_timer(args[0], args[1], &put_back);

    if (!err && put_back) {
        dprintf(STDERR_FILENO,
                "%s: nobody vouched for the edited configuration: the one from before is back\n",
                GUARD_PROGRAM);
        err = run(restart);
    }
    return say(err);
}

// arm DIR ID SECONDS UNIT UNIT_DIR. Again for the same id: the timer starts anew.
static int on_arm(char **args)
{
    AUTO_MEM char *name = str_format("%s-%s", GUARD_PROGRAM, args[1]);
    AUTO_MEM char *timer = str_format("%s.timer", name);
    AUTO_MEM char *unit = str_format("--unit=%s", name);
    AUTO_MEM char *after = str_format("--on-active=%s", args[2]);
    AUTO_MEM char *program = guard_path(args[0], GUARD_PROGRAM);
    const char *const is_there[] = {"systemctl", "is-active", "--quiet", timer, NULL};
    const char *const stop[] = {"systemctl", "stop", timer, NULL};
    const char *const start[] = {
        "systemd-run", "--quiet", unit,    after,   "--timer-property=AccuracySec=1s",
        program,       "expire",  args[0], args[1], args[3],
        NULL};
    AUTO_GUARD_LOCK int lock = -1;
    bool changed = false;
    struct error *err = guard_lock(args[0], &lock);

    if (!err)
        err = guard_drop_in_write(args[4], args[0], &changed);
    guard_unlock(&lock);
    if (!err)
        err = reload(changed);
    if (err)
        return say(err);
    AUTO(error) struct error *none = run(is_there);
    if (!none)
        err = run(stop);
    return say(err ? err : run(start));
}

static int on_remove(char **args)
{
    bool changed = false;
    AUTO(error) struct error *err = guard_remove(args[0], args[1], &changed);
    struct error *reloaded = reload(changed);

    if (err && reloaded)
        error_ignore(reloaded, "the first reason is the better one");
    return say(err ? TAKE(err) : reloaded);
}

static const struct {
    const char *name;
    int args;
    int (*run)(char **args);
    const char *usage;
} verbs[] = {
    {"start", 1, on_start, "DIR: before a start of the kubelet"},
    {"expire", 3, on_expire, "DIR ID UNIT: when the timer fires"},
    {"arm", 5, on_arm, "DIR ID SECONDS UNIT UNIT_DIR: the drop-in and the timer"},
    {"remove", 2, on_remove, "DIR UNIT_DIR: all of it, unless something is armed"},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < COUNT(verbs); i++) {
        if (argc == verbs[i].args + 2 && str_eq(argv[1], verbs[i].name))
            return verbs[i].run(argv + 2);
    }
    dprintf(STDERR_FILENO, "%s of Drawbridge v%s, run by the node's service manager:\n",
            GUARD_PROGRAM, DRAWBRIDGE_VERSION);
    for (size_t i = 0; i < COUNT(verbs); i++)
        dprintf(STDERR_FILENO, "  %s %s\n", verbs[i].name, verbs[i].usage);
    return 2;
}

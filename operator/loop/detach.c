// SPDX-License-Identifier: Apache-2.0
// Programs that outlive us. A process between us and them ends at once, so that they are the
// system's to wait for; what became of them comes through a pipe that exec closes.
#include "loop_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum word { WORD_PID, WORD_CWD, WORD_EXEC };
struct message {
    int32_t word, value;
};

// All that the child needs, so that it asks for no memory.
struct start {
    const struct loop_detached_spec *spec;
    const char *const *env;
    int input, output, said;
};

static void say(int fd, enum word word, int value)
{
    const struct message message = {(int32_t)word, value};
    ssize_t done = write(fd, &message, sizeof(message)); // less than PIPE_BUF: all or nothing
    (void)done;                                          // nobody else could be told
}

static void be_default(void)
{
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(const struct start *start)
{
    const struct loop_detached_spec *spec = start->spec;
    setsid();
    be_default();
    dup2(start->input, STDIN_FILENO);
    dup2(start->output, STDOUT_FILENO);
    dup2(start->output, STDERR_FILENO);
    // those of libraries too
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    if (chdir(spec->dir) != 0)
        say(start->said, WORD_CWD, errno);
    else
        execve(spec->program, (char *const *)(uintptr_t)spec->argv,
               (char *const *)(uintptr_t)start->env);
    say(start->said, WORD_EXEC, errno);
    _exit(127);
}

static _Noreturn void leave_behind(const struct start *start)
{
    pid_t pid = fork();
    if (pid == 0)
        become(start);
    say(start->said, pid > 0 ? WORD_PID : WORD_EXEC, pid > 0 ? pid : errno);
    _exit(0);
}

static struct error *listen_to(int fd, const struct loop_detached_spec *spec, int64_t *ret_pid)
{
    struct message message;
    struct error *err = NULL;
    ssize_t got;
    *ret_pid = 0;
    while ((got = read(fd, &message, sizeof(message))) > 0 || (got < 0 && errno == EINTR)) {
        if (got != sizeof(message))
            continue;
        if (message.word == WORD_PID)
            *ret_pid = message.value;
        else if (!err)
            err = error_errno(message.value, message.word == WORD_CWD ? "enter %s" : "run %s",
                              message.word == WORD_CWD ? spec->dir : spec->program);
    }
    return err || *ret_pid > 0 ? err : error_new(ERROR_INTERNAL, "%s did not start", spec->program);
}

static struct error *start_it(struct start *start, int64_t *ret_pid)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return error_errno(errno, "make a pipe");
    start->said = pipes[1];
    pid_t between = fork();
    if (between == 0)
        leave_behind(start);
    int number = errno;
    close(pipes[1]);
    struct error *err = between < 0 ? error_errno(number, "start %s", start->spec->program)
                                    : listen_to(pipes[0], start->spec, ret_pid);
    close(pipes[0]);
    while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
        continue;
    return err;
}

static bool is_among(const char *entry, const char *const *more)
{
    size_t len = strcspn(entry, "=") + 1;
    for (size_t i = 0; more && more[i]; i++) {
        if (strncmp(entry, more[i], len) == 0)
            return true;
    }
    return false;
}

// Its own and those of ours that it does not name: of two of a name programs take the first, or the
// last.
static const char **join_env(const char *const *more)
{
    size_t ours = 0, its = 0, len = 0;
    while (environ[ours])
        ours++;
    while (more && more[its])
        its++;
    const char **env = mem_alloc((ours + its + 1) * sizeof(*env));
    for (size_t i = 0; i < ours; i++) {
        if (!is_among(environ[i], more))
            env[len++] = environ[i];
    }
    for (size_t i = 0; i < its; i++)
        env[len++] = more[i];
    env[len] = NULL;
    return env;
}

struct error *loop_detach(const struct loop_detached_spec *spec, int64_t *ret_pid)
{
    AUTO_MEM const char **env = join_env(spec->env);
    struct start start = {.spec = spec, .env = env};
    start.output = open(spec->output, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (start.output < 0)
        return error_errno(errno, "open %s", spec->output);
    start.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct error *err =
        start.input < 0 ? error_errno(errno, "open /dev/null") : start_it(&start, ret_pid);
    if (start.input >= 0)
        close(start.input);
    close(start.output);
    return err;
}

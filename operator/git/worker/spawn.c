// SPDX-License-Identifier: Apache-2.0
// Programs that the worker runs, and the files that it gives them. They live in the worker's
// process group and die with it.
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

struct error *spawn_write_file(const struct worker *worker, const char *name, struct slice bytes,
                               char **ret_path)
{
    AUTO_MEM char *path = str_format("%s/%s", worker->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(errno, "%s", path);
    while (bytes.len > 0) {
        ssize_t len = write(fd, bytes.ptr, bytes.len);

        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0) {
            int why = errno;

            close(fd);
            return error_errno(why, "%s", path);
        }
        bytes = slice_sub(bytes, (size_t)len, bytes.len);
    }
    close(fd);
    *ret_path = TAKE(path);
    return NULL;
}

static void read_all(int fd, struct buf *output)
{
    char block[4096];
    ssize_t len;

    while ((len = read(fd, block, sizeof(block))) != 0) {
        if (len < 0 && errno != EINTR)
            return;
        if (len > 0)
            buf_add(output, block, (size_t)len);
    }
}

struct error *spawn_run(const char *const *argv, const char *input_file, struct buf *output,
                        int *ret_status)
{
    union { // posix_spawn only reads it
        const char *const *given;
        char **wanted;
    } words = {.given = argv};
    posix_spawn_file_actions_t actions;
    int ends[2], status;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(errno, "pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input_file ? input_file : "/dev/null",
                                     O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    status = posix_spawnp(&pid, argv[0], &actions, NULL, words.wanted, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (status == 0)
        read_all(ends[0], output);
    close(ends[0]);
    if (status != 0)
        return error_errno(status, "start %s", argv[0]);
    while (waitpid(pid, ret_status, 0) < 0)
        if (errno != EINTR)
            return error_errno(errno, "wait for %s", argv[0]);
    return NULL;
}

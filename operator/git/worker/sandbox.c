// SPDX-License-Identifier: Apache-2.0
// What a worker that went wrong can do at most, and which files it can reach: its own directory,
// the programs and libraries of the system, and what names and certificates are looked up in. Not
// the controller's token, and nothing of its process: Landlock keeps ptrace and /proc/PID/mem of
// others away too. A kernel without Landlock has the other limits alone.
#include <sys/prctl.h>
#include <sys/resource.h>

#include "worker.h"

#define FILES_OPEN_MAX 128
// The kernel counts all processes and threads of a user on the node, whatever container they are
// in, and 65532 is a user whom many images have: this ends a flood, and is nothing that others
// could use up.
#define PROCESSES_MAX 4096
#define PROCESSOR_SECONDS_MORE 5

#if WORKER_SANITIZED
// What libgit2 and its libraries forget goes with the process; the names are the sanitizer's.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libgit2\nleak:libpcre2\nleak:libssh2";
}
const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
#endif

struct error *sandbox_enter(const struct worker *worker)
{
    rlim_t seconds = (rlim_t)doc_int(worker->request, 60, "seconds", NULL);
    rlim_t memory =
        (rlim_t)doc_int(worker->request, FETCH_MEMORY_BYTES_MAX, "memoryBytesMax", NULL);
    const char *root = worker_text(worker, "fileRoot");
    const char *const readable[] = {*root ? root : NULL, NULL};
    const char *const writable[] = {worker->dir, NULL};
    struct error *err = NULL;

    // A sanitizer reserves terabytes of addresses, and dumps are how it reports leaks.
    if (!WORKER_SANITIZED) {
        err = loop_confine_limit(RLIMIT_AS, memory, "memory");
        prctl(PR_SET_DUMPABLE, 0);
    }
    if (!err)
        err = loop_confine_limit(RLIMIT_CORE, 0, "core dumps");
    if (!err)
        err = loop_confine_limit(RLIMIT_NOFILE, FILES_OPEN_MAX, "open files");
    if (!err)
        err = loop_confine_limit(RLIMIT_NPROC, PROCESSES_MAX, "processes");
    if (!err)
        err = loop_confine_limit(RLIMIT_CPU, seconds + PROCESSOR_SECONDS_MORE, "processor time");
    // The index of a pack is smaller than the pack, or than this.
    if (!err)
        err = loop_confine_limit(
            RLIMIT_FSIZE, worker->pack_bytes_max + (rlim_t)FETCH_INDEX_BYTES_MAX, "file sizes");
    if (!err)
        err = loop_confine_paths(readable, writable);
    // Programs are started to verify signatures alone.
    if (!err)
        err = loop_confine_calls(doc_bool(worker->request, true, "verify", NULL));
    return err;
}

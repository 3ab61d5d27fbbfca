// SPDX-License-Identifier: Apache-2.0
// drawbridge-git: the short-lived process that touches libgit2. It reads one request from stdin,
// writes one JSON object to stdout and ends; whatever happens to it happens to it alone.
#pragma once

#include <git2.h>
#if __has_include(<git2/sys/errors.h>) // where git_error_set_str() moved to
#include <git2/sys/errors.h>
#endif

#include "git_internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define WORKER_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WORKER_SANITIZED 1
#endif
#endif
#ifndef WORKER_SANITIZED
#define WORKER_SANITIZED 0
#endif

struct worker {
    const json_t *request; // texts are borrowed from it
    const char *dir;       // of this fetch alone
    git_repository *repository;
    git_remote *remote;
    const char *refused; // reason: what a callback of libgit2 said no for, which libgit2's own
                         // words do not tell
    unsigned asked;      // for credentials
    size_t pack_bytes_max;
    char *ref;        // "main"
    char *remote_ref; // "refs/heads/main", "" for a bare commit
    git_oid head, commit;
    char *signer;
    json_t *documents;
};

// "" when absent.
const char *worker_text(const struct worker *worker, const char *key);
// From libgit2's last error; reason unless a callback set another.
MUST_USE NONNULL struct error *worker_git_error(const struct worker *worker, const char *reason,
                                                const char *fmt, ...) PRINTF(3, 4);

// Limits    of memory, time, files and system calls. After it nothing may be set up any more.
struct error *sandbox_enter(const struct worker *worker);

// Connects, finds where the reference points, and unless that is known, fetches it. *ret_fetched
// false: it is.
struct error *remote_fetch(struct worker *worker, bool *ret_fetched);
// Whether worker->commit descends from what is in force.
struct error *remote_check_descent(const struct worker *worker);

// Reads the documents below the path of worker->commit.
struct error *files_read(struct worker *worker);

// Who signed worker->commit, or why that does not count.
struct error *verify_commit(struct worker *worker);

// Runs a program to its end: stdin from a file (NULL: none), output_max bytes of stdout and stderr
// together in ret_output.
struct error *spawn_run(const char *const *argv, const char *input_file, struct buf *output,
                        int *ret_status);
struct error *spawn_write_file(const struct worker *worker, const char *name, struct slice bytes,
                               char **ret_path);

// SPDX-License-Identifier: Apache-2.0
// For tests of the room through its door: a repository made by the real git, and one fetch of it.
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "drawbridge/git.h"
#include "test.h"

#define HELPER UNUSED static

struct got {
    struct error *err;
    struct fetch_result result;
    unsigned calls;
};

HELPER void on_fetch(void *owner, struct error *take_err, struct fetch_result *result)
{
    struct got *got = owner;

    got->calls++;
    got->err = take_err;
    if (result) {
        got->result = *result;
        *result = (struct fetch_result){0};
    }
}

HELPER void run(const char *script)
{
    AUTO_MEM char *command =
        str_format("cd %s; exec >>log 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; set -e; export "
                   "HOME=%s GIT_CONFIG_NOSYSTEM=1 "
                   "GIT_AUTHOR_DATE='2026-01-02T03:04:05Z' "
                   "GIT_COMMITTER_DATE='2026-01-02T03:04:05Z'; git() { command git -c user.name=t "
                   "-c user.email=t@example.org "
                   "-c init.defaultBranch=main -c protocol.file.allow=always \"$@\"; }; %s\n",
                   test_dir(), test_dir(), script);

    if (system(command) != 0) {
        AUTO_MEM char *path = test_path("log");
        AUTO_MEM char *log = test_read(path);
        test_fail(__FILE__, __LINE__, "the shell failed: %s", log);
    }
}

HELPER char *words(const char *script)
{
    AUTO_MEM char *path = test_path("words");
    AUTO_MEM char *full = str_format("{ %s; } >words.new; mv words.new words", script);
    char *text;

    run(full);
    text = test_read(path);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

// One commit with a good document.
HELPER void make_repository(void)
{
    run("git init -q repo; cd repo; mkdir -p a/b; echo 'kind: A' >a/one.yaml; printf 'kind: "
        "B\\n---\\nkind: C\\n' >a/b/two.yml; "
        "echo text >a/README.md; echo 'not: [yaml' >elsewhere.yaml; git add .; git commit -q -m "
        "first");
}

HELPER struct fetch_spec plain(void)
{
    static char *url;

    setenv("DRAWBRIDGE_GIT_WORKER", TEST_BINARY_ROOT "/drawbridge-git", 1);
    setenv("TMPDIR", test_dir(), 1);
    mem_free(url);
    url = str_format("file://%s/repo", test_dir());
    return (struct fetch_spec){
        .url = url, .path = "a", .file_root = test_dir(), .timeout_ms = 60000};
}

HELPER struct got fetch(const struct fetch_spec *spec)
{
    AUTO(loop) struct loop *loop = loop_new();
    struct got got = {0};
    struct op *op = fetch_run(loop, spec, on_fetch, &got);

    CHECK(op != NULL);
    loop_run(loop);
    CHECK_INT(got.calls, 1);
    return got;
}

HELPER void expect_reason(const struct fetch_spec *spec, const char *reason, const char *part)
{
    struct got got = fetch(spec);

    if (!got.err)
        test_fail(__FILE__, __LINE__, "this should fail with %s", reason);
    CHECK(!got.result.fetched && !got.result.documents && !got.result.commit);
    fetch_result_fini(&got.result);
    CHECK_HAS(error_text(got.err), part);
    CHECK_STR(error_reason(got.err), reason);
    error_free(got.err);
}

HELPER void expect_commit(const struct fetch_spec *spec, const char *ref, const char *script)
{
    struct got got = fetch(spec);
    AUTO_MEM char *want = words(script);

    CHECK_OK(got.err);
    CHECK(got.result.fetched);
    CHECK_STR(got.result.ref, ref);
    CHECK_STR(got.result.head, want);
    fetch_result_fini(&got.result);
}

HELPER size_t scratch_left(void)
{
    DIR *dir = opendir(test_dir());
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(dir)))
        count += str_starts(entry->d_name, "drawbridge-git-");
    closedir(dir);
    return count;
}

// A socket that takes connections and never says anything.
HELPER int silent_port(int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    *ret_fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(*ret_fd, (struct sockaddr *)&address, len) == 0 && listen(*ret_fd, 8) == 0);
    CHECK(getsockname(*ret_fd, (struct sockaddr *)&address, &len) == 0);
    return ntohs(address.sin_port);
}

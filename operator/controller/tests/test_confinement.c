// SPDX-License-Identifier: Apache-2.0
// Whether helm and git workers are kept from files that are not theirs is the kernel's to grant:
// where it does not, whoever runs the controller is told.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "scene.h"
#include "test.h"

// As on a kernel without Landlock.
static void take_landlock_away(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT(filter), .filter = filter};

    CHECK_INT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_INT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

// What a controller says at its start, and the line of its metrics.
static char *start(const char *helm_account, const char *line)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct batch batch = {.loop = loop_new()};
    struct scene scene = {.metrics = metrics, .helm_account = helm_account};
    AUTO_MEM char *page = NULL;

    test_capture();
    scene_open(&scene, &batch, NULL);
    scene_start_controller(&scene);
    page = metrics_print(metrics);
    CHECK_HAS(page, line);
    scene_fini(&scene);
    loop_free(batch.loop);
    return test_captured();
}

TEST(a_kernel_that_keeps_nobody_from_the_controllers_files_is_told_of)
{
    AUTO_MEM char *without_helm = NULL;
    AUTO_MEM char *with_helm = NULL;

    take_landlock_away();
    without_helm = start(NULL, "drawbridge_landlock 0\n");
    CHECK_HAS(without_helm, "no Landlock: git workers can read the controller's token");
    with_helm = start("drawbridge-system/helm", "drawbridge_landlock 0\n");
    CHECK_HAS(with_helm, "no Landlock: git workers and helm can read the controller's token");
}

TEST(what_this_kernel_does_is_said)
{
    bool has = loop_confine_has_paths();
    AUTO_MEM char *line = str_format("drawbridge_landlock %d\n", has);
    AUTO_MEM char *said = start("drawbridge-system/helm", line);

    CHECK_INT(strstr(said, "no Landlock") != NULL, !has);
}

TEST_MAIN()

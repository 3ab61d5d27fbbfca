// SPDX-License-Identifier: Apache-2.0
// A node whose disk is full, read-only or failing: its own trouble, told in its own words. Nothing
// is called put back that was not changed, and it goes on when the disk is well again.
#include "world.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#define SCHED COMPONENT_SCHEDULER
#define WANT "DynamicResourceAllocation"

// --- disks ---------------------------------------------------------------------------------------

static bool mounted; // false: we may not mount, and the same error comes from fsync

static int failing_errno;

static int fsync_fails(int fd)
{
    (void)fd;
    errno = failing_errno;
    return -1;
}

static void disk_begin(const char *dir, const char *size)
{
    mounted = unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    if (mounted)
        CHECK(mount("tmpfs", dir, "tmpfs", 0, size) == 0);
}

static void disk_becomes(const char *dir, unsigned long flags, const char *size, int errnum)
{
    if (mounted) {
        CHECK(mount("tmpfs", dir, "tmpfs", MS_REMOUNT | flags, size) == 0);
        return;
    }
    failing_errno = errnum;
    guard_fsync = errnum ? fsync_fails : fsync;
}

// --- tests ---------------------------------------------------------------------------------------

static bool not_writable(struct world *world)
{
    return str_eq(doc_str(world_component(world, "kube-scheduler"), "reason", NULL),
                  "NodeFilesNotWritable");
}

static void begin(struct world *world)
{
    world_init(world);
    disk_begin(world->manifests, "size=1m");
    world_add(world, SCHED, "");
    world_start_agent(world);
    CHECK(world_wait(world, idle, 5000));
}

static void goes_on(struct world *world, const char *before, const char *complaint)
{
    world_desire(world, "r1", WANT, "Enable");
    CHECK(world_wait(world, not_writable, 5000));
    const json_t *said = world_component(world, "kube-scheduler");
    // A statement about a file, not of an attempt that failed: nobody is rolled back for it.
    CHECK_STR(doc_str(said, "state", NULL), "Unreadable");
    CHECK_HAS(doc_str(said, "message", NULL), complaint);
    CHECK_HAS(doc_str(said, "message", NULL), "the file is as it was");
    CHECK_STR_TAKE(test_read(world->fakes[SCHED].path), before);
    CHECK_INT(world->fakes[SCHED].starts, 1);
    disk_becomes(world->manifests, 0, "size=1m", 0);
    CHECK(world_wait(world, all_up_to_date, 5000));
    CHECK_INT(world->fakes[SCHED].starts, 2);
    world_fini(world);
}

TEST(a_full_disk_is_told_and_it_goes_on_when_there_is_room)
{
    struct world world;
    begin(&world);
    AUTO_MEM char *before = test_read(world.fakes[SCHED].path);
    disk_becomes(world.manifests, 0, "size=4k", ENOSPC); // the manifest takes all of it
    goes_on(&world, before, "No space left on device");
}

TEST(a_read_only_file_system_is_told_and_it_goes_on_when_it_is_none)
{
    struct world world;
    begin(&world);
    AUTO_MEM char *before = test_read(world.fakes[SCHED].path);
    disk_becomes(world.manifests, MS_RDONLY, "size=1m", EROFS);
    goes_on(&world, before, "Read-only file system");
}

// Where the journal and the backups are, nothing can be written, and so nothing is edited either.
TEST(a_read_only_state_directory_is_told_and_it_goes_on_when_it_is_none)
{
    struct world world;
    struct stat st;
    world_init(&world);
    CHECK_OK(node_dir_make(world.state));
    disk_begin(world.state, "size=1m");
    world_add(&world, SCHED, "");
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    CHECK(stat(world.state, &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0700); // it was everybody's to read
    AUTO_MEM char *before = test_read(world.fakes[SCHED].path);
    disk_becomes(world.state, MS_RDONLY, "size=1m", EROFS);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, not_writable, 5000));
    CHECK_HAS(doc_str(world_component(&world, "kube-scheduler"), "message", NULL),
              "Read-only file system");
    CHECK_STR_TAKE(test_read(world.fakes[SCHED].path), before);
    disk_becomes(world.state, 0, "size=1m", 0);
    CHECK(world_wait(&world, all_up_to_date, 5000));
    world_fini(&world);
}

static int fsync_of_directories_fails(int fd)
{
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    if (!S_ISDIR(st.st_mode))
        return fsync(fd);
    errno = EIO;
    return -1;
}

static void from_the_rename_on(const char *stage)
{
    static unsigned of_the_manifest;
    if (str_eq(stage, "edit journalled"))
        of_the_manifest = 1;
    if (of_the_manifest == 1 && str_eq(stage, "renamed")) {
        of_the_manifest = 2;
        guard_fsync = fsync_of_directories_fails;
    } else if (str_eq(stage, "directory synced")) {
        guard_fsync = fsync;
    }
}

static bool scheduler_failed(struct world *world)
{
    return str_eq(world_state(world, "kube-scheduler"), "Failed") && node_is_idle(world->node);
}

// The new file is there: it is waited for, verified, and put back when it must be.
TEST(an_edit_whose_directory_cannot_be_synced_is_no_file_as_it_was)
{
    struct world world;
    world_init(&world);
    world_add(&world, SCHED, "");
    world_start_agent(&world);
    CHECK(world_wait(&world, idle, 5000));
    AUTO_MEM char *before = test_read(world.fakes[SCHED].path);
    guard_test_hook = from_the_rename_on;
    world_desire(&world, "r1", "Bogus", "Enable");
    CHECK(world_wait(&world, scheduler_failed, 8000));
    CHECK_STR(doc_str(world_component(&world, "kube-scheduler"), "reason", NULL),
              "ComponentCrashed");
    CHECK_STR_TAKE(test_read(world.fakes[SCHED].path), before);
    guard_test_hook = NULL;
    world_fini(&world);
}

static void from_the_last_word_on(const char *stage)
{
    if (str_eq(stage, "before the last word"))
        guard_fsync = fsync_fails;
    else if (str_eq(stage, "last word said"))
        guard_fsync = fsync;
}

TEST(backups_stay_while_the_journal_on_the_disk_may_need_them)
{
    struct world world;
    world_init(&world);
    world_add(&world, SCHED, "");
    world_start_agent(&world);
    world_desire(&world, "r1", WANT, "Enable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    failing_errno = EIO;
    guard_test_hook = from_the_last_word_on;
    world_desire(&world, "r2", "", "Disable");
    CHECK(world_wait(&world, all_up_to_date, 5000));
    AUTO_MEM char *path = str_format("%s/journal.json", world.state);
    AUTO_MEM char *text = test_read(path);
    AUTO_JSON json_t *journal = NULL;
    CHECK_OK(doc_parse_json(slice_of(text), path, &journal));
    const char *needed = doc_str(journal, "components", "kube-scheduler", "edit", "before", NULL);
    CHECK(needed[0]);
    AUTO_MEM char *backup = str_format("%s/backups/%s", world.state, needed);
    CHECK(test_exists(backup));
    guard_test_hook = NULL;
    world_fini(&world);
}

TEST(two_agents_do_not_work_on_one_node)
{
    struct world world;
    world_init(&world);
    world_add(&world, SCHED, "");
    world_start_agent(&world);
    struct node *second = NULL;
    CHECK_ERR_HAS(node_new(world.loop, &world.spec, &second), ERROR_CONFLICT,
                  "is in use by another agent on this node");
    world_stop_agent(&world);
    CHECK_OK(node_new(world.loop, &world.spec, &second));
    node_free(second);
    world_fini(&world);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Files are old or new, never between; what somebody else wrote is never overwritten.
#include "node_internal.h"
#include "testkit/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static char *digest_of(const char *text)
{
    char *digest = mem_alloc(DOC_DIGEST_BYTES);
    doc_digest(slice_of(text), digest);
    return digest;
}

TEST(replaces_and_keeps_the_mode)
{
    AUTO_MEM char *path = test_path("pod.yaml");
    test_write(path, "old");
    CHECK(chmod(path, 0640) == 0);
    AUTO_MEM char *was = digest_of("old");
    CHECK_OK(node_file_replace(path, was, slice_of("new")));
    CHECK_STR_TAKE(test_read(path), "new");
    struct stat st;
    CHECK(stat(path, &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0640);
    AUTO_STRLIST struct strlist names = {0};
    CHECK_OK(node_dir_list(test_dir(), true, &names));
    CHECK_INT(names.len, 1);
}

// user 1234 may read: an access list as the kernel keeps it.
static const unsigned char access_list[] = {
    2,   0,   0,   0,   1,  0, 6, 0, 255, 255, 255, 255, 2,  0, 4, 0, 210, 4,   0,   0,  4, 0, 4, 0,
    255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};

TEST(keeps_access_lists_and_attributes)
{
    AUTO_MEM char *path = test_path("pod.yaml");
    AUTO_MEM char *was = digest_of("old");
    char is[sizeof(access_list)] = {0}, note[8] = {0};
    test_write(path, "old");
    CHECK(setxattr(path, "system.posix_acl_access", access_list, sizeof(access_list), 0) == 0);
    CHECK(setxattr(path, "user.note", "mine", 4, 0) == 0);
    CHECK_OK(node_file_replace(path, was, slice_of("new")));
    CHECK_STR_TAKE(test_read(path), "new");
    CHECK_INT(getxattr(path, "system.posix_acl_access", is, sizeof(is)), sizeof(access_list));
    CHECK(memcmp(is, access_list, sizeof(is)) == 0);
    CHECK_INT(getxattr(path, "user.note", note, sizeof(note)), 4);
    CHECK_STR(note, "mine");
}

TEST(no_two_writers_share_a_temporary_file)
{
    AUTO_MEM char *path = test_path("pod.yaml");
    AUTO_MEM char *a = guard_temp_name(path);
    AUTO_MEM char *b = guard_temp_name(path);
    CHECK(!str_eq(a, b));
    CHECK(str_starts(node_base_name(a), ".drawbridge-pod.yaml.") && str_ends(a, ".tmp"));
}

TEST(a_foreign_edit_is_a_conflict)
{
    AUTO_MEM char *path = test_path("pod.yaml");
    test_write(path, "theirs");
    AUTO_MEM char *was = digest_of("old");
    CHECK_ERR(node_file_replace(path, was, slice_of("new")), ERROR_CONFLICT);
    CHECK_STR_TAKE(test_read(path), "theirs");
    unlink(path);
    CHECK_ERR(node_file_replace(path, was, slice_of("new")), ERROR_CONFLICT);
    CHECK(!test_exists(path));
}

static const char *edited_path;

static void edit_at_the_last_moment(const char *stage)
{
    if (str_eq(stage, "temp synced"))
        test_write(edited_path, "theirs");
}

TEST(a_foreign_edit_while_we_write_is_a_conflict)
{
    AUTO_MEM char *path = test_path("pod.yaml");
    test_write(path, "old");
    edited_path = path;
    guard_test_hook = edit_at_the_last_moment;
    AUTO_MEM char *was = digest_of("old");
    CHECK_ERR(node_file_replace(path, was, slice_of("new")), ERROR_CONFLICT);
    CHECK_STR_TAKE(test_read(path), "theirs");
}

TEST(only_regular_files)
{
    AUTO_MEM char *path = test_path("link");
    AUTO_MEM char *target = test_path("target");
    AUTO_MEM char *fifo = test_path("fifo");
    struct node_file file = {0};
    test_write(target, "x");
    CHECK(symlink(target, path) == 0);
    CHECK_ERR_HAS(node_file_read(path, &file), ERROR_INVALID, "symbolic link");
    CHECK_OK(node_file_read_linked(path, &file));
    node_file_fini(&file);
    CHECK(mkfifo(fifo, 0600) == 0);
    CHECK_ERR_HAS(node_file_read(fifo, &file), ERROR_INVALID, "regular");
    CHECK_ERR_HAS(node_file_read(test_dir(), &file), ERROR_INVALID, "regular");
    AUTO_MEM char *was = digest_of("x");
    CHECK_ERR(node_file_replace(path, was, slice_of("new")), ERROR_INVALID);
}

TEST(large_files_are_refused)
{
    AUTO_MEM char *path = test_path("large");
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)NODE_FILE_BYTES_MAX + 1) == 0);
    close(fd);
    struct node_file file = {0};
    CHECK_ERR(node_file_read(path, &file), ERROR_LIMIT);
}

TEST(stores_and_sweeps)
{
    AUTO_MEM char *dir = test_path("a/b/c");
    CHECK_OK(node_dir_make(dir));
    AUTO_MEM char *path = str_format("%s/journal.json", dir);
    AUTO_MEM char *temp = str_format("%s/.drawbridge-journal.json.tmp", dir);
    CHECK_OK(node_file_store(path, slice_of("1")));
    CHECK_OK(node_file_store(path, slice_of("2")));
    CHECK_STR_TAKE(test_read(path), "2");
    test_write(temp, "half");
    node_dir_sweep(dir);
    CHECK(!test_exists(temp));
    CHECK(test_exists(path));
}

static unsigned die_at, stages;

static void die(const char *stage)
{
    (void)stage;
    if (++stages == die_at)
        _exit(9);
}

// Killed between any two operations, the file is whole: the old one or the new one.
TEST(killed_at_every_operation)
{
    AUTO_MEM char *path = test_path("pod.yaml");
    AUTO_MEM char *was = digest_of("old");
    bool finished = false, saw_old = false, saw_new = false;
    for (die_at = 1; !finished; die_at++) {
        test_write(path, "old");
        pid_t pid = fork();
        if (pid == 0) {
            guard_test_hook = die;
            struct error *err = node_file_replace(path, was, slice_of("new"));
            _exit(err ? 1 : 0);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 1);
        finished = WEXITSTATUS(status) == 0;
        AUTO_MEM char *now = test_read(path);
        CHECK(str_eq(now, "old") || str_eq(now, "new"));
        saw_old = saw_old || str_eq(now, "old");
        saw_new = saw_new || str_eq(now, "new");
    }
    CHECK(die_at > 5);
    CHECK(saw_old && saw_new);
}

TEST(plain_text)
{
    CHECK_STR_TAKE(node_plain(slice_of("a\tb\x01\xc3\xa9\xc3")), "a b?\xc3\xa9\xef\xbf\xbd");
}

TEST_MAIN()

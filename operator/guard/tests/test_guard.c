// SPDX-License-Identifier: Apache-2.0
// The record, the count, the timer: what is put back, when, and what is never touched.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drawbridge/guard.h"
#include "testkit/test.h"

#define ID "0123456789abcdef"
#define BEFORE "kind: KubeletConfiguration\n"
#define AFTER "kind: KubeletConfiguration\nfeatureGates:\n  Bogus: true\n"

static char *dir, *config;

static struct guard_record edit(void)
{
    return (struct guard_record){.id = ID,
                                 .path = config,
                                 .starts_max = 3,
                                 .mode = 0644,
                                 .before_there = true,
                                 .after_there = true,
                                 .before = slice_of(BEFORE),
                                 .after = slice_of(AFTER)};
}

static void begin(void)
{
    dir = test_path("guard");
    config = test_path("config.yaml");
    test_write(config, BEFORE);
    CHECK(chmod(config, 0640) == 0);
}

static void arm(void)
{
    struct guard_record record = edit();

    CHECK_OK(guard_arm(dir, &record));
    test_write(config, AFTER);
}

static void end(void)
{
    mem_free(dir);
    mem_free(config);
}

static bool start(void)
{
    bool put_back = false;

    CHECK_OK(guard_on_start(dir, &put_back));
    return put_back;
}

static struct guard_state look(void)
{
    struct guard_state state;

    CHECK_OK(guard_look(dir, &state));
    return state;
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    CHECK(stat(path, &st) == 0);
    return st.st_mode & 07777;
}

TEST(after_three_failed_starts_the_file_from_before_is_back)
{
    begin();
    arm();
    CHECK(!start() && !start() && !start());
    CHECK_INT(look().starts.starts, 3);
    CHECK_STR_TAKE(test_read(config), AFTER);
    CHECK(start());
    CHECK_STR_TAKE(test_read(config), BEFORE);
    CHECK_INT(mode_of(config), 0640);
    struct guard_state state = look();
    CHECK(!state.armed && state.judged);
    CHECK_STR(state.verdict.id, ID);
    CHECK_INT(state.verdict.by, GUARD_BY_STARTS);
    CHECK_INT(state.verdict.starts, 3);
    // And that was all: later starts are nobody's business.
    CHECK(!start());
    CHECK_STR_TAKE(test_read(config), BEFORE);
    CHECK(look().judged);
    end();
}

static ssize_t attributes_fail(const char *path, char *list, size_t size)
{
    (void)path, (void)list, (void)size;
    errno = EIO;
    return -1;
}

// The kubelet starts without an attribute, and not with the edited bytes.
TEST(attributes_that_cannot_be_copied_do_not_stop_it)
{
    AUTO_MEM char *log = test_path("log");
    begin();
    arm();
    int saved = dup(STDERR_FILENO), fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(saved >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    guard_llistxattr = attributes_fail;
    bool put_back = false;
    AUTO(error) struct error *err = guard_on_timer(dir, ID, &put_back);
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(fd);
    CHECK_OK(TAKE(err));
    CHECK(put_back);
    CHECK_STR_TAKE(test_read(config), BEFORE);
    CHECK_INT(mode_of(config), 0640);
    AUTO_MEM char *said = test_read(log);
    CHECK_HAS(said, "put back without its extended attributes: list the extended attributes of");
    end();
}

TEST(disarmed_it_only_looks)
{
    begin();
    arm();
    CHECK(!start() && !start() && !start());
    CHECK_OK(guard_disarm(dir));
    for (int i = 0; i < 5; i++)
        CHECK(!start());
    CHECK_STR_TAKE(test_read(config), AFTER);
    struct guard_state state = look();
    CHECK(!state.armed && !state.judged && !state.counted);
    CHECK_OK(guard_disarm(dir));
    AUTO_MEM char *nowhere = test_path("nowhere");
    CHECK_OK(guard_disarm(nowhere));
    CHECK(!test_exists(nowhere));
    end();
}

TEST(starts_with_the_old_file_do_not_count)
{
    begin();
    struct guard_record record = edit();
    CHECK_OK(guard_arm(dir, &record));
    for (int i = 0; i < 5; i++)
        CHECK(!start());
    CHECK(!look().counted);
    CHECK(look().armed);
    end();
}

TEST(somebody_elses_bytes_are_left_alone)
{
    begin();
    arm();
    AUTO_MEM char *theirs = str_format("%s# theirs\n", AFTER);
    test_write(config, theirs);
    bool put_back = true;
    for (int i = 0; i < 5; i++)
        CHECK(!start());
    CHECK_OK(guard_on_timer(dir, ID, &put_back));
    CHECK(!put_back);
    CHECK_STR_TAKE(test_read(config), theirs);
    CHECK(!look().judged);
    CHECK(unlink(config) == 0);
    CHECK(!start());
    CHECK(!test_exists(config));
    end();
}

TEST(a_link_in_its_place_is_not_followed)
{
    begin();
    arm();
    AUTO_MEM char *other = test_path("other");
    bool put_back = true;
    test_write(other, AFTER);
    CHECK(unlink(config) == 0 && symlink(other, config) == 0);
    CHECK_ERR_HAS(guard_on_start(dir, &put_back), ERROR_INVALID, "symbolic link");
    CHECK_ERR(guard_on_timer(dir, ID, &put_back), ERROR_INVALID);
    CHECK(!put_back);
    CHECK_STR_TAKE(test_read(other), AFTER);
    end();
}

TEST(the_timer_puts_its_own_edit_back_and_no_other)
{
    begin();
    arm();
    bool put_back = true;
    CHECK_OK(guard_on_timer(dir, "fedcba9876543210", &put_back));
    CHECK(!put_back);
    CHECK_STR_TAKE(test_read(config), AFTER);
    CHECK(!start());
    CHECK_OK(guard_on_timer(dir, ID, &put_back));
    CHECK(put_back);
    CHECK_STR_TAKE(test_read(config), BEFORE);
    CHECK_INT(look().verdict.by, GUARD_BY_TIMER);
    CHECK_INT(look().verdict.starts, 1);
    CHECK_OK(guard_on_timer(dir, ID, &put_back));
    CHECK(!put_back);
    end();
}

TEST(a_file_that_the_edit_made_or_took_away)
{
    begin();
    struct guard_record record = edit();
    bool put_back = false;
    record.before_there = false;
    record.before = slice_of("");
    CHECK_OK(guard_arm(dir, &record));
    test_write(config, AFTER);
    CHECK_OK(guard_on_timer(dir, ID, &put_back));
    CHECK(put_back && !test_exists(config));
    record = edit();
    record.after_there = false;
    record.after = slice_of("");
    CHECK_OK(guard_arm(dir, &record));
    CHECK_OK(guard_on_timer(dir, ID, &put_back));
    CHECK(put_back);
    CHECK_STR_TAKE(test_read(config), BEFORE);
    CHECK_INT(mode_of(config), 0644);
    end();
}

TEST(another_edit_counts_from_nothing)
{
    begin();
    arm();
    CHECK(!start() && !start() && !start());
    struct guard_record record = edit();
    memcpy(record.id, "00000000000000ff", GUARD_ID_BYTES);
    CHECK_OK(guard_arm(dir, &record));
    CHECK(!look().counted);
    CHECK(!start() && !start() && !start());
    CHECK(start());
    CHECK_STR(look().verdict.id, "00000000000000ff");
    end();
}

// As after a kill between the verdict and the file.
TEST(a_verdict_is_gone_through_with)
{
    begin();
    arm();
    AUTO_MEM char *path = str_format("%s/verdict", dir);
    AUTO_BUF struct buf text = buf_make(1024);
    struct guard_note note = {.id = ID, .by = GUARD_BY_TIMER, .at_ms = 1};
    guard_note_print(&note, &text);
    test_write(path, text.ptr);
    CHECK(start());
    CHECK_STR_TAKE(test_read(config), BEFORE);
    CHECK_INT(look().verdict.by, GUARD_BY_TIMER);
    CHECK(!look().armed);
    end();
}

TEST(damage_moves_nothing)
{
    begin();
    arm();
    AUTO_MEM char *path = str_format("%s/armed", dir);
    AUTO_MEM char *whole = test_read(path);
    for (size_t i = 0; i < strlen(whole); i++) {
        AUTO_MEM char *text = str_dup(whole);
        bool put_back = true;
        text[i] ^= 1;
        test_write(path, text);
        CHECK_ERR(guard_on_start(dir, &put_back), ERROR_INVALID);
        CHECK_ERR(guard_on_timer(dir, ID, &put_back), ERROR_INVALID);
        CHECK(!put_back);
    }
    for (size_t i = 0; i < strlen(whole); i++) {
        AUTO_MEM char *text = str_ndup(whole, i);
        bool put_back;
        test_write(path, text);
        CHECK_ERR(guard_on_start(dir, &put_back), ERROR_INVALID);
    }
    CHECK_STR_TAKE(test_read(config), AFTER);
    // A damaged count is none.
    test_write(path, whole);
    AUTO_MEM char *starts = str_format("%s/starts", dir);
    test_write(starts,
               "drawbridge-guard-note 1\nid " ID "\nby counting\nstarts 900\nat 1\nsum 0\n");
    CHECK(!start());
    CHECK_INT(look().starts.starts, 1);
    end();
}

TEST(the_program_and_the_drop_in_come_and_go)
{
    begin();
    AUTO_MEM char *program = test_path("program");
    AUTO_MEM char *units = test_path("kubelet.service.d");
    AUTO_MEM char *drop_in = str_format("%s/" GUARD_DROP_IN, units);
    AUTO_MEM char *installed = str_format("%s/" GUARD_PROGRAM, dir);
    bool changed = false;
    test_write(program, "one");
    CHECK_OK(guard_install(dir, program));
    CHECK_STR_TAKE(test_read(installed), "one");
    CHECK_INT(mode_of(installed), 0755);
    struct stat was, is;
    CHECK(stat(installed, &was) == 0);
    CHECK_OK(guard_install(dir, program));
    CHECK(stat(installed, &is) == 0 && is.st_ino == was.st_ino);
    test_write(program, "two");
    CHECK_OK(guard_install(dir, program));
    CHECK_STR_TAKE(test_read(installed), "two");

    CHECK_OK(guard_drop_in_write(units, dir, &changed));
    CHECK(changed);
    AUTO_MEM char *line =
        str_format("\n[Service]\nExecStartPre=-%s/drawbridge-guard start %s\n", dir, dir);
    AUTO_MEM char *text = test_read(drop_in);
    CHECK_HAS(text, line);
    CHECK_OK(guard_drop_in_write(units, dir, &changed));
    CHECK(!changed);
    CHECK_ERR(guard_drop_in_write(units, "/var/lib/a b", &changed), ERROR_INVALID);
    CHECK_ERR(guard_drop_in_write(units, "/var/lib/%n", &changed), ERROR_INVALID);

    arm();
    CHECK_ERR_HAS(guard_remove(dir, units, &changed), ERROR_CONFLICT, "under way");
    CHECK(test_exists(drop_in) && test_exists(installed));
    CHECK_OK(guard_disarm(dir));
    CHECK_OK(guard_remove(dir, units, &changed));
    CHECK(changed && !test_exists(units) && !test_exists(dir));
    CHECK_OK(guard_remove(dir, units, &changed));
    CHECK(!changed);
    end();
}

TEST(somebody_elses_drop_in_stays)
{
    begin();
    AUTO_MEM char *units = test_path("kubelet.service.d");
    AUTO_MEM char *drop_in = str_format("%s/" GUARD_DROP_IN, units);
    bool changed = false;
    CHECK(mkdir(units, 0755) == 0);
    test_write(drop_in, "[Service]\n");
    CHECK_ERR(guard_remove(dir, units, &changed), ERROR_CONFLICT);
    CHECK_STR_TAKE(test_read(drop_in), "[Service]\n");
    end();
}

// What a later version must still read, or refuse by its first line.
TEST(the_formats)
{
    static const char record_text[] =
        "drawbridge-guard 1\nid " ID "\npath /k/config.yaml\nstarts 3\nmode 420\n"
        "before 4\nafter -\nsum 0979e9d36a5ecc71\nold\n";
    static const char note_text[] =
        "drawbridge-guard-note 1\nid " ID "\nby timer\nstarts 2\nat 1700000000000\n"
        "sum c295cf1d67a4418b\n";
    AUTO_GUARD_RECORD struct guard_record record = {0};
    struct guard_note note;
    CHECK_OK(guard_record_parse(slice_of(record_text), &record));
    CHECK_STR(record.path, "/k/config.yaml");
    CHECK_INT(record.mode, 0644);
    CHECK_INT(record.starts_max, 3);
    CHECK_SLICE(record.before, "old\n");
    CHECK(record.before_there && !record.after_there);
    CHECK_OK(guard_note_parse(slice_of(note_text), &note));
    CHECK_INT(note.by, GUARD_BY_TIMER);
    CHECK_INT(note.at_ms, 1700000000000);
}

TEST_MAIN()

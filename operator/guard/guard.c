// SPDX-License-Identifier: Apache-2.0
// What is armed, and when it goes off. The verdict is written before the file is put back: whoever
// dies in between leaves a word about what was meant, and the next one, guard or agent, goes
// through with it.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guard_internal.h"

#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 50000000
#define NOTE_BYTES_MAX 1024

char *guard_path(const char *dir, const char *name)
{
    return str_format("%s/%s", dir, name);
}

struct error *guard_dir_make(const char *dir)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return NULL;
    return error_errno(errno, "make %s", dir);
}

struct error *guard_lock(const char *dir, int *ret_fd)
{
    AUTO_MEM char *path = guard_path(dir, "lock");
    const struct timespec pause = {0, LOCK_PAUSE_NS};
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(errno, "open %s", path);
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *ret_fd = fd;
            return NULL;
        }
        nanosleep(&pause, NULL);
    }
    close(fd);
    return error_new(ERROR_TRANSIENT, "%s is held by another process", path);
}

void guard_unlock(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

// --- reading -------------------------------------------------------------------------------------

static struct error *read_record(const char *dir, bool *ret_there, struct guard_record *ret_record)
{
    AUTO_MEM char *path = guard_path(dir, "armed");
    AUTO_GUARD_FILE struct guard_file file = {0};
    struct error *err = guard_file_read(path, false, GUARD_RECORD_BYTES_MAX, &file);

    if (err)
        return err;
    *ret_there = file.there;
    if (!file.there)
        return NULL;
    err = guard_record_parse((struct slice){file.text, file.len}, ret_record);
    return error_wrap(err, "%s", path);
}

// A note that cannot be read is none: then more starts are counted, and no verdict was spoken.
static bool read_note(const char *dir, const char *name, struct guard_note *ret_note)
{
    AUTO_MEM char *path = guard_path(dir, name);
    AUTO_GUARD_FILE struct guard_file file = {0};
    struct error *err = guard_file_read(path, false, NOTE_BYTES_MAX, &file);

    if (!err && !file.there)
        return false;
    if (!err)
        err = guard_note_parse((struct slice){file.text, file.len}, ret_note);
    if (!err)
        return true;
    error_ignore(err, "the same as no note");
    return false;
}

static struct error *write_note(const char *dir, const char *name, const struct guard_note *note)
{
    AUTO_MEM char *path = guard_path(dir, name);
    AUTO_BUF struct buf text = buf_make(NOTE_BYTES_MAX);

    guard_note_print(note, &text);
    return guard_file_store(path, buf_slice(&text), 0600);
}

static struct error *forget(const char *dir, const char *name)
{
    AUTO_MEM char *path = guard_path(dir, name);

    return guard_file_remove(path);
}

// --- the agent's side ----------------------------------------------------------------------------

struct error *guard_arm(const char *dir, const struct guard_record *record)
{
    AUTO_GUARD_LOCK int lock = -1;
    AUTO_MEM char *path = guard_path(dir, "armed");
    AUTO_BUF struct buf text = buf_make(GUARD_RECORD_BYTES_MAX);
    struct error *err = guard_dir_make(dir);

    if (!err)
        err = guard_lock(dir, &lock);
    if (!err)
        err = forget(dir, "verdict");
    if (!err)
        err = forget(dir, "starts");
    if (err)
        return err;
    guard_record_print(record, &text);
    if (text.overflow)
        return error_new(ERROR_LIMIT, "%s is too large to be guarded", record->path);
    return guard_file_store(path, buf_slice(&text), 0600);
}

struct error *guard_disarm(const char *dir)
{
    AUTO_GUARD_LOCK int lock = -1;
    struct stat st;
    struct error *err = stat(dir, &st) < 0 && errno == ENOENT ? NULL : guard_lock(dir, &lock);

    if (err || lock < 0)
        return err;
    err = forget(dir, "armed");
    if (!err)
        err = forget(dir, "starts");
    return err ? err : forget(dir, "verdict");
}

struct error *guard_look(const char *dir, struct guard_state *ret_state)
{
    AUTO_GUARD_RECORD struct guard_record record = {0};
    struct guard_state state = {0};
    struct error *err = read_record(dir, &state.armed, &record);

    state.armed = state.armed && !err;
    memcpy(state.id, record.id, GUARD_ID_BYTES);
    state.judged = read_note(dir, "verdict", &state.verdict) && state.verdict.by != GUARD_COUNTING;
    state.counted = read_note(dir, "starts", &state.starts);
    *ret_state = state;
    return err;
}

// --- the program's side --------------------------------------------------------------------------

static bool is(const struct guard_file *file, bool there, struct slice bytes)
{
    return file->there == there && file->len == bytes.len &&
           (bytes.len == 0 || memcmp(file->text, bytes.ptr, bytes.len) == 0);
}

static struct error *read_now(const struct guard_record *record, struct guard_file *ret_file)
{
    return guard_file_read(record->path, false, GUARD_FILE_BYTES_MAX, ret_file);
}

// Still what the agent wrote? Somebody else's bytes are left alone: CONFLICT.
static struct error *must_be_ours(const struct guard_record *record, struct guard_file *ret_file)
{
    struct error *err = read_now(record, ret_file);

    if (!err && !is(ret_file, record->after_there, record->after))
        err = error_new(ERROR_CONFLICT, "%s was changed by somebody else: left as it is",
                        record->path);
    return err;
}

static struct error *restore(const struct guard_record *record)
{
    AUTO_GUARD_FILE struct guard_file was = {0};
    AUTO_GUARD_FILE struct guard_file again = {0};
    // A name of its own: the agent may be writing the same file.
    AUTO_MEM char *beside = str_format("%s.guard", record->path);
    AUTO_MEM char *temp = guard_temp_name(beside);
    AUTO_MEM char *lost = NULL;
    bool moved = false;
    struct error *err = must_be_ours(record, &was);

    if (err)
        return err;
    if (!record->before_there)
        return guard_file_remove(record->path);
    err = guard_temp_write(temp, record->before, was.there ? was.mode : record->mode,
                           was.there ? was.uid : geteuid(), was.there ? was.gid : getegid(),
                           record->path, &lost);
    if (!err)
        err = must_be_ours(record, &again); // writing took its time
    if (!err)
        err = guard_temp_move(temp, record->path, &moved);
    if (moved && lost)
        log_line(LOG_WARN, "guard", "%s is put back without its extended attributes: %s",
                 record->path, lost);
    if (err && !moved)
        unlink(temp);
    return err;
}

static struct error *lay_down(const char *dir)
{
    struct error *err = forget(dir, "starts");

    return err ? err : forget(dir, "armed"); // last: while it is there somebody comes back to this
}

static struct error *put_back(const char *dir, const struct guard_record *record, enum guard_by by,
                              unsigned starts)
{
    struct guard_note verdict;
    struct error *err = NULL;

    if (!read_note(dir, "verdict", &verdict) || !str_eq(verdict.id, record->id)) {
        verdict = (struct guard_note){.by = by, .starts = starts, .at_ms = clock_wall_ms()};
        memcpy(verdict.id, record->id, GUARD_ID_BYTES);
        err = write_note(dir, "verdict", &verdict);
    }
    if (!err)
        err = restore(record);
    return err ? err : lay_down(dir);
}

static struct error *count(const char *dir, const struct guard_record *record, bool *ret_put_back)
{
    struct guard_note note;

    if (!read_note(dir, "starts", &note) || !str_eq(note.id, record->id))
        note = (struct guard_note){.by = GUARD_COUNTING};
    memcpy(note.id, record->id, GUARD_ID_BYTES);
    if (note.starts >= record->starts_max) {
        struct error *err = put_back(dir, record, GUARD_BY_STARTS, note.starts);
        *ret_put_back = !err;
        return err;
    }
    note.starts++;
    note.at_ms = clock_wall_ms();
    return write_note(dir, "starts", &note);
}

struct error *guard_on_start(const char *dir, bool *ret_put_back)
{
    AUTO_GUARD_LOCK int lock = -1;
    AUTO_GUARD_RECORD struct guard_record record = {0};
    AUTO_GUARD_FILE struct guard_file now = {0};
    struct guard_note verdict;
    bool armed = false;

    *ret_put_back = false;
    struct error *err = guard_lock(dir, &lock);
    if (!err)
        err = read_record(dir, &armed, &record);
    if (err || !armed)
        return err;
    bool judged = read_note(dir, "verdict", &verdict) && str_eq(verdict.id, record.id);
    if ((err = read_now(&record, &now)))
        return err;
    if (!is(&now, record.after_there, record.after))
        // Our own restoration, that died before its last word; else an edit that never was, or
        // somebody else's.
        return judged && is(&now, record.before_there, record.before) ? lay_down(dir) : NULL;
    if (!judged)
        return count(dir, &record, ret_put_back);
    err = put_back(dir, &record, verdict.by, verdict.starts);
    *ret_put_back = !err;
    return err;
}

struct error *guard_on_timer(const char *dir, const char *id, bool *ret_put_back)
{
    AUTO_GUARD_LOCK int lock = -1;
    AUTO_GUARD_RECORD struct guard_record record = {0};
    AUTO_GUARD_FILE struct guard_file now = {0};
    struct guard_note note;
    bool armed = false;

    *ret_put_back = false;
    struct error *err = guard_lock(dir, &lock);
    if (!err)
        err = read_record(dir, &armed, &record);
    if (err || !armed || !str_eq(record.id, id))
        return err;
    unsigned starts = read_note(dir, "starts", &note) && str_eq(note.id, id) ? note.starts : 0;
    if ((err = read_now(&record, &now)) || !is(&now, record.after_there, record.after))
        return err;
    err = put_back(dir, &record, GUARD_BY_TIMER, starts);
    *ret_put_back = !err;
    return err;
}

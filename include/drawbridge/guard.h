// SPDX-License-Identifier: Apache-2.0
// guard: what puts the kubelet's file back when the agent cannot: a record on the node, and the
// small program that acts on it.
//
// Purpose   the record of one edit under way, the program's verbs, whole replacement of files
// In → Out  a record that the agent arms → the file from before, when nobody disarmed it in time
// May use   base
// Never     changes a file that is not, byte for byte, what the agent wrote; decides anything from
//           the network
// Limits    files of 1 MiB, one record at a time
// Blocking  small local files with fsync; waits up to 5 s for its lock
//
// A directory (state_dir/guard) holds: armed, the record; starts, how often the kubelet was started
// with the edit; verdict, written ahead of a restoration; lock; and the program. The agent links
// this room, the program is this room: there is one reader and one writer of each format.
#pragma once

#include <sys/types.h>

#include "drawbridge/base.h"

// Called between any two file operations; tests die in it. NULL in the programs.
extern void (*guard_test_hook)(const char *stage);
void guard_stage(const char *stage);
// fsync(2), llistxattr(2); tests let them fail
extern int (*guard_fsync)(int fd);
extern ssize_t (*guard_llistxattr)(const char *path, char *list, size_t size);

// --- files, whole or not at all ------------------------------------------------------------------

#define GUARD_FILE_BYTES_MAX ((size_t)1 << 20)
#define GUARD_PROGRAM_BYTES_MAX ((size_t)32 << 20)

struct guard_file {
    bool there; // false: no such file, all else is empty
    char *text;
    size_t len;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};
void guard_file_fini(struct guard_file *file);
#define AUTO_GUARD_FILE CLEANUP(guard_file_fini)
// A regular file and nothing else (INVALID; a symbolic link too, unless links are followed); LIMIT
// above bytes_max.
struct error *guard_file_read(const char *path, bool follow_links, size_t bytes_max,
                              struct guard_file *ret_file);
// A name for a temporary file beside path: ".drawbridge-NAME.RANDOM.tmp", which the kubelet
// ignores. Never the same twice: two processes that replace one file do not write into each
// other's.
char *guard_temp_name(const char *path);
// temp, complete and on the disk. like: a file whose access list, security label and user
// attributes it gets too, where it is there; NULL: none. ret_lost: what cannot be copied is left
// out, and why is said there (yours; NULL: all was copied); NULL: it is an error.
struct error *guard_temp_write(const char *temp, struct slice text, mode_t mode, uid_t uid,
                               gid_t gid, const char *like, char **ret_lost);
// On the disk too. *ret_moved with an error: the file is replaced, and may be the old one again
// after a loss of power.
struct error *guard_temp_move(const char *temp, const char *path, bool *ret_moved);
// A file of our own, atomically.
struct error *guard_file_store(const char *path, struct slice text, mode_t mode);
struct error *guard_file_remove(const char *path); // one that is not there is removed
struct error *guard_file_take_away(const char *path, bool *ret_gone); // as guard_temp_move()
struct error *guard_dir_sync(const char *dir);
char *guard_dir_of(const char *path);

// --- the record ----------------------------------------------------------------------------------

#define GUARD_ID_BYTES 17 // sixteen hexadecimal digits

struct guard_record {
    char id[GUARD_ID_BYTES];
    char *path;
    unsigned starts_max;            // that many starts of the kubelet with the edit may fail
    mode_t mode;                    // for a file that has to be made again
    bool before_there, after_there; // false: there was no such file, or the edit took it away
    struct slice before, after;     // in bytes
    char *bytes;
};
void guard_record_fini(struct guard_record *record);
#define AUTO_GUARD_RECORD CLEANUP(guard_record_fini)
// INVALID unless every byte is as guard_record_print() wrote it.
struct error *guard_record_parse(struct slice text, struct guard_record *ret_record);
// up to GUARD_RECORD_BYTES_MAX
void guard_record_print(const struct guard_record *record, struct buf *text);
#define GUARD_RECORD_BYTES_MAX (2 * GUARD_FILE_BYTES_MAX + 8192)

enum guard_by {
    GUARD_COUNTING, // nobody: so many starts so far
    GUARD_BY_STARTS,
    GUARD_BY_TIMER
};
struct guard_note { // starts and verdict
    char id[GUARD_ID_BYTES];
    enum guard_by by;
    unsigned starts;
    int64_t at_ms; // Unix time
};
struct error *guard_note_parse(struct slice text, struct guard_note *ret_note);
void guard_note_print(const struct guard_note *note, struct buf *text);

// Whoever writes in the guard's directory, or where it puts a file back, holds this meanwhile:
// until the descriptor is closed. TRANSIENT when somebody else holds it for more than 5 s.
struct error *guard_lock(const char *dir, int *ret_fd);
void guard_unlock(int *fd);
#define AUTO_GUARD_LOCK CLEANUP(guard_unlock)

// --- what the agent does -------------------------------------------------------------------------

// From here on the file is put back unless guard_disarm() comes first. An earlier record, with its
// notes, is forgotten.
struct error *guard_arm(const char *dir, const struct guard_record *record);
struct error *guard_disarm(const char *dir); // also forgets the verdict
// Whether a record is armed, and the notes there are. What is damaged counts as not there; an error
// says so, with *ret_state set all the same.
struct guard_state {
    bool armed, judged, counted;
    char id[GUARD_ID_BYTES]; // of the armed one
    struct guard_note verdict, starts;
};
struct error *guard_look(const char *dir, struct guard_state *ret_state);
// Copies the program to dir/drawbridge-guard where it is not there already.
struct error *guard_install(const char *dir, const char *program);
#define GUARD_PROGRAM "drawbridge-guard"

// --- what the program does -----------------------------------------------------------------------

// Before each start of the kubelet: counts, and puts the file back when enough starts failed.
struct error *guard_on_start(const char *dir, bool *ret_put_back);
// When the timer fires: puts the file back if that edit is still armed.
struct error *guard_on_timer(const char *dir, const char *id, bool *ret_put_back);
// The kubelet's drop-in; *ret_changed: the service manager must read it.
#define GUARD_DROP_IN "20-drawbridge-guard.conf"
struct error *guard_drop_in_write(const char *unit_dir, const char *dir, bool *ret_changed);
// The drop-in if it is ours, the program and the directory. CONFLICT while something is armed.
struct error *guard_remove(const char *dir, const char *unit_dir, bool *ret_changed);

// SPDX-License-Identifier: Apache-2.0
// The formats: lines of "key value" in a fixed order, the last of them a sum over all else; in the
// record the two files' bytes follow. Whoever reads compares with what printing would give, so that
// one text has one meaning.
#include <string.h>

#include "guard_internal.h"

#define RECORD_FIRST "drawbridge-guard 1"
#define NOTE_FIRST "drawbridge-guard-note 1"
#define PATH_BYTES_MAX 4096
#define STARTS_MAX 1000

static const char *const by_names[] = {"counting", "starts", "timer"};

// FNV-1a: against torn and rotten bytes, not against people.
static uint64_t sum_of(uint64_t sum, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        sum = (sum ^ (unsigned char)bytes.ptr[i]) * 0x100000001b3U;
    return sum;
}
#define SUM_SEED 0xcbf29ce484222325U

static bool take_line(struct slice *rest, const char *key, struct slice *ret_value)
{
    struct slice line;

    if (!slice_cut(rest, '\n', &line) || !rest->ptr || !slice_starts(line, key) ||
        line.len <= strlen(key) || line.ptr[strlen(key)] != ' ')
        return false;
    *ret_value = slice_sub(line, strlen(key) + 1, line.len);
    return true;
}

static bool take_first(struct slice *rest, const char *first)
{
    struct slice line;

    return slice_cut(rest, '\n', &line) && rest->ptr && slice_eq(line, first);
}

static bool take_id(struct slice *rest, char ret_id[static GUARD_ID_BYTES])
{
    struct slice value;

    if (!take_line(rest, "id", &value) || value.len != GUARD_ID_DIGITS)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (!memchr("0123456789abcdef", value.ptr[i], 16))
            return false;
    }
    memcpy(ret_id, value.ptr, value.len);
    ret_id[value.len] = '\0';
    return true;
}

static bool take_number(struct slice *rest, const char *key, uint64_t most, uint64_t *ret_number)
{
    struct slice value;

    return take_line(rest, key, &value) && slice_to_u64(value, ret_number) && *ret_number <= most;
}

// "-": no file.
static bool take_size(struct slice *rest, const char *key, bool *ret_there, uint64_t *ret_size)
{
    struct slice value, again = *rest;

    *ret_size = 0;
    if (take_line(&again, key, &value) && slice_eq(value, "-")) {
        *rest = again;
        *ret_there = false;
        return true;
    }
    *ret_there = true;
    return take_number(rest, key, GUARD_FILE_BYTES_MAX, ret_size);
}

static bool is_path(struct slice path)
{
    return path.len > 1 && path.len <= PATH_BYTES_MAX && path.ptr[0] == '/' &&
           !memchr(path.ptr, '\0', path.len);
}

void guard_record_fini(struct guard_record *record)
{
    mem_free(record->path);
    mem_free(record->bytes);
    *record = (struct guard_record){0};
}

static void print_size(struct buf *text, const char *key, bool there, struct slice bytes)
{
    if (there)
        buf_printf(text, "%s %zu\n", key, bytes.len);
    else
        buf_printf(text, "%s -\n", key);
}

void guard_record_print(const struct guard_record *record, struct buf *text)
{
    ASSERT(text->len == 0); // foreign: of the caller's buffer, not of a file
    buf_printf(text, "%s\nid %s\npath %s\nstarts %u\nmode %u\n", RECORD_FIRST, record->id,
               record->path, record->starts_max, (unsigned)record->mode);
    print_size(text, "before", record->before_there, record->before);
    print_size(text, "after", record->after_there, record->after);
    uint64_t sum = sum_of(sum_of(sum_of(SUM_SEED, buf_slice(text)), record->before), record->after);
    buf_printf(text, "sum %016llx\n", (unsigned long long)sum);
    buf_add_slice(text, record->before);
    buf_add_slice(text, record->after);
}

static bool read_record(struct slice rest, struct guard_record *record)
{
    struct slice path, sum;
    uint64_t starts = 0, mode = 0, before = 0, after = 0;

    if (!take_first(&rest, RECORD_FIRST) || !take_id(&rest, record->id) ||
        !take_line(&rest, "path", &path) || !is_path(path) ||
        !take_number(&rest, "starts", STARTS_MAX, &starts) ||
        !take_number(&rest, "mode", 07777, &mode) ||
        !take_size(&rest, "before", &record->before_there, &before) ||
        !take_size(&rest, "after", &record->after_there, &after) ||
        !take_line(&rest, "sum", &sum) || rest.len != before + after)
        return false;
    record->path = slice_dup(path);
    record->starts_max = (unsigned)starts;
    record->mode = (mode_t)mode;
    record->bytes = slice_dup(rest);
    record->before = (struct slice){record->bytes, before};
    record->after = (struct slice){record->bytes + before, after};
    return true;
}

static bool same_bytes(const struct buf *a, struct slice b)
{
    return !a->overflow && a->len == b.len && memcmp(a->ptr, b.ptr, b.len) == 0;
}

struct error *guard_record_parse(struct slice text, struct guard_record *ret_record)
{
    AUTO_GUARD_RECORD struct guard_record record = {0};
    AUTO_BUF struct buf again = buf_make(GUARD_RECORD_BYTES_MAX);

    if (text.len == 0 || !read_record(text, &record))
        return error_new(ERROR_INVALID, "the guard's record is damaged, or of another version");
    guard_record_print(&record, &again);
    if (!same_bytes(&again, text))
        return error_new(ERROR_INVALID, "the guard's record is damaged");
    *ret_record = record;
    record = (struct guard_record){0};
    return NULL;
}

void guard_note_print(const struct guard_note *note, struct buf *text)
{
    ASSERT(text->len == 0); // foreign: of the caller's buffer, not of a file
    buf_printf(text, "%s\nid %s\nby %s\nstarts %u\nat %llu\n", NOTE_FIRST, note->id,
               by_names[note->by], note->starts,
               (unsigned long long)(note->at_ms > 0 ? note->at_ms : 0));
    buf_printf(text, "sum %016llx\n", (unsigned long long)sum_of(SUM_SEED, buf_slice(text)));
}

struct error *guard_note_parse(struct slice text, struct guard_note *ret_note)
{
    struct guard_note note = {0};
    struct slice rest = text, by, sum;
    uint64_t starts = 0, at = 0;
    AUTO_BUF struct buf again = buf_make(1024);
    bool read = text.len > 0 && take_first(&rest, NOTE_FIRST) && take_id(&rest, note.id) &&
                take_line(&rest, "by", &by) && take_number(&rest, "starts", STARTS_MAX, &starts) &&
                take_number(&rest, "at", INT64_MAX, &at) && take_line(&rest, "sum", &sum);
    size_t which = 0;

    while (read && which < COUNT(by_names) && !slice_eq(by, by_names[which]))
        which++;
    if (!read || which == COUNT(by_names))
        return error_new(ERROR_INVALID, "the guard's note is damaged, or of another version");
    note.by = (enum guard_by)which;
    note.starts = (unsigned)starts;
    note.at_ms = (int64_t)at;
    guard_note_print(&note, &again);
    if (!same_bytes(&again, text))
        return error_new(ERROR_INVALID, "the guard's note is damaged");
    *ret_note = note;
    return NULL;
}

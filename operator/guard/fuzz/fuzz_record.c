// SPDX-License-Identifier: Apache-2.0
// Any bytes as the guard's record and as its notes: refused, or printed again byte for byte.
#include <string.h>

#include "drawbridge/guard.h"
#include "fuzz.h"

static void check_record(struct slice text)
{
    AUTO_GUARD_RECORD struct guard_record record = {0};
    AUTO(error) struct error *err = guard_record_parse(text, &record);
    AUTO_BUF struct buf again = buf_make(GUARD_RECORD_BYTES_MAX);
    if (err)
        return;
    guard_record_print(&record, &again);
    ASSERT(again.len == text.len && memcmp(again.ptr, text.ptr, text.len) == 0);
    ASSERT(record.path[0] == '/' && strlen(record.id) + 1 == GUARD_ID_BYTES);
}

static void check_note(struct slice text)
{
    struct guard_note note;
    AUTO(error) struct error *err = guard_note_parse(text, &note);
    AUTO_BUF struct buf again = buf_make(1024);
    if (err)
        return;
    guard_note_print(&note, &again);
    ASSERT(again.len == text.len && memcmp(again.ptr, text.ptr, text.len) == 0);
}

// The sum would keep a fuzzer out: bytes are also tried as the fields of a record that is printed
// with the right one.
static void check_round_trip(struct slice text)
{
    struct slice half = slice_sub(text, 0, text.len / 2),
                 rest = slice_sub(text, text.len / 2, text.len);
    struct guard_record record = {.id = "0123456789abcdef",
                                  .path = (char *)(uintptr_t)"/var/lib/kubelet/config.yaml",
                                  .starts_max = (unsigned)(text.len % 1000),
                                  .mode = (mode_t)(text.len % 07777),
                                  .before_there = half.len > 0,
                                  .after_there = true,
                                  .before = half,
                                  .after = rest};
    AUTO_GUARD_RECORD struct guard_record again = {0};
    AUTO_BUF struct buf printed = buf_make(GUARD_RECORD_BYTES_MAX);
    if (text.len > GUARD_FILE_BYTES_MAX)
        return;
    guard_record_print(&record, &printed);
    AUTO(error) struct error *err = guard_record_parse(buf_slice(&printed), &again);
    ASSERT(!err && again.after.len == rest.len && again.before.len == half.len);
    ASSERT(rest.len == 0 || memcmp(again.after.ptr, rest.ptr, rest.len) == 0);
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice text = {(const char *)bytes, len};
    check_record(text);
    check_note(text);
    check_round_trip(text);
}

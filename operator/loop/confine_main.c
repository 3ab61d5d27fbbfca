// SPDX-License-Identifier: Apache-2.0
// drawbridge-confine [data=BYTES] [file=BYTES] [cpu=SECONDS] [processes=N] [read=PATH]...
// [write=PATH]... -- PROGRAM [ARGUMENT]...
// Takes from itself what is said and becomes the program. With a path it is confined to those that
// are given.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "drawbridge/loop.h"

static struct error *take(const char *word, struct strlist *readable, struct strlist *writable)
{
    static const struct {
        const char *name;
        int what;
    } limits[] = {{"data=", RLIMIT_DATA},
                  {"file=", RLIMIT_FSIZE},
                  {"cpu=", RLIMIT_CPU},
                  {"processes=", RLIMIT_NPROC}};
    uint64_t value;

    for (size_t i = 0; i < COUNT(limits); i++)
        if (str_starts(word, limits[i].name) &&
            slice_to_u64(slice_of(word + strlen(limits[i].name)), &value))
            return loop_confine_limit(limits[i].what, value, limits[i].name);
    if (str_starts(word, "read="))
        strlist_add(readable, word + strlen("read="));
    else if (str_starts(word, "write="))
        strlist_add(writable, word + strlen("write="));
    else
        return error_new(ERROR_INVALID, "%s", word);
    return NULL;
}

int main(int argc, char **argv)
{
    AUTO_STRLIST struct strlist readable = {0}, writable = {0};
    struct error *err = loop_confine_limit(RLIMIT_CORE, 0, "core dumps");
    int at = 1;

    for (; !err && at < argc && strcmp(argv[at], "--") != 0; at++)
        err = take(argv[at], &readable, &writable);
    if (!err && at + 1 >= argc)
        err = error_new(ERROR_INVALID, "no program is given");
    if (!err && readable.len + writable.len > 0)
        err = loop_confine_paths((const char *const *)readable.items,
                                 (const char *const *)writable.items);
    if (!err && readable.len + writable.len > 0)
        err = loop_confine_calls(true);
    if (err) {
        fprintf(stderr, "drawbridge-confine: %s\n", error_text(err));
        error_free(err);
        return 126;
    }
    execvp(argv[at + 1], argv + at + 1);
    fprintf(stderr, "drawbridge-confine: %s: %s\n", argv[at + 1], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}

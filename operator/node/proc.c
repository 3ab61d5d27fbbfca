// SPDX-License-Identifier: Apache-2.0
// The earliest truth about a restart: a process that runs with the new argv, or that began just
// now. Works where the agent sees the node's processes.
#include "node_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CMDLINE_BYTES_MAX 65536
#define STAT_BYTES_MAX 1024
enum stat_field { STAT_NAME = 2, STAT_START = 22 };

const char *node_proc_dir = "/proc";

// Reads /proc/<pid>/cmdline; false when the process is gone or a kernel thread.
static bool read_cmdline(const char *pid, char *bytes, size_t *ret_len)
{
    AUTO_MEM char *path = str_format("%s/%s/cmdline", node_proc_dir, pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t len = 0;
    ssize_t got;
    while (len < CMDLINE_BYTES_MAX && ((got = read(fd, bytes + len, CMDLINE_BYTES_MAX - len)) > 0 ||
                                       (got < 0 && errno == EINTR)))
        len += got > 0 ? (size_t)got : 0;
    close(fd);
    *ret_len = len;
    return len > 0 && bytes[len - 1] == '\0';
}

// The program may be named with or without its path; everything else must be the same.
static bool same_argv(const char *bytes, size_t len, const json_t *argv)
{
    size_t at = 0, i;
    json_t *word;
    json_array_foreach(argv, i, word) {
        if (at >= len)
            return false;
        const char *is = bytes + at, *wanted = json_string_value(word);
        if (i == 0 ? !str_eq(node_base_name(is), node_base_name(wanted)) : !str_eq(is, wanted))
            return false;
        at += strlen(is) + 1;
    }
    return at == len;
}

bool node_proc_runs(const json_t *argv)
{
    AUTO_STRLIST struct strlist names = {0};
    struct error *err =
        json_array_size(argv) > 0 ? node_dir_list(node_proc_dir, false, &names) : NULL;
    if (err)
        error_ignore(err, "without /proc other evidence must do");
    AUTO_MEM char *bytes = mem_alloc(CMDLINE_BYTES_MAX);
    for (size_t i = 0; i < names.len; i++) {
        uint64_t pid;
        size_t len;
        if (slice_to_u64(slice_of(names.items[i]), &pid) &&
            read_cmdline(names.items[i], bytes, &len) && same_argv(bytes, len, argv))
            return true;
    }
    return false;
}

// --- the kubelet's command line ------------------------------------------------------------------

static void read_namespace(const char *pid, const char *kind, char link[static PATH_MAX])
{
    AUTO_MEM char *path = str_format("%s/%s/ns/%s", node_proc_dir, pid, kind);
    ssize_t len = readlink(path, link, PATH_MAX - 1);
    link[len > 0 ? len : 0] = '\0';
}

// A kubelet in a container (a cluster within this one) is none of ours.
static bool is_of_the_host(const char *pid)
{
    static const char *const kinds[] = {"pid", "mnt"};
    char is[PATH_MAX], of_init[PATH_MAX];
    for (size_t i = 0; i < COUNT(kinds); i++) {
        read_namespace(pid, kinds[i], is);
        read_namespace("1", kinds[i], of_init);
        if (!str_eq(is, of_init))
            return false;
    }
    return true;
}

static json_t *split_cmdline(const char *bytes, size_t len)
{
    json_t *argv = json_array();
    for (size_t at = 0; at < len; at += strlen(bytes + at) + 1) {
        json_t *word = json_string(bytes + at);
        json_array_append_new(argv, word ? word : json_string("?")); // no UTF-8, no flag of ours
    }
    return argv;
}

json_t *node_proc_kubelet(void)
{
    AUTO_STRLIST struct strlist names = {0};
    struct error *err = node_dir_list(node_proc_dir, false, &names);
    if (err)
        error_ignore(err, "without /proc the default paths must do");
    AUTO_MEM char *bytes = mem_alloc(CMDLINE_BYTES_MAX);
    AUTO_JSON json_t *found = NULL;
    for (size_t i = 0; i < names.len; i++) {
        uint64_t pid;
        size_t len;
        if (!slice_to_u64(slice_of(names.items[i]), &pid) ||
            !read_cmdline(names.items[i], bytes, &len) ||
            !str_eq(node_base_name(bytes), component_name(COMPONENT_KUBELET)) ||
            !is_of_the_host(names.items[i]))
            continue;
        if (found)
            return NULL;
        found = split_cmdline(bytes, len);
    }
    return TAKE(found);
}

// How long a process of this name has run, from the ticks since boot in its stat; -1: gone, or of
// another name.
static int64_t read_age(const char *pid, const char *name, int64_t since_boot_ms)
{
    AUTO_MEM char *path = str_format("%s/%s/stat", node_proc_dir, pid);
    AUTO_MEM char *text = mem_alloc(STAT_BYTES_MAX + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, STAT_BYTES_MAX);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *from = strchr(text, '('), *at = strrchr(text, ')'); // the name may hold either
    if (!from || !at || at <= from || (size_t)(at - from - 1) != strlen(name) ||
        strncmp(from + 1, name, strlen(name)) != 0)
        return -1;
    for (int field = STAT_NAME; field < STAT_START && at; field++)
        at = strchr(at + 1, ' ');
    uint64_t ticks;
    if (!at || !slice_to_u64((struct slice){at + 1, strcspn(at + 1, " ")}, &ticks))
        return -1;
    return since_boot_ms - (int64_t)(ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

int64_t node_proc_age_ms(const char *name)
{
    AUTO_STRLIST struct strlist names = {0};
    struct timespec since_boot;
    int64_t youngest = -1;
    struct error *err = node_dir_list(node_proc_dir, false, &names);
    if (err)
        error_ignore(err, "without /proc nobody can tell");
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    for (size_t i = 0; i < names.len; i++) {
        uint64_t pid;
        if (!slice_to_u64(slice_of(names.items[i]), &pid))
            continue;
        int64_t age =
            read_age(names.items[i], name, since_boot.tv_sec * 1000 + since_boot.tv_nsec / 1000000);
        if (age >= 0 && (youngest < 0 || age < youngest))
            youngest = age;
    }
    return youngest;
}

// SPDX-License-Identifier: Apache-2.0
// The earliest truth about a restart: a process that runs with the new argv, or that began just
// now. Works where the agent sees the node's processes.
#include "node_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CMDLINE_BYTES_MAX 65536
#define STAT_BYTES_MAX 1024
enum stat_field { STAT_NAME = 2, STAT_START = 22 };

const char *node_proc_dir = "/proc";

#define STATUS_BYTES_MAX 4096

// One of /proc's directories; it may vanish at any time.
struct process {
    const char *pid;
    uint64_t number;
};
// True: no need to look at the others.
typedef bool process_fn(void *owner, const struct process *process);

// A busy node has tens of thousands of entries: they are gone through one by one, and none is left
// out.
static void each_process(process_fn *fn, void *owner)
{
    DIR *dir = opendir(node_proc_dir);
    const struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir)) != NULL) {
        struct process process = {.pid = entry->d_name};
        if (slice_to_u64(slice_of(entry->d_name), &process.number))
            found = fn(owner, &process);
    }
    if (dir)
        closedir(dir);
}

// At most room bytes of /proc/PID/NAME; 0 when the process is gone.
static size_t read_file(const struct process *process, const char *name, char *bytes, size_t room)
{
    AUTO_MEM char *path = str_format("%s/%s/%s", node_proc_dir, process->pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t got;

    while (fd >= 0 && len < room &&
           ((got = read(fd, bytes + len, room - len)) > 0 || (got < 0 && errno == EINTR)))
        len += got > 0 ? (size_t)got : 0;
    if (fd >= 0)
        close(fd);
    return len;
}

// False when the process is gone or a kernel thread.
static bool read_cmdline(const struct process *process, char *bytes, size_t *ret_len)
{
    *ret_len = read_file(process, "cmdline", bytes, CMDLINE_BYTES_MAX);
    return *ret_len > 0 && bytes[*ret_len - 1] == '\0';
}

// "Uid:" has the real, the effective, the saved and the file system's user. The owner of the
// directory would not do: the kernel gives it to root for whoever forbids core dumps.
static bool runs_as(const struct process *process, uint64_t uid)
{
    char text[STATUS_BYTES_MAX];
    struct slice rest = {text, read_file(process, "status", text, sizeof(text))}, line, word;
    unsigned same = 0;

    while (slice_cut(&rest, '\n', &line) && !slice_starts(line, "Uid:"))
        line = (struct slice){0};
    while (line.ptr && slice_cut(&line, '\t', &word)) {
        uint64_t is;
        same += slice_to_u64(slice_trim(word), &is) && is == uid;
    }
    return same == 4;
}

static bool read_link(const struct process *process, const char *name, char link[static PATH_MAX])
{
    AUTO_MEM char *path = str_format("%s/%s/%s", node_proc_dir, process->pid, name);
    ssize_t len = readlink(path, link, PATH_MAX - 1);

    link[len > 0 ? len : 0] = '\0';
    return len > 0;
}

// The file that is run, whatever the process calls itself. An upgrade may have deleted it.
static bool runs_program(const struct process *process, const char *name)
{
    static const char deleted[] = " (deleted)";
    char link[PATH_MAX];

    if (!read_link(process, "exe", link))
        return false;
    if (str_ends(link, deleted))
        link[strlen(link) - strlen(deleted)] = '\0';
    return str_eq(node_base_name(link), name);
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

struct runs_search {
    const json_t *argv;
    uint64_t uid;
    char *bytes;
    bool found;
};

static bool on_runs(void *owner, const struct process *process)
{
    struct runs_search *search = owner;
    size_t len;

    search->found = read_cmdline(process, search->bytes, &len) &&
                    same_argv(search->bytes, len, search->argv) && runs_as(process, search->uid);
    return search->found;
}

bool node_proc_runs(const json_t *argv, uint64_t uid)
{
    AUTO_MEM char *bytes = mem_alloc(CMDLINE_BYTES_MAX);
    struct runs_search search = {.argv = argv, .uid = uid, .bytes = bytes};

    if (json_array_size(argv) > 0)
        each_process(on_runs, &search);
    return search.found;
}

// --- a program that we may end -------------------------------------------------------------------

bool node_proc_is(int64_t pid, const char *program, const char *dir)
{
    AUTO_MEM char *bytes = mem_alloc(CMDLINE_BYTES_MAX);
    AUTO_MEM char *name = str_format("%lld", (long long)pid);
    const struct process process = {name, (uint64_t)pid};
    char real[PATH_MAX], is[PATH_MAX];
    size_t len;

    return pid > 0 && realpath(dir, real) && read_cmdline(&process, bytes, &len) &&
           str_eq(bytes, program) && read_link(&process, "cwd", is) && str_eq(is, real) &&
           runs_as(&process, geteuid());
}

bool node_proc_has(int64_t pid, const json_t *argv)
{
    AUTO_MEM char *bytes = mem_alloc(CMDLINE_BYTES_MAX);
    AUTO_MEM char *name = str_format("%lld", (long long)pid);
    const struct process process = {name, (uint64_t)pid};
    size_t len;

    return read_cmdline(&process, bytes, &len) && same_argv(bytes, len, argv);
}

// --- the kubelet ---------------------------------------------------------------------------------

// One in a container (a cluster within this one) is none of ours.
static bool is_of_the_host(const struct process *process)
{
    static const char *const kinds[] = {"ns/pid", "ns/mnt"};
    const struct process init = {"1", 1};
    char is[PATH_MAX], of_init[PATH_MAX];

    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (!read_link(process, kinds[i], is) || !read_link(&init, kinds[i], of_init) ||
            !str_eq(is, of_init))
            return false;
    }
    return true;
}

// Anybody can name a process so. The kubelet is root's (we are root too, but in tests), of the
// host, and the program of that name. bytes, len: its command line.
static bool is_kubelet(const struct process *process, char *bytes, size_t *ret_len)
{
    const char *name = component_name(COMPONENT_KUBELET);

    return read_cmdline(process, bytes, ret_len) && str_eq(node_base_name(bytes), name) &&
           runs_program(process, name) && runs_as(process, geteuid()) && is_of_the_host(process);
}

static json_t *split_cmdline(const char *bytes, size_t len)
{
    json_t *argv = json_array();
    for (size_t at = 0; at < len; at += strlen(bytes + at) + 1)
        json_array_append_new(argv, doc_string(bytes + at));
    return argv;
}

struct kubelet_search {
    char *bytes;
    struct node_kubelet *kubelet;
    unsigned count;
    int64_t since_boot_ms;
};

// How long the process has run, from the ticks since boot in its stat; -1: it is gone.
static int64_t read_age(const struct process *process, int64_t since_boot_ms)
{
    char text[STAT_BYTES_MAX + 1];
    text[read_file(process, "stat", text, STAT_BYTES_MAX)] = '\0';
    const char *at = strrchr(text, ')'); // the name may hold one too
    for (int field = STAT_NAME; field < STAT_START && at; field++)
        at = strchr(at + 1, ' ');
    uint64_t ticks;
    if (!at || !slice_to_u64((struct slice){at + 1, strcspn(at + 1, " ")}, &ticks))
        return -1;
    return since_boot_ms - (int64_t)(ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

static bool on_kubelet(void *owner, const struct process *process)
{
    struct kubelet_search *search = owner;
    struct node_kubelet *kubelet = search->kubelet;
    size_t len;

    if (!is_kubelet(process, search->bytes, &len))
        return false;
    int64_t age = read_age(process, search->since_boot_ms);
    if (age >= 0 && (kubelet->age_ms < 0 || age < kubelet->age_ms))
        kubelet->age_ms = age;
    json_decref(TAKE(kubelet->argv));
    kubelet->pid = 0;
    if (++search->count > 1) // which of them is meant nobody knows
        return false;
    kubelet->argv = split_cmdline(search->bytes, len);
    kubelet->pid = (int64_t)process->number;
    return false;
}

struct node_kubelet node_proc_kubelet(void)
{
    AUTO_MEM char *bytes = mem_alloc(CMDLINE_BYTES_MAX);
    struct node_kubelet kubelet = {.age_ms = -1};
    struct timespec since_boot;

    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    struct kubelet_search search = {.bytes = bytes,
                                    .kubelet = &kubelet,
                                    .since_boot_ms =
                                        since_boot.tv_sec * 1000 + since_boot.tv_nsec / 1000000};
    each_process(on_kubelet, &search);
    return kubelet;
}

bool node_proc_is_kubelet(int64_t pid)
{
    AUTO_MEM char *bytes = mem_alloc(CMDLINE_BYTES_MAX);
    AUTO_MEM char *name = str_format("%lld", (long long)pid);
    const struct process process = {name, (uint64_t)pid};
    size_t len;

    return is_kubelet(&process, bytes, &len);
}

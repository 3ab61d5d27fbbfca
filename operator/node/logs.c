// SPDX-License-Identifier: Apache-2.0
// Why a component does not start: its own words, from the files that the kubelet keeps of a pod's
// output. Only what came after the edit counts, and only lines in which a component refuses what it
// was given.
#include "node_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_BYTES_MAX 65536
#define LOG_FILES_MAX 64

typedef void file_fn(void *owner, const char *path);

static void each_log(const char *dir, file_fn *fn, void *owner)
{
    AUTO_STRLIST struct strlist names = {0};
    struct error *err = node_dir_list(dir, false, &names);
    if (err) {
        error_ignore(err, "the container has no logs yet");
        return;
    }
    for (size_t i = 0; i < names.len && i < LOG_FILES_MAX; i++) {
        AUTO_MEM char *path = str_format("%s/%s", dir, names.items[i]);
        if (str_ends(names.items[i], ".log"))
            fn(owner, path);
    }
}

// Every log of the component's container: <ns>_<pod>[-<node>]_<uid>/<container>/<n>.log.
static void each_file(const struct node_unit *unit, file_fn *fn, void *owner)
{
    const char *root = unit->node->spec.paths.pod_logs_dir;
    const char *pod = doc_str(unit->tree, "metadata", "name", NULL);
    if (!root || !pod[0] || !unit->container)
        return;
    const char *namespace = doc_str(unit->tree, "metadata", "namespace", NULL);
    AUTO_MEM char *prefix = str_format("%s_%s", namespace[0] ? namespace : "default", pod);
    AUTO_STRLIST struct strlist pods = {0};
    struct error *err = node_dir_list(root, false, &pods);
    if (err)
        error_ignore(err, "no pod logs, no reasons from them");
    for (size_t i = 0; i < pods.len; i++) {
        char after = str_starts(pods.items[i], prefix) ? pods.items[i][strlen(prefix)] : '\0';
        if (after != '-' && after != '_')
            continue;
        AUTO_MEM char *dir = str_format("%s/%s/%s", root, pods.items[i], unit->container);
        each_log(dir, fn, owner);
    }
}

static void mark_file(void *owner, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        json_object_set_new(owner, path, json_integer((json_int_t)st.st_size));
}

json_t *node_logs_mark(const struct node_unit *unit)
{
    json_t *marks = json_object();
    each_file(unit, mark_file, marks);
    return marks;
}

// A refusal, not just a failure: what a second try cannot change.
static bool refuses(struct slice line, bool fresh_file)
{
    static const char *const words[] = {
        "unrecognized feature gate",
        "cannot set feature gate",
        "failed to set feature gates",
        "has not been registered",
        "unknown flag",
        "depends on features that are disabled",
        "unknown api groups",
        "invalid value of",
        "invalid argument",
        "unknown shorthand flag",
        "failed to load kubelet config file",
        "failed to load Kubelet config file",
        "failed to validate kubelet configuration",
        "failed to merge global and in-flight KubeletConfiguration",
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        if (memmem(line.ptr, line.len, words[i], strlen(words[i])))
            return true;
    }
    // The last words of any command. In a file that was there before the edit they may be the old
    // process' own.
    return fresh_file && slice_starts(line, "Error: ") &&
           !memmem(line.ptr, line.len, "address already in use", 22);
}

// "2026-11-21T10:00:00.123Z stderr F text": the time, and the text alone. Other lines stay as they
// are, their time is not known.
static struct slice strip_cri(struct slice line, int64_t *ret_wall_ms)
{
    struct slice rest = line, time, stream, tag;
    *ret_wall_ms = 0;
    if (!slice_cut(&rest, ' ', &time) || !rest.ptr || time.len > 40 || time.len < 20)
        return line;
    AUTO_MEM char *text = slice_dup(time);
    if (!clock_parse(text, ret_wall_ms) || !slice_cut(&rest, ' ', &stream) || !rest.ptr ||
        !slice_cut(&rest, ' ', &tag) || !rest.ptr)
        return line;
    return rest;
}

// klog's "E1121 10:00:00.000000   123 run.go:72] " says nothing to those who read a status.
static struct slice strip_klog(struct slice line)
{
    const char *end = line.len > 5 && memchr("IWEF", line.ptr[0], 4) && line.ptr[5] == ' '
                          ? memmem(line.ptr, line.len, "] ", 2)
                          : NULL;
    return end ? slice_sub(line, (size_t)(end - line.ptr) + 2, line.len) : line;
}

struct search {
    const json_t *marks;
    int64_t since_ms;
    char *line;
};

static void search_text(struct search *search, struct slice text, bool fresh_file)
{
    struct slice line;
    while (!search->line && slice_cut(&text, '\n', &line)) {
        int64_t at;
        struct slice said = strip_klog(slice_trim(strip_cri(line, &at)));
        if ((at == 0 || at >= search->since_ms) && refuses(said, fresh_file))
            search->line = node_plain(said);
    }
}

static void search_file(void *owner, const char *path)
{
    struct search *search = owner;
    int fd = search->line ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (int64_t)st.st_mtim.tv_sec * 1000 + 1000 >= search->since_ms) {
        off_t from = (off_t)doc_int(search->marks, 0, path, NULL);
        from = from > st.st_size ? 0 : from; // rotated
        from = st.st_size - from > TAIL_BYTES_MAX ? st.st_size - TAIL_BYTES_MAX : from;
        AUTO_MEM char *bytes = mem_alloc(TAIL_BYTES_MAX);
        ssize_t got = pread(fd, bytes, TAIL_BYTES_MAX, from);
        if (got > 0)
            search_text(search, (struct slice){bytes, (size_t)got},
                        !json_object_get(search->marks, path));
    }
    close(fd);
}

char *node_logs_refusal(const struct node_unit *unit, const json_t *marks, int64_t since_wall_ms)
{
    struct search search = {.marks = marks, .since_ms = since_wall_ms};
    each_file(unit, search_file, &search);
    return search.line;
}

char *node_logs_search(struct slice text)
{
    struct search search = {0};
    search_text(&search, text, false);
    return search.line;
}

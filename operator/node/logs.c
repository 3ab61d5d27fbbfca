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

static void mark_file(void *owner, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        json_object_set_new(owner, path, json_integer((json_int_t)st.st_size));
}

json_t *node_logs_mark(const struct node_unit *unit)
{
    json_t *marks = json_object();
    const struct node_site *site = node_site(unit->node);
    if (!site->restart) // else its file is emptied first
        site->each_log(unit, mark_file, marks);
    return marks;
}

// --- one line ------------------------------------------------------------------------------------

struct line {
    struct slice text;
    int64_t at_ms; // 0: not known
    int64_t pid;   // 0: not known
    bool goes_on;  // the next line is the rest of this one
};

// "2026-11-21T10:00:00.123Z stderr F text", as container runtimes write it; P in the place of F: it
// was too long for one line.
static bool read_cri(struct slice text, struct line *ret_line)
{
    struct slice rest = text, time, stream, tag;
    int64_t at_ms;

    if (!slice_cut(&rest, ' ', &time) || !rest.ptr || time.len > 40 || time.len < 20 ||
        !slice_cut(&rest, ' ', &stream) || !rest.ptr || !slice_cut(&rest, ' ', &tag) || !rest.ptr)
        return false;
    AUTO_MEM char *moment = slice_dup(time);
    if (!clock_parse(moment, &at_ms))
        return false;
    *ret_line = (struct line){.text = rest, .at_ms = at_ms, .goes_on = slice_starts(tag, "P")};
    return true;
}

// "1763719200.123456 host kubelet[4711]: text", as journalctl --output=short-unix prints it.
static bool read_journal(struct slice text, struct line *ret_line)
{
    struct slice rest = text, time, host, name, seconds, micros, before, number;
    uint64_t s, us, pid;

    if (!slice_cut(&rest, ' ', &time) || !rest.ptr || !slice_cut(&rest, ' ', &host) || !rest.ptr ||
        !slice_cut(&rest, ' ', &name) || !rest.ptr)
        return false;
    micros = time;
    number = name;
    if (!slice_cut(&micros, '.', &seconds) || micros.len != 6 || !slice_to_u64(micros, &us) ||
        !slice_to_u64(seconds, &s) || s > INT64_MAX / 1000000 ||
        !slice_cut(&number, '[', &before) || number.len < 3 ||
        memcmp(number.ptr + number.len - 2, "]:", 2) != 0 ||
        !slice_to_u64(slice_sub(number, 0, number.len - 2), &pid) || pid > INT32_MAX)
        return false;
    *ret_line = (struct line){
        .text = rest, .at_ms = (int64_t)s * 1000 + (int64_t)us / 1000, .pid = (int64_t)pid};
    return true;
}

static struct line read_line(struct slice text)
{
    struct line line = {.text = text};

    if (!read_cri(text, &line))
        (void)read_journal(text, &line);
    if (line.text.len > 0 && line.text.ptr[line.text.len - 1] == '\r')
        line.text.len--;
    return line;
}

// --- a refusal -----------------------------------------------------------------------------------

static bool has(struct slice text, const char *words)
{
    return text.len > 0 && memmem(text.ptr, text.len, words, strlen(words)) != NULL;
}

// What a second try cannot change.
static bool is_refusal(struct slice text)
{
    static const char *const words[] = {
        "unrecognized feature gate",
        "cannot set feature gate",
        "failed to set feature gates",
        "depends on features that are disabled",
        "malformed pair",
        "missing bool value",
        "has not been registered",
        "component not registered",
        "unknown api groups",
        "runtime-config invalid key",
        "unknown flag",
        "unknown shorthand flag",
        "invalid value of",
        "invalid argument",
        "failed to parse kubelet flag",
        "failed to validate kubelet flags",
        "failed to load kubelet config file",
        "failed to load Kubelet config file",
        "failed to merge kubelet configs",
        "failed to precedence kubeletConfigFlag",
        "failed to validate kubelet configuration",
        "failed to merge global and in-flight KubeletConfiguration",
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        if (has(text, words[i]))
            return true;
    }
    return false;
}

static bool is_digits(struct slice text, const char *pattern)
{
    size_t i = 0;

    for (; pattern[i]; i++) {
        char is = i < text.len ? text.ptr[i] : '\0';
        if (pattern[i] == '0' ? is < '0' || is > '9' : is != pattern[i])
            return false;
    }
    return true;
}

// klog's "E1121 10:00:00.000000     123 run.go:72] " and after it these words alone: the text of
// anybody else's is in quotes, or begins with blanks.
static struct slice klog_command_failed(struct slice line)
{
    static const char words[] = "\"command failed\" err=";
    bool head = line.len > 0 && (line.ptr[0] == 'E' || line.ptr[0] == 'F') &&
                is_digits(slice_sub(line, 1, line.len), "0000 00:00:00.000000 ");
    const char *end = head ? memmem(line.ptr, line.len, "] ", 2) : NULL;
    struct slice where =
        end ? (struct slice){line.ptr, (size_t)(end - line.ptr)} : (struct slice){0};

    if (!has(where, " run.go:") || has(where, "\""))
        return (struct slice){0};
    struct slice said = slice_sub(line, where.len + 2, line.len);
    return slice_starts(said, words) ? said : (struct slice){0};
}

// The same by --logging-format=json.
static char *command_failed_as_json(struct slice line)
{
    AUTO_JSON json_t *tree = NULL;
    struct error *err = slice_starts(line, "{") ? doc_parse_json(line, "log", &tree) : NULL;

    if (err)
        error_ignore(err, "a line that is cut off says nothing");
    const char *said = str_eq(doc_str(tree, "msg", NULL), "command failed") &&
                               has(slice_of(doc_str(tree, "caller", NULL)), "run.go:")
                           ? doc_str(tree, "err", NULL)
                           : "";
    return is_refusal(slice_of(said)) ? node_plain(slice_of(said)) : NULL;
}

// A component's last words, as k8s.io/component-base/cli prints them ("Error: " before its log is
// set up, then "command failed"), and Go's when it panics. They begin the line: words of others
// that a component quotes stand further on.
static char *refusal_of(struct slice line, bool own_output)
{
    struct slice failed = klog_command_failed(line);

    if (failed.ptr)
        return is_refusal(failed) ? node_plain(failed) : NULL;
    if (slice_starts(line, "panic: "))
        return is_refusal(line) ? node_plain(line) : NULL;
    if (slice_starts(line, "Error: "))
        // All that is said so early is about flags, if it is the new process that says it.
        return is_refusal(line) || (own_output && !has(line, "address already in use"))
                   ? node_plain(line)
                   : NULL;
    return command_failed_as_json(line);
}

// --- a log ---------------------------------------------------------------------------------------

struct search {
    const json_t *marks;
    int64_t since_ms;
    int64_t old_pid; // of the process before
    char *line;
};

static void search_text(struct search *search, struct slice text, bool own_output, bool at_start)
{
    struct slice part;
    bool rest_of_one = !at_start; // cut off at the front: where it begins nobody knows
    while (!search->line && slice_cut(&text, '\n', &part)) {
        struct line line = read_line(part);
        bool begins = !rest_of_one;
        rest_of_one = line.goes_on;
        if (!begins || (line.at_ms != 0 && line.at_ms < search->since_ms) ||
            (line.pid != 0 && line.pid == search->old_pid))
            continue;
        char *said = refusal_of(line.text, own_output);
        // Whoever still runs has not refused anything.
        if (said && line.pid != 0 && node_proc_is_kubelet(line.pid))
            mem_free(TAKE(said));
        search->line = said;
    }
}

// A container has a file of its own: one that was there before belongs to the process before.
static bool is_of_new_process(const struct search *search, int fd, const char *path)
{
    char head[64];
    ssize_t got = pread(fd, head, sizeof(head) - 1, 0);
    struct slice rest = {head, got > 0 ? (size_t)got : 0}, first;
    struct line line = slice_cut(&rest, '\n', &first) ? read_line(first) : (struct line){0};

    return !json_object_get(search->marks, path) &&
           (line.at_ms == 0 || line.at_ms >= search->since_ms);
}

static void search_file(void *owner, const char *path)
{
    struct search *search = owner;
    int fd = search->line ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (int64_t)st.st_mtim.tv_sec * 1000 + 1000 >= search->since_ms &&
        is_of_new_process(search, fd, path)) {
        off_t from = st.st_size > TAIL_BYTES_MAX ? st.st_size - TAIL_BYTES_MAX : 0;
        AUTO_MEM char *bytes = mem_alloc(TAIL_BYTES_MAX);
        ssize_t got = pread(fd, bytes, TAIL_BYTES_MAX, from);
        if (got > 0)
            search_text(search, (struct slice){bytes, (size_t)got}, true, from == 0);
    }
    close(fd);
}

char *node_logs_refusal(const struct node_unit *unit, const json_t *marks, int64_t since_wall_ms)
{
    struct search search = {.marks = marks, .since_ms = since_wall_ms};
    node_site(unit->node)->each_log(unit, search_file, &search);
    return search.line;
}

char *node_logs_search(struct slice text, int64_t since_wall_ms, int64_t old_pid)
{
    struct search search = {.since_ms = since_wall_ms, .old_pid = old_pid};
    search_text(&search, text, false, true);
    return search.line;
}

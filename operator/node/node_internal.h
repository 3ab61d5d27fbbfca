// SPDX-License-Identifier: Apache-2.0
// Private to node: what its files share. One agent, one node, four units (components), at most one
// step at a time.
#pragma once

#include "drawbridge/guard.h"
#include "drawbridge/node.h"
#include "drawbridge/site.h"

#define NODE_FILE_BYTES_MAX GUARD_FILE_BYTES_MAX
#define NODE_MESSAGE_BYTES_MAX 900
// of one component in node_timing.edits_window_ms: more is somebody else who writes the same file,
// and is tried once in each window from then on
#define NODE_EDITS_MAX 5
#define NODE_OTHERS_MAX 8 // files that look like a component and are not it, as reported

// Times in one place; tests shorten them.
struct node_timing {
    uint64_t tick_ms;     // between two looks while a step waits
    uint64_t debounce_ms; // after a change in a watched directory
    uint64_t rewatch_ms;  // between two looks while the directories cannot be watched
    // between two reads of /metrics while nothing says that the component restarted
    uint64_t metrics_ms;
    uint64_t patience_ms; // how long a mismatch, a denied /metrics or bare health must last to be
                          // believed
    // of a process that we end, before it is killed: an API server waits for its watches, and the
    // others last for 10 s without it
    uint64_t grace_ms;
    uint64_t kubelet_hold_ms; // no manifest is edited so soon after a restart of the kubelet
    uint64_t follow_ms; // how long a component is followed after somebody else changed its file
    uint64_t retry_ms, retry_ms_max;     // back-off for a component that does not answer
    uint64_t write_retry_ms;             // after a file could not be written
    uint64_t probe_ms, metrics_probe_ms; // time-outs of requests
    uint64_t timeout_ms_min;             // lower limit of componentTimeout
    // edits are counted for so long, and so long a file that somebody else writes is let be
    uint64_t edits_window_ms;
};
extern struct node_timing node_timing;
extern const char *node_proc_dir; // "/proc"

// jansson's iterators take a mutable tree though they do not write to it.
static inline json_t *node_iterable(const json_t *tree)
{
    return (json_t *)(uintptr_t)tree;
}
const char *node_base_name(const char *path);
// Text on one line, control characters as '?'; text_make() of at most NODE_MESSAGE_BYTES_MAX bytes.
char *node_plain(struct slice text);

// --- file.c --------------------------------------------------------------------------------------

struct node_file {
    char *path;
    char *text; // NULL: there is no such file
    size_t len;
    char digest[DOC_DIGEST_BYTES];
};
void node_file_fini(struct node_file *file);
static inline struct slice node_file_slice(const struct node_file *file)
{
    return (struct slice){file->text, file->len};
}
// NOT_FOUND; INVALID when it is no regular file (a symbolic link is none), LIMIT above
// NODE_FILE_BYTES_MAX.
struct error *node_file_read(const char *path, struct node_file *ret_file);
// The same, and a symbolic link is followed: projected tokens are links.
struct error *node_file_read_linked(const char *path, struct node_file *ret_file);
// The same as node_file_read(), and a file that is not there counts as an empty one.
struct error *node_file_read_or_empty(const char *path, struct node_file *ret_file);
// Puts text in the place of the file, which must still have digest_was (else CONFLICT and nothing
// is touched): mode and owner kept. An empty text takes the file away; where there was none, it is
// made.
struct error *node_file_replace(const char *path, const char *digest_was, struct slice text);
// The way back: attributes that cannot be copied are left out, and the log says so.
struct error *node_file_put_back(const char *path, const char *digest_was, struct slice text);
// Writes a file of our own (mode 0600), also atomically.
struct error *node_file_store(const char *path, struct slice text);
struct error *node_dir_make(const char *path);
// Calls fn with each entry's name, dot files left out unless hidden; sorted.
struct error *node_dir_list(const char *path, bool hidden, struct strlist *ret_names);
void node_dir_sweep(const char *path); // what an interrupted write left behind

// --- manifest.c, kubelet.c -----------------------------------------------------------------------

// How much a manifest looks like the component: by kubeadm's label, which outranks all else, and by
// what its containers are called and start. 0: not at all, or label and file say that it is
// another's.
// named: its file is kubeadm's file of the component.
#define NODE_MANIFEST_LABELLED 32
unsigned node_manifest_weight(const json_t *tree, enum component component, bool named);
// Whether it runs the component's program, or names a container so, whoever it is.
bool node_manifest_runs(const json_t *tree, enum component component);
// The value of --name=value or --name value, the last one; NULL when it is not there. Borrowed from
// argv.
const char *node_argv_flag(const json_t *argv, const char *name);

// The gates of a KubeletConfiguration. What it says of where the kubelet answers goes into server
// (may be NULL): {"healthzBindAddress", "healthzPort", "address", "port"}, each where it is said.
struct error *node_kubelet_config_read(struct slice text, const char *file_name, json_t **ret_gates,
                                       json_t *server);
void node_kubelet_server_update(json_t *server, const json_t *config);
json_t *node_kubelet_server_flags(const json_t *argv); // the same from its command line
// Where a kubelet with those answers; health NULL: it is turned off (healthzPort: 0).
char *node_kubelet_healthz_url(const json_t *server);
char *node_kubelet_metrics_url(const json_t *server);

struct node_step;
struct node_unit;

// --- site.c: where a node's components have their flags ------------------------------------------

typedef void node_log_fn(void *owner, const char *path);
struct node_site {
    bool kubelet; // the host's own one starts what is changed, and has files of its own
    const struct site_codec *codec;                     // of a component's text
    const char *(*dir)(const struct node_paths *paths); // whose changes wake us
    // Looks at the files and gives each unit what was found for it.
    void (*observe)(struct node *node);
    // A component's text as it is now, and another one in its place (back: on the way back), as
    // node_file_read_or_empty(), node_file_replace() and node_file_put_back() do.
    struct error *(*read)(const char *path, enum component component, struct node_file *ret_file);
    struct error *(*replace)(const char *path, enum component component, const char *digest_was,
                             struct slice text, bool back);
    bool (*runs)(const struct node_unit *unit); // with just the argv that is written
    // Whether its process is there, whatever its flags. NULL: never asked.
    struct error *(*look)(const struct node_unit *unit, bool *ret_up);
    char *(*base)(const struct node_unit *unit); // "https://127.0.0.1:6443"
    void (*each_log)(const struct node_unit *unit, node_log_fn *fn, void *owner);
    // The file that the component's path is on the host; NULL: none
    char *(*host_file)(const struct node_unit *unit, const char *path);
    // Ends the process and starts it with what is written; step->child is its op, child_done its
    // end. NULL: somebody else does it.
    void (*restart)(struct node_step *step);
    // Called while a step waits and when it ends: what ended meanwhile and has nobody else is
    // started again. NULL: somebody else does it.
    void (*keep)(const struct node_step *step);
};
extern const struct node_site node_site_pods, node_site_kwok;
const struct node_site *node_site(const struct node *node);
// Whether we restart it, so that a restart of ours is to be waited for.
bool node_unit_restarts(const struct node_unit *unit);
void node_step_restart(struct node_step *step);
// How flags are written in that file of the unit (NODE_FILE_*).
struct site_place node_place(const struct node_unit *unit, int file);

// --- kwok.c, kwok_process.c ----------------------------------------------------------------------

#define NODE_KWOK_FILE "kwok.yaml"
bool node_kwok_runs(const struct node_unit *unit);
struct error *node_kwok_look(const struct node_unit *unit, bool *ret_up);
void node_kwok_restart(struct node_step *step);
void node_kwok_keep(const struct node_step *step);
void node_kwok_fini(struct node *node);
char *node_kwok_path(const struct node_unit *unit, const char *dir, const char *suffix);

// --- scheduler.c: why a configuration of kube-scheduler has no DRA in it, owned; NULL: it has, as
// far as is known
char *node_scheduler_excludes(const json_t *config);
char *node_unit_excludes(const struct node_unit *unit); // by the file that --config names

// --- units ---------------------------------------------------------------------------------------

enum node_state {
    NODE_OBSERVED,
    NODE_UP_TO_DATE,
    NODE_PENDING,
    NODE_UPDATING,
    NODE_FAILED,
    NODE_UNREADABLE
};

// What others say in the kubelet's drop-in directory, which is read in the order of the names:
// before our file, and after it.
struct node_drop_ins {
    json_t *before, *after; // gate → bool
    json_t *files;          // gate → the last file that says it
    json_t *places;         // gate → that file, and the line
    json_t *server;         // where the kubelet answers, as they say
};

// The manifest or config.yaml; of the kubelet alone: kubeadm-flags.env, and our file in its drop-in
// directory.
enum { NODE_FILE_MAIN, NODE_FILE_ENV, NODE_FILE_DROP_IN, NODE_FILE_COUNT };
#define NODE_DROP_IN "99-drawbridge.conf"
#define NODE_DROP_IN_EMPTY "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

struct node_unit {
    struct node *node;
    enum component component;
    bool present;
    char *problem;  // why it cannot be read; NULL: it can
    json_t *others; // paths of manifests that look like it and are let be; NULL: none
    struct node_file files[NODE_FILE_COUNT];
    json_t *tree, *argv;           // of the manifest; argv of the kubelet: its flags file
    struct node_drop_ins drop_ins; // the kubelet's
    json_t *live;                  // gates on the running kubelet's command line
    json_t *live_server, *server;  // where it answers, by that command line; by all that is said
    char *image, *container;       // names
    size_t container_index;
    json_t *gates, *runtime; // what files and flags say in all
    json_t *places;          // gate or key → file and line
    struct version emulated;

    // what the component said when it was asked last
    bool probed, healthy, metrics_read, metrics_denied;
    bool outdated;   // its files have changed since
    json_t *running; // gate → bool
    struct version version;
    int64_t start_ms;
    char *answer; // why it is not healthy, or why its metrics cannot be read

    struct op *probe, *retry;
    uint64_t retry_ms;        // the next back-off; 0: none so far
    uint64_t follow_until_ms; // somebody else changed the file: look until the component restarted,
                              // or until then
    int64_t changed_wall_ms;

    enum node_state state;
    const char *reason; // static
    char *message;
    char *revision; // of the wish that the three speak of
    unsigned edits;
    uint64_t edited_ms;
    char *unwritable; // why its file could not be written; NULL: it could, or is tried again
    struct op *write_retry;
};

// Of a kwok cluster: processes that we end and start.
struct node_kwok {
    struct op *restarts[COMPONENT_KUBELET]; // under way; they go on whatever becomes of the step
    char *failures[COMPONENT_KUBELET];      // why the last start failed; NULL: it did not
    uint64_t started_ms[COMPONENT_KUBELET];
    unsigned kept; // bits: those that ran when the step under way restarted something
};

struct node {
    struct loop *loop;
    struct node_spec spec;
    json_t *journal; // {"epoch", "desired", "components": {name: record}, "kubeletRestartedAt"}
    char *journal_path, *backups_dir;
    struct node_unit units[COMPONENT_COUNT];
    int lock_fd; // of state_dir, while we live
    struct node_step *step;
    json_t *status;
    bool looked; // node_has_looked() was true once
    struct op *watch_manifests, *watch_kubelet, *watch_drop_ins;
    // where the kubelet's files are, as we see them; NULL: there is none
    char *kubelet_config, *drop_in_dir;
    struct op *debounce, *advance, *notify, *hold, *again, *rewatch, *disarm;
    struct node_kwok kwok;
};

// Whose process the static pod's container is, by its manifest: root's (ours, in tests) where that
// says nothing.
uint64_t node_manifest_uid(const json_t *tree, size_t container_index);
uint64_t node_unit_uid(const struct node_unit *unit);
// Sees that node_advance() runs in the next turn.
void node_wake(struct node *node);
// The kubelet's files are elsewhere now: other directories are watched.
void node_rewatch(struct node *node);
// Builds the status anew and tells the owner, in a later turn, when it differs.
void node_publish(struct node *node);
const json_t *node_desired(const struct node *node); // NULL before the first
const json_t *node_desired_component(const struct node *node, enum component component);
uint64_t node_component_timeout_ms(const struct node *node);
void node_unit_set(struct node_unit *unit, enum node_state state, const char *reason,
                   const char *fmt, ...) PRINTF(4, 5);

// --- observe.c -----------------------------------------------------------------------------------

// What was found for a unit. The files, drop_ins, live and live_server are node_unit_adopt()'s.
struct node_found {
    struct node_file files[NODE_FILE_COUNT];
    const json_t *tree, *others;
    const char *problem;
    struct node_drop_ins drop_ins;
    json_t *live, *live_server;
};
// Takes what was found for the unit, if it is news.
void node_unit_adopt(struct node_unit *unit, struct node_found *found);
void node_unit_vanish(struct node_unit *unit); // nothing was found
char *node_take_text(struct error *take_err);

// Reads the files of all units again. What changed gets probed again.
void node_observe_files(struct node *node);
void node_observe_pods(struct node *node);
void node_unit_fini(struct node_unit *unit);
// Asks the component now (dropping what is on its way), and again with a back-off until it answers.
void node_unit_probe(struct node_unit *unit);
void node_unit_probe_later(struct node_unit *unit); // when it is not asked anyway

// kubelet_find.c: where the running kubelet says that its files are, else where it said so last.
// True: elsewhere than before.
bool node_kubelet_find(struct node *node, json_t **ret_argv);
const char *node_host_path(const struct node *node, const char *path); // as the host names it
struct error *node_drop_ins_read(const char *dir, struct node_drop_ins *ret_drop_ins);
void node_drop_ins_fini(struct node_drop_ins *drop_ins);
// --- places.c: where the entries of a component stand
void node_unit_locate(struct node_unit *unit);
char *node_place_text(const char *path, unsigned line); // line 0: not known

// --- journal.c -----------------------------------------------------------------------------------

struct error *node_journal_load(struct node *node);
struct error *node_journal_save(struct node *node);
json_t *node_record(struct node *node, enum component component); // made when it is not there
const json_t *node_record_peek(const struct node *node, enum component component);
struct error *node_backup_store(struct node *node, struct slice text, const char *digest);
struct error *node_backup_read(const struct node *node, const char *digest,
                               struct node_file *ret_file);
void node_backup_sweep(struct node *node);

// --- plan.c --------------------------------------------------------------------------------------

// What is wanted in one component and what we know of the past.
struct node_wish {
    const json_t *gates, *runtime; // name → value; null: an entry of others that shall not stand
    const json_t *owned; // {"featureGates": {name: {"value", "before"}}, "runtimeConfig": ...};
                         // before null: it was not there
    const char *path;    // of the file that owned is in; "" when none
    const char *original, *written; // digests; "" when not known
};
struct node_edit {
    int file;          // NODE_FILE_*
    char *text;        // NULL: nothing to write
    json_t *owned;     // afterwards
    char *original;    // digest of the bytes from before our first edit, "" when void
    json_t *forgotten; // by kinds: names that were taken out and do not come back
};
struct error *node_plan(struct node_unit *unit, const struct node_wish *wish,
                        struct node_edit *ret_edit);
void node_edit_fini(struct node_edit *edit);
#define AUTO_EDIT CLEANUP(node_edit_fini)
// By kinds: name → what ("value" or "before") of each entry that has it.
json_t *node_owned_part(const json_t *owned, const char *what);
bool node_owned_empty(const json_t *owned);

// --- without.c -----------------------------------------------------------------------------------

struct error *node_check_without(const json_t *want, const char *component);
// By kinds, name → null: what was taken out, is not wanted out any more, and would be refused by
// the version that starts next. Owned.
json_t *node_forgotten(const struct node_unit *unit, const struct node_wish *wish);
void node_tell_forgotten(const struct node_unit *unit, const json_t *forgotten);
// What shall not stand and does, since it is in no file that we edit; NULL: nothing.
char *node_unit_left(const struct node_unit *unit, const json_t *want);
// registry:5000/kube-apiserver:v1.33.13@sha256:... → 1.33.13.
bool node_image_version(const char *image, struct version *ret_version);

// --- probe.c, proc.c, logs.c ---------------------------------------------------------------------

struct node_answer {
    bool healthy;
    bool metrics_read, metrics_denied;
    const json_t *gates; // borrowed
    struct version version;
    int64_t start_ms;
    const char *message; // "" when all is well
};
typedef void node_probe_fn(void *owner, const struct node_answer *answer);
MUST_USE struct op *node_probe(struct node_unit *unit, bool with_metrics, node_probe_fn *fn,
                               void *owner);
// "https://127.0.0.1:6443", from flags and the manifest's probes. For tests too.
char *node_probe_base(const json_t *container, const json_t *argv, enum component component);

struct node_answer;
void node_unit_take_answer(struct node_unit *unit, const struct node_answer *answer);

// Whether a process of this user runs with just this argv (the program by its base name).
bool node_proc_runs(const json_t *argv, uint64_t uid);
// The kubelet of this host: a process of root's in the host's namespaces that runs a program of
// that name. What merely calls itself so is none.
struct node_kubelet {
    json_t *argv;   // owned; NULL: there is none to be seen, or several
    int64_t pid;    // 0 likewise
    int64_t age_ms; // how long the youngest of them has run; -1: there is none
};
struct node_kubelet node_proc_kubelet(void);
bool node_proc_is_kubelet(int64_t pid);
// Whether that process was started as this program, in that directory, and is of our user.
bool node_proc_is(int64_t pid, const char *program, const char *dir);
bool node_proc_has(int64_t pid, const json_t *argv); // see node_proc_runs()

// Where the component's logs end now: path → size.
json_t *node_logs_mark(const struct node_unit *unit);
// The line in which a process that began after marks says that it refuses its flags, owned; NULL
// when there is none. Only words that begin a line count: a component's log quotes anybody.
char *node_logs_refusal(const struct node_unit *unit, const json_t *marks, int64_t since_wall_ms);
// The same in the host's log: lines from then on, not of old_pid (0: not known), and of no process
// that still runs, where the lines say when and who (journalctl --output=short-unix).
char *node_logs_search(struct slice text, int64_t since_wall_ms, int64_t old_pid);

// --- nets.c --------------------------------------------------------------------------------------

bool node_nets_wanted(const struct node *node);
// Runs a program of the host's, in the host's namespaces.
MUST_USE struct op *node_host_run(struct loop *loop, const struct node_paths *paths,
                                  const char *const *words, size_t output_bytes_max,
                                  loop_child_fn *fn, void *owner);
const char *node_kubelet_unit(const struct node_paths *paths);
char *node_nets_id(void); // of an edit, for the journal and the guard
// The guard's record of the journal's edit; then the drop-in and the timer, by the guard itself.
struct error *node_nets_record(struct node_step *step);
MUST_USE struct op *node_nets_arm(struct node_step *step, loop_child_fn *fn);
struct error *node_nets_armed(struct error *take_err, const struct loop_child_result *result);
// Whether the kubelet was started with this edit's file, as the guard saw it.
bool node_nets_started(const struct node *node, const json_t *edit);
void node_nets_disarm(struct node *node);
void node_nets_sweep(struct node *node); // after a start: what belongs to no edit of the journal
// Says that the nets put this edit's file back; NULL: they did not.
char *node_nets_verdict(const struct node *node, const json_t *edit);

// --- judge.c, step.c, status.c -------------------------------------------------------------------

// Its file could not be written and is as it was: told, and tried again after a while.
void node_unit_note_unwritable(struct node_unit *unit, const struct error *err);
// Looks at every unit, sets states, and starts what is next.
void node_advance(struct node *node);
// 1: runs with what is expected, 0: not known (yet), -1: runs with something else (*ret_what, may
// be NULL, names it).
int node_unit_verify(const struct node_unit *unit, const json_t *expect, char **ret_what);
// What we own and from when: the edit under way when there is one, else the record.
struct node_wish node_wish_of(const struct node *node, enum component component);

enum node_phase {
    NODE_EDITING,
    NODE_WAITING_FOR_RESTART,
    NODE_WAITING_FOR_READY,
    NODE_READING_BACK,
    NODE_ROLLING_BACK
};
enum node_step_kind { NODE_STEP_EDIT, NODE_STEP_VERIFY, NODE_STEP_ROLLBACK };

struct node_step {
    struct node_unit *unit;
    enum node_step_kind kind;
    enum node_phase phase;
    int64_t since_wall_ms; // of the phase
    char *revision;
    json_t *expect;
    struct node_edit edit; // what is to be written, until it is
    char *path;            // the file, and what it must contain while we wait ("" : nobody cares)
    char digest[DOC_DIGEST_BYTES];
    char was[DOC_DIGEST_BYTES]; // of the file that is to be replaced
    uint64_t begun_ms;
    int64_t begun_wall_ms;
    int64_t start_was_ms; // of the process before; 0: not known
    int64_t pid_was;      // of the kubelet before; 0: not known
    bool runs, down_seen, restarted, child_done, asked_metrics;
    bool armed;   // the nets are, since this step began
    bool resumed; // goes on with an edit of an earlier life
    uint64_t metrics_at_ms, healthy_from_ms, mismatch_from_ms;
    json_t *marks;      // of the logs
    json_t *edit_was;   // the journal's unfinished edit that this one follows on
    char *last;         // what is still missing
    const char *reason; // rollback: why
    char *message;
    struct op *timer, *probe, *child, *log;
    uint64_t log_at_ms;
    int64_t log_since_ms; // of the question to the host's log
};

// One line of the log: what was done to this node, with everything that names it.
void node_step_tell(const struct node_step *step, enum log_level level, const char *what,
                    const char *why);
void node_step_edit(struct node_unit *unit, struct node_edit *take_edit, const json_t *want);
void node_step_verify(struct node_unit *unit, const json_t *want);
// goes on with the journal's edit: waits, or rolls back
void node_step_resume(struct node_unit *unit);
void node_step_drop(struct node *node);
// The journal's edit becomes the record (done: and has been verified).
void node_step_commit(struct node_unit *unit, bool done);
void node_step_set_failed(struct node_unit *unit, const char *revision, const char *reason,
                          const char *message);

// kubelet_log.c: asks the host's log, now and then, why the kubelet does not come back. A refusal
// ends the step, or goes into the message of its way back.
void node_step_ask_log(struct node_step *step);

// wait.c: the looks a step takes while it waits.
void node_wait_begin(struct node_step *step);
void node_wait_succeed(struct node_step *step);
void node_wait_fail(struct node_step *step, const char *reason, char *take_message, bool keep);
void node_step_phase(struct node_step *step, enum node_phase phase);
void node_step_restart_kubelet(struct node_step *step);
void node_step_foreign(struct node_step *step); // somebody else wrote the file meanwhile
const char *node_step_not_ready(const struct node_step *step); // the reason of this component

json_t *node_status_build(struct node *node);

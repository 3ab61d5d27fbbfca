// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/adopt.h"
#include "drawbridge/api.h"
#include "drawbridge/controller.h"
#include "drawbridge/driver.h"
#include "drawbridge/lead.h"
#include "drawbridge/platform.h"
#include "drawbridge/source.h"
#include "drawbridge/walk.h"

// --- the controller ------------------------------------------------------------------------------

#define CONTROLLER_LEASE_NAME "drawbridge"
struct shards;
struct unreadable;
struct moves;
struct roster;
struct scouts;
struct controller {
    struct loop *loop;
    struct controller_spec spec; // its kube is guarded by the lease, and ours
    struct cluster cluster;
    struct watch *configs;
    struct queue *queue;
    struct lead *lead;
    struct shards *shards;
    struct moves *moves;
    struct kube *events_kube; // guarded by whether there is anything that we work for
    struct adopter *adopter;
    struct follows *follows;
    struct cluster_targets *targets;
    struct unreadable *unreadable;
    struct roster *roster;
    struct events *events;
    struct driver *driver;
    struct sources *sources;
    struct walks passes;
    struct scouts *scouts;
    uint64_t epoch_seen; // the greatest that an agent has told of
    bool stop;
    struct metric *leader_status;
};
bool controller_may_write(void *controller); // we lead
uint64_t controller_epoch(const struct controller *controller);
void controller_note_leader(struct controller *controller, const char *lease, bool leads);
void controller_wake(struct controller *controller); // there is something that we may write now
// What we have of the shards is another than before.
void controller_note_shards(struct controller *controller);

// --- shards: whose a DRAConfiguration is (shards.c) ----------------------------------------------

// Tests are in a hurry. unsaid_ms is greater than believed_ms by what a lease leaves between two
// leaders; lease_ms 0: as room lead has it.
extern struct shards_timing {
    uint64_t believed_ms; // how old the leader's word may be
    uint64_t unsaid_ms;   // from the end of one word to the next
    uint64_t look_ms, lease_ms;
    uint64_t unheld_ms; // so long a shard may be nobody's while another one takes over
} shards_timing;
#define SHARDS_WORD_LOST "unknown" // what a Lease says that was not there
// kube: the client that Leases are written with.
struct shards *shards_new(struct controller *controller, struct kube *kube);
MUST_USE struct op *shards_release(struct shards *shards, loop_fn *done, void *owner);
void shards_free(struct shards *shards);            // all requests of its clients must be gone
unsigned shards_count(const struct shards *shards); // 0: the leader has all
void shards_note_gained(struct shards *shards);     // we lead
void shards_note_lost(struct shards *shards);       // we do not any more
// Whether we may write the cluster of this UID ("": none that is known).
bool shards_may_write_target(void *controller, const char *uid);
// Whether passes of this DRAConfiguration are ours, and may write.
bool shards_has(const struct shards *shards, const json_t *config);
// Whether we follow the target cluster that it names.
bool shards_follows(const struct shards *shards, const json_t *config);
bool shards_works(const struct shards *shards); // whether anything is ours
// Why nobody works for this DRAConfiguration, where we lead and so are the one to say it (yours);
// NULL: somebody does, or soon will.
char *shards_why_unheld(const struct shards *shards, const json_t *config);
// False, with a line for each shard: nobody has it, and we cannot.
bool shards_ready(const struct shards *shards, struct buf *why);
// Whether the cluster that it was found to name decides whose it is, and its status does not say so
// yet.
bool shards_notes(const struct shards *shards, const struct cluster *cluster, const json_t *config);
uint64_t shards_epoch(const struct shards *shards, const struct cluster *cluster);
// The client of the cluster that we run in, for what passes of it write there: it refuses when they
// are another's. Borrowed for the life of the shards.
struct kube *shards_kube(struct shards *shards, const json_t *config);

// --- moves: targets that name another UID than before (moves.c) ----------------------------------

struct moves *moves_new(void);
void moves_free(struct moves *moves);
uint64_t moves_left_ms(const struct moves *moves, const char *key); // until it may move again
void moves_note(struct moves *moves, const char *key);              // it moves now
void moves_forget(struct moves *moves, const char *key);

// --- unreadable: DRAConfigurations that are there and cannot be read -----------------------------

struct unreadable *unreadable_new(struct controller *controller);
void unreadable_free(struct unreadable *unreadable);
// Puts it into the status of that object, once for each text.
void unreadable_note(struct unreadable *unreadable, const char *key, const char *version,
                     const struct error *why);
void unreadable_forget(struct unreadable *unreadable, const char *key); // it was read, or is gone
void unreadable_wake(struct unreadable *unreadable);                    // we may write now
void unreadable_drop(struct unreadable *unreadable);                    // we may not any more

// --- facet: what watch.h calls facet and same_facet, of DRAConfigurations -----------------------

uint64_t facet_of_config(const json_t *config);
bool facet_is_same(const struct kube_glance *was, const struct kube_glance *now);

// --- tenancy: what the administrator allows the DRAConfigurations of a namespace -----------------

bool tenancy_governs(const struct controller_spec *spec, const char *namespace);
// Whether they may have a driver in namespace to looked at, which allows nothing to be written
// there.
bool tenancy_looks(const struct controller_spec *spec, const char *from, const char *to);
// Whether this DRAConfiguration may write what that platform, which may be another than its spec's,
// has it name: INVALID, reason NamespaceNotAllowed, with the value to set.
struct error *tenancy_check(const struct controller_spec *spec, enum platform_type platform,
                            const json_t *config);
bool tenancy_allows(const struct controller_spec *spec, const json_t *config);

// --- follow: objects that platforms write, followed while a configuration names them -------------

struct follows;
struct follows *follows_new(struct controller *controller);
void follows_free(struct follows *follows);
// A DRAConfiguration is new, changed, or gone (NULL).
void follows_note(struct follows *follows, const char *key, const json_t *config);

// Those that are about this cluster (struct cluster's by, or CLUSTER_HOME) have a pass each.
void controller_enqueue_of(struct controller *controller, const char *cluster);

// --- scouts: who looks again for all that wait (scouts.c) ----------------------------------------

struct scouts *scouts_new(struct controller *controller);
void scouts_free(struct scouts *scouts);
// Whether this configuration, which waits for others to do something, is the one of its cluster
// that looks again.
bool scouts_ask(struct scouts *scouts, const struct cluster *cluster, const char *key);
// A pass saw these facts of its cluster, or none that are shared (edition 0): when they are new,
// all that are about it look.
void scouts_note_facts(struct scouts *scouts, struct cluster *cluster, uint64_t edition);
// A pass is over: a scout that does not look there again is replaced. cluster NULL: it had none.
void scouts_note_end(struct scouts *scouts, const struct cluster *cluster, const char *key,
                     bool again);

// --- roster: which DRAConfigurations there are, without parsing them (roster.c) ------------------

struct roster *roster_new(void);
void roster_free(struct roster *roster);
// config NULL: it is gone. clusters: the names of those that its kubeconfig was found to lead to
// (cluster_targets_names()). Whether who writes something may have changed by this.
bool roster_note(struct roster *roster, const struct controller_spec *spec, const char *key,
                 const json_t *config, const struct strlist *clusters);
typedef void roster_fn(void *owner, const char *key);
// Those that may write a cluster; of the cluster that we run in: all, and those that may write it.
enum roster_scope { ROSTER_ALL, ROSTER_WRITERS, ROSTER_HOME, ROSTER_HOME_WRITERS };
// fn may not change the roster.
void roster_each(const struct roster *roster, enum roster_scope scope, roster_fn *fn, void *owner);
// The lane of the queue that its passes have: at most one pass of each is under way. Borrowed.
const char *roster_lane(const struct roster *roster, const char *key);
// The key of the configuration that writes what this one names, which may be itself: the oldest of
// those that write; NULL: none. Owned.
char *roster_writer(const struct roster *roster, const char *key);

// --- a pass --------------------------------------------------------------------------------------

enum step {
    STEP_LOAD,
    STEP_CLAIM,
    STEP_OBSERVE,
    STEP_RESOLVE,
    STEP_PLAN,
    STEP_RETIRE,
    STEP_APPLY,
    STEP_DRIVER,
    STEP_RELEASE,
    STEP_REPORT,
    STEP_END,
    STEP_COUNT
};

struct pass {
    struct walk walk; // must be first
    struct controller *controller;
    struct kube *home;        // what it writes there with, where it may
    json_t *object;           // our reference
    struct api_config config; // borrows from object
    // The one that its platform is about; NULL: it cannot be had, and need not.
    struct cluster *cluster;
    // Where the nodes are, and with them the driver, if that is another one; NULL: it cannot be had
    // (unreached says why), or need not.
    struct cluster *workload;
    struct error *unreached;
    // Why the driver there cannot be looked at; NULL: it can, or is where everything else is.
    struct error *undriven;
    char *conflict; // key of the configuration that writes this cluster in our place, NULL: none
    char *unheld;   // why nobody has its shard; all that is done is to say so
    bool forbidden; // the administrator does not allow its namespace what it names
    struct intent intent;
    struct platform_target target; // borrows from config and object
    struct platform_observed *observed;
    struct plan_inputs inputs;
    struct gates_resolution resolution;
    struct plan plan;
    struct driver_result *driver; // NULL: there was nothing to look at, or it was not reached
    bool retired;                 // RETIRE was gone through
    bool resolved, planned, applied;
    bool more;      // not all was written in the time that a pass has: another one goes on
    bool over;      // the object went before this pass saw it, or its cluster is still being read
    bool released;  // deletion: everything of ours is gone
    json_t *status; // what will be reported
    struct api_conditions *conditions;
    uint64_t after_ms; // look again then; 0: only when something changes
};
extern const struct walk_kind pass_kind;
void pass_start(struct controller *controller, const char *key); // ends with queue_done()
struct error *step_load(void *walk, enum verdict *ret_verdict);
struct error *step_claim(void *walk, enum verdict *ret_verdict);
struct error *step_observe(void *walk, enum verdict *ret_verdict);
struct error *step_resolve(void *walk, enum verdict *ret_verdict);
struct error *step_plan(void *walk, enum verdict *ret_verdict);
struct error *step_apply(void *walk, enum verdict *ret_verdict);
struct error *step_retire(void *walk, enum verdict *ret_verdict);
struct error *step_driver(void *walk, enum verdict *ret_verdict);
struct error *step_release(void *walk, enum verdict *ret_verdict);
struct error *step_report(void *walk, enum verdict *ret_verdict);

// Claims and the driver go before what they need: whether this pass has to see to that first.
bool pass_retires(const struct pass *pass);
// Whether a driver or a smoke test is to be looked at once the cluster is as wanted.
bool pass_drives(const struct pass *pass);
// Whether there is a driver, a test or a release of ours to look at, now or in a later pass.
bool pass_has_driver(const struct pass *pass);
// Whether there is a release or a test of ours to be removed.
bool pass_leaves_driver(const struct pass *pass);
// Where it is; NULL: that cluster cannot be had.
struct cluster *pass_driver_cluster(const struct pass *pass);
// Whether that is another cluster than the one where the flags are.
bool pass_drives_elsewhere(const struct pass *pass);
// INVALID: what was written in one cluster would be left for another, this one.
struct error *pass_check_cluster(const struct pass *pass, const struct cluster *cluster);
// Sets undriven, from what was observed.
void pass_look_elsewhere(struct pass *pass);
void conditions_say_driver(struct pass *pass);
void conditions_say_upgradeable(struct pass *pass);
void conditions_say_degraded(struct pass *pass);
// Of each feature that the spec names: needs what was observed.
void report_put_features(const struct pass *pass, json_t *status);
void report_put_driver(const struct pass *pass, json_t *status);
// When this pass is to be repeated where nobody tells of the change that it waits for. Never later
// than it was to be already.
void report_choose_next_look(struct pass *pass);
#define NODES_NAMED 5 // in one message; of the others there is a number, or three dots

// --- progress.c

// What a step is about.
const struct plan_instance *pass_instance(const struct pass *pass, const struct plan_step *step);
// The reason of what goes on, while it goes on.
const char *progress_reason(const struct pass *pass);

// Says how one part (kubelets, or everything else) stands, if that is not simply done. True: said.
bool progress_say(struct pass *pass, enum condition condition, bool kubelets);

// --- conditions.c

// Fills pass->conditions from what the pass found.
void conditions_make(struct pass *pass);
// Whether this pass may change anything: platform, suspend, refusals, conflicts.
bool pass_writes(const struct pass *pass);

struct kube_ref config_ref(const struct pass *pass, const char *subresource);

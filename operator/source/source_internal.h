// SPDX-License-Identifier: Apache-2.0
// Passes of ConfigSources: repository → documents → server-side apply.
#pragma once

#include "drawbridge/git.h"
#include "drawbridge/plan.h"
#include "drawbridge/source.h"

// What is remembered of a source between its passes; a new leader or process learns it anew from
// the repository.
struct source {
    struct source *next;
    char *key;
    char *fingerprint;              // of the spec and its Secrets: the rest holds for these
    char *ref, *head;               // what the reference pointed to last
    char *head_reason, *head_error; // why that commit is not applied; NULL: it is, or will be
    char *commit_ref, *commit, *signer;
    char *documents; // of commit, as JSON; NULL: none
    size_t documents_len;
    uint64_t look_ms; // on the monotonic clock: not looked at again before
    int64_t answered_ms;
    unsigned failures;              // to reach the repository, in a row
    char *away_reason, *away_error; // why the last look did not; NULL: it did
    char *shown;                    // the revision in the metrics
};

struct sources {
    struct loop *loop;
    struct sources_spec spec;
    struct watch *watch;
    struct queue *queue;
    struct walks passes;
    struct source *known;
    struct source_turn *turns; // who runs a git worker, and who waits for one
    struct metric *fetch_total, *fetch_seconds, *ready, *answered, *info;
};

enum source_step {
    SOURCE_LOAD,
    SOURCE_SECRETS,
    SOURCE_FETCH,
    SOURCE_CHECK,
    SOURCE_PREVIEW,
    SOURCE_APPLY,
    SOURCE_PRUNE,
    SOURCE_REPORT,
    SOURCE_END,
    SOURCE_STEP_COUNT
};

// A kind that a repository may hold.
struct source_kind {
    const char *api_version, *kind;
    struct kube_ref ref; // group, version, resource
    bool named_alone;    // only where a DRAConfiguration of the same commit names it
};
const struct source_kind *source_kind_find(const char *kind);

struct source_item {
    const struct source_kind *kind;
    char *where;   // "a/b.yaml: DRAConfiguration x"
    json_t *body;  // what is applied
    char *version; // of the object that the preview compared with; NULL: there was none
    bool skip;     // its owner wants it left alone
    bool differs;
    // a merge patch that takes out of spec what the commit does not say; NULL: nothing
    json_t *extra;
};

struct source_pass {
    // must be first; its err: a request to the API server, or what makes a pass impossible
    struct walk walk;
    struct sources *sources;
    struct source *source;
    uint64_t fetch_began_ms;
    json_t *object;
    struct api_source spec; // borrows from object
    struct error *problem;  // of the repository or its newest commit: the last good one is kept
    json_t *secret, *signers;
    char *fingerprint;
    char *held, *held_reason, *good; // revisions of the status, after what the roll-outs say now
    bool announce;    // it has to be held, and the status must say so before anything goes back
    bool queued;      // all git workers are taken: this pass does not look
    bool back;        // the second fetch of this pass: the last known good commit
    bool fetched;     // documents are not the ones that are remembered
    char *ref, *head; // what the repository has
    char *commit_ref, *commit, *signer; // what documents are of: an older one, while head cannot be
    json_t *documents;
    struct source_item *items;
    size_t len, at;
    json_t *live;     // the object of items[at] as it is
    json_t *left;     // inventory: what could not be pruned yet
    unsigned changed; // objects written
    bool in_force;    // everything of commit is applied
    json_t *status;
    struct api_conditions *conditions;
};

struct error *source_load(void *walk, enum verdict *ret_verdict);
struct error *source_secrets(void *walk, enum verdict *ret_verdict);
struct error *source_fetch(void *walk, enum verdict *ret_verdict);
struct error *source_check(void *walk, enum verdict *ret_verdict);
struct error *source_preview(void *walk, enum verdict *ret_verdict);
// It is deleted: who deletes what it applied as well is not to find that again.
bool source_is_over(const struct source_pass *pass);
struct error *source_apply(void *walk, enum verdict *ret_verdict);
struct error *source_prune(void *walk, enum verdict *ret_verdict);
struct error *source_report(void *walk, enum verdict *ret_verdict);

// The documents of a commit as what is sent for them, in the order in which it is. All or an error.
struct error *source_items_make(const json_t *documents, const struct api_source *spec,
                                struct source_item **ret_items, size_t *ret_len);
void source_items_free(struct source_item *items, size_t len);
// Whether an apply would change anything that matters: all but the server's own metadata and
// status.
bool source_differs(const json_t *live, const json_t *dry_run);

// The merge patch from the spec of applied to alone, NULL when there is nothing to take out. Gates
// that the commit does not speak of may be somebody else's: a KubermaticConfiguration's.
json_t *source_extra(const json_t *applied, const json_t *alone, const json_t *body);

// What the roll-outs of the applied commit say: sets pass->held, held_reason and good.
void source_judge(struct source_pass *pass);
// The commit of "main@sha1:0123"; borrowed, "" for none.
const char *source_commit_of(const char *revision);
// Its "main"; yours, "" for none.
char *source_ref_of(const char *revision);
// Until the next look: the interval, or after failures in a row less; a tenth of it is random.
uint64_t source_wait_ms(uint64_t interval_ms, unsigned failures);
// Keeps what this pass fetched in the source's memory.
void source_remember(struct source_pass *pass);
// The newest commit is not applied, for this reason, until something changes.
void source_remember_problem(struct source_pass *pass, const struct error *err);
struct kube_ref source_ref(const struct source_pass *pass, const char *subresource);

// Whether a git worker may be run for this key now. If not it waits in line, and is queued when its
// turn comes. Either way until source_turn_leave().
bool source_turn_take(struct sources *sources, const char *key);
void source_turn_leave(struct sources *sources, const char *key);
void source_turns_drop(struct sources *sources);
// Forgets documents, which are then fetched again when they are needed, until all that is kept is
// not more.
void sources_limit_memory(struct sources *sources, size_t bytes_max);
// Whether what the Secret holds may be sent to the host of the URL: SecretNotForHost, with what to
// do. secret may be NULL.
struct error *source_secret_check(const json_t *secret, const char *url);

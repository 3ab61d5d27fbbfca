// SPDX-License-Identifier: Apache-2.0
// What the files of driver share: want.c says what shall be, gather.c asks what is, release.c,
// preflight.c, ready.c and smoke.c judge it without I/O, job*.c run helm in the background,
// driver.c and judge.c put them together.
#pragma once

#include "drawbridge/driver.h"

extern uint64_t driver_fetch_ms_max;  // until SIGTERM; tests shorten it
extern uint64_t driver_helm_grace_ms; // from SIGTERM to SIGKILL; tests shorten it
// Of all processors; 0: as long as it may run on one of them. Tests say less.
extern uint64_t driver_helm_processor_s;
#define DRIVER_LOOK_SOON_MS 2000   // something is on its way
#define DRIVER_LOOK_LATER_MS 15000 // something is in the way, and nobody tells when it has gone
// All is well and what matters is followed: valuesFrom and others' objects are asked for now and
// then, the release itself seldom.
#define DRIVER_LOOK_AT_VALUES_MS 30000
#define DRIVER_LOOK_AT_RELEASE_MS 300000
#define DRIVER_RETRY_MS 5000 // after a failed helm, doubling
#define DRIVER_RETRY_MS_MAX 300000

// --- presets.c
extern const char driver_presets_yaml[], driver_smoke_v1beta1_yaml[], driver_smoke_v1beta2_yaml[],
    driver_smoke_v1_yaml[];
const char *driver_smoke_image(void);
// Names of a preset's list ("drivers", "classes") that these values leave on, as a JSON array.
json_t *driver_preset_list(const json_t *preset, const char *list, const json_t *values);

// A JSON pointer as people write values: "resources.gpus.enabled"; owned.
char *driver_value_name(const char *pointer);
// What to do about a value that turns something off; owned.
char *driver_preset_fix(const json_t *preset, const char *pointer);

// --- want.c
enum engine { ENGINE_HELM, ENGINE_HELM_RELEASE, ENGINE_HELM_CHART, ENGINE_EXTERNAL };
struct want {
    enum engine engine;
    const json_t *preset; // NULL: none
    const char *release, *namespace;
    const char *config_namespace;
    char *user; // whom helm acts as; NULL: us
    const char *account;
    const char *ref, *path, *repo, *name, *version, *digest; // of the chart; NULL: not set
    const char *chart; // its name as far as it is known, for the status
    json_t *values;    // the preset's, valuesFrom, the spec's; owned
    char owner_label[65];
    char digest_text[DOC_DIGEST_BYTES];
    bool renamed; // names of the old chart are kept
};
// INVALID with reason NotSupported or InvalidConfiguration.
struct error *driver_want_make(const json_t *object, struct want *ret_want);
void driver_want_fini(struct want *want);
#define AUTO_WANT CLEANUP(driver_want_fini)

// --- values.c
void driver_values_merge(json_t *into, const json_t *over);
// Merges what was read of spec.driver.valuesFrom (facts key "valuesFrom", in order) and
// spec.driver.values into want->values, and makes the digest of everything that the release is made
// from.
struct error *driver_values_make(const json_t *object, const json_t *facts, const char *api_version,
                                 struct want *want);

// --- order.c
int driver_compare_versions(const char *a, const char *b); // as semantic versions
// Why a chart must not come in the place of the installed one (status.driver); NULL: it may.
char *driver_downgrade(const json_t *preset, const json_t *installed, const char *name,
                       const char *version);

// --- gather.c: what is asked in one pass, one request after the other
struct gather;
typedef void gather_done_fn(void *owner, struct error *take_err, json_t *take_facts);
// who: the key of the configuration; account_kube: as whom helm acts.
struct gather *gather_new(struct driver *driver, struct cluster *cluster, const char *who,
                          struct kube *account_kube, const char *user);
// Not there is JSON null; what may not be read is told in facts.denied.KEY. account: as whom helm
// acts.
void gather_get(struct gather *gather, const char *key, bool account, const char *fmt, ...)
    PRINTF(4, 5);
void gather_list(struct gather *gather, const char *key, bool account, const struct kube_ref *ref,
                 const char *labels, const char *fields, json_t *(*trim)(const json_t *));
// The same from a watch that all configurations share. Whoever may not look at all namespaces looks
// at this one (NULL: there is none); who may list and not watch lists, and facts.polled says so.
void gather_follow(struct gather *gather, const char *key, bool account, const struct kube_ref *ref,
                   const char *or_namespace, const char *labels, json_t *(*trim)(const json_t *));
// Called once when everything is there that was asked for: it may ask for more.
typedef void gather_more_fn(struct gather *gather, const void *owner);
void gather_then(struct gather *gather, gather_more_fn *more, const void *owner);
json_t *gather_facts(struct gather *gather); // so far; borrowed
// What something is taken away for: the newest state, where a cache may be behind.
void gather_list_newest(struct gather *gather, const char *key, const struct kube_ref *ref,
                        json_t *(*trim)(const json_t *));
void gather_release(struct gather *gather, const char *namespace, const char *release);
MUST_USE struct op *gather_start(struct loop *loop, struct gather *take_gather,
                                 gather_done_fn *done, void *owner);
void gather_free(struct gather *gather);

// --- follow.c: watches that the passes share
struct followed;
// From now on followed for the passes of key; begins when nobody did yet. Borrowed.
// user: as whom, NULL: us. A target whose kubeconfig changed is another cluster.
struct followed *follow(struct driver *driver, struct cluster *cluster, const char *key,
                        uint64_t pass, const char *user, const struct kube_ref *ref,
                        const char *labels, json_t *(*trim)(const json_t *));
bool follow_is_synced(const struct followed *followed);
// NULL: it follows. DENIED: it is not followed, and tried again much later only.
const struct error *follow_error(struct followed *followed);
void follow_each(const struct followed *followed,
                 void (*each)(void *owner, const char *key, const json_t *object), void *owner);
// What key's earlier passes looked at and this one did not is let go of.
void follow_settle(struct driver *driver, const char *key, uint64_t pass);
void follow_end(struct driver *driver);

// --- facts.c: which requests a work needs, and what is kept of their answers
// want lives until the answers are there; NULL: what is left of a driver that goes.
struct gather *driver_facts_ask(struct driver *driver, const struct driver_work *work,
                                const struct want *want, struct kube *account_kube);
// Of all DaemonSets those of the release, each with whether it is the driver's plugin; owned.
json_t *driver_sets_of(const struct want *want, const json_t *all);
json_t *driver_trim_set(const json_t *set); // what of a DaemonSet is looked at
json_t *driver_trim_pod(const json_t *pod); // what of a driver's pod is looked at
char *driver_smoke_name(const json_t *object);
// borrowed; an empty array where there is none
json_t *driver_items(const json_t *facts, const char *key);

// --- release.c
enum release_state {
    RELEASE_ABSENT,
    RELEASE_DEPLOYED,
    RELEASE_FAILED,
    RELEASE_PENDING,
    RELEASE_UNINSTALLING
};
struct release {
    enum release_state state;
    const char *word;                           // helm's own
    const char *secret, *secret_version;        // of the newest revision, and its resourceVersion
    const char *digest, *owner, *chart, *names; // labels, "" when absent
    int64_t version;
    int64_t since_s; // of the newest revision
};
void driver_release_read(const json_t *secrets, struct release *ret_release);

// --- preflight.c: "" or a reason with its message, before helm runs
const char *driver_preflight(const struct driver_work *work, const struct want *want,
                             const json_t *facts, const struct release *release,
                             char **ret_message);
// What is not wrong for certain, but may be; "" when nothing.
char *driver_preflight_notes(const struct driver_work *work, const struct want *want,
                             const json_t *facts);

// --- ready.c
struct readiness {
    struct driver_verdict ready, devices;
    json_t *status_devices;
    bool look_soon;
};
void driver_ready_judge(const struct want *want, const json_t *facts,
                        struct readiness *ret_readiness);
// Allocated claims that are waited for, "namespace/name (driver)"; drivers NULL: of any.
char *driver_claims_text(const json_t *facts, const json_t *drivers, size_t *ret_len);

// --- smoke.c
struct smoke_action {
    json_t *create; // the claim or the pod to make, owned; NULL: none
    bool remove;    // both
};
void driver_smoke_judge(const struct driver_spec *spec, const struct driver_work *work,
                        const struct want *want, const json_t *facts, bool devices_ready,
                        struct driver_verdict *ret_verdict, json_t **ret_status,
                        struct smoke_action *ret_action);

// --- helm.c: what helm is called with
struct helm_call {
    struct strlist argv, env;
};
void helm_call_fini(struct helm_call *call);
#define AUTO_CALL CLEANUP(helm_call_fini)
// dir: of the job. Without helm_call_connect() it knows no API server.
void helm_call_make(const struct driver_spec *spec, const char *dir, struct helm_call *ret_call);
// user: whom it acts as, NULL: nobody else.
void helm_call_connect(struct helm_call *call, const struct driver_spec *spec, const char *dir,
                       const char *user);
void helm_call_pull(struct helm_call *call, const struct want *want, const char *dir);
// forced: the release's own record is gone, its objects are taken over.
// dry_run: renders with what the server has, and writes nothing.
void helm_call_upgrade(struct helm_call *call, const struct driver_spec *spec,
                       const struct want *want, const char *chart, const char *chart_name,
                       bool forced, bool dry_run);
void helm_call_uninstall(struct helm_call *call, const struct driver_spec *spec,
                         const struct want *want);
#define DRIVER_SCRATCH "job"
// A directory for one job: all that helm writes is in it and goes with it.
struct error *helm_make_dir(const struct driver_spec *spec, char **ret_dir);
// The kubeconfig of a pod whose account helm has too.
struct error *helm_write_pod_config(const char *dir);
// The one archive in the directory that a chart was fetched into, which is not too large.
struct error *helm_chart_file(const char *dir, char **ret_file);
struct error *helm_check_size(const char *file);
// Whether charts may be read there: InvalidConfiguration.
struct error *helm_check_path(const struct driver_spec *spec, const char *path);
// sha256 of a file, 64 hex digits.
struct error *driver_file_digest(const char *path, char *ret_digest);

// --- try.c: a dry run of each object, as whoever kube acts as; the first error that is not
// harmless ends it
typedef void try_done_fn(void *owner, struct error *take_err);
MUST_USE struct op *driver_try(struct loop *loop, struct kube *kube, const json_t *objects,
                               const char *namespace, try_done_fn *done, void *owner);

// Removes each object, the last one first, in a version that is served; what is not there, or is to
// be kept, is passed over.
MUST_USE struct op *driver_remove(struct loop *loop, struct kube *kube, const json_t *objects,
                                  const char *namespace, try_done_fn *done, void *owner);

// --- delegate.c: engines that others run
enum delegate_state {
    DELEGATE_ABSENT,
    DELEGATE_FOREIGN,
    DELEGATE_OUTDATED,
    DELEGATE_RUNNING,
    DELEGATE_FAILED,
    DELEGATE_DONE
};
// in the order in which they are written; owned
json_t *driver_delegate_objects(const struct want *want);
json_t *driver_delegate_all(const struct want *want);      // what may be there when it goes; owned
struct kube_ref driver_delegate_ref(const json_t *object); // of one of them, borrowing from it
char *driver_delegate_path(const struct want *want);       // of the one that is asked how it goes
// ret_message: NULL where there is nothing to say.
enum delegate_state driver_delegate_judge(const struct want *want, const json_t *object,
                                          char **ret_message);

// --- job.c: one release, one helm at a time, in the background
struct note { // how the last job for a release ended
    struct note *next;
    char *name; // "namespace/release", and in which cluster
    char *key;  // of the DRAConfiguration
    char *digest, *message, *chart, *version;
    const char *reason; // "" when it went well
    bool uninstall;
    uint64_t at_ms;
    unsigned failures;
};
struct driver {
    struct loop *loop;
    struct driver_spec spec;
    struct job *jobs;
    struct note *notes;
    struct followed *followed;
    struct op *calm; // changes are collected until it is over
    uint64_t passes; // begun
    bool halted;
    struct driver_stop *stop; // who waits until no job runs
    struct job *turn;         // whose helm runs, or is about to; NULL: none
    char *last_turn;          // the namespace that had it last
    uint64_t places;
};
struct job_order {
    bool uninstall, make_namespace;
    // an uninstall that did not come to its end: what is left is taken over
    bool forget;
    // a lock that nobody holds any more, NULL: none; and its resourceVersion
    const char *drop_secret, *drop_version;
};
// The job holds the cluster, object and take_want, which borrows from it.
void job_start(struct driver *driver, struct cluster *cluster, const char *key,
               const json_t *object, struct want *take_want, const struct job_order *order);
// Releases of one name in two clusters are two. A target is the Secret that leads there: it stays
// the same with another kubeconfig, and what its server says of itself changes nothing for others.
// Whether it waits until another release's helm has ended.
bool job_waits(const struct driver *driver, const struct cluster *cluster, const struct want *want);
void driver_next_turn(struct driver *driver);
bool job_runs(const struct driver *driver, const struct cluster *cluster, const struct want *want);
const struct note *job_note(const struct driver *driver, const struct cluster *cluster,
                            const char *namespace, const char *release);
void job_forget_note(struct driver *driver, const struct cluster *cluster, const struct want *want);
void note_free(struct note *note);
// Whether anything may be done there now.
bool driver_may_write(const struct driver *driver, const struct cluster *cluster);
void job_end_lost(struct driver *driver); // politely, those that may not write any more
void job_kill_all(struct driver *driver);
void driver_note_idle(struct driver *driver); // a job has ended

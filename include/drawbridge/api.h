// SPDX-License-Identifier: Apache-2.0
// api: typed views of our own kinds, conditions, the one table of reasons, and what an error means.
//
// Purpose   parse, default and validate DRAConfiguration and KubermaticConfiguration; build status;
//           merge conditions
// In → Out  json_t of the API server → struct api_config; facts → metav1.Condition lists
// May use   gates doc base
// Never     I/O
// Limits    what the CRDs in crds/ say; a test compares every property there with what is read here
// Blocking  no
#pragma once

#include "drawbridge/doc.h"

#define API_GROUP "drawbridge.dev"
#define API_VERSION "v1alpha1"
#define API_GROUP_VERSION "drawbridge.dev/v1alpha1"
#define API_FIELD_MANAGER "drawbridge" // of spec objects we write
#define API_FIELD_MANAGER_STATUS "drawbridge-status"
// of what is adopted from a KubermaticConfiguration
#define API_FIELD_MANAGER_KUBERMATIC "drawbridge-kubermatic"
#define API_FIELD_MANAGER_SOURCE "drawbridge-source" // of what is applied from a repository
#define API_FINALIZER "drawbridge.dev/finalizer"
#define API_ANNOTATION_RECONCILE "drawbridge.dev/reconcile-requested-at"
// "namespace/name" of the ConfigSource that an object comes from
#define API_ANNOTATION_SOURCE "drawbridge.dev/source"
// on a Secret: hosts that its password or token may be sent to, "git.example.org, *.b.org:8443"
#define API_ANNOTATION_HOSTS "drawbridge.dev/hosts"
// "disabled": the ConfigSource neither changes nor prunes the object
#define API_ANNOTATION_SYNC "drawbridge.dev/sync"
// on a ConfigSource: the commit that may go back
#define API_ANNOTATION_ACCEPT "drawbridge.dev/accept-non-fast-forward"
// on a NodeDRAConfiguration: "<namespace>.<name>" of its owner, or its digest
#define API_LABEL_CONFIGURATION "drawbridge.dev/configuration"
// on one that is no node's: of what it is
#define API_LABEL_SITE "drawbridge.dev/site"
// The NodeDRAConfiguration of a kwok cluster, whose components belong to no node.
#define API_NODE_KWOK "kwok"

enum platform_type {
    PLATFORM_AUTO,
    PLATFORM_KUBEADM,
    PLATFORM_HOSTED_CONTROL_PLANE,
    PLATFORM_KUBERMATIC,
    PLATFORM_CLUSTER_API,
    PLATFORM_GIANT_SWARM,
    PLATFORM_KWOK,
    PLATFORM_OBSERVE,
    PLATFORM_TYPE_COUNT,
};
const char *platform_type_name(enum platform_type type);

// Workers that rollout.maxUnavailable lets be changed at once, whether a number or a share says it.
#define API_UNAVAILABLE_MAX 1000

// A DRAConfiguration, defaults filled in. Borrows its strings and trees from the object.
struct api_config {
    const char *namespace, *name, *uid, *resource_version;
    // the annotation drawbridge.dev/reconcile-requested-at, NULL: absent
    const char *reconcile_requested_at;
    int64_t generation;
    bool deleting; // deletionTimestamp is set
    bool has_finalizer;
    const json_t *feature_gates, *runtime_config; // objects, never NULL
    const json_t *features;                       // array of names, each once; NULL: none
    const char *prepare_for;                      // spec.upgrade.prepareFor ("1.38"), ""
    bool remove_foreign;                          // spec.upgrade.foreignEntries Remove
    bool allow_alpha, suspend, revert;            // revert: deletionPolicy Revert
    enum platform_type platform;
    const json_t *cluster;                             // spec.cluster or NULL
    const json_t *hosted;                              // spec.platform.hostedControlPlane or NULL
    const json_t *capi;                                // spec.platform.clusterAPI or NULL
    const json_t *giantswarm;                          // spec.platform.giantSwarm or NULL
    unsigned max_unavailable, max_unavailable_percent; // percent 0: the number counts
    uint64_t component_timeout_ms, min_ready_ms;
    bool rollback;        // onFailure Rollback (else Pause)
    const json_t *driver; // spec.driver or NULL: a later room reads it
    bool smoke_test;      // spec.smokeTest.enabled
    const json_t *status; // the object's status or NULL
};
// INVALID with the path of the field ("spec.rollout.componentTimeout: ...") when the object is not
// what the CRD says; reason InvalidConfiguration.
struct error *api_config_parse(const json_t *object, struct api_config *ret_config);
// Go's duration text ("5m", "1h30m", "250ms") in milliseconds.
struct error *api_duration_parse(const char *text, uint64_t *ret_ms);

// The DRAConfiguration that a KubermaticConfiguration asks for: what to send with server-side apply
// (featureGates, owner reference, name, namespace).
struct error *api_adopt_kubermatic(const json_t *kubermatic, json_t **ret_config);

// A ConfigSource, defaults filled in. Borrows from the object; texts are "" when absent.
struct api_source {
    const char *namespace, *name, *uid;
    const char *reconcile_requested_at, *accept; // annotations, NULL: absent
    int64_t generation;
    bool deleting;
    const char *url, *branch, *tag, *semver, *commit, *path;
    const char *secret, *verify_secret; // names of Secrets in its namespace
    bool verify, prune, suspend;
    uint64_t interval_ms, timeout_ms;
    const json_t *status; // or NULL
};
// INVALID with the path of the field; reason InvalidConfiguration.
struct error *api_source_parse(const json_t *object, struct api_source *ret_source);

// --- conditions ----------------------------------------------------------------------------------

enum condition {
    CONDITION_READY,
    CONDITION_RECONCILING,
    CONDITION_STALLED,
    CONDITION_CONFIG_VALID,
    CONDITION_CONTROL_PLANE_UPDATED,
    CONDITION_NODES_UPDATED,
    CONDITION_RESOURCE_API_SERVED,
    CONDITION_DRIVER_READY,
    CONDITION_DEVICES_PUBLISHED,
    CONDITION_SMOKE_TEST_PASSED,
    CONDITION_SOURCE_READY,
    CONDITION_UPGRADEABLE,
    CONDITION_DEGRADED,
    CONDITION_FETCHED,
    CONDITION_SOURCE_VERIFIED,
    CONDITION_APPLIED, // of a ConfigSource
    CONDITION_COUNT,
};
const char *condition_name(enum condition condition);
// Reconciling and Stalled are present only when True; all others stay once they were set.
bool condition_only_when_true(enum condition condition);

// The closed list of reasons (docs/conditions.md is made from it): name, the conditions it is used
// with, what it means, what to do.
struct api_reason {
    const char *name;
    const char *conditions; // "ConfigValid Stalled"
    const char *meaning, *action;
    bool terminal; // Stalled: nothing happens until somebody changes something
};
const struct api_reason *api_reasons(size_t *ret_len);
const struct api_reason *api_reason_find(const char *name); // NULL: not in the list

// Whether the change to it is worth an event of type Warning: it is terminal, or something that
// should be there is not.
bool api_reason_warns(const struct api_reason *reason);

// The one place that says what an error means for retries, and in a condition.
struct policy {
    bool retry;         // with back-off
    const char *reason; // of the condition, unless the error names one
};
struct policy policy_of(const struct error *err);
const char *policy_reason(const struct error *err);

enum tristate { STATE_FALSE, STATE_TRUE, STATE_UNKNOWN };
struct api_conditions; // collects what a pass found
struct api_conditions *api_conditions_new(void);
void api_conditions_free(struct api_conditions *conditions);
AUTO_DECLARE(api_conditions, struct api_conditions)
// reason should be in the list: another one is logged and becomes InternalError; one that the list
// does not give to this condition is what api_conditions_check() finds. It may come from an agent's
// report or an API server's answer, and neither must end the controller. message: one sentence, at
// most 1024 bytes are kept.
void api_conditions_set(struct api_conditions *conditions, enum condition condition,
                        enum tristate state, const char *reason, const char *fmt, ...) PRINTF(5, 6);
// UNKNOWN when unset
enum tristate api_conditions_state(const struct api_conditions *conditions,
                                   enum condition condition);
// "" when unset
const char *api_conditions_reason(const struct api_conditions *conditions,
                                  enum condition condition);
const char *api_conditions_message(const struct api_conditions *conditions,
                                   enum condition condition);
// Sets Ready, Reconciling and Stalled from the others: Ready=True only if no condition that must be
// true is not; else Ready takes reason and message of the first in the order ConfigValid,
// ControlPlaneUpdated, NodesUpdated, ResourceAPIServed, DriverReady, DevicesPublished,
// SmokeTestPassed. Where Fetched is set the list is a ConfigSource's: Fetched, SourceVerified,
// Applied. Degraded=True forces Ready=False. Stalled=True when that reason is terminal, else
// Reconciling=True while Ready is not True.
void api_conditions_summarize(struct api_conditions *conditions);
// The list for status.conditions: merged into was (NULL: none) so that lastTransitionTime changes
// only with the status, foreign types kept; sorted Ready first, then the others in the order of the
// enum.
json_t *api_conditions_merge(const struct api_conditions *conditions, const json_t *was,
                             int64_t generation, int64_t now_wall_ms);
// The rules every status of ours keeps (kstatus, Flux's FAIL0001-0011 where they apply): "" or what
// is broken. For tests and debug builds.
char *api_conditions_check(const json_t *object);

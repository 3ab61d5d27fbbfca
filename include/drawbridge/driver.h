// SPDX-License-Identifier: Apache-2.0
// driver: the chart of a DRA driver installed by helm, the devices it publishes, and a claim that
// shows that they can be had.
//
// Purpose   presets, values, helm as a child process, the state of its release, preflight,
//           readiness, the smoke test
// In → Out  a DRAConfiguration and what the API server says → one action at most, three verdicts
// May use   cluster watch kube loop doc base
// Never     reads what is in a release's Secret (labels alone); deletes pods or claims of others;
//           runs two helms at once
// Limits    DRIVER_OUTPUT_BYTES_MAX of what a helm says; DRIVER_VALUES_BYTES_MAX of values
// Blocking  reads a chart archive and the directory it was fetched into
#pragma once

#include "drawbridge/cluster.h"

#define DRIVER_OUTPUT_BYTES_MAX ((size_t)4 << 20)
#define DRIVER_VALUES_BYTES_MAX ((size_t)1 << 20)
#define DRIVER_CHART_BYTES_MAX ((size_t)16 << 20)
// of one helm; there is one at a time
#define DRIVER_MEMORY_BYTES_MAX ((size_t)256 << 20)
#define DRIVER_FILE_BYTES_MAX ((size_t)64 << 20) // the index of a repository is larger than a chart
#define DRIVER_PROCESSES_MAX 4096 // of helm's user on the node, whatever container they are in
// on the Secret of a release: what it was made from
#define DRIVER_LABEL_DIGEST "drawbridge.dev/digest"
#define DRIVER_LABEL_OWNER "drawbridge.dev/configuration"
#define DRIVER_LABEL_CHART "drawbridge.dev/chart" // its name
// the old chart's name, which its objects keep
#define DRIVER_LABEL_NAMES "drawbridge.dev/name-override"
#define DRIVER_FIELD_MANAGER "drawbridge-driver"

struct driver;
struct driver_spec {
    const char *helm; // the program
    const char *dir;  // helm's own: caches, charts that were fetched
    // for helm, of the cluster that Drawbridge runs in; NULL: the pod's service account
    const char *kubeconfig;
    const char *context; // of the kubeconfig; NULL: its current one
    // "NAMESPACE/NAME" of a ServiceAccount that may impersonate and nothing else: helm gets tokens
    // of it in the place of our credentials, and of the file system its own directory alone. NULL:
    // helm is what we are, and no target cluster has a driver of helm's. The same names in each
    // cluster.
    const char *helm_account;
    const char *chart_root;         // spec.driver.chart.path is below it; NULL: there is none
    const char *namespace;          // where the smoke test runs, in each cluster
    const char *smoke_test_image;   // NULL: the presets'
    uint64_t smoke_test_timeout_ms; // until its pod must run
    uint64_t helm_timeout_ms;       // for one run of helm; SIGTERM then
    // helm has ended for this key, or waits for another one to end, or does not wait any more, or
    // something that its last pass looked at has changed
    void (*on_change)(void *owner, const char *key);
    bool (*may_write)(void *owner, const struct cluster *cluster);
    // Whether a DRAConfiguration of namespace from may have a driver in namespace to looked at,
    // where no account's rights decide that; NULL: no. Of the cluster that Drawbridge runs in.
    bool (*may_look)(void *owner, const char *from, const char *to);
    void *owner;
};
// Strings are borrowed for its life.
struct driver *driver_new(struct loop *loop, const struct driver_spec *spec);
void driver_free(struct driver *driver); // helms that run are killed
AUTO_DECLARE(driver, struct driver)
// SIGTERM to every helm that runs for a cluster that may not be written any more. Who loses a lease
// does this.
void driver_interrupt(struct driver *driver);
// This DRAConfiguration is gone, and how its releases went is nobody's business any more.
void driver_forget_notes(struct driver *driver, const char *key);
// SIGTERM to every helm that runs, and nothing is started any more; done when none runs: a lock
// that helm holds is given back before the process ends.
MUST_USE struct op *driver_stop(struct driver *driver, loop_fn *done, void *owner);

// What one pass wants. All is borrowed until done.
struct driver_work {
    const char *key; // "namespace/name": whom on_change names
    // Where the driver is. What outlives the pass (watches, a helm) keeps it.
    struct cluster *cluster;
    const json_t *object; // the DRAConfiguration
    const json_t *served; // versions of resource.k8s.io
    unsigned minor;       // of Kubernetes 1.x
    // the driver must go: the spec has none any more, or DRA is being turned off
    bool gone;
    bool all_claims; // DRA is being turned off: claims of any driver are waited for
    // the cluster is not ready for a driver yet: nothing is installed, waiting_for says what is
    // waited for
    bool waiting;
    const char *waiting_for;
    bool suspend; // nothing is written
};

enum driver_state { DRIVER_FALSE, DRIVER_TRUE, DRIVER_UNKNOWN };
struct driver_verdict { // reason "": nothing to say
    enum driver_state state;
    const char *reason; // static
    char *message;
};
struct driver_result {
    struct driver_verdict ready, devices, smoke;
    // of the DRAConfiguration; NULL: leave it out
    json_t *status_driver, *status_devices, *status_smoke;
    char *event;       // what was begun, NULL: nothing
    bool gone;         // of a work that wanted it gone: nothing of ours is there any more
    uint64_t after_ms; // look again then
};
void driver_result_free(struct driver_result *result);
AUTO_DECLARE(driver_result, struct driver_result)
typedef void driver_done_fn(void *owner, struct error *take_err, struct driver_result *take_result);
// Nobody will make passes of this key for a while: what was followed for it is let go of.
void driver_forget(struct driver *driver, const char *key);
MUST_USE struct op *driver_pass(struct driver *driver, const struct driver_work *work,
                                driver_done_fn *done, void *owner);

// --- for doctor and tests ------------------------------------------------------------------------

// The preset of that name, NULL: none. And what its values turn off among classes, with what to
// set; "" when nothing.
const json_t *driver_preset(const char *name);
char *driver_preset_names(void);
// The extended resource under which a device plugin counts the devices of this driver; "": none
// that is known.
const char *driver_resource(const char *driver);
// Why a DeviceClass of the driver of this spec is not there: a value turns it off. "" when none
// does.
char *driver_class_advice(const json_t *spec_driver, const char *class_name);
// The version of resource.k8s.io to speak: the newest that is served; NULL: none.
const char *driver_api_version(const json_t *served);
// Whether containers of a node with this runtime ("containerd://1.7.2") would lack their devices: 0
// no, or nobody knows; 1 for certain; 2 by default.
int driver_runtime_without_cdi(const char *runtime);
// What --controllers of this kube-controller-manager says when it leaves out who makes claims from
// templates, owned; NULL: it does not.
char *driver_claim_controller_off(const json_t *words);
// What helm said on stderr, as a reason and one line. Never NULL.
const char *driver_read_errors(struct slice errors, char **ret_message);

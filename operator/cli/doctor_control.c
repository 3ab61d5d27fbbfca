// SPDX-License-Identifier: Apache-2.0
// What doctor finds about the control plane, and about Drawbridge itself: is there a controller, do
// its agents report, what do its objects say?
#include <string.h>

#include "doctor_internal.h"
#include "drawbridge/api.h"
#include "drawbridge/driver.h"
#include "drawbridge/gates.h"
#include "drawbridge/kube.h"
#include "drawbridge/site.h"

#define GATE "DynamicResourceAllocation"

// --- the control plane

// Somebody who has asked for it already is not told to ask for it.
static const char *fix_gate(const struct examination *e)
{
    return json_array_size(doctor_list(e, "configurations")) > 0
               ? "see why the DRAConfiguration has not turned it on: drawbridge status"
               : "apply a DRAConfiguration with featureGates." GATE ": true";
}

// Versions of resource.k8s.io that a minor has; NULL: none, or the table does not reach it.
static const json_t *api_of(struct version version)
{
    return json_object_get(gates_api(gates_table_builtin(), "resource.k8s.io", version),
                           "registered");
}

static char *names_of(const json_t *list)
{
    AUTO_BUF struct buf names = buf_make(4096);

    for (size_t i = 0; i < json_array_size(list); i++)
        buf_printf(&names, "%s%s", i ? ", " : "", doc_str(json_array_get(list, i), NULL));
    return buf_take(&names);
}

// From the first minor with a version of the API that drivers of today use.
static char *fix_upgrade(void)
{
    struct version newest = gates_table_newest(gates_table_builtin()), first = {1, 0, 0};

    while (first.minor < newest.minor && !driver_api_version(api_of(first)))
        first.minor++;
    return str_format("upgrade to Kubernetes 1.%d or newer", first.minor);
}

static bool check_api(struct examination *e)
{
    static const char *const wanted[] = {"deviceclasses", "resourceclaims",
                                         "resourceclaimtemplates", "resourceslices"};
    const char *version = driver_api_version(doctor_list(e, "served"));

    if (!version && json_array_size(doctor_list(e, "served")) > 0) {
        AUTO_MEM char *names = names_of(doctor_list(e, "served"));
        AUTO_MEM char *upgrade = fix_upgrade();
        AUTO_MEM char *fix = str_format("%s, or serve v1beta1 or newer", upgrade);

        doctor_find(e, "API resource.k8s.io", DOCTOR_FAIL, fix,
                    "served as %.*s alone, which today's drivers do not use", TEXT_CUT(200, names));
        return false;
    }
    if (!version) {
        doctor_find(e, "API resource.k8s.io", DOCTOR_FAIL, fix_gate(e),
                    "the API server serves no version of it");
        return false;
    }
    for (size_t i = 0; i < COUNT(wanted); i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(doctor_list(e, "resources")); k++)
            found =
                found || str_eq(json_string_value(json_array_get(doctor_list(e, "resources"), k)),
                                wanted[i]);
        if (found)
            continue;
        doctor_find(e, "API resource.k8s.io", DOCTOR_FAIL, "see the log of kube-apiserver",
                    "%s has no %s", version, wanted[i]);
        return false;
    }
    doctor_find(e, "API resource.k8s.io", DOCTOR_OK, "",
                "served as %s, with classes, claims, templates and slices", version);
    return true;
}

static void check_gate(struct examination *e)
{
    const json_t *gate = doctor_list(e, "gate");

    if (json_is_true(doctor_list(e, "builtIn")))
        doctor_find(e, "gate of kube-apiserver", DOCTOR_OK, "",
                    "Dynamic Resource Allocation is a part of this version, which has no gate for "
                    "it any more");
    else if (!json_is_boolean(gate))
        doctor_find(e, "gate of kube-apiserver", DOCTOR_UNKNOWN,
                    "ask somebody who may read /metrics", "its /metrics say nothing");
    else if (json_is_true(gate))
        doctor_find(e, "gate of kube-apiserver", DOCTOR_OK, "",
                    "DynamicResourceAllocation is on, as it reports itself");
    else
        doctor_find(e, "gate of kube-apiserver", DOCTOR_FAIL, fix_gate(e),
                    "DynamicResourceAllocation is off, as it reports itself");
}

// Whether the gate is on by these flags in that version, as the component itself works it out: its
// own entry, else AllAlpha or AllBeta for the stage that it has there, else the default. *ret_how
// says which.
static bool is_on_by_flags(const struct gates_flags *flags, struct version version,
                           const char **ret_how)
{
    struct gate gate = {.stage = STAGE_GA, .value = true, .locked = true};
    const char *all = NULL;
    const json_t *value = json_object_get(flags->feature_gates, GATE);

    (void)gates_find(gates_table_builtin(), GATE, version, &gate);
    if (gate.locked) {
        *ret_how = "as is the default since 1.34";
        return gate.value;
    }
    *ret_how = "as its flags say";
    if (value)
        return json_is_true(value);
    all = gate.stage == STAGE_ALPHA ? "AllAlpha" : gate.stage == STAGE_BETA ? "AllBeta" : "";
    value = json_object_get(flags->feature_gates, all);
    if (value)
        return json_is_true(value);
    *ret_how = "as is the default since 1.34";
    return gate.value;
}

// A component of a minor in which the gate, on or off, is for another API, or is not there at all.
static bool find_too_old(struct examination *e, const char *name, struct version version, bool on,
                         const char *how)
{
    const json_t *apis = api_of(version);
    struct version first = {0}, last = {0};
    AUTO_MEM char *fix = fix_upgrade(), *names = names_of(apis);

    (void)gates_ever(gates_table_builtin(), GATE, &first, &last);
    if (version_compare_minor(version, first) < 0)
        doctor_find(e, name, DOCTOR_FAIL, fix, "1.%d has no " GATE, version.minor);
    else if (apis && !driver_api_version(apis))
        doctor_find(e, name, DOCTOR_FAIL, fix,
                    GATE " is %s%s, but in 1.%d it is for resource.k8s.io %s, which today's "
                         "drivers do not use",
                    on ? "on, " : "off", on ? how : "", version.minor, names);
    else
        return false;
    return true;
}

// The version of an image like registry/kube-scheduler:v1.33.13.
static bool image_version(const char *image, struct version *ret_version)
{
    const char *tag = strrchr(image, ':');

    return tag && version_parse(tag + 1, ret_version);
}

// Flags of the static pods: what `kubectl get pod -l component=... -o yaml | grep` looks for.
static void check_flags(struct examination *e, enum component component, const char *node,
                        const char *image, const json_t *argv)
{
    const char *name = component_name(component), *how = "";
    AUTO_MEM char *id = str_format("%s on %s", name, node);
    AUTO_MEM char *controllers =
        component == COMPONENT_CONTROLLER_MANAGER ? driver_claim_controller_off(argv) : NULL;
    AUTO_FLAGS struct gates_flags flags = {0};
    AUTO(error) struct error *err = gates_flags_read(component, argv, &flags);
    struct version version = {0};
    bool known = image_version(image, &version), on;

    if (controllers)
        doctor_find(e, name, DOCTOR_FAIL, "take resourceclaim-controller back into --controllers",
                    "--controllers=%.*s: nobody makes claims from templates",
                    TEXT_CUT(200, controllers));
    if (err) {
        doctor_find(e, name, DOCTOR_FAIL, "correct that flag", "%.*s",
                    TEXT_CUT(400, error_text(err)));
        return;
    }
    if (!known && !json_object_get(flags.feature_gates, GATE)) {
        if (controllers)
            return;
        doctor_find(e, name, DOCTOR_UNKNOWN, "ask its /metrics for kubernetes_feature_enabled",
                    "no flag of it names " GATE ", and its image %.*s does not say its version",
                    TEXT_CUT(200, image));
        return;
    }
    if (known)
        doctor_check_next(e, &(struct gates_instance){.id = id,
                                                      .component = component,
                                                      .version = version,
                                                      .emulated = flags.emulated,
                                                      .foreign_gates = flags.feature_gates,
                                                      .foreign_runtime = flags.runtime_config});
    if (flags.emulated.major)
        version = flags.emulated;
    else if (!known)
        version = gates_table_oldest(gates_table_builtin());
    on = is_on_by_flags(&flags, version, &how);
    if ((known || flags.emulated.major) && find_too_old(e, name, version, on, how))
        return;
    if (on)
        doctor_find(e, name, DOCTOR_OK, "", GATE " is on, %s", how);
    else if (json_object_get(flags.feature_gates, GATE))
        doctor_find(e, name, DOCTOR_FAIL, "take that flag out, or let a DRAConfiguration do it",
                    "--feature-gates has " GATE "=false");
    else
        doctor_find(e, name, DOCTOR_FAIL, fix_gate(e), "1.%d, and no flag of it turns " GATE " on",
                    version.minor);
}

// Once, whether its pod says it or its agent, or both.
static void tell_stranger(struct examination *e, const char *node, enum component component)
{
    const char *name = component_name(component);
    AUTO_MEM char *what =
        str_format("what is said of it on %s is not counted: %s does not have the "
                   "label " KUBE_CONTROL_PLANE_LABEL,
                   node, node);

    for (size_t i = 0; i < json_array_size(e->findings); i++) {
        const json_t *finding = json_array_get(e->findings, i);

        if (str_eq(doc_str(finding, "check", NULL), name) &&
            str_eq(doc_str(finding, "detail", NULL), what))
            return;
    }
    doctor_find(e, name, DOCTOR_WARN,
                "label that node as kubeadm does if the component runs there; else see who says so",
                "%s", what);
}

// Whether what this node says of that component of the control plane counts; where it does not, it
// is told.
static bool counts(struct examination *e, const char *node, enum component component)
{
    const json_t *nodes = doctor_list(e, "nodes");

    if (!nodes || !*node) // they may not be read, and that is told; or it does not run
        return false;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *metadata = json_object_get(json_array_get(nodes, i), "metadata");

        if (str_eq(doc_str(metadata, "name", NULL), node) &&
            kube_is_control_plane(json_object_get(metadata, "labels")))
            return true;
    }
    tell_stranger(e, node, component);
    return false;
}

static void check_next_of(struct examination *e, const char *node, const json_t *reported)
{
    AUTO_MEM char *id = str_format("kubelet on %s", node);
    struct gates_instance kubelet = {.id = id,
                                     .component = COMPONENT_KUBELET,
                                     .foreign_gates = json_object_get(reported, "featureGates"),
                                     .extra_gates = json_object_get(reported, "extraGates"),
                                     .places = json_object_get(reported, "places")};

    if (version_parse(doc_str(reported, "version", NULL), &kubelet.version))
        doctor_check_next(e, &kubelet);
}

// One component of a node, as its agent has read it back.
static void check_agent(struct examination *e, const json_t *agent, const json_t *reported,
                        size_t *kubelets)
{
    const char *node = doc_str(agent, "metadata", "name", NULL);
    // of no node: the controller wrote that, and no agent can
    bool site = doc_str(agent, "metadata", "labels", API_LABEL_SITE, NULL)[0] != '\0';
    const char *name = doc_str(reported, "name", NULL),
               *excludes = doc_str(reported, "excludesDRA", NULL);
    const json_t *gate = doc_get(reported, "enabled", GATE, NULL);
    enum component component;

    if (!component_parse(name, &component))
        return;
    if (component == COMPONENT_KUBELET) // of the others their pods tell
        check_next_of(e, node, reported);
    if (component != COMPONENT_SCHEDULER)
        excludes = "";
    if (!*excludes && !json_is_boolean(gate))
        return;
    if (component != COMPONENT_KUBELET && !site && !counts(e, node, component))
        return;
    if (*excludes)
        doctor_find(e, name, DOCTOR_FAIL,
                    "take it back into that profile and restart the scheduler", "on %s, %s", node,
                    excludes);
    if (json_is_false(gate))
        doctor_find(e, name, DOCTOR_FAIL, fix_gate(e),
                    "on %s, " GATE " is off, as it reports itself", node);
    *kubelets += component == COMPONENT_KUBELET && json_is_true(gate);
}

// What only an agent sees: kubelets, and the scheduler's configuration, which is a file on its
// node.
static void check_agents(struct examination *e)
{
    const json_t *agents = doctor_list(e, "agents");
    size_t kubelets = 0;

    for (size_t i = 0; i < json_array_size(agents); i++) {
        const json_t *agent = json_array_get(agents, i);
        const json_t *components = doc_get(agent, "status", "components", NULL);

        for (size_t k = 0; k < json_array_size(components); k++)
            check_agent(e, agent, json_array_get(components, k), &kubelets);
    }
    if (kubelets > 0)
        doctor_find(e, "kubelet", DOCTOR_OK, "",
                    GATE " is on in %zu of %zu, as they report themselves", kubelets,
                    json_array_size(agents));
}

static void check_components(struct examination *e)
{
    const json_t *pods = doctor_list(e, "controlPlane");

    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        const json_t *containers = doc_get(pod, "spec", "containers", NULL);
        const char *name = doc_str(pod, "metadata", "labels", "component", NULL);
        AUTO(error) struct error *err = NULL;
        AUTO_JSON json_t *argv = NULL;
        struct site_container container;
        enum component component;

        if (!component_parse(name, &component))
            continue; // etcd
        if (!counts(e, doc_str(pod, "spec", "nodeName", NULL), component))
            continue;
        err = site_container_find(containers, doc_str(pod, "metadata", "name", NULL), component,
                                  &container);
        if (err && json_array_size(containers) == 1) { // whatever it is called, it is the one
            const json_t *only = json_array_get(containers, 0);

            container =
                site_container_of(json_object_get(only, "command"), json_object_get(only, "args"));
            container.spec = only;
        } else if (err) {
            doctor_find(e, name, DOCTOR_UNKNOWN, "", "%.*s", TEXT_CUT(400, error_text(err)));
            continue;
        }
        argv = site_container_argv(&container, component);
        check_flags(e, component, doc_str(pod, "spec", "nodeName", NULL),
                    doc_str(container.spec, "image", NULL), argv);
    }
}

// --- Drawbridge itself

// A controller renews its Lease every few seconds; what is older than its duration is nobody's.
static void check_controller(struct examination *e)
{
    const json_t *leases = doctor_list(e, "leases");
    int64_t now_ms = 0, renewed_ms = 0;
    const json_t *spec = NULL;

    if (json_array_size(doctor_list(e, "configurations")) == 0 ||
        !doctor_may_read(e, "controller", "leases"))
        return;
    (void)clock_parse(doc_str(e->facts, "now", NULL), &now_ms);
    for (size_t i = 0; i < json_array_size(leases); i++) {
        const json_t *lease = json_array_get(leases, i);
        int64_t at_ms = 0;

        if (!str_eq(doc_str(lease, "metadata", "name", NULL), "drawbridge"))
            continue;
        (void)clock_parse(doc_str(lease, "spec", "renewTime", NULL), &at_ms);
        if (spec && at_ms <= renewed_ms)
            continue;
        renewed_ms = at_ms;
        spec = json_object_get(lease, "spec");
    }
    if (!spec)
        doctor_find(e, "controller", DOCTOR_FAIL,
                    "install the chart, or see its pods: kubectl get pods -A -l "
                    "app.kubernetes.io/name=drawbridge",
                    "there is no Lease named drawbridge: no controller has ever led, and nobody "
                    "acts on DRAConfigurations");
    else if (!*doc_str(spec, "holderIdentity", NULL) ||
             renewed_ms + 1000 * doc_int(spec, 15, "leaseDurationSeconds", NULL) < now_ms)
        doctor_find(e, "controller", DOCTOR_FAIL,
                    "see its pods: kubectl get pods -A -l app.kubernetes.io/name=drawbridge",
                    "no controller leads; the Lease was last renewed at %s",
                    doc_str(spec, "renewTime", NULL));
    else
        doctor_find(e, "controller", DOCTOR_OK, "", "%s leads",
                    doc_str(spec, "holderIdentity", NULL));
}

static void check_reports(struct examination *e)
{
    const json_t *agents = doctor_list(e, "agents");

    for (size_t i = 0; i < json_array_size(agents); i++) {
        const json_t *agent = json_array_get(agents, i);
        AUTO_MEM char *check = str_format("agent on %s", doc_str(agent, "metadata", "name", NULL));

        if (!json_object_get(agent, "status"))
            doctor_find(e, check, DOCTOR_FAIL,
                        "see its pod: kubectl get pods -A -o wide -l "
                        "app.kubernetes.io/name=drawbridge",
                        "it has never reported");
    }
}

static void check_configurations(struct examination *e)
{
    static const char *const types[] = {"Ready", "DriverReady", "DevicesPublished",
                                        "SmokeTestPassed"};
    const json_t *configs = doctor_list(e, "configurations");

    for (size_t i = 0; i < json_array_size(configs); i++) {
        const json_t *config = json_array_get(configs, i);
        const json_t *conditions = doc_get(config, "status", "conditions", NULL);
        AUTO_MEM char *name =
            str_format("DRAConfiguration %s/%s", doc_str(config, "metadata", "namespace", NULL),
                       doc_str(config, "metadata", "name", NULL));

        if (json_array_size(conditions) == 0)
            doctor_find(e, name, DOCTOR_FAIL, "see whether a controller runs and leads",
                        "no controller has reported on it");
        for (size_t k = 0; k < json_array_size(conditions); k++) {
            const json_t *condition = json_array_get(conditions, k);
            const struct api_reason *reason = api_reason_find(doc_str(condition, "reason", NULL));
            bool ok = str_eq(doc_str(condition, "status", NULL), "True");

            for (size_t t = 0; t < COUNT(types); t++)
                if (str_eq(doc_str(condition, "type", NULL), types[t]) &&
                    !str_eq(doc_str(condition, "reason", NULL), "DriverNotRequested") &&
                    !str_eq(doc_str(condition, "reason", NULL), "NotRequested"))
                    doctor_find(e, name, ok ? DOCTOR_OK : DOCTOR_FAIL,
                                ok || !reason ? "" : reason->action, "%s: %s: %s", types[t],
                                doc_str(condition, "reason", NULL),
                                doc_str(condition, "message", NULL));
        }
    }
}

bool doctor_check_control(struct examination *e)
{
    bool served = check_api(e);

    check_gate(e);
    (void)doctor_may_read(e, "control plane", "nodes");
    check_components(e);
    check_agents(e);
    check_controller(e);
    check_reports(e);
    check_configurations(e);
    return served;
}

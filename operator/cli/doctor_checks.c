// SPDX-License-Identifier: Apache-2.0
// What doctor finds in the facts: the verification and troubleshooting steps that the pages about
// DRA give people, each with its verdict and what to do.
#include <string.h>

#include "doctor.h"
#include "drawbridge/driver.h"

#define GATE "DynamicResourceAllocation"
#define ON_BY_DEFAULT 34 // the minor since which it is

struct examination {
    const json_t *facts;
    json_t *findings;
};

static const char *const verdicts[] = {[DOCTOR_OK] = "ok",
                                       [DOCTOR_WARN] = "warning",
                                       [DOCTOR_FAIL] = "failed",
                                       [DOCTOR_UNKNOWN] = "unknown"};

const char *doctor_verdict_name(enum verdict_kind kind)
{
    return verdicts[kind];
}

static void find(struct examination *e, const char *check, enum verdict_kind kind, const char *fix,
                 const char *fmt, ...) PRINTF(5, 6);
static void find(struct examination *e, const char *check, enum verdict_kind kind, const char *fix,
                 const char *fmt, ...)
{
    AUTO_MEM char *detail = NULL;
    va_list args;

    va_start(args, fmt);
    detail = str_vformat(fmt, args);
    va_end(args);
    json_array_append_new(e->findings, json_pack("{s:s, s:s, s:s, s:s}", "check", check, "verdict",
                                                 verdicts[kind], "detail", detail, "fix", fix));
}

static const json_t *list(const struct examination *e, const char *key)
{
    return json_object_get(e->facts, key);
}

static bool may_read(struct examination *e, const char *check, const char *key)
{
    const char *denied = doc_str(e->facts, "denied", key, NULL);

    if (!*denied)
        return true;
    find(e, check, DOCTOR_UNKNOWN, "ask somebody who may read it", "%s", denied);
    return false;
}

static bool has_name(const json_t *objects, const char *name)
{
    for (size_t i = 0; i < json_array_size(objects); i++)
        if (str_eq(doc_str(json_array_get(objects, i), "metadata", "name", NULL), name))
            return true;
    return false;
}

// --- the control plane

static bool check_api(struct examination *e)
{
    static const char *const wanted[] = {"deviceclasses", "resourceclaims",
                                         "resourceclaimtemplates", "resourceslices"};
    const char *version = driver_api_version(list(e, "served"));

    if (!version) {
        find(e, "API resource.k8s.io", DOCTOR_FAIL,
             "apply a DRAConfiguration with featureGates.DynamicResourceAllocation: true",
             "the API server serves no version of it");
        return false;
    }
    for (size_t i = 0; i < COUNT(wanted); i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(list(e, "resources")); k++)
            found = found ||
                    str_eq(json_string_value(json_array_get(list(e, "resources"), k)), wanted[i]);
        if (found)
            continue;
        find(e, "API resource.k8s.io", DOCTOR_FAIL, "see the log of kube-apiserver", "%s has no %s",
             version, wanted[i]);
        return false;
    }
    find(e, "API resource.k8s.io", DOCTOR_OK, "",
         "served as %s, with classes, claims, templates and slices", version);
    return true;
}

static void check_gate(struct examination *e)
{
    const json_t *gate = list(e, "gate");

    if (!json_is_boolean(gate))
        find(e, "gate of kube-apiserver", DOCTOR_UNKNOWN, "ask somebody who may read /metrics",
             "its /metrics say nothing");
    else if (json_is_true(gate))
        find(e, "gate of kube-apiserver", DOCTOR_OK, "",
             "DynamicResourceAllocation is on, as it reports itself");
    else
        find(e, "gate of kube-apiserver", DOCTOR_FAIL,
             "apply a DRAConfiguration with featureGates.DynamicResourceAllocation: true",
             "DynamicResourceAllocation is off, as it reports itself");
}

// What the words say of the gate: the last that names it counts; NULL: none does.
static const char *gate_word(const json_t *words)
{
    const char *found = NULL;

    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (word && strstr(word, GATE "="))
            found = word;
    }
    return found;
}

// The minor of an image like registry/kube-scheduler:v1.33.13; 0: it does not say.
static uint64_t image_minor(const char *image)
{
    const char *tag = strrchr(image, ':');
    struct slice rest = slice_of(tag && str_starts(tag, ":v1.") ? tag + 4 : NULL), part;
    uint64_t minor = 0;

    return rest.ptr && slice_cut(&rest, '.', &part) && slice_to_u64(part, &minor) ? minor : 0;
}

// Flags of the static pods: what `kubectl get pod -l component=... -o yaml | grep` looks for.
static void check_words(struct examination *e, const char *component, const char *image,
                        const json_t *words)
{
    AUTO_MEM char *controllers =
        str_eq(component, "kube-controller-manager") ? driver_claim_controller_off(words) : NULL;
    const char *word = gate_word(words);
    uint64_t minor = image_minor(image);

    if (controllers)
        find(e, component, DOCTOR_FAIL, "take resourceclaim-controller back into --controllers",
             "--controllers=%.200s: nobody makes claims from templates", controllers);
    if (word && strstr(word, GATE "=false"))
        find(e, component, DOCTOR_FAIL, "take that flag out, or let a DRAConfiguration do it",
             "%.200s", word);
    else if (!word && minor > 0 && minor < ON_BY_DEFAULT)
        find(e, component, DOCTOR_FAIL,
             "apply a DRAConfiguration with featureGates.DynamicResourceAllocation: true",
             "1.%llu, and no flag of it turns " GATE " on", (unsigned long long)minor);
    else if (word || minor > 0)
        find(e, component, DOCTOR_OK, "", GATE " is on, %s",
             word ? "as its flags say" : "as is the default since 1.34");
}

// One component of a node, as its agent has read it back.
static void check_agent(struct examination *e, const char *node, const json_t *component,
                        size_t *kubelets)
{
    const char *name = doc_str(component, "name", NULL),
               *excludes = doc_str(component, "excludesDRA", NULL);
    const json_t *gate = doc_get(component, "enabled", GATE, NULL);

    if (*excludes)
        find(e, name, DOCTOR_FAIL, "take it back into that profile and restart the scheduler",
             "on %s, %s", node, excludes);
    if (json_is_false(gate))
        find(e, name, DOCTOR_FAIL,
             "apply a DRAConfiguration with featureGates.DynamicResourceAllocation: true",
             "on %s, " GATE " is off, as it reports itself", node);
    *kubelets += str_eq(name, "kubelet") && json_is_true(gate);
}

// What only an agent sees: kubelets, and the scheduler's configuration, which is a file on its
// node.
static void check_agents(struct examination *e)
{
    const json_t *agents = list(e, "agents");
    size_t kubelets = 0;

    for (size_t i = 0; i < json_array_size(agents); i++) {
        const json_t *agent = json_array_get(agents, i);
        const json_t *components = doc_get(agent, "status", "components", NULL);

        for (size_t k = 0; k < json_array_size(components); k++)
            check_agent(e, doc_str(agent, "metadata", "name", NULL), json_array_get(components, k),
                        &kubelets);
    }
    if (kubelets > 0)
        find(e, "kubelet", DOCTOR_OK, "", GATE " is on in %zu of %zu, as they report themselves",
             kubelets, json_array_size(agents));
}

static void check_components(struct examination *e)
{
    const json_t *pods = list(e, "controlPlane");

    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        const json_t *container = json_array_get(doc_get(pod, "spec", "containers", NULL), 0);
        const char *component = doc_str(pod, "metadata", "labels", "component", NULL);

        AUTO_JSON json_t *words = json_array();

        json_array_extend(words, json_object_get(container, "command"));
        json_array_extend(words, json_object_get(container, "args"));
        check_words(e, component, doc_str(container, "image", NULL), words);
    }
}

// --- drivers and devices

static void check_configurations(struct examination *e)
{
    static const char *const types[] = {"Ready", "DriverReady", "DevicesPublished",
                                        "SmokeTestPassed"};
    const json_t *configs = list(e, "configurations");

    for (size_t i = 0; i < json_array_size(configs); i++) {
        const json_t *config = json_array_get(configs, i);
        const json_t *conditions = doc_get(config, "status", "conditions", NULL);
        AUTO_MEM char *name =
            str_format("DRAConfiguration %s/%s", doc_str(config, "metadata", "namespace", NULL),
                       doc_str(config, "metadata", "name", NULL));

        for (size_t k = 0; k < json_array_size(conditions); k++) {
            const json_t *condition = json_array_get(conditions, k);
            bool ok = str_eq(doc_str(condition, "status", NULL), "True");

            for (size_t t = 0; t < COUNT(types); t++)
                if (str_eq(doc_str(condition, "type", NULL), types[t]) &&
                    !str_eq(doc_str(condition, "reason", NULL), "DriverNotRequested") &&
                    !str_eq(doc_str(condition, "reason", NULL), "NotRequested"))
                    find(e, name, ok ? DOCTOR_OK : DOCTOR_FAIL,
                         ok ? "" : "see docs/conditions.md for this reason", "%s: %s: %s", types[t],
                         doc_str(condition, "reason", NULL), doc_str(condition, "message", NULL));
        }
    }
}

// Of which driver a class is, where its selector says so plainly; NULL: it does not.
static char *class_driver(const json_t *class)
{
    const json_t *selectors = doc_get(class, "spec", "selectors", NULL);

    for (size_t i = 0; i < json_array_size(selectors); i++) {
        const char *text = doc_str(json_array_get(selectors, i), "cel", "expression", NULL);
        const char *at = strstr(text, "device.driver");
        const char *from = at ? strpbrk(at, "'\"") : NULL;
        const char *to = from ? strchr(from + 1, *from) : NULL;

        if (to)
            return str_ndup(from + 1, (size_t)(to - from - 1));
    }
    return NULL;
}

static size_t count_devices(const struct examination *e, const char *driver)
{
    const json_t *slices = list(e, "slices");
    size_t devices = 0;

    for (size_t i = 0; i < json_array_size(slices); i++) {
        const json_t *spec = json_object_get(json_array_get(slices, i), "spec");
        if (!driver || str_eq(doc_str(spec, "driver", NULL), driver))
            devices += json_array_size(json_object_get(spec, "devices"));
    }
    return devices;
}

static void check_devices(struct examination *e)
{
    const json_t *classes = list(e, "classes");

    if (!may_read(e, "ResourceSlices", "slices"))
        return;
    if (count_devices(e, NULL) == 0)
        find(e, "ResourceSlices", DOCTOR_FAIL,
             "install a driver (spec.driver); if one is there, see the logs of its pods on the "
             "nodes",
             "no device is published");
    else
        find(e, "ResourceSlices", DOCTOR_OK, "", "%zu devices in %zu slices",
             count_devices(e, NULL), json_array_size(list(e, "slices")));
    if (json_array_size(classes) == 0)
        find(e, "DeviceClasses", DOCTOR_FAIL, "a driver's chart makes them; see its values",
             "there is none");
    for (size_t i = 0; i < json_array_size(classes); i++) {
        const json_t *class = json_array_get(classes, i);
        AUTO_MEM char *driver = class_driver(class);
        AUTO_MEM char *check =
            str_format("DeviceClass %s", doc_str(class, "metadata", "name", NULL));

        if (json_array_size(doc_get(class, "spec", "selectors", NULL)) == 0)
            find(e, check, DOCTOR_WARN, "give it a selector: device.driver == 'NAME'",
                 "it has no selector and so every device is of it");
        else if (driver && count_devices(e, driver) == 0)
            find(e, check, DOCTOR_FAIL, "see whether that driver runs",
                 "its driver %s publishes no device", driver);
        else
            find(e, check, DOCTOR_OK, "", "%zu devices of %s", count_devices(e, driver),
                 driver ? driver : "any driver");
    }
}

static void check_nodes(struct examination *e)
{
    const json_t *nodes = list(e, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *info = doc_get(json_array_get(nodes, i), "status", "nodeInfo", NULL);
        const char *runtime = doc_str(info, "containerRuntimeVersion", NULL);
        const char *kubelet = doc_str(info, "kubeletVersion", NULL);
        AUTO_MEM char *check =
            str_format("node %s", doc_str(json_array_get(nodes, i), "metadata", "name", NULL));
        int without = driver_runtime_without_cdi(runtime);

        if (without)
            find(e, check, without == 1 ? DOCTOR_FAIL : DOCTOR_WARN,
                 "containerd 2.0 or CRI-O 1.27, or turn CDI on in the runtime's configuration",
                 "%s %s: containers would silently lack their devices", runtime,
                 without == 1 ? "knows no CDI" : "has CDI off by default");
        if (str_eq(kubelet, "v1.34.0") || str_eq(kubelet, "v1.34.1"))
            find(e, check, DOCTOR_WARN, "upgrade the kubelet to 1.34.2",
                 "kubelet %s forgets drivers that were idle (DRA driver is not registered)",
                 kubelet);
    }
}

// --- claims and the pods that wait

static void check_claims(struct examination *e)
{
    const json_t *claims = list(e, "claims");
    size_t allocated = 0, reserved = 0;

    if (!may_read(e, "ResourceClaims", "claims"))
        return;
    for (size_t i = 0; i < json_array_size(claims); i++) {
        const json_t *status = json_object_get(json_array_get(claims, i), "status");
        allocated += json_object_get(status, "allocation") != NULL;
        reserved += json_array_size(json_object_get(status, "reservedFor")) > 0;
    }
    find(e, "ResourceClaims", DOCTOR_OK, "", "%zu in all, %zu allocated, %zu reserved",
         json_array_size(claims), allocated, reserved);
}

static const json_t *find_object(const json_t *objects, const char *namespace, const char *name)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *object = json_array_get(objects, i);
        if (str_eq(doc_str(object, "metadata", "namespace", NULL), namespace) &&
            str_eq(doc_str(object, "metadata", "name", NULL), name))
            return object;
    }
    return NULL;
}

// device.attributes["productName"].string: names of attributes are below a domain, and what is not
// there is an error at run time.
static char *lint_selector(const char *text)
{
    const char *at = text;

    while ((at = strstr(at, "device.attributes[")) != NULL) {
        const char *from = at + strlen("device.attributes[");
        const char *to = *from == '"' || *from == '\'' ? strchr(from + 1, *from) : NULL;

        at = from;
        if (!to)
            continue;
        AUTO_MEM char *name = str_ndup(from + 1, (size_t)(to - from - 1));
        if (!strchr(name, '.'))
            return str_format("its selector says device.attributes[\"%s\"], and attributes are "
                              "below the driver's name: "
                              "write device.attributes[\"DRIVER\"].%s",
                              name, name);
    }
    return NULL;
}

static const char *why_not_scheduled(const json_t *pod)
{
    const json_t *conditions = doc_get(pod, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        if (str_eq(doc_str(condition, "type", NULL), "PodScheduled") &&
            !str_eq(doc_str(condition, "status", NULL), "True"))
            return doc_str(condition, "message", NULL);
    }
    return "";
}

// What the spec of a claim asks for and cannot get; NULL: nothing that can be told from here.
static char *lint_requests(const struct examination *e, const json_t *requests)
{
    for (size_t i = 0; i < json_array_size(requests); i++) {
        const json_t *request = json_array_get(requests, i);
        const json_t *exactly =
            json_object_get(request, "exactly") ? json_object_get(request, "exactly") : request;
        const json_t *selectors = json_object_get(exactly, "selectors");
        const char *class = doc_str(exactly, "deviceClassName", NULL);

        if (*class && !has_name(list(e, "classes"), class)) {
            const json_t *configs = list(e, "configurations");
            for (size_t k = 0; k < json_array_size(configs); k++) {
                AUTO_MEM char *advice = driver_class_advice(
                    doc_get(json_array_get(configs, k), "spec", "driver", NULL), class);
                if (*advice)
                    return str_format("there is no DeviceClass %s: %s", class, advice);
            }
            return str_format("there is no DeviceClass %s: install its driver, or correct the name",
                              class);
        }
        for (size_t k = 0; k < json_array_size(selectors); k++) {
            char *said =
                lint_selector(doc_str(json_array_get(selectors, k), "cel", "expression", NULL));
            if (said)
                return said;
        }
    }
    return NULL;
}

static char *lint_claims(const struct examination *e, const json_t *pod)
{
    const json_t *uses = doc_get(pod, "spec", "resourceClaims", NULL);
    const char *namespace = doc_str(pod, "metadata", "namespace", NULL);

    for (size_t i = 0; i < json_array_size(uses); i++) {
        const json_t *use = json_array_get(uses, i);
        const char *claim = doc_str(use, "resourceClaimName", NULL),
                   *template = doc_str(use, "resourceClaimTemplateName", NULL);
        const json_t *object = *claim ? find_object(list(e, "claims"), namespace, claim)
                                      : find_object(list(e, "templates"), namespace, template);
        char *said;

        if (!object)
            return str_format("there is no %s %s in namespace %s",
                              *claim ? "ResourceClaim" : "ResourceClaimTemplate",
                              *claim ? claim : template, namespace);
        said =
            lint_requests(e, *claim ? doc_get(object, "spec", "devices", "requests", NULL)
                                    : doc_get(object, "spec", "spec", "devices", "requests", NULL));
        if (said)
            return said;
    }
    return NULL;
}

static const char *fix_for(const char *message)
{
    static const char *const rows[][2] = {
        {"untolerated taint", "give the pod a toleration of that taint"},
        {"no such key", "a selector names an attribute that a device has not; attributes are below "
                        "the driver's name: "
                        "device.attributes[\"DRIVER\"].NAME"},
        {"CEL runtime error",
         "correct the selector: quantities are compared with compareTo(quantity(\"40Gi\")) >= 0"},
        {"cannot allocate all claims",
         "no free device fits: see the selectors of the claim and what the slices publish"},
        {"resourceclaim", "see the ResourceClaim that the message names"},
        {"node affinity", "the pod's node selector or affinity fits no node"},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        if (strstr(message, rows[i][0]))
            return rows[i][1];
    return "see the events of the pod";
}

static void check_pods(struct examination *e)
{
    const json_t *pods = list(e, "pods");

    if (!may_read(e, "pods", "pods"))
        return;
    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        AUTO_MEM char *check = str_format("pod %s/%s", doc_str(pod, "metadata", "namespace", NULL),
                                          doc_str(pod, "metadata", "name", NULL));
        const char *message = why_not_scheduled(pod);
        AUTO_MEM char *said = lint_claims(e, pod);

        if (said)
            find(e, check, DOCTOR_FAIL, "correct what the detail names", "Pending: %s%s%.400s",
                 said, *message ? "; the scheduler: " : "", message);
        else if (*message)
            find(e, check, DOCTOR_FAIL, fix_for(message), "Pending: %.600s", message);
        else if (*doc_str(pod, "spec", "nodeName", NULL))
            find(e, check, DOCTOR_WARN,
                 "see its events: the driver on the node prepares the devices before it can start",
                 "on node %s and not running yet", doc_str(pod, "spec", "nodeName", NULL));
        else
            find(e, check, DOCTOR_WARN, "see whether kube-scheduler runs and its Lease is fresh",
                 "no scheduler has looked at it");
    }
}

json_t *doctor_examine(const json_t *facts)
{
    struct examination e = {facts, json_array()};
    bool served = check_api(&e);

    check_gate(&e);
    check_components(&e);
    check_agents(&e);
    check_configurations(&e);
    check_nodes(&e);
    if (served) {
        check_devices(&e);
        check_claims(&e);
        check_pods(&e);
    }
    return e.findings;
}

// SPDX-License-Identifier: Apache-2.0
// What doctor finds in the facts: the verification and troubleshooting steps that the pages about
// DRA give people, each with its verdict and what to do.
#include <string.h>

#include "doctor_internal.h"
#include "drawbridge/driver.h"
#include "drawbridge/platform.h"

static const char *const verdicts[] = {[DOCTOR_OK] = "ok",
                                       [DOCTOR_WARN] = "warning",
                                       [DOCTOR_FAIL] = "failed",
                                       [DOCTOR_UNKNOWN] = "unknown"};

const char *doctor_verdict_name(enum verdict_kind kind)
{
    return verdicts[kind];
}

void doctor_find(struct examination *e, const char *check, enum verdict_kind kind, const char *fix,
                 const char *fmt, ...)
{
    AUTO_MEM char *detail = NULL;
    va_list args;

    va_start(args, fmt);
    detail = str_vformat(fmt, args);
    va_end(args);
    json_array_append_new(e->findings, json_pack("{s:o, s:o, s:o, s:o}", "check", doc_string(check),
                                                 "verdict", doc_string(verdicts[kind]), "detail",
                                                 doc_string(detail), "fix", doc_string(fix)));
}

const json_t *doctor_list(const struct examination *e, const char *key)
{
    return json_object_get(e->facts, key);
}

bool doctor_may_read(struct examination *e, const char *check, const char *key)
{
    const char *denied = doc_str(e->facts, "denied", key, NULL);

    if (!*denied)
        return true;
    doctor_find(e, check, DOCTOR_UNKNOWN,
                "you lack the permission: ask for it, or for somebody who has it", "%s", denied);
    return false;
}

static bool has_name(const json_t *objects, const char *name)
{
    for (size_t i = 0; i < json_array_size(objects); i++)
        if (str_eq(doc_str(json_array_get(objects, i), "metadata", "name", NULL), name))
            return true;
    return false;
}

// --- drivers and devices

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
    const json_t *slices = doctor_list(e, "slices");
    size_t devices = 0;

    for (size_t i = 0; i < json_array_size(slices); i++) {
        const json_t *spec = json_object_get(json_array_get(slices, i), "spec");
        if (!driver || str_eq(doc_str(spec, "driver", NULL), driver))
            devices += json_array_size(json_object_get(spec, "devices"));
    }
    return devices;
}

// What a DRAConfiguration has another cluster get is not looked for in this one.
static const json_t *driver_here(const json_t *config)
{
    return platform_drives_here(config) ? doc_get(config, "spec", "driver", NULL) : NULL;
}

// Whether a DRAConfiguration asks for a driver, or there is none that could.
static bool wants_driver(const struct examination *e)
{
    const json_t *configs = doctor_list(e, "configurations");
    bool could = false;

    for (size_t i = 0; i < json_array_size(configs); i++) {
        const json_t *config = json_array_get(configs, i);

        if (driver_here(config))
            return true;
        could = could || platform_drives_here(config);
    }
    return !could;
}

static void check_devices(struct examination *e)
{
    enum verdict_kind none = wants_driver(e) ? DOCTOR_FAIL : DOCTOR_WARN;
    const json_t *classes = doctor_list(e, "classes");

    if (!doctor_may_read(e, "ResourceSlices", "slices"))
        return;
    if (count_devices(e, NULL) == 0)
        doctor_find(
            e, "ResourceSlices", none,
            "install a driver (spec.driver); if one is there, see the logs of its pods on the "
            "nodes",
            "no device is published");
    else
        doctor_find(e, "ResourceSlices", DOCTOR_OK, "", "%zu device%s in %zu slice%s",
                    count_devices(e, NULL), count_devices(e, NULL) == 1 ? "" : "s",
                    json_array_size(doctor_list(e, "slices")),
                    json_array_size(doctor_list(e, "slices")) == 1 ? "" : "s");
    if (json_array_size(classes) == 0)
        doctor_find(e, "DeviceClasses", none, "a driver's chart makes them; see its values",
                    "there is none");
    for (size_t i = 0; i < json_array_size(classes); i++) {
        const json_t *class = json_array_get(classes, i);
        AUTO_MEM char *driver = class_driver(class);
        AUTO_MEM char *check =
            str_format("DeviceClass %s", doc_str(class, "metadata", "name", NULL));

        if (json_array_size(doc_get(class, "spec", "selectors", NULL)) == 0)
            doctor_find(e, check, DOCTOR_WARN, "give it a selector: device.driver == 'NAME'",
                        "it has no selector and so every device is of it");
        else if (driver && count_devices(e, driver) == 0)
            doctor_find(e, check, DOCTOR_FAIL, "see whether that driver runs",
                        "its driver %s publishes no device", driver);
        else
            doctor_find(e, check, DOCTOR_OK, "", "%zu devices of %s", count_devices(e, driver),
                        driver ? driver : "any driver");
    }
}

static void check_nodes(struct examination *e)
{
    const json_t *nodes = doctor_list(e, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *info = doc_get(json_array_get(nodes, i), "status", "nodeInfo", NULL);
        const char *runtime = doc_str(info, "containerRuntimeVersion", NULL);
        const char *kubelet = doc_str(info, "kubeletVersion", NULL);
        AUTO_MEM char *check =
            str_format("node %s", doc_str(json_array_get(nodes, i), "metadata", "name", NULL));
        int without = driver_runtime_without_cdi(runtime);

        if (without)
            doctor_find(
                e, check, without == 1 ? DOCTOR_FAIL : DOCTOR_WARN,
                "containerd 2.0 or CRI-O 1.27, or turn CDI on in the runtime's configuration",
                "%s %s: containers would silently lack their devices", runtime,
                without == 1 ? "knows no CDI" : "has CDI off by default");
        if (str_eq(kubelet, "v1.34.0") || str_eq(kubelet, "v1.34.1"))
            doctor_find(e, check, DOCTOR_WARN, "upgrade the kubelet to 1.34.2",
                        "kubelet %s forgets drivers that were idle (DRA driver is not registered)",
                        kubelet);
    }
}

// --- claims and the pods that wait

static void check_claims(struct examination *e)
{
    const json_t *claims = doctor_list(e, "claims");
    size_t allocated = 0, reserved = 0;

    if (!doctor_may_read(e, "ResourceClaims", "claims"))
        return;
    for (size_t i = 0; i < json_array_size(claims); i++) {
        const json_t *status = json_object_get(json_array_get(claims, i), "status");
        allocated += json_object_get(status, "allocation") != NULL;
        reserved += json_array_size(json_object_get(status, "reservedFor")) > 0;
    }
    doctor_find(e, "ResourceClaims", DOCTOR_OK, "", "%zu in all, %zu allocated, %zu reserved",
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

        if (*class && !has_name(doctor_list(e, "classes"), class)) {
            const json_t *configs = doctor_list(e, "configurations");
            for (size_t k = 0; k < json_array_size(configs); k++) {
                AUTO_MEM char *advice =
                    driver_class_advice(driver_here(json_array_get(configs, k)), class);
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
        const json_t *object = *claim
                                   ? find_object(doctor_list(e, "claims"), namespace, claim)
                                   : find_object(doctor_list(e, "templates"), namespace, template);
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

static void tell_not_seen(struct examination *e, const char *check, const char *scheduler)
{
    bool ours = !*scheduler || str_eq(scheduler, "default-scheduler");
    AUTO_MEM char *fix =
        ours ? str_dup("see whether kube-scheduler runs and its Lease is fresh")
             : str_format("see whether its scheduler %.*s runs", TEXT_CUT(200, scheduler));

    doctor_find(e, check, DOCTOR_WARN, fix, "no scheduler has looked at it");
}

static void check_pods(struct examination *e)
{
    const json_t *pods = doctor_list(e, "pods");

    if (!doctor_may_read(e, "pods", "pods"))
        return;
    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        AUTO_MEM char *check = str_format("pod %s/%s", doc_str(pod, "metadata", "namespace", NULL),
                                          doc_str(pod, "metadata", "name", NULL));
        const char *message = why_not_scheduled(pod);
        AUTO_MEM char *said = lint_claims(e, pod);

        if (said)
            doctor_find(e, check, DOCTOR_FAIL, "correct what the detail names", "Pending: %s%s%.*s",
                        said, *message ? "; the scheduler: " : "", TEXT_CUT(400, message));
        else if (*message)
            doctor_find(e, check, DOCTOR_FAIL, fix_for(message), "Pending: %.*s",
                        TEXT_CUT(600, message));
        else if (*doc_str(pod, "spec", "nodeName", NULL))
            doctor_find(
                e, check, DOCTOR_WARN,
                "see its events: the driver on the node prepares the devices before it can start",
                "on node %s and not running yet", doc_str(pod, "spec", "nodeName", NULL));
        else
            tell_not_seen(e, check, doc_str(pod, "spec", "schedulerName", NULL));
    }
}

json_t *doctor_examine(const json_t *facts)
{
    struct examination e = {facts, json_array()};
    bool served = doctor_check_control(&e);

    check_nodes(&e);
    doctor_check_others(&e);
    if (served) {
        doctor_check_rights(&e);
        check_devices(&e);
        check_claims(&e);
        check_pods(&e);
    }
    return e.findings;
}

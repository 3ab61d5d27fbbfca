// SPDX-License-Identifier: Apache-2.0
// What is looked at before helm runs, so that what must fail is a reason and leaves nothing behind.
#include <string.h>

#include "drawbridge/gates.h"
#include "driver_internal.h"

typedef const char *check_fn(const struct driver_work *work, const struct want *want,
                             const json_t *facts, const struct release *release,
                             char **ret_message);

static const char *check_api(const struct driver_work *work, const struct want *want,
                             const json_t *facts, const struct release *release, char **ret_message)
{
    const char *oldest = doc_str(want->preset, "kubernetes", NULL);
    const char *pinned = doc_str(want->preset, "api", NULL);
    uint64_t minor = 0;

    (void)facts;
    (void)release;
    if (!driver_api_version(work->served)) {
        *ret_message =
            str_dup("The API server serves no version of resource.k8s.io; see ResourceAPIServed");
        return "APINotServed";
    }
    if (*oldest && slice_to_u64(slice_of(oldest + 2), &minor) && work->minor > 0 &&
        work->minor < minor) {
        *ret_message = str_format("The chart %s needs Kubernetes %s or newer, and this is 1.%u",
                                  want->chart, oldest, work->minor);
        return "KubernetesTooOldForDriver";
    }
    for (size_t i = 0; i < json_array_size(work->served); i++)
        if (str_eq(json_string_value(json_array_get(work->served, i)), pinned))
            return "";
    if (!*pinned)
        return "";
    *ret_message = str_format(
        "The chart %s makes its DeviceClasses in resource.k8s.io/%s, which is not served",
        want->chart, pinned);
    return "APINotServed";
}

static const char *check_namespace(const struct driver_work *work, const struct want *want,
                                   const json_t *facts, const struct release *release,
                                   char **ret_message)
{
    const json_t *namespace = json_object_get(facts, "namespace");
    const char *enforce =
        doc_str(namespace, "metadata", "labels", "pod-security.kubernetes.io/enforce", NULL);

    (void)work;
    (void)release;
    if (*doc_str(namespace, "metadata", "deletionTimestamp", NULL)) {
        *ret_message = str_format(
            "Namespace %s is being deleted; wait, or set spec.driver.namespace", want->namespace);
        return "NamespaceNotPrivileged";
    }
    if (!str_eq(enforce, "baseline") && !str_eq(enforce, "restricted"))
        return "";
    *ret_message = str_format(
        "Namespace %s enforces pod security %s, and the driver's pods are privileged; label it "
        "pod-security.kubernetes.io/enforce=privileged, or set spec.driver.namespace",
        want->namespace, enforce);
    return "NamespaceNotPrivileged";
}

static const char *check_rights(const struct driver_work *work, const struct want *want,
                                const json_t *facts, const struct release *release,
                                char **ret_message)
{
    const char *denied = doc_str(facts, "denied", "secrets", NULL);

    (void)work;
    (void)release;
    if (!*denied)
        return "";
    *ret_message = str_format(
        "The releases in namespace %s cannot be read%s%s: %s%s", want->namespace,
        want->user ? " as " : "", want->user ? want->user : "", denied,
        want->user ? "" : "; set spec.driver.serviceAccountName to an account that may install");
    return "DriverForbidden";
}

static const char *check_release(const struct driver_work *work, const struct want *want,
                                 const json_t *facts, const struct release *release,
                                 char **ret_message)
{
    (void)work;
    (void)facts;
    if (release->state == RELEASE_ABSENT || str_eq(release->owner, want->owner_label))
        return "";
    *ret_message = str_format(
        "There is a release %s in namespace %s already that %s; set engine External to leave it "
        "as it is, or another release and namespace",
        want->release, want->namespace,
        *release->owner ? "another DRAConfiguration installed" : "somebody else installed");
    return "DriverOwnedElsewhere";
}

// Who a DeviceClass says it belongs to; NULL: this release.
static char *class_owner(const json_t *class, const struct want *want)
{
    const char *release = doc_str(class, "annotations", "meta.helm.sh/release-name", NULL);
    const char *namespace = doc_str(class, "annotations", "meta.helm.sh/release-namespace", NULL);
    const char *flux = doc_str(class, "labels", "helm.toolkit.fluxcd.io/name", NULL);

    if (*flux && want->engine == ENGINE_HELM_RELEASE && str_eq(flux, want->release) &&
        str_eq(doc_str(class, "labels", "helm.toolkit.fluxcd.io/namespace", NULL),
               want->config_namespace))
        return NULL;
    if (*flux)
        return str_format("Flux's HelmRelease %s/%s",
                          doc_str(class, "labels", "helm.toolkit.fluxcd.io/namespace", NULL), flux);
    if (str_eq(release, want->release) && str_eq(namespace, want->namespace))
        return NULL;
    if (*release)
        return str_format("the Helm release %s in namespace %s", release, namespace);
    return str_dup("somebody who does not use Helm");
}

static const char *check_classes(const struct driver_work *work, const struct want *want,
                                 const json_t *facts, const struct release *release,
                                 char **ret_message)
{
    AUTO_JSON json_t *names = driver_preset_list(want->preset, "classes", want->values);
    const json_t *classes = driver_items(facts, "classes");

    (void)work;
    (void)release;
    for (size_t i = 0; i < json_array_size(classes); i++) {
        const json_t *class = json_array_get(classes, i);
        AUTO_MEM char *owner = NULL;

        for (size_t k = 0; k < json_array_size(names) && !owner; k++)
            if (str_eq(json_string_value(json_array_get(names, k)), doc_str(class, "name", NULL)))
                owner = class_owner(class, want);
        if (!owner)
            continue;
        *ret_message = str_format(
            "DeviceClass %s belongs to %s: one driver has one owner; remove one of the two, or "
            "set engine External",
            doc_str(class, "name", NULL), owner);
        return "DriverOwnedElsewhere";
    }
    return "";
}

// Whether somebody's resource gives the devices away: always, or as one of its fields says.
static bool owns_devices(const json_t *operator, const json_t * resource)
{
    const json_t *when = json_object_get(operator, "when");

    for (size_t i = 0; i < json_array_size(when); i++) {
        const json_t *field = json_array_get(when, i);
        const json_t *value = doc_pointer(resource, doc_str(field, "field", NULL));

        if (value ? json_is_true(value) : doc_bool(field, false, "default", NULL))
            return true;
    }
    return json_array_size(when) == 0;
}

static const json_t *find_owner(const json_t *operator, const json_t * answer)
{
    const json_t *items = json_object_get(answer, "items");

    for (size_t i = 0; i < json_array_size(items); i++)
        if (owns_devices(operator, json_array_get(items, i)))
            return json_array_get(items, i);
    return NULL;
}

// Items of a list may not say what they are; the list does.
static char *kind_of(const json_t *answer, const json_t *item)
{
    const char *kind = doc_str(item, "kind", NULL), *list = doc_str(answer, "kind", NULL);

    if (*kind)
        return str_dup(kind);
    return str_ends(list, "List") ? str_ndup(list, strlen(list) - strlen("List"))
                                  : str_dup("resource");
}

static const char *check_operators(const struct driver_work *work, const struct want *want,
                                   const json_t *facts, const struct release *release,
                                   char **ret_message)
{
    const json_t *operators = json_object_get(want->preset, "operators");

    (void)work;
    (void)release;
    for (size_t i = 0; i < json_array_size(operators); i++) {
        AUTO_MEM char *key = str_format("operator%zu", i);
        const json_t *answer = json_object_get(facts, key);
        const json_t *owner = find_owner(json_array_get(operators, i), answer);
        AUTO_MEM char *kind = owner ? kind_of(answer, owner) : NULL;

        if (!owner)
            continue;
        *ret_message = str_format(
            "The vendor's operator owns the devices of these nodes, as its %s %s says; turn its "
            "driver and device plugin off there, or set engine External",
            kind, doc_str(owner, "metadata", "name", NULL));
        return "DriverOwnedElsewhere";
    }
    return "";
}

// The value of a flag whose word this is, given with it or as the next word; NULL: another flag.
static const char *value_of(const json_t *words, size_t i, const char *flag)
{
    const char *word = json_string_value(json_array_get(words, i));
    size_t len = strlen(flag);

    if (!word || !str_starts(word, flag))
        return NULL;
    if (word[len] == '=')
        return word + len + 1;
    return word[len] ? NULL : json_string_value(json_array_get(words, i + 1));
}

// "--controllers=*,-resourceclaim-controller" turns off who makes claims from templates. As
// kube-controller-manager reads it: all of these flags are one list, and the first that names it
// counts.
char *driver_claim_controller_off(const json_t *words)
{
    static const char *const names[] = {"resourceclaim-controller", "resource-claim-controller"};
    AUTO_BUF struct buf all = buf_make(4096);
    bool star = false;

    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *value = value_of(words, i, "--controllers");
        if (value)
            buf_printf(&all, "%s%s", all.len ? "," : "", value);
    }
    struct slice rest = buf_slice(&all), part;
    while (all.len && slice_cut(&rest, ',', &part)) {
        bool minus = slice_starts(part, "-");
        struct slice name = minus ? slice_sub(part, 1, part.len) : part;

        star = star || slice_eq(part, "*");
        for (size_t k = 0; k < COUNT(names); k++)
            if (slice_eq(name, names[k]))
                return minus ? buf_take(&all) : NULL;
    }
    return all.len && !star ? buf_take(&all) : NULL;
}

static bool is_control_plane(const json_t *facts, const char *name)
{
    const json_t *nodes = driver_items(facts, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);

        if (str_eq(doc_str(node, "name", NULL), name))
            return kube_is_control_plane(json_object_get(node, "labels"));
    }
    return false;
}

static const char *check_controllers(const struct driver_work *work, const struct want *want,
                                     const json_t *facts, const struct release *release,
                                     char **ret_message)
{
    const json_t *pods = driver_items(facts, "controllers");

    (void)work;
    (void)want;
    (void)release;
    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        AUTO_MEM char *list = driver_claim_controller_off(json_object_get(pod, "words"));

        if (!list || !is_control_plane(facts, doc_str(pod, "node", NULL)))
            continue;
        *ret_message = str_format(
            "kube-controller-manager runs with --controllers=%.*s: nobody makes claims from "
            "templates or frees them; take resourceclaim-controller back in",
            TEXT_CUT(200, list));
        return "ClaimControllerOff";
    }
    return "";
}

static const char *check_scheduler(const struct driver_work *work, const struct want *want,
                                   const json_t *facts, const struct release *release,
                                   char **ret_message)
{
    const json_t *agents = driver_items(facts, "agents");

    (void)work;
    (void)want;
    (void)release;
    for (size_t i = 0; i < json_array_size(agents); i++) {
        const json_t *agent = json_array_get(agents, i);
        const char *what = doc_str(agent, "excludesDRA", NULL);

        if (!*what || !is_control_plane(facts, doc_str(agent, "name", NULL)))
            continue;
        *ret_message = str_format("kube-scheduler on %s would bind pods without their devices: "
                                  "%.*s; take it back in there and restart the scheduler",
                                  doc_str(agent, "name", NULL), TEXT_CUT(600, what));
        return "SchedulerPluginOff";
    }
    return "";
}

// Whether containers of this runtime would lack their devices: 1 for certain, 2 by default.
int driver_runtime_without_cdi(const char *runtime)
{
    struct slice rest, major, minor;
    uint64_t a = 0, b = 0;
    bool containerd = str_starts(runtime, "containerd://"), crio = str_starts(runtime, "cri-o://");

    if (!containerd && !crio)
        return 0;
    rest = slice_of(strstr(runtime, "://") + 3);
    if (rest.len > 0 && rest.ptr[0] == 'v')
        rest = slice_sub(rest, 1, rest.len);
    if (!slice_cut(&rest, '.', &major) || !slice_cut(&rest, '.', &minor) ||
        !slice_to_u64(major, &a) || !slice_to_u64(minor, &b))
        return 0;
    if (containerd)
        return a >= 2 ? 0 : a == 1 && b >= 7 ? 2 : 1;
    return a > 1 || b >= 27 ? 0 : b >= 23 ? 2 : 1;
}

static bool is_chosen(const json_t *node, const json_t *labels)
{
    for (size_t i = 0; i < json_array_size(labels); i++) {
        struct slice value = slice_of(json_string_value(json_array_get(labels, i))), part;
        AUTO_MEM char *name = slice_cut(&value, '=', &part) ? slice_dup(part) : NULL;
        const json_t *held = doc_get(node, "labels", name, NULL);

        if (held && (!value.ptr || slice_eq(value, json_string_value(held))))
            return true;
    }
    return json_array_size(labels) == 0;
}

// Nodes that the driver is for and whose runtime is so; the first one's name.
static size_t count_without_cdi(const struct want *want, const json_t *facts, int how,
                                size_t *ret_all, const json_t **ret_first)
{
    const json_t *nodes = driver_items(facts, "nodes");
    size_t len = 0;

    *ret_all = 0;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);

        if (!is_chosen(node, json_object_get(want->preset, "nodeLabels")))
            continue;
        ++*ret_all;
        if (driver_runtime_without_cdi(doc_str(node, "runtime", NULL)) != how)
            continue;
        if (len++ == 0)
            *ret_first = node;
    }
    return len;
}

static const char *check_cdi(const struct driver_work *work, const struct want *want,
                             const json_t *facts, const struct release *release, char **ret_message)
{
    const json_t *first = NULL;
    size_t all, len = count_without_cdi(want, facts, 1, &all, &first);

    (void)work;
    (void)release;
    if (len == 0 || len < all) // the others get their devices: see the notes
        return "";
    *ret_message = str_format(
        "%s runs %s, which knows no CDI: containers would silently lack their devices; upgrade "
        "to containerd 2.0 or CRI-O 1.27",
        doc_str(first, "name", NULL), doc_str(first, "runtime", NULL));
    return "CDINotSupported";
}

const char *driver_preflight(const struct driver_work *work, const struct want *want,
                             const json_t *facts, const struct release *release, char **ret_message)
{
    static check_fn *const checks[] = {check_api,         check_rights,    check_namespace,
                                       check_release,     check_operators, check_classes,
                                       check_controllers, check_scheduler, check_cdi};

    for (size_t i = 0; i < COUNT(checks); i++) {
        const char *reason = checks[i](work, want, facts, release, ret_message);
        if (*reason)
            return reason;
    }
    return "";
}

static char *note_cdi(const struct want *want, const json_t *facts)
{
    const json_t *first = NULL;
    size_t all, len = count_without_cdi(want, facts, 2, &all, &first);

    if (len == 0)
        len = count_without_cdi(want, facts, 1, &all, &first);
    if (len == 0)
        return str_dup("");
    return str_format("; %zu of %zu nodes have a container runtime with CDI off by default (%s: "
                      "%s): see that it is "
                      "turned on there, containers would silently lack their devices",
                      len, all, doc_str(first, "name", NULL), doc_str(first, "runtime", NULL));
}

// The same devices counted twice: a device plugin gives them away too. The preset sets the chart's
// own waiver for this.
static char *note_device_plugin(const struct want *want, const json_t *facts)
{
    const char *resource = doc_str(want->preset, "resource", NULL);
    const json_t *nodes = driver_items(facts, "nodes"), *first = NULL;
    size_t len = 0;

    for (size_t i = 0; i < json_array_size(nodes) && *resource; i++) {
        const char *count = doc_str(json_array_get(nodes, i), "allocatable", resource, NULL);
        if (*count && !str_eq(count, "0") && len++ == 0)
            first = json_array_get(nodes, i);
    }
    if (len == 0)
        return str_dup("");
    return str_format("; a device plugin gives %s away on %zu nodes too (%s): one device may be "
                      "given twice, let one of the two have "
                      "a node",
                      resource, len, doc_str(first, "name", NULL));
}

static bool names_feature(const struct driver_work *work, const char *name)
{
    const json_t *list = doc_get(work->object, "spec", "features", NULL);

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_eq(json_string_value(json_array_get(list, i)), name))
            return true;
    }
    return false;
}

// Whether spec.featureGates turns on by hand what the feature takes; *alpha: one of these is.
static bool has_gates(const struct driver_work *work, const struct feature *feature, bool *alpha)
{
    bool all = true;

    for (size_t i = 0; feature->gates[i]; i++) {
        struct version minor = {1, (int)work->minor, 0};
        struct gate gate = {0};

        if (gates_find(gates_table_builtin(), feature->gates[i], minor, &gate))
            *alpha = *alpha || gate.stage == STAGE_ALPHA;
        all = all && doc_bool(work->object, false, "spec", "featureGates", feature->gates[i], NULL);
    }
    return all;
}

// One feature that the driver needs: "" when it is there. Where the version does not have it yet
// there is no line to add.
static char *note_feature(const struct driver_work *work, const char *name)
{
    const struct gates_table *table = gates_table_builtin();
    struct version minor = {1, (int)work->minor, 0}, since = {0};
    struct feature feature;
    bool alpha = false;

    if (gates_feature_default_since(table, name, &since) &&
        version_compare_minor(minor, since) >= 0)
        return str_dup("");
    if (!gates_feature_find(table, name, minor, &feature)) {
        bool known = gates_feature_since(table, name, &since);
        AUTO_MEM char *first = version_format_minor(since);
        return str_format("; the driver needs the feature %s, which Kubernetes has from %s on",
                          name, known ? first : "a later version");
    }
    if (names_feature(work, name) || has_gates(work, &feature, &alpha))
        return str_dup("");
    return str_format("; the driver needs the feature %s, which is off by default in Kubernetes "
                      "1.%u: add it to the spec, \"features: [%s]\"%s",
                      name, work->minor, name, alpha ? " with \"allowAlpha: true\"" : "");
}

static char *note_features(const struct driver_work *work, const struct want *want)
{
    const json_t *needs = doc_get(want->preset, "features", "needs", NULL);
    AUTO_BUF struct buf text = buf_make(4096);

    for (size_t i = 0; work->minor > 0 && i < json_array_size(needs); i++) {
        AUTO_MEM char *note = note_feature(work, json_string_value(json_array_get(needs, i)));
        buf_add_str(&text, note);
    }
    return buf_take(&text);
}

char *driver_preflight_notes(const struct driver_work *work, const struct want *want,
                             const json_t *facts)
{
    AUTO_MEM char *cdi = note_cdi(want, facts);
    AUTO_MEM char *plugin = note_device_plugin(want, facts);
    AUTO_MEM char *features = note_features(work, want);

    return str_format("%s%s%s", features, cdi, plugin);
}

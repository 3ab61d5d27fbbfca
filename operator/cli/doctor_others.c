// SPDX-License-Identifier: Apache-2.0
// What people run beside DRA and does not go with it, each by what its objects say: autoscalers
// that do not see claims, a device plugin that gives the same devices away, both resources of
// NVIDIA's operator, schedulers that leave claims alone.
#include <string.h>

#include "doctor_internal.h"
#include "drawbridge/driver.h"
#include "drawbridge/gates.h"

#define NAMED_MAX 5 // nodes or pods that a finding names
#define AUTOSCALER_FLAG "--enable-dynamic-resource-allocation"
#define VOLCANO_SWITCH "predicate.DynamicResourceAllocationEnable"
#define GATE "DynamicResourceAllocation"

// jansson's loops want a tree that may be written; these write none.
static json_t *iterable(const json_t *tree)
{
    return (json_t *)(uintptr_t)tree;
}

// --- what is what

static const json_t *containers_of(const json_t *workload)
{
    return doc_get(workload, "spec", "template", "spec", "containers", NULL);
}

static bool image_has(const json_t *workload, const char *part)
{
    const json_t *containers = containers_of(workload);

    for (size_t i = 0; i < json_array_size(containers); i++)
        if (strstr(doc_str(json_array_get(containers, i), "image", NULL), part))
            return true;
    return false;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

// The container that is a cluster-autoscaler, by its program or its image.
static const json_t *autoscaler_of(const json_t *workload, size_t *ret_index)
{
    const json_t *containers = containers_of(workload);

    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        const char *image = base_of(doc_str(container, "image", NULL));

        *ret_index = i;
        if (str_eq(base_of(doc_str(container, "command", "0", NULL)), "cluster-autoscaler") ||
            str_eq(base_of(doc_str(container, "args", "0", NULL)), "cluster-autoscaler") ||
            (str_starts(image, "cluster-autoscaler") && image[strlen("cluster-autoscaler")] != '-'))
            return container;
    }
    return NULL;
}

// Whether the kubelet finds it by its socket.
static bool is_plugin(const json_t *workload)
{
    const json_t *volumes = doc_get(workload, "spec", "template", "spec", "volumes", NULL);

    for (size_t i = 0; i < json_array_size(volumes); i++) {
        const char *path = doc_str(json_array_get(volumes, i), "hostPath", "path", NULL);

        if (strstr(path, "plugins_registry") || strstr(path, "/kubelet/plugins"))
            return true;
    }
    return false;
}

enum doctor_role doctor_role(const json_t *workload)
{
    const char *name = doc_str(workload, "metadata", "name", NULL);
    size_t index;

    if (autoscaler_of(workload, &index))
        return DOCTOR_CLUSTER_AUTOSCALER;
    if (image_has(workload, "karpenter"))
        return DOCTOR_KARPENTER;
    if (image_has(workload, "scheduler") || strstr(name, "scheduler"))
        return DOCTOR_SCHEDULER;
    return is_plugin(workload) ? DOCTOR_PLUGIN : DOCTOR_NO_ROLE;
}

json_t *doctor_keep_workload(const json_t *item)
{
    static const char *const fields[] = {"name", "image", "command", "args", "env"};
    static const char *const parts[] = {"volumes", "tolerations", "nodeSelector"};
    const json_t *containers = containers_of(item);
    json_t *kept, *list;

    if (doctor_role(item) == DOCTOR_NO_ROLE)
        return NULL;
    kept = json_object();
    list = json_array();
    doc_set(kept, doc_string(doc_str(item, "metadata", "namespace", NULL)), "metadata", "namespace",
            NULL);
    doc_set(kept, doc_string(doc_str(item, "metadata", "name", NULL)), "metadata", "name", NULL);
    for (size_t i = 0; i < json_array_size(containers); i++) {
        json_t *container = json_object();

        for (size_t k = 0; k < COUNT(fields); k++)
            if (json_object_get(json_array_get(containers, i), fields[k]))
                json_object_set_new(
                    container, fields[k],
                    doc_copy(json_object_get(json_array_get(containers, i), fields[k])));
        json_array_append_new(list, container);
    }
    doc_set(kept, list, "spec", "template", "spec", "containers", NULL);
    doc_set(kept, doc_string(doc_str(item, "spec", "template", "spec", "serviceAccountName", NULL)),
            "spec", "template", "spec", "serviceAccountName", NULL);
    for (size_t i = 0; i < COUNT(parts); i++) {
        const json_t *part = doc_get(item, "spec", "template", "spec", parts[i], NULL);

        if (part)
            doc_set(kept, doc_copy(part), "spec", "template", "spec", parts[i], NULL);
    }
    return kept;
}

bool doctor_image_version(const char *image, struct version *ret_version)
{
    const char *at = strchr(image, '@');
    AUTO_MEM char *plain = str_ndup(image, at ? (size_t)(at - image) : strlen(image));
    const char *tag = strrchr(base_of(plain), ':');

    return tag && version_parse(tag + 1, ret_version);
}

bool doctor_in_use(const struct examination *e)
{
    return json_array_size(doctor_list(e, "slices")) > 0 ||
           json_array_size(doctor_list(e, "claims")) > 0;
}

// --- cluster-autoscaler

// Where a flag is among words: "--flag", "-flag" or with "=value". *ret_value: "true" where it has
// none.
static bool find_flag(const json_t *words, const char *flag, size_t *ret_index,
                      const char **ret_value)
{
    bool found = false;

    for (size_t i = 0; i < json_array_size(words); i++) { // the last one counts
        const char *word = doc_str(json_array_get(words, i), NULL);
        size_t skip = str_starts(word, "--") ? 0 : 1;

        if (!str_starts(word, flag + skip) || *word != '-')
            continue;
        word += strlen(flag + skip);
        if (*word && *word != '=')
            continue;
        *ret_value = *word ? word + 1 : "true";
        *ret_index = i;
        found = true;
    }
    return found;
}

static bool is_true(const char *value)
{
    return str_eq(value, "true") || str_eq(value, "1") || str_eq(value, "t") ||
           str_eq(value, "True") || str_eq(value, "TRUE") || str_eq(value, "T");
}

static bool is_served(const struct examination *e, const char *version)
{
    const json_t *served = doctor_list(e, "served");

    for (size_t i = 0; i < json_array_size(served); i++)
        if (str_eq(json_string_value(json_array_get(served, i)), version))
            return true;
    return false;
}

// As its scheduler code does: of 1.34 and newer whatever its flags say, before only with DRA on.
static bool find_missing_api(struct examination *e, const char *check, const json_t *container,
                             const char *where, bool on)
{
    struct version own = {0}, server = {0};
    const char *asks;

    if (!doctor_image_version(doc_str(container, "image", NULL), &own) ||
        !version_parse(doc_str(e->facts, "server", NULL), &server) ||
        version_compare_minor(own, server) <= 0 || !doctor_list(e, "served") ||
        *doc_str(e->facts, "denied", "group", NULL))
        return false;
    asks = doc_str(gates_api(gates_table_builtin(), "resource.k8s.io", own), "clients", NULL);
    if (!*asks || is_served(e, asks) || (own.minor < 34 && !on))
        return false;
    AUTO_MEM char *fix = str_format(
        "use the minor of the cluster: kubectl set image %s %s=REPOSITORY/cluster-autoscaler:"
        "v1.%d.PATCH",
        where, doc_str(container, "name", NULL), server.minor);
    doctor_find(e, check, DOCTOR_FAIL, fix,
                "its 1.%d waits for resource.k8s.io/%s, which this 1.%d does not serve: it adds no "
                "node for any pod",
                own.minor, asks, server.minor);
    return true;
}

static void check_autoscaler(struct examination *e, const json_t *workload)
{
    size_t index = 0, at = 0;
    const json_t *container = autoscaler_of(workload, &index);
    const char *namespace = doc_str(workload, "metadata", "namespace", NULL),
               *name = doc_str(workload, "metadata", "name", NULL), *value = "false";
    const char *list = json_array_size(json_object_get(container, "args")) ? "args" : "command";
    bool found = find_flag(json_object_get(container, "args"), AUTOSCALER_FLAG, &at, &value);
    AUTO_MEM char *check = str_format("cluster-autoscaler %s/%s", namespace, name);
    AUTO_MEM char *where = str_format("-n %s deployment/%s", namespace, name);

    if (!found && find_flag(json_object_get(container, "command"), AUTOSCALER_FLAG, &at, &value)) {
        found = true;
        list = "command";
    }
    if (find_missing_api(e, check, container, where, is_true(value)) || !doctor_in_use(e))
        return;
    if (is_true(value)) {
        doctor_find(e, check, DOCTOR_OK, "", "it has " AUTOSCALER_FLAG);
        return;
    }
    AUTO_MEM char *place = found ? str_format("%zu", at) : str_dup("-");
    bool bare = json_array_size(json_object_get(container, list)) == 0; // its image has the rest
    AUTO_MEM char *fix =
        bare ? str_format("give its container the argument " AUTOSCALER_FLAG
                          "=true: kubectl edit %s",
                          where)
             : str_format("kubectl patch %s --type=json -p '[{\"op\":\"%s\",\"path\":"
                          "\"/spec/template/spec/containers/%zu/%s/%s\",\"value\":"
                          "\"" AUTOSCALER_FLAG "=true\"}]'",
                          where, found ? "replace" : "add", index, list, place);
    doctor_find(e, check, DOCTOR_WARN, fix,
                "without " AUTOSCALER_FLAG
                "=true it adds no node for a pod that waits for a device");
}

// --- Karpenter

static void check_karpenter(struct examination *e, const json_t *workload)
{
    const json_t *containers = containers_of(workload);
    const char *namespace = doc_str(workload, "metadata", "namespace", NULL),
               *name = doc_str(workload, "metadata", "name", NULL), *value = "";
    AUTO_MEM char *check = str_format("Karpenter %s/%s", namespace, name);
    AUTO_MEM char *fix = str_format(
        "kubectl set env -n %s deployment/%s IGNORE_DRA_REQUESTS=false, and in the values of its "
        "chart",
        namespace, name);
    size_t at = 0;

    if (!doctor_in_use(e))
        return;
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        const json_t *env = json_object_get(container, "env");

        for (size_t k = 0; k < json_array_size(env); k++) {
            const json_t *variable = json_array_get(env, k);

            if (!str_eq(doc_str(variable, "name", NULL), "IGNORE_DRA_REQUESTS"))
                continue;
            if (json_object_get(variable, "valueFrom")) {
                doctor_find(e, check, DOCTOR_UNKNOWN, fix,
                            "IGNORE_DRA_REQUESTS comes from an object that is not looked at");
                return;
            }
            value = doc_str(variable, "value", NULL);
        }
        (void)find_flag(json_object_get(container, "args"), "--ignore-dra-requests", &at, &value);
    }
    if (*value && !is_true(value))
        doctor_find(e, check, DOCTOR_OK, "", "it counts claims: IGNORE_DRA_REQUESTS is %.*s",
                    TEXT_CUT(20, value));
    else
        doctor_find(e, check, DOCTOR_WARN, fix,
                    "IGNORE_DRA_REQUESTS is %s: it adds no node for the devices that a pod claims",
                    *value ? "true" : "not set, which is true");
}

static void check_autoscalers(struct examination *e)
{
    const json_t *workloads = doctor_list(e, "deployments");

    if (!doctor_may_read(e, "cluster-autoscaler and Karpenter", "deployments"))
        return;
    for (size_t i = 0; i < json_array_size(workloads); i++) {
        const json_t *workload = json_array_get(workloads, i);

        if (doctor_role(workload) == DOCTOR_CLUSTER_AUTOSCALER)
            check_autoscaler(e, workload);
        if (doctor_role(workload) == DOCTOR_KARPENTER)
            check_karpenter(e, workload);
    }
}

// --- NVIDIA's operator

static void check_nvidia(struct examination *e)
{
    const json_t *policies = doctor_list(e, "clusterpolicies"),
                 *clusters = doctor_list(e, "gpuclusters");
    const char *policy = doc_str(policies, "0", "metadata", "name", NULL);
    const char *check = "GPUCluster and ClusterPolicy";

    if (!doctor_may_read(e, check, "gpuclusters") || !doctor_may_read(e, check, "clusterpolicies"))
        return;
    if (json_array_size(policies) == 0 || json_array_size(clusters) == 0)
        return;
    AUTO_MEM char *fix = str_format(
        "keep one; for DRA that is the GPUCluster: kubectl delete clusterpolicies.nvidia.com %s",
        policy);
    doctor_find(e, check, DOCTOR_WARN, fix,
                "NVIDIA's operator is for one of them, and there are both: GPUCluster %s and "
                "ClusterPolicy %s",
                doc_str(clusters, "0", "metadata", "name", NULL), policy);
}

// --- a device plugin beside a driver

// At most NAMED_MAX of these texts, and how many more.
static char *name_some(const json_t *names)
{
    AUTO_BUF struct buf text = buf_make(NAMED_MAX * 600);

    for (size_t i = 0; i < json_array_size(names) && i < NAMED_MAX; i++)
        buf_printf(&text, "%s%.*s", i ? ", " : "",
                   TEXT_CUT(520, json_string_value(json_array_get(names, i))));
    if (json_array_size(names) > NAMED_MAX)
        buf_printf(&text, " and %zu more", json_array_size(names) - NAMED_MAX);
    return buf_take(&text);
}

static void add_name(json_t *table, const char *key, const char *name)
{
    json_t *names = json_object_get(table, key);

    if (!names)
        json_object_set_new(table, key, names = json_array());
    json_array_append_new(names, doc_string(name));
}

static void tell_both(struct examination *e, const char *driver, const json_t *names)
{
    const char *resource = driver_resource(driver);
    AUTO_MEM char *check = str_format("device plugin beside %s", driver);
    AUTO_MEM char *nodes = name_some(names);
    AUTO_MEM char *fix =
        str_eq(resource, "nvidia.com/gpu")
            ? str_format("let one of the two have a node; with NVIDIA's operator: kubectl label "
                         "node %s nvidia.com/gpu.deploy.device-plugin=false --overwrite",
                         json_string_value(json_array_get(names, 0)))
            : str_format("let one of the two have a node: keep the DaemonSet of the device plugin "
                         "off it (kubectl get daemonsets -A)");

    doctor_find(e, check, DOCTOR_FAIL, fix,
                "a device plugin gives %s away on %zu node%s where %s publishes the same devices: "
                "%s; one device may be given twice",
                resource, json_array_size(names), json_array_size(names) == 1 ? "" : "s", driver,
                nodes);
}

static void check_device_plugins(struct examination *e)
{
    const json_t *slices = doctor_list(e, "slices"), *nodes = doctor_list(e, "nodes");
    AUTO_JSON json_t *drivers = json_object(); // by node: {driver: true}
    AUTO_JSON json_t *both = json_object();    // by driver: names of nodes
    const char *driver;
    json_t *value;

    for (size_t i = 0; i < json_array_size(slices); i++) {
        const json_t *spec = json_object_get(json_array_get(slices, i), "spec");
        const char *name = doc_str(spec, "driver", NULL), *node = doc_str(spec, "nodeName", NULL);

        if (*node && *driver_resource(name) && json_array_size(json_object_get(spec, "devices")))
            doc_set(drivers, json_true(), node, name, NULL);
    }
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *name = doc_str(node, "metadata", "name", NULL);

        json_object_foreach(iterable(json_object_get(drivers, name)), driver, value) {
            const char *count =
                doc_str(node, "status", "allocatable", driver_resource(driver), NULL);

            if (*count && !str_eq(count, "0"))
                add_name(both, driver, name);
        }
    }
    json_object_foreach(both, driver, value)
        tell_both(e, driver, value);
}

// --- pods of other schedulers

// What a Volcano's configuration says of DRA: 1 on, 0 off, -1 nothing.
static int volcano_says(const json_t *map)
{
    const char *key;
    json_t *text;
    int says = -1;

    json_object_foreach(iterable(json_object_get(map, "data")), key, text) {
        AUTO_JSON json_t *tree = NULL;
        AUTO(error) struct error *err =
            doc_parse_yaml(slice_of(doc_str(text, NULL)), key, &tree); // then it says nothing
        const json_t *tiers = json_object_get(tree, "tiers");

        for (size_t i = 0; i < json_array_size(tiers); i++) {
            const json_t *plugins = json_object_get(json_array_get(tiers, i), "plugins");

            for (size_t k = 0; k < json_array_size(plugins); k++) {
                const json_t *value =
                    doc_get(json_array_get(plugins, k), "arguments", VOLCANO_SWITCH, NULL);

                if (json_is_boolean(value))
                    says = json_is_true(value);
                else if (json_is_string(value))
                    says = is_true(json_string_value(value));
            }
        }
    }
    return says;
}

// The Deployment whose image has this part.
static const json_t *find_deployment(const struct examination *e, const char *part)
{
    const json_t *workloads = doctor_list(e, "deployments");

    for (size_t i = 0; i < json_array_size(workloads); i++)
        if (image_has(json_array_get(workloads, i), part))
            return json_array_get(workloads, i);
    return NULL;
}

// Why Volcano leaves claims alone, with what to do in *ret_fix; NULL: it says that it does not.
static char *volcano_off(struct examination *e, char **ret_fix)
{
    const json_t *map = json_array_get(doctor_list(e, "volcano"), 0);
    const json_t *workload = find_deployment(e, "vc-scheduler");
    struct version version = {0};
    int says = volcano_says(map);

    (void)doctor_image_version(
        doc_str(workload, "spec", "template", "spec", "containers", "0", "image", NULL), &version);
    if (!map || says == 1 || (says < 0 && (!version.major || version.minor >= 15)))
        return NULL;
    *ret_fix = str_format("set " VOLCANO_SWITCH ": true in the arguments of its plugin predicates: "
                          "kubectl edit configmap -n %s %s",
                          doc_str(map, "metadata", "namespace", NULL),
                          doc_str(map, "metadata", "name", NULL));
    return says == 0 ? str_dup(VOLCANO_SWITCH " is false")
                     : str_format(VOLCANO_SWITCH " is not set, and off in Volcano %d.%d",
                                  version.major, version.minor);
}

static char *kai_off(const struct examination *e, char **ret_fix)
{
    const json_t *workloads = doctor_list(e, "deployments");

    for (size_t i = 0; i < json_array_size(workloads); i++) {
        const json_t *workload = json_array_get(workloads, i);
        const json_t *args = doc_get(containers_of(workload), "0", "args", NULL);

        if (!image_has(workload, "kai-scheduler"))
            continue;
        for (size_t k = 0; k < json_array_size(args); k++)
            if (strstr(doc_str(json_array_get(args, k), NULL), GATE "=false")) {
                *ret_fix = str_format("take " GATE "=false out of its arguments: kubectl edit "
                                      "deployment -n %s %s",
                                      doc_str(workload, "metadata", "namespace", NULL),
                                      doc_str(workload, "metadata", "name", NULL));
                return str_dup("its --feature-gates have " GATE "=false");
            }
    }
    return NULL;
}

static void tell_scheduler(struct examination *e, const char *name, const json_t *names)
{
    AUTO_MEM char *check = str_format("scheduler %s", name);
    AUTO_MEM char *pods = name_some(names);
    AUTO_MEM char *fix = NULL;
    AUTO_MEM char *why = NULL;

    if (str_eq(name, "volcano")) {
        if (!doctor_may_read(e, check, "volcano"))
            return;
        why = volcano_off(e, &fix);
    } else if (strstr(name, "kai")) {
        why = kai_off(e, &fix);
    }
    if (!fix)
        fix = str_format("see whether it knows DRA, and what it says of one: kubectl describe pod "
                         "-n NAMESPACE NAME");
    doctor_find(e, check, DOCTOR_WARN, fix, "%s%s%zu pod%s with claims wait%s for it: %s",
                why ? why : "", why ? "; " : "", json_array_size(names),
                json_array_size(names) == 1 ? "" : "s", json_array_size(names) == 1 ? "s" : "",
                pods);
}

static void check_schedulers(struct examination *e)
{
    const json_t *pods = doctor_list(e, "pods");
    AUTO_JSON json_t *waiting = json_object(); // by scheduler
    const char *name;
    json_t *names;

    for (size_t i = 0; i < json_array_size(pods); i++) {
        const json_t *pod = json_array_get(pods, i);
        const char *scheduler = doc_str(pod, "spec", "schedulerName", NULL);
        AUTO_MEM char *key = str_format("%s/%s", doc_str(pod, "metadata", "namespace", NULL),
                                        doc_str(pod, "metadata", "name", NULL));

        if (*scheduler && !str_eq(scheduler, "default-scheduler") &&
            !*doc_str(pod, "spec", "nodeName", NULL))
            add_name(waiting, scheduler, key);
    }
    json_object_foreach(waiting, name, names)
        tell_scheduler(e, name, names);
}

void doctor_check_others(struct examination *e)
{
    const char *key;
    json_t *max;

    json_object_foreach(iterable(doctor_list(e, "capped")), key, max)
        doctor_find(e, key, DOCTOR_UNKNOWN, "", "there are more than the %d that were looked at",
                    (int)json_integer_value(max));
    check_autoscalers(e);
    check_nvidia(e);
    check_device_plugins(e);
    doctor_check_taints(e);
    check_schedulers(e);
}

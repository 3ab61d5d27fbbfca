// SPDX-License-Identifier: Apache-2.0
// A one-node cluster of Kubernetes 1.33 around the controller: the fake API server, an agent that
// does what it is asked a moment later, and the rules that every write of the controller must keep.
// Many of them run at once on one loop, as most of their time is waiting.
#pragma once

#include "drawbridge/controller.h"

#include "testkit/fake_api.h"
#include "controller_internal.h"

#define SIM_CONFIG                                                                                 \
    "/apis/drawbridge.dev/v1alpha1/namespaces/kubermatic/draconfigurations/kubermatic"
#define SIM_NODE "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/cp-1"
#define SIM_MAPS "/api/v1/namespaces/kube-system/configmaps/"
#define SIM_KUBEADM SIM_MAPS "kubeadm-config"
#define SIM_KUBELET SIM_MAPS "kubelet-config"
#define SIM_UNDO SIM_MAPS "drawbridge-undo"
#define SIM_GATE "DynamicResourceAllocation"

#define SIM_KUBEADM_TEXT(cluster_name)                                                             \
    "apiServer:\n  extraArgs:\n  - name: authorization-mode\n    value: Node,RBAC # as ever\n"     \
    "apiVersion: kubeadm.k8s.io/v1beta4\nclusterName: " cluster_name "\ncontrollerManager: {}\n"   \
    "etcd:\n  local:\n    dataDir: /var/lib/etcd\nkind: ClusterConfiguration\n"                    \
    "kubernetesVersion: v1.33.13\nscheduler: {}\n"
#define SIM_KUBELET_TEXT(domain)                                                                   \
    "apiVersion: kubelet.config.k8s.io/v1beta1\nclusterDomain: " domain "\n"                       \
    "featureGates:\n  NodeLogQuery: true\nkind: KubeletConfiguration\n"

enum sim_phase { SIM_APPLY, SIM_REVERT, SIM_DONE };

struct sim;
struct sim_plan { // what goes wrong
    const char *name;
    unsigned at; // the request that it happens at
    enum fault fault;
    bool kill;     // the controller dies there, and another one starts
    bool edit;     // somebody edits the ConfigMaps and a label there
    uint64_t seed; // not 0: faults everywhere, from this seed
    bool crash;    // kube-controller-manager does not come up with the gate
    bool fence;    // the lease is lost there, and nobody tells the pass
};

struct sim_part { // a component on the node, as its agent sees it
    json_t *gates, *runtime;
    char *revision; // NULL: never asked for
    bool failed;
    const char *refuses;        // a gate that it does not come up with; NULL: none
    const char *other;          // a manifest that looks like it; NULL: none
    const char *claim, *reason; // a state that its agent reports instead; NULL: none
};

struct sim {
    struct sim_plan plan;
    struct sim_batch *batch;
    struct loop *loop;
    struct http *http;
    struct kube *kube;
    struct fake_api *api;
    struct controller *controller;
    struct op *tick, *agent, *kill, *restart;
    struct sim_part parts[COMPONENT_COUNT];
    json_t *defaults; // of the gates of DRA
    enum sim_phase phase;
    uint64_t began_ms, reached_ms, random, quiet_ms;
    unsigned baseline; // requests until it was Ready and quiet for the first time
    unsigned kills, faults, collection_faults, writes, most_in_flight;
    unsigned looks, looked_at; // since the last request
    bool edited, healed;
    struct strlist governing;
};

struct sim_batch {
    struct loop *loop;
    unsigned running, most_requests, most_writes;
    char *kinds; // of the requests of the last story
};

FAKE char *sim_print(const struct sim *sim, const char *path)
{
    const json_t *object = fake_get(sim->api, path);

    return object ? doc_print_json(object) : str_dup("gone");
}

_Noreturn FAKE void sim_fail(const struct sim *sim, const char *what)
{
    AUTO_MEM char *status = sim_print(sim, SIM_CONFIG);
    AUTO_MEM char *node = sim_print(sim, SIM_NODE);

    test_fail(__FILE__, __LINE__, "%s\n%s\n%s\n%s at %u, seed %llu: %s",
              sim->api->log.ptr ? sim->api->log.ptr : "", status, node, sim->plan.name,
              sim->plan.at, (unsigned long long)sim->plan.seed, what);
}

FAKE const char *sim_text(const struct sim *sim, const char *map, const char *key)
{
    return doc_str(fake_get(sim->api, map), "data", key, NULL);
}

// --- rules ---------------------------------------------------------------------------------------

FAKE bool sim_owns(const struct sim *sim, enum component component)
{
    return json_is_true(json_object_get(sim->parts[component].gates, SIM_GATE));
}

FAKE bool sim_maps_have(const struct sim *sim)
{
    return strstr(sim_text(sim, SIM_KUBEADM, "ClusterConfiguration"), SIM_GATE) ||
           strstr(sim_text(sim, SIM_KUBELET, "kubelet"), SIM_GATE);
}

// A component is asked for something new: on kube-apiserver first, off it last, one at a time, and
// never a gate without its API.
FAKE void sim_check_entry(struct sim *sim, enum component component, bool on)
{
    for (int other = 0; other < COMPONENT_COUNT; other++) {
        bool has = sim_owns(sim, (enum component)other);

        if (on && other < (int)component && !has)
            sim_fail(sim,
                     "a component is asked to turn the gate on before one that must come first");
        if (!on && other > (int)component && has)
            sim_fail(sim,
                     "a component is asked to turn the gate off before one that must come first");
    }
    if (on && component != COMPONENT_APISERVER &&
        json_object_size(sim->parts[COMPONENT_APISERVER].runtime) == 0)
        sim_fail(sim, "a gate without the API being served");
    if (!on && sim_maps_have(sim))
        sim_fail(sim, "a component is turned off while the ConfigMaps still say on");
}

FAKE void sim_check_node(struct sim *sim, const json_t *now)
{
    const json_t *entries = doc_get(now, "spec", "components", NULL);
    unsigned changes = 0;

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const json_t *gates = json_object_get(entry, "featureGates");
        enum component component;
        bool on = json_is_true(json_object_get(gates, SIM_GATE));

        CHECK(component_parse(doc_str(entry, "name", NULL), &component));
        if (on && component == COMPONENT_APISERVER &&
            json_object_size(json_object_get(entry, "runtimeConfig")) == 0)
            sim_fail(sim, "the gate of kube-apiserver without runtimeConfig");
        if (on == sim_owns(sim, component) ||
            str_eq(sim->parts[component].revision, doc_str(entry, "revision", NULL)))
            continue;
        changes++;
        sim_check_entry(sim, component, on);
    }
    if (changes > 1)
        sim_fail(sim, "more than one component is changed at once");
}

FAKE void sim_check_map(struct sim *sim, const json_t *was, const json_t *now)
{
    const char *text = doc_str(now, "data", "ClusterConfiguration", NULL);

    if (strstr(text, SIM_GATE) && !strstr(text, "resource.k8s.io/"))
        sim_fail(sim, "kubeadm-config gets the gate without runtimeConfig");
    for (int component = 0; component < COMPONENT_COUNT; component++) {
        // A kubelet whose file cannot be read holds nobody but itself.
        if (component == COMPONENT_KUBELET && sim->parts[component].claim)
            continue;
        if (sim->phase == SIM_APPLY && !sim_owns(sim, (enum component)component))
            sim_fail(sim, "a ConfigMap is written before every component runs with it");
        if (sim->phase == SIM_REVERT && !sim_owns(sim, (enum component)component))
            sim_fail(sim, "a ConfigMap is put back after a component");
    }
    if (!doc_equal(doc_get(was, "metadata", "labels", NULL),
                   doc_get(now, "metadata", "labels", NULL)) ||
        !doc_equal(doc_get(was, "data", "ClusterStatus", NULL),
                   doc_get(now, "data", "ClusterStatus", NULL)))
        sim_fail(sim, "a foreign field of a ConfigMap changed");
}

FAKE bool sim_has_foreign_condition(const json_t *config)
{
    const json_t *list = doc_get(config, "status", "conditions", NULL);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *condition = json_array_get(list, i);

        if (str_eq(doc_str(condition, "type", NULL), "example.com/Theirs"))
            return str_eq(doc_str(condition, "lastTransitionTime", NULL), FAKE_CREATED);
    }
    return false;
}

FAKE void sim_check_config(struct sim *sim, const struct fake_path *path, const json_t *was,
                           const json_t *now)
{
    AUTO_JSON json_t *labels = doc_copy(doc_get(now, "metadata", "labels", NULL));

    if (!doc_equal(json_object_get(was, "spec"), json_object_get(now, "spec")) ||
        !doc_equal(doc_get(was, "metadata", "labels", NULL), labels))
        sim_fail(sim, "a foreign field of the DRAConfiguration changed");
    if (path->subresource) {
        AUTO_MEM char *broken = api_conditions_check(now);

        if (*broken)
            sim_fail(sim, broken);
        if (!sim_has_foreign_condition(now))
            sim_fail(sim, "somebody else's condition went");
    } else if (sim->phase == SIM_REVERT &&
               json_array_size(doc_get(now, "metadata", "finalizers", NULL)) == 0 &&
               (fake_get(sim->api, SIM_NODE) || sim_maps_have(sim))) {
        sim_fail(sim, "the finalizer goes before what was written");
    }
}

FAKE void sim_on_agent(void *owner);

FAKE void sim_wake_agent(struct sim *sim)
{
    if (!sim->agent)
        sim->agent = loop_sleep(sim->loop, 5, sim_on_agent, sim);
}

FAKE void sim_on_write(void *owner, const struct fake_path *path, const json_t *was,
                       const json_t *now)
{
    struct sim *sim = owner;

    if (str_ends(path->collection, "/leases"))
        return;
    sim->writes++;
    if (str_eq(path->object, SIM_NODE) && now) {
        sim_check_node(sim, now);
        sim_wake_agent(sim);
    } else if (str_eq(path->object, SIM_NODE)) {
        for (int component = 0; component < COMPONENT_COUNT; component++) {
            if (sim_owns(sim, (enum component)component))
                sim_fail(sim, "the agent is let go before it put everything back");
        }
    } else if (str_eq(path->object, SIM_KUBEADM) || str_eq(path->object, SIM_KUBELET)) {
        sim_check_map(sim, was, now);
    } else if (str_eq(path->object, SIM_CONFIG)) {
        sim_check_config(sim, path, was, now);
    } else if (!str_eq(path->object, SIM_UNDO)) {
        sim_fail(sim, path->object);
    }
}

// --- the agent -----------------------------------------------------------------------------------

FAKE json_t *sim_report(const struct sim *sim, enum component component)
{
    const struct sim_part *part = &sim->parts[component];
    json_t *enabled = doc_copy(sim->defaults);
    json_t *flags = doc_copy(part->gates);
    json_t *report =
        json_pack("{s:s, s:s, s:b, s:o, s:O}", "name", component_name(component), "version",
                  "v1.33.13", "healthy", 1, "enabled", enabled, "runtimeConfig", part->runtime);

    json_object_update(enabled, part->gates);
    if (component == COMPONENT_KUBELET)
        json_object_set_new(flags, "NodeLogQuery", json_true());
    json_object_set_new(report, "featureGates", flags);
    doc_set(report, json_incref(part->gates), "owned", "featureGates", NULL);
    doc_set(report, json_incref(part->runtime), "owned", "runtimeConfig", NULL);
    json_object_set_new(report, "state",
                        json_string(!part->revision ? "Observed"
                                    : part->failed  ? "Failed"
                                                    : "UpToDate"));
    if (part->revision)
        json_object_set_new(report, "revision", json_string(part->revision));
    if (part->failed) {
        json_object_set_new(report, "reason", json_string("ComponentCrashed"));
        json_object_set_new(report, "message", json_string("unknown flag, it says"));
    }
    if (part->other)
        json_object_set_new(report, "otherManifests", json_pack("[s]", part->other));
    if (part->claim) {
        json_object_set_new(report, "state", json_string(part->claim));
        json_object_set_new(report, "reason", json_string(part->reason));
        json_object_set_new(report, "message", json_string("the agent's words"));
    }
    return report;
}

// Takes one entry of the spec that is new to it.
FAKE bool sim_take_entry(struct sim *sim, const json_t *entry)
{
    enum component component;
    const char *revision = doc_str(entry, "revision", NULL);
    const json_t *runtime = json_object_get(entry, "runtimeConfig");
    struct sim_part *part;

    CHECK(component_parse(doc_str(entry, "name", NULL), &component));
    part = &sim->parts[component];
    if (str_eq(part->revision, revision))
        return false;
    mem_free(part->revision);
    part->revision = str_dup(revision);
    part->failed = (sim->plan.crash && !sim->healed && component == COMPONENT_CONTROLLER_MANAGER &&
                    json_object_size(json_object_get(entry, "featureGates")) > 0) ||
                   (part->refuses && doc_get(entry, "featureGates", part->refuses, NULL));
    if (part->failed)
        return true;
    json_decref(part->gates);
    json_decref(part->runtime);
    part->gates = doc_copy(json_object_get(entry, "featureGates"));
    part->runtime = runtime ? doc_copy(runtime) : json_object();
    // The API server was restarted: nobody's watch survives that.
    if (component == COMPONENT_APISERVER && sim->plan.seed)
        fake_cut_watches(sim->api);
    return true;
}

FAKE void sim_on_agent(void *owner)
{
    struct sim *sim = owner;
    const json_t *now = fake_get(sim->api, SIM_NODE);
    const json_t *entries = doc_get(now, "spec", "components", NULL);
    json_t *reports, *status;

    sim->agent = NULL;
    if (!now)
        return;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        if (sim_take_entry(sim, json_array_get(entries, i))) {
            sim_wake_agent(sim); // the others' turn comes later
            break;
        }
    }
    reports = json_array();
    for (int component = 0; component < COMPONENT_COUNT; component++)
        json_array_append_new(reports, sim_report(sim, (enum component)component));
    status = json_pack("{s:I, s:I, s:s, s:o}", "observedGeneration",
                       (json_int_t)doc_int(now, 0, "metadata", "generation", NULL), "epoch",
                       (json_int_t)doc_int(now, 0, "spec", "epoch", NULL), "agentVersion", "v0.1.0",
                       "components", reports);
    fake_edit(sim->api, SIM_NODE, json_pack("{s:o}", "status", status));
}

// --- the cluster ---------------------------------------------------------------------------------

FAKE json_t *sim_on_page(void *owner, const char *path)
{
    const struct sim *sim = owner;
    json_t *versions;
    const char *name;
    json_t *value;

    if (str_eq(path, "/version"))
        return json_pack("{s:s, s:s, s:s}", "major", "1", "minor", "33", "gitVersion", "v1.33.13");
    if (!str_eq(path, "/apis/resource.k8s.io") ||
        json_object_size(sim->parts[COMPONENT_APISERVER].runtime) == 0)
        return NULL;
    versions = json_array();
    json_object_foreach(sim->parts[COMPONENT_APISERVER].runtime, name, value) {
        json_array_append_new(versions,
                              json_pack("{s:s, s:s}", "groupVersion", name, "version",
                                        strchr(name, '/') ? strchr(name, '/') + 1 : name));
    }
    return json_pack("{s:s, s:o}", "name", "resource.k8s.io", "versions", versions);
}

FAKE void sim_seed_cluster(struct fake_api *api)
{
    static const char *const pods[] = {"kube-apiserver", "kube-controller-manager",
                                       "kube-scheduler"};
    json_t *condition;

    for (size_t i = 0; i < COUNT(pods); i++) {
        AUTO_MEM char *path = str_format("/api/v1/namespaces/kube-system/pods/%s-cp-1", pods[i]);
        AUTO_MEM char *image = str_format("images.example/%s:v1.33.13", pods[i]);

        fake_seed(api, path,
                  json_pack("{s:{s:{s:s, s:s}, s:{s:s}}, s:{s:s, s:[{s:s, s:s, s:[s]}]}}",
                            "metadata", "labels", "component", pods[i], "tier", "control-plane",
                            "annotations", "kubernetes.io/config.mirror", "0123", "spec",
                            "nodeName", "cp-1", "containers", "name", pods[i], "image", image,
                            "command", pods[i]));
    }
    fake_seed(api, "/api/v1/nodes/cp-1",
              json_pack("{s:{s:{s:s}}, s:{s:{s:s}}}", "metadata", "labels",
                        "node-role.kubernetes.io/control-plane", "", "status", "nodeInfo",
                        "kubeletVersion", "v1.33.13"));
    fake_seed(api, SIM_KUBEADM,
              json_pack("{s:{s:{s:s}}, s:{s:s, s:s}}", "metadata", "labels", "theirs", "yes",
                        "data", "ClusterConfiguration", SIM_KUBEADM_TEXT("kubernetes"),
                        "ClusterStatus", "kept"));
    fake_seed(api, SIM_KUBELET,
              json_pack("{s:{s:{s:s}}, s:{s:s}}", "metadata", "labels", "theirs", "yes", "data",
                        "kubelet", SIM_KUBELET_TEXT("cluster.local")));
    condition = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "type", "example.com/Theirs", "status",
                          "True", "reason", "Because", "message", "", "lastTransitionTime",
                          FAKE_CREATED, "observedGeneration", 1);
    fake_seed(api, SIM_CONFIG,
              json_pack("{s:s, s:s, s:{s:{s:s}}, s:{s:{s:b}, s:s}, s:{s:[o]}}", "apiVersion",
                        API_GROUP_VERSION, "kind", "DRAConfiguration", "metadata", "labels",
                        "theirs", "yes", "spec", "featureGates", SIM_GATE, 1, "deletionPolicy",
                        "Revert", "status", "conditions", condition));
}

FAKE void sim_start_controller(struct sim *sim)
{
    struct controller_spec spec = {
        .kube = sim->kube,
        .table = gates_table_builtin(),
        .lease_namespace = "drawbridge-system",
        .governing_namespaces = &sim->governing,
        .identity = "sim",
        .leader_elect = true,
        .backoff_ms_max = 1000,
    };

    sim->controller = controller_new(sim->loop, &spec);
}

// Nothing runs yet, and no fault is chosen.
FAKE struct sim *sim_new(struct loop *loop, const struct sim_plan *plan)
{
    struct sim *sim = NEW(struct sim);
    AUTO_JSON json_t *gates = gates_list(gates_table_builtin(), (struct version){1, 33, 0}, false);

    sim->plan = *plan;
    sim->loop = loop;
    sim->random = plan->seed;
    sim->began_ms = clock_ms();
    sim->defaults = json_object();
    for (size_t i = 0; i < json_array_size(gates); i++)
        json_object_set(sim->defaults, doc_str(json_array_get(gates, i), "name", NULL),
                        json_object_get(json_array_get(gates, i), "default"));
    for (int component = 0; component < COMPONENT_COUNT; component++) {
        sim->parts[component].gates = json_object();
        sim->parts[component].runtime = json_object();
    }
    sim->api = fake_api_new(loop, sim);
    sim_seed_cluster(sim->api);
    sim->api->on_write = sim_on_write;
    sim->api->on_page = sim_on_page;
    sim->http = http_new(loop, "drawbridge-test");
    sim->kube = fake_kube(loop, sim->http, sim->api);
    strlist_add(&sim->governing, "kubermatic");
    return sim;
}

FAKE void sim_free(struct sim *sim)
{
    controller_free(sim->controller);
    op_drop(sim->tick);
    op_drop(sim->agent);
    op_drop(sim->kill);
    op_drop(sim->restart);
    kube_free(sim->kube);
    http_free(sim->http);
    fake_api_free(sim->api);
    strlist_fini(&sim->governing);
    for (int component = 0; component < COMPONENT_COUNT; component++) {
        json_decref(sim->parts[component].gates);
        json_decref(sim->parts[component].runtime);
        mem_free(sim->parts[component].revision);
    }
    json_decref(sim->defaults);
    mem_free(sim);
}

FAKE void sim_edit_maps(struct sim *sim, const char *name, const char *from_domain, const char *to)
{
    static const char *const maps[] = {SIM_KUBEADM, SIM_KUBELET};
    static const char *const keys[] = {"ClusterConfiguration", "kubelet"};
    const char *from[] = {name, from_domain};

    for (size_t i = 0; i < COUNT(maps); i++) {
        const char *text = sim_text(sim, maps[i], keys[i]);
        const char *at = strstr(text, from[i]);
        AUTO_MEM char *before = NULL;
        AUTO_MEM char *after = NULL;

        CHECK(at != NULL);
        before = str_ndup(text, (size_t)(at - text));
        after = str_format("%s%s%s", before, to, at + strlen(from[i]));
        fake_edit(sim->api, maps[i], json_pack("{s:{s:s}}", "data", keys[i], after));
    }
    fake_edit(sim->api, SIM_CONFIG,
              json_pack("{s:{s:{s:s}}}", "metadata", "labels", "also", "theirs"));
}

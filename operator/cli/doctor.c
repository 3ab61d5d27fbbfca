// SPDX-License-Identifier: Apache-2.0
// `drawbridge doctor`: is DRA on, are there devices, and why does a pod wait? Reads, and writes
// nothing.
#include <stddef.h>
#include <string.h>

#include "client.h"
#include "doctor_internal.h"
#include "drawbridge/api.h"
#include "drawbridge/driver.h"
#include "drawbridge/gates.h"

struct settings {
    struct client_settings client; // must be first
    const char *output;
};

static const struct cli_option options[] = {
    CLIENT_OPTIONS,
    {.name = "output",
     .letter = 'o',
     .type = CLI_CHOICE,
     .offset = offsetof(struct settings, output),
     .argument = "FORMAT",
     .values = "text json yaml",
     .fallback = "text",
     .help = "one of"},
    {.name = NULL},
};

// Not there is nothing; what may not be read is told; anything else ends it.
static struct error *take(json_t *facts, const char *key, struct error *take_err,
                          json_t *take_value)
{
    if (!take_err) {
        json_object_set_new(facts, key, take_value);
        return NULL;
    }
    json_decref(take_value);
    if (error_kind(take_err) == ERROR_DENIED)
        doc_set(facts, doc_string(error_text(take_err)), "denied", key, NULL);
    else if (error_kind(take_err) != ERROR_NOT_FOUND)
        return take_err;
    error_free(take_err);
    return NULL;
}

static struct error *read_list(struct client *client, json_t *facts, const char *key,
                               const struct kube_ref *ref)
{
    AUTO_JSON json_t *body = NULL;
    struct error *err = client_list(client, ref, &body);

    return take(facts, key, err, err ? NULL : doc_copy(json_object_get(body, "items")));
}

static struct error *read_path(struct client *client, json_t *facts, const char *key,
                               const char *path)
{
    AUTO_JSON json_t *body = NULL;
    struct error *err = client_get_path(client, path, &body);

    return take(facts, key, err, err ? NULL : doc_copy(json_object_get(body, "items")));
}

static struct error *read_discovery(struct client *client, json_t *facts)
{
    AUTO_JSON json_t *group = NULL;
    AUTO_JSON json_t *version = NULL;
    json_t *served = json_array(), *names = json_array();
    struct error *err = client_get_path(client, "/apis/resource.k8s.io", &group);

    json_object_set_new(facts, "served", served);
    json_object_set_new(facts, "resources", names);
    if (err)
        return take(facts, "group", err, NULL);
    for (size_t i = 0; i < json_array_size(json_object_get(group, "versions")); i++)
        json_array_append_new(
            served, doc_string(doc_str(json_array_get(json_object_get(group, "versions"), i),
                                       "version", NULL)));
    if (!driver_api_version(served))
        return NULL;
    AUTO_MEM char *path = str_format("/apis/resource.k8s.io/%s", driver_api_version(served));
    err = client_get_path(client, path, &version);
    for (size_t i = 0; i < json_array_size(json_object_get(version, "resources")); i++)
        json_array_append_new(
            names, doc_string(doc_str(json_array_get(json_object_get(version, "resources"), i),
                                      "name", NULL)));
    return err;
}

static struct error *read_gate(struct client *client, json_t *facts)
{
    AUTO_MEM char *text = NULL;
    AUTO_JSON json_t *gates = NULL;
    AUTO(error) struct error *err = client_get_text(client, "/metrics", &text);
    struct version version, first, last;
    int64_t start_ms;

    if (!err)
        err = gates_metrics_read(slice_of(text), &gates, &version, &start_ms);
    if (!err && !json_object_get(gates, "DynamicResourceAllocation") &&
        gates_ever(gates_table_builtin(), "DynamicResourceAllocation", &first, &last) &&
        version.major == 1 && version_compare_minor(version, last) > 0)
        json_object_set_new(facts, "builtIn", json_true());
    if (!err && json_object_get(gates, "DynamicResourceAllocation"))
        json_object_set(facts, "gate", json_object_get(gates, "DynamicResourceAllocation"));
    if (!err && json_object_get(gates, "DRAResourceClaimGranularStatusAuthorization"))
        json_object_set(facts, "granular",
                        json_object_get(gates, "DRAResourceClaimGranularStatusAuthorization"));
    return NULL; // the check says that it is not known
}

// Pods that use claims and wait.
static void keep_waiting_pods(json_t *facts)
{
    json_t *all = json_object_get(facts, "allPods"), *kept = json_array();

    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *pod = json_array_get(all, i);
        if (json_array_size(doc_get(pod, "spec", "resourceClaims", NULL)) > 0)
            json_array_append(kept, pod);
    }
    json_object_set_new(facts, "pods", kept);
    if (*doc_str(facts, "denied", "allPods", NULL))
        doc_set(facts, doc_string(doc_str(facts, "denied", "allPods", NULL)), "denied", "pods",
                NULL);
    json_object_del(facts, "allPods");
}

static struct error *read_facts(struct client *client, json_t *facts)
{
    struct {
        const char *key;
        struct kube_ref ref;
    } lists[] = {
        {"nodes", {.group = "", .version = "v1", .resource = "nodes"}},
        {"configurations",
         {.group = API_GROUP, .version = API_VERSION, .resource = "draconfigurations"}},
        {"agents",
         {.group = API_GROUP, .version = API_VERSION, .resource = "nodedraconfigurations"}},
        {"classes", {.group = "resource.k8s.io", .resource = "deviceclasses"}},
        {"slices", {.group = "resource.k8s.io", .resource = "resourceslices"}},
        {"claims", {.group = "resource.k8s.io", .resource = "resourceclaims"}},
        {"templates", {.group = "resource.k8s.io", .resource = "resourceclaimtemplates"}},
    };
    char now[CLOCK_TEXT_BYTES];
    struct error *err = read_discovery(client, facts);
    const char *version = driver_api_version(json_object_get(facts, "served"));

    clock_format(clock_wall_ms(), now);
    json_object_set_new(facts, "now", doc_string(now));
    if (!err)
        err = read_gate(client, facts);
    for (size_t i = 0; i < COUNT(lists) && !err; i++) {
        if (!lists[i].ref.version)
            lists[i].ref.version = version;
        if (lists[i].ref.version)
            err = read_list(client, facts, lists[i].key, &lists[i].ref);
    }
    if (!err)
        err = read_path(client, facts, "leases",
                        "/apis/coordination.k8s.io/v1/leases?fieldSelector="
                        "metadata.name%3Ddrawbridge");
    if (!err)
        err = read_path(client, facts, "controlPlane",
                        "/api/v1/namespaces/kube-system/pods?labelSelector=tier%3Dcontrol-plane");
    if (!err)
        err = read_path(client, facts, "allPods",
                        "/api/v1/pods?fieldSelector=status.phase%3DPending");
    if (!err)
        keep_waiting_pods(facts);
    if (!err)
        doctor_read_others(client, facts);
    return err;
}

static int print_text(const json_t *findings)
{
    int code = CLI_OK;

    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        const char *verdict = doc_str(finding, "verdict", NULL),
                   *fix = doc_str(finding, "fix", NULL);

        AUTO_MEM char *line = str_format(
            "%-8s %s: %s\n%s%s%s", verdict, doc_str(finding, "check", NULL),
            doc_str(finding, "detail", NULL), *fix ? "         -> " : "", fix, *fix ? "\n" : "");
        cli_put(line, stdout);
        if (str_eq(verdict, doctor_verdict_name(DOCTOR_FAIL)))
            code = 1;
    }
    return code;
}

static int run_doctor(int argc, char **argv)
{
    struct settings settings;
    AUTO_CLIENT struct client client = {0};
    AUTO_JSON json_t *facts = json_object();
    AUTO_JSON json_t *findings = NULL;
    struct error *err =
        cli_args_parse(&cli_verb_doctor, argc, argv, &settings, sizeof(settings), NULL);
    int code;

    if (err)
        return cli_usage_error(&cli_verb_doctor, err);
    err = client_open(&client, &settings.client);
    if (!err)
        err = read_facts(&client, facts);
    if (err)
        return cli_error(err);
    findings = doctor_examine(facts);
    if (str_eq(settings.output, "text"))
        return cli_finish(print_text(findings));
    AUTO_MEM char *text = str_eq(settings.output, "json") ? doc_print_json_pretty(findings)
                                                          : doc_print_yaml(findings);
    code = 0;
    for (size_t i = 0; i < json_array_size(findings); i++)
        if (str_eq(doc_str(json_array_get(findings, i), "verdict", NULL),
                   doctor_verdict_name(DOCTOR_FAIL)))
            code = 1;
    printf("%s%s", text, str_eq(settings.output, "json") ? "\n" : "");
    return cli_finish(code);
}

const struct cli_verb cli_verb_doctor = {
    .name = "doctor",
    .summary = "is DRA on, are there devices, and why does a pod wait for one?",
    .usage = "[OPTION]...",
    .details = "Each check with its verdict and what to do. Exit code 0: nothing failed, 1: "
               "something did, above 1: an error. Reads, and writes nothing.",
    .example = "  drawbridge doctor\n  drawbridge doctor -o json\n",
    .options = options,
    .run = run_doctor,
};

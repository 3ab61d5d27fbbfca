// SPDX-License-Identifier: Apache-2.0
// A driver with a script in helm's place and a scripted API server, for tests of jobs.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "job_internal.h"
#include "test.h"
#include "testkit/server.h"

struct rig {
    struct loop *loop;
    struct http *http;
    struct cluster cluster;
    struct cluster far; // another one, by a Secret; opened by the test
    struct server *far_server;
    unsigned far_tokens;
    bool far_mute; // it answers no question for a token
    struct driver *driver;
    char *dir, *helm, *calls;
    const char *account; // helm's; NULL: ours
    struct server *server;
    struct server_conn *held; // who asked for the release first, and has no answer yet
    unsigned ended, asked, tokens;
    bool gone;
    bool cached_claims;          // the list of claims was asked of a cache
    const char *namespace_owner; // of the namespace "left"; NULL: it is not asked for
    char *patched;               // how it was changed
    const char *tried;           // the answer to a dry run of a DeviceClass
    struct op *pending;          // a driver_stop(), or who waits for a file
    const char *file;
    bool stopped;
    char *said;    // of DriverReady, by the last pass
    bool watching; // the server keeps the loop running: the end of the job stops it
};

UNUSED static void on_change(void *owner, const char *key)
{
    struct rig *rig = owner;

    CHECK_STR(key, "team/dra");
    rig->ended++;
    if (rig->watching)
        loop_stop(rig->loop);
    // What is followed changes too, when it pleases.
    if (rig->held && job_note(rig->driver, &rig->cluster, "gpu", "r"))
        server_reply(TAKE(rig->held), 200, "", "{\"items\": []}");
}

static void on_request(void *owner, struct server_conn *conn, const struct server_request *request);

UNUSED static bool may_look(void *owner, const char *from, const char *to)
{
    (void)owner;
    return str_eq(from, "team") && str_eq(to, "gpu");
}

UNUSED static bool may_write(void *owner, const struct cluster *cluster)
{
    (void)owner, (void)cluster;
    return true;
}

UNUSED static struct kube *client_of(const struct rig *rig, const char *server)
{
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *text =
        str_format("apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, "
                   "cluster: {server: '%s'}}]\nusers: [{name: x, user: {}}]\ncontexts: "
                   "[{name: x, context: {cluster: x, user: x}}]\n",
                   server);
    struct kube_config *config = NULL;

    test_write(path, text);
    CHECK_OK(kube_config_load(path, NULL, &config));
    return kube_new(rig->loop, rig->http, config);
}

// The script sees helm's words in $*, and may write into $DIR. "calls" has the verbs.
UNUSED static void rig_start(struct rig *rig, const char *script, bool serves)
{
    AUTO_MEM char *text = NULL;

    *rig = (struct rig){.account = rig->account};
    setenv("DRAWBRIDGE_CONFINE", TEST_BINARY_ROOT "/drawbridge-confine", 1);
    rig->dir = test_path("");
    rig->helm = test_path("helm-program");
    rig->calls = test_path("calls");
    text = str_format(
        "#!/bin/bash\nDIR='%s'\nverb=\"$1 $2\"\n[[ $1 != upgrade ]] || verb=$1\n"
        "[[ \" $* \" != *' --dry-run'* ]] || verb=dry-run\necho \"$verb\" >>'%s'\n"
        "chart() { printf 'name: test-driver\\nversion: %%s\\n' \"${1:-1.0.0}\"; }\n%s\n",
        rig->dir, rig->calls, script);
    test_write(rig->helm, text);
    CHECK_INT(chmod(rig->helm, 0700), 0);
    rig->loop = loop_new();
    if (serves)
        rig->server = server_new(rig->loop, on_request, rig);
    rig->http = http_new(rig->loop, NULL);
    rig->cluster.kube = client_of(rig, serves ? server_url(rig->server) : "http://127.0.0.1:1");
    struct driver_spec spec = {.helm = rig->helm,
                               .dir = rig->dir,
                               .kubeconfig = "/dev/null",
                               .helm_account = rig->account,
                               .chart_root = "/charts",
                               .namespace = "system",
                               .helm_timeout_ms = 10000,
                               .on_change = on_change,
                               .may_write = may_write,
                               .may_look = may_look,
                               .owner = rig};
    rig->driver = driver_new(rig->loop, &spec);
}

UNUSED static void rig_init(struct rig *rig, const char *script)
{
    rig_start(rig, script, false);
}

UNUSED static void rig_fini(struct rig *rig)
{
    op_drop(rig->pending);
    mem_free(rig->said);
    driver_free(rig->driver);
    kube_free(rig->cluster.kube);
    kube_free(rig->far.kube);
    http_free(rig->http);
    if (rig->server)
        server_free(rig->server);
    if (rig->far_server)
        server_free(rig->far_server);
    loop_free(rig->loop);
    char *owned[] = {rig->dir, rig->helm, rig->calls, rig->patched};
    for (size_t i = 0; i < COUNT(owned); i++)
        mem_free(owned[i]);
}
#define AUTO_RIG CLEANUP(rig_fini)

UNUSED static void begin_in(struct rig *rig, struct cluster *cluster, const char *driver,
                            const char *status)
{
    AUTO_MEM char *text =
        str_format("{metadata: {namespace: team, name: dra}, spec: {driver: %s}, status: "
                   "{driver: %s}}",
                   driver, status);
    AUTO_JSON json_t *facts = json_object();
    AUTO_JSON json_t *object = NULL;
    AUTO_WANT struct want want = {0};
    struct job_order order = {0};

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &object));
    CHECK_OK(driver_want_make(object, &want));
    CHECK_OK(driver_values_make(object, facts, "v1", &want));
    job_start(rig->driver, cluster, "team/dra", object, &want, &order);
}

UNUSED static void begin(struct rig *rig, const char *driver, const char *status)
{
    begin_in(rig, &rig->cluster, driver, status);
}

UNUSED static void check_note(struct rig *rig, const char *calls, const char *reason,
                              const char *part)
{
    AUTO_MEM char *made = test_read(rig->calls);
    const struct note *note = job_note(rig->driver, &rig->cluster, "gpu", "r");

    CHECK_INT(rig->ended, 1);
    CHECK(note != NULL);
    CHECK_STR(note->reason, reason);
    if (*part)
        CHECK_HAS(note->message, part);
    CHECK_STR(made, calls);
}

#define PLAIN "{chart: {path: /charts/x}, release: r, namespace: gpu, values: {a: 1}}"
#define RENDERED "echo '{\"manifest\":\"\"}'"
#define USUAL                                                                                      \
    "case $verb in 'show chart') chart ;; dry-run) " RENDERED                                      \
    " ;; upgrade) cat >\"$DIR/values\" ;; esac"
#define OF_ITS_OWN                                                                                 \
    "{chart: {path: /charts/x}, release: r, namespace: gpu, serviceAccountName: installer}"

UNUSED static char *read_in_dir(const char *name)
{
    AUTO_MEM char *path = test_path(name);

    return test_read(path);
}

UNUSED static void on_token_request(struct server_conn *conn, const struct server_request *request)
{
    AUTO_MEM char *body = slice_dup(request->body);

    CHECK_STR(request->method, "POST");
    CHECK_HAS(body, "\"kind\":\"TokenRequest\"");
    server_reply(conn, 201, "",
                 "{\"status\": {\"token\": \"short-lived\", \"expirationTimestamp\": "
                 "\"2099-01-01T00:00:00Z\"}}");
}

// Answers all but the first question for the release, which waits until helm has ended.
UNUSED static void on_request(void *owner, struct server_conn *conn,
                              const struct server_request *request)
{
    struct rig *rig = owner;

    if (strstr(request->target, "/serviceaccounts/helm/token")) {
        rig->tokens++;
        on_token_request(conn, request);
        return;
    }
    if (strstr(request->target, "/resourceclaims?") && strstr(request->target, "resourceVersion=0"))
        rig->cached_claims = true;
    if (rig->namespace_owner && str_eq(request->target, "/api/v1/namespaces/left")) {
        AUTO_MEM char *body =
            str_format("{\"metadata\": {\"name\": \"left\", \"resourceVersion\": \"7\", "
                       "\"labels\": {\"" DRIVER_LABEL_OWNER "\": \"%s\"}}}",
                       rig->namespace_owner);

        if (str_eq(request->method, "PATCH"))
            rig->patched = slice_dup(request->body);
        server_reply(conn, 200, "", body);
    } else if (rig->tried && strstr(request->target, "/deviceclasses/")) {
        server_reply(conn, 500, "", rig->tried);
    } else if (rig->tried) {
        server_reply(conn, 200, "",
                     "{\"groupVersion\": \"resource.k8s.io/v1beta1\", \"resources\": [{\"name\": "
                     "\"deviceclasses\", \"kind\": \"DeviceClass\"}]}");
    } else if (strstr(request->target, "/secrets") && rig->asked++ == 0) {
        AUTO_MEM char *asked = test_path("asked");

        rig->held = conn;
        test_write(asked, "");
    } else if (strstr(request->target, "/serviceaccounts/") ||
               strstr(request->target, "/namespaces/gpu")) {
        server_reply(conn, 404, "", "{}");
    } else {
        server_reply(conn, 200, "",
                     "{\"kind\": \"Status\", \"status\": \"Success\", \"items\": []}");
    }
}

UNUSED static void on_passed(void *owner, struct error *take_err, struct driver_result *take_result)
{
    struct rig *rig = owner;

    CHECK_OK(take_err);
    rig->pending = NULL;
    rig->gone = take_result->gone;
    rig->said = TAKE(take_result->ready.message);
    driver_result_free(take_result);
    loop_stop(rig->loop);
}

// What a pass says of a driver in a namespace that nobody may look into. by: of the cluster.
UNUSED static char *said_of_in(const char *driver, const char *by, const char *account)
{
    AUTO_RIG struct rig rig = {.account = account};
    AUTO_MEM char *text = str_format(
        "{metadata: {namespace: team, name: dra}, spec: {driver: {%s}}, status: {}}", driver);
    AUTO_JSON json_t *object = NULL;
    AUTO_JSON json_t *served = json_pack("[s]", "v1");
    struct driver_work work = {.key = "team/dra", .cluster = &rig.cluster, .served = served};

    rig_init(&rig, "exit 1");
    rig.cluster.by = by;
    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &object));
    work.object = object;
    rig.pending = driver_pass(rig.driver, &work, on_passed, &rig);
    loop_run(rig.loop);
    return TAKE(rig.said);
}

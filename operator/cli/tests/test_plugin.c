// SPDX-License-Identifier: Apache-2.0
// Credential plugins: what they are told, what they answer, and what becomes of a client whose
// credential ends or is not taken.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "plugin.h"
#include "testkit/server.h"
#include "testkit/test.h"

#define V1 "client.authentication.k8s.io/v1"
#define ANSWER(status)                                                                             \
    "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":" status "}"

static struct plugin_credential credential;

static json_t *exec_of(const char *more)
{
    AUTO_MEM char *text =
        str_format("{apiVersion: " V1 ", interactiveMode: IfAvailable, %s}", more);
    json_t *exec = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "exec", &exec));
    return exec;
}

static struct error *parse(const char *output)
{
    AUTO_JSON json_t *exec = exec_of("command: p");

    plugin_credential_fini(&credential);
    return plugin_parse(exec, slice_of(output), &credential);
}

// A shell as the plugin.
static struct error *run(const char *script, const char *more)
{
    AUTO(loop) struct loop *loop = loop_new();
    AUTO_JSON json_t *exec = exec_of(more);

    doc_set(exec, json_string("sh"), "command", NULL);
    doc_set(exec, json_pack("[s, s]", "-c", script), "args", NULL);
    plugin_credential_fini(&credential);
    return plugin_run(loop, exec, false, &credential);
}

TEST(answers)
{
    CHECK_OK(
        parse(ANSWER("{\"token\":\"t\",\"expirationTimestamp\":\"1970-01-01T01:00:01+01:00\"}")));
    CHECK_STR(credential.token, "t");
    CHECK(!credential.cert_pem && !credential.key_pem);
    CHECK_INT(credential.expires_ms, 1000);
    CHECK_OK(parse(ANSWER("{\"clientCertificateData\":\"C\",\"clientKeyData\":\"K\"}")));
    CHECK(!credential.token);
    CHECK_STR(credential.cert_pem, "C");
    CHECK_STR(credential.key_pem, "K");
    CHECK_INT(credential.expires_ms, 0);
    plugin_credential_fini(&credential);
}

TEST(answers_that_are_none)
{
    static const struct {
        const char *output, *part;
    } rows[] = {
        {"", "credential plugin p: it printed no JSON"},
        {"token: secret", "it printed no JSON"},
        {"{}", "it printed no ExecCredential"},
        {"{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\","
         "\"status\":{\"token\":\"t\"}}",
         "asks for API version " V1 ", it printed version client.authentication.k8s.io/v1beta1"},
        {"{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\"}", "no status field"},
        {ANSWER("{}"), "neither a token nor a certificate"},
        {ANSWER("{\"token\":\"t\",\"clientKeyData\":\"K\"}"), "only certificate or key"},
        {ANSWER("{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}"), "\"soon\" is no time"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error *err = parse(rows[i].output);

        CHECK(!strstr(error_text(err), "secret"));
        CHECK_ERR_HAS(err, ERROR_TRANSIENT, rows[i].part);
    }
}

TEST(its_environment)
{
    AUTO_JSON json_t *told = NULL;
    AUTO_JSON json_t *wanted =
        json_pack("{s:s, s:s, s:{s:b, s:{s:s, s:n}}}", "kind", "ExecCredential", "apiVersion", V1,
                  "spec", "interactive", 0, "cluster", "server", "https://h", "config");

    setenv("PLUGIN_OURS", "ours", 1);
    setenv("PLUGIN_BOTH", "ours", 1);
    setenv("KUBERNETES_EXEC_INFO", "of somebody else", 1);
    CHECK(freopen("/dev/null", "r", stdin) != NULL);
    CHECK_OK(
        run("printf '" ANSWER("{\"token\":\"%s\"}") "' \"$PLUGIN_OURS $PLUGIN_BOTH $PLUGIN_TWICE\"",
            "env: [{name: PLUGIN_BOTH, value: its}, {name: PLUGIN_TWICE, value: a}, {name: "
            "PLUGIN_TWICE, value: b}]"));
    CHECK_STR(credential.token, "ours its b");
    AUTO_MEM char *path = test_path("info");
    AUTO_MEM char *script = str_format("printf %%s \"$KUBERNETES_EXEC_INFO\" >%s; echo '%s'", path,
                                       ANSWER("{\"token\":\"t\"}"));
    CHECK_OK(run(script, "cluster: {server: 'https://h', config: null}"));
    AUTO_MEM char *text = test_read(path);
    CHECK_OK(doc_parse_json(slice_of(text), "info", &told));
    CHECK(doc_equal(told, wanted));
    plugin_credential_fini(&credential);
}

TEST(a_plugin_that_fails)
{
    AUTO(loop) struct loop *loop = loop_new();
    AUTO_JSON json_t *missing = exec_of("command: no-such-plugin, installHint: \"get it\\nhere\"");
    AUTO_JSON json_t *always = exec_of("command: 'true'");

    CHECK_ERR_HAS(plugin_run(loop, missing, false, &credential), ERROR_NOT_FOUND,
                  "executable no-such-plugin not found, which the kubeconfig needs to log in: get "
                  "it here");
    CHECK_ERR_HAS(run("exit 7", "env: null"), ERROR_TRANSIENT, "failed with exit code 7");
    CHECK_ERR_HAS(run("kill -TERM $$", "env: null"), ERROR_TRANSIENT, "ended by signal 15");
    CHECK(freopen("/dev/null", "r", stdin) != NULL);
    doc_set(always, json_string("Always"), "interactiveMode", NULL);
    CHECK_ERR_HAS(plugin_run(loop, always, false, &credential), ERROR_INVALID,
                  "standard input is not a terminal");
}

// --- a client with one ---------------------------------------------------------------------------

struct api {
    struct server *server;
    const char *takes; // the token
    unsigned refused;
};

static void on_request(void *owner, struct server_conn *conn, const struct server_request *request)
{
    struct api *api = owner;
    AUTO_MEM char *wanted = str_format("Bearer %s", api->takes);
    AUTO_MEM char *given = server_header(request, "Authorization");

    if (str_eq(given, wanted)) {
        server_reply(conn, 200, "", "{\"kind\":\"List\",\"metadata\":{},\"items\":[]}");
        return;
    }
    api->refused++;
    server_reply(conn, 401, "", "{\"kind\":\"Status\",\"reason\":\"Unauthorized\"}");
}

static void write_kubeconfig(const char *server)
{
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_MEM char *text = str_format("clusters: [{name: c, cluster: {server: '%s'}}]\n"
                                     "users: [{name: u, user: {exec: {apiVersion: " V1
                                     ", command: ./plugin, interactiveMode: Never}}}]\n"
                                     "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                                     "current-context: x\n",
                                     server);

    test_write(path, text);
}

// The plugin prints "t1", then "t2" and so on, each with that expiry. The server is on the loop
// that client_open() makes.
static void open_client(struct client *client, struct api *api, const char *expires)
{
    AUTO_MEM char *path = test_path("plugin");
    AUTO_MEM char *counter = test_path("count");
    AUTO_MEM char *script =
        str_format("#!/bin/sh\necho x >>%s\nprintf '"
                   "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":{\"token\":"
                   "\"t%%d\",\"expirationTimestamp\":\"%s\"}}' $(wc -l <%s)\n",
                   counter, expires, counter);
    AUTO_MEM char *kubeconfig = test_path("kubeconfig");
    struct client_settings settings = {.kubeconfig = kubeconfig};
    struct kube_config *config = NULL;

    test_write(path, script);
    CHECK(chmod(path, 0700) == 0);
    write_kubeconfig("http://127.0.0.1:1");
    CHECK_OK(client_open(client, &settings));
    api->server = server_new(client->loop, on_request, api);
    write_kubeconfig(server_url(api->server));
    CHECK_OK(kube_config_load_person(kubeconfig, NULL, &config));
    kube_free(client->kube);
    client->kube = kube_new(client->loop, client->http, config);
    kube_set_credentials(client->kube, "t1", NULL, NULL);
}

static void close_client(struct client *client, struct api *api)
{
    server_free(api->server);
    loop_run(client->loop); // until its connections are gone
    client_fini(client);
}

static struct error *ask(struct client *client)
{
    AUTO_JSON json_t *body = NULL;

    return client_get_path(client, "/api/v1/pods", &body);
}

TEST(what_the_server_does_not_take_is_asked_for_once_more)
{
    struct client client = {0};
    struct api api = {.takes = "t1"};

    open_client(&client, &api, "2999-01-01T00:00:00Z");
    CHECK_OK(ask(&client));
    CHECK_OK(ask(&client));
    CHECK_INT(api.refused, 0);
    api.takes = "t2";
    CHECK_OK(ask(&client));
    CHECK_INT(api.refused, 1);
    api.takes = "none of them";
    CHECK_ERR(ask(&client), ERROR_DENIED);
    CHECK_INT(api.refused, 3); // with t2, and with t3
    close_client(&client, &api);
}

TEST(what_has_expired_is_not_shown_to_the_server)
{
    struct client client = {0};
    struct api api = {.takes = "t2"};

    open_client(&client, &api, "2001-01-01T00:00:00Z");
    CHECK_OK(ask(&client));
    api.takes = "t3";
    CHECK_OK(ask(&client));
    CHECK_INT(api.refused, 0);
    close_client(&client, &api);
}

TEST(no_plugin_goes_with_the_kubeconfig_of_a_secret)
{
    struct client client = {0};
    struct api api = {.takes = "t1"};

    open_client(&client, &api, "2001-01-01T00:00:00Z");
    CHECK_ERR_HAS(client_switch(&client, slice_of("clusters: [{name: c, cluster: {server: "
                                                  "'https://h'}}]\n"
                                                  "users: [{name: u, user: {exec: {apiVersion: " V1
                                                  ", command: ./plugin, interactiveMode: "
                                                  "Never}}}]\n"
                                                  "contexts: [{name: x, context: {cluster: c, "
                                                  "user: u}}]\ncurrent-context: x\n")),
                  ERROR_INVALID, "exec plugins are not run");
    CHECK_OK(client_switch(&client, slice_of("clusters: [{name: c, cluster: {server: 'https://h'}}]"
                                             "\ncontexts: [{name: x, context: {cluster: c}}]\n"
                                             "current-context: x\n")));
    CHECK(!client.exec);
    close_client(&client, &api);
}

TEST_MAIN()

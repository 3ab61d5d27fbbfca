// SPDX-License-Identifier: Apache-2.0
// Kubeconfigs: what is read, merged, resolved and refused.
#include "kube_internal.h"

#include "testkit/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct error *load_text(const char *name, const char *text, struct kube_config **ret_config)
{
    AUTO_MEM char *path = test_path(name);
    test_write(path, text);
    return kube_config_load(path, NULL, ret_config);
}

#define BEGIN(cluster, user)                                                                       \
    "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: " cluster                      \
    "\nusers:\n- name: u\n  user: " user "\ncontexts:\n- name: x\n  context: {cluster: c, user: "  \
    "u, namespace: here}\ncurrent-context: x\n"

TEST(reads_token_and_data)
{
    AUTO(kube_config) struct kube_config *config = NULL;
    CHECK_OK(
        load_text("k",
                  BEGIN("{server: 'https://h:1/', certificate-authority-data: Q0E=, "
                        "tls-server-name: other, proxy-url: 'http://p:2'}",
                        "{token: t, client-certificate-data: Q0VSVA==, client-key-data: S0VZ}"),
                  &config));
    CHECK_STR(kube_config_server(config), "https://h:1");
    CHECK_STR(kube_config_namespace(config), "here");
    CHECK_STR(config->ca_pem, "CA");
    CHECK_STR(config->cert_pem, "CERT");
    CHECK_STR(config->key_pem, "KEY");
    CHECK_STR(config->token, "t");
    CHECK_STR(config->server_name, "other");
    CHECK_STR(config->proxy, "http://p:2");
    CHECK(!config->insecure);
}

TEST(files_are_relative_to_the_kubeconfig)
{
    AUTO(kube_config) struct kube_config *config = NULL;
    CHECK_OK(
        load_text("k",
                  BEGIN("{server: 'https://h', certificate-authority: ca.pem}",
                        "{tokenFile: sub/token, client-certificate: /abs/cert, client-key: key}"),
                  &config));
    AUTO_MEM char *ca = test_path("ca.pem"), *token = test_path("sub/token"),
                  *key = test_path("key");
    CHECK_STR(config->ca_file, ca);
    CHECK_STR(config->token_file, token);
    CHECK_STR(config->cert_file, "/abs/cert");
    CHECK_STR(config->key_file, key);
}

TEST(refuses_what_it_does_not_do)
{
    static const struct {
        const char *user, *part;
    } rows[] = {
        {"{exec: {command: evil}}", "exec plugins are not run"},
        {"{auth-provider: {name: gcp}}", "auth providers are not supported"},
        {"{username: a, password: b}", "username and password are not supported"},
        {"{token: t, as: root}", "impersonation is not supported"},
        {"{client-certificate: a}", "go together"},
        {"{client-certificate-data: '*', client-key-data: S0VZ}", "not base64"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MEM char *text = str_format(BEGIN("{server: 'https://h'}", "%s"), rows[i].user);
        struct kube_config *config = NULL;
        CHECK_ERR_HAS(load_text("k", text, &config), ERROR_INVALID, rows[i].part);
        CHECK(config == NULL);
    }
}

#define EXEC(more)                                                                                 \
    "{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: "         \
    "IfAvailable" more "}}"

static struct error *load_person(const char *name, const char *text,
                                 struct kube_config **ret_config)
{
    AUTO_MEM char *path = test_path(name);
    test_write(path, text);
    return kube_config_load_person(path, NULL, ret_config);
}

TEST(a_credential_plugin_is_a_persons_alone)
{
    static const char text[] = BEGIN("{server: 'https://h'}", EXEC(", args: [eks, get-token]"));
    AUTO(kube_config) struct kube_config *config = NULL;
    struct kube_config *none = NULL;
    CHECK_ERR_HAS(load_text("k", text, &none), ERROR_INVALID, "exec plugins are not run");
    CHECK_ERR_HAS(kube_config_parse_untrusted(slice_of(text), &none), ERROR_INVALID,
                  "exec plugins are not run");
    CHECK_OK(load_person("k", text, &config));
    CHECK_STR(doc_str(kube_config_exec(config), "command", NULL), "aws");
    CHECK(!json_object_get(kube_config_exec(config), "cluster"));
}

TEST(a_plugin_with_a_slash_is_relative_to_the_kubeconfig)
{
    AUTO(kube_config) struct kube_config *config = NULL;
    AUTO_MEM char *path = test_path("bin/plugin");
    CHECK_OK(load_person("k",
                         BEGIN("{server: 'https://h'}",
                               "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, "
                               "command: bin/plugin, args: null, env: null}}"),
                         &config));
    CHECK_STR(doc_str(kube_config_exec(config), "command", NULL), path);
    CHECK_STR(doc_str(kube_config_exec(config), "interactiveMode", NULL), "IfAvailable");
}

TEST(a_plugin_is_not_asked_where_credentials_are_given)
{
    static const char *const given[] = {"token: t", "tokenFile: f",
                                        "client-certificate: a, client-key: b"};
    for (size_t i = 0; i < COUNT(given); i++) {
        AUTO_MEM char *user = str_format("{%s, %s", given[i], EXEC() + 1);
        AUTO_MEM char *text = str_format(BEGIN("{server: 'https://h'}", "%s"), user);
        AUTO(kube_config) struct kube_config *config = NULL;
        CHECK_OK(load_person("k", text, &config));
        CHECK(!kube_config_exec(config));
    }
}

TEST(a_plugin_is_told_of_the_cluster_where_it_asks_to_be)
{
    AUTO(kube_config) struct kube_config *config = NULL;
    AUTO_JSON json_t *wanted = json_pack(
        "{s:s, s:s, s:s, s:s, s:{s:s}}", "server", "https://h/", "tls-server-name", "other",
        "certificate-authority-data", "Q0E=", "proxy-url", "http://p:1", "config", "audience", "a");
    AUTO_MEM char *ca = test_path("ca.pem");
    test_write(ca, "CA");
    CHECK_OK(load_person("k",
                         BEGIN("{server: 'https://h/', certificate-authority: ca.pem, "
                               "tls-server-name: other, proxy-url: 'http://p:1', extensions: "
                               "[{name: x, extension: {}}, {name: "
                               "client.authentication.k8s.io/exec, extension: {audience: a}}]}",
                               EXEC(", provideClusterInfo: true")),
                         &config));
    CHECK(doc_equal(json_object_get(kube_config_exec(config), "cluster"), wanted));
}

TEST(what_is_wrong_with_a_plugin_is_told)
{
    static const struct {
        const char *user, *part;
    } rows[] = {
        {"{exec: {command: a}}", "apiVersion \"\" is neither"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: a}}", "v1alpha1"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1, command: a}}",
         "interactiveMode is missing"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}}",
         "command is missing"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Perhaps, command: "
         "a}}",
         "\"Perhaps\" is not one of"},
        {EXEC(", env: [{value: x}]"), "env[0] has no name"},
        {EXEC(", args: [a, [b]]"), "args[1] is no text"},
        {"{exec: aws}", "command is missing"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MEM char *text = str_format(BEGIN("{server: 'https://h'}", "%s"), rows[i].user);
        struct kube_config *config = NULL;
        CHECK_ERR_HAS(load_person("k", text, &config), ERROR_INVALID, rows[i].part);
    }
}

TEST(a_server_with_very_many_slashes_is_read_once)
{
    AUTO_BUF struct buf text = buf_make((size_t)2 << 20);
    AUTO(kube_config) struct kube_config *config = NULL;
    buf_add_str(&text, "clusters: [{name: c, cluster: {server: \"https://h");
    for (size_t i = 0; i < 900000; i++)
        buf_add_str(&text, "/");
    buf_add_str(&text, "\"}}]\nusers: [{name: u, user: {}}]\n"
                       "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                       "current-context: x\n");
    CHECK_OK(kube_config_parse_untrusted(buf_slice(&text), &config));
    CHECK_STR(kube_config_server(config), "https://h");
}

TEST(refuses_what_makes_no_sense)
{
    struct kube_config *config = NULL;
    CHECK_ERR_HAS(load_text("k", BEGIN("{server: 'ftp://h'}", "{}"), &config), ERROR_INVALID,
                  "neither https:// nor http://");
    CHECK_ERR_HAS(
        load_text(
            "k",
            BEGIN("{server: 'https://h', insecure-skip-tls-verify: true, certificate-authority: x}",
                  "{}"),
            &config),
        ERROR_INVALID, "exclude each other");
    CHECK_ERR_HAS(load_text("k", "clusters: 7\n", &config), ERROR_INVALID,
                  "clusters is not a list");
    CHECK_ERR_HAS(load_text("k", "", &config), ERROR_INVALID, "no current-context");
    CHECK_ERR_HAS(load_text("k", "- a\n", &config), ERROR_INVALID, "not a kubeconfig");
    CHECK_ERR_HAS(load_text("k", "a: [\n", &config), ERROR_INVALID, "k:");
    CHECK_ERR_HAS(load_text("k", "current-context: x\n", &config), ERROR_INVALID, "names \"x\"");
    CHECK_ERR_HAS(load_text("k",
                            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n",
                            &config),
                  ERROR_INVALID, "names \"c\", which is not among the clusters");
    CHECK_ERR(kube_config_load("/nowhere/k", NULL, &config), ERROR_NOT_FOUND);
}

TEST(a_kubeconfig_list_is_merged_first_wins)
{
    AUTO_MEM char *a = test_path("a"), *b = test_path("b"), *missing = test_path("missing");
    test_write(a, "users: [{name: u, user: {token: of-a}}]\ncurrent-context: x\n");
    test_write(b, BEGIN("{server: 'https://of-b'}",
                        "{token: of-b, client-certificate: c, client-key: k}"));
    AUTO_MEM char *list = str_format("%s:%s:%s", missing, a, b);
    setenv("KUBECONFIG", list, 1);
    AUTO(kube_config) struct kube_config *config = NULL;
    CHECK_OK(kube_config_load(NULL, NULL, &config));
    CHECK_STR(config->token, "of-a");
    CHECK(config->cert_file == NULL); // the whole entry of the first file, nothing of the second
    CHECK_STR(config->server, "https://of-b");
    setenv("KUBECONFIG", missing, 1);
    struct kube_config *none = NULL;
    CHECK_ERR_HAS(kube_config_load(NULL, NULL, &none), ERROR_NOT_FOUND, "no such file");
}

TEST(a_context_can_be_named)
{
    AUTO_MEM char *path = test_path("k");
    test_write(path, "clusters: [{name: c, cluster: {server: 'https://one'}}, {name: d, cluster: "
                     "{server: 'https://two'}}]\n"
                     "contexts: [{name: x, context: {cluster: c}}, {name: second, context: "
                     "{cluster: d}}]\ncurrent-context: x\n");
    AUTO(kube_config) struct kube_config *config = NULL;
    CHECK_OK(kube_config_load(path, "second", &config));
    CHECK_STR(config->server, "https://two");
    CHECK_STR(kube_config_namespace(config), "default");
    struct kube_config *none = NULL;
    CHECK_ERR_HAS(kube_config_load(path, "third", &none), ERROR_INVALID,
                  "--context names \"third\"");
}

TEST(of_a_pod)
{
    AUTO_MEM char *token = test_path("token"), *namespace = test_path("namespace");
    unsetenv("KUBECONFIG");
    unsetenv("KUBERNETES_SERVICE_HOST");
    struct kube_config *none = NULL;
    CHECK_ERR_HAS(kube_config_in_cluster(test_dir(), &none), ERROR_NOT_FOUND, "this is no pod");
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    CHECK_ERR_HAS(kube_config_in_cluster(test_dir(), &none), ERROR_NOT_FOUND, "does the pod mount");
    test_write(token, "t\n");
    test_write(namespace, "mine\n");
    AUTO(kube_config) struct kube_config *config = NULL;
    CHECK_OK(kube_config_in_cluster(test_dir(), &config));
    CHECK_STR(config->server, "https://[fd00::1]:443");
    CHECK_STR(kube_config_namespace(config), "mine");
    CHECK_STR(config->token_file, token);
}

TEST(from_a_secret)
{
    AUTO(kube_config) struct kube_config *config = NULL;
    CHECK_OK(kube_config_parse_untrusted(
        slice_of(BEGIN("{server: 'https://h', certificate-authority-data: Q0E=}", "{token: t}")),
        &config));
    CHECK_STR(config->server, "https://h");
    static const struct {
        const char *cluster, *user, *part;
    } rows[] = {
        {"{server: 'https://h'}", "{tokenFile: /etc/shadow}", "tokenFile is not allowed"},
        {"{server: 'https://h'}", "{client-certificate: a, client-key: b}",
         "client-certificate is not allowed"},
        {"{server: 'https://h', certificate-authority: a}", "{token: t}",
         "certificate-authority is not allowed"},
        {"{server: 'https://h', proxy-url: 'http://p'}", "{token: t}", "proxy-url is not allowed"},
        {"{server: 'http://h'}", "{token: t}", "must be https://"},
        {"{server: 'https://h'}", "{exec: {command: evil}}", "exec plugins are not run"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MEM char *text = str_format(BEGIN("%s", "%s"), rows[i].cluster, rows[i].user);
        struct kube_config *none = NULL;
        CHECK_ERR_HAS(kube_config_parse_untrusted(slice_of(text), &none), ERROR_INVALID,
                      rows[i].part);
    }
}

TEST_MAIN()

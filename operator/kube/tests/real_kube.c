// SPDX-License-Identifier: Apache-2.0
// The client against a real API server: KUBECONFIG=... test_kube_real [words]. It works in a
// namespace of its own and removes it.
#include "kube_internal.h"

#include "testkit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct real {
    struct loop *loop;
    struct http *http;
    struct kube *kube;
    struct op *op, *watch, *timer;
    struct error *err;
    json_t *body;
    char *text;
    unsigned events[4];
    char *last_name;
    bool watch_over;
    struct error *watch_err;
    char namespace[64];
};

static void on_done(void *owner, struct error *take_err, json_t *take_body)
{
    struct real *real = owner;
    real->op = NULL;
    error_free(real->err);
    json_decref(real->body);
    real->err = take_err;
    real->body = take_body;
    loop_stop(real->loop);
}

static void on_text(void *owner, struct error *take_err, struct slice text)
{
    struct real *real = owner;
    mem_free(real->text);
    real->text = slice_dup(text);
    on_done(owner, take_err, NULL);
}

static void wait_op(struct real *real, struct op *op)
{
    real->op = op;
    while (real->op)
        loop_run(real->loop);
}

static void on_stop(void *owner)
{
    struct real *real = owner;
    real->timer = NULL;
    loop_stop(real->loop);
}

static void run_for(struct real *real, uint64_t ms)
{
    real->timer = loop_sleep(real->loop, ms, on_stop, real);
    while (real->timer)
        loop_run(real->loop);
}

static struct kube_ref ref_of(const struct real *real, const char *name)
{
    return (struct kube_ref){.group = "",
                             .version = "v1",
                             .resource = "configmaps",
                             .namespace = real->namespace,
                             .name = name};
}

static struct real *real_new(void)
{
    struct real *real = NEW(struct real);
    real->loop = loop_new();
    real->http = http_new(real->loop, "drawbridge-real-test");
    struct kube_config *config = NULL;
    CHECK_OK(kube_config_load(NULL, NULL, &config));
    real->kube = kube_new(real->loop, real->http, config);
    AUTO_MEM char *name = str_format("drawbridge-real-%d", (int)getpid());
    memcpy(real->namespace, name, strlen(name) + 1);
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "namespaces", .name = real->namespace};
    AUTO_JSON json_t *body = json_pack("{s:{s:s}}", "metadata", "name", real->namespace);
    wait_op(real, kube_create(real->kube, &ref, body, on_done, real));
    CHECK_OK(TAKE(real->err));
    return real;
}

static void real_free(struct real *real)
{
    struct kube_ref ref = {
        .group = "", .version = "v1", .resource = "namespaces", .name = real->namespace};
    wait_op(real, kube_delete(real->kube, &ref, NULL, NULL, on_done, real));
    CHECK_OK(TAKE(real->err));
    real->watch = op_drop(real->watch);
    kube_free(real->kube);
    http_free(real->http);
    loop_free(real->loop);
    json_decref(real->body);
    error_free(real->watch_err);
    mem_free(real->text);
    mem_free(real->last_name);
    mem_free(real);
}

static json_t *config_map(const char *name, const char *value)
{
    return json_pack("{s:s, s:s, s:{s:s}, s:{s:s}}", "apiVersion", "v1", "kind", "ConfigMap",
                     "metadata", "name", name, "data", "key", value);
}

TEST(create_get_replace_delete)
{
    struct real *real = real_new();
    struct kube_ref ref = ref_of(real, "one");
    AUTO_JSON json_t *body = config_map("one", "1");
    wait_op(real, kube_create(real->kube, &ref, body, on_done, real));
    CHECK_OK(TAKE(real->err));
    AUTO_JSON json_t *first = json_incref(real->body);
    wait_op(real, kube_create(real->kube, &ref, body, on_done, real));
    CHECK_STR(error_reason(real->err), "AlreadyExists");
    CHECK_ERR(TAKE(real->err), ERROR_CONFLICT);
    wait_op(real, kube_get(real->kube, &ref, on_done, real));
    CHECK_OK(TAKE(real->err));
    CHECK_STR(doc_str(real->body, "data", "key", NULL), "1");
    AUTO_JSON json_t *changed = doc_copy(first);
    doc_set(changed, json_string("2"), "data", "key", NULL);
    wait_op(real, kube_replace(real->kube, &ref, changed, on_done, real));
    CHECK_OK(TAKE(real->err));
    // its resourceVersion is old now
    wait_op(real, kube_replace(real->kube, &ref, first, on_done, real));
    CHECK_ERR(TAKE(real->err), ERROR_CONFLICT);
    const char *uid = doc_str(first, "metadata", "uid", NULL);
    wait_op(real, kube_delete(real->kube, &ref, "another", NULL, on_done, real));
    CHECK_ERR(TAKE(real->err), ERROR_CONFLICT);
    wait_op(real, kube_delete(real->kube, &ref, uid, NULL, on_done, real));
    CHECK_OK(TAKE(real->err));
    wait_op(real, kube_get(real->kube, &ref, on_done, real));
    CHECK_ERR_HAS(TAKE(real->err), ERROR_NOT_FOUND, "configmaps \"one\" not found");
    real_free(real);
}

static struct error *patch_with(struct real *real, const char *name, enum kube_patch_type type,
                                const json_t *body, const char *manager, bool force, bool dry_run)
{
    struct kube_ref ref = ref_of(real, name);
    struct kube_patch patch = {
        .type = type, .body = body, .field_manager = manager, .force = force, .dry_run = dry_run};
    wait_op(real, kube_patch(real->kube, &ref, &patch, on_done, real));
    return TAKE(real->err);
}

TEST(apply_merge_and_json_patch)
{
    struct real *real = real_new();
    AUTO_JSON json_t *one = config_map("p", "1"), *two = config_map("p", "2");
    CHECK_OK(patch_with(real, "p", KUBE_PATCH_APPLY, one, "alice", false, true));
    struct kube_ref ref = ref_of(real, "p");
    wait_op(real, kube_get(real->kube, &ref, on_done, real));
    CHECK_ERR(TAKE(real->err), ERROR_NOT_FOUND); // it was a dry run
    CHECK_OK(patch_with(real, "p", KUBE_PATCH_APPLY, one, "alice", false, false));
    AUTO_MEM char *version = str_dup(doc_str(real->body, "metadata", "resourceVersion", NULL));
    CHECK_OK(patch_with(real, "p", KUBE_PATCH_APPLY, one, "alice", false, false));
    // applying the same writes nothing
    CHECK_STR(doc_str(real->body, "metadata", "resourceVersion", NULL), version);
    CHECK_ERR_HAS(patch_with(real, "p", KUBE_PATCH_APPLY, two, "bob", false, false), ERROR_CONFLICT,
                  "alice");
    CHECK_OK(patch_with(real, "p", KUBE_PATCH_APPLY, two, "bob", true, false));
    CHECK_STR(doc_str(real->body, "data", "key", NULL), "2");
    AUTO_JSON json_t *merge = json_pack("{s:{s:s, s:n}}", "data", "other", "3", "key");
    CHECK_OK(patch_with(real, "p", KUBE_PATCH_MERGE, merge, "carol", false, false));
    CHECK(doc_get(real->body, "data", "key", NULL) == NULL);
    AUTO_JSON json_t *steps =
        json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s}]", "op", "test", "path", "/data/other",
                  "value", "3", "op", "replace", "path", "/data/other", "value", "4");
    CHECK_OK(patch_with(real, "p", KUBE_PATCH_JSON, steps, NULL, false, false));
    CHECK_STR(doc_str(real->body, "data", "other", NULL), "4");
    // the test does not hold any more
    CHECK_ERR(patch_with(real, "p", KUBE_PATCH_JSON, steps, NULL, false, false), ERROR_REJECTED);
    real_free(real);
}

TEST(lists_in_pages)
{
    struct real *real = real_new();
    for (int i = 0; i < 3; i++) {
        AUTO_MEM char *name = str_format("c%d", i);
        AUTO_JSON json_t *body = config_map(name, "x");
        struct kube_ref ref = ref_of(real, name);
        wait_op(real, kube_create(real->kube, &ref, body, on_done, real));
        CHECK_OK(TAKE(real->err));
    }
    struct kube_ref all = ref_of(real, NULL);
    wait_op(real, kube_list(real->kube, &all, NULL, "metadata.name!=c1", on_done, real));
    CHECK_OK(TAKE(real->err));
    const json_t *items = doc_get(real->body, "items", NULL);
    unsigned ours = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        CHECK_STR(doc_str(item, "kind", NULL), "ConfigMap");
        CHECK_STR(doc_str(item, "apiVersion", NULL), "v1");
        ours += str_starts(doc_str(item, "metadata", "name", NULL), "c");
    }
    CHECK_INT(ours, 2);
    CHECK(doc_str(real->body, "metadata", "resourceVersion", NULL)[0] != '\0');
    all.resource = "nonsense";
    wait_op(real, kube_list(real->kube, &all, NULL, NULL, on_done, real));
    CHECK_ERR_HAS(TAKE(real->err), ERROR_NOT_FOUND, "could not find the requested resource");
    real_free(real);
}

static void on_event(void *owner, enum kube_event event, const json_t *object,
                     struct slice text UNUSED)
{
    struct real *real = owner;
    real->events[event]++;
    mem_free(real->last_name);
    real->last_name = str_dup(doc_str(object, "metadata", "name", NULL));
}

static void on_watch_end(void *owner, struct error *take_err, json_t *take_body UNUSED)
{
    struct real *real = owner;
    real->watch = NULL;
    real->watch_over = true;
    real->watch_err = take_err;
}

TEST(watches)
{
    struct real *real = real_new();
    struct kube_ref all = ref_of(real, NULL), ref = ref_of(real, "w");
    wait_op(real, kube_list(real->kube, &all, NULL, NULL, on_done, real));
    CHECK_OK(TAKE(real->err));
    AUTO_MEM char *version = str_dup(doc_str(real->body, "metadata", "resourceVersion", NULL));
    real->watch = kube_watch(real->kube, &all, NULL, "metadata.name=w", version, on_event,
                             on_watch_end, real);
    AUTO_JSON json_t *body = config_map("w", "x");
    wait_op(real, kube_create(real->kube, &ref, body, on_done, real));
    CHECK_OK(TAKE(real->err));
    AUTO_JSON json_t *merge = json_pack("{s:{s:s}}", "data", "key", "y");
    CHECK_OK(patch_with(real, "w", KUBE_PATCH_MERGE, merge, NULL, false, false));
    wait_op(real, kube_delete(real->kube, &ref, NULL, NULL, on_done, real));
    CHECK_OK(TAKE(real->err));
    run_for(real, 300);
    CHECK_INT(real->events[KUBE_ADDED], 1);
    CHECK_INT(real->events[KUBE_MODIFIED], 1);
    CHECK_INT(real->events[KUBE_DELETED], 1);
    CHECK_STR(real->last_name, "w");
    CHECK(!real->watch_over);
    real->watch = op_drop(real->watch);
    real->watch = kube_watch(real->kube, &all, NULL, NULL, "1", on_event, on_watch_end, real);
    run_for(real, 500);
    if (real->watch_over) // a server that has compacted since says so, another one replays
        CHECK_ERR(TAKE(real->watch_err), ERROR_GONE);
    real_free(real);
}

TEST(text_paths_and_no_such_path)
{
    struct real *real = real_new();
    wait_op(real, kube_get_text(real->kube, "/readyz?verbose", 65536, on_text, real));
    CHECK_OK(TAKE(real->err));
    CHECK_HAS(real->text, "[+]ping ok");
    wait_op(real, kube_get_path(real->kube, "/version", KUBE_VERSION_BYTES_MAX, on_done, real));
    CHECK_OK(TAKE(real->err));
    CHECK(str_starts(doc_str(real->body, "gitVersion", NULL), "v1."));
    wait_op(real, kube_get_text(real->kube, "/metrics", (size_t)16 << 20, on_text, real));
    CHECK_OK(TAKE(real->err));
    CHECK_HAS(real->text, "kubernetes_feature_enabled{");
    wait_op(real, kube_get_path(real->kube, "/apis/nothing.example", KUBE_GROUP_BYTES_MAX, on_done,
                                real));
    CHECK_ERR(TAKE(real->err), ERROR_NOT_FOUND);
    real_free(real);
}

// A hundred requests beside a watch, answered out of order on few connections, half of them dropped
// on the way.
struct many {
    struct real *real;
    struct op *ops[100];
    unsigned left;
};
struct one {
    struct many *many;
    size_t index;
};

static void on_one(void *owner, struct error *take_err, json_t *take_body)
{
    struct one *one = owner;
    CHECK_OK(take_err);
    json_decref(take_body);
    one->many->ops[one->index] = NULL;
    if (--one->many->left == 0)
        loop_stop(one->many->real->loop);
}

TEST(many_at_once)
{
    struct real *real = real_new();
    struct kube_ref all = ref_of(real, NULL);
    real->watch = kube_watch(real->kube, &all, NULL, NULL, "0", on_event, on_watch_end, real);
    struct many many = {.real = real, .left = 50};
    struct one ones[100];
    for (int round = 0; round < 5; round++) {
        many.left = 50;
        for (size_t i = 0; i < COUNT(ones); i++) {
            ones[i] = (struct one){&many, i};
            many.ops[i] = kube_list(real->kube, &all, NULL, NULL, on_one, &ones[i]);
        }
        for (size_t i = 0; i < COUNT(ones); i += 2)
            many.ops[i] = op_drop(many.ops[i]);
        loop_run(real->loop);
        CHECK_INT(many.left, 0);
    }
    CHECK(!real->watch_over);
    real_free(real);
}

TEST(a_rotated_service_account_token)
{
    struct real *real = real_new();
    struct kube_ref ref = {.group = "",
                           .version = "v1",
                           .resource = "serviceaccounts",
                           .namespace = real->namespace,
                           .name = "r"};
    AUTO_JSON json_t *account = json_pack("{s:{s:s}}", "metadata", "name", "r");
    wait_op(real, kube_create(real->kube, &ref, account, on_done, real));
    CHECK_OK(TAKE(real->err));
    ref.subresource = "token";
    AUTO_JSON json_t *ask = json_pack("{s:{s:i}}", "spec", "expirationSeconds", 600);
    wait_op(real, kube_create(real->kube, &ref, ask, on_done, real));
    CHECK_OK(TAKE(real->err));
    AUTO_MEM char *path = test_path("token"), *config_path = test_path("config");
    test_write(path, "not.a.token");
    AUTO_MEM char *text = str_format(
        "clusters: [{name: c, cluster: {server: '%s', insecure-skip-tls-verify: true}}]\n"
        "users: [{name: u, user: {tokenFile: token}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
        kube_server(real->kube));
    test_write(config_path, text);
    struct kube_config *config = NULL;
    CHECK_OK(kube_config_load(config_path, NULL, &config));
    struct kube *other = kube_new(real->loop, real->http, config);
    AUTO_JSON json_t *review = json_pack("{s:s, s:s}", "apiVersion", "authentication.k8s.io/v1",
                                         "kind", "SelfSubjectReview");
    struct kube_ref who = {
        .group = "authentication.k8s.io", .version = "v1", .resource = "selfsubjectreviews"};
    AUTO_MEM char *token = str_dup(doc_str(real->body, "status", "token", NULL));
    wait_op(real, kube_create(other, &who, review, on_done, real));
    CHECK_ERR(TAKE(real->err), ERROR_DENIED);
    test_write(path, token);
    wait_op(real, kube_create(other, &who, review, on_done, real));
    CHECK_OK(TAKE(real->err));
    CHECK_HAS(doc_str(real->body, "status", "userInfo", "username", NULL), ":r");
    kube_free(other);
    real_free(real);
}

// A CA that signed nothing.
static const char OTHER_CA[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBgTCCASegAwIBAgIUKDLpIOyyaMxJxao1HxX3mMUYd6swCgYIKoZIzj0EAwIw\n"
                               "FTETMBEGA1UEAwwKbm9ib2R5cy1jYTAgFw0yNjExMjExMjQ1MzhaGA8yMTI2MTAy\n"
                               "ODEyNDUzOFowFTETMBEGA1UEAwwKbm9ib2R5cy1jYTBZMBMGByqGSM49AgEGCCqG\n"
                               "SM49AwEHA0IABNzVjD1bhD+4V8mpwH0HcSDVcUxGk2nReh6ya/pO9caxund6EUDu\n"
                               "RcFC7yZ/ow8MkEXGkbynmV8J1sE1u9a+phmjUzBRMB0GA1UdDgQWBBQ6CK5cPKvl\n"
                               "zY94g2Gy4BQ32ZQRGDAfBgNVHSMEGDAWgBQ6CK5cPKvlzY94g2Gy4BQ32ZQRGDAP\n"
                               "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDbTKBsrQLxrKjtcqy+\n"
                               "a06I/SaSF++O/zgWsGRZ1eJQ6QIgC8g03AIJ88iApQHNdwVVMw4yCEdztYQnytV8\n"
                               "IXjlyE0=\n"
                               "-----END CERTIFICATE-----\n";

static struct kube *with_ca(struct real *real, const char *ca_file, const char *server_name)
{
    struct kube_config *config = NULL;
    CHECK_OK(kube_config_load(NULL, NULL, &config));
    mem_free(TAKE(config->ca_pem));
    mem_free(config->ca_file);
    config->ca_file = str_dup(ca_file);
    config->server_name = str_dup(server_name);
    return kube_new(real->loop, real->http, config);
}

static struct error *ask_version(struct real *real, struct kube *kube)
{
    wait_op(real, kube_get_path(kube, "/version", KUBE_VERSION_BYTES_MAX, on_done, real));
    return TAKE(real->err);
}

TEST(whom_it_trusts)
{
    struct real *real = real_new();
    const struct kube_config *config = real->kube->config;
    if (config->insecure || !str_starts(config->server, "https://")) {
        real_free(real);
        return;
    }
    AUTO_MEM char *right = NULL, *path = test_path("ca.pem");
    if (config->ca_pem)
        right = str_dup(config->ca_pem);
    else
        CHECK_OK(kube_file_read(config->ca_file, KUBE_FILE_BYTES_MAX, &right));
    test_write(path, OTHER_CA);
    struct kube *kube = with_ca(real, path, NULL);
    CHECK_ERR_HAS(ask_version(real, kube), ERROR_DENIED, "certificate");
    test_write(path, right); // rotated: the failure makes us look, before the minute is over
    CHECK_OK(ask_version(real, kube));
    kube_free(kube);
    kube = with_ca(real, NULL, NULL); // the system's CAs alone
    CHECK_ERR_HAS(ask_version(real, kube), ERROR_DENIED, "certificate");
    kube_free(kube);
    kube = with_ca(real, path, "somebody.example");
    CHECK_ERR_HAS(ask_version(real, kube), ERROR_DENIED, "somebody.example");
    kube_free(kube);
    kube = with_ca(real, path, "kubernetes.default");
    CHECK_OK(ask_version(real, kube));
    kube_free(kube);
    real_free(real);
}

int main(int argc, char **argv)
{
    if (!getenv("KUBECONFIG")) {
        log_line(LOG_ERROR, "kube", "KUBECONFIG must name a cluster to test with");
        return 2;
    }
    return test_main(argc, argv);
}

// SPDX-License-Identifier: Apache-2.0
// plan --prepare-for: many kubelets are asked a few at a time, and what was not seen is no success.
#include <string.h>

#include "plan.h"
#include "testkit/server.h"
#include "testkit/test.h"

#define KUBELETS 100

struct cluster_of_kubelets {
    struct client client;
    struct server *server;
    struct server_conn *waiting[KUBELETS];
    struct op *later; // gone when it has run
    unsigned open, most, answers, failed;
    bool seen[KUBELETS];
};

static void answer_all(void *owner)
{
    struct cluster_of_kubelets *c = owner;
    unsigned open = c->open;

    c->open = 0;
    for (unsigned i = 0; i < open; i++) {
        bool refused = c->answers++ % 10 == 9;
        server_reply(c->waiting[i], refused ? 403 : 200, "", "{\"kind\":\"Status\"}");
    }
}

// Nobody is answered before all that come at once are there.
static void on_request(void *owner, struct server_conn *conn, const struct server_request *request)
{
    struct cluster_of_kubelets *c = owner;

    CHECK(str_starts(request->target, "/api/v1/nodes/w-"));
    c->waiting[c->open++] = conn;
    c->most = c->open > c->most ? c->open : c->most;
    if (c->open == 1)
        c->later = loop_sleep(c->client.loop, 50, answer_all, c);
}

static void on_each(void *owner, size_t index, struct error *take_err, json_t *take_body)
{
    struct cluster_of_kubelets *c = owner;

    CHECK(!c->seen[index]);
    c->seen[index] = true;
    c->failed += take_err != NULL;
    error_free(take_err);
    json_decref(take_body);
}

TEST(many_are_asked_a_few_at_a_time)
{
    struct cluster_of_kubelets c = {0};
    struct kube_config *config = NULL;
    AUTO_MEM char *path = test_path("kubeconfig");
    AUTO_STRLIST struct strlist paths = {0};
    const struct strlist none = {0};

    c.client.loop = loop_new();
    c.server = server_new(c.client.loop, on_request, &c);
    AUTO_MEM char *text = str_format("{clusters: [{name: c, cluster: {server: '%s'}}], contexts: "
                                     "[{name: x, context: {cluster: c, user: u}}], users: [{name: "
                                     "u, user: {}}], current-context: x}",
                                     server_url(c.server));
    test_write(path, text);
    CHECK_OK(kube_config_load(path, NULL, &config));
    c.client.http = http_new(c.client.loop, "test");
    c.client.kube = kube_new(c.client.loop, c.client.http, config);
    for (int i = 0; i < KUBELETS; i++)
        strlist_take(&paths, str_format("/api/v1/nodes/w-%d/proxy/configz", i));
    client_get_each(&c.client, &paths, on_each, &c);
    for (int i = 0; i < KUBELETS; i++)
        CHECK(c.seen[i]);
    CHECK_INT(c.failed, 10);
    CHECK_INT(c.most, CLIENT_AT_ONCE_MAX);
    CHECK_INT(server_requests(c.server), KUBELETS);
    client_get_each(&c.client, &none, on_each, &c); // and ends
    server_free(c.server);
    client_fini(&c.client);
}

// What is said of a cluster without leftovers where so many could not be looked at; *ret: whether
// that is no success.
static char *say(unsigned unseen_len, bool *ret)
{
    struct platform_observed observed = {0};
    AUTO_STRLIST struct strlist unseen = {0};
    struct plan_prepare prepare = {.table = gates_table_builtin(),
                                   .observed = &observed,
                                   .target = {1, 37, 0},
                                   .unseen = &unseen};
    AUTO_MEM char *path = test_path("said");
    FILE *out = fopen(path, "w");

    CHECK(out);
    for (unsigned i = 1; i <= unseen_len; i++)
        strlist_take(&unseen, str_format("kubelet on w-%u", i));
    *ret = plan_prepare_print(&prepare, out);
    fclose(out);
    return test_read(path);
}

TEST(what_was_not_seen_is_no_success)
{
    bool no_success;
    AUTO_MEM char *all = say(0, &no_success);
    CHECK(!no_success);
    CHECK_STR(all, "Nothing that was seen keeps Kubernetes 1.37 from starting.\n");
    AUTO_MEM char *one = say(1, &no_success);
    CHECK(no_success);
    CHECK_HAS(one, "from starting.\nnot seen: kubelet on w-1\n");
    AUTO_MEM char *eight = say(8, &no_success);
    CHECK(!strstr(eight, "more"));
    AUTO_MEM char *many = say(5000, &no_success);
    CHECK(no_success);
    CHECK_HAS(many, "not seen: kubelet on w-8\nnot seen: 4992 more\n");
    CHECK(!strstr(many, "w-9\n"));
}

// An object of which each pass tells thousands of others.
TEST(of_thousands_the_first_are_shown)
{
    enum { KUBELETS_OF_MANY = 3000 };
    struct platform_observed observed = {.server = {1, 36, 0}};
    const struct strlist none = {0};
    struct plan_prepare prepare = {.table = gates_table_builtin(),
                                   .observed = &observed,
                                   .target = {1, 38, 0},
                                   .unseen = &none};
    AUTO_JSON json_t *reported =
        json_pack("{s:{s:b}}", "featureGates", "DynamicResourceAllocation", 1);
    AUTO_MEM char *path = test_path("said");
    AUTO_MEM char *said = NULL;
    FILE *out = fopen(path, "w");
    size_t lines = 0;

    CHECK(out);
    observed.instances = mem_alloc(KUBELETS_OF_MANY * sizeof(*observed.instances));
    observed.len = KUBELETS_OF_MANY;
    for (size_t i = 0; i < observed.len; i++)
        observed.instances[i] = (struct plan_instance){.component = COMPONENT_KUBELET,
                                                       .version = {1, 36, 0},
                                                       .reported = reported,
                                                       .id = str_format("kubelet on w-%zu", i)};
    CHECK(plan_prepare_print(&prepare, out));
    fclose(out);
    said = test_read(path);
    for (const char *at = said; (at = strstr(at, "kubelet on w-")); at++)
        lines++;
    CHECK_INT(lines, 1000);
    CHECK_HAS(said, "kubelet on w-999 ");
    CHECK_HAS(said, "2000 more are not shown");
    for (size_t i = 0; i < observed.len; i++)
        mem_free(observed.instances[i].id);
    mem_free(observed.instances);
}

TEST_MAIN()

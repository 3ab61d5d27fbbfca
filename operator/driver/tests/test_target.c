// SPDX-License-Identifier: Apache-2.0
// A driver in another cluster than the one that Drawbridge runs in: whose server, whose token,
// whose release.
#include "job.h"

static void on_far_request(void *owner, struct server_conn *conn,
                           const struct server_request *request)
{
    struct rig *rig = owner;

    if (strstr(request->target, "/serviceaccounts/helm/token")) {
        rig->far_tokens++;
        if (rig->far_mute)
            return;
        server_reply(conn, 201, "",
                     "{\"status\": {\"token\": \"of-far-away\", \"expirationTimestamp\": "
                     "\"2099-01-01T00:00:00Z\"}}");
        return;
    }
    server_reply(conn, 200, "", "{\"kind\": \"Status\", \"status\": \"Success\", \"items\": []}");
}

static void open_far(struct rig *rig)
{
    rig->far_server = server_new(rig->loop, on_far_request, rig);
    rig->far.kube = client_of(rig, server_url(rig->far_server));
    rig->far.by = "Secret team/far, key value";
}

static void on_stop(void *owner)
{
    struct rig *rig = owner;

    rig->pending = NULL;
    loop_stop(rig->loop);
}

static const struct note *wait_for_note(struct rig *rig, const struct cluster *cluster)
{
    rig->watching = true;
    while (!job_note(rig->driver, cluster, "gpu", "r"))
        loop_run(rig->loop);
    return job_note(rig->driver, cluster, "gpu", "r");
}

// The server, its authority and a token of helm's account are that cluster's, and nothing of ours.
TEST(helm_that_works_in_another_cluster_gets_that_ones_server_and_a_token_of_its_account_there)
{
    AUTO_RIG struct rig rig = {.account = "system/helm"};
    AUTO_MEM char *server = NULL;
    const char *said;

    // What it was given is told by its own words: it can write nowhere else.
    rig_start(
        &rig,
        "case $verb in 'show chart') chart ;; dry-run) echo \"Error: $HELM_KUBEASUSER $(tr -d "
        "'\\n' <$KUBECONFIG)\" >&2; exit 1 ;; esac",
        true);
    open_far(&rig);
    begin_in(&rig, &rig.far, OF_ITS_OWN, "{}");
    said = wait_for_note(&rig, &rig.far)->message;
    server = str_format("\"server\":\"%s\"", server_url(rig.far_server));
    CHECK_HAS(said, "system:serviceaccount:team:installer {");
    CHECK_HAS(said, server);
    CHECK_HAS(said, "\"token\":\"of-far-away\"");
    CHECK(!strstr(said, server_url(rig.server)));
    CHECK_INT(rig.far_tokens, 1);
    CHECK_INT(server_requests(rig.server), 0);
    // A token of one cluster is not shown to another.
    begin(&rig, OF_ITS_OWN, "{}");
    said = wait_for_note(&rig, &rig.cluster)->message;
    CHECK_HAS(said, "\"token\":\"short-lived\"");
    CHECK_HAS(said, server_url(rig.server));
    CHECK_INT(rig.far_tokens, 1);
}

// It is asked before its helm has the one place that there is.
TEST(a_cluster_that_does_not_answer_keeps_nobody_from_helm)
{
    AUTO_RIG struct rig rig = {.account = "system/helm"};

    rig_start(&rig, "case $verb in 'show chart') chart ;; dry-run) " RENDERED " ;; esac", true);
    open_far(&rig);
    rig.far_mute = true;
    begin_in(&rig, &rig.far, OF_ITS_OWN, "{}");
    rig.watching = true;
    while (rig.far_tokens == 0) {
        rig.pending = loop_sleep(rig.loop, 5, on_stop, &rig);
        loop_run(rig.loop);
    }
    begin(&rig, OF_ITS_OWN, "{}");
    CHECK_STR(wait_for_note(&rig, &rig.cluster)->message, NULL);
    CHECK(!job_note(rig.driver, &rig.far, "gpu", "r"));
}

TEST(releases_of_one_name_in_two_clusters_are_two)
{
    AUTO_RIG struct rig rig = {.account = "system/helm"};
    struct want want = {.namespace = "gpu", .release = "r"};
    struct cluster anew;

    rig_start(&rig, "case $verb in 'show chart') chart ;; dry-run) " RENDERED " ;; esac", true);
    open_far(&rig);
    anew = rig.far;
    begin_in(&rig, &rig.far, OF_ITS_OWN, "{}");
    CHECK(job_runs(rig.driver, &rig.far, &want));
    CHECK(job_runs(rig.driver, &anew, &want)); // by another kubeconfig of the same Secret
    CHECK(!job_runs(rig.driver, &rig.cluster, &want));
    CHECK_STR(wait_for_note(&rig, &rig.far)->message, NULL);
    CHECK(!job_note(rig.driver, &rig.cluster, "gpu", "r"));
    job_forget_note(rig.driver, &rig.cluster, &want);
    CHECK(job_note(rig.driver, &anew, "gpu", "r") != NULL);
    job_forget_note(rig.driver, &anew, &want);
    CHECK(rig.driver->notes == NULL);
}

#define BY "Secret team/far, key value"

TEST(another_cluster_gets_no_helm_with_our_credentials_and_nothing_in_the_kubeconfigs_name)
{
    AUTO_MEM char *without = said_of_in("preset: NVIDIA, serviceAccountName: installer", BY, NULL);
    AUTO_MEM char *ours = said_of_in("preset: NVIDIA", BY, "system/helm");
    AUTO_MEM char *delegated =
        said_of_in("engine: HelmRelease, chart: {ref: 'oci://x/y'}", BY, "system/helm");

    CHECK_HAS(without, "helm has no account of its own");
    CHECK_HAS(without, "--helm-service-account");
    CHECK_HAS(ours, "spec.driver.serviceAccountName: in another cluster it is needed: name "
                    "an account in namespace team of that cluster");
    CHECK_HAS(delegated, "spec.driver.serviceAccountName");
}

TEST_MAIN()

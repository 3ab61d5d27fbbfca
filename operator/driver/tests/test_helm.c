// SPDX-License-Identifier: Apache-2.0
// What helm is called with, and the smoke test's way from one pass to the next.
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "job_internal.h"
#include "objects.h"

// --- helm

#define SPEC                                                                                       \
    {.helm = "/bin/helm",                                                                          \
     .dir = "/tmp/h",                                                                              \
     .kubeconfig = "/k",                                                                           \
     .helm_timeout_ms = 90000,                                                                     \
     .namespace = "system",                                                                        \
     .smoke_test_timeout_ms = 1000}

static void check_words(const struct strlist *words, const char *wanted)
{
    CHECK_STR_TAKE(strlist_join(words, " "), wanted);
}

TEST(an_upgrade_has_exactly_these_flags)
{
    static const char *const ways[] = {
        "--server-side=auto --output=json",
        "--server-side=auto --dry-run=server --output=json",
        "--server-side=true --force-conflicts --take-ownership --output=json",
    };
    struct driver_spec spec = SPEC;
    struct want want = {.preset = driver_preset("NVIDIA"),
                        .release = "r",
                        .namespace = "ns",
                        .owner_label = "team.dra",
                        .digest_text = "0123456789abcdef"};

    for (size_t i = 0; i < COUNT(ways); i++) {
        AUTO_CALL struct helm_call call = {0};
        AUTO_MEM char *all = str_format(
            "/bin/helm upgrade --install r /x.tgz --namespace=ns --values=- "
            "--reset-values --history-max=5 --timeout=90s "
            "--labels=drawbridge.dev/digest=0123456789abcdef,drawbridge.dev/"
            "configuration=team.dra,drawbridge.dev/chart=x%s %s",
            i == 2 ? ",drawbridge.dev/name-override=nvidia-dra-driver-gpu" : "", ways[i]);

        want.renamed = i == 2;
        helm_call_make(&spec, "/tmp/h/job-1", &call);
        helm_call_upgrade(&call, &spec, &want, "/x.tgz", "x", i == 2, i == 1);
        check_words(&call.argv, all); // no --wait, no --rollback-on-failure, values on stdin
    }
}

TEST(the_other_calls)
{
    struct driver_spec spec = SPEC;
    struct want want = {.release = "r", .namespace = "ns"};
    struct want pinned = {.ref = "oci://r/x", .version = "1.2.3", .digest = "sha256:00"};
    struct want by_version = {.ref = "oci://r/x", .version = "1.2.3"};
    struct want in_repo = {.repo = "https://example.com", .name = "x", .version = "1.2.3"};
    AUTO_CALL struct helm_call remove = {0};
    AUTO_CALL struct helm_call one = {0};
    AUTO_CALL struct helm_call two = {0};
    AUTO_CALL struct helm_call three = {0};

    helm_call_make(&spec, "/tmp/h/job-1", &remove);
    helm_call_uninstall(&remove, &spec, &want);
    check_words(&remove.argv, "/bin/helm uninstall r --namespace=ns --timeout=90s");
    helm_call_make(&spec, "/tmp/h/job-1", &one);
    helm_call_pull(&one, &pinned, "/d");
    check_words(&one.argv, "/bin/helm pull oci://r/x@sha256:00 --destination=/d");
    helm_call_make(&spec, "/tmp/h/job-1", &two);
    helm_call_pull(&two, &by_version, "/d");
    check_words(&two.argv, "/bin/helm pull oci://r/x --version=1.2.3 --destination=/d");
    helm_call_make(&spec, "/tmp/h/job-1", &three);
    helm_call_pull(&three, &in_repo, "/d");
    check_words(&three.argv,
                "/bin/helm pull x --repo=https://example.com --version=1.2.3 --destination=/d");
}

// What this process has in its environment is not helm's to know.
TEST(the_environment_is_made_and_not_inherited)
{
    struct driver_spec spec = SPEC;
    AUTO_CALL struct helm_call call = {0};

    CHECK_INT(setenv("AWS_SECRET_ACCESS_KEY", "x", 1), 0);
    CHECK_INT(setenv("HELM_PLUGINS", "/evil", 1), 0);
    CHECK_INT(setenv("PATH", "/bin", 1), 0);
    CHECK_INT(setenv("HTTPS_PROXY", "http://proxy", 1), 0);
    for (const char *const *name =
             (const char *const[]){"HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy",
                                   "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
                                   "HELM_REGISTRY_CONFIG", NULL};
         *name; name++)
        CHECK_INT(unsetenv(*name), 0);
    helm_call_make(&spec, "/tmp/h/job-1", &call);
#define ALWAYS                                                                                     \
    "PATH=/bin HTTPS_PROXY=http://proxy HOME=/tmp/h/job-1 TMPDIR=/tmp/h/job-1 "                    \
    "HELM_CACHE_HOME=/tmp/h/job-1/cache HELM_CONFIG_HOME=/tmp/h/config "                           \
    "HELM_DATA_HOME=/tmp/h/job-1/data GOMEMLIMIT=201326592 KUBECACHEDIR=/dev/null/none "           \
    "HELM_NO_PLUGINS=1 NO_COLOR=1 HELM_DRIVER=secret"
    check_words(&call.env, ALWAYS); // a helm that fetches knows no API server
    helm_call_connect(&call, &spec, "/tmp/h/job-1", "system:serviceaccount:team:installer");
    check_words(&call.env,
                ALWAYS " KUBECONFIG=/k HELM_KUBEASUSER=system:serviceaccount:team:installer");
}

// With an account of its own helm has a kubeconfig of its own and not the controller's.
TEST(helm_with_an_account_of_its_own_does_not_get_the_controllers_kubeconfig)
{
    struct driver_spec spec = SPEC;
    AUTO_CALL struct helm_call call = {0};
    AUTO_MEM char *words = NULL;

    spec.helm_account = "system/helm";
    spec.context = "admin";
    helm_call_make(&spec, "/tmp/h/job-1", &call);
    helm_call_connect(&call, &spec, "/tmp/h/job-1", "system:serviceaccount:team:installer");
    words = strlist_join(&call.env, " ");
    CHECK_HAS(words, "KUBECONFIG=/tmp/h/job-1/kube.conf ");
    CHECK(!strstr(words, "KUBECONFIG=/k") && !strstr(words, "admin"));
}

TEST(a_kubeconfig_that_is_cut_is_told_with_its_own_cause)
{
    static char token[] = "a-token-of-more-than-ten-bytes";
    AUTO_MEM char *given = test_path("kubeconfig");
    struct driver driver = {0};
    struct cluster cluster = {0};
    struct job job = {.driver = &driver, .cluster = &cluster, .token = token};
    struct kube_config *config = NULL;
    struct loop *loop = loop_new();
    struct http *http = http_new(loop, NULL);
    struct rlimit as_was, ten;
    struct error *err;

    test_write(given, "apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, "
                      "cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: x, user: {}}]\n"
                      "contexts: [{name: x, context: {cluster: x, user: x}}]\n");
    CHECK_OK(kube_config_load(given, NULL, &config));
    cluster.kube = kube_new(loop, http, config);
    job.dir = test_path("");
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &as_was), 0);
    ten = (struct rlimit){10, as_was.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &ten), 0);
    err = job_write_config(&job);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &as_was), 0);
    CHECK_ERR_HAS(err, ERROR_TRANSIENT, "kube.conf: No space left on device");
    mem_free(job.dir);
    kube_free(cluster.kube);
    http_free(http);
    loop_free(loop);
}

// Below --chart-root alone, and of what is elsewhere nobody is told whether it is there.
TEST(a_chart_path_tells_nothing_of_other_files)
{
    struct driver_spec spec = SPEC;
    AUTO_MEM char *root = test_path("charts");
    AUTO_MEM char *link = test_path("charts/out");
    AUTO_MEM char *inside = test_path("charts/x.tgz");
    AUTO_MEM char *through = test_path("charts/out/passwd");
    AUTO_MEM char *up = str_format("%s/../secret", root);
    AUTO_MEM char *beside = str_format("%s-too/x", root);
    const char *const outside[] = {"/etc/passwd", "/nonexistent", through, up, beside, "x", "/"};

    CHECK_ERR_HAS(helm_check_path(&spec, "/etc/passwd"), ERROR_INVALID, "controller.chartRoot");
    spec.chart_root = root;
    CHECK_INT(mkdir(root, 0700), 0);
    CHECK_INT(symlink("/etc", link), 0);
    CHECK_OK(helm_check_path(&spec, inside)); // helm says that it is not there
    test_write(inside, "x");
    CHECK_OK(helm_check_path(&spec, inside));
    for (size_t i = 0; i < COUNT(outside); i++) {
        AUTO(error) struct error *err = helm_check_path(&spec, outside[i]);

        CHECK(err != NULL);
        CHECK_STR(error_text(err), "spec.driver.chart.path is outside of --chart-root");
        CHECK_STR(error_reason(err), "InvalidConfiguration");
    }
}

// --- the smoke test

struct smoke {
    struct driver_verdict verdict;
    json_t *status;
    struct smoke_action action;
};

static void smoke_fini(struct smoke *smoke)
{
    mem_free(smoke->verdict.message);
    json_decref(smoke->status);
    json_decref(smoke->action.create);
}
#define AUTO_SMOKE CLEANUP(smoke_fini)

#define ASKED "spec: {smokeTest: {enabled: true, deviceClassName: gpu.example.com}}"
#define HEAD "metadata: {namespace: team, name: dra}, "

static void judge(const char *object_text, const char *served_text, const char *facts_text,
                  bool gone, struct smoke *ret_smoke)
{
    struct driver_spec spec = SPEC;
    AUTO_JSON json_t *object = yaml(object_text);
    AUTO_JSON json_t *served = yaml(served_text);
    AUTO_JSON json_t *facts = yaml(facts_text);
    struct driver_work work = {.object = object, .served = served, .gone = gone};
    struct want want = {.digest_text = "d"};

    ret_smoke->verdict.reason = "";
    driver_smoke_judge(&spec, &work, &want, facts, true, &ret_smoke->verdict, &ret_smoke->status,
                       &ret_smoke->action);
}

#define CLASS "classes: [{name: gpu.example.com}], "

TEST(it_speaks_the_version_that_is_served)
{
    static const char *const served[][2] = {{"[v1beta1]", "resource.k8s.io/v1beta1"},
                                            {"[v1beta1, v1beta2]", "resource.k8s.io/v1beta2"},
                                            {"[v1beta1, v1, v1beta2]", "resource.k8s.io/v1"}};

    for (size_t i = 0; i < COUNT(served); i++) {
        AUTO_SMOKE struct smoke claim = {0};
        AUTO_SMOKE struct smoke pod = {0};
        const json_t *request;

        judge("{" HEAD ASKED "}", served[i][0], "{" CLASS "}", false, &claim);
        CHECK_STR(claim.verdict.reason, "SmokeTestRunning");
        CHECK_STR(doc_str(claim.action.create, "kind", NULL), "ResourceClaim");
        CHECK_STR(doc_str(claim.action.create, "apiVersion", NULL), served[i][1]);
        request =
            json_array_get(doc_get(claim.action.create, "spec", "devices", "requests", NULL), 0);
        CHECK_STR(i == 0 ? doc_str(request, "deviceClassName", NULL)
                         : doc_str(request, "exactly", "deviceClassName", NULL),
                  "gpu.example.com");
        judge("{" HEAD ASKED "}", served[i][0], "{" CLASS "smokeClaim: {}}", false, &pod);
        CHECK_STR(doc_str(pod.action.create, "kind", NULL), "Pod");
        CHECK_STR(doc_str(pod.action.create, "metadata", "namespace", NULL), "system");
    }
}

TEST(a_class_whose_name_looks_like_something_else_in_yaml_stays_its_name)
{
    static const char *const names[] = {"123", "true", "null", "1e3", "0x1f", "a.b"};

    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO_SMOKE struct smoke claim = {0};
        AUTO_MEM char *object = str_format(
            "{" HEAD "spec: {smokeTest: {enabled: true, deviceClassName: '%s'}}}", names[i]);
        AUTO_MEM char *facts = str_format("{classes: [{name: '%s'}]}", names[i]);
        const json_t *request;

        judge(object, "[v1]", facts, false, &claim);
        request =
            json_array_get(doc_get(claim.action.create, "spec", "devices", "requests", NULL), 0);
        CHECK_STR(doc_str(request, "exactly", "deviceClassName", NULL), names[i]);
    }
}

#define OLD "metadata: {creationTimestamp: '2020-01-01T00:00:00Z'}, "
#define ALLOCATED                                                                                  \
    "smokeClaim: {apiVersion: resource.k8s.io/v1, status: {allocation: {devices: {results: "       \
    "[{driver: d, pool: p, device: gpu-3}]}}, reservedFor: [{name: x}]}}, "

// However it ends, claim and pod go.
static void check_end(const char *facts, const char *reason, const char *part)
{
    AUTO_SMOKE struct smoke smoke = {0};
    AUTO_MEM char *all = str_format("{" CLASS "%s}", facts);

    judge("{" HEAD ASKED "}", "[v1]", all, false, &smoke);
    CHECK_STR(smoke.verdict.reason, reason);
    CHECK_HAS(smoke.verdict.message, part);
    CHECK(smoke.action.remove && !smoke.action.create);
    CHECK_STR(doc_str(smoke.status, "reason", NULL), reason);
}

TEST(it_ends_and_what_it_made_goes)
{
    check_end(ALLOCATED "smokePod: {spec: {nodeName: node-1}, status: {phase: Running}}",
              "AsExpected",
              "A claim (resource.k8s.io/v1) of d got gpu-3 of pool p, and its pod ran on node-1");
    check_end(ALLOCATED "smokePod: {spec: {nodeName: node-1}, status: {phase: Succeeded}}",
              "AsExpected", "ran on node-1");
    check_end("smokeClaim: {}, smokePod: {" OLD "status: {phase: Pending, conditions: [{type: "
              "PodScheduled, message: cannot allocate all claims}]}}",
              "ClaimNotAllocated", "cannot allocate all claims");
    check_end("smokeClaim: {}, smokePod: {" OLD "status: {phase: Pending}}", "ClaimNotAllocated",
              "the scheduler says nothing");
    check_end(ALLOCATED "smokePod: {" OLD "spec: {nodeName: node-1}, status: {phase: Pending, "
                        "containerStatuses: [{state: {waiting: {reason: CreateContainerError, "
                        "message: unresolvable CDI devices}}}]}}",
              "PodNotRunning", "does not run on node-1: unresolvable CDI devices");
    check_end(ALLOCATED
              "smokePod: {spec: {nodeName: node-1}, status: {phase: Failed, message: gone}}",
              "PodNotRunning", "gone");
}

TEST(it_goes_with_the_driver_and_when_nobody_asks)
{
    AUTO_SMOKE struct smoke gone = {0};
    AUTO_SMOKE struct smoke unasked = {0};
    AUTO_SMOKE struct smoke nothing = {0};

    judge("{" HEAD ASKED "}", "[v1]", "{" CLASS ALLOCATED "}", true, &gone);
    CHECK(gone.action.remove && !*gone.verdict.reason);
    judge("{" HEAD "}", "[v1]", "{" CLASS "smokePod: {status: {phase: Running}}}", false, &unasked);
    CHECK(unasked.action.remove);
    judge("{" HEAD "}", "[v1]", "{" CLASS "}", false, &nothing);
    CHECK(!nothing.action.remove && !nothing.action.create);
}

// A test of the same things is not done again, but a failed one after some minutes.
TEST(what_was_found_stands)
{
    AUTO_SMOKE struct smoke first = {0};
    AUTO_SMOKE struct smoke again = {0};
    AUTO_SMOKE struct smoke later = {0};
    AUTO_MEM char *object = NULL;
    AUTO_MEM char *old = NULL;
    const char *key, *at;

    judge("{" HEAD ASKED "}", "[v1]",
          "{" CLASS ALLOCATED "smokePod: {status: {phase: Failed, message: why}}}", false, &first);
    key = doc_str(first.status, "key", NULL);
    at = doc_str(first.status, "finishedAt", NULL);
#define STATUS                                                                                     \
    ", status: {smokeTest: {key: %s, reason: PodNotRunning, finishedAt: '%s'}, conditions: "       \
    "[{type: SmokeTestPassed, status: 'False', reason: PodNotRunning, message: why}]}}"
    object = str_format("{" HEAD ASKED STATUS, key, at);
    judge(object, "[v1]", "{" CLASS "}", false, &again);
    CHECK_STR(again.verdict.reason, "PodNotRunning");
    CHECK(!again.action.create);
    old = str_format("{" HEAD ASKED STATUS, key, "2020-01-01T00:00:00Z");
    judge(old, "[v1]", "{" CLASS "}", false, &later);
    CHECK_STR(later.verdict.reason, "SmokeTestRunning");
    CHECK(later.action.create);
}

TEST_MAIN()

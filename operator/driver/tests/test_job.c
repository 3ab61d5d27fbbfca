// SPDX-License-Identifier: Apache-2.0
// A job from its first helm to its last, with a script in helm's place: which calls come in which
// order, and what becomes of a helm that floods, hangs or is told to end; a pass beside it asks a
// scripted API server, the others none.
#include <dirent.h>
#include <unistd.h>

#include "job.h"

TEST(an_install)
{
    AUTO_RIG struct rig rig = {0};
    AUTO_MEM char *file = NULL;
    AUTO_MEM char *values = NULL;

    rig_init(&rig, USUAL);
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\nshow crds\nupgrade\n", "", "");
    file = test_path("values");
    values = test_read(file);
    CHECK_STR(values, "{\"a\":1}");
    CHECK_STR(job_note(rig.driver, &rig.cluster, "gpu", "r")->chart, "test-driver");
}

TEST(how_a_release_went_is_forgotten_with_its_configuration)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, USUAL);
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    CHECK(rig.driver->notes != NULL);
    driver_forget_notes(rig.driver, "another/one");
    CHECK(rig.driver->notes != NULL);
    driver_forget_notes(rig.driver, rig.driver->notes->key);
    CHECK(rig.driver->notes == NULL);
}

// --- what a helm may take, and where

static size_t jobs_left(void)
{
    DIR *dir = opendir(test_dir());
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(dir)))
        count += str_starts(entry->d_name, DRIVER_SCRATCH "-");
    closedir(dir);
    return count;
}

#define FETCHED "{chart: {repo: 'https://charts.example.org', name: x}, release: r, namespace: gpu}"
#define PULLS                                                                                      \
    "dir=${!#}; dir=${dir#--destination=}\n"                                                       \
    "case $verb in 'pull x') mkdir -p \"$HELM_CACHE_HOME\"; echo x >\"$HELM_CACHE_HOME/index\"; "

TEST(helm_has_limits_of_memory_files_time_and_processes)
{
    AUTO_RIG struct rig rig = {0};
    AUTO_MEM char *limits = NULL;

    rig_init(&rig, "cat /proc/self/limits | tr -s ' ' >$DIR/limits\n" USUAL);
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    limits = read_in_dir("limits");
    CHECK_HAS(limits, "Max data size 268435456 268435456 ");
    CHECK_HAS(limits, "Max file size 67108864 67108864 ");
    CHECK_HAS(limits, "Max cpu time 19 19 "); // 10 s and the grace
    CHECK_HAS(limits, "Max processes 4096 4096 ");
    CHECK_HAS(limits, "Max core file size 0 0 ");
}

TEST(a_chart_that_needs_too_much_memory_is_limit_reached)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) { echo 'fatal error: out of "
                   "memory allocating heap arena metadata'; echo 'goroutine 1 [running]:'; } >&2; "
                   "exit 2 ;; esac");
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\n", "LimitReached", "more than 256 MiB of memory");
}

TEST(a_chart_that_needs_too_much_processor_time_is_limit_reached)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) while :; do :; done ;; esac");
    driver_helm_processor_s = 1;
    rig.driver->spec.helm_timeout_ms = 60000;
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\n", "LimitReached", "more than 1 s of processor time");
}

TEST(an_archive_that_is_too_large_is_not_unpacked)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, PULLS "truncate -s 16777217 \"$dir/x.tgz\" ;; esac");
    begin(&rig, FETCHED, "{}");
    loop_run(rig.loop);
    check_note(&rig, "pull x\n", "LimitReached", "larger than 16 MiB");
    CHECK_INT(jobs_left(), 0);
}

TEST(a_fetched_chart_and_helms_caches_go_with_the_job)
{
    AUTO_RIG struct rig rig = {0};
    AUTO_MEM char *kept = NULL;

    rig_init(&rig, PULLS "echo x >\"$dir/x.tgz\"; ls -d $DIR/job-*/* | wc -l >$DIR/kept ;; "
                         "'show chart') chart ;; dry-run) " RENDERED " ;; esac");
    begin(&rig, FETCHED, "{}");
    loop_run(rig.loop);
    check_note(&rig, "pull x\nshow chart\ndry-run\nshow crds\nupgrade\n", "", "");
    kept = read_in_dir("kept");
    CHECK_STR(kept, "2\n");
    CHECK_INT(jobs_left(), 0);
}

TEST(a_helm_that_is_not_there_is_told_as_that_and_not_as_a_chart)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, USUAL);
    test_write(rig.calls, "");
    CHECK_INT(unlink(rig.helm), 0);
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "", "HelmNotFound", "/helm-program: No such file or directory");
}

TEST(a_helm_that_is_no_program_is_told_as_that)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, USUAL);
    test_write(rig.calls, "");
    CHECK_INT(chmod(rig.helm, 0600), 0);
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "", "HelmNotFound", "/helm-program: Permission denied");
}

TEST(what_starts_helm_is_named_where_it_is_not_there)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, USUAL);
    test_write(rig.calls, "");
    setenv("DRAWBRIDGE_CONFINE", "/nonexistent/drawbridge-confine", 1);
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "", "HelmNotFound", "start /nonexistent/drawbridge-confine: No such file");
}

// --- one at a time

static void begin_release(struct rig *rig, const char *namespace, const char *release)
{
    AUTO_MEM char *text =
        str_format("{metadata: {namespace: %s, name: dra}, spec: {driver: {chart: "
                   "{path: /charts/x}, release: %s, namespace: gpu}}, status: {}}",
                   namespace, release);
    AUTO_JSON json_t *facts = json_object();
    AUTO_JSON json_t *object = NULL;
    AUTO_WANT struct want want = {0};
    struct job_order order = {0};

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &object));
    CHECK_OK(driver_want_make(object, &want));
    CHECK_OK(driver_values_make(object, facts, "v1", &want));
    job_start(rig->driver, &rig->cluster, "team/dra", object, &want, &order);
}

TEST(one_helm_runs_at_a_time_and_namespaces_take_turns)
{
    AUTO_RIG struct rig rig = {0};
    AUTO_MEM char *made = NULL;
    AUTO_MEM char *first = NULL;

    rig_init(&rig, "mkdir $DIR/one || echo 'TWO AT ONCE' >>$DIR/order\n"
                   "[[ $1 != upgrade || $verb != upgrade ]] || echo $3 >>$DIR/order\n"
                   "case $verb in 'show chart') chart ;; dry-run) " RENDERED " ;; esac\n"
                   "rmdir $DIR/one");
    for (unsigned i = 0; i < 3; i++) {
        AUTO_MEM char *release = str_format("many-%u", i);
        begin_release(&rig, "team", release);
    }
    begin_release(&rig, "other", "single");
    CHECK(!job_waits(rig.driver, &rig.cluster,
                     &(struct want){.namespace = "gpu", .release = "single"}));
    loop_run(rig.loop);
    made = read_in_dir("order");
    CHECK_INT(strlen(made), strlen("many-0\nmany-1\nmany-2\nsingle\n"));
    // Whoever is alone in its namespace is not behind all of another's.
    first = str_ndup(made, strcspn(made, "\n"));
    CHECK_STR(first, "single");
    for (const char *const *name = (const char *const[]){"many-0", "many-1", "many-2", NULL}; *name;
         name++)
        CHECK_STR(job_note(rig.driver, &rig.cluster, "gpu", *name)->reason, "");
    CHECK(rig.ended > 4); // also that they wait was told
}

// --- an account of its own

TEST(helm_gets_a_token_of_its_own_account_and_reads_no_other_file)
{
    AUTO_RIG struct rig rig = {.account = "system/helm"};
    AUTO_MEM char *token = NULL;

    rig_start(&rig,
              "exec 2>>$HOME/log; cat $DIR/token; case $verb in 'show chart') chart ;; dry-run) "
              "[[ -z $(cat $DIR/token) ]] || exit 1; [[ $(stat -c %a $KUBECONFIG) == 600 ]] || "
              "exit 1; grep -q '\"token\": *\"short-lived\"' $KUBECONFIG || exit 1; "
              "kill -0 $PPID && exit 1; [[ $HELM_KUBEASUSER == "
              "system:serviceaccount:team:installer ]] || exit 1; " RENDERED " ;; esac; exit 0",
              true);
    token = test_path("token");
    test_write(token, "of-the-controller");
    rig.watching = true;
    begin(&rig, OF_ITS_OWN, "{}");
    loop_run(rig.loop);
    CHECK_STR(job_note(rig.driver, &rig.cluster, "gpu", "r")->message, NULL);
    CHECK_INT(rig.tokens, 1);
    CHECK_INT(jobs_left(), 0);
}

// A helm that is at work until the release was asked for.
#define SLOW                                                                                       \
    "case $verb in 'show chart') chart ;; dry-run) " RENDERED                                      \
    " ;; upgrade) until [[ -e $DIR/asked ]]; do sleep 0.01; done ;; esac"

// The pass that a release has while another one has helm.
TEST(who_waits_for_helm_says_so)
{
    AUTO_RIG struct rig rig = {0};
    AUTO_MEM char *text = str_format(
        "{metadata: {namespace: team, name: dra}, spec: {driver: %s}, status: {}}", PLAIN);
    AUTO_MEM char *go = test_path("go");
    AUTO_JSON json_t *object = NULL;
    AUTO_JSON json_t *served = json_pack("[s]", "v1");
    struct driver_work work = {.key = "team/dra", .cluster = &rig.cluster, .served = served};

    rig_start(&rig,
              "case $verb in 'show chart') until [[ -e $DIR/go ]]; do sleep 0.01; done; chart ;; "
              "dry-run) " RENDERED " ;; esac",
              true);
    rig.asked = 1; // no answer is held back
    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &object));
    work.object = object;
    begin_release(&rig, "other", "first");
    begin(&rig, PLAIN, "{}");
    rig.pending = driver_pass(rig.driver, &work, on_passed, &rig);
    loop_run(rig.loop);
    CHECK_STR_TAKE(TAKE(rig.said),
                   "Waiting until helm is done with another release: one runs at a time");
    test_write(go, "");
    rig.watching = true;
    while (!job_note(rig.driver, &rig.cluster, "gpu", "r"))
        loop_run(rig.loop);
    CHECK_STR(job_note(rig.driver, &rig.cluster, "gpu", "r")->reason, "");
}

static char *said_of(const char *driver)
{
    return said_of_in(driver, NULL, NULL);
}

TEST(who_wants_to_install_elsewhere_is_told_of_accounts_and_not_of_a_right_to_look)
{
    CHECK_STR_TAKE(said_of("preset: NVIDIA"),
                   "spec.driver.namespace: DRAConfigurations of namespace team may not install "
                   "into namespace dra-driver-nvidia-gpu with Drawbridge's own rights; set "
                   "spec.driver.serviceAccountName to an account of namespace team that may "
                   "install there, and that the administrator lists in the chart's value "
                   "controller.driverAccounts");
    CHECK_STR_TAKE(said_of("engine: External, release: r, namespace: theirs"),
                   "spec.driver.namespace: DRAConfigurations of namespace team may not look into "
                   "namespace theirs; set spec.driver.serviceAccountName, or the administrator can "
                   "list team in the chart's value driverNamespaces[].from of namespace theirs "
                   "(drawbridge run --look team=theirs)");
}

// A pass that asked for the release while helm was at work does not take the answer for what helm
// left: one that shall install would do it again, one that shall uninstall would leave it there.
static void pass_beside_helm(struct rig *rig, bool gone)
{
    AUTO_MEM char *text =
        str_format("{metadata: {namespace: team, name: dra}, spec: {driver: %s}, status: "
                   "{driver: {release: r, namespace: gpu}}}",
                   PLAIN);
    AUTO_JSON json_t *object = NULL;
    AUTO_JSON json_t *served = json_pack("[s]", "v1");
    struct driver_work work = {
        .key = "team/dra", .cluster = &rig->cluster, .served = served, .gone = gone};

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &object));
    work.object = object;
    begin(rig, PLAIN, "{}");
    rig->pending = driver_pass(rig->driver, &work, on_passed, rig);
    loop_run(rig->loop);
    CHECK(rig->ended >= 1 && !rig->held); // what was held back was answered: helm has ended
    // Once more where it was asked in the very millisecond in which helm ended.
    CHECK(rig->asked >= 2);
}

TEST(what_was_asked_before_helm_ended_is_asked_again)
{
    AUTO_RIG struct rig rig = {0};

    rig_start(&rig, SLOW, true);
    pass_beside_helm(&rig, false);
}

TEST(also_by_who_shall_uninstall)
{
    AUTO_RIG struct rig rig = {0};

    rig_start(&rig, SLOW, true);
    pass_beside_helm(&rig, true);
    CHECK(rig.gone);
}

// A cache of the server that is behind could say that nobody has a device, and the driver would go
// under its users.
TEST(whether_claims_are_in_use_is_not_asked_of_a_cache)
{
    AUTO_RIG struct rig rig = {0};

    rig_start(&rig, SLOW, true);
    pass_beside_helm(&rig, true);
    CHECK(rig.gone && !rig.cached_claims);
}

// --- what charts render

#define CLASS                                                                                      \
    "apiVersion: resource.k8s.io/v1beta1\\nkind: DeviceClass\\nmetadata: {name: x, labels: {a: "   \
    "b, "                                                                                          \
    "a: b}}\\n"
#define RENDERS_CLASS                                                                              \
    "case $verb in 'show chart') chart ;; dry-run) printf '%s' '{\"manifest\":\"" CLASS "\"}' ;; " \
    "esac"

// Helm takes a key that is there twice: labels of a helper and the chart's own.
TEST(a_key_that_a_chart_renders_twice_is_no_reason_to_refuse_it)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) printf '%s' "
                   "'{\"manifest\":\"a: 1\\na: 2\\n\"}' ;; esac");
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\nshow crds\nupgrade\n", "", "");
}

// The server was reached: it is the chart that does not fit the API version.
TEST(a_field_that_the_api_version_lacks_is_the_charts_fault)
{
    AUTO_RIG struct rig rig = {0};

    rig_start(&rig, RENDERS_CLASS, true);
    rig.tried = "{\"kind\": \"Status\", \"message\": \"failed to create typed patch object (/x; "
                "resource.k8s.io/v1beta1, Kind=DeviceClass): .spec.extendedResourceName: field "
                "not declared in schema\"}";
    begin(&rig, PLAIN, "{}");
    rig.watching = true;
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\n", "ChartRejected", "extendedResourceName");
}

// The kinds of a chart's own CustomResourceDefinitions are there before its objects are looked at.
TEST(a_chart_with_kinds_of_its_own)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) [[ -e $DIR/seen ]] || { touch "
                   "\"$DIR/seen\"; echo "
                   "'Error: unable to build kubernetes objects from release manifest: no matches "
                   "for kind \"Thing\"' "
                   ">&2; exit 1; }; " RENDERED " ;; esac");
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\nshow crds\ndry-run\nupgrade\n", "", "");
}

TEST(a_kind_that_never_comes)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) echo 'Error: unable to build "
                   "kubernetes objects from "
                   "release manifest: no matches for kind \"Certificate\"' >&2; exit 1 ;; esac");
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\nshow crds\ndry-run\n", "ChartRejected", "Certificate");
}

TEST(an_older_chart_is_not_installed)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, "case $verb in 'show chart') chart 0.9.0 ;; esac");
    begin(&rig, "{preset: Example, chart: {path: /charts/x}, release: r, namespace: gpu}",
          "{chart: test-driver, version: 1.0.0, appliedDigest: x}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\n", "DowngradeRefused", "0.9.0 is older than test-driver 1.0.0");
}

#define IN_THE_WAY                                                                                 \
    "case $verb in 'show chart') chart ;; dry-run) [[ -e $DIR/seen ]] || { touch \"$DIR/seen\"; "  \
    "echo 'Error: Unable to continue with install: Namespace \"left\" in namespace \"\" exists "   \
    "and cannot be imported into the current release: invalid ownership metadata' >&2; exit 1; "   \
    "}; " RENDERED " ;; esac"

// What a failed install left, or its own namespace, for a chart that makes that namespace itself.
TEST(a_namespace_that_an_earlier_try_left_is_taken_into_the_release)
{
    AUTO_RIG struct rig rig = {0};

    rig_start(&rig, IN_THE_WAY, true);
    rig.namespace_owner = "team.dra";
    rig.watching = true;
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\ndry-run\nshow crds\nupgrade\n", "", "");
    CHECK_HAS(rig.patched, "\"resourceVersion\":\"7\"");
    CHECK_HAS(rig.patched, "\"meta.helm.sh/release-namespace\":\"gpu\"");
}

TEST(a_namespace_of_somebody_else_is_left_alone)
{
    AUTO_RIG struct rig rig = {0};

    rig_start(&rig, IN_THE_WAY, true);
    rig.namespace_owner = "team.other";
    rig.watching = true;
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\n", "DriverOwnedElsewhere", "the namespace left");
    CHECK(!rig.patched);
}

// --- helms that do not behave

TEST(a_flood_is_cut)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) head -c 6000000 /dev/zero | tr "
                   "'\\0' x ;; esac");
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\n", "ChartRejected", "more than 4194304 bytes");
}

TEST(a_flood_of_errors_is_cut)
{
    AUTO_RIG struct rig rig = {0};

    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) echo 'Error: first' >&2; head -c "
                   "6000000 /dev/zero | "
                   "tr '\\0' x >&2; exit 1 ;; esac");
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\n", "InstallFailed", "first xxx");
    CHECK(strlen(job_note(rig.driver, &rig.cluster, "gpu", "r")->message) <= 700);
}

TEST(a_helm_that_hangs_is_ended)
{
    AUTO_RIG struct rig rig = {0};

    driver_helm_grace_ms = 200;
    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) trap '' TERM; while :; do sleep "
                   "0.1; done ;; esac");
    rig.driver->spec.helm_timeout_ms = 1000;
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    check_note(&rig, "show chart\ndry-run\n", "HelmInterrupted", "did not end within 1 s");
}

TEST(a_fetch_that_hangs_gives_the_turn_back_sooner_than_other_runs)
{
    AUTO_RIG struct rig rig = {0};

    driver_fetch_ms_max = 1000;
    rig_init(&rig, PULLS "exec sleep 600 ;; esac");
    rig.driver->spec.helm_timeout_ms = 600000;
    begin(&rig, FETCHED, "{}");
    loop_run(rig.loop);
    check_note(&rig, "pull x\n", "ChartUnavailable", "did not end within 1 s");
}

static void on_stopped(void *owner)
{
    struct rig *rig = owner;

    rig->pending = NULL;
    rig->stopped = true;
    CHECK(
        !job_runs(rig->driver, &rig->cluster, &(struct want){.namespace = "gpu", .release = "r"}));
}

static void on_look(void *owner)
{
    struct rig *rig = owner;

    if (test_exists(rig->file))
        rig->pending = driver_stop(rig->driver, on_stopped, rig);
    else
        rig->pending = loop_sleep(rig->loop, 20, on_look, rig);
}

// Our own SIGTERM is helm's too, and it has the time to give its lock back.
TEST(who_stops_waits_for_helm)
{
    AUTO_RIG struct rig rig = {0};
    AUTO_MEM char *begun = test_path("begun");
    AUTO_MEM char *given_back = test_path("given-back");

    rig_init(&rig, "case $verb in 'show chart') chart ;; dry-run) " RENDERED
                   " ;; upgrade) trap 'sleep 0.5; touch "
                   "\"$DIR/given-back\"; exit 1' TERM; touch \"$DIR/begun\"; while :; do sleep "
                   "0.1; done ;; esac");
    rig.file = begun;
    rig.pending = loop_sleep(rig.loop, 20, on_look, &rig);
    begin(&rig, PLAIN, "{}");
    loop_run(rig.loop);
    CHECK(rig.stopped);
    CHECK(test_exists(given_back));
}

// "ResourceVersionTooLarge" is what an API server says, and no reason of a condition.
TEST(the_api_servers_words_are_no_reasons_of_conditions)
{
    struct job job = {0};

    job_fail_with(&job, "InstallFailed",
                  error_because(ERROR_TRANSIENT, "ResourceVersionTooLarge", "too new"));
    CHECK_STR(job.reason, "APIServerUnreachable");
    job_fail_with(&job, "InstallFailed", error_because(ERROR_CONFLICT, "AlreadyExists", "there"));
    CHECK_STR(job.reason, "InstallFailed");
    job_fail_with(&job, "InstallFailed", error_because(ERROR_INVALID, "ValuesInvalid", "no"));
    CHECK_STR(job.reason, "ValuesInvalid");
    mem_free(job.message);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// The story of a hosted control plane, from apply to Revert, with the controller killed, or a
// request failing, at each of its requests in turn: it must end the same and keep the order.
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scene.h"

#define CONFIG "/apis/drawbridge.dev/v1alpha1/namespaces/tenant/draconfigurations/dra"
#define DEPLOYMENTS "/apis/apps/v1/namespaces/tenant/deployments/"
#define GATE "DynamicResourceAllocation=true"
#define TICK_MS 10
#define QUIET_MS 150
#define LIMIT_MS 60000 // a batch takes some seconds where nothing else runs

enum phase { PHASE_APPLY, PHASE_REVERT, PHASE_OVER };

struct story {
    struct scene scene;
    bool broken; // kube-controller-manager does not come up with the gate
    struct op *roll;
    json_t *before[3]; // spec of each Deployment
    enum phase phase;
    uint64_t began_ms;
    const char *other; // namespace of a control plane that the story is not about
};

static const char *const paths[] = {DEPLOYMENTS "kube-apiserver", DEPLOYMENTS "kcm",
                                    DEPLOYMENTS "kube-scheduler"};

static const json_t *deployment(const struct story *s, size_t i)
{
    return fake_get(s->scene.api, paths[i]);
}

static bool has_gate(const json_t *object)
{
    AUTO_MEM char *text =
        doc_print_json(doc_get(object, "spec", "template", "spec", "containers", NULL));

    return text && strstr(text, GATE) != NULL;
}

static bool is_whole(const json_t *object)
{
    return doc_int(object, 0, "status", "observedGeneration", NULL) ==
               doc_int(object, -1, "metadata", "generation", NULL) &&
           doc_int(object, 0, "status", "availableReplicas", NULL) == 1;
}

_Noreturn static void story_fail(const struct story *s, const char *what)
{
    const json_t *now = fake_get(s->scene.api, CONFIG);
    AUTO_MEM char *config = now ? doc_print_json(now) : str_dup("it is gone");

    test_fail(__FILE__, __LINE__, "%s\n%s\nat %u, fault %d, kill %d: %s", s->scene.api->log.ptr,
              config, s->scene.at, (int)s->scene.fault, s->scene.kill, what);
}

// --- the Deployments' controller -----------------------------------------------------------------

static void on_roll(void *owner)
{
    struct story *s = owner;

    s->roll = NULL;
    for (size_t i = 0; i < COUNT(paths); i++) {
        const json_t *now = deployment(s, i);
        bool stuck = s->broken && i == 1 && has_gate(now);

        if (is_whole(now))
            continue;
        fake_edit(s->scene.api, paths[i],
                  json_pack("{s:{s:I, s:i, s:i, s:i, s:[{s:s, s:s, s:s}]}}", "status",
                            "observedGeneration",
                            (json_int_t)doc_int(now, 0, "metadata", "generation", NULL), "replicas",
                            stuck ? 2 : 1, "updatedReplicas", 1, "availableReplicas", stuck ? 0 : 1,
                            "conditions", "type", "Progressing", "status", stuck ? "False" : "True",
                            "reason",
                            stuck ? "ProgressDeadlineExceeded" : "NewReplicaSetAvailable"));
    }
}

static void wake_roll(struct story *s)
{
    if (!s->roll)
        s->roll = loop_sleep(s->scene.loop, 5, on_roll, s);
}

// --- rules ---------------------------------------------------------------------------------------

// Nothing but command and args of the component's container and our annotations may differ.
static void check_untouched(const struct story *s, const json_t *was, const json_t *now)
{
    AUTO_JSON json_t *a = doc_copy(was);
    AUTO_JSON json_t *b = doc_copy(now);
    json_t *both[] = {a, b};

    for (size_t i = 0; i < COUNT(both); i++) {
        json_t *container = (json_t *)(uintptr_t)doc_get(both[i], "spec", "template", "spec",
                                                         "containers", "1", NULL);

        json_object_del(container, "args");
        json_object_del(both[i], "metadata");
    }
    if (!doc_equal(a, b))
        story_fail(s, "something else of a Deployment changed");
}

static void check_deployment(struct story *s, size_t index, const json_t *was, const json_t *now)
{
    bool on = has_gate(now);

    check_untouched(s, was, now);
    if (on == has_gate(was))
        return;
    for (size_t i = 0; i < COUNT(paths); i++) {
        if (i != index && !is_whole(deployment(s, i)))
            story_fail(s, "a Deployment is changed while another one rolls out");
        if (on && i < index && !has_gate(deployment(s, i)))
            story_fail(s, "the gate comes before one that must come first");
        if (!on && i > index && has_gate(deployment(s, i)))
            story_fail(s, "the gate goes before one that must go first");
    }
    wake_roll(s);
}

static void on_write(void *owner, const struct fake_path *path, const json_t *was,
                     const json_t *now)
{
    struct story *s = owner;

    for (size_t i = 0; i < COUNT(paths); i++) {
        if (str_eq(path->object, paths[i])) {
            check_deployment(s, i, was, now);
            return;
        }
    }
    if (s->other && strstr(path->object, s->other))
        return;
    if (!str_eq(path->object, CONFIG))
        story_fail(s, path->object);
    if (path->subresource) {
        AUTO_MEM char *broken = api_conditions_check(now);

        if (*broken)
            story_fail(s, broken);
    }
}

// --- what goes wrong -----------------------------------------------------------------------------

static enum fault choose(void *owner, unsigned index, const struct server_request *request)
{
    struct story *s = owner;

    if (index != s->scene.at || strstr(request->target, "watch=true"))
        return FAULT_NONE;
    return scene_strike(&s->scene);
}

// --- the story -----------------------------------------------------------------------------------

static const char *condition_reason(const struct story *s, const char *type)
{
    return doc_str(fake_condition(s->scene.api, CONFIG, type), "reason", NULL);
}

static bool is_quiet(const struct story *s)
{
    return clock_ms() - s->scene.api->asked_ms >= QUIET_MS;
}

static bool is_applied(const struct story *s)
{
    if (s->broken)
        return str_eq(condition_reason(s, "ControlPlaneUpdated"), "RolledBack");
    for (size_t i = 0; i < COUNT(paths); i++) {
        if (!has_gate(deployment(s, i)) || !is_whole(deployment(s, i)))
            return false;
    }
    return str_eq(condition_reason(s, "ControlPlaneUpdated"), "AsExpected");
}

static void check_given_back(const struct story *s, bool records)
{
    for (size_t i = 0; i < COUNT(paths); i++) {
        if (!doc_equal(json_object_get(deployment(s, i), "spec"), s->before[i]))
            story_fail(s, "a Deployment is not as it was before");
        if (records && json_object_size(doc_get(deployment(s, i), "metadata", "annotations", NULL)))
            story_fail(s, "a record is left");
    }
}

static void on_tick(void *owner)
{
    struct story *s = owner;

    s->scene.tick = loop_sleep(s->scene.loop, TICK_MS, on_tick, s);
    if (scene_is_fenced(&s->scene)) {
        scene_close(&s->scene);
        return;
    }
    if (clock_ms() - s->began_ms > LIMIT_MS)
        story_fail(s, "it does not come to its end");
    if (s->phase == PHASE_APPLY && is_applied(s) && is_quiet(s)) {
        if (s->broken)
            check_given_back(s, false);
        s->phase = PHASE_REVERT;
        fake_delete(s->scene.api, CONFIG);
    } else if (s->phase == PHASE_REVERT && !fake_get(s->scene.api, CONFIG) && is_quiet(s)) {
        check_given_back(s, true);
        s->phase = PHASE_OVER;
        scene_close(&s->scene);
    }
}

static void seed(struct story *s)
{
    static const char *const images[] = {"x/kube-apiserver:v1.33.13",
                                         "x/kube-controller-manager:v1.33.13",
                                         "x/kube-scheduler:v1.33.13"};

    for (size_t i = 0; i < COUNT(paths); i++) {
        const char *name = component_name((enum component)i);

        fake_seed(s->scene.api, paths[i],
                  json_pack("{s:{s:{s:s}}, s:{s:i, s:{s:{s:[{s:s}, {s:s, s:s, s:[s], s:[s,s]}]}}},"
                            " s:{s:i, s:i, s:i, s:i}}",
                            "metadata", "labels", "component", name, "spec", "replicas", 1,
                            "template", "spec", "containers", "name", "sidecar", "name", name,
                            "image", images[i], "command", name, "args", "--feature-gates=A=true",
                            "--v=2", "status", "observedGeneration", 1, "replicas", 1,
                            "updatedReplicas", 1, "availableReplicas", 1));
        s->before[i] = doc_copy(json_object_get(deployment(s, i), "spec"));
    }
    fake_seed(s->scene.api, CONFIG,
              json_pack("{s:s, s:s, s:{s:{s:b}, s:{s:s}, s:s, s:{s:s}}}", "apiVersion",
                        API_GROUP_VERSION, "kind", "DRAConfiguration", "spec", "featureGates",
                        "DynamicResourceAllocation", 1, "platform", "type", "HostedControlPlane",
                        "deletionPolicy", "Revert", "rollout", "componentTimeout", "1m"));
}

static bool fence; // instead of a fault

static struct story *story_start(struct batch *batch, unsigned at, enum fault fault, bool kill,
                                 bool broken)
{
    struct story *s = NEW(struct story);

    *s = (struct story){
        .scene = {.at = at, .fault = fault, .kill = kill, .fence = fence, .backoff_ms_max = 500},
        .broken = broken,
        .began_ms = clock_ms()};
    scene_open(&s->scene, batch, s);
    s->scene.api->choose = choose;
    s->scene.api->on_write = on_write;
    seed(s);
    s->scene.tick = loop_sleep(s->scene.loop, TICK_MS, on_tick, s);
    scene_start_controller(&s->scene);
    return s;
}

static void story_free(struct story *s)
{
    op_drop(s->roll);
    scene_fini(&s->scene);
    for (size_t i = 0; i < COUNT(paths); i++)
        json_decref(s->before[i]);
    mem_free(s);
}

// The kinds of the requests that an undisturbed one takes, one letter each. Owned by the caller.
static char *run_alone(bool broken)
{
    struct batch batch = {.loop = loop_new()};
    struct story *s = story_start(&batch, NEVER, FAULT_NONE, false, broken);
    char *kinds;

    loop_run(batch.loop);
    kinds = str_dup(s->scene.api->kinds.ptr);
    story_free(s);
    loop_free(batch.loop);
    return kinds;
}

#define BATCH 30

enum evil { EVIL_KILL, EVIL_FAIL, EVIL_LIE };

static enum fault fault_of(enum evil evil, unsigned at)
{
    static const enum fault faults[] = {FAULT_409, FAULT_500, FAULT_CUT_AFTER};

    if (evil == EVIL_LIE)
        return fake_lie_of(at);
    return evil == EVIL_KILL ? FAULT_CUT_AFTER : faults[at % COUNT(faults)];
}

// One story for each request of that kind (0: any), in batches.
static void run_each(const char *kinds, char kind, enum evil evil, bool broken)
{
    unsigned at = 0;

    alarm(200); // some hundred stories, on a machine that has other work too
    log_set_level(LOG_ERROR);
    while (kinds[at]) {
        struct batch batch = {.loop = loop_new()};
        struct story *stories[BATCH];
        size_t len = 0;

        for (; kinds[at] && len < BATCH; at++) {
            if (kind == 0 || kinds[at] == kind)
                stories[len++] =
                    story_start(&batch, at, fault_of(evil, at), evil == EVIL_KILL, broken);
        }
        if (batch.running > 0)
            loop_run(batch.loop);
        for (size_t i = 0; i < len; i++)
            story_free(stories[i]);
        loop_free(batch.loop);
    }
}

TEST(goes_its_way_and_back)
{
    mem_free(run_alone(false));
}

TEST(one_that_does_not_come_up_is_put_back)
{
    mem_free(run_alone(true));
}

// --- a hosted API server that never speaks -------------------------------------------------------

#define SILENT "/namespaces/silent/"

// A socket that takes connections and says nothing on them.
static int listen_silently(uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static char *encode_base64(struct slice text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf out = buf_make(1 << 16);

    for (size_t i = 0; i < text.len; i += 3) {
        uint32_t bits = 0;

        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (i + k < text.len ? (uint8_t)text.ptr[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            buf_printf(&out, "%c", i + k <= text.len ? letters[bits >> (18 - 6 * k) & 63] : '=');
    }
    return buf_take(&out);
}

// A hosted control plane like the story's, older and first by name, whose own API server is asked.
static void seed_silent(struct story *s, uint16_t port)
{
    static const char *const names[] = {"kube-apiserver", "kcm", "kube-scheduler"};
    AUTO_MEM char *kubeconfig =
        str_format("{apiVersion: v1, kind: Config, current-context: c,"
                   " contexts: [{name: c, context: {cluster: c, user: u}}],"
                   " users: [{name: u, user: {token: t}}],"
                   " clusters: [{name: c, cluster: {server: 'https://127.0.0.1:%u'}}]}",
                   port);
    AUTO_MEM char *encoded = encode_base64(slice_of(kubeconfig));

    for (size_t i = 0; i < COUNT(names); i++) {
        AUTO_MEM char *path = str_format("/apis/apps/v1" SILENT "deployments/%s", names[i]);

        fake_seed(s->scene.api, path, doc_copy(deployment(s, i)));
    }
    fake_seed(s->scene.api, "/api/v1" SILENT "secrets/kubeconfig",
              json_pack("{s:{s:s}}", "data", "value", encoded));
    fake_seed(s->scene.api, "/apis/drawbridge.dev/v1alpha1" SILENT "draconfigurations/a",
              json_pack("{s:s, s:s, s:{s:{s:b}, s:{s:s}, s:{s:{s:s, s:s}}}}", "apiVersion",
                        API_GROUP_VERSION, "kind", "DRAConfiguration", "spec", "featureGates",
                        "DynamicResourceAllocation", 1, "platform", "type", "HostedControlPlane",
                        "cluster", "kubeconfigSecretRef", "name", "kubeconfig", "key", "value"));
}

static unsigned count_connections(int fd)
{
    unsigned count = 0;

    for (int conn; (conn = accept(fd, NULL, NULL)) >= 0; count++)
        close(conn);
    return count;
}

static void on_look_refused(void *owner)
{
    struct story *s = owner;
    const json_t *valid = fake_condition(s->scene.api, CONFIG, "ConfigValid");

    s->scene.tick = loop_sleep(s->scene.loop, TICK_MS, on_look_refused, s);
    if (clock_ms() - s->began_ms > LIMIT_MS)
        story_fail(s, "it is not refused");
    if (s->phase == PHASE_APPLY && is_applied(s) && is_quiet(s)) {
        fake_edit(s->scene.api, CONFIG,
                  json_pack("{s:{s:{s:s}}}", "spec", "platform", "type", "Observe"));
        s->phase = PHASE_REVERT;
    } else if (s->phase == PHASE_REVERT && str_eq(doc_str(valid, "status", NULL), "False")) {
        CHECK_STR(doc_str(valid, "reason", NULL), "InvalidConfiguration");
        CHECK_HAS(doc_str(valid, "message", NULL), "wrote as HostedControlPlane is still there");
        scene_close(&s->scene);
    }
}

// Its objects are found by that spec alone.
TEST(objects_that_were_written_are_not_left_by_a_change_of_the_type)
{
    struct batch batch = {.loop = loop_new()};
    struct story *s = story_start(&batch, NEVER, FAULT_NONE, false, false);

    op_drop(s->scene.tick);
    s->scene.tick = loop_sleep(s->scene.loop, TICK_MS, on_look_refused, s);
    loop_run(batch.loop);
    for (size_t i = 0; i < COUNT(paths); i++)
        CHECK(has_gate(deployment(s, i)));
    story_free(s);
    loop_free(batch.loop);
}

TEST(a_hosted_api_server_that_never_speaks_holds_nobody)
{
    struct batch batch = {.loop = loop_new()};
    uint16_t port = 0;
    int fd = listen_silently(&port);
    struct story *s = story_start(&batch, NEVER, FAULT_NONE, false, false);

    s->other = SILENT;
    seed_silent(s, port);
    loop_run(batch.loop); // the story's own control plane, from apply to Revert
    // All of it while the first questions are still without an answer: which cluster it is, and
    // which version.
    CHECK_INT(count_connections(fd), 2);
    story_free(s);
    loop_free(batch.loop);
    close(fd);
}

TEST(killed_at_each_request)
{
    AUTO_MEM char *kinds = run_alone(false);

    run_each(kinds, 0, EVIL_KILL, false);
}

TEST(killed_at_each_write_while_one_does_not_come_up)
{
    AUTO_MEM char *kinds = run_alone(true);

    run_each(kinds, 'w', EVIL_KILL, true);
}

TEST(a_write_that_fails_or_whose_answer_is_lost)
{
    AUTO_MEM char *kinds = run_alone(false);

    run_each(kinds, 'w', EVIL_FAIL, false);
}

TEST(each_request_is_answered_with_a_lie)
{
    AUTO_MEM char *kinds = run_alone(false);

    run_each(kinds, 0, EVIL_LIE, false);
}

TEST(with_the_lease_lost_at_each_write_no_other_leaves)
{
    AUTO_MEM char *kinds = run_alone(true);

    fence = true;
    run_each(kinds, 'w', false, true);
}

TEST_MAIN()

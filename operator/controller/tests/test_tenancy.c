// SPDX-License-Identifier: Apache-2.0
// Which namespaces may configure the cluster, and what a DRAConfiguration may reach beyond its own
// namespace: as the administrator listed it, whoever is older.
#include <unistd.h>

#include "scene.h"

#define CONFIGS(namespace)                                                                         \
    "/apis/drawbridge.dev/v1alpha1/namespaces/" namespace "/draconfigurations/dra"
// In the fake API server all objects are of one second, and then the first name counts as older.
#define OLDER CONFIGS("a-stranger")
#define OWNER CONFIGS("tenant")
#define LIMIT_MS 20000

struct tale {
    struct scene scene;
    uint64_t began_ms;
    bool (*over)(struct tale *tale);
};

static const json_t *condition_of(const struct tale *tale, const char *config)
{
    return fake_condition(tale->scene.api, config, "ConfigValid");
}

static bool is_not_allowed(const struct tale *tale, const char *config, const char *words)
{
    const json_t *condition = condition_of(tale, config);

    return str_eq(doc_str(condition, "status", NULL), "False") &&
           str_eq(doc_str(condition, "reason", NULL), "NamespaceNotAllowed") &&
           strstr(doc_str(condition, "message", NULL), words);
}

// Its pass went on beyond the question of who may.
static bool is_looked_at(const struct tale *tale, const char *config)
{
    const json_t *condition = fake_condition(tale->scene.api, config, "Ready");
    const char *reason = doc_str(condition_of(tale, config), "reason", NULL);

    return condition && !str_eq(reason, "NamespaceNotAllowed") && !str_eq(reason, "TargetConflict");
}

static char *print_of(const struct tale *tale, const char *path)
{
    const json_t *object = fake_get(tale->scene.api, path);

    return object ? doc_print_json(object) : str_dup("not there");
}

static void on_tick(void *owner)
{
    struct tale *tale = owner;

    tale->scene.tick = loop_sleep(tale->scene.loop, 10, on_tick, tale);
    if (tale->over(tale)) {
        scene_close(&tale->scene);
    } else if (clock_ms() - tale->began_ms > LIMIT_MS) {
        AUTO_MEM char *older = print_of(tale, OLDER);
        AUTO_MEM char *config = print_of(tale, OWNER);

        test_fail(__FILE__, __LINE__, "%s\n%s\n%s", tale->scene.api->log.ptr, older, config);
    }
}

// more: of the spec, with a comma in front.
static void seed_more(struct tale *tale, const char *path, const char *platform, const char *more)
{
    AUTO_JSON json_t *parsed = NULL;
    AUTO_MEM char *text =
        str_format("{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, spec: {"
                   "featureGates: {DynamicResourceAllocation: true}, platform: %s%s}}",
                   platform, more);

    CHECK_OK(doc_parse_yaml(slice_of(text), "config", &parsed));
    fake_seed(tale->scene.api, path, TAKE(parsed));
}

static void seed(struct tale *tale, const char *path, const char *platform)
{
    seed_more(tale, path, platform, "");
}

static struct tale *tale_begin(struct batch *batch, bool (*over)(struct tale *))
{
    struct tale *tale = NEW(struct tale);

    alarm(60);
    *tale = (struct tale){
        .scene = {.at = NEVER, .backoff_ms_max = 500}, .began_ms = clock_ms(), .over = over};
    scene_open(&tale->scene, batch, tale);
    return tale;
}

static void tale_run(struct tale *tale, struct batch *batch)
{
    tale->scene.tick = loop_sleep(tale->scene.loop, 10, on_tick, tale);
    scene_start_controller(&tale->scene);
    loop_run(batch->loop);
    scene_fini(&tale->scene);
    mem_free(tale);
    loop_free(batch->loop);
}

// --- another namespace's hosted control plane ----------------------------------------------------

static bool stranger_reaches_nothing(struct tale *tale)
{
    return is_not_allowed(tale, OLDER, "--reach a-stranger=tenant") && is_looked_at(tale, OWNER);
}

TEST(an_older_one_cannot_reach_the_hosted_control_plane_of_another_namespace_nor_stop_its_owner)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, stranger_reaches_nothing);

    seed(tale, OLDER, "{type: HostedControlPlane, hostedControlPlane: {namespace: tenant}}");
    seed(tale, OWNER, "{type: HostedControlPlane}");
    tale_run(tale, &batch);
}

static bool nothing_was_asked_there(struct tale *tale)
{
    if (!is_not_allowed(tale, OLDER, "hostedControlPlanes"))
        return false;
    CHECK(strstr(tale->scene.api->log.ptr, "/namespaces/tenant/") == NULL);
    return true;
}

TEST(nothing_is_read_or_watched_in_a_namespace_that_is_not_listed)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, nothing_was_asked_there);

    seed(tale, OLDER, "{type: HostedControlPlane, hostedControlPlane: {namespace: tenant}}");
    tale_run(tale, &batch);
}

TEST(who_may_look_at_the_drivers_of_a_namespace_may_not_configure_its_hosted_control_planes)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, nothing_was_asked_there);

    strlist_add(&tale->scene.look, "a-stranger=tenant");
    seed(tale, OLDER, "{type: HostedControlPlane, hostedControlPlane: {namespace: tenant}}");
    tale_run(tale, &batch);
}

static bool conflict_is_told(struct tale *tale)
{
    return is_looked_at(tale, OLDER) &&
           str_eq(doc_str(condition_of(tale, OWNER), "reason", NULL), "TargetConflict");
}

TEST(what_is_listed_is_reached)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, conflict_is_told);

    strlist_add(&tale->scene.reach, "a-stranger=tenant");
    seed(tale, OLDER, "{type: HostedControlPlane, hostedControlPlane: {namespace: tenant}}");
    seed(tale, OWNER, "{type: HostedControlPlane}");
    tale_run(tale, &batch);
}

// --- the cluster that Drawbridge runs in ---------------------------------------------------------

static bool owner_governs(struct tale *tale)
{
    return is_not_allowed(tale, OLDER, "governingNamespaces") && is_looked_at(tale, OWNER);
}

TEST(an_older_one_of_a_namespace_that_is_not_listed_does_not_govern_the_cluster)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, owner_governs);

    strlist_add(&tale->scene.governing, "tenant");
    seed(tale, OLDER, "{type: Auto}");
    seed(tale, OWNER, "{type: Kubeadm}");
    tale_run(tale, &batch);
}

static bool nobody_takes_over(struct tale *tale)
{
    if (fake_get(tale->scene.api, OWNER) && is_looked_at(tale, OWNER))
        fake_delete(tale->scene.api, OWNER);
    return !fake_get(tale->scene.api, OWNER) &&
           is_not_allowed(tale, OLDER, "--governing-namespace a-stranger");
}

TEST(when_the_one_that_governs_goes_none_of_a_namespace_that_is_not_listed_takes_over)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, nobody_takes_over);

    strlist_add(&tale->scene.governing, "tenant");
    seed(tale, OLDER, "{type: Kubeadm}");
    seed(tale, OWNER, "{type: Kubeadm}");
    tale_run(tale, &batch);
}

static bool lease_namespace_governs(struct tale *tale)
{
    return is_looked_at(tale, CONFIGS("drawbridge-system"));
}

TEST(the_namespace_of_the_lease_governs_without_being_listed)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, lease_namespace_governs);

    seed(tale, CONFIGS("drawbridge-system"), "{type: Kubeadm}");
    tale_run(tale, &batch);
}

static bool observer_looks(struct tale *tale)
{
    return is_looked_at(tale, OLDER);
}

TEST(who_only_observes_needs_no_list)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, observer_looks);

    seed(tale, OLDER, "{type: Observe}");
    tale_run(tale, &batch);
}

// --- the namespace of a driver -------------------------------------------------------------------

static const char *driver_reason(struct tale *tale)
{
    return doc_str(fake_condition(tale->scene.api, OLDER, "DriverReady"), "reason", NULL);
}

static const char *driver_message(struct tale *tale)
{
    return doc_str(fake_condition(tale->scene.api, OLDER, "DriverReady"), "message", NULL);
}

static bool driver_is_not_looked_at(struct tale *tale)
{
    if (!str_eq(driver_reason(tale), "NamespaceNotAllowed"))
        return false;
    CHECK(strstr(tale->scene.api->log.ptr, "/namespaces/elsewhere/") == NULL);
    CHECK(strstr(driver_message(tale), "driverNamespaces[].from of namespace elsewhere (drawbridge "
                                       "run --look a-stranger=elsewhere)"));
    return true;
}

static bool driver_is_looked_at(struct tale *tale)
{
    return *driver_reason(tale) && !str_eq(driver_reason(tale), "NamespaceNotAllowed") &&
           strstr(tale->scene.api->log.ptr, "/namespaces/elsewhere/daemonsets");
}

// In namespace elsewhere, with what the administrator lists (NULL: nothing).
static void driver_elsewhere(const char *look, const char *reach, bool (*over)(struct tale *))
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, over);
    const char *driver = ", driver: {engine: External, release: gpu, namespace: elsewhere}";

    if (look)
        strlist_add(&tale->scene.look, look);
    if (reach)
        strlist_add(&tale->scene.reach, reach);
    seed_more(tale, OLDER, "{type: Observe}", driver);
    tale_run(tale, &batch);
}

TEST(pods_of_an_external_driver_in_a_namespace_that_is_not_listed_are_not_read)
{
    driver_elsewhere(NULL, NULL, driver_is_not_looked_at);
    driver_elsewhere("elsewhere=a-stranger", NULL, driver_is_not_looked_at);
}

TEST(who_may_configure_the_hosted_control_planes_of_a_namespace_may_not_look_at_its_drivers)
{
    driver_elsewhere(NULL, "a-stranger=elsewhere", driver_is_not_looked_at);
}

TEST(pods_of_an_external_driver_in_a_listed_namespace_are_read)
{
    driver_elsewhere("a-stranger=elsewhere", NULL, driver_is_looked_at);
}

static bool is_gone(struct tale *tale)
{
    if (is_not_allowed(tale, OLDER, ""))
        fake_delete(tale->scene.api, OLDER);
    return !fake_get(tale->scene.api, OLDER);
}

TEST(one_that_is_not_allowed_can_be_deleted_and_undoes_nothing)
{
    struct batch batch = {.loop = loop_new()};
    struct tale *tale = tale_begin(&batch, is_gone);

    seed(tale, OLDER, "{type: Kubeadm}");
    fake_edit(tale->scene.api, OLDER,
              json_pack("{s:{s:[s]}, s:{s:s}}", "metadata", "finalizers", API_FINALIZER, "spec",
                        "deletionPolicy", "Revert"));
    fake_seed(tale->scene.api, "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/cp-1",
              json_pack("{s:{s:[]}}", "spec", "components"));
    tale_run(tale, &batch);
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// Which namespaces may configure the cluster, and what a DRAConfiguration may reach beyond its own
// namespace: as the administrator listed it, whoever is older.
#include "scene.h"

#define CONFIGS(namespace)                                                                         \
    "/apis/drawbridge.dev/v1alpha1/namespaces/" namespace "/draconfigurations/dra"
// In the fake API server all objects are of one second, and then the first name counts as older.
#define OLDER CONFIGS("a-stranger")
#define OWNER CONFIGS("tenant")
#define CONFIG OLDER

struct story {
    struct scene scene;
    struct batch batch;
    struct story_wait wait;
};

#include "story.h"

static char *story_tell(const struct story *s)
{
    const json_t *owner = fake_get(s->scene.api, OWNER);

    return owner ? doc_print_json(owner) : str_dup("not there");
}

static const json_t *condition_of(const struct story *s, const char *config)
{
    return fake_condition(s->scene.api, config, "ConfigValid");
}

static bool is_not_allowed(const struct story *s, const char *config, const char *words)
{
    const json_t *condition = condition_of(s, config);

    return str_eq(doc_str(condition, "status", NULL), "False") &&
           str_eq(doc_str(condition, "reason", NULL), "NamespaceNotAllowed") &&
           strstr(doc_str(condition, "message", NULL), words);
}

// Its pass went on beyond the question of who may.
static bool is_looked_at(const struct story *s, const char *config)
{
    const json_t *condition = fake_condition(s->scene.api, config, "Ready");
    const char *reason = doc_str(condition_of(s, config), "reason", NULL);

    return condition && !str_eq(reason, "NamespaceNotAllowed") && !str_eq(reason, "TargetConflict");
}

// more: of the spec, with a comma in front.
static void seed_more(struct story *s, const char *path, const char *platform, const char *more)
{
    AUTO_JSON json_t *parsed = NULL;
    AUTO_MEM char *text =
        str_format("{apiVersion: drawbridge.dev/v1alpha1, kind: DRAConfiguration, spec: {"
                   "featureGates: {DynamicResourceAllocation: true}, platform: %s%s}}",
                   platform, more);

    CHECK_OK(doc_parse_yaml(slice_of(text), "config", &parsed));
    fake_seed(s->scene.api, path, TAKE(parsed));
}

static void seed(struct story *s, const char *path, const char *platform)
{
    seed_more(s, path, platform, "");
}

// --- another namespace's hosted control plane ----------------------------------------------------

static bool stranger_reaches_nothing(const struct story *s)
{
    return is_not_allowed(s, OLDER, "--reach a-stranger=tenant") && is_looked_at(s, OWNER);
}

TEST(an_older_one_cannot_reach_the_hosted_control_plane_of_another_namespace_nor_stop_its_owner)
{
    struct story *s = story_open();

    seed(s, OLDER, "{type: HostedControlPlane, hostedControlPlane: {namespace: tenant}}");
    seed(s, OWNER, "{type: HostedControlPlane}");
    WAIT_FOR(s, stranger_reaches_nothing);
    story_close(s);
}

static bool nothing_was_asked_there(const struct story *s)
{
    if (!is_not_allowed(s, OLDER, "hostedControlPlanes"))
        return false;
    CHECK(strstr(s->scene.api->log.ptr, "/namespaces/tenant/") == NULL);
    return true;
}

TEST(nothing_is_read_or_watched_in_a_namespace_that_is_not_listed)
{
    struct story *s = story_open();

    seed(s, OLDER, "{type: HostedControlPlane, hostedControlPlane: {namespace: tenant}}");
    WAIT_FOR(s, nothing_was_asked_there);
    story_close(s);
}

TEST(who_may_look_at_the_drivers_of_a_namespace_may_not_configure_its_hosted_control_planes)
{
    struct story *s = story_open();

    strlist_add(&s->scene.look, "a-stranger=tenant");
    seed(s, OLDER, "{type: HostedControlPlane, hostedControlPlane: {namespace: tenant}}");
    WAIT_FOR(s, nothing_was_asked_there);
    story_close(s);
}

static bool conflict_is_told(const struct story *s)
{
    return is_looked_at(s, OLDER) &&
           str_eq(doc_str(condition_of(s, OWNER), "reason", NULL), "TargetConflict");
}

TEST(what_is_listed_is_reached)
{
    struct story *s = story_open();

    strlist_add(&s->scene.reach, "a-stranger=tenant");
    seed(s, OLDER, "{type: HostedControlPlane, hostedControlPlane: {namespace: tenant}}");
    seed(s, OWNER, "{type: HostedControlPlane}");
    WAIT_FOR(s, conflict_is_told);
    story_close(s);
}

static bool too_many_is_told(const struct story *s)
{
    AUTO_MEM char *path = test_path("stderr");
    AUTO_MEM char *log = test_read(path);

    return is_looked_at(s, OWNER) && strstr(log, "there are more than 2000 deployments");
}

// Whoever has a namespace may fill it.
TEST(of_a_namespace_with_very_many_objects_no_more_are_kept_than_there_may_be)
{
    struct story *s = story_open();
    AUTO_MEM char *log = NULL;

    for (unsigned i = 0; i < 2001; i++) {
        AUTO_MEM char *path = str_format("/apis/apps/v1/namespaces/tenant/deployments/d%u", i);

        fake_seed(s->scene.api, path, json_object());
    }
    test_capture();
    seed(s, OWNER, "{type: HostedControlPlane}");
    WAIT_FOR(s, too_many_is_told);
    log = test_captured();
    story_close(s);
}

// --- the cluster that Drawbridge runs in ---------------------------------------------------------

static bool owner_governs(const struct story *s)
{
    return is_not_allowed(s, OLDER, "governingNamespaces") && is_looked_at(s, OWNER);
}

TEST(an_older_one_of_a_namespace_that_is_not_listed_does_not_govern_the_cluster)
{
    struct story *s = story_open();

    strlist_add(&s->scene.governing, "tenant");
    seed(s, OLDER, "{type: Auto}");
    seed(s, OWNER, "{type: Kubeadm}");
    WAIT_FOR(s, owner_governs);
    story_close(s);
}

static bool nobody_takes_over(const struct story *s)
{
    if (fake_get(s->scene.api, OWNER) && is_looked_at(s, OWNER))
        fake_delete(s->scene.api, OWNER);
    return !fake_get(s->scene.api, OWNER) &&
           is_not_allowed(s, OLDER, "--governing-namespace a-stranger");
}

TEST(when_the_one_that_governs_goes_none_of_a_namespace_that_is_not_listed_takes_over)
{
    struct story *s = story_open();

    strlist_add(&s->scene.governing, "tenant");
    seed(s, OLDER, "{type: Kubeadm}");
    seed(s, OWNER, "{type: Kubeadm}");
    WAIT_FOR(s, nobody_takes_over);
    story_close(s);
}

static bool lease_namespace_governs(const struct story *s)
{
    return is_looked_at(s, CONFIGS("drawbridge-system"));
}

TEST(the_namespace_of_the_lease_governs_without_being_listed)
{
    struct story *s = story_open();

    seed(s, CONFIGS("drawbridge-system"), "{type: Kubeadm}");
    WAIT_FOR(s, lease_namespace_governs);
    story_close(s);
}

static bool observer_looks(const struct story *s)
{
    return is_looked_at(s, OLDER);
}

TEST(who_only_observes_needs_no_list)
{
    struct story *s = story_open();

    seed(s, OLDER, "{type: Observe}");
    WAIT_FOR(s, observer_looks);
    story_close(s);
}

// --- the namespace of a driver -------------------------------------------------------------------

static const char *driver_reason(const struct story *s)
{
    return doc_str(fake_condition(s->scene.api, OLDER, "DriverReady"), "reason", NULL);
}

static const char *driver_message(const struct story *s)
{
    return doc_str(fake_condition(s->scene.api, OLDER, "DriverReady"), "message", NULL);
}

static bool driver_is_not_looked_at(const struct story *s)
{
    if (!str_eq(driver_reason(s), "NamespaceNotAllowed"))
        return false;
    CHECK(strstr(s->scene.api->log.ptr, "/namespaces/elsewhere/") == NULL);
    CHECK(strstr(driver_message(s), "driverNamespaces[].from of namespace elsewhere (drawbridge "
                                    "run --look a-stranger=elsewhere)"));
    return true;
}

static bool driver_is_looked_at(const struct story *s)
{
    return *driver_reason(s) && !str_eq(driver_reason(s), "NamespaceNotAllowed") &&
           strstr(s->scene.api->log.ptr, "/namespaces/elsewhere/daemonsets");
}

// In namespace elsewhere, with what the administrator lists (NULL: nothing).
static void driver_elsewhere(const char *look, const char *reach,
                             bool (*over)(const struct story *))
{
    struct story *s = story_open();
    const char *driver = ", driver: {engine: External, release: gpu, namespace: elsewhere}";

    if (look)
        strlist_add(&s->scene.look, look);
    if (reach)
        strlist_add(&s->scene.reach, reach);
    seed_more(s, OLDER, "{type: Observe}", driver);
    WAIT_FOR(s, over);
    story_close(s);
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

static bool is_refused(const struct story *s)
{
    return is_not_allowed(s, OLDER, "");
}

TEST(one_that_is_not_allowed_can_be_deleted_and_undoes_nothing)
{
    struct story *s = story_open();

    seed(s, OLDER, "{type: Kubeadm}");
    fake_edit(s->scene.api, OLDER,
              json_pack("{s:{s:[s]}, s:{s:s}}", "metadata", "finalizers", API_FINALIZER, "spec",
                        "deletionPolicy", "Revert"));
    fake_seed(s->scene.api, "/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/cp-1",
              json_pack("{s:{s:[]}}", "spec", "components"));
    WAIT_FOR(s, is_refused);
    fake_delete(s->scene.api, CONFIG);
    WAIT_FOR(s, is_gone);
    story_close(s);
}

TEST_MAIN()

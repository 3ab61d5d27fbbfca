// SPDX-License-Identifier: Apache-2.0
// Passes over a Cluster of Cluster API that a server gives out: which requests they send.
#include "capi/capi_internal.h"
#include "place.h"

// --- a management cluster ------------------------------------------------------------------------

#define LISTED "/namespaces/default/"
#define REF(name)                                                                                  \
    "template: {spec: {version: v1.33.13, bootstrap: {configRef: {apiGroup: b,"                    \
    " kind: KubeadmConfigTemplate, name: " name "}}}}"
#define WORKERS(more)                                                                              \
    "{metadata: {name: workers, namespace: default, resourceVersion: '9', generation: 1}, spec:"   \
    " {replicas: 1, " more REF("workers") "}, status: {observedGeneration: 1, replicas: 1,"        \
                                          " upToDateReplicas: 1, readyReplicas: 1,"                \
                                          " availableReplicas: 1}}"
#define OURS                                                                                       \
    "{metadata: {name: %s, namespace: default, uid: u, labels: {drawbridge.dev/cluster: one}},"    \
    " spec: {template: {spec: {}}}}"

struct management {
    struct world *world;
    struct cluster cluster;
    json_t *objects; // {"RESOURCE" or "RESOURCE/NAME": what is there}
    struct strlist sent;
    json_t *sent_last; // its body
    struct platform_observed *observed;
    struct error *err;
    bool done;
};

static void reply_json(struct server_conn *conn, const json_t *tree)
{
    AUTO_MEM char *text = doc_print_json(tree);

    server_reply(conn, 200, "", text);
}

// What is created is answered with itself, all else with no more than its name.
static void on_write(struct management *m, struct server_conn *conn,
                     const struct server_request *request, const char *resource)
{
    const char *name = strrchr(resource, '/');
    AUTO_JSON json_t *object = NULL;

    strlist_take(&m->sent, str_format("%s %s", request->method, resource));
    json_decref(m->sent_last);
    m->sent_last = NULL;
    if (request->body.len > 0)
        CHECK_OK(doc_parse_json(request->body, "sent", &m->sent_last));
    if (str_eq(request->method, "POST")) {
        CHECK_OK(doc_parse_json(request->body, "sent", &object));
    } else {
        object = json_object();
        doc_set(object, doc_string(name ? name + 1 : ""), "metadata", "name", NULL);
        doc_set(object, doc_string("default"), "metadata", "namespace", NULL);
    }
    reply_json(conn, object);
}

static void on_capi_request(void *owner, struct server_conn *conn,
                            const struct server_request *request)
{
    struct management *m = owner;
    const char *at = strstr(request->target, LISTED);
    struct slice rest = slice_of(at ? at + strlen(LISTED) : ""), key;
    AUTO_MEM char *name = NULL;
    json_t *found;

    slice_cut(&rest, '?', &key);
    name = slice_dup(key);
    if (!str_eq(request->method, "GET")) {
        on_write(m, conn, request, name);
        return;
    }
    if (!at) { // discovery
        server_reply(conn, 200, "", "{\"versions\":[{\"version\":\"v1beta2\"}]}");
        return;
    }
    found = json_object_get(m->objects, name);
    if (json_is_string(found))
        server_reply(conn, 403, "", "{\"kind\":\"Status\",\"message\":\"not allowed\"}");
    else if (json_is_array(found))
        reply_list(conn, found);
    else if (found)
        reply_json(conn, found);
    else
        server_reply(conn, 404, "", "{\"kind\":\"Status\",\"message\":\"no\"}");
}

static void put(struct management *m, const char *key, const char *text)
{
    json_object_set_new(m->objects, key, parse(text));
}

static struct management *management_new(const char *deployment)
{
    struct management *m = NEW(struct management);
    AUTO_MEM char *listed = str_format("[%s]", deployment);

    m->world = world_new(on_capi_request);
    m->world->script_owner = m;
    m->cluster.kube = m->world->kube;
    m->objects = json_object();
    put(m, "clusters/one",
        "{metadata: {name: one, namespace: default}, spec: {controlPlaneRef:"
        " {kind: KubeadmControlPlane, name: one}}}");
    put(m, "kubeadmcontrolplanes/one",
        "{metadata: {name: one, namespace: default, resourceVersion: '7', generation: 1}, spec:"
        " {replicas: 1, version: v1.33.13}, status: {observedGeneration: 1, replicas: 1,"
        " upToDateReplicas: 1, readyReplicas: 1}}");
    put(m, "machinedeployments", listed);
    put(m, "kubeadmconfigtemplates", "[]");
    put(m, "machinesets", "[]");
    put(m, "machines", "[]");
    put(m, "kubeadmconfigtemplates/workers",
        "{metadata: {name: workers, namespace: default}, spec: {template: {spec: {}}}}");
    return m;
}

static void management_free(struct management *m)
{
    platform_observed_free(m->observed);
    error_free(m->err);
    world_free(m->world);
    json_decref(m->objects);
    strlist_fini(&m->sent);
    json_decref(m->sent_last);
    mem_free(m);
}

static void on_seen(void *owner, struct error *take_err, struct platform_observed *take_observed)
{
    struct management *m = owner;

    m->world->op = NULL;
    m->done = true;
    m->err = take_err;
    m->observed = take_observed;
    loop_stop(m->world->loop);
}

static void look(struct management *m, bool deleting)
{
    struct platform_target target = {.type = PLATFORM_CLUSTER_API,
                                     .namespace = "default",
                                     .name = "one",
                                     .deleting = deleting,
                                     .component_timeout_ms = 60000};

    platform_observed_free(m->observed);
    m->observed = NULL;
    m->done = false;
    m->world->op = platform_observe(m->world->loop, &m->cluster, &target, on_seen, m);
    while (!m->done)
        loop_run(m->world->loop);
}

static void on_applied(void *owner, struct error *take_err, bool more UNUSED)
{
    struct management *m = owner;

    m->world->op = NULL;
    m->done = true;
    m->err = take_err;
    loop_stop(m->world->loop);
}

// The kubelets of unit are given what is wanted; NULL: nothing is.
static void apply_to(struct management *m, const char *want, const char *unit)
{
    struct plan_step step = {.state = PLAN_NOW, .want = want ? parse(want) : NULL};
    struct plan plan = {.steps = &step, .len = want ? 1 : 0};
    struct platform_change change = {.observed = m->observed, .plan = &plan};

    while (want && !str_eq(m->observed->instances[step.instance].unit, unit))
        step.instance++;
    m->done = false;
    m->world->op = platform_apply(m->world->loop, &m->cluster, &change, on_applied, m);
    while (!m->done)
        loop_run(m->world->loop);
    CHECK_OK(TAKE(m->err));
    json_decref(step.want);
}

// The end, once everything was taken back.
static void release(struct management *m)
{
    m->done = false;
    m->world->op = platform_release(m->world->loop, &m->cluster, PLATFORM_CLUSTER_API, m->observed,
                                    NULL, true, on_applied, m);
    while (!m->done)
        loop_run(m->world->loop);
    CHECK_OK(TAKE(m->err));
}

static void apply(struct management *m, const char *want)
{
    apply_to(m, want, "MachineDeployment default/workers");
}

#define WANT "{revision: r1, expect: {}, featureGates: {DynamicResourceAllocation: true}}"

static char *take_sent(struct management *m)
{
    char *text = strlist_join(&m->sent, ", ");

    strlist_fini(&m->sent);
    m->sent = (struct strlist){0};
    return text;
}

// The template that the MachineDeployment would name with what is wanted.
static char *name_after(struct management *m, const char *want_text)
{
    AUTO_CAPI_EDIT struct capi_edit edit = {0};
    const struct capi_owner *owner = &m->observed->capi->owners[1];
    AUTO_JSON json_t *want = parse(want_text);
    AUTO_JSON json_t *tree = NULL;
    AUTO_JSON json_t *record = NULL;

    capi_edit_begin(&edit, owner);
    CHECK_OK(platform_record_edit(&owner->parts[0], want, 0, &tree, &record));
    CHECK_OK(capi_edit_put(&edit, m->observed->capi, owner, &owner->parts[0], tree, record));
    return str_dup(capi_template_name(edit.object));
}

static char *name_of_copy(struct management *m)
{
    return name_after(m, WANT);
}

// The server has it, and it was looked at again.
static void name_written(struct management *m)
{
    AUTO_CAPI_EDIT struct capi_edit edit = {0};
    const struct capi_owner *owner = &m->observed->capi->owners[1];
    AUTO_JSON json_t *want = parse(WANT);
    AUTO_JSON json_t *tree = NULL;
    AUTO_JSON json_t *record = NULL;
    AUTO_MEM char *key = NULL;

    capi_edit_begin(&edit, owner);
    CHECK_OK(platform_record_edit(&owner->parts[0], want, 0, &tree, &record));
    CHECK_OK(capi_edit_put(&edit, m->observed->capi, owner, &owner->parts[0], tree, record));
    CHECK(edit.creates);
    key = str_format("kubeadmconfigtemplates/%s", capi_template_name(edit.object));
    json_object_set(m->objects, key, edit.template);
    json_object_set_new(m->objects, "machinedeployments", json_pack("[O]", edit.object));
    look(m, false);
    CHECK_OK(TAKE(m->err));
}

// --- templates -----------------------------------------------------------------------------------

// The copy was made, and then the MachineDeployment had another resourceVersion: it is there, and
// nothing names it before this pass does.
TEST(a_copy_that_is_named_in_this_pass_is_not_removed_in_it)
{
    struct management *m = management_new(WORKERS(""));
    AUTO_MEM char *name = NULL;
    AUTO_MEM char *ours = NULL;
    AUTO_MEM char *sent = NULL;

    look(m, false);
    CHECK_OK(TAKE(m->err));
    apply(m, WANT);
    CHECK_INT(m->sent.len, 2);
    mem_free(take_sent(m));
    name = name_of_copy(m);
    ours = str_format("[" OURS ", " OURS "]", name, "workers-00000000");
    put(m, "kubeadmconfigtemplates", ours);
    look(m, false);
    CHECK_OK(TAKE(m->err));
    apply(m, WANT);
    sent = take_sent(m);
    CHECK_STR(sent, "PATCH machinedeployments/workers, "
                    "DELETE kubeadmconfigtemplates/workers-00000000");
    management_free(m);
}

// Two Clusters of one namespace may be made from the same template: each removes its own copies.
TEST(a_copy_is_of_one_cluster)
{
    static const char *const clusters[] = {"one", "two"};
    AUTO_MEM char *first = NULL;

    for (size_t i = 0; i < COUNT(clusters); i++) {
        struct management *m = management_new(WORKERS(""));
        AUTO_MEM char *name = NULL;

        look(m, false);
        CHECK_OK(TAKE(m->err));
        mem_free(m->observed->capi->name);
        m->observed->capi->name = str_dup(clusters[i]);
        name = name_of_copy(m);
        CHECK(!str_eq(first, name));
        if (!first)
            first = TAKE(name);
        management_free(m);
    }
}

// Nobody but its user replaces those Machines, and MachineSets make new ones of their own template.
TEST(a_copy_that_machines_are_made_of_by_hand_does_not_hold_up_the_end)
{
    AUTO_MEM char *ours = str_format("[" OURS "]", "workers-00000000");
    struct management *m = management_new(WORKERS("rollout: {strategy: {type: OnDelete}}, "));
    AUTO_MEM char *sent = NULL;

    put(m, "kubeadmconfigtemplates", ours);
    put(m, "machinesets",
        "[{metadata: {name: s, namespace: default, resourceVersion: '5', labels:"
        " {cluster.x-k8s.io/deployment-name: workers}}, spec: {replicas: 1, " REF(
            "workers-00000000") "}}]");
    look(m, true);
    CHECK_OK(TAKE(m->err));
    CHECK(!m->observed->unsettled);
    CHECK_INT(m->observed->again_ms, 0);
    apply(m, NULL);
    sent = take_sent(m);
    CHECK_STR(sent, "");
    // One that nothing holds is removed before the end.
    put(m, "machinesets", "[]");
    look(m, true);
    CHECK_OK(TAKE(m->err));
    CHECK(m->observed->unsettled);
    CHECK(m->observed->again_ms > 0);
    management_free(m);
}

// Machines that run need it no more, and the next one cannot be made.
TEST(a_copy_that_somebody_deleted_is_made_again_or_the_one_from_before_is_named)
{
    struct management *m = management_new(WORKERS(""));
    AUTO_MEM char *key = NULL;
    AUTO_MEM char *again = NULL;
    AUTO_MEM char *end = NULL;
    const json_t *named;

    look(m, false);
    CHECK_OK(TAKE(m->err));
    name_written(m);
    key = str_format("kubeadmconfigtemplates/%s",
                     capi_template_name(m->observed->capi->owners[1].object));
    json_object_del(m->objects, key);
    look(m, false);
    CHECK_OK(TAKE(m->err));
    apply(m, WANT);
    again = take_sent(m);
    CHECK_STR(again, "POST kubeadmconfigtemplates, PATCH machinedeployments/workers");
    release(m);
    end = take_sent(m);
    CHECK_STR(end, "PATCH machinedeployments/workers");
    named = doc_get(m->sent_last, "spec", "template", "spec", "bootstrap", "configRef", NULL);
    CHECK_STR(doc_str(named, "name", NULL), "workers");
    management_free(m);
}

// --- pools ---------------------------------------------------------------------------------------

#define POOL(data)                                                                                 \
    "[{metadata: {name: workers, namespace: default, resourceVersion: '9', generation: 1}, spec:"  \
    " {replicas: 0, template: {spec: {version: v1.33.13, bootstrap: {configRef: {apiGroup: b,"     \
    " kind: KubeadmConfig, name: pool}, dataSecretName: " data "}}}}, status:"                     \
    " {observedGeneration: 1, replicas: 0}}]"

// Ours goes when no pool gives out its data any more.
TEST(a_pool_is_asked_for_and_its_copy_is_removed_last)
{
    struct management *m = management_new(WORKERS(""));
    AUTO_MEM char *first = NULL;
    AUTO_MEM char *second = NULL;
    AUTO_MEM char *third = NULL;

    put(m, "machinedeployments", "[]");
    put(m, "machinepools", POOL("pool"));
    put(m, "kubeadmconfigs", "[]");
    put(m, "kubeadmconfigs/pool",
        "{metadata: {name: pool, namespace: default}, spec: {}, status: {dataSecretName: pool}}");
    look(m, false);
    CHECK_OK(TAKE(m->err));
    apply_to(m, WANT, "MachinePool default/workers");
    first = take_sent(m);
    CHECK_STR(first, "POST kubeadmconfigs, PATCH machinepools/workers");
    put(m, "kubeadmconfigs",
        "[{metadata: {name: pool-00000000, namespace: default, uid: u}, spec: {}}]");
    put(m, "machinepools", POOL("pool-00000000"));
    look(m, true);
    CHECK_OK(TAKE(m->err));
    apply_to(m, NULL, NULL);
    second = take_sent(m);
    CHECK_STR(second, "");
    put(m, "machinepools", POOL("pool"));
    look(m, true);
    CHECK_OK(TAKE(m->err));
    CHECK(m->observed->unsettled);
    apply_to(m, NULL, NULL);
    third = take_sent(m);
    CHECK_STR(third, "DELETE kubeadmconfigs/pool-00000000");
    management_free(m);
}

TEST(pools_that_may_not_be_listed_are_told)
{
    struct management *m = management_new(WORKERS(""));

    put(m, "machinepools", "denied");
    look(m, false);
    CHECK_OK(TAKE(m->err));
    CHECK_HAS(m->observed->read_back, "MachinePools are not looked at (");
    CHECK_HAS(m->observed->read_back, "not allowed");
    management_free(m);
}

// --- what others wrote ---------------------------------------------------------------------------

TEST(a_template_that_says_nothing_is_copied_and_named_again)
{
    static const char *const specs[] = {"", ", spec: 5", ", spec: {}", ", spec: {template: {}}",
                                        ", spec: {template: {spec: {}}}"};

    for (size_t i = 0; i < COUNT(specs); i++) {
        struct management *m = management_new(WORKERS(""));
        AUTO_MEM char *text =
            str_format("{metadata: {name: workers, namespace: default}%s}", specs[i]);
        AUTO_MEM char *name = NULL;

        put(m, "kubeadmconfigtemplates/workers", text);
        look(m, false);
        CHECK_OK(TAKE(m->err));
        name_written(m);
        name = name_after(m, "{revision: r2, expect: {}, featureGates: {}}");
        CHECK_STR(name, "workers");
        management_free(m);
    }
}

TEST(annotations_that_are_no_map_give_way)
{
    struct management *m = management_new(
        "{metadata: {name: workers, namespace: default, annotations: text, resourceVersion: '9'},"
        " spec: {replicas: text, " REF("workers") "}, status: 5}");
    AUTO_MEM char *sent = NULL;

    look(m, false);
    CHECK_OK(TAKE(m->err));
    apply(m, WANT);
    sent = take_sent(m);
    CHECK_STR(sent, "POST kubeadmconfigtemplates, PATCH machinedeployments/workers");
    management_free(m);
}

// Nothing is rolled out there: an edit would be taken for one that does not come up.
TEST(a_machine_deployment_that_is_paused_is_told)
{
    static const char *const rows[] = {
        "{metadata: {name: workers, namespace: default}, spec: {paused: true, " REF("workers") "}}",
        "{metadata: {name: workers, namespace: default, annotations: {cluster.x-k8s.io/paused:"
        " ''}}, spec: {" REF("workers") "}}",
    };
    struct management *m;

    for (size_t i = 0; i < COUNT(rows); i++) {
        m = management_new(rows[i]);
        look(m, false);
        CHECK(m->err != NULL);
        CHECK_STR(error_reason(m->err), "ClusterPaused");
        CHECK_ERR_HAS(TAKE(m->err), ERROR_INVALID, "MachineDeployment default/workers is paused");
        look(m, true); // nothing of ours is there
        CHECK_OK(TAKE(m->err));
        management_free(m);
    }
    // What others write is theirs to pause.
    m = management_new(
        "{metadata: {name: workers, namespace: default, labels:"
        " {helm.toolkit.fluxcd.io/name: x}}, spec: {paused: true, " REF("workers") "}}");
    look(m, false);
    CHECK_OK(TAKE(m->err));
    management_free(m);
}

// One that a Secret holds, and what is appended to it as plain text.
TEST(one_file_of_a_path_is_edited)
{
    struct management *m = management_new(WORKERS(""));
    const json_t *files;

    put(m, "kubeadmconfigtemplates/workers",
        "{metadata: {name: workers, namespace: default}, spec: {template: {spec: {files:"
        " [{path: /etc/k/kubeletconfiguration.yaml, contentFrom: {secret: {name: s, key: k}}},"
        " {path: /etc/k/kubeletconfiguration.yaml, append: true, content: 'a: 1'}],"
        " joinConfiguration: {patches: {directory: /etc/k}}}}}}");
    look(m, false);
    CHECK_OK(TAKE(m->err));
    name_written(m);
    files =
        doc_get(m->observed->capi->owners[1].template, "spec", "template", "spec", "files", NULL);
    CHECK_STR(doc_str(files, "0", "content", NULL), "");
    CHECK_HAS(doc_str(files, "1", "content", NULL), "DynamicResourceAllocation");
    management_free(m);
}

TEST_MAIN()

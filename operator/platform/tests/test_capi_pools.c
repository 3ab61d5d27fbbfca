// SPDX-License-Identifier: Apache-2.0
// MachinePools of a Cluster: a KubeadmConfig of their own, and the one from before back.
#include "cluster.h"

#define POOL(config, data, status)                                                                 \
    "{metadata: {name: pool, namespace: default, resourceVersion: '9', generation: 2}, spec:"      \
    " {replicas: 2, template: {spec: {version: v1.33.13, bootstrap: {configRef: {apiGroup: b,"     \
    " kind: KubeadmConfig, name: " config "}" data "}}}}, status: " status "}"
#define QUIET "{observedGeneration: 2, replicas: 2, readyReplicas: 2, upToDateReplicas: 2}"
// As its controller leaves one that is in use.
#define CONFIG                                                                                     \
    "{metadata: {name: pool, namespace: default, ownerReferences: [{kind: MachinePool, name:"      \
    " pool, controller: true}]}, spec: {joinConfiguration: {discovery: {bootstrapToken:"           \
    " {apiServerEndpoint: 'a:6443', token: %s, caCertHashes: [x]}}, nodeRegistration: {criSocket:" \
    " s}}}, status: {dataSecretName: pool}}"

static json_t *config_with(const char *token)
{
    AUTO_MEM char *text = str_format(CONFIG, token);

    return parse(text);
}

static void look(struct place *p, json_t *take_pool, json_t *take_config, json_t *take_original)
{
    CHECK_OK(read_again(p, KIND_MACHINE_POOL, take_pool, take_config, take_original));
}

TEST(kubelets_of_a_pool_get_a_config_of_their_own_and_the_old_one_back)
{
    AUTO_JSON json_t *copy = NULL;
    AUTO_JSON json_t *on = NULL;
    AUTO_JSON json_t *off = NULL;
    AUTO_MEM char *first = NULL;
    struct place p;

    begin(&p, "v1beta2");
    look(&p, parse(POOL("pool", ", dataSecretName: pool", QUIET)), config_with("abcdef.1"), NULL);
    CHECK(part_of(&p, "kubelet")->rollout.complete);
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        CHECK(edit.creates);
        copy = doc_copy(edit.template);
        on = patched(&p, &edit);
    }
    first = str_dup(doc_str(copy, "metadata", "name", NULL));
    CHECK(str_starts(first, "pool-"));
    CHECK_STR(doc_str(copy, "kind", NULL), "KubeadmConfig");
    CHECK_STR(doc_str(copy, "metadata", "labels", CAPI_OURS_LABEL, NULL), "one");
    CHECK(doc_get(copy, "metadata", "ownerReferences", NULL) == NULL);
    // Neither a token that expires, nor the bootstrap data of the other one.
    check_spec(copy, "{joinConfiguration: {discovery: {bootstrapToken: {apiServerEndpoint:"
                     " 'a:6443', caCertHashes: [x]}}, nodeRegistration: {criSocket: s,"
                     " kubeletExtraArgs: [{name: feature-gates, value:"
                     " DynamicResourceAllocation=true}]}}}");
    CHECK_STR(capi_template_name(on), first);
    CHECK(doc_get(on, "spec", "template", "spec", "bootstrap", "dataSecretName", NULL) == NULL);
    CHECK_STR_TAKE(capi_original_name(on), "pool");

    // A token that was renewed meanwhile makes no other one.
    json_array_append_new(p.capi.ours, doc_copy(copy));
    look(&p, doc_copy(on), doc_copy(copy), config_with("abcdef.2"));
    CHECK(part_of(&p, "kubelet")->stands);
    CHECK(!part_of(&p, "kubelet")->rollout.complete);
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        AUTO_JSON json_t *again = NULL;
        CHECK_OK(edit_all(&p, WANT_API, WANT, &edit));
        CHECK(!edit.creates);
        again = patched(&p, &edit);
        CHECK_STR(capi_template_name(again), first);
    }
    {
        AUTO_CAPI_EDIT struct capi_edit edit = {0};
        CHECK_OK(edit_all(&p, WANT_NOTHING, WANT_NOTHING, &edit));
        CHECK(edit.template == NULL);
        off = patched(&p, &edit);
    }
    CHECK_STR(capi_template_name(off), "pool");
    end(&p);
}

// Its counts say nothing of what the nodes were made of.
TEST(a_pool_is_over_when_it_gives_out_the_data_of_its_config)
{
    static const struct {
        const char *pool;
        bool over;
    } rows[] = {
        {POOL("pool", "", QUIET), false},
        {POOL("pool", ", dataSecretName: other", QUIET), false},
        {POOL("pool", ", dataSecretName: pool",
              "{observedGeneration: 1, replicas: 2, readyReplicas: 2}"),
         false},
        {POOL("pool", ", dataSecretName: pool",
              "{observedGeneration: 2, replicas: 3, readyReplicas: 2}"),
         false},
        {POOL("pool", ", dataSecretName: pool",
              "{observedGeneration: 2, replicas: 2, readyReplicas: 1}"),
         false},
        {POOL("pool", ", dataSecretName: pool",
              "{observedGeneration: 2, replicas: 2,"
              " readyReplicas: 2}"),
         true},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct place p;

        begin(&p, "v1beta1");
        look(&p, parse(rows[i].pool), config_with("t"), NULL);
        CHECK_INT(part_of(&p, "kubelet")->rollout.complete, rows[i].over);
        end(&p);
    }
}

TEST(a_pool_of_a_topology_or_of_another_provider_is_left_alone)
{
    json_t *topology = parse(POOL("pool", ", dataSecretName: pool", QUIET));
    struct place p;

    doc_set(topology, json_string(""), "metadata", "labels", CAPI_TOPOLOGY_LABEL, NULL);
    begin(&p, "v1beta2");
    look(&p, topology, config_with("t"), NULL);
    CHECK_STR(p.owners[0].foreign, "its templates are made by the ClusterClass of Cluster"
                                   " default/one");
    look(&p,
         parse("{metadata: {name: pool, namespace: default}, spec: {template: {spec: {bootstrap:"
               " {dataSecretName: by-hand}}}}}"),
         NULL, NULL);
    CHECK_STR(p.owners[0].foreign, "its Machines are made of no KubeadmConfig");
    look(&p, parse(POOL("gone", "", QUIET)), NULL, NULL);
    CHECK_STR(p.owners[0].foreign, "KubeadmConfig default/gone, which it names, is not there");
    end(&p);
}

TEST_MAIN()

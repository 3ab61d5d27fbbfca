// SPDX-License-Identifier: Apache-2.0
// What a kwok cluster is taken for: three components on no node, and nodes without kubelets.
#include "place.h"

#include "platform_internal.h"

static void add_fakes(struct place *c)
{
    json_array_append_new(c->nodes, parse("{metadata: {name: a, annotations: {kwok.x-k8s.io/node: "
                                          "fake}}, status: {nodeInfo: {kubeletVersion: fake}}}"));
    // kwokctl's controller looks after each, whatever it says
    json_array_append_new(
        c->nodes, parse("{metadata: {name: b}, status: {nodeInfo: {kubeletVersion: v1.33.13}}}"));
}

static void add_report(struct place *c, const char *labels, const char *components)
{
    AUTO_MEM char *text = str_format("{metadata: {name: kwok, labels: {%s}}, spec: {configuration: "
                                     "default/dra, epoch: 1}, status: {components: [%s]}}",
                                     labels, components);

    json_array_append_new(c->configs, parse(text));
}

TEST(before_its_agent_has_said_anything)
{
    struct place *c = place_new();

    add_fakes(c);
    cluster_open(c);
    observe(c, PLATFORM_KWOK);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(c->observed->len, 3);
    CHECK(find(c, "kube-apiserver on kwok") && find(c, "kube-controller-manager on kwok"));
    CHECK(find(c, "kube-scheduler on kwok")->control_plane);
    CHECK(!find(c, "kube-scheduler on kwok")->agent);
    CHECK_INT(find(c, "kube-scheduler on kwok")->version.minor, 33);
    CHECK_INT(c->observed->managed_nodes, 0);
    CHECK_INT(c->observed->unmanaged_nodes, 2);
    CHECK_STR(doc_str(c->observed->ignored, "b", NULL), "fake");
    place_free(c);
}

TEST(what_its_agent_says_is_there)
{
    struct place *c = place_new();

    add_report(c, "drawbridge.dev/site: kwok",
               "{name: kube-apiserver, state: UpToDate, version: v1.34.1, emulatedVersion: "
               "'1.33'}, {name: kube-controller-manager, state: Observed, version: v1.34.1}");
    cluster_open(c);
    observe(c, PLATFORM_KWOK);
    CHECK_OK(TAKE(c->err));
    CHECK_INT(c->observed->len, 2); // a cluster may be without a scheduler
    CHECK(find(c, "kube-apiserver on kwok")->agent);
    CHECK_INT(find(c, "kube-apiserver on kwok")->version.minor, 34);
    CHECK_INT(find(c, "kube-apiserver on kwok")->emulated.minor, 33);
    place_free(c);
}

static bool wrote(enum platform_type type, const char *labels)
{
    static const struct api_config config = {.namespace = "default", .name = "dra"};
    struct place *c = place_new();
    bool is;

    add_report(c, labels, "");
    cluster_open(c);
    is = platform_find(type)->wrote(&c->cluster, &config);
    place_free(c);
    return is;
}

// A node may have any name: what was written for one is told by its label.
TEST(who_wrote_there)
{
    CHECK(wrote(PLATFORM_KWOK, "drawbridge.dev/site: kwok"));
    CHECK(!wrote(PLATFORM_KUBEADM, "drawbridge.dev/site: kwok"));
    CHECK(!wrote(PLATFORM_KWOK, ""));
    CHECK(wrote(PLATFORM_KUBEADM, ""));
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// What watches keep of Nodes: enough to say which have a kubelet to look after, and nothing that
// beats.
#include "cluster_internal.h"
#include "testkit/test.h"

static json_t *trim(const char *text)
{
    AUTO_JSON json_t *node = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "node", &node));
    return cluster_trim_node(node);
}

static void check_ignored(const char *text, const char *want)
{
    AUTO_JSON json_t *kept = trim(text);

    CHECK_STR(doc_str(kept, "ignored", NULL), want);
}

TEST(who_has_no_kubelet_to_look_after)
{
    check_ignored("{status: {nodeInfo: {kubeletVersion: v1.36.3, operatingSystem: linux}}}", "");
    check_ignored("{status: {nodeInfo: {kubeletVersion: v1.36.3}}}", "");
    check_ignored("{metadata: {annotations: {kwok.x-k8s.io/node: fake}}, status: {nodeInfo: "
                  "{kubeletVersion: v1.36.3}}}",
                  "fake");
    check_ignored("{metadata: {labels: {type: virtual-kubelet}}, status: {nodeInfo: "
                  "{kubeletVersion: v1.36.3}}}",
                  "virtual kubelet");
    check_ignored("{status: {nodeInfo: {kubeletVersion: v1.19.10-vk-azure-aci-1.4.8}}}",
                  "virtual kubelet");
    check_ignored("{status: {nodeInfo: {kubeletVersion: fake}}}", "no kubelet version");
    check_ignored("{metadata: {labels: {kubernetes.io/os: windows}}, status: {nodeInfo: "
                  "{kubeletVersion: v1.36.3}}}",
                  "Windows");
    check_ignored("{status: {nodeInfo: {kubeletVersion: v1.36.3, operatingSystem: plan9}}}",
                  "not Linux");
}

TEST(a_heartbeat_changes_nothing_that_is_kept)
{
    AUTO_JSON json_t *one = trim("{metadata: {name: n}, status: {nodeInfo: {kubeletVersion: "
                                 "v1.36.3}, conditions: [{type: Ready, status: 'False', "
                                 "lastTransitionTime: '2026-01-01T00:00:00Z', lastHeartbeatTime: "
                                 "'2026-01-01T00:00:01Z'}]}}");
    AUTO_JSON json_t *two = trim("{metadata: {name: n}, status: {nodeInfo: {kubeletVersion: "
                                 "v1.36.3}, conditions: [{type: Ready, status: 'False', "
                                 "lastTransitionTime: '2026-01-01T00:00:00Z', lastHeartbeatTime: "
                                 "'2026-01-01T00:00:09Z'}]}}");

    CHECK(doc_equal(one, two));
    CHECK_STR(doc_str(one, "notReadySince", NULL), "2026-01-01T00:00:00Z");
}

TEST_MAIN()

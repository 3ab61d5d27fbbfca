// SPDX-License-Identifier: Apache-2.0
// In which line an entry stands.
#include "drawbridge/site.h"
#include "test.h"

static unsigned line_in(const struct site_codec *codec, enum component component, const char *text,
                        const char *entry)
{
    struct site_place place = {codec, component, "document", .at = NULL};

    return site_line(&place, slice_of(text), entry);
}

TEST(an_entry_is_found_as_a_whole_and_not_in_a_comment)
{
    const char *manifest =
        "# DRADeviceTaints=true was tried\n"
        "spec:\n"
        "  - --feature-gates=DRADeviceTaintsOther=true,OtherDRADeviceTaints=true\n"
        "  # - --feature-gates=DRADeviceTaints=true\n"
        "  - --runtime-config=resource.k8s.io/v1beta1/deviceclasses=true\n"
        "  - --runtime-config=resource.k8s.io/v1beta1=true,api/all=false\n"
        "  - --feature-gates=kube:DRADeviceTaints=true";

    CHECK_INT(line_in(&site_pod, COMPONENT_SCHEDULER, manifest, "DRADeviceTaints"), 7);
    CHECK_INT(line_in(&site_pod, COMPONENT_APISERVER, manifest, "resource.k8s.io/v1beta1"), 6);
    CHECK_INT(line_in(&site_pod, COMPONENT_APISERVER, manifest, "api/all"), 6);
    CHECK_INT(line_in(&site_pod, COMPONENT_APISERVER, manifest, "Nothing"), 0);
    CHECK_INT(line_in(&site_pod, COMPONENT_APISERVER, "", "Nothing"), 0);
    CHECK_INT(line_in(&site_kubelet_configuration, COMPONENT_KUBELET,
                      "kind: KubeletConfiguration\r\nfeatureGates:\r\n  A: true\r\n", "A"),
              3);
    CHECK_INT(line_in(&site_kubelet_configuration, COMPONENT_KUBELET,
                      "{\"kind\": \"KubeletConfiguration\",\n\"featureGates\": {\"A\": true}}",
                      "A"),
              2);
}

TEST(of_a_cluster_configuration_the_components_own_lines_count)
{
    const char *text = "kind: ClusterConfiguration\n"
                       "apiServer:\n"
                       "  extraArgs:\n"
                       "  - name: feature-gates\n"
                       "    value: A=true\n"
                       "scheduler:\n"
                       "  extraArgs:\n"
                       "  - name: feature-gates\n"
                       "    value: A=true,B=true\n";

    CHECK_INT(line_in(&site_cluster_configuration, COMPONENT_APISERVER, text, "A"), 5);
    CHECK_INT(line_in(&site_cluster_configuration, COMPONENT_APISERVER, text, "B"), 0);
    CHECK_INT(line_in(&site_cluster_configuration, COMPONENT_SCHEDULER, text, "A"), 9);
    // what cannot be told apart is searched as a whole
    CHECK_INT(line_in(&site_cluster_configuration, COMPONENT_CONTROLLER_MANAGER, text, "A"), 5);
    CHECK_INT(line_in(&site_cluster_configuration, COMPONENT_SCHEDULER, "{scheduler: A}", "A"), 1);
}

TEST_MAIN()

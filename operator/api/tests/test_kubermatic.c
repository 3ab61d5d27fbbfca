// SPDX-License-Identifier: Apache-2.0
// Adoption of a KubermaticConfiguration.
#include "drawbridge/api.h"
#include "test.h"

static json_t *yaml(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

static const char of_the_seed[] = "apiVersion: kubermatic.k8c.io/v1\n"
                                  "kind: KubermaticConfiguration\n"
                                  "metadata:\n"
                                  "  name: kubermatic\n"
                                  "  namespace: kubermatic\n"
                                  "spec:\n"
                                  "  featureGates:\n"
                                  "    DynamicResourceAllocation: true\n"
                                  "  # ... other KKP configuration\n";

TEST(seed_verbatim)
{
    AUTO_JSON json_t *kubermatic = yaml(of_the_seed);
    AUTO_JSON json_t *config = NULL;
    struct api_config view;

    CHECK_OK(api_adopt_kubermatic(kubermatic, &config));
    CHECK_STR_TAKE(doc_print_json_sorted(config),
                   "{\"apiVersion\":\"drawbridge.dev/v1alpha1\",\"kind\":\"DRAConfiguration\","
                   "\"metadata\":{\"name\":\"kubermatic\",\"namespace\":\"kubermatic\"},"
                   "\"spec\":{\"featureGates\":{\"DynamicResourceAllocation\":true}}}");
    CHECK_OK(api_config_parse(config, &view));
    CHECK(doc_bool(view.feature_gates, false, "DynamicResourceAllocation", NULL));
}

TEST(owner_and_the_platforms_own_flags)
{
    AUTO_JSON json_t *kubermatic = yaml(of_the_seed);
    AUTO_JSON json_t *config = NULL;
    const json_t *owner;

    doc_set(kubermatic, json_string("1234"), "metadata", "uid", NULL);
    doc_set(kubermatic, json_true(), "spec", "featureGates", "EtcdLauncher", NULL);
    doc_set(kubermatic, json_string("example.com"), "spec", "ingress", "domain", NULL);
    CHECK_OK(api_adopt_kubermatic(kubermatic, &config));
    owner = doc_get(config, "metadata", "ownerReferences", "0", NULL);
    CHECK_STR(doc_str(owner, "kind", NULL), "KubermaticConfiguration");
    CHECK_STR(doc_str(owner, "apiVersion", NULL), "kubermatic.k8c.io/v1");
    CHECK_STR(doc_str(owner, "name", NULL), "kubermatic");
    CHECK_STR(doc_str(owner, "uid", NULL), "1234");
    CHECK(doc_bool(config, false, "spec", "featureGates", "EtcdLauncher", NULL));
    // the gates alone: the rest stays the user's
    CHECK_INT(json_object_size(doc_get(config, "spec", NULL)), 1);
}

TEST(without_gates)
{
    AUTO_JSON json_t *kubermatic = yaml(
        "apiVersion: kubermatic.k8c.io/v1\nkind: KubermaticConfiguration\nmetadata: {name: k}\n");
    AUTO_JSON json_t *config = NULL;

    CHECK_OK(api_adopt_kubermatic(kubermatic, &config));
    CHECK_INT(json_object_size(doc_get(config, "spec", "featureGates", NULL)), 0);
    CHECK(json_is_object(doc_get(config, "spec", "featureGates", NULL)));
}

static void check_refused(const char *text, const char *part)
{
    AUTO_JSON json_t *kubermatic = yaml(text);
    json_t *config = NULL;

    CHECK_ERR_HAS(api_adopt_kubermatic(kubermatic, &config), ERROR_INVALID, part);
    CHECK(!config);
}

TEST(refused)
{
    check_refused("[]", "object");
    check_refused(
        "apiVersion: kubermatic.k8c.io/v2\nkind: KubermaticConfiguration\nmetadata: {name: k}\n",
        "apiVersion");
    check_refused("apiVersion: kubermatic.k8c.io/v1\nkind: Seed\nmetadata: {name: k}\n", "kind");
    check_refused("apiVersion: kubermatic.k8c.io/v1\nkind: KubermaticConfiguration\n",
                  "metadata.name");
    check_refused(
        "apiVersion: kubermatic.k8c.io/v1\nkind: KubermaticConfiguration\nmetadata: {name: k}\n"
        "spec: {featureGates: {A: 'yes'}}\n",
        "spec.featureGates: A must be true or false");
    check_refused(
        "apiVersion: kubermatic.k8c.io/v1\nkind: KubermaticConfiguration\nmetadata: {name: k}\n"
        "spec: {featureGates: [A]}\n",
        "spec.featureGates: must be a map");
    check_refused(
        "apiVersion: kubermatic.k8c.io/v1\nkind: KubermaticConfiguration\nmetadata: {name: k}\n"
        "spec: {featureGates: {'A=true --authorization-mode AlwaysAllow': true}}\n",
        "is no name of a feature gate");
}

TEST_MAIN()

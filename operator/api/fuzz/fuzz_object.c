// SPDX-License-Identifier: Apache-2.0
// Any document, given to everything here that takes an object of the API server or of a file.
#include "drawbridge/api.h"
#include "fuzz.h"

static void try_conditions(const json_t *object)
{
    AUTO(api_conditions) struct api_conditions *conditions = api_conditions_new();
    AUTO_JSON json_t *list = NULL;
    AUTO_JSON json_t *again = NULL;
    AUTO_MEM char *broken = api_conditions_check(object);

    ASSERT(broken != NULL);
    api_conditions_set(conditions, CONDITION_CONFIG_VALID, STATE_TRUE, "AsExpected", "%s",
                       doc_str(object, "kind", NULL));
    api_conditions_summarize(conditions);
    list = api_conditions_merge(conditions, doc_get(object, "status", "conditions", NULL), 1, 0);
    again = api_conditions_merge(conditions, list, 1, 60000);
    ASSERT(doc_equal(list, again)); // nothing new, nothing to write
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    AUTO_JSON json_t *object = NULL;
    AUTO_JSON json_t *adopted = NULL;
    struct api_config config, of_adopted;
    struct error *err = doc_parse_yaml((struct slice){(const char *)bytes, len}, "fuzz", &object);

    if (err) {
        error_free(err);
        return;
    }
    err = api_config_parse(object, &config);
    if (!err)
        ASSERT(config.feature_gates && config.runtime_config && config.max_unavailable > 0);
    error_free(err);
    err = api_adopt_kubermatic(object, &adopted);
    if (!err) // what is made of a file must be taken by the API server, but for long names of gates
        error_free(api_config_parse(adopted, &of_adopted));
    error_free(err);
    try_conditions(object);
}

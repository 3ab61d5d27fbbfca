// SPDX-License-Identifier: Apache-2.0
// What helm says, what a node calls its runtime, and the Secrets and values of others: any text is
// taken.
#include "fuzz.h"
#include "driver_internal.h"

static void read_document(struct slice text)
{
    AUTO_JSON json_t *tree = NULL;
    AUTO_JSON json_t *secrets = json_array();
    AUTO_JSON json_t *object = NULL;
    AUTO(error) struct error *err = doc_parse_yaml(text, "fuzz", &tree);
    struct release release;
    AUTO_WANT struct want want = {0};

    if (err)
        return;
    json_array_append(secrets, tree);
    driver_release_read(secrets, &release);
    ASSERT(release.secret && release.digest);
    object = json_pack("{s:{s:s, s:s}, s:{s:O}}", "metadata", "name", "a", "namespace", "b", "spec",
                       "driver", tree);
    err = driver_want_make(object, &want);
    if (!err) {
        AUTO_JSON json_t *facts = json_object();
        json_object_set(facts, "valuesFrom0", tree);
        err = driver_values_make(object, facts, "v1", &want);
    }
}

void fuzz_one(const uint8_t *bytes, size_t len)
{
    struct slice input = {(const char *)bytes, len};
    AUTO_MEM char *message = NULL;
    AUTO_MEM char *text = slice_dup(input);
    const char *reason = driver_read_errors(input, &message);

    ASSERT(*reason && message);
    ASSERT(driver_runtime_without_cdi(text) <= 2);
    read_document(input);
}

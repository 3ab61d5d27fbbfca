// SPDX-License-Identifier: Apache-2.0
// Any bytes as a metrics page.
#include "fuzz.h"
#include "gates_internal.h"

void fuzz_one(const uint8_t *bytes, size_t len)
{
    AUTO_JSON json_t *gates = NULL;
    struct version version;
    int64_t start_ms;
    struct slice page = {(const char *)bytes, len};
    AUTO(error) struct error *err = gates_metrics_read(page, &gates, &version, &start_ms);
    ASSERT(err != NULL || (json_object_size(gates) > 0 && start_ms >= 0));
}

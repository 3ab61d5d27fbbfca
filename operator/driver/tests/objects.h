// SPDX-License-Identifier: Apache-2.0
// Objects of tests, written as YAML.
#pragma once

#include "driver_internal.h"
#include "test.h"

UNUSED static json_t *yaml(const char *text)
{
    json_t *tree = NULL;

    CHECK_OK(doc_parse_yaml(slice_of(text), "test", &tree));
    return tree;
}

UNUSED static json_t *configuration(const char *driver, const char *status)
{
    json_t *object = yaml("{metadata: {namespace: team, name: dra}, spec: {}}");

    doc_set(object, yaml(driver), "spec", "driver", NULL);
    doc_set(object, yaml(status), "status", NULL);
    return object;
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/doc.h"

enum verdict_kind { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_UNKNOWN };
// Facts of one cluster, as `drawbridge doctor` reads them: lists of objects by resource, "served"
// the versions of resource.k8s.io, "gate" true, false or null, "resources" the names that the
// version serves, "now" when they were read (RFC 3339), "denied" by key what may not be read. The
// findings: [{check, verdict, detail, fix}], in order.
json_t *doctor_examine(const json_t *facts);
const char *doctor_verdict_name(enum verdict_kind kind);

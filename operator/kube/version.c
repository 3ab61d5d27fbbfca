// SPDX-License-Identifier: Apache-2.0
// Resource versions as numbers of any length, as the API concepts page of Kubernetes 1.35 says
// (apimachinery, util/resourceversion).
#include "kube_internal.h"

#include <string.h>

static bool is_comparable(const char *version)
{
    return version && version[0] >= '1' && version[0] <= '9' &&
           strspn(version, "0123456789") == strlen(version);
}

bool kube_is_newer(const char *version, const char *than)
{
    if (!is_comparable(version) || !is_comparable(than))
        return false;
    size_t len = strlen(version), than_len = strlen(than);
    return len != than_len ? len > than_len : strcmp(version, than) > 0;
}

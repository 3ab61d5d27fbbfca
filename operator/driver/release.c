// SPDX-License-Identifier: Apache-2.0
// The state of a release, from the labels that helm puts on its Secrets. What is in them stays
// unread.
#include "driver_internal.h"

static const char *label(const json_t *secret, const char *name)
{
    return doc_str(secret, "metadata", "labels", name, NULL);
}

static int64_t number(const char *text)
{
    uint64_t n;

    return slice_to_u64(slice_of(text), &n) && n < INT64_MAX ? (int64_t)n : 0;
}

static enum release_state state_of(const char *word)
{
    if (str_eq(word, "deployed"))
        return RELEASE_DEPLOYED;
    if (str_starts(word, "pending-"))
        return RELEASE_PENDING;
    if (str_eq(word, "uninstalling"))
        return RELEASE_UNINSTALLING;
    if (str_eq(word, "uninstalled"))
        return RELEASE_ABSENT;
    return RELEASE_FAILED;
}

// Since when the revision is there, by the API server. helm's own label modifiedAt goes from one
// revision to the next as it is, and would make a fresh lock an old one.
static int64_t time_of(const json_t *secret)
{
    int64_t created_ms, modified = number(label(secret, "modifiedAt"));

    if (!clock_parse(doc_str(secret, "metadata", "creationTimestamp", NULL), &created_ms))
        return modified;
    return modified > created_ms / 1000 ? modified : created_ms / 1000;
}

void driver_release_read(const json_t *secrets, struct release *ret_release)
{
    struct release release = {.state = RELEASE_ABSENT,
                              .word = "",
                              .secret = "",
                              .secret_version = "",
                              .digest = "",
                              .owner = "",
                              .chart = "",
                              .names = ""};

    for (size_t i = 0; i < json_array_size(secrets); i++) {
        const json_t *secret = json_array_get(secrets, i);
        int64_t version = number(label(secret, "version"));

        if (version <= release.version)
            continue;
        release = (struct release){
            .state = state_of(label(secret, "status")),
            .word = label(secret, "status"),
            .secret = doc_str(secret, "metadata", "name", NULL),
            .secret_version = doc_str(secret, "metadata", "resourceVersion", NULL),
            .digest = label(secret, DRIVER_LABEL_DIGEST),
            .owner = label(secret, DRIVER_LABEL_OWNER),
            .chart = label(secret, DRIVER_LABEL_CHART),
            .names = label(secret, DRIVER_LABEL_NAMES),
            .version = version,
            .since_s = time_of(secret),
        };
    }
    *ret_release = release;
}

// SPDX-License-Identifier: Apache-2.0
// What helm says on stderr, as a reason. Matching text is brittle: a test has the words of the
// pinned helm, and what matches nothing is InstallFailed with helm's own words.
#include <string.h>

#include "driver_internal.h"

static const struct {
    const char *words;
    const char *reason;
} rows[] = {
    {"No supported resource.k8s.io API version", "APINotServed"},
    {"gpuResourcesEnabledOverride", "ChartRejected"},
    {"chart requires kubeVersion", "KubernetesTooOldForDriver"},
    {"values don't meet the specifications of the schema", "ValuesInvalid"},
    {"error converting YAML to JSON", "ValuesInvalid"},
    {"execution error at", "ChartRejected"},
    // a field that the API version which is served does not have
    {"field not declared in schema", "ChartRejected"},
    {"another operation (install/upgrade/rollback) is in progress", "ReleaseLocked"},
    {"release: already exists", "ReleaseLocked"},
    {"cannot be imported into the current release", "DriverOwnedElsewhere"},
    {"conflict occurred while applying object", "FieldConflict"},
    {"no matches for kind", "ReleaseAPIRemoved"},
    {"privileged: Forbidden", "PrivilegedNotAllowed"},
    {"attempting to grant RBAC permissions", "DriverForbidden"},
    {" is forbidden: ", "DriverForbidden"},
    {"cannot impersonate", "DriverForbidden"},
    {"cluster unreachable", "APIServerUnreachable"},
    {"connection refused", "APIServerUnreachable"},
    {"context deadline exceeded", "APIServerUnreachable"},
    {"context canceled", "HelmInterrupted"},
};

static bool has(struct slice text, const char *words)
{
    return memmem(text.ptr, text.len, words, strlen(words)) != NULL;
}

// From the last line that begins with "Error: " on; without one, the last line.
static struct slice find_error(struct slice errors)
{
    struct slice rest = errors, line, last = {0};
    const char *from = NULL;

    while (slice_cut(&rest, '\n', &line)) {
        if (slice_starts(line, "Error: ") || slice_starts(line, "level=ERROR"))
            from = line.ptr;
        if (slice_trim(line).len > 0)
            last = line;
    }
    if (!from)
        return slice_trim(last);
    return slice_trim((struct slice){from, errors.len - (size_t)(from - errors.ptr)});
}

// What Go's runtime says when memory ends is a page long; a file that may not grow is one line.
static bool reached_limit(struct slice errors, char **ret_message)
{
    if (has(errors, "fatal error: out of memory") || has(errors, "runtime: out of memory") ||
        has(errors, "cannot allocate memory"))
        *ret_message = str_format("helm needs more than %zu MiB of memory for this chart",
                                  DRIVER_MEMORY_BYTES_MAX >> 20);
    else if (has(errors, "file too large"))
        *ret_message = str_format("the chart or the repository's index is larger than %zu MiB",
                                  DRIVER_FILE_BYTES_MAX >> 20);
    else
        return false;
    return true;
}

const char *driver_read_errors(struct slice errors, char **ret_message)
{
    struct slice text = errors.len ? find_error(errors) : errors;
    const char *reason = "InstallFailed";
    char *message;

    if (errors.len && reached_limit(errors, ret_message))
        return "LimitReached";
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!text.len || !has(text, rows[i].words))
            continue;
        reason = rows[i].reason;
        break;
    }
    // A kind that only the chart names was never there.
    if (str_eq(reason, "ReleaseAPIRemoved") && !has(text, "current release manifest"))
        reason = "ChartRejected";
    if (slice_starts(text, "Error: "))
        text = slice_sub(text, strlen("Error: "), text.len);
    message = text.len ? slice_dup(slice_sub(text, 0, text.len < 700 ? text.len : 700))
                       : str_dup("helm said nothing");
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    *ret_message = message;
    return reason;
}

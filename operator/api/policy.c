// SPDX-License-Identifier: Apache-2.0
// What an error means: the one table from kind to retry and reason. Nobody else branches on it.
#include "api_internal.h"

static const struct policy table[] = {
    [ERROR_TRANSIENT] = {true, "APIServerUnreachable"},
    [ERROR_THROTTLED] = {true, "RequestThrottled"},
    [ERROR_CONFLICT] = {true, "Conflict"}, // somebody was faster: read again
    [ERROR_NOT_FOUND] = {true, "NotFound"},
    [ERROR_GONE] = {true, "Progressing"},
    [ERROR_DENIED] = {true, "Forbidden"},
    [ERROR_INVALID] = {false, "InvalidConfiguration"},
    [ERROR_REJECTED] = {true, "RequestFailed"},
    [ERROR_LIMIT] = {true, "LimitReached"}, // an answer may be smaller the next time
    [ERROR_CANCELED] = {false, "Progressing"},
    [ERROR_INTERNAL] = {true, "InternalError"},
};

struct policy policy_of(const struct error *err)
{
    enum error_kind kind = error_kind(err);

    ASSERT(kind < COUNT(table));
    return table[kind];
}

const char *policy_reason(const struct error *err)
{
    return api_reason_find(error_reason(err)) ? error_reason(err) : policy_of(err).reason;
}

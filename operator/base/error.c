// SPDX-License-Identifier: Apache-2.0
// The one error channel: a kind for the decision, a text for the human, both in one object that is
// never half filled.
#include "drawbridge/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 4096 };

struct error {
    enum error_kind kind;
    const char *reason; // static
    uint64_t retry_after_ms;
    char *text;
};

static const char *const kind_names[] = {
    [ERROR_TRANSIENT] = "Transient", [ERROR_THROTTLED] = "Throttled", [ERROR_CONFLICT] = "Conflict",
    [ERROR_NOT_FOUND] = "NotFound",  [ERROR_GONE] = "Gone",           [ERROR_DENIED] = "Denied",
    [ERROR_INVALID] = "Invalid",     [ERROR_REJECTED] = "Rejected",   [ERROR_LIMIT] = "Limit",
    [ERROR_CANCELED] = "Canceled",   [ERROR_INTERNAL] = "Internal",
};

void assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, cond);
    fflush(NULL);
    abort();
}

// Texts come from servers and files too: one line of UTF-8, and not a book.
static NONNULL char *make_one_line(char *take_text)
{
    char *text = text_make(slice_of(take_text), TEXT_BYTES_MAX);
    size_t len = strlen(text);

    mem_free(take_text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        text[--len] = '\0';
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    return text;
}

static NONNULL struct error *make(enum error_kind kind, char *take_text)
{
    struct error *err = NEW(struct error);
    err->kind = kind;
    err->reason = "";
    err->text = make_one_line(take_text);
    return err;
}

struct error *error_new(enum error_kind kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = str_vformat(fmt, args);
    va_end(args);
    return make(kind, text);
}

struct error *error_because(enum error_kind kind, const char *reason, const char *fmt, ...)
{
    struct error *err;
    va_list args;

    va_start(args, fmt);
    err = make(kind, str_vformat(fmt, args));
    va_end(args);
    error_set_reason(err, reason);
    return err;
}

static enum error_kind kind_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case EEXIST:
        return ERROR_CONFLICT;
    default:
        return ERROR_TRANSIENT;
    }
}

struct error *error_errno(int errnum, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    AUTO_MEM char *what = str_vformat(fmt, args);
    va_end(args);
    const char *why = strerrordesc_np(errnum);
    return make(kind_of_errno(errnum),
                why ? str_format("%s: %s", what, why) : str_format("%s: error %d", what, errnum));
}

struct error *error_wrap(struct error *take_inner, const char *fmt, ...)
{
    if (!take_inner)
        return NULL;
    va_list args;
    va_start(args, fmt);
    AUTO_MEM char *what = str_vformat(fmt, args);
    va_end(args);
    char *text = str_format("%s: %s", what, take_inner->text);
    mem_free(take_inner->text);
    take_inner->text = make_one_line(text);
    return take_inner;
}

enum error_kind error_kind(const struct error *err)
{
    ASSERT(err);
    return err->kind;
}

const char *error_kind_name(enum error_kind kind)
{
    ASSERT((size_t)kind < COUNT(kind_names));
    return kind_names[kind];
}

const char *error_text(const struct error *err)
{
    ASSERT(err);
    return err->text;
}

void error_set_reason(struct error *err, const char *reason)
{
    ASSERT(err && reason);
    err->reason = reason;
}

const char *error_reason(const struct error *err)
{
    ASSERT(err);
    return err->reason;
}

void error_set_retry_after(struct error *err, uint64_t ms)
{
    ASSERT(err);
    err->retry_after_ms = ms;
}

uint64_t error_retry_after_ms(const struct error *err)
{
    ASSERT(err);
    return err->retry_after_ms;
}

void error_free(struct error *err)
{
    if (!err)
        return;
    mem_free(err->text);
    mem_free(err);
}

void error_ignore(struct error *take_err, const char *why)
{
    if (take_err)
        log_line(LOG_DEBUG, "base", "does not matter (%s): %s", why, take_err->text);
    error_free(take_err);
}

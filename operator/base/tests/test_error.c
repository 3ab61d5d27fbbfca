// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <errno.h>
#include <string.h>

TEST(new_has_kind_and_text)
{
    AUTO(error) struct error *err = error_new(ERROR_INVALID, "line %d: %s", 3, "no colon");
    CHECK_INT(error_kind(err), ERROR_INVALID);
    CHECK_STR(error_text(err), "line 3: no colon");
    CHECK_STR(error_reason(err), "");
    CHECK_INT(error_retry_after_ms(err), 0);
}

TEST(errno_gives_the_kind)
{
    static const struct {
        int errnum;
        enum error_kind kind;
        const char *text;
    } cases[] = {
        {ENOENT, ERROR_NOT_FOUND, "open x: No such file or directory"},
        {EACCES, ERROR_DENIED, "open x: Permission denied"},
        {EPERM, ERROR_DENIED, "open x: Operation not permitted"},
        {EEXIST, ERROR_CONFLICT, "open x: File exists"},
        {EIO, ERROR_TRANSIENT, "open x: Input/output error"},
        {99999, ERROR_TRANSIENT, "open x: error 99999"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(error) struct error *err = error_errno(cases[i].errnum, "open %s", "x");
        CHECK_INT(error_kind(err), cases[i].kind);
        CHECK_STR(error_text(err), cases[i].text);
    }
}

TEST(because_has_a_reason)
{
    AUTO(error) struct error *err = error_because(ERROR_DENIED, "Forbidden", "list %s", "pods");
    CHECK_INT(error_kind(err), ERROR_DENIED);
    CHECK_STR(error_text(err), "list pods");
    CHECK_STR(error_reason(err), "Forbidden");
}

TEST(wrap_keeps_kind_reason_and_retry)
{
    struct error *inner = error_new(ERROR_THROTTLED, "too many requests");
    error_set_reason(inner, "TooManyRequests");
    error_set_retry_after(inner, 1500);
    AUTO(error) struct error *err = error_wrap(inner, "list %s", "pods");
    CHECK_INT(error_kind(err), ERROR_THROTTLED);
    CHECK_STR(error_text(err), "list pods: too many requests");
    CHECK_STR(error_reason(err), "TooManyRequests");
    CHECK_INT(error_retry_after_ms(err), 1500);
    CHECK(error_wrap(NULL, "nothing") == NULL);
}

TEST(text_is_one_line)
{
    AUTO(error) struct error *err = error_new(ERROR_INVALID, "a\nb\tc\r\n\n");
    CHECK_STR(error_text(err), "a b c");
}

// The cap may fall behind each byte of a character of two, three and four bytes.
TEST(text_is_cut_between_characters)
{
    static const char *const letters[] = {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x94\x92"};
    for (size_t l = 0; l < COUNT(letters); l++) {
        size_t bytes = strlen(letters[l]);
        for (size_t inside = 1; inside < bytes; inside++) {
            char long_text[5001];
            memset(long_text, 'x', sizeof(long_text) - 1);
            long_text[5000] = '\0';
            memcpy(long_text + 4096 - inside, letters[l], bytes);
            AUTO(error) struct error *err = error_new(ERROR_INVALID, "%s", long_text);
            CHECK_INT(strlen(error_text(err)), 4096 - inside);
        }
    }
}

TEST(text_is_utf8_whatever_was_wrapped)
{
    AUTO(error) struct error *err = error_new(ERROR_INVALID, "pod \xFF says \xE2\x82");
    CHECK_STR(error_text(err), "pod \xEF\xBF\xBD says \xEF\xBF\xBD\xEF\xBF\xBD");
    err = error_wrap(TAKE(err), "node \xC3");
    CHECK_STR(error_text(err), "node \xEF\xBF\xBD: pod \xEF\xBF\xBD says "
                               "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(kinds_have_names)
{
    CHECK_STR(error_kind_name(ERROR_TRANSIENT), "Transient");
    CHECK_STR(error_kind_name(ERROR_NOT_FOUND), "NotFound");
    CHECK_STR(error_kind_name(ERROR_INTERNAL), "Internal");
}

static struct error *take_out(void)
{
    AUTO(error) struct error *err = error_new(ERROR_GONE, "old");
    return TAKE(err);
}

TEST(take_leaves_nothing_behind)
{
    CHECK_ERR_HAS(take_out(), ERROR_GONE, "old");
    error_free(NULL);
    error_ignore(error_new(ERROR_GONE, "old"), "a test");
    error_ignore(NULL, "a test");
}

TEST_MAIN()

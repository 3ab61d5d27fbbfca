// SPDX-License-Identifier: Apache-2.0
// testkit: a small test runner. Each test runs in a process of its own, so a crash, a leak or a
// stray child is that test's alone.
//
//     TEST(adds) { CHECK_INT(1 + 1, 2); }
//     TEST_MAIN()
//
// Arguments of the program: words, one of which a test's name must contain; -l lists.
// DRAWBRIDGE_TEST_TIMEOUT: seconds for each test (20). DRAWBRIDGE_TEST_NOFORK=1: no processes, for
// a debugger.
#pragma once

#include "drawbridge/base.h"

typedef void test_fn(void);
struct test_case {
    const char *name, *file;
    int line;
    test_fn *fn;
    struct test_case *next;
};
void test_register(struct test_case *test);
int test_main(int argc, char **argv);

#define TEST(noun)                                                                                 \
    static void test_##noun(void);                                                                 \
    __attribute__((constructor)) static void register_##noun(void)                                 \
    {                                                                                              \
        static struct test_case test = {#noun, __FILE__, __LINE__, test_##noun, NULL};             \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void test_##noun(void)

#define TEST_MAIN()                                                                                \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return test_main(argc, argv);                                                              \
    }

// The first check that fails ends the test.
#define CHECK(cond) ((cond) ? (void)0 : test_fail(__FILE__, __LINE__, "%s is false", #cond))
#define CHECK_STR(got, want) test_check_str(__FILE__, __LINE__, #got, got, want)
// frees what it got
#define CHECK_STR_TAKE(take_got, want)                                                             \
    test_check_str_take(__FILE__, __LINE__, #take_got, take_got, want)
#define CHECK_SLICE(got, want) test_check_slice(__FILE__, __LINE__, #got, got, want)
// text contains part
#define CHECK_HAS(text, part) test_check_has(__FILE__, __LINE__, #text, text, part)
#define CHECK_INT(got, want)                                                                       \
    test_check_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_OK(err) test_check_ok(__FILE__, __LINE__, #err, err)
#define CHECK_ERR(err, kind) test_check_err(__FILE__, __LINE__, #err, err, kind, NULL)
// and its text contains part
#define CHECK_ERR_HAS(err, kind, part) test_check_err(__FILE__, __LINE__, #err, err, kind, part)

_Noreturn void test_fail(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);
void test_check_str(const char *file, int line, const char *what, const char *got,
                    const char *want);
void test_check_str_take(const char *file, int line, const char *what, char *take_got,
                         const char *want);
void test_check_slice(const char *file, int line, const char *what, struct slice got,
                      const char *want);
void test_check_has(const char *file, int line, const char *what, const char *text,
                    const char *part);
void test_check_int(const char *file, int line, const char *what, long long got, long long want);
void test_check_ok(const char *file, int line, const char *what, struct error *take_err);
void test_check_err(const char *file, int line, const char *what, struct error *take_err,
                    enum error_kind want, const char *part);

// A directory for this test alone, removed afterwards.
const char *test_dir(void);
// The path of a file in it (yours).
char *test_path(const char *name);
void test_write(const char *path, const char *text);
char *test_read(const char *path); // yours; fails the test when the file cannot be read
bool test_exists(const char *path);
// What is written to stderr from now on, the log too, goes into a file; the end gives what that is.
void test_capture(void);
char *test_captured(void); // yours

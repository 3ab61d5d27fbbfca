// SPDX-License-Identifier: Apache-2.0
// Where the long-running verbs listen.
#include "process.h"
#include "test.h"

static void check_address(const char *text, const char *host, uint16_t port)
{
    struct process_address address;

    CHECK_OK(process_address_parse("flag", text, &address));
    CHECK_STR(address.host, host);
    CHECK_INT(address.port, port);
    CHECK(!address.off);
    mem_free(address.text);
}

TEST(addresses_are_those_of_controller_runtime)
{
    struct process_address off;

    check_address(":8081", NULL, 8081);
    check_address("127.0.0.1:8081", "127.0.0.1", 8081);
    check_address("0.0.0.0:0", "0.0.0.0", 0);
    check_address("[::1]:65535", "::1", 65535);
    CHECK_OK(process_address_parse("flag", "0", &off));
    CHECK(off.off && !off.text);
}

static void check_refused(const char *text, const char *part)
{
    struct process_address address;

    CHECK_ERR_HAS(process_address_parse("flag", text, &address), ERROR_INVALID, part);
    CHECK(!address.text);
}

TEST(what_is_no_address_is_refused)
{
    check_refused("", "--flag: \"\" does not end with a port");
    check_refused("8081", "\"8081\" does not end with a port; write for example :8081");
    check_refused("localhost:", "does not end with a port");
    check_refused(":65536", "does not end with a port");
    check_refused(":http", "does not end with a port");
    check_refused("::1:8081", "write \"::1:8081\" as [::1]:8081");
}

TEST_MAIN()

// SPDX-License-Identifier: Apache-2.0
// known_hosts as people make it, in the order in which the library can use it.
#include "test.h"
#include "worker/known_hosts.h"

static void expect(const char *given, unsigned dropped, const char *wanted)
{
    AUTO_MEM char *got = known_hosts_arrange(given, dropped);

    CHECK_STR(got, wanted);
}

#define RSA "h ssh-rsa AAAAr\n"
#define ECDSA "h ecdsa-sha2-nistp256 AAAAe\n"
#define ED25519 "h ssh-ed25519 AAAAd\n"

TEST(known_hosts_as_ssh_keyscan_prints_it_whatever_the_order)
{
    expect(RSA ECDSA ED25519, 0, ED25519 ECDSA RSA);
    expect(ECDSA ED25519 RSA, 0, ED25519 ECDSA RSA);
    expect("# h:22 SSH-2.0\n" RSA "\n" ED25519, 0, ED25519 RSA);
    // two hosts: the order within a kind stays
    expect("a ssh-rsa 1\nb ssh-rsa 2\nb ssh-ed25519 3\na ssh-ed25519 4\n", 0,
           "b ssh-ed25519 3\na ssh-ed25519 4\na ssh-rsa 1\nb ssh-rsa 2\n");
    expect("|1|abc=|def= ssh-rsa AA\n[h]:7999,[::1]:7999\tssh-ed25519  BB c d\n", 0,
           "[h]:7999,[::1]:7999\tssh-ed25519  BB c d\n|1|abc=|def= ssh-rsa AA\n");
}

TEST(known_hosts_with_crlf)
{
    expect("h ssh-rsa AA\r\nh ssh-ed25519 BB\r\n", 0, "h ssh-ed25519 BB\nh ssh-rsa AA\n");
    expect("h ssh-ed25519 BB", 0, "h ssh-ed25519 BB\n");
    expect("", 0, "");
    expect("\r\n", 0, "");
}

TEST(kinds_that_the_server_does_not_have_are_left_out)
{
    expect(RSA ECDSA ED25519, 1, ECDSA RSA);
    expect(RSA ECDSA ED25519, 2, RSA);
    expect(RSA ED25519, 2, RSA);
    expect(RSA ED25519, known_hosts_kinds(), "");
}

TEST(marked_keys_are_no_keys_to_trust)
{
    // An authority of certificates is nothing that the library knows.
    expect("@cert-authority * ssh-rsa AAAAc\n" ED25519, 0, ED25519);
    expect(ED25519 RSA "@revoked * ssh-ed25519 AAAAd\n", 0, RSA);
    expect("@revoked * ssh-ed25519 AAAAd\r\nh ssh-ed25519 AAAAd a comment\n", 0, "");
}

TEST_MAIN()

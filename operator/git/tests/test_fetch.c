// SPDX-License-Identifier: Apache-2.0
// The room through its door: the real worker, repositories made by the real git, keys by the real
// ssh-keygen and gpg.
#include <unistd.h>

#include "repository.h"

TEST(documents_of_a_path)
{
    struct fetch_spec spec = plain();
    struct got got;
    AUTO_MEM char *text = NULL;

    make_repository();
    got = fetch(&spec);
    CHECK_OK(got.err);
    CHECK_STR(got.result.ref, "main"); // the remote's HEAD
    text = doc_print_json(got.result.documents);
    CHECK_STR(text, "[{\"file\":\"a/b/two.yml\",\"index\":0,\"object\":{\"kind\":\"B\"}},"
                    "{\"file\":\"a/b/two.yml\",\"index\":1,\"object\":{\"kind\":\"C\"}},"
                    "{\"file\":\"a/one.yaml\",\"index\":0,\"object\":{\"kind\":\"A\"}}]");
    CHECK_STR(got.result.commit, got.result.head);
    CHECK_INT(scratch_left(), 0);

    // the second time the reference is looked at alone
    spec.known = got.result.head;
    struct got again = fetch(&spec);
    CHECK_OK(again.err);
    CHECK(!again.result.fetched && !again.result.documents);
    CHECK_STR(again.result.head, got.result.head);
    fetch_result_fini(&again.result);
    fetch_result_fini(&got.result);
}

TEST(references)
{
    struct fetch_spec spec = plain();
    AUTO_MEM char *first = NULL;

    make_repository();
    run("cd repo; git tag -a -m x v1.0.0; git commit -q --allow-empty -m 2; git tag v1.2.0; git "
        "commit -q --allow-empty -m 3; "
        "git tag v2.0.0-rc.1; git tag release; git branch other; git commit -q --allow-empty -m 4");
    spec.branch = "other";
    expect_commit(&spec, "other", "git -C repo rev-parse other");
    spec.branch = NULL;
    spec.tag = "v1.0.0";
    expect_commit(&spec, "v1.0.0", "git -C repo rev-parse v1.0.0^{commit}");
    spec.tag = NULL;
    spec.semver = ">=1.0.0";
    expect_commit(&spec, "v1.2.0", "git -C repo rev-parse v1.2.0");
    spec.semver = "^1 || >=2.0.0-0";
    expect_commit(&spec, "v2.0.0-rc.1", "git -C repo rev-parse v2.0.0-rc.1");
    spec.semver = NULL;
    first = words("git -C repo rev-parse main~2");
    spec.commit = first;
    expect_commit(&spec, "", "git -C repo rev-parse main~2");
    spec.commit = "0123456789012345678901234567890123456789";
    expect_reason(&spec, "CommitNotFound", "in none of");
    spec.commit = NULL;
    spec.branch = "none";
    expect_reason(&spec, "RefNotFound", "refs/heads/none");
    spec.branch = NULL;
    spec.semver = "^7";
    expect_reason(&spec, "RefNotFound", "^7");
    spec.semver = "seven";
    expect_reason(&spec, "InvalidConfiguration", "seven");
}

TEST(versions_that_go_back)
{
    struct fetch_spec spec = plain();
    AUTO_MEM char *old = NULL;
    AUTO_MEM char *moved = NULL;

    make_repository();
    run("cd repo; git tag v1.1.0; git checkout -q -b next HEAD; git commit -q --allow-empty -m 2; "
        "git tag v1.2.0; git checkout -q --orphan elsewhere; git commit -q -m other; "
        "git tag v1.3.0; git checkout -q main");
    old = words("git -C repo rev-parse v1.2.0");
    spec.semver = "1.x";
    spec.base = old;
    spec.base_ref = "v1.2.0";
    // a newer version has a history of its own
    expect_commit(&spec, "v1.3.0", "git -C repo rev-parse v1.3.0");
    run("git -C repo tag -d v1.3.0");
    expect_commit(&spec, "v1.2.0", "git -C repo rev-parse v1.2.0");
    run("git -C repo tag -d v1.2.0");
    expect_reason(&spec, "NonFastForward", "v1.1.0 is older than v1.2.0");
    // whoever changes the range means it
    spec.semver = "~1.1";
    expect_commit(&spec, "v1.1.0", "git -C repo rev-parse v1.1.0");
    spec.semver = "1.x";
    moved = words("git -C repo rev-parse v1.1.0");
    spec.accept = moved;
    expect_commit(&spec, "v1.1.0", "git -C repo rev-parse v1.1.0");
    // the same version somewhere else
    run("git -C repo tag v1.2.0 elsewhere");
    expect_reason(&spec, "NonFastForward", "does not descend from");
    run("git -C repo tag -f v1.2.0 next; cd repo; git checkout -q next; git commit -q "
        "--allow-empty "
        "-m 3; git tag -f v1.2.0");
    expect_commit(&spec, "v1.2.0", "git -C repo rev-parse v1.2.0");
}

TEST(an_older_commit_on_request)
{
    struct fetch_spec spec = plain();
    AUTO_MEM char *first = NULL;
    struct got got;

    make_repository();
    first = words("git -C repo rev-parse HEAD");
    run("cd repo; rm a/b/two.yml; git commit -qam second");
    spec.at = first;
    got = fetch(&spec);
    CHECK_OK(got.err);
    CHECK_STR(got.result.commit, first);
    CHECK(!str_eq(got.result.head, first));
    CHECK_INT(json_array_size(got.result.documents), 3);
    fetch_result_fini(&got.result);
}

TEST(a_branch_that_moved_back)
{
    struct fetch_spec spec = plain();
    AUTO_MEM char *old = NULL;
    AUTO_MEM char *now = NULL;
    struct got got;

    make_repository();
    run("cd repo; git commit -q --allow-empty -m 2");
    old = words("git -C repo rev-parse HEAD");
    run("cd repo; git commit -q --allow-empty -m 3");
    spec.base = old;
    got = fetch(&spec);
    CHECK_OK(got.err);
    fetch_result_fini(&got.result);
    run("cd repo; git reset -q --hard HEAD~2; git commit -q --allow-empty -m other; git reflog "
        "expire --expire=now --all; git gc -q --prune=now");
    expect_reason(&spec, "NonFastForward", old);
    got = fetch(&spec);
    error_free(got.err);
    now = words("git -C repo rev-parse HEAD");
    CHECK_STR(got.result.head, now);
    fetch_result_fini(&got.result);
    mem_free(TAKE(now));
    now = words("git -C repo rev-parse HEAD");
    spec.accept = old; // not the commit in question
    expect_reason(&spec, "NonFastForward", now);
    spec.accept = now;
    got = fetch(&spec);
    CHECK_OK(got.err);
    fetch_result_fini(&got.result);
}

struct refusal {
    const char *script, *path, *reason, *part;
};

static void expect_refusals(const struct refusal *all, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct fetch_spec spec = plain();
        AUTO_MEM char *script = str_format(
            "cd repo; git checkout -q -f main; git clean -qfd; %s; git add -A; "
            "git commit -q --allow-empty -m x; git branch -f tried; git reset -q --hard HEAD~1",
            all[i].script);

        run(script);
        spec.branch = "tried";
        spec.path = all[i].path;
        expect_reason(&spec, all[i].reason, all[i].part);
    }
    CHECK_INT(scratch_left(), 0);
}

TEST(files_that_are_no_documents)
{
    static const struct refusal all[] = {
        {"printf 'a: 1\\nb: x: y\\n' >a/bad.yaml", "a", "InvalidDocument", "a/bad.yaml:2:5"},
        {"printf 'a: &x [1]\\na: *x\\n' >a/bad.yaml", "a", "InvalidDocument", "a/bad.yaml:2:1"},
        {"echo '- 1' >a/list.yaml", "a", "InvalidDocument", "a/list.yaml: document 1 is no object"},
        {"printf 'a: &a [1,1,1,1,1,1,1,1,1,1]\\n' >a/b.yaml; p=a; for n in b c d e f g h; do "
         "printf '%s: &%s [*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s]\\n' $n $n $p $p $p $p $p $p $p "
         "$p $p $p >>a/b.yaml; p=$n; done",
         "a", "InvalidDocument", "nodes with aliases followed"},
        {"{ head -c 200 /dev/zero | tr '\\0' '['; head -c 200 /dev/zero | tr '\\0' ']'; } "
         ">a/deep.yaml",
         "a", "InvalidDocument", "deeper than"},
    };

    make_repository();
    expect_refusals(all, COUNT(all));
}

TEST(links_and_submodules)
{
    static const struct refusal all[] = {
        {"ln -s /etc/passwd a/link.yaml", "a", "InvalidDocument", "a/link.yaml is a symbolic link"},
        {"ln -s ../../.. a/up", "a", "InvalidDocument", "a/up is a symbolic link"},
        {"ln -s a into", "into", "InvalidDocument", "into is a symbolic link"},
        {"ln -s a into", "into/b", "PathNotFound", "into/b"},
        {"command git init -q sub; git -C sub commit -q --allow-empty -m s; git submodule -q add "
         "./sub a/sub 2>/dev/null || "
         "{ git update-index --add --cacheinfo 160000,$(git -C sub rev-parse HEAD),a/sub; rm -rf "
         "sub; }",
         "a", "InvalidDocument", "a/sub is a submodule"},
    };

    make_repository();
    expect_refusals(all, COUNT(all));
}

TEST(paths)
{
    static const struct refusal all[] = {
        {"true", "../repo", "InvalidConfiguration", "must not lead out"},
        {"true", "a/../../x", "InvalidConfiguration", "must not lead out"},
        {"true", "/etc", "InvalidConfiguration", "relative"},
        {"true", "none", "PathNotFound", "none"},
    };

    make_repository();
    expect_refusals(all, COUNT(all));
}

TEST(limits_of_a_commit)
{
    static const struct refusal all[] = {
        {"head -c 1100000 /dev/zero | tr '\\0' '#' >a/large.yaml", "a", "LimitReached",
         "larger than 1 MiB"},
        {"for i in $(seq 1001); do echo \"a: $i\" >a/$i.yaml; done", "a", "LimitReached",
         "200 documents"},
        {"for i in $(seq 1001); do : >a/$i.yaml; done", "a", "LimitReached", "1000 files"},
        {"for i in 1 2 3 4 5; do head -c 1000000 /dev/zero | tr '\\0' '#' >a/$i.yaml; done", "a",
         "LimitReached", "4 MiB together"},
        {"d=a; for i in $(seq 40); do d=$d/d; done; mkdir -p $d; : >$d/x.yaml", "a", "LimitReached",
         "too deep"},
        // two bytes here, six in the answer
        {"for i in 1 2 3 4; do { printf 'a: \"'; yes '\\a' | tr -d '\\n' | head -c 900000; echo "
         "'\"'; } "
         ">a/$i.yaml; done",
         "a", "LimitReached", "8388608 bytes as JSON"},
    };

    make_repository();
    expect_refusals(all, COUNT(all));
}

// --- signatures ----------------------------------------------------------------------------------

#define SIGNED_BY(key)                                                                             \
    "git -c gpg.format=ssh -c user.signingkey=$PWD/../" key " commit -q -S --allow-empty -m "      \
    "signed"

static char *read_in_dir(const char *name)
{
    AUTO_MEM char *path = test_path(name);

    return test_read(path);
}

// What key signed, for a purpose, becomes the signature of a commit that has none.
static void graft_signature(const char *purpose)
{
    AUTO_MEM char *script = str_format(
        "cd repo; git commit -q --allow-empty -m grafted; git cat-file commit HEAD >../bare; "
        "ssh-keygen -q -Y sign -n %s -f ../key <../bare >../signature; "
        "{ sed '/^$/,$d' ../bare; sed '1s/^/gpgsig /; 2,$s/^/ /' ../signature; sed -n '/^$/,$p' "
        "../bare; } >../grafted; "
        "git reset -q --hard $(git hash-object -t commit -w ../grafted)",
        purpose);

    run(script);
}

TEST(ssh_signatures)
{
    struct fetch_spec spec = plain();
    AUTO_MEM char *signers = NULL;
    struct got got;

    make_repository();
    run("ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t ed25519 -N '' -f other; "
        "echo \"# people\nops@example.org namespaces=\\\"git\\\" $(cat key.pub)\" >signers");
    signers = read_in_dir("signers");
    spec.verify = true;
    spec.allowed_signers = signers;
    expect_reason(&spec, "SignatureMissing", "is not signed");
    run("cd repo; " SIGNED_BY("other"));
    expect_reason(&spec, "SignerUnknown", "no allowed signer");
    run("cd repo; " SIGNED_BY("key"));
    got = fetch(&spec);
    CHECK_OK(got.err);
    CHECK_STR(got.result.signer, "ops@example.org");
    fetch_result_fini(&got.result);
    spec.allowed_signers = NULL;
    expect_reason(&spec, "SignerUnknown", "no allowed_signers");
    // the signature of another commit on this one
    run("cd repo; git cat-file commit HEAD | sed 's/^signed$/forged/' >../forged; "
        "git reset -q --hard $(git hash-object -t commit -w ../forged)");
    spec.allowed_signers = signers;
    expect_reason(&spec, "SignatureInvalid", "does not fit");
    // one that was made for something else than a commit
    graft_signature("git");
    got = fetch(&spec);
    CHECK_OK(got.err);
    fetch_result_fini(&got.result);
    graft_signature("file");
    expect_reason(&spec, "SignatureInvalid", "does not fit");
    // a key that was not valid yet when it signed
    run("cd repo; " SIGNED_BY("key"));
    spec.allowed_signers = NULL;
    mem_free(TAKE(signers));
    run("echo \"ops@example.org valid-after=\\\"20260301\\\" $(cat key.pub)\" >signers");
    signers = read_in_dir("signers");
    spec.allowed_signers = signers;
    expect_reason(&spec, "SignerUnknown", "");
}

#define GPG "gpg --homedir ../gpg --batch -q --pinentry-mode loopback --passphrase '' "

TEST(gpg_signatures)
{
    struct fetch_spec spec = plain();
    AUTO_MEM char *keyring = NULL;
    AUTO_MEM char *fingerprint = NULL;
    AUTO_MEM char *old = NULL;
    AUTO_MEM char *forged = NULL;
    struct got got;

    make_repository();
    run("mkdir -m 700 gpg; cd repo; printf '#!/bin/sh\\nexec gpg --homedir %s/../gpg --batch "
        "--pinentry-mode loopback --passphrase \"\" \"$@\"\\n' $PWD >../sign; "
        "chmod 755 ../sign; unset GIT_AUTHOR_DATE GIT_COMMITTER_DATE; " GPG
        "--quick-gen-key ops@example.org ed25519 sign never; " GPG
        "--quick-gen-key other@example.org ed25519 sign never; " GPG
        "--armor --export ops@example.org >../keyring; "
        "git -c gpg.program=$PWD/../sign -c user.signingkey=other@example.org commit -q -S "
        "--allow-empty -m other; git branch other; "
        "git -c gpg.program=$PWD/../sign -c user.signingkey=ops@example.org commit -q -S "
        "--allow-empty -m signed; git branch good; "
        "git cat-file commit HEAD | sed 's/^signed$/forged/' >../forged; git branch forged $(git "
        "hash-object -t commit -w ../forged); "
        // a key whose time is over, used while it was not
        "printf '#!/bin/sh\\nexec gpg --faked-system-time 20250101T000000! --homedir %s/../gpg "
        "--batch --pinentry-mode loopback --passphrase \"\" \"$@\"\\n' $PWD >../sign; " GPG
        "--faked-system-time 20250101T000000! --quick-gen-key old@example.org ed25519 sign 7d; " GPG
        "--armor --export old@example.org >>../keyring; "
        "git -c gpg.program=$PWD/../sign -c user.signingkey=old@example.org commit -q -S "
        "--allow-empty -m old; git branch old; "
        "gpgconf --homedir ../gpg --kill all");
    keyring = read_in_dir("keyring");
    fingerprint =
        words("gpg --homedir gpg --batch --with-colons --list-keys ops@example.org | sed -n "
              "'s/^fp.:*\\([0-9A-F]*\\):.*/\\1/p' | head -1; gpgconf --homedir gpg --kill all");
    spec.verify = true;
    spec.keyring = keyring;
    spec.branch = "good";
    got = fetch(&spec);
    CHECK_OK(got.err);
    CHECK_STR(got.result.signer, fingerprint);
    fetch_result_fini(&got.result);
    spec.branch = "other";
    expect_reason(&spec, "SignerUnknown", "not in the keyring");
    spec.branch = "forged";
    expect_reason(&spec, "SignatureInvalid", "gpgv does not accept");
    // A commit that was found good before its key expired stays good, also after a restart.
    spec.branch = "old";
    expect_reason(&spec, "SignatureInvalid", "expired on 2025-01-08");
    spec.verified = fingerprint;
    expect_reason(&spec, "SignatureInvalid", "expired on 2025-01-08");
    old = words("git -C repo rev-parse old");
    spec.verified = old;
    got = fetch(&spec);
    CHECK_OK(got.err);
    CHECK(strlen(got.result.signer) == 40);
    fetch_result_fini(&got.result);
    spec.branch = "forged";
    forged = words("git -C repo rev-parse forged");
    spec.verified = forged;
    expect_reason(&spec, "SignatureInvalid", "gpgv does not accept");
    spec.verified = NULL;
    spec.branch = "good";
    spec.keyring = NULL;
    spec.allowed_signers = "ops@example.org ssh-ed25519 AAAA";
    expect_reason(&spec, "SignerUnknown", "no armored public key");
}

// --- limits and the other side -------------------------------------------------------------------

TEST(where_it_may_look)
{
    struct fetch_spec spec = plain();

    make_repository();
    spec.file_root = NULL;
    expect_reason(&spec, "InvalidConfiguration", "--git-file-root");
    spec.file_root = "/usr";
    expect_reason(&spec, "InvalidConfiguration", "outside");
    spec.url = "file:///usr/../etc/passwd"; // whether it is there is not told
    expect_reason(&spec, "InvalidConfiguration", "outside");
    spec.url = "file:///usr/../nonexistent";
    expect_reason(&spec, "InvalidConfiguration", "outside");
    spec.url = "file:///usr/nonexistent";
    expect_reason(&spec, "GitUnreachable", "no such directory");
    spec.url = "https://user:word@localhost/x";
    expect_reason(&spec, "InvalidConfiguration", "in the Secret");
    spec.url = "http://localhost/x";
    spec.password = "word";
    spec.verify = true;
    expect_reason(&spec, "InvalidConfiguration", "https://");
    spec.verify = false;
    spec.url = "ssh://git@localhost/x";
    expect_reason(&spec, "HostKeyRefused", "known_hosts");
    spec.url = "ext::sh -c id";
    expect_reason(&spec, "InvalidConfiguration", "must begin with");
}

TEST(what_anybody_on_the_way_could_change_is_refused_unless_verified)
{
    struct fetch_spec spec = plain();
    static const char *const open_urls[] = {"git://127.0.0.1:1/x", "http://127.0.0.1:1/x"};

    for (size_t i = 0; i < COUNT(open_urls); i++) {
        spec.url = open_urls[i];
        spec.verify = false;
        expect_reason(&spec, "InsecureTransport", "spec.verify");
        spec.verify = true;
        expect_reason(&spec, "GitUnreachable", "127.0.0.1");
    }
}

TEST_MAIN()

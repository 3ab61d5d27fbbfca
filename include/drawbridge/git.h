// SPDX-License-Identifier: Apache-2.0
// git: what a commit of a repository says, fetched by a child process of our own.
//
// Purpose   probe a reference, fetch it when it moved, verify the commit's signature, hand out its
// documents In → Out  struct fetch_spec → struct fetch_result or struct error with a reason Owns
// libgit2, in the program drawbridge-git alone: this process never maps it May use   loop doc base
// Never     keeps a credential after the call, or gives one to anybody in argv or environment;
// applies anything Limits    FETCH_* below; the child's memory, time, file sizes and system calls
// Blocking  makes and removes a small directory
#pragma once

#include "drawbridge/doc.h"
#include "drawbridge/loop.h"

#define FETCH_PACK_BYTES_MAX ((size_t)128 << 20) // unless the spec says less
#define FETCH_INDEX_BYTES_MAX ((size_t)64 << 20) // beside the pack
#define FETCH_MEMORY_BYTES_MAX ((size_t)256 << 20)
#define FETCH_WORKERS_MAX                                                                          \
    3 // at once: so many times the memory and the pack; the caller keeps to it
#define FETCH_OBJECTS_MAX 2000000 // in a repository
#define FETCH_FILES_MAX 1000      // below the path
#define FETCH_FILE_BYTES_MAX ((size_t)1 << 20)
#define FETCH_FILES_BYTES_MAX ((size_t)4 << 20) // all of them
#define FETCH_DOCUMENTS_MAX 200
#define FETCH_RESULT_BYTES_MAX ((size_t)8 << 20)
#define FETCH_REASONS                                                                              \
    "GitUnreachable FetchTimedOut AuthenticationFailed HostKeyRefused CertificateRefused "         \
    "RefNotFound PathNotFound LimitReached InvalidDocument InvalidConfiguration "                  \
    "SignatureMissing SignatureInvalid SignerUnknown NonFastForward CommitNotFound "               \
    "InsecureTransport"

// Strings are borrowed for the call; NULL or "" is absent.
struct fetch_spec {
    const char *url; // https, http, ssh, git or file
    const char *branch, *tag, *semver,
        *commit;       // at most one, branch may stand beside commit; none: the remote's HEAD
    const char *path;  // a directory or file of the repository; "" is all of it
    const char *known; // the commit that is known already: when the reference still points there,
                       // nothing is fetched
    const char *base;  // refuse a commit that does not descend from it (NonFastForward)
    const char *base_ref; // with semver: the tag that base was of. Another tag need not descend
                          // from it, but a lower version is as good as a step back, while the range
                          // still has base_ref
    const char *accept;   // a commit for which that is fine
    const char *at;       // hand out this older commit's documents, not the reference's
    const char
        *verified; // a commit that was found to be signed well before: that its OpenPGP key has
                   // expired since is no reason to refuse it
    const char *username, *password, *bearer_token;  // https
    const char *identity, *passphrase, *known_hosts; // ssh
    const char *ca, *proxy;                          // PEM; http://[user:password@]host:port
    bool verify;
    const char *allowed_signers; // ssh-keygen's format
    const char *keyring;         // OpenPGP public keys, armored, one after the other
    const char *file_root;       // file:// only below this directory; NULL: not at all
    size_t pack_bytes_max;       // 0: FETCH_PACK_BYTES_MAX
    size_t memory_bytes_max;     // 0: FETCH_MEMORY_BYTES_MAX
    uint64_t timeout_ms;
};
struct fetch_result {
    char *ref;         // "main", "v1.2.0", "" for a bare commit
    char *head;        // the commit that the reference points to
    char *commit;      // whose documents these are: head, or what spec.at asked for
    char *signer;      // who signed it, "" when nobody was asked
    bool fetched;      // false: head is what was known; no documents
    json_t *documents; // [{"file": "a/b.yaml", "index": 0, "object": {..}}]
};
void fetch_result_fini(struct fetch_result *result);
// "main@sha1:0123..", "sha1:0123.." without a ref; yours.
char *fetch_revision(const char *ref, const char *commit);

// take_err: its reason is one of FETCH_REASONS; result is there too, with ref and head alone, where
// the reference was found (head "": it was not) and NULL where the worker said nothing. Else
// result, borrowed for the call (documents may be taken).
typedef void fetch_fn(void *owner, struct error *take_err, struct fetch_result *result);
// Dropping the op kills the child.
MUST_USE struct op *fetch_run(struct loop *loop, const struct fetch_spec *spec, fetch_fn *fn,
                              void *owner);

// --- versions of tags ("v1.2.3", "1.2.3-rc.1"); ranges as package managers write them: ">=1.2.0
// <2.0.0 || ^3.1", "1.2.x", "~1.2", "*"
bool semver_valid(const char *tag);
bool semver_valid_range(const char *range);
// A pre-release matches only where the range names one with the same numbers.
bool semver_matches(const char *tag, const char *range);
int semver_compare(const char *a, const char *b); // both valid

// SPDX-License-Identifier: Apache-2.0
// Who signed a commit: as `git verify-commit` does it, by ssh-keygen and gpgv. Nothing is decided
// here but what their words mean, and whatever they do not plainly accept is refused.
#include <string.h>
#include <sys/wait.h>

#include "worker.h"

#define OUTPUT_BYTES_MAX 65536
#define SSH_BEGIN "-----BEGIN SSH SIGNATURE-----"
#define PGP_BEGIN "-----BEGIN PGP SIGNATURE-----"

struct signature {
    char *file, *payload_file; // what was signed, and with what
    bool ssh;
    git_time_t when; // the committer's time, at which the key must have been valid
};

static void signature_fini(struct signature *signature)
{
    mem_free(signature->file);
    mem_free(signature->payload_file);
}
#define AUTO_SIGNATURE CLEANUP(signature_fini)

static bool ran_well(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static char *first_words(const struct buf *output)
{
    AUTO_MEM char *text = slice_dup(
        slice_trim(slice_sub(buf_slice(output), 0, output->len < 300 ? output->len : 300)));

    return TAKE(text);
}

static struct error *extract(struct worker *worker, struct signature *ret_signature)
{
    git_buf signature = {0}, payload = {0};
    git_commit *commit = NULL;
    char hex[GIT_OID_HEXSZ + 1];
    struct error *err = NULL;

    if (git_commit_extract_signature(&signature, &payload, worker->repository, &worker->commit,
                                     NULL) != 0)
        return error_because(ERROR_INVALID, "SignatureMissing", "commit %s is not signed",
                             git_oid_tostr(hex, sizeof(hex), &worker->commit));
    if (git_commit_lookup(&commit, worker->repository, &worker->commit) == 0)
        ret_signature->when = git_commit_time(commit);
    git_commit_free(commit);
    ret_signature->ssh = str_starts(signature.ptr, SSH_BEGIN);
    if (!ret_signature->ssh && !str_starts(signature.ptr, PGP_BEGIN))
        err = error_because(ERROR_INVALID, "SignatureInvalid",
                            "the signature is neither of ssh nor of OpenPGP");
    if (!err)
        err = spawn_write_file(worker, "signature", (struct slice){signature.ptr, signature.size},
                               &ret_signature->file);
    if (!err)
        err = spawn_write_file(worker, "payload", (struct slice){payload.ptr, payload.size},
                               &ret_signature->payload_file);
    git_buf_dispose(&signature);
    git_buf_dispose(&payload);
    return err;
}

// --- ssh -----------------------------------------------------------------------------------------

static char *time_option(git_time_t when)
{
    char text[CLOCK_TEXT_BYTES];
    AUTO_BUF struct buf option = buf_make(64);

    // 2026-11-21T10:00:00Z is 20261121100000Z there
    buf_add_str(&option, "-Overify-time=");
    for (const char *at = clock_format((int64_t)when * 1000, text); *at; at++)
        if (*at != '-' && *at != ':' && *at != 'T')
            buf_add(&option, at, 1);
    return buf_take(&option);
}

static struct error *verify_as(const struct signature *signature, const char *signers,
                               const char *principal, bool *ret_good)
{
    AUTO_BUF struct buf output = buf_make(OUTPUT_BYTES_MAX);
    AUTO_MEM char *when = time_option(signature->when);
    const char *const argv[] = {"ssh-keygen", "-Y", "verify",  "-n", "git",           "-f",
                                signers,      "-I", principal, "-s", signature->file, when,
                                NULL};
    int status = -1;
    struct error *err = spawn_run(argv, signature->payload_file, &output, &status);

    *ret_good = !err && ran_well(status);
    return err;
}

static struct error *verify_ssh(struct worker *worker, const struct signature *signature)
{
    AUTO_BUF struct buf output = buf_make(OUTPUT_BYTES_MAX);
    AUTO_MEM char *when = time_option(signature->when);
    AUTO_MEM char *signers = NULL;
    struct slice rest, line;
    int status = -1;
    struct error *err = spawn_write_file(worker, "allowed_signers",
                                         slice_of(worker_text(worker, "allowedSigners")), &signers);

    if (!err) {
        const char *const argv[] = {"ssh-keygen", "-Y", "find-principals", "-f",
                                    signers,      "-s", signature->file,   when,
                                    NULL};
        err = spawn_run(argv, NULL, &output, &status);
    }
    if (err)
        return err;
    if (!ran_well(status)) {
        AUTO_MEM char *words = first_words(&output);
        return error_because(ERROR_INVALID, "SignerUnknown",
                             "no allowed signer has the key that signed the commit: %s", words);
    }
    rest = buf_slice(&output);
    while (slice_cut(&rest, '\n', &line)) {
        AUTO_MEM char *principal = slice_dup(slice_trim(line));
        bool good = false;

        err = *principal ? verify_as(signature, signers, principal, &good) : NULL;
        if (err)
            return err;
        if (good) {
            worker->signer = TAKE(principal);
            return NULL;
        }
    }
    return error_because(ERROR_INVALID, "SignatureInvalid",
                         "the commit's signature does not fit the commit");
}

// --- OpenPGP -------------------------------------------------------------------------------------

static int sextet(char c)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(letters, c) : NULL;

    return at ? (int)(at - letters) : -1;
}

static void decode_line(struct slice line, struct buf *keys, uint32_t *bits, unsigned *count)
{
    for (size_t i = 0; i < line.len; i++) {
        int value = sextet(line.ptr[i]);

        if (value < 0)
            continue; // padding
        *bits = *bits << 6 | (uint32_t)value;
        *count += 6;
        if (*count >= 8) {
            char byte = (char)(*bits >> (*count - 8) & 0xFF);
            *count -= 8;
            buf_add(keys, &byte, 1);
        }
    }
}

// gpgv wants a keyring without armor: the lines between the empty one and the checksum, decoded,
// block after block.
static void dearmor(struct slice text, struct buf *keys)
{
    enum { OUTSIDE, HEADERS, BODY } where = OUTSIDE;
    struct slice line;
    uint32_t bits = 0;
    unsigned count = 0;

    while (slice_cut(&text, '\n', &line)) {
        line = slice_trim(line);
        if (slice_eq(line, "-----BEGIN PGP PUBLIC KEY BLOCK-----")) {
            where = HEADERS;
            bits = count = 0;
        } else if (slice_starts(line, "-----END") || slice_starts(line, "=")) {
            where = OUTSIDE;
        } else if (where == HEADERS && line.len == 0) {
            where = BODY;
        } else if (where == BODY) {
            decode_line(line, keys, &bits, &count);
        }
    }
}

// The word at this place of the first status line of that name, or NULL.
static char *status_word(const struct buf *output, const char *name, unsigned place)
{
    AUTO_MEM char *prefix = str_format("[GNUPG:] %s ", name);
    struct slice rest = buf_slice(output), line, word;

    while (slice_cut(&rest, '\n', &line)) {
        if (!slice_starts(line, prefix))
            continue;
        line = slice_sub(line, strlen(prefix), line.len);
        for (unsigned i = 0; slice_cut(&line, ' ', &word); i++)
            if (i == place)
                return slice_dup(word);
    }
    return NULL;
}

// The commit that was found to be signed well before: it is in force, and stays good.
static bool was_verified(const struct worker *worker)
{
    char hex[GIT_OID_HEXSZ + 1];

    return str_eq(git_oid_tostr(hex, sizeof(hex), &worker->commit),
                  worker_text(worker, "verified"));
}

// Seconds since 1970, as gpgv has it.
static char *day_of(const char *seconds)
{
    char text[CLOCK_TEXT_BYTES];
    uint64_t when;

    if (!seconds || !slice_to_u64(slice_of(seconds), &when) || when > INT32_MAX * (uint64_t)4)
        return str_dup("a day that gpgv does not tell");
    return str_ndup(clock_format((int64_t)when * 1000, text), strlen("2026-11-21"));
}

// gpgv knows the present alone, and a committer's own time proves nothing: whoever has an old key
// may write any. So a key that has expired signs no new commit.
static struct error *judge_expired(struct worker *worker, const struct buf *output, char *take_key)
{
    AUTO_MEM char *key = take_key;
    AUTO_MEM char *when = status_word(output, "KEYEXPIRED", 0);
    AUTO_MEM char *day = day_of(when);

    if (was_verified(worker)) {
        worker->signer = TAKE(key);
        return NULL;
    }
    return error_because(ERROR_INVALID, "SignatureInvalid",
                         "the key %s, which signed the commit, expired on %s: sign a new commit "
                         "with a valid key, or extend the key and put its new public key into the "
                         "Secret",
                         key, day);
}

static struct error *judge_gpg(struct worker *worker, const struct buf *output, bool well)
{
    AUTO_MEM char *expired = status_word(output, "EXPKEYSIG", 0);
    AUTO_MEM char *revoked = status_word(output, "REVKEYSIG", 0);
    AUTO_MEM char *valid = status_word(output, "VALIDSIG", 0);
    AUTO_MEM char *good = status_word(output, "GOODSIG", 0);
    AUTO_MEM char *unknown = status_word(output, "NO_PUBKEY", 0);

    if (well && valid && good) {
        worker->signer = TAKE(valid);
        return NULL;
    }
    if (well && valid && expired && !revoked)
        return judge_expired(worker, output, TAKE(valid));
    if (unknown)
        return error_because(ERROR_INVALID, "SignerUnknown",
                             "the commit is signed with key %s, which is not in the keyring",
                             unknown);
    return error_because(ERROR_INVALID, "SignatureInvalid",
                         "gpgv does not accept the commit's signature: it is bad, or its key was "
                         "revoked");
}

static struct error *verify_gpg(struct worker *worker, const struct signature *signature)
{
    AUTO_BUF struct buf keys = buf_make(FETCH_FILE_BYTES_MAX);
    AUTO_BUF struct buf output = buf_make(OUTPUT_BYTES_MAX);
    AUTO_MEM char *keyring = NULL;
    int status = -1;
    struct error *err;

    dearmor(slice_of(worker_text(worker, "keyring")), &keys);
    if (keys.len == 0)
        return error_because(
            ERROR_INVALID, "SignerUnknown",
            "the commit is signed with OpenPGP, and the Secret has no armored public key");
    err = spawn_write_file(worker, "keyring.gpg", buf_slice(&keys), &keyring);
    if (!err) {
        const char *const argv[] = {
            "gpgv",          "--status-fd",           "1", "--keyring", keyring,
            signature->file, signature->payload_file, NULL};
        err = spawn_run(argv, NULL, &output, &status);
    }
    return err ? err : judge_gpg(worker, &output, ran_well(status));
}

struct error *verify_commit(struct worker *worker)
{
    AUTO_SIGNATURE struct signature signature = {0};
    struct error *err = extract(worker, &signature);

    if (err)
        return err;
    if (!signature.ssh)
        return verify_gpg(worker, &signature);
    if (!*worker_text(worker, "allowedSigners"))
        return error_because(
            ERROR_INVALID, "SignerUnknown",
            "the commit is signed with ssh, and the Secret has no allowed_signers");
    return verify_ssh(worker, &signature);
}

// SPDX-License-Identifier: Apache-2.0
// The other side: credentials and certificates, what its references point to, and the pack.
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "known_hosts.h"
#include "worker.h"

#define WINDOW_BYTES ((size_t)16 << 20)
#define MAPPED_BYTES_MAX ((size_t)96 << 20)
#define CACHE_BYTES_MAX ((ssize_t)16 << 20)

static bool scheme_is(const struct worker *worker, const char *scheme)
{
    return str_starts(worker_text(worker, "url"), scheme);
}

// --- callbacks of libgit2 ------------------------------------------------------------------------

static int refuse(struct worker *worker, const char *reason, const char *message, int code)
{
    worker->refused = reason;
    git_error_set_str(GIT_ERROR_NET, message);
    return code;
}

static int on_credentials(git_credential **ret_credential, const char *url, const char *user,
                          unsigned allowed, void *owner)
{
    struct worker *worker = owner;
    const char *name = worker_text(worker, "username");
    const char *ssh_user = user ? user : *name ? name : "git";

    (void)url; // redirects are not followed: it is the one that was given
    if (allowed & GIT_CREDENTIAL_USERNAME)
        return git_credential_username_new(ret_credential, ssh_user);
    if (worker->asked++ > 0)
        return refuse(worker, "AuthenticationFailed", "the server refused the credentials",
                      GIT_EAUTH);
    if ((allowed & GIT_CREDENTIAL_SSH_KEY) && *worker_text(worker, "identity"))
        return git_credential_ssh_key_memory_new(
            ret_credential, ssh_user, NULL, worker_text(worker, "identity"),
            *worker_text(worker, "passphrase") ? worker_text(worker, "passphrase") : NULL);
    if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) && !scheme_is(worker, "ssh:") &&
        *worker_text(worker, "password"))
        return git_credential_userpass_plaintext_new(ret_credential, *name ? name : "git",
                                                     worker_text(worker, "password"));
    return refuse(worker, "AuthenticationFailed",
                  "the server wants credentials of a kind that the Secret does not have",
                  GIT_EAUTH);
}

// The library has looked at system certificates, or at known_hosts; its no stays a no.
static int on_certificate(git_cert *certificate, int valid, const char *host, void *owner)
{
    (void)host;
    if (valid)
        return 0;
    if (certificate->cert_type == GIT_CERT_X509)
        return refuse(owner, "CertificateRefused",
                      "the server's certificate is not trusted, or is not for this name",
                      GIT_ECERTIFICATE);
    return refuse(owner, "HostKeyRefused",
                  "the server's host key is not in known_hosts, or another one", GIT_ECERTIFICATE);
}

static int on_progress(const git_indexer_progress *progress, void *owner)
{
    struct worker *worker = owner;

    if (progress->received_bytes > worker->pack_bytes_max)
        return refuse(worker, "LimitReached", "the pack is larger than is allowed", GIT_EUSER);
    if (progress->total_objects > FETCH_OBJECTS_MAX)
        return refuse(worker, "LimitReached", "the repository has too many objects", GIT_EUSER);
    return 0;
}

static void set_callbacks(struct worker *worker, git_remote_callbacks *callbacks)
{
    callbacks->credentials = on_credentials;
    callbacks->certificate_check = on_certificate;
    callbacks->transfer_progress = on_progress;
    callbacks->payload = worker;
}

// --- the library's own settings ------------------------------------------------------------------

static struct error *set_up(const struct worker *worker)
{
    static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
                                 GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};
    const char *ca = worker_text(worker, "ca");
    AUTO_MEM char *path = NULL;
    AUTO_MEM char *ssh = str_format("%s/.ssh", worker->dir);
    struct error *err = NULL;

    // No configuration of the machine's is read; HOME is the scratch directory, where known_hosts
    // is expected.
    for (size_t i = 0; i < COUNT(levels); i++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], worker->dir);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, WINDOW_BYTES);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, MAPPED_BYTES_MAX);
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, CACHE_BYTES_MAX);
    git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)FETCH_OBJECTS_MAX);
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
    // file://: whose it is says the operator of the controller
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    if (mkdir(ssh, 0700) != 0)
        return error_new(ERROR_INTERNAL, "%s cannot be made", ssh);
    if (*ca) {
        err = spawn_write_file(worker, "ca.crt", slice_of(ca), &path);
        if (!err && git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, path, NULL) != 0)
            err = worker_git_error(worker, "InvalidConfiguration", "ca.crt");
    }
    return err;
}

static bool is_below(const char *path, const char *root)
{
    size_t len = strlen(root);

    return str_starts(path, root) && (path[len] == '/' || path[len] == '\0');
}

// Below file_root, links followed. Of what is elsewhere nobody is told whether it is there.
static struct error *check_file(const struct worker *worker)
{
    const char *root = worker_text(worker, "fileRoot");
    const char *path = worker_text(worker, "url") + strlen("file://");
    char real_root[PATH_MAX], real[PATH_MAX];

    if (!*root)
        return error_because(
            ERROR_INVALID, "InvalidConfiguration",
            "file:// repositories are turned off; use https:// or ssh://, or start the controller "
            "with --git-file-root=DIR");
    if (!realpath(root, real_root))
        return error_because(ERROR_TRANSIENT, "GitUnreachable",
                             "the directory of --git-file-root is not there");
    if (strstr(path, "/../") || str_ends(path, "/..") ||
        (!is_below(path, root) && !is_below(path, real_root)) ||
        (realpath(path, real) && !is_below(real, real_root)))
        return error_because(ERROR_INVALID, "InvalidConfiguration",
                             "the repository is outside of --git-file-root");
    if (!realpath(path, real))
        return error_because(ERROR_TRANSIENT, "GitUnreachable", "there is no such directory");
    return NULL;
}

static struct error *check_url(const struct worker *worker)
{
    bool has_secret = *worker_text(worker, "password") || *worker_text(worker, "bearerToken");

    if (strchr(worker_text(worker, "url"), '@') && !scheme_is(worker, "ssh://"))
        return error_because(ERROR_INVALID, "InvalidConfiguration",
                             "credentials belong in the Secret, not in the URL");
    if (scheme_is(worker, "file://"))
        return check_file(worker);
    if (scheme_is(worker, "http://") && has_secret)
        return error_because(ERROR_INVALID, "InvalidConfiguration",
                             "over http:// a password could be read by anybody: use https://");
    if ((scheme_is(worker, "http://") || scheme_is(worker, "git://")) &&
        !doc_bool(worker->request, true, "verify", NULL))
        return error_because(
            ERROR_INVALID, "InsecureTransport",
            "whoever is between here and the server could change what is fetched: use https:// or "
            "ssh://, or set spec.verify so that only signed commits are applied");
    if (scheme_is(worker, "ssh://") && !*worker_text(worker, "knownHosts"))
        return error_because(ERROR_INVALID, "HostKeyRefused",
                             "ssh:// needs known_hosts in the Secret");
    if (scheme_is(worker, "https://") || scheme_is(worker, "http://") ||
        scheme_is(worker, "ssh://") || scheme_is(worker, "git://"))
        return NULL;
    return error_because(ERROR_INVALID, "InvalidConfiguration",
                         "the URL must begin with https://, ssh://, git://, http:// or file://");
}

// --- connecting ----------------------------------------------------------------------------------

struct wire {
    git_strarray headers;
    char *header;
    git_proxy_options proxy;
};

static void wire_make(const struct worker *worker, struct wire *ret_wire)
{
    const char *token = worker_text(worker, "bearerToken");

    *ret_wire = (struct wire){0};
    git_proxy_options_init(&ret_wire->proxy, GIT_PROXY_OPTIONS_VERSION);
    if (*worker_text(worker, "proxy")) {
        ret_wire->proxy.type = GIT_PROXY_SPECIFIED;
        ret_wire->proxy.url = worker_text(worker, "proxy");
    }
    if (*token && scheme_is(worker, "https://")) {
        ret_wire->header = str_format("Authorization: Bearer %s", token);
        ret_wire->headers = (git_strarray){&ret_wire->header, 1};
    }
}

static void wire_fini(struct wire *wire)
{
    mem_free(wire->header);
}
#define AUTO_WIRE CLEANUP(wire_fini)

// libssh2's words when the two sides have no kind of host key in common that it can use.
static bool no_common_key(const char *text)
{
    return strstr(text, "exchange encryption keys") != NULL;
}

static const char *connect_reason(void)
{
    const git_error *last = git_error_last();
    const char *text = last && last->message ? last->message : "";

    if (no_common_key(text))
        return "HostKeyRefused";
    if (strstr(text, "401") || strstr(text, "403") || strstr(text, "authenticat") ||
        (last && last->klass == GIT_ERROR_SSH && strstr(text, "key")))
        return "AuthenticationFailed";
    if (strstr(text, "certificate") || strstr(text, "SSL"))
        return "CertificateRefused";
    return "GitUnreachable";
}

static struct error *connect_once(struct worker *worker, const struct wire *wire)
{
    git_remote_connect_options options;

    git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    set_callbacks(worker, &options.callbacks);
    options.proxy_opts = wire->proxy;
    options.custom_headers = wire->headers;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE; // the credentials are for this server
    worker->asked = 0;
    worker->refused = NULL;
    git_remote_free(TAKE(worker->remote));
    if (git_remote_create_anonymous(&worker->remote, worker->repository,
                                    worker_text(worker, "url")) != 0)
        return worker_git_error(worker, "InvalidConfiguration", "%s", worker_text(worker, "url"));
    if (git_remote_connect_ext(worker->remote, GIT_DIRECTION_FETCH, &options) != 0)
        return worker_git_error(worker, connect_reason(), "%s", worker_text(worker, "url"));
    return NULL;
}

static struct error *write_known_hosts(const struct worker *worker, const char *text)
{
    AUTO_MEM char *path = NULL;
    AUTO_MEM char *old = str_format("%s/.ssh/known_hosts", worker->dir);

    (void)unlink(old);
    return spawn_write_file(worker, ".ssh/known_hosts", slice_of(text), &path);
}

// ssh agrees with the server on a kind of host key that both have; libgit2 1.5 asks for one kind
// alone. So, as long as that cannot be agreed on, once more without it.
static struct error *connect_by_ssh(struct worker *worker, const struct wire *wire)
{
    const char *known = worker_text(worker, "knownHosts");
    AUTO_MEM char *before = str_dup("");

    for (unsigned dropped = 0; dropped < known_hosts_kinds(); dropped++) {
        AUTO_MEM char *text = known_hosts_arrange(known, dropped);
        AUTO(error) struct error *err = NULL;

        if (str_eq(text, before))
            continue; // there are no keys of the kind that is left out
        if (!*text)
            break;
        err = write_known_hosts(worker, text);
        if (!err)
            err = connect_once(worker, wire);
        if (!err || !no_common_key(error_text(err)))
            return TAKE(err);
        mem_free(TAKE(before));
        before = TAKE(text);
    }
    return error_because(
        ERROR_INVALID, "HostKeyRefused",
        "%s: %s: add the server's Ed25519 or ECDSA key (ssh-keyscan -t ed25519,ecdsa HOST); with "
        "RSA host keys this library knows signatures by SHA-1 alone, which servers do not give",
        worker_text(worker, "url"),
        *before ? "the server has no host key of a kind that is in known_hosts and can be used"
                : "known_hosts has no host key that can be used");
}

static struct error *connect_to(struct worker *worker, const struct wire *wire)
{
    if (git_repository_init(&worker->repository, worker->dir, 1) != 0)
        return worker_git_error(worker, "InvalidConfiguration", "%s", worker_text(worker, "url"));
    return scheme_is(worker, "ssh://") ? connect_by_ssh(worker, wire) : connect_once(worker, wire);
}

// --- which commit --------------------------------------------------------------------------------

static const git_remote_head *find_head(const git_remote_head **heads, size_t len, const char *name)
{
    for (size_t i = 0; i < len; i++)
        if (str_eq(heads[i]->name, name))
            return heads[i];
    return NULL;
}

// An annotated tag is an object of its own; the line "^{}" says what it points to.
static const git_remote_head *peel(const git_remote_head **heads, size_t len,
                                   const git_remote_head *tag)
{
    AUTO_MEM char *name = str_format("%s^{}", tag->name);
    const git_remote_head *peeled = find_head(heads, len, name);

    return peeled ? peeled : tag;
}

static const git_remote_head *find_newest(const git_remote_head **heads, size_t len,
                                          const char *range)
{
    const char *const prefix = "refs/tags/";
    const git_remote_head *best = NULL;

    for (size_t i = 0; i < len; i++) {
        const char *name = heads[i]->name;

        if (!str_starts(name, prefix) || !semver_matches(name + strlen(prefix), range))
            continue;
        if (!best || semver_compare(name + strlen(prefix), best->name + strlen(prefix)) > 0)
            best = heads[i];
    }
    return best;
}

static struct error *take_head(struct worker *worker, const git_remote_head **heads, size_t len,
                               const git_remote_head *head, const char *prefix)
{
    worker->remote_ref = str_dup(head->name);
    worker->ref =
        str_dup(str_starts(head->name, prefix) ? head->name + strlen(prefix) : head->name);
    git_oid_cpy(&worker->head, &peel(heads, len, head)->oid);
    return NULL;
}

static struct error *resolve_default(struct worker *worker, const git_remote_head **heads,
                                     size_t len)
{
    const git_remote_head *head = find_head(heads, len, "HEAD");
    const git_remote_head *branch =
        head && head->symref_target ? find_head(heads, len, head->symref_target) : NULL;

    if (!head)
        return error_because(ERROR_TRANSIENT, "RefNotFound",
                             "the repository is empty or has no HEAD: set spec.ref.branch");
    return take_head(worker, heads, len, branch ? branch : head, "refs/heads/");
}

static struct error *resolve(struct worker *worker)
{
    const char *branch = worker_text(worker, "branch"), *tag = worker_text(worker, "tag");
    const char *range = worker_text(worker, "semver"), *commit = worker_text(worker, "commit");
    AUTO_MEM char *name =
        *tag ? str_format("refs/tags/%s", tag) : str_format("refs/heads/%s", branch);
    const git_remote_head **heads = NULL;
    const git_remote_head *head;
    size_t len = 0;

    if (git_remote_ls(&heads, &len, worker->remote) != 0)
        return worker_git_error(worker, "GitUnreachable", "list of references");
    if (*commit) {
        if (git_oid_fromstr(&worker->head, commit) != 0)
            return worker_git_error(worker, "InvalidConfiguration", "spec.ref.commit");
        worker->remote_ref = str_dup(*branch ? name : "");
        return NULL;
    }
    if (*range) {
        if (!semver_valid_range(range))
            return error_because(ERROR_INVALID, "InvalidConfiguration",
                                 "spec.ref.semver: %s is no range of versions", range);
        head = find_newest(heads, len, range);
        return head ? take_head(worker, heads, len, head, "refs/tags/")
                    : error_because(ERROR_TRANSIENT, "RefNotFound",
                                    "no tag is a version in the range %s", range);
    }
    if (!*branch && !*tag)
        return resolve_default(worker, heads, len);
    head = find_head(heads, len, name);
    if (!head)
        return error_because(ERROR_TRANSIENT, "RefNotFound", "the repository has no %s", name);
    return take_head(worker, heads, len, head, *tag ? "refs/tags/" : "refs/heads/");
}

// --- the pack ------------------------------------------------------------------------------------

// Whether a commit descends from another one shows in the whole history alone.
UNUSED static bool wants_history(const struct worker *worker)
{
    return *worker_text(worker, "base") &&
           (!*worker_text(worker, "semver") || str_eq(worker->ref, worker_text(worker, "baseRef")));
}

static struct error *download(struct worker *worker, const struct wire *wire)
{
    git_fetch_options options;
    bool every = !*worker->remote_ref || *worker_text(worker, "at");
    AUTO_MEM char *name = str_format("+%s:refs/drawbridge/head", worker->remote_ref);
    char every_head[] = "+refs/heads/*:refs/drawbridge/heads/*";
    char *specs[2] = {*worker->remote_ref ? name : every_head, every_head};
    git_strarray list = {specs, every && *worker->remote_ref ? 2 : 1};

    git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    set_callbacks(worker, &options.callbacks);
    options.proxy_opts = wire->proxy;
    options.custom_headers = wire->headers;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 7
    // The library's own transport for file:// knows no depth.
    if (!every && !wants_history(worker) && !scheme_is(worker, "file://"))
        options.depth = 1;
#endif
    if (git_remote_download(worker->remote, &list, &options) != 0)
        return worker_git_error(worker, connect_reason(), "fetch");
    return NULL;
}

static struct error *find_commit(struct worker *worker, const char *what)
{
    git_commit *commit = NULL;
    char hex[GIT_OID_HEXSZ + 1];

    if (git_commit_lookup(&commit, worker->repository, &worker->commit) != 0)
        return error_because(ERROR_INVALID, "CommitNotFound",
                             "%s %s is in none of the repository's branches", what,
                             git_oid_tostr(hex, sizeof(hex), &worker->commit));
    git_commit_free(commit);
    return NULL;
}

struct error *remote_fetch(struct worker *worker, bool *ret_fetched)
{
    AUTO_WIRE struct wire wire;
    const char *at = worker_text(worker, "at");
    char hex[GIT_OID_HEXSZ + 1];
    struct error *err;

    wire_make(worker, &wire);
    err = check_url(worker);
    if (!err)
        err = set_up(worker);
    if (!err)
        err = connect_to(worker, &wire);
    if (!err)
        err = resolve(worker);
    if (err)
        return err;
    git_oid_cpy(&worker->commit, &worker->head);
    if (str_eq(git_oid_tostr(hex, sizeof(hex), &worker->head), worker_text(worker, "known")))
        return NULL;
    if (*at && git_oid_fromstr(&worker->commit, at) != 0)
        return worker_git_error(worker, "InvalidConfiguration", "commit %s", at);
    *ret_fetched = true;
    err = download(worker, &wire);
    return err ? err : find_commit(worker, "commit");
}

// Of a range: another tag has a history of its own, and only its version says whether it is newer.
static struct error *check_version(const struct worker *worker, bool *ret_same_tag)
{
    const char *before = worker_text(worker, "baseRef"), *range = worker_text(worker, "semver");

    *ret_same_tag = !*range || str_eq(before, worker->ref);
    if (*ret_same_tag || !semver_matches(before, range) || semver_compare(worker->ref, before) >= 0)
        return NULL;
    return error_because(ERROR_INVALID, "NonFastForward", "%s is older than %s, which was applied",
                         worker->ref, before);
}

struct error *remote_check_descent(const struct worker *worker)
{
    const char *base = worker_text(worker, "base");
    bool same_tag;
    struct error *err;
    char hex[GIT_OID_HEXSZ + 1];
    git_oid from;
    int descends;

    git_oid_tostr(hex, sizeof(hex), &worker->head);
    if (!*base || str_eq(base, hex) || str_eq(worker_text(worker, "accept"), hex))
        return NULL;
    err = check_version(worker, &same_tag);
    if (err || !same_tag)
        return err;
    if (git_oid_fromstr(&from, base) != 0)
        return worker_git_error(worker, "InvalidConfiguration", "commit %s", base);
    // The whole history was fetched: a commit that is not there is no ancestor.
    descends = git_graph_descendant_of(worker->repository, &worker->head, &from);
    if (descends == 1)
        return NULL;
    return error_because(ERROR_INVALID, "NonFastForward",
                         "%s points to %s, which does not descend from %s", worker->ref, hex, base);
}

// SPDX-License-Identifier: Apache-2.0
// Credentials that change while we run: a bound service account token lives an hour, client
// certificates and CAs are rotated. Files are looked at once a minute at most, and once more when
// the server says that what we have is no good.
#include "kube_internal.h"

static struct error *read_token(struct kube *kube, char **ret_token)
{
    AUTO_MEM char *text = NULL;
    struct error *err = kube_file_read(kube->config->token_file, KUBE_FILE_BYTES_MAX, &text);
    if (err)
        return err;
    struct slice token = slice_trim(slice_of(text));
    if (token.len == 0)
        return error_new(ERROR_DENIED, "%s is empty", kube->config->token_file);
    *ret_token = slice_dup(token);
    return NULL;
}

// A file that cannot be read just now (it is being replaced) leaves the old token in place.
static struct error *reload_token(struct kube *kube, bool *ret_changed)
{
    *ret_changed = false;
    kube->token_checked = true;
    kube->token_checked_ms = clock_ms();
    char *token = NULL;
    struct error *err = read_token(kube, &token);
    if (err && kube->token) {
        error_ignore(err, "the token read earlier may still serve");
        return NULL;
    }
    if (err)
        return err;
    *ret_changed = !str_eq(token, kube->token);
    mem_free(kube->token);
    kube->token = token;
    return NULL;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static struct error *reload_pem(struct kube_pem *pem, bool *changed)
{
    if (!pem->file)
        return NULL;
    struct stat now = {0};
    if (stat(pem->file, &now) == 0 && pem->text && same_file(&now, &pem->seen))
        return NULL;
    char *text = NULL;
    struct error *err = kube_file_read(pem->file, KUBE_FILE_BYTES_MAX, &text);
    if (err && pem->text) {
        error_ignore(err, "what was read earlier may still serve");
        return NULL;
    }
    if (err)
        return err;
    *changed = *changed || !str_eq(text, pem->text);
    mem_free(pem->text);
    pem->text = text;
    pem->seen = now;
    return NULL;
}

static struct error *reload_pems(struct kube *kube, bool *ret_changed)
{
    *ret_changed = false;
    bool first = !kube->pems_checked;
    kube->pems_checked = true;
    kube->pems_checked_ms = clock_ms();
    struct kube_pem *pems[] = {&kube->ca, &kube->cert, &kube->key};
    for (size_t i = 0; i < COUNT(pems); i++) {
        struct error *err = reload_pem(pems[i], ret_changed);
        if (err)
            return err;
    }
    if (*ret_changed && !first)
        http_forget_connections(kube->http);
    return NULL;
}

static bool due(bool checked, uint64_t checked_ms)
{
    return !checked || clock_ms() - checked_ms >= KUBE_CREDENTIALS_CHECK_MS;
}

struct error *kube_creds_refresh(struct kube *kube)
{
    bool changed = false;
    const struct kube_config *config = kube->config;
    if (config->token_file && (!kube->token || due(kube->token_checked, kube->token_checked_ms))) {
        struct error *err = reload_token(kube, &changed);
        if (err)
            return error_wrap(err, "token");
    }
    if (due(kube->pems_checked, kube->pems_checked_ms))
        return error_wrap(reload_pems(kube, &changed), "certificates");
    return NULL;
}

bool kube_creds_reload_token(struct kube *kube)
{
    bool changed = false;
    if (kube->config->token_file)
        error_ignore(reload_token(kube, &changed), "the server's 401 is the better error");
    return changed;
}

bool kube_creds_reload_pems(struct kube *kube)
{
    bool changed = false;
    error_ignore(reload_pems(kube, &changed), "the TLS error is the better one");
    return changed;
}

struct http_tls kube_creds_tls(const struct kube *kube)
{
    return (struct http_tls){
        .ca_pem = slice_of(kube->ca.text),
        .cert_pem = slice_of(kube->cert.text),
        .key_pem = slice_of(kube->key.text),
        .server_name = kube->config->server_name,
        .insecure = kube->config->insecure,
    };
}

void kube_creds_fini(struct kube *kube)
{
    mem_free(kube->token);
    mem_free(kube->ca.text);
    mem_free(kube->cert.text);
    mem_free(kube->key.text);
}

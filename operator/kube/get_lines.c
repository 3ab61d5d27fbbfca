// SPDX-License-Identifier: Apache-2.0
// The few lines that are wanted of a text that may be large: it is cut as the bytes arrive.
#include "kube_internal.h"

#define PORTION_BYTES_MAX ((size_t)64 << 10) // of the answer at once

struct sieve {
    struct op op; // first
    struct op *pending;
    struct kube_lines lines;
    struct buf kept;
    size_t bytes, page_bytes_max; // of the text so far; at most
    char *where;                  // it comes from
    bool full;
    kube_keep_fn *keep;
    kube_text_fn *done;
    void *owner;
};

static void on_drop(struct op *op)
{
    struct sieve *sieve = (struct sieve *)(void *)op;
    sieve->pending = op_drop(sieve->pending);
    kube_lines_fini(&sieve->lines);
    buf_fini(&sieve->kept);
    mem_free(sieve->where);
    mem_free(sieve);
}

static void sieve_finish(struct sieve *sieve, struct error *take_err)
{
    kube_text_fn *done = sieve->done;
    void *owner = sieve->owner;
    AUTO_BUF struct buf kept = sieve->kept;
    sieve->kept = buf_make(0);
    on_drop(&sieve->op);
    done(owner, take_err, take_err ? (struct slice){0} : buf_slice(&kept));
}

static void keep_line(struct sieve *sieve, struct slice line)
{
    if (sieve->full || !sieve->keep(line))
        return;
    sieve->full = line.len + 1 > sieve->kept.max - sieve->kept.len;
    if (sieve->full)
        return;
    buf_add_slice(&sieve->kept, line);
    buf_add_str(&sieve->kept, "\n");
}

static struct error *check_size(const struct sieve *sieve)
{
    if (sieve->bytes > sieve->page_bytes_max)
        return error_new(ERROR_LIMIT, "%s: the answer is larger than %zu bytes", sieve->where,
                         sieve->page_bytes_max);
    if (sieve->full)
        return error_new(ERROR_LIMIT, "%s: what is to be read of it is larger than %zu bytes",
                         sieve->where, sieve->kept.max);
    return NULL;
}

static void on_data(void *owner, struct slice bytes)
{
    struct sieve *sieve = owner;
    struct slice rest = bytes, line;
    struct error *err;
    sieve->bytes += bytes.len;
    while (kube_lines_next(&sieve->lines, &rest, &line)) {
        if (!sieve->lines.too_long)
            keep_line(sieve, line);
    }
    err = check_size(sieve);
    if (err)
        sieve_finish(sieve, err);
}

static void on_end(void *owner, struct error *take_err, const struct http_response *response UNUSED)
{
    struct sieve *sieve = owner;
    struct slice end = slice_of("\n"), line;
    sieve->pending = NULL;
    // The last line may have no end of its own.
    if (!take_err && kube_lines_next(&sieve->lines, &end, &line) && !sieve->lines.too_long)
        keep_line(sieve, line);
    sieve_finish(sieve, take_err ? take_err : check_size(sieve));
}

struct op *kube_get_lines(struct kube *kube, const char *path, size_t page_bytes_max,
                          size_t kept_bytes_max, kube_keep_fn *keep, kube_text_fn *done,
                          void *owner)
{
    struct sieve *sieve = NEW(struct sieve);
    struct kube_request request = {
        .method = "GET",
        .take_path = str_dup(path),
        .accept = "*/*",
        .body_bytes_max = PORTION_BYTES_MAX,
        .timeout_ms = KUBE_TIMEOUT_MS,
        .idle_ms = KUBE_TIMEOUT_MS,
        .on_data = on_data,
    };
    sieve->op.drop = on_drop;
    sieve->lines = kube_lines_make(KUBE_TEXT_LINE_BYTES_MAX);
    sieve->kept = buf_make(kept_bytes_max);
    sieve->page_bytes_max = page_bytes_max;
    sieve->where = str_format("GET %s%s", kube->config->server, path);
    sieve->keep = keep;
    sieve->done = done;
    sieve->owner = owner;
    sieve->pending = kube_request_send(kube, &request, on_end, sieve);
    return &sieve->op;
}

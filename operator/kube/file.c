// SPDX-License-Identifier: Apache-2.0
// Small files whole, and base64: what credentials come in.
#include "kube_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct error *read_all(int fd, const char *path, struct buf *into)
{
    char chunk[8192];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(errno, "read %s", path);
        if (got == 0)
            break;
        buf_add(into, chunk, (size_t)got);
    }
    if (into->overflow)
        return error_new(ERROR_LIMIT, "%s is larger than %zu bytes", path, into->max);
    return NULL;
}

struct error *kube_file_read(const char *path, size_t bytes_max, char **ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_errno(errno, "open %s", path);
    AUTO_BUF struct buf text = buf_make(bytes_max);
    struct error *err = read_all(fd, path, &text);
    close(fd);
    if (err)
        return err;
    *ret_text = buf_take(&text);
    return NULL;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool kube_base64_decode(struct slice text, char **ret_bytes, size_t *ret_len)
{
    AUTO_MEM char *out = mem_alloc(text.len / 4 * 3 + 4);
    size_t len = 0, digits = 0, padding = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
            continue;
        if (c == '=') {
            padding++;
            continue;
        }
        int value = base64_value(c);
        if (value < 0 || padding > 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if (++digits % 4 == 0) {
            out[len++] = (char)(bits >> 16 & 0xff);
            out[len++] = (char)(bits >> 8 & 0xff);
            out[len++] = (char)(bits & 0xff);
        }
    }
    if (digits % 4 == 1 || (digits + padding) % 4 != 0)
        return false;
    if (digits % 4 >= 2)
        out[len++] = (char)((digits % 4 == 2 ? bits >> 4 : bits >> 10) & 0xff);
    if (digits % 4 == 3)
        out[len++] = (char)(bits >> 2 & 0xff);
    out[len] = '\0';
    *ret_bytes = TAKE(out);
    *ret_len = len;
    return true;
}

char *kube_base64_encode(struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = mem_alloc((bytes.len + 2) / 3 * 4 + 1), *at = out;

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t there = bytes.len - i;
        uint32_t bits = 0;

        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < there ? (unsigned char)bytes.ptr[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            *at++ = k <= there ? digits[bits >> (18 - 6 * k) & 63] : '=';
    }
    *at = '\0';
    return out;
}

char *kube_secret_text(const json_t *secret, const char *key)
{
    const char *value = json_string_value(doc_get(secret, "data", key, NULL));
    AUTO_MEM char *text = NULL;
    size_t len;

    if (!value || !kube_base64_decode(slice_of(value), &text, &len) || strlen(text) != len)
        return NULL;
    return TAKE(text);
}

// SPDX-License-Identifier: Apache-2.0
// Lines of known_hosts by the kind of their key, since the library takes the first that fits.
#include "known_hosts.h"

#include <string.h>

#define TEXT_BYTES_MAX ((size_t)4 << 20) // a Secret is smaller

static const char *const kinds[] = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                    "ecdsa-sha2-nistp521", "ssh-rsa"};

unsigned known_hosts_kinds(void)
{
    return COUNT(kinds);
}

struct known_host {
    struct slice marker, names, kind, key; // of the line; marker is empty for most
};

// Words are separated by blanks and tabs, as many as people like.
static struct slice next_word(struct slice *rest)
{
    size_t end = 0;
    struct slice word;

    *rest = slice_trim(*rest);
    while (end < rest->len && rest->ptr[end] != ' ' && rest->ptr[end] != '\t')
        end++;
    word = slice_sub(*rest, 0, end);
    *rest = slice_sub(*rest, end, rest->len);
    return word;
}

static bool read_line(struct slice line, struct known_host *ret_host)
{
    struct known_host host = {0};

    line = slice_trim(line);
    if (line.len == 0 || line.ptr[0] == '#')
        return false;
    if (line.ptr[0] == '@')
        host.marker = next_word(&line);
    host.names = next_word(&line);
    host.kind = next_word(&line);
    host.key = next_word(&line);
    *ret_host = host;
    return host.key.len > 0;
}

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static bool is_revoked(struct slice text, struct slice key)
{
    struct slice line;
    struct known_host host;

    while (slice_cut(&text, '\n', &line))
        if (read_line(line, &host) && slice_eq(host.marker, "@revoked") && same(host.key, key))
            return true;
    return false;
}

// The place of its kind; those that are not in the list come last.
static unsigned rank_of(struct slice kind)
{
    unsigned rank = 0;

    while (rank < COUNT(kinds) && !slice_eq(kind, kinds[rank]))
        rank++;
    return rank;
}

char *known_hosts_arrange(const char *text, unsigned dropped)
{
    AUTO_BUF struct buf arranged = buf_make(TEXT_BYTES_MAX);
    bool revokes = strstr(text, "@revoked") != NULL;
    struct known_host host;

    for (unsigned rank = dropped; rank <= COUNT(kinds); rank++) {
        struct slice rest = slice_of(text), line;

        while (slice_cut(&rest, '\n', &line)) {
            if (!read_line(line, &host) || host.marker.len > 0 || rank_of(host.kind) != rank ||
                (revokes && is_revoked(slice_of(text), host.key)))
                continue;
            buf_add_slice(&arranged, slice_trim(line));
            buf_add(&arranged, "\n", 1);
        }
    }
    return buf_take(&arranged);
}

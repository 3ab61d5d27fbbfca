// SPDX-License-Identifier: Apache-2.0
// Where a Secret may be sent. Who writes ConfigSources chooses a URL and names a Secret; that the
// two belong together is for whoever owns the Secret to say, in an annotation of it. A private key
// of ssh is not sent, and goes with known_hosts of the same Secret. Pure.
#include <string.h>

#include "source_internal.h"

#define HOST_BYTES_MAX 253

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

// "host:port" of an https URL, lower case, the port only when it is not 443; NULL when the host is
// not plainly there: what another parser could read as another host is refused.
static char *host_of(const char *url)
{
    const char *host = url + strlen("https://"), *end = host, *port;
    uint64_t number = 443;
    char *name;

    if (*end == '[')
        end += strspn(end, "[]:0123456789abcdefABCDEF.");
    else
        while (is_name_char(*end))
            end++;
    port = end;
    if (host[0] == '[') { // the port is behind the bracket
        port = strchr(host, ']');
        if (!port)
            return NULL;
        end = ++port;
    }
    if (port == host || port - host > HOST_BYTES_MAX)
        return NULL;
    if (*port == ':') {
        end = port + 1 + strspn(port + 1, "0123456789");
        if (!slice_to_u64((struct slice){port + 1, (size_t)(end - port - 1)}, &number) ||
            number == 0 || number > 65535)
            return NULL;
    }
    if (*end != '/' && *end != '\0')
        return NULL;
    name = number == 443 ? str_ndup(host, (size_t)(port - host))
                         : str_format("%.*s:%u", (int)(port - host), host, (unsigned)number);
    for (char *at = name; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    return name;
}

// "git.example.org", "git.example.org:8443", "*.example.org".
static bool fits(struct slice pattern, const char *host)
{
    AUTO_MEM char *text = slice_dup(pattern);

    for (char *at = text; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    if (str_ends(text, ":443"))
        text[strlen(text) - strlen(":443")] = '\0';
    if (str_starts(text, "*.") && strlen(text) > 2)
        return str_ends(host, text + 1) && strlen(host) > strlen(text + 1);
    return str_eq(text, host);
}

static bool is_listed(const char *hosts, const char *host)
{
    size_t at = 0;

    while (hosts[at]) {
        size_t len = strcspn(hosts + at, ", \t\r\n");

        if (len > 0 && fits((struct slice){hosts + at, len}, host))
            return true;
        at += len + (hosts[at + len] != '\0');
    }
    return false;
}

static bool is_sent(const json_t *secret)
{
    const json_t *data = json_object_get(secret, "data");

    return json_object_get(data, "password") || json_object_get(data, "bearerToken");
}

struct error *source_secret_check(const json_t *secret, const char *url)
{
    const char *hosts = doc_str(secret, "metadata", "annotations", API_ANNOTATION_HOSTS, NULL);
    const char *name = doc_str(secret, "metadata", "name", NULL);
    const char *namespace = doc_str(secret, "metadata", "namespace", NULL);
    AUTO_MEM char *host = NULL;

    if (!is_sent(secret) || !str_starts(url, "https://"))
        return NULL; // the git worker gives them to nobody else
    host = host_of(url);
    if (!host)
        return error_because(ERROR_INVALID, "InvalidConfiguration",
                             "spec.url: its host is not a plain name or address");
    if (is_listed(hosts, host))
        return NULL;
    return error_because(
        ERROR_INVALID, "SecretNotForHost",
        "Secret %s of spec.secretRef has a password or token and does not allow that it is sent to "
        "%s (%s%.*s); if it shall be: kubectl annotate secret %s -n %s " API_ANNOTATION_HOSTS
        "=%s --overwrite",
        name, host, *hosts ? "it allows " : "it allows no host yet", TEXT_CUT(300, hosts), name,
        namespace, host);
}

// SPDX-License-Identifier: Apache-2.0
// One look at one component: its health endpoint, then /metrics. Certificates are not verified:
// these are self-signed ones of this very node, and no answer of theirs is trusted with more than
// "I am up". Credentials go to /metrics, to health only where it insists.
#include "node_internal.h"

#include <string.h>

#define HEALTH_BYTES_MAX 65536
#define METRICS_BYTES_MAX ((size_t)64 << 20)
#define HEALTH_OFF "the kubelet's health endpoint is off (healthzPort: 0), and "

struct probe {
    struct op op;
    struct node *node;
    struct op *request;
    node_probe_fn *fn;
    void *owner;
    char *base, *metrics_url, *url, *authorization;
    char *path; // NULL: the kubelet's health endpoint is off, and its metrics must do
    const char *headers[2];
    struct http_tls tls;
    bool with_metrics, credentials;
    struct node_answer answer;
    char *message;
    json_t *gates;
};

static void probe_free(struct probe *probe)
{
    mem_free(probe->base);
    mem_free(probe->path);
    mem_free(probe->metrics_url);
    mem_free(probe->url);
    mem_free(probe->authorization);
    mem_free(probe->message);
    json_decref(probe->gates);
    mem_free(probe);
}

static void on_drop(struct op *op)
{
    struct probe *probe = (struct probe *)op;
    probe->request = op_drop(probe->request);
    probe_free(probe);
}

static void finish(struct probe *probe, char *take_message)
{
    mem_free(probe->message);
    probe->message = take_message;
    probe->answer.message = take_message ? take_message : "";
    probe->answer.gates = probe->gates;
    probe->fn(probe->owner, &probe->answer);
    probe_free(probe);
}

// --- where to ask --------------------------------------------------------------------------------

static const json_t *http_get_of(const json_t *container)
{
    static const char *const probes[] = {"readinessProbe", "livenessProbe", "startupProbe"};
    for (size_t i = 0; i < COUNT(probes); i++) {
        const json_t *get = doc_get(container, probes[i], "httpGet", NULL);
        if (get)
            return get;
    }
    return NULL;
}

// The probe's port: a number, or the name of one of the container's.
static int64_t probe_port(const json_t *container, const json_t *get)
{
    const json_t *port = json_object_get(get, "port");
    size_t i;
    json_t *named;
    uint64_t digits;
    if (json_is_integer(port))
        return json_integer_value(port);
    if (json_is_string(port) && slice_to_u64(slice_of(json_string_value(port)), &digits) &&
        digits < 65536)
        return (int64_t)digits;
    json_array_foreach(json_object_get(container, "ports"), i, named) {
        if (json_is_string(port) && str_eq(doc_str(named, "name", NULL), json_string_value(port)))
            return doc_int(named, 0, "containerPort", NULL);
    }
    return 0;
}

static bool is_any(const char *host)
{
    return !host || !host[0] || str_eq(host, "0.0.0.0") || str_eq(host, "::") ||
           str_eq(host, "localhost");
}

char *node_probe_base(const json_t *container, const json_t *argv, enum component component)
{
    static const int64_t ports[COMPONENT_COUNT] = {6443, 10257, 10259, 10250};
    const json_t *get = http_get_of(container);
    const char *flag = node_argv_flag(argv, "secure-port"),
               *host = node_argv_flag(argv, "bind-address");
    const char *scheme = !get || str_eq(doc_str(get, "scheme", NULL), "HTTPS") ? "https" : "http";
    uint64_t number = 0;
    int64_t port =
        flag && slice_to_u64(slice_of(flag), &number) && number < 65536 ? (int64_t)number : 0;
    if (port == 0)
        port = probe_port(container, get);
    if (port == 0)
        port = ports[component];
    // Bound to all addresses: loopback is the shortest way, and leaves the node in no case.
    if (is_any(host))
        host = flag || !get || is_any(doc_str(get, "host", NULL)) ? "127.0.0.1"
                                                                  : doc_str(get, "host", NULL);

    return strchr(host, ':') ? str_format("%s://[%s]:%d", scheme, host, (int)port)
                             : str_format("%s://%s:%d", scheme, host, (int)port);
}

static const char *health_path(const struct node_unit *unit)
{
    if (unit->component == COMPONENT_APISERVER)
        return "/readyz";
    // The scheduler's /healthz stays green while it hangs; /readyz came with 1.31.
    const struct version first = {1, 31, 0};
    if (unit->component == COMPONENT_SCHEDULER &&
        (unit->version.major == 0 || version_compare_minor(unit->version, first) >= 0))
        return "/readyz";
    return "/healthz";
}

static void find_urls(struct probe *probe, const struct node_unit *unit)
{
    const struct node_paths *paths = &unit->node->spec.paths;
    if (unit->component == COMPONENT_KUBELET) {
        probe->base = str_dup("");
        probe->path = paths->kubelet_healthz_url ? str_dup(paths->kubelet_healthz_url)
                                                 : node_kubelet_healthz_url(unit->server);
        probe->metrics_url = paths->kubelet_metrics_url ? str_dup(paths->kubelet_metrics_url)
                                                        : node_kubelet_metrics_url(unit->server);
        return;
    }
    probe->base = node_site(unit->node)->base(unit);
    probe->path = str_dup(health_path(unit));
    probe->metrics_url = str_format("%s/metrics", probe->base);
}

// --- asking --------------------------------------------------------------------------------------

// The token is read each time: it is rotated. Without it the answer is a plain 401.
static char *read_authorization(const struct node_paths *paths)
{
    if (!paths->bearer_token_file)
        return paths->bearer_token ? str_format("Authorization: Bearer %s", paths->bearer_token)
                                   : NULL;
    struct node_file file = {0};
    struct error *err = node_file_read_linked(paths->bearer_token_file, &file);
    if (err) {
        error_ignore(err, "the component answers 401 without a token, which is reported");
        return NULL;
    }
    AUTO_MEM char *token = slice_dup(slice_trim(node_file_slice(&file)));
    node_file_fini(&file);
    return str_format("Authorization: Bearer %s", token);
}

static void ask(struct probe *probe, const char *url, size_t bytes_max, uint64_t timeout_ms,
                http_done_fn *done)
{
    const struct node_paths *paths = &probe->node->spec.paths;
    mem_free(probe->url);
    probe->url = str_dup(url);
    probe->tls = (struct http_tls){.insecure = true};
    mem_free(probe->authorization);
    probe->authorization = probe->credentials ? read_authorization(paths) : NULL;
    probe->headers[0] = probe->authorization;
    if (probe->credentials) {
        probe->tls.cert_file = paths->client_cert_file;
        probe->tls.key_file = paths->client_key_file;
    }
    struct http_request request = {
        .method = "GET",
        .url = probe->url,
        .proxy = "",
        .headers = probe->headers,
        .tls = &probe->tls,
        .body_bytes_max = bytes_max,
        .timeout_ms = timeout_ms,
        .connect_timeout_ms = timeout_ms,
    };
    probe->request = http_send(probe->node->spec.http, &request, done, probe);
}

static void on_metrics(void *owner, struct error *take_err, const struct http_response *response)
{
    struct probe *probe = owner;
    AUTO(error) struct error *err = take_err;
    probe->request = NULL;
    if (!err && (response->status == 401 || response->status == 403)) {
        probe->answer.metrics_denied = true;
        finish(probe, str_format("%s%s answers %ld", probe->path ? "" : HEALTH_OFF,
                                 probe->metrics_url, response->status));
        return;
    }
    if (!err && response->status != 200)
        err = error_new(ERROR_TRANSIENT, "%s answers %ld", probe->metrics_url, response->status);
    if (!err)
        err = gates_metrics_read(response->body, &probe->gates, &probe->answer.version,
                                 &probe->answer.start_ms);
    probe->answer.metrics_read = err == NULL;
    probe->answer.healthy = probe->answer.healthy || (!probe->path && !err);
    finish(probe, err ? node_plain(slice_of(error_text(err))) : NULL);
}

static void ask_health(struct probe *probe);

// "[-]informer-sync failed: reason withheld" and its like; else the first line.
static char *complaint_of(const char *url, const struct http_response *response)
{
    AUTO_BUF struct buf said = buf_make(512);
    struct slice rest = response->body, line;
    while (slice_cut(&rest, '\n', &line)) {
        if (!slice_starts(line, "[-]"))
            continue;
        buf_add_str(&said, said.len > 0 ? ", " : ": ");
        buf_add_slice(&said, slice_trim(line));
    }
    AUTO_MEM char *text =
        str_format("%s answers %ld%s", url, response->status, said.len > 0 ? said.ptr : "");
    return node_plain(slice_of(text));
}

static void on_health(void *owner, struct error *take_err, const struct http_response *response)
{
    struct probe *probe = owner;
    AUTO(error) struct error *err = take_err;
    probe->request = NULL;
    if (err) {
        finish(probe, node_plain(slice_of(error_text(err))));
        return;
    }
    if (response->status == 404 && str_eq(probe->path, "/readyz")) {
        mem_free(probe->path);
        probe->path = str_dup("/healthz");
        ask_health(probe);
        return;
    }
    if ((response->status == 401 || response->status == 403) && !probe->credentials) {
        probe->credentials = true;
        ask_health(probe);
        return;
    }
    if (response->status != 200) {
        finish(probe, complaint_of(probe->url, response));
        return;
    }
    probe->answer.healthy = true;
    probe->credentials = true;
    if (probe->with_metrics)
        ask(probe, probe->metrics_url, METRICS_BYTES_MAX, node_timing.metrics_probe_ms, on_metrics);
    else
        finish(probe, NULL);
}

static void ask_health(struct probe *probe)
{
    AUTO_MEM char *url = str_format("%s%s", probe->base, probe->path);
    ask(probe, url, HEALTH_BYTES_MAX, node_timing.probe_ms, on_health);
}

struct op *node_probe(struct node_unit *unit, bool with_metrics, node_probe_fn *fn, void *owner)
{
    struct probe *probe = NEW(struct probe);
    probe->op.drop = on_drop;
    probe->node = unit->node;
    probe->fn = fn;
    probe->owner = owner;
    probe->with_metrics = with_metrics;
    find_urls(probe, unit);
    if (probe->path) {
        ask_health(probe);
    } else {
        probe->credentials = true;
        ask(probe, probe->metrics_url, METRICS_BYTES_MAX, node_timing.metrics_probe_ms, on_metrics);
    }
    return &probe->op;
}

// SPDX-License-Identifier: Apache-2.0
// What the two long-running verbs share: log, loop, client, metrics, the health server, signals.
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

static struct error *set_log(const struct process_settings *settings)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < COUNT(levels); i++) {
        if (str_eq(settings->log_level, levels[i]))
            log_set_level((enum log_level)i);
    }
    log_set_json(str_eq(settings->log_format, "json"));
    return NULL;
}

static void on_request(void *owner, const char *method, const char *host, long status,
                       uint64_t took_ms)
{
    struct process *process = owner;
    AUTO_MEM char *code = status ? str_format("%ld", status) : str_dup("<error>");

    metric_add(process->requests_total, 1, code, method, host);
    if (took_ms != HTTP_FOLLOWED)
        metric_observe(process->request_seconds, (double)took_ms / 1000.0, method, host);
}

static void on_signal(void *owner)
{
    struct process *process = owner;

    if (process->stopping) {
        log_line(LOG_WARN, "cli", "a second signal: ending at once");
        loop_stop(process->loop);
        return;
    }
    process->stopping = true;
    log_line(LOG_INFO, "cli", "stopping");
    process->stop(process->owner);
}

struct error *process_address_parse(const char *option, const char *text,
                                    struct process_address *ret_address)
{
    struct process_address address = {.off = str_eq(text, "0")};
    uint64_t port = 0;

    *ret_address = address;
    if (address.off)
        return NULL;
    AUTO_MEM char *copy = str_dup(text);
    char *colon = strrchr(copy, ':'), *host = copy;
    if (!colon || !slice_to_u64(slice_of(colon + 1), &port) || port > UINT16_MAX)
        return error_new(ERROR_INVALID,
                         "--%s: \"%.*s\" does not end with a port; write for example :8081 or "
                         "127.0.0.1:8081, or 0 for nowhere",
                         option, TEXT_CUT(100, text));
    *colon = '\0';
    if (host[0] == '[' && str_ends(host, "]")) {
        host[strlen(host) - 1] = '\0';
        host++;
    } else if (strchr(host, ':')) {
        return error_new(ERROR_INVALID, "--%s: write \"%.*s\" as [%.*s]:%s", option,
                         TEXT_CUT(100, text), TEXT_CUT(100, host), colon + 1);
    }
    address.host = *host ? host : NULL;
    address.port = (uint16_t)port;
    address.text = TAKE(copy);
    *ret_address = address;
    return NULL;
}

static struct error *serve_at(struct process *process, const struct process_address *address,
                              struct metrics *metrics, serve_check_fn *ready,
                              struct serve **ret_serve)
{
    struct serve_spec spec = {.host = address->host,
                              .port = address->port,
                              .metrics = metrics,
                              .ready = ready,
                              .owner = process->owner};

    return address->off ? NULL : serve_new(process->loop, &spec, ret_serve);
}

static struct error *start_servers(struct process *process, const struct process_settings *settings,
                                   serve_check_fn *ready)
{
    const char *at = settings->metrics_address;
    bool shared = !at || !*at || str_eq(at, settings->health_address);
    struct process_address health = {0}, metrics = {0};
    struct error *err =
        process_address_parse("health-probe-bind-address", settings->health_address, &health);

    if (!err && !shared)
        err = process_address_parse("metrics-bind-address", at, &metrics);
    if (!err)
        err = serve_at(process, &health, shared ? process->metrics : NULL, ready,
                       &process->health_server);
    if (!err && !shared)
        err = serve_at(process, &metrics, process->metrics, NULL, &process->metrics_server);
    mem_free(health.text);
    mem_free(metrics.text);
    return err;
}

struct error *process_start(struct process *process, const struct process_settings *settings)
{
    struct error *err = set_log(settings);

    // A peer that went away is an error of a write, not the end of this process.
    signal(SIGPIPE, SIG_IGN);
    if (!err)
        err = kube_config_load(settings->kubeconfig, settings->context, &process->config);
    if (err)
        return err;
    (void)loop_raise_open_files();
    process->loop = loop_new();
    process->http = http_new(process->loop, "drawbridge/" DRAWBRIDGE_VERSION);
    process->metrics = metrics_new();
    process->requests_total =
        metrics_family(process->metrics, "rest_client_requests_total", METRIC_COUNTER,
                       "code,method,host", "Requests to API servers by answer");
    process->request_seconds =
        metrics_family(process->metrics, "rest_client_request_duration_seconds", METRIC_HISTOGRAM,
                       "method,host", "How long requests to API servers take");
    http_set_observer(process->http, on_request, process);
    process->namespace = str_dup(kube_config_namespace(process->config));
    log_line(LOG_INFO, "cli", "drawbridge v%s, server=%s", DRAWBRIDGE_VERSION,
             kube_config_server(process->config));
    process->kube = kube_new(process->loop, process->http, TAKE(process->config));
    return NULL;
}

struct error *process_run(struct process *process, const struct process_settings *settings,
                          serve_check_fn *ready, loop_fn *stop, void *owner)
{
    struct error *err;

    process->stop = stop;
    process->owner = owner;
    err = start_servers(process, settings, ready);
    if (err)
        return err;
    process->on_term = loop_on_signal(process->loop, SIGTERM, on_signal, process);
    process->on_int = loop_on_signal(process->loop, SIGINT, on_signal, process);
    loop_run(process->loop);
    return NULL;
}

void process_fini(struct process *process)
{
    op_drop(process->on_term);
    op_drop(process->on_int);
    serve_free(process->health_server);
    serve_free(process->metrics_server);
    kube_free(process->kube);
    kube_config_free(process->config);
    http_free(process->http);
    metrics_free(process->metrics);
    mem_free(process->namespace);
    loop_free(process->loop);
}

char *process_identity(void)
{
    char host[256] = "";

    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    return str_format("%s_%016llx", *host ? host : "unknown", (unsigned long long)rand_u64());
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli_internal.h"
#include "drawbridge/kube.h"
#include "drawbridge/serve.h"

struct process_settings {
    const char *kubeconfig, *context;
    const char *health_address, *metrics_address;
    const char *log_level, *log_format;
};

// The options for them; settings must begin with a struct process_settings.
#define PROCESS_OPTIONS                                                                            \
    {.name = "kubeconfig",                                                                         \
     .type = CLI_TEXT,                                                                             \
     .offset = offsetof(struct process_settings, kubeconfig),                                      \
     .argument = "FILE",                                                                           \
     .help = "default: KUBECONFIG, the pod's service account, ~/.kube/config"},                    \
        {.name = "context",                                                                        \
         .type = CLI_TEXT,                                                                         \
         .offset = offsetof(struct process_settings, context),                                     \
         .argument = "NAME",                                                                       \
         .help = "context of the kubeconfig"},                                                     \
        {.name = "health-probe-bind-address",                                                      \
         .type = CLI_TEXT,                                                                         \
         .offset = offsetof(struct process_settings, health_address),                              \
         .argument = "[IP]:PORT",                                                                  \
         .fallback = ":8081",                                                                      \
         .help = "/livez and /readyz; port 0: any free one; 0: nowhere"},                          \
        {.name = "metrics-bind-address",                                                           \
         .type = CLI_TEXT,                                                                         \
         .offset = offsetof(struct process_settings, metrics_address),                             \
         .argument = "[IP]:PORT",                                                                  \
         .help = "/metrics; default: beside /livez; 0: nowhere"},                                  \
        {.name = "log-level",                                                                      \
         .type = CLI_CHOICE,                                                                       \
         .offset = offsetof(struct process_settings, log_level),                                   \
         .argument = "LEVEL",                                                                      \
         .values = "debug info warn error",                                                        \
         .fallback = "info",                                                                       \
         .help = "one of"},                                                                        \
        {.name = "log-format",                                                                     \
         .type = CLI_CHOICE,                                                                       \
         .offset = offsetof(struct process_settings, log_format),                                  \
         .argument = "FORMAT",                                                                     \
         .values = "text json",                                                                    \
         .fallback = "text",                                                                       \
         .help = "one of"}

// Where to listen. A copy of the text, cut at its last colon.
struct process_address {
    char *text;
    const char *host; // borrowed from text; NULL: all of IPv4
    uint16_t port;    // 0: any free one
    bool off;
};
// "IP:PORT", "[IPv6]:PORT", ":PORT", or "0" for nowhere: the notation of controller-runtime's flags
// of the same names (metrics server.Options.BindAddress, v0.23). ERROR_INVALID says what is wrong.
struct error *process_address_parse(const char *option, const char *text,
                                    struct process_address *ret_address);

struct process {
    struct loop *loop;
    struct http *http;
    struct kube_config *config;
    struct kube *kube;
    struct metrics *metrics;
    struct metric *requests_total, *request_seconds;
    struct serve *health_server, *metrics_server;
    char *namespace; // of the kubeconfig or the pod
    struct op *on_term, *on_int;
    loop_fn *stop;
    void *owner;
    bool stopping;
};
// Loop, client, metrics.
struct error *process_start(struct process *process, const struct process_settings *settings);
// Servers and signals, then the loop until loop_stop(). stop: called once for SIGTERM or SIGINT.
struct error *process_run(struct process *process, const struct process_settings *settings,
                          serve_check_fn *ready, loop_fn *stop, void *owner);
void process_fini(struct process *process);
char *process_identity(void); // "host_random", as client-go's leader election

// SPDX-License-Identifier: Apache-2.0
// What helm is called with: the flags and the environment that were found safe, and nothing of ours
// besides. No --wait (readiness is judged here, and a lock is held for a moment only), no
// --rollback-on-failure, no plugins, no token on a command line.
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver_internal.h"

#define LABEL_BYTES_MAX 63
#define POD_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

static void add(struct strlist *list, const char *fmt, ...) PRINTF(2, 3);
static void add(struct strlist *list, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    strlist_take(list, str_vformat(fmt, args));
    va_end(args);
}

static void add_inherited(struct strlist *env)
{
    static const char *const names[] = {
        "PATH",       "HTTPS_PROXY", "HTTP_PROXY",    "NO_PROXY",     "https_proxy",
        "http_proxy", "no_proxy",    "SSL_CERT_FILE", "SSL_CERT_DIR", "HELM_REGISTRY_CONFIG"};

    for (size_t i = 0; i < COUNT(names); i++)
        if (getenv(names[i]))
            add(env, "%s=%s", names[i], getenv(names[i]));
}

void helm_call_make(const struct driver_spec *spec, const char *dir, struct helm_call *ret_call)
{
    struct helm_call call = {0};

    add(&call.argv, "%s", spec->helm);
    add_inherited(&call.env);
    add(&call.env, "HOME=%s", dir);
    add(&call.env, "TMPDIR=%s", dir);
    add(&call.env, "HELM_CACHE_HOME=%s/cache", dir);
    add(&call.env, "HELM_CONFIG_HOME=%s/config", spec->dir);
    add(&call.env, "HELM_DATA_HOME=%s/data", dir);
    // helm gives memory back before it reaches its limit.
    add(&call.env, "GOMEMLIMIT=%zu", DRIVER_MEMORY_BYTES_MAX / 4 * 3);
    // A discovery that was kept knows versions that are gone: an uninstall would take the answer
    // 404 for done.
    strlist_add(&call.env, "KUBECACHEDIR=/dev/null/none");
    strlist_add(&call.env, "HELM_NO_PLUGINS=1");
    strlist_add(&call.env, "NO_COLOR=1");
    strlist_add(&call.env, "HELM_DRIVER=secret");
    *ret_call = call;
}

void helm_call_connect(struct helm_call *call, const struct driver_spec *spec, const char *dir,
                       const char *user)
{
    if (spec->kubeconfig && !spec->helm_account)
        add(&call->env, "KUBECONFIG=%s", spec->kubeconfig);
    else
        add(&call->env, "KUBECONFIG=%s/kube.conf", dir);
    if (spec->context && !spec->helm_account)
        add(&call->env, "HELM_KUBECONTEXT=%s", spec->context);
    if (user)
        add(&call->env, "HELM_KUBEASUSER=%s", user);
}

void helm_call_fini(struct helm_call *call)
{
    strlist_fini(&call->argv);
    strlist_fini(&call->env);
}

void helm_call_pull(struct helm_call *call, const struct want *want, const char *dir)
{
    strlist_add(&call->argv, "pull");
    if (want->ref && want->digest)
        add(&call->argv, "%s@%s", want->ref, want->digest);
    else if (want->ref)
        strlist_add(&call->argv, want->ref);
    else
        add(&call->argv, "%s", want->name);
    if (want->repo)
        add(&call->argv, "--repo=%s", want->repo);
    if (want->version && !(want->ref && want->digest))
        add(&call->argv, "--version=%s", want->version);
    add(&call->argv, "--destination=%s", dir);
}

void helm_call_upgrade(struct helm_call *call, const struct driver_spec *spec,
                       const struct want *want, const char *chart, const char *chart_name,
                       bool forced, bool dry_run)
{
    AUTO_BUF struct buf labels = buf_make(1024);

    add(&call->argv, "upgrade");
    add(&call->argv, "--install");
    strlist_add(&call->argv, want->release);
    strlist_add(&call->argv, chart);
    add(&call->argv, "--namespace=%s", want->namespace);
    add(&call->argv, "--values=-");
    add(&call->argv, "--reset-values");
    add(&call->argv, "--history-max=5");
    add(&call->argv, "--timeout=%llus", (unsigned long long)(spec->helm_timeout_ms / 1000));
    buf_printf(&labels, "--labels=%s=%s,%s=%s", DRIVER_LABEL_DIGEST, want->digest_text,
               DRIVER_LABEL_OWNER, want->owner_label);
    if (chart_name && *chart_name && strlen(chart_name) <= LABEL_BYTES_MAX)
        buf_printf(&labels, ",%s=%s", DRIVER_LABEL_CHART, chart_name);
    if (want->renamed)
        buf_printf(&labels, ",%s=%s", DRIVER_LABEL_NAMES,
                   doc_str(want->preset, "renamedFrom", NULL));
    strlist_take(&call->argv, buf_take(&labels));
    add(&call->argv, "--server-side=%s", forced ? "true" : "auto");
    if (forced) {
        add(&call->argv, "--force-conflicts");
        add(&call->argv, "--take-ownership");
    }
    if (dry_run)
        add(&call->argv, "--dry-run=server");
    add(&call->argv, "--output=json");
}

void helm_call_uninstall(struct helm_call *call, const struct driver_spec *spec,
                         const struct want *want)
{
    add(&call->argv, "uninstall");
    strlist_add(&call->argv, want->release);
    add(&call->argv, "--namespace=%s", want->namespace);
    add(&call->argv, "--timeout=%llus", (unsigned long long)(spec->helm_timeout_ms / 1000));
}

// --- its directory

// Without a file of its own helm would take the pod's account and forget whom it shall act as.
struct error *helm_write_pod_config(const char *dir)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    AUTO_MEM char *path = str_format("%s/kube.conf", dir);
    bool six = host && strchr(host, ':');
    FILE *file;
    int wrong;

    if (!host || !port)
        return NULL;
    file = fopen(path, "we");
    if (!file)
        return error_errno(errno, "%s", path);
    wrong = fprintf(file,
                    "apiVersion: v1\nkind: Config\ncurrent-context: pod\n"
                    "clusters: [{name: pod, cluster: {server: 'https://%s%s%s:%s', "
                    "certificate-authority: " POD_ACCOUNT "/ca.crt}}]\n"
                    "users: [{name: pod, user: {tokenFile: " POD_ACCOUNT "/token}}]\n"
                    "contexts: [{name: pod, context: {cluster: pod, user: pod}}]\n",
                    six ? "[" : "", host, six ? "]" : "", port) < 0;
    wrong |= fclose(file) != 0;
    return wrong ? error_new(ERROR_TRANSIENT, "%s cannot be written", path) : NULL;
}

struct error *helm_make_dir(const struct driver_spec *spec, char **ret_dir)
{
    if (mkdir(spec->dir, 0700) != 0 && errno != EEXIST)
        return error_errno(errno, "%s", spec->dir);
    return loop_scratch_make(spec->dir, DRIVER_SCRATCH, ret_dir);
}

// Calls each() for what is in the directory; what cannot be read is as if it were empty.
static void each_file(const char *dir, void (*each)(const char *path, void *owner), void *owner)
{
    DIR *listing = opendir(dir);
    const struct dirent *entry;

    while (listing && (entry = readdir(listing))) {
        AUTO_MEM char *path = str_format("%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            each(path, owner);
    }
    if (listing)
        closedir(listing);
}

static void collect_archive(const char *path, void *owner)
{
    if (str_ends(path, ".tgz"))
        strlist_add(owner, path);
}

struct error *helm_chart_file(const char *dir, char **ret_file)
{
    AUTO_STRLIST struct strlist files = {0};

    each_file(dir, collect_archive, &files);
    if (files.len != 1)
        return error_new(ERROR_INVALID, "helm left %zu archives in %s", files.len, dir);
    *ret_file = str_dup(files.items[0]);
    return helm_check_size(*ret_file);
}

struct error *helm_check_size(const char *file)
{
    struct stat about;

    if (stat(file, &about) != 0 || S_ISDIR(about.st_mode))
        return NULL; // helm says what is wrong, or reads what is there file by file
    if (about.st_size <= (off_t)DRIVER_CHART_BYTES_MAX)
        return NULL;
    return error_because(ERROR_INVALID, "LimitReached",
                         "the chart's archive is larger than %zu MiB and is not unpacked",
                         DRIVER_CHART_BYTES_MAX >> 20);
}

// Whether it is there is told of what is below the root alone.
struct error *helm_check_path(const struct driver_spec *spec, const char *path)
{
    const char *root = spec->chart_root;
    size_t len = root ? strlen(root) : 0;
    char real_root[PATH_MAX], real[PATH_MAX];

    if (!root)
        return error_because(
            ERROR_INVALID, "InvalidConfiguration",
            "spec.driver.chart.path is turned off: name a registry or repository in its place, or "
            "start the controller with --chart-root=DIR (the chart's value controller.chartRoot)");
    while (len > 0 && root[len - 1] == '/')
        len--;
    if (strncmp(path, root, len) == 0 && path[len] == '/' && !strstr(path, "/../") &&
        !str_ends(path, "/..")) {
        if (!realpath(path, real) || !realpath(root, real_root))
            return NULL; // helm says so
        len = strlen(real_root);
        if (strncmp(real, real_root, len) == 0 && (real[len] == '/' || real[len] == '\0'))
            return NULL;
    }
    return error_because(ERROR_INVALID, "InvalidConfiguration",
                         "spec.driver.chart.path is outside of --chart-root");
}

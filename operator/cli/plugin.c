// SPDX-License-Identifier: Apache-2.0
// Runs a kubeconfig's credential plugin as kubectl does.
#include "plugin.h"

#include <string.h>
#include <unistd.h>

#define INFO_VARIABLE "KUBERNETES_EXEC_INFO"

static const char *name_of(const json_t *exec)
{
    return doc_str(exec, "command", NULL);
}

void plugin_credential_fini(struct plugin_credential *credential)
{
    mem_free(credential->token);
    mem_free(credential->cert_pem);
    mem_free(credential->key_pem);
    *credential = (struct plugin_credential){0};
}

// --- the answer ----------------------------------------------------------------------------------

static char *text_or_null(const json_t *status, const char *field)
{
    const char *text = doc_str(status, field, NULL);

    return *text ? str_dup(text) : NULL;
}

static struct error *check_answer(const json_t *exec, const json_t *answer)
{
    const char *wanted = doc_str(exec, "apiVersion", NULL),
               *is = doc_str(answer, "apiVersion", NULL);

    if (!str_eq(doc_str(answer, "kind", NULL), "ExecCredential"))
        return error_new(ERROR_TRANSIENT, "it printed no ExecCredential");
    if (!str_eq(is, wanted))
        return error_new(ERROR_TRANSIENT,
                         "the kubeconfig asks for API version %s, it printed version %s", wanted,
                         is);
    if (!json_is_object(json_object_get(answer, "status")))
        return error_new(ERROR_TRANSIENT, "it printed no status field");
    return NULL;
}

static struct error *take_status(const json_t *status, struct plugin_credential *credential)
{
    const char *expires = doc_str(status, "expirationTimestamp", NULL);

    credential->token = text_or_null(status, "token");
    credential->cert_pem = text_or_null(status, "clientCertificateData");
    credential->key_pem = text_or_null(status, "clientKeyData");
    if (!credential->cert_pem != !credential->key_pem)
        return error_new(ERROR_TRANSIENT, "it printed only certificate or key, not both");
    if (!credential->token && !credential->cert_pem)
        return error_new(ERROR_TRANSIENT, "it printed neither a token nor a certificate with key");
    if (*expires && !clock_parse(expires, &credential->expires_ms))
        return error_new(ERROR_TRANSIENT, "expirationTimestamp \"%.*s\" is no time",
                         TEXT_CUT(100, expires));
    return NULL;
}

struct error *plugin_parse(const json_t *exec, struct slice output,
                           struct plugin_credential *ret_credential)
{
    struct plugin_credential credential = {0};
    AUTO_JSON json_t *answer = NULL;
    struct error *err = doc_parse_json(output, "its output", &answer);

    if (err) // what it printed may be a secret
        err = error_new((error_free(err), ERROR_TRANSIENT), "it printed no JSON");
    if (!err)
        err = check_answer(exec, answer);
    if (!err)
        err = take_status(json_object_get(answer, "status"), &credential);
    if (err) {
        plugin_credential_fini(&credential);
        return error_wrap(err, "credential plugin %s", name_of(exec));
    }
    *ret_credential = credential;
    return NULL;
}

// --- the question --------------------------------------------------------------------------------

static struct error *is_interactive(const json_t *exec, bool stdin_taken, bool *ret_is)
{
    const char *mode = doc_str(exec, "interactiveMode", NULL);
    bool terminal = isatty(STDIN_FILENO) == 1;

    *ret_is = !str_eq(mode, "Never") && terminal && !stdin_taken;
    if (!str_eq(mode, "Always") || *ret_is)
        return NULL;
    return error_new(ERROR_INVALID,
                     "credential plugin %s: interactiveMode is Always, but standard input %s",
                     name_of(exec), terminal ? "is read for -f -" : "is not a terminal");
}

static char *info_of(const json_t *exec, bool interactive)
{
    const json_t *cluster = json_object_get(exec, "cluster");
    AUTO_JSON json_t *info = json_object();
    AUTO_MEM char *text = NULL;

    doc_set(info, json_string("ExecCredential"), "kind", NULL);
    doc_set(info, doc_string(doc_str(exec, "apiVersion", NULL)), "apiVersion", NULL);
    doc_set(info, json_boolean(interactive), "spec", "interactive", NULL);
    if (cluster)
        doc_set(info, doc_copy(cluster), "spec", "cluster", NULL);
    text = doc_print_json(info);
    return str_format(INFO_VARIABLE "=%s", text);
}

// Whether the kubeconfig sets this variable, in an entry from this one on.
static bool is_set_by(const json_t *exec, size_t from, const char *variable)
{
    const json_t *env = json_object_get(exec, "env");
    const char *equals = strchr(variable, '=');
    struct slice name = {variable, equals ? (size_t)(equals - variable) : strlen(variable)};

    if (slice_eq(name, INFO_VARIABLE))
        return true;
    for (size_t i = from; i < json_array_size(env); i++)
        if (slice_eq(name, doc_str(json_array_get(env, i), "name", NULL)))
            return true;
    return false;
}

// Ours, then the kubeconfig's, which count more; of several of one name the last.
static void make_environment(const json_t *exec, bool interactive, struct strlist *words)
{
    const json_t *env = json_object_get(exec, "env");

    for (char **variable = environ; *variable; variable++)
        if (!is_set_by(exec, 0, *variable))
            strlist_add(words, *variable);
    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *name = doc_str(json_array_get(env, i), "name", NULL),
                   *value = doc_str(json_array_get(env, i), "value", NULL);

        if (!is_set_by(exec, i + 1, name))
            strlist_take(words, str_format("%s=%s", name, value));
    }
    strlist_take(words, info_of(exec, interactive));
}

// --- to run it -----------------------------------------------------------------------------------

struct running {
    struct loop *loop;
    const json_t *exec;
    struct plugin_credential *credential;
    struct error *err;
};

static struct error *not_started(const json_t *exec, struct error *take_err)
{
    const char *hint = doc_str(exec, "installHint", NULL);

    if (error_kind(take_err) != ERROR_NOT_FOUND)
        return error_wrap(take_err, "credential plugin %s", name_of(exec));
    error_free(take_err);
    return error_new(ERROR_NOT_FOUND,
                     "credential plugin: executable %s not found, which the kubeconfig needs to "
                     "log in%s%s",
                     name_of(exec), *hint ? ": " : "; install it, or put it into PATH", hint);
}

static struct error *ended_badly(const json_t *exec, const struct loop_child_result *result)
{
    if (result->timed_out)
        return error_new(ERROR_TRANSIENT, "credential plugin %s did not end within %d minutes",
                         name_of(exec), PLUGIN_MS / 60000);
    if (result->signum)
        return error_new(ERROR_TRANSIENT, "credential plugin %s was ended by signal %d",
                         name_of(exec), result->signum);
    return error_new(ERROR_TRANSIENT, "credential plugin %s failed with exit code %d",
                     name_of(exec), result->exit_code);
}

static void on_child(void *owner, struct error *take_err, const struct loop_child_result *result)
{
    struct running *running = owner;

    if (take_err)
        running->err = not_started(running->exec, take_err);
    else if (result->exit_code != 0 || result->timed_out)
        running->err = ended_badly(running->exec, result);
    else
        running->err = plugin_parse(running->exec, result->output, running->credential);
    loop_stop(running->loop);
}

struct error *plugin_run(struct loop *loop, const json_t *exec, bool stdin_taken,
                         struct plugin_credential *ret_credential)
{
    struct running running = {loop, exec, ret_credential, NULL};
    const json_t *args = json_object_get(exec, "args");
    AUTO_STRLIST struct strlist argv = {0};
    AUTO_STRLIST struct strlist env = {0};
    struct loop_child_spec spec = {.output_bytes_max = PLUGIN_ANSWER_BYTES_MAX,
                                   .timeout_ms = PLUGIN_MS,
                                   .grace_ms = 1000,
                                   .foreground = true};
    struct error *err = is_interactive(exec, stdin_taken, &spec.reads_terminal);
    struct op *op;

    if (err)
        return err;
    strlist_add(&argv, name_of(exec));
    for (size_t i = 0; i < json_array_size(args); i++)
        strlist_add(&argv, json_string_value(json_array_get(args, i)));
    make_environment(exec, spec.reads_terminal, &env);
    spec.argv = (const char *const *)argv.items;
    spec.env = (const char *const *)env.items;
    fflush(NULL); // what we said comes before what it says
    op = loop_child_run(loop, &spec, on_child, &running);
    (void)op; // gone when the loop stops
    loop_run(loop);
    return running.err;
}

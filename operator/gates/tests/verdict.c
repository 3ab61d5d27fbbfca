// SPDX-License-Identifier: Apache-2.0
// What the controller would say to a component with these flags, for e2e/gates-binaries.sh to
// compare with the real binaries. Reads lines "VERSION COMPONENT FLAG...": the --feature-gates
// entries are wanted of one instance of that version (an API server also gets --runtime-config),
// and prints "accepted", "unread" (nothing is written: this component does not read one of the
// gates) or "refused REASON SUBJECT" for each. With --list VERSION COMPONENT: the gates
// that the table says this component registers, "NAME STAGE DEFAULT".
#include "gates_internal.h"

#include <stdio.h>
#include <string.h>

#define LINE_BYTES_MAX 65536

static json_t *argv_of(char *line, struct version *ret_version, enum component *ret_component)
{
    char *rest = line, *word;
    json_t *argv = json_array();
    for (int n = 0; (word = strsep(&rest, " \n")) != NULL;) {
        if (*word == '\0')
            continue;
        bool fine = n == 0   ? version_parse(word, ret_version)
                    : n == 1 ? component_parse(word, ret_component)
                             : true;
        if (!fine) {
            json_decref(argv);
            return NULL;
        }
        if (n++ > 0)
            json_array_append_new(argv, json_string(word));
    }
    return argv;
}

static bool reads_all(const json_t *effective, const json_t *gates)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)gates, name, value)
        if (json_object_get(effective, name) == NULL)
            return false;
    return true;
}

static struct error *judge(struct version version, enum component component, const json_t *argv)
{
    AUTO_FLAGS struct gates_flags flags = {0};
    struct error *err = gates_flags_read(component, argv, &flags);
    if (err != NULL)
        return err;
    struct gates_instance instance = {.id = component_name(component),
                                      .component = component,
                                      .version = version,
                                      .emulated = flags.emulated};
    struct gates_intent intent = {.feature_gates = flags.feature_gates,
                                  .runtime_config = flags.runtime_config,
                                  .allow_alpha = true};
    AUTO_RESOLUTION struct gates_resolution r = {0};
    err = gates_resolve(gates_table_builtin(), &intent, &instance, 1, &r);
    if (err != NULL)
        return err;
    if (r.refusals_len > 0)
        printf("refused %s %s\n", refusal_reason(r.refusals[0].kind), r.refusals[0].subject);
    else
        puts(reads_all(r.desired[0].effective, flags.feature_gates) ? "accepted" : "unread");
    return NULL;
}

static int list(const char *version_text, const char *component_text)
{
    struct version version;
    enum component component;
    if (!version_parse(version_text, &version) || !component_parse(component_text, &component))
        return 2;
    const struct gates_table *table = gates_table_builtin();
    for (size_t i = 0; i < table->gates_len; i++) {
        struct gate gate;
        if (gates_row_at(&table->gates[i], version.minor, &gate) &&
            gates_row_registered(&table->gates[i], version.minor, component))
            printf("%s %s %s%s\n", table->gates[i].name, stage_name(gate.stage),
                   gate.value != gates_row_flipped(&table->gates[i], version.minor, component)
                       ? "true"
                       : "false",
                   gate.locked ? " locked" : "");
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && str_eq(argv[1], "--list"))
        return list(argv[2], argv[3]);
    static char line[LINE_BYTES_MAX];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct version version = {0};
        enum component component = COMPONENT_COUNT;
        AUTO_JSON json_t *args = argv_of(line, &version, &component);
        if (args == NULL || component == COMPONENT_COUNT) {
            fprintf(stderr, "gates_verdict: VERSION COMPONENT FLAG... is expected\n");
            return 2;
        }
        AUTO(error) struct error *err = judge(version, component, args);
        if (err != NULL)
            printf("refused Unreadable %s\n", error_text(err));
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// What doctor finds about the way to the next minor: entries that it refuses.
#include "doctor_internal.h"
#include "drawbridge/gates.h"

void doctor_check_next(struct examination *e, const struct gates_instance *instance)
{
    const struct gates_table *table = gates_table_builtin();
    struct version next = {1, instance->version.minor + 1, 0};
    AUTO_FINDINGS struct gates_findings findings = {0};

    if (instance->version.major != 1 || version_compare_minor(next, gates_table_newest(table)) > 0)
        return;
    gates_prepare(table, instance, next, &findings);
    for (size_t i = 0; i < findings.len; i++) {
        const struct gates_finding *finding = &findings.items[i];
        AUTO_MEM char *check = str_format("upgrade to 1.%d", next.minor);
        AUTO_MEM char *what = gates_finding_text(finding);
        const char *place = doc_str(instance->places, finding->entry, NULL);
        AUTO_MEM char *fix = str_format("%s: drawbridge plan --prepare-for 1.%d",
                                        finding->matters ? "decide what becomes of it"
                                                         : "take it out before the upgrade",
                                        next.minor);

        doctor_find(e, check, DOCTOR_WARN, fix, "%s has %.*s=%s%s%.*s%s, which is %s%s",
                    instance->id, TEXT_CUT(200, finding->entry), finding->value ? "true" : "false",
                    *place ? " (" : "", TEXT_CUT(200, place), *place ? ")" : "", what,
                    finding->matters ? " and means something today" : " and means nothing today");
    }
}

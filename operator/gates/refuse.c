// SPDX-License-Identifier: Apache-2.0
// Words the refusals: what, who, which version, and what to do about it, in one sentence.
#include "resolve_internal.h"

#define REFUSALS_MAX 1000 // more say nothing new

static void add(struct resolver *r, const struct class *c, enum refusal kind, const char *subject,
                char *take_message)
{
    for (size_t i = 0; i < r->refusals_len; i++) {
        struct gates_refusal *old = &r->refusals[i].refusal;
        if (old->kind == kind && old->component == c->instance->component &&
            str_eq(old->subject, subject)) {
            mem_free(take_message);
            return;
        }
    }
    if (r->refusals_len == REFUSALS_MAX) {
        mem_free(take_message);
        return;
    }
    r->refusals = mem_realloc(r->refusals, (r->refusals_len + 1) * sizeof(*r->refusals));
    r->refusals[r->refusals_len++] = (struct found_refusal){
        .refusal = {.kind = kind,
                    .subject = str_dup(subject),
                    .component = c->instance->component,
                    .version = c->instance->version,
                    .instance = str_dup(c->instance->id),
                    .message = take_message},
        .index = c->index,
    };
}

// "kube-scheduler on node-1 (v1.33.13)", with the emulated version where there is one.
static char *who(const struct class *c)
{
    AUTO_MEM char *version = version_format(c->instance->version);
    if (c->emulated != c->minor)
        return str_format("%s (%s, emulating 1.%d)", c->instance->id, version, c->emulated);
    return str_format("%s (%s)", c->instance->id, version);
}

static char *unknown_message(const struct resolver *r, const struct class *c, const struct want *w,
                             const char *instance)
{
    const char *nearest = gates_nearest(r->table, w->name, (struct version){1, c->minor, 0});
    if (nearest != NULL && !str_eq(nearest, w->name))
        return str_format("feature gate %s is not known to %s; did you mean %s?", w->name, instance,
                          nearest);
    return str_format("feature gate %s is not known to %s; correct its name or take it out",
                      w->name, instance);
}

void refuse_gate(struct resolver *r, const struct class *c, const struct want *w,
                 enum knowledge why)
{
    AUTO_MEM char *instance = who(c);
    struct version first = {0}, last = {0};
    gates_ever(r->table, w->name, &first, &last);
    switch (why) {
    case REMOVED:
        add(r, c, REFUSAL_GATE_REMOVED, w->name,
            str_format("feature gate %s was last known in Kubernetes 1.%d and %s would not start "
                       "with it; take it out",
                       w->name, last.minor < c->minor ? last.minor : c->minor - 1, instance));
        return;
    case NOT_YET:
        add(r, c, REFUSAL_GATE_TOO_NEW, w->name,
            str_format("feature gate %s exists from Kubernetes 1.%d on and %s would not start with "
                       "it; upgrade first or take it out",
                       w->name, first.minor, instance));
        return;
    case NOT_EMULATED:
        add(r, c, REFUSAL_GATE_TOO_NEW, w->name,
            str_format("feature gate %s is newer than what %s emulates; raise --emulated-version "
                       "or take it out",
                       w->name, instance));
        return;
    case TABLE_ENDED:
        add(r, c, REFUSAL_TOO_NEW, w->name,
            str_format(
                "whether %s takes feature gate %s is not known: the gate table ends with "
                "Kubernetes 1.%d and the running "
                "binary could not be asked; let Drawbridge read its metrics or use a newer table",
                instance, w->name, r->table->newest));
        return;
    case TABLE_BEGINS:
        add(r, c, REFUSAL_TOO_OLD, w->name,
            str_format("whether %s takes feature gate %s is not known: the gate table begins with "
                       "Kubernetes 1.%d; upgrade first",
                       instance, w->name, r->table->oldest));
        return;
    case NO_DRA:
        add(r, c, REFUSAL_TOO_OLD, w->name,
            str_format("%s has no %s, which begins with Kubernetes 1.%d; upgrade first", instance,
                       w->name, first.minor));
        return;
    case NEVER:
    case KNOWN:
    case KNOWN_TO_BINARY:
    case NOT_RELEVANT:
        add(r, c, REFUSAL_UNKNOWN_GATE, w->name, unknown_message(r, c, w, instance));
        return;
    }
}

void refuse_locked(struct resolver *r, const struct class *c, const struct want *w, bool locked_to)
{
    AUTO_MEM char *instance = who(c);
    add(r, c, REFUSAL_GATE_LOCKED, w->name,
        str_format(
            "feature gate %s is locked to %s on %s and cannot be turned %s any more; take it out",
            w->name, locked_to ? "true" : "false", instance, locked_to ? "off" : "on"));
}

void refuse_alpha_gate(struct resolver *r, const struct class *c, const struct want *w)
{
    AUTO_MEM char *instance = who(c);
    if (w->feature != NULL)
        add(r, c, REFUSAL_ALPHA, w->name,
            str_format("feature %s needs feature gate %s, which is alpha on %s; set "
                       "spec.allowAlpha to true or take the feature out",
                       w->feature, w->name, instance));
    else
        add(r, c, REFUSAL_ALPHA, w->name,
            str_format("feature gate %s is alpha on %s; set spec.allowAlpha to true or take it out",
                       w->name, instance));
}

// asked_gate: the intent names the gate; else it names the dependency (turned off) and the gate is
// on by itself.
void refuse_dependency(struct resolver *r, const struct class *c, const char *gate,
                       const char *dependency, bool asked_gate)
{
    AUTO_MEM char *instance = who(c);
    if (asked_gate)
        add(r, c, REFUSAL_GATE_DEPENDENCY, gate,
            str_format(
                "feature gate %s needs %s, which is off on %s; turn %s on too or take %s out", gate,
                dependency, instance, dependency, gate));
    else
        add(r, c, REFUSAL_GATE_DEPENDENCY, dependency,
            str_format("feature gate %s cannot be off on %s while %s, which needs it, is on; turn "
                       "%s off too",
                       dependency, instance, gate, gate));
}

void refuse_with(struct resolver *r, const struct class *c, enum refusal kind, const char *subject,
                 const char *fmt, ...)
{
    AUTO_MEM char *instance = who(c);
    va_list args;
    va_start(args, fmt);
    AUTO_MEM char *text = str_vformat(fmt, args);
    va_end(args);
    add(r, c, kind, subject, str_format("%s: %s", instance, text));
}

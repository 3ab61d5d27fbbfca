// SPDX-License-Identifier: Apache-2.0
// Which controller works for which cluster. What is about the cluster that we run in is the
// leader's. Target clusters are the leader's too, or, with shards, of whoever holds theirs: a
// cluster's shard follows from its UID, and before that is known from its Secret, so that all who
// claim to be one cluster meet in one controller.
//
// How many shards there are is the leader's word, on the Lease: nobody writes a target by a number
// that is not said. When it changes, it is unsaid for longer than a word may be believed, and the
// Lease says so: whoever leads next waits too. So it is where the Lease was lost, and with it the
// word, unless no DRAConfiguration was ever noted to have a shard.
#include "controller_internal.h"

struct shards_timing shards_timing = {
    .believed_ms = 10000, .unsaid_ms = 15000, .look_ms = 1000, .unheld_ms = 30000};

#define CHANGING "changing"

struct shard_kube {
    struct controller *controller;
    unsigned shard;
    struct kube *kube; // NULL: nobody has asked yet
};

struct shards {
    struct controller *controller;
    unsigned count; // 0: the leader has all
    char *word;     // what the Lease says then; "" for 0
    struct lead_shards *leads;
    struct shard_kube kubes[LEAD_SHARDS_MAX];
    bool settled; // we lead, and nobody works by another number
    struct op *look;
    uint64_t unsaid_ms; // monotonic, when it was first seen; 0: not yet
    struct op *survey;
    uint64_t free_ms[LEAD_SHARDS_MAX]; // monotonic, since when nobody has it; 0: somebody has
    uint64_t unheld;                   // a bit for each that nobody has had for too long
    uint64_t other_ms;                 // monotonic, since when the leader's number is another one
    bool told_other;
};

static bool says_so(const struct shards *s, const char *word)
{
    uint64_t age_ms;
    const char *said = lead_said(s->controller->lead, &age_ms);

    return age_ms < shards_timing.believed_ms && str_eq(said, word);
}

// --- the leader's word ---------------------------------------------------------------------------

static void on_look(void *owner);

static void settle(struct shards *s)
{
    s->settled = true;
    lead_say(s->controller->lead, s->word);
    controller_wake(s->controller);
}

static void look_later(struct shards *s)
{
    s->look = loop_sleep(s->controller->loop, shards_timing.look_ms, on_look, s);
}

static void look_for_noted(void *owner, const char *key, const json_t *config)
{
    bool *noted = owner;

    (void)key;
    *noted = *noted || *doc_str(config, "status", "observedClusterUID", NULL);
}

static bool was_never_spread(const struct shards *s)
{
    bool noted = false;

    watch_each(s->controller->configs, look_for_noted, &noted);
    return watch_synced(s->controller->configs) && !noted;
}

static void on_look(void *owner)
{
    struct shards *s = owner;
    bool lost = says_so(s, SHARDS_WORD_LOST);

    s->look = NULL;
    if (!lost && !says_so(s, CHANGING))
        s->unsaid_ms = 0;
    else if (s->unsaid_ms == 0)
        s->unsaid_ms = clock_ms();
    if ((lost && was_never_spread(s)) ||
        (s->unsaid_ms > 0 && clock_ms() - s->unsaid_ms >= shards_timing.unsaid_ms))
        settle(s);
    else
        look_later(s);
}

void shards_note_gained(struct shards *s)
{
    uint64_t age_ms;
    const char *said = lead_said(s->controller->lead, &age_ms);

    if (s->look)
        return; // the term goes on, and so does the wait
    if (s->settled || !*said || str_eq(said, s->word)) {
        settle(s);
        return;
    }
    s->unsaid_ms = 0;
    if (str_eq(said, SHARDS_WORD_LOST)) {
        s->look = loop_defer(s->controller->loop, on_look, s);
        return;
    }
    log_line(LOG_INFO, "controller",
             "target clusters are spread over %u shards from now on, where the Lease says \"%s\": "
             "in %llu s, when nobody works by the number before",
             s->count, said, (unsigned long long)shards_timing.unsaid_ms / 1000);
    lead_say(s->controller->lead, CHANGING);
    look_later(s);
}

void shards_note_lost(struct shards *s)
{
    s->settled = false;
    s->look = op_drop(s->look);
}

// --- whose ---------------------------------------------------------------------------------------

static bool may_write_shard(const struct shards *s, unsigned shard)
{
    return !s->controller->stop && says_so(s, s->word) && lead_shards_may_write(s->leads, shard);
}

static bool is_home(const struct shards *s, const char *uid)
{
    return str_eq(uid, cluster_targets_home(s->controller->targets));
}

bool shards_may_write_target(void *controller, const char *uid)
{
    struct controller *c = controller;
    const struct shards *s = c->shards;

    if (!*uid)
        return false;
    if (s->count > 0 && !is_home(s, uid))
        return may_write_shard(s, lead_shard_of(uid, s->count));
    return controller_may_write(c) && (s->count > 0 || s->settled);
}

// SHARD_NONE: the leader's.
#define SHARD_NONE LEAD_SHARDS_MAX
static unsigned shard_of(const struct shards *s, const json_t *config)
{
    const char *uid = doc_str(config, "status", "observedClusterUID", NULL);
    AUTO_MEM char *named = NULL;

    if (s->count == 0 || !platform_names_target(config) || (*uid && is_home(s, uid)))
        return SHARD_NONE;
    named = *uid ? str_dup(uid) : platform_cluster_named(config);
    return lead_shard_of(named, s->count);
}

static bool is_unheld(const struct shards *s, unsigned shard)
{
    return shard != SHARD_NONE && s->unheld >> shard & 1 && !*lead_shards_holder(s->leads, shard);
}

// The leader says in the place of its holder that there is none.
static bool speaks_for(const struct shards *s, unsigned shard)
{
    return is_unheld(s, shard) && s->settled && controller_may_write(s->controller);
}

bool shards_has(const struct shards *s, const json_t *config)
{
    unsigned shard = shard_of(s, config);

    if (shard != SHARD_NONE)
        return may_write_shard(s, shard) || speaks_for(s, shard);
    return controller_may_write(s->controller) &&
           (s->count > 0 || s->settled || !platform_names_target(config));
}

bool shards_follows(const struct shards *s, const json_t *config)
{
    unsigned shard = shard_of(s, config);

    // Beside shards what a hosted cluster's kubeconfig leads to is the leader's alone.
    if (shard == SHARD_NONE)
        return s->count == 0 || platform_names_target(config) ||
               controller_may_write(s->controller);
    return lead_shards_may_write(s->leads, shard);
}

bool shards_works(const struct shards *s)
{
    bool works = controller_may_write(s->controller);

    for (unsigned i = 0; i < s->count && !works; i++)
        works = may_write_shard(s, i);
    return works;
}

bool shards_notes(const struct shards *s, const struct cluster *cluster, const json_t *config)
{
    return s->count > 0 && cluster->held &&
           !str_eq(doc_str(config, "status", "observedClusterUID", NULL), cluster_uid(cluster));
}

uint64_t shards_epoch(const struct shards *s, const struct cluster *cluster)
{
    const char *uid = cluster_uid(cluster);

    return s->count == 0 || !cluster->held || is_home(s, uid)
               ? controller_epoch(s->controller)
               : lead_shards_epoch(s->leads, lead_shard_of(uid, s->count));
}

static bool may_write_as_shard(void *owner)
{
    const struct shard_kube *k = owner;

    return may_write_shard(k->controller->shards, k->shard);
}

struct kube *shards_kube(struct shards *s, const json_t *config)
{
    unsigned shard = shard_of(s, config);
    struct shard_kube *k = &s->kubes[shard % LEAD_SHARDS_MAX];

    if (shard == SHARD_NONE || speaks_for(s, shard))
        return s->controller->spec.kube;
    if (!k->kube) {
        *k = (struct shard_kube){s->controller, shard, kube_new_as(s->controller->spec.kube, NULL)};
        kube_guard(k->kube, may_write_as_shard, k);
    }
    return k->kube;
}

// --- those that nobody has -----------------------------------------------------------------------

static char *tell_unheld(const struct shards *s, unsigned shard)
{
    const struct error *err = lead_shards_error(s->leads, shard);

    return str_format("no controller has shard %u of %u, Lease %s/%s%s%s", shard, s->count,
                      s->controller->spec.lease_namespace, lead_shards_name(s->leads, shard),
                      err ? ": " : "", err ? error_text(err) : "");
}

char *shards_why_unheld(const struct shards *s, const json_t *config)
{
    unsigned shard = shard_of(s, config);

    return speaks_for(s, shard) ? tell_unheld(s, shard) : NULL;
}

bool shards_ready(const struct shards *s, struct buf *why)
{
    bool ready = true;

    for (unsigned i = 0; i < s->count; i++) {
        AUTO_MEM char *text = NULL;

        if (!is_unheld(s, i) || !lead_shards_error(s->leads, i))
            continue;
        text = tell_unheld(s, i);
        buf_printf(why, "shards: %s\n", text);
        ready = false;
    }
    return ready;
}

static bool is_over(uint64_t *since_ms, bool still)
{
    if (!still)
        *since_ms = 0;
    else if (*since_ms == 0)
        *since_ms = clock_ms();
    return still && clock_ms() - *since_ms >= shards_timing.unheld_ms;
}

static void survey_number(struct shards *s)
{
    uint64_t age_ms;
    const char *said = lead_said(s->controller->lead, &age_ms);
    bool other = age_ms < shards_timing.believed_ms && !str_eq(said, s->word);

    if (is_over(&s->other_ms, other) && !s->told_other)
        log_line(LOG_WARN, "controller",
                 "the controller that leads was started with --shards=%s and this one with "
                 "--shards=%s, which is no use: it gets no shard before the two are the same",
                 *said ? said : "0", s->word);
    s->told_other = s->other_ms > 0 && (s->told_other || is_over(&s->other_ms, other));
}

// A line for all of them: they are lost together as a rule.
static void tell_new(const struct shards *s, uint64_t unheld)
{
    unsigned first = (unsigned)__builtin_ctzll(unheld),
             more = (unsigned)__builtin_popcountll(unheld) - 1;
    AUTO_MEM char *text = tell_unheld(s, first);
    AUTO_MEM char *others = more > 0 ? str_format("; nor %u others", more) : str_dup("");

    log_line(LOG_WARN, "controller",
             "%s%s. Nothing is done for the DRAConfigurations of their clusters", text, others);
}

static void on_survey(void *owner)
{
    struct shards *s = owner;
    uint64_t was = s->unheld;

    s->survey = loop_sleep(s->controller->loop, shards_timing.look_ms, on_survey, s);
    survey_number(s);
    s->unheld = 0;
    for (unsigned i = 0; i < s->count; i++) {
        bool is_free = says_so(s, s->word) && !*lead_shards_holder(s->leads, i);

        s->unheld |= (uint64_t)is_over(&s->free_ms[i], is_free) << i;
    }
    if (s->unheld & ~was) {
        tell_new(s, s->unheld & ~was);
        controller_wake(s->controller);
    }
}

// --- making and ending ---------------------------------------------------------------------------

static bool on_makes(void *owner)
{
    const struct shards *s = owner;

    return controller_may_write(s->controller) && s->settled && says_so(s, s->word);
}

static bool on_wants(void *owner)
{
    const struct shards *s = owner;

    return !s->controller->stop && says_so(s, s->word);
}

static void on_gained(void *owner, unsigned shard)
{
    struct shards *s = owner;

    log_line(LOG_INFO, "controller", "shard %u of %u is ours, epoch=%llu", shard, s->count,
             (unsigned long long)lead_shards_epoch(s->leads, shard));
    controller_note_leader(s->controller, lead_shards_name(s->leads, shard), true);
    controller_note_shards(s->controller);
}

static void on_lost(void *owner, unsigned shard)
{
    struct shards *s = owner;

    log_line(LOG_INFO, "controller", "shard %u of %u is ours no more", shard, s->count);
    controller_note_leader(s->controller, lead_shards_name(s->leads, shard), false);
    controller_note_shards(s->controller);
}

struct shards *shards_new(struct controller *c, struct kube *kube)
{
    struct shards *s = NEW(struct shards);
    struct lead_shards_spec spec = {.kube = kube,
                                    .namespace = c->spec.lease_namespace,
                                    .name = CONTROLLER_LEASE_NAME,
                                    .identity = c->spec.identity,
                                    .count = c->spec.shards,
                                    .lease_ms = shards_timing.lease_ms,
                                    .makes = on_makes,
                                    .wants = on_wants,
                                    .on_gained = on_gained,
                                    .on_lost = on_lost,
                                    .owner = s};

    s->controller = c;
    s->settled = !c->spec.leader_elect;
    s->count = c->spec.leader_elect ? c->spec.shards : 0;
    s->word = s->count > 0 ? str_format("%u", s->count) : str_dup("");
    if (s->count == 0)
        return s;
    s->leads = lead_shards_new(c->loop, &spec);
    s->survey = loop_sleep(c->loop, shards_timing.look_ms, on_survey, s);
    for (unsigned i = 0; i < s->count; i++)
        controller_note_leader(c, lead_shards_name(s->leads, i), false);
    return s;
}

unsigned shards_count(const struct shards *s)
{
    return s->count;
}

struct op *shards_release(struct shards *s, loop_fn *done, void *owner)
{
    return s->leads ? lead_shards_release(s->leads, done, owner)
                    : loop_defer(s->controller->loop, done, owner);
}

void shards_free(struct shards *s)
{
    if (!s)
        return;
    op_drop(s->look);
    op_drop(s->survey);
    lead_shards_free(s->leads);
    for (size_t i = 0; i < COUNT(s->kubes); i++)
        kube_free(s->kubes[i].kube);
    mem_free(s->word);
    mem_free(s);
}

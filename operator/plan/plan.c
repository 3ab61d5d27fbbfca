// SPDX-License-Identifier: Apache-2.0
// Order, barriers and pace: one pure function from what is desired and reported to the steps that
// may be taken now.
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"

const char *plan_state_name(enum plan_state state)
{
    static const char *const names[] = {"Done",    "Waiting", "Now",  "Running", "Failed",
                                        "Blocked", "Missing", "Away", "Overdue"};

    ASSERT(state < COUNT(names));
    return names[state];
}

// --- the state of one instance ------------------------------------------------------------------

// What is said of a file: it cannot be read, or somebody else writes it too.
static bool is_obstructed(const json_t *reported)
{
    const char *state = doc_str(reported, "state", NULL);

    return str_eq(state, "Unreadable") ||
           (str_eq(state, "Failed") && str_eq(doc_str(reported, "reason", NULL), "FileConflict"));
}

static enum plan_state state_asked(const struct plan_instance *instance, const char *revision)
{
    const char *state = doc_str(instance->reported, "state", NULL);

    if (!str_eq(doc_str(instance->reported, "revision", NULL), revision))
        return PLAN_RUNNING; // the agent has not seen it yet
    if (str_eq(state, "UpToDate"))
        return PLAN_DONE;
    if (is_obstructed(instance->reported))
        return PLAN_BLOCKED;
    return str_eq(state, "Failed") ? PLAN_FAILED : PLAN_RUNNING;
}

static void judge(struct plan_step *step, const struct plan_instance *instance, bool leaving)
{
    if (instance->elsewhere) {
        step->state = PLAN_DONE;
        return;
    }
    step->changes = plan_want_changes(step->want, instance);
    if (instance->object) {
        step->state = step->changes ? PLAN_WAITING : PLAN_DONE;
        return;
    }
    // Nothing of ours was ever there.
    if (leaving && !instance->asked && !step->changes) {
        step->state = PLAN_DONE;
        return;
    }
    if (!instance->agent || !instance->reported) {
        step->state = PLAN_MISSING;
        return;
    }
    if (str_eq(doc_str(instance->asked, "revision", NULL), step->revision)) {
        step->state = state_asked(instance, step->revision);
        return;
    }
    if (str_eq(doc_str(instance->reported, "state", NULL), "Unreadable"))
        step->state = PLAN_BLOCKED;
    else if (!step->changes && plan_want_is_met(step->want, instance))
        step->state = PLAN_DONE;
    else if (str_eq(doc_str(instance->reported, "state", NULL), "Reverted"))
        step->state = PLAN_FAILED; // somebody else takes it out each time
    else
        step->state = PLAN_WAITING;
}

// The last one of each component, and of what it was made: thousands of kubelets want the same.
struct wants {
    const struct gates_desired *desired[COMPONENT_COUNT];
    json_t *want[COMPONENT_COUNT]; // a reference of its own: the step may let go of it
};

static void wants_fini(struct wants *wants)
{
    for (size_t i = 0; i < COMPONENT_COUNT; i++)
        json_decref(wants->want[i]);
}
#define AUTO_WANTS CLEANUP(wants_fini)

static json_t *take_want(struct wants *wants, const struct plan_instance *instance,
                         const struct gates_desired *desired)
{
    const struct gates_desired *last = wants->desired[instance->component];

    if (last && last->feature_gates == desired->feature_gates &&
        last->runtime_config == desired->runtime_config && last->effective == desired->effective &&
        last->without_gates == desired->without_gates &&
        last->without_runtime == desired->without_runtime)
        return json_incref(wants->want[instance->component]);
    wants->desired[instance->component] = desired;
    json_decref(wants->want[instance->component]);
    wants->want[instance->component] = plan_want(instance, desired);
    return json_incref(wants->want[instance->component]);
}

// Steps that want the same share it.
static void rename_step(struct plan_step *step, const char *revision)
{
    json_t *own = json_copy(step->want);

    json_decref(step->want);
    step->want = own;
    json_object_set_new(step->want, "revision", doc_string(revision));
    step->revision = doc_str(step->want, "revision", NULL);
}

// The same may be asked for under another name already, which stays: a new one is a new try.
static void keep_name(struct plan_step *step, const struct plan_instance *instance)
{
    const char *asked = doc_str(instance->asked, "revision", NULL);
    AUTO_JSON json_t *same = NULL;

    if (!instance->asked || str_eq(asked, step->revision))
        return;
    same = doc_copy(step->want);
    json_object_set_new(same, "revision", doc_string(asked));
    if (json_object_get(instance->asked, "askedAt"))
        json_object_set(same, "askedAt", json_object_get(instance->asked, "askedAt"));
    if (doc_equal(same, instance->asked))
        rename_step(step, asked);
}

// An agent does not try a revision twice. When somebody asks for that, what failed gets a name of
// its own for this request, and is asked for once more when its turn comes.
static void try_again(struct plan_step *step, const struct plan_instance *instance,
                      const char *first, const char *retry)
{
    AUTO_MEM char *text = NULL;
    char digest[DOC_DIGEST_BYTES];

    if (!retry || step->state != PLAN_FAILED || !instance->node)
        return;
    text = str_format("%s %s", first, retry);
    doc_digest(slice_of(text), digest);
    digest[PLAN_REVISION_BYTES - 1] = '\0';
    if (str_eq(digest, step->revision))
        return; // this is what failed just now
    rename_step(step, digest);
    step->state = PLAN_WAITING;
    step->again = true;
}

// An upgrade in progress is left in peace: what has no effect any more goes when the control plane
// is of one minor again. To the control plane belong the kubelets of its nodes, whose upgrade
// follows and restarts every component, and kubeadm-config, which kubeadm writes last.
static bool is_one_minor(const struct plan_instance *instances, size_t len)
{
    const struct plan_instance *first = NULL;

    for (size_t i = 0; i < len; i++) {
        if (instances[i].component == COMPONENT_KUBELET && !instances[i].control_plane)
            continue;
        if (!first)
            first = &instances[i];
        if (version_compare_minor(first->version, instances[i].version) != 0)
            return false;
    }
    return true;
}

static void hold_cleanups(struct plan *plan, const struct plan_instance *instances, size_t len)
{
    if (is_one_minor(instances, len))
        return;
    for (size_t i = 0; i < plan->len; i++) {
        struct plan_step *step = &plan->steps[i];
        const struct plan_instance *instance = &instances[step->instance];

        if (step->state != PLAN_WAITING || instance->object)
            continue;
        if (step->changes && plan_want_is_cleanup(step->want, instance)) {
            step->state = PLAN_DONE;
            step->deferred = true;
        }
    }
}

// --- order --------------------------------------------------------------------------------------

static unsigned rank_of(const struct plan_instance *instance, bool enable)
{
    unsigned rank;

    if (instance->object)
        rank = 10;
    else if (instance->component == COMPONENT_KUBELET)
        rank = instance->control_plane ? 4 : 5;
    else
        rank = (unsigned)instance->component;
    return enable ? rank : 10 - rank;
}

// The worst first: what is under way, then what is not well, then by name.
static unsigned badness(const struct plan_step *step, const struct plan_instance *instance)
{
    if (step->state == PLAN_RUNNING)
        return 0;
    if (step->state == PLAN_FAILED || step->state == PLAN_BLOCKED)
        return 1;
    if (instance->not_ready_ms)
        return 4;
    return doc_bool(instance->reported, true, "healthy", NULL) ? 3 : 2;
}

struct node_context {
    const struct plan_instance *instances;
    const struct plan_step *steps;
};

struct order_key {
    unsigned rank, badness;
    const char *id;
    struct plan_step step;
};

static int compare_keys(const void *left, const void *right)
{
    const struct order_key *a = left, *b = right;

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->badness != b->badness)
        return a->badness < b->badness ? -1 : 1;
    return strcmp(a->id, b->id);
}

static void sort_steps(struct plan *plan, const struct plan_instance *instances, bool enable)
{
    struct order_key *keys = mem_alloc(plan->len * sizeof(*keys));

    for (size_t i = 0; i < plan->len; i++) {
        const struct plan_instance *instance = &instances[plan->steps[i].instance];

        keys[i] = (struct order_key){rank_of(instance, enable), badness(&plan->steps[i], instance),
                                     instance->id, plan->steps[i]};
    }
    qsort(keys, plan->len, sizeof(*keys), compare_keys);
    for (size_t i = 0; i < plan->len; i++)
        plan->steps[i] = keys[i].step;
    mem_free(keys);
}

// --- pace ---------------------------------------------------------------------------------------

// How long the next instance of a group must still wait because another one has only just come
// back; 0: not at all.
static uint64_t wait_for_min_ready(const struct plan *plan, const struct plan_instance *instances,
                                   enum component component, uint64_t min_ready_ms)
{
    uint64_t wait_ms = 0;

    for (size_t i = 0; i < plan->len; i++) {
        const struct plan_instance *other = &instances[plan->steps[i].instance];
        int64_t updated_ms;
        int64_t until_ms;

        if (other->object || other->component != component || plan->steps[i].state != PLAN_DONE ||
            !clock_parse(doc_str(other->reported, "updatedAt", NULL), &updated_ms))
            continue;
        until_ms = updated_ms + (int64_t)min_ready_ms;
        if (until_ms > plan->now_wall_ms && (uint64_t)(until_ms - plan->now_wall_ms) > wait_ms)
            wait_ms = (uint64_t)(until_ms - plan->now_wall_ms);
    }
    return wait_ms < min_ready_ms
               ? wait_ms
               : min_ready_ms; // a clock that went back must not hold us for ever
}

static unsigned slots_of(const struct plan_policy *policy, const struct plan_instance *instance)
{
    if (instance->object)
        return UINT32_MAX;
    if (instance->component == COMPONENT_KUBELET && !instance->control_plane)
        return policy->max_unavailable ? policy->max_unavailable : 1;
    return 1;
}

// A node, or an object that nodes are made from.
static bool is_worker(const struct plan_instance *instance)
{
    return instance->component == COMPONENT_KUBELET && !instance->object &&
           !instance->control_plane && !instance->elsewhere && !instance->beside;
}

static unsigned count_slots(const struct plan_policy *policy, const struct plan_instance *instances,
                            size_t len)
{
    size_t workers = 0, share;

    if (!policy->max_unavailable_percent)
        return policy->max_unavailable;
    for (size_t i = 0; i < len; i++)
        workers += is_worker(&instances[i]);
    share = (workers * policy->max_unavailable_percent + 99) / 100;
    return share < API_UNAVAILABLE_MAX ? (unsigned)share : API_UNAVAILABLE_MAX;
}

static void wait_at_most(struct plan *plan, uint64_t wait_ms)
{
    if (wait_ms > 0 && (plan->wait_ms == 0 || wait_ms < plan->wait_ms))
        plan->wait_ms = wait_ms;
}

// Whether the instance is, or may be, away from its work just now: it is being changed, or its node
// is not ready and may come back.
static bool takes_slot(const struct plan_policy *policy, const struct plan *plan,
                       const struct plan_step *step, const struct plan_instance *instance)
{
    if (step->state == PLAN_RUNNING ||
        (step->state == PLAN_OVERDUE && instance->component != COMPONENT_KUBELET && !step->left))
        return true;
    return !policy->leaving && instance->component == COMPONENT_KUBELET &&
           plan_back_until(policy, instance) > plan->now_wall_ms;
}

// A control-plane node that is not ready, other than this one; NULL: there is none. When everything
// is taken back it is waited for as long as a worker.
static const char *find_down(const struct plan_policy *policy,
                             const struct plan_instance *instances, const struct plan *plan,
                             const char *but)
{
    for (size_t i = 0; i < plan->len; i++) {
        const struct plan_instance *instance = &instances[plan->steps[i].instance];

        if (instance->control_plane && instance->not_ready_ms && !str_eq(instance->node, but) &&
            (!policy->leaving || plan_back_until(policy, instance) > plan->now_wall_ms))
            return instance->node;
    }
    return NULL;
}

static void open_step(const struct plan_policy *policy, struct plan *plan, struct plan_step *step)
{
    step->state = PLAN_NOW;
    step->until_ms = plan->now_wall_ms + plan_allowance(policy);
}

// The others of its unit, whatever their turn.
static void open_unit(const struct plan_policy *policy, const struct plan_instance *instances,
                      struct plan *plan, const char *unit)
{
    for (size_t i = 0; unit && i < plan->len; i++) {
        if (plan->steps[i].state == PLAN_WAITING &&
            str_eq(instances[plan->steps[i].instance].unit, unit))
            open_step(policy, plan, &plan->steps[i]);
    }
}

// Opens the steps of one group (from .. to), whose predecessors are all done or left.
static void open_group(const struct plan_policy *policy, const struct plan_instance *instances,
                       struct plan *plan, size_t from, size_t to)
{
    const struct plan_instance *first = &instances[plan->steps[from].instance];
    unsigned slots = slots_of(policy, first);
    uint64_t wait_ms =
        first->object ? 0
                      : wait_for_min_ready(plan, instances, first->component, policy->min_ready_ms);

    for (size_t i = from; i < to && slots > 0; i++)
        slots -= takes_slot(policy, plan, &plan->steps[i], &instances[plan->steps[i].instance]);
    for (size_t i = from; i < to; i++) {
        struct plan_step *step = &plan->steps[i];
        const struct plan_instance *instance = &instances[step->instance];
        bool away = policy->leaving && instance->not_ready_ms;

        if (step->state != PLAN_WAITING || instance->busy || (slots == 0 && !away))
            continue;
        if (instance->control_plane && !instance->object)
            step->waits_for = find_down(policy, instances, plan, instance->node);
        if (step->waits_for)
            continue;
        if (wait_ms > 0) {
            wait_at_most(plan, wait_ms);
            return;
        }
        open_step(policy, plan, step);
        open_unit(policy, instances, plan, instance->unit);
        if (!away)
            slots--;
    }
}

static bool is_kubelets_turn(const struct plan_instance *instance)
{
    return instance->component == COMPONENT_KUBELET && !instance->object;
}

// Whether a kubelet is still to be begun.
static bool has_waiting_kubelet(const struct plan *plan, const struct plan_instance *instances)
{
    for (size_t i = 0; i < plan->len; i++) {
        if (plan->steps[i].state == PLAN_WAITING &&
            is_kubelets_turn(&instances[plan->steps[i].instance]))
            return true;
    }
    return false;
}

// What may have taken one node down is not tried on the next.
static void hold_kubelets(const struct plan_policy *policy, const struct plan_instance *instances,
                          struct plan *plan)
{
    if (policy->leaving || policy->suspend || !has_waiting_kubelet(plan, instances))
        return;
    for (size_t i = 0; i < plan->len; i++) {
        struct plan_step *step = &plan->steps[i];
        const struct plan_instance *instance = &instances[step->instance];
        int64_t until_ms;

        if (!is_kubelets_turn(instance) || instance->elsewhere)
            continue;
        until_ms = plan_hold_until(policy, step, instance, plan->now_wall_ms);
        if (until_ms <= plan->now_wall_ms)
            continue;
        step->holds = plan->nodes_paused = true;
        if (until_ms > step->until_ms)
            step->until_ms = until_ms;
    }
}

static void open_steps(const struct plan_policy *policy, const struct plan_instance *instances,
                       struct plan *plan)
{
    size_t from = 0;

    while (from < plan->len) {
        const struct plan_instance *first = &instances[plan->steps[from].instance];
        unsigned rank = rank_of(first, policy->enable);
        size_t to = from;
        bool over = true;

        while (to < plan->len &&
               rank_of(&instances[plan->steps[to].instance], policy->enable) == rank) {
            over = over && (plan->steps[to].state == PLAN_DONE || plan->steps[to].left);
            to++;
        }
        // What failed on one node is not tried on the next.
        if (plan->nodes_paused && is_kubelets_turn(first))
            return;
        // Those that are left may be back: their turn comes beside what comes after.
        open_group(policy, instances, plan, from, to);
        if (!over)
            return;
        from = to;
    }
}

// --- summary ------------------------------------------------------------------------------------

// Whether it was asked for something else than it has in the revision that would be gone back to.
static bool is_changed(const struct plan_step *step, const struct gates_desired *good)
{
    const json_t *gates = json_object_get(step->want, "featureGates");
    const json_t *runtime = json_object_get(step->want, "runtimeConfig");

    const json_t *without_gates = json_object_get(step->want, "withoutFeatureGates");
    const json_t *without_runtime = json_object_get(step->want, "withoutRuntimeConfig");

    if (good)
        return !plan_same_map(gates, good[step->instance].feature_gates) ||
               (runtime && !plan_same_map(runtime, good[step->instance].runtime_config)) ||
               !plan_same_names(without_gates, good[step->instance].without_gates) ||
               !plan_same_names(without_runtime, good[step->instance].without_runtime);
    return step->changes || json_object_size(gates) > 0 || json_object_size(runtime) > 0 ||
           json_array_size(without_gates) > 0 || json_array_size(without_runtime) > 0;
}

static void count(struct plan *plan, const struct plan_instance *instances,
                  const struct gates_desired *good)
{
    plan->done = plan->complete = true;
    for (size_t i = 0; i < plan->len; i++) {
        const struct plan_step *step = &plan->steps[i];
        const struct plan_instance *instance = &instances[step->instance];
        struct plan_count *of = &plan->counts[instance->component];

        plan->done = plan->done && step->state == PLAN_DONE;
        plan->complete = plan->complete && (step->state == PLAN_DONE || step->left);
        plan->nodes_paused = plan->nodes_paused || (step->state == PLAN_FAILED && !step->left &&
                                                    instance->component == COMPONENT_KUBELET);
        if (step->state == PLAN_FAILED && plan->failed == plan->len)
            plan->failed = i;
        if (step->state == PLAN_BLOCKED && plan->blocked == plan->len)
            plan->blocked = i;
        if (step->state == PLAN_FAILED && plan->undo == plan->len && is_changed(step, good) &&
            instance->component != COMPONENT_KUBELET)
            plan->undo = i;
        if (step->state == PLAN_MISSING && plan->missing == plan->len)
            plan->missing = i;
        if (instance->object || instance->elsewhere || instance->beside)
            continue;
        of->instances++;
        of->updated += step->state == PLAN_DONE;
        of->ready += doc_bool(instance->reported, false, "healthy", NULL);
    }
    plan->nodes_failed =
        plan->failed < plan->len &&
        instances[plan->steps[plan->failed].instance].component == COMPONENT_KUBELET;
}

static bool is_stuck(const struct plan_step *step)
{
    return !step->left && (step->state == PLAN_FAILED || step->state == PLAN_BLOCKED ||
                           step->state == PLAN_MISSING);
}

// A control-plane component that nobody reports on could need anything: nothing begins before all
// are seen.
static bool is_held(const struct plan *plan, const struct plan_instance *instances)
{
    for (size_t i = 0; i < plan->len; i++) {
        const struct plan_step *step = &plan->steps[i];

        if (is_stuck(step) && instances[step->instance].component != COMPONENT_KUBELET)
            return true;
    }
    return false;
}

// The next moment at which time alone changes something.
static void wait_for_time(const struct plan_policy *policy, const struct plan_instance *instances,
                          struct plan *plan)
{
    for (size_t i = 0; i < plan->len; i++) {
        const struct plan_instance *instance = &instances[plan->steps[i].instance];
        int64_t until_ms = plan->steps[i].until_ms;

        if (until_ms == 0 && !plan->done && !instance->object)
            until_ms = plan_back_until(policy, instance);
        if (until_ms > plan->now_wall_ms)
            wait_at_most(plan, (uint64_t)(until_ms - plan->now_wall_ms));
    }
}

static int compare_nodes(const void *left, const void *right, void *context)
{
    const struct node_context *by = context;
    const struct plan_instance *a = &by->instances[by->steps[*(const size_t *)left].instance];
    const struct plan_instance *b = &by->instances[by->steps[*(const size_t *)right].instance];
    int order = strcmp(a->node, b->node);

    return order != 0 ? order : (int)a->component - (int)b->component;
}

static void sort_by_node(struct plan *plan, const struct plan_instance *instances)
{
    struct node_context by = {instances, plan->steps};

    plan->by_node = mem_alloc(plan->len * sizeof(*plan->by_node));
    for (size_t i = 0; i < plan->len; i++) {
        if (!instances[plan->steps[i].instance].object && instances[plan->steps[i].instance].node)
            plan->by_node[plan->by_node_len++] = i;
    }
    if (plan->by_node_len > 0)
        qsort_r(plan->by_node, plan->by_node_len, sizeof(*plan->by_node), compare_nodes, &by);
}

void plan_make(const struct plan_policy *given, const struct plan_instance *instances,
               const struct gates_desired *desired, size_t len, int64_t now_wall_ms,
               struct plan *ret_plan)
{
    struct plan_policy counted = *given;
    const struct plan_policy *policy = &counted;
    struct plan plan = {.len = len,
                        .failed = len,
                        .blocked = len,
                        .undo = len,
                        .missing = len,
                        .current = len,
                        .now_wall_ms = now_wall_ms};
    AUTO_WANTS struct wants wants = {0};

    ASSERT(len <= GATES_INSTANCES_MAX);
    counted.max_unavailable = count_slots(given, instances, len);
    plan.steps = mem_alloc(len * sizeof(*plan.steps));
    for (size_t i = 0; i < len; i++) {
        plan.steps[i].instance = i;
        AUTO_MEM char *first = NULL;

        plan.steps[i].want = take_want(&wants, &instances[i], &desired[i]);
        plan.steps[i].revision = doc_str(plan.steps[i].want, "revision", NULL);
        if (policy->retry)
            first = str_dup(plan.steps[i].revision);
        keep_name(&plan.steps[i], &instances[i]);
        judge(&plan.steps[i], &instances[i], policy->leaving);
        try_again(&plan.steps[i], &instances[i], first, policy->retry);
    }
    hold_cleanups(&plan, instances, len);
    for (size_t i = 0; i < len; i++)
        plan_judge_time(policy, &plan.steps[i], &instances[i], now_wall_ms);
    sort_steps(&plan, instances, policy->enable);
    count(&plan, instances, policy->good);
    hold_kubelets(policy, instances, &plan);
    if (!policy->suspend && !is_held(&plan, instances))
        open_steps(policy, instances, &plan);
    wait_for_time(policy, instances, &plan);
    sort_by_node(&plan, instances);
    for (size_t i = 0; i < len && plan.current == len; i++) {
        if (plan.steps[i].state == PLAN_RUNNING || plan.steps[i].state == PLAN_NOW)
            plan.current = i;
    }
    for (size_t i = 0; i < len; i++)
        plan.again = plan.again || (plan.steps[i].again && plan.steps[i].state == PLAN_WAITING);
    *ret_plan = plan;
}

void plan_fini(struct plan *plan)
{
    for (size_t i = 0; i < plan->len; i++)
        json_decref(plan->steps[i].want);
    mem_free(plan->steps);
    mem_free(plan->by_node);
    *plan = (struct plan){0};
}

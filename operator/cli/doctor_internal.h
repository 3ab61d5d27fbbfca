// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "doctor.h"

struct examination {
    const json_t *facts;
    json_t *findings;
};

// One more finding. fix: what to do, as a command where there is one; "" when nothing is.
void doctor_find(struct examination *e, const char *check, enum verdict_kind kind, const char *fix,
                 const char *fmt, ...) PRINTF(5, 6);
// The facts of this key; NULL: none were read.
const json_t *doctor_list(const struct examination *e, const char *key);
// False, and a finding that it is not known: the facts of key may not be read.
bool doctor_may_read(struct examination *e, const char *check, const char *key);

struct gates_instance;
// doctor_upgrade.c: entries of it (its foreign ones: all of them) that the next minor refuses.
void doctor_check_next(struct examination *e, const struct gates_instance *instance);

// doctor_control.c: the control plane, Drawbridge's controller and agents, its objects. True: the
// API is served.
bool doctor_check_control(struct examination *e);

// doctor_others.c: what people run beside DRA and what of it does not go with it: autoscalers,
// device plugins, operators, other schedulers.
enum doctor_role {
    DOCTOR_NO_ROLE,
    DOCTOR_SCHEDULER,
    DOCTOR_CLUSTER_AUTOSCALER,
    DOCTOR_KARPENTER,
    DOCTOR_PLUGIN, // of a kubelet, for devices or volumes
};
enum doctor_role doctor_role(const json_t *workload);
// What is looked at of a Deployment or a DaemonSet, owned; NULL: nothing.
json_t *doctor_keep_workload(const json_t *item);
void doctor_check_others(struct examination *e);
// The minor of an image like registry/name:v1.35.0@sha256:...
struct version;
bool doctor_image_version(const char *image, struct version *ret_version);
// Whether there is anything of DRA in the cluster: slices or claims.
bool doctor_in_use(const struct examination *e);

// doctor_taints.c: nodes that a driver does not run on, as it does not tolerate their taint.
void doctor_check_taints(struct examination *e);

// doctor_rights.c: who may write the status of claims, from Kubernetes 1.36 on.
// What the API server is to be asked next: [{user, groups, verb, subresource, name, key}]; the
// answers are facts, "access" by user and key. Owned; empty: nothing more.
json_t *doctor_questions(const json_t *facts);
void doctor_check_rights(struct examination *e);

// doctor_read.c: facts about all of these.
struct client;
void doctor_read_others(struct client *client, json_t *facts);

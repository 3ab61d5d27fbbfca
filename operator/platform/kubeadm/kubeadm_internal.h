// SPDX-License-Identifier: Apache-2.0
// What the files of the platform Kubeadm share.
#pragma once

#include "platform_internal.h"

// --- templates.c: the ConfigMaps that upgrades and joins read, and the record of what was there

// They as instances. INVALID when a document in them cannot be read.
struct error *kubeadm_collect_templates(struct platform_observed *observed);
// The ConfigMap bodies to send so that templates say what the plan's steps want now:
// {"kubeadm-config": data text, ...} for those that change, and the undo record that goes with it.
// NULL texts: nothing to do.
struct error *kubeadm_edit_templates(const struct platform_observed *observed,
                                     const struct plan *plan, json_t **ret_texts,
                                     json_t **ret_undo);
// See platform_preview().
struct error *kubeadm_preview(const struct platform_observed *observed, const struct plan *plan,
                              json_t **ret_before, json_t **ret_after);
// The key in the ConfigMap's data that holds the document.
const char *kubeadm_template_key(const char *config_map);

// --- writes.c, see struct platform

struct error *kubeadm_writes(struct writing *w, const struct cluster *cluster,
                             const struct platform_change *change);
void kubeadm_release(struct writing *w, const struct cluster *cluster,
                     const struct platform_observed *observed, const json_t *keep, bool forget);

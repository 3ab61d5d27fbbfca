// SPDX-License-Identifier: Apache-2.0
// Which verbs there are.
#include "cli_internal.h"

const struct cli_verb *const cli_verbs[] = {
    &cli_verb_run,      &cli_verb_agent,   &cli_verb_plan,
    &cli_verb_status,   &cli_verb_doctor,  &cli_verb_gates,
    &cli_verb_features, &cli_verb_version, NULL,
};

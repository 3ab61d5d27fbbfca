// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/git.h"

// The program beside ours that does the work; tests say where it is with DRAWBRIDGE_GIT_WORKER.
#define WORKER_NAME "drawbridge-git"

// A directory for one fetch, in $TMPDIR or /tmp; what dead processes left there is swept up at the
// first.
struct error *scratch_make(char **ret_dir);
void scratch_remove(const char *dir);

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drawbridge/git.h"

// The program beside ours that does the work; tests say where it is with DRAWBRIDGE_GIT_WORKER.
#define WORKER_NAME "drawbridge-git"

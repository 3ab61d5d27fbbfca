// SPDX-License-Identifier: Apache-2.0
// Private to guard.
#pragma once

#include "drawbridge/guard.h"

#define GUARD_ID_DIGITS (GUARD_ID_BYTES - 1)

char *guard_path(const char *dir, const char *name);
struct error *guard_dir_make(const char *dir);

// SPDX-License-Identifier: Apache-2.0
// Private to guard.
#pragma once

#include "drawbridge/guard.h"

#define GUARD_ID_DIGITS (GUARD_ID_BYTES - 1)

// Held until the descriptor is closed. TRANSIENT when somebody holds it for too long.
struct error *guard_lock(const char *dir, int *ret_fd);
void guard_unlock(int *fd);
#define AUTO_GUARD_LOCK __attribute__((cleanup(guard_unlock)))
char *guard_path(const char *dir, const char *name);
struct error *guard_dir_make(const char *dir);

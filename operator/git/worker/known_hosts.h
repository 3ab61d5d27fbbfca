// SPDX-License-Identifier: Apache-2.0
// known_hosts as ssh reads it, made into what libgit2 and libssh2 can use. Pure.
#pragma once

#include "drawbridge/base.h"

// libgit2 1.5 asks the server for the kind of key of the first line that fits the host, and for no
// other, so lines go by kind, the one that is never trouble first. No carriage returns, no
// comments; "@revoked" keys are left out, and lines of certificate authorities, which the library
// does not know. dropped: how many of the kinds, in that order, are left out: what remains when the
// server has none of these. Yours, "" when nothing remains.
char *known_hosts_arrange(const char *text, unsigned dropped);
unsigned known_hosts_kinds(void); // how many kinds there are to drop

// SPDX-License-Identifier: Apache-2.0
// The one function of a fuzzer: it must come back from any bytes. See cmake/Fuzz.cmake.
#pragma once

#include <stddef.h>
#include <stdint.h>

void fuzz_one(const uint8_t *bytes, size_t len);

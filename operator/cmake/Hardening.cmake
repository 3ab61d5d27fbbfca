# SPDX-License-Identifier: Apache-2.0
# What a distribution would add to a package: we ship an image, so we are the distribution.
set(DRAWBRIDGE_HARDEN_COMPILE
  -U_FORTIFY_SOURCE -fstack-protector-strong -fno-common -fno-delete-null-pointer-checks
  -ftrivial-auto-var-init=zero -fPIE)
set(DRAWBRIDGE_HARDEN_LINK
  -pie LINKER:-z,relro,-z,now LINKER:-z,noexecstack LINKER:-z,separate-code LINKER:--as-needed)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND DRAWBRIDGE_HARDEN_COMPILE -D_FORTIFY_SOURCE=3)
else()
  list(APPEND DRAWBRIDGE_HARDEN_COMPILE -D_FORTIFY_SOURCE=2)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
  list(APPEND DRAWBRIDGE_HARDEN_COMPILE
    -fstack-clash-protection -fcf-protection=full -fzero-call-used-regs=used-gpr)
endif()

# SPDX-License-Identifier: Apache-2.0
# The warnings that are errors here, with every preset.
set(DRAWBRIDGE_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
  -Wold-style-definition -Wredundant-decls -Wwrite-strings -Wcast-qual -Wpointer-arith -Wundef -Wvla -Walloca
  -Wdouble-promotion -Werror)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND DRAWBRIDGE_WARNINGS
    -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wimplicit-fallthrough=5)
  if(NOT DRAWBRIDGE_SANITIZE AND NOT DRAWBRIDGE_COVERAGE)
    # The sanitizers' own branches make gcc 12 see null pointers that are not there.
    list(APPEND DRAWBRIDGE_WARNINGS -Wnull-dereference)
  endif()
else()
  list(APPEND DRAWBRIDGE_WARNINGS -Wnull-dereference -Wimplicit-fallthrough)
endif()

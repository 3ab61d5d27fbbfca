# SPDX-License-Identifier: Apache-2.0
set(DRAWBRIDGE_SANITIZE_FLAGS "")
if(DRAWBRIDGE_SANITIZE STREQUAL "thread")
  set(DRAWBRIDGE_SANITIZE_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
elseif(DRAWBRIDGE_SANITIZE)
  set(DRAWBRIDGE_SANITIZE_FLAGS
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
endif()
if(DRAWBRIDGE_FUZZ)
  list(APPEND DRAWBRIDGE_SANITIZE_FLAGS -fsanitize=fuzzer-no-link)
endif()

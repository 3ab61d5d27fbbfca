# SPDX-License-Identifier: Apache-2.0
# drawbridge_fuzz(room name source corpus-dir): source defines fuzz_one(bytes, len) (testkit/fuzz.h).
#
# With DRAWBRIDGE_FUZZ (clang) it is a libFuzzer program, fuzz_<room>_<name>. Without, the same source with a driver that runs the
# corpus, each file in turn and a few hundred damaged copies of it, is an ordinary test with the label fuzz-regress.
function(drawbridge_fuzz room name source corpus)
  if(NOT TARGET drawbridge_${room} OR NOT BUILD_TESTING)
    return()
  endif()
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
    message(WARNING "room ${room}: there is no ${source} yet")
    return()
  endif()
  set(target fuzz_${room}_${name})
  get_filename_component(corpus ${corpus} ABSOLUTE)
  if(DRAWBRIDGE_FUZZ)
    add_executable(${target} ${source} ${PROJECT_SOURCE_DIR}/operator/testkit/fuzz_libfuzzer.c)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${target} ${source} ${PROJECT_SOURCE_DIR}/operator/testkit/fuzz_replay.c)
    add_test(NAME ${target} COMMAND ${target} ${corpus})
    set_tests_properties(${target} PROPERTIES LABELS "${room};fuzz-regress" TIMEOUT 300)
  endif()
  drawbridge_compile_test(${target})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/operator/testkit ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE drawbridge_${room})
endfunction()

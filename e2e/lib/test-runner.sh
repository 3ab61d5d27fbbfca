#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# e2e/test.sh run on cases and unit tests of its own, which need nothing: what a failure, a second attempt and a limit come to.
set -euo pipefail
E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
export DRAWBRIDGE_E2E_CASES=$DIR/cases DRAWBRIDGE_E2E_BUILD=$DIR/build DRAWBRIDGE_E2E_LOGS=$DIR/logs TMPDIR=$DIR/tmp
unset ATTEMPTS KEEP JOBS
export CASES=2
WRONG=0

fresh() {
  rm -rf "${DIR:?}"/*
  mkdir -p "$DIR"/{cases,build,tmp,seen}
}

# a_case NAME COMMAND: it is told the file that is there from its second attempt on.
a_case() {
  # shellcheck disable=SC2016 # for the case
  printf '# case: %s\n%scase_%s() {\n  local seen=%q again=\n  [[ ! -e $seen ]] || again=1\n  touch "$seen"\n  %s\n}\n' \
    "$1" "${LIMIT:+"# timeout: $LIMIT"$'\n'}" "$1" "$DIR/seen/$1" "$2" >>"$DIR/cases/10-runner.sh"
}

# unit_test NAME COMMAND
unit_test() { printf 'add_test(%s sh -c %q)\n' "$1" "$2" >>"$DIR/build/CTestTestfile.cmake"; }

# expect STATUS WHAT [-- ARGUMENT...]: runs it; the output is in $DIR/out.
expect() {
  local wanted=$1 status=0
  WHAT=$2
  shift 2
  bash "$E2E/test.sh" "$@" >"$DIR/out" 2>&1 || status=$?
  [[ $status == "$wanted" ]] || wrong "it ended with $status, not $wanted"
}
says() { grep -qE -- "$1" "$DIR/out" || wrong "nowhere: $1"; }
says_not() { ! grep -qE -- "$1" "$DIR/out" || wrong "it says: $1"; }
wrong() {
  WRONG=1
  printf '%s: %s\n' "$WHAT" "$1"
  sed 's/^/    /' "$DIR/out"
}

fresh
a_case good ':'
a_case bad 'echo the cause >&2; false'
expect 1 'a case that fails twice' runner/
says_not '^again'
says 'FAILED.* runner/bad'
says '^1 passed, 1 failed$'
ATTEMPTS=2 expect 1 'a case that fails twice, with a second attempt' runner/
says '^1 passed, 1 failed$'
says_not 'at the second attempt'

fresh
# shellcheck disable=SC2016 # for the case
for name in one two; do a_case "$name" 'echo "words of '"$name"'"; [[ $again ]]'; done
a_case good ':'
ATTEMPTS=2 expect 0 'two second attempts' runner/
says '^at the second attempt: runner/one .*words of one'
says '^at the second attempt: runner/two .*words of two'
[[ $(tail -n 1 "$DIR/out") == '3 passed, 0 failed' ]] || wrong 'the last line is another one'

rm -f "$DIR"/seen/*
# shellcheck disable=SC2016
a_case three '[[ $again ]]'
ATTEMPTS=2 expect 1 'three second attempts' runner/
says '^FAILED +3 cases needed a second attempt, 2 may$'

fresh
LIMIT=1 a_case slow 'sleep 60'
expect 1 'a case that hangs' runner/
says 'over the time of 1 s'

fresh
a_case waits 'eventually 1 false'
expect 1 'a case that waits in vain' runner/
says 'after 1 s still not: false'

fresh
unit_test good true
unit_test flaky "test -e $DIR/seen/flaky || { touch $DIR/seen/flaky; false; }"
ATTEMPTS=2 expect 1 'a unit test that would pass at a second attempt' unit/good unit/flaky
says 'FAILED.* unit/flaky'
says '^1 passed, 1 failed$'

exit "$WRONG"

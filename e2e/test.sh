#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test: those of the build (unit, golden, fuzz corpora, lint), then the cases on real Kubernetes components.
#
#   e2e/test.sh [--list] [FILTER...]     FILTER: a part of GROUP/NAME ("unit/", "refusals", "lifecycle/delete"); several: any of them
#
# In the environment: DRAWBRIDGE_E2E_BIN (tools that are already there), DRAWBRIDGE (another binary to test), JOBS, CASES (so many at once; a real node counts as one and a half), KEEP=1 (clusters and logs stay),
# ATTEMPTS=2 (a case that fails is run once more; the last lines name those that passed so, and more than two are a failed run), DRAWBRIDGE_E2E_NODE=required (fail where the cases on a real node cannot run; else they are skipped),
# DRAWBRIDGE_E2E_CASES, DRAWBRIDGE_E2E_BUILD, DRAWBRIDGE_E2E_LOGS (directories: other cases, another build tree, which is taken as it is, and where logs go; for the runner's own test).
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=lib/install.sh
source "$E2E/lib/install.sh"
# shellcheck source=lib/tools.sh
source "$E2E/lib/tools.sh"
# shellcheck source=lib/cluster.sh
source "$E2E/lib/cluster.sh"
# shellcheck source=lib/node.sh
source "$E2E/lib/node.sh"
# shellcheck source=lib/images.sh
source "$E2E/lib/images.sh"

PASSED=0 FAILED=0 SKIPPED=0 UNIT=''
SECOND=()          # the cases that passed at their second attempt
SECOND_MOST=2      # of a run: more say that something is wrong, with the cases or with what they test
BUILD=${DRAWBRIDGE_E2E_BUILD:-$ROOT/build/dev}
KEPT_LOGS=${DRAWBRIDGE_E2E_LOGS:-$ROOT/build/e2e-logs}
CASE_FILES=${DRAWBRIDGE_E2E_CASES:-$E2E/cases}
LIST=''
[[ ${1:-} != --list ]] || { LIST=1 && shift; }
case ${1:-} in -h | --help) sed -n '3,9s/^# \?//p' "$0" && exit 0 ;; esac
FILTERS=("$@")

selected() {
  ((${#FILTERS[@]})) || return 0
  local filter
  for filter in "${FILTERS[@]}"; do
    [[ $1 != *"$filter"* ]] || return 0
  done
  return 1
}

# all_cases: GROUP/NAME, file, seconds allowed, words. A case is "# case: words" (then perhaps "# timeout: N") above its function.
all_cases() {
  local file group
  for file in "$CASE_FILES"/*.sh; do
    group=$(basename "$file" .sh)
    awk -v file="$file" -v group="${group#*-}" '
      /^# case: / { words = substr($0, 9); limit = 360 }
      /^# timeout: / { limit = $3 }
      /^case_[a-z0-9_]+\(\)/ { name = $1; sub(/^case_/, "", name); sub(/\(.*/, "", name)
        printf "%s/%s\t%s\t%s\t%s\n", group, name, file, limit, words; words = ""; limit = 360 }' "$file"
  done
}

# file_words FILE WHAT: the words after "# WHAT: " at the top of a case file.
file_words() { sed -nE "s/^# $2: (.*)/\1/p" "$1" | head -n1; }

result() { # NAME STATUS SECONDS
  if [[ $2 == 0 ]]; then
    PASSED=$((PASSED + 1))
    printf '%sok%s      %-52s %6.1f s\n' "$GREEN" "$PLAIN" "$1" "$3"
  else
    FAILED=$((FAILED + 1))
    printf '%sFAILED%s  %-52s %6.1f s\n' "$RED" "$PLAIN" "$1" "$3"
  fi
}

build() {
  [[ -z $BUILT && -z ${DRAWBRIDGE_E2E_BUILD:-} ]] || return 0
  BUILT=1
  install_packages "${INSTALL_BUILD[@]}" ccache
  # What was compiled before, in whatever checkout, is not compiled again; also by the case that makes the images.
  export CMAKE_C_COMPILER_LAUNCHER=ccache CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$ROOT CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=500M
  with_progress build drawbridge with sanitizers -- build_dev
}
BUILT=''

# shellcheck disable=SC2317 # called by name
build_dev() {
  cd "$ROOT"
  [[ -f $BUILD/build.ninja ]] || cmake --preset dev
  cmake --build --preset dev -j "${JOBS:-$(nproc)}"
}

# unit_wanted: the unit tests that were selected, as a regular expression for ctest; nothing when there are none.
unit_wanted() {
  local name wanted=()
  while read -r name; do
    if selected "unit/$name"; then wanted+=("$name"); fi
  done < <(ctest --test-dir "$BUILD" -N | sed -nE 's/^ *Test +#[0-9]+: (.*)$/\1/p')
  ((${#wanted[@]} == 0)) || (IFS='|' && echo "^(${wanted[*]})\$")
}

# unit_run WANTED: in the background, like a case; two of them wait more than they work, and so the cases go on beside them. timeout, since
# ctest does not end its tests when it is told to end. None has a second attempt: they need no machine to be quick.
unit_run() {
  mkdir -p "$KEPT_LOGS"
  export ASAN_OPTIONS=malloc_context_size=8 # of the stack where a block was allocated: all thirty frames are a sixth of the CPU
  exec timeout 1800 ctest --test-dir "$BUILD" -j "${JOBS:-$(nproc)}" --output-on-failure --output-log "$KEPT_LOGS/unit.log" -R "$1" >"$WORK/unit" 2>&1
}

unit_results() {
  local line failed=$FAILED came
  while read -r line; do
    [[ $line =~ Test\ +\#[0-9]+:\ ([^ ]+)\ [.\ ]*(\*\*\*)?(Passed|Failed|[A-Z][A-Za-z ]+)\ +([0-9.]+)\ sec ]] || continue
    came=1
    [[ ${BASH_REMATCH[3]} != Passed ]] || came=0
    result "unit/${BASH_REMATCH[1]}" "$came" "${BASH_REMATCH[4]}"
  done <"$WORK/unit"
  ((FAILED == failed)) || grep -vE '^ *[0-9]+/[0-9]+ Test.*Passed|^ *Start' "$KEPT_LOGS/unit.log" | tail -n 60
  ((FAILED == failed)) || UNIT_WORDS=$({ grep -aE -B4 -A1 '^FAILED ' "$KEPT_LOGS/unit.log" || true; } | cut -c1-300 | tail -n 30)
}
UNIT_WORDS= # what failed in unit tests, and why

# run_case NAME FILE LIMIT: in the background; what came of it is in $dir/result. The limit is for a case that hangs.
run_case() {
  local dir=$WORK/${1/\//.} from status=0 limit=$3
  from=$(date +%s.%N)
  CASE_DIR=$dir WORK=$WORK timeout --kill-after=15 "$limit" bash "$E2E/lib/run-case.sh" "$2" "${1#*/}" >"$dir/case.log" 2>&1 </dev/null &
  # shellcheck disable=SC2064 # this process, now
  trap "kill $!" TERM # and timeout hands it on to the case's whole group
  wait $! || status=$?
  wait # the first was cut short by a TERM
  [[ $status != 124 && $status != 137 ]] || echo "[over the time of $limit s]" >>"$dir/case.log"
  awk -v status=$status -v a="$from" -v b="$(date +%s.%N)" 'BEGIN { print status, b - a }' >"$dir/result"
}

# finish_case NAME: its line, its logs, and its clusters away. False: it is to be tried again.
finish_case() {
  local dir=$WORK/${1/\//.} status=1 seconds=0 again=''
  read -r status seconds <"$dir/result" || true
  if ((status != 0 && ${ATTEMPTS:-1} > 1)) && [[ ! ${TRIED[$1]:-} ]]; then
    again=1 TRIED[$1]=$(grep -v '^ *$' "$dir/case.log" | tail -n 1 | cut -c1-200)
    TRIED[$1]=${TRIED[$1]:-no word}
    printf 'again   %-52s %6.1f s\n' "$1" "$seconds"
  else
    result "$1" "$status" "$seconds"
    [[ $status != 0 || ! ${TRIED[$1]:-} ]] || SECOND+=("$1")
  fi
  ((status == 0)) || keep_logs "$dir" "${1/\//.}"
  drop_clusters "${1/\//.}"
  drop_idle
  [[ ! $again ]] || rm -rf "$dir"
  [[ ! $again ]]
}
declare -A TRIED=()

# drop_idle: a clean cluster is kept for a later case, but an idle control plane is not free: in a minute it takes the CPU that starting another one would.
drop_idle() {
  local clean cluster
  [[ -z ${KEEP:-} ]] || return 0
  while IFS= read -r clean; do
    rm "$clean" 2>/dev/null || continue # a case has just taken it
    cluster=$(dirname "$clean")
    cluster_down "$cluster"
    rm -rf "$cluster"
  done < <(find "$WORK" -maxdepth 2 -path '*/cluster-*/clean' -not -newermt '-60 seconds')
}

# run_cases LINE...: twice as many at once as there are CPUs, since a case waits much of its time; a real node counts as one and a half. Where the
# machine is idle all the same, more, one after the other. Those that may take longest come first, the real nodes' before all others; beside them
# whatever there is room for. Of the short ones the later files' come first: the first files have the shortest, which leave little of a tail.
run_cases() {
  local line pid room=$((2 * ${CASES:-$((2 * $(nproc)))})) taken=0 spare=0 cpu=() waiting=()
  local -A running=() weights=() begun=()
  if [[ $UNIT ]]; then
    unit_run "$UNIT" &
    running[$!]=unit weights[$!]=0
  fi
  [[ ${CASES:-} ]] || tick
  while IFS= read -r line; do
    waiting+=("$line")
  done < <(for line in "$@"; do printf '%s\t%s\n' "$(weight "$line")" "$line"; done | tac | sort -t$'\t' -s -k1,1nr -k4,4nr)
  while ((${#waiting[@]} + ${#running[@]})); do
    begin_one || reap
  done
}

# weight LINE: in halves of a case.
weight() {
  local name file
  IFS=$'\t' read -r name file _ <<<"$1"
  if [[ $(file_words "$file" needs) == *root-node* ]]; then echo 3; else echo 2; fi
}

# begin_one: the first of waiting (its weight, its line) that there is room for; false when there is room for none. All variables are run_cases'.
begin_one() {
  local i name file limit words cost
  for i in "${!waiting[@]}"; do
    cost=${waiting[$i]%%$'\t'*}
    ((taken == 0 || taken + cost <= room || spare)) || continue
    spare=0
    IFS=$'\t' read -r cost name file limit words <<<"${waiting[$i]}"
    mkdir -p "$WORK/${name/\//.}"
    run_case "$name" "$file" "$limit" &
    running[$!]=$name weights[$!]=$cost begun[$!]=${waiting[$i]}
    taken=$((taken + cost))
    unset "waiting[$i]"
    return 0
  done
  return 1
}

# tick: a moment from now it is seen whether the machine has something to spare. Variables as above.
tick() {
  read -r -a cpu </proc/stat
  sleep 3 &
  running[$!]=tick weights[$!]=0
}

# has_spare: a sixteenth of the CPUs since the last tick, and memory for one more.
has_spare() {
  local before=("${cpu[@]}") now field all=0
  read -r -a now </proc/stat
  for field in {1..8}; do all=$((all + now[field] - before[field])); done
  ((all > 0 && (now[4] - before[4]) * 16 >= all && taken < 8 * $(nproc))) &&
    awk '$1 == "MemAvailable:" { exit $2 < 4 * 1024 * 1024 }' /proc/meminfo
}

# reap: waits for one of running; it and the others are variables of the caller.
reap() {
  pid=''
  wait -n -p pid "${!running[@]}" || true
  [[ $pid ]] || fail 'cases got lost'
  taken=$((taken - weights[$pid]))
  case ${running[$pid]} in
    unit) unit_results ;;
    tick)
      if has_spare; then spare=1; fi
      ((${#waiting[@]} == 0)) || tick
      ;;
    *) finish_case "${running[$pid]}" || waiting=("${begun[$pid]}" "${waiting[@]}") ;;
  esac
  unset "running[$pid]" "weights[$pid]" "begun[$pid]"
}

# possible NAME FILE: whether this machine can run it; says why not.
possible() {
  local why
  [[ $(file_words "$2" needs) == *root-node* ]] || return 0
  ! why=$(node_possible) || return 0
  if [[ ${DRAWBRIDGE_E2E_NODE:-} == required ]]; then
    result "$1" 1 0
    printf '        a real node %s\n' "$why"
  else
    SKIPPED=$((SKIPPED + 1))
    printf 'skipped %-52s a real node %s\n' "$1" "$why"
  fi
  return 1
}

# keep_logs DIR NAME: what a failed case left, and the end of it on the screen.
keep_logs() {
  local cluster log
  rm -rf "${KEPT_LOGS:?}/$2"
  mkdir -p "$KEPT_LOGS/$2"
  cp -r "$1"/. "$KEPT_LOGS/$2/"
  for cluster in "$WORK"/cluster-*; do
    [[ -d $cluster && ! -f $cluster/clean && $(cat "$cluster/user") == "$2" ]] || continue
    mkdir -p "$KEPT_LOGS/$2/$(basename "$cluster")"
    cp -r "$cluster"/nodes "$KEPT_LOGS/$2/$(basename "$cluster")/"
  done
  for cluster in "$WORK/node-$2" "$WORK/node-$2"-*; do
    [[ -d $cluster ]] || continue
    mkdir -p "$KEPT_LOGS/$2/$(basename "$cluster")"
    cp -rL "$cluster"/{log,log-pods,etc-kubernetes/manifests,var-lib-kubelet/config.yaml} "$KEPT_LOGS/$2/$(basename "$cluster")/" 2>/dev/null || true
  done
  tail -n 15 "$1/case.log" | sed 's/^/        /'
  for log in "$1"/*.log; do
    [[ $log != "$1/case.log" ]] || continue
    printf '        --- %s\n' "$(basename "$log")"
    tail -n 6 "$log" | cut -c1-300 | sed 's/^/        /'
  done
  printf '        all of it: %s\n' "$KEPT_LOGS/$2"
}

# stop_cases: those that still run, when we are told to end before they have.
# shellcheck disable=SC2317,SC2086 # called by a trap; a list
stop_cases() {
  local pids
  pids=$(jobs -p)
  [[ $pids ]] || return 0
  kill $pids 2>/dev/null || true
  wait
}

# drop_clusters all|CASE: those that this case did not leave clean. A real node ends with its case.
drop_clusters() {
  local cluster clusters whose=$1
  [[ $1 != all ]] || whose='*'
  # shellcheck disable=SC2231 # a pattern
  for cluster in "$WORK"/node-$whose "$WORK"/node-$whose-*; do
    [[ -d $cluster ]] || continue
    node_down "$cluster"
    [[ -n ${KEEP:-} ]] || rm -rf "$cluster"
  done
  [[ -z ${KEEP:-} ]] || return 0
  clusters=("$WORK"/cluster-*)
  [[ $1 != all ]] || clusters+=("$WORK"/templates/v*)
  for cluster in "${clusters[@]}"; do
    [[ -d $cluster ]] || continue
    [[ $1 == all || (! -f $cluster/clean && $(cat "$cluster/user") == "$1") ]] || continue
    cluster_down "$cluster"
    rm -rf "$cluster"
  done
}

main() {
  local lines=() line name file limit words tools='' needs=''
  while IFS= read -r line; do lines+=("$line"); done < <(all_cases)
  if [[ $LIST ]]; then
    echo "unit/*  (ctest: unit and golden tests, fuzz corpora, lint)"
    for line in "${lines[@]}"; do
      IFS=$'\t' read -r name file limit words <<<"$line"
      if selected "$name"; then printf '%-40s %s\n' "$name" "$words"; fi
    done
    return 0
  fi
  install_packages "${INSTALL_RUN[@]}"
  if ((${#FILTERS[@]} == 0)) || [[ " ${FILTERS[*]}" == *" unit"* || " ${FILTERS[*]}" == *" test_"* || " ${FILTERS[*]}" == *" lint_"* ]]; then
    build
    install_packages "${INSTALL_LINT[@]}"
    install_clang_format
    UNIT=$(unit_wanted)
  fi
  local chosen=()
  for line in "${lines[@]}"; do
    IFS=$'\t' read -r name file limit words <<<"$line"
    selected "$name" || continue
    if ((${#FILTERS[@]} == 0)) && [[ $(file_words "$file" run) == 'by name' ]]; then
      printf 'left    %-52s it runs when it is named: ./e2e/test.sh %s\n' "$name" "$name"
      continue
    fi
    possible "$name" "$file" || continue
    chosen+=("$line")
    tools+=" $(file_words "$file" tools)"
    [[ $(file_words "$file" needs) != *root-node* ]] || needs=node
    [[ $(file_words "$file" needs) != *drawbridge* || -n ${DRAWBRIDGE:-} ]] || build
  done
  [[ ! $needs ]] || install_packages "${NODE_PACKAGES[@]}"
  if [[ $tools == *[a-z]* ]]; then
    # shellcheck disable=SC2046,SC2086 # lists
    tools_need etcd podrunner $(printf '%s\n' $tools | sort -u)
  fi
  [[ "${chosen[*]}" != *node/chart* ]] || say "node/chart: images $(images_how "$(images_way)")"
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/drawbridge-e2e.XXXXXX")
  export DRAWBRIDGE_E2E_OWNER=$$
  export CLUSTER_PKI=$WORK/pki CLUSTER_TEMPLATES=$WORK/templates
  export GOGC=${GOGC:-300} # a third of an API server's start is the collector's work; a third more memory saves an eighth of the whole
  trap 'stop_cases; drop_clusters all; [[ -n ${KEEP:-} ]] || rm -rf "$WORK"' EXIT
  trap 'exit 130' INT TERM
  run_cases "${chosen[@]}"
  [[ -z ${KEEP:-} ]] || say "kept: $WORK"
  tell_second
  [[ ! $UNIT_WORDS ]] || echo "$UNIT_WORDS"
  printf '%d passed, %d failed%s\n' "$PASSED" "$FAILED" "$( ((SKIPPED == 0)) || echo ", $SKIPPED skipped")"
  ((FAILED == 0 && ${#SECOND[@]} <= SECOND_MOST))
}

# tell_second: each case that passed at its second attempt, with the last words of its first; each is a defect to be mended.
tell_second() {
  local name
  for name in "${SECOND[@]}"; do
    printf 'at the second attempt: %s   the first ended with: %s   log: %s\n' "$name" "${TRIED[$name]}" "$KEPT_LOGS/${name/\//.}"
  done
  ((${#SECOND[@]} <= SECOND_MOST)) || printf 'FAILED  %d cases needed a second attempt, %d may\n' "${#SECOND[@]}" "$SECOND_MOST"
}

{ # one command, so that a change of this file meanwhile does no harm
  main
  exit
}

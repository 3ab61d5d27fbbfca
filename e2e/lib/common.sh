# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # used by whoever sources this
# What every script here needs: where things are, how to say something, how to give up.

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for whoever sources this
ROOT=$(dirname "$E2E")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/drawbridge

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  # shellcheck disable=SC2034
  BOLD='' RED='' GREEN='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }

fail() {
  printf '%serror:%s %s\n' "$RED" "$PLAIN" "$*" >&2
  exit 1
}

# with_progress WORDS... -- COMMAND...: runs it quietly, says how long it has taken every 20 s, shows the output's end if it fails.
with_progress() {
  local words=() log pid from=$SECONDS next=20
  while [[ $1 != -- ]]; do words+=("$1") && shift; done
  shift
  log=$(mktemp)
  printf '  %s ...\n' "${words[*]}"
  (trap - INT QUIT; "$@") >"$log" 2>&1 </dev/null & # it ends on Ctrl-C too, which a shell's background job would not
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    nap 0.2
    if ((SECONDS - from >= next)); then
      printf '    still at it after %d s: %s\n' $((SECONDS - from)) "$(tail -n1 "$log" | cut -c1-100)"
      next=$((next + 20))
    fi
  done
  if ! wait "$pid"; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    fail "${words[*]}: failed"
  fi
  rm -f "$log"
  printf '  %s: done in %d s\n' "${words[*]}" $((SECONDS - from))
}

exec {NEVER}<> <(:) # nothing ever comes
nap() { read -rt "$1" -u "$NEVER" _ || true; } # as sleep, but no process for it: many wait at once, and look several times a second

# rest SINCE WAITED: before one looks again; SINCE is EPOCHREALTIME of when the last look began, WAITED for how many seconds one has looked. A look costs
# the machine far more than what it asks about: the pause is six times as long as that look was, and a fifteenth of the whole; 0.4 s to 2 s.
rest() {
  local us=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) * 6))
  ((us >= $2 * 1000000 / 15)) || us=$(($2 * 1000000 / 15))
  ((us >= 400000)) || us=400000
  ((us <= 2000000)) || us=2000000
  printf -v us '%d.%06d' $((us / 1000000)) $((us % 1000000))
  nap "$us"
}

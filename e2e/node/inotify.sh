# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The programs of a node take some 20 inotify instances, of which the machine gives a user 128 unless told otherwise, and a kubelet that gets none
# does not start. So each node brings its own with it and takes them away again; they are no namespace's.

INOTIFY_LIMIT=/proc/sys/fs/inotify/max_user_instances
INOTIFY_NODE=64

# inotify_give NODE: NODE is SLOT-INDEX; what it has it does not get again.
inotify_give() {
  (
    flock 9
    [[ $(inotify_given "$1") ]] || { inotify_add $INOTIFY_NODE && cat /proc/sys/kernel/random/boot_id >"$(inotify_record "$1")"; }
  ) 9>"$(inotify_record lock)"
}

# inotify_take NODE
inotify_take() {
  (
    flock 9
    [[ ! $(inotify_given "$1") ]] || { inotify_add -$INOTIFY_NODE && rm "$(inotify_record "$1")"; }
  ) 9>"$(inotify_record lock)"
}

# inotify_take_slot SLOT: what nodes of it have left that were killed hard.
inotify_take_slot() {
  local record
  for record in "$(inotify_record "$1")"-*; do inotify_take "${record##*/inotify-}"; done
}

inotify_record() { echo "${TMPDIR:-/tmp}/drawbridge-ports-$UID/inotify-$1"; }
inotify_given() { grep -sxFf /proc/sys/kernel/random/boot_id "$(inotify_record "$1")"; } # since the machine was booted
inotify_add() { echo $(($(<$INOTIFY_LIMIT) + $1)) 2>/dev/null >$INOTIFY_LIMIT; }

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The node's own cgroup, in every hierarchy that there is (one of version 2, or one for each controller of version 1).

# cgroups_roots [all]: all: with the hierarchy of version 2 beside those of version 1, where runc makes directories too.
cgroups_roots() {
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then echo /sys/fs/cgroup; else
    local root
    for root in /sys/fs/cgroup/*/; do
      root=${root%/}
      [[ -L $root || ! -f $root/cgroup.procs ]] && continue
      [[ -z ${1:-} && $root == */unified ]] || echo "$root"
    done
  fi
}

# A node's cgroup is named after it: NAME is drawbridge-node-SLOT of the first one, drawbridge-node-SLOT-INDEX of those that joined it.

# cgroups_of_slot SLOT: names of those that are there
cgroups_of_slot() {
  local root
  for root in $(cgroups_roots all); do
    find "$root" -maxdepth 1 -type d \( -name "drawbridge-node-$1" -o -name "drawbridge-node-$1-*" \) -printf '%f\n'
  done | sort -u
}

# cgroups_make NAME
cgroups_make() {
  local root dir file
  for root in $(cgroups_roots); do
    for dir in "$root/$1" "$root/$1/system"; do
      mkdir -p "$dir" || return 1
      for file in cpuset.cpus cpuset.mems; do # of version 1: empty ones admit nobody
        [[ ! -f $dir/$file || -f $dir/cgroup.controllers || -n $(cat "$dir/$file") ]] || cat "${dir%/*}/$file" >"$dir/$file"
      done
      if [[ -f ${dir%/*}/cgroup.subtree_control ]]; then
        sed 's/\</+/g' "${dir%/*}/cgroup.controllers" >"${dir%/*}/cgroup.subtree_control" 2>/dev/null
      fi
    done
  done
  return 0
}

# cgroups_enter NAME PID
cgroups_enter() {
  local root
  for root in $(cgroups_roots); do echo "$2" >"$root/$1/system/cgroup.procs"; done
}

# cgroups_remove NAME: as soon as nothing runs in them.
cgroups_remove() {
  local root top
  for root in $(cgroups_roots all); do
    top=$root/$1
    for _ in {1..100}; do
      [[ ! -d $top ]] && break
      find "$top" -depth -type d -exec rmdir {} + 2>/dev/null
      [[ ! -d $top ]] || sleep 0.1
    done
  done
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# An upgrade while DRA is on: each instance is judged by its own version.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.34/kube-apiserver 1.34/kube-controller-manager 1.34/kube-scheduler 1.36/kube-apiserver 1.36/kube-controller-manager 1.36/kube-scheduler 1.36/kubelet 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubelet

# shellcheck source=../lib/upgrade.sh
source "$E2E/lib/upgrade.sh"

# serves_not VERSION: the API server is ready (while it starts, groups come in one by one), and does not have it.
serves_not() {
  local versions
  api -f -o /dev/null "$API/readyz" || return 1
  versions=$(served) && [[ " $versions " != *" $1 "* ]]
}
flag_of() { tr '\0' '\n' <"/proc/$(pid_of "$1")/cmdline" | grep -E "^--$2" || true; }

# case: 1.33 to 1.34 to 1.36, one component after the other: v1beta1 is served as long as a client of 1.33 lives, and goes after that; on to 1.37, where nothing is left to write
# timeout: 1200
case_one_after_the_other() {
  use_cluster 1.33 kubelet
  start_both
  dra_on dra
  eventually 300 condition_is dra Ready True
  local component minor
  for minor in 1.34 1.36; do
    for component in "${CONTROL_PLANE[@]}"; do
      upgrade "$component" "$minor"
      never_within 3 serves_not v1beta1
      eventually 300 dra_is_on # what a new minor has by default may be taken out, which restarts it
      eventually 240 settled dra
    done
    eventually 40 upload_config "$minor" # as kubeadm, which tries again when somebody else has just written it
  done
  note 'the last client of 1.33 is the kubelet'
  assert_match "$(flag_of kube-apiserver runtime-config)" 'resource.k8s.io/v1beta1=true'
  upgrade_kubelet 1.36
  eventually 240 served_is v1
  eventually 360 settled dra # watches that lost the API server three times within two minutes come back after up to half a minute
  nothing_is_left
  assert dra_is_on

  for component in "${CONTROL_PLANE[@]}"; do upgrade "$component" 1.37; done
  eventually 40 upload_config 1.37
  upgrade_kubelet 1.37
  eventually 240 settled dra
  nothing_is_left
  assert_equal "$(served)" v1 'versions of resource.k8s.io'
  assert dra_is_on
  assert_match "$(conditions dra)" 'Ready=True DefaultOn'
}

nothing_is_left() {
  local component
  assert_equal "$(flag_of kube-apiserver runtime-config)" '' 'runtime-config that is no longer needed'
  for component in "${CONTROL_PLANE[@]}"; do assert_equal "$(flag_of "$component" feature-gates)" '' "gates of $component that are the default"; done
}

# case: Upgradeable on 1.36 names a gate in somebody's flag that 1.37 does not have; the API server of 1.37 ends with it and, as soon as it is taken out, starts
# timeout: 480
case_told_before() {
  local gate=OrderedNamespaceDeletion
  use_cluster 1.36 kubelet
  start_both
  dra_on dra
  eventually 80 condition_is dra Ready 'True DefaultOn'
  eventually 20 condition_is dra Upgradeable True
  edit kube-apiserver "s/^(    - )kube-apiserver\$/&\n\1--feature-gates=$gate=true/"
  eventually 120 condition_is dra Upgradeable False
  note "$(condition_message dra Upgradeable)"
  assert_match "$(condition_message dra Upgradeable)" "$gate"
  edit kube-apiserver "s/^(    image: .*):v.*$/\1:$(tools_version 1.37)/"
  eventually 60 gives_up kube-apiserver "$gate"
  refuse pid_of kube-apiserver
  edit kube-apiserver "/$gate/d"
  eventually 120 runs kube-apiserver "$(tools_version 1.37)"
  eventually 240 settled dra
  assert dra_is_on
}

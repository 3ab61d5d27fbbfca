# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by cases
# What the cases that upgrade a cluster of processes have in common.

# upload_config MINOR: as kubeadm upgrade does once the control plane is new.
upload_config() {
  local text
  text=$(kubectl get configmap -n kube-system kubeadm-config -o json |
    jq --arg version "$(tools_version "$1")" '.data.ClusterConfiguration |= sub("kubernetesVersion: .*?\n"; "kubernetesVersion: \($version)\n")')
  kubectl replace -f - <<<"$text" >/dev/null
}

# upgrade COMPONENT MINOR: the image of its static pod, as kubeadm upgrade would write it.
upgrade() {
  local version
  version=$(tools_version "$2")
  note "upgrade $1 to $version"
  edit "$1" "s/^(    image: .*):v.*$/\1:$version/"
  eventually 120 runs "$1" "$version"
  eventually 240 settled dra
}

runs() { [[ $(metrics "$1" | grep '^kubernetes_build_info{') == *git_version=\"$2\"* ]]; }

# upgrade_kubelet MINOR
upgrade_kubelet() {
  note "upgrade the kubelet to $(tools_version "$1")"
  tools_version "$1" >"$NODE/kubelet/version"
  "$NODE/restart-kubelet"
  eventually 60 runs kubelet "$(tools_version "$1")"
}

# gives_up COMPONENT GATE: it has ended with these words.
gives_up() { grep -rqs "unrecognized feature gate: $2" "$NODE"/log/pods/kube-system_"$1"-cp-1_*; }

# kubeadm_manifests VERSION FILE DIR: what that kubeadm writes as static pods of this ClusterConfiguration. It has one place for them, which is DIR for it.
kubeadm_manifests() {
  local map=()
  ((UID == 0)) || map=(--map-root-user)
  mkdir -p "$3.etc"
  # shellcheck disable=SC2016 # of the inner shell
  unshare --mount "${map[@]}" bash -c 'mount --bind "$3.etc" /etc && exec "$1" init phase control-plane all --config "$2"' - "$TOOLS_BIN/$1/kubeadm" "$2" "$3" || return 1
  cp "$3.etc/kubernetes/manifests"/*.yaml "$3"
}

# kubeadm_anew MINOR: the static pods that this kubeadm writes from kubeadm-config, into $CASE_DIR/anew.
kubeadm_anew() {
  rm -rf "$CASE_DIR/anew" "$CASE_DIR/anew.etc"
  mkdir -p "$CASE_DIR/anew"
  kubectl get configmap -n kube-system kubeadm-config -o json | jq -r .data.ClusterConfiguration |
    sed -E 's/^(    value: )([0-9]+|true|false)$/\1"\2"/' >"$CASE_DIR/cluster.yaml" # texts, as kubeadm itself writes them
  kubeadm_manifests "$(tools_version "$1")" "$CASE_DIR/cluster.yaml" "$CASE_DIR/anew" >"$CASE_DIR/kubeadm.log" 2>&1 || die "kubeadm: $(tail -n 3 "$CASE_DIR/kubeadm.log")"
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The table of gates and its verdicts against the binaries themselves.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubelet 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubelet

same_verdicts() {
  local version
  version=$(tools_version "$1")
  DRAWBRIDGE_E2E_BIN=$TOOLS_BIN "$E2E/gates-binaries.sh" "${version#v}"
}

# case: what is written by hand beside the registries lacks nothing of any minor; a table that does is refused with what is missing
case_written_by_hand() {
  local said=$CASE_DIR/said dra=$CASE_DIR/dra.yaml
  install_go
  "$E2E/tools/gates/update.sh" --check >"$said" || die "update.sh --check: $(cat "$said")"
  assert grep -q '^1.38, as in 1.38.0-beta.0: 17 gates came$' "$said"
  sed '/^  DRADerivedAttributes:/,/read_by/d' "$ROOT/operator/gates/data/dra.yaml" >"$dra"
  refuse go -C "$E2E/tools/gates/check" run . "$ROOT/operator/gates/data/gates.yaml" "$dra" "$ROOT/operator/gates/data/features.yaml" >"$said" 2>&1
  assert grep -q 'dra.yaml: DRADerivedAttributes has no read_by for 1.38' "$said"
}

# case: every flag that the table refuses for 1.33 is refused by its binaries, what it takes is taken, and the gates they list are the table's
# timeout: 1800
case_binaries_of_1_33() { same_verdicts 1.33; }

# case: the same for 1.37
# timeout: 1800
case_binaries_of_1_37() { same_verdicts 1.37; }

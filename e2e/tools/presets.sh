#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Holds the presets of drivers (operator/driver/data/presets.yaml) against the vendors' charts.
# usage: presets.sh [--install] DIR [PRESET...]
#   DIR/PRESET is the chart of that preset, unpacked. Each is rendered by the real helm as Drawbridge would install it, for Kubernetes 1.33, 1.34, 1.36, 1.37 and
#   a newer one, and what comes out is compared with the preset: DeviceClasses and their version, drivers, the plugin's DaemonSet and the nodes it picks,
#   the values that turn something off.
#   --install: also into the cluster of $KUBECONFIG (a real API server, nothing else is needed), and out again. For a throw-away cluster.
# HELM names the program. Exit code 1: something differs.
set -euo pipefail
INSTALL=''
if [[ ${1:-} == --install ]]; then
  INSTALL=1
  shift
fi
DIR=${1:?"usage: presets.sh [--install] DIR [PRESET...]"}
shift
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HELM=${HELM:-helm}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export HELM_CACHE_HOME=$WORK/helm HELM_CONFIG_HOME=$WORK/helm HELM_DATA_HOME=$WORK/helm HELM_NO_PLUGINS=1
WRONG=0
declare -A TOLD=()

# A chart that prints its values, and one that prints a manifest's documents, as JSON: helm reads YAML, and so nothing else has to.
mkdir -p "$WORK/values/templates" "$WORK/documents/templates"
printf 'apiVersion: v2\nname: x\nversion: 1.0.0\n' | tee "$WORK/values/Chart.yaml" >"$WORK/documents/Chart.yaml"
echo '#JSON{{ toJson .Values }}' >"$WORK/values/templates/all.yaml"
cat >"$WORK/documents/templates/all.yaml" <<'END'
{{ range splitList "\n---" (print "\n" (.Files.Get "manifest")) }}{{ with fromYaml . }}
#JSON{{ toJson . }}{{ end }}{{ end }}
END

values_json() { "$HELM" template x "$WORK/values" -f "$1" | sed -n 's/^#JSON//p'; }
documents_json() {
  cp "$1" "$WORK/documents/manifest"
  "$HELM" template x "$WORK/documents" | sed -n 's/^#JSON//p' | jq -s .
}

PRESETS=$(values_json "$ROOT/operator/driver/data/presets.yaml")

wrong() { # once for a preset, not for each version
  [[ ! ${TOLD[$NAME: $*]:-} ]] || return 0
  TOLD[$NAME: $*]=1
  echo "  WRONG $*"
  WRONG=1
}

# of the preset in hand
get() { jq -r "$1 // empty" <<<"$PRESET"; }

# names LIST VALUES: names of the preset's list that these values leave on.
names() {
  jq -r --arg list "$1" --argjson values "$2" '(.[$list] // [])[] | . as $e |
    (if .value then ($values | getpath($e.value[1:] / "/")) else true end) as $v |
    select(if $v == null then $e.default else $v end) | .name' <<<"$PRESET" | sort
}

# values API: what Drawbridge gives the chart.
preset_values() {
  jq -c --arg api "$1" '(.values // {}) * (if $api == "v1" then {} else .valuesBeforeV1 // {} end) * (if .apiValue then {(.apiValue): "resource.k8s.io/\($api)"} else {} end)' <<<"$PRESET"
}

# chart: a copy of it whose subcharts are not asked for when they are not there.
copy_chart() {
  local chart=$WORK/chart
  rm -rf "$chart"
  cp -r "$DIR/$NAME" "$chart"
  if grep -q '^dependencies:' "$chart/Chart.yaml" && [[ ! -d $chart/charts ]]; then
    sed -i '/^dependencies:/,/^[^ -]/{/^dependencies:/d;/^[ -]/d}' "$chart/Chart.yaml"
    rm -f "$chart/Chart.lock"
    echo '  without its subcharts'
  fi
}

# render VERSION VALUES: the documents as JSON; 1: helm refuses.
render() {
  "$HELM" template "$(get .release)" "$WORK/chart" -n "$(get .namespace)" --kube-version "$1" -f - <<<"$2" >"$WORK/manifest" 2>"$WORK/error" || return 1
  documents_json "$WORK/manifest"
}

check_classes() { # DOCUMENTS VALUES
  local made wanted
  made=$(jq -r '.[] | select(.kind == "DeviceClass") | .metadata.name' <<<"$1" | sort)
  wanted=$(names classes "$2")
  [[ $made == "$wanted" ]] || wrong "classes: the chart makes ${made//$'\n'/, }; the preset says ${wanted//$'\n'/, }"
}

check_api() { # DOCUMENTS API
  local made
  made=$(jq -r '.[] | select(.kind == "DeviceClass") | .apiVersion' <<<"$1" | sort -u)
  [[ ! $made || $made == resource.k8s.io/v* ]] || wrong "a DeviceClass of apiVersion $made"
  [[ ! $made || ! $(get .api) || $made == "resource.k8s.io/$(get .api)" ]] || wrong "api: the chart writes $made"
  [[ ! $made || ! $(get .apiValue) || $made == "resource.k8s.io/$2" ]] || wrong "apiValue: $made and not resource.k8s.io/$2"
}

# shellcheck disable=SC2016 # jq's
PLUGINS='[.[] | select(.kind == "DaemonSet")] | . as $all |
  [.[] | select($plugin != "" and (.metadata.name | contains($plugin)))] as $named |
  [.[] | select([.spec.template.spec.volumes[]?.hostPath.path // "" | test("/plugins_registry/?$")] | any)] as $registering |
  if $named != [] then $named elif $registering != [] then $registering elif $plugin == "" then $all else [] end'

check_plugin() { # DOCUMENTS
  local sets labels keys label picks
  sets=$(jq -c --arg plugin "$(get .plugin)" "$PLUGINS" <<<"$1")
  [[ $sets != '[]' ]] || wrong 'no DaemonSet is the plugin'
  keys=$(jq -r '[.[].spec.template.spec | (.nodeSelector // {} | to_entries[] | "\(.key)=\(.value)", .key),
    (.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[]?.matchExpressions[]? | .key, "\(.key)=\(.values[]?)")] | unique[]' <<<"$sets")
  labels=$(get '.nodeLabels | join("\n")' 2>/dev/null || true)
  while read -r label; do
    [[ ! $label ]] || grep -qxF -- "$label" <<<"$keys" || wrong "nodeLabels: the chart does not look for $label"
  done <<<"$labels"
  picks=${keys:+yes}
  [[ ! $picks || $labels ]] || wrong "nodeLabels: the chart picks nodes by ${keys//$'\n'/, }"
  [[ $picks || ! $labels ]] || wrong 'nodeLabels: the chart picks no nodes'
}

check_drivers() { # VALUES: each name stands in what was rendered, or in the chart itself
  local driver
  while read -r driver; do
    [[ ! $driver ]] || grep -qrF -- "$driver" "$WORK/manifest" "$WORK/chart" || wrong "drivers: $driver is nowhere in the chart"
  done < <(names drivers "$1")
}

# Each value that the preset says decides about something does, and has the default that the preset says.
check_values() { # API
  local defaults line pointer default is off classes
  defaults=$(values_json "$WORK/chart/values.yaml")
  while IFS=$'\t' read -r pointer default; do
    is=$(jq -c --arg p "$pointer" 'getpath($p[1:] / "/")' <<<"$defaults")
    [[ $is == "$default" || $is == null ]] || wrong "$pointer is $is in the chart's values, and $default in the preset"
    [[ $is != null ]] || wrong "$pointer is no value of the chart"
    off=$(jq -c --arg p "$pointer" 'setpath($p[1:] / "/"; false)' <<<"$(preset_values "$1")")
    if line=$(render v1.37.0 "$off"); then
      classes=$(jq -r '.[] | select(.kind == "DeviceClass") | .metadata.name' <<<"$line" | sort)
      [[ $classes == "$(names classes "$off")" ]] || wrong "$pointer false leaves the classes ${classes//$'\n'/, }"
    fi
  done < <(jq -r '[(.drivers // [])[], (.classes // [])[]] | map(select(.value) | [.value, (.default | tostring)]) | unique[] | @tsv' <<<"$PRESET")
}

# check_install: made by helm in a real API server, looked at, and taken out again.
check_install() {
  local release namespace api values minor
  release=$(get .release) namespace=$(get .namespace) minor=$(kubectl get --raw /version | jq -r '.minor | gsub("[^0-9]"; "")')
  if [[ $(get .kubernetes) ]] && ((minor < $(get .kubernetes | cut -d. -f2))); then
    echo "  not installed: 1.$minor is too old"
    return
  fi
  api=$(kubectl get --raw /apis/resource.k8s.io | jq -r '[.versions[].version] | if index("v1") then "v1" elif index("v1beta2") then "v1beta2" else "v1beta1" end')
  values=$(preset_values "$api")
  kubectl create namespace "$namespace" >/dev/null 2>&1 || true
  if ! "$HELM" upgrade --install "$release" "$WORK/chart" -n "$namespace" -f - <<<"$values" >/dev/null 2>"$WORK/error"; then
    wrong "is not installed ($api): $(tail -n1 "$WORK/error")"
  else
    echo "  installed and taken out again ($api, $(kubectl get --raw /version | jq -r .gitVersion)): $(kubectl get daemonsets -A -o json |
      jq -r --arg r "$release" '[.items[] | select(.metadata.annotations["meta.helm.sh/release-name"] == $r) | "\(.metadata.namespace)/\(.metadata.name)"] | join(", ")')"
  fi
  "$HELM" uninstall "$release" -n "$namespace" >/dev/null 2>&1 || true
}

check_preset() {
  local minor oldest api documents values line='' chart version
  if [[ ! -f $DIR/$NAME/Chart.yaml ]]; then
    echo "$NAME: no chart in $DIR, not checked"
    return
  fi
  echo "$NAME: $(sed -n 's/^name: *//p' "$DIR/$NAME/Chart.yaml" | tr -d '"') $(sed -n 's/^version: *//p' "$DIR/$NAME/Chart.yaml" | tr -d '"'); the preset has $(get .chart.version)"
  chart=$(sed -n 's/^name: *//p' "$DIR/$NAME/Chart.yaml" | tr -d '"')
  jq -e --arg name "$chart" '.chartNames | index($name)' <<<"$PRESET" >/dev/null || wrong "chartNames: the chart is called $chart"
  copy_chart
  oldest=$(get .kubernetes)
  for minor in 33 34 36 37 99; do
    version=v1.$minor.0 api=v1
    ((minor > 33)) || api=v1beta1
    if [[ $oldest ]] && ((minor < ${oldest#1.})); then
      line+=" 1.$minor: too old;"
      continue
    fi
    values=$(preset_values "$api")
    if ! documents=$(render "$version" "$values"); then
      wrong "1.$minor: $(tail -n1 "$WORK/error")"
      continue
    fi
    line+=" 1.$minor: $(jq length <<<"$documents") objects;"
    check_classes "$documents" "$values"
    check_api "$documents" "$api"
    check_plugin "$documents"
    check_drivers "$values"
    ! jq -e --arg n "$(get .namespace)" 'any(.[]; .kind == "Namespace" and .metadata.name == $n)' <<<"$documents" >/dev/null ||
      wrong 'namespace: the chart makes it itself'
  done
  echo "  rendered:$line"
  check_values v1
  [[ ! $INSTALL ]] || check_install
}

while read -r NAME; do
  (($# == 0)) || [[ " $* " == *" $NAME "* ]] || continue
  PRESET=$(jq -c --arg name "$NAME" '.presets[] | select(.name == $name)' <<<"$PRESETS")
  check_preset
done < <(jq -r '.presets[].name' <<<"$PRESETS")
exit "$WRONG"

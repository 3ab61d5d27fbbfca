# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# The driver: charts by the real helm, releases, readiness, the smoke test, and the way out. Nodes and pods are kwok's.
# needs: drawbridge
# tools: helm kwok 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl

# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"

# case: a chart as .tgz: installed as the account, pods and devices waited for, a claim tested; a second pass makes no revision, other values make one; and out again
# timeout: 800
case_archive() {
  local chart
  use_driver_cluster 1.33 dra
  edit kube-apiserver -e '/--runtime-config=/s/$/,resource.k8s.io\/v1beta2=true/'
  eventually 120 served_is 'v1beta1 v1beta2'
  chart=$(pack_chart)
  fake_node gpu-1
  start_driver_controller --smoke-test-timeout 10s
  SPEC_MORE='smokeTest: {enabled: true, deviceClassName: gpu.example.com}' driver_on dra "chart: {path: $chart}" 'release: gpu' 'namespace: gpu' 'values: {thing: true}'
  eventually 120 condition_is dra DevicesPublished 'False NoResourceSlices'
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  assert release_is gpu gpu deployed
  assert kubectl get thing gpu
  assert_equal "$(kubectl get namespace gpu -o jsonpath='{.metadata.labels.pod-security\.kubernetes\.io/enforce}')" privileged
  assert condition_is dra SmokeTestPassed 'False WaitingForDevices'
  assert condition_is dra Ready False
  fake_slice gpu-1 gpu.example.com 8
  eventually 120 condition_is dra SmokeTestPassed True
  eventually 60 condition_is dra Ready True
  assert_match "$(condition_message dra SmokeTestPassed)" '\(resource.k8s.io/v1beta2\) of gpu.example.com got gpu-[0-7] .* ran on gpu-1'
  assert_match "$(kubectl get dracfg dra)" 'gpu +8 +True'
  assert_equal "$(dracfg dra | jq -c .status.devices)" '{"devices":8,"drivers":["gpu.example.com"],"nodes":1,"resourceSlices":1}'
  assert_equal "$(dracfg dra | jq -r '.status.driver | "\(.chart) \(.version)"')" 'test-driver 0.1.0'
  eventually 60 nothing_of_the_test
  note "$(conditions dra)"

  note 'no new revision without a reason, also by a fresh process'
  request_pass dra
  eventually 40 handled dra
  kill_hard "$CONTROLLER"
  start_driver_controller --smoke-test-timeout 10s
  request_pass dra
  eventually 120 handled dra
  eventually 60 condition_is dra Ready True
  assert_equal "$(revisions gpu gpu)" 1 revisions

  note 'other values make one, also those of a ConfigMap and a Secret'
  kubectl create configmap base --from-literal=values.yaml='env: [{name: WORD, value: lost}]' >/dev/null
  kubectl create secret generic more --from-literal=word='env: [{name: WORD, value: given}]' >/dev/null
  spec_driver dra '{"valuesFrom":[{"kind":"ConfigMap","name":"base"},{"kind":"Secret","name":"more","key":"word"}]}'
  eventually 120 has_env given
  eventually 120 condition_is dra Ready True
  assert_equal "$(revisions gpu gpu)" 2 revisions
  kubectl create secret generic more --from-literal=word='env: [{name: WORD, value: changed}]' --dry-run=client -o yaml | kubectl apply -f - >/dev/null 2>&1
  eventually 120 has_env changed
  eventually 120 condition_is dra Ready True
  assert_equal "$(revisions gpu gpu)" 3 revisions

  note 'a test that fails is cleaned up too'
  kubectl create -f - >/dev/null <<<'{"apiVersion":"resource.k8s.io/v1beta1","kind":"DeviceClass","metadata":{"name":"none.example.com"},
    "spec":{"selectors":[{"cel":{"expression":"false"}}]}}'
  patch_at "$(dracfg_at dra)" '{"spec":{"smokeTest":{"deviceClassName":"none.example.com"}}}'
  eventually 120 condition_is dra SmokeTestPassed 'False ClaimNotAllocated'
  assert_match "$(condition_message dra SmokeTestPassed)" 'cannot allocate all claims'
  eventually 60 nothing_of_the_test
  patch_at "$(dracfg_at dra)" '{"spec":{"smokeTest":{"deviceClassName":"gpu.example.com"}}}'
  eventually 120 condition_is dra SmokeTestPassed True

  note 'pods that cannot be made are told of with the words of their event'
  spec_driver dra '{"values":{"privileged":true}}'
  eventually 120 condition_is dra Ready True
  kubectl label namespace gpu pod-security.kubernetes.io/enforce=baseline --overwrite >/dev/null
  kubectl delete pods -n gpu --all --force --grace-period=0 >/dev/null 2>&1
  eventually 120 condition_is dra DriverReady 'False PodsNotCreated'
  assert_match "$(condition_message dra DriverReady)" 'violates PodSecurity'
  eventually 60 condition_is dra DevicesPublished 'False NoResourceSlices'
  kubectl label namespace gpu pod-security.kubernetes.io/enforce=privileged --overwrite >/dev/null
  kubectl annotate daemonset -n gpu gpu-kubelet-plugin look=again >/dev/null # else it is tried again later and later
  eventually 120 condition_is dra Ready True

  note 'the users claims first, then the release'
  claim_pod holder
  eventually 60 claim_allocated holder
  patch_at "$(dracfg_at dra)" '[{"op":"remove","path":"/spec/driver"},{"op":"remove","path":"/spec/smokeTest"}]'
  eventually 60 condition_is dra DriverReady 'False ClaimsInUse'
  assert_match "$(condition_message dra DriverReady)" 'default/holder'
  assert release_is gpu gpu deployed
  kubectl delete pod holder --force --grace-period=0 >/dev/null 2>&1
  kubectl delete resourceclaim holder >/dev/null
  eventually 120 no_release gpu gpu
  eventually 60 condition_is dra DriverReady 'False DriverNotRequested'
  assert_equal "$(dracfg dra | jq -c '.status.driver // "none"')" '"none"'
  eventually 40 condition_is dra Ready True
  none_of deviceclass gpu.example.com || die 'the DeviceClass is still there'
}

has_env() { # a look in vain starts no jq
  local set
  set=$(api -f "$API/apis/apps/v1/namespaces/gpu/daemonsets/gpu-kubelet-plugin") && [[ $set == *"\"value\":\"$1\""* ]] && [[ $(jq -r '.spec.template.spec.containers[0].env[]?.value' <<<"$set") == "$1" ]]
}


nothing_of_the_test() { [[ -z $(kubectl get pods,resourceclaims -n drawbridge-smoke-test -l app.kubernetes.io/managed-by=drawbridge -o name) ]]; }


# refused REASON PATTERN JSON: spec.driver with this change is refused so, and nothing of it is made.
refused() {
  note "$1"
  spec_driver dra "$3"
  eventually 80 condition_is dra DriverReady "False $1"
  assert_match "$(condition_message dra DriverReady)" "$2"
  assert no_release "${4:-gpu}" gpu
  none_of deviceclass gpu.example.com || die 'a DeviceClass was made'
}

# case: what cannot be installed is a reason with words, and nothing of it is made: values, the chart's own refusal, schema, pod security, accounts, names, owners
# timeout: 480
case_refused() {
  local chart
  use_driver_cluster 1.33 dra
  chart=$(pack_chart)
  fake_node gpu-1
  start_driver_controller
  driver_on dra "chart: {path: $chart}" 'release: gpu' 'namespace: gpu' 'values: {refuse: no such luck}'
  refused ChartRejected 'no such luck' '{}'
  refused ValuesInvalid 'driverName' '{"values":{"refuse":null,"driverName":"NOT A NAME"}}'
  refused ValuesNotFound 'Secret more, key values.yaml is not there' '{"values":{"driverName":null},"valuesFrom":[{"kind":"Secret","name":"more"}]}'
  kubectl create secret generic more --from-literal=values.yaml=$'a: 1\nb: [' >/dev/null
  refused ValuesInvalid 'Secret more, key values.yaml:3:1:' '{}'
  kubectl create namespace strict >/dev/null
  kubectl label namespace strict pod-security.kubernetes.io/enforce=baseline >/dev/null
  refused NamespaceNotPrivileged 'strict enforces pod security baseline' '{"valuesFrom":null,"namespace":"strict"}' strict
  refused DriverForbidden 'impersonate' '{"namespace":"gpu","serviceAccountName":"somebody"}'
  # may read releases and make a DeviceClass, and no more: without a dry run first helm would stop half way
  refused DriverForbidden 'DaemonSet gpu-kubelet-plugin: .*cannot patch resource .daemonsets' '{"serviceAccountName":"weak"}'
  note 'a chart that takes all memory, and one that is nowhere near --chart-root'
  mkdir -p "$CASE_DIR/bomb/templates"
  printf 'apiVersion: v2\nname: bomb\nversion: 1.0.0\n' >"$CASE_DIR/bomb/Chart.yaml"
  echo '{{ repeat 600000000 "x" }}' >"$CASE_DIR/bomb/templates/all.yaml"
  helm_run package "$CASE_DIR/bomb" --destination "$CASE_DIR/charts" >/dev/null
  refused LimitReached 'more than 256 MiB of memory' "{\"serviceAccountName\":\"installer\",\"chart\":{\"path\":\"$CASE_DIR/charts/bomb-1.0.0.tgz\"}}"
  refused InvalidConfiguration 'outside of --chart-root' '{"chart":{"path":"/etc/passwd"}}'
  # in one change: in between it would be installed
  refused PresetUnknown 'there are NVIDIA' "{\"chart\":{\"path\":\"$chart\"},\"preset\":\"Nvidia\"}"
  refused NotSupported 'ApplicationInstallation' '{"preset":null,"engine":"ApplicationInstallation"}'
  kubectl create -f - >/dev/null <<<'{"apiVersion":"resource.k8s.io/v1beta1","kind":"DeviceClass","metadata":{"name":"gpu.example.com"},"spec":{}}'
  spec_driver dra '{"engine":null}'
  eventually 80 condition_is dra DriverReady 'False DriverOwnedElsewhere'
  assert no_release gpu gpu
  kubectl delete deviceclass gpu.example.com >/dev/null
  eventually 120 condition_is dra DriverReady 'True AsExpected'

  note 'a release of somebody else is left alone'
  helm_run install theirs "$chart" --namespace theirs --create-namespace --set driverName=gpu.theirs.com >/dev/null
  spec_driver dra '{"release":"theirs","namespace":"theirs","values":{"driverName":"gpu.theirs.com"}}'
  eventually 120 condition_is dra DriverReady 'False DriverOwnedElsewhere'
  assert_match "$(condition_message dra DriverReady)" 'somebody else installed'
  assert_equal "$(revisions theirs theirs)" 1 'revisions of theirs'
  assert no_release gpu gpu # it was replaced
}

# case: presets.sh holds a preset against an unpacked chart, and finds what differs
case_presets_tool() {
  local dir=$CASE_DIR/charts
  mkdir -p "$dir"
  cp -r "$E2E/driver/shapes" "$dir/Example"
  sed -i 's/^name: .*/name: dra-example-driver/' "$dir/Example/Chart.yaml"
  sed -i 's/gpu.shapes.com/gpu.example.com/' "$dir/Example/values.yaml"
  presets_say 0 'rendered: 1.33: 2 objects; 1.34: 2 objects; 1.36: 2 objects'
  sed -i -e 's/gpu.example.com/gpu.other.com/' -e 's/^nodeSelector: {}/nodeSelector: {has: gpu}/' "$dir/Example/values.yaml"
  sed -i 's/^name: .*/name: another/' "$dir/Example/Chart.yaml"
  presets_say 1 'WRONG chartNames: the chart is called another'
  assert_match "$SAID" 'WRONG classes: the chart makes gpu.other.com; the preset says gpu.example.com'
  assert_match "$SAID" 'WRONG drivers: gpu.example.com is nowhere in the chart'
  assert_match "$SAID" 'WRONG nodeLabels: the chart picks nodes by has, has=gpu'
}

# presets_say STATUS WORDS: sets SAID.
presets_say() {
  local rc=0
  SAID=$(HELM=$HELM "$E2E/tools/presets.sh" "$CASE_DIR/charts" Example) || rc=$?
  assert_equal "$rc" "$1" status
  assert_match "$SAID" "$2"
}

# case: shapes that charts have: a field that the API version lacks, no DaemonSet, a doubled key, sets without labels and one beside the plugin, no node selection, a namespace of its own that an earlier try left
# timeout: 300
case_shapes() {
  local chart
  use_driver_cluster 1.33 dra
  chart=$(pack_shapes)
  fake_node gpu-1
  fake_node cpu-1
  kubectl taint node cp-1 no=driver:NoSchedule >/dev/null # it has no kubelet
  start_driver_controller
  driver_on dra "chart: {path: $chart}" 'release: shapes' 'namespace: shapes' 'values: {extended: true}'
  eventually 80 condition_is dra DriverReady 'False ChartRejected'
  assert_match "$(condition_message dra DriverReady)" 'extendedResourceName: field not declared in schema'
  assert no_release shapes shapes

  note 'nothing of the driver is turned on'
  spec_driver dra '{"values":{"extended":false,"enabled":false}}'
  eventually 120 condition_is dra DriverReady 'False NoDaemonSet'
  assert release_is shapes shapes deployed
  assert_match "$(condition_message dra DriverReady)" 'set the value of the chart that turns its driver on'
  assert condition_is dra DevicesPublished 'False NoResourceSlices'
  refuse grep -q logs <<<"$(condition_message dra DevicesPublished)"

  note 'a doubled key, a set beside the plugin, and nodes without devices'
  fake_slice gpu-1 gpu.shapes.com 4
  spec_driver dra '{"values":{"enabled":true,"doubled":true,"beside":true,"besideSelector":{"no":"such"}}}'
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  assert_match "$(condition_message dra DriverReady)" '2 of 2 pods'
  eventually 60 condition_is dra DevicesPublished 'True AsExpected'
  assert_match "$(condition_message dra DevicesPublished)" 'picks no nodes, and 1 more run'

  note 'nodes that were picked are missed; so is a label that no node has'
  spec_driver dra '{"values":{"nodeSelector":{"devices.example.com":"true"}}}'
  eventually 120 condition_is dra DevicesPublished 'False DevicesIncomplete'
  assert_match "$(condition_message dra DevicesPublished)" 'cpu-1'
  kubectl label node cpu-1 devices.example.com- >/dev/null
  eventually 60 condition_is dra DevicesPublished 'True AsExpected'
  spec_driver dra '{"values":{"nodeSelector":{"no":"such"}}}'
  eventually 120 condition_is dra DriverReady 'False NoMatchingNodes'

  note 'a namespace that the chart makes, and that is there already'
  kubectl create namespace shapes-own >/dev/null
  spec_driver dra '{"values":{"nodeSelector":{"no":null,"devices.example.com":"true"},"ownNamespace":"shapes-own"}}'
  eventually 120 condition_is dra DriverReady 'False DriverOwnedElsewhere'
  assert_match "$(condition_message dra DriverReady)" 'namespace shapes-own, which is there already'
  kubectl label namespace shapes-own drawbridge.dev/configuration=default.dra >/dev/null
  request_pass dra
  eventually 180 condition_is dra DriverReady 'True AsExpected'
  assert kubectl get daemonset -n shapes-own shapes-plugin
  eventually 60 condition_is dra Ready True
}

# case: helm killed at ten points (SIGKILL, SIGTERM), with the controller and without it: the next pass ends deployed, and a lock that nobody holds is taken away
# timeout: 800
case_killed() {
  local chart point driver
  use_driver_cluster 1.33 dra
  chart=$(pack_chart)
  fake_node gpu-1
  kubectl create namespace gpu >/dev/null
  killing_helm
  hold pre
  echo 'KILL pre' >"$CASE_DIR/kills"
  start_killed_controller
  driver_on dra "chart: {path: $chart}" 'release: gpu' 'namespace: gpu' 'values: {mayHold: true, holdDelete: true}'
  fake_slice gpu-1 gpu.example.com 1
  eventually 120 killed_at 'KILL pre'
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  for point in 'TERM pre' 'KILL 0.02' 'KILL post' 'TERM 0.05' 'TERM post' 'KILL 0.1' 'TERM 0.15' 'KILL pre' 'KILL 0.25'; do
    [[ $point == *.* ]] || hold "${point#* }"
    echo "$point" >"$CASE_DIR/kills"
    spec_driver dra "{\"values\":{\"env\":[{\"name\":\"WORD\",\"value\":\"$point\"}]}}"
    eventually 120 killed_at "$point"
    eventually 120 has_env "$point"
    eventually 120 condition_is dra DriverReady 'True AsExpected'
    assert release_is gpu gpu deployed
  done
  assert_equal "$(wc -l <"$CASE_DIR/killed")" 10 kills

  note 'helm and the controller at once: nobody knows of the lock'
  echo "$CONTROLLER" >"$CASE_DIR/controller.pid"
  forget "$CONTROLLER"
  hold pre
  echo 'BOTH pre' >"$CASE_DIR/kills"
  spec_driver dra '{"values":{"env":[{"name":"WORD","value":"both"}]}}'
  eventually 120 killed_at 'BOTH pre'
  assert release_is gpu gpu pending-upgrade
  kubectl delete lease -n drawbridge-system drawbridge >/dev/null
  start_killed_controller
  eventually 60 condition_is dra DriverReady 'False ReleaseLocked'
  eventually 180 has_env both
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  assert release_is gpu gpu deployed

  note 'SIGTERM of the controller is handed on, and helm gives its lock back'
  hold pre
  spec_driver dra '{"values":{"env":[{"name":"WORD","value":"last"}]}}'
  eventually 120 held pre
  stop "$CONTROLLER"
  forget "$CONTROLLER"
  assert release_is gpu gpu failed
  assert no_pending
  let_go
  start_killed_controller
  eventually 120 has_env last
  eventually 120 condition_is dra DriverReady 'True AsExpected'

  note 'an uninstall that did not come to its end, and then the driver is wanted again'
  echo "$CONTROLLER" >"$CASE_DIR/controller.pid"
  forget "$CONTROLLER"
  echo 'BOTH delete' >"$CASE_DIR/kills"
  driver=$(dracfg dra | jq -c .spec.driver)
  patch_at "$(dracfg_at dra)" '[{"op":"remove","path":"/spec/driver"}]'
  eventually 120 killed_at 'BOTH delete'
  assert release_is gpu gpu uninstalling
  kubectl delete lease -n drawbridge-system drawbridge >/dev/null
  patch_at "$(dracfg_at dra)" "{\"spec\":{\"driver\":$driver}}"
  start_killed_controller
  eventually 240 release_is gpu gpu deployed
  eventually 120 condition_is dra DriverReady 'True AsExpected'
}

# The chart's hook keeps helm waiting, with the release locked: before it makes anything (pre) or after all is made (post).
hold() {
  kubectl delete jobs -n gpu --all >/dev/null
  kubectl create configmap hold -n gpu "--from-literal=when=$1" >/dev/null
}
held() { api -f -o /dev/null "$API/apis/batch/v1/namespaces/gpu/jobs/gpu-hold-$1"; }
let_go() { kubectl delete configmap hold -n gpu >/dev/null; }

start_killed_controller() { HELM_PROGRAM=$CASE_DIR/helm-program start_driver_controller --helm-timeout 20s; }

# killing_helm: a helm whose next upgrade that writes is ended as the line in the file kills says: "KILL 0.1" after so long, "TERM pre" while it is held.
killing_helm() {
  cat >"$CASE_DIR/helm-program" <<END
#!/bin/bash
k() { "$TOOLS_BIN/$VERSION/kubectl" --kubeconfig "$KUBECONFIG" -n gpu "\$@"; }
if [[ ! " \$* " =~ ' upgrade '|' uninstall ' || " \$* " == *" --dry-run"* || ! -s $CASE_DIR/kills ]]; then exec "$HELM" "\$@"; fi
read -r signal point <$CASE_DIR/kills
: >$CASE_DIR/kills
"$HELM" "\$@" <&0 &
if [[ \$point == *.* ]]; then sleep "\$point"; else
  until k get job "gpu-hold-\$point" || ! kill -0 \$!; do sleep 0.1; done
  k delete configmap hold --ignore-not-found
fi >/dev/null 2>&1
[[ \$signal != BOTH ]] || kill -KILL "\$(cat $CASE_DIR/controller.pid)"
kill -"\${signal/BOTH/KILL}" \$! 2>/dev/null
echo "\$signal \$point" >>$CASE_DIR/killed
wait \$!
END
  chmod 755 "$CASE_DIR/helm-program"
}

killed_at() { [[ $(tail -n1 "$CASE_DIR/killed") == "$1" ]]; }
no_pending() { [[ -z $(kubectl get secrets -n gpu -l 'owner=helm,status in (pending-install,pending-upgrade)' -o name) ]]; }

# case: the page of Giant Swarm: taint and toleration, selection by attributes; the right device or Pending with doctor's reason; its values make no DeviceClass, and that is said
# timeout: 480
case_giant_swarm_page() {
  use_driver_cluster 1.33 dra
  start_driver_controller
  giant_swarm_page v1beta1
  kkp_page v1beta1
}

# case: the same pages in v1 and v1beta2, on 1.37
# timeout: 480
case_pages_on_1_37() {
  local was
  use_driver_cluster 1.37
  start_driver_controller
  giant_swarm_page v1
  kkp_page v1
  note 'and in v1beta2'
  edit kube-apiserver -e '/--secure-port=/i\    - --runtime-config=resource.k8s.io/v1beta2=true'
  eventually 120 served_is 'v1 v1beta2'
  kubectl delete pod pod0 pod1 --force --grace-period=0 >/dev/null 2>&1
  kubectl delete resourceclaims,resourceclaimtemplates,deviceclasses,resourceslices --all >/dev/null
  kubectl delete dracfg dra >/dev/null
  # Its watches were cut off: it may know of classes and devices that are gone until it asks again, and give them away.
  was=$(started_at kube-scheduler)
  kill "$(pid_of kube-scheduler)"
  eventually 60 restarted kube-scheduler "$was"
  giant_swarm_page v1beta2
  kkp_page v1beta2
}

giant_swarm_page() {
  local gpu='{name: gpu, resourceClaimTemplateName: specific-gpu-template}'
  fake_node kwok-node-0
  kubectl taint node kwok-node-0 nvidia.com/gpu=Exists:NoSchedule >/dev/null
  kubectl apply -f "$E2E/seeds/corrected/giantswarm-$1.yaml" >/dev/null
  # and the smaller one of the page's other slice
  kubectl get resourceslice example-gpu-slice2 -o json | jq 'del(.metadata.uid, .metadata.resourceVersion) | .metadata.name = "t4" | .spec.pool.name = "t4" |
    .spec.devices[0].name = "t4" | walk({"NVIDIA A100": "NVIDIA Tesla 4", "40Gi": "15360Mi", "40960Mi": "15360Mi"}[strings] // .)' | kubectl create -f - >/dev/null
  # resources.gpus.enabled=false, as the page has it, and then a claim of gpu.nvidia.com
  configure dra <<<'featureGates: {DynamicResourceAllocation: true}
platform: {type: Observe}
driver: {preset: NVIDIALegacy, engine: External, namespace: kube-system, values: {resources: {gpus: {enabled: false}}}}
smokeTest: {enabled: true}'
  eventually 120 condition_is dra SmokeTestPassed 'False DeviceClassMissing'
  assert_match "$(condition_message dra SmokeTestPassed)" 'set resources.gpus.enabled and gpuResourcesEnabledOverride to true'
  eventually 60 condition_is dra DriverReady 'False DriverTurnedOff'
  assert_match "$(condition_message dra DriverReady)" 'publishes no devices of gpu.nvidia.com; set resources.gpus.enabled and gpuResourcesEnabledOverride to true'
  gpu_pod big "$gpu" '[{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]'
  eventually 60 doctor_says 'pod default/big' 'no DeviceClass gpu.nvidia.com.*gpuResourcesEnabledOverride'
  kubectl apply -f - >/dev/null <<END
apiVersion: resource.k8s.io/$1
kind: DeviceClass
metadata: {name: gpu.nvidia.com}
spec: {selectors: [{cel: {expression: "device.driver == 'gpu.nvidia.com'"}}]}
END
  eventually 120 pod_has_device big gpu-0
  # the only one that fits is taken
  gpu_pod small '{name: gpu, resourceClaimTemplateName: gpu-template}' '[{operator: Exists}]'
  eventually 120 pod_has_device small t4
  gpu_pod late "$gpu" '[{operator: Exists}]'
  eventually 120 doctor_says 'pod default/late' 'cannot allocate all claims'
  gpu_pod shy "$gpu" '[]'
  eventually 120 doctor_says 'pod default/shy' 'toleration'
  kubectl get resourceclaimtemplate specific-gpu-template -o json | jq 'del(.metadata.uid, .metadata.resourceVersion) | .metadata.name = "wrong" |
    walk(if type == "object" and has("expression") then .expression = "device.attributes[\"type\"].string == \"gpu\"" else . end)' | kubectl create -f - >/dev/null
  gpu_pod wrong '{name: gpu, resourceClaimTemplateName: wrong}' '[{operator: Exists}]'
  eventually 120 doctor_says 'pod default/wrong' 'write device.attributes\["DRIVER"\].type'
  ! pod_has_device wrong gpu-0 || die 'the wrong selector got a device'
  kubectl delete pod big small late shy wrong --force --grace-period=0 >/dev/null 2>&1
}

kkp_page() {
  kubectl taint node kwok-node-0 nvidia.com/gpu- >/dev/null
  fake_slice kwok-node-0 gpu.example.com 2
  note 'example 1, corrected'
  kubectl apply -f "$E2E/seeds/corrected/kkp-$1.yaml" >/dev/null
  eventually 120 pod_runs test-dra-pod
  assert_equal "$(kubectl get resourceclaim test-gpu-claim --no-headers | awk '{ print $2 }')" allocated,reserved
  kubectl delete pod test-dra-pod --force --grace-period=0 >/dev/null 2>&1
  kubectl delete resourceclaim test-gpu-claim >/dev/null
  note 'example 2: two pods, two devices'
  claim_pod pod0 test-gpu
  claim_pod pod1 test-gpu
  eventually 120 pod_runs pod0
  eventually 120 pod_runs pod1
  assert_equal "$(kubectl get resourceclaim pod0 pod1 -o json | jq -r '[.items[].status.allocation.devices.results[0].device] | sort | unique | join(" ")')" 'gpu-0 gpu-1'
}

# gpu_pod NAME CLAIM TOLERATIONS
gpu_pod() {
  put -f - >/dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  nodeSelector: {type: kwok}
  tolerations: $3
  resourceClaims: [$2]
  containers: [{name: main, image: node.local/busybox:1, resources: {claims: [{name: gpu}]}}]
END
}

pod_runs() { [[ $(api -f "$API/api/v1/namespaces/default/pods/$1" | jq -r .status.phase) == Running ]]; }
pod_has_device() {
  pod_runs "$1" && [[ $(kubectl get resourceclaims -o json | jq -r --arg pod "$1" \
    '.items[] | select(.status.reservedFor[]?.name == $pod).status.allocation.devices.results[0].device') == "$2" ]]
}

# doctor_says CHECK PATTERN: in what it finds or what it says to do, and it ends with 1.
doctor_says() {
  local found status=0
  found=$("$DRAWBRIDGE" doctor -o json) || status=$?
  [[ $status == 1 ]] || { echo "doctor ended with $status" && return 1; }
  found=$(jq -r --arg check "$1" '.[] | select(.check == $check) | "\(.detail) -> \(.fix)"' <<<"$found")
  [[ $found =~ $2 ]] || {
    echo "$1: $found"
    return 1
  }
}

# case: charts from an OCI registry (by digest; another digest is refused), from a chart repository behind nginx, and from such as do not answer, or by half; v1 on 1.37
# timeout: 600
case_sources() {
  local chart digest
  install_packages docker-registry nginx-light
  use_driver_cluster 1.37
  chart=$(pack_chart)
  cp -r "$E2E/driver/chart" "$CASE_DIR/chart-0.2.0"
  sed -i 's/{type: object}}$/{type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}/' "$CASE_DIR/chart-0.2.0/crds/things.yaml"
  helm_run package "$CASE_DIR/chart-0.2.0" --version 0.2.0 --destination "$CASE_DIR/charts" >/dev/null
  registry_up
  digest=$(SSL_CERT_FILE=$CASE_DIR/ca.crt helm_run push "$chart" "oci://127.0.0.1:$((PORT + 12))/charts" 2>&1 | sed -n 's/^Digest: //p')
  assert_match "$digest" '^sha256:'
  SSL_CERT_FILE=$CASE_DIR/ca.crt helm_run push "$CASE_DIR/charts/test-driver-0.2.0.tgz" "oci://127.0.0.1:$((PORT + 12))/charts" >/dev/null 2>&1
  fake_node gpu-1
  SSL_CERT_FILE=$CASE_DIR/ca.crt start_driver_controller --helm-timeout 10s

  note 'an OCI registry'
  driver_on dra "chart: {ref: 'oci://127.0.0.1:$((PORT + 12))/charts/test-driver', digest: 'sha256:$(printf '0%.0s' {1..64})'}" 'release: gpu' 'namespace: gpu'
  eventually 120 condition_is dra DriverReady 'False ChartDigestMismatch'
  assert no_release gpu gpu
  spec_driver dra "{\"chart\":{\"digest\":\"$digest\"}}"
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  assert_equal "$(dracfg dra | jq -r .status.driver.version)" 0.1.0
  refuse thing_has_size
  spec_driver dra '{"chart":{"digest":null,"version":"0.2.0"}}'
  eventually 120 version_is 0.2.0
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  assert thing_has_size

  note 'a chart repository'
  helm_run repo index "$CASE_DIR/charts" >/dev/null
  nginx_up
  spec_driver dra "{\"chart\":{\"ref\":null,\"repo\":\"http://127.0.0.1:$((PORT + 13))/good\",\"name\":\"test-driver\",\"version\":\"0.1.0\",
    \"digest\":\"sha256:$(sha256sum "$CASE_DIR/charts/test-driver-0.2.0.tgz" | cut -d' ' -f1)\"}}"
  eventually 120 condition_is dra DriverReady 'False ChartDigestMismatch'
  # a preset whose driver cannot go back
  spec_driver dra "{\"preset\":\"Example\",\"chart\":{\"digest\":\"sha256:$(sha256sum "$chart" | cut -d' ' -f1)\"}}"
  eventually 120 condition_is dra DriverReady 'False DowngradeRefused'
  assert_match "$(condition_message dra DriverReady)" 'test-driver 0.1.0 is older than test-driver 0.2.0'
  assert release_is gpu gpu deployed
  spec_driver dra '{"preset":null}'
  eventually 120 version_is 0.1.0
  eventually 120 condition_is dra DriverReady 'True AsExpected'

  note 'half an answer, none, and nobody there; the release stays as it is'
  local before
  before=$(revisions gpu gpu)
  spec_driver dra "{\"chart\":{\"repo\":\"http://127.0.0.1:$((PORT + 13))/half\"}}"
  eventually 120 condition_is dra DriverReady 'False ChartUnavailable'
  start mute python3 -c "import socket, time; s = socket.create_server(('127.0.0.1', $((PORT + 14)))); time.sleep(1000)"
  spec_driver dra "{\"chart\":{\"repo\":\"http://127.0.0.1:$((PORT + 14))\"}}"
  eventually 120 unavailable 'did not end within|imeout|deadline'
  spec_driver dra "{\"chart\":{\"repo\":\"http://127.0.0.1:$((PORT + 15))\"}}"
  eventually 120 unavailable refused
  assert_equal "$(revisions gpu gpu)" "$before" revisions
  assert release_is gpu gpu deployed
}

thing_has_size() { kubectl get crd things.driver.example.com -o json | jq -e '.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.size' >/dev/null; }
version_is() { [[ $(dracfg dra | jq -r .status.driver.version) == "$1" ]]; }
unavailable() { condition_is dra DriverReady 'False ChartUnavailable' && [[ $(condition_message dra DriverReady) =~ $1 ]]; }

registry_up() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=registry -addext 'subjectAltName=IP:127.0.0.1' \
    -keyout "$CASE_DIR/registry.key" -out "$CASE_DIR/ca.crt" 2>/dev/null
  cat >"$CASE_DIR/registry.yaml" <<END
version: 0.1
storage: {filesystem: {rootdirectory: $CASE_DIR/registry}}
http: {addr: "127.0.0.1:$((PORT + 12))", tls: {certificate: $CASE_DIR/ca.crt, key: $CASE_DIR/registry.key}}
END
  start registry docker-registry serve "$CASE_DIR/registry.yaml"
  eventually 40 curl -sf --cacert "$CASE_DIR/ca.crt" "https://127.0.0.1:$((PORT + 12))/v2/"
}

nginx_up() {
  mkdir -p "$CASE_DIR/nginx"
  cat >"$CASE_DIR/nginx.conf" <<END
user root; daemon off; pid $CASE_DIR/nginx/pid; error_log $CASE_DIR/nginx/error.log; events {}
http {
  access_log off;
  client_body_temp_path $CASE_DIR/nginx/a; proxy_temp_path $CASE_DIR/nginx/b; fastcgi_temp_path $CASE_DIR/nginx/c; uwsgi_temp_path $CASE_DIR/nginx/d; scgi_temp_path $CASE_DIR/nginx/e;
  server {
    listen 127.0.0.1:$((PORT + 13));
    location /good/ { alias $CASE_DIR/charts/; }
    location /half/ { return 200 "apiVersion: v1\nentries:\n  test-driver:\n  - name: test-dri"; }
  }
}
END
  start nginx nginx -e "$CASE_DIR/nginx/error.log" -c "$CASE_DIR/nginx.conf"
  eventually 40 curl -sf "http://127.0.0.1:$((PORT + 13))/good/index.yaml"
}

# case: an API server that takes no privileged pods, and one that goes away while helm is at work: a reason, nothing half made, and the way on
# timeout: 600
case_api_server() {
  local chart
  use_driver_cluster 1.33 dra
  chart=$(pack_chart)
  fake_node gpu-1
  edit kube-apiserver -e 's/--allow-privileged=true/--allow-privileged=false/'
  eventually 120 privileged_is_forbidden
  start_driver_controller --helm-timeout 20s
  driver_on dra "chart: {path: $chart}" 'release: gpu' 'namespace: gpu' 'values: {privileged: true, mayHold: true}'
  eventually 120 condition_is dra DriverReady 'False PrivilegedNotAllowed'
  assert_match "$(condition_message dra DriverReady)" '^DaemonSet gpu-kubelet-plugin: .*privileged: Forbidden'
  assert no_release gpu gpu
  none_of deviceclass gpu.example.com || die 'a DeviceClass was made'
  none_of daemonsets,serviceaccounts -n gpu --field-selector metadata.name!=default || die 'something was made'

  note 'and back; then it goes away in the middle of an install'
  hold pre
  edit kube-apiserver -e 's/--allow-privileged=false/--allow-privileged=true/'
  eventually 240 held pre
  assert release_is gpu gpu pending-install
  fault kube-apiserver 'sleep 10
real "$@"'
  kill -KILL "$(pid_of kube-apiserver)"
  sleep 5
  unfault kube-apiserver
  eventually 120 let_go
  eventually 240 condition_is dra DriverReady 'True AsExpected'
  assert release_is gpu gpu deployed
  assert kubectl get daemonset -n gpu gpu-kubelet-plugin
}

privileged_is_forbidden() {
  local said
  said=$(kubectl create --dry-run=server -f - 2>&1 <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},
    "spec":{"containers":[{"name":"x","image":"x","securityContext":{"privileged":true}}]}}') || true
  [[ $said == *'disallowed by cluster policy'* ]]
}

# case: from 1.33 to 1.37 the API version of two releases goes away: one takes over its objects and is deployed again, the other one is to go and goes
# timeout: 480
case_api_removed() {
  local chart
  use_driver_cluster 1.33 dra
  chart=$(pack_chart)
  fake_node gpu-1
  start_driver_controller
  driver_on dra "chart: {path: $chart}" 'release: gpu' 'namespace: gpu'
  driver_on old "chart: {path: $chart}" 'release: old' 'namespace: old' 'values: {driverName: gpu.old.com}'
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  eventually 120 condition_is old DriverReady 'True AsExpected'
  kill_hard "$CONTROLLER"
  # an API server of 1.37 that serves v1 alone; of the others nothing is needed here
  edit kube-apiserver -e "s/kube-apiserver:v[0-9.]*/kube-apiserver:$(tools_version 1.37)/" -e '/--runtime-config=/d' -e '/--feature-gates=/d'
  eventually 180 served_is v1
  patch_at "$(dracfg_at old)" '[{"op":"remove","path":"/spec/driver"}]'
  KUBECACHEDIR=$CASE_DIR/no-cache refuse helm_run uninstall old -n old # as a person would find it
  start_driver_controller
  eventually 240 no_release old old
  eventually 60 none_of daemonset -n old
  eventually 60 not_found apis/resource.k8s.io/v1/deviceclasses/gpu.old.com
  eventually 240 release_speaks v1
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  assert release_is gpu gpu deployed
}

release_speaks() { [[ $(helm_run get manifest gpu -n gpu | grep -c "resource.k8s.io/$1\$") == 1 ]]; }

# case: kwok's page on a cluster that we switch on, with a driver beside it; then Revert: users' claims are waited for and named, then go driver, kubelet, scheduler, controller-manager, API server, in this order
# timeout: 800
case_whole_way() {
  local chart
  use_driver_cluster 1.33 kubelet
  chart=$(pack_chart)
  keep_files "$CASE_DIR/before"
  fake_node gpu-1
  scheduler_without_plugin
  start_agent
  start_driver_controller
  dra_on dra 'deletionPolicy: Revert' "driver: {chart: {path: $chart}, release: gpu, namespace: gpu, serviceAccountName: installer}"
  eventually 120 condition_is dra DriverReady 'False'
  eventually 400 condition_is dra DriverReady 'False SchedulerPluginOff'
  assert_match "$(condition_message dra DriverReady)" 'kube-scheduler on cp-1 .*/scheduler-config.yaml: the profile default-scheduler is without DynamicResources'
  doctor_says kube-scheduler 'on cp-1, .*the profile default-scheduler is without DynamicResources'
  assert no_release gpu gpu
  edit kube-scheduler -e '/scheduler-config/d'
  eventually 240 condition_is dra DriverReady 'True AsExpected'
  assert dra_is_on
  fake_slice gpu-1 gpu.example.com 2
  eventually 120 condition_is dra Ready True
  apply_kwok_seeds
  eventually 120 kwok_seeds_done
  assert_equal "$(kubectl get resourceclaims --no-headers | awk '{ print $2 }')" allocated,reserved

  note 'and back'
  kubectl delete dracfg dra --wait=false >/dev/null
  eventually 120 condition_is dra DriverReady 'False ClaimsInUse'
  assert_match "$(condition_message dra DriverReady)" 'default/fake-pod-'
  eventually 40 condition_is dra Ready 'False ClaimsInUse'
  "$DRAWBRIDGE" plan --live dra --kubeconfig "$KUBECONFIG" >"$CASE_DIR/plan" 2>"$CASE_DIR/held" || true
  assert_match "$(cat "$CASE_DIR/held")" 'default/dra is not ready: ClaimsInUse: .*default/fake-pod-'
  assert grep -q -- '-.*DynamicResourceAllocation' "$CASE_DIR/plan" # what goes when the claims are gone
  sleep 3
  assert release_is gpu gpu deployed
  assert dra_is_on
  watch_release_go
  kubectl delete deployment fake-pod >/dev/null
  eventually 120 no_release gpu gpu
  eventually 400 dracfg_gone dra
  assert same_files "$CASE_DIR/before"
  went_in_order "$CASE_DIR/release-gone" "$NODE/kubelet/config.yaml" "$MANIFESTS"/kube-{scheduler,controller-manager,apiserver}.yaml
}

# watch_release_go: $CASE_DIR/release-gone is made when the release's last Secret goes.
watch_release_go() {
  start release "$TOOLS_BIN/$VERSION/kubectl" get secrets -n gpu -l owner=helm,name=gpu --watch --output-watch-events --no-headers
  forget "$STARTED_PID" # its watch ends with the API server that rolls back
  tail -f --pid="$STARTED_PID" "$CASE_DIR/release.log" | while read -r event _; do
    [[ $event != DELETED ]] || touch "$CASE_DIR/release-gone"
  done &
}

# went_in_order FILE...: by when each was last written.
went_in_order() {
  local file last=''
  for file in "$@"; do
    assert test -e "$file"
    [[ ! $last || $last -ot $file ]] || die "$(basename "$file") did not come after $(basename "$last"): $(stat -c '%y %n' "$@")"
    last=$file
  done
}

# A profile of the administrator's, in a file on the node. Each line of the manifest that has to do with it names it.
scheduler_without_plugin() {
  local file=$CLUSTER/scheduler-config.yaml
  cat >"$file" <<END
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: $CLUSTER/scheduler.conf}
profiles: [{plugins: {multiPoint: {disabled: [{name: DynamicResources}]}}}]
END
  edit kube-scheduler -e "/- --leader-elect=true/a\\    - --config=$file" -e "/volumeMounts:/a\\    - {mountPath: $file, name: scheduler-config}" \
    -e "/^  volumes:/a\\  - {name: scheduler-config, hostPath: {path: $file}}"
}

# foreign_crd PLURAL KIND GROUP VERSION: a definition of somebody else's kind, with any content; nobody acts on it but this case.
foreign_crd() {
  kubectl apply -f - >/dev/null <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $1.$3}
spec:
  group: $3
  scope: Namespaced
  names: {kind: $2, listKind: ${2}List, plural: $1, singular: $(tr '[:upper:]' '[:lower:]' <<<"$2")}
  versions:
  - name: $4
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
END
  kubectl wait --for=condition=Established --timeout=20s "crd/$1.$3" >/dev/null
}

set_status() { kubectl patch "$1" "$2" --subresource=status --type merge -p "{\"status\":$3}" >/dev/null; }
says() { [[ $(kubectl get "$1" "$2" -o json 2>/dev/null | jq -r "$3") == "$4" ]]; }

# As Helm in Flux would: what it makes carries its annotations, and no label of the release.
flux_makes_plugin() {
  kubectl create namespace gpu >/dev/null
  kubectl apply -f - >/dev/null <<END
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: gpu-plugin
  namespace: gpu
  annotations: {meta.helm.sh/release-name: gpu, meta.helm.sh/release-namespace: gpu}
spec:
  selector: {matchLabels: {app: gpu-plugin}}
  template:
    metadata: {labels: {app: gpu-plugin}}
    spec:
      nodeSelector: {devices.example.com: "true"}
      tolerations: [{operator: Exists}]
      containers: [{name: plugin, image: node.local/busybox:1}]
END
}

# case: Flux's HelmRelease and k3s' HelmChart: their objects are written, what they say is told, and they go with the driver; the kinds are there, their controllers are played
# timeout: 360
case_other_engines() {
  local condition='"observedGeneration":1,"conditions":[{"type":"Ready","reason":'
  use_driver_cluster 1.33 dra
  fake_node gpu-1
  fake_slice gpu-1 gpu.example.com 2
  start_driver_controller
  foreign_crd gpuclusters GPUCluster nvidia.com v1alpha1
  kubectl create -f - >/dev/null <<<'{"apiVersion":"nvidia.com/v1alpha1","kind":"GPUCluster","metadata":{"name":"gpus"}}'
  driver_on dra 'preset: NVIDIA'
  eventually 80 condition_is dra DriverReady 'False DriverOwnedElsewhere'
  assert_match "$(condition_message dra DriverReady)" 'its GPUCluster gpus'
  kubectl delete gpucluster gpus >/dev/null
  driver_on dra 'engine: HelmRelease' 'chart: {ref: "oci://charts.example.com/gpu", version: 1.2.3}' 'release: gpu' 'namespace: gpu' 'values: {a: 1}'
  eventually 80 condition_is dra DriverReady 'False DelegateNotServed'
  foreign_crd helmreleases HelmRelease helm.toolkit.fluxcd.io v2
  foreign_crd ocirepositories OCIRepository source.toolkit.fluxcd.io v1
  foreign_crd helmrepositories HelmRepository source.toolkit.fluxcd.io v1
  foreign_crd helmcharts HelmChart helm.cattle.io v1
  eventually 120 says ocirepository gpu '.spec.url + " " + .spec.ref.tag' 'oci://charts.example.com/gpu 1.2.3'
  eventually 40 says helmrelease gpu '"\(.spec.targetNamespace) \(.spec.values.a) \(.spec.serviceAccountName)"' 'gpu 1 installer'
  set_status helmrelease gpu "{$condition\"InstallFailed\",\"status\":\"False\",\"message\":\"no such chart\"}]}"
  eventually 80 condition_is dra DriverReady 'False DelegateFailed'
  assert_match "$(condition_message dra DriverReady)" 'no such chart'
  set_status helmrelease gpu "{$condition\"InstallSucceeded\",\"status\":\"True\",\"message\":\"\"}]}"
  eventually 80 condition_is dra DriverReady 'False NoDaemonSet'
  flux_makes_plugin
  eventually 80 condition_is dra DriverReady 'True AsExpected'
  eventually 40 condition_is dra Ready True
  spec_driver dra '{"engine":"HelmChart"}'
  eventually 120 says helmchart gpu '"\(.spec.chart) \(.spec.version) \(.spec.targetNamespace) \(.spec.valuesContent)"' 'oci://charts.example.com/gpu 1.2.3 gpu a: 1'
  none_of helmrelease gpu || die 'two own the driver'
  set_status helmchart gpu '{"jobName":"helm-install-gpu"}'
  eventually 80 condition_is dra DriverReady 'True AsExpected'
  patch_at "$(dracfg_at dra)" '[{"op":"remove","path":"/spec/driver"}]'
  eventually 80 none_of helmchart gpu
  eventually 40 condition_is dra DriverReady 'False DriverNotRequested'
}

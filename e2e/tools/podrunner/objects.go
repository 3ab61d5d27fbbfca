// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net"
	"strconv"
	"time"
)

const (
	annotationHash   = "kubernetes.io/config.hash"
	annotationMirror = "kubernetes.io/config.mirror"
	annotationSeen   = "kubernetes.io/config.seen"
	annotationSource = "kubernetes.io/config.source"
	address          = "127.0.0.1"
	versionNone      = "static-pod-runner"
)

func podPath(namespace string) string { return "/api/v1/namespaces/" + namespace + "/pods" }

func nodeObject(name string) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Node",
		"metadata": map[string]any{"name": name, "labels": map[string]any{
			"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
		"spec": map[string]any{"taints": []any{map[string]any{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}}},
	}
}

func nodeStatus(o *options, version string) map[string]any {
	now := stamp(time.Now())
	condition := func(kind, status, reason string) map[string]any {
		return map[string]any{"type": kind, "status": status, "reason": reason, "message": reason,
			"lastHeartbeatTime": now, "lastTransitionTime": now}
	}
	resources := map[string]any{"cpu": "2", "memory": "4Gi", "pods": "110", "ephemeral-storage": "20Gi"}
	_, portText, _ := net.SplitHostPort(o.metricsAddress)
	kubeletPort, _ := strconv.Atoi(portText)
	return map[string]any{"status": map[string]any{
		"capacity": resources, "allocatable": resources,
		"addresses": []any{map[string]any{"type": "InternalIP", "address": address}, map[string]any{"type": "Hostname", "address": o.node}},
		"conditions": []any{
			condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
			condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
			condition("PIDPressure", "False", "KubeletHasSufficientPID"),
			condition("Ready", "True", "KubeletReady")},
		"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": kubeletPort}},
		"nodeInfo": map[string]any{"architecture": "amd64", "operatingSystem": "linux", "bootID": "", "machineID": "", "systemUUID": "",
			"kernelVersion": "", "osImage": "", "containerRuntimeVersion": "", "kubeProxyVersion": version, "kubeletVersion": version},
	}}
}

// mirrorPod is the object for the API: the manifest's, under the node's name, with the kubelet's annotations.
func (p *publisher) mirrorPod(in *instance) map[string]any {
	object := map[string]any{}
	text, _ := json.Marshal(in.pod.raw)
	_ = json.Unmarshal(text, &object)
	annotations := map[string]any{}
	for k, v := range in.pod.Metadata.Annotations {
		annotations[k] = v
	}
	annotations[annotationHash], annotations[annotationMirror] = in.pod.hash, in.pod.hash
	annotations[annotationSeen], annotations[annotationSource] = in.began.UTC().Format(time.RFC3339Nano), "file"
	metadata := map[string]any{"name": in.pod.Metadata.Name + "-" + p.options.node, "namespace": in.pod.Metadata.Namespace,
		"annotations": annotations, "ownerReferences": []any{p.nodeReference(true)}}
	if len(in.pod.Metadata.Labels) > 0 {
		metadata["labels"] = in.pod.Metadata.Labels
	}
	object["metadata"] = metadata
	delete(object, "status")
	if spec, ok := object["spec"].(map[string]any); ok {
		spec["nodeName"] = p.options.node
		spec["tolerations"] = []any{map[string]any{"operator": "Exists", "effect": "NoExecute"}}
	}
	return object
}

func podStatus(in *instance) map[string]any {
	ready, started := "True", "True"
	statuses := []any{}
	for _, c := range in.containers {
		s := c.status()
		statuses = append(statuses, s)
		if s["ready"] != true {
			ready = "False"
		}
		if field(s, "state", "running") == nil {
			started = "False"
		}
	}
	phase := "Running"
	if started == "False" && field(statuses[0], "restartCount") == 0 && field(statuses[0], "lastState") == nil {
		phase = "Pending"
	}
	condition := func(kind, status string) map[string]any {
		c := map[string]any{"type": kind, "status": status, "lastTransitionTime": stamp(in.began), "lastProbeTime": nil}
		if status != "True" {
			c["reason"] = "ContainersNotReady"
		}
		return c
	}
	return map[string]any{
		"phase": phase, "startTime": stamp(in.began), "hostIP": address, "hostIPs": []any{map[string]any{"ip": address}},
		"podIP": address, "podIPs": []any{map[string]any{"ip": address}}, "qosClass": "Burstable",
		"conditions": []any{condition("PodScheduled", "True"), condition("Initialized", "True"),
			condition("ContainersReady", ready), condition("Ready", ready)},
		"containerStatuses": statuses,
	}
}

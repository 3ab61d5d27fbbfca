//go:build apiserver

// SPDX-License-Identifier: Apache-2.0

package main

import (
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	_ "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/controlplane"
)

const component = "kube-apiserver"

// apis gives every group version that --runtime-config may name, and whether it is served (whole or in part) unasked.
// A scheme holds more than the server serves (imagepolicy.k8s.io is for webhooks alone), but the flag takes them too.
func apis() map[string]bool {
	all := map[string]bool{}
	for _, scheme := range []*runtime.Scheme{legacyscheme.Scheme, apiextensions.Scheme, aggregatorscheme.Scheme} {
		for _, gv := range scheme.PrioritizedVersionsAllGroups() {
			all[gv.Group+"/"+gv.Version] = false
		}
	}
	for _, config := range []*serverstorage.ResourceConfig{controlplane.DefaultAPIResourceConfigSource(),
		apiextensions.DefaultAPIResourceConfigSource(), aggregator.DefaultAPIResourceConfigSource()} {
		for gv, on := range config.GroupVersionConfigs {
			all[gv.Group+"/"+gv.Version] = on
		}
		for gvr, on := range config.ResourceConfigs {
			if on {
				all[gvr.Group+"/"+gvr.Version] = true
			}
		}
	}
	return all
}

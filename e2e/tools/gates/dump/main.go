// SPDX-License-Identifier: Apache-2.0

// dump prints what one Kubernetes binary registers: its feature gates and, for the API server, its API versions.
// The registries are process-wide, so each binary gets a build of its own (build tag = component); what that
// component's command package registers in its init functions is what the real binary knows.
package main

import (
	"encoding/json"
	"os"
	"sort"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
)

type gate struct {
	Stage     string   `json:"stage"`
	Default   bool     `json:"default"`
	Locked    bool     `json:"locked"`
	DependsOn []string `json:"depends_on,omitempty"`
}

type result struct {
	Component string          `json:"component"`
	Gates     map[string]gate `json:"gates"`
	APIs      map[string]bool `json:"apis,omitempty"` // group/version -> served by default
}

func stage(spec featuregate.FeatureSpec) string {
	switch spec.PreRelease {
	case featuregate.Alpha:
		return "alpha"
	case featuregate.Beta:
		return "beta"
	case featuregate.GA:
		return "ga"
	case featuregate.Deprecated:
		return "deprecated"
	}
	return "" // not introduced yet at this minor: the binary refuses it
}

func main() {
	registry := utilfeature.DefaultMutableFeatureGate
	dependencies := map[featuregate.Feature][]featuregate.Feature{}
	// Declared dependencies exist from 1.35 on.
	if r, ok := any(registry).(interface {
		Dependencies() map[featuregate.Feature][]featuregate.Feature
	}); ok {
		dependencies = r.Dependencies()
	}
	out := result{Component: component, Gates: map[string]gate{}, APIs: apis()}
	for name, spec := range registry.GetAll() {
		s := stage(spec)
		if s == "" {
			continue
		}
		g := gate{Stage: s, Default: spec.Default, Locked: spec.LockToDefault}
		for _, d := range dependencies[name] {
			g.DependsOn = append(g.DependsOn, string(d))
		}
		sort.Strings(g.DependsOn)
		out.Gates[string(name)] = g
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", " ")
	if err := enc.Encode(out); err != nil {
		panic(err)
	}
}

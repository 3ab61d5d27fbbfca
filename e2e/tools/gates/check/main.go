// SPDX-License-Identifier: Apache-2.0

// check compares the hand-written parts of the gate table with what the registries say, and tells what a minor changed:
//
//	check GATES.YAML DRA.YAML FEATURES.YAML
//
// What is missing is an error; what may be meant so is said.
package main

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A span is [first, last, value...].
type span []any

type gate struct {
	Spans     []span `yaml:"spans"`
	DependsOn []span `yaml:"depends_on"`
	Readers   []span `yaml:"read_by"`
}

type feature struct {
	Gates []span `yaml:"gates"`
	APIs  []span `yaml:"apis"`
}

type table struct {
	Kubernetes map[string]string  `yaml:"kubernetes"`
	Gates      map[string]gate    `yaml:"gates"`
	APIs       map[string][]span  `yaml:"apis"`
	Resources  map[string][]span  `yaml:"resources"`
	Clients    map[string][]span  `yaml:"clients"`
	Features   map[string]feature `yaml:"features"`
}

func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "check: "+format+"\n", args...)
	os.Exit(1)
}

func read(path string) table {
	var t table
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, &t)
	}
	if err != nil {
		fatal("%s: %v", path, err)
	}
	return t
}

func minorOf(text any) int {
	var minor int
	if _, err := fmt.Sscanf(fmt.Sprint(text), "1.%d", &minor); err != nil {
		fatal("%v is no minor", text)
	}
	return minor
}

func at(spans []span, minor int) span {
	for _, s := range spans {
		if len(s) >= 2 && minorOf(s[0]) <= minor && minor <= minorOf(s[1]) {
			return s
		}
	}
	return nil
}

func names(spans []span, minor int) []string {
	found := []string{}
	if s := at(spans, minor); s != nil {
		for _, name := range s[2:] {
			found = append(found, fmt.Sprint(name))
		}
	}
	return found
}

type check struct {
	gates, dra, features table
	missing              []string
}

func (c *check) miss(format string, args ...any) {
	c.missing = append(c.missing, fmt.Sprintf(format, args...))
}

// One of DRA is called so, or depends on one that is.
func (c *check) isDRA(name string, minor int) bool {
	if strings.HasPrefix(name, "DRA") || name == "DynamicResourceAllocation" {
		return true
	}
	return slices.ContainsFunc(names(c.gates.Gates[name].DependsOn, minor), func(dep string) bool { return c.isDRA(dep, minor) })
}

func (c *check) minor(minor int) {
	for _, name := range keys(c.gates.Gates) {
		if at(c.gates.Gates[name].Spans, minor) != nil && c.isDRA(name, minor) && at(c.dra.Gates[name].Readers, minor) == nil {
			c.miss("dra.yaml: %s has no read_by for 1.%d", name, minor)
		}
	}
	for _, version := range keys(c.gates.APIs) {
		if strings.HasPrefix(version, "resource.k8s.io/") && at(c.gates.APIs[version], minor) != nil && at(c.dra.Resources[version], minor) == nil {
			c.miss("dra.yaml: resources do not say what %s holds in 1.%d", version, minor)
		}
	}
	if at(c.dra.Clients["resource.k8s.io"], minor) == nil {
		c.miss("dra.yaml: clients do not say which version of resource.k8s.io 1.%d asks for", minor)
	}
	for _, name := range keys(c.features.Features) {
		f := c.features.Features[name]
		for _, g := range names(f.Gates, minor) {
			if at(c.gates.Gates[g].Spans, minor) == nil {
				c.miss("features.yaml: %s takes %s, which 1.%d does not have", name, g, minor)
			}
		}
		for _, version := range names(f.APIs, minor) {
			if at(c.gates.APIs[version], minor) == nil {
				c.miss("features.yaml: %s is used in %s, which 1.%d does not register", name, version, minor)
			}
		}
	}
}

// Gates of DRA that nobody can ask for by the name of a feature: perhaps rightly.
func (c *check) unnamed(minor int) []string {
	found := []string{}
	for _, name := range keys(c.gates.Gates) {
		named := slices.ContainsFunc(keys(c.features.Features), func(f string) bool {
			return slices.Contains(names(c.features.Features[f].Gates, minor), name)
		})
		if at(c.gates.Gates[name].Spans, minor) != nil && strings.HasPrefix(name, "DRA") && !named {
			found = append(found, name)
		}
	}
	return found
}

func (c *check) changes(minor int) {
	came, went, locked := []string{}, []string{}, []string{}
	for _, name := range keys(c.gates.Gates) {
		before, now := at(c.gates.Gates[name].Spans, minor-1), at(c.gates.Gates[name].Spans, minor)
		switch {
		case before == nil && now != nil:
			came = append(came, name)
		case before != nil && now == nil:
			went = append(went, name)
		case before != nil && now[4] == true && before[4] == false:
			locked = append(locked, name)
		}
	}
	fmt.Printf("1.%d, as in %s: %d gates came\n  %d went: %s\n  %d were locked: %s\n", minor, c.gates.Kubernetes[fmt.Sprintf("1.%d", minor)],
		len(came), len(went), strings.Join(went, ", "), len(locked), strings.Join(locked, ", "))
	if unnamed := c.unnamed(minor); len(unnamed) > 0 {
		fmt.Printf("  of DRA, and in no feature of features.yaml: %s\n", strings.Join(unnamed, ", "))
	}
}

func keys[V any](m map[string]V) []string {
	out := []string{}
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func main() {
	if len(os.Args) != 4 {
		fatal("usage: check GATES.YAML DRA.YAML FEATURES.YAML")
	}
	c := check{gates: read(os.Args[1]), dra: read(os.Args[2]), features: read(os.Args[3])}
	minors := []int{}
	for minor := range c.gates.Kubernetes {
		minors = append(minors, minorOf(minor))
	}
	sort.Ints(minors)
	for _, minor := range minors {
		c.minor(minor)
	}
	c.changes(minors[len(minors)-1])
	if len(c.missing) > 0 {
		fatal("left to do by hand:\n  %s", strings.Join(c.missing, "\n  "))
	}
}

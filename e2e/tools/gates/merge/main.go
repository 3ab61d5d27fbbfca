// SPDX-License-Identifier: Apache-2.0

// merge puts the dumps of one Kubernetes minor (one a component) into gates.yaml, which holds for every gate and API
// version the spans of minors in which nothing changes. Other minors' rows stay what they were.
//
//	merge VERSION GATES.YAML DUMP.json...
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

type gate struct {
	Stage     string   `json:"stage"`
	Default   bool     `json:"default"`
	Locked    bool     `json:"locked"`
	DependsOn []string `json:"depends_on"`
}

type dump struct {
	Component string          `json:"component"`
	Gates     map[string]gate `json:"gates"`
	APIs      map[string]bool `json:"apis"`
}

// A line of gates.yaml is a YAML key and a flow value that is JSON too.
type line struct {
	Spans        [][]any `json:"spans,omitempty"`
	DependsOn    [][]any `json:"depends_on,omitempty"`
	RegisteredBy [][]any `json:"registered_by,omitempty"`
	FlippedBy    [][]any `json:"flipped_by,omitempty"` // components whose own default is the opposite
}

// What holds at one minor; a row of a span without its two ends, nil where there is nothing to say.
type cell struct{ gate, deps, registered, flipped []any }

var components = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"}

type table struct {
	releases map[string]string
	gates    map[string]map[int]cell
	apis     map[string]map[int][]any
}

func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "merge: "+format+"\n", args...)
	os.Exit(1)
}

func minorOf(text string) int {
	parts := strings.Split(text, ".")
	if len(parts) < 2 || parts[0] != "1" {
		fatal("not a Kubernetes 1.x version: %s", text)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		fatal("not a Kubernetes version: %s", text)
	}
	return n
}

func expand(rows [][]any, put func(minor int, rest []any)) {
	for _, row := range rows {
		for m := minorOf(row[0].(string)); m <= minorOf(row[1].(string)); m++ {
			put(m, row[2:])
		}
	}
}

func contract(at map[int][]any) [][]any {
	minors := []int{}
	for m := range at {
		minors = append(minors, m)
	}
	sort.Ints(minors)
	rows := [][]any{}
	for i, m := range minors {
		name := fmt.Sprintf("1.%d", m)
		last := len(rows) - 1
		if i > 0 && minors[i-1] == m-1 && reflect.DeepEqual(at[m-1], at[m]) {
			rows[last][1] = name
			continue
		}
		rows = append(rows, append([]any{name, name}, at[m]...))
	}
	return rows
}

func (t *table) readLine(section, key, value string) {
	switch section {
	case "gates":
		var l line
		if err := json.Unmarshal([]byte(value), &l); err != nil {
			fatal("%s: %v", key, err)
		}
		at := map[int]cell{}
		expand(l.Spans, func(m int, r []any) { at[m] = cell{gate: r} })
		expand(l.DependsOn, func(m int, r []any) { c := at[m]; c.deps = r; at[m] = c })
		expand(l.RegisteredBy, func(m int, r []any) { c := at[m]; c.registered = r; at[m] = c })
		expand(l.FlippedBy, func(m int, r []any) { c := at[m]; c.flipped = r; at[m] = c })
		t.gates[key] = at
	case "apis":
		var rows [][]any
		if err := json.Unmarshal([]byte(value), &rows); err != nil {
			fatal("%s: %v", key, err)
		}
		at := map[int][]any{}
		expand(rows, func(m int, r []any) { at[m] = r })
		t.apis[key] = at
	case "kubernetes":
		t.releases[key] = strings.Trim(value, `"`)
	}
}

func read(path string) *table {
	t := &table{map[string]string{}, map[string]map[int]cell{}, map[string]map[int][]any{}}
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return t
	} else if err != nil {
		fatal("%v", err)
	}
	section := ""
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for scanner.Scan() {
		l := scanner.Text()
		switch {
		case strings.HasPrefix(l, "  "):
			key, value, _ := strings.Cut(strings.TrimSpace(l), ": ")
			t.readLine(section, strings.Trim(key, `"`), value)
		case strings.HasSuffix(l, ":"):
			section = strings.TrimSuffix(l, ":")
		}
	}
	return t
}

// add replaces the cells of the dumps' minor.
func (t *table) add(version string, dumps []dump) {
	minor := minorOf(version)
	t.releases[fmt.Sprintf("1.%d", minor)] = version
	for _, at := range t.gates {
		delete(at, minor)
	}
	for _, at := range t.apis {
		delete(at, minor)
	}
	who, flipped := map[string][]any{}, map[string][]any{}
	specs := map[string]gate{}
	for _, d := range dumps {
		for name, g := range d.Gates {
			old, ok := specs[name]
			if ok && old.Default != g.Default {
				flipped[name] = append(flipped[name], d.Component)
				g.Default = old.Default
			}
			if ok && !reflect.DeepEqual(old, g) {
				fatal("%s differs between the components: %v and %v", name, old, g)
			}
			specs[name] = g
			who[name] = append(who[name], d.Component)
		}
		for gv, on := range d.APIs {
			if t.apis[gv] == nil {
				t.apis[gv] = map[int][]any{}
			}
			t.apis[gv][minor] = []any{on}
		}
	}
	for name, g := range specs {
		c := cell{gate: []any{g.Stage, g.Default, g.Locked}}
		for _, d := range g.DependsOn {
			c.deps = append(c.deps, d)
		}
		if len(who[name]) < len(components) {
			c.registered = who[name]
		}
		c.flipped = flipped[name]
		if t.gates[name] == nil {
			t.gates[name] = map[int]cell{}
		}
		t.gates[name][minor] = c
	}
}

func flow(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		fatal("%v", err)
	}
	s := strings.TrimSpace(b.String())
	return strings.NewReplacer(`",`, `", `, `],`, `], `, `":`, `": `, `true,`, `true, `, `false,`, `false, `).Replace(s)
}

func keys[V any](m map[string]V) []string {
	out := []string{}
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func (t *table) write(path string) {
	var b bytes.Buffer
	b.WriteString(`# SPDX-License-Identifier: Apache-2.0
# Every feature gate and API version that the Kubernetes binaries below register. Made by e2e/tools/gates/update.sh from the
# real modules, one minor at a time; not edited by hand. The form is docs/gates-table.md.
schema: 1
kubernetes:
`)
	releases := keys(t.releases)
	sort.Slice(releases, func(i, j int) bool { return minorOf(releases[i]) < minorOf(releases[j]) })
	for _, m := range releases {
		fmt.Fprintf(&b, "  %q: %q\n", m, t.releases[m])
	}
	b.WriteString("gates:\n")
	for _, name := range keys(t.gates) {
		gates, deps, registered, flipped := map[int][]any{}, map[int][]any{}, map[int][]any{}, map[int][]any{}
		for m, c := range t.gates[name] {
			gates[m] = c.gate
			if c.deps != nil {
				deps[m] = c.deps
			}
			if c.registered != nil {
				registered[m] = c.registered
			}
			if c.flipped != nil {
				flipped[m] = c.flipped
			}
		}
		if len(gates) > 0 {
			fmt.Fprintf(&b, "  %s: %s\n", name, flow(line{contract(gates), contract(deps), contract(registered), contract(flipped)}))
		}
	}
	b.WriteString("apis:\n")
	for _, gv := range keys(t.apis) {
		if len(t.apis[gv]) > 0 {
			fmt.Fprintf(&b, "  %q: %s\n", gv, flow(contract(t.apis[gv])))
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		fatal("%v", err)
	}
}

func main() {
	if len(os.Args) != 3+len(components) {
		fatal("usage: merge VERSION GATES.YAML DUMP.json (one a component: %s)", strings.Join(components, ", "))
	}
	t := read(os.Args[2])
	dumps := []dump{}
	for _, path := range os.Args[3:] {
		text, err := os.ReadFile(path)
		if err != nil {
			fatal("%v", err)
		}
		var d dump
		if err := json.Unmarshal(text, &d); err != nil {
			fatal("%s: %v", path, err)
		}
		dumps = append(dumps, d)
	}
	sort.Slice(dumps, func(i, j int) bool { return dumps[i].Component < dumps[j].Component })
	t.add(os.Args[1], dumps)
	t.write(os.Args[2])
}

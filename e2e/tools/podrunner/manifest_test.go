// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

const scheduler = `apiVersion: v1
kind: Pod
metadata: {name: kube-scheduler, namespace: kube-system}
spec:
  containers:
  - name: kube-scheduler
    image: node.local/kube-scheduler:v1.33.13
    command: [kube-scheduler, --v=1]
`

func mustDecode(t *testing.T, text string) *pod {
	t.Helper()
	p, err := decodePod([]byte(text), "/m/kube-scheduler.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHashIsOfTheObject(t *testing.T) {
	p := mustDecode(t, scheduler)
	if q := mustDecode(t, "# a comment\n"+scheduler+"\n"); q.hash != p.hash {
		t.Error("a comment changed the hash")
	}
	changed := mustDecode(t, scheduler[:len(scheduler)-3]+"2]\n")
	if changed.hash == p.hash {
		t.Error("a changed flag did not change the hash")
	}
	if len(p.hash) != 32 {
		t.Errorf("hash %q", p.hash)
	}
}

func TestNotAPod(t *testing.T) {
	for _, text := range []string{"", "apiVersion: v1\nkind: ConfigMap\n", "spec: [", scheduler + "    args: nope\n"} {
		if _, err := decodePod([]byte(text), "f"); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestFilesOfADirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".hidden.yaml", scheduler)
	write("no-extension", scheduler)
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	first := readManifests(dir, nil)
	if len(first) != 1 || first[filepath.Join(dir, "no-extension")] == nil {
		t.Fatalf("read %v", first)
	}
	write("no-extension", "spec: [")
	if again := readManifests(dir, first); again[filepath.Join(dir, "no-extension")] == nil {
		t.Error("a file that cannot be read lost its pod")
	}
	if err := os.Remove(filepath.Join(dir, "no-extension")); err != nil {
		t.Fatal(err)
	}
	if gone := readManifests(dir, first); len(gone) != 0 {
		t.Error("a file that is gone kept its pod")
	}
}

func TestBinaryByTag(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "v1.33.13", "kube-scheduler")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := findBinary("kube-scheduler", "node.local/kube-scheduler:v1.33.13", []string{"", dir})
	if err != nil || got != name {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := findBinary("kube-scheduler-x", "a:v1", []string{dir}); err == nil {
		t.Error("found what is not there")
	}
	if got, err := findBinary("sleep", "node.local/sidecar:1", []string{dir}); err != nil || filepath.Base(got) != "sleep" {
		t.Errorf("sleep: %s, %v", got, err)
	}
}

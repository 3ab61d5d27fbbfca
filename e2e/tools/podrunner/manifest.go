// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"sigs.k8s.io/yaml"
)

const manifestMax = 10 << 20 // the kubelet's limit

type port struct {
	Name          string `json:"name"`
	ContainerPort int    `json:"containerPort"`
}

type probe struct {
	HTTPGet *struct {
		Scheme, Host, Path string
		Port               json.RawMessage
	} `json:"httpGet"`
	TCPSocket *struct {
		Host string
		Port json.RawMessage
	} `json:"tcpSocket"`
	InitialDelaySeconds int `json:"initialDelaySeconds"`
	PeriodSeconds       int `json:"periodSeconds"`
	TimeoutSeconds      int `json:"timeoutSeconds"`
	FailureThreshold    int `json:"failureThreshold"`
	SuccessThreshold    int `json:"successThreshold"`
}

type containerSpec struct {
	Name       string   `json:"name"`
	Image      string   `json:"image"`
	Command    []string `json:"command"`
	Args       []string `json:"args"`
	WorkingDir string   `json:"workingDir"`
	Env        []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
	Ports          []port `json:"ports"`
	StartupProbe   *probe `json:"startupProbe"`
	LivenessProbe  *probe `json:"livenessProbe"`
	ReadinessProbe *probe `json:"readinessProbe"`
}

// pod is one decoded static pod manifest. raw is the whole object, for the mirror pod.
type pod struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		UID         string            `json:"uid"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Containers                    []containerSpec `json:"containers"`
		TerminationGracePeriodSeconds *int64          `json:"terminationGracePeriodSeconds"`
	} `json:"spec"`
	raw  map[string]any
	file string
	hash string
}

func (p *pod) key() string { return p.Metadata.Namespace + "/" + p.Metadata.Name }

func (p *pod) grace() time.Duration {
	if p.Spec.TerminationGracePeriodSeconds != nil {
		return time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second
	}
	return 30 * time.Second
}

// decodePod reads a manifest. Two texts of the same object have the same hash, whatever their comments and layout.
func decodePod(text []byte, file string) (*pod, error) {
	p := &pod{file: file}
	if err := yaml.Unmarshal(text, p); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(text, &p.raw); err != nil {
		return nil, err
	}
	if p.APIVersion != "v1" || p.Kind != "Pod" {
		return nil, fmt.Errorf("not a v1 Pod but %q %q", p.APIVersion, p.Kind)
	}
	if p.Metadata.Name == "" || len(p.Spec.Containers) == 0 {
		return nil, errors.New("a pod needs a name and a container")
	}
	if p.Metadata.Namespace == "" {
		p.Metadata.Namespace = "default"
	}
	canonical, err := json.Marshal(p.raw)
	if err != nil {
		return nil, err
	}
	h := fnv.New128a()
	_, _ = h.Write(canonical)
	_, _ = h.Write([]byte("file:" + file))
	p.hash = hex.EncodeToString(h.Sum(nil))
	return p, nil
}

// readManifests reads the directory as the kubelet does: no dot files, no directories, any extension. was holds what was read
// before, by file: a file that cannot be decoded keeps its old pod.
func readManifests(dir string, was map[string]*pod) map[string]*pod {
	now := map[string]*pod{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Printf("manifests: %v", err)
			return was
		}
		return now
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		info, err := os.Stat(name)
		if strings.HasPrefix(e.Name(), ".") || err != nil || !info.Mode().IsRegular() {
			continue
		}
		p, err := readManifest(name, info.Size())
		if err != nil {
			log.Printf("manifest %s: %v", e.Name(), err)
			p = was[name]
		}
		if p != nil {
			now[name] = p
		}
	}
	return now
}

func readManifest(name string, size int64) (*pod, error) {
	if size > manifestMax {
		return nil, fmt.Errorf("larger than %d bytes", manifestMax)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return decodePod(text, name)
}

// watchManifests calls update with the wanted pods, by namespace/name, at each change. It also looks by itself now and then; where
// the machine has no inotify instance left, often.
func watchManifests(dir string, update func(map[string]*pod)) {
	rescan := 20 * time.Second
	var events chan fsnotify.Event
	var failures chan error
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		err = watcher.Add(dir)
	}
	if err != nil {
		log.Printf("%s: %v; polling", dir, err)
		rescan = 300 * time.Millisecond
	} else {
		events, failures = watcher.Events, watcher.Errors
	}
	ticker := time.NewTicker(rescan)
	var files map[string]*pod
	for {
		files = readManifests(dir, files)
		update(byKey(files))
		select {
		case e := <-events:
			if strings.HasPrefix(filepath.Base(e.Name), ".") {
				continue
			}
		case err := <-failures:
			log.Printf("watch: %v", err)
		case <-ticker.C:
		}
	}
}

// byKey gives the wanted pods. Where two files hold a pod of one name, the first file wins.
func byKey(files map[string]*pod) map[string]*pod {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	pods := map[string]*pod{}
	for _, name := range names {
		p := files[name]
		if other := pods[p.key()]; other != nil {
			log.Printf("manifest %s: pod %s is also in %s", name, p.key(), other.file)
			continue
		}
		pods[p.key()] = p
	}
	return pods
}

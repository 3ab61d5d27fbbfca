// SPDX-License-Identifier: Apache-2.0

// Podrunner stands in for the kubelet where there are no containers: it runs the static pods of a manifests directory as
// host processes, with the kubelet's rules for files, restarts and probes, and publishes their mirror pods.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the runner's flags. A field without a flag is derived in main.
type options struct {
	node, nodeDir, manifests, kubeconfig, logs string
	bins                                       []string
	successorDelay, crashBackoff, crashCap     time.Duration
	keepLogs                                   bool
	kubeletVersionFile, kubeletConfig          string
	kubeletFlags, gatesTable                   string
	healthzAddress, metricsAddress             string
	owner                                      int
}

func readOptions() *options {
	o := &options{}
	var bins string
	flag.StringVar(&o.node, "node-name", "cp-1", "name of the node")
	flag.StringVar(&o.nodeDir, "node-dir", "", "directory of this node: manifests, kubelet, log, runner.pid")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "credentials of the node (system:node:NAME); empty: publish nothing")
	flag.StringVar(&bins, "bin-dirs", "", "comma-separated directories where commands are looked up: DIR/TAG/NAME, then DIR/NAME")
	flag.DurationVar(&o.successorDelay, "successor-delay", 10*time.Second, "wait between the end of a pod and the start of its successor")
	flag.DurationVar(&o.crashBackoff, "crash-backoff", 10*time.Second, "first back-off of a container that exits again; doubles")
	flag.DurationVar(&o.crashCap, "crash-backoff-max", 5*time.Minute, "longest back-off")
	flag.BoolVar(&o.keepLogs, "keep-logs", true, "move the logs of ended pods to log/previous instead of deleting them")
	flag.StringVar(&o.kubeletVersionFile, "kubelet-version-file", "", "names the version of the kubelet to stand in for; absent or empty: none")
	flag.StringVar(&o.kubeletConfig, "kubelet-config", "", "the kubelet's config.yaml")
	flag.StringVar(&o.kubeletFlags, "kubelet-flags", "", "the kubelet's kubeadm-flags.env")
	flag.StringVar(&o.gatesTable, "gates-table", "", "YAML table of every feature gate by minor")
	flag.StringVar(&o.healthzAddress, "kubelet-healthz-address", "127.0.0.1:10248", "address of the kubelet's /healthz (http)")
	flag.StringVar(&o.metricsAddress, "kubelet-metrics-address", "127.0.0.1:10250", "address of the kubelet's /metrics (https)")
	flag.IntVar(&o.owner, "owner", 0, "end when the process with this id is gone; 0: never")
	flag.Parse()
	o.bins = strings.Split(bins, ",")
	o.manifests = filepath.Join(o.nodeDir, "manifests")
	o.logs = filepath.Join(o.nodeDir, "log")
	return o
}

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	o := readOptions()
	if o.nodeDir == "" {
		log.Fatal("--node-dir is needed")
	}
	pid := filepath.Join(o.nodeDir, "runner.pid")
	if err := os.WriteFile(pid, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
		log.Fatal(err)
	}
	go spawnLoop()
	pub := newPublisher(o)
	set := newPodSet(o, pub.kick)
	pub.pods = set
	kubelet := newKubelet(o, pub.kick)
	pub.kubelet = kubelet
	go watchManifests(o.manifests, set.update)
	go kubelet.run()
	go pub.run()
	if o.owner > 0 {
		go endWith(o.owner)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	for s := range signals {
		if s == syscall.SIGHUP {
			kubelet.restart()
			continue
		}
		log.Printf("%v: ending every process", s)
		killAll()
		_ = os.Remove(pid)
		return
	}
}

// endWith ends the runner, and with it its children, when the process that asked for it is gone.
func endWith(owner int) {
	for syscall.Kill(owner, 0) != syscall.ESRCH {
		time.Sleep(500 * time.Millisecond)
	}
	log.Printf("owner %d is gone: ending every process", owner)
	killAll()
	os.Exit(0)
}

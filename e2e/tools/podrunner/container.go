// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// container runs one container of a pod instance: restarts it with back-off and probes it.
type container struct {
	options *options
	spec    *containerSpec
	logDir  string
	kick    func() // its status differs from before

	lock      sync.Mutex
	now       *process
	running   bool
	ready     bool
	started   bool // startup probe passed
	startedAt time.Time
	restarts  int
	last      map[string]any // lastState.terminated
	waiting   string         // reason while not running
	message   string
}

// run keeps the container running until ctx ends, then stops it within grace.
func (c *container) run(ctx context.Context, grace time.Duration) {
	if err := os.MkdirAll(c.logDir, 0o755); err != nil {
		log.Printf("%s: %v", c.spec.Name, err)
	}
	wait := time.Duration(0) // the first restart comes at once
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		c.once(ctx, grace, filepath.Join(c.logDir, fmt.Sprintf("%d.log", n)))
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > 2*c.options.crashCap {
			wait = 0
		}
		if wait > 0 {
			c.set(func() {
				c.waiting = "CrashLoopBackOff"
				c.message = fmt.Sprintf("back-off %v restarting failed container=%s", wait, c.spec.Name)
			})
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		wait = min(max(2*wait, c.options.crashBackoff), c.options.crashCap)
		c.set(func() { c.restarts++ })
	}
}

// once is one life of the container.
func (c *container) once(ctx context.Context, grace time.Duration, logName string) {
	p, err := startProcess(c.spec, c.options.bins, logName)
	if err != nil {
		log.Printf("%s: %v", c.spec.Name, err)
		c.set(func() {
			c.waiting, c.message = "RunContainerError", err.Error()
			c.last = map[string]any{"exitCode": 128, "reason": "StartError", "message": err.Error(),
				"startedAt": stamp(time.Now()), "finishedAt": stamp(time.Now())}
		})
		return
	}
	began := time.Now()
	log.Printf("%s: started, pid %d", c.spec.Name, p.cmd.Process.Pid)
	c.set(func() {
		c.now, c.running, c.waiting, c.message, c.startedAt = p, true, "", "", began
		c.started = c.spec.StartupProbe == nil
		c.ready = c.started && c.spec.ReadinessProbe == nil
	})
	probing, stopProbing := context.WithCancel(ctx)
	go c.probeAll(probing, p)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.stop(grace)
	}
	stopProbing()
	code, reason := p.status.ExitStatus(), "Completed"
	if p.status.Signaled() {
		code = 128 + int(p.status.Signal())
	}
	if code != 0 {
		reason = "Error"
	}
	log.Printf("%s: ended after %.1f s, exit code %d", c.spec.Name, time.Since(began).Seconds(), code)
	c.set(func() {
		c.running, c.ready, c.started = false, false, false
		c.last = map[string]any{"exitCode": code, "reason": reason, "startedAt": stamp(began), "finishedAt": stamp(time.Now()),
			"containerID": "process://" + strconv.Itoa(p.cmd.Process.Pid)}
		c.waiting = "ContainerCreating"
	})
}

func (c *container) set(change func()) {
	c.lock.Lock()
	change()
	c.lock.Unlock()
	c.kick()
}

// probeAll runs the startup probe and, once that passed, the readiness and liveness probes.
func (c *container) probeAll(ctx context.Context, p *process) {
	if s := c.spec.StartupProbe; s != nil {
		if !c.probeUntil(ctx, s, func(good bool) bool { return good }) {
			if ctx.Err() == nil {
				log.Printf("%s: startup probe failed", c.spec.Name)
				p.stop(time.Second)
			}
			return
		}
		c.set(func() { c.started, c.ready = true, c.spec.ReadinessProbe == nil })
	}
	if r := c.spec.ReadinessProbe; r != nil {
		go c.probeReadiness(ctx, r)
	}
	if l := c.spec.LivenessProbe; l != nil {
		if !c.probeUntil(ctx, l, func(bool) bool { return false }) && ctx.Err() == nil {
			log.Printf("%s: liveness probe failed", c.spec.Name)
			p.stop(time.Second)
		}
	}
}

// probeUntil probes until enough says so (true), the failure threshold is reached in a row (false), or ctx ends (false).
func (c *container) probeUntil(ctx context.Context, spec *probe, enough func(bool) bool) bool {
	failures := 0
	wait := time.Duration(spec.InitialDelaySeconds) * time.Second
	for sleep(ctx, wait) {
		good := c.try(ctx, spec)
		if enough(good) {
			return true
		}
		failures++
		if good {
			failures = 0
		}
		if failures >= atLeast(spec.FailureThreshold, 3) {
			return false
		}
		wait = time.Duration(atLeast(spec.PeriodSeconds, 10)) * time.Second
	}
	return false
}

func (c *container) probeReadiness(ctx context.Context, spec *probe) {
	failures := 0
	for wait := time.Duration(spec.InitialDelaySeconds) * time.Second; sleep(ctx, wait); {
		good := c.try(ctx, spec)
		failures++
		if good {
			failures = 0
		}
		c.lock.Lock()
		was := c.ready
		if good || failures >= atLeast(spec.FailureThreshold, 3) {
			c.ready = good && ctx.Err() == nil
		}
		changed := was != c.ready
		c.lock.Unlock()
		if changed {
			c.kick()
		}
		wait = time.Duration(atLeast(spec.PeriodSeconds, 10)) * time.Second
	}
}

// probeClient keeps its connections, as the kubelet's does not: many clusters run at once, and each would make a TLS handshake a second.
var probeClient = &http.Client{Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // as the kubelet's probes
	IdleConnTimeout: 30 * time.Second,
}}

// try is one attempt of a probe.
func (c *container) try(ctx context.Context, spec *probe) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(atLeast(spec.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	if t := spec.TCPSocket; t != nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(hostOr(t.Host), c.port(t.Port)))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
	h := spec.HTTPGet
	if h == nil {
		return true
	}
	scheme := "http"
	if h.Scheme != "" {
		scheme = strings.ToLower(h.Scheme)
	}
	url := scheme + "://" + net.JoinHostPort(hostOr(h.Host), c.port(h.Port)) + h.Path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := probeClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 10<<10)) // else the connection cannot be used again
	_ = answer.Body.Close()
	return answer.StatusCode >= 200 && answer.StatusCode < 400
}

// port is a number, or the name of one of the container's ports.
func (c *container) port(raw json.RawMessage) string {
	text := strings.Trim(string(raw), `"`)
	for _, p := range c.spec.Ports {
		if p.Name == text {
			return strconv.Itoa(p.ContainerPort)
		}
	}
	return text
}

// status is the container's part of the mirror pod's status.
func (c *container) status() map[string]any {
	c.lock.Lock()
	defer c.lock.Unlock()
	s := map[string]any{"name": c.spec.Name, "image": c.spec.Image, "imageID": c.spec.Image, "ready": c.ready,
		"started": c.started, "restartCount": c.restarts}
	switch {
	case c.running:
		s["state"] = map[string]any{"running": map[string]any{"startedAt": stamp(c.startedAt)}}
		s["containerID"] = "process://" + strconv.Itoa(c.now.cmd.Process.Pid)
	default:
		reason := c.waiting
		if reason == "" {
			reason = "ContainerCreating"
		}
		s["state"] = map[string]any{"waiting": map[string]any{"reason": reason, "message": c.message}}
	}
	if c.last != nil {
		s["lastState"] = map[string]any{"terminated": c.last}
	}
	return s
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func atLeast(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

func hostOr(host string) string {
	if host == "" {
		return "127.0.0.1"
	}
	return host
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

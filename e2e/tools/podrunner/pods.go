// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"
)

// podSet runs the wanted pods, one slot a name. A slot runs one instance at a time: a changed object has to wait for the old
// one to end and then for the successor's delay, as in the kubelet.
type podSet struct {
	options *options
	kick    func()
	lock    sync.Mutex
	slots   map[string]*slot
}

type slot struct {
	set     *podSet
	wanted  *pod      // nil: to be ended
	current *instance // nil: none
	changed chan struct{}
}

// instance is one running object: a pod with one hash.
type instance struct {
	pod        *pod
	began      time.Time
	containers []*container
}

func newPodSet(o *options, kick func()) *podSet {
	return &podSet{options: o, kick: kick, slots: map[string]*slot{}}
}

// update sets what is wanted. Same hash: nothing happens.
func (s *podSet) update(pods map[string]*pod) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for key, p := range pods {
		if s.slots[key] == nil {
			s.slots[key] = &slot{set: s, changed: make(chan struct{}, 1)}
			go s.slots[key].run(key)
		}
		s.slots[key].want(p)
	}
	for key, sl := range s.slots {
		if pods[key] == nil {
			sl.want(nil)
		}
	}
}

// want is called with the set's lock held.
func (sl *slot) want(p *pod) {
	if (p == nil && sl.wanted == nil) || (p != nil && sl.wanted != nil && p.hash == sl.wanted.hash) {
		return
	}
	sl.wanted = p
	select {
	case sl.changed <- struct{}{}:
	default:
	}
}

func (sl *slot) run(key string) {
	predecessor := false
	for {
		sl.set.lock.Lock()
		p := sl.wanted
		sl.set.lock.Unlock()
		if p == nil {
			predecessor = false
			<-sl.changed
			continue
		}
		if predecessor {
			time.Sleep(sl.set.options.successorDelay)
			sl.set.lock.Lock()
			p = sl.wanted // the newest one
			sl.set.lock.Unlock()
			if p == nil {
				continue
			}
		}
		log.Printf("pod %s: starting %s", key, p.hash[:8])
		sl.runInstance(p)
		predecessor = true
	}
}

// runInstance runs p until something else is wanted.
func (sl *slot) runInstance(p *pod) {
	o := sl.set.options
	name := p.Metadata.Namespace + "_" + p.Metadata.Name + "-" + o.node + "_" + p.hash
	logDir := filepath.Join(o.logs, "pods", name)
	in := &instance{pod: p, began: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for i := range p.Spec.Containers {
		spec := &p.Spec.Containers[i]
		in.containers = append(in.containers, &container{options: o, spec: spec, kick: sl.set.kick, logDir: filepath.Join(logDir, spec.Name)})
	}
	for _, c := range in.containers {
		group.Add(1)
		go func() {
			defer group.Done()
			c.run(ctx, p.grace())
		}()
	}
	sl.setCurrent(in)
	for sl.stillWants(p) {
		<-sl.changed
	}
	log.Printf("pod %s: ending %s", p.key(), p.hash[:8])
	cancel()
	group.Wait()
	sl.setCurrent(nil)
	dropLogs(o, logDir)
}

func (sl *slot) setCurrent(in *instance) {
	sl.set.lock.Lock()
	sl.current = in
	sl.set.lock.Unlock()
	sl.set.kick()
}

func (sl *slot) stillWants(p *pod) bool {
	sl.set.lock.Lock()
	defer sl.set.lock.Unlock()
	return sl.wanted != nil && sl.wanted.hash == p.hash
}

// dropLogs: the kubelet deletes the logs of a pod that is gone; tests want to read them.
func dropLogs(o *options, dir string) {
	if !o.keepLogs {
		_ = os.RemoveAll(dir)
		return
	}
	previous := filepath.Join(o.logs, "previous")
	_ = os.MkdirAll(previous, 0o755)
	_ = os.Rename(dir, filepath.Join(previous, filepath.Base(dir)+time.Now().Format("-150405.000")))
}

// instances are the running ones, in the order of their names.
func (s *podSet) instances() []*instance {
	s.lock.Lock()
	defer s.lock.Unlock()
	var all []*instance
	for _, sl := range s.slots {
		if sl.current != nil {
			all = append(all, sl.current)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].pod.key() < all[j].pod.key() })
	return all
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"log"
	"net/http"
	"time"
)

const (
	heartbeat = 10 * time.Second // as the kubelet's
	retry     = time.Second
)

// publisher tells the API server what runs here: the Node, its Lease, and a mirror pod for each static pod.
type publisher struct {
	options *options
	api     *apiClient
	pods    *podSet
	kubelet *kubelet
	wake    chan struct{}
	written map[string]string // mirror pod -> status as last written
	nodeUID string
	version string // kubeletVersion as last written
}

func newPublisher(o *options) *publisher {
	p := &publisher{options: o, wake: make(chan struct{}, 1), written: map[string]string{}}
	if o.kubeconfig != "" {
		api, err := newAPIClient(o.kubeconfig)
		if err != nil {
			log.Fatal(err)
		}
		p.api = api
	}
	return p
}

func (p *publisher) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *publisher) run() {
	if p.api == nil {
		return
	}
	var beat time.Time
	complaint := ""
	for {
		wait := heartbeat
		err := p.publish(&beat)
		if err != nil {
			wait = retry
		}
		if text := errorText(err); text != complaint {
			log.Printf("publish: %s", text)
			complaint = text
		}
		select {
		case <-p.wake:
			time.Sleep(100 * time.Millisecond) // changes come in groups
		case <-time.After(wait):
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func (p *publisher) publish(beat *time.Time) error {
	if time.Since(*beat) >= heartbeat || p.version != p.kubelet.nodeVersion() {
		if err := p.publishNode(); err != nil {
			return err
		}
		*beat = time.Now()
	}
	mirrors, err := p.list()
	if err != nil {
		return err
	}
	for _, in := range p.pods.instances() {
		path := p.mirrorPath(in)
		if err := p.publishPod(in, mirrors[path]); err != nil {
			return err
		}
		delete(mirrors, path)
	}
	for path, mirror := range mirrors { // their static pods are gone, or just between two instances
		delete(p.written, path)
		if err := p.deletePod(path, field(mirror, "metadata", "uid")); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) publishNode() error {
	path := "/api/v1/nodes/" + p.options.node
	node, err := p.api.do(http.MethodGet, path, nil)
	if isCode(err, http.StatusNotFound) {
		node, err = p.api.do(http.MethodPost, "/api/v1/nodes", nodeObject(p.options.node))
	}
	if err != nil {
		return err
	}
	p.nodeUID, _ = field(node, "metadata", "uid").(string)
	if p.kubelet.refused() {
		return nil // a kubelet that is down sends no heartbeat
	}
	version := p.kubelet.nodeVersion()
	if _, err = p.api.do(http.MethodPatch, path+"/status", nodeStatus(p.options, version)); err != nil {
		return err
	}
	p.version = version
	return p.renewLease()
}

func (p *publisher) renewLease() error {
	path := "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
	lease := map[string]any{
		"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
		"metadata": map[string]any{"name": p.options.node, "namespace": "kube-node-lease", "ownerReferences": []any{p.nodeReference(false)}},
		"spec": map[string]any{"holderIdentity": p.options.node, "leaseDurationSeconds": 40,
			"renewTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")},
	}
	_, err := p.api.do(http.MethodPatch, path+"/"+p.options.node, map[string]any{"spec": lease["spec"]})
	if isCode(err, http.StatusNotFound) {
		_, err = p.api.do(http.MethodPost, path, lease)
	}
	return err
}

func (p *publisher) nodeReference(controller bool) map[string]any {
	r := map[string]any{"apiVersion": "v1", "kind": "Node", "name": p.options.node, "uid": p.nodeUID}
	if controller {
		r["controller"] = true
	}
	return r
}

// list gives the mirror pods of this node, by path.
func (p *publisher) list() (map[string]any, error) {
	list, err := p.api.do(http.MethodGet, "/api/v1/pods?fieldSelector=spec.nodeName%3D"+p.options.node, nil)
	if err != nil {
		return nil, err
	}
	mirrors := map[string]any{}
	items, _ := list["items"].([]any)
	for _, item := range items {
		name, _ := field(item, "metadata", "name").(string)
		namespace, _ := field(item, "metadata", "namespace").(string)
		if field(item, "metadata", "annotations", annotationMirror) != nil {
			mirrors[podPath(namespace)+"/"+name] = item
		}
	}
	return mirrors, nil
}

func (p *publisher) mirrorPath(in *instance) string {
	return podPath(in.pod.Metadata.Namespace) + "/" + in.pod.Metadata.Name + "-" + p.options.node
}

func (p *publisher) deletePod(path string, uid any) error {
	_, err := p.api.do(http.MethodDelete, path, map[string]any{"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
		"preconditions": map[string]any{"uid": uid}})
	if isCode(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// publishPod makes the mirror pod say what the instance is and does. An instance with another hash gets a new mirror pod.
func (p *publisher) publishPod(in *instance, was any) error {
	path := p.mirrorPath(in)
	status := podStatus(in)
	text, err := json.Marshal(status)
	if err != nil {
		return err
	}
	same := was != nil && field(was, "metadata", "annotations", annotationMirror) == in.pod.hash
	if same && p.written[path] == in.pod.hash+string(text) {
		return nil
	}
	delete(p.written, path)
	if was != nil && !same {
		if err := p.deletePod(path, field(was, "metadata", "uid")); err != nil {
			return err
		}
	}
	if !same {
		if _, err := p.api.do(http.MethodPost, podPath(in.pod.Metadata.Namespace), p.mirrorPod(in)); err != nil {
			return err
		}
	}
	if _, err := p.api.do(http.MethodPatch, path+"/status", map[string]any{"status": status}); err != nil {
		return err
	}
	p.written[path] = in.pod.hash + string(text)
	return nil
}

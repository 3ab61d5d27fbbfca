// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"
)

const acceptedBy = "/dev/null/accepted" // a certificate directory that cannot be: the kubelet gets there only with a good configuration

// kubelet stands in for the endpoints of a kubelet of some version: /healthz, and on /metrics its gates as its configuration
// was when it last started. What a configuration is worth is asked of the real kubelet, where there is one.
type kubelet struct {
	options  *options
	kick     func()
	restarts chan struct{}

	lock    sync.Mutex
	version string // "" none
	down    bool   // its configuration was refused
}

func newKubelet(o *options, kick func()) *kubelet {
	return &kubelet{options: o, kick: kick, restarts: make(chan struct{}, 1), version: readVersion(o.kubeletVersionFile)}
}

func readVersion(file string) string {
	text, _ := os.ReadFile(file)
	return strings.TrimSpace(string(text))
}

func (k *kubelet) restart() {
	select {
	case k.restarts <- struct{}{}:
	default:
	}
}

func (k *kubelet) nodeVersion() string {
	k.lock.Lock()
	defer k.lock.Unlock()
	if k.version == "" {
		return versionNone
	}
	return k.version
}

func (k *kubelet) refused() bool {
	k.lock.Lock()
	defer k.lock.Unlock()
	return k.down
}

// run is one life of the kubelet after the other.
func (k *kubelet) run() {
	for {
		version := readVersion(k.options.kubeletVersionFile)
		gates, err := k.load(version)
		k.lock.Lock()
		k.version, k.down = version, err != nil
		k.lock.Unlock()
		k.kick()
		if err != nil {
			log.Printf("kubelet: %v", err)
			select { // the service manager tries again
			case <-k.restarts:
			case <-time.After(2 * time.Second):
			}
			continue
		}
		stop := func() {}
		if version != "" {
			log.Printf("kubelet: started, %s", version)
			stop = k.serve(version, gates)
		}
		<-k.restarts
		stop()
	}
}

// load gives the gates of a start, or why the kubelet would not start.
func (k *kubelet) load(version string) (map[string]gate, error) {
	if version == "" {
		return nil, nil
	}
	text, err := os.ReadFile(k.options.kubeletConfig)
	if err != nil {
		return nil, err
	}
	var config struct {
		FeatureGates map[string]bool `json:"featureGates"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("failed to load kubelet config file: %w", err)
	}
	flags := k.flags()
	if err := k.ask(version, text, flags); err != nil {
		return nil, err
	}
	gates := knownGates(k.options.gatesTable, version)
	for name, value := range config.FeatureGates {
		gates[name] = gate{gates[name].stage, value}
	}
	for _, f := range flags { // the command line outranks the file
		list, ok := strings.CutPrefix(f, "--feature-gates=")
		for _, entry := range strings.Split(list, ",") {
			if name, value, found := strings.Cut(entry, "="); ok && found {
				gates[name] = gate{gates[name].stage, value == "true"}
			}
		}
	}
	return gates, nil
}

// flags are the words of KUBELET_KUBEADM_ARGS.
func (k *kubelet) flags() []string {
	text, _ := os.ReadFile(k.options.kubeletFlags)
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "KUBELET_KUBEADM_ARGS="); ok {
			return strings.Fields(strings.Trim(value, `"'`))
		}
	}
	return nil
}

// ask runs the real kubelet so that it checks the configuration and then stops, before it touches anything.
func (k *kubelet) ask(version string, config []byte, flags []string) error {
	binary, err := findBinary("kubelet", "kubelet:"+version, k.options.bins)
	if err != nil {
		return nil
	}
	var tree map[string]any
	if err := yaml.Unmarshal(config, &tree); err != nil {
		return err
	}
	tree["failCgroupV1"] = false // the machine's own matter
	if !atLeastMinor(version, 31) {
		delete(tree, "failCgroupV1")
	}
	text, err := yaml.Marshal(tree)
	if err != nil {
		return err
	}
	file := filepath.Join(k.options.nodeDir, "kubelet", ".asked.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	argv := append([]string{"--config", file, "--cert-dir", acceptedBy}, flags...)
	out, err := exec.CommandContext(ctx, binary, argv...).CombinedOutput()
	if err == nil || strings.Contains(string(out), "mkdir /dev/null") {
		return nil
	}
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "err=") || strings.Contains(line, "feature gate") || strings.HasPrefix(line, "Error:") {
			return fmt.Errorf("refused: %s", line)
		}
	}
	return fmt.Errorf("refused: %v", err)
}

func atLeastMinor(version string, minor int) bool {
	var got int
	_, err := fmt.Sscanf(version, "v1.%d", &got)
	return err == nil && got >= minor
}

type gate struct {
	stage string
	value bool
}

// knownGates are the gates of a minor with their defaults, from the table of every minor.
func knownGates(table, version string) map[string]gate {
	gates := map[string]gate{}
	var all struct {
		Gates map[string]struct {
			Spans [][]any `json:"spans"`
		} `json:"gates"`
	}
	text, err := os.ReadFile(table)
	if err == nil {
		err = yaml.Unmarshal(text, &all)
	}
	if err != nil {
		log.Printf("kubelet: no table of gates: %v", err)
		return gates
	}
	for name, g := range all.Gates {
		for _, span := range g.Spans {
			if len(span) < 4 || !spanHolds(span, version) {
				continue
			}
			stage := strings.ToUpper(fmt.Sprint(span[2]))
			if stage == "GA" {
				stage = ""
			}
			gates[name] = gate{stage, span[3] == true}
		}
	}
	return gates
}

func spanHolds(span []any, version string) bool {
	var from, to, got int
	_, err1 := fmt.Sscanf(fmt.Sprint(span[0]), "1.%d", &from)
	_, err2 := fmt.Sscanf(fmt.Sprint(span[1]), "1.%d", &to)
	_, err3 := fmt.Sscanf(version, "v1.%d", &got)
	return err1 == nil && err2 == nil && err3 == nil && from <= got && got <= to
}

// serve answers until stop is called.
func (k *kubelet) serve(version string, gates map[string]gate) (stop func()) {
	health := http.NewServeMux()
	health.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	text := metricsText(version, gates)
	metrics := http.NewServeMux()
	metrics.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(text))
	})
	metrics.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	servers := []*http.Server{{Addr: k.options.healthzAddress, Handler: health}, {Addr: k.options.metricsAddress, Handler: metrics}}
	for i, s := range servers {
		listener, err := net.Listen("tcp", s.Addr)
		if err != nil {
			log.Printf("kubelet: %v", err)
			continue
		}
		if i == 1 {
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{selfSigned()}, NextProtos: []string{"http/1.1"}})
		}
		go func() { _ = s.Serve(listener) }()
	}
	return func() {
		for _, s := range servers {
			_ = s.Close()
		}
	}
}

var versionPattern = regexp.MustCompile(`^v1\.(\d+)`)

func metricsText(version string, gates map[string]gate) string {
	var b strings.Builder
	minor := "0"
	if m := versionPattern.FindStringSubmatch(version); m != nil {
		minor = m[1]
	}
	fmt.Fprintf(&b, "# TYPE kubernetes_build_info gauge\nkubernetes_build_info{git_version=%q,major=\"1\",minor=%q} 1\n", version, minor)
	fmt.Fprintf(&b, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.2f\n", float64(time.Now().UnixMilli())/1000)
	b.WriteString("# TYPE kubernetes_feature_enabled gauge\n")
	names := make([]string, 0, len(gates))
	for name := range gates {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		value := 0
		if gates[name].value {
			value = 1
		}
		fmt.Fprintf(&b, "kubernetes_feature_enabled{name=%q,stage=%q} %d\n", name, gates[name].stage, value)
	}
	return b.String()
}

func selfSigned() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

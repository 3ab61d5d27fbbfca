// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"sigs.k8s.io/yaml"
)

// apiClient is the little of a Kubernetes client that mirror pods need.
type apiClient struct {
	server string
	http   *http.Client
}

// apiError is an answer of the API server that is not 2xx.
type apiError struct {
	code int
	text string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d: %s", e.code, e.text) }

func isCode(err error, code int) bool {
	e, ok := err.(*apiError)
	return ok && e.code == code
}

func newAPIClient(kubeconfig string) (*apiClient, error) {
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	var k struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CAFile string `json:"certificate-authority"`
				CA     string `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				CertFile string `json:"client-certificate"`
				KeyFile  string `json:"client-key"`
				Cert     string `json:"client-certificate-data"`
				Key      string `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(text, &k); err != nil {
		return nil, err
	}
	if len(k.Clusters) == 0 || len(k.Users) == 0 {
		return nil, fmt.Errorf("%s: a cluster and a user are needed", kubeconfig)
	}
	pool := x509.NewCertPool()
	ca, err := dataOrFile(k.Clusters[0].Cluster.CA, k.Clusters[0].Cluster.CAFile)
	if err != nil {
		return nil, err
	}
	pool.AppendCertsFromPEM(ca)
	u := k.Users[0].User
	cert, err := dataOrFile(u.Cert, u.CertFile)
	if err != nil {
		return nil, err
	}
	key, err := dataOrFile(u.Key, u.KeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}
	return &apiClient{k.Clusters[0].Cluster.Server, &http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

func dataOrFile(data, file string) ([]byte, error) {
	if data != "" {
		return base64.StdEncoding.DecodeString(data)
	}
	return os.ReadFile(file)
}

// do sends body as JSON (merge patch for PATCH) and gives the answer's object.
func (c *apiClient) do(method, path string, body any) (map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(method, c.server+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	var object map[string]any
	_ = json.Unmarshal(text, &object)
	if answer.StatusCode >= 300 {
		message, _ := object["message"].(string)
		if message == "" {
			message = string(text)
		}
		return nil, &apiError{answer.StatusCode, message}
	}
	return object, nil
}

// field follows names through maps; nil when something is missing.
func field(object any, names ...string) any {
	for _, name := range names {
		m, _ := object.(map[string]any)
		object = m[name]
	}
	return object
}

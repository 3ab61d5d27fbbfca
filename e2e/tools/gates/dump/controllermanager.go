//go:build controllermanager

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const component = "kube-controller-manager"

func init() {
	// While it makes its flags it turns a default of a client library round, in some minors.
	app.NewControllerManagerCommand()
}

func apis() map[string]bool { return nil }

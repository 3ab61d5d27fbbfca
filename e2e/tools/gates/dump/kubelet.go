//go:build kubelet

// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "k8s.io/kubernetes/cmd/kubelet/app"
)

const component = "kubelet"

func apis() map[string]bool { return nil }

//go:build scheduler

// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const component = "kube-scheduler"

func apis() map[string]bool { return nil }

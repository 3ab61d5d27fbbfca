// SPDX-License-Identifier: Apache-2.0

// etcd, as its own module builds it: that module's go.mod has replace directives, so "go install" refuses it.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}

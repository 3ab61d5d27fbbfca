module drawbridge.dev/e2e/podrunner

go 1.24.0

require (
	github.com/fsnotify/fsnotify v1.9.0
	sigs.k8s.io/yaml v1.6.0
)

require (
	go.yaml.in/yaml/v2 v2.4.2 // indirect
	golang.org/x/sys v0.13.0 // indirect
)

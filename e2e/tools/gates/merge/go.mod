module drawbridge.dev/e2e/gates/merge

go 1.24

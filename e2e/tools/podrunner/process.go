// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A child's parent-death signal comes when the *thread* that started it ends, so one thread that never ends starts them all.
type spawnRequest struct {
	cmd  *exec.Cmd
	done chan error
}

var (
	spawnRequests = make(chan spawnRequest)
	aliveLock     sync.Mutex
	alive         = map[int]bool{}
	ending        bool
)

func spawnLoop() {
	runtime.LockOSThread()
	for r := range spawnRequests {
		aliveLock.Lock()
		err := errors.New("the runner is ending")
		if !ending {
			if err = r.cmd.Start(); err == nil {
				alive[r.cmd.Process.Pid] = true
			}
		}
		aliveLock.Unlock()
		r.done <- err
	}
}

// killAll ends every child and its group at once, and lets no new one start.
func killAll() {
	aliveLock.Lock()
	defer aliveLock.Unlock()
	ending = true
	for pid := range alive {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// process is one started container command.
type process struct {
	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended
	status syscall.WaitStatus
}

// findBinary looks a bare command name up: in each bin directory below the image's tag, then in it, then in PATH.
func findBinary(name, image string, bins []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	tag := ""
	if i := strings.LastIndex(image, ":"); i >= 0 {
		tag = image[i+1:]
	}
	for _, dir := range bins {
		for _, sub := range []string{tag, ""} {
			path := filepath.Join(dir, sub, name)
			if info, err := os.Stat(path); dir != "" && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return exec.LookPath(name)
}

// startProcess runs the container's command with its output in logName.
func startProcess(spec *containerSpec, bins []string, logName string) (*process, error) {
	argv := append(append([]string{}, spec.Command...), spec.Args...)
	if len(argv) == 0 {
		return nil, errors.New("no command specified")
	}
	path, err := findBinary(argv[0], spec.Image, bins)
	if err != nil {
		return nil, err
	}
	logFile, err := os.OpenFile(logName, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path)
	cmd.Args = argv
	cmd.Dir = spec.WorkingDir
	cmd.Env = os.Environ()
	for _, e := range spec.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return runProcess(cmd, logFile)
}

func runProcess(cmd *exec.Cmd, logFile *os.File) (*process, error) {
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = outW, errW
	request := spawnRequest{cmd, make(chan error)}
	spawnRequests <- request
	err = <-request.done
	_ = outW.Close()
	_ = errW.Close()
	if err != nil {
		fmt.Fprintf(logFile, "%s stderr F %v\n", time.Now().UTC().Format(time.RFC3339Nano), err)
		_ = errors.Join(outR.Close(), errR.Close(), logFile.Close())
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	copied := copyLogs(logFile, outR, errR)
	go func() {
		state, err := cmd.Process.Wait()
		if err == nil {
			p.status, _ = state.Sys().(syscall.WaitStatus)
		}
		aliveLock.Lock()
		delete(alive, cmd.Process.Pid)
		aliveLock.Unlock()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left in its group
		select {
		case <-copied:
		case <-time.After(time.Second):
		}
		close(p.done)
	}()
	return p, nil
}

// copyLogs writes both streams in the container runtimes' log format. The channel is closed when both have ended.
func copyLogs(logFile *os.File, out, err *os.File) chan struct{} {
	var group sync.WaitGroup
	var lock sync.Mutex
	stream := func(name string, from *os.File) {
		defer group.Done()
		defer from.Close()
		reader := bufio.NewReaderSize(from, 16<<10)
		for {
			line, partial, err := reader.ReadLine()
			if err != nil {
				return
			}
			tag := "F"
			if partial {
				tag = "P"
			}
			lock.Lock()
			_, err = fmt.Fprintf(logFile, "%s %s %s %s\n", time.Now().UTC().Format(time.RFC3339Nano), name, tag, line)
			lock.Unlock()
			if err != nil {
				_, _ = io.Copy(io.Discard, from)
				return
			}
		}
	}
	group.Add(2)
	go stream("stdout", out)
	go stream("stderr", err)
	done := make(chan struct{})
	go func() {
		group.Wait()
		_ = logFile.Close()
		close(done)
	}()
	return done
}

// stop asks the process to end and kills it, and what it started, when the grace period is over.
func (p *process) stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(grace):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

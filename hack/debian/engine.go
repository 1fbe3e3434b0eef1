// Package debian knows how to make a Debian image with systemd and an SSH server, and how to start real servers of it in containers,
// for tests and demo. It must not know the operator or anything that is done on the servers.
package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Engine is a Docker Engine that answers.
type Engine struct {
	process *os.Process // that we started; nil: it ran already
}

// ErrLacking says that this machine lacks what real servers need; the message says what to install.
var ErrLacking = errors.New("no real servers here")

// StartEngine returns the Engine that runs, or starts one: that takes root and the program dockerd. What it prints goes to log.
func StartEngine(ctx context.Context, log io.Writer) (*Engine, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, fmt.Errorf("%w: there is no docker: install Debian's docker.io", ErrLacking)
	}
	if answers(ctx) == nil {
		return &Engine{}, nil
	}
	dockerd, err := exec.LookPath("dockerd")
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: no Docker Engine answers and there is no dockerd: install Debian's docker.io", ErrLacking)
	case os.Geteuid() != 0:
		return nil, fmt.Errorf("%w: no Docker Engine answers, and only root may start one", ErrLacking)
	}
	run := exec.Command(dockerd)
	run.Stdout, run.Stderr = log, log
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is ours to handle
	if err := run.Start(); err != nil {
		return nil, fmt.Errorf("starting dockerd: %w", err)
	}
	e := &Engine{process: run.Process}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	for deadline := time.Now().Add(time.Minute); ; {
		if err = answers(ctx); err == nil {
			return e, nil
		}
		select {
		case died := <-ended:
			return nil, fmt.Errorf("%w: dockerd ended right after its start (%v); its log says why", ErrLacking, died)
		case <-ctx.Done():
			e.Stop()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			e.Stop()
			return nil, fmt.Errorf("%w: dockerd does not answer: %w", ErrLacking, err)
		}
	}
}

// Stop ends an Engine that StartEngine started, and leaves one alone that ran before.
func (e *Engine) Stop() {
	if e.process == nil {
		return
	}
	_ = e.process.Signal(syscall.SIGTERM)
	for range 150 {
		if e.process.Signal(syscall.Signal(0)) != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = e.process.Kill()
}

// Started says whether we started it.
func (e *Engine) Started() bool { return e.process != nil }

func answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := docker(ctx, nil, "version", "--format", "{{.Server.Version}}")
	return err
}

// docker runs the client and returns what it printed.
func docker(ctx context.Context, input io.Reader, args ...string) (string, error) {
	run := exec.CommandContext(ctx, "docker", args...)
	var out, words bytes.Buffer
	run.Stdin, run.Stdout, run.Stderr = input, &out, &words
	if err := run.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(words.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/controlplane"
)

// operator is the operator's program as a child of ours: it dies with us, however we end.
type operator struct {
	home, kubeconfig string
	cmd              *exec.Cmd
	ended            chan error
}

func (o *operator) start() error {
	binary, err := filepath.Abs("bin/manager")
	if err != nil {
		return err
	}
	log, err := os.OpenFile(o.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	o.cmd = exec.Command(binary, "--local-drivers=Memory", "--endpoint-allow=127.0.0.0/8", "--simulate-machines")
	o.cmd.Dir, o.cmd.Stdout, o.cmd.Stderr = o.home, log, log
	o.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.home, "KUBECONFIG=" + o.kubeconfig}
	wait, err := controlplane.StartBound(o.cmd)
	if err != nil {
		return fmt.Errorf("starting the operator (is it built? make build): %w", err)
	}
	ended := make(chan error, 1)
	o.ended = ended
	go func() { ended <- wait() }()
	return nil
}

func (o *operator) log() string { return filepath.Join(o.home, "operator.log") }

func (o *operator) signal(s syscall.Signal) {
	_ = o.cmd.Process.Signal(s) // it may have ended already
	<-o.ended
}

func (o *operator) stop() { o.signal(syscall.SIGTERM) }

// state is what the API server says at one moment.
type state struct {
	phase                  string // of the workflow; "" when there is none
	progress               string
	servers, ids, deleting int
}

func ended(phase string) bool {
	return phase == "Succeeded" || phase == "Failed" || strings.HasPrefix(phase, "Roll") || phase == "Cancelled"
}

func (p *play) look(ctx context.Context) (s state, err error) {
	out, err := p.plane.Kubectl(ctx, strings.NewReader(""), "get", "bwf,ksrv", "-o", "json")
	if err != nil {
		return s, err
	}
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return s, err
	}
	for _, item := range list.Items {
		var server v1alpha1.Server
		if err := json.Unmarshal(item, &server); err != nil {
			return s, err
		}
		if server.Kind != "Server" {
			s.phase = "Pending"
			var workflow v1alpha1.BatchWorkflow
			if err := json.Unmarshal(item, &workflow); err == nil && workflow.Status.Phase != "" {
				s.phase, s.progress = string(workflow.Status.Phase), workflow.Status.Progress
			}
			continue
		}
		s.servers++
		if server.Status.ID != "" {
			s.ids++
		}
		if server.DeletionTimestamp != nil {
			s.deleting++
		}
	}
	return s, nil
}

// until looks again and again, tells what is new, and returns what is final.
func (p *play) until(ctx context.Context, what string, final func(state) bool) (state, error) {
	said := state{}
	for {
		s, err := p.look(ctx)
		switch {
		case ctx.Err() != nil:
			return s, fmt.Errorf("waiting until %s: %w", what, context.Cause(ctx))
		case err != nil:
			return s, err
		case final(s):
			return s, nil
		case s != said:
			say("  workflow %s %s; %d Servers, %d with a machine, %d being deleted", s.phase, s.progress, s.servers, s.ids, s.deleting)
			said = s
		}
		select {
		case err := <-p.operator.ended:
			p.operator.ended <- err
			return s, fmt.Errorf("the operator ended by itself: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// kill ends the operator as a power cut would, at a moment that shows itself, and starts it again.
func (p *play) kill(ctx context.Context, while string, comes func(state) bool) error {
	if _, err := p.until(ctx, while, func(s state) bool { return comes(s) || ended(s.phase) && s.deleting == 0 }); err != nil {
		return err
	}
	before := p.operator.cmd.Process.Pid
	p.operator.signal(syscall.SIGKILL)
	if err := p.operator.start(); err != nil {
		return err
	}
	say("  SIGKILL to the operator, pid %d, while %s; started again as pid %d", before, while, p.operator.cmd.Process.Pid)
	return nil
}

// kubectl shows a command and what it printed.
func (p *play) kubectl(ctx context.Context, stdin string, args ...string) error {
	out, err := p.plane.Kubectl(ctx, strings.NewReader(stdin), args...)
	say("$ kubectl %s\n%s", strings.Join(args, " "), strings.TrimRight(out, "\n"))
	return err
}

// explain shows how things stand when something went wrong.
func (p *play) explain() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := errors.Join(p.kubectl(ctx, "", "get", "keelway", "-o", "wide"), p.kubectl(ctx, "", "get", "ksrv", "-o", "yaml"))
	if p.operator != nil {
		text, _ := os.ReadFile(p.operator.log())
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		say("the end of the operator's log:\n%s", strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return err
}

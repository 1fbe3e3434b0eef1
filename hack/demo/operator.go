package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/keelway/keelway/hack/controlplane"
)

// operator is the operator's program as a child of ours: it dies with us, however we end.
type operator struct {
	binary, home, kubeconfig string
	flags                    []string // of its driver

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // of the present process; closed when it has ended
	err   error         // how it ended
}

// operatorGrace is how long the operator may take to end before it is killed.
const operatorGrace = 5 * time.Second

func (o *operator) logPath() string { return filepath.Join(o.home, "operator.log") }

// start starts the operator, for the first time or again, with one log for all its lives.
func (o *operator) start() error {
	log, err := os.OpenFile(o.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(o.binary, o.flags...)
	cmd.Dir = o.home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.home, "KUBECONFIG=" + o.kubeconfig}
	cmd.Stdout, cmd.Stderr = log, log
	wait, err := controlplane.StartBound(cmd)
	if err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	ended := make(chan struct{})
	o.mu.Lock()
	o.cmd, o.ended, o.err = cmd, ended, nil
	o.mu.Unlock()
	go func() {
		err := wait()
		o.mu.Lock()
		if o.cmd == cmd {
			o.err = err
		}
		o.mu.Unlock()
		close(ended)
	}()
	return nil
}

func (o *operator) pid() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cmd.Process.Pid
}

// died says how the operator ended by itself, with the end of its log; nil while it runs.
func (o *operator) died() error {
	o.mu.Lock()
	ended := o.ended
	o.mu.Unlock()
	select {
	case <-ended:
		return fmt.Errorf("the operator ended by itself (%v); the end of its log:\n%s", o.err, o.tail(20))
	default:
		return nil
	}
}

// kill ends the operator as a power cut would, and returns once it has ended.
func (o *operator) kill() { o.end(syscall.SIGKILL, 0) }

// stop asks the operator to end, and after a while insists.
func (o *operator) stop() { o.end(syscall.SIGTERM, operatorGrace) }

func (o *operator) end(signal syscall.Signal, grace time.Duration) {
	o.mu.Lock()
	cmd, ended := o.cmd, o.ended
	o.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(signal) // it may have ended already
	if signal != syscall.SIGKILL {
		select {
		case <-ended:
			return
		case <-time.After(grace):
			_ = cmd.Process.Kill()
		}
	}
	<-ended
}

// tail returns the last lines of the operator's log, without those that every start prints.
func (o *operator) tail(lines int) string {
	const most = 64 << 10
	file, err := os.Open(o.logPath())
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	from := int64(0)
	if info, err := file.Stat(); err == nil {
		from = max(0, info.Size()-most)
	}
	text, err := io.ReadAll(io.NewSectionReader(file, from, most))
	if err != nil {
		return err.Error()
	}
	all := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(text)), "\n"), func(row string) bool {
		return strings.Contains(row, `level=INFO msg="Starting `)
	})
	if len(all) == 0 {
		return "(nothing but its start)"
	}
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

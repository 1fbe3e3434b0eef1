package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is one running component, with its output in a file so that it lives on its own terms and we can quote it.
type process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	logFrom int64 // where this run begins in the log
	done    chan struct{}
	err     error // how it ended; to be read after done is closed
}

// launch starts a component. Its environment is bare, because etcd takes every ETCD_* variable as a flag.
func launch(name, path string, args []string, dir string) (*process, error) {
	logPath := filepath.Join(dir, "logs", name+".log")
	if err := os.MkdirAll(filepath.Dir(logPath), 0o700); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer log.Close() // the child has its own
	from, err := log.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, cmd: exec.Command(path, args...), logPath: logPath, logFrom: from, done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	wait, err := StartBound(p.cmd)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = wait()
		close(p.done)
	}()
	return p, nil
}

// StartBound starts a command that dies with this process, even by SIGKILL where the kernel can do that. It has its own
// process group, so that a Ctrl-C in the terminal reaches us alone and we stop our children in order.
//
// Linux ties the death signal to the thread that started the child, and Go ends threads as it likes: the goroutine that starts
// the child keeps its thread until the child has ended.
func StartBound(cmd *exec.Cmd) (wait func() error, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr)
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		ended <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return func() error { return <-ended }, nil
}

// runBound runs a command that dies with this process to its end.
func runBound(cmd *exec.Cmd) error {
	wait, err := StartBound(cmd)
	if err != nil {
		return err
	}
	return wait()
}

// alive tells whether the process has not ended.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks the process to end, then makes it. It signals through the handle of our own child, never a bare pid.
func (p *process) stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill() // likewise
		<-p.done
	}
}

// failure describes a component that ended or never became ready, quoting the end of its log.
func (p *process) failure(cause error) error {
	return &componentError{component: p.name, cause: cause, log: p.logPath, tail: tail(p.logPath, p.logFrom)}
}

// ended describes a process that ended although nobody asked it to.
func (p *process) ended() error {
	if p.err != nil {
		return p.failure(fmt.Errorf("ended by itself: %w", p.err))
	}
	return p.failure(errors.New("ended by itself with exit status 0"))
}

// componentError says which component failed and why.
type componentError struct {
	component, log, tail string
	cause                error
}

func (e *componentError) Error() string {
	return fmt.Sprintf("%s %v; the end of %s:\n%s", e.component, e.cause, e.log, e.tail)
}

func (e *componentError) Unwrap() error { return e.cause }

// portTaken tells whether somebody took the component's port between our choice and its start.
func portTaken(err error) bool {
	var failed *componentError
	return errors.As(err, &failed) && strings.Contains(failed.tail, "address already in use")
}

// await polls check until it passes, the process ends, or the context does.
func (p *process) await(ctx context.Context, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.ended()
		case <-ctx.Done():
			return p.failure(fmt.Errorf("did not become ready: %w (last seen: %s)", ctx.Err(), limit(err.Error(), 300)))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

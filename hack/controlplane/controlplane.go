package controlplane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"
)

// Options say how a control plane is started. The zero value is a complete one that leaves nothing behind.
type Options struct {
	// Dir keeps data, keys, logs and kubeconfigs. Starting again in the same directory continues the same cluster, on the same
	// port when it is free. Empty: a temporary directory, removed by Stop.
	Dir string
	// Log takes the lines of progress; nil: none.
	Log io.Writer
	// Assets are the binaries to run; the zero value: those of Binaries.
	Assets Assets
	// CRDs are files or directories of CustomResourceDefinitions, installed before the controller manager starts: its garbage
	// collector looks for new kinds only every 30 s, and until then ignores their owner references.
	CRDs []string
	// NoControllerManager leaves the controller manager out: then nothing is garbage-collected and no namespace ever goes.
	NoControllerManager bool
	// AuditLog has the API server log every write, to be read with ReadAudit(AuditLog()).
	AuditLog bool
	// NoFsync spares etcd the waiting for the disk. Never for benchmarks, which would measure something else.
	NoFsync bool
	// APIServerArgs and ControllerManagerArgs are further flags, as --name=value; they replace ours of the same name.
	APIServerArgs         []string
	ControllerManagerArgs []string
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	options    Options
	assets     Assets
	log        io.Writer
	dir        string
	workspace  *workspace
	ca, etcdCA *authority
	etcdURL    string
	url        string
	client     *http.Client // of a cluster administrator
	kubeconfig string
	processes  []*process // in the order of their start
	stopped    chan struct{}
	stopOnce   sync.Once
	stopErr    error
}

// Start starts a control plane and returns once it is ready for work. Its context bounds the start alone: the control plane
// runs until Stop or, on Linux, until this process ends, however that happens.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	c := &ControlPlane{options: options, assets: options.Assets, log: quietIfNil(options.Log), stopped: make(chan struct{})}
	var err error
	if reflect.ValueOf(c.assets).IsZero() {
		if c.assets, err = Binaries(ctx, c.log); err != nil {
			return nil, err
		}
	}
	if c.workspace, err = openWorkspace(options.Dir); err != nil {
		return nil, err
	}
	c.dir = c.workspace.dir
	start := time.Now()
	if err := c.bringUp(ctx); err != nil {
		_ = c.Stop() // the first failure is the one to tell
		return nil, err
	}
	say(c.log, "ready after %.1f s: %s", time.Since(start).Seconds(), c.url)
	return c, nil
}

// Kubeconfig is the path of a cluster administrator's kubeconfig, readable by its owner alone.
func (c *ControlPlane) Kubeconfig() string { return c.kubeconfig }

// URL is the address of the API server.
func (c *ControlPlane) URL() string { return c.url }

// Assets are the binaries that run.
func (c *ControlPlane) Assets() Assets { return c.assets }

// Dir is the directory of data, keys and logs.
func (c *ControlPlane) Dir() string { return c.dir }

// AuditLog is the path of the audit log, which exists with Options.AuditLog only.
func (c *ControlPlane) AuditLog() string { return filepath.Join(c.dir, "logs", "audit.log") }

// Pids are the process ids of what runs, by the names of the binaries: for measuring them, not for ending them.
func (c *ControlPlane) Pids() map[string]int {
	pids := map[string]int{}
	for _, p := range c.processes {
		if p.alive() {
			pids[p.name] = p.cmd.Process.Pid
		}
	}
	return pids
}

// Kubectl runs kubectl as cluster administrator and returns what it printed; an error quotes its complaint.
func (c *ControlPlane) Kubectl(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.assets.Kubectl, args...)
	// Its caches of discovery go with the directory, so that no earlier control plane on this port is remembered.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "KUBECONFIG=" + c.kubeconfig}
	cmd.Stdin = stdin
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", limit(strings.Join(args, " "), 200), err, limit(complaint.String(), 1000))
	}
	return out.String(), nil
}

// Wait returns nil once Stop is called, the context's error when that ends first, and otherwise tells which component ended
// by itself, quoting its log.
func (c *ControlPlane) Wait(ctx context.Context) error {
	ended := make(chan *process, len(c.processes))
	for _, p := range c.processes {
		go func() {
			select {
			case <-p.done:
				ended <- p
			case <-ctx.Done():
			case <-c.stopped:
			}
		}()
	}
	select {
	case <-c.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case p := <-ended:
		select {
		case <-c.stopped: // it ended because we stopped it
			return nil
		default:
			return p.ended()
		}
	}
}

// stopGrace is how long a component may take to end before it is killed. The API server waits for running requests.
const stopGrace = 10 * time.Second

// Stop ends what Start started, the last first, and removes a temporary directory. It may be called more than once.
func (c *ControlPlane) Stop() error {
	c.stopOnce.Do(func() {
		close(c.stopped)
		for i := len(c.processes) - 1; i >= 0; i-- {
			c.processes[i].stop(stopGrace)
		}
		if c.client != nil {
			c.client.CloseIdleConnections()
		}
		if err := c.workspace.close(); err != nil {
			c.stopErr = fmt.Errorf("clearing up after the control plane: %w", err)
		}
	})
	return c.stopErr
}

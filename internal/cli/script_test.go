package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/hack/controlplane"
	"github.com/keelway/keelway/hack/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// programs are built once, from the code under test.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "keelway-cli-")
	if err != nil {
		return "", err
	}
	lab.Later(func() { _ = os.RemoveAll(dir) })
	out, err := exec.Command("go", "build", "-o", dir+"/", "../../cmd/keelway", "../../cmd/manager").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building: %w: %s", err, out)
	}
	for _, name := range []string{"kubectl-keelway", "kubectl_complete-keelway"} {
		if err := os.Symlink("keelway", filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
})

func built(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: -short, and this builds the programs")
	}
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// ends is the command of scripts that wants an exit code: ends 3 keelway validate -f bad.yaml
func ends(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ends CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		ended, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("it ended with %d, want %d", got, want)
	}
}

var commands = map[string]func(*testscript.TestScript, bool, []string){"ends": ends}

func inPath(e *testscript.Env, dirs ...string) {
	e.Setenv("PATH", strings.Join(append(dirs, e.Getenv("PATH")), string(os.PathListSeparator)))
}

// TestOffline runs the scripts that need no cluster: there is none to be had in them.
func TestOffline(t *testing.T) {
	dir := built(t)
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/offline", Cmds: commands, RequireExplicitExec: true, Setup: func(e *testscript.Env) error {
		inPath(e, dir)
		e.Setenv("EXAMPLES", examples)
		e.Setenv("HOME", e.WorkDir)
		return nil
	}})
}

// bench is a control plane with an operator that tests of this package share.
type bench struct {
	*lab.Lab
	programs, state string
	mu              sync.Mutex
	operator        *exec.Cmd
	ended           chan struct{} // closed when it has
}

var shared struct {
	once  sync.Once
	bench *bench
	err   error
}

// online returns the bench and starts it at the first call.
func online(t *testing.T) *bench {
	t.Helper()
	dir := built(t)
	l := lab.Shared(t)
	shared.once.Do(func() {
		b := &bench{Lab: l, programs: dir}
		if b.state, shared.err = os.MkdirTemp("", "keelway-state-"); shared.err == nil {
			lab.Later(func() { b.kill(); _ = os.RemoveAll(b.state) })
			shared.bench, shared.err = b, b.start()
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.bench
}

// start starts the operator, which dies with us.
func (b *bench) start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.operator = exec.Command(filepath.Join(b.programs, "manager"), "--local-drivers=Memory,Process", "--state-dir", b.state)
	b.operator.Env = append(os.Environ(), "KUBECONFIG="+b.Kubeconfig())
	log, err := os.OpenFile(filepath.Join(b.programs, "operator.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	b.operator.Stdout, b.operator.Stderr = log, log
	wait, err := controlplane.StartBound(b.operator)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	b.ended = ended
	go func() { _ = wait(); close(ended) }()
	return nil
}

// kill ends the operator without a last word.
func (b *bench) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended != nil {
		_ = b.operator.Process.Signal(syscall.SIGKILL)
		<-b.ended
	}
}

// namespace makes one for a test.
func (b *bench) namespace(name string) (string, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "cli-" + strings.ToLower(name) + "-"}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := b.Client.Create(ctx, ns)
	return ns.Name, err
}

// kubeconfig writes one whose context has the namespace, for the administrator or for somebody else.
func (b *bench) kubeconfig(dir, namespace, user string) (string, error) {
	from := b.Kubeconfig()
	if user != "" {
		var err error
		if from, err = b.KubeconfigFor(user); err != nil {
			return "", err
		}
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kubeconfig-"+user)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command(b.Assets().Kubectl, "--kubeconfig", path, "config", "set-context", "--current", "--namespace", namespace).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
}

// TestOnline runs the scripts that speak with a real API server and the operator's program, each in a namespace of its own.
func TestOnline(t *testing.T) {
	b := online(t)
	testscript.Run(t, testscript.Params{Dir: "testdata/online", Cmds: commands, RequireExplicitExec: true, Setup: func(e *testscript.Env) error {
		namespace, err := b.namespace(strings.TrimPrefix(filepath.Base(e.WorkDir), "script-"))
		if err != nil {
			return err
		}
		admin, err := b.kubeconfig(e.WorkDir, namespace, "")
		if err != nil {
			return err
		}
		nobody, err := b.kubeconfig(e.WorkDir, namespace, "nobody")
		if err != nil {
			return err
		}
		inPath(e, b.programs, filepath.Dir(b.Assets().Kubectl))
		for name, value := range map[string]string{"KUBECONFIG": admin, "NOBODY": nobody, "NAMESPACE": namespace, "HOME": e.WorkDir} {
			e.Setenv(name, value)
		}
		return nil
	}})
}

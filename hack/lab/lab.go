// Package lab knows how a test gets a real API server with our kinds, a namespace of its own and a manager, and what must hold
// of every object that a test leaves behind. It must not know any controller: a test hands over the ones that it runs.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/controlplane"
)

// Required is the environment variable that makes a lab that cannot be had a failure instead of a skip, and has its binaries
// built when they are missing. make test sets it.
const Required = "KEELWAY_REQUIRE_LAB"

// startTime bounds the start of a control plane; binaries that must be built first come on top.
const startTime = 3 * time.Minute

// Lab is a control plane with our CRDs that the tests of one binary share.
type Lab struct {
	*controlplane.ControlPlane
	// Config reaches the API server as a cluster administrator, without a limit of its own.
	Config *rest.Config
	// Client knows the kinds of Kubernetes and ours. It reads live.
	Client client.WithWatch
	Scheme *runtime.Scheme

	mu         sync.Mutex
	namespaces map[string]*namespace
}

var shared struct {
	once  sync.Once
	ready bool // Main runs: somebody will stop the lab
	lab   *Lab
	err   error
	later []func()
}

// Later has something done when all tests of this binary have ended, such as removing what they share.
func Later(do func()) { shared.later = append(shared.later, do) }

// Main runs the tests and then stops the lab, if any test asked for it: func TestMain(m *testing.M) { lab.Main(m) }
func Main(m *testing.M) {
	shared.ready = true
	ctrl.SetLogger(logr.Discard()) // a manager has its own, see Manager; without one somebody complains with a stack
	code := m.Run()
	for _, do := range shared.later {
		do()
	}
	if shared.lab != nil {
		if err := shared.lab.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// Shared returns the lab of this test binary and starts it at the first call. Where there is none to be had it skips the test
// with the reason, or fails it when KEELWAY_REQUIRE_LAB is set.
func Shared(t testing.TB) *Lab {
	t.Helper()
	if !shared.ready {
		t.Fatal("lab: TestMain must call lab.Main, which stops the control plane")
	}
	shared.once.Do(func() { shared.lab, shared.err = start() })
	if shared.err == nil {
		return shared.lab
	}
	if required() {
		t.Fatalf("lab: %v", shared.err)
	}
	t.Skipf("SKIPPED: %v", shared.err)
	return nil
}

func required() bool { return os.Getenv(Required) != "" && os.Getenv(Required) != "0" }

func start() (*Lab, error) {
	assets, err := binaries()
	if err != nil {
		return nil, err
	}
	crds, err := definitions()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	plane, err := controlplane.Start(ctx, controlplane.Options{Assets: assets, CRDs: []string{crds}, AuditLog: true, NoFsync: true})
	if err != nil {
		return nil, fmt.Errorf("starting a control plane: %w", err)
	}
	l := &Lab{ControlPlane: plane, Scheme: runtime.NewScheme(), namespaces: map[string]*namespace{}}
	if err := l.connect(); err != nil {
		return nil, errors.Join(err, plane.Stop())
	}
	return l, nil
}

// binaries builds them only where a lab is required: it takes longer than a test may run.
func binaries() (controlplane.Assets, error) {
	if required() {
		return controlplane.Binaries(context.Background(), os.Stderr)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel() // only what is there already
	assets, err := controlplane.Binaries(ended, nil)
	if err != nil {
		return assets, errors.New("no binaries of a control plane are at hand: run go run ./hack/controlplane/cmd/controlplane build")
	}
	return assets, nil
}

// definitions finds config/crd/bases of the checkout that the test runs in.
func definitions() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the CRDs: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "config", "crd", "bases"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding the CRDs: not within a checkout")
		}
	}
}

func (l *Lab) connect() (err error) {
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(l.Scheme); err != nil {
			return fmt.Errorf("building the scheme: %w", err)
		}
	}
	if l.Config, err = clientcmd.BuildConfigFromFlags("", l.Kubeconfig()); err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	l.Config.QPS = -1
	l.Config.UserAgent = "lab"
	l.Client, err = client.NewWithWatch(l.Config, client.Options{Scheme: l.Scheme})
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	return nil
}

// Kubectl runs kubectl as a cluster administrator and returns what it printed. A failure of it fails the test.
func (l *Lab) Kubectl(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, err := l.ControlPlane.Kubectl(t.Context(), strings.NewReader(stdin), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

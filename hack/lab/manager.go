package lab

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// Running is a manager at work.
type Running struct {
	ctrl.Manager
	// UserAgent marks its writes in the audit log, see Lab.Writes.
	UserAgent string
	stop      func()
}

// Stop ends the manager and waits until it has ended. It may be called more than once; the end of the test calls it too.
func (r *Running) Stop() { r.stop() }

// Manager starts a manager of one namespace with the controllers that setup adds, and stops it when the test ends. It has no
// leader election, no metrics and no probes; change adapts its options. Its log is shown when the test fails.
func (l *Lab) Manager(t testing.TB, namespace string, setup func(ctrl.Manager) error, change ...func(*ctrl.Options)) *Running {
	t.Helper()
	ns, log := l.namespace(t, namespace), &record{}
	l.mu.Lock()
	ns.logs = append(ns.logs, log)
	l.mu.Unlock()
	yes := true
	options := ctrl.Options{
		Scheme:                 l.Scheme,
		Logger:                 funcr.NewJSON(log.line, funcr.Options{LogTimestamp: true}),
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		Cache:                  cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	}
	options.Controller.SkipNameValidation = &yes // tests of one binary run the same controllers
	for _, c := range change {
		c(&options)
	}
	config := rest.CopyConfig(l.Config)
	config.UserAgent = "keelway-" + namespace
	manager, err := ctrl.NewManager(config, options)
	if err != nil {
		t.Fatalf("lab: making a manager: %v", err)
	}
	if err := setup(manager); err != nil {
		t.Fatalf("lab: setting up controllers: %v", err)
	}
	running := &Running{Manager: manager, UserAgent: config.UserAgent}
	running.stop = sync.OnceFunc(run(t, manager, log))
	t.Cleanup(running.Stop)
	return running
}

// run starts the manager and returns what stops it.
func run(t testing.TB, manager ctrl.Manager, log *record) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("lab: the manager: %v", err)
		}
		if t.Failed() {
			t.Logf("the manager's log:\n%s", log.String())
		}
	}
}

// recordLimit is how much of a manager's log is kept, from its beginning.
const recordLimit = 8 << 20

// record keeps what a manager logs.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) line(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.text.Len()+len(text) < recordLimit {
		r.text.WriteString(text + "\n")
	}
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

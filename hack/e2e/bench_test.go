package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/saga"
)

// patience is how long anything may take that must come in the end: generous, for tests share the machine.
const patience = 3 * time.Minute

// slowly is when an end that came is worth a story: something was waited for by a timer and not by an event.
const slowly = 30 * time.Second

// bench is what one test has to itself: a namespace that an operator of its own looks after, a cloud, and a witness of it all.
type bench struct {
	*lab.Lab
	*witness
	t         *testing.T
	namespace string
	cloud     *mem.Cloud
	endpoint  string
	stateDir  string
	log       string
	install   installation
	torment   atomic.Pointer[func(mem.Verb)] // called before each call to the cloud; nil: nothing
	args      []string
	present   *operator
}

// newBench prepares everything and starts no operator yet.
func newBench(t *testing.T, cloud mem.Options, args ...string) *bench {
	t.Helper()
	l := lab.Shared(t)
	b := &bench{Lab: l, t: t, install: install(t, l), cloud: mem.New(cloud)}
	b.namespace = l.Namespace(t)
	b.witness = watch(t, l, b.namespace, func(id string) bool {
		_, err := provider.Recovering(b.cloud).Get(context.Background(), id) // an ordered fault is no answer
		return err == nil
	})
	calls := mem.Handler(b.cloud)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if meddle := b.torment.Load(); meddle != nil {
			(*meddle)(mem.Verb(strings.TrimPrefix(r.URL.Path, "/")))
		}
		calls.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	dir := t.TempDir()
	b.endpoint, b.stateDir, b.log = door.URL, filepath.Join(dir, "servers"), filepath.Join(dir, "operator.log")
	b.args = append([]string{"--watch-namespace=" + b.namespace, "--local-drivers=Memory,Process", "--state-dir=" + b.stateDir}, args...)
	t.Cleanup(b.close)
	return b
}

// close ends the operator, and shows what there is when the test failed.
func (b *bench) close() {
	if b.present != nil && !b.present.ended() {
		b.present.stop(b.t)
	}
	inspectLog(b.t, b.log)
	for _, problem := range b.problems() {
		b.t.Error(problem)
	}
	if !b.t.Failed() {
		return
	}
	seen, err := b.ControlPlane.Kubectl(tidying(), nil, "get", "keelway", "-n", b.namespace, "-o", "wide")
	report := b.cloud.Report()
	report.Calls = report.Calls[max(0, len(report.Calls)-5):]
	b.t.Logf("what is left (%v):\n%s\nthe cloud: %+v\nwhat was seen last:\n%s\nthe end of the operator's log:\n%s", err, head(seen, 40), report, b.story(40), tail(b.log, 60))
}

// as lets a subtest that shares the bench with others fail by itself, until back is called.
func (b *bench) as(t *testing.T) (back func()) {
	parent := b.t
	b.t = t
	return func() { b.t = parent }
}

// start begins an operator's life.
func (b *bench) start(more ...string) *operator {
	b.t.Helper()
	b.present = launch(b.t, b.install, filepath.Dir(b.log), b.log, append(b.args, more...))
	return b.present
}

// provider applies the Provider "cloud", whose machines are in this test's cloud.
func (b *bench) provider(maxInFlight int) {
	b.t.Helper()
	b.apply(fmt.Sprintf(`
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: cloud}
spec:
  type: Local
  local: {driver: Memory, endpoint: %q}
  limits: {maxInFlight: %d}
`, b.endpoint, maxInFlight))
}

// apply applies YAML as people do.
func (b *bench) apply(yaml string) {
	b.t.Helper()
	b.kubectl(yaml, "apply", "--server-side", "-f", "-")
}

// kubectl runs in the bench's namespace, as a cluster administrator.
func (b *bench) kubectl(stdin string, args ...string) string {
	b.t.Helper()
	return b.Kubectl(b.t, stdin, append([]string{"-n", b.namespace}, args...)...)
}

// get reads an object of ours live.
func get[T client.Object](b *bench, name string, into T) T {
	b.t.Helper()
	if err := b.Client.Get(b.t.Context(), types.NamespacedName{Namespace: b.namespace, Name: name}, into); err != nil {
		b.t.Fatal(err)
	}
	return into
}

// eventually waits until check is content, and fails the test with its last complaint when that takes too long.
func (b *bench) eventually(what string, within time.Duration, check func() error) {
	b.t.Helper()
	begun, err := time.Now(), errors.New("not looked at")
	for err != nil {
		if time.Since(begun) > within {
			b.t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		if b.present != nil && b.present.ended() {
			b.t.Fatalf("%s: the operator ended by itself: %v", what, b.present.err)
		}
		if err = check(); err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// reaches waits until the workflow is in that phase, and complains at once about another end.
func (b *bench) reaches(name string, phase v1alpha1.WorkflowPhase) *v1alpha1.BatchWorkflow {
	b.t.Helper()
	begun := time.Now()
	var w v1alpha1.BatchWorkflow
	b.eventually("workflow "+name+" "+string(phase), patience, func() error {
		get(b, name, &w)
		stalled := reconcile.Condition(&w, v1alpha1.StalledCondition)
		if w.Status.Phase != phase && stalled != nil {
			b.t.Fatalf("workflow %s is %s: %s", name, w.Status.Phase, stalled.Message)
		}
		if w.Status.Phase != phase {
			return fmt.Errorf("it is %s, %s", w.Status.Phase, w.Status.Progress)
		}
		return nil
	})
	b.t.Logf("workflow %s is %s after %.1f s", name, phase, time.Since(begun).Seconds())
	return &w
}

// ledger reads what the Checkpoint of a workflow holds.
func (b *bench) ledger(name string) *saga.Ledger {
	b.t.Helper()
	l, err := saga.Decode(get(b, name, &v1alpha1.Checkpoint{}).Status.Data)
	if err != nil {
		b.t.Fatalf("the checkpoint of %s: %v", name, err)
	}
	return l
}

// servers lists the namespace's Servers live.
func (b *bench) servers() []v1alpha1.Server {
	b.t.Helper()
	var list v1alpha1.ServerList
	if err := b.Client.List(b.t.Context(), &list, client.InNamespace(b.namespace)); err != nil {
		b.t.Fatal(err)
	}
	return list.Items
}

// left names the objects of ours in the namespace.
func (b *bench) left() []string {
	b.t.Helper()
	return strings.Fields(b.kubectl("", "get", "keelway,checkpoints.keelway.dev", "-o", "name"))
}

// vanishes waits until nothing of ours is left but the named objects, and no machine at all.
func (b *bench) vanishes(but ...string) {
	b.t.Helper()
	begun := time.Now()
	b.eventually("everything goes", patience, func() error {
		if left := b.left(); strings.Join(left, " ") != strings.Join(but, " ") {
			return fmt.Errorf("%d objects are left: %s", len(left), head(strings.Join(left, "\n"), 10))
		}
		return nil
	})
	took := time.Since(begun)
	b.t.Logf("everything is gone after %.1f s", took.Seconds())
	if took > slowly {
		b.t.Logf("that took long; what was seen:\n%s", b.story(100))
	}
	if r := b.cloud.Report(); r.Live+r.Ending > 0 {
		b.t.Errorf("the cloud: %d machines live, %d ending", r.Live, r.Ending)
	}
}

// tidying is a context for what is done outside of a test's own time.
func tidying() context.Context { return context.Background() }

func head(text string, n int) string {
	all := strings.Split(text, "\n")
	if len(all) > n {
		all = append(all[:n:n], fmt.Sprintf("… and %d lines more", len(all)-n))
	}
	return strings.Join(all, "\n")
}

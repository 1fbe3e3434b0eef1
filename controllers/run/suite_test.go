package run_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/controllers/run"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/transport/all"
)

func TestMain(m *testing.M) { lab.Main(m) }

// rig is a namespace with Servers that are directories of this machine, and the controller at work on them.
type rig struct {
	*testing.T
	*lab.Lab
	namespace string
	root      string
	running   *lab.Running
}

func newRig(t *testing.T, servers ...string) *rig {
	t.Helper()
	t.Parallel()
	l := lab.Shared(t)
	r := &rig{T: t, Lab: l, namespace: l.Namespace(t), root: t.TempDir()}
	for _, name := range servers {
		r.server(name, name)
	}
	r.start()
	return r
}

func options(mgr ctrl.Manager) run.Options {
	kit := reconcile.Kit{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("keelway"), Owner: "keelway", Now: time.Now}
	return run.Options{Kit: kit, Connector: connect.Connector{Dialer: all.New(all.Options{Process: true})}, CheckAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// start runs the controller, again after a stop.
func (r *rig) start() {
	r.running = r.Manager(r.T, r.namespace, func(mgr ctrl.Manager) error {
		return run.SetupWithManager(context.Background(), mgr, options(mgr))
	})
}

// server makes a Server, or gives an existing one another machine.
func (r *rig) server(name, machine string) {
	r.Helper()
	dir := filepath.Join(r.root, machine)
	r.must(os.MkdirAll(dir, 0o755))
	s := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace}}
	s.Spec.ProviderRef.Name = "local"
	if r.Client.Get(r.Context(), client.ObjectKeyFromObject(s), s) != nil {
		r.must(r.Client.Create(r.Context(), s))
	}
	base := s.DeepCopy()
	s.Status.ID, s.Status.Phase, s.Status.ObservedGeneration = machine, v1alpha1.ServerReady, s.Generation
	s.Status.Access = &v1alpha1.ServerAccess{Transport: "Process", Target: dir, Address: "127.9.9.9"}
	s.Status.Facts = &v1alpha1.ServerFacts{OS: "debian", OSVersion: "12", Arch: "amd64", InitSystem: "none"}
	for _, condition := range []string{v1alpha1.ReadyCondition, v1alpha1.ProvisionedCondition, v1alpha1.ReachableCondition} {
		reconcile.Set(s, condition, metav1.ConditionTrue, condition, "", time.Now())
	}
	r.must(r.Client.Status().Patch(r.Context(), s, client.MergeFrom(base)))
}

// command makes a Run of a script on a server. Each line that it writes to $KEELWAY_ROOT.done counts one execution.
func (r *rig) command(name, server, script string, change ...func(*v1alpha1.Run)) *v1alpha1.Run {
	r.Helper()
	one := r.object(name, v1alpha1.RunSpec{
		Action: v1alpha1.RunCommand, Target: &v1alpha1.RunTarget{ServerRef: v1alpha1.LocalRef{Name: server}},
		Command: &v1alpha1.CommandScript{Script: fmt.Sprintf("echo %s >>\"$KEELWAY_ROOT.done\"\n%s\n", name, script)},
		Timeout: metav1.Duration{Duration: time.Minute},
	})
	for _, c := range change {
		c(one)
	}
	r.must(r.Client.Create(r.Context(), one))
	return one
}

func (r *rig) object(name string, spec v1alpha1.RunSpec) *v1alpha1.Run {
	return &v1alpha1.Run{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace}, Spec: spec}
}

// executed counts how often a command was executed on a machine.
func (r *rig) executed(machine, name string) int {
	text, _ := os.ReadFile(filepath.Join(r.root, machine) + ".done")
	return strings.Count(string(text), name+"\n")
}

func (r *rig) until(one *v1alpha1.Run, what string, is func(*v1alpha1.Run) bool) {
	r.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		r.must(r.Client.Get(r.Context(), client.ObjectKeyFromObject(one), one))
		if is(one) {
			break
		}
		if time.Now().After(deadline) {
			text, _ := json.MarshalIndent(one.Status, "", " ")
			r.Fatalf("it is not %s: %s", what, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, problem := range reconcile.Check(one) {
		r.Errorf("%s when %s: %s", one.Name, what, problem)
	}
}

// untilEnded waits for the end of the attempt that is asked for and returns what Ready says.
func (r *rig) untilEnded(one *v1alpha1.Run, phase v1alpha1.RunPhase) string {
	r.Helper()
	r.until(one, "ended", func(o *v1alpha1.Run) bool {
		return plan.Ended(o.Status.Phase) && o.Status.Attempt >= plan.Attempt(o) && reconcile.Condition(o, v1alpha1.ReadyCondition) != nil
	})
	ready := reconcile.Condition(one, v1alpha1.ReadyCondition)
	if one.Status.Phase != phase {
		r.Fatalf("%s ended %s and not %s: %s", one.Name, one.Status.Phase, phase, ready.Message)
	}
	return ready.Reason + ": " + ready.Message
}

func (r *rig) ask(one *v1alpha1.Run, attempt string) {
	r.Helper()
	base := one.DeepCopy()
	one.Annotations = map[string]string{v1alpha1.AnnotationAttempt: attempt}
	r.must(r.Client.Patch(r.Context(), one, client.MergeFrom(base)))
}

func (r *rig) erase(one *v1alpha1.Run) {
	r.Helper()
	r.must(r.Client.Delete(r.Context(), one))
	r.untilGone(one)
}

func (r *rig) untilGone(one *v1alpha1.Run) {
	r.Helper()
	deadline := time.Now().Add(time.Minute)
	for r.Client.Get(r.Context(), client.ObjectKeyFromObject(one), one) == nil {
		if time.Now().After(deadline) {
			r.Fatalf("it does not go: %+v", one.Status)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// runs lists what the runner keeps on a machine.
func (r *rig) runs(machine string) []string {
	entries, _ := os.ReadDir(filepath.Join(r.root, machine, "var/lib/keelway/runs"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

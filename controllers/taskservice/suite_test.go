package taskservice_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/controllers/taskservice"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/transport"
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
	cut       *cutter
	recipes   fs.FS
}

// cutter lets chosen machines not answer, and counts what is asked of all.
type cutter struct {
	transport.Dialer
	dead  atomic.Pointer[string] // the target that does not answer
	calls atomic.Int64
}

func (c *cutter) Dial(ctx context.Context, access transport.Access, with transport.Credentials) (transport.Transport, error) {
	c.calls.Add(1)
	if dead := c.dead.Load(); dead != nil && access.Target == *dead {
		<-ctx.Done() // as a machine that lost its network
		return nil, ctx.Err()
	}
	return c.Dialer.Dial(ctx, access, with)
}

func newRig(t *testing.T, servers ...string) *rig {
	t.Helper()
	t.Parallel()
	l := lab.Shared(t)
	r := &rig{T: t, Lab: l, namespace: l.Namespace(t), root: t.TempDir(), cut: &cutter{Dialer: all.New(all.Options{Process: true})}, recipes: os.DirFS("testdata/recipes")}
	for _, name := range servers {
		r.server(name)
	}
	r.start()
	return r
}

// start runs the controller, again after a stop.
func (r *rig) start() {
	r.Helper()
	recipes, err := catalog.Load(r.recipes)
	if err != nil {
		r.Fatal(err)
	}
	r.running = r.Manager(r.T, r.namespace, func(mgr ctrl.Manager) error {
		kit := reconcile.Kit{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("keelway"), Owner: "keelway", Now: time.Now}
		return taskservice.SetupWithManager(context.Background(), mgr, taskservice.Options{Kit: kit, Catalog: recipes, Connector: connect.Connector{Dialer: r.cut}})
	})
}

// dir is the machine of a server.
func (r *rig) dir(name string) string { return filepath.Join(r.root, name) }

// server makes a Server whose machine is a directory, as the controllers server and reach would have left it.
func (r *rig) server(name string) *v1alpha1.Server {
	r.Helper()
	if err := os.MkdirAll(r.dir(name), 0o755); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { killAll(r.dir(name)) })
	s := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace, Labels: map[string]string{"role": "test"}}}
	s.Spec.ProviderRef.Name = "local"
	r.must(r.Client.Create(r.Context(), s))
	r.machine(s, name)
	return s
}

// machine gives a Server its machine.
func (r *rig) machine(s *v1alpha1.Server, dir string) {
	r.Helper()
	base := s.DeepCopy()
	s.Status.ID, s.Status.Phase, s.Status.ObservedGeneration = dir, v1alpha1.ServerReady, s.Generation
	s.Status.Access = &v1alpha1.ServerAccess{Transport: "Process", Target: r.dir(dir), Address: fmt.Sprintf("127.9.%d.%d", len(dir), dir[len(dir)-1])}
	s.Status.Facts = &v1alpha1.ServerFacts{OS: "debian", OSVersion: "12", Arch: "amd64", CPUs: 1, MemoryMiB: 512, InitSystem: "none"}
	for _, condition := range []string{v1alpha1.ReadyCondition, v1alpha1.ProvisionedCondition, v1alpha1.ReachableCondition} {
		reconcile.Set(s, condition, metav1.ConditionTrue, condition, "", time.Now())
	}
	r.must(r.Client.Status().Patch(r.Context(), s, client.MergeFrom(base)))
}

// service makes a TaskService on servers.
func (r *rig) service(name, recipe, parameters string, servers ...string) *v1alpha1.TaskService {
	r.Helper()
	t := &v1alpha1.TaskService{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace}}
	t.Spec.Recipe, t.Spec.Servers.Names = recipe, servers
	t.Spec.Health.Interval = metav1.Duration{Duration: 5 * time.Second}
	if parameters != "" {
		t.Spec.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: []byte(parameters)}}
	}
	r.must(r.Client.Create(r.Context(), t))
	return t
}

// until waits for an object to be as wanted.
func (r *rig) until(t *v1alpha1.TaskService, what string, is func(*v1alpha1.TaskService) bool) {
	r.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := r.Client.Get(r.Context(), client.ObjectKeyFromObject(t), t)
		r.must(err)
		if is(t) {
			break
		}
		if time.Now().After(deadline) {
			text, _ := json.MarshalIndent(t.Status, "", " ")
			r.Fatalf("it is not %s: %s", what, text)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, problem := range reconcile.Check(t) {
		r.Errorf("%s when %s: %s", t.Name, what, problem)
	}
}

func (r *rig) untilReady(t *v1alpha1.TaskService) {
	r.Helper()
	r.until(t, "ready", func(t *v1alpha1.TaskService) bool {
		return t.Status.Phase == v1alpha1.TaskServiceReady && t.Status.ObservedGeneration == t.Generation
	})
}

// untilSays waits for a reason on Ready and returns the message.
func (r *rig) untilSays(t *v1alpha1.TaskService, reason string) string {
	r.Helper()
	r.until(t, "saying "+reason, func(t *v1alpha1.TaskService) bool {
		c := reconcile.Condition(t, v1alpha1.ReadyCondition)
		return c != nil && c.Reason == reason && t.Status.ObservedGeneration == t.Generation
	})
	return reconcile.Condition(t, v1alpha1.ReadyCondition).Message
}

// erase deletes an object and waits until it is gone.
func (r *rig) erase(o client.Object) {
	r.Helper()
	r.must(client.IgnoreNotFound(r.Client.Delete(r.Context(), o))) // it may have gone since it was last looked at
	deadline := time.Now().Add(time.Minute)
	for r.Client.Get(r.Context(), client.ObjectKeyFromObject(o), o) == nil {
		if time.Now().After(deadline) {
			text, _ := json.MarshalIndent(o, "", " ")
			r.Fatalf("it does not go: %s", text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *rig) change(t *v1alpha1.TaskService, by func(*v1alpha1.TaskService)) {
	r.Helper()
	base := t.DeepCopy()
	by(t)
	r.must(r.Client.Patch(r.Context(), t, client.MergeFrom(base)))
}

func (r *rig) secret(name, key, value string) {
	r.Helper()
	r.must(r.Client.Create(r.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace}, StringData: map[string]string{key: value},
	}))
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// applied counts how often a recipe was applied on a server.
func (r *rig) applied(server string) int {
	text, err := os.ReadFile(r.dir(server) + ".applied")
	if err != nil {
		return 0
	}
	return strings.Count(string(text), "\n")
}

func (r *rig) read(server, path string) string {
	text, err := os.ReadFile(filepath.Join(r.dir(server), path))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// left lists everything in a server's directory but what the runner keeps for itself.
func (r *rig) left(server string) []string {
	var found []string
	root := r.dir(server)
	r.must(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		if err == nil && !slices.Contains([]string{".", "var", "var/lib", "var/lib/keelway", "var/lib/keelway/runs", "var/lib/keelway/lock"}, rel) {
			found = append(found, rel)
		}
		return nil
	}))
	return found
}

// writes counts what the controller has written so far.
func (r *rig) writes() int { return len(r.Writes(r.T, r.running.UserAgent)) }

// killAll ends the daemons of a Process server, as deleting it would: those that carry its directory in their environment.
func killAll(dir string) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), "KEELWAY_ROOT="+dir) {
			continue
		}
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

package taskservice_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

func TestInstallChangeRemove(t *testing.T) {
	r := newRig(t, "a", "b", "c")
	motd := r.service("motd", "motd", `{"text":"good day"}`, "a", "b", "c")
	r.untilReady(motd)
	s := motd.Status
	if s.Progress != "3/3" || s.Version != "1.0.0" || s.Outputs["text"] != "good day" || s.Resolved == nil {
		t.Errorf("the status says %+v", s)
	}
	for _, name := range []string{"a", "b", "c"} {
		if got := r.read(name, "etc/keelway/motd"); got != "good day 1 1.0.0\n" || r.applied(name) != 1 {
			t.Errorf("%s: %q, applied %d times", name, got, r.applied(name))
		}
	}

	before, calls := r.writes(), r.cut.calls.Load()
	for r.cut.calls.Load() < calls+9 { // three looks at the health of three servers
		time.Sleep(100 * time.Millisecond)
	}
	if after := r.writes(); after != before {
		t.Errorf("at rest the controller wrote %d times", after-before)
	}

	r.change(motd, func(m *v1alpha1.TaskService) { m.Spec.Parameters.Raw = []byte(`{"text":"good evening"}`) })
	r.untilReady(motd)
	for _, name := range []string{"a", "b", "c"} {
		if got := r.read(name, "etc/keelway/motd"); got != "good evening 1 1.0.0\n" || r.applied(name) != 2 {
			t.Errorf("after the change %s: %q, applied %d times", name, got, r.applied(name))
		}
	}

	r.erase(motd)
	for _, name := range []string{"a", "b", "c"} {
		if left := r.left(name); len(left) > 0 {
			t.Errorf("on %s is left: %v", name, left)
		}
	}
}

func TestBadInput(t *testing.T) {
	r := newRig(t, "a")
	for name, c := range map[string]struct {
		recipe, parameters, version, server string
		says, contains                      string
		stalled                             bool
	}{
		"recipe":    {"motdd", "", "", "a", "RecipeNotFound", `"motdd"; did you mean motd?`, true},
		"version":   {"motd", "", "9.9.9", "a", "RecipeNotFound", "supported >=1.0 <3", true},
		"parameter": {"motd", `{"txt":"x"}`, "", "a", "Invalid", "txt: unknown; did you mean text?", true},
		"type":      {"motd", `{"size":"big"}`, "", "a", "Invalid", "size: found string, want integer", true},
		"server":    {"motd", "", "", "nowhere", "ServerNotFound", "there is no Server nowhere", false},
		"platform":  {"systemdthing", "", "", "a", "PlatformUnsuitable", "systemd", true},
		"dots.name": {"motd", "", "", "a", "Invalid", "DNS label", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &v1alpha1.TaskService{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace}}
			s.Spec.Recipe, s.Spec.Version, s.Spec.Servers.Names = c.recipe, c.version, []string{c.server}
			if c.parameters != "" {
				s.Spec.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: []byte(c.parameters)}}
			}
			r.must(r.Client.Create(t.Context(), s))
			if text := r.untilSays(s, c.says); !strings.Contains(text, c.contains) {
				t.Errorf("it says %q, want %q", text, c.contains)
			}
			if stalled := reconcile.Condition(s, v1alpha1.StalledCondition) != nil; stalled != c.stalled {
				t.Errorf("stalled is %t", stalled)
			}
			if left := r.left("a"); len(left) > 0 {
				t.Errorf("something was done: %v", left)
			}
			r.erase(s)
		})
	}
}

func TestSecretArrives(t *testing.T) {
	r := newRig(t, "a")
	value := r.Canary(t, r.namespace)
	s := &v1alpha1.TaskService{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: r.namespace}}
	s.Spec.Recipe, s.Spec.Servers.Names = "needs-secret", []string{"a"}
	s.Spec.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: []byte(`{"shout":true}`)}}
	s.Spec.ParametersFrom = []v1alpha1.ParameterSource{{Parameter: "password", SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "db", Key: "password"}}}
	r.must(r.Client.Create(t.Context(), s))
	if text := r.untilSays(s, "SecretNotFound"); !strings.Contains(text, "no Secret db") {
		t.Errorf("it says %q", text)
	}
	r.secret("db", "password", value)
	r.change(s, func(s *v1alpha1.TaskService) { s.Annotations = map[string]string{v1alpha1.AnnotationAttempt: "1"} })
	if text := r.untilSays(s, "ScriptFailed"); !strings.Contains(text, "login with [redacted] was refused") {
		t.Errorf("it says %q", text)
	}
	if s.Status.Attempt != 1 || s.Status.Phase != v1alpha1.TaskServiceFailed {
		t.Errorf("attempt %d, phase %s", s.Status.Attempt, s.Status.Phase)
	}
	r.change(s, func(s *v1alpha1.TaskService) { s.Spec.Parameters.Raw = []byte(`{}`) })
	r.untilReady(s)
	if got := r.read("a", "etc/needs-secret.conf"); got != "password="+value+"\n" {
		t.Errorf("the file holds %q", got)
	}
	r.Scan(t, r.namespace, "what the runner keeps", strings.Join(r.left("a"), " "))
	r.erase(s)
	if left := r.left("a"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestRootCause: a script's last words are on the object; another attempt is made when it is asked for, and not before.
func TestRootCause(t *testing.T) {
	r := newRig(t, "a")
	s := r.service("broken", "brokenbin", "", "a")
	text := r.untilSays(s, "ScriptFailed")
	if !strings.Contains(text, "server a: apply ended with code 1") || !strings.Contains(text, "Exec format error") {
		t.Errorf("it says %q", text)
	}
	r.change(s, func(s *v1alpha1.TaskService) { s.Labels = map[string]string{"touched": "yes"} })
	r.change(s, func(s *v1alpha1.TaskService) { s.Annotations = map[string]string{v1alpha1.AnnotationAttempt: "2"} })
	r.until(s, "failed again", func(s *v1alpha1.TaskService) bool {
		return s.Status.Attempt == 2 && reconcile.Condition(s, v1alpha1.StalledCondition) != nil
	})
	if r.applied("a") != 2 {
		t.Errorf("applied %d times for two attempts", r.applied("a"))
	}
	r.change(s, func(s *v1alpha1.TaskService) {
		s.Spec.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: []byte(`{"mend":true}`)}}
	})
	r.untilReady(s)
	r.erase(s)
}

// TestRetry: what passes is tried again by itself, and says meanwhile what it waits for.
func TestRetry(t *testing.T) {
	r := newRig(t, "a")
	s := r.service("flaky", "flaky", "", "a")
	if text := r.untilSays(s, "DownloadFailed"); !strings.Contains(text, "the mirror does not answer") {
		t.Errorf("it says %q", text)
	}
	r.untilReady(s)
	if r.applied("a") != 2 {
		t.Errorf("applied %d times", r.applied("a"))
	}
	r.erase(s)
}

// TestDeadServer: one machine that does not answer holds up nobody else, and is named.
func TestDeadServer(t *testing.T) {
	r := newRig(t, "a", "b", "c")
	dead := r.dir("b")
	r.cut.dead.Store(&dead)
	s := r.service("motd", "motd", "", "a", "b", "c")
	r.until(s, "ready on two servers", func(s *v1alpha1.TaskService) bool { return s.Status.Ready == 2 })
	r.until(s, "naming the third", func(s *v1alpha1.TaskService) bool {
		c := reconcile.Condition(s, v1alpha1.ReadyCondition)
		return c != nil && strings.Contains(c.Message, "server b:") && s.Status.Servers[0].Name == "b" && s.Status.Servers[0].Message != ""
	})
	r.cut.dead.Store(nil)
	r.untilReady(s)
	r.erase(s)
}

// TestRepair: what broke is noticed by a look at its health, mended by one round, and told meanwhile.
func TestRepair(t *testing.T) {
	r := newRig(t, "a")
	s := r.service("motd", "motd", "", "a")
	r.untilReady(s)
	r.must(os.Remove(filepath.Join(r.dir("a"), "etc/keelway/motd")))
	r.until(s, "degraded", func(s *v1alpha1.TaskService) bool { return s.Status.Phase == v1alpha1.TaskServiceDegraded })
	r.untilReady(s)
	if r.applied("a") != 2 || r.read("a", "etc/keelway/motd") != "hello 1 1.0.0\n" {
		t.Errorf("applied %d times: %q", r.applied("a"), r.read("a", "etc/keelway/motd"))
	}
	r.erase(s)
}

// TestNeighbours: what is required comes first, what is excluded is refused by name, and both are noticed when they change.
func TestNeighbours(t *testing.T) {
	r := newRig(t, "a", "b")
	ring := r.service("ring", "ring", "", "a", "b")
	if text := r.untilSays(ring, "DependencyNotReady"); !strings.Contains(text, "requires sleep") {
		t.Errorf("it says %q", text)
	}
	sleeper := r.service("sleeper", "sleeper", "", "a", "b")
	r.untilReady(sleeper)
	r.untilReady(ring)
	if r.read("a", "etc/ring") != r.read("b", "etc/ring") || ring.Status.Outputs["members"] != "a b " {
		t.Errorf("%q, %q, %v", r.read("a", "etc/ring"), r.read("b", "etc/ring"), ring.Status.Outputs)
	}
	motd := r.service("motd", "motd", "", "b")
	if text := r.untilSays(motd, "RecipeConflict"); !strings.Contains(text, "TaskService ring") || !strings.Contains(text, "server b") {
		t.Errorf("it says %q", text)
	}
	r.erase(ring)
	r.untilReady(motd)
	r.erase(motd)
	r.erase(sleeper)
	for _, name := range []string{"a", "b"} {
		if left := r.left(name); len(left) > 0 {
			t.Errorf("on %s is left: %v", name, left)
		}
	}
}

// TestPeers: a service that is configured from all its servers waits until all are known, and touches none before.
func TestPeers(t *testing.T) {
	r := newRig(t, "a")
	s := r.service("circle", "circle", "", "a", "c")
	if text := r.untilSays(s, "ServerNotFound"); !strings.Contains(text, "there is no Server c") || s.Status.Progress != "0/2" {
		t.Errorf("it says %q, %s", text, s.Status.Progress)
	}
	if left := r.left("a"); len(left) > 0 {
		t.Errorf("something was done: %v", left)
	}
	r.server("c")
	r.untilReady(s)
	if got := r.read("a", "etc/circle"); got != r.read("c", "etc/circle") || !strings.HasPrefix(got, "a=127.9.1.97 c=") || r.applied("a") != 1 {
		t.Errorf("a holds %q, applied %d times", got, r.applied("a"))
	}
	r.erase(s)
}

// TestSelector: a server that comes is taken in, one that no longer matches is reported and keeps the service until the end.
func TestSelector(t *testing.T) {
	r := newRig(t, "a", "b")
	s := &v1alpha1.TaskService{ObjectMeta: metav1.ObjectMeta{Name: "motd", Namespace: r.namespace}}
	s.Spec.Recipe, s.Spec.Servers.Selector = "motd", &metav1.LabelSelector{MatchLabels: map[string]string{"role": "test"}}
	r.must(r.Client.Create(t.Context(), s))
	r.untilReady(s)
	c := r.server("c")
	r.until(s, "on three", func(s *v1alpha1.TaskService) bool { return s.Status.Progress == "3/3" })
	base := c.DeepCopy()
	c.Labels["role"] = "other"
	r.must(r.Client.Patch(t.Context(), c, client.MergeFrom(base)))
	r.until(s, "without c", func(s *v1alpha1.TaskService) bool {
		return s.Status.Progress == "2/2" && len(s.Status.Servers) == 3 && s.Status.Servers[0].Phase == v1alpha1.ServiceUnassigned
	})
	if !strings.HasPrefix(r.read("c", "etc/keelway/motd"), "hello") {
		t.Error("the service is gone from c")
	}
	if r.applied("a") != 1 || r.applied("b") != 1 {
		t.Errorf("a and b were applied %d and %d times", r.applied("a"), r.applied("b"))
	}
	r.erase(s)
	for _, name := range []string{"a", "b", "c"} {
		if left := r.left(name); len(left) > 0 {
			t.Errorf("on %s is left: %v", name, left)
		}
	}
}

// TestMachines: a new machine starts from nothing; a machine that goes takes the service along, and removing says so.
func TestMachines(t *testing.T) {
	r := newRig(t, "a", "b")
	s := r.service("motd", "motd", "", "a", "b")
	r.untilReady(s)
	a := &v1alpha1.Server{}
	r.must(r.Client.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: "a"}, a))
	r.must(os.MkdirAll(r.dir("a2"), 0o755))
	r.machine(a, "a2")
	r.until(s, "on the new machine", func(s *v1alpha1.TaskService) bool {
		return s.Status.Phase == v1alpha1.TaskServiceReady && fmt.Sprint(s.Status.Servers) != "" && r.applied("a2") == 1
	})
	r.must(r.Client.Delete(t.Context(), a))
	r.erase(s)
	if left := r.left("b"); len(left) > 0 {
		t.Errorf("on b is left: %v", left)
	}
	if !strings.HasPrefix(r.read("a2", "etc/keelway/motd"), "hello") {
		t.Error("remove ran on a machine that goes")
	}
}

// TestUpgrade: a newer operator with other recipes touches no machine until somebody changes the TaskService.
func TestUpgrade(t *testing.T) {
	r := newRig(t, "a")
	s := r.service("motd", "motd", "", "a")
	r.untilReady(s)
	before := s.DeepCopy()

	newer := fstest.MapFS{}
	for _, name := range []string{"recipe.yaml", "motd.tmpl", "check.sh", "apply.sh", "health.sh", "remove.sh"} {
		text, err := fs.ReadFile(r.recipes, "motd/"+name)
		r.must(err)
		text = []byte(strings.ReplaceAll(string(text), "default: 1.0.0", "default: 1.1.0"))
		newer["motd/"+name] = &fstest.MapFile{Data: text}
	}
	newer["motd/motd.tmpl"] = &fstest.MapFile{Data: []byte("new: {{ .Parameters.text }} {{ .Version }}\n")}
	r.running.Stop()
	r.recipes = newer
	r.start()
	calls := r.cut.calls.Load()
	for r.cut.calls.Load() < calls+4 { // it looks at the service's health
		time.Sleep(100 * time.Millisecond)
	}
	r.must(r.Client.Get(t.Context(), client.ObjectKeyFromObject(s), s))
	if s.ResourceVersion != before.ResourceVersion || r.applied("a") != 1 {
		t.Errorf("the upgrade wrote or applied: %+v", s.Status)
	}
	r.change(s, func(s *v1alpha1.TaskService) {
		s.Spec.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: []byte(`{"text":"ho"}`)}}
	})
	r.untilReady(s)
	if got := r.read("a", "etc/keelway/motd"); got != "new: ho 1.0.0\n" || s.Status.Resolved.RecipeDigest == before.Status.Resolved.RecipeDigest {
		t.Errorf("after the change: %q, %+v", got, s.Status.Resolved)
	}
	r.erase(s)
}

// TestCrash: the controller dies at many moments; the end is the same, and nothing was done twice.
func TestCrash(t *testing.T) {
	r := newRig(t, "a", "b", "c")
	s := r.service("sleeper", "sleeper", "", "a", "b", "c")
	for i := range 12 {
		time.Sleep(time.Duration(37*(i+1)%400) * time.Millisecond)
		r.running.Stop()
		r.start()
	}
	r.untilReady(s)
	for _, name := range []string{"a", "b", "c"} {
		if r.applied(name) != 1 {
			t.Errorf("%s was applied %d times", name, r.applied(name))
		}
	}
	r.must(r.Client.Delete(t.Context(), s))
	for i := range 5 {
		time.Sleep(time.Duration(53*(i+1)%200) * time.Millisecond)
		r.running.Stop()
		r.start()
	}
	deadline := time.Now().Add(time.Minute)
	for r.Client.Get(t.Context(), client.ObjectKeyFromObject(s), s) == nil {
		if time.Now().After(deadline) {
			t.Fatalf("it does not go: %+v", s.Status)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, name := range []string{"a", "b", "c"} {
		if left := r.left(name); len(left) > 0 {
			t.Errorf("on %s is left: %v", name, left)
		}
	}
}

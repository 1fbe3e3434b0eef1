package taskservice_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

func (r *rig) write(server, path, text string) {
	r.Helper()
	r.must(os.WriteFile(filepath.Join(r.dir(server), path), []byte(text), 0o644))
}

// TestDrift: a file that another hand changed is put back, told or left alone, as the spec says. (motd's health minds only that
// the file is there.)
func TestDrift(t *testing.T) {
	r := newRig(t, "a", "b")
	s := r.service("motd", "motd", "", "a", "b")
	r.untilReady(s)
	right := r.read("a", "etc/keelway/motd")

	r.write("a", "etc/keelway/motd", "defaced\n")
	r.until(s, "putting it back", func(s *v1alpha1.TaskService) bool { return r.read("a", "etc/keelway/motd") == right })
	r.untilReady(s)
	if r.applied("a") != 2 || r.applied("b") != 1 {
		t.Errorf("applied %d times where it differed and %d times where it did not", r.applied("a"), r.applied("b"))
	}

	r.change(s, func(s *v1alpha1.TaskService) { s.Spec.DriftPolicy = v1alpha1.DriftReport })
	r.untilReady(s)
	r.write("b", "etc/keelway/motd", "defaced\n")
	r.until(s, "telling it", func(s *v1alpha1.TaskService) bool { return reconcile.Condition(s, v1alpha1.DriftedCondition) != nil })
	if c := reconcile.Condition(s, v1alpha1.DriftedCondition); !strings.Contains(c.Message, "on b: changed by another hand: motd: /etc/keelway/motd is missing or differs") {
		t.Errorf("it says %q", c.Message)
	}
	if !ready(s) || r.read("b", "etc/keelway/motd") != "defaced\n" {
		t.Errorf("ready %t, and the file holds %q", ready(s), r.read("b", "etc/keelway/motd"))
	}
	r.write("b", "etc/keelway/motd", right)
	r.until(s, "taking it back", func(s *v1alpha1.TaskService) bool { return reconcile.Condition(s, v1alpha1.DriftedCondition) == nil })
	if r.applied("b") != 1 {
		t.Error("a drift that is only told was corrected")
	}
	r.erase(s)
}

func ready(s *v1alpha1.TaskService) bool {
	c := reconcile.Condition(s, v1alpha1.ReadyCondition)
	return c != nil && c.Status == metav1.ConditionTrue
}

// TestOutputOfAnother: a parameter follows what another service offers, and every way in which it cannot be had is told.
func TestOutputOfAnother(t *testing.T) {
	r := newRig(t, "a", "b")
	from := func(name, output string) []v1alpha1.ParameterSource {
		return []v1alpha1.ParameterSource{{Parameter: "text", TaskServiceRef: &v1alpha1.OutputRef{Name: name, Output: output}}}
	}
	reader := &v1alpha1.TaskService{ObjectMeta: metav1.ObjectMeta{Name: "reader", Namespace: r.namespace}}
	reader.Spec.Recipe, reader.Spec.Servers.Names = "motd", []string{"b"}
	reader.Spec.ParametersFrom = from("source", "text")
	r.must(r.Client.Create(t.Context(), reader))
	if text := r.untilSays(reader, "DependencyNotReady"); !strings.Contains(text, "there is no TaskService source") {
		t.Errorf("it says %q", text)
	}

	source := r.service("source", "motd", `{"text":"first"}`, "a")
	r.untilReady(reader)
	if got := r.read("b", "etc/keelway/motd"); !strings.HasPrefix(got, "first ") {
		t.Errorf("the file holds %q", got)
	}
	r.untilReady(source)
	r.change(source, func(s *v1alpha1.TaskService) { s.Spec.Parameters.Raw = []byte(`{"text":"second"}`) })
	r.until(reader, "following", func(s *v1alpha1.TaskService) bool {
		return ready(s) && strings.HasPrefix(r.read("b", "etc/keelway/motd"), "second ")
	})

	r.change(reader, func(s *v1alpha1.TaskService) { s.Spec.ParametersFrom = from("source", "txt") })
	if text := r.untilSays(reader, "Invalid"); !strings.Contains(text, "no output txt; it has text") {
		t.Errorf("it says %q", text)
	}
	r.change(reader, func(s *v1alpha1.TaskService) { s.Spec.ParametersFrom = from("source", "text") })
	r.until(source, "there", func(*v1alpha1.TaskService) bool { return true })
	r.change(source, func(s *v1alpha1.TaskService) { s.Spec.Parameters, s.Spec.ParametersFrom = nil, from("reader", "text") })
	if text := r.untilSays(source, "DependencyCycle"); !strings.Contains(text, "source → reader → source") {
		t.Errorf("it says %q", text)
	}
	r.erase(reader)
	r.erase(source)
}

// TestAbandon: deletion waits for a machine that is away, says how to go without it, and goes when a person decides so.
func TestAbandon(t *testing.T) {
	r := newRig(t, "a")
	b := r.server("b")
	s := r.service("motd", "motd", "", "a", "b")
	r.untilReady(s)
	now := metav1.Now().Time
	b.Status.Phase = v1alpha1.ServerBooting
	reconcile.Set(b, v1alpha1.ReadyCondition, metav1.ConditionFalse, "Unreachable", "silent", now)
	reconcile.Set(b, v1alpha1.ReachableCondition, metav1.ConditionFalse, "Unreachable", "silent", now)
	reconcile.Flag(b, v1alpha1.ReconcilingCondition, true, "Unreachable", "silent", now)
	r.must(r.Client.Status().Update(t.Context(), b))
	r.must(r.Client.Delete(t.Context(), s))
	r.until(s, "waiting for b alone", func(s *v1alpha1.TaskService) bool {
		c := reconcile.Condition(s, v1alpha1.ReadyCondition)
		return len(s.Status.Servers) == 1 && c != nil && strings.Contains(c.Message, "keelway.dev/abandon=b")
	})
	r.change(s, func(s *v1alpha1.TaskService) { s.Annotations = map[string]string{v1alpha1.AnnotationAbandon: "c, b"} })
	r.erase(s)
	if left := r.left("b"); len(left) == 0 {
		t.Error("what was abandoned is gone: then it was no test")
	}
}

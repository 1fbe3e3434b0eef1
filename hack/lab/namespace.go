package lab

import (
	"context"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

// namespace is what one test has to itself.
type namespace struct {
	canaries []string
	logs     []*record
}

var notInAName = regexp.MustCompile(`[^a-z0-9]+`)

// Namespace makes a namespace for this test alone. When the test has ended, and the managers that it started afterwards have
// stopped, every object of ours that is left in it is checked: its conditions, how kstatus reads it, and that no canary shows.
func (l *Lab) Namespace(t testing.TB) string {
	t.Helper()
	name := strings.Trim(notInAName.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: name[:min(len(name), 40)] + "-"}}
	if err := l.Client.Create(t.Context(), ns); err != nil {
		t.Fatalf("lab: creating a namespace: %v", err)
	}
	l.mu.Lock()
	l.namespaces[ns.Name] = &namespace{}
	l.mu.Unlock()
	t.Cleanup(func() { l.inspect(t, ns.Name) })
	return ns.Name
}

func (l *Lab) namespace(t testing.TB, name string) *namespace {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	ns := l.namespaces[name]
	if ns == nil {
		t.Fatalf("lab: %s is not a namespace of Namespace", name)
	}
	return ns
}

// kinds of ours, each with an empty object to convert to; a Checkpoint has no conditions.
var kinds = map[string]func() v1alpha1.Object{
	"Provider":      func() v1alpha1.Object { return &v1alpha1.Provider{} },
	"Server":        func() v1alpha1.Object { return &v1alpha1.Server{} },
	"TaskService":   func() v1alpha1.Object { return &v1alpha1.TaskService{} },
	"Run":           func() v1alpha1.Object { return &v1alpha1.Run{} },
	"BatchWorkflow": func() v1alpha1.Object { return &v1alpha1.BatchWorkflow{} },
	"Checkpoint":    nil,
}

// inspect looks at what the test leaves behind.
func (l *Lab) inspect(t testing.TB, name string) {
	ns := l.namespace(t, name)
	for kind, empty := range kinds {
		for _, u := range l.list(t, name, kind) {
			ns.scan(t, kind+" "+u.GetName(), u.Object)
			if empty == nil {
				continue
			}
			for _, problem := range problems(kind, &u) {
				t.Errorf("lab: %s %s: %s", kind, u.GetName(), problem)
			}
		}
	}
	var events eventsv1.EventList
	if err := l.Client.List(context.Background(), &events, client.InNamespace(name)); err != nil {
		t.Errorf("lab: listing events: %v", err)
	}
	for i := range events.Items {
		ns.scan(t, "event "+events.Items[i].Name, events.Items[i])
	}
	for _, log := range ns.logs {
		ns.scan(t, "the log", log.String())
	}
}

// list is of what the API server shows, not of what our types would make of it.
func (l *Lab) list(t testing.TB, namespace, kind string) []unstructured.Unstructured {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
	if err := l.Client.List(context.Background(), list, client.InNamespace(namespace)); err != nil {
		t.Errorf("lab: listing %ss: %v", kind, err)
	}
	return list.Items
}

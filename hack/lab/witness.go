package lab

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Witness follows the objects of a kind in a namespace until the test and its managers have ended, and fails the test when the
// conditions of any state that was ever written are wrong, as Problems has it: people and tools see those states, too, and an
// operator may die after each of them. It is for kinds whose controller writes a status once a walk. Call it before Manager.
func (l *Lab) Witness(t testing.TB, namespace, kind string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
	watch, err := l.Client.Watch(ctx, list, client.InNamespace(namespace))
	if err != nil {
		stop()
		t.Fatalf("lab: watching %ss: %v", kind, err)
	}
	wrong := make(chan []string, 1)
	go func() {
		var found []string
		for event := range watch.ResultChan() {
			if u, ok := event.Object.(*unstructured.Unstructured); ok {
				for _, problem := range problems(kind, u) {
					found = append(found, u.GetName()+" at resourceVersion "+u.GetResourceVersion()+": "+problem)
				}
			}
		}
		wrong <- found
	}()
	t.Cleanup(func() {
		watch.Stop()
		stop()
		for _, problem := range <-wrong {
			t.Errorf("lab: %s %s", kind, problem)
		}
	})
}

// problems is what is wrong with an object of ours as the API server shows it.
func problems(kind string, shown *unstructured.Unstructured) []string {
	obj := kinds[kind]()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(shown.Object, obj); err != nil {
		return []string{"it cannot be read: " + err.Error()}
	}
	return Problems(obj, shown)
}

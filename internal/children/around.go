package children

import (
	"context"
	"iter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// Surroundings are the Servers, TaskServices and Runs of a workflow's namespace. Where they come from a cache they are its own: nobody may
// change them.
type Surroundings struct {
	workflow     *v1alpha1.BatchWorkflow
	Servers      []v1alpha1.Server
	TaskServices []v1alpha1.TaskService
	Runs         []v1alpha1.Run
}

// Around reads what there is beside a workflow's children, and they themselves, from the cache. It copies nothing.
func (c Children) Around(ctx context.Context, workflow *v1alpha1.BatchWorkflow) (Surroundings, error) {
	return Around(ctx, c.Client, workflow, client.UnsafeDisableDeepCopy)
}

// Around reads them from anywhere.
func Around(ctx context.Context, from client.Reader, workflow *v1alpha1.BatchWorkflow, options ...client.ListOption) (Surroundings, error) {
	var servers v1alpha1.ServerList
	var services v1alpha1.TaskServiceList
	var runs v1alpha1.RunList
	options = append(options, client.InNamespace(workflow.Namespace))
	for _, list := range []client.ObjectList{&servers, &services, &runs} {
		if err := from.List(ctx, list, options...); err != nil {
			return Surroundings{}, fault.During(err, "listing what there is beside workflow %s", workflow.Name)
		}
	}
	return Surroundings{workflow: workflow, Servers: servers.Items, TaskServices: services.Items, Runs: runs.Items}, nil
}

// Own goes through the workflow's own children.
func (s Surroundings) Own() iter.Seq[client.Object] { return s.those(true) }

// Others goes through the rest.
func (s Surroundings) Others() iter.Seq[client.Object] { return s.those(false) }

func (s Surroundings) those(own bool) iter.Seq[client.Object] {
	return func(yield func(client.Object) bool) {
		for o := range s.all() {
			if (s.workflow.UID != "" && metav1.IsControlledBy(o, s.workflow)) == own && !yield(o) {
				return
			}
		}
	}
}

func (s Surroundings) all() iter.Seq[client.Object] {
	return func(yield func(client.Object) bool) {
		for i := range s.Servers {
			if !yield(&s.Servers[i]) {
				return
			}
		}
		for i := range s.TaskServices {
			if !yield(&s.TaskServices[i]) {
				return
			}
		}
		for i := range s.Runs {
			if !yield(&s.Runs[i]) {
				return
			}
		}
	}
}

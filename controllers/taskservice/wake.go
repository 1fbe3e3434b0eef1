package taskservice

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
)

// ServerIndex is the name of the index of TaskServices by the Servers they concern.
const ServerIndex = "taskservice.servers"

// anyServer stands in the index for a selector, which may match a Server that does not exist yet.
const anyServer = "*"

// ByServer lists the Servers that a TaskService names or has worked on.
func ByServer(o client.Object) []string {
	t, ok := o.(*v1alpha1.TaskService)
	if !ok {
		return nil
	}
	names := slices.Clone(t.Spec.Servers.Names)
	if t.Spec.Servers.Selector != nil {
		names = append(names, anyServer)
	}
	for _, s := range t.Status.Servers {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ofServer wakes the TaskServices that a Server concerns.
func (r *Reconciler) ofServer() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, server client.Object) []ctrl.Request {
		var wake []ctrl.Request
		for _, name := range []string{server.GetName(), anyServer} {
			for _, t := range r.indexed(ctx, server.GetNamespace(), name) {
				if name == anyServer && !matches(&t, server) {
					continue
				}
				wake = append(wake, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&t)})
			}
		}
		return wake
	})
}

// indexed reads the cache; an error there leaves the look that every waiting TaskService takes within a minute.
func (r *Reconciler) indexed(ctx context.Context, namespace, name string) []v1alpha1.TaskService {
	var list v1alpha1.TaskServiceList
	if err := r.kit.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{ServerIndex: name}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding the TaskServices of a Server", "server", types.NamespacedName{Namespace: namespace, Name: name})
		return nil
	}
	return list.Items
}

func matches(t *v1alpha1.TaskService, server client.Object) bool {
	selector, err := metav1.LabelSelectorAsSelector(t.Spec.Servers.Selector)
	return err == nil && selector.Matches(labels.Set(server.GetLabels()))
}

// serverChanged lets through what a service can depend on, and not every word that a Server's conditions say.
func serverChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.Server)
		after, ok2 := e.ObjectNew.(*v1alpha1.Server)
		return ok1 && ok2 && plan.Stirs(before, after)
	}}
}

func isReady(o v1alpha1.Object) bool {
	return meta.IsStatusConditionTrue(o.GetConditions(), v1alpha1.ReadyCondition)
}

// ofNeighbour wakes TaskServices that wait for another one, for what they require or for what they exclude to go, and those that
// take a parameter from it.
func (r *Reconciler) ofNeighbour() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, changed client.Object) []ctrl.Request {
		var list v1alpha1.TaskServiceList
		if err := r.kit.Client.List(ctx, &list, client.InNamespace(changed.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "finding the neighbours of a TaskService", "taskservice", client.ObjectKeyFromObject(changed))
			return nil
		}
		var wake []ctrl.Request
		for i := range list.Items {
			t := &list.Items[i]
			c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ReadyCondition)
			waits := c != nil && (c.Reason == string(fault.ReasonRecipeConflict) || c.Reason == string(fault.ReasonDependency))
			if t.Name != changed.GetName() && (waits || refersTo(t, changed.GetName())) {
				wake = append(wake, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(t)})
			}
		}
		return wake
	})
}

// refersTo reports whether a parameter is taken from the named TaskService.
func refersTo(t *v1alpha1.TaskService, name string) bool {
	return slices.ContainsFunc(t.Spec.ParametersFrom, func(s v1alpha1.ParameterSource) bool {
		return s.TaskServiceRef != nil && s.TaskServiceRef.Name == name
	})
}

// neighbourChanged lets through what others can wait for: ready or not, going, gone.
func neighbourChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*v1alpha1.TaskService)
			after, ok2 := e.ObjectNew.(*v1alpha1.TaskService)
			return ok1 && ok2 && (isReady(before) != isReady(after) || before.Status.Ready != after.Status.Ready ||
				before.Status.Version != after.Status.Version || !maps.Equal(before.Status.Outputs, after.Status.Outputs) ||
				!equality.Semantic.DeepEqual(before.Spec.Servers, after.Spec.Servers))
		},
	}
}

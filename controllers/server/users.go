package server

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// users names what must go before the machine may: the services that are or will be on it, and the runs that are under way or
// still have to tidy up after themselves. It is empty for a Server that nobody uses.
func (v *visit) users(ctx context.Context) ([]string, error) {
	services, runs := &v1alpha1.TaskServiceList{}, &v1alpha1.RunList{}
	for _, list := range []client.ObjectList{services, runs} {
		if err := v.r.Kit.Client.List(ctx, list, client.InNamespace(v.name.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			return nil, fault.During(err, "listing who uses this Server")
		}
	}
	var names []string
	for i := range services.Items {
		if t := &services.Items[i]; serves(t, v.server) {
			names = append(names, "TaskService "+t.Name)
		}
	}
	for i := range runs.Items {
		if run := &runs.Items[i]; target(run) == v.name.Name && holds(run) {
			names = append(names, "Run "+run.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// serves says whether a service is or will be on the server: by name, by label, or because it was put there once.
func serves(t *v1alpha1.TaskService, s *v1alpha1.Server) bool {
	if slices.Contains(t.Spec.Servers.Names, s.Name) {
		return true
	}
	if slices.ContainsFunc(t.Status.Servers, func(on v1alpha1.ServiceOnServer) bool { return on.Name == s.Name }) {
		return true
	}
	if t.Spec.Servers.Selector == nil {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(t.Spec.Servers.Selector)
	return err == nil && selector.Matches(labels.Set(s.Labels)) // one that cannot be read selects nothing anywhere
}

func target(run *v1alpha1.Run) string {
	if run.Spec.Target == nil {
		return ""
	}
	return run.Spec.Target.ServerRef.Name
}

// holds says whether a run still needs its machine: until it has ended, and again while it is deleted.
func holds(run *v1alpha1.Run) bool {
	return !run.DeletionTimestamp.IsZero() || run.Status.FinishedAt == nil
}

// heldByService wakes the leaving Servers of a service that may have let go of them.
func (r *Reconciler) heldByService(ctx context.Context, obj client.Object) []ctrl.Request {
	t, ok := obj.(*v1alpha1.TaskService)
	if !ok {
		return nil
	}
	return r.which(ctx, t.Namespace, func(s *v1alpha1.Server) bool { return leaving(s) && serves(t, s) })
}

// heldByRun wakes the leaving Server of a run.
func (r *Reconciler) heldByRun(ctx context.Context, obj client.Object) []ctrl.Request {
	run, ok := obj.(*v1alpha1.Run)
	if !ok || target(run) == "" {
		return nil
	}
	name := types.NamespacedName{Namespace: run.Namespace, Name: target(run)}
	s := &v1alpha1.Server{}
	if err := r.Kit.Client.Get(ctx, name, s); err != nil || !leaving(s) {
		return nil // who is not leaving is not held
	}
	return []ctrl.Request{{NamespacedName: name}}
}

// unsettled wakes the Servers that wait for a Provider.
func (r *Reconciler) unsettled(ctx context.Context, obj client.Object) []ctrl.Request {
	return r.which(ctx, obj.GetNamespace(), func(s *v1alpha1.Server) bool {
		return s.Spec.ProviderRef.Name == obj.GetName() && !settledServer(s)
	})
}

func (r *Reconciler) which(ctx context.Context, namespace string, are func(*v1alpha1.Server) bool) []ctrl.Request {
	servers := &v1alpha1.ServerList{}
	if err := r.Kit.Client.List(ctx, servers, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil // they wake by themselves within a minute
	}
	var requests []ctrl.Request
	for i := range servers.Items {
		if s := &servers.Items[i]; are(s) {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(s)})
		}
	}
	return requests
}

// Package run knows how to carry a Run between the API server, the plan, and the one machine or endpoint that it goes to.
// It must not know what its script is for, how its outcome is judged (internal/plan), or who made the machine.
package run

import (
	"context"
	"net/netip"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// Options configure the controller. Workers may be zero; without CheckAllow no probe goes out from the operator.
type Options struct {
	Kit        reconcile.Kit
	Connector  connect.Connector
	CheckAllow []netip.Prefix // what probes without a target may reach
	Workers    int            // Runs worked on at once; 0: 8, because probes wait for others
}

// +kubebuilder:rbac:groups=keelway.dev,resources=runs,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=runs/status,verbs=get;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=servers,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler looks after Runs.
type Reconciler struct {
	kit       reconcile.Kit
	connector connect.Connector
	prober    Prober
}

// New returns a reconciler that is not registered anywhere.
func New(o Options) *Reconciler {
	return &Reconciler{kit: o.Kit, connector: o.Connector, prober: Prober{Allow: o.CheckAllow}}
}

// ServerIndex is the name of the index of Runs by their target's Server.
const ServerIndex = "run.server"

// ByServer names the Server that a Run goes to.
func ByServer(o client.Object) []string {
	r, ok := o.(*v1alpha1.Run)
	if !ok || r.Spec.Target == nil {
		return nil
	}
	return []string{r.Spec.Target.ServerRef.Name}
}

// SetupWithManager registers the controller "run" and its index.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, o Options) error {
	r := New(o)
	if o.Workers <= 0 {
		o.Workers = 8
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.Run{}, ServerIndex, ByServer); err != nil {
		return err
	}
	asked := builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	return ctrl.NewControllerManagedBy(mgr).Named("run").
		For(&v1alpha1.Run{}, asked).
		Watches(&v1alpha1.Server{}, handler.EnqueueRequestsFromMapFunc(r.ofServer), builder.WithPredicates(serverChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: o.Workers, RateLimiter: reconcile.Limiter()}).
		Complete(r)
}

// ofServer wakes the Runs on a Server that have not ended. An error leaves the look that every waiting Run takes in a minute.
func (r *Reconciler) ofServer(ctx context.Context, server client.Object) []ctrl.Request {
	var list v1alpha1.RunList
	err := r.kit.Client.List(ctx, &list, client.InNamespace(server.GetNamespace()), client.MatchingFields{ServerIndex: server.GetName()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding the Runs of a Server", "server", client.ObjectKeyFromObject(server))
		return nil
	}
	var wake []ctrl.Request
	for i := range list.Items {
		if one := &list.Items[i]; !plan.Ended(one.Status.Phase) || !one.DeletionTimestamp.IsZero() {
			wake = append(wake, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(one)})
		}
	}
	return wake
}

func serverChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.Server)
		after, ok2 := e.ObjectNew.(*v1alpha1.Server)
		return ok1 && ok2 && plan.Stirs(before, after)
	}}
}

// Reconcile takes one look at one Run. What its run left on the machine is forgotten only after the result is durable.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	one := &v1alpha1.Run{}
	if err := r.kit.Client.Get(ctx, req.NamespacedName, one); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	if answered(one) {
		return ctrl.Result{}, nil
	}
	v := &visit{Reconciler: r}
	part := reconcile.Part[*v1alpha1.Run]{Reason: v1alpha1.ReasonSucceeded, Summarise: r.summarise, Message: succeeded}
	result, err := reconcile.RunPart(ctx, r.kit, part, one, v.leave, v.target, v.observe, v.act)
	if err != nil || result == reconcile.Stale || !plan.Ended(one.Status.Phase) || !one.DeletionTimestamp.IsZero() {
		return result, err
	}
	v.forget(ctx, one)
	if plan.Again(one.Status, plan.Attempt(one)) {
		result.RequeueAfter = time.Millisecond // the next attempt was asked for while this one ran
	}
	return result, nil
}

// answered reports whether there is nothing left to do for a Run, not even a word: it has ended and says so.
func answered(one *v1alpha1.Run) bool {
	return plan.Ended(one.Status.Phase) && one.DeletionTimestamp.IsZero() &&
		one.Status.ObservedGeneration == one.Generation && one.Status.Attempt >= plan.Attempt(one)
}

// succeeded is what a Run says that ended as expected.
func succeeded(one *v1alpha1.Run) string {
	if one.Status.Duration == "0s" { // machines keep whole seconds
		return "ended as expected, in less than a second"
	}
	return "ended as expected, in " + one.Status.Duration
}

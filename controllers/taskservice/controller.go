// Package taskservice knows how to carry a TaskService between the API server, the catalog, the plan and the machines' runner.
// It must not know how anything is decided (internal/plan), how a service is installed (recipes) or who made a machine.
package taskservice

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// Options configure the controller. Workers may be zero.
type Options struct {
	Kit       reconcile.Kit
	Catalog   *catalog.Catalog
	Connector connect.Connector
	Workers   int // TaskServices worked on at once; 0: 4. Each talks to at most 8 servers at once
}

// +kubebuilder:rbac:groups=keelway.dev,resources=taskservices,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=taskservices/status,verbs=get;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=servers;providers,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler looks after TaskServices.
type Reconciler struct {
	kit       reconcile.Kit
	catalog   *catalog.Catalog
	connector connect.Connector
	memory    memory
}

// New returns a reconciler that is not registered anywhere.
func New(o Options) *Reconciler {
	return &Reconciler{kit: o.Kit, catalog: o.Catalog, connector: o.Connector}
}

// SetupWithManager registers the controller "taskservice" and its index.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, o Options) error {
	r := New(o)
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.TaskService{}, ServerIndex, ByServer); err != nil {
		return err
	}
	asked := builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	return ctrl.NewControllerManagedBy(mgr).Named("taskservice").
		For(&v1alpha1.TaskService{}, asked).
		Watches(&v1alpha1.Server{}, r.ofServer(), builder.WithPredicates(serverChanged())).
		Watches(&v1alpha1.TaskService{}, r.ofNeighbour(), builder.WithPredicates(neighbourChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: o.Workers, RateLimiter: reconcile.Limiter()}).
		Complete(r)
}

// Reconcile takes one look at one TaskService. Every look is a recovery: it follows from what is recorded and what machines say.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	service := &v1alpha1.TaskService{}
	if err := r.kit.Client.Get(ctx, req.NamespacedName, service); err != nil {
		if apierrors.IsNotFound(err) {
			r.memory.drop(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	v := &visit{Reconciler: r, memo: r.memory.take(req.NamespacedName, service.UID)}
	part := reconcile.Part[*v1alpha1.TaskService]{Summarise: r.summarise, Message: plan.ServiceReady}
	result, err := reconcile.RunPart(ctx, r.kit, part, service, v.remove,
		v.retry, v.resolve, v.target, v.fit, v.relate, v.render, v.observe, v.act)
	if err == nil && v.wake > 0 && (result.RequeueAfter == 0 || v.wake < result.RequeueAfter) {
		result.RequeueAfter = v.wake // looks at health go on whatever the conditions say
	}
	return result, err
}

// retry answers a raised attempt before anything else, so that it is never lost to a walk that ends early.
func (v *visit) retry(_ context.Context, t *v1alpha1.TaskService) error {
	if plan.Attempt(t) > t.Status.Attempt {
		plan.Retried(t.Status.Servers)
		v.memo.forgive()
	}
	return nil
}

// summarise derives what people read from the conditions and servers. The attempt is answered together with the conditions that
// speak of it.
func (r *Reconciler) summarise(t *v1alpha1.TaskService) {
	t.Status.Phase = plan.ServicePhase(t)
	t.Status.Attempt = max(t.Status.Attempt, plan.Attempt(t))
	words := plan.Drifted(t.Status.Servers)
	reconcile.Flag(t, v1alpha1.DriftedCondition, words != "", string(fault.ReasonDrifted), words, r.kit.Now())
}

// Package batchworkflow knows how to carry paper between the API server and the engine in internal/plan: observe, advance, record, act,
// summarise. It must not know how anything is decided, nor what a provider or a machine is: it only writes child objects.
package batchworkflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	ctrlreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// gather is how long events of children are collected at most before their workflow is looked at: a thousand of them become a handful
// of looks. It is the group commit. A workflow at which a look is cheap is looked at sooner: see shelf.gather.
const gather = 100 * time.Millisecond

// audit is how often a workflow that has not ended is looked at without any event.
const audit = 45 * time.Second

// Options configure the controller.
type Options struct {
	Kit     reconcile.Kit
	Recipes *plan.Recipes         // what recipes there are; nil checks none
	Workers int                   // workflows looked at in parallel; default 4
	Metrics prometheus.Registerer // where the controller tells its numbers; nil: nowhere
}

// +kubebuilder:rbac:groups=keelway.dev,resources=batchworkflows,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=batchworkflows/status,verbs=patch
// +kubebuilder:rbac:groups=keelway.dev,resources=batchworkflows/finalizers,verbs=update
// +kubebuilder:rbac:groups=keelway.dev,resources=checkpoints,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=keelway.dev,resources=checkpoints/status,verbs=patch
// +kubebuilder:rbac:groups=keelway.dev,resources=servers;taskservices;runs,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// Reconciler looks after BatchWorkflows.
type Reconciler struct {
	kit      reconcile.Kit
	children children.Children
	recipes  *plan.Recipes
	shelf    shelf
	pulse    pulse
}

// SetupWithManager registers the controller.
func SetupWithManager(mgr ctrl.Manager, o Options) error {
	r := &Reconciler{kit: o.Kit, children: children.Children{Client: o.Kit.Client, Live: o.Kit.Live, Owner: o.Kit.Owner}, recipes: o.Recipes, pulse: newPulse()}
	if o.Workers == 0 {
		o.Workers = 4
	}
	of := handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { r.wake(q, e.Object) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { r.wake(q, e.ObjectNew) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { r.wake(q, e.Object) },
	}
	if o.Metrics != nil {
		if err := errors.Join(o.Metrics.Register(collector{&r.shelf, o.Kit.Now}), r.pulse.register(o.Metrics)); err != nil {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	wakes := make(chan event.GenericEvent)
	if err := mgr.Add(manager.RunnableFunc(r.audits(wakes))); err != nil {
		return err
	}
	changed := builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	return ctrl.NewControllerManagedBy(mgr).
		Named("batchworkflow").
		For(&v1alpha1.BatchWorkflow{}, changed).
		Watches(&v1alpha1.Server{}, of).
		Watches(&v1alpha1.TaskService{}, of).
		Watches(&v1alpha1.Run{}, of).
		WatchesMetadata(&v1alpha1.Checkpoint{}, r.ledgers(), builder.WithPredicates(predicate.NewPredicateFuncs(isDeleting))).
		WatchesRawSource(source.Channel(wakes, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: o.Workers, RateLimiter: reconcile.Limiter()}).
		Complete(r)
}

type queue = workqueue.TypedRateLimitingInterface[ctrlreconcile.Request]

// wake asks for a look at the workflow that owns a child.
func (r *Reconciler) wake(q queue, child client.Object) {
	owner := metav1.GetControllerOf(child)
	if owner == nil || owner.Kind != "BatchWorkflow" {
		return
	}
	key := types.NamespacedName{Namespace: child.GetNamespace(), Name: owner.Name}
	q.AddAfter(ctrlreconcile.Request{NamespacedName: key}, r.shelf.gather(owner.UID, r.kit.Now()))
}

// ledgers follows the Checkpoints that go: somebody may have taken away that of a workflow that has long ended.
func (r *Reconciler) ledgers() handler.EventHandler {
	return handler.Funcs{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { r.wake(q, e.ObjectNew) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			if owner := metav1.GetControllerOf(e.Object); owner != nil {
				r.shelf.lose(owner.UID)
			}
			r.wake(q, e.Object)
		},
	}
}

func isDeleting(o client.Object) bool { return o.GetDeletionTimestamp() != nil }

// Reconcile looks at one workflow. Every look is a recovery: it follows from what is durable.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var workflow v1alpha1.BatchWorkflow
	if err := r.kit.Client.Get(ctx, req.NamespacedName, &workflow); err != nil {
		if apierrors.IsNotFound(err) {
			r.shelf.free(req.NamespacedName)
			return ctrl.Result{}, r.releaseCheckpoint(ctx, req.NamespacedName)
		}
		return ctrl.Result{}, err
	}
	r.shelf.name(req.NamespacedName, workflow.UID)
	began := r.kit.Now()
	defer func() { r.shelf.took(workflow.UID, r.kit.Now().Sub(began)) }()
	look := &look{Reconciler: r, memory: r.shelf.take(workflow.UID), news: r.shelf.heard(workflow.UID)}
	part := reconcile.Part[*v1alpha1.BatchWorkflow]{ReasonOf: settled, Message: look.settled}
	steps := look.unsettling(look.compile, look.load, look.root, look.observe, look.anchor, look.judge, look.advance, look.record, look.act, look.goOn)
	result, err := reconcile.RunPart(ctx, r.kit, part, &workflow, look.finalize, append(steps, look.summarise)...)
	if err == nil && result == (ctrl.Result{}) && !look.wake.IsZero() { // over, and its story is to be forgotten later
		result.RequeueAfter = max(look.wake.Sub(r.kit.Now()), time.Millisecond)
	}
	return result, err
}

// settled is why a workflow is Ready: it succeeded, or the plan is all that is wanted.
func settled(w *v1alpha1.BatchWorkflow) string {
	if w.Status.Phase == v1alpha1.WorkflowPlanned {
		return v1alpha1.ReasonPlanned
	}
	return v1alpha1.ReasonSucceeded
}

// settled is what it says then.
func (l *look) settled(w *v1alpha1.BatchWorkflow) string {
	if w.Status.Phase == v1alpha1.WorkflowPlanned {
		return l.workflow.Planned(l.memory.ledger)
	}
	return l.finished(w)
}

// finished is what a workflow that succeeded says.
func finished(w *v1alpha1.BatchWorkflow) string {
	done, all, _ := strings.Cut(w.Status.Progress, "/")
	text := fmt.Sprintf("%s of %s done in %s", done, all, w.Status.Run.Duration)
	if n := w.Status.Counts.FailedAllowed; n > 0 {
		text += fmt.Sprintf("; %d failed, and onFailure allows it", n)
	}
	return text
}

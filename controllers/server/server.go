// Package server knows the provider's half of a Server: it asks for the machine, follows it until it runs and ends it again.
// It must not know any vendor, nor how a machine is dialled; what comes next is decided by plan.Server and done here.
package server

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/inventory"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/turnstile"
)

// Opener opens the account that a Provider's spec names. It sends nothing; errors are classified.
type Opener interface {
	Open(ctx context.Context, p *v1alpha1.Provider) (provider.Provider, provider.Account, error)
}

// Options of the controller. Installation is required.
type Options struct {
	Installation string                // the installation's id, which is written onto every machine
	Workers      int                   // Servers that are worked on at once; 0: 8
	Settle       time.Duration         // how long a cloud may not show what was just made; 0: 10 s
	Metrics      prometheus.Registerer // where the controller tells its numbers; nil: nowhere
}

// Reconciler works on the provider's half of Servers.
type Reconciler struct {
	Kit       reconcile.Kit
	Opener    Opener
	Inventory *inventory.Inventory
	Turnstile *turnstile.Turnstile
	options   Options
	memory    *memory
	launcher  *launcher
	evidence  evidence
	waker     *waker
	metrics   metrics
}

// New returns a reconciler with an inventory and a turnstile of its own, which wake it and are shared with the controller of
// Providers. Whoever runs the controller runs the inventory too (manager.Add).
func New(kit reconcile.Kit, opener Opener, options Options) *Reconciler {
	if options.Workers <= 0 {
		options.Workers = 8
	}
	if options.Settle <= 0 {
		options.Settle = 10 * time.Second
	}
	r := &Reconciler{Kit: kit, Opener: opener, options: options, memory: newMemory(kit.Now()), waker: newWaker(), metrics: newMetrics()}
	r.launcher = newLauncher(kit.Now, r.waker.wakes)
	r.Turnstile = turnstile.New(r.waker.turns)
	r.Inventory = inventory.New(inventory.Options{Installation: options.Installation, Seen: r.seen, Now: kit.Now})
	return r
}

// begin is a source of the controller: it starts when the lease is ours, which may be long after the process did.
func (r *Reconciler) begin(_ context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
	r.memory.begin(r.Kit.Now())
	r.waker.begin(queue)
	return nil
}

// seen is told of every List: machines in the making hold slots, and whose machine changed is looked at.
func (r *Reconciler) seen(now inventory.Snapshot, changes []inventory.Change) {
	var making []plan.Key
	for _, key := range now.Making() {
		making = append(making, plan.Key(key))
	}
	r.Turnstile.Seed(now.Account, making)
	r.waker.changes(changes)
}

// +kubebuilder:rbac:groups=keelway.dev,resources=servers,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=servers/status,verbs=get;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=providers;taskservices;runs,verbs=get;list;watch
// +kubebuilder:rbac:groups=keelway.dev,resources=batchworkflows,verbs=get
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager starts the controller "server". It shares the kind with the controller "reach".
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if with := r.options.Metrics; with != nil {
		if err := r.metrics.register(with); err != nil {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return ctrl.NewControllerManagedBy(mgr).Named("server").
		For(&v1alpha1.Server{}, builder.WithPredicates(wanted())).
		Watches(&v1alpha1.Provider{}, handler.EnqueueRequestsFromMapFunc(r.unsettled), builder.WithPredicates(providerTurned())).
		Watches(&v1alpha1.TaskService{}, handler.EnqueueRequestsFromMapFunc(r.heldByService)).
		Watches(&v1alpha1.Run{}, handler.EnqueueRequestsFromMapFunc(r.heldByRun), builder.WithPredicates(runEnds())).
		WatchesRawSource(source.Func(r.begin)).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.options.Workers, RateLimiter: reconcile.Limiter()}).
		Complete(r)
}

// Reconcile works on one Server.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	server := &v1alpha1.Server{}
	err := r.Kit.Client.Get(ctx, req.NamespacedName, server)
	if apierrors.IsNotFound(err) {
		r.memory.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if err != nil || r.memory.over(req.NamespacedName, server.UID) {
		return ctrl.Result{}, err
	}
	v := &visit{r: r, server: server, name: req.NamespacedName}
	part := reconcile.Part[*v1alpha1.Server]{
		Condition: v1alpha1.ProvisionedCondition,
		Reason:    v1alpha1.ReasonProvisioned,
		Message:   func(*v1alpha1.Server) string { return "the provider says that the machine runs" },
		Summarise: func(s *v1alpha1.Server) { plan.SummariseServer(s, r.Kit.Now()) },
	}
	result, err := reconcile.RunPart(ctx, r.Kit, part, server, v.finalize, v.answer, v.provision)
	if v.ended && !controllerutil.ContainsFinalizer(server, v1alpha1.Finalizer) {
		r.memory.end(v.name, server.UID) // a later one of its name starts afresh
	}
	if err == nil && result.RequeueAfter == 0 {
		result.RequeueAfter = v.again
	}
	return result, err
}

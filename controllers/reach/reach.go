// Package reach knows the second half of a Server: it dials the machine, reads its facts and says whether it answers.
// It must not know who made the machine: all it is given is status.access, and all it writes is facts and the condition Reachable.
package reach

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// FieldManager of the reach side: what it owns of a Server's status can be told from what the provider's side owns.
const FieldManager = "keelway-reach"

// Options of the controller. The zero value works.
type Options struct {
	Workers  int           // machines that are dialled at once; 0: 4
	Interval time.Duration // between two looks at a machine that answers; 0: one minute
	Timeout  time.Duration // of one look, from dialling to the last fact; 0: 20 s
}

// Reconciler dials the machines of Servers.
type Reconciler struct {
	Kit       reconcile.Kit
	Connector connect.Connector
	options   Options
	memory    memory
}

// New returns a reconciler. The kit's Owner becomes FieldManager.
func New(kit reconcile.Kit, connector connect.Connector, options Options) *Reconciler {
	kit.Owner = FieldManager
	if options.Workers <= 0 {
		options.Workers = 4
	}
	if options.Interval <= 0 {
		options.Interval = time.Minute
	}
	if options.Timeout <= 0 {
		options.Timeout = 20 * time.Second
	}
	return &Reconciler{Kit: kit, Connector: connector, options: options}
}

// +kubebuilder:rbac:groups=keelway.dev,resources=servers,verbs=get;list;watch
// +kubebuilder:rbac:groups=keelway.dev,resources=servers/status,verbs=get;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager starts the controller "reach". It shares the kind with the controller "server".
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("reach").
		For(&v1alpha1.Server{}, builder.WithPredicates(worthDialling())).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.options.Workers, RateLimiter: limiter()}).
		Complete(r)
}

// limiter begins as the other controllers' do and ends sooner: a machine that boots answers after a minute, not after five.
func limiter() workqueue.TypedRateLimiter[ctrl.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](500*time.Millisecond, 30*time.Second)
}

// Reconcile looks at one machine. A machine that does not run is not dialled and nothing is written: the provider's side says
// so itself, and its next write wakes us.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	server := &v1alpha1.Server{}
	if err := r.Kit.Client.Get(ctx, req.NamespacedName, server); err != nil {
		r.memory.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !dialable(server) {
		return ctrl.Result{}, nil
	}
	part := reconcile.Part[*v1alpha1.Server]{
		Condition: v1alpha1.ReachableCondition,
		Reason:    v1alpha1.ReasonReachable,
		Message:   reached,
		Summarise: func(s *v1alpha1.Server) { plan.SummariseServer(s, r.Kit.Now()) },
	}
	v := &visit{Reconciler: r, name: req.NamespacedName}
	result, err := reconcile.RunPart(ctx, r.Kit, part, server, nil, v.pin, v.look)
	if err == nil && result.RequeueAfter == 0 {
		if result.RequeueAfter = v.again; v.again == 0 {
			result.RequeueAfter = r.pause()
		}
	}
	return result, err
}

// reached is what Reachable says of a machine that answers.
func reached(*v1alpha1.Server) string { return "the machine answered and told its facts" }

// pause spreads the looks over time, so that servers that came up together are not dialled together for ever.
func (r *Reconciler) pause() time.Duration {
	fifth := r.options.Interval / 5
	return r.options.Interval - fifth + rand.N(2*fifth+1)
}

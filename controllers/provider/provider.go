// Package provider knows a Provider object's life: it opens the account, sees that it answers, keeps its limit and counts who uses it.
// It must not know any vendor, nor make or end a machine: that is the Server's part.
package provider

import (
	"context"
	"math/rand/v2"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/inventory"
	cloud "github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/turnstile"
)

// Opener opens the account that a Provider's spec names. It sends nothing; errors are classified.
type Opener interface {
	Open(ctx context.Context, p *v1alpha1.Provider) (cloud.Provider, cloud.Account, error)
}

// Options of the controller. The zero value works.
type Options struct {
	Workers  int           // Providers that are looked at once; 0: 2
	Interval time.Duration // between two looks whether the account answers; 0: five minutes
}

// Reconciler looks after Providers.
type Reconciler struct {
	Kit       reconcile.Kit
	Opener    Opener
	Inventory *inventory.Inventory
	Turnstile *turnstile.Turnstile
	Connector connect.Connector // for drivers that use SSH
	options   Options
}

// New returns a reconciler. Inventory and turnstile are those that the controller of Servers uses.
func New(kit reconcile.Kit, opener Opener, inv *inventory.Inventory, turns *turnstile.Turnstile, connector connect.Connector, options Options) *Reconciler {
	if options.Workers <= 0 {
		options.Workers = 2
	}
	if options.Interval <= 0 {
		options.Interval = 5 * time.Minute
	}
	return &Reconciler{Kit: kit, Opener: opener, Inventory: inv, Turnstile: turns, Connector: connector, options: options}
}

// +kubebuilder:rbac:groups=keelway.dev,resources=providers,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=providers/status,verbs=get;patch
// +kubebuilder:rbac:groups=keelway.dev,resources=servers,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager starts the controller "provider".
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("provider").
		For(&v1alpha1.Provider{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.Server{}, usersOf()).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.options.Workers, RateLimiter: reconcile.Limiter()}).
		Complete(r)
}

// Reconcile looks at one Provider.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	p := &v1alpha1.Provider{}
	if err := r.Kit.Client.Get(ctx, req.NamespacedName, p); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	v := &visit{Reconciler: r, words: "the account answers"}
	part := reconcile.Part[*v1alpha1.Provider]{Message: func(*v1alpha1.Provider) string { return v.words }}
	result, err := reconcile.RunPart(ctx, r.Kit, part, p, r.finalize, r.count, v.key, v.pin, v.open, v.sweep)
	if err == nil && result.RequeueAfter == 0 && p.DeletionTimestamp.IsZero() {
		if result.RequeueAfter = r.pause(); v.soon {
			result.RequeueAfter = min(result.RequeueAfter, soonPause)
		}
	}
	return result, err
}

// visit is one look at one Provider.
type visit struct {
	*Reconciler
	words string // what Ready says
	door  cloud.Provider
	soon  bool // something is missing that may come by itself
}

// soonPause is the time until a host that did not answer is asked for its keys again, and refused credentials are read again.
const soonPause = 15 * time.Second

// pause lets a Provider that stopped for good be looked at again too: what the installation admits may have changed.
func (r *Reconciler) pause() time.Duration {
	return r.options.Interval - rand.N(r.options.Interval/5+1)
}

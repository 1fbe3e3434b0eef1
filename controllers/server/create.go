package server

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/reconcile"
)

// create asks for the machine, when its turn has come and the API server itself says that it is still wanted. The slot is kept
// while a machine may be in the making, and given back when certainly none is.
func (v *visit) create(ctx context.Context) error {
	if err := v.turn(); err != nil {
		return err
	}
	if err := v.stillWanted(ctx); err != nil {
		v.leaveQueue()
		return err
	}
	s := v.server
	v.r.memory.creating(v.name, v.r.Kit.Now())
	made, err := v.door.Create(ctx, provider.Machine{
		Key:   v.key(),
		Owner: provider.Owner{Installation: v.r.options.Installation, Namespace: s.Namespace, Name: s.Name, UID: string(s.UID)},
		Size:  s.Spec.Size, Zone: s.Spec.Zone, Image: s.Spec.Image,
	})
	v.r.memory.deed(v.name, v.r.Kit.Now()) // a look must begin after the call's end, not after its beginning
	v.r.Inventory.Deed(v.door.account.ID)
	if err != nil {
		if class := fault.ClassOf(err); class != fault.Unknown && fault.ReasonOf(err) != fault.ReasonPanic {
			v.leaveQueue()
		}
		return fault.During(err, "creating the machine")
	}
	v.learn([]provider.Instance{made})
	if made.State != provider.Terminating { // the key's former machine, ending: it is not the one that was asked for
		v.seen.Recorded = made.ID
		v.publish(made.ID)
	}
	return nil
}

// turn takes a slot at the account, or waits for one: the turnstile wakes us.
func (v *visit) turn() error {
	s, account := v.server, v.door.account.ID
	holder := plan.Holder(s.Namespace + "/" + s.Labels[v1alpha1.LabelWorkflow])
	if s.Labels[v1alpha1.LabelWorkflow] == "" {
		holder = plan.Holder(v.key())
	}
	v.r.waker.asks(plan.Key(v.key()), ask{v.name, account})
	if v.r.Turnstile.Ask(account, plan.Ask{Key: plan.Key(v.key()), Holder: holder, Since: s.CreationTimestamp.Time}) {
		return nil
	}
	if _, open := v.r.Turnstile.Ahead(account); !open {
		return fault.Waiting(fault.ReasonQueued, 0, "waiting until account %s has been looked at", account)
	}
	return fault.Waiting(fault.ReasonQueued, 0, "waiting for a turn: as many machines are in the making as limits.maxInFlight of Provider %s allows",
		v.door.object.Name)
}

// leaveQueue gives back the slot, or the place in the queue.
func (v *visit) leaveQueue() {
	if account := v.r.waker.forgets(plan.Key(v.key())); account != "" {
		v.r.Turnstile.Release(account, plan.Key(v.key()))
	}
}

// stillWanted asks the API server, and not the cache, whether the object, the workflow that ordered it and its Provider are
// there to stay. Without it a cache that lags makes a machine for an object that is gone, which nobody would ever end.
func (v *visit) stillWanted(ctx context.Context) error {
	s := v.server
	live := &v1alpha1.Server{}
	if err := v.r.Kit.Live.Get(ctx, v.name, live); err != nil && !apierrors.IsNotFound(err) {
		return fault.During(err, "reading this Server")
	}
	if live.UID != s.UID || !live.DeletionTimestamp.IsZero() {
		return fault.Waiting(fault.ReasonDependency, 0, "this Server is gone or going: nothing is created")
	}
	if live.Status.ID != "" {
		return fault.Waiting(fault.ReasonConflict, reconcile.Stale.RequeueAfter, "this Server has the machine %s already", live.Status.ID)
	}
	if p, err := v.findProvider(ctx, v.r.Kit.Live); err != nil {
		return err
	} else if err := ready(p); err != nil {
		return err
	}
	return v.ownerStays(ctx)
}

func (v *visit) ownerStays(ctx context.Context) error {
	ref := metav1.GetControllerOf(v.server)
	if ref == nil {
		return nil
	}
	owner := &metav1.PartialObjectMetadata{}
	owner.SetGroupVersionKind(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind))
	err := v.r.Kit.Live.Get(ctx, types.NamespacedName{Namespace: v.name.Namespace, Name: ref.Name}, owner)
	if client.IgnoreNotFound(err) != nil {
		return fault.During(err, "reading %s %s, which ordered this Server", ref.Kind, ref.Name)
	}
	if err != nil || owner.UID != ref.UID || !owner.DeletionTimestamp.IsZero() {
		return fault.Waiting(fault.ReasonDependency, 0, "%s %s, which ordered this Server, is gone or going: nothing is created", ref.Kind, ref.Name)
	}
	return nil
}

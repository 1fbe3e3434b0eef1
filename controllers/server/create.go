package server

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
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
	err := v.ask(ctx)
	if plan.ForAPerson(err) {
		v.r.memory.refuse(v.name, v.asked(), err)
	}
	return err
}

// asked stands for what a person can change about a request that was refused for want of a permission or a quota: with the same it is not
// sent again, however often and for whatever reason the Server is looked at. Of what changed at the cloud only a person can tell.
func (v *visit) asked() string {
	p := v.door.object
	asked := fmt.Sprint(v.server.UID, v.server.Generation, v.server.Status.Attempt, p.UID, p.Generation)
	if ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		asked += ready.LastTransitionTime.String()
	}
	return asked
}

func (v *visit) ask(ctx context.Context) error {
	if err := v.turn(); err != nil {
		return err
	}
	if err := v.stillWanted(ctx); err != nil {
		v.leaveQueue()
		return err
	}
	want, err := v.wanted(ctx)
	if err != nil {
		v.leaveQueue()
		return err
	}
	batcher, gathers := provider.As[provider.Batcher](v.door.Provider)
	if gathers {
		if alone, err := v.together(ctx, batcher, want); !alone || err != nil {
			return err
		}
	}
	if err := v.launch(ctx, want, gathers); err != nil {
		return err
	}
	want.Key, want.Owner, want.Token = v.key(), v.owner(), token(v.server.Status.Launch)
	if former := v.server.Status.Replacing; former != nil {
		want.Former = former.ID
	}
	v.r.memory.creating(v.name, v.r.Kit.Now())
	made, err := v.door.Create(ctx, want)
	v.r.memory.deed(v.name, v.r.Kit.Now()) // a look must begin after the call's end, not after its beginning
	v.r.Inventory.Deed(v.door.account.ID)
	if err != nil {
		if class := fault.ClassOf(err); class != fault.Unknown && fault.ReasonOf(err) != fault.ReasonPanic {
			v.r.memory.refused(v.name)
			v.r.launcher.refused(want.Token) // told for sure: nothing was made
			v.leaveQueue()
		} else if gathers && class == fault.Unknown {
			v.r.launcher.again(plan.Key(v.key()))
		}
		return fault.During(err, "creating the machine")
	}
	v.took(made)
	return nil
}

// launch makes sure that what is sent is durable first, where the object's own key is not enough for the cloud to know it again, or where
// another process could ask for the machine together with others, by their token.
func (v *visit) launch(ctx context.Context, want provider.Machine, gathers bool) error {
	was := v.server.Status.Launch
	if was == nil && !v.seen.Can.Untokened && !gathers || was != nil && was.Of == 1 && was.Shape == shapeOf(want) {
		return nil
	}
	v.launchAlone(want)
	return reconcile.Record(ctx, v.server)
}

// turn takes a slot at the account, or waits for one: the turnstile wakes us.
func (v *visit) turn() error {
	s, account := v.server, v.door.account.ID
	holder := plan.Holder(s.Namespace + "/" + s.Labels[v1alpha1.LabelWorkflow])
	if s.Labels[v1alpha1.LabelWorkflow] == "" {
		holder = plan.Holder(v.key())
	}
	v.r.waker.asks(plan.Key(v.key()), ask{name: v.name, account: account, since: v.r.Kit.Now()})
	defer func() { v.r.metrics.count(v.r.waker, v.r.Turnstile.Slots()) }()
	if v.r.Turnstile.Ask(account, plan.Ask{Key: plan.Key(v.key()), Holder: holder, Since: s.CreationTimestamp.Time}) {
		if waited, first := v.r.waker.granted(plan.Key(v.key()), v.r.Kit.Now()); first {
			v.r.metrics.waiting.Observe(waited.Seconds())
		}
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
		v.r.metrics.count(v.r.waker, v.r.Turnstile.Slots())
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
	if err := v.lately("Provider "+v.name.Namespace+"/"+s.Spec.ProviderRef.Name, func() error { return v.providerStays(ctx) }); err != nil {
		return err
	}
	ref := metav1.GetControllerOf(s)
	if ref == nil {
		return nil
	}
	return v.lately("owner "+string(ref.UID), func() error { return v.ownerStays(ctx, ref) })
}

// lately asks a question unless the API server said yes to it a moment ago, or is being asked: many Servers have the same one.
func (v *visit) lately(what string, ask func() error) error {
	e := &v.r.evidence
	if e.within(what, v.r.Kit.Now()) {
		return nil
	}
	_, err, _ := e.asking.Do(what, func() (any, error) {
		now := v.r.Kit.Now()
		err := ask()
		if err == nil {
			e.note(what, now)
		}
		return nil, err
	})
	return err
}

func (v *visit) providerStays(ctx context.Context) error {
	p, err := v.findProvider(ctx, v.r.Kit.Live)
	if err != nil {
		return err
	}
	return ready(p)
}

func (v *visit) ownerStays(ctx context.Context, ref *metav1.OwnerReference) error {
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

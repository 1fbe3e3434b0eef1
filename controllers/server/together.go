package server

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/reconcile"
)

// manyTime is the time of one call that makes many machines, with the labelling that follows it.
const manyTime = 2 * time.Minute

// together asks for the machine by one call with others of the same shape. Its place in that call is durable before it is sent: the
// call goes out when all members are recorded, and a crash at any point sends the same call again, with the same token.
func (v *visit) together(ctx context.Context, batcher provider.Batcher, want provider.Machine) (alone bool, err error) {
	p := pool{account: v.door.account.ID, shape: shapeOf(want)}
	at := v.r.launcher.join(p, member{key: plan.Key(v.key()), name: v.name, owner: v.owner(), previous: token(v.server.Status.Launch)})
	switch {
	case at.alone:
		return true, nil
	case at.launch == nil:
		return false, fault.Waiting(fault.ReasonInProgress, gatherMost+time.Second, "the request for the machine goes out together with others of its shape")
	}
	of := at.launch
	if took, err := v.received(of); took || err != nil {
		return false, err
	}
	place := v1alpha1.ServerLaunch{Token: of.token, Index: int32(at.index), Of: int32(len(of.members)), Shape: of.shape}
	if was := v.server.Status.Launch; was == nil || *was != place {
		v.server.Status.Launch = &place
		if err := reconcile.Record(ctx, v.server); err != nil {
			return false, err
		}
		v.seen.Launch = plan.Launch{Token: place.Token, Index: int(place.Index)}
	}
	if v.r.launcher.ready(of, plan.Key(v.key())) {
		v.call(ctx, batcher, of, want)
	}
	if took, err := v.received(of); took || err != nil {
		return false, err
	}
	return false, fault.Waiting(fault.ReasonInProgress, 2*time.Second, "the request for the machine goes out together with others of its shape")
}

// call sends what all members have recorded.
func (v *visit) call(ctx context.Context, batcher provider.Batcher, of *launch, want provider.Machine) {
	batch := provider.Batch{Token: of.token, Shape: want}
	for _, m := range of.members {
		batch.Members = append(batch.Members, provider.Member{Key: string(m.key), Owner: m.owner})
		v.r.memory.creating(m.name, v.r.Kit.Now())
	}
	calling, cancel := context.WithTimeout(ctx, manyTime)
	defer cancel()
	made, err := createMany(calling, batcher, batch)
	v.called(provider.CallCreateMany, err)
	for _, m := range of.members {
		v.r.memory.deed(m.name, v.r.Kit.Now())
	}
	v.r.Inventory.Deed(v.door.account.ID)
	v.r.launcher.answered(of, plan.Key(v.key()), made, err)
}

// createMany makes an error of a panic: its members must not wait for an answer for ever.
func createMany(ctx context.Context, batcher provider.Batcher, batch provider.Batch) (made []provider.Instance, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Unknown, fault.ReasonPanic, "a bug in keelway, please report it: %v", p)
		}
	}()
	return batcher.CreateMany(ctx, batch)
}

// received takes what the call brought for this Server, if it is back.
func (v *visit) received(of *launch) (took bool, err error) {
	made, there, err, ok := v.r.launcher.outcome(of, plan.Key(v.key()))
	switch {
	case !ok:
		return false, nil
	case err != nil:
		if fault.IsTerminal(err) {
			v.leaveQueue()
		}
		if fault.IsWait(err) { // the words of the progress would be a write of every member at every step
			err = fault.Waiting(fault.ReasonOf(err), max(fault.AfterOf(err), time.Second), "the machines are made and not all are labelled yet")
		}
		return true, fault.During(err, "creating the machine together with %d others", len(of.members)-1)
	case !there:
		v.leaveQueue()
		return true, fault.New(fault.Retry, fault.ReasonResourcesDepleted, "the provider made fewer than the %d machines that it was asked for: this one is asked for again", len(of.members))
	}
	v.took(made)
	return true, nil
}

// took records the machine that a call made. One that is ending is the key's former machine: not the one that was asked for.
func (v *visit) took(made provider.Instance) {
	v.learn([]provider.Instance{made})
	if made.State != provider.Terminating {
		v.seen.Recorded = made.ID
		v.publish(made.ID)
		v.tellOmitted(made.ID)
	}
}

// tellOmitted says once which labels the machine was made without: the cloud would have refused it with them.
func (v *visit) tellOmitted(id string) {
	if len(v.omitted) > 0 {
		v.r.Kit.Events.Eventf(v.server, nil, corev1.EventTypeWarning, "LabelsOmitted", "Create", "machine %s is without the labels that its provider does not take: %s",
			id, clip(strings.Join(v.omitted, ", ")))
	}
}

// recall finds out whether a launch that another process formed can be sent again: when all its members are recorded. Otherwise it was
// never sent, or a member is gone since: then its machine is looked for, and the request forms anew when it is certainly not there. One
// that was for this Server alone goes out alone again: together with others it would be another request, and make another machine.
func (v *visit) recall(ctx context.Context) (broken bool, err error) {
	l := v.server.Status.Launch
	if l == nil || v.server.Status.ID != "" || v.r.launcher.knows(plan.Key(v.key()), l.Token) {
		return false, nil
	}
	want, err := v.wanted(ctx)
	if err != nil {
		return false, err
	}
	if shapeOf(want) != l.Shape { // the spec has changed since: the same token never goes with another request
		return true, nil
	}
	if l.Of <= 1 {
		v.r.launcher.again(plan.Key(v.key()))
		return false, nil
	}
	servers := &v1alpha1.ServerList{}
	if err := v.r.Kit.Client.List(ctx, servers, client.UnsafeDisableDeepCopy); err != nil {
		return false, fault.During(err, "listing the Servers of launch %s", l.Token)
	}
	members := make([]member, l.Of)
	for i := range servers.Items {
		s := &servers.Items[i]
		if at := s.Status.Launch; at != nil && at.Token == l.Token && at.Of == l.Of && at.Shape == l.Shape && at.Index < l.Of && s.DeletionTimestamp.IsZero() {
			members[at.Index] = member{
				key: plan.Key(Key(s.UID)), name: types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, previous: l.Token,
				owner: provider.Owner{Installation: v.r.options.Installation, Namespace: s.Namespace, Name: s.Name, UID: string(s.UID)},
			}
		}
	}
	if slices.ContainsFunc(members, func(m member) bool { return m.key == "" }) {
		return true, nil
	}
	v.r.launcher.revive(pool{account: v.door.account.ID, shape: l.Shape}, l.Token, members)
	return false, nil
}

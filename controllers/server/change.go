package server

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/reconcile"
)

const (
	callTime   = 30 * time.Second // of one call that changes a machine
	changeTime = 2 * time.Second  // between two looks how far a change has come
)

// note writes down what a machine that is up for the first time was made with. The difference of an adopted one is durable, and told
// by an event, before anything is changed.
func (v *visit) note(ctx context.Context, id string) error {
	s, adopted := v.server, v.server.Spec.Adopt != nil && v.server.Spec.Adopt.ID == id
	first := plan.FirstApplied(s.Spec, adopted)
	s.Status.Applied, v.seen.Applied = &first, &first
	if !adopted {
		return nil
	}
	m, _ := v.recorded()
	v.publish(id)
	v.compare()
	if err := reconcile.Record(ctx, s); err != nil {
		return err
	}
	found := plan.DifferenceWords(plan.Differences(s.Spec, m, v1alpha1.ServerApplied{Size: first.Size, Power: first.Power}))
	if found == "" {
		found = "it is as wanted"
	}
	v.r.Kit.Events.Eventf(s, nil, corev1.EventTypeNormal, "Adopted", "Adopt", "machine %s is this Server's from now on; %s", id, clip(found))
	return nil
}

// compare writes what the machine has of what is wanted, and the condition Drifted.
func (v *visit) compare() {
	s := v.server
	m, ok := v.recorded()
	if !ok || s.Status.Applied == nil || m.State != plan.MachineRunning && m.State != plan.MachineStopped {
		return
	}
	drift := plan.DriftOf(s.Spec, plan.Differences(s.Spec, m, *s.Status.Applied))
	reconcile.Flag(s, v1alpha1.DriftedCondition, len(drift) > 0, string(fault.ReasonDrifted), plan.DifferenceWords(drift), v.r.Kit.Now())
	if now := plan.Applied(s.Spec, m, *s.Status.Applied); now != *s.Status.Applied {
		s.Status.Applied = &now
	}
}

// change asks for something of the machine that takes its time. What it does may be repeated, so nothing is recorded but the
// condition that tells why.
func (v *visit) change(ctx context.Context, do plan.ServerVerb, id string) error {
	v.publish(id)
	v.compare()
	var err error
	words := map[plan.ServerVerb]string{plan.ServerStart: "switched on", plan.ServerStop: "switched off", plan.ServerResize: "resized"}[do]
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	switch do {
	case plan.ServerResize:
		resizer, _ := provider.As[provider.Resizer](v.door.Provider)
		err = resizer.Resize(calling, id, v.server.Spec.Size)
		v.called(provider.CallResize, err)
	default:
		powerer, _ := provider.As[provider.Powerer](v.door.Provider)
		to := map[plan.ServerVerb]provider.Power{plan.ServerStart: provider.PowerOn, plan.ServerStop: provider.PowerOff}[do]
		err = powerer.Power(calling, id, to)
		v.called(provider.CallPower, err)
	}
	v.r.memory.deed(v.name, v.r.Kit.Now())
	v.r.Inventory.Deed(v.door.account.ID)
	switch {
	case fault.IsGone(err): // the next look tells whether it is
		return fault.Waiting(fault.ReasonInProgress, changeTime, "machine %s was to be %s and is not found", id, words)
	case err != nil:
		return fault.During(err, "machine %s is to be %s", id, words)
	}
	return fault.Waiting(fault.ReasonInProgress, changeTime, "machine %s is %s", id, words)
}

// replace records that the machine makes room for another, before it is ended.
func (v *visit) replace(ctx context.Context, id, why string) error {
	v.publish(id)
	s := v.server
	s.Status.Replacing = &v1alpha1.ServerReplacement{ID: id, Reason: clip(why)}
	v.unready("machine %s makes room for another: %s", id, clip(why))
	if err := reconcile.Record(ctx, s); err != nil {
		return err
	}
	v.seen.Replacing = s.Status.Replacing
	v.r.Kit.Events.Eventf(s, nil, corev1.EventTypeWarning, "Replacing", "Replace", "machine %s makes room for another: %s", id, clip(why))
	ctrl.LoggerFrom(ctx).Info("machine is replaced", "machine", id, "account", s.Status.Account, "why", why)
	return nil
}

// unready takes back that the machine runs, in the same write that records what ends it: nobody is to work on it meanwhile.
func (v *visit) unready(format string, args ...any) {
	now := v.r.Kit.Now()
	reconcile.Set(v.server, v1alpha1.ProvisionedCondition, metav1.ConditionFalse, string(fault.ReasonInProgress), fmt.Sprintf(format, args...), now)
	plan.SummariseServer(v.server, now)
}

// renew records that the former machine is gone, and the launch that makes the next one. From here on the Server is as a new one.
func (v *visit) renew(ctx context.Context) error {
	want, err := v.wanted(ctx)
	if err != nil {
		return err
	}
	status := &v.server.Status
	status.ID, status.Applied, status.Cost = "", nil, nil // status.replacing stays until the next machine is recorded
	status.Access, status.Facts, status.HostKeys, status.Addresses = nil, nil, nil, nil
	reconcile.Flag(v.server, v1alpha1.DriftedCondition, false, "", "", v.r.Kit.Now())
	v.unready("another machine is asked for")
	v.launchAlone(want)
	if err := reconcile.Record(ctx, v.server); err != nil {
		return err
	}
	v.start()
	return nil
}

// launchAlone writes the next launch into the status; the caller records it.
func (v *visit) launchAlone(want provider.Machine) {
	status := &v.server.Status
	status.Launch = &v1alpha1.ServerLaunch{Token: plan.Token(plan.Pending{Key: plan.Key(v.key()), Shape: shapeOf(want), Previous: token(status.Launch)}), Of: 1, Shape: shapeOf(want)}
}

func token(l *v1alpha1.ServerLaunch) string {
	if l == nil {
		return ""
	}
	return l.Token
}

// claim writes our identity onto a machine: one that a person named, or one that a call for many made and left without.
func (v *visit) claim(ctx context.Context, id string) error {
	if err := v.stillWanted(ctx); err != nil {
		return err
	}
	adopter, ok := provider.As[provider.Adopter](v.door.Provider)
	if !ok {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "machines of Provider %s cannot be adopted", v.door.object.Name)
	}
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	got, err := adopter.Adopt(calling, id, v.key(), v.owner())
	v.called(provider.CallAdopt, err)
	v.r.memory.deed(v.name, v.r.Kit.Now())
	v.r.Inventory.Deed(v.door.account.ID)
	if fault.IsGone(err) {
		return fault.Waiting(fault.ReasonInProgress, changeTime, "machine %s was to be adopted and is not found", id)
	}
	if err != nil {
		return fault.During(err, "adopting machine %s", id)
	}
	v.learn([]provider.Instance{got})
	v.r.memory.shown(v.name)
	return v.adopt(ctx, got.ID)
}

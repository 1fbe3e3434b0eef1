package server

import (
	"context"
	"errors"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
)

// maxRounds bounds the turns of one visit between deciding and doing; the longest sound one takes five.
const maxRounds = 10

// quietPause is how soon a machine that ran when we last knew is looked for again after a look that failed.
const quietPause = 15 * time.Second

// visit is one reconcile of one Server: what was learnt so far, and the door to its account.
type visit struct {
	r       *Reconciler
	server  *v1alpha1.Server
	name    types.NamespacedName
	door    door
	seen    plan.ServerSeen
	shown   map[string]provider.Instance // by id, from the looks of this visit
	again   time.Duration                // when to come back although all is well; 0: never
	omitted []string                     // labels of the object that its machine is asked for without
	ended   bool                         // nothing of this Server is left outside: its object may go
}

// Key returns the key that every Create for the object of that UID carries: the same for ever, and of no other object.
func Key(uid types.UID) string { return "keelway-" + string(uid) }

func (v *visit) key() string { return Key(v.server.UID) }

// answer takes note of the attempt that is asked for. That is all that trying again takes: every visit starts afresh.
func (v *visit) answer(_ context.Context, s *v1alpha1.Server) error {
	asked, err := strconv.ParseInt(s.Annotations[v1alpha1.AnnotationAttempt], 10, 32)
	if err == nil && int32(asked) > s.Status.Attempt {
		s.Status.Attempt = int32(asked)
	}
	return nil
}

// provision brings the machine up and follows it. A machine that ran when we last knew is not called down because the provider
// does not answer: that says nothing about the machine.
func (v *visit) provision(ctx context.Context, s *v1alpha1.Server) error {
	stood := s.Status.ID != "" && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ProvisionedCondition)
	err := v.open(ctx)
	if err == nil {
		err = v.work(ctx)
	}
	if early, ok := errors.AsType[*unseen](err); ok {
		return v.postponed(early)
	}
	if _, observed := v.shown[s.Status.ID]; err != nil && stood && !observed && !fault.IsTerminal(err) {
		v.again = max(quietPause, fault.AfterOf(err))
		return nil
	}
	return stopping(err)
}

// start is what a walk knows before it has looked: what the object itself says.
func (v *visit) start() {
	s := v.server
	v.seen = plan.ServerSeen{
		Installation: v.r.options.Installation, Namespace: v.name.Namespace, Name: v.name.Name, UID: string(s.UID), Key: v.key(),
		Recorded: s.Status.ID, Applied: s.Status.Applied, Replacing: s.Status.Replacing,
		Deleting: !s.DeletionTimestamp.IsZero(), Users: v.seen.Users, Abandoned: v.seen.Abandoned,
	}
	if l := s.Status.Launch; l != nil {
		v.seen.Launch = plan.Launch{Token: l.Token, Index: int(l.Index)}
	}
	if v.door.Provider != nil {
		v.seen.Can = abilities(v.door.Provider)
		v.seen.Refused = v.r.memory.refusal(v.name, v.asked())
	}
}

// work lets the plan decide and does what it says, until it says that this is all for now.
func (v *visit) work(ctx context.Context) error {
	s := v.server
	v.start()
	if v.door.Provider != nil && !v.seen.Deleting {
		var err error
		if v.seen.Broken, err = v.recall(ctx); err != nil {
			return err
		}
	}
	for range maxRounds {
		v.seen.Settled = v.r.memory.settled(v.name, v.r.Kit.Now(), v.settle())
		for _, action := range plan.Server(s.Spec, v.seen) {
			if done, err := v.do(ctx, action); done || err != nil {
				return err
			}
		}
	}
	return fault.New(fault.Retry, fault.ReasonInternal, "no decision after %d rounds", maxRounds)
}

// do reports whether the visit is over.
func (v *visit) do(ctx context.Context, action plan.ServerAction) (done bool, err error) {
	switch action.Do {
	case plan.ServerLook:
		return false, v.look(ctx, action.ID)
	case plan.ServerCreate:
		return false, v.create(ctx)
	case plan.ServerAdopt:
		return false, v.adopt(ctx, action.ID)
	case plan.ServerClaim:
		return false, v.claim(ctx, action.ID)
	case plan.ServerNote:
		return false, v.note(ctx, action.ID)
	case plan.ServerStart, plan.ServerStop, plan.ServerResize:
		v.leaveQueue()
		return true, v.change(ctx, action.Do, action.ID)
	case plan.ServerLabel:
		return false, v.label(ctx, action.ID)
	case plan.ServerReplace:
		return false, v.replace(ctx, action.ID, action.Text)
	case plan.ServerRenew:
		return false, v.renew(ctx)
	case plan.ServerDelete:
		return false, v.delete(ctx, action.ID)
	case plan.ServerNone, plan.ServerRelease:
		v.report(ctx, action.ID)
		v.leaveQueue()
		return true, nil
	}
	v.report(ctx, v.server.Status.ID)
	if made, ok := v.shown[v.server.Status.ID]; fault.IsTerminal(action.Err) || ok && made.State != provider.Pending {
		v.leaveQueue() // it is not in the making, or never will be
	}
	return true, action.Err
}

// report writes what is known of the machine when a visit ends.
func (v *visit) report(ctx context.Context, id string) {
	v.publish(id)
	if v.server.DeletionTimestamp.IsZero() {
		v.compare()
		v.forgetLabels()
		v.price(ctx)
	}
}

// learn adds what an answer showed. A machine of ours that was shown once has ended when it is absent later.
func (v *visit) learn(found []provider.Instance) {
	if v.shown == nil {
		v.shown = map[string]provider.Instance{}
	}
	v.seen.Looked, v.seen.Machines = true, nil
	for _, i := range found {
		v.shown[i.ID] = i
		m := seenOf(i)
		m.Lacks = v.lacks(i)
		v.seen.Machines = append(v.seen.Machines, m)
	}
}

// stopping makes sure that a condition tells what the error's class told: the summary reads it from the reason.
func stopping(err error) error {
	if fault.IsTerminal(err) && !fault.ReasonOf(err).Stops() {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "%w", err)
	}
	return err
}

package server

import (
	"context"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
)

// lagging is a cache that still shows the given Server, whatever became of it.
func (rg *rig) lagging(old *v1alpha1.Server) client.Client {
	return interceptor.NewClient(rg.client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if s, ok := obj.(*v1alpha1.Server); ok && key == client.ObjectKeyFromObject(old) {
				old.DeepCopyInto(s)
				return nil
			}
			return c.Get(ctx, key, obj, opts...)
		},
	})
}

func workflow(change ...func(*v1alpha1.BatchWorkflow)) *v1alpha1.BatchWorkflow {
	w := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: testSpace, Name: "flow", UID: "uid-flow", Generation: 1}}
	for _, c := range change {
		c(w)
	}
	return w
}

func ordered(s *v1alpha1.Server) {
	yes := true
	s.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BatchWorkflow", Name: "flow", UID: "uid-flow", Controller: &yes}}
}

// TestLiveReadStopsCreate is the guard against a cache that lags: what the API server itself no longer wants is not made.
func TestLiveReadStopsCreate(t *testing.T) {
	deleted := func(o client.Object) {
		o.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
		o.SetFinalizers([]string{v1alpha1.Finalizer})
	}
	leaving := readyProvider()
	deleted(leaving)
	tests := map[string]struct {
		reason string
		cached *v1alpha1.Server
		live   []client.Object
		makes  bool
	}{
		"wanted":            {reason: "the test can fail", cached: newServer("a", ordered), live: []client.Object{newServer("a", ordered), workflow(), readyProvider()}, makes: true},
		"gone":              {reason: "nobody would ever end the machine", cached: newServer("a"), live: []client.Object{readyProvider()}},
		"going":             {reason: "it would be ended at once", cached: newServer("a"), live: []client.Object{newServer("a", func(s *v1alpha1.Server) { deleted(s) }), readyProvider()}},
		"another":           {reason: "its name is somebody else's now", cached: newServer("a"), live: []client.Object{newServer("a", func(s *v1alpha1.Server) { s.UID = "other" }), readyProvider()}},
		"made already":      {reason: "an id is recorded that the cache does not show", cached: newServer("a"), live: []client.Object{newServer("a", func(s *v1alpha1.Server) { s.Status.ID = "i-1" }), readyProvider()}},
		"owner gone":        {reason: "the garbage collector will take it", cached: newServer("a", ordered), live: []client.Object{newServer("a", ordered), readyProvider()}},
		"owner going":       {reason: "the workflow undoes what it made", cached: newServer("a", ordered), live: []client.Object{newServer("a", ordered), workflow(func(w *v1alpha1.BatchWorkflow) { deleted(w) }), readyProvider()}},
		"owner is another":  {reason: "a workflow of the same name ordered nothing", cached: newServer("a", ordered), live: []client.Object{newServer("a", ordered), workflow(func(w *v1alpha1.BatchWorkflow) { w.UID = "other" }), readyProvider()}},
		"provider is going": {reason: "it would not stay for the machine's end", cached: newServer("a"), live: []client.Object{newServer("a"), leaving}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			rg := newRig(t, mem.Options{}, tc.live...)
			r := rg.boot(rg.client)
			r.Kit.Client = interceptor.NewClient(rg.lagging(tc.cached).(client.WithWatch), interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
					if p, ok := obj.(*v1alpha1.Provider); ok {
						readyProvider().DeepCopyInto(p)
						return nil
					}
					return c.Get(ctx, key, obj, opts...)
				},
			})
			for range 3 {
				rg.reconcile(r, "a")
			}
			if made := rg.cloud.Report().Made; (made == 1) != tc.makes || made > 1 {
				t.Errorf("%s: %d machines were made", tc.reason, made)
			}
			if held := r.Turnstile.Held(testAccount); len(held) > 0 {
				t.Errorf("the slot of a machine that is not made is not given back: %v", held)
			}
		})
	}
}

// TestFinalizerHoldsUntilGone is the guard against losing a machine with its object: the finalizer is there before anything is
// made, and stays until the cloud has forgotten the machine.
func TestFinalizerHoldsUntilGone(t *testing.T) {
	rg := newRig(t, mem.Options{DeleteTime: 60 * time.Millisecond}, readyProvider(), newServer("a", func(s *v1alpha1.Server) { s.Finalizers = nil }))
	r := rg.boot(rg.client)
	rg.drive(r, "a", "provisioned", func(s *v1alpha1.Server) bool {
		if rg.cloud.Report().Made > 0 && !controllerutil.ContainsFinalizer(s, v1alpha1.Finalizer) {
			t.Fatal("a machine was made for an object that could vanish at any moment")
		}
		return provisioned(s)
	})
	rg.remove("a")
	ending := false
	rg.drive(r, "a", "gone", func(s *v1alpha1.Server) bool {
		report := rg.cloud.Report()
		if s == nil && report.Live+report.Ending > 0 {
			t.Fatal("the object went before its machine")
		}
		ending = ending || report.Ending > 0 && s != nil
		return s == nil
	})
	if !ending {
		t.Error("the test never saw the object wait for its machine")
	}
	rg.sound(0)
}

// TestTwoOperators lets two processes with caches that never catch up work on one Server: its key keeps them from making two.
func TestTwoOperators(t *testing.T) {
	for range 20 {
		rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
		old := rg.get("a")
		var both sync.WaitGroup
		for range 2 {
			r := rg.boot(rg.lagging(old))
			r.Kit.Live = r.Kit.Client // even the live read is no help
			both.Go(func() {
				for range 5 {
					_ = rg.reconcile(r, "a")
				}
			})
		}
		both.Wait()
		rg.sound(1)
		rg.up(rg.boot(rg.client), "a")
		rg.sound(1)
	}
}

func TestIdentityConflict(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
	r := rg.boot(rg.client)
	first := rg.up(r, "a").Status.ID

	// The management cluster is lost and rebuilt from Git: the same name, another UID.
	rebuilt := newServer("a", func(s *v1alpha1.Server) { s.UID = "uid-rebuilt" })
	rg2 := newRig(t, mem.Options{}, readyProvider(), rebuilt)
	rg2.cloud, rg2.opener = rg.cloud, rg.opener
	r = rg2.boot(rg2.client)
	s := rg2.drive(r, "a", "in conflict", stalled(fault.ReasonIdentityConflict))
	if want := "machine " + first; !contains(s, want) {
		t.Errorf("the message does not name %s: %s", first, told(s))
	}
	if s.Status.ID != "" {
		t.Error("a machine of another object was taken")
	}
	rg2.sound(1)

	// Deleting the Server in conflict must not touch the machine that is not its own.
	rg2.down(r, "a")
	rg2.sound(1)
}

// TestLost ends a machine by another hand: it is told once the provider has said so twice, and never made again (A4).
func TestLost(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
	r := rg.boot(rg.client)
	id := rg.up(r, "a").Status.ID
	rg.cloud.Vanish(id)
	rg.cloud.Report() // lets it go
	if _, err := r.Inventory.Refresh(context.Background(), testAccount, mustOpen(rg), time.Now()); err != nil {
		t.Fatal(err)
	}
	s := rg.drive(r, "a", "lost", stalled(fault.ReasonMachineLost))
	if s.Status.ID != id || s.Status.Phase != v1alpha1.ServerFailed {
		t.Errorf("the id must stand for good: %s", told(s))
	}
	rg.raise("a", "1")
	for range 5 {
		rg.reconcile(r, "a")
	}
	if s = rg.get("a"); s.Status.Attempt != 1 || !stalled(fault.ReasonMachineLost)(s) {
		t.Errorf("the attempt must be answered, and it changes nothing: attempt %d, %s", s.Status.Attempt, told(s))
	}
	if made := rg.cloud.Report().Made; made != 1 {
		t.Errorf("%d machines were made", made)
	}
	rg.down(r, "a")
	rg.sound(0)
}

// TestDeletedBeforeItShows kills the process between the cloud's yes and the write of the id, while the cloud does not list the
// machine yet, and deletes the object at once: the next process must not believe the first looks.
func TestDeletedBeforeItShows(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
	rg.cloud.Inject(mem.Order{What: mem.Hidden, For: testSettle / 2})
	var writes int
	if !rg.reconcile(rg.boot(rg.crashing(1, false, &writes)), "a") || rg.cloud.Report().Made != 1 {
		t.Fatal("the process must have died after it made a machine")
	}
	rg.down(rg.boot(rg.client), "a")
	rg.sound(0)
}

// TestBeginsWithTheLease: an operator that stood by for an hour knows no more of the last deeds than one that just started.
func TestBeginsWithTheLease(t *testing.T) {
	r := newRig(t, mem.Options{}).boot(nil)
	now := time.Now().Add(time.Hour)
	if !r.memory.settled(named("a"), now, testSettle) {
		t.Fatal("the test shows nothing")
	}
	r.Kit.Now = func() time.Time { return now }
	if err := r.begin(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if r.memory.settled(named("a"), now, testSettle) || !r.memory.lastDeed(named("a")).Equal(now) {
		t.Error("what the former leader did a moment ago is taken for old")
	}
}

// TestLooksAfterItsDeeds: the account's last List serves whoever asks, until something was done to the machine: then it is old.
func TestLooksAfterItsDeeds(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
	account := &counted{Cloud: rg.cloud}
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(account, time.Second), provider.Account{ID: testAccount}, nil
	}
	r := rg.boot(rg.client)
	rg.up(r, "a")
	rg.refresh(r)
	before := account.lists.Load()
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.Power = v1alpha1.PowerStopped })
	rg.reconcile(r, "a") // it is switched off, by what the List before has shown
	if got := account.lists.Load(); got != before {
		t.Errorf("a List that is evidence was made again, %d times", got-before)
	}
	rg.reconcile(r, "a")
	if got := account.lists.Load(); got == before {
		t.Error("what the machine is like after a deed was taken from a List before it")
	}
}

// laggard is a cloud that may hide what is new for an hour.
type laggard struct{ *mem.Cloud }

func (laggard) Lag() time.Duration { return time.Hour }

// TestHiddenMachineHoldsItsServer: what a process that is gone may have made, and the cloud does not show yet, keeps its Server. One whose
// machine was seen up goes without that wait.
func TestHiddenMachineHoldsItsServer(t *testing.T) {
	for name, seenUp := range map[string]bool{"never seen": false, "seen up": true} {
		t.Run(name, func(t *testing.T) {
			rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", func(s *v1alpha1.Server) {
				if seenUp {
					s.Status.Applied = &v1alpha1.ServerApplied{}
				}
			}))
			rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
				return provider.Guarded(laggard{rg.cloud}, time.Second), provider.Account{ID: testAccount}, nil
			}
			r := rg.boot(rg.client)
			now := &offset{}
			r.Kit.Now = now.Now
			rg.remove("a")
			rg.reconcile(r, "a")
			now.move(time.Minute)
			rg.reconcile(r, "a")
			if gone := rg.get("a") == nil; gone != seenUp {
				t.Fatalf("gone after a minute: %v", gone)
			}
			now.move(time.Hour)
			rg.reconcile(r, "a")
			if rg.get("a") != nil {
				t.Error("it is held for ever")
			}
		})
	}
}

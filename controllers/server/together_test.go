package server

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
)

// crowd is a rig with a cloud that makes many machines by one call, and n Servers of one shape.
type crowd struct {
	*rig
	wide  *mem.Wide
	names []string
	r     *Reconciler
}

func newCrowd(t *testing.T, n int, cloud mem.Options) *crowd {
	t.Helper()
	objects := []client.Object{readyProvider()}
	c := &crowd{}
	for i := range n {
		c.names = append(c.names, fmt.Sprintf("s-%d", i))
		objects = append(objects, newServer(c.names[i], sized("small")))
	}
	c.rig = newRig(t, cloud, objects...)
	c.wide = &mem.Wide{Cloud: c.cloud}
	c.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(c.wide, 50*time.Millisecond), provider.Account{ID: testAccount}, nil
	}
	return c
}

// boot is a new process. Who has gathered goes out when the test says so.
func (c *crowd) boot(writes client.Client) {
	c.r = c.rig.boot(writes)
	c.r.Turnstile.SetLimit(testAccount, "uid-mem", 100)
	c.r.launcher.gather = time.Hour
}

// walk looks at each Server once, in a new process when the old one died of it, and then lets go out who has gathered.
func (c *crowd) walk() {
	c.t.Helper()
	for _, name := range c.names {
		if c.reconcile(c.r, name) {
			c.wide.Unlabelled = false
			c.boot(c.client)
		}
	}
	c.form()
}

// walkAll is a walk that looks at nothing in between.
func (c *crowd) walkAll() {
	for _, name := range c.names {
		_, _ = c.r.Reconcile(context.Background(), ctrl.Request{NamespacedName: named(name)})
	}
	c.form()
}

func (c *crowd) form() {
	c.r.launcher.mu.Lock()
	var pools []pool
	for p := range c.r.launcher.gathered {
		pools = append(pools, p)
	}
	c.r.launcher.mu.Unlock()
	for _, p := range pools {
		c.r.launcher.form(p)
	}
}

// settle walks all of them in turn until each is as wanted, at most ten seconds long.
func (c *crowd) settle(what string, is func(*v1alpha1.Server) bool) {
	c.t.Helper()
	for deadline, round := time.Now().Add(10*time.Second), 0; ; round++ {
		missing := ""
		c.walk()
		for _, name := range c.names {
			if s := c.get(name); !is(s) {
				missing = name + ": " + told(s)
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("not %s: %s", what, missing)
		}
		if round%4 == 3 {
			c.refresh(c.r)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (c *crowd) calls(verb mem.Verb) (n, effective int) {
	for _, call := range c.cloud.Report().Calls {
		if call.Verb == verb {
			n++
			if call.Effect {
				effective++
			}
		}
	}
	return n, effective
}

func (c *crowd) removeAll() {
	c.t.Helper()
	for _, name := range c.names {
		c.remove(name)
	}
	c.settle("gone", func(s *v1alpha1.Server) bool { return s == nil })
	c.sound(0)
}

func TestTogether(t *testing.T) {
	c := newCrowd(t, 12, mem.Options{BootTime: 5 * time.Millisecond})
	c.boot(c.client)
	c.settle("provisioned", provisioned)
	c.sound(12)
	if n, _ := c.calls(mem.CreateMany); n != 1 {
		t.Errorf("%d calls for many, want one", n)
	}
	if n, _ := c.calls(mem.Create); n != 0 {
		t.Errorf("%d machines were made by themselves", n)
	}
	for i, name := range c.names {
		if l := c.get(name).Status.Launch; l == nil || l.Of != 12 || int(l.Index) >= 12 {
			t.Errorf("%s (%d) has the launch %+v", name, i, l)
		}
	}
	c.removeAll()
}

func TestTogetherWithFaults(t *testing.T) {
	tests := map[string]struct {
		reason string
		order  []mem.Order
		most   int
	}{
		"reply lost":   {reason: "the same call is sent again, with the same token", order: []mem.Order{{Verb: mem.CreateMany, What: mem.ReplyLost}}},
		"lost, hidden": {reason: "what does not show yet is not made again", order: []mem.Order{{What: mem.Hidden, For: testSettle / 2}, {Verb: mem.CreateMany, What: mem.ReplyLost}}},
		"no capacity":  {reason: "nothing was made: all form anew", order: []mem.Order{{Verb: mem.CreateMany, What: mem.ResourcesDepleted, Count: 2}}},
		"rate limited": {reason: "nothing was made: all form anew", order: []mem.Order{{Verb: mem.CreateMany, What: mem.RateLimited}}},
		"panic":        {reason: "a bug in a vendor's client leaves nobody waiting", order: []mem.Order{{Verb: mem.CreateMany, What: mem.Panic}}},
		"partial":      {reason: "the rest goes out by itself", most: 4},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, 6, mem.Options{})
			c.wide.Most = tc.most
			c.cloud.Inject(tc.order...)
			c.boot(c.client)
			c.settle("provisioned", provisioned)
			c.sound(6)
			if made := c.cloud.Report().Made; made != 6 {
				t.Errorf("%s: %d machines were made", tc.reason, made)
			}
			c.removeAll()
		})
	}
}

// TestTogetherCrashes kills the process at each of its writes, before it is sent and after it was committed; with a cloud that shows
// at once what it made, one that takes its time, one that never answers the first call, and one where the labels were not written.
func TestTogetherCrashes(t *testing.T) {
	const n = 4
	total := 0
	c := newCrowd(t, n, mem.Options{})
	c.boot(c.crashing(0, false, &total))
	c.settle("provisioned", provisioned)
	if total < 3*n {
		t.Fatalf("%d writes", total)
	}
	points := 0
	for at := 1; at <= total; at++ {
		for mode := range 8 {
			points++
			t.Run(fmt.Sprintf("write %d mode %d", at, mode), func(t *testing.T) {
				t.Parallel()
				c := newCrowd(t, n, mem.Options{})
				if mode&2 != 0 {
					c.cloud.Inject(mem.Order{What: mem.Hidden, For: testSettle / 2})
				}
				c.wide.Unlabelled = mode&4 != 0
				writes := 0
				c.boot(c.crashing(at, mode&1 != 0, &writes))
				c.settle("provisioned", provisioned)
				c.sound(n)
				if made := c.cloud.Report().Made; made != n {
					t.Errorf("%d machines were made", made)
				}
				c.removeAll()
			})
		}
	}
	t.Logf("%d points", points)
}

// TestALoneLaunchStaysAlone: one whose machine another process asked for by itself asks again by itself, though others of its shape are
// about to go out: together with them it would ask by another token, and get a second machine.
func TestALoneLaunchStaysAlone(t *testing.T) {
	c := newCrowd(t, 3, mem.Options{})
	c.cloud.Inject(mem.Order{What: mem.Hidden, For: testSettle / 2})
	answering := c.opener
	c.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(mute{c.wide}, 50*time.Millisecond), provider.Account{ID: testAccount}, nil
	}
	c.boot(c.client)
	all := c.names
	c.names = all[:1]
	for made := 0; made == 0; _, made = c.calls(mem.Create) {
		c.walk()
	}
	c.opener, c.names = answering, all
	c.boot(c.client)
	c.settle("provisioned", provisioned)
	c.sound(3)
	if made := c.cloud.Report().Made; made != 3 {
		t.Errorf("%d machines were made", made)
	}
	c.removeAll()
}

// mute makes machines by themselves, and nobody hears of it.
type mute struct{ *mem.Wide }

func (m mute) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	_, err := m.Wide.Create(ctx, want)
	return provider.Instance{}, errors.Join(err, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "the process died before the reply came"))
}

// TestTogetherDeleted deletes a member at each step of the way: nothing of it is left, and the others come up.
func TestTogetherDeleted(t *testing.T) {
	for step := range 12 {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, 3, mem.Options{})
			if step%2 == 1 {
				c.cloud.Inject(mem.Order{Verb: mem.CreateMany, What: mem.ReplyLost}, mem.Order{What: mem.Hidden, For: testSettle / 2})
			}
			c.boot(c.client)
			for range step / 2 {
				c.walk()
			}
			gone := c.names[0]
			c.names = c.names[1:]
			c.remove(gone)
			c.drive(c.r, gone, "gone", func(s *v1alpha1.Server) bool { return s == nil })
			c.settle("provisioned", provisioned)
			c.sound(2)
			c.removeAll()
		})
	}
}

// TestTogetherChanged changes what is wanted after the call's reply was lost: another request never goes with the same token.
func TestTogetherChanged(t *testing.T) {
	c := newCrowd(t, 3, mem.Options{})
	c.cloud.Inject(mem.Order{What: mem.Hidden, For: testSettle / 2}, mem.Order{Verb: mem.CreateMany, What: mem.ReplyLost, Count: 2})
	c.boot(c.client)
	for range 4 {
		c.walk()
	}
	for _, name := range c.names {
		s := c.raw(name)
		before := s.DeepCopy()
		s.Spec.Size = "large"
		s.Generation++
		if err := c.client.Patch(context.Background(), s, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	c.settle("large", func(s *v1alpha1.Server) bool { return provisioned(s) && c.instance(s.Status.ID).Size == "large" })
	c.sound(3)
	if made := c.cloud.Report().Made; made != 3 {
		t.Errorf("%d machines were made", made)
	}
}

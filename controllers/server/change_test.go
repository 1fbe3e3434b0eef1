package server

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

// edit changes a Server's spec, as a person does.
func (rg *rig) edit(name string, change func(*v1alpha1.ServerSpec)) {
	rg.t.Helper()
	s := rg.get(name)
	before := s.DeepCopy()
	change(&s.Spec)
	s.Generation++
	if err := rg.client.Patch(context.Background(), s, client.MergeFrom(before)); err != nil {
		rg.t.Fatal(err)
	}
}

func (rg *rig) instance(id string) provider.Instance {
	rg.t.Helper()
	i, err := rg.cloud.Get(context.Background(), id)
	if err != nil {
		rg.t.Fatal(err)
	}
	return i
}

func sized(size string) func(*v1alpha1.Server) {
	return func(s *v1alpha1.Server) { s.Spec.Size = size }
}

func stopped(s *v1alpha1.Server) bool { return s != nil && s.Status.Phase == v1alpha1.ServerStopped }

func drifted(s *v1alpha1.Server) string {
	if c := reconcile.Condition(s, v1alpha1.DriftedCondition); c != nil {
		return c.Message
	}
	return ""
}

func TestPower(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", func(s *v1alpha1.Server) { s.Spec.Power = v1alpha1.PowerStopped }))
	r := rg.boot(rg.client)
	s := rg.drive(r, "a", "stopped", stopped)
	if c := reconcile.Condition(s, v1alpha1.ReadyCondition); c.Status != metav1.ConditionTrue {
		t.Errorf("a machine that is off as wanted is Ready: %s", told(s))
	}
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.Power = v1alpha1.PowerRunning })
	s = rg.up(r, "a")
	if rg.instance(s.Status.ID).State != provider.Running {
		t.Error("it does not run")
	}
	rg.cloud.Meddle(s.Status.ID, "", provider.PowerOff)
	rg.refresh(r)
	rg.up(r, "a") // driftPolicy Correct
	if rg.instance(s.Status.ID).State != provider.Running {
		t.Error("it was not switched on again")
	}
	rg.sound(1)
}

func TestResize(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", sized("small")))
	r := rg.boot(rg.client)
	id := rg.up(r, "a").Status.ID
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.Size = "large" })
	s := rg.drive(r, "a", "resized", func(s *v1alpha1.Server) bool { return provisioned(s) && s.Status.Applied.Size == "large" })
	if i := rg.instance(id); i.Size != "large" || i.State != provider.Running || s.Status.ID != id {
		t.Errorf("the machine is %+v, the Server's is %s", i, s.Status.ID)
	}

	rg.cloud.Meddle(id, "medium", provider.PowerOn)
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.DriftPolicy = v1alpha1.DriftReport })
	rg.refresh(r)
	s = rg.drive(r, "a", "drifted", func(s *v1alpha1.Server) bool { return drifted(s) != "" })
	if drifted(s) != "size: wanted large, found medium" || !provisioned(s) {
		t.Errorf("it says %q, %s", drifted(s), told(s))
	}
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.DriftPolicy = v1alpha1.DriftCorrect })
	rg.drive(r, "a", "corrected", func(s *v1alpha1.Server) bool { return provisioned(s) && drifted(s) == "" })
	if i := rg.instance(id); i.Size != "large" {
		t.Errorf("it was not resized: %+v", i)
	}
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.Size = "huge" })
	s = rg.drive(r, "a", "refused", stalled(fault.ReasonInvalid))
	if !contains(s, "huge") {
		t.Errorf("what is wrong is not named: %s", told(s))
	}
	rg.sound(1)
}

func TestReplace(t *testing.T) {
	rg := newRig(t, mem.Options{DeleteTime: 30 * time.Millisecond}, readyProvider(), newServer("a"))
	r := rg.boot(rg.client)
	id := rg.up(r, "a").Status.ID
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.Image = "debian-13" })
	rg.drive(r, "a", "refused", stalled(fault.ReasonChangeRefused))
	rg.sound(1)
	rg.edit("a", func(s *v1alpha1.ServerSpec) {
		s.UpdatePolicy, s.DeletionProtection = v1alpha1.UpdateReplaceAllowed, v1alpha1.SwitchEnabled
	})
	rg.drive(r, "a", "protected", stalled(fault.ReasonChangeRefused))
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.DeletionProtection = v1alpha1.SwitchDisabled })
	s := rg.drive(r, "a", "replaced", func(s *v1alpha1.Server) bool { return provisioned(s) && s.Status.ID != id })
	if i := rg.instance(s.Status.ID); i.Image != "debian-13" || s.Status.Replacing != nil || s.Status.Launch == nil {
		t.Errorf("the machine is %+v, the status %+v", i, s.Status)
	}
	rg.sound(1)

	rg.cloud.Vanish(s.Status.ID) // recreation only by policy, and the policy says so
	rg.refresh(r)
	again := rg.drive(r, "a", "made again", func(now *v1alpha1.Server) bool { return provisioned(now) && now.Status.ID != s.Status.ID })
	if again.Status.Launch.Token == s.Status.Launch.Token {
		t.Error("the launch has the token of the former one")
	}
	rg.sound(1)
	rg.down(r, "a")
	rg.sound(0)
}

func TestProtection(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", func(s *v1alpha1.Server) { s.Spec.DeletionProtection = v1alpha1.SwitchEnabled }))
	r := rg.boot(rg.client)
	rg.up(r, "a")
	rg.remove("a")
	for range 5 {
		rg.reconcile(r, "a")
	}
	if s := rg.get("a"); !because(fault.ReasonProtected)(s) {
		t.Errorf("the second line holds it: %s", told(s))
	}
	rg.sound(1)
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.DeletionProtection = v1alpha1.SwitchDisabled })
	rg.down(r, "a")
	rg.sound(0)
}

func TestAdoption(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider())
	foreign := rg.cloud.Foreign(provider.Machine{Size: "large"})
	rg.create(newServer("a", sized("small"), func(s *v1alpha1.Server) {
		s.Spec.Adopt, s.Spec.DriftPolicy = &v1alpha1.Adoption{ID: foreign.ID}, v1alpha1.DriftReport
	}))
	r := rg.boot(rg.client)
	s := rg.up(r, "a")
	if s.Status.ID != foreign.ID || drifted(s) != "size: wanted small, found large" {
		t.Errorf("it has %s and says %q", s.Status.ID, drifted(s))
	}
	if i := rg.instance(foreign.ID); i.Owner.UID != "uid-a" || i.Size != "large" {
		t.Errorf("the machine is %+v", i)
	}
	rg.create(newServer("b", func(s *v1alpha1.Server) { s.Spec.Adopt = &v1alpha1.Adoption{ID: foreign.ID} }))
	rg.drive(r, "b", "refused", stalled(fault.ReasonIdentityConflict))
	if i := rg.instance(foreign.ID); i.Owner.UID != "uid-a" {
		t.Errorf("it was taken away: %+v", i)
	}
	rg.down(r, "b")
	rg.sound(1)
	rg.edit("a", func(s *v1alpha1.ServerSpec) { s.DriftPolicy = v1alpha1.DriftCorrect })
	rg.drive(r, "a", "managed", func(s *v1alpha1.Server) bool { return provisioned(s) && drifted(s) == "" })
	if i := rg.instance(foreign.ID); i.Size != "small" {
		t.Errorf("the machine is %+v", i)
	}
	if made := rg.cloud.Report().Made; made != 1 {
		t.Errorf("%d machines were made", made)
	}
	rg.down(r, "a")
	rg.sound(0)
}

// TestRebuilt loses etcd with everything in it and applies the same manifests: no machine is made, and adopt takes the old ones over.
func TestRebuilt(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"), newServer("b"))
	r := rg.boot(rg.client)
	ids := map[string]string{"a": rg.up(r, "a").Status.ID, "b": rg.up(r, "b").Status.ID}

	cloud, opener := rg.cloud, rg.opener
	anew := func(s *v1alpha1.Server) { s.UID += "-anew" }
	rg = newRig(t, mem.Options{}, readyProvider(), newServer("a", anew), newServer("b", anew))
	rg.cloud, rg.opener = cloud, opener
	r = rg.boot(rg.client)
	for name, id := range ids {
		if s := rg.drive(r, name, "in conflict", stalled(fault.ReasonIdentityConflict)); !contains(s, id) || !contains(s, "spec.adopt.id") {
			t.Errorf("the way out is not named: %s", told(s))
		}
		rg.edit(name, func(s *v1alpha1.ServerSpec) { s.Adopt = &v1alpha1.Adoption{ID: id} })
		if s := rg.up(r, name); s.Status.ID != id {
			t.Errorf("%s has %s", name, s.Status.ID)
		}
	}
	if made := rg.cloud.Report().Made; made != 2 {
		t.Errorf("%d machines were made", made)
	}
	rg.sound(2)
}

// TestUntokened loses the reply of a Create at a cloud that knows no tokens and hides what is new, and then the process: the launch is
// durable, and nothing is sent again before the cloud would show what is there.
func TestUntokened(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
	blind := &mem.Untokened{Cloud: rg.cloud, Hides: testSettle}
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(blind, 50*time.Millisecond), provider.Account{ID: testAccount}, nil
	}
	rg.cloud.Inject(mem.Order{What: mem.Hidden, For: testSettle / 2}) // and then the process dies
	var writes int
	if !rg.reconcile(rg.boot(rg.crashing(2, false, &writes)), "a") || rg.cloud.Report().Made != 1 {
		t.Fatal("the process must have died after it made a machine")
	}
	if rg.raw("a").Status.Launch == nil {
		t.Fatal("the launch was not recorded before it was sent")
	}
	rg.up(rg.boot(rg.client), "a")
	rg.sound(1)
	if made := rg.cloud.Report().Made; made != 1 {
		t.Errorf("%d machines were made", made)
	}
}

func TestCostIsPublished(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", sized("small")), newServer("b", sized("large")))
	wide := &mem.Wide{Cloud: rg.cloud, Currency: "EUR", Prices: map[string]string{"small": "0.0119"}}
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(wide, 50*time.Millisecond), provider.Account{ID: testAccount}, nil
	}
	r := rg.boot(rg.client)
	if c := rg.up(r, "a").Status.Cost; c == nil || c.Monthly != "8.69" || c.Currency != "EUR" {
		t.Errorf("the cost is %+v", c)
	}
	if c := rg.up(r, "b").Status.Cost; c == nil || c.Monthly != v1alpha1.CostUnknown || strings.Contains(c.Hourly, "0") {
		t.Errorf("no price is never 0: %+v", c)
	}
}

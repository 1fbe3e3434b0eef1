package server

import (
	"context"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/mem"
)

// TestNothingSharedIsLeft: the security group and the key pair that we made go with the last Server, also with one that never had a
// machine, and one whose machine another hand has ended; and not while another Server's machine needs them.
func TestNothingSharedIsLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		order faults.Order
		is    func(*v1alpha1.Server) bool // of the Server whose machine is struck
	}{
		"no room for its machine": {faults.Order{Name: ec2.InsufficientInstanceCapacity, Count: faults.Always}, because(fault.ReasonResourcesDepleted)},
		"it is asked too often":   {faults.Order{Name: ec2.RequestLimitExceeded, Call: "RunInstances", Count: faults.Always}, because(fault.ReasonRateLimited)},
		"ended by another hand":   {faults.Order{Name: ec2.DiesAfter, For: faults.Duration(3 * time.Minute)}, because(fault.ReasonMachineLost)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account, cloud := atAWS(t, func(o *aws.Options) { o.Name, o.SSHFrom = "team/mem", []string{"192.0.2.0/24"} })
			rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", ofDebian), newServer("b", ofDebian))
			p := readyProvider()
			if err := rg.client.Get(context.Background(), named("mem"), p); err != nil {
				t.Fatal(err)
			}
			p.Status.PublicKey = "ssh-ed25519 AAAA test"
			if err := rg.client.Status().Update(context.Background(), p); err != nil {
				t.Fatal(err)
			}
			now := &offset{}
			rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
				cloud.Clock.Move(5 * time.Second) // time passes with every look
				now.move(5 * time.Second)
				return provider.Guarded(account, 30*time.Second), provider.Account{ID: testAccount}, nil
			}
			rg.now = now.Now
			r := rg.boot(rg.client)
			rg.up(r, "a")
			if err := cloud.Board.Arm(tc.order); err != nil {
				t.Fatal(err)
			}
			rg.drive(r, "b", name, tc.is)
			rg.down(r, "a") // the last machine takes them along …
			rg.drive(r, "b", name+" still", tc.is)
			for range 5 { // … and who tries again makes them again
				rg.reconcile(r, "b")
			}
			rg.down(r, "b")
			if left := cloud.Report(); len(left.Groups)+len(left.Keys)+len(left.Machines) != 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

func ofDebian(s *v1alpha1.Server) { s.Spec.Size, s.Spec.Image = "t3.micro", "debian-12" }

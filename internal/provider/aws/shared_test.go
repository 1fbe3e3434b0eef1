package aws_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
)

func withSSH(o *aws.Options) { o.SSHFrom = []string{"192.0.2.0/24", "2001:db8::/32"} }

func withKeys(name, uid string) provider.Machine {
	m := machine(name, uid)
	m.Keys = []string{"ecdsa-sha2-nistp256 AAAA first", "ssh-ed25519 AAAA second", "ssh-ed25519 AAAA third"}
	return m
}

// What machines share is made once, by whoever comes first, and goes with the last of them.
func TestGroupAndKeysAreMadeOnce(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true, Lag: 5 * time.Second})
	var all sync.WaitGroup
	ids := make([]string, 8)
	for n := range ids {
		a := l.open(withSSH) // a process of its own
		uid := string(rune('a' + n))
		all.Go(func() {
			for range 20 {
				got, err := a.Create(ctx, withKeys("web-"+uid, uid))
				if ids[n] = got.ID; err == nil {
					return
				}
				if fault.ReasonOf(err) != fault.ReasonConflict {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if report := l.Report(); len(report.Groups) != 1 || len(report.Keys) != 1 || report.Made != 8 {
		t.Fatalf("%+v", report)
	}
	a := l.open(withSSH)
	for n, id := range ids {
		l.Clock.Move(10 * time.Second)
		for range 100 {
			err := a.Delete(ctx, id)
			if fault.IsGone(err) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			l.Clock.Move(5 * time.Second)
		}
		if report := l.Report(); (len(report.Groups) == 0) != (n == len(ids)-1) || (len(report.Keys) == 0) != (n == len(ids)-1) {
			t.Fatalf("after machine %d: %+v", n, report)
		}
	}
}

// A network that is taken out of the options is closed, also where no machine is made any more, and what other Providers' machines share
// stays as it is.
func TestSSHIsClosedAgain(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	from := func(provider string, networks ...string) *aws.AWS {
		return l.open(func(o *aws.Options) { o.Name, o.SSHFrom = provider, networks })
	}
	members := func(group string) string { return "-1 -1 -1 " + group }
	first := from("n/first", "192.0.2.0/24", "2001:db8::/32")
	if err := first.Keep(ctx); err != nil || len(l.Report().Groups) != 0 {
		t.Fatalf("nothing is made that no machine needs: %v", err)
	}
	l.create(first, machine("web-1", "1"))
	l.create(from("n/second", "203.0.113.0/24"), machine("web-2", "2"))
	groups := l.Report().Groups
	if len(groups) != 2 {
		t.Fatalf("each Provider has a group: %v", groups)
	}
	steps := []struct {
		reason   string
		networks []string
		rules    []string
		writes   int
	}{
		{"what is so already is not written", []string{"192.0.2.0/24", "2001:db8::/32"}, []string{"tcp 22 22 192.0.2.0/24", "tcp 22 22 2001:db8::/32"}, 0},
		{"one goes and one comes; host bits do not count", []string{"192.0.2.7/24", "198.51.100.0/24"}, []string{"tcp 22 22 192.0.2.0/24", "tcp 22 22 198.51.100.0/24"}, 2},
		{"all are closed", nil, nil, 1},
		{"and one is opened", []string{"192.0.2.0/24"}, []string{"tcp 22 22 192.0.2.0/24"}, 1},
	}
	for _, step := range steps {
		writes := func() int { return l.calls("AuthorizeSecurityGroupIngress") + l.calls("RevokeSecurityGroupIngress") }
		before := writes()
		if err := from("n/first", step.networks...).Keep(ctx); err != nil {
			t.Fatalf("%s: %v", step.reason, err)
		}
		want := append([]string{members(groups[0])}, step.rules...)
		if got := l.Rules(groups[0]); !slices.Equal(got, want) || writes()-before != step.writes {
			t.Errorf("%s: %q, want %q; %d writes, want %d", step.reason, got, want, writes()-before, step.writes)
		}
	}
	if got, want := l.Rules(groups[1]), []string{members(groups[1]), "tcp 22 22 203.0.113.0/24"}; !slices.Equal(got, want) {
		t.Errorf("the other Provider's: %q, want %q", got, want)
	}
	l.arm(faults.Order{Name: ec2.UnauthorizedOperation, Call: "RevokeSecurityGroupIngress"})
	if err := from("n/first").Keep(ctx); fault.ReasonOf(err) != fault.ReasonUnauthorized || !strings.Contains(err.Error(), "network.sshFrom") {
		t.Errorf("what cannot be closed is told: %v", err)
	}
}

// What was made for a machine that can never be goes again.
func TestGroupAndKeysOfARefusedMachine(t *testing.T) {
	l := newLab(t, ec2.Options{})
	l.arm(faults.Order{Name: ec2.VcpuLimitExceeded})
	_, err := l.open(withSSH).Create(context.Background(), withKeys("web-1", "1"))
	if fault.ReasonOf(err) != fault.ReasonQuotaExceeded {
		t.Fatal(err)
	}
	if report := l.Report(); len(report.Groups)+len(report.Keys) != 0 {
		t.Errorf("%+v", report)
	}
}

// A group that somebody deletes meanwhile is made again, and one call to AWS for each repetition is all it costs.
func TestAGroupThatWasTakenAway(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	first, second := l.open(withSSH), l.open(withSSH)
	made := l.create(first, machine("web-1", "1"))
	for fault.ClassOf(second.Delete(ctx, made.ID)) != fault.Gone {
		l.Clock.Move(10 * time.Second)
	}
	_, err := first.Create(ctx, machine("web-2", "2"))
	if fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonConflict {
		t.Fatal(err)
	}
	l.create(first, machine("web-2", "2"))
	if report := l.Report(); report.Made != 2 || len(report.Groups) != 1 {
		t.Errorf("%+v", report)
	}
}

// An account that AWS slows down gets done what takes several calls on end: they wait for their turn, and are not begun anew each time.
func TestSlowAccountIsNotStarved(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open(withSSH)
	id := l.create(a, withKeys("web-1", "1")).ID
	l.arm(faults.Order{Name: ec2.RequestLimitExceeded, Call: "DescribeInstances"})
	tries, before := 0, l.Log.Report(0).Requests
	for err := error(nil); !fault.IsGone(err) && tries < 50; tries++ {
		if err = a.Delete(ctx, id); fault.ReasonOf(err) == fault.ReasonRateLimited {
			l.Clock.Move(fault.AfterOf(err))
		} else {
			l.Clock.Move(30 * time.Second)
		}
	}
	if left := l.Report(); tries > 4 || len(left.Machines)+len(left.Groups)+len(left.Keys) > 0 {
		t.Errorf("%d tries with %d requests, left: %+v", tries, l.Log.Report(0).Requests-before, left)
	}
}

func TestPowerAndSize(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open()
	id := l.create(a, machine("web-1", "1")).ID
	if err := a.Power(ctx, id, provider.PowerOff); !fault.IsWait(err) {
		t.Errorf("it boots: %v", err)
	}
	l.Clock.Move(time.Minute)
	made, _ := a.Get(ctx, id)
	if err := a.Resize(ctx, id, "t3.large"); !fault.IsWait(err) {
		t.Errorf("it runs: %v", err)
	}
	until := func(want provider.State, do func() error) {
		t.Helper()
		for range 100 {
			if err := do(); err != nil && !fault.IsWait(err) {
				t.Fatal(err)
			}
			if got, err := a.Get(ctx, id); err == nil && got.State == want {
				return
			}
			l.Clock.Move(5 * time.Second)
		}
		t.Fatalf("it never was %s", want)
	}
	until(provider.Stopped, func() error { return a.Power(ctx, id, provider.PowerOff) })
	if stops := l.calls("StopInstances"); stops != 1 {
		t.Errorf("%d stops", stops)
	}
	if err := a.Resize(ctx, id, "t3.larg"); !fault.IsTerminal(err) || !strings.Contains(err.Error(), "t3.large") {
		t.Errorf("a wrong size: %v", err)
	}
	if err := a.Resize(ctx, id, "t4g.small"); !fault.IsTerminal(err) || !strings.Contains(err.Error(), "size") {
		t.Errorf("another architecture: %v", err)
	}
	for range 2 {
		if err := a.Resize(ctx, id, "t3.large"); err != nil {
			t.Fatal(err)
		}
	}
	until(provider.Running, func() error { return a.Power(ctx, id, provider.PowerOn) })
	got, err := a.Get(ctx, id)
	if err != nil || got.Size != "t3.large" || !got.CreatedAt.Equal(made.CreatedAt) || got.Access.Target != id {
		t.Errorf("%+v %v", got, err)
	}
	if n := l.calls("ModifyInstanceAttribute"); n != 2 {
		t.Errorf("%d changes of type, one of them refused", n)
	}
	for _, id := range []string{"", "i-0123", "i-0123456789abcdef0"} {
		for what, err := range map[string]error{"power": a.Power(ctx, id, provider.PowerOn), "resize": a.Resize(ctx, id, "t3.large")} {
			if !fault.IsGone(err) {
				t.Errorf("%s %q: %v", what, id, err)
			}
		}
	}
}

func TestAdoption(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open()
	theirs := func(o *aws.Options) { o.Installation = "installation-b" }
	other := machine("web-9", "9")
	other.Owner.Installation = "installation-b"
	foreign := l.create(l.open(theirs), other)
	ours := l.create(a, machine("web-1", "1"))
	wild := l.run(1)[0]
	for name, tc := range map[string]struct {
		id    string
		owner provider.Owner
		want  fault.Reason
	}{
		"another installation's":        {foreign.ID, owner("web-2", "2"), fault.ReasonIdentityConflict},
		"another object's":              {ours.ID, owner("web-2", "2"), fault.ReasonIdentityConflict},
		"an earlier object of the name": {ours.ID, owner("web-1", "2"), ""},
		"nobody's":                      {wild, owner("web-3", "3"), ""},
		"nothing":                       {"i-0123456789abcdef0", owner("web-4", "4"), fault.ReasonNotFound},
		"nonsense":                      {"../x", owner("web-4", "4"), fault.ReasonNotFound},
		"no uid":                        {wild, owner("web-3", ""), fault.ReasonInvalid},
	} {
		got, err := a.Adopt(ctx, tc.id, "key-"+tc.owner.UID, tc.owner)
		if tc.want == "" {
			if err != nil || got.ID != tc.id || got.Owner != tc.owner || got.Key != "key-"+tc.owner.UID {
				t.Errorf("%s: %+v %v", name, got, err)
			}
			if again := l.create(l.open(), machine(tc.owner.Name, tc.owner.UID)); again.ID != tc.id {
				t.Errorf("%s: found by its key: %s", name, again.ID)
			}
			continue
		}
		if err == nil || fault.ReasonOf(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.Get(ctx, foreign.ID); !fault.IsGone(err) {
		t.Errorf("what is not ours is not shown: %v", err)
	}
	if err := a.Delete(ctx, foreign.ID); !fault.IsGone(err) || l.calls("TerminateInstances") != 0 {
		t.Errorf("nor ended: %v", err)
	}
}

func TestTheCatalogueIsKept(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open()
	look := func() {
		t.Helper()
		zones, zErr := a.Zones(ctx)
		sizes, sErr := a.Sizes(ctx, "eu-west-1c")
		images, iErr := a.Images(ctx, "")
		if zErr != nil || sErr != nil || iErr != nil || len(zones) != 3 || len(images) < 5 {
			t.Fatal(zones, zErr, sErr, images, iErr)
		}
		if len(sizes) != 7 || sizes[0].Name != "m7i.large" || sizes[0].CPUs != 2 || sizes[0].MemoryMiB != 8192 {
			t.Errorf("in order, without m7g.large, which that zone does not have: %+v", sizes)
		}
	}
	look()
	before := l.Log.Report(0).Requests
	look()
	if after := l.Log.Report(0).Requests; after != before {
		t.Errorf("%d requests for what is kept", after-before)
	}
	l.Clock.Move(2 * time.Hour)
	look()
	if after := l.Log.Report(0).Requests; after == before {
		t.Error("it is kept for ever")
	}
	for n := range 5 {
		l.create(a, machine("web", string(rune('a'+n))))
	}
	if got := l.calls("DescribeImages"); got != 1 {
		t.Errorf("the image was looked up %d times", got)
	}
}

func TestPrices(t *testing.T) {
	ctx := context.Background()
	data := machine("web-1", "1")
	data.RootDisk = provider.Disk{SizeGiB: 73}
	data.Disks = []provider.Disk{{Name: "data", SizeGiB: 146, Tier: "st1"}}
	data.Network.PublicIPv4 = provider.Enabled
	unknownDisk, unknownSize := data, machine("web-1", "1")
	unknownDisk.Disks = []provider.Disk{{Name: "data", SizeGiB: 10, Tier: "io2"}}
	unknownSize.Size, unknownSize.Image = "m7g.large", "debian-12"
	for name, tc := range map[string]struct {
		want   provider.Machine
		change func(*aws.Options)
		hourly []string
	}{
		"all parts":       {data, nil, []string{"t3.micro 0.01", "disk root 0.008", "disk data 0.009", "public IPv4 0.005"}},
		"the image's own": {machine("web-1", "1"), nil, []string{"t3.micro 0.01", "disk root 0.0008767123"}},
		"an unknown disk": {unknownDisk, nil, nil},
		"an unknown size": {unknownSize, nil, nil},
		"spot":            {data, func(o *aws.Options) { o.Spot = true }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ec2.Options{Unthrottled: true})
			a := l.open()
			if tc.change != nil {
				a = l.open(tc.change)
			}
			var got []string
			cost, err := a.Price(ctx, tc.want)
			for _, part := range cost.Components {
				got = append(got, part.Name+" "+part.Hourly)
			}
			if err != nil || strings.Join(got, ", ") != strings.Join(tc.hourly, ", ") {
				t.Errorf("%q, %v", got, err)
			}
			if len(got) > 0 && (cost.Currency != "USD" || cost.Source == "" || !cost.AsOf.Equal(l.Clock.Now())) {
				t.Errorf("%+v", cost)
			}
			calls := l.calls("GetProducts")
			if _, err := a.Price(ctx, tc.want); err != nil || l.calls("GetProducts") != calls {
				t.Errorf("prices are kept: %v", err)
			}
		})
	}
	l := newLab(t, ec2.Options{})
	l.arm(faults.Order{Name: ec2.UnauthorizedOperation, Call: "GetProducts"})
	if cost, err := l.open().Price(ctx, data); err == nil || len(cost.Components) != 0 || fault.ReasonOf(err) != fault.ReasonUnauthorized {
		t.Errorf("%+v %v", cost, err)
	}
}

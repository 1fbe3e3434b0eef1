package upcloud_test

import (
	"context"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
	fake "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

func TestPower(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	u := r.open()
	made := r.create(u, machine("web-1", "1"))
	if err := u.Power(ctx, made.ID, provider.PowerOff); err != nil {
		t.Errorf("while it is made, the wish is to be repeated: %v", err)
	}
	r.until(u, made.ID, provider.Running)
	for range 3 {
		if err := u.Power(ctx, made.ID, provider.PowerOff); err != nil {
			t.Fatal(err)
		}
	}
	off := r.until(u, made.ID, provider.Stopped)
	if off.Access.Transport != "" {
		t.Errorf("what is off cannot be dialled: %+v", off.Access)
	}
	if err := u.Power(ctx, made.ID, provider.PowerOn); err != nil {
		t.Fatal(err)
	}
	on := r.until(u, made.ID, provider.Running)
	if len(on.Addresses) == 0 || on.Addresses[0] != off.Addresses[0] {
		t.Errorf("addresses changed from %v to %v", off.Addresses, on.Addresses)
	}
	r.end(u, made.ID)
	if err := u.Power(ctx, made.ID, provider.PowerOn); !fault.IsGone(err) {
		t.Errorf("switching on what has ended: %v", err)
	}
}

// A server that shuts down is asked once, however often it is looked at, and once more when it has not come to it within its time.
func TestOneStop(t *testing.T) {
	ctx := context.Background()
	stops := func(r *rig) int { return r.calls("StopServer") }
	r := served(t, fake.New(fake.Options{Bucket: 1e6, Refill: 1e6, StopTime: 10 * time.Minute}))
	u := r.open()
	id := r.create(u, machine("web-1", "1")).ID
	r.until(u, id, provider.Running)
	r.arm(faults.Order{Name: fake.Busy, Call: "StopServer"})
	ask := func(times int) (told error) {
		for range times {
			if err := u.Power(ctx, id, provider.PowerOff); err != nil {
				told = err
			}
			r.pass(2 * time.Second)
		}
		return told
	}
	if err := ask(1); fault.ClassOf(err) == fault.Terminal || stops(r) != 1 {
		t.Fatalf("%v, %d requests", err, stops(r))
	}
	if err := ask(80); err != nil || stops(r) != 2 {
		t.Errorf("what was not taken is sent again, and then no more: %v, %d requests", err, stops(r))
	}
	mentions(t, ask(20), fault.Wait, fault.ReasonInProgress, "once more")
	if stops(r) != 3 {
		t.Errorf("%d requests", stops(r))
	}
	if err := u.Delete(ctx, id); err != nil || stops(r) != 4 {
		t.Errorf("a hard stop does not wait for a soft one: %v, %d requests", err, stops(r))
	}
	for range 20 {
		_ = u.Delete(ctx, id)
		r.pass(2 * time.Second)
	}
	if stops(r) != 4 {
		t.Errorf("%d requests", stops(r))
	}
	r.pass(time.Hour)
	r.end(u, id)
	r.bare()
}

func TestResize(t *testing.T) {
	tests := map[string]struct {
		reason   string
		from, to string
		root     int32 // asked for; 0 = the plan's
		disk     int32 // in the end
		backups  bool  // UpCloud makes some of its own accord
	}{
		"up":         {"the root disk follows its plan", "1xCPU-2GB", "2xCPU-4GB", 0, 80, false},
		"down":       {"no disk shrinks", "2xCPU-4GB", "1xCPU-2GB", 0, 80, false},
		"own size":   {"a size that was asked for stays", "1xCPU-2GB", "2xCPU-4GB", 30, 30, false},
		"to custom":  {"without a plan there is none to follow", "1xCPU-2GB", "custom-4-8192", 0, 50, false},
		"of custom":  {"the disk was never a plan's", "custom-1-1024", "2xCPU-4GB", 0, 25, false},
		"backups":    {"what UpCloud makes on the way is removed", "1xCPU-2GB", "2xCPU-4GB", 0, 80, true},
		"no growing": {"the same where no disk grows", "2xCPU-4GB", "1xCPU-2GB", 0, 80, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			r := newRig(t)
			u := r.open()
			want := machine("web-1", "1")
			want.Size, want.RootDisk.SizeGiB = tc.from, tc.root
			made := r.create(u, want)
			r.until(u, made.ID, provider.Running)
			err := u.Resize(ctx, made.ID, tc.to)
			mentions(t, err, fault.Wait, fault.ReasonInProgress, "stopped")
			if err := u.Power(ctx, made.ID, provider.PowerOff); err != nil {
				t.Fatal(err)
			}
			r.until(u, made.ID, provider.Stopped)
			if tc.backups {
				r.arm(faults.Order{Name: fake.ResizeBackup})
			}
			for range 2 { // again changes nothing
				if err := u.Resize(ctx, made.ID, tc.to); err != nil {
					t.Fatal(err)
				}
			}
			got := r.until(u, made.ID, provider.Stopped)
			if got.Size != tc.to || got.Disks[0].SizeGiB != tc.disk {
				t.Errorf("%s: size %s, disk %d GiB, want %s and %d", tc.reason, got.Size, got.Disks[0].SizeGiB, tc.to, tc.disk)
			}
			if now := r.cloud.Inventory(); len(now.Storages) != 1 || now.Servers[0].Labels["keelway.dev/resizing"] != "" {
				t.Errorf("left: %+v", now)
			}
			err = u.Resize(ctx, made.ID, "2xCPU-4GBB")
			mentions(t, err, fault.Terminal, fault.ReasonInvalid, "size", "2xCPU-4GB")
			r.end(u, made.ID)
			r.bare()
		})
	}
}

func TestAdopt(t *testing.T) {
	ctx := context.Background()
	owner := provider.Owner{Installation: ours, Namespace: "team-a", Name: "web-1", UID: "new"}
	tests := map[string]struct {
		reason string
		who    func(*upcloud.Options)
		was    provider.Machine
		ok     bool
	}{
		"another uid":          {"a cluster was rebuilt, and its Server has the same name", nil, machine("web-1", "old"), true},
		"another name":         {"it belongs to another Server", nil, machine("web-2", "old"), false},
		"another installation": {"it belongs to somebody else", func(o *upcloud.Options) { o.Installation = "installation-b" }, machine("web-1", "old"), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			theirs, was := r.open(), tc.was
			if tc.who != nil {
				theirs = r.open(tc.who)
				was.Owner.Installation = "installation-b"
			}
			made := r.create(theirs, was)
			r.until(theirs, made.ID, provider.Running)
			before := r.cloud.Inventory().Servers[0]
			got, err := r.open().Adopt(ctx, made.ID, "key-new", owner)
			if !tc.ok {
				mentions(t, err, fault.Terminal, fault.ReasonIdentityConflict, made.ID)
				if after := r.cloud.Inventory().Servers[0]; len(after.Labels) != len(before.Labels) || after.Labels["keelway.dev/uid"] != before.Labels["keelway.dev/uid"] {
					t.Errorf("%s: it is left as it is: %v", tc.reason, after.Labels)
				}
				return
			}
			if err != nil || got.ID != made.ID || got.Owner != owner || got.Key != "key-new" {
				t.Fatalf("%s: %+v, %v", tc.reason, got, err)
			}
			u := r.open()
			want := machine("web-1", "new")
			want.Key = "key-new"
			if again := r.create(u, want); again.ID != made.ID {
				t.Errorf("its key finds %s", again.ID)
			}
			r.end(u, made.ID)
			r.bare()
		})
	}
}

// A server that nobody of this kind made is adopted with its storages, and ends with them.
func TestAdoptStranger(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	u := r.open()
	owner := provider.Owner{Installation: ours, Namespace: "team-a", Name: "web-1", UID: "1"}
	id := r.stranger()
	if _, err := u.Get(ctx, id); !fault.IsGone(err) {
		t.Errorf("it is not ours yet: %v", err)
	}
	if err := u.Delete(ctx, id); !fault.IsGone(err) || len(r.cloud.Inventory().Servers) != 1 {
		t.Errorf("it is not ours to end: %v", err)
	}
	got, err := u.Adopt(ctx, id, "key-1", owner)
	if err != nil || got.State != provider.Running {
		t.Fatalf("%+v, %v", got, err)
	}
	if now := r.cloud.Inventory().Servers[0]; now.Labels["env"] != "prod" {
		t.Errorf("what people wrote stays: %v", now.Labels)
	}
	if _, err := u.Adopt(ctx, "00000000-0000-4000-8000-000000000000", "key-1", owner); !fault.IsGone(err) {
		t.Errorf("adopting what is not there: %v", err)
	}
	r.end(u, id)
	r.bare()
}

// A look at machines that rest asks for the list and nothing else; many are listed in pages, and none is missed.
func TestListInPages(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	u := r.open()
	const many = 230
	for i := range many {
		want := machine("web", string(rune('a'+i%26))+string(rune('a'+i/26)))
		r.create(u, want)
	}
	r.pass(time.Minute)
	owner := provider.Owner{Installation: ours}
	for range 3 {
		listed, err := u.List(ctx, owner)
		if err != nil || len(listed) != many || listed[0].State != provider.Running {
			t.Fatalf("%d machines, %v", len(listed), err)
		}
	}
	before := r.cloud.Log.Report(0).Counts
	if _, err := u.List(ctx, owner); err != nil {
		t.Fatal(err)
	}
	after := r.cloud.Log.Report(0).Counts
	for op, n := range after {
		if op != "ListServers" && n != before[op] {
			t.Errorf("at rest: %d calls %s", n-before[op], op)
		}
	}
	if pages := after["ListServers"] - before["ListServers"]; pages != 3 {
		t.Errorf("%d pages", pages)
	}
}

// A server that ends while the list is read moves all others up by one: that is seen, and none is missed.
func TestListThatMoves(t *testing.T) {
	r := newRig(t)
	u := r.open()
	const many = 120
	for i := range many {
		r.create(u, machine("web", string(rune('a'+i%26))+string(rune('a'+i/26))))
	}
	r.pass(time.Minute)
	first := r.cloud.Inventory().Servers[0].ID
	r.arm(faults.Order{Name: fake.Vanishes, Call: "ListServers", Target: first, Skip: 1})
	listed, err := u.List(context.Background(), provider.Owner{Installation: ours})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, s := range listed {
		there[s.ID] = true
	}
	for _, s := range r.cloud.Inventory().Servers {
		if !there[s.ID] {
			t.Errorf("%s is missing", s.ID)
		}
	}
	if len(listed) != many-1 || r.calls("ListServers") != 2+2+many {
		t.Errorf("%d servers in %d calls", len(listed), r.calls("ListServers"))
	}
}

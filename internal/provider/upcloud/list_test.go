package upcloud_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
	fake "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

var everything = provider.Owner{Installation: ours}

// fleet makes machines that run, and returns the account as the process that made them sees it.
func (r *rig) fleet(many int) *upcloud.UpCloud {
	r.t.Helper()
	u := r.open()
	for i := range many {
		r.create(u, machine("web", fmt.Sprintf("%04d", i)))
	}
	r.pass(time.Minute)
	for range 2 { // what is unfinished is finished
		r.list(u, many)
	}
	return u
}

func (r *rig) list(u *upcloud.UpCloud, many int) []provider.Instance {
	r.t.Helper()
	listed, err := u.List(context.Background(), everything)
	if err != nil || len(listed) != many {
		r.t.Fatalf("%d machines, %v", len(listed), err)
	}
	return listed
}

// during counts the calls of each operation in what is done.
func (r *rig) during(do func()) map[string]int {
	before := r.cloud.Log.Report(0).Counts
	do()
	made := map[string]int{}
	for op, n := range r.cloud.Log.Report(0).Counts {
		if n > before[op] {
			made[op] = n - before[op]
		}
	}
	return made
}

func briefs(all []provider.Instance) (n int) {
	for _, i := range all {
		if i.Brief {
			n++
		}
	}
	return n
}

// TestThousandAtStartAndAtRest counts, in the cloud's own log, what a fleet costs a process that begins and one that goes on.
func TestThousandAtStartAndAtRest(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand machines")
	}
	const many, pages = 1000, 11
	r := newRig(t)
	r.fleet(many)
	fresh := r.open()
	var first []provider.Instance
	start := r.during(func() { first = r.list(fresh, many) })
	for _, i := range first {
		if i.Key == "" || i.Owner.UID == "" || i.State != provider.Running || i.Size != "2xCPU-4GB" || i.Zone == "" || !i.Brief || i.Access.Transport != "" {
			t.Fatalf("the list alone tells whose a machine is and how it stands: %+v", i)
		}
	}
	t.Logf("%d servers, a process that begins: %v", many, start)
	if start["ListServers"] != pages || len(start) != 1 {
		t.Errorf("the first evidence takes %v", start)
	}
	left, ticks := many, 0
	for ; left > 0 && ticks < 60; ticks++ {
		r.pass(3 * time.Minute)
		tick := r.during(func() { left = briefs(r.list(fresh, many)) })
		if tick["ListServers"] != pages || tick["GetServer"] > 60 || len(tick) > 2 {
			t.Fatalf("tick %d: %v", ticks, tick)
		}
	}
	r.pass(3 * time.Minute)
	rest := r.during(func() { r.list(fresh, many) })
	busy := r.during(func() {
		for range 10 { // something is under way at the account
			r.pass(time.Second)
			r.list(fresh, many)
		}
	})
	t.Logf("slow ticks until all is known: %d; a slow tick then: %v; ten quick ones: %v", ticks, rest, busy)
	if left != 0 || rest["GetServer"] > 60 || busy["GetServer"] > 10 {
		t.Errorf("%d are not known", left)
	}
}

// What only a server's own page tells is known bit by bit, and again when something changed there.
func TestDisksAreReadBitByBit(t *testing.T) {
	const many = 5
	r := newRig(t)
	r.fleet(many)
	u := r.open()
	if n := briefs(r.list(u, many)); n != many {
		t.Fatalf("%d of %d are told in brief", n, many)
	}
	r.arm(faults.Order{Name: fake.BadGateway, Call: "GetServer", Count: 1})
	r.pass(2 * time.Second)
	if n := briefs(r.list(u, many)); n != many-1 {
		t.Errorf("two pages were due, one cannot be read, and %d of %d are told in brief", n, many)
	}
	r.pass(time.Minute)
	all := r.list(u, many)
	if n := briefs(all); n != 0 {
		t.Errorf("a minute later %d are told in brief", n)
	}
	for _, i := range all {
		if len(i.Disks) != 1 || i.Access.Address == "" || len(i.Addresses) == 0 {
			t.Errorf("%+v", i)
		}
	}
	if calls := r.during(func() { r.pass(time.Minute); r.list(u, many) }); calls["GetServer"] != 0 {
		t.Errorf("all was known: %v", calls)
	}
	calls := r.during(func() { r.pass(2 * time.Hour); r.list(u, many) })
	if calls["GetServer"] != many {
		t.Errorf("hours later nobody looked whether the pages say something else: %v", calls)
	}
	id := all[0].ID
	if err := u.Power(context.Background(), id, provider.PowerOff); err != nil {
		t.Fatal(err)
	}
	r.until(r.open(), id, provider.Stopped)
	calls = r.during(func() { all = r.list(u, many) })
	if calls["GetServer"] != 1 || all[0].State != provider.Stopped || all[0].Brief {
		t.Errorf("an entry that changed: %v, %+v", calls, all[0])
	}
}

package aws_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
)

func (l *lab) list(a *aws.AWS, want int) []provider.Instance {
	l.t.Helper()
	all, err := a.List(context.Background(), everything)
	if err != nil || len(all) != want {
		l.t.Fatalf("%d machines, %v", len(all), err)
	}
	return all
}

// What another hand does to a disk is seen, by a call for all disks that only a slow tick makes.
func TestDisksOfAll(t *testing.T) {
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open()
	const many = 12
	for n := range many {
		want := machine(fmt.Sprintf("web-%d", n), fmt.Sprint(n))
		want.Disks = []provider.Disk{{Name: "logs", SizeGiB: 10}, {Name: "data", SizeGiB: 20, Tier: "st1", Encrypted: true}}
		l.create(a, want)
	}
	wild := l.run(1)[0] // whose volumes carry no tag of ours
	l.Clock.Move(time.Minute)
	if _, err := a.Adopt(context.Background(), wild, "key-wild", owner("wild", "wild")); err != nil {
		t.Fatal(err)
	}
	disks := func(a *aws.AWS) map[string][]provider.Disk {
		all := map[string][]provider.Disk{}
		for _, i := range l.list(a, many+1) {
			all[i.Owner.Name] = i.Disks
		}
		return all
	}
	fresh := l.open()
	all := disks(fresh)
	if want := []provider.Disk{{Name: "", SizeGiB: 8, Tier: "gp3"}, {Name: "logs", SizeGiB: 10, Tier: "gp3"}, {Name: "data", SizeGiB: 20, Tier: "st1", Encrypted: true}}; !slices.Equal(all["web-3"], want) {
		t.Errorf("%+v", all["web-3"])
	}
	if len(all["wild"]) != 1 || all["wild"][0].SizeGiB != 8 {
		t.Errorf("an adopted one: %+v", all["wild"])
	}
	if n := l.calls("DescribeVolumes"); n != 2 {
		t.Errorf("%d calls: one by our tag, and one by the ids of those that do not carry it", n)
	}
	id := l.list(fresh, many+1)[0]
	l.Grow(id.ID, "/dev/sdg", 99)
	for range 20 {
		l.Clock.Move(time.Second)
		disks(fresh)
	}
	if n := l.calls("DescribeVolumes"); n != 2 {
		t.Errorf("quick ticks read the volumes: %d calls", n)
	}
	l.arm(faults.Order{Name: ec2.UnauthorizedOperation, Call: "DescribeVolumes"})
	l.Clock.Move(5 * time.Minute)
	before := l.calls("DescribeVolumes")
	for range 4 {
		disks(fresh)
		l.Clock.Move(time.Minute)
	}
	if n := l.calls("DescribeVolumes") - before; n != 1 {
		t.Errorf("what is not permitted is asked for again and again: %d calls", n)
	}
	l.arm(faults.Order{Name: ec2.Unavailable, Call: "DescribeVolumes"})
	l.Clock.Move(time.Minute)
	if got := disks(fresh)[id.Owner.Name]; len(got) != 3 || got[2].SizeGiB != 20 {
		t.Errorf("a list without its volumes still tells what was known: %+v", got)
	}
	l.Clock.Move(time.Minute)
	if got := disks(fresh)[id.Owner.Name]; len(got) != 3 || got[2].SizeGiB != 99 || got[2].Name != "data" {
		t.Errorf("what changed is told: %+v", got)
	}
}

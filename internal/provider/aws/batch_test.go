package aws_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
)

func batchOf(token string, from, to int) provider.Batch {
	b := provider.Batch{Token: token, Shape: provider.Machine{Size: "t3.micro", Image: "debian-12", Labels: map[string]string{"role": "web"}}}
	for n := from; n < to; n++ {
		b.Members = append(b.Members, provider.Member{Key: fmt.Sprintf("key-%04d", n), Owner: owner(fmt.Sprintf("web-%04d", n), fmt.Sprintf("%04d", n))})
	}
	return b
}

// all asks until the batch is whole, as a caller does that does not know.
func (l *lab) all(a *aws.AWS, batch provider.Batch) []provider.Instance {
	l.t.Helper()
	for range 500 {
		got, err := a.CreateMany(context.Background(), batch)
		if err == nil {
			return got
		}
		if fault.ClassOf(err) != fault.Unknown && fault.ReasonOf(err) != fault.ReasonRateLimited {
			l.t.Fatal(err)
		}
		l.Clock.Move(2 * time.Second)
	}
	l.t.Fatal("the batch never was whole")
	return nil
}

// whole checks that each member has exactly one machine, which says so itself.
func (l *lab) whole(got []provider.Instance, batch provider.Batch) {
	l.t.Helper()
	if len(got) != len(batch.Members) {
		l.t.Fatalf("%d machines for %d members", len(got), len(batch.Members))
	}
	keys := map[string]string{}
	for _, m := range l.Report().Machines {
		if other := keys[m.Tags["keelway.dev/key"]]; other != "" {
			l.t.Errorf("%s and %s carry the key %q", other, m.ID, m.Tags["keelway.dev/key"])
		}
		keys[m.Tags["keelway.dev/key"]] = m.ID
	}
	for _, i := range got {
		member := batch.Members[i.Launch.Index]
		if i.Key != member.Key || i.Owner != member.Owner || keys[i.Key] != i.ID || i.Launch.Token != batch.Token {
			l.t.Errorf("%s: %+v is not member %d: %+v", i.ID, i, i.Launch.Index, member)
		}
	}
}

func TestABatchIsMadeOnce(t *testing.T) {
	for name, orders := range map[string][]faults.Order{
		"clean":              nil,
		"lagging":            {{Name: ec2.DescribeLag, For: faults.Duration(20 * time.Second)}, {Name: ec2.TagLag, Count: faults.Always, For: faults.Duration(5 * time.Second)}},
		"reply lost":         {{Name: ec2.ReplyLost, Call: "RunInstances"}},
		"error after commit": {{Name: ec2.ErrorAfterCommit, Call: "RunInstances", Count: 2}},
		"tags lost":          {{Name: ec2.ReplyLost, Call: "CreateTags", Count: 5}, {Name: ec2.ConnectionReset, Call: "CreateTags", Count: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ec2.Options{Unthrottled: true})
			l.arm(orders...)
			batch := batchOf("launch-1", 0, 25)
			got := l.all(l.open(), batch)
			l.Clock.Move(time.Minute)
			l.whole(got, batch)
			again := l.all(l.open(), batch)
			l.whole(again, batch)
			if made := l.Report().Made; made != 25 {
				t.Errorf("%d machines were made", made)
			}
			if single := l.create(l.open(), machine("web-0003", "0003")); single.ID != again[3].ID || single.Launch.Index != 3 {
				t.Errorf("asked for alone, the member of a batch is found: %+v", single)
			}
		})
	}
}

// A crash between the launch and the tags: the number of the launch says whose a machine is, before and after somebody mends it.
func TestABatchWithoutItsTags(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	l.arm(faults.Order{Name: ec2.UnauthorizedOperation, Call: "CreateTags", Skip: 2, Count: faults.Always})
	batch := batchOf("launch-1", 0, 5)
	a := l.open()
	if _, err := a.CreateMany(ctx, batch); fault.ClassOf(err) != fault.Unknown || !strings.Contains(err.Error(), "UnauthorizedOperation") {
		t.Fatalf("there are machines, and nobody may think that there are none: %v", err)
	}
	list, err := l.open().List(ctx, everything)
	if err != nil || len(list) != 5 {
		t.Fatalf("%v %v", list, err)
	}
	bare := 0
	for _, i := range list {
		if i.Launch.Token != "launch-1" || i.Owner.Installation != installation {
			t.Errorf("its launch is shown: %+v", i)
		}
		if i.Key == "" {
			bare++
		}
	}
	if bare == 0 {
		t.Error("no tag was kept back: the test tests nothing")
	}
	l.Board.Disarm("")
	for _, i := range list {
		member := batch.Members[i.Launch.Index]
		if got, err := a.Adopt(ctx, i.ID, member.Key, member.Owner); err != nil || got.Key != member.Key || got.ID != i.ID {
			t.Errorf("%+v %v", got, err)
		}
	}
	l.whole(l.all(l.open(), batch), batch)
}

// A refusal of a repeated call is no word about the call before it: whoever took it for "nothing was made" would make all again.
func TestABatchThatIsRefusedWhenRepeated(t *testing.T) {
	ctx := context.Background()
	for _, fails := range []string{ec2.RequestLimitExceeded, ec2.VcpuLimitExceeded, ec2.UnauthorizedOperation} {
		for name, after := range map[string]func(*lab, *aws.AWS) *aws.AWS{
			"the same process": func(_ *lab, a *aws.AWS) *aws.AWS { return a },
			"another process":  func(l *lab, _ *aws.AWS) *aws.AWS { return l.open() },
		} {
			t.Run(fails+" "+name, func(t *testing.T) {
				l := newLab(t, ec2.Options{Unthrottled: true})
				batch := batchOf("launch-1", 0, 3)
				l.arm(faults.Order{Name: ec2.ReplyLost, Call: "RunInstances"}, faults.Order{Name: fails, Call: "RunInstances", Skip: 1})
				a := l.open()
				if _, err := a.CreateMany(ctx, batch); fault.ClassOf(err) != fault.Unknown {
					t.Fatal(err)
				}
				a = after(l, a)
				if _, err := a.CreateMany(ctx, batch); err == nil || fault.ClassOf(err) != fault.Unknown || !strings.Contains(err.Error(), fails) {
					t.Errorf("%v", err)
				}
				l.whole(l.all(a, batch), batch)
			})
		}
	}
	l := newLab(t, ec2.Options{Unthrottled: true})
	l.arm(faults.Order{Name: ec2.VcpuLimitExceeded})
	if _, err := l.open().CreateMany(ctx, batchOf("launch-1", 0, 3)); fault.ReasonOf(err) != fault.ReasonQuotaExceeded || !fault.IsTerminal(err) {
		t.Errorf("a launch that was never made is refused plainly: %v", err)
	}
}

func TestABatchThatIsPartlyMade(t *testing.T) {
	l := newLab(t, ec2.Options{Unthrottled: true})
	l.arm(faults.Order{Name: ec2.PartialFulfilment, Amount: 3})
	batch := batchOf("launch-1", 0, 10)
	got := l.all(l.open(), batch)
	if len(got) != 3 {
		t.Fatalf("%d machines", len(got))
	}
	if again := l.all(l.open(), batch); len(again) != 3 {
		t.Fatalf("repeated: %d machines", len(again))
	}
	rest := batchOf("launch-2", 3, 10)
	l.whole(l.all(l.open(), rest), rest)
	if made := l.Report().Made; made != 10 {
		t.Errorf("%d machines were made", made)
	}
}

func TestABatchWhoseMachinesEnd(t *testing.T) {
	l := newLab(t, ec2.Options{Unthrottled: true})
	batch := batchOf("launch-1", 0, 3)
	first := l.all(l.open(), batch)
	l.arm(faults.Order{Name: ec2.SpontaneousTermination, Target: first[1].ID})
	l.Report()
	l.Clock.Move(time.Minute)
	if got := l.all(l.open(), batch); len(got) != 2 || got[0].ID != first[0].ID || got[1].ID != first[2].ID {
		t.Errorf("the two that are left: %+v", got)
	}
	l.arm(faults.Order{Name: ec2.SpontaneousTermination, Count: 2})
	l.Report()
	l.Clock.Move(time.Minute)
	if got := l.all(l.open(), batch); len(got) != 0 {
		t.Errorf("none is left, and none is made by an old token: %+v", got)
	}
	if made := l.Report().Made; made != 3 {
		t.Errorf("%d machines were made", made)
	}
}

func TestBatchesThatCannotBe(t *testing.T) {
	l := newLab(t, ec2.Options{})
	for name, spoil := range map[string]func(*provider.Batch){
		"no token":   func(b *provider.Batch) { b.Token = "" },
		"nobody":     func(b *provider.Batch) { b.Members = nil },
		"too many":   func(b *provider.Batch) { *b = batchOf("t", 0, 1001) },
		"one twice":  func(b *provider.Batch) { b.Members[1] = b.Members[0] },
		"no uid":     func(b *provider.Batch) { b.Members[1].Owner.UID = "" },
		"two houses": func(b *provider.Batch) { b.Members[1].Owner.Installation = "other" },
		"another house": func(b *provider.Batch) {
			b.Members[0].Owner.Installation, b.Members[1].Owner.Installation = "other", "other"
		},
		"no such size":   func(b *provider.Batch) { b.Shape.Size = "huge" },
		"reserved label": func(b *provider.Batch) { b.Shape.Labels = map[string]string{"keelway.dev/key": "x"} },
	} {
		batch := batchOf("launch-1", 0, 2)
		spoil(&batch)
		if _, err := l.open().CreateMany(context.Background(), batch); !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if made := l.Report().Made; made != 0 {
		t.Errorf("%d machines were made", made)
	}
}

// The limits of the plan, in the fake's own log: at most 3 launches for 1,000 machines under real buckets, and at most 10 pages a look.
func TestAThousandMachines(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{})
	a := l.open()
	for from := 0; from < 1000; from += 500 {
		batch := batchOf(fmt.Sprint("launch-", from), from, from+500)
		if got := l.all(a, batch); len(got) != 500 {
			t.Fatalf("%d of 500", len(got))
		}
	}
	l.Clock.Move(time.Minute)
	before := l.Log.Report(0).Counts
	list, err := a.List(ctx, everything)
	after := l.Log.Report(0).Counts
	if err != nil || len(list) != 1000 {
		t.Fatalf("%d machines, %v", len(list), err)
	}
	launches, pages := after["RunInstances"], after["DescribeInstances"]-before["DescribeInstances"]
	t.Logf("1,000 machines: %d RunInstances, %d CreateTags, %d requests in all, at most %d at once; a look at all: %d pages",
		launches, after["CreateTags"], l.Log.Report(0).Requests, l.Log.Report(0).MostInFlight, pages)
	if launches > 3 || pages > 10 {
		t.Errorf("%d launches, %d pages", launches, pages)
	}
}

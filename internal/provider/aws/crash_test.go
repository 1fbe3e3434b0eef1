package aws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
)

// moment is when, around one mutating call, a process dies.
type moment int

const (
	beforeCall  moment = iota // it was not sent
	afterCommit               // it took effect, and the reply never came
	afterReply                // the reply came, and nothing was made of it
)

var moments = map[moment]string{beforeCall: "before", afterCommit: "after commit", afterReply: "after reply"}

// settled is longer than any lag that is ordered here.
const settled = 20 * time.Second

var errDead = errors.New("the process is dead")

// mortal carries the calls of one process after another, numbers those that change something, and lets one process die.
type mortal struct {
	next   http.RoundTripper
	mu     sync.Mutex
	seen   int // mutating calls
	names  []string
	dieAt  int // the number of the call; 0 for never
	dies   moment
	isDead bool
}

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	changes := action != "" && !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "Get")
	m.mu.Lock()
	if m.isDead {
		m.mu.Unlock()
		return nil, errDead
	}
	mine := false
	if changes {
		m.seen++
		m.names = append(m.names, action)
		mine = m.seen == m.dieAt
	}
	if mine && (m.dies == beforeCall || m.dies == afterCommit) {
		m.isDead = true
	}
	m.mu.Unlock()
	if mine && m.dies == beforeCall {
		return nil, errDead
	}
	reply, err := m.next.RoundTrip(r)
	if mine && m.dies == afterCommit {
		if err == nil {
			_ = reply.Body.Close()
		}
		return nil, errDead
	}
	if mine { // the provider may read the reply, and whoever called it is dead by then
		m.mu.Lock()
		m.isDead = true
		m.mu.Unlock()
	}
	return reply, err
}

func (m *mortal) dead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.isDead
}

// play is what an operator does with six machines, step by step, each repeated until it is done. What it knows is in the record, which
// is written after a call has returned and only by a process that lives: all else is lost with the process.
type play struct {
	*lab
	carrier *mortal
	a       *aws.AWS
	wild    string
	ids     map[string]string // by key

	step int
}

func (p *play) steps() []func(context.Context) (bool, error) {
	single := withKeys("web-0000", "0000")
	single.Disks = []provider.Disk{{Name: "data", SizeGiB: 10}}
	id := func() string { return p.ids["key-0000"] }
	power := func(want provider.Power, state provider.State) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			got, err := p.a.Get(ctx, id())
			switch {
			case fault.IsGone(err): // as clouds say of what is quite new
				return false, nil
			case err != nil || got.State == state && got.Message == "":
				return err == nil, err
			}
			return false, p.a.Power(ctx, id(), want)
		}
	}
	return []func(context.Context) (bool, error){
		func(ctx context.Context) (bool, error) {
			got, err := p.a.Create(ctx, single)
			return p.keep(err, got), err
		},
		p.batch("launch-1", 1), p.batch("launch-2", 3), // the second is for what the first did not make
		power(provider.PowerOn, provider.Running), power(provider.PowerOff, provider.Stopped),
		func(ctx context.Context) (bool, error) {
			got, err := p.a.Get(ctx, id())
			if err != nil || got.Size == "t3.large" {
				return err == nil, err
			}
			return false, p.a.Resize(ctx, id(), "t3.large")
		},
		power(provider.PowerOn, provider.Running),
		func(ctx context.Context) (bool, error) {
			got, err := p.a.Adopt(ctx, p.wild, "key-0005", owner("web-0005", "0005"))
			return p.keep(err, got), err
		},
		func(context.Context) (bool, error) { p.Clock.Move(settled); p.inspect(); return true, nil },
		p.delete("key-0000"), p.delete("key-0001"), p.delete("key-0002"), p.delete("key-0003"), p.delete("key-0004"), p.delete("key-0005"),
	}
}

// keep writes the record, unless the process has died while it waited for the answer.
func (p *play) keep(err error, got ...provider.Instance) bool {
	if err != nil || p.carrier.dead() {
		return false
	}
	for _, i := range got {
		if known := p.ids[i.Key]; known != "" && known != i.ID {
			p.t.Errorf("key %s had %s and has %s", i.Key, known, i.ID)
		}
		p.ids[i.Key] = i.ID
	}
	return true
}

func (p *play) batch(token string, from int) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		if p.ids["key-0004"] != "" {
			return true, nil
		}
		batch := batchOf(token, from, 5)
		got, err := p.a.CreateMany(ctx, batch)
		return p.keep(err, got...), err
	}
}

func (p *play) delete(key string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		err := p.a.Delete(ctx, p.ids[key])
		if fault.IsGone(err) {
			return !p.carrier.dead(), nil
		}
		return false, err
	}
}

// inspect: each key one machine, each machine a key, and the record knows all of them.
func (p *play) inspect() {
	p.t.Helper()
	carried := map[string]int{}
	for _, m := range p.Report().Machines {
		carried[m.Tags["keelway.dev/key"]]++
		if m.ID != p.ids[m.Tags["keelway.dev/key"]] {
			p.t.Errorf("machine %s carries %q, whose id is recorded as %s", m.ID, m.Tags["keelway.dev/key"], p.ids[m.Tags["keelway.dev/key"]])
		}
	}
	if report := p.Report(); len(carried) != 6 || report.Made != 6 || len(report.Groups) != 1 || len(report.Keys) != 1 || report.Volumes != 7 {
		p.t.Errorf("six machines with seven disks, a group and a key pair: %+v", report)
	}
}

// perform goes to the end. A process that has died is followed by one without memory.
func (p *play) perform() {
	p.t.Helper()
	steps := p.steps()
	var last error
	for range 3000 {
		if p.step == len(steps) {
			report := p.Report()
			if len(report.Machines)+len(report.Groups)+len(report.Keys)+report.Volumes != 0 || report.Made != 6 {
				p.t.Errorf("something is left, or was made twice: %+v", report)
			}
			return
		}
		done, err := steps[p.step](context.Background())
		if p.carrier.dead() {
			p.carrier = &mortal{next: p.carrier.next}
			p.open()
			continue
		}
		if err != nil && (fault.IsTerminal(err) || fault.IsGone(err)) {
			p.t.Fatalf("step %d: %v", p.step, err)
		}
		last = err
		if done {
			p.step++
			continue
		}
		p.Clock.Move(2 * time.Second)
	}
	p.t.Fatalf("step %d was never done: %v", p.step, last)
}

func (p *play) open() {
	p.a = p.lab.open(withSSH, func(o *aws.Options) { o.HTTP = &http.Client{Transport: p.carrier} })
}

func newPlay(t *testing.T, orders []faults.Order, carrier *mortal) *play {
	l := newLab(t, ec2.Options{Unthrottled: true, Lag: 3 * time.Second})
	p := &play{lab: l, ids: map[string]string{}, wild: l.run(1)[0]}
	l.arm(orders...)
	carrier.next = l.options().HTTP.Transport
	p.carrier = carrier
	p.open()
	return p
}

// Every mutating call of create, batch, power, resize, adopt and delete, killed before it, after its commit and after its reply, under
// each fault of EC2 that such a process can meet: no machine, disk, group or key pair twice, none left, no id lost.
func TestCrashes(t *testing.T) {
	lag := faults.Duration(15 * time.Second)
	conditions := map[string][]faults.Order{
		"clean":                          nil,
		ec2.DescribeLag:                  {{Name: ec2.DescribeLag, For: lag, Count: faults.Always}, {Name: ec2.TagLag, For: lag, Count: faults.Always}},
		ec2.PartialFulfilment:            {{Name: ec2.PartialFulfilment, Amount: 2, Skip: 1}},
		ec2.ErrorAfterCommit:             {{Name: ec2.ErrorAfterCommit, Call: "RunInstances", Count: 2}, {Name: ec2.ErrorAfterCommit, Call: "CreateTags"}, {Name: ec2.ErrorAfterCommit, Call: "TerminateInstances"}},
		ec2.ReplyLost:                    {{Name: ec2.ReplyLost, Call: "CreateSecurityGroup"}, {Name: ec2.ReplyLost, Call: "ImportKeyPair"}, {Name: ec2.ReplyLost, Call: "RunInstances", Count: 2}, {Name: ec2.ReplyLost, Call: "TerminateInstances"}},
		ec2.InsufficientInstanceCapacity: {{Name: ec2.InsufficientInstanceCapacity, Count: 3}},
		ec2.Unavailable:                  {{Name: ec2.Unavailable, Call: "DescribeInstances", Count: 3}, {Name: ec2.Unavailable, Call: "DeleteSecurityGroup"}, {Name: ec2.Unavailable, Call: "ModifyInstanceAttribute"}},
		ec2.RequestLimitExceeded:         {{Name: ec2.RequestLimitExceeded, Call: "RunInstances", Count: 2}, {Name: ec2.RequestLimitExceeded, Call: "CreateTags", Count: 2}, {Name: ec2.RequestLimitExceeded, Call: "TerminateInstances"}},
	}
	var points atomic.Int32
	t.Cleanup(func() {
		t.Logf("%d points: before, after commit and after reply of mutating calls, under %d conditions", points.Load(), len(conditions))
	})
	for name, orders := range conditions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := &mortal{}
			newPlay(t, orders, whole).perform()
			if t.Failed() {
				t.Fatalf("without a crash: %v", whole.names)
			}
			every := 1
			if testing.Short() {
				every = 5
			}
			for call := 1; call <= whole.seen; call += every {
				for dies, when := range moments {
					t.Run(fmt.Sprintf("%s %d %s", when, call, whole.names[call-1]), func(t *testing.T) {
						newPlay(t, slices.Clone(orders), &mortal{dieAt: call, dies: dies}).perform()
					})
					points.Add(1)
				}
			}
		})
	}
}

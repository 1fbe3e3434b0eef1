package upcloud_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
	fake "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

// moment is when, around one changing call, the process is killed.
type moment string

const (
	beforeSent  moment = "before it is sent"
	beforeReply moment = "after it is done, before the reply"
	afterReply  moment = "after the reply"
)

var errKilled = errors.New("this process was killed")

// killer carries requests and numbers those that change something. At the chosen one the process dies: from then on nothing of it
// reaches the cloud, and whatever it returns is lost.
type killer struct {
	at     int // 0 = never
	moment moment

	mu   sync.Mutex
	seen int
	dead bool
	call string // at which it died
}

func (k *killer) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return nil, errKilled
	}
	if r.Method == http.MethodGet {
		return http.DefaultTransport.RoundTrip(r)
	}
	k.seen++
	if k.seen != k.at {
		return http.DefaultTransport.RoundTrip(r)
	}
	k.dead, k.call = true, r.Method+" "+r.URL.Path
	if k.moment == beforeSent {
		return nil, errKilled
	}
	got, err := http.DefaultTransport.RoundTrip(r)
	if k.moment == beforeReply && err == nil {
		_ = got.Body.Close()
		return nil, errKilled
	}
	return got, err
}

func (k *killer) isDead() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.dead }

// caller is what a Server's controller is to a provider: it records before it acts, keeps an id that it has seen, and repeats.
type caller struct {
	t      *testing.T
	r      *rig
	k      *killer
	u      *upcloud.UpCloud
	want   provider.Machine
	larger string
	adopts string // the id of a stranger's server that is taken over, instead of one that is made

	// What is durable:
	asked bool
	id    string
	step  int

	// What a process knows:
	began    time.Time
	absences int
	seen     bool // the machine, by a Get
}

// live walks a machine's whole life, through at most one death of the process.
func (c *caller) live() error {
	c.start()
	steps := []func(context.Context) (bool, error){c.create, c.run, c.off, c.resize, c.on, c.remove}
	if c.adopts != "" {
		c.id, steps[0] = c.adopts, c.adopt
	}
	for tick := range 1500 {
		if c.step == len(steps) {
			return nil
		}
		done, err := steps[c.step](context.Background())
		switch {
		case c.k.isDead() && c.u != nil: // whatever it returned is lost
			c.k.at, c.k.dead = 0, false
			c.start()
			continue
		case err != nil && fault.IsTerminal(err):
			return fmt.Errorf("step %d: %w", c.step, err)
		case err == nil && done:
			c.step++
		}
		if tick%3 == 0 { // the inventory looks, too
			if _, err := c.u.List(context.Background(), provider.Owner{Installation: ours}); err != nil && fault.IsTerminal(err) {
				return err
			}
		}
		if c.k.isDead() {
			c.k.at, c.k.dead = 0, false
			c.start()
		}
		c.r.pass(5 * time.Second)
	}
	return fmt.Errorf("step %d never ends", c.step)
}

// start is a new process: it knows what is durable and nothing else.
func (c *caller) start() {
	c.began, c.absences, c.seen = c.r.cloud.Clock.Now(), 0, false
	c.u = c.r.open(func(o *upcloud.Options) {
		o.HTTP = &http.Client{Transport: c.k}
		o.Firewall = []upcloud.Rule{{Protocol: "tcp", Ports: "22"}}
	})
}

func (c *caller) create(ctx context.Context) (bool, error) {
	if c.asked && !c.free(ctx) {
		return c.id != "", nil
	}
	c.asked = true // recorded before the call
	got, err := c.u.Create(ctx, c.want)
	if err != nil || c.k.isDead() || got.State == provider.Terminating {
		return false, err
	}
	c.id = got.ID
	return true, nil
}

func (c *caller) adopt(ctx context.Context) (bool, error) {
	got, err := c.u.Adopt(ctx, c.adopts, c.want.Key, c.want.Owner)
	return err == nil && got.Owner == c.want.Owner && !c.k.isDead(), err
}

// free reports whether a Create that is on record may be sent again, as provider.Untokened asks for: the account was looked at twice
// after the time that it may hide what is there. A machine that shows is taken instead.
func (c *caller) free(ctx context.Context) bool {
	listed, err := c.u.List(ctx, c.want.Owner)
	switch {
	case err != nil || c.k.isDead():
		return false
	case len(listed) > 0 && listed[0].State != provider.Terminating:
		c.id = listed[0].ID
		return false
	}
	c.absences++
	return c.absences > 2 && c.r.cloud.Clock.Now().Sub(c.began) > c.u.Settle()
}

// is looks whether the machine has come to a state and a size. A recorded id that is Gone is a lost machine.
func (c *caller) is(ctx context.Context, state provider.State, size string) (bool, error) {
	got, err := c.u.Get(ctx, c.id)
	if fault.IsGone(err) && c.seen { // of a fresh one clouds say so, too
		c.t.Errorf("%s is gone in step %d", c.id, c.step)
	}
	c.seen = c.seen || err == nil
	if err == nil && got.ID != c.id {
		c.t.Errorf("asked for %s, got %s", c.id, got.ID)
	}
	return err == nil && got.State == state && got.Size == size, err
}

func (c *caller) run(ctx context.Context) (bool, error) {
	return c.is(ctx, provider.Running, c.want.Size)
}

func (c *caller) off(ctx context.Context) (bool, error) {
	if done, err := c.is(ctx, provider.Stopped, c.want.Size); done || err != nil {
		return done, err
	}
	return false, c.u.Power(ctx, c.id, provider.PowerOff)
}

func (c *caller) resize(ctx context.Context) (bool, error) {
	if done, err := c.is(ctx, provider.Stopped, c.larger); done || err != nil {
		return done, err
	}
	return false, c.u.Resize(ctx, c.id, c.larger)
}

func (c *caller) on(ctx context.Context) (bool, error) {
	if done, err := c.is(ctx, provider.Running, c.larger); done || err != nil {
		c.whole()
		return done, err
	}
	return false, c.u.Power(ctx, c.id, provider.PowerOn)
}

// whole asserts what must be there, once, while the machine lives.
func (c *caller) whole() {
	now := c.r.cloud.Inventory()
	if c.adopts != "" { // it keeps its one disk, unlabelled until it is ended, and has no firewall
		if len(now.Servers) != 1 || now.Servers[0].ID != c.id || len(now.Storages) != 1 || now.Servers[0].Labels["env"] != "prod" {
			c.t.Errorf("killed at %s: there are %+v", c.k.call, now)
		}
		return
	}
	if len(now.Servers) != 1 || now.Servers[0].ID != c.id || len(now.Storages) != 2 {
		c.t.Errorf("killed at %s: there are %+v", c.k.call, now)
		return
	}
	if now.Servers[0].Rules == 0 {
		c.t.Errorf("killed at %s: the firewall has no rules", c.k.call)
	}
	for _, s := range now.Storages {
		if s.Labels["keelway.dev/server"] != c.id {
			c.t.Errorf("killed at %s: storage %s does not say whose it is: %v", c.k.call, s.ID, s.Labels)
		}
	}
}

func (c *caller) remove(ctx context.Context) (bool, error) {
	err := c.u.Delete(ctx, c.id)
	if fault.IsGone(err) {
		return true, nil
	}
	return false, err
}

// Before, after commit of, and after the reply to each changing call of a machine's life, under each fault, the process is killed.
func TestKilledAtEachCall(t *testing.T) {
	conditions := map[string][]faults.Order{
		"no fault":         nil,
		"a list that lags": {{Name: fake.Hidden, For: lasting(25 * time.Second)}},
		"maintenance":      {{Name: fake.Maintenance, Call: "StopServer", For: lasting(100 * time.Second)}, {Name: fake.Maintenance, Call: "DeleteServer", For: lasting(100 * time.Second)}},
		"deleted, and not": {{Name: fake.DeletedForbidden}, {Name: fake.DeletedListed, For: lasting(15 * time.Second)}, {Name: fake.StoragesLeft}},
		"resize backups":   {{Name: fake.ResizeBackup}},
		"a reply lost":     {{Name: fake.ReplyLost, Call: "CreateServer"}, {Name: fake.ReplyLost, Call: "ModifyServer"}, {Name: fake.ReplyLost, Call: "DeleteServer"}},
		"502":              {{Name: fake.BadGateway, Call: "GetServer", Skip: 3, Count: 3}, {Name: fake.BadGatewayAfter, Call: "ModifyStorage"}, {Name: fake.BadGatewayAfter, Call: "ResizeStorageFilesystem"}},
	}
	points := atomic.Int64{}
	t.Run("conditions", func(t *testing.T) {
		for condition, orders := range conditions {
			for _, adopts := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/adopts %v", condition, adopts), func(t *testing.T) {
					t.Parallel()
					clean := life(t, orders, adopts, 0, "")
					if clean < 8 {
						t.Errorf("a life has only %d changing calls", clean)
					}
					for at := 1; at <= clean; at++ {
						for _, moment := range []moment{beforeSent, beforeReply, afterReply} {
							points.Add(1)
							life(t, orders, adopts, at, moment)
						}
					}
				})
			}
		}
	})
	t.Logf("%d points: no server, storage or address twice, none left, no id lost", points.Load())
}

// life lives one and returns how many changing calls it took.
func life(t *testing.T, orders []faults.Order, adopts bool, at int, m moment) int {
	t.Helper()
	r := newRig(t)
	adopted := ""
	if adopts {
		adopted = r.stranger()
	}
	r.arm(orders...)
	k := &killer{at: at, moment: m}
	want := machine("web-1", "1")
	want.Disks = []provider.Disk{{Name: "data", SizeGiB: 10}}
	c := &caller{t: t, r: r, k: k, want: want, larger: "4xCPU-8GB", adopts: adopted}
	if adopts {
		c.want.Size = "1xCPU-1GB"
	}
	if err := c.live(); err != nil {
		t.Errorf("killed %s (call %d, %s): %v", m, at, k.call, err)
	}
	if made := r.cloud.Inventory().Made; made != 1 {
		t.Errorf("killed %s (call %d, %s): %d servers", m, at, k.call, made)
	}
	r.bare()
	return k.seen
}

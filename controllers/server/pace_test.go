package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

// listed counts the Lists of the whole account.
type listed struct {
	*upcloud.UpCloud
	lists atomic.Int32
}

func (l *listed) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	if owner.Name == "" {
		l.lists.Add(1)
	}
	return l.UpCloud.List(ctx, owner)
}

// PageSize makes of the Servers of the test an account of thirteen pages, which is listed every six and a half seconds.
func (l *listed) PageSize() int { return 10 }

// TestPaceOfLooks: Servers that all do something, and look for what came of it, cost the account no more Lists than one does.
func TestPaceOfLooks(t *testing.T) {
	const n = 120
	opened, cloud := atUpCloud(t)
	account := &listed{UpCloud: opened}
	objects, due := []client.Object{readyProvider()}, map[string]time.Time{}
	for i := range n {
		name := fmt.Sprintf("s-%03d", i)
		objects = append(objects, newServer(name, func(s *v1alpha1.Server) { s.Spec.Size, s.Spec.Image = "1xCPU-1GB", "debian-12" }))
		due[name] = time.Time{}
	}
	rg := newRig(t, mem.Options{}, objects...)
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(account, 30*time.Second), provider.Account{ID: testAccount}, nil
	}
	now := &offset{}
	rg.now = now.Now
	r := rg.boot(rg.client)
	r.Turnstile.SetLimit(testAccount, "uid-mem", n)
	const step = 100 * time.Millisecond
	r.waker.begin(&woken{add: func(name string) { due[name] = time.Time{} }})
	pages := func() int { return cloud.Log.Report(0).Counts["ListServers"] }
	// stretch walks the Servers that are due until all are as wanted, and says how many Lists that took of the seconds that passed.
	stretch := func(what string, is func(*v1alpha1.Server) bool) {
		t.Helper()
		lists, asked, begun, next := account.lists.Load(), pages(), now.Now(), now.Now()
		for left := n; left > 0; {
			if now.Now().Sub(begun) > 2*time.Minute {
				t.Fatalf("%s: %d Servers are not there: %s", what, left, told(rg.raw("s-000")))
			}
			left = 0
			for name := range due {
				if !due[name].After(now.Now()) {
					due[name] = now.Now().Add(time.Minute)
					result, _ := r.Reconcile(context.Background(), ctrl.Request{NamespacedName: named(name)})
					if after := now.Now().Add(result.RequeueAfter); result.RequeueAfter > 0 && after.Before(due[name]) {
						due[name] = after
					}
					// Deeds of many workers lie between one look and the next.
					now.move(step / 20)
					cloud.Clock.Move(step / 20)
				}
				if !is(rg.raw(name)) {
					left++
				}
			}
			now.move(step)
			cloud.Clock.Move(step)
			if !now.Now().Before(next) { // the inventory's own tick
				_, _, _ = r.Inventory.Look(context.Background(), testAccount, mustOpen(rg), now.Now())
				next = now.Now().Add(time.Second)
			}
		}
		lists, took := account.lists.Load()-lists, now.Now().Sub(begun)
		t.Logf("%s: %d Lists in %v, and %d pages with those of Servers that look for their own", what, lists, took.Round(step), pages()-asked)
		if most := took.Seconds()/6.5 + 3; float64(lists) > most {
			t.Errorf("%s: %d Lists in %v, and at most %.0f are to be asked for", what, lists, took.Round(step), most)
		}
	}
	power := func(to v1alpha1.Power) {
		after := now.Now()
		for name := range due { // one after the other, as turns come: no two wait for the same
			rg.edit(name, func(s *v1alpha1.ServerSpec) { s.Power = to })
			after = after.Add(2 * step)
			due[name] = after
		}
	}
	stretch("made", provisioned)
	power(v1alpha1.PowerStopped)
	stretch("switched off", stopped)
	power(v1alpha1.PowerRunning)
	stretch("switched on", provisioned)
}

package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/transport"
)

// counted counts what is asked of an account.
type counted struct {
	*mem.Cloud
	lists, gets atomic.Int32
}

func (c *counted) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	c.lists.Add(1)
	return c.Cloud.List(ctx, owner)
}

func (c *counted) Get(ctx context.Context, id string) (provider.Instance, error) {
	c.gets.Add(1)
	return c.Cloud.Get(ctx, id)
}

// TestOneListFeedsAll: a fleet at rest costs one List a tick, no Get and no write, however many Servers it has.
func TestOneListFeedsAll(t *testing.T) {
	const n = 1000
	objects, names := []client.Object{readyProvider()}, []string{}
	for i := range n {
		names = append(names, fmt.Sprintf("s-%04d", i))
		objects = append(objects, newServer(names[i]))
	}
	rg := newRig(t, mem.Options{}, objects...)
	account := &counted{Cloud: rg.cloud}
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(account, time.Second), provider.Account{ID: testAccount}, nil
	}
	var writes int
	r := rg.boot(rg.crashing(0, false, &writes))
	for _, name := range names {
		rg.up(r, name)
	}
	up := writes
	for _, name := range names {
		rg.reconcile(r, name)
	}
	before, gets := account.lists.Load(), account.gets.Load()
	const ticks = 3
	for range ticks {
		rg.refresh(r)
		for _, name := range names {
			rg.reconcile(r, name)
		}
	}
	lists := account.lists.Load() - before
	t.Logf("%d Servers: %d writes to come up; at rest %d Lists in %d ticks, %d Gets, %d writes", n, up, lists, ticks, account.gets.Load()-gets, writes-up)
	if lists != ticks || account.gets.Load() != gets || writes != up {
		t.Errorf("at rest there were %d Lists in %d ticks, %d Gets and %d writes", lists, ticks, account.gets.Load()-gets, writes-up)
	}
}

// brief is a cloud whose list tells neither disks nor addresses.
type brief struct{ *counted }

func (b brief) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	all, err := b.counted.List(ctx, owner)
	for at := range all {
		all[at].Brief, all[at].Disks, all[at].Addresses, all[at].Access = true, nil, nil, transport.Access{}
	}
	return all, err
}

// TestAListThatTellsLess: what a new process finds at rest it takes from the list and from what is recorded. A machine that nobody could
// reach yet is looked at itself, once.
func TestAListThatTellsLess(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"), newServer("b"))
	account := brief{&counted{Cloud: rg.cloud}}
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(account, time.Second), provider.Account{ID: testAccount}, nil
	}
	r := rg.boot(rg.client)
	known := map[string]*v1alpha1.Server{}
	for _, name := range []string{"a", "b"} {
		rg.up(r, name)
		rg.reconcile(r, name)
		known[name] = rg.get(name)
		if s := known[name].Status; s.Access == nil || len(s.Addresses) == 0 {
			t.Fatalf("%s cannot be reached: %+v", name, s)
		}
	}
	lost := rg.raw("b")
	lost.Status.Access, lost.Status.Addresses = nil, nil
	if err := rg.client.Status().Update(context.Background(), lost); err != nil {
		t.Fatal(err)
	}
	gets := account.gets.Load()
	var writes int
	r = rg.boot(rg.crashing(0, false, &writes))
	for range 3 {
		rg.refresh(r)
		for name := range known {
			rg.reconcile(r, name)
		}
	}
	if n := account.gets.Load() - gets; n != 1 || writes != 1 {
		t.Errorf("%d machines were looked at, and %d writes", n, writes)
	}
	for name, s := range known {
		if diff := cmp.Diff(s.Status.Access, rg.get(name).Status.Access); diff != "" || len(rg.get(name).Status.Addresses) == 0 {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

package provider

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	cloud "github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

// kept is a cloud that has something to keep in order.
type kept struct {
	*mem.Cloud
	times int
	err   error
}

func (c *kept) Keep(context.Context) error { c.times++; return c.err }

// What machines share is kept as the settings say with every look at a Provider; where that fails, its Ready says so.
func TestKeep(t *testing.T) {
	rg := newRig(t, object())
	account := &kept{Cloud: rg.cloud}
	rg.Opener = openerFunc(func() (cloud.Provider, cloud.Account, error) {
		return cloud.Guarded(account, 0), cloud.Account{ID: "local/memory/test", Location: "memory"}, nil
	})
	ready := func() *metav1.Condition {
		p, _, _ := rg.walk()
		return reconcile.Condition(p, v1alpha1.ReadyCondition)
	}
	for range 3 { // the first looks write the finalizer
		ready()
	}
	if account.times == 0 {
		t.Fatal("nothing was kept as the settings say")
	}
	if c := ready(); c.Status != metav1.ConditionTrue {
		t.Errorf("%+v", c)
	}
	account.err = fault.New(fault.Terminal, fault.ReasonUnauthorized, "network.sshFrom: UnauthorizedOperation")
	if c := ready(); c.Status != metav1.ConditionFalse || c.Reason != string(fault.ReasonUnauthorized) || !strings.Contains(c.Message, "network.sshFrom") {
		t.Errorf("%+v", c)
	}
	account.err = nil
	if c := ready(); c.Status != metav1.ConditionTrue {
		t.Errorf("once mended: %+v", c)
	}
}

package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// gathering is how long a Provider waits for further Servers to come or go before it is looked at: a batch is one look.
const gathering = time.Second

// maxNamed bounds how many Servers a message names.
const maxNamed = 5

// usersOf wakes a Provider when a Server that refers to it comes or goes, and at no other word of it.
func usersOf() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]
	wake := func(obj client.Object, q queue) {
		if s, ok := obj.(*v1alpha1.Server); ok {
			q.AddAfter(ctrl.Request{NamespacedName: types.NamespacedName{Namespace: s.Namespace, Name: s.Spec.ProviderRef.Name}}, gathering)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { wake(e.Object, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { wake(e.Object, q) },
	}
}

// count keeps the column SERVERS.
func (r *Reconciler) count(ctx context.Context, p *v1alpha1.Provider) error {
	names, err := users(ctx, r.Kit.Client, p, client.UnsafeDisableDeepCopy)
	if err != nil {
		return err
	}
	p.Status.Servers = int32(min(len(names), 1<<31-1))
	return nil
}

// finalize holds the Provider while a Server refers to it: without it nobody could end that Server's machine.
func (r *Reconciler) finalize(ctx context.Context, p *v1alpha1.Provider) error {
	names, err := users(ctx, r.Kit.Client, p, client.UnsafeDisableDeepCopy)
	if err == nil && len(names) == 0 { // the cache may not know of the newest
		names, err = users(ctx, r.Kit.Live, p)
	}
	if err != nil {
		return err
	}
	p.Status.Servers = int32(len(names))
	if len(names) > 0 {
		return fault.Waiting(fault.ReasonDeletionBlocked, 0, "in use by %s", listed(names))
	}
	return r.forget(ctx, p)
}

// forget withdraws the limit, and drops the account when no other Provider reaches it.
func (r *Reconciler) forget(ctx context.Context, p *v1alpha1.Provider) error {
	account := p.Status.Account
	if account == "" {
		return nil
	}
	all := &v1alpha1.ProviderList{}
	if err := r.Kit.Client.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		return fault.During(err, "listing providers")
	}
	r.Turnstile.SetLimit(account, source(p), 0)
	shared := slices.ContainsFunc(all.Items, func(other v1alpha1.Provider) bool { return other.UID != p.UID && other.Status.Account == account })
	if !shared {
		r.Inventory.Forget(account)
		r.Turnstile.Forget(account)
	}
	return nil
}

// users returns the names of the Servers that refer to the Provider, in order.
func users(ctx context.Context, from client.Reader, p *v1alpha1.Provider, options ...client.ListOption) ([]string, error) {
	servers := &v1alpha1.ServerList{}
	if err := from.List(ctx, servers, append(options, client.InNamespace(p.Namespace))...); err != nil {
		return nil, fault.During(err, "listing servers")
	}
	var names []string
	for i := range servers.Items {
		if s := &servers.Items[i]; s.Spec.ProviderRef.Name == p.Name {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func listed(names []string) string {
	switch {
	case len(names) == 1:
		return "Server " + names[0] + ": delete it first"
	case len(names) <= maxNamed:
		return "Servers " + strings.Join(names, ", ") + ": delete them first"
	}
	return fmt.Sprintf("Servers %s and %d more: delete them first", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

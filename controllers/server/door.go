package server

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// door is an open account.
type door struct {
	provider.Provider
	account provider.Account
	object  *v1alpha1.Provider
}

// open finds the Provider and opens its account. Whether that is Ready is asked only where something is to be made: a machine
// that exists is followed as long as anybody answers.
func (v *visit) open(ctx context.Context) error {
	p, err := v.findProvider(ctx, v.r.Kit.Client)
	if err != nil {
		return err
	}
	if v.server.Status.ID == "" && v.server.DeletionTimestamp.IsZero() {
		if err := ready(p); err != nil {
			return err
		}
	}
	opened, account, err := v.r.Opener.Open(ctx, p)
	if err != nil {
		return fault.During(err, "opening Provider %s", p.Name)
	}
	v.door = door{Provider: v.r.metrics.observed(string(p.Spec.Type), opened), account: account, object: p}
	if at := v.server.Status.Account; at != "" && at != account.ID {
		return fault.Waiting(fault.ReasonDependency, 0, "machine %s is at account %s, and Provider %s now reaches %s: nothing is done until it reaches the former again",
			v.server.Status.ID, at, p.Name, account.ID)
	}
	return nil
}

func (v *visit) findProvider(ctx context.Context, from client.Reader) (*v1alpha1.Provider, error) {
	p := &v1alpha1.Provider{}
	name := v.server.Spec.ProviderRef.Name
	err := from.Get(ctx, types.NamespacedName{Namespace: v.server.Namespace, Name: name}, p)
	if apierrors.IsNotFound(err) {
		return nil, fault.Waiting(fault.ReasonProviderNotFound, 0, "Provider %s does not exist in namespace %s: create it, or create this Server anew with the right providerRef",
			name, v.server.Namespace)
	}
	return p, fault.During(err, "reading Provider %s", name)
}

// ready refuses to begin something with a Provider that is leaving or was not found good: its own controller makes sure that
// the account has a limit, and that the Provider stays while Servers refer to it.
func ready(p *v1alpha1.Provider) error {
	if !p.DeletionTimestamp.IsZero() {
		return fault.Waiting(fault.ReasonDependency, 0, "Provider %s is being deleted", p.Name)
	}
	condition := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ReadyCondition)
	switch {
	case condition == nil || condition.Status != "True" && condition.Message == "":
		return fault.Waiting(fault.ReasonDependency, 0, "Provider %s is not ready yet", p.Name)
	case condition.Status != "True":
		return fault.Waiting(fault.ReasonDependency, 0, "Provider %s is not ready: %s", p.Name, condition.Message)
	}
	return nil
}

package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/inventory"
	cloud "github.com/keelway/keelway/internal/provider"
)

const (
	maxOrphans = 16
	// maxConfirmed bounds how many suspects a look asks the API server about; the next look goes on.
	maxConfirmed = 64
)

// sweep reports the machines that carry this installation's labels and belong to no Server. It never touches one: a person may have
// left it on purpose, by deletionPolicy Orphan or keelway.dev/abandon, or the Server may live where this operator does not look.
func (v *visit) sweep(ctx context.Context, p *v1alpha1.Provider) error {
	now, ok := v.Inventory.Snapshot(p.Status.Account)
	if !ok {
		return nil
	}
	servers := &v1alpha1.ServerList{}
	if err := v.Kit.Client.List(ctx, servers, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	known := make(map[types.UID]bool, len(servers.Items))
	for i := range servers.Items {
		known[servers.Items[i].UID] = true
	}
	orphans, err := v.suspects(ctx, p, now, known)
	if err != nil {
		return err
	}
	before := func(o v1alpha1.Orphan) bool {
		return slices.ContainsFunc(p.Status.Orphans, func(was v1alpha1.Orphan) bool { return was.ID == o.ID })
	}
	if slices.ContainsFunc(orphans, func(o v1alpha1.Orphan) bool { return !before(o) }) {
		// The machine may have ended with its Server since that List. One that a List shows which began after the Server was gone has not.
		if now, err = v.Inventory.Refresh(ctx, p.Status.Account, v.door, v.Kit.Now()); err != nil {
			return err
		}
		orphans = slices.DeleteFunc(orphans, func(o v1alpha1.Orphan) bool {
			i, there := now.ByID(o.ID)
			return !there || i.State == cloud.Terminating
		})
	}
	for _, o := range orphans {
		if !before(o) {
			v.Kit.Events.Eventf(p, nil, corev1.EventTypeWarning, "OrphanFound", "Sweep", "machine %s was made for Server %s, which does not exist: adopt it, or end it at the provider", o.ID, o.Server)
		}
	}
	p.Status.Orphans = orphans
	if len(orphans) > 0 {
		v.words += fmt.Sprintf("; machines that belong to no Server: %d, see status.orphans", len(orphans))
	}
	return nil
}

// suspects are machines whose Server the API server itself does not know.
func (v *visit) suspects(ctx context.Context, p *v1alpha1.Provider, now inventory.Snapshot, known map[types.UID]bool) (orphans []v1alpha1.Orphan, _ error) {
	asked := 0
	for _, machine := range now.All() {
		owner := machine.Owner
		if owner.Name == "" || known[types.UID(owner.UID)] || machine.State == cloud.Terminating || owner.Namespace != p.Namespace {
			continue
		}
		if len(orphans) == maxOrphans || asked == maxConfirmed {
			break
		}
		asked++
		live := &v1alpha1.Server{}
		err := v.Kit.Live.Get(ctx, client.ObjectKey{Namespace: owner.Namespace, Name: owner.Name}, live)
		if client.IgnoreNotFound(err) != nil {
			return nil, fault.During(err, "reading Server %s", owner.Name)
		}
		if err == nil && string(live.UID) == owner.UID {
			continue
		}
		made := metav1.NewTime(machine.CreatedAt.Truncate(time.Second))
		orphans = append(orphans, v1alpha1.Orphan{ID: machine.ID, Server: owner.Namespace + "/" + owner.Name, Size: machine.Size, CreatedAt: &made})
	}
	return orphans, nil
}

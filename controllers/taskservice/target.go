package taskservice

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
)

// maxServers is how many servers one service may have; status.servers leaves as much room again for those that no longer match.
const maxServers = 256

// target finds the Servers that are meant, and those that the service was ever on.
func (v *visit) target(ctx context.Context, t *v1alpha1.TaskService) error {
	v.wanted = slices.Clone(t.Spec.Servers.Names)
	if t.Spec.Servers.Selector != nil {
		var err error
		if v.wanted, err = v.selected(ctx, t); err != nil {
			return err
		}
	}
	if len(v.wanted) > maxServers {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "spec.servers matches %d Servers; a service has at most %d: narrow the selector", len(v.wanted), maxServers)
	}
	slices.Sort(v.wanted)
	t.Status.Total = int32(len(v.wanted))
	t.Status.Ready = min(t.Status.Ready, t.Status.Total)
	t.Status.Progress = fmt.Sprintf("%d/%d", t.Status.Ready, t.Status.Total)
	if len(v.wanted) == 0 && len(t.Status.Servers) == 0 {
		return fault.Waiting(fault.ReasonServerNotFound, 0, "spec.servers.selector matches no Server in namespace %s", t.Namespace)
	}
	return v.find(ctx, t)
}

func (v *visit) selected(ctx context.Context, t *v1alpha1.TaskService) ([]string, error) {
	selector, err := metav1.LabelSelectorAsSelector(t.Spec.Servers.Selector)
	if err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "spec.servers.selector: %w", err)
	}
	var list v1alpha1.ServerList
	if err := v.kit.Client.List(ctx, &list, client.InNamespace(t.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}

// find reads every Server that concerns the service from the cache. A Server that is not there is no error here.
func (v *visit) find(ctx context.Context, t *v1alpha1.TaskService) error {
	v.servers = map[string]*v1alpha1.Server{}
	names := slices.Clone(v.wanted)
	for _, s := range t.Status.Servers {
		names = append(names, s.Name)
	}
	for _, name := range names {
		server := &v1alpha1.Server{}
		err := v.kit.Client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: name}, server)
		switch {
		case err == nil:
			v.servers[name] = server
		case !apierrors.IsNotFound(err):
			return err
		}
	}
	return nil
}

// host says how a server stands towards the service.
func (v *visit) host(name string, abandoned plan.Named) plan.Host {
	h := plan.Host{Name: name, Wanted: slices.Contains(v.wanted, name), Digest: v.digests[name], Look: v.memo.looks[name]}
	server := v.servers[name]
	if h.State, h.Why = plan.Standing(name, server); server != nil {
		h.Machine = server.Status.ID
	}
	h.Abandoned = abandoned.Has(name) || abandoned.Has(h.Machine)
	return h
}

// node is a server as recipes see it; false while too little is known of it.
func (v *visit) node(name string) (catalog.Node, bool) {
	server, ok := v.servers[name]
	if !ok || server.Status.Facts == nil || server.Status.Access == nil || server.Status.Access.Address == "" {
		return catalog.Node{}, false
	}
	f := server.Status.Facts
	return catalog.Node{Name: name, Address: server.Status.Access.Address, Facts: catalog.Facts{
		OS: f.OS, OSVersion: f.OSVersion, Arch: f.Arch, CPUs: int(f.CPUs), MemoryMiB: int(f.MemoryMiB), InitSystem: f.InitSystem, Root: f.Root,
	}}, true
}

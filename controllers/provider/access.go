package provider

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// bySSH reports whether the machines of a Provider are reached over SSH.
func bySSH(p *v1alpha1.Provider) bool { return p.Spec.Type != v1alpha1.ProviderLocal || isPool(p) }

// isPool reports whether they are hosts that exist already.
func isPool(p *v1alpha1.Provider) bool {
	return p.Spec.Local != nil && p.Spec.Local.Driver == v1alpha1.DriverHost
}

// key makes sure that there is an SSH key, and publishes its public half. A Secret that is there is never written.
func (v *visit) key(ctx context.Context, p *v1alpha1.Provider) error {
	if !isPool(p) {
		p.Status.Hosts = nil
	}
	if !bySSH(p) {
		p.Status.PublicKey = ""
		return nil
	}
	name, comment := connect.SecretOf(p), "keelway "+p.Namespace+"/"+p.Name
	secret := &corev1.Secret{}
	err := v.Kit.Live.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return v.makeKey(ctx, p, name, comment)
	}
	if err != nil {
		return fault.New(fault.Retry, fault.ReasonTransient, "reading Secret %s: %w", name, err)
	}
	private, err := v.Connector.Keys.Private(ctx, p.Namespace, name)
	if err != nil {
		return err
	}
	p.Status.PublicKey, err = connect.PublicKey(private, comment)
	return fault.During(err, "Secret %s", name)
}

func (v *visit) makeKey(ctx context.Context, p *v1alpha1.Provider, name, comment string) error {
	private, public, err := connect.NewKey(comment)
	if err != nil {
		return fault.New(fault.Retry, fault.ReasonInternal, "making an SSH key: %w", err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: name, Labels: map[string]string{"app.kubernetes.io/managed-by": "keelway"}},
		Type:       corev1.SecretTypeSSHAuth,
		Data:       map[string][]byte{corev1.SSHAuthPrivateKey: private, "ssh-publickey": []byte(public + "\n")},
	}
	if err := v.Kit.Client.Create(ctx, secret); err != nil {
		return fault.New(fault.Retry, fault.ReasonTransient, "making Secret %s with an SSH key: %w", name, err)
	}
	p.Status.PublicKey = public
	return nil
}

const scanTimeout = 10 * time.Second // of one host

// pin writes down what the hosts of a pool are known by, before anybody logs in there: what they show on first contact, where
// nobody wrote their keys into the spec. A host with another key is a stranger until a person names its fingerprint.
func (v *visit) pin(ctx context.Context, p *v1alpha1.Provider) error {
	if !isPool(p) {
		return nil
	}
	var mu sync.Mutex
	var known []v1alpha1.KnownHost
	var group errgroup.Group
	group.SetLimit(8)
	for _, h := range p.Spec.Local.Hosts {
		if len(h.HostKeys) > 0 {
			continue
		}
		group.Go(func() error {
			keys := v.hostKeys(ctx, p, h)
			mu.Lock()
			defer mu.Unlock()
			if len(keys) == 0 {
				v.soon = true
				return nil
			}
			known = append(known, v1alpha1.KnownHost{Address: h.Address, Port: h.Port, HostKeys: keys})
			return nil
		})
	}
	_ = group.Wait() // a host that does not answer is told of by the pool
	slices.SortFunc(known, func(a, b v1alpha1.KnownHost) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	})
	p.Status.Hosts = known
	return reconcile.Record(ctx, p)
}

// hostKeys are those that a host is known by, or shows for the first time, or that a person decided for.
func (v *visit) hostKeys(ctx context.Context, p *v1alpha1.Provider, h v1alpha1.Host) []string {
	pinned, trust := connect.KnownHost(p, h), p.Annotations[v1alpha1.AnnotationTrust]
	if len(pinned) > 0 && trust == "" {
		return pinned
	}
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	shown, err := v.Connector.HostKeysOf(ctx, p, h)
	switch {
	case err != nil:
		return pinned
	case len(pinned) == 0:
		return plan.Pins(nil, shown)
	case slices.ContainsFunc(shown, func(key string) bool { return slices.Contains(pinned, key) }):
		return pinned
	}
	if trusted := plan.Repin(nil, shown, trust); trusted != nil {
		return trusted
	}
	return pinned
}

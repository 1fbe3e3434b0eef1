package connect

import (
	"cmp"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/transport"
)

// SecretOf names the Secret with the SSH key of a Provider's servers: that of spec.access, or <provider>-ssh.
func SecretOf(p *v1alpha1.Provider) string {
	if p.Spec.Access != nil && p.Spec.Access.SecretRef != nil {
		return p.Spec.Access.SecretRef.Name
	}
	return p.Name + "-ssh"
}

// Complete adds to the access of a machine reached over SSH what its provider does not know: the Secret with the key, and what the
// Provider object says of users and jump hosts, where the machine's own words leave it open.
func Complete(access *v1alpha1.ServerAccess, p *v1alpha1.Provider) {
	if access.Transport != transport.SSH || p == nil {
		return
	}
	if access.SecretRef == nil {
		access.SecretRef = &v1alpha1.LocalRef{Name: SecretOf(p)}
	}
	policy := p.Spec.Access
	if policy == nil {
		return
	}
	if access.User == "" {
		access.User = policy.User
	}
	if policy.Become == v1alpha1.BecomeSudo && access.User != "" && access.User != "root" {
		access.Become = policy.Become
	}
	if access.Jump == nil {
		access.Jump = policy.Jump
	}
}

// KnownHost returns the keys that a host of a Provider's pool is known by: those that a person wrote, or those that it showed.
func KnownHost(p *v1alpha1.Provider, h v1alpha1.Host) []string {
	if len(h.HostKeys) > 0 {
		return h.HostKeys
	}
	for _, known := range p.Status.Hosts {
		if known.Address == h.Address && cmp.Or(known.Port, 22) == cmp.Or(h.Port, 22) {
			return known.HostKeys
		}
	}
	return nil
}

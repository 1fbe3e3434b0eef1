package connect

import (
	"cmp"

	"github.com/keelway/keelway/api/v1alpha1"
)

// SecretOf names the Secret with the SSH key of a Provider's servers: that of spec.access, or <provider>-ssh.
func SecretOf(p *v1alpha1.Provider) string {
	if p.Spec.Access != nil && p.Spec.Access.SecretRef != nil {
		return p.Spec.Access.SecretRef.Name
	}
	return p.Name + "-ssh"
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

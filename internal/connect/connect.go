// Package connect knows how the access that a Server publishes becomes an open transport: which key it is locked with and what
// host keys it is known by. It must not know what is done on a machine, who made it, or when a key is to be trusted.
package connect

import (
	"context"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// Connector opens the way to Servers' machines.
type Connector struct {
	Dialer transport.Dialer
	Keys   *Keys
}

// Open opens the way to the machine of a Server that has published its access. Its host keys are those of status.hostKeys.
// Errors are those of transport.Dialer, and Wait/SecretNotFound while the Secret with the key is not there.
func (c Connector) Open(ctx context.Context, s *v1alpha1.Server) (transport.Transport, error) {
	access := Access(s.Status.Access)
	if access.Transport == "" {
		return nil, fault.Waiting(fault.ReasonDependency, 0, "Server %s has no machine yet", s.Name)
	}
	var with transport.Credentials
	if access.Secret != "" {
		key, err := c.Keys.Private(ctx, s.Namespace, access.Secret)
		if err != nil {
			return nil, err
		}
		with = transport.Credentials{PrivateKey: key, HostKeys: s.Status.HostKeys}
	}
	return c.Dialer.Dial(ctx, access, with)
}

// HostKeys asks the machine of a Server for all its host keys, without logging in there.
func (c Connector) HostKeys(ctx context.Context, s *v1alpha1.Server) ([]string, error) {
	access := Access(s.Status.Access)
	var with transport.Credentials
	if access.Jump != nil && access.Secret != "" {
		key, err := c.Keys.Private(ctx, s.Namespace, access.Secret)
		if err != nil {
			return nil, err
		}
		with.PrivateKey = key
	}
	return c.Dialer.HostKeys(ctx, access, with)
}

// Access translates what a Server publishes into the words of transports. nil gives the zero Access.
func Access(a *v1alpha1.ServerAccess) transport.Access {
	if a == nil {
		return transport.Access{}
	}
	access := transport.Access{
		Transport: a.Transport, Target: a.Target, Address: a.Address,
		Host: a.Host, Port: a.Port, User: a.User, Sudo: a.Become == v1alpha1.BecomeSudo, HostKeys: a.HostKeys,
	}
	if a.SecretRef != nil {
		access.Secret = a.SecretRef.Name
	}
	if a.Jump != nil {
		access.Jump = &transport.Hop{Host: a.Jump.Address, Port: a.Jump.Port, User: a.Jump.User, HostKeys: a.Jump.HostKeys}
	}
	return access
}

// Publish translates a transport's access into what a Server publishes. The zero Access gives nil.
func Publish(a transport.Access) *v1alpha1.ServerAccess {
	if a.Transport == "" {
		return nil
	}
	access := &v1alpha1.ServerAccess{
		Transport: a.Transport, Target: a.Target, Address: a.Address,
		Host: a.Host, Port: a.Port, User: a.User, HostKeys: a.HostKeys,
	}
	if a.Sudo {
		access.Become = v1alpha1.BecomeSudo
	}
	if a.Secret != "" {
		access.SecretRef = &v1alpha1.LocalRef{Name: a.Secret}
	}
	if a.Jump != nil {
		access.Jump = &v1alpha1.JumpHost{Address: a.Jump.Host, Port: a.Jump.Port, User: a.Jump.User, HostKeys: a.Jump.HostKeys}
	}
	return access
}

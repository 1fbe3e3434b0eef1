// Package account knows how a Provider object becomes an open account: which settings of it, which keys of its Secret, in the words of
// the provider that it names. It must not know what is asked of the account, nor when.
package account

import (
	"context"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	providers "github.com/keelway/keelway/internal/provider/all"
)

// Opener opens accounts of Provider objects. It is safe for concurrent use.
type Opener struct {
	Accounts  *providers.Opener
	Connector connect.Connector
	// Installation is the id that is written onto everything that is made.
	Installation string
	// Admitted are the local drivers that the installation admits, EndpointAllow the addresses that endpoints of clouds may have.
	Admitted, EndpointAllow []string
	// AmbientNamespaces are those whose Providers may act with the operator's own credentials at AWS; "*" is all of them.
	AmbientNamespaces    []string
	StateDir, DockerHost string
	// SimulateMachines runs nothing on machines of clouds with an endpoint of their own.
	SimulateMachines bool
}

// Open opens the account that the object names. Errors are those of providers.Opener, and Wait/SecretNotFound while the Secret with the
// credentials, or a key of it, is not there.
func (o *Opener) Open(ctx context.Context, p *v1alpha1.Provider) (provider.Provider, provider.Account, error) {
	spec := providers.Spec{
		Name: p.Namespace + "/" + p.Name, Type: string(p.Spec.Type), Installation: o.Installation,
		EndpointAllow: o.EndpointAllow, Admitted: o.Admitted, StateDir: o.StateDir, DockerHost: o.DockerHost,
		RequestsPerSecond: int(p.Spec.Limits.RequestsPerSecond),
	}
	var secret map[string][]byte
	var err error
	if c := p.Spec.Credentials; c != nil {
		if secret, err = o.Connector.Keys.Secret(ctx, p.Namespace, c.SecretRef.Name); err != nil {
			return nil, provider.Account{}, fault.During(err, "the credentials")
		}
	}
	switch p.Spec.Type {
	case v1alpha1.ProviderAWS:
		spec.AWS, err = o.ofAWS(p, secret)
	case v1alpha1.ProviderUpCloud:
		spec.UpCloud, err = o.ofUpCloud(p, secret)
	}
	if err != nil {
		return nil, provider.Account{}, err
	}
	if local := p.Spec.Local; local != nil {
		spec.Driver, spec.Endpoint, spec.Docker = string(local.Driver), local.Endpoint, shape(local.Docker)
	}
	if spec.Driver == providers.DriverHost {
		key, err := o.Connector.Keys.Private(ctx, p.Namespace, connect.SecretOf(p))
		if err != nil {
			return nil, provider.Account{}, err
		}
		spec.Host = pool(p)
		spec.Host.PrivateKey, spec.Host.Dialer = key, o.Connector.Dialer
	}
	door, account, err := o.Accounts.Open(ctx, spec)
	if c := p.Spec.Credentials; c != nil && fault.IsTerminal(err) {
		o.Connector.Keys.Forget(p.Namespace, c.SecretRef.Name) // whoever asks next reads what may have been mended
	}
	return door, account, err
}

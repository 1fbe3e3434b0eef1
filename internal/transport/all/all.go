// Package all knows every transport driver and which of them this installation admits; nobody else imports a driver.
// It must hold no logic of its own.
package all

import (
	"context"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/process"
	"github.com/keelway/keelway/internal/transport/script"
)

// Options says which drivers are admitted. The zero value admits none.
type Options struct {
	// Process admits commands that run on the operator's own machine, with its rights.
	Process bool
	// Simulated answers for machines that do not exist; nil admits none.
	Simulated *script.Machines
}

// Dialer opens transports. Neither driver keeps a connection, so it caches none.
type Dialer struct{ options Options }

var _ transport.Dialer = (*Dialer)(nil)

// New returns a dialer for the admitted drivers.
func New(options Options) *Dialer { return &Dialer{options} }

// Dial returns the transport that reaches the machine. Errors: Terminal/Invalid for a name or target that no driver knows,
// Terminal/DriverNotAllowed for a driver that the installation does not admit.
func (d *Dialer) Dial(ctx context.Context, access transport.Access, _ transport.Credentials) (transport.Transport, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Retry, fault.ReasonTransient, "dialling: %w", err)
	}
	switch {
	case access.Transport == transport.Process && d.options.Process:
		return opened(process.New(access))
	case access.Transport == transport.Script && d.options.Simulated != nil:
		return opened(d.options.Simulated.Open(access))
	case access.Transport == transport.Process, access.Transport == transport.Script:
		return nil, fault.New(fault.Terminal, fault.ReasonDriverNotAllowed, "this installation does not admit transport %s", access.Transport)
	}
	return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "unknown transport %.64q: known are %s and %s", access.Transport, transport.Process, transport.Script)
}

// opened keeps a driver's nil pointer from becoming a transport that is not nil.
func opened[T transport.Transport](tr T, err error) (transport.Transport, error) {
	if err != nil {
		return nil, fault.During(err, "dialling")
	}
	return tr, nil
}

// HostKeys returns nil: no transport that is built in has host keys.
func (d *Dialer) HostKeys(context.Context, transport.Access) ([]string, error) { return nil, nil }

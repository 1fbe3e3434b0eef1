// Package all knows every transport driver and which of them this installation admits; nobody else imports a driver.
// It must hold no logic of its own.
package all

import (
	"context"
	"sync"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/docker"
	"github.com/keelway/keelway/internal/transport/process"
	"github.com/keelway/keelway/internal/transport/script"
	"github.com/keelway/keelway/internal/transport/ssh"
)

// Options says which drivers are admitted. The zero value admits none.
type Options struct {
	// Process admits commands that run on the operator's own machine, with its rights.
	Process bool
	// Simulated answers for machines that do not exist; nil admits none.
	Simulated *script.Machines
	// Docker is the address of the Docker Engine whose containers are reached; "" admits none.
	Docker string
}

// Dialer opens transports. It keeps SSH connections and one client of the Docker Engine; Close ends them.
type Dialer struct {
	options Options
	engine  func() (*docker.Engine, error)
	pool    ssh.Pool
}

var _ transport.Dialer = (*Dialer)(nil)

// New returns a dialer for the admitted drivers.
func New(options Options) *Dialer {
	return &Dialer{options: options, engine: sync.OnceValues(func() (*docker.Engine, error) { return docker.NewEngine(options.Docker) })}
}

// Close ends what is kept.
func (d *Dialer) Close() {
	d.pool.Close()
	if d.options.Docker == "" {
		return
	}
	if engine, err := d.engine(); err == nil {
		_ = engine.Close()
	}
}

// Dial returns the transport that reaches the machine. Errors: Terminal/Invalid for a name or target that no driver knows,
// Terminal/DriverNotAllowed for a driver that the installation does not admit.
func (d *Dialer) Dial(ctx context.Context, access transport.Access, with transport.Credentials) (transport.Transport, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Retry, fault.ReasonTransient, "dialling: %w", err)
	}
	switch {
	case access.Transport == transport.Process && d.options.Process:
		return opened(process.New(access))
	case access.Transport == transport.Script && d.options.Simulated != nil:
		return opened(d.options.Simulated.Open(access))
	case access.Transport == transport.Docker && d.options.Docker != "":
		engine, err := d.engine()
		if err != nil {
			return nil, err
		}
		return opened(engine.Open(access.Target))
	case access.Transport == transport.SSH: // what clouds use too: an installation does not choose
		return opened(d.pool.Open(ctx, access, with))
	case access.Transport == transport.Process, access.Transport == transport.Script, access.Transport == transport.Docker:
		return nil, fault.New(fault.Terminal, fault.ReasonDriverNotAllowed, "this installation does not admit transport %s", access.Transport)
	}
	return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "unknown transport %.64q: known are %s, %s, %s and %s", access.Transport, transport.Process, transport.Script, transport.Docker, transport.SSH)
}

// opened keeps a driver's nil pointer from becoming a transport that is not nil.
func opened[T transport.Transport](tr T, err error) (transport.Transport, error) {
	if err != nil {
		return nil, fault.During(err, "dialling")
	}
	return tr, nil
}

// HostKeys asks an SSH server for its host keys; nil for machines without one.
func (d *Dialer) HostKeys(ctx context.Context, access transport.Access, with transport.Credentials) ([]string, error) {
	if access.Transport != transport.SSH {
		return nil, nil
	}
	return d.pool.HostKeys(ctx, access, with)
}

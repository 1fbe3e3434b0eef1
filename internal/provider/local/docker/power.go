package docker

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

var _ provider.Powerer = (*Docker)(nil)

// graceSeconds is what a container's own processes have for ending before they are killed. The Engine answers when they have ended.
const graceSeconds = 10

// Power stops or starts a container of ours. One that was stopped stays so when the Engine or its machine starts again, and gets another
// address when it is started.
func (d *Docker) Power(ctx context.Context, id string, want provider.Power) error {
	found, err := d.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case found.State == provider.Terminating:
		return fault.Waiting(fault.ReasonInProgress, 0, "container %.12s is ending", id)
	case want == provider.PowerOff && found.State != provider.Stopped:
		grace := graceSeconds
		_, err = d.engine.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &grace})
	case want == provider.PowerOn && found.State == provider.Stopped:
		_, err = d.engine.ContainerStart(ctx, id, client.ContainerStartOptions{})
	}
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err):
		return gone(id)
	}
	return fault.During(d.fault(err, fault.Unknown), "switching container %.12s to %s", id, want)
}

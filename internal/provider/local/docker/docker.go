// Package docker knows how a container of a Docker Engine is a machine: made, found again by its labels, and ended with its volumes.
// It must not know what runs in it or how commands get there, and it touches no container without this installation's labels.
package docker

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Options of an account.
type Options struct {
	Host         string // of the Engine, as unix:///var/run/docker.sock
	Installation string // the installation's id
}

// Docker is one installation's part of one Engine. It is safe for concurrent use.
type Docker struct {
	Options
	engine *client.Client
}

// Sized is the provider for machines of one shape.
type Sized struct {
	*Docker
	shape Shape
}

var (
	_ provider.Provider = Sized{}
	_ provider.Labeller = Sized{}
)

// New returns the account. It sends nothing.
func New(o Options) (*Docker, error) {
	if o.Installation == "" {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "the installation has no id")
	}
	engine, err := client.New(client.WithHost(o.Host))
	if err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "the Docker Engine's address %.128q: %w", o.Host, err)
	}
	return &Docker{Options: o, engine: engine}, nil
}

// Close gives idle connections back.
func (d *Docker) Close() error { return d.engine.Close() }

// Account says which account it is.
func (d *Docker) Account() provider.Account {
	return provider.Account{ID: "local/docker/" + d.Host, Location: "docker at " + strings.TrimPrefix(d.Host, "unix://")}
}

// Shaped returns the provider whose new machines are of that shape.
func (d *Docker) Shaped(shape Shape) Sized { return Sized{Docker: d, shape: shape} }

// Get returns a container of ours. Its beginning is finished first where that was interrupted.
func (d *Docker) Get(ctx context.Context, id string) (provider.Instance, error) {
	if !wholeID.MatchString(id) {
		return provider.Instance{}, gone(id)
	}
	return d.find(ctx, id, func(c container) bool { return c.ID == id })
}

// find inspects a container by id or name.
func (d *Docker) find(ctx context.Context, ref string, is func(container) bool) (provider.Instance, error) {
	got, err := d.engine.ContainerInspect(ctx, ref, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return provider.Instance{}, gone(ref)
	}
	if err != nil {
		return provider.Instance{}, d.fault(err, fault.Retry)
	}
	c := inspected(got.Container)
	if !is(c) || c.Labels[labelInstallation] != d.Installation {
		return provider.Instance{}, gone(ref)
	}
	return d.shown(ctx, c), nil
}

// Delete removes a container of ours with the volumes that are its own.
func (d *Docker) Delete(ctx context.Context, id string) error {
	if _, err := d.Get(ctx, id); err != nil {
		return err
	}
	_, err := d.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case err == nil, errdefs.IsConflict(err): // a removal is under way
		return nil
	case errdefs.IsNotFound(err):
		return gone(id)
	}
	return d.fault(err, fault.Unknown)
}

// EndsAtOnce implements provider.Prompt: the Engine answers when the container is gone.
func (d *Docker) EndsAtOnce() bool { return true }

// List returns the containers that carry the owner's labels.
func (d *Docker) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	if err := owner.Validate(); err != nil {
		return nil, err
	}
	filter := client.Filters{}.Add("label", labelInstallation+"="+d.Installation)
	got, err := d.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return nil, d.fault(err, fault.Retry)
	}
	var found []provider.Instance
	for _, summary := range got.Items {
		if c := listed(summary); owner.Covers(c.owner()) {
			found = append(found, d.shown(ctx, c))
		}
	}
	slices.SortFunc(found, func(a, b provider.Instance) int { return strings.Compare(a.ID, b.ID) })
	return found, nil
}

// fault classifies what the Engine says. unsure is the class of an error after which nobody knows whether the call had effect.
func (d *Docker) fault(err error, unsure fault.Class) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // the guard around us knows what that means
	case errors.Is(err, os.ErrPermission), errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err):
		return fault.New(fault.Terminal, fault.ReasonUnauthorized, "the Docker Engine at %s may not be used by the operator's user: %w", d.Host, err)
	case client.IsErrConnectionFailed(err):
		return fault.New(fault.Retry, fault.ReasonUnreachable, "the Docker Engine at %s does not answer; is it running? (%w)", d.Host, err)
	case errdefs.IsInvalidArgument(err):
		return fault.New(fault.Terminal, fault.ReasonInvalid, "the Docker Engine: %w", err)
	case errdefs.IsConflict(err), errdefs.IsUnavailable(err), errdefs.IsResourceExhausted(err), errdefs.IsInternal(err):
		return fault.New(fault.Retry, fault.ReasonTransient, "the Docker Engine: %w", err)
	}
	reason := fault.ReasonTransient
	if unsure == fault.Unknown {
		reason = fault.ReasonOutcomeUnknown
	}
	return fault.New(unsure, reason, "the Docker Engine: %w", err)
}

var wholeID = regexp.MustCompile(`^[0-9a-f]{64}$`)

func gone(id string) error {
	return fault.New(fault.Gone, fault.ReasonNotFound, "there is no container %.12q of this installation", id)
}

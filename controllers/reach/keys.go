package reach

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/transport"
)

// pin makes sure that a machine with an SSH server is known by its host keys, and that this is recorded, before anybody logs in.
func (v *visit) pin(ctx context.Context, s *v1alpha1.Server) error {
	access := connect.Access(s.Status.Access)
	if access.Transport != transport.SSH || len(s.Status.HostKeys) > 0 {
		return nil
	}
	var shown []string
	if len(access.HostKeys) == 0 {
		var err error
		if shown, err = v.scan(ctx, s); err != nil {
			return v.judge(s, err)
		}
	}
	s.Status.HostKeys = plan.Pins(access.HostKeys, shown)
	if len(s.Status.HostKeys) == 0 {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "status.access.hostKeys of this Server holds no key: the provider knows the machine by nothing that can be compared")
	}
	return reconcile.Record(ctx, s)
}

// repin asks a machine that shows a strange key for all its keys, and takes them where a person decided so.
func (v *visit) repin(ctx context.Context, s *v1alpha1.Server) error {
	access := connect.Access(s.Status.Access)
	shown, err := v.scan(ctx, s)
	if err != nil {
		return err
	}
	trust := s.Annotations[v1alpha1.AnnotationTrust]
	keys := plan.Repin(access.HostKeys, shown, trust)
	if keys == nil {
		return plan.Stranger(s.Status.HostKeys, shown, trust, v1alpha1.AnnotationTrust)
	}
	s.Status.HostKeys = keys
	if err := reconcile.Record(ctx, s); err != nil {
		return err
	}
	v.Kit.Events.Eventf(s, nil, corev1.EventTypeNormal, "HostKeyTrusted", "Trust", "the machine's host keys are now %d others, as was decided by a person", len(keys))
	return nil
}

// scan asks for all host keys. The key is for a jump host only.
func (v *visit) scan(ctx context.Context, s *v1alpha1.Server) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, v.options.Timeout)
	defer cancel()
	shown, err := v.Connector.HostKeys(ctx, s)
	return shown, fault.During(err, "asking for host keys")
}

package reach

import (
	"context"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// dialable says whether the provider's side has published a running machine of a Server that stays.
func dialable(s *v1alpha1.Server) bool {
	return s.DeletionTimestamp.IsZero() && s.Status.Access != nil && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ProvisionedCondition)
}

// look asks the machine for its facts. A machine that answered before is asked a second time before anybody hears that it does
// not: a connection that broke in a bad moment is no reason for every watcher to stir.
func (r *Reconciler) look(ctx context.Context, s *v1alpha1.Server) error {
	facts, err := r.ask(ctx, s)
	if err != nil && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ReachableCondition) {
		facts, err = r.ask(ctx, s)
	}
	if err != nil {
		return told(fault.During(err, "dialling %s by %s", whereabouts(s.Status.Access), s.Status.Access.Transport))
	}
	s.Status.Facts = settled(s.Status.Facts, facts)
	return nil
}

func (r *Reconciler) ask(ctx context.Context, s *v1alpha1.Server) (transport.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	tr, err := r.Connector.Open(ctx, s)
	if err != nil {
		return transport.Facts{}, err
	}
	defer func() { _ = tr.Close() }() // what was read is read
	return transport.ReadFacts(ctx, tr)
}

func whereabouts(access *v1alpha1.ServerAccess) string {
	if access.Address != "" {
		return access.Address
	}
	return access.Target
}

// told makes sure that a condition tells what the error's class told: the summary reads it from the reason. A machine that is
// not there is unreachable for us: whether it has ended is for the provider to say.
func told(err error) error {
	switch {
	case fault.IsGone(err):
		return fault.New(fault.Retry, fault.ReasonUnreachable, "%w", err)
	case fault.IsTerminal(err) && !fault.ReasonOf(err).Stops():
		return fault.New(fault.Terminal, fault.ReasonInvalid, "%w", err)
	}
	return err
}

// settled turns facts into what is kept of them: nothing that changes by itself, so that a machine at rest is not written.
// Memory moves by a little when a kernel or its host changes; only a real change is one.
func settled(before *v1alpha1.ServerFacts, f transport.Facts) *v1alpha1.ServerFacts {
	after := &v1alpha1.ServerFacts{
		OS: clip(f.OS, 64), OSVersion: clip(f.OSVersion, 64), Arch: clip(f.Arch, 32), CPUs: f.CPUs, MemoryMiB: f.MemoryMiB,
		InitSystem: clip(f.InitSystem, 32), PackageManager: clip(f.PackageManager, 32), Root: f.Root,
	}
	if before != nil && max(after.MemoryMiB-before.MemoryMiB, before.MemoryMiB-after.MemoryMiB) <= before.MemoryMiB/16 {
		after.MemoryMiB = before.MemoryMiB
	}
	return after
}

// clip keeps to the bounds of the API, which would refuse the whole status for one long word.
func clip(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	for len(text) > most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

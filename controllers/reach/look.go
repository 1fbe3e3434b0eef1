package reach

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/transport"
)

// dialable says whether the provider's side has published a running machine of a Server that stays.
func dialable(s *v1alpha1.Server) bool {
	return s.DeletionTimestamp.IsZero() && s.Status.Access != nil && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ProvisionedCondition)
}

// visit is one look at one machine.
type visit struct {
	*Reconciler
	name  types.NamespacedName
	again time.Duration // 0: the controller's own pause
}

// look asks the machine for its facts.
func (v *visit) look(ctx context.Context, s *v1alpha1.Server) error {
	facts, err := v.ask(ctx, s)
	if err != nil && fault.ReasonOf(err) == fault.ReasonHostKeyChanged {
		if err = v.repin(ctx, s); err == nil {
			facts, err = v.ask(ctx, s)
		}
	}
	if err != nil {
		return v.judge(s, err)
	}
	v.memory.forget(v.name)
	s.Status.Facts = settled(s.Status.Facts, facts)
	return nil
}

// judge says what a failed look means. A refused key may have been replaced in its Secret meanwhile.
func (v *visit) judge(s *v1alpha1.Server, err error) error {
	if ref := s.Status.Access.SecretRef; ref != nil && fault.ReasonOf(err) == fault.ReasonUnauthenticated {
		v.Connector.Keys.Forget(s.Namespace, ref.Name)
	}
	now := v.Kit.Now()
	failed := v.memory.failed(v.name, s.Status.ID, now)
	seen := plan.ReachSeen{
		Err:      fault.During(err, "dialling %s by %s", whereabouts(s.Status.Access), s.Status.Access.Transport),
		Answered: meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ReachableCondition),
		Failures: failed.count, Since: failed.since,
	}
	if provisioned := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ProvisionedCondition); provisioned != nil {
		seen.Running = provisioned.LastTransitionTime.Time
	}
	outcome, still := plan.Reach(seen, now)
	if still {
		v.again = plan.ReachPause
	}
	return outcome
}

func (v *visit) ask(ctx context.Context, s *v1alpha1.Server) (transport.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, v.options.Timeout)
	defer cancel()
	tr, err := v.Connector.Open(ctx, s)
	if err != nil {
		return transport.Facts{}, err
	}
	defer func() { _ = tr.Close() }() // what was read is read
	return transport.ReadFacts(ctx, tr)
}

// whereabouts is what was dialled, as people would write it.
func whereabouts(access *v1alpha1.ServerAccess) string {
	host := access.Host
	if host == "" {
		host = access.Address
	}
	switch {
	case host == "":
		return access.Target
	case access.Transport != transport.SSH:
		return host
	}
	return cmp.Or(access.User, "root") + "@" + net.JoinHostPort(host, strconv.Itoa(int(cmp.Or(access.Port, 22))))
}

// settled turns facts into what is kept of them: nothing that changes by itself, so that a machine at rest is not written.
// Memory moves by a little when a kernel or its host changes; only a real change is one.
func settled(before *v1alpha1.ServerFacts, f transport.Facts) *v1alpha1.ServerFacts {
	after := &v1alpha1.ServerFacts{
		OS: clip(f.OS, 64), OSVersion: clip(f.OSVersion, 64), Arch: clip(f.Arch, 32), CPUs: f.CPUs, MemoryMiB: f.MemoryMiB,
		Addresses: addresses(f.Addresses), InitSystem: clip(f.InitSystem, 32), PackageManager: clip(f.PackageManager, 32), Root: f.Root,
	}
	if before != nil && max(after.MemoryMiB-before.MemoryMiB, before.MemoryMiB-after.MemoryMiB) <= before.MemoryMiB/16 {
		after.MemoryMiB = before.MemoryMiB
	}
	return after
}

// addresses leaves out what only the machine itself can use, and sorts the rest: the order says nothing.
func addresses(all []string) []string {
	var kept []string
	for _, text := range all {
		if a, err := netip.ParseAddr(text); err == nil && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			kept = append(kept, a.String())
		}
	}
	slices.Sort(kept)
	return slices.Compact(kept)
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

package mem

import (
	"fmt"
	"slices"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Entry is one mutating call as the cloud saw it.
type Entry struct {
	Seq    int // 1, 2, …: the number of the call over the cloud's life
	At     time.Time
	Verb   Verb
	Key    string
	ID     string
	Owner  provider.Owner
	Effect bool   // a machine was made, or its end begun; false for a repetition and for what was refused
	Fault  string // "Unknown/OutcomeUnknown"; "" when the caller got what it asked for
}

// Report is what a test asks the cloud about its callers.
type Report struct {
	Calls      []Entry  // the newest Options.LogLimit mutating calls, oldest first
	Mutating   int      // how many there ever were
	Made       int      // machines ever made
	Live       int      // machines now that nobody asked to end
	Ending     int      // machines now whose end was asked for
	MostMaking int      // high-water mark of machines that were Pending at one instant (I6)
	Violations []string // at most 64: two machines living at once for one owner (I1), for one namespace and name (A17)
}

type record struct {
	entries    []Entry
	seq        int
	most       int
	violations []string
}

// add keeps at most twice the limit and drops the older half, so that it costs nothing a call.
func (r *record) add(limit int, at time.Time, entry Entry, err error) {
	r.seq++
	entry.Seq, entry.At = r.seq, at
	if err != nil {
		entry.Fault = fmt.Sprintf("%s/%s", fault.ClassOf(err), fault.ReasonOf(err))
	}
	if len(r.entries) >= 2*limit {
		r.entries = slices.Clone(r.entries[limit:])
	}
	r.entries = append(r.entries, entry)
}

func (r *record) reached(making int) { r.most = max(r.most, making) }

// witness records when a machine is made for an owner who has a living one. newest holds, for each object and for each name,
// the last machine made: a violation was written down when an older one was still alive.
func (r *record) witness(made *machine, newest map[string]*machine) {
	for _, identity := range identities(made.instance.Owner) {
		other := newest[identity]
		newest[identity] = made
		if other == nil || !other.endedAt.IsZero() || len(r.violations) >= 64 {
			continue
		}
		r.violations = append(r.violations, fmt.Sprintf("two machines live for %s: %s (owner's uid %s) and %s (%s), made at %s", identity, other.instance.ID,
			other.instance.Owner.UID, made.instance.ID, made.instance.Owner.UID, made.instance.CreatedAt.Format(time.RFC3339Nano)))
	}
}

func identities(o provider.Owner) []string {
	return []string{fmt.Sprintf("object %q %q", o.Installation, o.UID), fmt.Sprintf("name %q %q %q", o.Installation, o.Namespace, o.Name)}
}

// noted writes down a call that a fault kept from doing anything.
func (c *Cloud) noted(entry Entry, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log.add(c.options.LogLimit, c.advance(), entry, err)
	return err
}

// Report tells what the cloud has seen so far.
func (c *Cloud) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	newest := c.log.entries[max(0, len(c.log.entries)-c.options.LogLimit):]
	return Report{
		Calls: slices.Clone(newest), Mutating: c.log.seq, Made: c.made, Live: len(c.machines) - len(c.ending), Ending: len(c.ending),
		MostMaking: c.log.most, Violations: slices.Clone(c.log.violations),
	}
}

package plan

import (
	"fmt"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// turns says which servers may begin a change now.
type turns struct {
	may map[string]bool
	why string // what the others wait for, for people
}

// turnsOf gives out what is left of the slots. A change that is under way, a repair, and a service whose health is not known yet
// each hold one; one that failed holds them all, until it is mended or the input changes again. A server that cannot be worked on
// holds nobody up, unless it went away in the middle of a change: the change may be why.
func turnsOf(works []*work, slots int) turns {
	turn := turns{may: map[string]bool{}}
	holder, failed := "", ""
	var waiting []string
	for _, w := range works {
		s := w.status
		if !w.host.Wanted || s.Digest == "" {
			continue
		}
		ready := w.host.State == HostReady
		switch {
		case s.Phase == v1alpha1.ServiceFailed:
			failed = w.host.Name
		case underWay(s), w.changes() && s.NextTry != nil, !w.changes() && ready && s.Phase != v1alpha1.ServiceReady:
			turn.may[w.host.Name] = true
			slots--
			if holder == "" {
				holder = w.host.Name
			}
		case w.changes() && ready:
			waiting = append(waiting, w.host.Name)
		}
	}
	if failed != "" {
		turn.why = fmt.Sprintf("the change failed on server %s, and goes to no other before that is mended", failed)
		return turn
	}
	for _, name := range waiting[:min(len(waiting), max(slots, 0))] {
		turn.may[name] = true
		if holder == "" {
			holder = name
		}
	}
	turn.why = fmt.Sprintf("changes go %s at a time (rollout.maxUnavailable), and server %s comes first", some(len(turn.may)), holder)
	return turn
}

func some(servers int) string {
	if servers <= 1 {
		return "one server"
	}
	return fmt.Sprintf("%d servers", servers)
}

// changes reports whether a service that was as wanted is not any more: another input is wanted, or somebody else changed it.
func (w *work) changes() bool {
	return w.status.Digest != "" && (w.status.Digest != w.host.Digest || w.status.Reason == string(fault.ReasonDrifted))
}

// repairs reports whether a round puts back what was right before. What it repairs stays told until it is done.
func (w *work) repairs() bool {
	return w.status.Reason == string(fault.ReasonUnhealthy) || w.status.Reason == string(fault.ReasonDrifted)
}

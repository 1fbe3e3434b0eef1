package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

func machine(id, uid string, state MachineState) Machine {
	return Machine{ID: id, Key: "key-" + uid, UID: uid, State: state, Message: "words"}
}

// serverVerdict is an action without the words of its error.
type serverVerdict struct {
	Do     ServerVerb
	ID     string
	Class  fault.Class
	Reason fault.Reason
}

func serverVerdicts(actions []ServerAction) []serverVerdict {
	var out []serverVerdict
	for _, a := range actions {
		v := serverVerdict{Do: a.Do, ID: a.ID}
		if a.Err != nil {
			v.Class, v.Reason = fault.ClassOf(a.Err), fault.ReasonOf(a.Err)
		}
		out = append(out, v)
	}
	return out
}

func serverWaits(reason fault.Reason) []serverVerdict {
	return []serverVerdict{{Do: ServerWait, Class: fault.Wait, Reason: reason}}
}

func serverStops(reason fault.Reason) []serverVerdict {
	return []serverVerdict{{Do: ServerWait, Class: fault.Terminal, Reason: reason}}
}

func serverDoes(do ServerVerb, ids ...string) []serverVerdict {
	var out []serverVerdict
	for _, id := range ids {
		out = append(out, serverVerdict{Do: do, ID: id})
	}
	return out
}

func TestServer(t *testing.T) {
	const me, before = "me", "before"
	tests := map[string]struct {
		reason  string
		policy  v1alpha1.DeletionPolicy
		seen    ServerSeen
		want    []serverVerdict
		message string
	}{
		"new": {
			reason: "a create whose reply was lost may have made a machine already: look before asking for one",
			want:   serverDoes(ServerLook, ""),
		},
		"nothing there": {
			reason: "a look that began after our last deed showed nothing of ours",
			seen:   ServerSeen{Looked: true}, want: serverDoes(ServerCreate, ""),
		},
		"found by key": {
			reason: "the machine of a lost reply is taken, not made a second time",
			seen:   ServerSeen{Looked: true, Machines: []Machine{machine("i-1", me, MachinePending)}}, want: serverDoes(ServerAdopt, "i-1"),
		},
		"found broken": {
			reason: "a machine that failed is ours all the same, or nobody would end it",
			seen:   ServerSeen{Looked: true, Machines: []Machine{machine("i-1", me, MachineFailed)}}, want: serverDoes(ServerAdopt, "i-1"),
		},
		"found ending": {
			reason: "a machine on its way out is not worth recording, and its key is not free yet",
			seen:   ServerSeen{Looked: true, Machines: []Machine{machine("i-1", me, MachineTerminating)}}, want: serverWaits(fault.ReasonInProgress),
		},
		"two of ours": {
			reason: "only a person can say which of two is to live",
			seen:   ServerSeen{Looked: true, Machines: []Machine{machine("i-1", me, MachineRunning), machine("i-2", me, MachineRunning)}},
			want:   serverStops(fault.ReasonIdentityConflict), message: "i-1, i-2",
		},
		"stranger of our name": {
			reason: "a management cluster rebuilt from Git must not make a second fleet",
			seen:   ServerSeen{Looked: true, Machines: []Machine{machine("i-9", before, MachineRunning)}},
			want:   serverStops(fault.ReasonIdentityConflict), message: "i-9",
		},
		"stranger ending": {
			reason: "it will be gone soon: nobody needs to do anything",
			seen:   ServerSeen{Looked: true, Machines: []Machine{machine("i-9", before, MachineTerminating)}}, want: serverWaits(fault.ReasonInProgress),
		},
		"refused before": {
			reason: "nothing is sent again that only a person can have granted",
			seen:   ServerSeen{Looked: true, Refused: fault.New(fault.Terminal, fault.ReasonQuotaExceeded, "no more")}, want: serverStops(fault.ReasonQuotaExceeded), message: "no more",
		},
		"refused before, and there": {
			reason: "what shows counts more than what was said",
			seen:   ServerSeen{Looked: true, Refused: fault.New(fault.Terminal, fault.ReasonQuotaExceeded, "no more"), Machines: []Machine{machine("i-1", me, MachinePending)}}, want: serverDoes(ServerAdopt, "i-1"),
		},
		"recorded": {
			reason: "what became of the machine is not known yet",
			seen:   ServerSeen{Recorded: "i-1"}, want: serverDoes(ServerLook, "i-1"),
		},
		"booting": {
			reason: "the inventory wakes us when it runs",
			seen:   ServerSeen{Recorded: "i-1", Looked: true, Machines: []Machine{machine("i-1", me, MachinePending)}}, want: serverWaits(fault.ReasonInProgress),
			message: "words",
		},
		"running": {
			reason: "it is what was asked for",
			seen:   ServerSeen{Recorded: "i-1", Looked: true, Applied: &v1alpha1.ServerApplied{Power: v1alpha1.PowerRunning}, Machines: []Machine{machine("i-1", me, MachineRunning)}}, want: serverDoes(ServerNone, "i-1"),
		},
		"up for the first time": {
			reason: "what it was made with is written down before anything is compared with it",
			seen:   ServerSeen{Recorded: "i-1", Looked: true, Machines: []Machine{machine("i-1", me, MachineRunning)}}, want: serverDoes(ServerNote, "i-1"),
		},
		"given up": {
			reason: "the provider's own words reach the person who has to act",
			seen:   ServerSeen{Recorded: "i-1", Looked: true, Machines: []Machine{machine("i-1", me, MachineFailed)}}, want: serverStops(fault.ReasonMachineFailed),
			message: "words",
		},
		"ended by another hand": {
			reason: "an end that was asked for by somebody else cannot be called off",
			seen:   ServerSeen{Recorded: "i-1", Looked: true, Machines: []Machine{machine("i-1", me, MachineTerminating)}}, want: serverStops(fault.ReasonMachineLost),
		},
		"absent once": {
			reason: "one answer may be wrong",
			seen:   ServerSeen{Recorded: "i-1", Looked: true, Absences: 1, Settled: true}, want: serverDoes(ServerLook, "i-1"),
		},
		"absent twice but fresh": {
			reason: "clouds do not show a fresh machine for seconds",
			seen:   ServerSeen{Recorded: "i-1", Looked: true, Absences: 2}, want: serverWaits(fault.ReasonInProgress),
		},
		"absent twice": {
			reason: "A4: an id once recorded is never made again",
			seen:   ServerSeen{Recorded: "i-1", Looked: true, Absences: 2, Settled: true}, want: serverStops(fault.ReasonMachineLost), message: "i-1",
		},
		"deleting in use": {
			reason: "a service still has to be removed from it",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Users: []string{"TaskService a", "Run b", "Run c", "Run d", "Run e", "Run f"}},
			want:   serverWaits(fault.ReasonDeletionBlocked), message: "TaskService a, Run b, Run c, Run d, Run e and 1 more",
		},
		"orphaned in use": {
			reason: "a service is removed from a machine that stays, too",
			policy: v1alpha1.DeletionOrphan, seen: ServerSeen{Deleting: true, Recorded: "i-1", Users: []string{"Run b"}}, want: serverWaits(fault.ReasonDeletionBlocked),
		},
		"abandoned": {
			reason: "a person decided, and nobody is asked",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Abandoned: true}, want: serverDoes(ServerRelease, "i-1"),
		},
		"abandoned in use": {
			reason: "what is on it comes first, and skips it by itself",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Abandoned: true, Users: []string{"Run b"}}, want: serverWaits(fault.ReasonDeletionBlocked),
		},
		"orphaned": {
			reason: "the machine stays",
			policy: v1alpha1.DeletionOrphan, seen: ServerSeen{Deleting: true, Recorded: "i-1"}, want: serverDoes(ServerRelease, "i-1"),
		},
		"deleting": {
			reason: "nobody uses it any more",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1"}, want: serverDoes(ServerDelete, "i-1"),
		},
		"ending": {
			reason: "the provider took our Delete",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Ending: true}, want: serverWaits(fault.ReasonInProgress),
		},
		"ending, at a prompt provider": {
			reason: "it may be gone already: nobody waits for the next List",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Ending: true, Can: ServerAbilities{EndsAtOnce: true}}, want: serverDoes(ServerLook, ""),
		},
		"ending, and shown after all": {
			reason: "it takes its time",
			seen: ServerSeen{Deleting: true, Recorded: "i-1", Ending: true, Looked: true, Can: ServerAbilities{EndsAtOnce: true},
				Machines: []Machine{machine("i-1", me, MachineTerminating)}},
			want: serverWaits(fault.ReasonInProgress),
		},
		"ending, and not shown": {
			reason: "one answer may be wrong here, too",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Ending: true, Looked: true, Absences: 1, Settled: true, Can: ServerAbilities{EndsAtOnce: true}},
			want:   serverDoes(ServerLook, ""),
		},
		"ended at once": {
			reason: "I10: two answers after the Delete show nothing",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Ending: true, Looked: true, Absences: 2, Settled: true, Can: ServerAbilities{EndsAtOnce: true}},
			want:   serverDoes(ServerRelease, "i-1"),
		},
		"deleting, said to be gone": {
			reason: "one answer may be wrong",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Absences: 1, Settled: true}, want: serverDoes(ServerLook, ""),
		},
		"deleting, gone twice but fresh": {
			reason: "a machine that was just made may be invisible to both",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Absences: 2}, want: serverWaits(fault.ReasonInProgress),
		},
		"deleting, gone twice": {
			reason: "I10: absence was confirmed",
			seen:   ServerSeen{Deleting: true, Recorded: "i-1", Absences: 2, Settled: true}, want: serverDoes(ServerRelease, "i-1"),
		},
		"deleting, gone and still shown": {
			reason: "the two answers contradict each other",
			seen: ServerSeen{Deleting: true, Recorded: "i-1", Looked: true, Absences: 1, Settled: true,
				Machines: []Machine{machine("i-1", me, MachineTerminating)}},
			want: serverWaits(fault.ReasonInProgress),
		},
		"deleting, never recorded": {
			reason: "a create may have been tried: only the provider can tell",
			seen:   ServerSeen{Deleting: true}, want: serverDoes(ServerLook, ""),
		},
		"deleting, found by key": {
			reason: "the id is recorded before the machine is ended, so that a crash finds it again",
			seen:   ServerSeen{Deleting: true, Looked: true, Machines: []Machine{machine("i-1", me, MachineRunning)}}, want: serverDoes(ServerAdopt, "i-1"),
		},
		"deleting, a stranger of our name": {
			reason: "I13: what does not carry our identity is never deleted",
			seen: ServerSeen{Deleting: true, Looked: true, Absences: 2, Settled: true,
				Machines: []Machine{machine("i-9", before, MachineRunning)}},
			want: serverDoes(ServerRelease, ""),
		},
		"deleting, two more of ours": {
			reason: "all that carries our identity goes with the object",
			seen: ServerSeen{Deleting: true, Recorded: "i-1", Looked: true, Absences: 1,
				Machines: []Machine{machine("i-2", me, MachineRunning), machine("i-3", me, MachinePending)}},
			want: serverDoes(ServerDelete, "i-2", "i-3"),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.seen.UID, tc.seen.Key = me, "key-"+me
			got := Server(v1alpha1.ServerSpec{ServerPolicies: v1alpha1.ServerPolicies{DeletionPolicy: tc.policy}}, tc.seen)
			if diff := cmp.Diff(tc.want, serverVerdicts(got)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if err := got[0].Err; err != nil && !strings.Contains(err.Error(), tc.message) {
				t.Errorf("the message %q does not say %q", err, tc.message)
			}
		})
	}
}

// TestForAPerson: what mends itself, or is mended by a look at the spec, is no matter of a person at the cloud.
func TestForAPerson(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		err    error
		want   bool
	}{
		"nothing":      {"it was not refused", nil, false},
		"permission":   {"somebody has to give it", fault.New(fault.Terminal, fault.ReasonUnauthorized, "no"), true},
		"quota":        {"somebody has to raise it", fault.New(fault.Terminal, fault.ReasonQuotaExceeded, "no"), true},
		"tried again":  {"the provider says that it may pass", fault.New(fault.Retry, fault.ReasonQuotaExceeded, "later"), false},
		"wrong names":  {"another spec is another request", fault.New(fault.Terminal, fault.ReasonInvalid, "no such size"), false},
		"not known":    {"a look tells", fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "?"), false},
		"lack of room": {"it comes back", fault.New(fault.Retry, fault.ReasonResourcesDepleted, "full"), false},
	} {
		if got := ForAPerson(tc.err); got != tc.want {
			t.Errorf("%s: %s: %v, want %v", name, tc.reason, got, tc.want)
		}
	}
}

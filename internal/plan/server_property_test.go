package plan

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// hides is how long the cloud of the model may deny a fresh machine, in ticks.
const hides = 5

type modelMachine struct {
	Machine
	shownFrom int // before, neither List nor Get nor Delete knows it
	goneFrom  int // 0: it lives
}

// serverModel is one Server, a shell that may crash between any two things it does, and a cloud that shows what it knows late.
type serverModel struct {
	t         *rapid.T
	now       int
	cloud     []*modelMachine
	recorded  string // durable
	deleting  bool   // durable
	released  bool
	ended     bool // by another hand
	lastDeed  int  // in memory; a restart counts as one
	policy    v1alpha1.DeletionPolicy
	faultless bool
	prompt    bool // machines may be gone when their Delete returns
	lied      bool // the last look showed nothing although there was something
}

const modelUID = "uid"

func (m *serverModel) crashes(at string) bool {
	if m.faultless || rapid.IntRange(0, 4).Draw(m.t, at) != 0 {
		return false
	}
	m.lastDeed = m.now // nothing is remembered: a deed may have been done just now
	return true
}

func (m *serverModel) visible() []*modelMachine {
	var out []*modelMachine
	for _, c := range m.cloud {
		if m.now >= c.shownFrom && (c.goneFrom == 0 || m.now < c.goneFrom) {
			out = append(out, c)
		}
	}
	return out
}

func (m *serverModel) living() (n int) {
	for _, c := range m.cloud {
		if c.goneFrom == 0 {
			n++
		}
	}
	return n
}

// walk is one reconcile. It returns what Server said last.
func (m *serverModel) walk() ServerAction {
	seen := ServerSeen{UID: modelUID, Key: "key-" + modelUID, Recorded: m.recorded, Deleting: m.deleting, Can: ServerAbilities{EndsAtOnce: m.prompt}}
	for range 12 {
		actions := Server(v1alpha1.ServerSpec{ServerPolicies: v1alpha1.ServerPolicies{DeletionPolicy: m.policy}}, seen)
		seen.Settled = m.now-m.lastDeed > hides
		for _, action := range actions {
			if m.crashes("before") || !m.do(action, &seen) || m.crashes("after") {
				return action
			}
		}
		seen.Settled = m.now-m.lastDeed > hides
	}
	m.t.Fatalf("twelve rounds and no end: %+v", seen)
	return ServerAction{}
}

// do reports whether the walk goes on.
func (m *serverModel) do(action ServerAction, seen *ServerSeen) bool {
	switch action.Do {
	case ServerLook:
		seen.Looked, seen.Machines = true, nil
		m.lied = !m.lied && !m.faultless && rapid.IntRange(0, 3).Draw(m.t, "a look that shows nothing") == 0
		for _, c := range m.visible() {
			if m.lied {
				break // clouds do that, and not twice in a row
			}
			seen.Machines = append(seen.Machines, c.Machine)
		}
		if len(seen.Machines) == 0 {
			seen.Absences++
		}
	case ServerCreate:
		if m.recorded != "" || m.deleting {
			m.t.Fatalf("a create while %q is recorded, deleting %v", m.recorded, m.deleting)
		}
		m.create(seen)
	case ServerAdopt:
		m.recorded, seen.Recorded = action.ID, action.ID
	case ServerNote:
		first := FirstApplied(v1alpha1.ServerSpec{}, false)
		seen.Applied = &first
	case ServerDelete:
		m.delete(action.ID, seen)
	case ServerRelease:
		m.released = true
		return false
	default:
		return false
	}
	return true
}

// create is idempotent by key, as clouds are. The reply may be lost: then the walk learns nothing.
func (m *serverModel) create(seen *ServerSeen) {
	m.lastDeed = m.now
	var made *modelMachine
	for _, c := range m.cloud {
		if c.goneFrom == 0 || m.now < c.goneFrom {
			made = c
		}
	}
	if made == nil {
		id := "i-" + string(rune('a'+len(m.cloud)%26))
		made = &modelMachine{Machine: machine(id, modelUID, MachinePending), shownFrom: m.now + rapid.IntRange(0, hides).Draw(m.t, "hidden")}
		m.cloud = append(m.cloud, made)
	}
	if m.crashes("reply lost") || made.State == MachineTerminating {
		return
	}
	m.recorded, seen.Recorded, seen.Looked, seen.Machines = made.ID, made.ID, true, []Machine{made.Machine}
}

func (m *serverModel) delete(id string, seen *ServerSeen) {
	for _, c := range m.visible() {
		if c.ID == id {
			if c.goneFrom == 0 {
				soonest := 1
				if m.prompt {
					soonest = 0
				}
				c.goneFrom, c.State = m.now+rapid.IntRange(soonest, 3).Draw(m.t, "ends"), MachineTerminating
			}
			seen.Ending, seen.Looked, seen.Machines, seen.Absences = true, false, nil, 0
			return
		}
	}
	if id == m.recorded {
		seen.Absences++
	}
}

func TestServerProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &serverModel{t: t, prompt: rapid.Bool().Draw(t, "prompt"), policy: rapid.SampledFrom([]v1alpha1.DeletionPolicy{v1alpha1.DeletionDelete, v1alpha1.DeletionOrphan}).Draw(t, "policy")}
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			m.now++
			switch rapid.SampledFrom([]string{"walk", "walk", "walk", "tick", "boot", "delete", "delete", "another hand"}).Draw(t, "event") {
			case "walk":
				m.walk()
			case "tick":
				m.now += rapid.IntRange(1, 2*hides).Draw(t, "ticks")
			case "boot":
				for _, c := range m.cloud {
					if c.State == MachinePending {
						c.State = MachineRunning
					}
				}
			case "delete":
				m.deleting = rapid.IntRange(0, 2).Draw(t, "really") == 0 || m.deleting
			case "another hand":
				if n := len(m.cloud); n > 0 && m.cloud[n-1].goneFrom == 0 && rapid.Bool().Draw(t, "ends it") {
					m.cloud[n-1].goneFrom, m.ended = m.now, true
				}
			}
			m.check()
			if m.released {
				return
			}
		}
		m.finish()
	})
}

func (m *serverModel) check() {
	if n := m.living(); n > 1 {
		m.t.Fatalf("I1: %d machines live for one object", n)
	}
	if m.released && m.policy == v1alpha1.DeletionDelete && m.living() > 0 {
		m.t.Fatalf("I10: released while its machine lives: %+v", m.cloud[len(m.cloud)-1])
	}
}

// finish lets the faults stop: the object must come to rest as it should, then be deleted and leave nothing.
func (m *serverModel) finish() {
	m.faultless = true
	var last ServerAction
	for range 6 * hides {
		m.now++
		last = m.walk()
		for _, c := range m.cloud {
			if c.State == MachinePending {
				c.State = MachineRunning
			}
		}
		m.check()
	}
	switch {
	case m.deleting && !m.released:
		m.t.Fatalf("I11: the deletion never ends: %+v", last)
	case !m.deleting && last.Do != ServerNone && !(m.ended && fault.ReasonOf(last.Err) == fault.ReasonMachineLost):
		m.t.Fatalf("I11: it never comes to rest: %+v", last)
	case !m.deleting:
		m.deleting = true
		m.finish()
	}
}

package plan

import (
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// begin finds the machine that an earlier walk made and could not record, or asks for a new one.
func (seen ServerSeen) begin() []ServerAction {
	if !seen.Looked {
		return serverDo(ServerLook, "")
	}
	mine, others := seen.sort()
	alive := living(mine)
	switch {
	case len(alive) == 1:
		return serverDo(ServerAdopt, alive[0].ID)
	case len(alive) > 1:
		return serverStop(fault.ReasonIdentityConflict, "%d machines were made for this object (%s): delete all but one at the provider, then raise the annotation %s",
			len(alive), someNames(idsOf(alive)), v1alpha1.AnnotationAttempt)
	case len(mine) > 0:
		return serverWait(fault.ReasonInProgress, 2*time.Second, "machine %s of this object is ending: a new one is made when it is gone", mine[0].ID)
	}
	if alive := living(others); len(alive) > 0 {
		return serverStop(fault.ReasonIdentityConflict, "machine %s was made for an earlier object of this name (uid %s) and still lives: delete it at the provider, then raise the annotation %s",
			alive[0].ID, alive[0].UID, v1alpha1.AnnotationAttempt)
	}
	if len(others) > 0 {
		return serverWait(fault.ReasonInProgress, 2*time.Second, "machine %s of an earlier object of this name is ending", others[0].ID)
	}
	return serverDo(ServerCreate, "")
}

// keep follows a machine whose id is recorded. It never leads to a Create: an id stands for one machine for good.
func (seen ServerSeen) keep() []ServerAction {
	for _, m := range seen.Machines {
		if m.ID == seen.Recorded {
			return m.follow()
		}
	}
	switch {
	case seen.Absences < 2:
		return serverDo(ServerLook, seen.Recorded)
	case !seen.Settled:
		return serverWait(fault.ReasonInProgress, 2*time.Second, "the provider does not show machine %s yet", seen.Recorded)
	}
	return serverStop(fault.ReasonMachineLost, "machine %s is gone, and not by our hand: delete this Server to make room for a new one", seen.Recorded)
}

func (m Machine) follow() []ServerAction {
	switch m.State {
	case MachineRunning:
		return serverDo(ServerNone, m.ID)
	case MachineStopped:
		return serverWait(fault.ReasonInProgress, 30*time.Second, "machine %s is powered off: start it at the provider", m.ID)
	case MachineTerminating:
		return serverStop(fault.ReasonMachineLost, "machine %s is ending, and not by our hand: delete this Server to make room for a new one", m.ID)
	case MachineFailed:
		return serverStop(fault.ReasonMachineFailed, "the provider gave up on machine %s: %s; delete this Server to make room for a new one", m.ID, m.Message)
	}
	text := "the provider makes machine " + m.ID
	if m.Message != "" {
		text += ": " + m.Message
	}
	return serverWait(fault.ReasonInProgress, 0, "%s", text)
}

// end lets go of a Server: its users first, then its machine, and nothing before the provider said twice that it is gone.
func (seen ServerSeen) end(policy v1alpha1.DeletionPolicy) []ServerAction {
	if len(seen.Users) > 0 {
		return serverWait(fault.ReasonDeletionBlocked, 0, "in use by %s: %s first", someNames(seen.Users), deleteThem(len(seen.Users)))
	}
	if policy == v1alpha1.DeletionOrphan || seen.Abandoned {
		return serverDo(ServerRelease, seen.Recorded)
	}
	mine, _ := seen.sort()
	if seen.Ending {
		return serverWait(fault.ReasonInProgress, 5*time.Second, "machine %s is ending", anyID(seen.Recorded, mine))
	}
	switch {
	case seen.Recorded == "" && len(mine) > 0:
		return serverDo(ServerAdopt, mine[0].ID)
	case seen.Recorded != "" && seen.Absences == 0:
		return serverDo(ServerDelete, seen.Recorded)
	case len(machinesBut(mine, seen.Recorded)) > 0: // a create of ours whose reply nobody recorded
		return serverEach(ServerDelete, machinesBut(mine, seen.Recorded))
	case len(mine) > 0: // its Delete said Gone and a look still shows it
		return serverWait(fault.ReasonInProgress, 2*time.Second, "machine %s is ending", mine[0].ID)
	case seen.Absences < 2:
		return serverDo(ServerLook, "")
	case !seen.Settled:
		return serverWait(fault.ReasonInProgress, 2*time.Second, "the provider may not show yet what was made last: looking again")
	}
	return serverDo(ServerRelease, seen.Recorded)
}

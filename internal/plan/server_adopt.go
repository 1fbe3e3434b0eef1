package plan

import (
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// adopting takes the machine that a person named, when it is nobody else's.
func (seen ServerSeen) adopting(id string) []ServerAction {
	if !seen.Can.Adopt {
		return serverStop(fault.ReasonInvalid, "spec.adopt: machines of this provider cannot be adopted: take it away")
	}
	if !seen.Looked {
		return serverDo(ServerLook, id)
	}
	mine, others := seen.sort()
	if rest := living(machinesBut(mine, id)); len(rest) > 0 {
		return serverStop(fault.ReasonIdentityConflict, "machine %s was made for this object already, and spec.adopt.id names %s: take spec.adopt away, or delete %[1]s at the provider", rest[0].ID, id)
	}
	for _, m := range append(mine, others...) {
		if m.ID == id {
			return seen.claim(m)
		}
	}
	switch {
	case seen.Absences < 2:
		return serverDo(ServerLook, id)
	}
	return serverStop(fault.ReasonInvalid, "spec.adopt.id: there is no machine %s at this account: mend the id", id)
}

// claim decides whether a machine may become ours: when it is nobody's, or of an earlier object of this name, which is gone.
func (seen ServerSeen) claim(m Machine) []ServerAction {
	nobodys := m.Installation == "" && m.Namespace == "" && m.Name == "" && m.UID == ""
	namesake := m.Installation == seen.Installation && m.Namespace == seen.Namespace && m.Name == seen.Name
	switch {
	case m.State == MachineTerminating:
		return serverWait(fault.ReasonInProgress, 30*time.Second, "spec.adopt.id: machine %s is ending, and cannot be adopted any more", m.ID)
	case m.UID == seen.UID && m.Key == seen.Key:
		return serverDo(ServerAdopt, m.ID)
	case nobodys, namesake, m.Launch == seen.Launch && m.Launch.Token != "":
		return serverDo(ServerClaim, m.ID)
	}
	return serverStop(fault.ReasonIdentityConflict, "spec.adopt.id: machine %s belongs to Server %s/%s of installation %s: it is left alone", m.ID, m.Namespace, m.Name, m.Installation)
}

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
	case len(alive) > 1 && !seen.Can.Untokened:
		return serverStop(fault.ReasonIdentityConflict, "%d machines were made for this object (%s): delete all but one at the provider, then raise the annotation %s",
			len(alive), someNames(idsOf(alive)), v1alpha1.AnnotationAttempt)
	case len(alive) > 0:
		return seen.take(lowest(alive))
	case len(mine) > 0:
		return serverWait(fault.ReasonInProgress, 2*time.Second, "machine %s of this object is ending: a new one is made when it is gone", mine[0].ID)
	}
	if wait := namesakes(others); wait != nil {
		return wait
	}
	if seen.Refused != nil {
		return []ServerAction{{Do: ServerWait, Err: seen.Refused}}
	}
	// A request that was recorded may have been sent, by a process that is gone. Otherwise it can be repeated.
	if seen.Launch.Token != "" && (seen.Can.Untokened || seen.Broken) {
		switch {
		case seen.Absences < 2:
			return serverDo(ServerLook, "")
		case !seen.Settled:
			return serverWait(fault.ReasonInProgress, 2*time.Second, "the provider may not show yet what was asked for last: looking again")
		}
	}
	return serverDo(ServerCreate, "")
}

// take records a machine of ours, after writing our labels where a call for many left it without.
func (seen ServerSeen) take(m Machine) []ServerAction {
	if m.UID != seen.UID && m.Key != seen.Key {
		return serverDo(ServerClaim, m.ID)
	}
	return serverDo(ServerAdopt, m.ID)
}

// namesakes stops where machines of an earlier object of this name live: a management cluster that was rebuilt from its manifests
// must not make a second fleet.
func namesakes(others []Machine) []ServerAction {
	if alive := living(others); len(alive) > 0 {
		return serverStop(fault.ReasonIdentityConflict, "machine %s was made for an earlier object of this name (uid %s) and still lives: take it over with spec.adopt.id, or delete it at the provider and raise the annotation %s",
			alive[0].ID, alive[0].UID, v1alpha1.AnnotationAttempt)
	}
	if len(others) > 0 {
		return serverWait(fault.ReasonInProgress, 2*time.Second, "machine %s of an earlier object of this name is ending", others[0].ID)
	}
	return nil
}

// keep follows a machine whose id is recorded. An id stands for one machine for good: only a replacement makes room for another.
func (seen ServerSeen) keep(spec v1alpha1.ServerSpec) []ServerAction {
	if spec.Adopt != nil && spec.Adopt.ID != seen.Recorded && seen.Launch.Token == "" {
		return serverStop(fault.ReasonInvalid, "spec.adopt.id names %s, and this Server has the machine %s already: take spec.adopt away, or make another Server", spec.Adopt.ID, seen.Recorded)
	}
	for _, m := range seen.Machines {
		if m.ID == seen.Recorded {
			return seen.follow(spec, m)
		}
	}
	switch {
	case seen.Absences < 2:
		return serverDo(ServerLook, seen.Recorded)
	case !seen.Settled:
		return serverWait(fault.ReasonInProgress, 2*time.Second, "the provider does not show machine %s yet", seen.Recorded)
	}
	return seen.lost(spec, "is gone")
}

// lost is about a machine that ended by another hand. Another one is made only by policy, and only in place of one that had come up:
// a machine that never does would be made for ever.
func (seen ServerSeen) lost(spec v1alpha1.ServerSpec, how string) []ServerAction {
	if spec.UpdatePolicy == v1alpha1.UpdateReplaceAllowed && orCorrect(spec.DriftPolicy) == v1alpha1.DriftCorrect && seen.Applied != nil {
		return serverReplace(seen.Recorded, "it %s, and not by our hand", how)
	}
	return serverStop(fault.ReasonMachineLost, "machine %s %s, and not by our hand: delete this Server to make room for a new one, or set updatePolicy to %s",
		seen.Recorded, how, v1alpha1.UpdateReplaceAllowed)
}

func (seen ServerSeen) follow(spec v1alpha1.ServerSpec, m Machine) []ServerAction {
	switch m.State {
	case MachineTerminating:
		return seen.lost(spec, "is ending")
	case MachineFailed:
		return serverStop(fault.ReasonMachineFailed, "the provider gave up on machine %s: %s; delete this Server to make room for a new one", m.ID, m.Message)
	case MachineRunning, MachineStopped:
		if extra := seen.twins(); extra != nil {
			return extra
		}
		return seen.tend(spec, m)
	}
	text := "the provider makes machine " + m.ID
	if seen.Applied != nil {
		text = "the provider changes machine " + m.ID
	}
	if m.Message != "" {
		text += ": " + m.Message
	}
	return serverWait(fault.ReasonInProgress, 0, "%s", text)
}

// twins removes what a cloud without tokens made twice for this very object: the one that is recorded stays.
func (seen ServerSeen) twins() []ServerAction {
	if !seen.Can.Untokened {
		return nil
	}
	mine, _ := seen.sort()
	extra := living(machinesBut(mine, seen.Recorded))
	if len(extra) == 0 {
		return nil
	}
	return append(serverEach(ServerDelete, extra), serverWait(fault.ReasonInProgress, 2*time.Second,
		"machine %s was made a second time for this object and is removed; %s stays", extra[0].ID, seen.Recorded)...)
}

// end lets go of a Server: its users first, then its machine, and nothing before the provider said twice that it is gone.
func (seen ServerSeen) end(spec v1alpha1.ServerSpec) []ServerAction {
	switch {
	case spec.DeletionProtection == v1alpha1.SwitchEnabled:
		return serverWait(fault.ReasonProtected, 0, "deletionProtection is Enabled: neither this object nor its machine goes before it is Disabled")
	case len(seen.Users) > 0:
		return serverWait(fault.ReasonDeletionBlocked, 0, "in use by %s: %s first", someNames(seen.Users), deleteThem(len(seen.Users)))
	case spec.DeletionPolicy == v1alpha1.DeletionOrphan || seen.Abandoned:
		return serverDo(ServerRelease, seen.Recorded)
	}
	return seen.vanish(ServerRelease)
}

// replace ends the machine that is recorded, and then makes room for the next.
func (seen ServerSeen) replace(spec v1alpha1.ServerSpec) []ServerAction {
	if spec.DeletionProtection == v1alpha1.SwitchEnabled {
		return serverStop(fault.ReasonChangeRefused, "machine %s is to be replaced, and deletionProtection is Enabled", seen.Recorded)
	}
	return seen.vanish(ServerRenew)
}

// vanish ends all machines of this object, and goes on with then when the provider said twice that they are gone.
func (seen ServerSeen) vanish(then ServerVerb) []ServerAction {
	mine, _ := seen.sort()
	switch {
	case seen.Ending && seen.Can.EndsAtOnce && !seen.Looked:
		return serverDo(ServerLook, "")
	case seen.Ending && (!seen.Looked || len(mine) > 0):
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
	return serverDo(then, seen.Recorded)
}

// ForAPerson reports whether a request for a machine was refused for want of what only a person can give, a permission or a quota: it is
// not sent again by itself.
func ForAPerson(err error) bool {
	reason := fault.ReasonOf(err)
	return fault.IsTerminal(err) && (reason == fault.ReasonUnauthorized || reason == fault.ReasonQuotaExceeded)
}

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// maxNamed bounds how many names a message lists.
const maxNamed = 5

// sort splits the machines into those of this very object and those that only share its name.
func (seen ServerSeen) sort() (mine, others []Machine) {
	for _, m := range seen.Machines {
		switch {
		case seen.Recorded == "" && seen.Replacing != nil && m.ID == seen.Replacing.ID: // it ended; a cloud that lags may show it for a while
		case m.UID == seen.UID || m.Key == seen.Key || m.ID == seen.Recorded && seen.Recorded != "",
			m.Key == "" && m.Launch == seen.Launch && m.Launch.Token != "":
			mine = append(mine, m)
		default:
			others = append(others, m)
		}
	}
	return mine, others
}

func living(machines []Machine) []Machine {
	var alive []Machine
	for _, m := range machines {
		if m.State != MachineTerminating {
			alive = append(alive, m)
		}
	}
	return alive
}

// lowest is the machine that every walk chooses of several.
func lowest(machines []Machine) Machine {
	return slices.MinFunc(machines, func(a, b Machine) int { return strings.Compare(a.ID, b.ID) })
}

func machinesBut(machines []Machine, id string) []Machine {
	var rest []Machine
	for _, m := range machines {
		if m.ID != id {
			rest = append(rest, m)
		}
	}
	return rest
}

func anyID(id string, machines []Machine) string {
	if id == "" && len(machines) > 0 {
		return machines[0].ID
	}
	return id
}

func idsOf(machines []Machine) []string {
	out := make([]string, len(machines))
	for i, m := range machines {
		out[i] = m.ID
	}
	return out
}

// someNames lists at most maxNamed names and says how many more there are.
func someNames(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

func deleteThem(n int) string {
	if n == 1 {
		return "delete it"
	}
	return "delete them"
}

func serverDo(do ServerVerb, id string) []ServerAction { return []ServerAction{{Do: do, ID: id}} }

func serverEach(do ServerVerb, machines []Machine) []ServerAction {
	var actions []ServerAction
	for _, m := range machines {
		actions = append(actions, ServerAction{Do: do, ID: m.ID})
	}
	return actions
}

func serverWait(reason fault.Reason, after time.Duration, format string, args ...any) []ServerAction {
	return []ServerAction{{Do: ServerWait, Err: fault.Waiting(reason, after, format, args...)}}
}

func serverStop(reason fault.Reason, format string, args ...any) []ServerAction {
	return []ServerAction{{Do: ServerWait, Err: fault.New(fault.Terminal, reason, format, args...)}}
}

package script

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// keptRuns bounds what Machines remembers over all machines; the oldest run is forgotten first and then reads as missing.
const keptRuns = 1 << 17

// Machines simulates any number of machines, by id. Each answers the facts script as a small Debian server does, and each run
// that is started has ended well when somebody looks. Nothing else is simulated: another command ends with code 127.
//
// A simulated machine remembers which runs were started on it, in memory: after a restart they read as missing, and starting
// them again does no harm since nothing is ever run. The zero value is ready; it is safe for concurrent use.
type Machines struct {
	// Faults strike whichever machine is called next.
	Faults

	mu    sync.Mutex
	runs  map[runKey]struct{}
	order []runKey
}

type runKey struct{ machine, run string }

// Open returns the transport of the machine whose id is access.Target.
func (m *Machines) Open(access transport.Access) (*Transport, error) {
	if access.Target == "" {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "a simulated machine needs an id as its target")
	}
	return New(func(cmd transport.Command) (transport.Result, error) {
		return m.around(func() (transport.Result, error) { return m.answer(access, cmd), nil })
	}), nil
}

func (m *Machines) answer(access transport.Access, cmd transport.Command) transport.Result {
	switch {
	case slices.Equal(cmd.Argv, transport.FactsCommand().Argv):
		return printed(facts(access))
	case len(cmd.Argv) >= 6 && cmd.Argv[0] == "sh" && cmd.Argv[3] == "keelway-run":
		return m.run(cmd.Argv[4], runKey{access.Target, cmd.Argv[5]})
	}
	return transport.Result{Exit: 127, Stderr: fmt.Appendf(nil, "simulated machine %s runs no commands\n", access.Target)}
}

// run speaks the runner's protocol as far as a run that ends at once needs it; the runner's tests hold the two together.
func (m *Machines) run(verb string, key runKey) transport.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.runs[key]
	switch verb {
	case "start":
		if !known {
			m.remember(key)
		}
	case "poll":
		if known {
			return printed("keelway-run poll\nexited 0 0 1 1\ntail\n")
		}
		return printed("keelway-run poll\nmissing\ntail\n")
	case "forget":
		delete(m.runs, key)
	}
	return printed("keelway-run " + verb + "\n")
}

// remember evicts in order of start. A forgotten run leaves its place in the order, which is therefore swept when it is full.
func (m *Machines) remember(key runKey) {
	if m.runs == nil {
		m.runs = map[runKey]struct{}{}
	}
	if len(m.order) >= keptRuns {
		m.order = slices.DeleteFunc(m.order, func(old runKey) bool { _, kept := m.runs[old]; return !kept })
		for len(m.order) > keptRuns/2 {
			delete(m.runs, m.order[0])
			m.order = m.order[1:]
		}
	}
	m.runs[key] = struct{}{}
	m.order = append(m.order, key)
}

func facts(access transport.Access) string {
	lines := []string{
		"hostname " + access.Target, "os debian", "os-version 12", "arch x86_64", "cpus 2", "memory-kib 4194304",
		"init systemd", "packages apt", "root true",
	}
	if access.Address != "" {
		lines = append(lines, "address "+access.Address)
	}
	return strings.Join(append(lines, "end"), "\n") + "\n"
}

func printed(text string) transport.Result { return transport.Result{Stdout: []byte(text)} }

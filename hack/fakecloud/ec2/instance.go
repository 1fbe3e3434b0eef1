package ec2

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The states of an instance, with the codes that go with them.
const (
	pending      = "pending"
	running      = "running"
	shuttingDown = "shutting-down"
	terminated   = "terminated"
	stopping     = "stopping"
	stopped      = "stopped"
)

var stateCodes = map[string]int{pending: 0, running: 16, shuttingDown: 32, terminated: 48, stopping: 64, stopped: 80}

// How long things take, about as they do at AWS.
const (
	bootTime    = 20 * time.Second
	endTime     = 30 * time.Second
	stopTime    = 30 * time.Second
	forgetAfter = time.Hour // a terminated instance shows for so long
)

type instance struct {
	ID, Reservation, Token, Type, Zone, Image, Subnet, Key string
	Private, Public, IPv6                                  string
	Index                                                  int
	Spot                                                   bool
	Groups                                                 []string
	LaunchedAt                                             time.Time // of the last start, as EC2 has it
	attachedAt                                             time.Time // of its network interface: when it was made

	startedAt, stoppedAt, endedAt time.Time
	boot                          time.Duration
	reason                        string
	tags                          map[string]string
	late                          []lateTags
	hiddenUntil                   time.Time
	diesAt                        time.Time
	volumes                       []volume
	rootDevice                    string
}

type volume struct {
	ID, Device, Type string
	SizeGiB          int
	Encrypted        bool
	DeleteWith       bool
	tags             map[string]string
}

// lateTags were written and do not show yet.
type lateTags struct {
	at   time.Time
	tags map[string]string
}

// launch is what a client token stands for.
type launch struct {
	hash        string
	instances   []*instance
	reservation string
}

type keyPair struct {
	ID, Name, Fingerprint string
	tags                  map[string]string
}

func (i *instance) state(now time.Time) string {
	switch {
	case !i.endedAt.IsZero() && now.Sub(i.endedAt) >= endTime:
		return terminated
	case !i.endedAt.IsZero():
		return shuttingDown
	case !i.stoppedAt.IsZero() && now.Sub(i.stoppedAt) >= stopTime:
		return stopped
	case !i.stoppedAt.IsZero():
		return stopping
	case now.Sub(i.startedAt) < i.boot:
		return pending
	}
	return running
}

func (i *instance) end(at time.Time, reason string) {
	if i.endedAt.IsZero() {
		i.endedAt, i.reason = at, reason
	}
}

const ownReason = "Client.UserInitiatedShutdown: User initiated shutdown"

// advance lets pass what time has brought: faults that strike by themselves, late tags, and instances that are forgotten.
func (c *Cloud) advance() time.Time {
	now := c.Clock.Now()
	armed := len(c.Board.Armed()) > 0
	keep := c.order[:0]
	for _, i := range c.order {
		if !i.diesAt.IsZero() && !now.Before(i.diesAt) {
			i.end(i.diesAt, "Server.SpotInstanceTermination: Instance terminated by the service")
		}
		if armed && i.endedAt.IsZero() {
			if _, struck := c.Board.Take(passing, []string{i.ID, i.Zone, i.Type}, SpontaneousTermination); struck {
				i.end(now, "Server.InternalError: Internal error on launch")
			}
		}
		i.late = slices.DeleteFunc(i.late, func(l lateTags) bool {
			due := !now.Before(l.at)
			if due {
				maps.Copy(i.tags, l.tags)
			}
			return due
		})
		if !i.endedAt.IsZero() && now.Sub(i.endedAt) >= endTime+forgetAfter {
			delete(c.machines, i.ID)
			continue
		}
		keep = append(keep, i)
	}
	clear(c.order[len(keep):])
	c.order = keep
	return now
}

// tagged writes tags onto an instance, at once or late.
func (i *instance) tagged(tags map[string]string, now, visible time.Time) {
	if visible.After(now) {
		i.late = append(i.late, lateTags{visible, tags})
		return
	}
	maps.Copy(i.tags, tags)
}

// untagged takes tags away by their keys, those that do not show yet, too.
func (i *instance) untagged(tags map[string]string) {
	for key := range tags {
		delete(i.tags, key)
		for _, l := range i.late {
			delete(l.tags, key)
		}
	}
}

// address gives each machine its own loopback addresses, 127.16.… and 127.32.…: nothing listens there, they only have to differ.
func address(first, n int) string {
	return fmt.Sprintf("127.%d.%d.%d", first+n/(254*256)%16, n/254%256, 1+(n-1)%254)
}

func sorted[V any](all map[string]V) []V {
	values := make([]V, 0, len(all))
	for _, name := range slices.SortedFunc(maps.Keys(all), cmp.Compare[string]) {
		values = append(values, all[name])
	}
	return values
}

func copyOf(tags map[string]string) map[string]string {
	return maps.Clone(tags)
}

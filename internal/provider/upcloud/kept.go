package upcloud

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"

	"github.com/keelway/keelway/internal/fault"
)

// kept is what a server's own page said last. The list says whose a server is, its state, size and zone; its disks and addresses are
// on that page only, which costs a request a server.
type kept struct {
	details details
	until   time.Time // its turn comes again then, whatever the list says
}

const (
	restTime = time.Hour // for so long a page is not read again whose entry in the list does not change
	// Pages whose turn it is are read as slowly as that, however many there are: an account is listed at once when a process begins, and
	// what only its pages tell of machines that rest is known bit by bit.
	pageEvery = time.Second
	mostPages = 60 // of them by one list
)

// entry is what the list and the page both tell, in the same words when nothing has changed.
func entry(s upcloud.Server, labels upcloud.LabelSlice) string {
	sorted := slices.SortedFunc(slices.Values(labels), func(a, b upcloud.Label) int { return strings.Compare(a.Key, b.Key) })
	return fmt.Sprint(s.State, s.Plan, s.CoreNumber, s.MemoryAmount, s.Zone, sorted)
}

// recent is what is known of a listed server. Its page is read when it is its turn, and when the entry is another than that of the page
// that is known. The list is evidence enough: while UpCloud works on a server, and where its page is missing or cannot be read, it must do.
func (u *UpCloud) recent(ctx context.Context, s summary, turn bool) details {
	u.mu.Lock()
	have, ok := u.kept[s.UUID]
	u.mu.Unlock()
	have.details.brief = !ok
	same := ok && entry(have.details.Server, have.details.Labels) == entry(s.Server, s.Labels)
	if s.State == upcloud.ServerStateMaintenance || !turn && (same || !ok) {
		return have.details.over(s)
	}
	d, err := u.page(ctx, s.UUID)
	switch {
	case fault.IsGone(err), err != nil && fault.ReasonOf(err) == fault.ReasonUnauthorized:
		d = details{brief: true}.over(s)
		d.State = "listed without a page"
	case err != nil:
		d = have.details.over(s)
	}
	return d
}

// over is what a page said before, with what the list shows now.
func (d details) over(s summary) details {
	d.Server, d.Labels, d.Created = s.Server, s.Labels, s.Created
	return d
}

// turn chooses the resting servers whose pages a list of all reads besides: those that were never read, then those read longest ago.
func (u *UpCloud) turn(listed []summary) map[string]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.o.Now()
	if u.turned.IsZero() {
		u.turned = now
	}
	most := min(mostPages, int(now.Sub(u.turned)/pageEvery))
	if most <= 0 {
		return nil
	}
	u.turned = now
	var due []string
	for _, s := range listed {
		if s.State != upcloud.ServerStateMaintenance && !now.Before(u.kept[s.UUID].until) {
			due = append(due, s.UUID)
		}
	}
	slices.SortFunc(due, func(a, b string) int {
		return cmp.Or(u.kept[a].until.Compare(u.kept[b].until), strings.Compare(a, b))
	})
	chosen := map[string]bool{}
	for _, id := range due[:min(most, len(due))] {
		chosen[id] = true
	}
	return chosen
}

func (u *UpCloud) keep(d details) {
	spread := fnv.New32a() // so that pages which were read together are not read together again
	_, _ = spread.Write([]byte(d.UUID))
	u.mu.Lock()
	defer u.mu.Unlock()
	if d.State == upcloud.ServerStateStopped {
		delete(u.stops, d.UUID)
	}
	u.kept[d.UUID] = kept{d, u.o.Now().Add(restTime/2 + time.Duration(spread.Sum32())*time.Microsecond%(restTime/2))}
}

// prune forgets the pages of servers that the whole list does not show any more.
func (u *UpCloud) prune(listed []summary) {
	there := make(map[string]bool, len(listed))
	for _, s := range listed {
		there[s.UUID] = true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.kept, func(id string, _ kept) bool { return !there[id] })
	maps.DeleteFunc(u.stops, func(id string, _ stop) bool { return !there[id] })
	maps.DeleteFunc(u.seen, func(_ string, at time.Time) bool { return u.o.Now().Sub(at) >= u.o.Settle })
}

func (u *UpCloud) saw(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen[id] = u.o.Now()
}

// justSeen reports whether a server was seen that short ago that UpCloud may hide it now, and was not ended by us.
func (u *UpCloud) justSeen(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, ok := u.seen[id]
	return ok && u.o.Now().Sub(at) < u.o.Settle
}

// ended forgets all about a server that we deleted.
func (u *UpCloud) ended(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.seen, id)
	delete(u.kept, id)
	delete(u.stops, id)
}

func (u *UpCloud) forget(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.kept, id)
}

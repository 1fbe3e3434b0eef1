// Package upcloud knows how to be UpCloud: the part of its 1.3 JSON API that makes, changes and ends servers, with its delays, its
// limits and its faults, for the real SDK. It must not know who calls it, and it runs nothing: a server is an entry.
package upcloud

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// Options say how a cloud behaves.
type Options struct {
	Speed     float64       // at which its clock runs; 0: it stands still until it is moved
	Token     string        // that is accepted; default "ucat_FAKE"
	Username  string        // that is accepted, with Password; default "fake" and "fake"
	Password  string        //
	Bucket    float64       // requests that it takes at once; default 60
	Refill    float64       // requests that it takes a second; default 20
	MakeTime  time.Duration // from a server's creation to its running; default 45 s
	StartTime time.Duration // from start to running; default 15 s
	StopTime  time.Duration // from a hard stop to stopped; default 5 s; a soft one takes three times as long
}

// Cloud is one account. It is safe for concurrent use.
type Cloud struct {
	*faults.Stage
	o      Options
	bucket faults.Bucket

	mu       sync.Mutex
	servers  map[string]*server
	storages map[string]*storage
	networks map[string]*network
	groups   map[string]*group
	ghosts   map[string]*server // deleted, and in the list for some time still
	denied   map[string]bool    // ids of what was deleted and is answered by 403 from then on
	made     int
	nextIP   int
}

// New returns an account with nothing in it but UpCloud's own templates and networks.
func New(o Options) *Cloud {
	defaults := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		}
	}
	defaults(&o.MakeTime, 45*time.Second)
	defaults(&o.StartTime, 15*time.Second)
	defaults(&o.StopTime, 5*time.Second)
	if o.Token == "" {
		o.Token = "ucat_FAKE"
	}
	if o.Username == "" {
		o.Username, o.Password = "fake", "fake"
	}
	if o.Bucket == 0 {
		o.Bucket, o.Refill = 60, 20
	}
	c := &Cloud{
		o: o, Stage: faults.NewStage("upcloud", o.Speed, Kinds...), bucket: faults.Bucket{Size: o.Bucket, Refill: o.Refill},
		servers: map[string]*server{}, storages: map[string]*storage{}, networks: map[string]*network{}, groups: map[string]*group{},
		ghosts: map[string]*server{}, denied: map[string]bool{},
	}
	c.Stage.Things = func() any { return c.Inventory() }
	return c
}

// Handler serves the account, and the stage's own interface.
func (c *Cloud) Handler() http.Handler { return c.Stage.Handler(http.HandlerFunc(c.serve)) }

// Inventory is what exists and is billed.
type Inventory struct {
	Servers  []Thing `json:"servers"`
	Storages []Thing `json:"storages"`
	Networks []Thing `json:"networks"` // private ones
	Groups   []Thing `json:"groups"`
	Made     int     `json:"made"` // servers over the account's life
}

// Thing is one of them.
type Thing struct {
	ID     string            `json:"id"`
	Title  string            `json:"title"`
	State  string            `json:"state,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Of     string            `json:"of,omitempty"` // the server that a storage is attached to; the storage that a backup is of
	Rules  int               `json:"rules,omitempty"`
}

// Inventory tells what exists, in order of id.
func (c *Cloud) Inventory() Inventory {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	all := Inventory{Servers: []Thing{}, Storages: []Thing{}, Networks: []Thing{}, Groups: []Thing{}, Made: c.made}
	for id, s := range c.servers {
		all.Servers = append(all.Servers, Thing{ID: id, Title: s.title, State: s.state, Labels: plain(s.labels), Rules: len(s.rules)})
	}
	for id, s := range c.storages {
		all.Storages = append(all.Storages, Thing{ID: id, Title: s.title, State: s.state, Labels: plain(s.labels), Of: s.server + s.origin})
	}
	for id, n := range c.networks {
		all.Networks = append(all.Networks, Thing{ID: id, Title: n.name})
	}
	for id, g := range c.groups {
		all.Groups = append(all.Groups, Thing{ID: id, Title: g.title})
	}
	for _, list := range [][]Thing{all.Servers, all.Storages, all.Networks, all.Groups} {
		slices.SortFunc(list, func(a, b Thing) int { return strings.Compare(a.ID, b.ID) })
	}
	return all
}

// Bare reports whether nothing is left that would be billed.
func (i Inventory) Bare() bool { return len(i.Servers)+len(i.Storages) == 0 }

func plain(labels []label) map[string]string {
	all := map[string]string{}
	for _, l := range labels {
		all[l.Key] = l.Value
	}
	return all
}

// advance lets pass what time has brought.
func (c *Cloud) advance() time.Time {
	now := c.Clock.Now()
	for _, s := range c.servers {
		for s.next != "" && !now.Before(s.until) {
			s.state, s.next = s.next, ""
			if s.state == stateError {
				s.next, s.until = stateStarted, s.until.Add(s.errorTime)
			}
			if s.state == stateStarted || s.state == stateStopped {
				c.settle(s)
			}
		}
	}
	for id, s := range c.ghosts {
		if !now.Before(s.until) {
			delete(c.ghosts, id)
		}
	}
	return now
}

// settle lets the storages of a server come online.
func (c *Cloud) settle(s *server) {
	for _, d := range s.devices {
		c.storages[d.storage].state = stateOnline
	}
}

// newID returns a UUID of the form that UpCloud gives to things of a sort: 00 servers, 01 storages, 03 networks, 0b groups.
func newID(sort string) string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	text := sort + hex.EncodeToString(raw[1:])
	return fmt.Sprintf("%s-%s-4%s-8%s-%s", text[:8], text[8:12], text[13:16], text[17:20], text[20:])
}

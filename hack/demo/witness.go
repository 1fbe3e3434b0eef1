package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/view"
)

// witness writes down who is there as soon as it is seen, and notices when one is replaced by another.
type witness struct {
	order []string // what, in order of first sight
	first map[string]string
	last  map[string]string
	after map[string]int // how often the operator had been killed at first sight
}

func newWitness() *witness {
	return &witness{first: map[string]string{}, last: map[string]string{}, after: map[string]int{}}
}

// see notes that what is now called who.
func (w *witness) see(what, who string, kills int) {
	if who == "" {
		return
	}
	if _, known := w.first[what]; !known {
		w.order = append(w.order, what)
		w.first[what], w.after[what] = who, kills
	}
	if w.last[what] == "" || w.last[what] == w.first[what] { // a replacement stays on record
		w.last[what] = who
	}
}

// replaced lists what did not stay the same.
func (w *witness) replaced() (changed []string) {
	for _, what := range w.order {
		if w.first[what] != w.last[what] {
			changed = append(changed, fmt.Sprintf("%s was %s and became %s", what, w.first[what], w.last[what]))
		}
	}
	return changed
}

// count is how many things whose name begins so were seen.
func (w *witness) count(prefix string) (n int) {
	for _, what := range w.order {
		if strings.HasPrefix(what, prefix) {
			n++
		}
	}
	return n
}

// Prefixes of what a witness sees.
const (
	sawServer  = "server  "
	sawMember  = "member  "
	sawProcess = "process "
)

// Columns of the report.
const (
	whatWidth  = 20
	whoColumn  = 38
	whenColumn = 20
)

// report lists who was there first and who is there now.
func (w *witness) report() []view.Line {
	lines := []view.Line{{view.Dim.Of(view.Pad("", 2+whatWidth) + view.Pad("first seen as", whoColumn) + view.Pad("when", whenColumn) + "at the end")}}
	names := slices.Clone(w.order)
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	for _, what := range names {
		same := view.Green.Of("the same")
		if w.first[what] != w.last[what] {
			same = view.Red.Of(w.last[what])
		}
		when := "before any kill"
		if n := w.after[what]; n > 0 {
			when = fmt.Sprintf("after kill %d", n)
		}
		lines = append(lines, view.Line{view.Plain.Of("  " + view.Pad(what, whatWidth)), view.Plain.Of(view.Pad(w.first[what], whoColumn)), view.Dim.Of(view.Pad(when, whenColumn)), same})
	}
	return lines
}

// rank is the order of kinds in the report.
func rank(what string) int {
	return slices.IndexFunc([]string{sawServer, sawMember, sawProcess}, func(prefix string) bool { return strings.HasPrefix(what, prefix) })
}

// observe takes the servers' ids from the API and their daemons' process ids from the machines.
func (w *witness) observe(s *snapshot, on ground, kills int) {
	for i := range s.Servers {
		v := &s.Servers[i]
		name := s.ServerName(v.Name)
		w.see(sawServer+name, shortID(v.Status.ID), kills)
		if v.Status.Access != nil {
			w.see(sawProcess+name, on.daemon(v.Status.Access), kills)
		}
	}
}

// shortID is as much of an id as fits into a column: a container's is 64 digits long.
func shortID(id string) string { return id[:min(len(id), whoColumn-2)] }

// observeMembers asks the etcd cluster for its members; silence is no news.
func (w *witness) observeMembers(ctx context.Context, etcdctl string, s *snapshot, kills int) {
	var endpoints []string
	names := map[string]string{}
	for i := range s.Servers {
		if access := s.Servers[i].Status.Access; access != nil {
			endpoints = append(endpoints, "http://"+access.Address+":2379")
			names["http://"+access.Address+":2380"] = s.ServerName(s.Servers[i].Name)
		}
	}
	if len(endpoints) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, etcdctl, "--endpoints="+strings.Join(endpoints, ","), "--dial-timeout=1s",
		"--command-timeout=2s", "member", "list", "--write-out=json").Output()
	if err != nil {
		return
	}
	var list struct {
		Members []struct {
			ID       uint64   `json:"ID"`
			PeerURLs []string `json:"peerURLs"`
		} `json:"members"`
	}
	if json.Unmarshal(out, &list) != nil {
		return
	}
	for _, m := range list.Members {
		name := strings.Join(m.PeerURLs, ",")
		if known, ok := names[name]; ok {
			name = known
		}
		w.see(sawMember+name, strconv.FormatUint(m.ID, 16), kills)
	}
}

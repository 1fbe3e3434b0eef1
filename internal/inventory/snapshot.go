package inventory

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/provider"
)

// Snapshot is everything that one List of an account showed. It is shared by all who asked: nobody may change what it returns.
type Snapshot struct {
	Account string
	// StartedAt is when the List began: what was done before is in the snapshot, as far as the cloud shows it at once.
	StartedAt time.Time

	all    []provider.Instance // in order of id
	byID   map[string]int
	byKey  map[string][]provider.Instance
	byName map[[2]string][]provider.Instance
	launch map[provider.Launch]int // of those that a call for many made
}

// Change is one machine that appeared, vanished or looks different. Owner and Key are what was written onto it.
type Change struct {
	ID    string
	Key   string
	Owner provider.Owner
}

func newSnapshot(account string, startedAt time.Time, installation string, found []provider.Instance) Snapshot {
	s := Snapshot{Account: account, StartedAt: startedAt, byID: map[string]int{}, byKey: map[string][]provider.Instance{}, byName: map[[2]string][]provider.Instance{}, launch: map[provider.Launch]int{}}
	found = slices.SortedFunc(slices.Values(found), func(a, b provider.Instance) int { return strings.Compare(a.ID, b.ID) })
	for _, instance := range found {
		if instance.Owner.Installation != installation { // a provider that shows too much must not make it ours
			continue
		}
		s.byID[instance.ID] = len(s.all)
		if instance.Launch.Token != "" {
			s.launch[instance.Launch] = len(s.all)
		}
		s.all = append(s.all, instance)
		name := [2]string{instance.Owner.Namespace, instance.Owner.Name}
		s.byKey[instance.Key] = append(s.byKey[instance.Key], instance)
		s.byName[name] = append(s.byName[name], instance)
	}
	return s
}

// All returns every machine of the installation in order of id.
func (s Snapshot) All() []provider.Instance { return s.all }

// ByID returns the machine of that id.
func (s Snapshot) ByID(id string) (provider.Instance, bool) {
	at, ok := s.byID[id]
	if !ok {
		return provider.Instance{}, false
	}
	return s.all[at], true
}

// ByLaunch returns the machine that a call for many made as that member, whether it is labelled or not.
func (s Snapshot) ByLaunch(launch provider.Launch) (provider.Instance, bool) {
	at, ok := s.launch[launch]
	if !ok {
		return provider.Instance{}, false
	}
	return s.all[at], true
}

// ByKey returns the machines that carry the key, in order of id. More than one means that one is ending, or that something went
// wrong: whoever asks decides.
func (s Snapshot) ByKey(key string) []provider.Instance { return s.byKey[key] }

// ByName returns the machines made for objects of that name, whatever their UID, in order of id.
func (s Snapshot) ByName(namespace, name string) []provider.Instance {
	return s.byName[[2]string{namespace, name}]
}

// Making returns the keys of the machines that are Pending: they hold slots of the account's limit.
func (s Snapshot) Making() []string {
	var keys []string
	for _, instance := range s.all {
		if instance.State == provider.Pending {
			keys = append(keys, instance.Key)
		}
	}
	return keys
}

// moving reports whether any machine is on its way to another state.
func (s Snapshot) moving() bool {
	return slices.ContainsFunc(s.all, func(i provider.Instance) bool {
		return i.State == provider.Pending || i.State == provider.Terminating
	})
}

// changes returns what differs between two snapshots of an account, in order of id, the vanished last.
func changes(before, now Snapshot) []Change {
	var differ []Change
	add := func(i provider.Instance) { differ = append(differ, Change{ID: i.ID, Key: i.Key, Owner: i.Owner}) }
	for _, instance := range now.all {
		if old, had := before.ByID(instance.ID); !had || !reflect.DeepEqual(old, instance) {
			add(instance)
		}
	}
	for _, instance := range before.all {
		if _, has := now.byID[instance.ID]; !has {
			add(instance)
		}
	}
	return differ
}

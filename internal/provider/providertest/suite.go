// Package providertest knows the contract of provider.Provider as one suite that every implementation and every fake must pass.
// It must not know any implementation: a Subject brings what differs between them.
package providertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Subject is one empty account of the implementation under test.
type Subject struct {
	// Open returns the account as an installation of that id reaches it. It is called with several ids.
	Open func(t *testing.T, installation string) provider.Provider
	// Pass lets time pass between two looks at the account: a fake moves its clock, a real one sleeps shortly.
	Pass func()
	// Shape is a size, zone and image that the account can make; empty fields are its defaults.
	Shape provider.Machine
	// Refused are shapes that it can never make, by the field that the message must name.
	Refused map[string]provider.Machine
	// Can are its optional capabilities: no other is found, and each part of the suite about one of them runs.
	Can []Ability
	// Resized is another size that a machine of Shape can get. For Resize.
	Resized string
	// Stray makes a machine that carries no labels of ours, as a person does at the cloud's console. For Adopt; nil where that cannot be.
	Stray func(t *testing.T) string
	// Tier is one of disks. Empty where machines have no disks of their own: whoever wants some is refused.
	Tier string
	// NoNetwork has the form of a private network's id, and there is none of that id. Empty where machines have no networks, nor user data.
	NoNetwork string
}

// Run walks the whole contract, each part on an account of its own.
func Run(t *testing.T, subject func(t *testing.T) Subject) {
	parts := map[string]func(*testing.T, *run){
		"Life":                       testLife,
		"CreateTwice":                testCreateTwice,
		"CreateAtOnce":               testCreateAtOnce,
		"CreateAfterDelete":          testCreateAfterDelete,
		"CreateWhileTerminating":     testCreateWhileTerminating,
		"Unknown":                    testUnknown,
		"ListOnlyOurs":               testListOnlyOurs,
		"ListNarrowed":               testListNarrowed,
		"HostileNames":               testHostileNames,
		"RefusedIdentities":          testRefusedIdentities,
		"RefusedShapes":              testRefusedShapes,
		"CancelledContext":           testCancelledContext,
		"AnswersBelongToTheCaller":   testAnswersBelongToTheCaller,
		"DistinctIDsAndAddresses":    testDistinct,
		"DeletingOneLeavesTheOthers": testDeletingOne,
		"Abilities":                  testAbilities,
		"Disks":                      testDisks,
		"Network":                    testNetwork,
	}
	for ability, part := range map[Ability]func(*testing.T, *run){
		Power: testPower, Resize: testResize, Adopt: testAdopt, Prices: testPrices, Catalogue: testCatalogue,
	} {
		if slices.Contains(subject(t).Can, ability) {
			parts[string(ability)] = part
		}
	}
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			s := subject(t)
			part(t, &run{t: t, subject: s, p: s.Open(t, ours)})
		})
	}
}

const (
	ours   = "installation-a"
	theirs = "installation-b"
	// patience bounds every loop of the suite: looks at the account, each after a Pass.
	patience = 2000
)

type run struct {
	t       *testing.T
	subject Subject
	p       provider.Provider
}

// want returns a request that the account must be able to fulfil.
func (r *run) want(namespace, name, uid string) provider.Machine {
	m := r.subject.Shape
	m.Key = "key-" + uid
	m.Owner = provider.Owner{Installation: ours, Namespace: namespace, Name: name, UID: uid}
	return m
}

func (r *run) create(want provider.Machine) provider.Instance {
	r.t.Helper()
	got, err := r.p.Create(context.Background(), want)
	if err != nil {
		r.t.Fatalf("creating %q: %v", want.Key, err)
	}
	r.check(got, want)
	return got
}

// check says what must hold of an instance at any time of its life.
func (r *run) check(got provider.Instance, want provider.Machine) {
	r.t.Helper()
	if got.ID == "" || got.Key != want.Key || got.Owner != want.Owner {
		r.t.Fatalf("the instance does not carry the identity that was asked for:\n got %+v\nwant %+v", got, want)
	}
	switch got.State {
	case provider.Pending, provider.Running, provider.Stopped, provider.Terminating, provider.Failed:
	default:
		r.t.Fatalf("state %q is not in the list", got.State)
	}
	if got.CreatedAt.IsZero() {
		r.t.Fatal("an instance says when it was made")
	}
	if len(got.Message) > provider.MessageLimit {
		r.t.Fatalf("a message has %d bytes", len(got.Message))
	}
}

// running waits until the instance runs and can be dialled.
func (r *run) running(id string) provider.Instance {
	r.t.Helper()
	for range patience {
		got, err := r.p.Get(context.Background(), id)
		if err == nil && got.State == provider.Running {
			if got.Access.Transport == "" || len(got.Addresses) == 0 {
				r.t.Fatalf("a running instance has an address and says how to reach it: %+v", got)
			}
			return got
		}
		if err != nil && fault.ClassOf(err) != fault.Gone {
			r.t.Fatalf("getting %s: %v", id, err)
		}
		r.subject.Pass()
	}
	r.t.Fatalf("%s never ran", id)
	return provider.Instance{}
}

// end deletes until Gone, as a caller does.
func (r *run) end(id string) {
	r.t.Helper()
	for range patience {
		switch err := r.p.Delete(context.Background(), id); {
		case fault.IsGone(err):
			return
		case err != nil:
			r.t.Fatalf("deleting %s: %v", id, err)
		}
		r.subject.Pass()
	}
	r.t.Fatalf("%s never ended", id)
}

func (r *run) list(owner provider.Owner) map[string]provider.Instance {
	r.t.Helper()
	got, err := r.p.List(context.Background(), owner)
	if err != nil {
		r.t.Fatalf("listing for %+v: %v", owner, err)
	}
	byID := map[string]provider.Instance{}
	for i, instance := range got {
		if i > 0 && got[i-1].ID >= instance.ID {
			r.t.Fatalf("the list is not in order of id, or has one twice: %s, %s", got[i-1].ID, instance.ID)
		}
		byID[instance.ID] = instance
	}
	return byID
}

func (r *run) expectIDs(owner provider.Owner, reason string, want ...string) {
	r.t.Helper()
	got := r.list(owner)
	for _, id := range want {
		if _, ok := got[id]; !ok {
			r.t.Errorf("%s: %s is missing from %d instances", reason, id, len(got))
		}
	}
	if len(got) != len(want) {
		r.t.Errorf("%s: got %d instances, want %d", reason, len(got), len(want))
	}
}

// refusal checks an error for what a person must be able to read.
func (r *run) refusal(err error, reason fault.Reason, mention string) {
	r.t.Helper()
	if !fault.IsTerminal(err) || fault.ReasonOf(err) != reason {
		r.t.Errorf("got %v, want Terminal/%s", err, reason)
		return
	}
	if len(err.Error()) > provider.MessageLimit {
		r.t.Errorf("the message has %d bytes", len(err.Error()))
	}
	if !strings.Contains(strings.ToLower(err.Error()), mention) {
		r.t.Errorf("the message %q does not mention %q", err, mention)
	}
}

// Sleep is the Pass of an account whose time is real.
func Sleep() { time.Sleep(5 * time.Millisecond) }

func uid(n int) string { return fmt.Sprintf("uid-%04d", n) }

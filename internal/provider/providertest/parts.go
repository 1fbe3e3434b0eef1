package providertest

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

func testLife(t *testing.T, r *run) {
	if got := r.list(provider.Owner{Installation: ours}); len(got) != 0 {
		t.Fatalf("the account is not empty: %v", got)
	}
	want := r.want("team-a", "web-1", uid(1))
	made := r.create(want)
	up := r.running(made.ID)
	r.check(up, want)
	if !up.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("the time of creation moved from %v to %v", made.CreatedAt, up.CreatedAt)
	}
	listed := r.list(provider.Owner{Installation: ours})[made.ID]
	if diff := cmp.Diff(up, listed); diff != "" {
		t.Errorf("Get and List disagree (-get +list):\n%s", diff)
	}
	if err := r.p.Delete(context.Background(), made.ID); err == nil {
		if got, err := r.p.Get(context.Background(), made.ID); err == nil && got.State != provider.Terminating {
			t.Errorf("after Delete the state is %s", got.State)
		}
	}
	r.end(made.ID)
	if _, err := r.p.Get(context.Background(), made.ID); !fault.IsGone(err) {
		t.Errorf("getting what has ended: %v", err)
	}
	r.expectIDs(provider.Owner{Installation: ours}, "what has ended is not listed")
	r.end(made.ID)
}

func testCreateTwice(t *testing.T, r *run) {
	want := r.want("team-a", "web-1", uid(1))
	made := r.create(want)
	if again := r.create(want); again.ID != made.ID {
		t.Errorf("the same key made %s and %s", made.ID, again.ID)
	}
	r.running(made.ID)
	for field, shape := range r.subject.Refused {
		changed := want
		changed.Size, changed.Zone, changed.Image = shape.Size, shape.Zone, shape.Image
		got, err := r.p.Create(context.Background(), changed)
		if err != nil || got.ID != made.ID || got.Size != made.Size || got.Zone != made.Zone || got.Image != made.Image {
			t.Errorf("a changed %s must give the machine that is there, as it is: %+v, %v", field, got, err)
		}
	}
	r.expectIDs(provider.Owner{Installation: ours}, "one key, one machine", made.ID)
}

func testCreateAtOnce(t *testing.T, r *run) {
	const callers = 32
	want := r.want("team-a", "web-1", uid(1))
	ids := make([]string, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for range patience {
				got, err := r.p.Create(context.Background(), want)
				if err == nil {
					ids[i] = got.ID
					return
				}
				if class := fault.ClassOf(err); class == fault.Terminal || class == fault.Gone {
					t.Errorf("caller %d: %v", i, err)
					return
				}
			}
			t.Errorf("caller %d never got an answer", i)
		})
	}
	all.Wait()
	for i, id := range ids {
		if id != ids[0] {
			t.Fatalf("caller %d got %q, caller 0 %q", i, id, ids[0])
		}
	}
	r.expectIDs(provider.Owner{Installation: ours}, "one key, one machine", ids[0])
}

func testCreateAfterDelete(t *testing.T, r *run) {
	want := r.want("team-a", "web-1", uid(1))
	made := r.create(want)
	r.running(made.ID)
	r.end(made.ID)
	again := r.create(want)
	if again.ID == made.ID {
		t.Errorf("id %s was used again: whoever remembers it would take the new machine for the old one", made.ID)
	}
	if _, err := r.p.Get(context.Background(), made.ID); !fault.IsGone(err) {
		t.Errorf("the old id came back: %v", err)
	}
	if err := r.p.Delete(context.Background(), made.ID); !fault.IsGone(err) {
		t.Errorf("deleting by the old id: %v", err)
	}
	r.running(again.ID)
	r.expectIDs(provider.Owner{Installation: ours}, "the old id's Delete touched nothing", again.ID)
}

func testCreateWhileTerminating(t *testing.T, r *run) {
	want := r.want("team-a", "web-1", uid(1))
	made := r.create(want)
	r.running(made.ID)
	err := r.p.Delete(context.Background(), made.ID)
	got := r.create(want)
	switch {
	case fault.IsGone(err): // its end takes no time at all
		if got.ID == made.ID {
			t.Errorf("%s was gone and is there again", made.ID)
		}
	case err != nil:
		t.Fatalf("deleting: %v", err)
	case got.ID == made.ID && got.State != provider.Terminating:
		t.Errorf("a create revived %s: %s", made.ID, got.State)
	}
	r.end(made.ID)
}

func testUnknown(t *testing.T, r *run) {
	made := r.create(r.want("team-a", "web-1", uid(1)))
	for name, id := range map[string]string{
		"empty": "", "other": "i-0123456789", "path": "../../" + made.ID, "longer": made.ID + "x", "shorter": made.ID[:len(made.ID)-1],
		"slash": "/", "dots": "..", "NUL": made.ID + "\x00", "long": strings.Repeat("i", 100_000),
	} {
		_, err := r.p.Get(context.Background(), id)
		if !fault.IsGone(err) {
			t.Errorf("getting id %s: got %v, want Gone", name, err)
		} else if len(err.Error()) > provider.MessageLimit {
			t.Errorf("getting id %s: the message has %d bytes", name, len(err.Error()))
		}
		if err := r.p.Delete(context.Background(), id); !fault.IsGone(err) {
			t.Errorf("deleting id %s: got %v, want Gone", name, err)
		}
	}
	r.expectIDs(provider.Owner{Installation: ours}, "nothing else was deleted", made.ID)
}

func testListOnlyOurs(t *testing.T, r *run) {
	made := r.create(r.want("team-a", "web-1", uid(1)))
	other := &run{t: t, subject: r.subject, p: r.subject.Open(t, theirs)}
	want := r.want("team-a", "web-1", uid(2))
	want.Owner.Installation = theirs
	foreign := other.create(want)
	r.expectIDs(provider.Owner{Installation: ours}, "ours", made.ID)
	other.expectIDs(provider.Owner{Installation: theirs}, "theirs", foreign.ID)
	if _, err := r.p.List(context.Background(), provider.Owner{}); !fault.IsTerminal(err) {
		t.Errorf("a list for nobody would show what is not ours: %v", err)
	}
}

// The search before a first create: does another object's machine of our name live?
func testListNarrowed(t *testing.T, r *run) {
	old := r.create(r.want("team-a", "web-1", uid(1)))
	sameName := r.create(r.want("team-a", "web-1", uid(2)))
	r.create(r.want("team-a", "web-10", uid(3)))
	elsewhere := r.create(r.want("team-b", "web-1", uid(4)))
	r.expectIDs(provider.Owner{Installation: ours, Namespace: "team-a", Name: "web-1", UID: uid(9)}, "any uid of that name", old.ID, sameName.ID)
	r.expectIDs(provider.Owner{Installation: ours, Namespace: "team-b", Name: "web-1"}, "the namespace counts", elsewhere.ID)
	r.expectIDs(provider.Owner{Installation: ours, Namespace: "team-a", Name: "web"}, "a prefix is another name")
}

func testHostileNames(t *testing.T, r *run) {
	names := []string{
		"../../../etc/passwd", "/", ".", "..", "-rf", "a b", `"quoted" 'and' \escaped\`, "$(reboot)", "ünïcödé", "名前", "%00%2f", "a,b;c=d|e&f",
		strings.Repeat("x", 253), "{{.}}", "<script>",
	}
	for i, name := range names {
		want := r.want("team-a", name, uid(i))
		want.Key = name[:min(len(name), 128)] // a key as hostile as the name
		made := r.create(want)
		if again := r.create(want); again.ID != made.ID {
			t.Errorf("%q: the same key made %s and %s", name, made.ID, again.ID)
		}
		r.expectIDs(want.Owner, "found by its name "+name, made.ID)
	}
	if got := r.list(provider.Owner{Installation: ours}); len(got) != len(names) {
		t.Errorf("%d machines for %d names", len(got), len(names))
	}
}

func testRefusedIdentities(t *testing.T, r *run) {
	for mention, spoil := range map[string]func(*provider.Machine){
		"key":          func(m *provider.Machine) { m.Key = "" },
		"installation": func(m *provider.Machine) { m.Owner.Installation = "" },
		"uid":          func(m *provider.Machine) { m.Owner.UID = "" },
		"name":         func(m *provider.Machine) { m.Owner.Name = strings.Repeat("x", 10_000) },
		"utf-8":        func(m *provider.Machine) { m.Owner.Name = "a\xff" },
		"control":      func(m *provider.Machine) { m.Key = "a\x00b" },
	} {
		want := r.want("team-a", "web-1", uid(1))
		spoil(&want)
		_, err := r.p.Create(context.Background(), want)
		r.refusal(err, fault.ReasonInvalid, mention)
	}
	r.expectIDs(provider.Owner{Installation: ours}, "nothing half-made")
}

func testRefusedShapes(t *testing.T, r *run) {
	for field, shape := range r.subject.Refused {
		want := r.want("team-a", "web-1", uid(1))
		want.Size, want.Zone, want.Image = shape.Size, shape.Zone, shape.Image
		_, err := r.p.Create(context.Background(), want)
		r.refusal(err, fault.ReasonInvalid, field)
	}
	r.expectIDs(provider.Owner{Installation: ours}, "nothing half-made")
}

func testCancelledContext(t *testing.T, r *run) {
	made := r.create(r.want("team-a", "web-1", uid(1)))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, createErr := r.p.Create(ctx, r.want("team-a", "web-2", uid(2)))
	_, getErr := r.p.Get(ctx, made.ID)
	_, listErr := r.p.List(ctx, provider.Owner{Installation: ours})
	for verb, err := range map[string]error{"Create": createErr, "Get": getErr, "Delete": r.p.Delete(ctx, made.ID), "List": listErr} {
		if class := fault.ClassOf(err); err == nil || class == fault.Gone || class == fault.Terminal {
			t.Errorf("%s with an ended context: %v", verb, err)
		}
	}
	r.expectIDs(provider.Owner{Installation: ours}, "nothing was done", made.ID)
	r.running(made.ID)
}

func testAnswersBelongToTheCaller(t *testing.T, r *run) {
	made := r.running(r.create(r.want("team-a", "web-1", uid(1))).ID)
	want := made.Addresses[0].Address
	made.Addresses[0].Address = "spoilt"
	if got := r.running(made.ID); got.Addresses[0].Address != want {
		t.Errorf("a caller changed the provider's own memory: %+v", got.Addresses)
	}
}

func testDistinct(t *testing.T, r *run) {
	seen := map[string]string{}
	for i := range 40 {
		got := r.running(r.create(r.want("team-a", "web-"+uid(i), uid(i))).ID)
		for what, value := range map[string]string{"id": got.ID, "address": got.Addresses[0].Address, "target": got.Access.Target} {
			if other, taken := seen[what+value]; taken {
				t.Errorf("%s %s belongs to both %s and %s", what, value, other, got.Key)
			}
			seen[what+value] = got.Key
		}
	}
}

func testDeletingOne(t *testing.T, r *run) {
	first := r.create(r.want("team-a", "web-1", uid(1)))
	second := r.create(r.want("team-a", "web-2", uid(2)))
	before := r.running(second.ID)
	r.end(first.ID)
	if diff := cmp.Diff(before, r.running(second.ID)); diff != "" {
		t.Errorf("the other machine changed:\n%s", diff)
	}
	r.expectIDs(provider.Owner{Installation: ours}, "the other machine stays", second.ID)
}

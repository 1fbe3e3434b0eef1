package providertest

import (
	"context"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Ability is an optional capability of a provider.
type Ability string

const (
	Power     Ability = "Power"
	Resize    Ability = "Resize"
	Adopt     Ability = "Adopt"
	Batch     Ability = "Batch" // what a call for many owes is tested where it is made
	Prices    Ability = "Prices"
	Catalogue Ability = "Catalogue"
)

// found are the abilities of a provider, as provider.As finds them, in order of name.
func found(p provider.Provider) (all []Ability) {
	add := func(a Ability, ok bool) {
		if ok {
			all = append(all, a)
		}
	}
	_, adopt := provider.As[provider.Adopter](p)
	add(Adopt, adopt)
	_, batch := provider.As[provider.Batcher](p)
	add(Batch, batch)
	_, catalogue := provider.As[provider.Cataloguer](p)
	add(Catalogue, catalogue)
	_, power := provider.As[provider.Powerer](p)
	add(Power, power)
	_, prices := provider.As[provider.Pricer](p)
	add(Prices, prices)
	_, resize := provider.As[provider.Resizer](p)
	add(Resize, resize)
	return all
}

// testAbilities: none is lost or won without the subject saying so, and a guard hides none.
func testAbilities(t *testing.T, r *run) {
	want := slices.Sorted(slices.Values(r.subject.Can))
	for name, p := range map[string]provider.Provider{"bare": r.p, "guarded": provider.Guarded(r.p, 0)} {
		if got := found(p); !slices.Equal(got, want) {
			t.Errorf("%s: it can %v, and the subject says %v", name, got, want)
		}
	}
}

// reaches repeats a call, as a caller does, until the machine is in that state.
func (r *run) reaches(id string, state provider.State, do func() error) provider.Instance {
	r.t.Helper()
	for range patience {
		if err := do(); err != nil && fault.ClassOf(err) != fault.Wait && fault.ClassOf(err) != fault.Retry {
			r.t.Fatalf("%s is to be %s: %v", id, state, err)
		}
		if got, err := r.p.Get(context.Background(), id); err == nil && got.State == state {
			return got
		}
		r.subject.Pass()
	}
	r.t.Fatalf("%s never was %s", id, state)
	return provider.Instance{}
}

func testPower(t *testing.T, r *run) {
	ctx := context.Background()
	p, _ := provider.As[provider.Powerer](r.p)
	want := r.want("team-a", "web-1", uid(1))
	up := r.running(r.create(want).ID)
	turn := func(to provider.Power) func() error { return func() error { return p.Power(ctx, up.ID, to) } }
	if err := p.Power(ctx, up.ID, provider.PowerOn); err != nil {
		t.Errorf("it runs already: %v", err)
	}
	for range 2 { // there and back, twice
		off := r.reaches(up.ID, provider.Stopped, turn(provider.PowerOff))
		r.check(off, want)
		if off.Access.Transport != "" || !off.CreatedAt.Equal(up.CreatedAt) {
			t.Errorf("what is off cannot be dialled, and is as old as it was: %+v", off)
		}
		if listed := r.list(want.Owner)[up.ID]; listed.State != provider.Stopped {
			t.Errorf("the list says %s", listed.State)
		}
		if err := p.Power(ctx, up.ID, provider.PowerOff); err != nil {
			t.Errorf("it is off already: %v", err)
		}
		for range 3 { // nothing but Power starts it again
			if again := r.create(want); again.ID != up.ID || again.State != provider.Stopped {
				t.Errorf("asking for it again: %+v", again)
			}
			r.subject.Pass()
		}
		on := r.reaches(up.ID, provider.Running, turn(provider.PowerOn))
		r.check(on, want)
		if on.Access.Transport != up.Access.Transport || on.Access.Target != up.Access.Target || len(on.Addresses) == 0 {
			t.Errorf("it is reached as before: %+v", on)
		}
	}
	r.reaches(up.ID, provider.Stopped, turn(provider.PowerOff))
	r.end(up.ID)
	for _, id := range []string{up.ID, "", "i-0123456789", "../" + up.ID} {
		for _, to := range []provider.Power{provider.PowerOn, provider.PowerOff} {
			if err := p.Power(ctx, id, to); !fault.IsGone(err) {
				t.Errorf("power %s of %q: got %v, want Gone", to, id, err)
			}
		}
	}
}

func testResize(t *testing.T, r *run) {
	ctx := context.Background()
	sizes, _ := provider.As[provider.Resizer](r.p)
	power, _ := provider.As[provider.Powerer](r.p)
	up := r.running(r.create(r.want("team-a", "web-1", uid(1))).ID)
	to := r.subject.Resized
	if err := sizes.Resize(ctx, up.ID, to); !fault.IsWait(err) || err == nil {
		t.Errorf("it runs: got %v, want Wait", err)
	}
	r.reaches(up.ID, provider.Stopped, func() error { return power.Power(ctx, up.ID, provider.PowerOff) })
	r.refusal(sizes.Resize(ctx, up.ID, to+"-no-such"), fault.ReasonInvalid, "size")
	for range 2 {
		r.reaches(up.ID, provider.Stopped, func() error { return sizes.Resize(ctx, up.ID, to) })
	}
	if got, err := r.p.Get(ctx, up.ID); err != nil || got.Size != to {
		t.Errorf("its size is %s (%v), want %s", got.Size, err, to)
	}
	on := r.reaches(up.ID, provider.Running, func() error { return power.Power(ctx, up.ID, provider.PowerOn) })
	if on.Size != to || r.list(provider.Owner{Installation: ours})[up.ID].Size != to {
		t.Errorf("it came up as %s", on.Size)
	}
	r.end(up.ID)
	if err := sizes.Resize(ctx, up.ID, to); !fault.IsGone(err) {
		t.Errorf("resizing what has ended: %v", err)
	}
}

func testAdopt(t *testing.T, r *run) {
	ctx := context.Background()
	p, _ := provider.As[provider.Adopter](r.p)
	want := r.want("team-a", "web-1", uid(1))
	id := ""
	if r.subject.Stray != nil {
		id = r.subject.Stray(t)
		r.expectIDs(provider.Owner{Installation: ours}, "nobody's machine is not ours yet")
	} else {
		id = r.running(r.create(want).ID).ID
	}
	for range 2 {
		got, err := p.Adopt(ctx, id, want.Key, want.Owner)
		if err != nil {
			t.Fatal(err)
		}
		r.check(got, want)
	}
	if again := r.create(want); again.ID != id {
		t.Errorf("the key of adopted %s made %s", id, again.ID)
	}
	stranger := want.Owner
	stranger.Name = "web-2"
	_, err := p.Adopt(ctx, id, "key-other", stranger)
	r.refusal(err, fault.ReasonIdentityConflict, "web-1")
	later := r.want("team-a", "web-1", uid(2)) // of the same name, after the first object was lost
	got, err := p.Adopt(ctx, id, later.Key, later.Owner)
	if err != nil {
		t.Fatal(err)
	}
	r.check(got, later)
	r.expectIDs(provider.Owner{Installation: ours}, "adopting makes nothing", id)
	r.check(r.running(id), later)
	for _, unknown := range []string{"", "i-0123456789", "../" + id} {
		if _, err := p.Adopt(ctx, unknown, want.Key, want.Owner); !fault.IsGone(err) {
			t.Errorf("adopting %q: got %v, want Gone", unknown, err)
		}
	}
	r.end(id)
}

// testDisks: a machine has the disks that were asked for, or the driver says that it has none.
func testDisks(t *testing.T, r *run) {
	want := r.want("team-a", "web-1", uid(1))
	root, data := provider.Disk{SizeGiB: 40, Tier: r.subject.Tier}, provider.Disk{Name: "data", SizeGiB: 20, Tier: r.subject.Tier}
	if r.subject.Tier == "" {
		for field, spoil := range map[string]func(*provider.Machine){
			"rootdisk": func(m *provider.Machine) { m.RootDisk = root },
			"disks":    func(m *provider.Machine) { m.Disks = []provider.Disk{data} },
		} {
			r.lacks(want, field, spoil)
		}
		return
	}
	want.RootDisk, want.Disks = root, []provider.Disk{data}
	made := r.running(r.create(want).ID)
	var listed provider.Instance
	for n := 0; n < patience && listed.Disks == nil; n++ { // a list may tell of disks later
		listed = r.list(provider.Owner{Installation: ours})[made.ID]
		r.subject.Pass()
	}
	got, err := r.p.Get(context.Background(), made.ID)
	if disks := []provider.Disk{root, data}; err != nil || !slices.Equal(got.Disks, disks) || !slices.Equal(listed.Disks, disks) {
		t.Errorf("Get tells the disks %+v (%v), and List %+v", got.Disks, err, listed.Disks)
	}
	r.end(made.ID)
}

// testNetwork: a machine is attached as was asked for; what is not there is named; or the driver says that it has no networks.
func testNetwork(t *testing.T, r *run) {
	want := r.want("team-a", "web-1", uid(1))
	if r.subject.NoNetwork == "" {
		for _, n := range []provider.Network{{PublicIPv4: provider.Enabled}, {PublicIPv6: provider.Disabled}, {Private: []string{"net-1"}}} {
			r.lacks(want, "network", func(m *provider.Machine) { m.Network = n })
		}
		r.lacks(want, "userdatafrom", func(m *provider.Machine) { m.UserData = []byte("#cloud-config") })
		return
	}
	unknown := want
	unknown.Network.Private = []string{r.subject.NoNetwork}
	_, err := r.p.Create(context.Background(), unknown)
	r.refusal(err, fault.ReasonInvalid, "network")
	r.expectIDs(provider.Owner{Installation: ours}, "nothing half-made")
	want.Network.PublicIPv4 = provider.Disabled
	private := r.running(r.create(want).ID)
	for _, a := range private.Addresses {
		if a.Type == provider.PublicIPv4 {
			t.Errorf("it has the public address %s", a.Address)
		}
	}
	r.end(private.ID)
}

// lacks asserts that a wish which the driver cannot fulfil is refused, and not dropped in silence.
func (r *run) lacks(want provider.Machine, field string, spoil func(*provider.Machine)) {
	r.t.Helper()
	spoil(&want)
	_, err := r.p.Create(context.Background(), want)
	r.refusal(err, fault.ReasonInvalid, field)
	r.expectIDs(provider.Owner{Installation: ours}, "nothing half-made")
}

// testPrices: a price has a currency, a source and a date, and an unknown one is never a number.
func testPrices(t *testing.T, r *run) {
	p, _ := provider.As[provider.Pricer](r.p)
	cost, err := p.Price(context.Background(), r.want("team-a", "web-1", uid(1)))
	if err != nil || len(cost.Components) == 0 || len(cost.Currency) != 3 || cost.Source == "" || cost.AsOf.IsZero() {
		t.Fatalf("%+v, %v", cost, err)
	}
	for _, c := range cost.Components {
		if amount, ok := new(big.Rat).SetString(c.Hourly); !ok || amount.Sign() < 0 || c.Name == "" {
			t.Errorf("a component costs %q: %+v", c.Hourly, c)
		}
	}
	unknown := r.want("team-a", "web-1", uid(1))
	unknown.Size = "no-such-size"
	if cost, err := p.Price(context.Background(), unknown); err == nil && len(cost.Components) > 0 {
		t.Errorf("a size that is not there costs %+v", cost)
	}
}

// testCatalogue: what the account's shape names is listed, in order, and each name once.
func testCatalogue(t *testing.T, r *run) {
	ctx := context.Background()
	p, _ := provider.As[provider.Cataloguer](r.p)
	shape := r.subject.Shape
	zones, err := p.Zones(ctx)
	r.lists("zones", zones, err, shape.Zone)
	sizes, err := p.Sizes(ctx, shape.Zone)
	r.lists("sizes", sizes, err, shape.Size)
	images, err := p.Images(ctx, shape.Zone)
	r.lists("images", images, err, shape.Image)
}

func (r *run) lists(what string, got []provider.Choice, err error, name string) {
	r.t.Helper()
	if err != nil || len(got) == 0 {
		r.t.Errorf("%s: %d, %v", what, len(got), err)
		return
	}
	for i := range got {
		if got[i].Name == "" || i > 0 && strings.Compare(got[i-1].Name, got[i].Name) >= 0 {
			r.t.Errorf("%s are not in order, or one has no name: %q", what, got[i].Name)
		}
	}
	if name != "" && !slices.ContainsFunc(got, func(c provider.Choice) bool { return c.Name == name }) {
		r.t.Errorf("%s: %s can be made and is not listed", what, name)
	}
}

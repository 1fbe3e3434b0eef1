package provider_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// scripted answers every call with one function.
type scripted func(ctx context.Context) error

func (s scripted) Create(ctx context.Context, _ provider.Machine) (provider.Instance, error) {
	return provider.Instance{}, s(ctx)
}
func (s scripted) Get(ctx context.Context, _ string) (provider.Instance, error) {
	return provider.Instance{}, s(ctx)
}
func (s scripted) Delete(ctx context.Context, _ string) error { return s(ctx) }
func (s scripted) List(ctx context.Context, _ provider.Owner) ([]provider.Instance, error) {
	return nil, s(ctx)
}

func calls(p provider.Provider) map[string]func() error {
	ctx := context.Background()
	return map[string]func() error{
		"Create": func() error { _, err := p.Create(ctx, provider.Machine{}); return err },
		"Get":    func() error { _, err := p.Get(ctx, "x"); return err },
		"Delete": func() error { return p.Delete(ctx, "x") },
		"List":   func() error { _, err := p.List(ctx, provider.Owner{}); return err },
	}
}

func TestGuarded(t *testing.T) {
	writes := map[string]bool{"Create": true, "Delete": true}
	stuck := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := map[string]struct {
		reason      string
		call        scripted
		read, write fault.Class
		cause       fault.Reason
		writeCause  fault.Reason
	}{
		"stuck": {
			reason: "a call that was cut off may have taken effect, a read cannot have",
			call:   stuck, read: fault.Retry, write: fault.Unknown, cause: fault.ReasonTransient, writeCause: fault.ReasonOutcomeUnknown,
		},
		"panic": {
			reason: "a bug in a vendor's code is retried and stays where it is",
			call:   func(context.Context) error { panic(strings.Repeat("ü", 5000)) },
			read:   fault.Retry, write: fault.Retry, cause: fault.ReasonPanic, writeCause: fault.ReasonPanic,
		},
		"classified": {
			reason: "what the provider said of itself stands, even when the context ended too",
			call: func(ctx context.Context) error {
				<-ctx.Done()
				return fault.New(fault.Terminal, fault.ReasonQuotaExceeded, "no more: %w", ctx.Err())
			},
			read: fault.Terminal, write: fault.Terminal, cause: fault.ReasonQuotaExceeded, writeCause: fault.ReasonQuotaExceeded,
		},
		"foreign": {
			reason: "an error that has nothing to do with the deadline is passed on as it is",
			call:   func(context.Context) error { return errors.New("odd") },
			read:   fault.Retry, write: fault.Retry, cause: fault.ReasonInternal, writeCause: fault.ReasonInternal,
		},
	}
	for name, tc := range tests {
		for verb, call := range calls(provider.Guarded(tc.call, time.Millisecond)) {
			t.Run(name+"/"+verb, func(t *testing.T) {
				class, cause := tc.read, tc.cause
				if writes[verb] {
					class, cause = tc.write, tc.writeCause
				}
				err := call()
				if err == nil || fault.ClassOf(err) != class || fault.ReasonOf(err) != cause {
					t.Errorf("%s: got %v %v (%v), want %v %v", tc.reason, fault.ClassOf(err), fault.ReasonOf(err), err, class, cause)
				}
				if err != nil && (len(err.Error()) > provider.MessageLimit || !utf8.ValidString(err.Error())) {
					t.Errorf("the message has %d bytes", len(err.Error()))
				}
			})
		}
	}
	for verb, call := range calls(provider.Guarded(scripted(func(context.Context) error { return nil }), 0)) {
		if err := call(); err != nil {
			t.Errorf("%s: a call that works must work guarded: %v", verb, err)
		}
	}
}

func TestMachineValidate(t *testing.T) {
	good := provider.Machine{Key: "k", Owner: provider.Owner{Installation: "i", Namespace: "n", Name: "../ü \"x\"", UID: "u"}}
	if err := good.Validate(); err != nil {
		t.Fatalf("any printable name is fit to be stored: %v", err)
	}
	tests := map[string]struct {
		reason string
		spoil  func(*provider.Machine)
	}{
		"no key":          {"nothing would make Create idempotent", func(m *provider.Machine) { m.Key = "" }},
		"no installation": {"nothing would say that it is ours", func(m *provider.Machine) { m.Owner.Installation = "" }},
		"no namespace":    {"IdentityConflict could not be seen", func(m *provider.Machine) { m.Owner.Namespace = "" }},
		"no name":         {"IdentityConflict could not be seen", func(m *provider.Machine) { m.Owner.Name = "" }},
		"no uid":          {"a later object of that name would take it", func(m *provider.Machine) { m.Owner.UID = "" }},
		"long":            {"a tag holds no such key", func(m *provider.Machine) { m.Key = strings.Repeat("k", 129) }},
		"NUL":             {"it would end a C string early", func(m *provider.Machine) { m.Owner.Name = "a\x00b" }},
		"newline":         {"it would forge a line of a log", func(m *provider.Machine) { m.Zone = "a\nb" }},
		"not UTF-8":       {"JSON would change it silently", func(m *provider.Machine) { m.Owner.Name = "\xff" }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			bad := good
			tc.spoil(&bad)
			if err := bad.Validate(); !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
	if err := (provider.Owner{Namespace: "n"}).Validate(); !fault.IsTerminal(err) {
		t.Errorf("a List without an installation would show what is not ours: %v", err)
	}
}

func TestClip(t *testing.T) {
	for name, text := range map[string]string{"short": "ü", "exact": strings.Repeat("x", 1024), "odd": "x" + strings.Repeat("ü", 4000), "even": strings.Repeat("ü", 4000)} {
		got := provider.Clip(text)
		if len(got) > provider.MessageLimit || !utf8.ValidString(got) {
			t.Errorf("%s: %d bytes, valid %v", name, len(got), utf8.ValidString(got))
		}
		if len(text) <= provider.MessageLimit && got != text {
			t.Errorf("%s: a short text must stay as it is", name)
		}
	}
}

func TestPlain(t *testing.T) {
	if err := (provider.Machine{Size: "s", Image: "i"}).Plain(); err != nil {
		t.Errorf("nothing special is wanted: %v", err)
	}
	for field, want := range map[string]provider.Machine{
		"rootDisk": {RootDisk: provider.Disk{SizeGiB: 1}}, "disks": {Disks: []provider.Disk{{Name: "d"}}}, "network": {Network: provider.Network{PublicIPv6: provider.Disabled}},
		"userDataFrom": {UserData: []byte("#cloud-config")},
	} {
		if err := want.Plain(); !fault.IsTerminal(err) || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("%s: a wish is dropped in silence: %v", field, err)
		}
	}
}

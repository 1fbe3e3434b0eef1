package all_test

import (
	"context"
	"testing"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/all"
	"github.com/keelway/keelway/internal/transport/script"
)

func TestDial(t *testing.T) {
	everything := all.Options{Process: true, Simulated: &script.Machines{}}
	cases := map[string]struct {
		reason  string
		options all.Options
		access  transport.Access
		why     fault.Reason // "" where it opens
	}{
		"process":            {"admitted", everything, transport.Access{Transport: "Process", Target: t.TempDir()}, ""},
		"simulated":          {"admitted", everything, transport.Access{Transport: "Script", Target: "m-1"}, ""},
		"process closed":     {"it runs people's commands as the operator", all.Options{}, transport.Access{Transport: "Process", Target: "/x"}, fault.ReasonDriverNotAllowed},
		"simulated closed":   {"a production operator has no pretend machines", all.Options{}, transport.Access{Transport: "Script", Target: "m"}, fault.ReasonDriverNotAllowed},
		"unknown":            {"a newer operator's transport", everything, transport.Access{Transport: "Carrier"}, fault.ReasonInvalid},
		"none":               {"a machine that cannot be dialled yet", everything, transport.Access{}, fault.ReasonInvalid},
		"case matters":       {"names are exact", everything, transport.Access{Transport: "process", Target: "/x"}, fault.ReasonInvalid},
		"a target that lies": {"a driver's refusal is no transport", everything, transport.Access{Transport: "Process", Target: "../x"}, fault.ReasonInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tr, err := all.New(tc.options).Dial(t.Context(), tc.access, transport.Credentials{})
			if tc.why == "" {
				if err != nil || tr == nil {
					t.Fatalf("got %v, %v: %s", tr, err, tc.reason)
				}
				if _, err := transport.ReadFacts(t.Context(), tr); err != nil {
					t.Fatal(err)
				}
				return
			}
			if tr != nil || !fault.IsTerminal(err) || fault.ReasonOf(err) != tc.why {
				t.Fatalf("got %v, %v; want Terminal/%s: %s", tr, err, tc.why, tc.reason)
			}
		})
	}
}

func TestDialHonoursTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := all.New(all.Options{Process: true}).Dial(ctx, transport.Access{Transport: "Process", Target: t.TempDir()}, transport.Credentials{})
	if err == nil || fault.ClassOf(err) != fault.Retry {
		t.Fatalf("got %v", err)
	}
}

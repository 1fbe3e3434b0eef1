package aws_test

import (
	"context"
	"strings"
	"testing"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
)

// Of several subnets the machine's zone chooses.
func TestSubnetByZone(t *testing.T) {
	const inB, inC, extra = "subnet-0000000000000000b", "subnet-0000000000000000c", "subnet-000000000000extra"
	several := []string{inB, extra, inC}
	tests := map[string]struct {
		reason  string
		given   []string
		zone    string
		private []string
		want    string // zone of the machine
		refused string
	}{
		"zone of the third":    {"the first that is in the zone", several, "eu-west-1c", nil, "eu-west-1c", ""},
		"zone of the second":   {"its place in the list does not matter", several, "eu-west-1a", nil, "eu-west-1a", ""},
		"no zone":              {"the first of all", several, "", nil, "eu-west-1b", ""},
		"none given":           {"EC2 chooses in the zone", nil, "eu-west-1c", nil, "eu-west-1c", ""},
		"the machine names it": {"its own word counts", several, "", []string{inC}, "eu-west-1c", ""},
		"none is in the zone":  {"it is told where they are", []string{inB, inC}, "eu-west-1a", nil, "", inB + " in eu-west-1b, " + inC + " in eu-west-1c"},
		"one is not there":     {"it is named with those that are", []string{"subnet-0123456789abcdef0"}, "eu-west-1a", nil, "", "subnet-0123456789abcdef0"},
	}
	for name, tc := range tests {
		l := newLab(t, ec2.Options{Unthrottled: true})
		a := l.open(func(o *aws.Options) { o.SubnetIDs = tc.given })
		want := machine("web-1", "1")
		want.Zone, want.Network = tc.zone, provider.Network{Private: tc.private}
		got, err := a.Create(context.Background(), want)
		if tc.refused != "" {
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid || !strings.Contains(err.Error(), tc.refused) || l.Report().Made != 0 {
				t.Errorf("%s: %v: %s", name, err, tc.reason)
			}
			continue
		}
		if err != nil || got.Zone != tc.want {
			t.Errorf("%s: it is in %s (%v), want %s: %s", name, got.Zone, err, tc.want, tc.reason)
		}
	}
}

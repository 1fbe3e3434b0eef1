package aws

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/provider"
)

func account(t *testing.T, change func(*Options)) *AWS {
	t.Helper()
	o := Options{Installation: "i", Region: "eu-west-1", Credentials: Credentials{AccessKeyID: "a", SecretAccessKey: "b"}}
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRequest(t *testing.T) {
	everything := provider.Machine{
		Size: "t3.micro", Zone: "eu-west-1a", RootDisk: provider.Disk{SizeGiB: 20, Encrypted: true},
		Disks:    []provider.Disk{{Name: "a", SizeGiB: 5}, {Name: "b", SizeGiB: 500, Tier: "st1", Encrypted: true}},
		UserData: []byte("#!/bin/sh\n"), Network: provider.Network{PublicIPv4: provider.Disabled, PublicIPv6: provider.Enabled},
	}
	p := parts{image: ami{ID: "ami-1", Root: "/dev/xvda"}, subnet: "subnet-1", groups: []string{"sg-1"}, keyPair: "keelway-1", userData: everything.UserData}
	required := &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired, HttpEndpoint: types.InstanceMetadataEndpointStateEnabled}
	disk := func(device string, size int32, tier string, encrypted bool) types.BlockDeviceMapping {
		d := types.BlockDeviceMapping{DeviceName: sdk.String(device), Ebs: &types.EbsBlockDevice{DeleteOnTermination: sdk.Bool(true), VolumeType: types.VolumeType(tier)}}
		if size > 0 {
			d.Ebs.VolumeSize = sdk.Int32(size)
		}
		if encrypted {
			d.Ebs.Encrypted = sdk.Bool(true)
		}
		return d
	}
	for name, tc := range map[string]struct {
		reason string
		want   provider.Machine
		parts  parts
		spot   bool
		expect *ec2.RunInstancesInput
	}{
		"the least": {
			"the metadata service wants tokens, the root disk ends with its machine, and AWS chooses the rest",
			provider.Machine{Size: "t3.micro"}, parts{image: p.image}, false,
			&ec2.RunInstancesInput{
				ImageId: sdk.String("ami-1"), InstanceType: "t3.micro", MetadataOptions: required,
				BlockDeviceMappings: []types.BlockDeviceMapping{disk("/dev/xvda", 0, "gp3", false)},
			},
		},
		"everything": {
			"addresses need an interface of their own, which carries subnet and groups", everything, p, true,
			&ec2.RunInstancesInput{
				ImageId: sdk.String("ami-1"), InstanceType: "t3.micro", MetadataOptions: required, KeyName: sdk.String("keelway-1"),
				Placement: &types.Placement{AvailabilityZone: sdk.String("eu-west-1a")}, UserData: sdk.String(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))),
				InstanceMarketOptions: &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot},
				BlockDeviceMappings:   []types.BlockDeviceMapping{disk("/dev/xvda", 20, "gp3", true), disk("/dev/sdf", 5, "gp3", false), disk("/dev/sdg", 500, "st1", true)},
				NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{
					DeviceIndex: sdk.Int32(0), SubnetId: sdk.String("subnet-1"), Groups: []string{"sg-1"}, AssociatePublicIpAddress: sdk.Bool(false), Ipv6AddressCount: sdk.Int32(1),
				}},
			},
		},
		"a subnet": {
			"without a word about addresses the subnet's own setting holds", provider.Machine{Size: "t3.micro"}, parts{image: p.image, subnet: "subnet-1", groups: []string{"sg-1"}}, false,
			&ec2.RunInstancesInput{
				ImageId: sdk.String("ami-1"), InstanceType: "t3.micro", MetadataOptions: required, SubnetId: sdk.String("subnet-1"), SecurityGroupIds: []string{"sg-1"},
				BlockDeviceMappings: []types.BlockDeviceMapping{disk("/dev/xvda", 0, "gp3", false)},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := account(t, func(o *Options) { o.Spot = tc.spot })
			if diff := cmp.Diff(tc.expect, a.request(tc.want, tc.parts), cmpopts.IgnoreUnexported(ec2.RunInstancesInput{}, types.InstanceMetadataOptionsRequest{}, types.BlockDeviceMapping{},
				types.EbsBlockDevice{}, types.Placement{}, types.InstanceMarketOptionsRequest{}, types.InstanceNetworkInterfaceSpecification{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A token stands for bytes: labels are a map, and the request must not depend on its order.
func TestTagsAreInOrder(t *testing.T) {
	labels := map[string]string{}
	for n := range 20 {
		labels[fmt.Sprint("label-", n)] = "x"
	}
	owner := provider.Owner{Installation: "i", Namespace: "n", Name: "web", UID: "u"}
	var first string
	for n := range 50 {
		in := &ec2.RunInstancesInput{}
		mark(in, provider.Machine{Labels: labels, Image: "debian-12"}, append(identityTags("k", owner), namedFor(owner, labels)...)...)
		text, _ := json.Marshal(in.TagSpecifications)
		if n == 0 {
			first = string(text)
		}
		if string(text) != first {
			t.Fatalf("another order:\n%s\n%s", first, text)
		}
	}
	if volumes := first[strings.Index(first, `"volume"`)-1:]; !strings.Contains(first, `"Name"`) || strings.Contains(volumes, "web-1") {
		t.Error(first)
	}
}

func TestKeysInUserData(t *testing.T) {
	ed, rsa, ecdsa := "ssh-ed25519 AAAA a", "ssh-rsa AAAA b", "ecdsa-sha2-nistp256 AAAA c"
	importable, others := splitKeys([]string{ecdsa, "", " " + ed + "\n", rsa})
	if importable != ed || len(others) != 2 || others[0] != ecdsa || others[1] != rsa {
		t.Errorf("%q %q", importable, others)
	}
	if plain, err := withKeys([]byte("anything"), nil); err != nil || string(plain) != "anything" {
		t.Errorf("%q %v", plain, err)
	}
	config, err := withKeys(nil, others)
	if want := "#cloud-config\nssh_authorized_keys:\n- \"ecdsa-sha2-nistp256 AAAA c\"\n- \"ssh-rsa AAAA b\"\n"; err != nil || string(config) != want {
		t.Errorf("%q %v", config, err)
	}
	script := "#!/bin/sh\necho hello\n"
	joined, err := withKeys([]byte(script), others)
	if err != nil {
		t.Fatal(err)
	}
	message, err := mail.ReadMessage(bytes.NewReader(joined))
	if err != nil {
		t.Fatal(err)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatal(kind, err)
	}
	reader := multipart.NewReader(message.Body, parameters["boundary"])
	var kinds, texts []string
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(part)
		kinds, texts = append(kinds, part.Header.Get("Content-Type")), append(texts, string(text))
	}
	if strings.Join(kinds, " ") != "text/x-shellscript text/cloud-config" || texts[0] != script || !strings.Contains(texts[1], ecdsa) {
		t.Errorf("%q %q", kinds, texts)
	}
	for name, data := range map[string][]byte{"compressed": {0x1f, 0x8b, 0}, "long": bytes.Repeat([]byte("#!"), 9000), "our boundary": []byte("#!/bin/sh\n--" + boundary)} {
		if _, err := withKeys(data, others); err == nil {
			t.Errorf("%s: admitted", name)
		}
	}
}

func TestOnDemand(t *testing.T) {
	line := func(usd, unit string) string {
		return `{"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"` + unit + `","pricePerUnit":{"USD":"` + usd + `"}}}}}}}`
	}
	for text, want := range map[string]bool{
		line("0.0100000000", "Hrs"): true, line("0.08", "GB-Mo"): true,
		line("0.0000000000", "Hrs"): false, line("", "Hrs"): false, line("-1", "Hrs"): false, line("1", "Quantity"): false, "{}": false, "[": false,
		`{"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"Hrs","pricePerUnit":{"USD":"1"}},"c":{"unit":"Hrs","pricePerUnit":{"USD":"2"}}}}}}}`: false,
	} {
		if _, _, ok := onDemand(text); ok != want {
			t.Errorf("%s: %v", text, ok)
		}
	}
}

// slowed is a pace whose time passes when a call waits, or when it is told.
type slowed struct {
	pace
	at time.Time
}

func newSlowed() *slowed {
	s := &slowed{at: time.Unix(0, 0)}
	s.now = func() time.Time { return s.at }
	s.pause = func(_ context.Context, d time.Duration) error { s.at = s.at.Add(d); return nil }
	return s
}

// call makes one and returns how long it waited; negative: it was not sent.
func (s *slowed) call(t *testing.T, outcome error) time.Duration {
	begun := s.at
	done, err := attempt{func() *pace { return &s.pace }}.GetAttemptToken(t.Context())
	if err != nil {
		return -err.(tooEarly).after
	}
	_ = done(outcome)
	return s.at.Sub(begun)
}

func TestPace(t *testing.T) {
	s, throttled := newSlowed(), &throttle{}
	for range 1000 {
		if s.call(t, nil) != 0 {
			t.Fatal("there is no limit before AWS sets one")
		}
	}
	s.call(t, throttled)
	if got := s.call(t, nil); got != time.Second/firstSlow {
		t.Errorf("after a throttled call the next one waited %s", got)
	}
	s.at = s.at.Add(time.Minute)
	for n := range burst {
		if got := s.call(t, nil); got != 0 {
			t.Errorf("call %d on end waited %s", n, got)
		}
	}
	if s.call(t, nil) <= 0 {
		t.Error("however long the pause was, there is no more than a burst")
	}
	for range 20 {
		s.call(t, throttled)
	}
	if got := s.call(t, throttled); got != 2*time.Second {
		t.Errorf("at its slowest a call waits %s", got)
	}
	s.pause = func(context.Context, time.Duration) error { return nil } // time stands still: the line only grows
	var last time.Duration
	for n := 0; n < 10 && last >= 0; n++ {
		last = s.call(t, throttled)
	}
	if last >= -longestTurn || last < -2*longestTurn {
		t.Errorf("whose turn is far is not sent, and says when to come again: %s", last)
	}
	for range 200 {
		s.at = s.at.Add(3 * time.Second)
		s.call(t, nil)
	}
	if s.call(t, nil) != 0 || s.calls != nil {
		t.Error("it never is as fast as before again")
	}
}

type throttle struct{}

func (*throttle) Error() string     { return "slow down" }
func (*throttle) ErrorCode() string { return "RequestLimitExceeded" }

package aws_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	raw "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider/aws"
)

// open tells who may reach which port in a group, as the cloud itself has it.
func (l *lab) openIn(group string) (all []string) {
	l.t.Helper()
	out, err := l.raw().DescribeSecurityGroups(context.Background(), &raw.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: sdk.String("group-id"), Values: []string{group}}}})
	if err != nil || len(out.SecurityGroups) != 1 {
		l.t.Fatalf("%+v, %v", out, err)
	}
	for _, rule := range out.SecurityGroups[0].IpPermissions {
		port := "all"
		if rule.FromPort != nil {
			port = map[int32]string{22: "ssh", 443: "https"}[*rule.FromPort]
		}
		for _, r := range rule.IpRanges {
			all = append(all, port+" "+*r.CidrIp)
		}
		for _, r := range rule.Ipv6Ranges {
			all = append(all, port+" "+*r.CidrIpv6)
		}
		for _, r := range rule.UserIdGroupPairs {
			if *r.GroupId != group {
				l.t.Errorf("a stranger's group may reach it: %s", *r.GroupId)
			}
			all = append(all, port+" members")
		}
	}
	slices.Sort(all)
	return all
}

func (l *lab) permit(group string, port int32, network string) {
	l.t.Helper()
	_, err := l.raw().AuthorizeSecurityGroupIngress(context.Background(), &raw.AuthorizeSecurityGroupIngressInput{GroupId: sdk.String(group), IpPermissions: []types.IpPermission{
		{IpProtocol: sdk.String("tcp"), FromPort: sdk.Int32(port), ToPort: sdk.Int32(port), IpRanges: []types.IpRange{{CidrIp: sdk.String(network)}}}}})
	if err != nil {
		l.t.Fatal(err)
	}
}

func from(networks ...string) func(*aws.Options) {
	return func(o *aws.Options) { o.Name, o.SSHFrom = "team-a/aws", networks }
}

// Who is taken out of sshFrom is let in no more, by the machines that are there, too.
func TestWhoMayReachSSH(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	l.create(l.open(from("192.0.2.0/24", "2001:db8::/32")), machine("web-1", "1"))
	mine := l.Report().Groups[0]
	l.permit(mine, 443, "203.0.113.0/24")
	l.permit(mine, 443, "198.51.100.0/24") // the same network at another port is no SSH
	people := []string{"all members", "https 198.51.100.0/24", "https 203.0.113.0/24"}

	for name, tc := range map[string]struct {
		reason   string
		networks []string
		want     []string
	}{
		"another one":  {"what was taken out is closed, what came is opened", []string{"198.51.100.7/24"}, []string{"ssh 198.51.100.0/24"}},
		"more":         {"nothing is closed", []string{"198.51.100.0/24", "192.0.2.0/24"}, []string{"ssh 192.0.2.0/24", "ssh 198.51.100.0/24"}},
		"nobody":       {"sshFrom was taken away, and the machines are still there", nil, nil},
		"as it was":    {"both families", []string{"192.0.2.0/24", "2001:db8::/32"}, []string{"ssh 192.0.2.0/24", "ssh 2001:db8::/32"}},
		"said in full": {"the host's part of an address means nothing", []string{"2001:db8::1/32"}, []string{"ssh 2001:db8::/32"}},
	} {
		a := l.open(from(tc.networks...))
		if err := a.Keep(ctx); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := l.openIn(mine); !slices.Equal(got, append(slices.Clone(people), tc.want...)) {
			t.Errorf("%s: %v: %s", name, got, tc.reason)
		}
		before := l.calls("RevokeSecurityGroupIngress") + l.calls("AuthorizeSecurityGroupIngress")
		if err := a.Keep(ctx); err != nil || l.calls("RevokeSecurityGroupIngress")+l.calls("AuthorizeSecurityGroupIngress") != before {
			t.Errorf("%s: at rest something was changed (%v)", name, err)
		}
	}
}

// A group that was given, that of another Provider, and one that only has our name are not ours to close.
func TestWhoseSSHIsLeftAlone(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	l.create(l.open(from("192.0.2.0/24")), machine("web-1", "1"))
	mine := l.Report().Groups[0]
	made, err := l.raw().CreateSecurityGroup(ctx, &raw.CreateSecurityGroupInput{GroupName: sdk.String("theirs"), Description: sdk.String("theirs"), VpcId: sdk.String("vpc-0000000000000defa")})
	if err != nil {
		t.Fatal(err)
	}
	l.permit(*made.GroupId, 22, "203.0.113.0/24")
	for name, change := range map[string]func(*aws.Options){
		"a group that was given": func(o *aws.Options) { o.Name, o.SecurityGroupIDs = "team-a/given", []string{*made.GroupId} },
		"another Provider":       func(o *aws.Options) { o.Name, o.SSHFrom = "team-b/aws", []string{"198.51.100.0/24"} },
		"another installation": func(o *aws.Options) {
			from("198.51.100.0/24")(o)
			o.Installation = "installation-b"
		},
	} {
		a := l.open(change)
		if err := a.Keep(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := l.openIn(*made.GroupId); !slices.Equal(got, []string{"ssh 203.0.113.0/24"}) {
			t.Errorf("%s: %v", name, got)
		}
		if got := l.openIn(mine); !slices.Contains(got, "ssh 192.0.2.0/24") || len(got) != 2 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What may not be closed is told, with the field, the group and AWS's own words.
func TestSSHThatMayNotBeClosed(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	l.create(l.open(from("192.0.2.0/24")), machine("web-1", "1"))
	l.arm(faults.Order{Name: ec2.UnauthorizedOperation, Call: "RevokeSecurityGroupIngress"})
	err := l.open(from("198.51.100.0/24")).Keep(ctx)
	if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonUnauthorized {
		t.Fatalf("%v", err)
	}
	for _, word := range []string{"network.sshFrom", l.Report().Groups[0], "UnauthorizedOperation", "request "} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not mention %s", err, word)
		}
	}
	l.arm(faults.Order{Name: ec2.UnauthorizedOperation, Call: "DescribeSecurityGroups"})
	if err := l.open(from()).Keep(ctx); err != nil {
		t.Errorf("without sshFrom no permission is needed: %v", err)
	}
}

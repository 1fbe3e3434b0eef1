package aws_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
)

var requestID = regexp.MustCompile(`request [0-9a-f]{8}-fake-`)

// Each fault that a launch can meet: what it asks of the caller, that one call was made, and what a person reads.
func TestFaultsOfALaunch(t *testing.T) {
	unknown := fault.Unknown
	for name, tc := range map[string]struct {
		reason string
		class  fault.Class
		want   fault.Reason
		made   int
	}{
		ec2.RequestLimitExceeded:         {"it slows down", fault.Retry, fault.ReasonRateLimited, 0},
		ec2.InsufficientInstanceCapacity: {"capacity comes back", fault.Retry, fault.ReasonResourcesDepleted, 0},
		ec2.InstanceLimitExceeded:        {"a quota is raised by people", fault.Terminal, fault.ReasonQuotaExceeded, 0},
		ec2.VcpuLimitExceeded:            {"a quota is raised by people", fault.Terminal, fault.ReasonQuotaExceeded, 0},
		ec2.UnauthorizedOperation:        {"a permission is given by people", fault.Terminal, fault.ReasonUnauthorized, 0},
		ec2.AuthFailure:                  {"credentials are mended by people", fault.Terminal, fault.ReasonUnauthenticated, 0},
		ec2.InternalError:                {"it may have happened", unknown, fault.ReasonOutcomeUnknown, 0},
		ec2.Unavailable:                  {"it may have happened", unknown, fault.ReasonOutcomeUnknown, 0},
		ec2.ErrorAfterCommit:             {"it has happened", unknown, fault.ReasonOutcomeUnknown, 1},
		ec2.ReplyLost:                    {"it has happened", unknown, fault.ReasonOutcomeUnknown, 1},
		ec2.ConnectionReset:              {"it may have happened", unknown, fault.ReasonOutcomeUnknown, 0},
		ec2.IdempotentParameterMismatch:  {"what the token stands for does not show", unknown, fault.ReasonOutcomeUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ec2.Options{})
			l.arm(faults.Order{Name: name, Call: "RunInstances"})
			_, err := l.open().Create(context.Background(), machine("web-1", "1"))
			if err == nil || fault.ClassOf(err) != tc.class || fault.ReasonOf(err) != tc.want {
				t.Fatalf("%s: got %s/%s: %v", tc.reason, fault.ClassOf(err), fault.ReasonOf(err), err)
			}
			dropped := name == ec2.ReplyLost || name == ec2.ConnectionReset || name == ec2.IdempotentParameterMismatch
			code := strings.Replace(name, ec2.ErrorAfterCommit, ec2.InternalError, 1)
			if text := err.Error(); !dropped && (!strings.Contains(text, code+" (request ") || !requestID.MatchString(text) || len(text) > provider.MessageLimit) {
				t.Errorf("the message holds AWS's code, text and request id: %s", text)
			}
			if got := l.calls("RunInstances"); got != 1 {
				t.Errorf("%d calls", got)
			}
			if again := fault.AfterOf(err); name == ec2.IdempotentParameterMismatch && (again < 5*time.Second || again > 2*time.Minute) {
				t.Errorf("it is asked again after %s: time has to pass before that can say more", again)
			}
			// A new process, which has no memory of the throttling: the same key is one machine.
			l.Clock.Move(time.Minute)
			again := l.open()
			if name == ec2.IdempotentParameterMismatch { // the token stays spent: the next is taken when nothing of it has shown for long enough
				_, _ = again.Create(context.Background(), machine("web-1", "1"))
				l.Clock.Move(2 * time.Minute)
			}
			got := l.create(again, machine("web-1", "1"))
			if report := l.Report(); report.Made != 1 || report.Machines[0].ID != got.ID {
				t.Errorf("%s: %+v", tc.reason, report)
			}
		})
	}
}

// Faults of reads and of ends, each of which leaves nothing behind.
func TestFaultsOfTheRest(t *testing.T) {
	for name, tc := range map[string]struct {
		call  string
		class fault.Class
		do    func(*aws.AWS, string) error
	}{
		"get":       {"DescribeInstances", fault.Retry, func(a *aws.AWS, id string) error { _, err := a.Get(context.Background(), id); return err }},
		"list":      {"DescribeInstances", fault.Retry, func(a *aws.AWS, _ string) error { _, err := a.List(context.Background(), everything); return err }},
		"delete":    {"TerminateInstances", fault.Unknown, func(a *aws.AWS, id string) error { return a.Delete(context.Background(), id) }},
		"power off": {"StopInstances", fault.Unknown, func(a *aws.AWS, id string) error { return a.Power(context.Background(), id, provider.PowerOff) }},
	} {
		for _, fails := range []string{ec2.InternalError, ec2.ReplyLost, ec2.ConnectionReset, ec2.UnauthorizedOperation} {
			t.Run(name+" "+fails, func(t *testing.T) {
				l := newLab(t, ec2.Options{})
				id := l.create(l.open(), machine("web-1", "1")).ID
				l.Clock.Move(time.Minute)
				l.arm(faults.Order{Name: fails, Call: tc.call})
				want := tc.class
				if fails == ec2.UnauthorizedOperation {
					want = fault.Terminal
				}
				err := tc.do(l.open(), id)
				if err == nil || fault.ClassOf(err) != want {
					t.Errorf("got %s: %v", fault.ClassOf(err), err)
				}
				if err := tc.do(l.open(), id); err != nil {
					t.Errorf("again: %v", err)
				}
			})
		}
	}
}

func TestATokenWithOtherParameters(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{})
	// The reply is lost, the list lags, and what is asked for has changed meanwhile.
	l.arm(faults.Order{Name: ec2.ReplyLost, Call: "RunInstances"}, faults.Order{Name: ec2.DescribeLag, For: faults.Duration(20 * time.Second)})
	if _, err := l.open().Create(ctx, machine("web-1", "1")); fault.ClassOf(err) != fault.Unknown {
		t.Fatal(err)
	}
	changed := machine("web-1", "1")
	changed.UserData = []byte("#!/bin/sh\n")
	a := l.open()
	if _, err := a.Create(ctx, changed); err == nil || fault.ClassOf(err) != fault.Unknown {
		t.Fatalf("while it does not show, nobody knows: %v", err)
	}
	l.Clock.Move(25 * time.Second)
	got := l.create(a, changed)
	if report := l.Report(); report.Made != 1 || got.ID != report.Machines[0].ID {
		t.Errorf("one key, one machine: %+v", report)
	}
}

func TestATokenWhoseMachineHasEnded(t *testing.T) {
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open()
	want := machine("web-1", "1")
	want.Token = "launch-1"
	seen := map[string]bool{}
	for n := range 40 {
		got, err := a.Create(context.Background(), want)
		for fault.ReasonOf(err) == fault.ReasonConflict && err != nil { // more have ended than one call walks past
			got, err = a.Create(context.Background(), want)
		}
		if err != nil || seen[got.ID] {
			t.Fatalf("machine %d: %s %v", n, got.ID, err)
		}
		seen[got.ID] = true
		l.arm(faults.Order{Name: ec2.SpontaneousTermination, Target: got.ID})
		l.Report()
		l.Clock.Move(time.Minute)
		if n == 20 {
			a = l.open() // which knows nothing of the first twenty
		}
	}
}

func TestASpontaneousEnd(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{})
	a := l.open()
	got := l.create(a, machine("web-1", "1"))
	l.Clock.Move(time.Minute)
	l.arm(faults.Order{Name: ec2.SpontaneousTermination, Target: got.ID})
	shown, err := a.Get(ctx, got.ID)
	if err != nil || shown.State != provider.Terminating || !strings.Contains(shown.Message, "Server.") {
		t.Errorf("its end is shown, and why: %+v %v", shown, err)
	}
	l.Clock.Move(time.Minute)
	if _, err := a.Get(ctx, got.ID); !fault.IsGone(err) {
		t.Errorf("after it: %v", err)
	}
	if list, err := a.List(ctx, owner("web-1", "1")); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
}

// A3: 124 machines for two, because people's own Name tag was taken for an identity.
func TestLabelsOfPeople(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open()
	want := machine("web-1", "1")
	want.Labels = map[string]string{"Name": "something else", "role": "web", "empty": ""}
	got := l.create(a, want)
	for range 5 {
		if again := l.create(l.open(), want); again.ID != got.ID {
			t.Fatal("a second machine")
		}
	}
	if list, err := a.List(ctx, owner("web-1", "1")); err != nil || len(list) != 1 || fmt.Sprint(list[0].Labels) != fmt.Sprint(want.Labels) {
		t.Errorf("%+v %v", list, err)
	}
	plain := l.create(a, machine("web-2", "2"))
	if tags := l.Report().Machines[1].Tags; tags["Name"] != "team-a/web-2" || plain.Labels != nil {
		t.Errorf("people see a name, and it is no label: %v %v", tags, plain.Labels)
	}
	for _, key := range []string{"keelway.dev/uid", "keelway.dev/anything", "aws:x", "", strings.Repeat("k", 129)} {
		spoilt := machine("web-3", "3")
		spoilt.Labels = map[string]string{key: "x"}
		if _, err := a.Create(ctx, spoilt); !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid || !strings.Contains(err.Error(), "labels") {
			t.Errorf("%.40q: %v", key, err)
		}
	}
	if made := l.Report().Made; made != 2 {
		t.Errorf("%d machines", made)
	}
}

// Wrong names are answered by what there is, and nothing is launched.
func TestWrongNames(t *testing.T) {
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open()
	for name, tc := range map[string]struct {
		spoil func(*provider.Machine)
		want  []string
	}{
		"size":           {func(m *provider.Machine) { m.Size = "t3.mirco" }, []string{"size", "t3.mirco", "t3.micro"}},
		"no size":        {func(m *provider.Machine) { m.Size = "" }, []string{"size", "empty"}},
		"zone":           {func(m *provider.Machine) { m.Zone = "eu-west-1x" }, []string{"zone", "eu-west-1x", "eu-west-1a"}},
		"image":          {func(m *provider.Machine) { m.Image = "debian-21" }, []string{"image", "debian-21", "debian-12"}},
		"no image":       {func(m *provider.Machine) { m.Image = "" }, []string{"image", "empty"}},
		"ami":            {func(m *provider.Machine) { m.Image = "ami-0123" }, []string{"image", "ami-0123", "debian-12"}},
		"size not there": {func(m *provider.Machine) { m.Size, m.Zone = "m7g.large", "eu-west-1c" }, []string{"size", "m7g.large", "eu-west-1c"}},
		"no arm":         {func(m *provider.Machine) { m.Size, m.Image = "t4g.small", "debian-13" }, []string{"image", "debian-13", "arm64"}},
		"subnet":         {func(m *provider.Machine) { m.Network.Private = []string{"subnet-1"} }, []string{"network", "subnet-1", "subnet-0000000000000000a in eu-west-1a"}},
		"subnet, no ssh": {func(m *provider.Machine) { m.Network.Private = []string{"subnet-2"} }, []string{"network", "subnet-2", "subnet-0000000000000000a in eu-west-1a"}},
		"two subnets":    {func(m *provider.Machine) { m.Network.Private = []string{"subnet-1", "subnet-2"} }, []string{"network", "2"}},
		"tier":           {func(m *provider.Machine) { m.RootDisk.Tier = "gp9" }, []string{"gp9"}},
		"small root":     {func(m *provider.Machine) { m.RootDisk.SizeGiB = 2 }, []string{"rootDisk"}},
		"sizeless disk":  {func(m *provider.Machine) { m.Disks = []provider.Disk{{Name: "data"}} }, []string{"disks", "data", "sizeGiB"}},
		"user data":      {func(m *provider.Machine) { m.UserData = make([]byte, 17<<10) }, []string{"userData", "17408"}},
		"installation":   {func(m *provider.Machine) { m.Owner.Installation = "other" }, []string{"installation", "other"}},
	} {
		want := machine("web-1", "1")
		tc.spoil(&want)
		a := a
		if name == "subnet" || name == "tier" {
			a = l.open(func(o *aws.Options) { o.SSHFrom = []string{"192.0.2.0/24"} })
		}
		_, err := a.Create(context.Background(), want)
		if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid {
			t.Errorf("%s: %s %v", name, fault.ClassOf(err), err)
			continue
		}
		if missing := slices.DeleteFunc(slices.Clone(tc.want), func(word string) bool { return strings.Contains(err.Error(), word) }); len(missing) > 0 {
			t.Errorf("%s: %q does not say %q", name, err, missing)
		}
	}
	if report := l.Report(); report.Made != 0 || len(report.Groups) != 0 {
		t.Errorf("%+v", report)
	}
}

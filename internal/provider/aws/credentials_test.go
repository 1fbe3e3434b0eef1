package aws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	raw "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
)

// run launches instances that nobody's tags are on, as a person does in the console.
func (l *lab) run(n int32) (ids []string) {
	l.t.Helper()
	out, err := l.raw().RunInstances(context.Background(), &raw.RunInstancesInput{
		ImageId: sdk.String("ami-0000000000debian12"), InstanceType: "t3.micro", MinCount: sdk.Int32(n), MaxCount: sdk.Int32(n),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, i := range out.Instances {
		ids = append(ids, *i.InstanceId)
	}
	return ids
}

func (l *lab) raw() *raw.Client {
	o := l.options()
	return raw.NewFromConfig(sdk.Config{
		Region: o.Region, BaseEndpoint: sdk.String(o.Endpoint), HTTPClient: o.HTTP,
		Credentials: credentials.NewStaticCredentialsProvider(ec2.AccessKeyID, ec2.SecretAccessKey, ""),
	})
}

// alone keeps the machine that the tests run on out of the ambient chain.
func alone(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

const canary = "canary-4f1d-secret"

func TestCredentials(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("web-identity "+canary), 0o600); err != nil {
		t.Fatal(err)
	}
	webIdentity := func(t *testing.T, role string) {
		t.Setenv("AWS_ROLE_ARN", role)
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	}
	for name, tc := range map[string]struct {
		change func(*testing.T, *aws.Options)
		class  fault.Class
		want   fault.Reason
	}{
		"a key":          {func(*testing.T, *aws.Options) {}, 0, ""},
		"a wrong secret": {func(_ *testing.T, o *aws.Options) { o.Credentials.SecretAccessKey = canary }, fault.Terminal, fault.ReasonUnauthenticated},
		"an unknown key": {func(_ *testing.T, o *aws.Options) { o.Credentials.AccessKeyID = "AKIA" + canary }, fault.Terminal, fault.ReasonUnauthenticated},
		"a stale session": {func(_ *testing.T, o *aws.Options) {
			o.Credentials = aws.Credentials{AccessKeyID: "ASIAGONE", SecretAccessKey: canary, SessionToken: canary}
		}, fault.Terminal, fault.ReasonUnauthenticated},
		"a role": {func(_ *testing.T, o *aws.Options) {
			o.AssumeRole = &aws.AssumeRole{ARN: "arn:aws:iam::000000000001:role/keelway", ExternalID: "x"}
		}, 0, ""},
		"a role that is refused": {func(_ *testing.T, o *aws.Options) {
			o.AssumeRole = &aws.AssumeRole{ARN: "arn:aws:iam::000000000001:role/forbidden"}
		}, fault.Terminal, fault.ReasonUnauthorized},
		"web identity": {func(t *testing.T, o *aws.Options) {
			o.Credentials = aws.Credentials{}
			webIdentity(t, "arn:aws:iam::000000000001:role/keelway")
		}, 0, ""},
		"web identity, refused": {func(t *testing.T, o *aws.Options) {
			o.Credentials = aws.Credentials{}
			webIdentity(t, "arn:aws:iam::000000000001:role/forbidden")
		}, fault.Terminal, fault.ReasonUnauthorized},
		"the environment": {func(t *testing.T, o *aws.Options) {
			t.Setenv("AWS_ACCESS_KEY_ID", o.Credentials.AccessKeyID)
			t.Setenv("AWS_SECRET_ACCESS_KEY", o.Credentials.SecretAccessKey)
			o.Credentials = aws.Credentials{}
		}, 0, ""},
		"none": {func(_ *testing.T, o *aws.Options) { o.Credentials = aws.Credentials{} }, fault.Retry, fault.ReasonUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t)
			l := newLab(t, ec2.Options{})
			a := l.open(func(o *aws.Options) { tc.change(t, o) })
			account, err := a.Account(context.Background())
			_, createErr := a.Create(context.Background(), machine("web-1", "1"))
			if tc.want == "" {
				if err != nil || createErr != nil || account.ID != "aws/"+ec2.AccountID+"/eu-west-1" || account.Location != "eu-west-1" {
					t.Errorf("%+v, %v, %v", account, err, createErr)
				}
				return
			}
			for _, err := range []error{err, createErr} {
				if err == nil || fault.ClassOf(err) != tc.class || fault.ReasonOf(err) != tc.want || strings.Contains(err.Error(), canary) && name != "an unknown key" {
					t.Errorf("got %s/%s: %v", fault.ClassOf(err), fault.ReasonOf(err), err)
				}
			}
			if made := l.Report().Made; made != 0 {
				t.Errorf("%d machines", made)
			}
		})
	}
}

// I12: what is planted as a secret shows nowhere that people look.
func TestNoCredentialShows(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Keys: map[string]string{ec2.AccessKeyID: canary}})
	o := l.options()
	o.Credentials = aws.Credentials{AccessKeyID: ec2.AccessKeyID, SecretAccessKey: canary, SessionToken: canary}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, o)
		fmt.Fprintf(&out, verb, &o)
		fmt.Fprintf(&out, verb, o.Credentials)
		fmt.Fprintf(&out, verb, &o.Credentials)
	}
	text, _ := json.Marshal(o.Credentials)
	out.Write(text)
	a := l.open(func(to *aws.Options) { to.Credentials = o.Credentials })
	want := machine("web-1", "1")
	want.UserData = []byte("#!/bin/sh\n# " + canary + "\n")
	for _, kind := range l.Board.Kinds() {
		order := faults.Order{Name: kind.Name}
		for _, takes := range kind.Takes {
			if takes == "for" {
				order.For = 1
			} else {
				order.Amount = 1
			}
		}
		l.arm(order)
		for _, do := range []func() error{
			func() error { _, err := a.Create(ctx, want); return err },
			func() error { _, err := a.List(ctx, everything); return err },
			func() error { _, err := a.Account(ctx); return err },
			func() error { return a.Delete(ctx, "i-0123456789abcdef0") },
		} {
			if err := do(); err != nil {
				fmt.Fprintf(&out, "%v %+v\n", err, err)
			}
		}
		l.Board.Disarm("")
	}
	log, _ := json.Marshal(l.Log.Report(0))
	out.Write(log)
	if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("the canary shows in:\n%.4000s", out.String())
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("the test saw no credentials at all")
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(*aws.Options)
		want  fault.Reason
		says  string
	}{
		"installation":     {func(o *aws.Options) { o.Installation = "" }, fault.ReasonInvalid, "installation"},
		"no region":        {func(o *aws.Options) { o.Region = "" }, fault.ReasonInvalid, "region"},
		"region":           {func(o *aws.Options) { o.Region = "eu-west-1.evil.example/" }, fault.ReasonInvalid, "region"},
		"half a key":       {func(o *aws.Options) { o.Credentials.SecretAccessKey = "" }, fault.ReasonInvalid, "secretAccessKey"},
		"only a session":   {func(o *aws.Options) { o.Credentials = aws.Credentials{SessionToken: canary} }, fault.ReasonInvalid, "sessionToken"},
		"role":             {func(o *aws.Options) { o.AssumeRole = &aws.AssumeRole{} }, fault.ReasonInvalid, "assumeRole.arn"},
		"networks":         {func(o *aws.Options) { o.SSHFrom = []string{"everywhere"} }, fault.ReasonInvalid, "sshFrom"},
		"both":             {func(o *aws.Options) { o.SSHFrom, o.SecurityGroupIDs = []string{"::/0"}, []string{"sg-1"} }, fault.ReasonInvalid, "securityGroupIDs"},
		"endpoint":         {func(o *aws.Options) { o.EndpointAllow = nil }, fault.ReasonNotAllowed, "--endpoint-allow"},
		"metadata":         {func(o *aws.Options) { o.Endpoint = "https://169.254.169.254" }, fault.ReasonNotAllowed, "endpoint"},
		"script, for real": {func(o *aws.Options) { o.Endpoint = "" }, fault.ReasonInvalid, "Script"},
		"docker":           {func(o *aws.Options) { o.Transport = "Docker" }, fault.ReasonInvalid, "Docker"},
	} {
		l := newLab(t, ec2.Options{})
		o := l.options()
		tc.spoil(&o)
		if _, err := aws.New(o); !fault.IsTerminal(err) || fault.ReasonOf(err) != tc.want || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Machines of a real account are reached over SSH: by the public address where there is one, as the user of their image.
func TestAccess(t *testing.T) {
	ctx := context.Background()
	l := newLab(t, ec2.Options{Unthrottled: true})
	a := l.open(func(o *aws.Options) { o.Transport = "" })
	for name, tc := range map[string]struct {
		public provider.Switch
		image  string
		user   string
	}{
		"public": {provider.Enabled, "debian-12", "admin"}, "private": {provider.Disabled, "ubuntu-24.04", "ubuntu"}, "by id": {"", "ami-0000000000debian12", ""},
	} {
		want := machine("web-"+name, name)
		want.Image, want.Network.PublicIPv4 = tc.image, tc.public
		id := l.create(a, want).ID
		l.Clock.Move(30_000_000_000)
		got, err := l.open(func(o *aws.Options) { o.Transport = "" }).Get(ctx, id)
		access := got.Access
		if err != nil || access.Transport != "SSH" || access.User != tc.user || access.Sudo != (tc.user != "") || !strings.HasPrefix(access.Address, "127.32.") {
			t.Errorf("%s: %+v %v", name, access, err)
		}
		if public := strings.HasPrefix(access.Host, "127.16."); public != (tc.public != provider.Disabled) {
			t.Errorf("%s: %+v", name, access)
		}
	}
}

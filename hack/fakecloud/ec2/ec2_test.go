package ec2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
)

func open(t *testing.T, o ec2.Options) (*ec2.Cloud, *sdk.Client, string) {
	t.Helper()
	cloud := ec2.New(o)
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(server.Close)
	return cloud, client(server.URL, ec2.AccessKeyID, ec2.SecretAccessKey), server.URL
}

// whole sends bodies in one piece: the SDK closes them while net/http may still look for their end, and breaks the connection so.
type whole struct{ *http.Client }

func (w whole) Do(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return w.Client.Do(r)
}

func client(url, key, secret string) *sdk.Client {
	return sdk.NewFromConfig(aws.Config{
		HTTPClient: whole{&http.Client{Transport: &http.Transport{}}},
		Region:     ec2.Region, BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	})
}

func launch(token string, n int32) *sdk.RunInstancesInput {
	in := &sdk.RunInstancesInput{ImageId: aws.String("ami-0000000000debian12"), InstanceType: "t3.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(n)}
	if token != "" {
		in.ClientToken = aws.String(token)
	}
	return in
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestWhatIsRefused(t *testing.T) {
	ctx := context.Background()
	_, _, url := open(t, ec2.Options{})
	for name, tc := range map[string]struct {
		key, secret, want string
	}{
		"unknown key":  {"AKIAUNKNOWN", ec2.SecretAccessKey, "AuthFailure"},
		"wrong secret": {ec2.AccessKeyID, "guessed", "AuthFailure"},
		"right":        {ec2.AccessKeyID, ec2.SecretAccessKey, "<nil>"},
	} {
		if _, err := client(url, tc.key, tc.secret).DescribeInstances(ctx, &sdk.DescribeInstancesInput{}); code(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := client(url, ec2.AccessKeyID, ec2.SecretAccessKey)
	unknown := launch("", 1)
	unknown.KernelId = aws.String("aki-1")
	if _, err := c.RunInstances(ctx, unknown); code(err) != "UnknownParameter" {
		t.Errorf("a parameter that this cloud does not know must not pass for one that had an effect: %v", err)
	}
	if _, err := c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"x"}}}}); code(err) != "InvalidParameterValue" {
		t.Errorf("an unknown filter: %v", err)
	}
	if _, err := c.DescribeNatGateways(ctx, &sdk.DescribeNatGatewaysInput{}); code(err) != "InvalidAction" {
		t.Errorf("an unknown action: %v", err)
	}
	many := make([]string, 201)
	for n := range many {
		many[n] = fmt.Sprint("i-", n)
	}
	if _, err := c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("instance-id"), Values: many}}}); code(err) != "FilterLimitExceeded" {
		t.Errorf("too many values: %v", err)
	}
	reply, err := http.Post(url, "application/x-www-form-urlencoded", strings.NewReader("Action=RunInstances"))
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if text, _ := io.ReadAll(reply.Body); reply.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "MissingAuthenticationToken") {
		t.Errorf("unsigned: %d %s", reply.StatusCode, text)
	}
}

// AWS's own numbers: a bucket of 5 launches that gets 2 back a second, and of 1,000 instances that gets 2 back.
func TestBuckets(t *testing.T) {
	ctx := context.Background()
	cloud, c, _ := open(t, ec2.Options{})
	for n := range 6 {
		if _, err := c.RunInstances(ctx, launch("", 1)); (err == nil) != (n < 5) {
			t.Fatalf("launch %d: %v", n+1, err)
		}
	}
	cloud.Clock.Move(time.Second)
	for n := range 3 {
		if _, err := c.RunInstances(ctx, launch("", 1)); (err == nil) != (n < 2) || n == 2 && code(err) != "RequestLimitExceeded" {
			t.Fatalf("a second later, launch %d: %v", n+1, err)
		}
	}
	cloud.Clock.Move(time.Second)
	if _, err := c.RunInstances(ctx, launch("", 1000)); code(err) != "RequestLimitExceeded" {
		t.Errorf("seven instances were taken from the thousand: %v", err)
	}
	if _, err := c.RunInstances(ctx, launch("", 900)); err != nil {
		t.Errorf("and 900 are there: %v", err)
	}
	for n := range 102 {
		_, err := c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{MaxResults: aws.Int32(5)})
		if (err == nil) != (n < 100) {
			t.Fatalf("read %d: %v", n+1, err)
		}
	}
}

func TestClientTokens(t *testing.T) {
	ctx := context.Background()
	cloud, c, _ := open(t, ec2.Options{Unthrottled: true})
	first, err := c.RunInstances(ctx, launch("token", 3))
	if err != nil || len(first.Instances) != 3 || *first.Instances[2].AmiLaunchIndex != 2 {
		t.Fatal(first, err)
	}
	again, err := c.RunInstances(ctx, launch("token", 3))
	if err != nil || *again.ReservationId != *first.ReservationId || cloud.Report().Made != 3 {
		t.Errorf("the same token: %v", err)
	}
	if _, err := c.RunInstances(ctx, launch("token", 2)); code(err) != "IdempotentParameterMismatch" {
		t.Errorf("the same token with another count: %v", err)
	}
	for _, i := range first.Instances {
		if _, err := c.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}}); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := c.RunInstances(ctx, launch("token", 3)); err != nil || again.Instances[0].State.Name != "shutting-down" {
		t.Errorf("while they end: %v", err)
	}
	cloud.Clock.Move(time.Minute)
	if _, err := c.RunInstances(ctx, launch("token", 3)); code(err) != "IdempotentInstanceTerminated" {
		t.Errorf("after their end: %v", err)
	}
	cloud.Clock.Move(24 * time.Hour)
	if _, err := c.RunInstances(ctx, launch("token", 3)); code(err) != "IdempotentInstanceTerminated" || cloud.Report().Made != 3 {
		t.Errorf("when nobody shows them any more: %v", err)
	}
}

func TestPagesAndWildcards(t *testing.T) {
	ctx := context.Background()
	_, c, _ := open(t, ec2.Options{Unthrottled: true})
	for n := range 3 {
		in := launch("", 4)
		in.TagSpecifications = []types.TagSpecification{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("name"), Value: aws.String([]string{"a*b", "axb", "a?"}[n])}}}}
		if _, err := c.RunInstances(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]int{"a*b": 8, `a\*b`: 4, "a?b": 8, `a\?`: 4, "a": 0, "*": 12, `a*`: 12} {
		in := &sdk.DescribeInstancesInput{MaxResults: aws.Int32(5), Filters: []types.Filter{{Name: aws.String("tag:name"), Values: []string{pattern}}}}
		seen, pages := map[string]bool{}, 0
		for pager := sdk.NewDescribeInstancesPaginator(c, in); pager.HasMorePages(); pages++ {
			out, err := pager.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Reservations {
				for _, i := range r.Instances {
					seen[*i.InstanceId] = true
				}
			}
		}
		if len(seen) != want || pages != max(1, (want+4)/5) {
			t.Errorf("%q: %d of %d in %d pages", pattern, len(seen), want, pages)
		}
	}
}

// A life in the cloud's own time, with what lags.
func TestLife(t *testing.T) {
	ctx := context.Background()
	cloud, c, _ := open(t, ec2.Options{Lag: 5 * time.Second})
	out, err := c.RunInstances(ctx, launch("", 1))
	if err != nil {
		t.Fatal(err)
	}
	id := *out.Instances[0].InstanceId
	state := func() string {
		out, err := c.DescribeInstances(ctx, &sdk.DescribeInstancesInput{InstanceIds: []string{id}})
		if err != nil {
			return code(err)
		}
		return string(out.Reservations[0].Instances[0].State.Name)
	}
	expect := func(want string, after time.Duration) {
		t.Helper()
		cloud.Clock.Move(after)
		if got := state(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	expect("InvalidInstanceID.NotFound", 0)
	if _, err := c.StopInstances(ctx, &sdk.StopInstancesInput{InstanceIds: []string{id}}); code(err) != "IncorrectInstanceState" {
		t.Errorf("a write does not lag, and what boots cannot be stopped: %v", err)
	}
	expect("pending", 6*time.Second)
	expect("running", 20*time.Second)
	if _, err := c.StopInstances(ctx, &sdk.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Error(err)
	}
	expect("stopping", time.Second)
	if _, err := c.StartInstances(ctx, &sdk.StartInstancesInput{InstanceIds: []string{id}}); code(err) != "IncorrectInstanceState" {
		t.Error(err)
	}
	expect("stopped", time.Minute)
	if _, err := c.StartInstances(ctx, &sdk.StartInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Error(err)
	}
	expect("pending", time.Second)
	expect("running", time.Minute)
	if err := cloud.Board.Arm(faults.Order{Name: ec2.SpontaneousTermination, Target: id}); err != nil {
		t.Fatal(err)
	}
	expect("shutting-down", 0)
	expect("terminated", time.Minute)
	expect("InvalidInstanceID.NotFound", 2*time.Hour)
}

// Whatever can be ordered strikes: a fault in the table that nothing produces would be a promise only.
func TestEachFaultStrikes(t *testing.T) {
	ctx := context.Background()
	table, _, _ := open(t, ec2.Options{})
	for _, kind := range table.Board.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			cloud, c, _ := open(t, ec2.Options{Unthrottled: true})
			order := faults.Order{Name: kind.Name}
			for _, takes := range kind.Takes {
				if takes == "for" {
					order.For = faults.Duration(time.Minute)
				} else {
					order.Amount = 1
				}
			}
			if err := cloud.Board.Arm(order); err != nil {
				t.Fatal(err)
			}
			out, err := c.RunInstances(ctx, launch("token", 2))
			if err == nil {
				_, err = c.CreateTags(ctx, &sdk.CreateTagsInput{Resources: []string{*out.Instances[0].InstanceId}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
			}
			cloud.Report()
			if armed := cloud.Board.Armed(); len(armed) != 0 {
				t.Errorf("it never struck: %+v, %v", armed, err)
			}
		})
	}
}

func TestFaultsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range ec2.New(ec2.Options{}).Board.Kinds() {
		if !strings.Contains(string(page), "`"+kind.Name+"`") {
			t.Errorf("docs/aws.md does not name the fault %s", kind.Name)
		}
	}
}

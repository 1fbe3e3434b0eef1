package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	fakeupcloud "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/provider/upcloud"
	"github.com/keelway/keelway/internal/reconcile"
)

// serve has a simulated cloud answer, and returns its address and the way there.
func serve(t *testing.T, handler http.Handler) (url string, way *http.Client) {
	t.Helper()
	server, carrier := httptest.NewServer(handler), &http.Transport{}
	t.Cleanup(server.Close)
	t.Cleanup(carrier.CloseIdleConnections)
	return server.URL, &http.Client{Transport: carrier}
}

// atAWS opens an account of a simulated EC2.
func atAWS(t *testing.T, changes ...func(*aws.Options)) (*aws.AWS, *ec2.Cloud) {
	t.Helper()
	cloud := ec2.New(ec2.Options{Unthrottled: true})
	url, way := serve(t, cloud.Handler())
	o := aws.Options{
		Installation: "test", Region: ec2.Region, Endpoint: url, EndpointAllow: []string{"127.0.0.0/8"}, Transport: "Script",
		Credentials: aws.Credentials{AccessKeyID: ec2.AccessKeyID, SecretAccessKey: ec2.SecretAccessKey}, HTTP: way, Now: cloud.Clock.Now,
	}
	for _, change := range changes {
		change(&o)
	}
	account, err := aws.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return account, cloud
}

// atUpCloud opens an account of a simulated UpCloud.
func atUpCloud(t *testing.T) (*upcloud.UpCloud, *fakeupcloud.Cloud) {
	t.Helper()
	cloud := fakeupcloud.New(fakeupcloud.Options{Bucket: 1e6, Refill: 1e6})
	url, way := serve(t, cloud.Handler())
	account, err := upcloud.New(upcloud.Options{
		Installation: "test", Zone: "fi-hel1", Endpoint: url, EndpointAllow: []string{"127.0.0.0/8"}, Token: "ucat_FAKE",
		Transport: "Script", RequestsPerSecond: 1e6, Settle: time.Millisecond, HTTP: way,
	})
	if err != nil {
		t.Fatal(err)
	}
	return account, cloud
}

// TestRefusedByTheCloud: what only a person can mend costs one call, however often the Server is looked at, and its condition holds the
// cloud's own code and text and the id of the request.
func TestRefusedByTheCloud(t *testing.T) {
	for name, tc := range map[string]struct {
		size   string
		call   string
		fault  string
		reason fault.Reason
		words  []string
	}{
		"AWS, permission":     {"t3.micro", "RunInstances", ec2.UnauthorizedOperation, fault.ReasonUnauthorized, []string{"UnauthorizedOperation", "not authorized"}},
		"AWS, quota":          {"t3.micro", "RunInstances", ec2.VcpuLimitExceeded, fault.ReasonQuotaExceeded, []string{"VcpuLimitExceeded", "vCPU"}},
		"UpCloud, permission": {"2xCPU-4GB", "CreateServer", fakeupcloud.Forbidden, fault.ReasonUnauthorized, []string{"ACTION_FORBIDDEN"}},
		"UpCloud, quota":      {"2xCPU-4GB", "CreateServer", fakeupcloud.LimitReached, fault.ReasonQuotaExceeded, []string{"SERVER_CORE_LIMIT_REACHED"}},
		"UpCloud, credits":    {"2xCPU-4GB", "CreateServer", fakeupcloud.NoCredits, fault.ReasonQuotaExceeded, []string{"INSUFFICIENT_CREDITS"}},
	} {
		t.Run(name, func(t *testing.T) {
			var account provider.Provider
			var stage *faults.Stage
			if tc.call == "CreateServer" {
				to, cloud := atUpCloud(t)
				account, stage = to, cloud.Stage
			} else {
				to, cloud := atAWS(t)
				account, stage = to, cloud.Stage
			}
			if err := stage.Board.Arm(faults.Order{Name: tc.fault, Call: tc.call, Count: faults.Always}); err != nil {
				t.Fatal(err)
			}
			rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", func(s *v1alpha1.Server) {
				s.Spec.Size, s.Spec.Image = tc.size, "debian-12"
			}))
			rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
				return provider.Guarded(account, 30*time.Second), provider.Account{ID: testAccount}, nil
			}
			r := rg.boot(rg.client)
			s := rg.drive(r, "a", "stalled by "+string(tc.reason), stalled(tc.reason))
			for range 5 {
				rg.reconcile(r, "a")
			}
			if n := stage.Log.Report(0).Counts[tc.call]; n != 1 {
				t.Errorf("%d calls of %s", n, tc.call)
			}
			time.Sleep(2 * testSettle) // what is looked at later is no other case
			for range 2 {
				rg.refreshAt(r)
				rg.reconcile(r, "a")
			}
			if n := stage.Log.Report(0).Counts[tc.call]; n != 1 {
				t.Errorf("%d calls of %s once all has settled", n, tc.call)
			}
			told := reconcile.Condition(s, v1alpha1.ProvisionedCondition).Message
			for _, word := range append(tc.words, "request ") {
				if !strings.Contains(told, word) {
					t.Errorf("%q does not mention %q", told, word)
				}
			}
			time.Sleep(2 * testSettle)
			rg.raise("a", "1")
			for range 5 {
				rg.refreshAt(r)
				rg.reconcile(r, "a")
			}
			if n := stage.Log.Report(0).Counts[tc.call]; n != 2 && tc.call == "CreateServer" {
				t.Errorf("%d calls of %s after a person asked once more", n, tc.call)
			}
		})
	}
}

package e2e

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/reconcile"
)

// accounts are clouds that let nobody in without credentials.
var accounts = map[string]struct {
	spec, size, secret string
	open               func(t *testing.T) (url string, machines func() int)
}{
	"AWS": {
		spec: `{type: AWS, credentials: {secretRef: {name: keys}}, aws: {region: eu-west-1, endpoint: %q}}`, size: "t3.micro",
		secret: "accessKeyID: " + ec2.AccessKeyID + ", secretAccessKey: " + ec2.SecretAccessKey,
		open: func(t *testing.T) (string, func() int) {
			cloud := ec2.New(ec2.Options{Speed: 50})
			door := httptest.NewServer(cloud.Handler())
			t.Cleanup(door.Close)
			return door.URL, func() int { return len(cloud.Report().Machines) }
		},
	},
	"UpCloud": {
		spec: `{type: UpCloud, credentials: {secretRef: {name: keys}}, upCloud: {zone: fi-hel1, endpoint: %q}}`, size: "1xCPU-1GB",
		secret: "token: ucat_FAKE",
		open: func(t *testing.T) (string, func() int) {
			cloud := upcloud.New(upcloud.Options{Speed: 50})
			door := httptest.NewServer(cloud.Handler())
			t.Cleanup(door.Close)
			return door.URL, func() int { return len(cloud.Inventory().Servers) + len(cloud.Inventory().Storages) }
		},
	},
}

// A GitOps tool that prunes a Secret, its Provider and a workflow in one go may delete the credentials first. An operator that has the account
// open ends the machines all the same. One that has not cannot: the workflow is never given up, says what blocks it, in whose words, and
// a way to go on; it works, and so does bringing the Secret back.
func TestDeletionAfterItsCredentials(t *testing.T) {
	t.Parallel()
	for name, account := range accounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, brisk, "--endpoint-allow=127.0.0.0/8", "--simulate-machines")
			url, machines := account.open(t)
			b.start()
			secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {" + account.secret + "}\n"
			b.apply(secret + "---\napiVersion: keelway.dev/v1alpha1\nkind: Provider\nmetadata: {name: cloud}\nspec: " + fmt.Sprintf(account.spec, url) + "\n")
			b.apply(workflow("shop", fmt.Sprintf("{name: base, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: cloud}, size: %s, image: debian-12}}}}", account.size)))
			b.reaches("shop", v1alpha1.WorkflowSucceeded)
			b.kubectl("", "delete", "secret/keys")
			b.present.stop(t)
			b.start()
			b.kubectl("", "delete", "bwf/shop", "kprov/cloud", "--wait=false")
			b.eventually("the workflow tells", patience, func() error {
				ready := reconcile.Condition(get(b, "shop", &v1alpha1.BatchWorkflow{}), v1alpha1.ReadyCondition)
				for _, want := range []string{"still there: 2 Servers", "Secret keys", v1alpha1.AnnotationAbandon} {
					if ready == nil || ready.Reason != "DeletionBlocked" || !strings.Contains(ready.Message, want) {
						return fmt.Errorf("%q is not said: %+v", want, ready)
					}
				}
				return nil
			})
			if n := len(b.servers()); n != 2 || machines() < 2 {
				t.Fatalf("%d Servers and %d machines are left", n, machines())
			}
			one := b.servers()[0]
			b.kubectl("", "annotate", "ksrv/"+one.Name, v1alpha1.AnnotationAbandon+"="+one.Status.ID)
			b.eventually("what was abandoned goes", patience, func() error {
				if left := b.servers(); len(left) != 1 || left[0].Name == one.Name {
					return fmt.Errorf("%d Servers are left", len(left))
				}
				return nil
			})
			b.apply(secret)
			b.vanishes() // it is tried again, nobody has to ask
			if n := machines(); n == 0 || name == "AWS" && n != 1 {
				t.Errorf("%d machines are there: the one that was abandoned was to stay, and no other", n)
			}
		})
	}
}

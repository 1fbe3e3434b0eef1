package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// nest is a condition that costs far more than one may.
func nest(depth int) string {
	list := "[1,2,3,4,5,6,7,8,9,10]"
	if depth == 0 {
		return "operations.base.phase"
	}
	return fmt.Sprintf("%s.map(x%d, %s)", list, depth, nest(depth-1))
}

// Workflows that are broken in every way stand beside one that is well, which does not notice. What is broken says what and where.
func TestBrokenWorkflowsHarmNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t, slow)
	b.start()
	b.provider(maxInFlight)
	yaml, count, _ := fleet("well", "Fail", "large", 0.2)
	b.apply(yaml)
	b.past("well", 0.1)
	for name, tc := range map[string]bad{
		"one instance too many": {
			at: "BatchWorkflow/instances", why: "Invalid", status: status.FailedStatus,
			yaml: workflow("instances", "{name: a, type: Wait, wait: {duration: 1s, count: 100000}}", "{name: b, type: Wait, wait: {duration: 1s}}"),
			says: []string{"100001", "100000"},
		},
		"a value of nobody": {
			at: "BatchWorkflow/nobody", why: "UnknownDependency", status: status.FailedStatus,
			yaml: workflow("nobody", servers, etcd(`, parameters: {clusterToken: "${operations.nobody.outputs.addresses}"}`)),
			says: []string{`operation "etcd"`, "${operations.nobody.outputs.addresses}", "there are base, etcd"},
		},
		"a condition that is none": {
			at: "BatchWorkflow/cel", why: "Invalid", status: status.FailedStatus,
			yaml: workflow("cel", "{name: base, type: Wait, wait: {duration: 0s}}", "{name: b, type: Wait, dependsOn: [{operation: base}], when: 'operations.base.phase ==', wait: {duration: 0s}}"),
			says: []string{`operation "b"`, "when: line 1, column 25", "something is missing at its end"},
		},
		"a condition that costs too much": {
			at: "BatchWorkflow/cost", why: "Failed", status: status.FailedStatus,
			yaml: workflow("cost", "{name: base, type: Wait, wait: {duration: 0s}}", "{name: b, type: Wait, dependsOn: [{operation: base}], when: '"+nest(6)+".size() > 0', wait: {duration: 0s}}"),
			says: []string{`operation "b"`, "costs too much"},
		},
		"a verb for nobody": {
			at: "BatchWorkflow/verb", why: "Failed", status: status.FailedStatus, children: 1,
			yaml: strings.Replace(workflow("verb", strings.ReplaceAll(servers, "{name: cloud}", "{name: cloud}, size: colossal")), "metadata: {name: verb}", `metadata: {name: verb, annotations: {keelway.dev/retry: "nosuch@1"}}`, 1),
			says: []string{"keelway.dev/retry: nosuch@1 was refused", `there is no operation "nosuch"`, "there are base"},
		},
	} {
		b.apply(tc.yaml)
		t.Run(name, func(t *testing.T) { b.tells(t, tc) })
	}
	t.Run("10 MB of parameters", func(t *testing.T) {
		yaml := workflow("huge", servers, etcd(`, parameters: {clusterToken: "`+strings.Repeat("x", 10<<20)+`"}`))
		_, err := b.ControlPlane.Kubectl(t.Context(), strings.NewReader(yaml), "-n", b.namespace, "apply", "--server-side", "-f", "-")
		if err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("it is admitted, or not said to be too large: %.300v", err)
		}
	})
	t.Run("100 KiB of parameters", func(t *testing.T) {
		b.apply(workflow("large", servers, etcd(`, parameters: {clusterToken: "`+strings.Repeat("x", 100<<10)+`"}`)))
		b.tells(t, bad{at: "BatchWorkflow/large", why: "Invalid", status: status.FailedStatus, says: []string{`operation "etcd"`, "bytes together"}})
	})
	t.Run("a flipped bit", func(t *testing.T) { b.flips(t) })
	t.Run("a Checkpoint torn away", func(t *testing.T) { b.tears(t) })
	l := b.ledger(b.reaches("well", v1alpha1.WorkflowSucceeded).Name)
	if counts := l.Counts(); counts[saga.Succeeded] != counts.Total() {
		t.Errorf("the one that is well ends with %v", counts)
	}
	b.once(count)
}

// tears takes the Checkpoint of a finished workflow away: it comes back, made anew from what there is.
func (b *bench) tears(t *testing.T) {
	t.Helper()
	defer b.as(t)()
	b.apply(workflow("torn", "{name: a, type: Wait, wait: {duration: 0s}}"))
	b.reaches("torn", v1alpha1.WorkflowSucceeded)
	old := get(b, "torn", &v1alpha1.Checkpoint{})
	b.kubectl("", "delete", "checkpoint/torn", "--wait=false")
	b.kubectl("", "patch", "checkpoint/torn", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	b.eventually("the Checkpoint is back", patience, func() error {
		var c v1alpha1.Checkpoint
		if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(old), &c); err != nil {
			return err
		}
		if l, err := saga.Decode(c.Status.Data); c.UID == old.UID || err != nil || l.Phase != saga.RunSucceeded {
			return fmt.Errorf("it is the former one, or holds nothing: %v", err)
		}
		return nil
	})
	b.reaches("torn", v1alpha1.WorkflowSucceeded)
}

// flips damages a ledger in mid-run: it is refused and left alone, and the workflow goes on when it is as it was.
func (b *bench) flips(t *testing.T) {
	t.Helper()
	defer b.as(t)()
	b.apply(workflow("flipped", "{name: a, type: Wait, wait: {duration: 2s}}", "{name: b, type: Wait, dependsOn: [{operation: a}], wait: {duration: 0s}}"))
	var good []byte
	b.eventually("a ledger", patience, func() error {
		var c v1alpha1.Checkpoint
		if err := b.Client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: "flipped"}, &c); err != nil {
			return err
		}
		if good = c.Status.Data; len(good) == 0 {
			return fmt.Errorf("it is empty")
		}
		return nil
	})
	b.present.kill()
	b.later = true // the witness reads what we write
	write := func(data []byte) []byte {
		c := get(b, "flipped", &v1alpha1.Checkpoint{})
		c.Status.Data = data
		if err := b.Client.Status().Update(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return data
	}
	broken := slices.Clone(good)
	broken[len(broken)/2] ^= 0x10
	write(broken)
	b.start()
	b.tells(t, bad{at: "BatchWorkflow/flipped", why: "CodecUnknown", status: status.FailedStatus, says: []string{"checkpoint flipped", "damaged", "left as it is", "take the Checkpoint away"}})
	if data := get(b, "flipped", &v1alpha1.Checkpoint{}).Status.Data; !bytes.Equal(data, broken) {
		t.Error("it was overwritten")
	}
	b.present.kill()
	write(good)
	b.start()
	b.eventually("it goes on", patience, func() error {
		if w := get(b, "flipped", &v1alpha1.BatchWorkflow{}); w.Status.Phase != v1alpha1.WorkflowSucceeded {
			return fmt.Errorf("it is %s", w.Status.Phase)
		}
		return nil
	})
}

package plan

import (
	"testing"
	"time"

	"github.com/keelway/keelway/internal/saga"
)

// TestForgottenStoryKeepsOutcomes: a run of which only keys, outcomes and hashes are left is enough to run the difference and nothing else: a
// command whose Run went with the story does not run again.
func TestForgottenStoryKeepsOutcomes(t *testing.T) {
	all := "ttlAfterFinished: 1h\n" + ops(machines, etcdOp, initOp, gate)
	y := newYard(t, all).run()
	if y.l.Phase != saga.RunSucceeded {
		t.Fatal(y.phases())
	}
	y.did, y.now = nil, y.now.Add(2*time.Hour)
	if y.run(); !y.l.Compact {
		t.Fatalf("its story is not forgotten: %s", y.phases())
	}
	y.doing("Stray gate/0", "Stray init/a", "Stray init/b") // in the order of their names
	y.apply(replace(all, "[{key: a}", "[{key: new}, {key: a}")).run()
	y.doing("Ensure servers/new", "Update etcd/etcd", "Ensure init/new", "Ensure gate/0")
	if y.l.Run != 2 || y.l.Phase != saga.RunSucceeded || y.l.Compact {
		t.Errorf("%s, compact %t", y.phases(), y.l.Compact)
	}
}

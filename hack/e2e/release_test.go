package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/saga"
)

// codecOfTheNext is the codec that the release after this one reads and the one after that writes.
const codecOfTheNext = saga.CodecNewest + 1

// aRelease is the present program with what a new codec takes: it reads one version more, writes the newest one that this release reads, and
// with KEELWAY_TEST_CODEC set already the new one, as the release after it does. The new codec keeps one more thing at the ledger's end.
var aRelease = map[string][][2]string{
	"internal/saga/codec.go": {
		{fmt.Sprintf("CodecWritten = %d\n", saga.CodecWritten), ""},
		{fmt.Sprintf("CodecNewest = %d\n", saga.CodecNewest), fmt.Sprintf("CodecNewest = %d\n", codecOfTheNext)},
		{"// ErrCorrupt is", fmt.Sprintf("var CodecWritten = map[bool]int{true: %d, false: %d}[os.Getenv(\"KEELWAY_TEST_CODEC\") != \"\"]\n\n// ErrCorrupt is", codecOfTheNext, saga.CodecWritten)},
		{"\t\"fmt\"\n", "\t\"fmt\"\n\t\"os\"\n"},
	},
	"internal/saga/encode.go": {
		{"magic, CodecWritten\n", "magic, byte(CodecWritten)\n"},
		{"\tw.columns(l)\n\n", fmt.Sprintf("\tw.columns(l)\n\tif CodecWritten == %d {\n\t\tw.text(\"kept since then\")\n\t}\n\n", codecOfTheNext)},
	},
	"internal/saga/wire.go": {{"\terr  error\n}", "\terr  error\n\tlater bool\n}"}},
	"internal/saga/decode.go": {
		{"(&reader{body: body})", fmt.Sprintf("(&reader{body: body, later: data[1] == %d})", codecOfTheNext)},
		{"\tr.columns(l)\n", "\tr.columns(l)\n\tif r.later && r.text(64, \"what is kept since then\") != \"kept since then\" {\n\t\tr.fail(\"it is not there\")\n\t}\n"},
	},
}

// nextRelease builds it beside the present one.
func (b *bench) nextRelease() installation {
	b.t.Helper()
	dir, replaced := b.t.TempDir(), map[string]string{}
	for name, changes := range aRelease {
		source, err := filepath.Abs(filepath.Join(root, name))
		if err != nil {
			b.t.Fatal(err)
		}
		text, err := os.ReadFile(source)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, change := range changes {
			if strings.Count(string(text), change[0]) != 1 {
				b.t.Fatalf("%s: %q is not there once: the test's idea of a new codec is to be mended", name, change[0])
			}
			text = []byte(strings.Replace(string(text), change[0], change[1], 1))
		}
		replaced[source] = filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(replaced[source], text, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		b.t.Fatal(err)
	}
	i := b.install
	i.binary = filepath.Join(dir, "manager")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", i.binary, "./cmd/manager")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		b.t.Fatalf("building the next release: %v\n%s", err, out)
	}
	return i
}

// becomes kills the present operator and starts that of a release.
func (b *bench) becomes(release installation) {
	b.t.Helper()
	if b.present != nil {
		b.present.kill()
	}
	b.install = release
	b.start()
}

// written is the codec in which the Checkpoint of a workflow is stored now; 0 when it holds nothing.
func (b *bench) written(workflow string) int {
	b.t.Helper()
	if data := get(b, workflow, &v1alpha1.Checkpoint{}).Status.Data; len(data) > 1 {
		return int(data[1])
	}
	return 0
}

// made waits until the cloud has made so many machines.
func (b *bench) made(n int) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("%d machines", n), patience, func() error {
		if r := b.cloud.Report(); r.Made < n {
			return fmt.Errorf("there are %d", r.Made)
		}
		return nil
	})
}

// Operators of two releases take turns in mid-run, as in an upgrade that is taken back. A release writes the newest codec that the release before
// it reads, so each goes on where the other one was. One that is two releases old refuses the ledger and leaves everything as it is.
func TestReleasesTakeTurns(t *testing.T) {
	t.Parallel()
	b := newBench(t, slow)
	former := b.install
	next := b.nextRelease()
	afterNext := next
	afterNext.env = []string{"KEELWAY_TEST_CODEC=yes"}
	b.later = true
	b.becomes(former)
	b.provider(maxInFlight)
	yaml, servers, _ := fleet("turns", "Fail", "large", pick(0.3, 1.0))
	b.apply(yaml)

	for turn, share := range []float64{0.1, 0.2, 0.3, 0.4} { // this release and the next one, by turns
		b.made(int(share * float64(servers)))
		b.becomes([]installation{next, former}[turn%2])
	}
	b.made(int(0.45 * float64(servers)))
	if v := b.written("turns"); v != saga.CodecWritten {
		t.Errorf("the next release wrote codec %d, which this one would not read", v)
	}
	b.becomes(next)
	for turn, share := range []float64{0.5, 0.6} { // the next one and the one after it
		b.made(int(share * float64(servers)))
		b.becomes([]installation{afterNext, next}[turn%2])
	}
	b.becomes(afterNext)
	b.eventually("the release after the next writes its own codec", patience, func() error {
		if v := b.written("turns"); v != codecOfTheNext {
			return fmt.Errorf("it is %d", v)
		}
		return nil
	})

	b.becomes(former) // two releases back
	before := get(b, "turns", &v1alpha1.Checkpoint{})
	b.eventually("a release that does not read it says so", patience, func() error {
		ready := reconcile.Condition(get(b, "turns", &v1alpha1.BatchWorkflow{}), v1alpha1.ReadyCondition)
		if ready == nil || ready.Reason != "CodecUnknown" || !strings.Contains(ready.Message, fmt.Sprintf("codec %d", codecOfTheNext)) {
			return fmt.Errorf("its condition is %+v", ready)
		}
		return nil
	})
	time.Sleep(time.Second)
	if after := get(b, "turns", &v1alpha1.Checkpoint{}); after.ResourceVersion != before.ResourceVersion {
		t.Error("it wrote the Checkpoint that it does not read")
	}

	b.becomes(next)
	b.eventually("a release that reads it goes on", patience, func() error {
		ready := reconcile.Condition(get(b, "turns", &v1alpha1.BatchWorkflow{}), v1alpha1.ReadyCondition)
		if ready.Reason == "CodecUnknown" {
			return fmt.Errorf("its condition is %+v", ready)
		}
		return nil
	})
	w := b.reaches("turns", v1alpha1.WorkflowSucceeded)
	b.eventually("the ledger is in the codec that this release reads", patience, func() error {
		if v := b.written("turns"); v != saga.CodecWritten {
			return fmt.Errorf("it is %d", v)
		}
		return nil
	})
	b.complete(w, servers)
	b.kubectl("", "delete", "bwf", "turns", "--wait=false")
	b.vanishes("provider.keelway.dev/cloud")
}

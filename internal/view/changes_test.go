package view

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
)

// told feeds snapshots a second apart and returns what was said.
func told(j *Journal, apart time.Duration, snapshots ...*Snapshot) (rows []string) {
	for i, s := range snapshots {
		for _, l := range j.Lines(s, clock.Add(time.Duration(i)*apart)) {
			rows = append(rows, l.Draw(0, false))
		}
	}
	return rows
}

func TestJournalSaysWhatIsNew(t *testing.T) {
	all := scenes(t)
	got := told(NewJournal(clock), time.Second, all["new"], all["servers"], all["servers"], all["retrying"], all["gone"], all["succeeded"])
	want := []string{
		"     1 s  servers             … 1 of 3 succeeded, 1 of 3 running, the rest waits for parallelLimit: 2",
		"     1 s  servers 0           ✔ 127.9.8.0",
		"     1 s  servers 1           … running: 127.9.8.1",
		"     1 s  demo  Running  41 s  1 of 5 done",
		"     3 s  servers             ✔ 3 of 3 succeeded",
		"     3 s  servers 1           ✔ 127.9.8.1",
		"     3 s  servers 2           ✔ 127.9.8.2",
		"     3 s  etcd                ↻ retrying, attempt 1 of 2: ScriptFailed: " + rootCause,
		"     5 s  etcd                ✔ etcd 3.7.3 on 3 of 3 servers",
		"     5 s  check               ✔ succeeded, attempt 2 of 3: read through http://127.9.8.2:2379",
		"     5 s  demo  Succeeded  37 s  5 of 5 done",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJournalGivesSignsOfLife(t *testing.T) {
	s := scenes(t)["installing"]
	j := NewJournal(clock)
	told(j, 0, s)
	got := told(j, 4*time.Second, s, s, s, s, s, s) // 0, 4, … 20 s
	want := []string{"    12 s  still: demo  Running  52 s  3 of 5 done"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("one sign after %s of silence (-want +got):\n%s", Beat, diff)
	}
}

// TestJournalSaysATransitionOnce: servers that become ready one after the other are a line each, and their batch one at its beginning and
// one at its end, however many there are.
func TestJournalSaysATransitionOnce(t *testing.T) {
	const servers = 20
	j, lines := NewJournal(clock), []string{}
	for ready := range servers + 1 {
		var ops []v1alpha1.OperationStatus
		for i := range servers {
			phase := "Running"
			if i < ready {
				phase = "Succeeded"
			}
			ops = append(ops, serverOp(fmt.Sprint(i), phase, 40, 1))
		}
		s := scene(t, v1alpha1.WorkflowRunning, fmt.Sprintf("%d/22", ready), ops...)
		lines = append(lines, told(j, 0, s)...)
	}
	const begun, ended, batch, workflow = servers, servers, 2, 1
	if want := begun + ended + batch + workflow; len(lines) != want {
		t.Errorf("%d lines, want %d:\n%s", len(lines), want, strings.Join(lines, "\n"))
	}
}

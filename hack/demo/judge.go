package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/view"
)

// errUnexpected: the demo ran and its end is not the one that it must have. What differs has been said.
var errUnexpected = errors.New("the demo did not end as it should")

// expectSuccess shows the end and returns an error unless everything succeeded.
func (t *story) expectSuccess(ctx context.Context, s *snapshot) error {
	t.out.heading("The end, as kubectl shows it")
	if err := t.kubectl(ctx, "", "get", "bwf,ksrv,ktsv,krun"); err != nil {
		return err
	}
	if err := t.kubectl(ctx, "", "get", "bwf", demoName, "-o", "wide"); err != nil {
		return err
	}
	t.out.say(view.Line{})
	status := &s.Workflow.Status
	good := status.Phase == v1alpha1.WorkflowSucceeded && status.Counts != nil && status.Counts.Succeeded == 5
	t.out.verdict(good, "the workflow is %s, %s instances succeeded", status.Phase, status.Progress)
	for i := range s.Runs {
		for text := range strings.Lines(s.Runs[i].Status.Tail) {
			t.out.say(view.Line{view.Dim.Of("  the check: " + strings.TrimSpace(text))})
		}
	}
	if !good {
		return errUnexpected
	}
	return nil
}

// expectUndo shows the end and returns an error unless the root cause is told and nothing is left of what was made.
func (t *story) expectUndo(ctx context.Context, s *snapshot) error {
	t.out.heading("The end, as kubectl shows it")
	if err := t.kubectl(ctx, "", "get", "bwf,ksrv,ktsv,krun"); err != nil {
		return err
	}
	why := `jsonpath={range .status.operations[?(@.reason)]}{.name}: {.phase}: {.reason}: {.message}{"\n"}{end}`
	if err := t.kubectl(ctx, "", "get", "bwf", demoName, "-o", why); err != nil {
		return err
	}
	t.out.say(view.Line{})
	dirs, here := t.ground.homes(), t.ground.residents()
	message := readyMessage(s.Workflow.Status.Conditions)
	good := true
	for _, point := range []struct {
		holds bool
		text  string
	}{
		{s.Workflow.Status.Phase == v1alpha1.WorkflowRolledBack, fmt.Sprintf("the workflow is %s", s.Workflow.Status.Phase)},
		{strings.Contains(message, brokenWords), "its message names the root cause in the words of the program that failed"},
		{s.children() == 0, fmt.Sprintf("undone: %d Servers, %d TaskServices and %d Runs are left", len(s.Servers), len(s.Services), len(s.Runs))},
		{len(dirs) == 0, fmt.Sprintf("%d %s are left", len(dirs), t.ground.noun())},
		{len(here) == 0, fmt.Sprintf("%d processes are left on servers", len(here))},
	} {
		t.out.verdict(point.holds, "%s", point.text)
		good = good && point.holds
	}
	if !good {
		return errUnexpected
	}
	t.out.say(view.Line{view.Bold.Of("The workflow failed as it had to, said why, and took back everything that it had made.")})
	return nil
}

// testify says who was there before and after the kills, and returns an error when anything was made twice.
func (t *story) testify(ctx context.Context, s *snapshot) error {
	kills := t.saboteur.kills
	t.witness.observe(s, t.ground, kills)
	t.witness.observeMembers(ctx, t.cluster.plane.Assets().Etcdctl, s, kills)
	t.out.heading("Was anything made twice?")
	t.out.say(t.witness.report()...)
	good := true
	check := func(holds bool, format string, args ...any) {
		t.out.verdict(holds, format, args...)
		good = good && holds
	}
	for _, m := range t.saboteur.left {
		t.out.say(view.Line{view.MarkOff.Still(), view.Plain.Of(" "), view.Dim.Of(fmt.Sprintf("no kill while %s: that was over between two looks", m.while))})
	}
	const least = 4
	if kills < least {
		check(false, "only %d kills: %d at the least would show something", kills, least)
	}
	if changed := t.witness.replaced(); len(changed) > 0 {
		check(false, "%s", strings.Join(changed, "; "))
	} else {
		check(true, "%d kills, and everything that was seen once is the same at the end", kills)
	}
	check(t.witness.count(sawServer) == 3, "%d servers were ever seen", t.witness.count(sawServer))
	if !t.wanted.fail {
		t.countParts(check, s)
	}
	if !good {
		return errUnexpected
	}
	return nil
}

// countParts counts what there must be three of.
func (t *story) countParts(check func(bool, string, ...any), s *snapshot) {
	dirs := t.ground.homes()
	check(len(dirs) == 3, "%d %s are there", len(dirs), t.ground.noun())
	ours := map[string]bool{}
	for i := range s.Servers {
		ours[s.Servers[i].Status.ID] = true
	}
	etcds := named(t.ground.residents(), "etcd")
	homes := map[string]bool{}
	for _, e := range etcds {
		homes[e.server] = ours[e.server]
	}
	check(len(etcds) == 3 && len(homes) == 3, "%d etcd processes run, on %d servers", len(etcds), len(homes))
	for home, known := range homes {
		if !known {
			check(false, "an etcd runs on %s, which is none of the servers", home)
		}
	}
	members := t.witness.count(sawMember)
	check(members == 3, "%d members were ever in the etcd cluster", members)
	served := t.mirror.served.Load()
	check(served == 3, "%d downloads of the archive: each server was installed once", served)
}

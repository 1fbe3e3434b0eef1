// Command guards breaks each guard of the house in a copy of the repository, one at a time, and demands that the test named for
// it turns red. A guard whose test stays green is not proven; this command then ends with 1.
//
// It must not change the repository: the copy lives in a temporary directory and is removed.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// guard is one thing that safety rests on, and the test that must notice when it is gone.
type guard struct {
	name      string
	file      string // relative to the root
	old, new  string // old occurs exactly once in file
	pkg       string
	test      string // the name that must appear among the failed
	arguments []string
}

var guards = []guard{
	{name: "the import fence", file: "internal/plan/act.go", old: "import (\n", new: "import (\n\t_ \"os/exec\"\n",
		pkg: "./internal/fence", test: "TestFencesHold"},
	{name: "the Checkpoint's compare-and-swap", file: "controllers/batchworkflow/checkpoint.go",
		old: `"metadata": map[string]any{"resourceVersion": l.memory.version},`, new: `"metadata": map[string]any{},`,
		pkg: "./controllers/batchworkflow", test: "TestStaleLedgerIsRefused", arguments: []string{"-ginkgo.focus", "TestStaleLedgerIsRefused"}},
	{name: "the live read before the first create", file: "controllers/server/create.go",
		old: "live.UID != s.UID || !live.DeletionTimestamp.IsZero()", new: "live.UID != s.UID && live == nil",
		pkg: "./controllers/server", test: "TestLiveReadStopsCreate"},
	{name: "the finalizer before the first create", file: "internal/reconcile/finalizer.go",
		old: "return k.patchFinalizers(ctx, obj, controllerutil.AddFinalizer)", new: "return nil",
		pkg: "./controllers/server", test: "TestFinalizerHoldsUntilGone"},
	{name: "the machine's lock", file: "internal/runner/shell/supervise.sh", old: "	flock 9 8>&- || exit 1 ", new: "	true ",
		pkg: "./internal/runner", test: "TestMachineLockKeepsRunsApart"},
	{name: "a confirmed absence before Undone", file: "internal/plan/undo.go", old: "	case s.Gone && !scripted,", new: "	case !s.Exists && !scripted,",
		pkg: "./internal/plan", test: "TestSimulation", arguments: []string{"-short"}},
	{name: "the attempt that a child's failure speaks of", file: "internal/plan/fold.go",
		old: "there && s.Answered >= int32(a.l.Attempts[i])", new: "there",
		pkg: "./internal/plan", test: "TestSimulation", arguments: []string{"-short"}},
	{name: "the limit", file: "internal/plan/start.go", old: "room := a.w.limit() - int(counts.Live())", new: "room := a.w.limit() + 1 - int(counts.Live())",
		pkg: "./internal/plan", test: "TestSimulation", arguments: []string{"-short"}},
	{name: "a run whose ledger has gaps is not undone by itself", file: "internal/plan/halt.go", old: "stop != saga.StopRollback && Lost(a.l)", new: "false && Lost(a.l)",
		pkg: "./internal/plan", test: "TestLostRunIsNotUndone"},
	{name: "a lost ledger is made anew and not begun anew", file: "controllers/batchworkflow/rebuild.go", old: "live.Status.Run == nil && kids.Len() == 0", new: "live.Status.Run == nil || kids.Len() > 0",
		pkg: "./controllers/batchworkflow", test: "TestBatchWorkflow", arguments: []string{"-ginkgo.focus", "is made anew from the children when the run is over"}},
	{name: "the end of a run, taken back when the next is under way", file: "controllers/batchworkflow/look.go", old: "				l.unsettle(w, fault.IsTerminal(err))\n", new: "",
		pkg: "./controllers/batchworkflow", test: "switches the servers", arguments: []string{"-ginkgo.focus", "switches the servers"}},
	{name: "the audit of workflows that are over", file: "controllers/batchworkflow/audit.go", old: "fingerprint(kids) != known.print", new: "fingerprint(kids) == known.print+1",
		pkg: "./controllers/batchworkflow", test: "TestAuditFindsWhatNoEventTold", arguments: []string{"-ginkgo.focus", "TestAuditFindsWhatNoEventTold"}},
	{name: "the second owner of what outlives its workflow", file: "controllers/batchworkflow/look.go", old: "		children.SetAnchor(action.Child, l.ground)\n", new: "",
		pkg: "./controllers/batchworkflow", test: "Orphan lets what is under way go on", arguments: []string{"-ginkgo.focus", "Orphan lets what is under way go on"}},
	{name: "the second owner, before the status says so", file: "controllers/batchworkflow/anchor.go", old: "	return kid.GetDeletionTimestamp() == nil && !", new: "	return false && !",
		pkg: "./controllers/batchworkflow", test: "acts on a workflow that is over", arguments: []string{"-ginkgo.focus", "acts on a workflow that is over"}},
	{name: "the workflow that stays, before what was cut loose is taken up", file: "controllers/batchworkflow/look.go", old: "if err = l.current(ctx, w); err == nil {", new: "if err = nil; err == nil {",
		pkg: "./controllers/batchworkflow", test: "Orphan takes nothing back up", arguments: []string{"-ginkgo.focus", "Orphan takes nothing back up"}},
	{name: "host keys on record before a login", file: "controllers/reach/keys.go", old: "	return reconcile.Record(ctx, s)\n}\n\n// repin", new: "	return nil\n}\n\n// repin",
		pkg: "./controllers/reach", test: "TestHostKeys", arguments: []string{"-short"}},
	{name: "a strange host key", file: "internal/transport/ssh/dial.go", old: "			return errStranger\n", new: "			return nil\n",
		pkg: "./internal/transport/ssh", test: "TestFaults"},
	{name: "the slots of a rollout", file: "internal/plan/taskservice_turn.go", old: "			slots--\n", new: "",
		pkg: "./internal/plan", test: "TestRollout", arguments: []string{"-short"}},
	{name: "a rollout's stop at the first failure", file: "internal/plan/taskservice_turn.go", old: "	if failed != \"\" {\n", new: "	if false {\n",
		pkg: "./internal/plan", test: "TestRollout", arguments: []string{"-short"}},
	{name: "the claim of a host", file: "internal/provider/local/host/claim.sh", old: "	mv -T \"$draft\" \"$home/claim\" 2>/dev/null || rm -rf \"$draft\"", new: "	rm -rf \"$home/claim\"; mv -T \"$draft\" \"$home/claim\"",
		pkg: "./internal/provider/local/host", test: "TestTwoInstallations"},
	{name: "the settle window of a cloud without tokens", file: "internal/provider/upcloud/create.go", old: "asked.Sub(before.at); tried && left > 0 {", new: "asked.Sub(before.at); false && tried && left > 0 {",
		pkg: "./internal/provider/upcloud", test: "TestFaultsOfCreate"},
	{name: "storages that a deletion leaves", file: "internal/provider/upcloud/delete.go", old: "		return u.sweep(ctx, id)\n", new: "		return err\n",
		pkg: "./internal/provider/upcloud", test: "TestFaultsOfALife"},
	{name: "the list, where a machine's own page is missing", file: "internal/provider/upcloud/look.go", old: "		if s.UUID == id {\n", new: "		if false && s.UUID == id {\n",
		pkg: "./internal/provider/upcloud", test: "TestListedAndNotFound"},
	{name: "whose a machine of UpCloud is", file: "internal/provider/upcloud/look.go", old: "	case err == nil && !u.ours(d.Labels):\n", new: "	case false && err == nil && !u.ours(d.Labels):\n",
		pkg: "./internal/provider/upcloud", test: "TestAdoptStranger"},
	{name: "evidence that began after the last deed", file: "internal/inventory/inventory.go", old: "	if a.have && a.last.StartedAt.After(notBefore) {\n		defer", new: "	if a.have {\n		defer",
		pkg: "./internal/inventory", test: "TestEvidence"},
	{name: "the last deed that evidence must follow", file: "controllers/server/memory.go", old: "if last := m.of[name].last; !last", new: "if last := m.of[name].create; !last",
		pkg: "./controllers/server", test: "TestLooksAfterItsDeeds"},
	{name: "absence counts twice", file: "internal/plan/server_rules.go", old: "	case seen.Absences < 2:\n		return serverDo(ServerLook, seen.Recorded)", new: "	case seen.Absences < 1:\n		return serverDo(ServerLook, seen.Recorded)",
		pkg: "./internal/plan", test: "TestServer"},
	{name: "absence counts twice before a Server is let go", file: "internal/plan/server_rules.go", old: "	case seen.Absences < 2:\n		return serverDo(ServerLook, \"\")\n	case !seen.Settled:\n		return serverWait(fault.ReasonInProgress, 2*time.Second, \"the provider may not show yet what was made",
		new: "	case seen.Absences < 1:\n		return serverDo(ServerLook, \"\")\n	case !seen.Settled:\n		return serverWait(fault.ReasonInProgress, 2*time.Second, \"the provider may not show yet what was made", pkg: "./internal/plan", test: "TestServer"},
	{name: "the settle window before a second attempt without a token", file: "internal/plan/server_rules.go", old: "		case !seen.Settled:\n			return serverWait(fault.ReasonInProgress, 2*time.Second, \"the provider may not show yet what was asked for last",
		new: "		case false:\n			return serverWait(fault.ReasonInProgress, 2*time.Second, \"the provider may not show yet what was asked for last", pkg: "./internal/plan", test: "TestServerWithoutTokens"},
	{name: "the lag of a cloud before a Server goes", file: "controllers/server/machine.go", old: "settle = max(settle, lagging.Lag())", new: "_ = lagging",
		pkg: "./controllers/server", test: "TestHiddenMachineHoldsItsServer"},
	{name: "a launch on record before its call", file: "controllers/server/create.go", old: "	v.launchAlone(want)\n	return reconcile.Record(ctx, v.server)\n", new: "	v.launchAlone(want)\n	return nil\n",
		pkg: "./controllers/server", test: "TestUntokened"},
	{name: "a launch of many on record before its call", file: "controllers/server/together.go", old: "was == nil || *was != place {", new: "(was == nil || *was != place) && false {",
		pkg: "./controllers/server", test: "TestTogetherCrashes"},
	{name: "a launch of one on record, where others gather", file: "controllers/server/create.go", old: " && !gathers ||", new: " ||",
		pkg: "./controllers/server", test: "TestALoneLaunchStaysAlone"},
	{name: "a launch of one that stays alone", file: "controllers/server/together.go", old: "	if l.Of <= 1 {\n		v.r.launcher.again(plan.Key(v.key()))\n", new: "	if l.Of <= 1 {\n",
		pkg: "./controllers/server", test: "TestALoneLaunchStaysAlone"},
	{name: "the second line of deletionProtection", file: "internal/plan/server_rules.go", old: "	case spec.DeletionProtection == v1alpha1.SwitchEnabled:\n		return serverWait(", new: "	case false:\n		return serverWait(",
		pkg: "./controllers/server", test: "TestProtection"},
	{name: "the record of packages before they come", file: "internal/catalog/lib/52-apt.sh", old: "	kw_apt_foresee \"$@\"\n", new: "",
		pkg: "./internal/catalog", test: "TestPackagesByApt"},
	{name: "the schema of what comes from a Secret", file: "internal/catalog/render.go", old: "if !r.admits(property, value) {", new: "if false {",
		pkg: "./internal/catalog", test: "FuzzParametersOfRecipes"},
	{name: "the token of a launch", file: "internal/provider/aws/create.go", old: "		in.ClientToken = sdk.String(name)\n", new: "",
		pkg: "./internal/provider/aws", test: "TestATokenWithOtherParameters"},
	{name: "the number in a launch", file: "internal/provider/aws/batch.go", old: "		member := batch.Members[n]\n", new: "		member := batch.Members[len(all)]\n",
		pkg: "./internal/provider/aws", test: "TestABatchWhoseMachinesEnd"},
	{name: "whose an instance is", file: "internal/provider/aws/read.go", old: "	if read(found.Tags)[tagInstallation] != a.options.Installation {\n", new: "	if false {\n",
		pkg: "./internal/provider/aws", test: "TestAdoption"},
	{name: "the endpoint that a Provider names", file: "internal/provider/endpoint.go", old: "	case suspectName(at.Hostname()):\n", new: "	case false:\n",
		pkg: "./internal/provider", test: "TestAdmitEndpoint"},
	{name: "the labels of our identity, from people's", file: "internal/provider/aws/identity.go", old: "		case strings.HasPrefix(key, reserved):\n			return", new: "		case false:\n			return",
		pkg: "./internal/provider/aws", test: "TestLabelsOfPeople"},
	{name: "the labels of our identity, in a change of people's", file: "internal/provider/upcloud/labels.go", old: "u.relabel(ctx, d, with(d.Labels, all))", new: "u.relabel(ctx, d, all)",
		pkg: "./controllers/server", test: "TestLabelsInPlace"},
	{name: "what machines share, of a Server without one", file: "controllers/server/finalize.go", old: "		err = v.tidy(ctx)\n", new: "",
		pkg: "./controllers/server", test: "TestNothingSharedIsLeft"},
	{name: "a network that was taken out of sshFrom", file: "internal/provider/aws/network.go", old: "	if len(stale) > 0 {\n", new: "	if false {\n",
		pkg: "./internal/provider/aws", test: "TestSSHIsClosedAgain"},
	{name: "a cost that is unknown", file: "internal/plan/cost.go", old: "Hourly: v1alpha1.CostUnknown, Monthly: v1alpha1.CostUnknown", new: `Hourly: "0", Monthly: "0"`,
		pkg: "./internal/plan", test: "TestCost"},
	{name: "the operator's own credentials", file: "internal/account/settings.go", old: "p.Spec.Credentials == nil && !slices", new: "p.Spec.Credentials == nil && false && !slices",
		pkg: "./internal/account", test: "TestAmbientCredentials"},
	{name: "the operator's own credentials, from a stranger's endpoint", file: "internal/account/settings.go", old: "!provider.NamedEndpoint(section.Endpoint, o.EndpointAllow)", new: "false && !provider.NamedEndpoint(section.Endpoint, o.EndpointAllow)",
		pkg: "./internal/account", test: "TestAmbientEndpoint"},
	{name: "the labels of our identity, from those of a Server", file: "internal/provider/labels.go", old: "strings.HasPrefix(strings.ToLower(key), reservedLabels)", new: "false",
		pkg: "./internal/provider", test: "TestLabelRules"},
	{name: "the asking before an approval", file: "internal/plan/approval.go", old: "		case a.l.Asked(i):\n			chosen", new: "		case a.l.Phases[i] == saga.Pending:\n			chosen",
		pkg: "./internal/plan", test: "TestApproval"},
	{name: "the hash that an approval names", file: "internal/plan/gate.go", old: "	case what == record.Hash:\n", new: "	case what != \"\":\n",
		pkg: "./internal/plan", test: "TestPlanStale"},
	{name: "the world that a plan was made from", file: "internal/plan/preview.go", old: "is.GetUID(), is.GetGeneration(), is.GetDeletionTimestamp() != nil)", new: "\"\", 0, false)",
		pkg: "./internal/plan", test: "TestPlanHash"},
	{name: "whether the name of an approver can be believed", file: "controllers/batchworkflow/vouch.go", old: "	return false, err\n", new: "	return true, nil\n",
		pkg: "./controllers/batchworkflow", test: "reads unverified", arguments: []string{"-ginkgo.focus", "reads unverified"}},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guards:", err)
		os.Exit(1)
	}
}

func run(only []string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "internal", "fence")); err != nil {
		return errors.New("run this from the repository's root")
	}
	work, err := os.MkdirTemp("", "keelway-guards-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := copyTree(work, root); err != nil {
		return fmt.Errorf("copying the repository: %w", err)
	}
	unproven := 0
	for _, g := range guards {
		if len(only) > 0 && !strings.Contains(g.name, only[0]) {
			continue
		}
		began := time.Now()
		if err := g.prove(work); err != nil {
			unproven++
			fmt.Printf("NOT PROVEN  %s: %v\n", g.name, err)
			continue
		}
		fmt.Printf("proven      %s: %s turns red when it is broken (%.0f s)\n", g.name, g.test, time.Since(began).Seconds())
	}
	if unproven > 0 {
		return fmt.Errorf("%d guards are not proven", unproven)
	}
	return nil
}

// prove breaks the guard, runs its test, and mends it again.
func (g guard) prove(work string) error {
	path := filepath.Join(work, g.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := bytes.Count(whole, []byte(g.old)); n != 1 {
		return fmt.Errorf("%s holds the guard's text %d times instead of once: adapt the table", g.file, n)
	}
	broken := bytes.Replace(whole, []byte(g.old), []byte(g.new), 1)
	if err := os.WriteFile(path, broken, 0o644); err != nil {
		return err
	}
	defer os.WriteFile(path, whole, 0o644)
	arguments := append([]string{"test", "-count=1", "-timeout=4m", "-run", "^" + runName(g) + "$", g.pkg}, g.arguments...)
	command := exec.Command("go", arguments...)
	command.Dir = work
	command.Env = append(os.Environ(), "KEELWAY_REQUIRE_LAB=1")
	out, err := command.CombinedOutput()
	switch {
	case err == nil:
		return fmt.Errorf("%s stays green:\n%s", g.test, tail(out))
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		return fmt.Errorf("the broken code does not compile, which proves nothing:\n%s", tail(out))
	case !regexp.MustCompile(`(?m)FAIL.*` + regexp.QuoteMeta(g.test)).Match(out):
		return fmt.Errorf("something else than %s failed:\n%s", g.test, tail(out))
	}
	return nil
}

// runName is the go test that a Ginkgo specification runs in.
func runName(g guard) string {
	if strings.Contains(strings.Join(g.arguments, " "), "-ginkgo.focus") {
		return "TestBatchWorkflow"
	}
	return g.test
}

func tail(out []byte) string {
	const most = 1500
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return string(out)
}

// copyTree copies what the tests need: everything but binaries and version control.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if relative == ".git" || relative == "bin" {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, relative), 0o755)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, relative), text, 0o644)
	})
}

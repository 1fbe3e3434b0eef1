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
	{name: "a confirmed absence before Undone", file: "internal/plan/undo.go", old: "	case s.Gone:\n", new: "	case !s.Exists:\n",
		pkg: "./internal/plan", test: "TestSimulation", arguments: []string{"-short"}},
	{name: "the attempt that a child's failure speaks of", file: "internal/plan/fold.go",
		old: "there && s.Answered >= int32(a.l.Attempts[i])", new: "there",
		pkg: "./internal/plan", test: "TestSimulation", arguments: []string{"-short"}},
	{name: "the limit", file: "internal/plan/start.go", old: "room := a.w.limit() - int(counts.Live())", new: "room := a.w.limit() + 1 - int(counts.Live())",
		pkg: "./internal/plan", test: "TestSimulation", arguments: []string{"-short"}},
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

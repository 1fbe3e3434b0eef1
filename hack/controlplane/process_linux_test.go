package controlplane

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestChildrenDieWithTheirParent runs this test binary again as a parent, kills it the hard way and sees its child go.
func TestChildrenDieWithTheirParent(t *testing.T) {
	const role = "KEELWAY_TEST_PARENT"
	if dir := os.Getenv(role); dir != "" {
		beParent(dir)
	}
	parent := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	parent.Env = append(os.Environ(), role+"="+t.TempDir())
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	_, scanErr := fmt.Fscanf(bufio.NewReader(out), "child %d\n", &child)
	if scanErr == nil && !running(child) {
		t.Error("the child was gone before its parent")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed, as told
	if scanErr != nil {
		t.Fatalf("the parent told no child: %v", scanErr)
	}
	waitFor(t, "the child to die", func() error {
		if running(child) {
			return fmt.Errorf("process %d still runs", child)
		}
		return nil
	})
}

// beParent starts a child and waits to be killed.
func beParent(dir string) {
	p, err := launch("child", "sleep", []string{"600"}, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("child %d\n", p.cmd.Process.Pid)
	<-p.done
	os.Exit(1)
}

// running tells whether a process exists and is not merely waiting to be collected.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

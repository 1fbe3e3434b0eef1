package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/controlplane"
)

// operator is one life of the operator's program, as a child of ours: it dies with us, however we end.
type operator struct {
	cmd   *exec.Cmd
	began time.Time
	done  chan struct{}
	err   error // how it ended; to be read after done is closed
}

// launch starts the operator. All lives of one bench write into one log.
func launch(t *testing.T, i installation, dir, log string, args []string) *operator {
	t.Helper()
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() // the child has its own
	o := &operator{cmd: exec.Command(i.binary, args...), began: time.Now(), done: make(chan struct{})}
	o.cmd.Dir = dir
	o.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "KUBECONFIG=" + i.kubeconfig}
	o.cmd.Env = append(o.cmd.Env, i.env...)
	o.cmd.Stdout, o.cmd.Stderr = file, file
	wait, err := controlplane.StartBound(o.cmd)
	if err != nil {
		t.Fatalf("starting the operator: %v", err)
	}
	fmt.Fprintf(file, "e2e: pid %d begins\n", o.pid())
	go func() {
		o.err = wait()
		close(o.done)
	}()
	return o
}

func (o *operator) pid() int { return o.cmd.Process.Pid }

// signal goes through the handle of our own child, never to a bare pid. It fails only when the child has ended.
func (o *operator) signal(s os.Signal) { _ = o.cmd.Process.Signal(s) }

// kill ends it as the kernel does when memory runs out: without a last word.
func (o *operator) kill() {
	o.signal(syscall.SIGKILL)
	<-o.done
}

// ended says whether it has ended.
func (o *operator) ended() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// stop asks it to end and returns how long that took. One that does not within the grace of its Deployment is killed, which is
// a failure of the test.
func (o *operator) stop(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	o.signal(syscall.SIGCONT)
	o.signal(syscall.SIGTERM)
	select {
	case <-o.done:
	case <-time.After(15 * time.Second):
		t.Errorf("operator %d did not end within 15 s of SIGTERM", o.pid())
		o.kill()
	}
	return time.Since(begun)
}

// suspicious lines must not be in any operator's log: a panic, whoever caught it, and what its rights do not admit.
var suspicious = regexp.MustCompile(`(?i)panic|is forbidden|goroutine \d+ \[|data race|bug in keelway|may not go from`)

// inspectLog looks for them.
func inspectLog(t *testing.T, path string) {
	t.Helper()
	found := 0
	for _, line := range lines(path) {
		// An event about an object of a namespace that goes has no place to be kept.
		if suspicious.MatchString(line) && !strings.Contains(line, "because it is being terminated") {
			if found++; found <= 5 {
				t.Errorf("the operator's log: %.2000s", line)
			}
		}
	}
}

// chatter are the fields of a log line that say a thing twice.
var chatter = regexp.MustCompile(` (controllerGroup|controllerKind|\w+\.namespace|\w+\.name|namespace|reconcileID)=\S+`)

// tail is the end of a log, without what repeats itself.
func tail(path string, n int) string {
	all := lines(path)
	all = all[max(0, len(all)-n):]
	for i := range all {
		all[i] = fmt.Sprintf("%.500s", chatter.ReplaceAllString(all[i], ""))
	}
	return strings.Join(all, "\n")
}

func lines(path string) (all []string) {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		all = append(all, scanner.Text())
	}
	return all
}

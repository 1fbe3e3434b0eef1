package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/controlplane"
)

// waits is a workflow of that many servers and a pause behind them.
func waits(name string, servers, seconds int) string {
	return fmt.Sprintf(`
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: sim}
spec: {type: Local, local: {driver: Memory}}
---
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: %s}
spec:
  operations:
  - {name: servers, type: ServerBatch, serverBatch: {count: %d, template: {spec: {providerRef: {name: sim}}}}}
  - {name: a-pause-with-a-rather-long-name, type: Wait, dependsOn: [{operation: servers}], wait: {duration: %ds}}
  - {name: check, type: Check, dependsOn: [{operation: a-pause-with-a-rather-long-name}], check: {condition: "true"}}
`, name, servers, seconds)
}

// home is a namespace with a workflow in it, and the kubeconfig for it.
func (b *bench) home(t *testing.T, workflow string) (kubeconfig string) {
	t.Helper()
	namespace, err := b.namespace("watch")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err = b.kubeconfig(t.TempDir(), namespace, "")
	if err != nil {
		t.Fatal(err)
	}
	b.Kubectl(t, workflow, "apply", "--server-side", "--namespace", namespace, "-f", "-")
	return kubeconfig
}

// told is what a program under test has said so far.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *told) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *told) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits for words; a test that hangs is ended by its own limit, so a minute is for a machine that is busy.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// keelway starts the program; it dies with us.
func (b *bench) keelway(t *testing.T, kubeconfig string, args ...string) (cmd *exec.Cmd, out, errs *told, wait func() error) {
	t.Helper()
	out, errs = &told{}, &told{}
	cmd = exec.Command(filepath.Join(b.programs, "keelway"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	cmd.Stdout, cmd.Stderr = out, errs
	wait, err := controlplane.StartBound(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, out, errs, wait
}

func TestInterruptSaysThatTheWorkflowGoesOn(t *testing.T) {
	b := online(t)
	kubeconfig := b.home(t, waits("w", 1, 3600))
	cmd, out, errs, wait := b.keelway(t, kubeconfig, "watch", "w")
	until(t, "the pause is shown", func() bool { return strings.Contains(out.String(), "a-pause-with-a-rather-long-name") })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("it ended with %d, want 130", code)
	}
	if want := "interrupted; workflow w goes on; keelway watch w shows it again"; !strings.Contains(errs.String(), want) {
		t.Errorf("it said %q, want %q", errs, want)
	}
}

// TestInterruptOfWhatWaits: a verb that waits says so, too, and what it asked for stays.
func TestInterruptOfWhatWaits(t *testing.T) {
	b := online(t)
	kubeconfig := b.home(t, waits("w", 1, 3600))
	file := filepath.Join(t.TempDir(), "v.yaml")
	if err := os.WriteFile(file, []byte(waits("v", 1, 3600)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"apply": {"apply", "-f", file, "--wait"}, "resume": {"resume", "w", "--wait"}} {
		t.Run(name, func(t *testing.T) {
			cmd, out, errs, wait := b.keelway(t, kubeconfig, args...)
			until(t, "the pause is shown", func() bool { return strings.Contains(errs.String(), "a-pause-with-a-rather-long-name") })
			if strings.Contains(out.String(), "a-pause") {
				t.Errorf("progress is among the answers: %s", out)
			}
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			_ = wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(errs.String(), "goes on; keelway watch") {
				t.Errorf("it ended with %d, want 130, and said %q", code, errs)
			}
		})
	}
}

// proxy passes connections on to the API server until it is cut.
type proxy struct {
	net.Listener
	to    string
	mu    sync.Mutex
	conns []net.Conn
	cut   bool
}

func newProxy(t *testing.T, to string) *proxy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: listener, to: to}
	t.Cleanup(func() { listener.Close(); p.sever(true) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.pass(conn)
		}
	}()
	return p
}

func (p *proxy) pass(conn net.Conn) {
	there, err := net.Dial("tcp", p.to)
	p.mu.Lock()
	if err != nil || p.cut {
		p.mu.Unlock()
		conn.Close()
		return
	}
	p.conns = append(p.conns, conn, there)
	p.mu.Unlock()
	go func() { _, _ = io.Copy(there, conn); there.Close() }()
	_, _ = io.Copy(conn, there)
	conn.Close()
}

// sever cuts all connections and lets no new one in, or lets them in again.
func (p *proxy) sever(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
}

// TestWatchOutlivesLostConnectionsAndOperators cuts the line, and kills the operator, while a workflow is watched.
func TestWatchOutlivesLostConnectionsAndOperators(t *testing.T) {
	b := online(t)
	kubeconfig := b.home(t, waits("w", 2, 9))
	at, err := url.Parse(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, at.Host)
	cmd, out, errs, wait := b.keelway(t, kubeconfig, "watch", "w", "--server", "https://"+p.Addr().String())
	until(t, "the pause is shown", func() bool { return strings.Contains(out.String(), "a-pause-with-a-rather-long-name") })
	p.sever(true)
	until(t, "the loss is told", func() bool { return strings.Contains(errs.String(), "lost: ") })
	b.kill()
	p.sever(false)
	until(t, "the line is found again", func() bool { return strings.Contains(errs.String(), "found again") })
	if err := b.start(); err != nil {
		t.Fatal(err)
	}
	if err := wait(); err != nil {
		t.Fatalf("it ended with %v: %s%s", err, out, errs)
	}
	if text := out.String(); !strings.Contains(text, "w  Succeeded") || strings.Count(text, "check") != 1 {
		t.Errorf("each transition is told once, to the end: %s", text)
	}
	if n := strings.Count(errs.String(), "lost: "); n != 1 {
		t.Errorf("the loss is told %d times: %s", n, errs)
	}
	if cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("it ended with %d", cmd.ProcessState.ExitCode())
	}
}

// terminal is a real one: a window of a tmux server of our own.
type terminal struct {
	t      *testing.T
	socket string
}

func newTerminal(t *testing.T, width, height int, command string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("SKIPPED: there is no tmux on this machine")
	}
	term := &terminal{t, filepath.Join(t.TempDir(), "s")}
	term.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "TERM=xterm-256color "+command+"; echo code $?; sleep 600")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", term.socket, "kill-server").Run() })
	return term
}

func (w *terminal) tmux(args ...string) string {
	w.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", w.socket}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// screen is what a person sees, with escape sequences if wanted.
func (w *terminal) screen(colours bool) string {
	if colours {
		return w.tmux("capture-pane", "-p", "-e")
	}
	return w.tmux("capture-pane", "-p")
}

// whole wants one tree, without a trace of earlier pictures.
func (w *terminal) whole(width int) string {
	w.t.Helper()
	text := w.screen(false)
	for _, line := range []string{"w  Running", "├ ✔ servers", "└ ○ check"} {
		if n := strings.Count(text, line); n != 1 {
			w.t.Errorf("%d times %q at %d columns:\n%s", n, line, width, text)
		}
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
			w.t.Errorf("%d columns: %q", n, line)
		}
	}
	return text
}

// TestWatchOnATerminal looks at 80 and at 200 columns, after a resize in both directions, and at the end.
func TestWatchOnATerminal(t *testing.T) {
	b := online(t)
	kubeconfig := b.home(t, waits("w", 3, 3600))
	term := newTerminal(t, 80, 24, "KUBECONFIG="+kubeconfig+" "+filepath.Join(b.programs, "keelway")+" watch w")
	until(t, "the pause runs", func() bool {
		text := term.screen(false)
		return strings.Contains(text, "3 of 5 done") && strings.Count(text, "✔") == 4
	})
	text := term.whole(80)
	if !strings.Contains(text, "████") || !strings.Contains(text, "3 of 5 done") {
		t.Errorf("there is no bar:\n%s", text)
	}
	if !strings.Contains(term.screen(true), "\x1b[32m") {
		t.Error("there is no colour")
	}
	for _, width := range []int{200, 40, 80} {
		term.tmux("resize-window", "-x", fmt.Sprint(width), "-y", "24")
		until(t, fmt.Sprintf("a picture of %d columns", width), func() bool {
			text := term.screen(false)
			return strings.Count(text, "w  Running") == 1 && strings.Contains(text, "████") == (width >= 60)
		})
		term.whole(width)
	}
	namespace := strings.TrimSpace(runIn(t, b, kubeconfig, "kubectl", "config", "view", "--minify", "-o", "jsonpath={..namespace}"))
	b.Kubectl(t, "", "annotate", "--namespace", namespace, "bwf/w", "keelway.dev/abort=w")
	until(t, "the end", func() bool { return strings.Contains(term.screen(false), "code 4") })
	if text := term.screen(false); !strings.Contains(text, "w  Cancelled") || !strings.Contains(text, "error: workflow w has ended as Cancelled") {
		t.Errorf("the end is not told:\n%s", text)
	}
}

// TestNoColour: neither with NO_COLOR nor with --no-color is there any, and the picture is the same.
func TestNoColour(t *testing.T) {
	b := online(t)
	kubeconfig := b.home(t, waits("w", 1, 3600))
	for name, command := range map[string]string{"environment": "NO_COLOR=1 %s watch w", "flag": "%s watch w --no-color"} {
		t.Run(name, func(t *testing.T) {
			term := newTerminal(t, 100, 20, "KUBECONFIG="+kubeconfig+" "+fmt.Sprintf(command, filepath.Join(b.programs, "keelway")))
			until(t, "the picture", func() bool { return strings.Contains(term.screen(false), "s  running") })
			if text := term.screen(true); strings.Contains(text, "\x1b[3") || strings.Contains(text, "\x1b[1m") {
				t.Errorf("there is colour: %q", text)
			}
		})
	}
}

func runIn(t *testing.T, b *bench, kubeconfig, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(filepath.Dir(b.Assets().Kubectl), program), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	return string(out)
}

package local_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/transport"
	transportprocess "github.com/keelway/keelway/internal/transport/process"
)

// TestDaemonsOfTheTransportEndWithTheServer joins the two halves that must agree on a process's mark: what the process transport
// leaves running on a server is found and ended by deleting it.
func TestDaemonsOfTheTransportEndWithTheServer(t *testing.T) {
	p := open(t, t.TempDir(), "i", nil)
	made := mustCreate(t, p, machine("a", "1"))
	tr, err := transportprocess.New(made.Access)
	if err != nil {
		t.Fatal(err)
	}
	result, err := tr.Exec(context.Background(), transport.Command{
		Argv: []string{"sh", "-c", `echo "$KEELWAY_SERVER"; setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!`},
	})
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(result.Stdout))
	if len(words) != 2 || words[0] != made.ID {
		t.Fatalf("processes are marked %q, want the id %s", words, made.ID)
	}
	pid, err := strconv.Atoi(words[1])
	if err != nil {
		t.Fatal(err)
	}
	for range 1200 {
		if err = p.Delete(context.Background(), made.ID); err != nil {
			break // Gone
		}
		time.Sleep(25 * time.Millisecond)
	}
	state, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if len(state) > 0 && !strings.Contains(string(state), ") Z ") {
		t.Fatalf("the daemon outlived its server: %s", state)
	}
}

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
)

// The operator's own program serves the numbers, and they hold no names.
func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	b := newBench(t, brisk)
	b.start("--metrics-bind-address=" + address)
	b.provider(maxInFlight)
	b.apply(small)
	b.reaches("shop", v1alpha1.WorkflowSucceeded)
	var own []string
	b.eventually("the metrics", patience, func() error {
		answer, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		own = nil
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "keelway_") {
				own = append(own, line)
			}
		}
		for _, want := range []string{
			`keelway_workflows{phase="Succeeded"} 1`, `keelway_workflow_operations{phase="Succeeded",type="ServerBatch"} 4`, "keelway_workflow_stuck_seconds 0",
		} {
			if !strings.Contains(strings.Join(own, "\n"), want) {
				return fmt.Errorf("%s is not among %q", want, own)
			}
		}
		return nil
	})
	if all := strings.Join(own, "\n"); strings.Contains(all, "shop") || strings.Contains(all, b.namespace) {
		t.Errorf("a name is among them: %s", all)
	}
}

package batchworkflow

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/keelway/keelway/hack/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestBatchWorkflow(t *testing.T) {
	lab.Shared(t) // skips here, with the reason, where there is no control plane
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "batchworkflow")
}

package batchworkflow

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keelway/keelway/internal/plan"
)

// What the controller tells in numbers. No label ever holds a name: their number would have no bound, and who may read metrics is
// not who may read workflows.
var (
	workflowsMetric = prometheus.NewDesc("keelway_workflows", "Workflows by phase.", []string{"phase"}, nil)
	instancesMetric = prometheus.NewDesc("keelway_workflow_operations", "Instances of operations, by the operation's type and their phase.", []string{"type", "phase"}, nil)
	stuckMetric     = prometheus.NewDesc("keelway_workflow_stuck_seconds",
		"For how long nothing was recorded of the run for which that is longest, among those that are under way and that nobody holds; 0 when there is none.", nil, nil)
)

// pulse is what happens at looks, and cannot be counted afterwards.
type pulse struct {
	started prometheus.Histogram
	ledgers prometheus.Histogram
}

func newPulse() pulse {
	return pulse{
		started: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "keelway_workflow_start_seconds",
			Help:    "From the first news of children to the orders that follow from it, of looks that ordered something.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 12)}),
		ledgers: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "keelway_ledger_bytes",
			Help:    "Size of ledgers that were written; its count is how many were.",
			Buckets: prometheus.ExponentialBuckets(256, 4, 7)}),
	}
}

func (p pulse) register(with prometheus.Registerer) error {
	return errors.Join(with.Register(p.started), with.Register(p.ledgers))
}

// collector counts when it is asked, from what the last look at each workflow left: it costs nothing in between.
type collector struct {
	shelf *shelf
	now   func() time.Time
}

func (c collector) Describe(to chan<- *prometheus.Desc) {
	to <- workflowsMetric
	to <- instancesMetric
	to <- stuckMetric
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	phases, instances, stuck := map[string]int{}, map[plan.Kin]int32{}, time.Duration(0)
	for _, f := range c.shelf.all() {
		phases[string(f.Phase)]++
		for kin, n := range f.Instances {
			instances[kin] += n
		}
		if !f.Moved.IsZero() {
			stuck = max(stuck, c.now().Sub(f.Moved))
		}
	}
	for phase, n := range phases {
		to <- prometheus.MustNewConstMetric(workflowsMetric, prometheus.GaugeValue, float64(n), phase)
	}
	for kin, n := range instances {
		to <- prometheus.MustNewConstMetric(instancesMetric, prometheus.GaugeValue, float64(n), kin.Type, kin.Phase)
	}
	to <- prometheus.MustNewConstMetric(stuckMetric, prometheus.GaugeValue, stuck.Seconds())
}

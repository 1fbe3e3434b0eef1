package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
)

// What the controller tells in numbers. No label holds a name or an id: an account is one.
type metrics struct {
	calls   *prometheus.CounterVec
	waiting prometheus.Histogram
	slots   *prometheus.GaugeVec
}

func newMetrics() metrics {
	return metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keelway_provider_calls_total",
			Help: "Calls to providers, by the Provider's type and by outcome: OK or the class of the error."}, []string{"vendor", "call", "outcome"}),
		waiting: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "keelway_provider_queue_seconds",
			Help:    "How long Servers waited for their turn at an account, from their first request to the grant.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 9)}),
		slots: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "keelway_provider_slots",
			Help: "Slots of all accounts together (Limit), Servers that have one (Held), and those in the queue (Waiting), as of the last one that asked or let go."}, []string{"state"}),
	}
}

func (m metrics) register(with prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.calls, m.waiting, m.slots} {
		if err := with.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// observed counts the calls to a provider of that type.
func (m metrics) observed(vendor string, p provider.Provider) provider.Provider {
	return provider.Observed(p, func(call provider.Call, err error) { m.called(vendor, call, err) })
}

func (m metrics) called(vendor string, call provider.Call, err error) {
	outcome := "OK"
	if err != nil {
		outcome = fault.ClassOf(err).String()
	}
	m.calls.WithLabelValues(vendor, string(call), outcome).Inc()
}

// called counts a call to what the Provider can do besides the four.
func (v *visit) called(call provider.Call, err error) {
	v.r.metrics.called(string(v.door.object.Spec.Type), call, err)
}

// count tells how many ask for a turn, how many have one, and how many there are.
func (m metrics) count(w *waker, limit int) {
	held, waiting := w.counts()
	m.slots.WithLabelValues("Limit").Set(float64(limit))
	m.slots.WithLabelValues("Held").Set(float64(held))
	m.slots.WithLabelValues("Waiting").Set(float64(waiting))
}

// counts are how many keys have a turn, and how many wait for one.
func (w *waker) counts() (held, waiting int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.asking {
		if a.granted {
			held++
		} else {
			waiting++
		}
	}
	return held, waiting
}

// granted notes that a key has its turn, and returns for how long it waited; first is false when it had it before.
func (w *waker) granted(key plan.Key, now time.Time) (waited time.Duration, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, asks := w.asking[key]
	if !asks || a.granted {
		return 0, false
	}
	a.granted = true
	w.asking[key] = a
	return now.Sub(a.since), true
}

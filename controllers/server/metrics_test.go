package server

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider/mem"
)

// TestNumbers: a Server's life is told in calls, slots and turns.
func TestNumbers(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
	r := rg.boot(rg.client)
	registry := prometheus.NewRegistry()
	if err := r.metrics.register(registry); err != nil {
		t.Fatal(err)
	}
	rg.up(r, "a")
	s := rg.get("a")
	s.Spec.Power = v1alpha1.PowerStopped
	s.Generation++
	if err := rg.client.Update(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	rg.drive(r, "a", "off", func(s *v1alpha1.Server) bool {
		return s.Status.Applied != nil && s.Status.Applied.Power == v1alpha1.PowerStopped
	})
	rg.down(r, "a")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"keelway_provider_calls_total Create OK Local": 1, "keelway_provider_calls_total Delete OK Local": 1,
		"keelway_provider_queue_seconds": 1, "keelway_provider_calls_total Power OK Local": 1,
		"keelway_provider_slots Limit": 2, "keelway_provider_slots Held": 0, "keelway_provider_slots Waiting": 0,
	} {
		if value, told := got[name]; !told || value != want {
			t.Errorf("%s is %v (told: %t), want %v; all: %v", name, value, told, want, got)
		}
	}
}

// TestATurnIsTakenOnce: how long a Server waited counts once, from its first request.
func TestATurnIsTakenOnce(t *testing.T) {
	w, now := newWaker(), time.Unix(1_000_000, 0)
	w.asks("k", ask{account: "a", since: now})
	w.asks("k", ask{account: "a", since: now.Add(time.Second)})
	if waited, first := w.granted("k", now.Add(3*time.Second)); !first || waited != 3*time.Second {
		t.Errorf("waited %s, first %t, want 3s from the first request", waited, first)
	}
	w.asks("k", ask{account: "a", since: now.Add(4 * time.Second)})
	if _, first := w.granted("k", now.Add(5*time.Second)); first {
		t.Error("one turn counts twice")
	}
	if held, waiting := w.counts(); held != 1 || waiting != 0 {
		t.Errorf("%d held, %d wait", held, waiting)
	}
}

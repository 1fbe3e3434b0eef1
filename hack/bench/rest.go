package main

import (
	"fmt"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
)

// restTime is how long nothing may be written, and how long memory is given to settle.
const restTime = 30 * time.Second

// idle is an operator that has nothing to do.
func idle() load {
	l := inline("idle", chain(1), 0)
	l.name, l.about = "idle", "an operator with one workflow that is over"
	l.around = func(m *measurement) {
		m.atEnd(func() { m.rest("at rest") })
	}
	return l
}

// resting are Servers that are ready, and an operator that comes to know of them when it starts.
func resting(n int) load {
	l := children(10)
	l.name, l.about = fmt.Sprintf("resting-%d", n), fmt.Sprintf("%d Servers by count, then %s of rest, then a cold start with all of them there", n, restTime)
	l.instances, l.memoryMiB = n, 8192
	l.workflows = func(string) []*v1alpha1.BatchWorkflow {
		w := one(servers(chain(1)))
		count := int32(n)
		w[0].Spec.Operations[0].ServerBatch.Count = &count
		return w
	}
	l.floor = floor{workflows: 1, waves: 1, children: n, writes: 3}
	l.around = func(m *measurement) {
		m.atEnd(func() {
			m.rest(fmt.Sprintf("at rest with %d Servers", n))
			m.coldStart()
		})
	}
	return l
}

// rest looks at what an operator costs that has nothing to do.
func (m *measurement) rest(how string) {
	time.Sleep(2 * time.Second) // the last events are told after the fact
	before, err := m.rig.traffic(m.ctx)
	m.fail(err)
	processor := processorTime(m.rig.operator.pid())
	time.Sleep(restTime)
	after, err := m.rig.traffic(m.ctx)
	m.fail(err)
	m.extra("writes "+how, float64(after.minus(before).writes), fmt.Sprintf("in %s", restTime))
	m.extra("memory "+how, statusMiB(m.rig.operator.pid(), "VmRSS"), "MiB")
	m.extra("of that anonymous, the rest being pages of the program's file, "+how, statusMiB(m.rig.operator.pid(), "RssAnon"), "MiB")
	m.extra("processors "+how, (processorTime(m.rig.operator.pid())-processor).Seconds()/restTime.Seconds()*1000, "thousandths of one")
}

// coldStart ends the operator as a cluster does, starts it, and sees how long a new workflow takes from then on.
func (m *measurement) coldStart() {
	m.rig.operator.kill()
	began := time.Now()
	if !m.restart() {
		return
	}
	w := one(waits(chain(1), 0))
	w[0].Name = "cold"
	_, err := m.run(w)
	m.fail(err)
	m.extra("cold start to the end of a new workflow", time.Since(began).Seconds(), "s")
}

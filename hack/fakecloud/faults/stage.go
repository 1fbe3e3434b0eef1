// Package faults knows what simulated clouds share: faults that are ordered by name, a clock that may run fast, a log of all calls,
// and the HTTP interface to the three. It must not know any cloud: each brings its own table of faults and asks when to go wrong.
package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Stage is what a simulated cloud plays on.
type Stage struct {
	Cloud string // "ec2", "upcloud"
	Clock *Clock
	Board *Board
	Log   *Log
	// Things are what exists now, as /_fakecloud/things shows it: machines, disks, addresses. nil shows nothing.
	Things func() any
}

// NewStage returns a stage whose clock runs at that speed.
func NewStage(cloud string, speed float64, kinds ...Kind) *Stage {
	clock := NewClock(speed)
	return &Stage{Cloud: cloud, Clock: clock, Board: NewBoard(kinds...), Log: NewLog(clock, 0)}
}

// Prefix is where the stage's own interface is, on the same address as the cloud.
const Prefix = "/_fakecloud/"

// Handler serves the cloud, and the stage's own interface below Prefix. It has no authentication: bind it to a loopback address.
//
//	GET    /_fakecloud/faults          what can be ordered, and what is
//	POST   /_fakecloud/faults          an Order or a list of them
//	DELETE /_fakecloud/faults?name=…   take orders back; without a name all
//	GET    /_fakecloud/calls?after=…   the log, from the call after that number
//	GET    /_fakecloud/things          what exists now
//	GET    /_fakecloud/clock           the cloud's time and its speed
//	POST   /_fakecloud/clock           {"move": "90s", "speed": 60}
func (s *Stage) Handler(cloud http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Prefix+"faults", func(w http.ResponseWriter, _ *http.Request) { s.showFaults(w) })
	mux.HandleFunc("POST "+Prefix+"faults", s.arm)
	mux.HandleFunc("DELETE "+Prefix+"faults", func(w http.ResponseWriter, r *http.Request) {
		s.Board.Disarm(r.URL.Query().Get("name"))
		s.showFaults(w)
	})
	mux.HandleFunc("GET "+Prefix+"calls", func(w http.ResponseWriter, r *http.Request) {
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		answer(w, s.Log.Report(after))
	})
	mux.HandleFunc("GET "+Prefix+"things", func(w http.ResponseWriter, _ *http.Request) {
		if s.Things == nil {
			answer(w, struct{}{})
			return
		}
		answer(w, s.Things())
	})
	mux.HandleFunc("GET "+Prefix+"clock", func(w http.ResponseWriter, _ *http.Request) { s.showClock(w) })
	mux.HandleFunc("POST "+Prefix+"clock", s.setClock)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, Prefix) { // not by the mux: a cloud's paths may hold anything
			mux.ServeHTTP(w, r)
			return
		}
		cloud.ServeHTTP(w, r)
	})
}

func (s *Stage) showFaults(w http.ResponseWriter) {
	answer(w, map[string]any{"cloud": s.Cloud, "kinds": s.Board.Kinds(), "armed": s.Board.Armed()})
}

func (s *Stage) showClock(w http.ResponseWriter) {
	answer(w, map[string]any{"now": s.Clock.Now(), "speed": s.Clock.Speed()})
}

func (s *Stage) arm(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	var orders []Order
	err := decode(w, r, &raw)
	if err == nil && strings.HasPrefix(string(raw), "[") {
		err = strictly(raw, &orders)
	} else if err == nil {
		orders = make([]Order, 1)
		err = strictly(raw, &orders[0])
	}
	if err == nil {
		err = s.Board.Arm(orders...)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	s.showFaults(w)
}

func (s *Stage) setClock(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Move  Duration `json:"move"`
		Speed *float64 `json:"speed"`
	}
	err := decode(w, r, &want)
	if err == nil && (want.Move < 0 || want.Speed != nil && *want.Speed < 0) {
		err = fmt.Errorf("time does not run backwards")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	s.Clock.Move(want.Move.Duration())
	if want.Speed != nil {
		s.Clock.Run(*want.Speed)
	}
	s.showClock(w)
}

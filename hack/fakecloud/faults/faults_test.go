package faults_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

var kinds = []faults.Kind{
	{Name: "Refused", About: "any call"},
	{Name: "Late", About: "a list lags", Calls: []string{"List"}, Takes: []string{"for"}},
	{Name: "Partial", About: "fewer than asked for", Calls: []string{"Make"}, Takes: []string{"amount"}},
}

func TestOrdersThatNobodyCanFulfil(t *testing.T) {
	board := faults.NewBoard(kinds...)
	for name, order := range map[string]faults.Order{
		"no such fault":       {Name: "Reffused"},
		"not in that call":    {Name: "Late", Call: "Make", For: faults.Duration(time.Second)},
		"no duration":         {Name: "Late"},
		"duration for none":   {Name: "Refused", For: 1},
		"no amount":           {Name: "Partial"},
		"below until cleared": {Name: "Refused", Count: -2},
		"negative skip":       {Name: "Refused", Skip: -1},
	} {
		if err := board.Arm(faults.Order{Name: "Refused"}, order); err == nil || !strings.HasPrefix(err.Error(), "order 2: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if armed := board.Armed(); len(armed) != 0 {
		t.Errorf("all or none: %+v", armed)
	}
}

func TestTake(t *testing.T) {
	type take struct {
		call    string
		targets []string
		want    bool
	}
	for name, tc := range map[string]struct {
		reason string
		order  faults.Order
		takes  []take
	}{
		"once":    {"a count of 0 is one", faults.Order{Name: "Refused"}, []take{{"Make", nil, true}, {"Make", nil, false}}},
		"twice":   {"a count of 2", faults.Order{Name: "Refused", Count: 2}, []take{{"a", nil, true}, {"b", nil, true}, {"c", nil, false}}},
		"skipped": {"the first passes", faults.Order{Name: "Refused", Skip: 1}, []take{{"a", nil, false}, {"a", nil, true}, {"a", nil, false}}},
		"always":  {"until it is taken back", faults.Order{Name: "Refused", Count: faults.Always}, []take{{"a", nil, true}, {"a", nil, true}}},
		"call":    {"another call passes and uses nothing up", faults.Order{Name: "Refused", Call: "Make"}, []take{{"List", nil, false}, {"Make", nil, true}}},
		"kind":    {"a kind strikes only where it can", faults.Order{Name: "Partial", Amount: 1}, []take{{"List", nil, false}, {"Make", nil, true}}},
		"target":  {"only that one", faults.Order{Name: "Refused", Target: "i-1"}, []take{{"a", []string{"i-2"}, false}, {"a", nil, false}, {"a", []string{"i-2", "i-1"}, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			board := faults.NewBoard(kinds...)
			if err := board.Arm(tc.order); err != nil {
				t.Fatal(err)
			}
			for i, take := range tc.takes {
				if _, got := board.Take(take.call, take.targets, "Late", "Partial", "Refused"); got != take.want {
					t.Errorf("%s: take %d got %v", tc.reason, i+1, got)
				}
			}
			if _, got := board.Take("Make", nil, "Late"); got {
				t.Error("an order of another name")
			}
		})
	}
}

func TestClockAndBucket(t *testing.T) {
	clock := faults.NewClock(0)
	start := clock.Now()
	bucket := &faults.Bucket{Size: 5, Refill: 2}
	for i := range 6 {
		if got := bucket.Take(clock.Now(), 1); got != (i < 5) {
			t.Errorf("token %d: %v", i+1, got)
		}
	}
	clock.Move(time.Second)
	if clock.Now().Sub(start) != time.Second {
		t.Errorf("it stands still but for moves: %v", clock.Now().Sub(start))
	}
	if !bucket.Take(clock.Now(), 2) || bucket.Take(clock.Now(), 1) {
		t.Error("two tokens came back in a second")
	}
	clock.Move(time.Hour)
	if !bucket.Take(clock.Now(), 7) || bucket.Take(clock.Now(), 1) {
		t.Error("it holds no more than its size, and more than that takes it whole")
	}
	clock.Run(1e6)
	for before := clock.Now(); clock.Now().Sub(before) < time.Minute; {
		time.Sleep(time.Millisecond)
	}
}

func TestAdmin(t *testing.T) {
	stage := faults.NewStage("test", 0, kinds...)
	stage.Things = func() any { return []string{"i-1"} }
	server := httptest.NewServer(stage.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := stage.Log.Begin(faults.Call{Operation: r.URL.Path, Mutating: true})
		defer stage.Log.End(call)
		if order, struck := stage.Board.Take(r.URL.Path, nil, "Refused"); struck {
			stage.Log.Note(call, func(c *faults.Call) { c.Status, c.Fault = http.StatusConflict, order.Name })
			w.WriteHeader(http.StatusConflict)
		}
	})))
	defer server.Close()
	do := func(method, path, body string) (int, string) {
		t.Helper()
		req, _ := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		got, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		text, _ := io.ReadAll(got.Body)
		return got.StatusCode, string(text)
	}
	for body, want := range map[string]int{
		`{"name":"Refused"}`: 200, `[{"name":"Refused","count":2},{"name":"Late","for":"90s"}]`: 200,
		`{"nome":"Refused"}`: 400, `{"name":"x"}`: 400, `{`: 400, `[{"name":"Late","for":"soon"}]`: 400,
	} {
		if got, text := do("POST", "/_fakecloud/faults", body); got != want {
			t.Errorf("%s: %d %s", body, got, text)
		}
	}
	for i, want := range []int{409, 409, 409, 200} {
		if got, _ := do("GET", "/x", ""); got != want {
			t.Errorf("call %d: %d", i+1, got)
		}
	}
	if armed := stage.Board.Armed(); len(armed) != 1 || armed[0].For != faults.Duration(90*time.Second) {
		t.Errorf("armed: %+v", armed)
	}
	do("DELETE", "/_fakecloud/faults?name=Late", "")
	if armed := stage.Board.Armed(); len(armed) != 0 {
		t.Errorf("taken back: %+v", armed)
	}
	_, text := do("GET", "/_fakecloud/calls?after=2", "")
	var report faults.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil || len(report.Calls) != 2 || report.Calls[0].Fault != "Refused" || report.Counts["/x"] != 4 || report.InFlight != 0 {
		t.Errorf("%v: %+v", err, report)
	}
	before := stage.Clock.Now()
	if got, text := do("POST", "/_fakecloud/clock", `{"move":"1h"}`); got != 200 || stage.Clock.Now().Sub(before) != time.Hour {
		t.Errorf("%d %s", got, text)
	}
	if got, _ := do("POST", "/_fakecloud/clock", `{"move":"-1h"}`); got != 400 {
		t.Errorf("backwards: %d", got)
	}
	if _, text := do("GET", "/_fakecloud/things", ""); !strings.Contains(text, "i-1") {
		t.Error(text)
	}
	if got, _ := do("GET", "/_fakecloud/nothing", ""); got != 404 {
		t.Errorf("nothing of the cloud is below the prefix: %d", got)
	}
}

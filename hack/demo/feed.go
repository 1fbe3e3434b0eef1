package main

import (
	"strings"
	"sync"
	"time"

	"github.com/keelway/keelway/internal/view"
)

// feed is a writer whose lines are said as progress of somebody. On a terminal something long has a line that moves; elsewhere
// every line stays.
type feed struct {
	screen *screen
	who    string

	mu    sync.Mutex
	rest  string
	task  string // that is under way, as its heartbeat says it; "": nothing long
	since time.Time
}

// Write implements io.Writer; it never fails.
func (f *feed) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rest += string(p)
	for {
		text, rest, found := strings.Cut(f.rest, "\n")
		if !found {
			return len(p), nil
		}
		f.rest = rest
		_, said, _ := strings.Cut(text, ": ") // the writer's own name
		f.take(said)
	}
}

// take says a line. A heartbeat ("building x … 15 s, 200 packages compiled") only feeds the line that moves.
func (f *feed) take(said string) {
	what, how, beats := strings.Cut(said, " … ")
	if f.screen.live && beats {
		if _, detail, ok := strings.Cut(how, ", "); ok {
			what += ", " + detail
		}
		f.begin(what)
		return
	}
	f.screen.say(view.Line{view.Dim.Of(view.Pad(f.who, whoWidth)), view.Dim.Of(said)})
	f.task = ""
	if _, step, ok := strings.Cut(said, "] building "); ok {
		name, _, _ := strings.Cut(step, " ")
		f.begin("building " + name)
	}
}

func (f *feed) begin(task string) {
	if f.task == "" {
		f.since = time.Now()
	}
	f.task = task
}

// move keeps the line moving until the returned function is called.
func (f *feed) move() (stop func()) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(redraw)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case now := <-ticker.C:
				f.mu.Lock()
				if f.task != "" {
					f.screen.picture([]view.Line{{
						view.Dim.Of(view.Pad(f.who, whoWidth)), view.MarkBusy.Glyph(now), view.Dim.Of(" " + view.Pad(view.Spell(now.Sub(f.since)), 8)), view.Plain.Of(f.task),
					}}, now)
				}
				f.mu.Unlock()
			}
		}
	})
	return func() {
		close(quit)
		done.Wait()
	}
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbWatch() *cobra.Command {
	c := &cobra.Command{
		Use:   "watch WORKFLOW",
		Short: "Follow a workflow to its end, live",
		Long: `watch follows a workflow until its run is over. On a terminal it is a tree that moves, with bars and times; elsewhere, or with --plain, it
is one line a transition and a sign of life every 10 seconds. It outlives lost connections and restarts of the operator. Ctrl-C ends
the watching alone: the workflow goes on.`,
		Example:           "  keelway watch demo\n  keelway watch demo --timeout 10m && echo succeeded",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeNames(kinds[0]),
	}
	w := waitFlags{wait: true}
	w.add(c, false)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		cl, err := s.connect()
		if err != nil {
			return err
		}
		if _, err := cl.workflow(cmd.Context(), args[0]); err != nil {
			return err
		}
		return s.await(cmd.Context(), cl, args[0], w, goal{})
	}
	return of(kinds[0], c)
}

// waitFlags are how somebody waits.
type waitFlags struct {
	wait    bool
	timeout time.Duration
	plain   bool
	// progress: the waiting belongs to a verb that has an answer of its own
	progress bool
}

// stream is where the lines of waiting go: where somebody asked for nothing else they are the answer, behind what a verb has done they are
// its progress.
func (w *waitFlags) stream(s *session) io.Writer {
	if w.progress {
		return s.Err
	}
	return s.Out
}

// add gives a verb the flags; a verb that always waits has no --wait.
func (w *waitFlags) add(c *cobra.Command, optional bool) {
	if w.progress = optional; optional {
		c.Flags().BoolVar(&w.wait, "wait", false, "wait for the end, well or badly, and show the way there")
	}
	c.Flags().DurationVar(&w.timeout, "timeout", 0, "stop waiting after this time, such as 10m; 0: never")
	c.Flags().BoolVar(&w.plain, "plain", false, "lines instead of a picture, also on a terminal")
}

// goal is what a waiting is for; the zero value: that the run succeeds.
type goal struct {
	begun   func(*view.Snapshot) bool          // what is waited for has begun: before that an end is that of an older run; nil: it has
	reached func(*v1alpha1.BatchWorkflow) bool // it is as it was asked for, also where the run has not succeeded; nil: never
}

func (g goal) hasBegun(seen *view.Snapshot) bool { return g.begun == nil || g.begun(seen) }

func (g goal) isReached(seen *view.Snapshot) bool {
	return g.reached != nil && seen.Workflow != nil && g.reached(seen.Workflow)
}

// await follows a workflow to the end of its run, or to what was asked for, and says how it ended: nil, or a failure.
func (s *session) await(ctx context.Context, c *cluster, name string, w waitFlags, g goal) error {
	s.goesOn = "workflow " + name + " goes on; " + s.name + " watch " + name + " shows it again"
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	var last *view.Snapshot
	done := func(seen sight) bool {
		if seen.snapshot == nil {
			return false
		}
		last = seen.snapshot
		return last.Workflow == nil || g.hasBegun(last) && (judge(last.Workflow) != underWay || g.isReached(last))
	}
	var err error
	if file := s.terminal(s.Out); file != nil && !w.plain {
		err = s.awaitLive(ctx, c, name, done)
	} else {
		err = s.awaitPlain(ctx, c, name, w.stream(s), g, done)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) && w.timeout > 0:
		return failed(codeTimeout, s.name+" watch "+name+" shows it again", "%s is over; workflow %s goes on", w.timeout, name)
	case err != nil:
		return err
	case last.Workflow == nil:
		return failed(codeEnded, "", "workflow %s was deleted", name)
	case g.isReached(last):
		s.note("workflow %s is %s, as asked", name, last.Workflow.Status.Phase)
	case judge(last.Workflow) == badly:
		return failed(codeEnded, s.name+" describe "+name+" tells the way to the root cause", "workflow %s has ended as %s: %s", name, last.Workflow.Status.Phase, words(last.Workflow))
	}
	return nil
}

// awaitPlain writes what is new, line by line, and a sign of life. Before the goal has begun, how things stand is not told.
func (s *session) awaitPlain(ctx context.Context, c *cluster, name string, out io.Writer, g goal, done func(sight) bool) error {
	journal, first, lost, asked := view.NewJournal(s.now()), true, false, false
	var deaf error // whoever read us has gone
	err := c.follow(ctx, name, func(seen sight) bool {
		if seen.lost != nil {
			if !lost {
				s.say(view.Line{view.Yellow.Of("lost: "), view.Plain.Of(explain(seen.lost).Error() + "; trying again")})
			}
			lost = true
			return true
		}
		if lost {
			lost = false
			s.note("found again")
		}
		lines := journal.Lines(seen.snapshot, s.now())
		if first && seen.snapshot.Workflow != nil && !g.hasBegun(seen.snapshot) {
			lines = nil // how things stood before is no news
		}
		first = false
		if deaf = s.printTo(out, lines...); deaf != nil {
			return false
		}
		if w := seen.snapshot.Workflow; w != nil && w.Status.Phase == v1alpha1.WorkflowAwaitingApproval && !asked {
			asked = true
			s.note("it waits for somebody's word: %s approve %s", s.name, name)
		}
		return !done(seen)
	})
	return cmp.Or(deaf, err)
}

// awaitLive draws a picture that moves.
func (s *session) awaitLive(ctx context.Context, c *cluster, name string, done func(sight) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &picture{colour: s.colour(s.Out), now: s.now, name: name}
	program := tea.NewProgram(m, tea.WithContext(ctx), tea.WithOutput(s.Out), tea.WithInput(nil), tea.WithoutSignalHandler())
	followed := make(chan error, 1)
	go func() {
		followed <- c.follow(ctx, name, func(seen sight) bool {
			program.Send(seen)
			if done(seen) {
				program.Send(tea.QuitMsg{})
				return false
			}
			return true
		})
		program.Send(tea.QuitMsg{})
	}()
	_, err := program.Run()
	cancel()
	if m.snapshot != nil { // the screen is given back as it was, and what was seen last stays on it
		if perr := s.print(m.snapshot.Live(s.now(), s.width(), 0)...); err == nil {
			err = perr
		}
	}
	if ferr := <-followed; ferr != nil && !errors.Is(ferr, context.Canceled) {
		return ferr
	}
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		return context.Cause(ctx)
	}
	return err
}

// picture is the model of the live view: the last sight, and the size of the screen.
type picture struct {
	name          string
	colour        bool
	now           func() time.Time
	width, height int
	snapshot      *view.Snapshot
	lost          string
}

type tick time.Time

func ticking() tea.Cmd {
	return tea.Tick(time.Second/8, func(t time.Time) tea.Msg { return tick(t) })
}

func (p *picture) Init() tea.Cmd { return ticking() }

// Update takes in what happened.
func (p *picture) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		p.width, p.height = msg.Width, msg.Height
	case sight:
		if p.lost = ""; msg.lost != nil {
			p.lost = firstLine(explain(msg.lost).Error())
		} else {
			p.snapshot = msg.snapshot
		}
	case tick:
		return p, ticking()
	}
	return p, nil
}

// View draws the picture.
func (p *picture) View() tea.View {
	lines := []view.Line{{view.Dim.Of("looking at " + p.name + " …")}}
	room := p.height
	if p.lost != "" {
		room--
	}
	if p.snapshot != nil {
		lines = p.snapshot.Live(p.now(), p.width, room)
	}
	if p.lost != "" {
		lines = append(lines, view.Line{view.Yellow.Of("lost: "), view.Plain.Of(p.lost + "; trying again")})
	}
	rows := make([]string, len(lines))
	for i, line := range lines {
		rows[i] = line.Draw(p.width, p.colour)
	}
	v := tea.NewView(strings.Join(rows, "\n"))
	v.AltScreen = true // a screen of its own can be drawn anew whatever the window does
	return v
}

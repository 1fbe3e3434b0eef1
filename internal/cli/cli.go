// Package cli knows the verbs of the command line: each one is parsed, done, and its answer handed to a view. It must not know how
// things look (internal/view does), nor decide what the operator decides.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/keelway/keelway/internal/view"
)

// Streams are where the program reads and speaks: data goes to Out, everything else to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Env      func(string) string
}

// session is one call of the program.
type session struct {
	Streams
	name    string // that it was called by: keelway, or kubectl keelway
	noColor bool
	config  *genericclioptions.ConfigFlags
	flags   *pflag.FlagSet // those of every verb
	now     func() time.Time
	goesOn  string // what goes on in the cluster when we are interrupted
	cluster *cluster
}

// Main runs the program and returns its exit code.
func Main(args []string, streams Streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A reader that has gone is an error of writing, which ends us quietly, and no signal that kills us. It is not ignored but caught:
	// programs that we start would inherit the former.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	s := newSession(args[0], streams)
	root := s.root()
	given := args[1:]
	if strings.HasPrefix(filepath.Base(args[0]), completer) {
		given = append([]string{cobra.ShellCompRequestCmd}, given...)
	}
	root.SetArgs(given)
	err := root.ExecuteContext(ctx)
	return s.end(ctx, err)
}

// completer begins the name under which kubectl asks plug-ins to complete their arguments: kubectl_complete-keelway.
const completer = "kubectl_complete-"

func newSession(program string, streams Streams) *session {
	s := &session{Streams: streams, name: "keelway", config: genericclioptions.NewConfigFlags(true), now: time.Now}
	if base := filepath.Base(program); strings.HasPrefix(base, "kubectl-") || strings.HasPrefix(base, completer) {
		s.name = "kubectl keelway"
	}
	return s
}

// end says what went wrong and returns the exit code.
func (s *session) end(ctx context.Context, err error) int {
	var done quiet
	switch {
	case err == nil:
		return codeDone
	case ctx.Err() != nil:
		text := "interrupted"
		if s.goesOn != "" {
			text += "; " + s.goesOn
		}
		s.say(view.Line{view.Yellow.Of(text)})
		return codeInterrupted
	case errors.As(err, &done):
		return int(done)
	case errors.Is(err, syscall.EPIPE): // whoever read us has seen enough
		return codeDone
	}
	trouble := explain(s.refine(err))
	s.say(view.Line{view.Red.Of("error: "), view.Plain.Of(firstLine(trouble.Error()))})
	for _, line := range restLines(trouble.Error()) {
		s.say(view.Line{view.Plain.Of("  " + line)})
	}
	if trouble.advice != "" {
		s.say(view.Line{view.Dim.Of("next: "), view.Plain.Of(s.called(trouble.advice))})
	}
	return trouble.code
}

// ownVerbs are verbs of ours that advice names.
var ownVerbs = regexp.MustCompile(`\bkeelway (--help|approve|catalog|describe|doctor|exec|explain|get|ssh|validate|watch)\b`)

// called tells advice to use the program by the name that it was called by.
func (s *session) called(advice string) string {
	return ownVerbs.ReplaceAllString(advice, s.name+" $1")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func restLines(text string) []string {
	_, rest, found := strings.Cut(text, "\n")
	if !found {
		return nil
	}
	return strings.Split(rest, "\n")
}

// Root returns the program as a tree of commands, for its reference.
func Root() *cobra.Command { return newSession("keelway", Streams{Env: os.Getenv}).root() }

func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "keelway",
		Short: "See, check and steer Keelway's workflows",
		Long: `keelway sees, checks and steers Keelway's workflows: servers, the services on them, and the order in which they come up.

Everything that it asks of a cluster can be asked with kubectl, too; a verb that asks for something shows the line.
Answers go to standard output, everything else to standard error. All flags of kubectl that choose a cluster or a user
work here, too (kubectl options lists them).`,
		SilenceUsage: true, SilenceErrors: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: s.name},
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &failure{code: codeInvalid, err: err} })
	s.flags = root.PersistentFlags()
	s.config.AddFlags(s.flags)
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = !slices.Contains(shown, f.Name) })
	root.PersistentFlags().BoolVar(&s.noColor, "no-color", false, "no colours, as with NO_COLOR in the environment")
	for _, group := range groups {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, verb := range group.verbs {
			command := verb(s)
			command.GroupID = group.id
			root.AddCommand(command)
		}
	}
	_ = root.RegisterFlagCompletionFunc("namespace", s.completeNamespaces)
	for flag, names := range inKubeconfig {
		_ = root.RegisterFlagCompletionFunc(flag, s.completeKubeconfig(names))
	}
	return root
}

// shown are the flags of kubectl that the help of every verb shows; the others work as well.
var shown = []string{"kubeconfig", "context", "namespace", "as", "request-timeout"}

// groups of verbs, in the order in which the help shows them.
var groups = []struct {
	id, title string
	verbs     []func(*session) *cobra.Command
}{
	{"see", "See what is there:", []func(*session) *cobra.Command{
		(*session).verbGet, (*session).verbDescribe, (*session).verbWatch, (*session).verbOps, (*session).verbGraph, (*session).verbLogs,
	}},
	{"change", "Change it:", []func(*session) *cobra.Command{(*session).verbPlan, (*session).verbApply, (*session).verbConvert, (*session).verbValidate}},
	{"steer", "Steer a workflow:", []func(*session) *cobra.Command{
		(*session).verbApprove, (*session).verbRetry, (*session).verbRollback, (*session).verbSuspend, (*session).verbResume, (*session).verbCancel,
		(*session).verbAbort, (*session).verbAbandon,
	}},
	{"know", "Know recipes and the cluster:", []func(*session) *cobra.Command{
		(*session).verbExplain, (*session).verbCatalog, (*session).verbProvider, (*session).verbDoctor, (*session).verbExec, (*session).verbSSH, (*session).verbVersion,
	}},
}

// say speaks on standard error.
func (s *session) say(lines ...view.Line) {
	for _, line := range lines {
		fmt.Fprintln(s.Err, line.Draw(0, s.colour(s.Err)))
	}
}

// note tells something that is no data, on standard error.
func (s *session) note(format string, args ...any) {
	s.say(view.Line{view.Dim.Of(fmt.Sprintf(format, args...))})
}

// print writes data.
func (s *session) print(lines ...view.Line) error { return s.printTo(s.Out, lines...) }

func (s *session) printTo(out io.Writer, lines ...view.Line) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line.Draw(0, s.colour(out))); err != nil {
			return err
		}
	}
	return nil
}

// terminal returns the file behind a stream when that is a terminal that can be drawn on, else nil.
func (s *session) terminal(stream any) *os.File {
	file, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || s.Env("TERM") == "dumb" {
		return nil
	}
	return file
}

// colour says whether a stream gets colours.
func (s *session) colour(stream any) bool {
	return !s.noColor && s.Env("NO_COLOR") == "" && s.terminal(stream) != nil
}

// width of standard output in columns; 0 where it is no terminal: nothing is cut or broken for a program.
func (s *session) width() int {
	file := s.terminal(s.Out)
	if file == nil {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

package runner

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/transport"
)

// Script is what a run does.
type Script struct {
	// Body is POSIX sh; at most 1 MiB.
	Body string
	// Env is exported to the script from a file that is removed when the script has ended. Names of the machine itself
	// (KEELWAY_ROOT, KEELWAY_ADDRESS, KEELWAY_SERVER, KEELWAY_RUN) are refused. At most 256 variables of 96 KiB, 1 MiB in all.
	Env map[string]string
	// Files are the contents of "$KEELWAY_RUN/inputs/<name>", mode 0600, removed when the script has ended. Names are letters,
	// digits, dots, dashes and underscores and start with no dot. At most 256 files, 16 MiB in all.
	Files map[string][]byte
	// Timeout bounds the script itself, in whole seconds rounded up, not its wait for the lock. Its process group gets TERM, and
	// KILL ten seconds later. Default DefaultTimeout.
	Timeout time.Duration
	// Mutating runs hold the machine's lock: one at a time.
	Mutating bool
	// Redact are values that an error of Start must not show.
	Redact []string
}

const (
	maxBody     = 1 << 20
	maxEnvValue = 96 << 10 // the kernel takes 128 KiB of one variable
	maxEnv      = 1 << 20
	maxFiles    = 16 << 20
	maxEntries  = 256
)

var (
	fileName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)
	reserved = []string{"KEELWAY_ROOT", "KEELWAY_ADDRESS", "KEELWAY_SERVER", "KEELWAY_RUN"}
)

// validate names what can never run. No message holds a value.
func (s Script) validate() error {
	switch {
	case strings.TrimSpace(s.Body) == "":
		return errors.New("the script is empty")
	case len(s.Body) > maxBody:
		return fmt.Errorf("the script has %d bytes; at most %d", len(s.Body), maxBody)
	case len(s.Env) > maxEntries:
		return fmt.Errorf("%d environment variables; at most %d", len(s.Env), maxEntries)
	case len(s.Files) > maxEntries:
		return fmt.Errorf("%d input files; at most %d", len(s.Files), maxEntries)
	}
	total := 0
	for name, value := range s.Env {
		if err := transport.ValidateEnv(name, value); err != nil {
			return err
		}
		if slices.Contains(reserved, name) {
			return fmt.Errorf("environment variable %s belongs to the machine", name)
		}
		if total += len(name) + len(value); len(value) > maxEnvValue || total > maxEnv {
			return fmt.Errorf("environment variable %.64s: more than %d bytes, or more than %d with the others", name, maxEnvValue, maxEnv)
		}
	}
	total = 0
	for name, content := range s.Files {
		if !fileName.MatchString(name) {
			return fmt.Errorf("input file %.64q: a name is 1 to 128 letters, digits, dots, dashes and underscores and starts with no dot", name)
		}
		if total += len(content); total > maxFiles {
			return fmt.Errorf("the input files have more than %d bytes in all", maxFiles)
		}
	}
	return nil
}

// archive is everything that the machine needs of the run, as a tar. Its last entry tells a whole upload from a torn one.
func (s Script) archive() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	add := func(name string, content []byte) error {
		header := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "/") {
			header.Mode, header.Typeflag = 0o700, tar.TypeDir
		}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		_, err := writer.Write(content)
		return err
	}
	var failed error
	for _, name := range []string{"supervise", "wrap", "watch", "collect", "group"} {
		failed = errors.Join(failed, add(name, []byte(part(name))))
	}
	failed = errors.Join(failed,
		add("settings", s.settings()), add("env", exports(s.Env)), add("script", []byte(s.Body)), add("inputs/", nil))
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		failed = errors.Join(failed, add("inputs/"+name, s.Files[name]))
	}
	failed = errors.Join(failed, add("complete", nil), writer.Close())
	return buffer.Bytes(), failed
}

func (s Script) settings() []byte {
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	mutating := 0
	if s.Mutating {
		mutating = 1
	}
	return fmt.Appendf(nil, "timeout=%d\nmutating=%d\n", (timeout+time.Second-1)/time.Second, mutating)
}

// exports writes variables as a shell reads them back byte by byte: in single quotes nothing has a meaning but their end.
func exports(env map[string]string) []byte {
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&text, "export %s='%s'\n", name, strings.ReplaceAll(env[name], "'", `'\''`))
	}
	return text.Bytes()
}

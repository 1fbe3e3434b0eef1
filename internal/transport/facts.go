package transport

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/keelway/keelway/internal/fault"
)

// Facts are what a machine says of itself. Only what was read is filled in, and all of it is bounded.
type Facts struct {
	Hostname  string
	OS        string // the distribution's id, as debian
	OSVersion string // as 12; empty for a rolling distribution
	Arch      string // in Go's words: amd64, arm64
	CPUs      int32
	MemoryMiB int64
	// Addresses are the machine's own, at most 16; on a Process server its loopback address alone.
	Addresses []string
	// InitSystem is systemd, openrc or none. On a Process server it is none: the host's init is not the server's to use.
	InitSystem string
	// PackageManager is apt, dnf, yum, zypper, pacman, apk or none. On a Process server it is none, for the same reason.
	PackageManager string
	// Root says that commands run as uid 0 and own the machine: false on a Process server, whoever runs the operator.
	Root bool
}

//go:embed facts.sh
var factsScript []byte

// FactsCommand is the command that ReadFacts runs. Simulated machines recognise its Argv.
func FactsCommand() Command {
	return Command{Argv: []string{"sh", "-s", "keelway-facts"}, Stdin: factsScript, OutputLimit: 16 << 10}
}

const (
	maxFact      = 128
	maxAddresses = 16
)

// ReadFacts asks a machine what it is, in one round trip and changing nothing. A machine whose answer makes no sense gives
// Terminal/PlatformUnsuitable: it lacks a POSIX shell or is no Linux.
func ReadFacts(ctx context.Context, tr Transport) (Facts, error) {
	result, err := tr.Exec(ctx, FactsCommand())
	if err != nil {
		return Facts{}, fault.During(err, "reading facts")
	}
	if result.Exit != 0 {
		return Facts{}, unsuitable("the script ended with code %d: %s", result.Exit, firstWord(string(result.Stderr)))
	}
	return parseFacts(string(result.Stdout))
}

// parseFacts reads lines of "name value". It is strict: a machine that answers nonsense is not guessed at.
func parseFacts(text string) (Facts, error) {
	var facts Facts
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		if seen[name] && name != "address" {
			return Facts{}, unsuitable("%s is answered twice", quoted(name))
		}
		seen[name] = true
		if err := facts.set(name, value); err != nil {
			return Facts{}, unsuitable("%s: %w", quoted(name), err)
		}
	}
	for _, name := range []string{"hostname", "os", "arch", "cpus", "memory-kib", "init", "packages", "root", "end"} {
		if !seen[name] {
			return Facts{}, unsuitable("no answer for %q", name)
		}
	}
	return facts, nil
}

func (f *Facts) set(name, value string) (err error) {
	switch name {
	case "hostname":
		f.Hostname, err = word(value)
	case "os":
		f.OS, err = word(value)
	case "os-version":
		if value != "" {
			f.OSVersion, err = word(value)
		}
	case "arch":
		f.Arch, err = word(value)
		if known, ok := archNames[f.Arch]; ok {
			f.Arch = known
		}
	case "cpus":
		var n int64
		n, err = number(value, 1<<16)
		f.CPUs = int32(n)
	case "memory-kib":
		var n int64
		n, err = number(value, 1<<40)
		f.MemoryMiB = n >> 10
	case "address":
		err = f.addAddress(value)
	case "init":
		f.InitSystem, err = word(value)
	case "packages":
		f.PackageManager, err = word(value)
	case "root":
		f.Root = value == "true"
		if value != "true" && value != "false" {
			err = fmt.Errorf("neither true nor false: %s", quoted(value))
		}
	case "end":
	default:
		err = fmt.Errorf("not a fact that was asked for")
	}
	return err
}

// addAddress keeps the first sixteen: a node with a hundred bridges is no error.
func (f *Facts) addAddress(value string) error {
	address, err := netip.ParseAddr(value)
	if err != nil {
		return fmt.Errorf("not an IP address: %s", quoted(value))
	}
	if len(f.Addresses) < maxAddresses {
		f.Addresses = append(f.Addresses, address.WithZone("").String())
	}
	return nil
}

var (
	wordShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~:-]*$`)
	archNames = map[string]string{
		"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv6l": "arm", "armv7l": "arm", "loongarch64": "loong64",
	}
)

func word(value string) (string, error) {
	if len(value) > maxFact || !wordShape.MatchString(value) {
		return "", fmt.Errorf("not a plain word of at most %d characters: %s", maxFact, quoted(value))
	}
	return value, nil
}

func number(value string, limit int64) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 || n > limit {
		return 0, fmt.Errorf("not a number from 1 to %d: %s", limit, quoted(value))
	}
	return n, nil
}

func unsuitable(format string, args ...any) error {
	return fault.During(fault.New(fault.Terminal, fault.ReasonPlatform, format, args...), "reading facts")
}

// firstWord and quoted keep strangers' text short and printable inside an error.
func firstWord(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return quoted(line)
}

func quoted(text string) string {
	if len(text) > maxFact {
		text = text[:maxFact] + "…"
	}
	return strconv.Quote(strings.ToValidUTF8(text, "\uFFFD"))
}

package runner

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// parse reads the answer to a poll: a line with the state, the outputs as lines that begin with "=", a line "tail", and the rest
// is the end of the output.
func parse(answer string, secrets redactor) (Status, error) {
	head, rest, _ := strings.Cut(answer, "\n")
	status, err := parseState(head)
	if err != nil {
		return Status{}, err
	}
	var outputs strings.Builder
	for {
		line, after, more := strings.Cut(rest, "\n")
		if !more {
			return Status{}, garbled("no end of the outputs")
		}
		rest = after
		if line == "tail" {
			break
		}
		if output, ok := strings.CutPrefix(line, "="); ok {
			outputs.WriteString(output + "\n")
		} else if line != "" {
			return Status{}, garbled("neither an output nor their end")
		}
	}
	status.Tail = secrets.text([]byte(rest), MaxTail)
	if outputs.Len() == 0 {
		return status, nil
	}
	var complaint string
	if status.Outputs, complaint = parseOutputs(secrets, outputs.String()); complaint != "" {
		status.Tail = withLine(status.Tail, complaint)
	}
	return status, nil
}

// states are the words of poll.sh.
var states = map[string]State{"missing": Missing, "waiting": Waiting, "running": Running, "lost": Lost, "exited": Exited}

// parseState reads "running 1700000000" or "exited <code> <timed out> <start> <finish>". A record that a power cut tore is no
// record: the run is lost.
func parseState(line string) (Status, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Status{State: Lost}, nil
	}
	state, known := states[words[0]]
	if !known {
		return Status{}, garbled("no state")
	}
	numbers := make([]int64, len(words)-1)
	for i, word := range words[1:] {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < 0 {
			return Status{}, garbled("a number is none")
		}
		numbers[i] = n
	}
	if state != Exited {
		if len(numbers) > 0 {
			return Status{State: state, StartedAt: moment(numbers[0])}, nil
		}
		return Status{State: state}, nil
	}
	if len(numbers) != 4 || numbers[0] > 255 {
		return Status{State: Lost}, nil
	}
	return Status{
		State: Exited, Code: int(numbers[0]), TimedOut: numbers[1] == 1, StartedAt: moment(numbers[2]), FinishedAt: moment(numbers[3]),
	}, nil
}

func moment(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{} // it was stopped before it began
	}
	return time.Unix(seconds, 0).UTC()
}

var outputKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

// parseOutputs keeps whole lines as long as they fit, and says what it left out. The last line of a key wins.
func parseOutputs(secrets redactor, text string) (map[string]string, string) {
	if secrets.blind() {
		return nil, "keelway: the outputs are withheld: a value to redact is too long"
	}
	outputs := map[string]string{}
	number, used := 0, 0
	for line := range strings.Lines(strings.ToValidUTF8(string(secrets.mask([]byte(strings.TrimSuffix(text, "\n")))), "\uFFFD")) {
		number++
		if used += len(line); used > MaxOutputs {
			return outputs, fmt.Sprintf("keelway: outputs from line %d on are beyond %d bytes and left out", number, MaxOutputs)
		}
		key, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !found || !outputKey.MatchString(key) {
			return outputs, fmt.Sprintf("keelway: outputs from line %d on are left out: it is not key=value", number)
		}
		outputs[key] = value
	}
	return outputs, ""
}

// withLine appends a line of ours to a tail and keeps the bound.
func withLine(tail, line string) string {
	if tail != "" && !strings.HasSuffix(tail, "\n") {
		tail += "\n"
	}
	return redactor{}.text([]byte(tail+line+"\n"), MaxTail)
}

func garbled(what string) error {
	return fault.New(fault.Retry, fault.ReasonTransient, "the machine's answer makes no sense: %s", what)
}

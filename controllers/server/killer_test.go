package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// moment is when, around one mutating call, the process dies.
type moment int

const (
	beforeSent  moment = iota // the call was not sent
	afterCommit               // it took effect, and the reply never came
	afterReply                // the reply came, and nothing was made of it
)

var moments = [...]string{"before", "after commit", "after reply"}

// killer carries all that one process says to the API server and to the cloud. It numbers the calls that change something, and lets
// the process die at one of them: from then on nothing that the process sends arrives anywhere.
type killer struct {
	at   int // the number of the call; 0: nobody dies
	when moment

	mu       sync.Mutex
	counting bool
	calls    []string // that changed something while it was counting
	writes   bool     // something may have been changed since wrote was asked last
	dead     bool
	die      context.CancelFunc
}

// through is the killer's way to one of the two.
func (k *killer) through(next http.RoundTripper) http.RoundTripper { return passage{k, next} }

type passage struct {
	k    *killer
	next http.RoundTripper
}

func (p passage) RoundTrip(r *http.Request) (*http.Response, error) {
	name, changes := callOf(r)
	return p.k.carry(name, changes, func() (*http.Response, error) {
		// What was sent arrives, even if who sent it dies meanwhile.
		return p.next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
	})
}

func (k *killer) carry(name string, changes bool, send func() (*http.Response, error)) (*http.Response, error) {
	k.mu.Lock()
	defer k.mu.Unlock() // one call at a time, so that their order is the same each time
	if k.dead {
		return nil, errCrash
	}
	k.writes = k.writes || changes
	if !changes || !k.counting {
		return send()
	}
	k.calls = append(k.calls, name)
	if len(k.calls) != k.at {
		return send()
	}
	k.dead = true
	defer k.die()
	if k.when == beforeSent {
		return nil, errCrash
	}
	reply, err := send()
	if k.when == afterCommit && err == nil {
		_ = reply.Body.Close()
		return nil, errCrash
	}
	return reply, err
}

func (k *killer) count(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counting = on
}

// wrote reports whether anything may have been changed since it was asked last.
func (k *killer) wrote() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	wrote := k.writes
	k.writes = false
	return wrote
}

func (k *killer) gone() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead
}

var anID = regexp.MustCompile(`/[0-9a-f]{2,}(-[0-9a-f]+)+`)

// callOf names a request, and says whether it changes anything.
func callOf(r *http.Request) (name string, changes bool) {
	path := strings.TrimPrefix(r.URL.Path, "/apis/keelway.dev/v1alpha1/namespaces/")
	if path != r.URL.Path { // NAMESPACE/RESOURCE/NAME[/SUBRESOURCE]
		parts := strings.Split(path, "/")
		return strings.Join(append([]string{r.Method, parts[1]}, parts[min(3, len(parts)):]...), " "), r.Method != http.MethodGet
	}
	if r.Header.Get("X-Amz-Date") == "" {
		return r.Method + " " + anID.ReplaceAllString(r.URL.Path, ""), r.Method != http.MethodGet
	}
	if r.Header.Get("X-Amz-Target") != "" || r.Body == nil {
		return "", false
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, rest, _ := strings.Cut(string(body), "Action=")
	action, _, _ := strings.Cut(rest, "&")
	return action, !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "Get") && !strings.HasPrefix(action, "AssumeRole")
}

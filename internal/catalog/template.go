package catalog

import (
	"errors"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"github.com/go-sprout/sprout"
	"github.com/go-sprout/sprout/registry/conversion"
	"github.com/go-sprout/sprout/registry/encoding"
	"github.com/go-sprout/sprout/registry/maps"
	"github.com/go-sprout/sprout/registry/numeric"
	sproutregexp "github.com/go-sprout/sprout/registry/regexp"
	"github.com/go-sprout/sprout/registry/semver"
	"github.com/go-sprout/sprout/registry/slices"
	"github.com/go-sprout/sprout/registry/std"
	sproutstrings "github.com/go-sprout/sprout/registry/strings"

	"github.com/keelway/keelway/internal/fault"
)

// values is what a template sees.
type values struct {
	Service    string
	Version    string
	Arch       string
	Root       string // stands for the directory that a Process server lives in; the machine puts it in
	Parameters map[string]any
	Self       Node
	Peers      []Node // all servers of the service, Self among them, by name
	Secrets    map[string]string
}

// Text is a text parameter, whether it was given or comes from a Secret; otherwise when there is neither.
func (v values) Text(parameter, otherwise string) string {
	if secret, ok := v.Secrets[parameter]; ok {
		return secret
	}
	if text, ok := v.Parameters[parameter].(string); ok {
		return text
	}
	return otherwise
}

// endpoint is what one service offers to others: host and port, perhaps as a URL.
var endpoint = regexp.MustCompile(`^(?:[a-z][a-z0-9+.-]*://)?([^/]+)/?$`)

// endpoints are host:port of each of a list that is joined by commas, as recipes offer it: tcp://10.0.0.1:6379,10.0.0.2:6379.
func endpoints(list string) (all []string) {
	for _, text := range strings.Split(list, ",") {
		if found := endpoint.FindStringSubmatch(strings.TrimSpace(text)); found != nil {
			all = append(all, found[1])
		}
	}
	return all
}

// rootMark is replaced on the machine: rendering does not know where a Process server lives, and need not.
const rootMark = "@KEELWAY_ROOT@"

// maxRenderedBytes bounds one rendered text.
const maxRenderedBytes = 256 << 10

// functions are sprout's without environment, files, network, time and chance: the same input always renders the same.
var functions = sync.OnceValues(func() (template.FuncMap, error) {
	handler := sprout.New(sprout.WithLogger(slog.New(slog.DiscardHandler)))
	err := handler.AddRegistries(std.NewRegistry(), sproutstrings.NewRegistry(), maps.NewRegistry(), slices.NewRegistry(), numeric.NewRegistry(),
		conversion.NewRegistry(), encoding.NewRegistry(), sproutregexp.NewRegistry(), semver.NewRegistry())
	if err != nil {
		return nil, err
	}
	all := template.FuncMap{}
	for name, function := range handler.Build() {
		all[name] = function
	}
	for _, name := range []string{"shuffle", "toDate", "toLocalDate"} {
		delete(all, name)
	}
	// hostPort joins address and port, with brackets around an IPv6 address.
	all["hostPort"] = func(host string, port int64) string { return net.JoinHostPort(host, strconv.FormatInt(port, 10)) }
	all["endpoints"] = endpoints
	return all, nil
})

func parseTemplate(name, text string) (*template.Template, error) {
	known, err := functions()
	if err != nil {
		return nil, err
	}
	return template.New(name).Option("missingkey=error").Funcs(known).Parse(text)
}

// execute renders the template at where. Its error is Terminal and says which template and which value.
func (r *Recipe) execute(where string, values values) (string, error) {
	out := &bounded{left: maxRenderedBytes}
	if err := r.templates[where].Execute(out, values); err != nil {
		return "", fault.New(fault.Terminal, fault.ReasonInvalid, "rendering recipe %s: %w", r.Name, err)
	}
	return out.String(), nil
}

// bounded is a strings.Builder that refuses to grow beyond its limit.
type bounded struct {
	strings.Builder
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("more than " + strconv.Itoa(maxRenderedBytes) + " bytes")
	}
	return b.Builder.Write(p)
}

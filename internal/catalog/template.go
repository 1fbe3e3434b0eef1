package catalog

import (
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"github.com/go-sprout/sprout"
	"github.com/go-sprout/sprout/registry/conversion"
	"github.com/go-sprout/sprout/registry/encoding"
	"github.com/go-sprout/sprout/registry/maps"
	"github.com/go-sprout/sprout/registry/numeric"
	"github.com/go-sprout/sprout/registry/regexp"
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

// rootMark is replaced on the machine: rendering does not know where a Process server lives, and need not.
const rootMark = "@KEELWAY_ROOT@"

// maxRenderedBytes bounds one rendered text.
const maxRenderedBytes = 256 << 10

// functions are sprout's without environment, files, network, time and chance: the same input always renders the same.
var functions = sync.OnceValues(func() (template.FuncMap, error) {
	handler := sprout.New(sprout.WithLogger(slog.New(slog.DiscardHandler)))
	err := handler.AddRegistries(std.NewRegistry(), sproutstrings.NewRegistry(), maps.NewRegistry(), slices.NewRegistry(), numeric.NewRegistry(),
		conversion.NewRegistry(), encoding.NewRegistry(), regexp.NewRegistry(), semver.NewRegistry())
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

package catalog

import (
	"net/url"
	"path"
	"strings"

	"github.com/keelway/keelway/internal/fault"
)

// Mirror serves what is upstream below Prefix from below URL.
type Mirror struct {
	Prefix string // https://github.com/
	URL    string // http, https or file
}

// checkMirrors refuses mirrors that cannot be fetched from.
func checkMirrors(mirrors []Mirror) error {
	for i, m := range mirrors {
		if problem := badURL(m.Prefix); problem != "" {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "mirrors[%d].prefix: %s: %q", i, problem, clip(m.Prefix))
		}
		if problem := badURL(m.URL); problem != "" {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "mirrors[%d].url: %s: %q", i, problem, clip(m.URL))
		}
	}
	return nil
}

// badURL says what keeps text from being handed to a downloader on a machine, or "".
func badURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "not a URL"
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "file":
		return "want http, https or file"
	case u.Scheme != "file" && u.Host == "":
		return "no host"
	case len(text) > 2000:
		return "longer than 2000 characters"
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == '\'' || c == '"' || c == '\\' || c == 0x7f }):
		return "blanks, quotes and backslashes are not allowed"
	}
	return ""
}

// mirrored rewrites address by the mirror whose prefix is the longest that covers it. A prefix covers whole path segments only:
// https://github.com is not a prefix of https://github.com.example.
func mirrored(address string, mirrors []Mirror) string {
	best, rest := "", ""
	longest := -1
	for _, m := range mirrors {
		prefix := strings.TrimSuffix(m.Prefix, "/")
		tail, ok := strings.CutPrefix(address, prefix)
		if ok && (tail == "" || tail[0] == '/') && len(prefix) > longest {
			best, rest, longest = m.URL, tail, len(prefix)
		}
	}
	if longest < 0 {
		return address
	}
	return strings.TrimSuffix(best, "/") + rest
}

// artifactVariables tells a script what to download, as KW_ARTIFACT_<NAME>_… : URL (mirrored), ORIGIN (not mirrored: what a
// machine remembers, so that another mirror is no reason to install again), FILE (its name), and SHA256 or CHECKSUMS (a URL).
func (r *Recipe) artifactVariables(in Input, values values) (map[string]string, error) {
	env := map[string]string{}
	for i, artifact := range r.Artifacts {
		at := field("spec.artifacts", i, "url")
		origin, err := r.renderURL(at, values)
		if err != nil {
			return nil, err
		}
		prefix := "KW_ARTIFACT_" + upperSnake(artifact.Name) + "_"
		env[prefix+"ORIGIN"] = origin
		env[prefix+"URL"] = mirrored(origin, in.Mirrors)
		env[prefix+"FILE"] = path.Base(origin)
		if artifact.Checksums == nil {
			digest, ok := artifact.SHA256[in.Self.Facts.Arch]
			if !ok {
				return nil, fault.New(fault.Terminal, fault.ReasonPlatform, "server %s: artifact %s does not exist for architecture %s",
					in.Self.Name, artifact.Name, known(in.Self.Facts.Arch))
			}
			env[prefix+"SHA256"] = digest
			continue
		}
		sums, err := r.renderURL(field("spec.artifacts", i, "checksums.url"), values)
		if err != nil {
			return nil, err
		}
		env[prefix+"CHECKSUMS"] = mirrored(sums, in.Mirrors)
	}
	return env, nil
}

func (r *Recipe) renderURL(where string, values values) (string, error) {
	text, err := r.execute(where, values)
	if err != nil {
		return "", err
	}
	if problem := badURL(text); problem != "" {
		return "", fault.New(fault.Terminal, fault.ReasonInvalid, "recipe %s: %s: %s: %q", r.Name, where, problem, clip(text))
	}
	return text, nil
}

package catalog

import (
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/keelway/keelway/internal/fault"
)

// Resolve returns the version that a constraint asks for: the default when it is empty, an exact version ("3.7.3") as it is when
// the recipe supports it, and for a range ("3.6", ">=3.6 <3.8") the newest version known to the recipe. The error is Terminal:
// Invalid when the text is no version, RecipeNotFound when there is none; it says what there is.
func (r *Recipe) Resolve(constraint string) (string, error) {
	constraint = strings.TrimSpace(constraint)
	if constraint == "" {
		return r.Versions.Default, nil
	}
	supported, err := semver.NewConstraint(r.Versions.Supported)
	if err != nil {
		return "", fault.New(fault.Terminal, fault.ReasonInvalid, "recipe %s: versions.supported: %w", r.Name, err)
	}
	if len(constraint) > 100 {
		return "", fault.New(fault.Terminal, fault.ReasonInvalid, "recipe %s: version %q is longer than 100 characters", r.Name, clip(constraint))
	}
	if exact, err := semver.StrictNewVersion(strings.TrimPrefix(constraint, "v")); err == nil {
		if !supported.Check(exact) {
			return "", r.noVersion(constraint)
		}
		return exact.String(), nil
	}
	wanted, err := semver.NewConstraint(constraint)
	if err != nil {
		return "", fault.New(fault.Terminal, fault.ReasonInvalid, "recipe %s: %q is neither a version nor a range; %s", r.Name, clip(constraint), r.versionsThereAre())
	}
	var best *semver.Version
	for _, known := range append([]string{r.Versions.Default}, r.Versions.Known...) {
		v, err := semver.StrictNewVersion(known)
		if err == nil && supported.Check(v) && wanted.Check(v) && (best == nil || v.GreaterThan(best)) {
			best = v
		}
	}
	if best == nil {
		return "", r.noVersion(constraint)
	}
	return best.String(), nil
}

func (r *Recipe) noVersion(constraint string) error {
	return fault.New(fault.Terminal, fault.ReasonRecipeNotFound, "recipe %s has no version %q; %s", r.Name, constraint, r.versionsThereAre())
}

func (r *Recipe) versionsThereAre() string {
	text := "supported " + r.Versions.Supported + ", default " + r.Versions.Default
	if len(r.Versions.Known) > 0 {
		text += ", known " + strings.Join(r.Versions.Known, ", ")
	}
	return text
}

// checkVersions wants every version that a recipe names to be one that it supports.
func (l *loader) checkVersions(r *Recipe) {
	supported, err := semver.NewConstraint(r.Versions.Supported)
	if err != nil {
		l.fault(manifestFile, "spec.versions.supported", "%v", err)
		return
	}
	check := func(where, version string) {
		if v, err := semver.StrictNewVersion(version); err != nil {
			l.fault(manifestFile, where, "%s: %v", version, err)
		} else if !supported.Check(v) {
			l.fault(manifestFile, where, "%s is not within versions.supported (%s)", version, r.Versions.Supported)
		}
	}
	check("spec.versions.default", r.Versions.Default)
	for _, version := range r.Versions.Known {
		check("spec.versions.known", version)
	}
}

package catalog

import (
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Admits reports whether a constraint allows a version, so that what it was resolved to once can stay. An empty constraint allows
// every version; a text that is no constraint allows none.
func Admits(constraint, version string) bool {
	constraint = strings.TrimSpace(constraint)
	if constraint == "" {
		return true
	}
	v, err := semver.StrictNewVersion(version)
	if err != nil {
		return false
	}
	if exact, err := semver.StrictNewVersion(strings.TrimPrefix(constraint, "v")); err == nil {
		return exact.Equal(v)
	}
	wanted, err := semver.NewConstraint(constraint)
	return err == nil && wanted.Check(v)
}

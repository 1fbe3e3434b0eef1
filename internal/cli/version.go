package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/api/v1alpha1"
)

// version is that of the module that the program was built from.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func (s *session) verbVersion() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs}
	f := formatFlag(c, "text", "json", "yaml")
	c.RunE = func(*cobra.Command, []string) error {
		if done, err := s.data(f, map[string]string{"version": version(), "speaks": v1alpha1.GroupVersion.String()}); done {
			return err
		}
		_, err := fmt.Fprintf(s.Out, "keelway %s, speaks %s\n", version(), v1alpha1.GroupVersion)
		return err
	}
	return c
}

package cli

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/internal/manifest"
)

// filesFlag adds -f to a verb.
func filesFlag(c *cobra.Command, use string) *[]string {
	files := c.Flags().StringSliceP("filename", "f", nil, use+": files, directories, or - for standard input")
	_ = c.MarkFlagFilename("filename", "yaml", "yml", "json")
	return files
}

// source is the text of one file.
type source struct {
	name string
	text []byte
}

// sources reads files; of a directory those that hold YAML or JSON, by name.
func (s *session) sources(names []string) (all []source, err error) {
	if len(names) == 0 {
		return nil, invalid("no file: name one with -f, or - for standard input")
	}
	for _, name := range names {
		if name == "-" {
			text, err := io.ReadAll(io.LimitReader(s.In, manifest.MaxBytes+1))
			if err != nil {
				return nil, failed(codeFailed, "", "reading standard input: %w", err)
			}
			all = append(all, source{"standard input", text})
			continue
		}
		files, err := inside(name)
		if err != nil {
			return nil, invalid("%w", err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, invalid("%w", err)
			}
			all = append(all, source{file, text})
		}
	}
	return all, nil
}

func inside(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return []string{name}, err
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if ext := strings.ToLower(filepath.Ext(e.Name())); !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			files = append(files, filepath.Join(name, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, invalid("%s: no YAML or JSON file is in this directory", name)
	}
	return files, nil
}

// documents reads all objects of files.
func (s *session) documents(names []string) (docs []*manifest.Document, faults []manifest.Fault, err error) {
	sources, err := s.sources(names)
	if err != nil {
		return nil, nil, err
	}
	for _, src := range sources {
		d, f := manifest.Read(src.name, src.text)
		docs, faults = append(docs, d...), append(faults, f...)
	}
	return docs, faults, nil
}

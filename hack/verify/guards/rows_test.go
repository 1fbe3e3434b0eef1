package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRowsFit: what a row breaks is there, once; breaking and running it takes minutes, and is for make guards.
func TestRowsFit(t *testing.T) {
	for _, g := range guards {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(g.file)))
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		if n := strings.Count(string(text), g.old); n == 0 {
			t.Errorf("%s: %s no longer has %q", g.name, g.file, g.old)
		}
	}
}

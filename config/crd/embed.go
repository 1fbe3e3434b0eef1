// Package crd holds the CustomResourceDefinitions of Keelway's kinds as they were generated, for whoever reads manifests without an
// API server. It must not know what is done with them.
package crd

import "embed"

// Bases are the generated files, one a kind.
//
//go:embed bases/*.yaml
var Bases embed.FS

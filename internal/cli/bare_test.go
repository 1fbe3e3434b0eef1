package cli_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keelway/keelway/hack/controlplane"
	"github.com/keelway/keelway/hack/lab"
)

// TestBareCluster runs the scripts that speak with an API server which has none of our CRDs, or those of another version. There is one
// script at a time: they install what they find there.
func TestBareCluster(t *testing.T) {
	dir, assets := built(t), lab.Shared(t).Assets()
	crds, err := filepath.Abs("../../config/crd/bases")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	plane, err := controlplane.Start(ctx, controlplane.Options{Assets: assets, NoControllerManager: true, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	testscript.Run(t, testscript.Params{Dir: "testdata/bare", Cmds: commands, RequireExplicitExec: true, Setup: func(e *testscript.Env) error {
		inPath(e, dir, filepath.Dir(assets.Kubectl))
		e.Setenv("KUBECONFIG", plane.Kubeconfig())
		e.Setenv("HOME", e.WorkDir)
		e.Setenv("CRDS", crds)
		return nil
	}})
}

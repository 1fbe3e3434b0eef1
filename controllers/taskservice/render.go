package taskservice

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/runner"
)

// render fixes what is wanted on each server. The digest is over what goes in and not over what comes out: a newer recipe in a
// newer operator then changes nothing until somebody changes the TaskService.
func (v *visit) render(_ context.Context, t *v1alpha1.TaskService) error {
	v.digests = map[string]string{}
	if len(v.nodes) == 0 {
		return nil // nothing is known of any server: the plan says what it waits for
	}
	first := v.input(t, v.nodes[0])
	rendered, err := v.recipe.Render(first)
	if err != nil {
		return err
	}
	if v.peers, err = v.dependsOnPeers(first, rendered.Digest); err != nil {
		return err
	}
	if v.peers && len(v.unknown) > 0 {
		reason := fault.ReasonDependency
		if v.servers[v.unknown[0]] == nil {
			reason = fault.ReasonServerNotFound
		}
		_, why := plan.Standing(v.unknown[0], v.servers[v.unknown[0]])
		return fault.Waiting(reason, 0, "recipe %s is configured from all its servers, and %s", t.Spec.Recipe, cmp.Or(why, "Server "+v.unknown[0]+" has no address yet"))
	}
	for _, node := range v.nodes {
		if v.digests[node.Name], err = v.digest(t, node); err != nil {
			return err
		}
	}
	t.Status.Outputs = rendered.Outputs
	return nil
}

func (v *visit) input(t *v1alpha1.TaskService, self catalog.Node) catalog.Input {
	return catalog.Input{Service: t.Name, Version: t.Status.Resolved.Version, Parameters: v.parameters, Self: self, Peers: v.nodes, Secrets: v.secrets}
}

// dependsOnPeers finds out by trying: with one server less or more, does anything else come out? A recipe need not say so.
func (v *visit) dependsOnPeers(in catalog.Input, digest string) (bool, error) {
	if len(v.wanted) == 1 {
		return false, nil
	}
	in.Peers = []catalog.Node{in.Self}
	if len(v.nodes) == 1 {
		in.Peers = append(in.Peers, catalog.Node{Name: v.unknown[0], Address: "unknown.invalid", Facts: in.Self.Facts})
	}
	other, err := v.recipe.Render(in)
	return err == nil && other.Digest != digest, err
}

// digest is over everything that a person or the machines decide about one server's input.
func (v *visit) digest(t *v1alpha1.TaskService, self catalog.Node) (string, error) {
	peers := v.nodes
	if !v.peers {
		peers = nil
	}
	text, err := json.Marshal([]any{t.Spec.Recipe, t.Status.Resolved, v.given, v.marks, self, peers})
	if err != nil {
		return "", fault.New(fault.Terminal, fault.ReasonInvalid, "spec.parameters: %w", err)
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// script is what a run does on one server.
func (v *visit) script(ctx context.Context, t *v1alpha1.TaskService, do plan.RunVerb, name string) (runner.Script, error) {
	if do == plan.RunRemove {
		return v.runnable(v.recipe.Removal(t.Name), true), nil
	}
	node, _ := v.node(name)
	in := v.input(t, node)
	var err error
	if in.Mirrors, err = v.mirrors(ctx, t.Namespace, name); err != nil {
		return runner.Script{}, err
	}
	rendered, err := v.recipe.Render(in)
	if err != nil {
		return runner.Script{}, err
	}
	switch do {
	case plan.RunApply:
		return v.runnable(rendered.Apply, true), nil
	case plan.RunHealth:
		return v.runnable(rendered.Health, false), nil
	}
	return v.runnable(rendered.Check, false), nil
}

func (v *visit) runnable(s catalog.Script, mutating bool) runner.Script {
	return runner.Script{Body: s.Body, Env: s.Env, Files: s.Files, Timeout: s.Timeout, Mutating: mutating, Redact: v.hidden()}
}

// mirrors are those of the Provider that made the server. It may be gone while its servers still run.
func (v *visit) mirrors(ctx context.Context, namespace, server string) ([]catalog.Mirror, error) {
	provider := &v1alpha1.Provider{}
	err := v.kit.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v.servers[server].Spec.ProviderRef.Name}, provider)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	var mirrors []catalog.Mirror
	for _, m := range provider.Spec.Mirrors {
		mirrors = append(mirrors, catalog.Mirror{Prefix: m.Prefix, URL: m.URL})
	}
	return mirrors, nil
}

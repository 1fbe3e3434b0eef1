package taskservice

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/fault"
)

// secretPause is how soon a missing Secret is looked for again. Secrets are not watched: a watch would read them all.
const secretPause = 30 * time.Second

// resolve finds the recipe, the version and the parameters. What was resolved once stays as long as the spec admits it, so that a
// new operator with newer recipes touches no machine.
func (v *visit) resolve(ctx context.Context, t *v1alpha1.TaskService) error {
	recipe, err := v.catalog.Get(t.Spec.Recipe)
	if err != nil {
		return fault.During(err, "spec.recipe")
	}
	v.recipe = recipe
	old := t.Status.Resolved
	if old == nil || !catalog.Admits(t.Spec.Version, old.Version) || t.Status.ObservedGeneration != t.Generation {
		version, err := v.version(t)
		if err != nil {
			return fault.During(err, "spec.version")
		}
		t.Status.Resolved = &v1alpha1.ResolvedRecipe{Version: version, RecipeDigest: recipe.Digest}
	}
	if v.given, err = parameters(t); err != nil {
		return err
	}
	var referred []string
	for _, source := range t.Spec.ParametersFrom {
		if source.SecretKeyRef != nil {
			referred = append(referred, source.Parameter)
		}
	}
	if err := v.readOutputs(ctx, t); err != nil {
		return err
	}
	if v.parameters, err = recipe.Validate(v.given, referred...); err != nil {
		return fault.During(err, "spec.parameters")
	}
	return v.readSecrets(ctx, t)
}

func (v *visit) version(t *v1alpha1.TaskService) (string, error) {
	if old := t.Status.Resolved; old != nil && catalog.Admits(t.Spec.Version, old.Version) {
		return old.Version, nil
	}
	return v.recipe.Resolve(t.Spec.Version)
}

// parameters decodes spec.parameters afresh each time: Validate fills its argument in.
func parameters(t *v1alpha1.TaskService) (map[string]any, error) {
	if t.Spec.Parameters == nil || len(t.Spec.Parameters.Raw) == 0 {
		return nil, nil
	}
	var given map[string]any
	if err := json.Unmarshal(t.Spec.Parameters.Raw, &given); err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "spec.parameters: want an object: %w", err)
	}
	return given, nil
}

// readSecrets reads each Secret once, live, and keeps it for this walk only. What is remembered of it, in a digest, is which
// Secret it was and its version: a hash of the value would let people try out weak values.
func (v *visit) readSecrets(ctx context.Context, t *v1alpha1.TaskService) error {
	v.secrets, v.marks = map[string]string{}, nil
	read := map[string]*corev1.Secret{}
	for i, source := range t.Spec.ParametersFrom {
		ref := source.SecretKeyRef
		if ref == nil {
			continue
		}
		secret, ok := read[ref.Name]
		if !ok {
			secret = &corev1.Secret{}
			err := v.kit.Live.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: ref.Name}, secret)
			if apierrors.IsNotFound(err) {
				return fault.Waiting(fault.ReasonSecretNotFound, secretPause,
					"spec.parametersFrom[%d]: there is no Secret %s in namespace %s: create it with the key %s", i, ref.Name, t.Namespace, ref.Key)
			}
			if err != nil {
				return fault.New(fault.Retry, fault.ReasonTransient, "reading Secret %s: %w", ref.Name, err)
			}
			read[ref.Name] = secret
		}
		value, ok := secret.Data[ref.Key]
		if !ok {
			return fault.Waiting(fault.ReasonSecretNotFound, secretPause,
				"spec.parametersFrom[%d]: Secret %s has no key %s: add it", i, ref.Name, ref.Key)
		}
		v.secrets[source.Parameter] = string(value)
		v.marks = append(v.marks, fmt.Sprintf("%s %s %s %s", source.Parameter, ref.Key, secret.UID, secret.ResourceVersion))
	}
	return nil
}

// hidden are the values that nothing which leaves a machine may show.
func (v *visit) hidden() []string {
	var values []string
	for _, value := range v.secrets {
		values = append(values, value)
	}
	return values
}

package connect

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/internal/fault"
)

// keyLife is how long a Secret that was read is used without asking again: a fleet is one question a tick and not one a machine.
const keyLife = 30 * time.Second

// Keys reads private keys and credentials from Secrets, one at a time and live: Secrets are never listed or watched.
type Keys struct {
	Live client.Reader
	Now  func() time.Time

	mu   sync.Mutex
	read map[types.NamespacedName]readKey
}

type readKey struct {
	data map[string][]byte
	at   time.Time
}

// Private returns the key under ssh-privatekey of the named Secret. Wait/SecretNotFound: there is no such Secret or key.
func (k *Keys) Private(ctx context.Context, namespace, name string) ([]byte, error) {
	data, err := k.Secret(ctx, namespace, name)
	if err != nil {
		return nil, fault.During(err, "the SSH key")
	}
	pem := data[corev1.SSHAuthPrivateKey]
	if len(pem) == 0 {
		return nil, fault.Waiting(fault.ReasonSecretNotFound, keyLife, "Secret %s has no key %s: add the private SSH key under that name", name, corev1.SSHAuthPrivateKey)
	}
	return pem, nil
}

// Secret returns what the named Secret holds; nobody may change it. Wait/SecretNotFound: there is no such Secret.
func (k *Keys) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	at := types.NamespacedName{Namespace: namespace, Name: name}
	k.mu.Lock()
	known, ok := k.read[at]
	k.mu.Unlock()
	if ok && k.Now().Sub(known.at) < keyLife {
		return known.data, nil
	}
	secret := &corev1.Secret{}
	if err := k.Live.Get(ctx, at, secret); apierrors.IsNotFound(err) {
		return nil, fault.Waiting(fault.ReasonSecretNotFound, keyLife, "there is no Secret %s in namespace %s", name, namespace)
	} else if err != nil {
		return nil, fault.New(fault.Retry, fault.ReasonTransient, "reading Secret %s: %w", name, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.read == nil {
		k.read = map[types.NamespacedName]readKey{}
	}
	for other, old := range k.read {
		if k.Now().Sub(old.at) >= keyLife {
			delete(k.read, other) // what nobody asks for is not kept
		}
	}
	k.read[at] = readKey{data: secret.Data, at: k.Now()}
	return secret.Data, nil
}

// Forget makes the next read ask for the Secret again: what it held was refused, and it may have been replaced.
func (k *Keys) Forget(namespace, name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.read, types.NamespacedName{Namespace: namespace, Name: name})
}

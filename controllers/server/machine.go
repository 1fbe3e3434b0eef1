package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
)

const (
	userDataLimit = 16 << 10         // bytes; the narrowest cloud's
	secretPause   = 30 * time.Second // between two looks for a Secret that is not there
)

// wanted translates the spec into the words of providers, with the user data and without whom it is for.
func (v *visit) wanted(ctx context.Context) (provider.Machine, error) {
	spec := &v.server.Spec
	m := provider.Machine{Size: spec.Size, Zone: spec.Zone, Image: spec.Image, RootDisk: disk("", spec.RootDisk)}
	for i := range spec.Disks {
		m.Disks = append(m.Disks, disk(spec.Disks[i].Name, &spec.Disks[i].Disk))
	}
	if n := spec.Network; n != nil {
		m.Network = provider.Network{PublicIPv4: provider.Switch(n.PublicIPv4), PublicIPv6: provider.Switch(n.PublicIPv6)}
		for _, private := range n.PrivateNetworks {
			m.Network.Private = append(m.Network.Private, private.ID)
		}
	}
	m.Labels, v.omitted = v.labels()
	v.writes(m.Labels)
	if key := v.door.object.Status.PublicKey; key != "" {
		m.Keys = []string{key}
	}
	if spec.UserDataFrom == nil {
		return m, nil
	}
	secret, name := &corev1.Secret{}, spec.UserDataFrom.SecretRef.Name
	err := v.r.Kit.Live.Get(ctx, types.NamespacedName{Namespace: v.name.Namespace, Name: name}, secret)
	data := secret.Data[v1alpha1.UserDataKey]
	switch {
	case apierrors.IsNotFound(err):
		return m, fault.Waiting(fault.ReasonSecretNotFound, secretPause, "userDataFrom: there is no Secret %s in namespace %s", name, v.name.Namespace)
	case err != nil:
		return m, fault.New(fault.Retry, fault.ReasonTransient, "reading Secret %s: %w", name, err)
	case len(data) == 0:
		return m, fault.Waiting(fault.ReasonSecretNotFound, secretPause, "userDataFrom: Secret %s has no key %s", name, v1alpha1.UserDataKey)
	case len(data) > userDataLimit:
		return m, fault.New(fault.Terminal, fault.ReasonInvalid, "userDataFrom: Secret %s holds %d bytes under %s, at most %d are allowed", name, len(data), v1alpha1.UserDataKey, userDataLimit)
	}
	m.UserData = data
	return m, nil
}

func disk(name string, d *v1alpha1.Disk) provider.Disk {
	if d == nil {
		return provider.Disk{Name: name}
	}
	return provider.Disk{Name: name, SizeGiB: d.SizeGiB, Tier: d.Tier, Encrypted: d.Encryption == v1alpha1.SwitchEnabled}
}

// shapeOf is a digest of all that is asked for: machines of one shape can be made by one call. User data is part of it and cannot
// be told from it.
func shapeOf(m provider.Machine) string {
	text, _ := json.Marshal(m) // plain data
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

func (v *visit) owner() provider.Owner {
	return provider.Owner{Installation: v.r.options.Installation, Namespace: v.name.Namespace, Name: v.name.Name, UID: string(v.server.UID)}
}

// seenOf translates what a provider showed into the words of plan.
func seenOf(i provider.Instance) plan.Machine {
	m := plan.Machine{
		ID: i.ID, Key: i.Key, UID: i.Owner.UID, Installation: i.Owner.Installation, Namespace: i.Owner.Namespace, Name: i.Owner.Name,
		Launch: plan.Launch{Token: i.Launch.Token, Index: i.Launch.Index}, State: plan.MachineState(i.State), Message: i.Message,
		Size: i.Size, Zone: i.Zone, Image: i.Image, Brief: i.Brief,
	}
	for _, d := range i.Disks {
		m.Disks = append(m.Disks, plan.MachineDisk{Name: d.Name, SizeGiB: d.SizeGiB, Tier: d.Tier, Encrypted: d.Encrypted})
	}
	return m
}

// abilities says what the account's provider can do.
func abilities(p provider.Provider) plan.ServerAbilities {
	_, power := provider.As[provider.Powerer](p)
	_, resize := provider.As[provider.Resizer](p)
	_, adopt := provider.As[provider.Adopter](p)
	_, label := provider.As[provider.Relabeller](p)
	_, untokened := provider.As[provider.Untokened](p)
	prompt, is := provider.As[provider.Prompt](p)
	return plan.ServerAbilities{Power: power, Resize: resize, Adopt: adopt, Label: label, Untokened: untokened, EndsAtOnce: is && prompt.EndsAtOnce()}
}

// settle is how long the account may hide what was just made. What was seen up once is not hidden any more.
func (v *visit) settle() time.Duration {
	settle := v.r.options.Settle
	if blind, ok := provider.As[provider.Untokened](v.door.Provider); ok {
		settle = max(settle, blind.Settle())
	}
	if lagging, ok := provider.As[provider.Lagging](v.door.Provider); ok && v.server.Status.Applied == nil {
		settle = max(settle, lagging.Lag())
	}
	return settle
}

// lag is how long after a deed the account may show what was before it.
func (v *visit) lag() time.Duration {
	if lagging, ok := provider.As[provider.Lagging](v.door.Provider); ok {
		return max(v.r.options.Settle, lagging.Lag())
	}
	return v.r.options.Settle
}

// recorded is the machine of status.id as this visit saw it.
func (v *visit) recorded() (plan.Machine, bool) {
	at := slices.IndexFunc(v.seen.Machines, func(m plan.Machine) bool { return m.ID == v.server.Status.ID })
	if at < 0 || v.server.Status.ID == "" {
		return plan.Machine{}, false
	}
	return v.seen.Machines[at], true
}

// clip bounds what goes into a status field of 512 bytes.
func clip(text string) string {
	const most = 500
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

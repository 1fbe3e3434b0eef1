package provider

import (
	"unicode"
	"unicode/utf8"

	"github.com/keelway/keelway/internal/fault"
)

// What a request may hold, in bytes. The bounds are those of Kubernetes names and of the tags of the narrowest cloud.
const (
	keyLimit  = 128
	nameLimit = 253
)

// Validate returns Terminal/Invalid, naming the field, when no provider could make this machine: an identity that is
// incomplete, over-long or not printable. Every Create calls it first; what sizes there are is asked only of a new Key.
func (m Machine) Validate() error {
	if err := checkText("key", m.Key, 1, keyLimit); err != nil {
		return err
	}
	for _, field := range []struct {
		name, value string
		least       int
	}{
		{"owner.installation", m.Owner.Installation, 1},
		{"owner.namespace", m.Owner.Namespace, 1},
		{"owner.name", m.Owner.Name, 1},
		{"owner.uid", m.Owner.UID, 1},
		{"size", m.Size, 0},
		{"zone", m.Zone, 0},
		{"image", m.Image, 0},
	} {
		if err := checkText(field.name, field.value, field.least, nameLimit); err != nil {
			return err
		}
	}
	return nil
}

// Plain returns Terminal/Invalid, naming the field, when the machine is wanted with disks, networks or user data: for drivers that
// have no such thing, so that no wish is dropped in silence.
func (m Machine) Plain() error {
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"rootDisk", m.RootDisk != Disk{}},
		{"disks", len(m.Disks) > 0},
		{"network", m.Network.PublicIPv4 != "" || m.Network.PublicIPv6 != "" || len(m.Network.Private) > 0},
		{"userDataFrom", len(m.UserData) > 0},
	} {
		if field.set {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "%s: machines of this driver have none: leave it out", field.name)
		}
	}
	return nil
}

// Validate returns Terminal/Invalid when the owner cannot be listed for: without an installation nothing is provably ours.
func (o Owner) Validate() error {
	if err := checkText("owner.installation", o.Installation, 1, nameLimit); err != nil {
		return err
	}
	if err := checkText("owner.namespace", o.Namespace, 0, nameLimit); err != nil {
		return err
	}
	return checkText("owner.name", o.Name, 0, nameLimit)
}

// Covers reports whether a List for o shows a machine of the given owner. UIDs are not compared: the search for another
// machine of the same name depends on it.
func (o Owner) Covers(of Owner) bool {
	return o.Installation == of.Installation &&
		(o.Namespace == "" || o.Namespace == of.Namespace) &&
		(o.Name == "" || o.Name == of.Name)
}

func checkText(field, value string, least, most int) error {
	switch {
	case len(value) < least:
		return fault.New(fault.Terminal, fault.ReasonInvalid, "%s is empty", field)
	case len(value) > most:
		return fault.New(fault.Terminal, fault.ReasonInvalid, "%s has %d bytes, at most %d are allowed", field, len(value), most)
	case !utf8.ValidString(value):
		return fault.New(fault.Terminal, fault.ReasonInvalid, "%s is not valid UTF-8", field)
	}
	for _, r := range value {
		if unicode.IsControl(r) {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "%s holds the control character %U", field, r)
		}
	}
	return nil
}

// MessageLimit is the most bytes of text that a provider hands out in one message.
const MessageLimit = 1024

// Clip cuts text to MessageLimit bytes, between two characters, and says so with an ellipsis.
func Clip(text string) string {
	const ellipsis = "…"
	if len(text) <= MessageLimit {
		return text
	}
	cut := MessageLimit - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}

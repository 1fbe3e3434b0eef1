package mem

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// check refuses what this cloud does not have, naming the field and what there is.
func (c *Cloud) check(want provider.Machine) error {
	for _, choice := range []struct {
		field, value string
		exist        []string
	}{
		{"size", want.Size, c.options.Sizes},
		{"zone", want.Zone, c.options.Zones},
		{"image", want.Image, c.options.Images},
	} {
		if choice.value != "" && !slices.Contains(choice.exist, choice.value) {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "there is no %s %s; there are: %s",
				choice.field, quote(choice.value), enumerate(choice.exist))
		}
	}
	for _, id := range want.Network.Private {
		if !slices.Contains(c.options.Networks, id) {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "network.privateNetworks: there is no network %s; there are: %s", quote(id), enumerate(c.options.Networks))
		}
	}
	return nil
}

// disks are those that were asked for, where any were.
func disks(want provider.Machine) []provider.Disk {
	if len(want.Disks) == 0 && want.RootDisk == (provider.Disk{}) {
		return nil
	}
	return append([]provider.Disk{want.RootDisk}, want.Disks...)
}

// quoteAll joins texts so that no two lists read the same.
func quoteAll(texts []string) string { return fmt.Sprintf("%q", texts) }

func first(asked string, exist []string) string {
	if asked != "" {
		return asked
	}
	return exist[0]
}

// enumerate keeps a message readable however many sizes a cloud was given.
func enumerate(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// quote bounds what a caller sent before it comes back in a message.
func quote(text string) string {
	if len(text) > 64 {
		text = strings.ToValidUTF8(text[:64], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// address gives each machine its own loopback address, 127.1.0.1 for the first. Nothing listens there: it only has to differ.
func address(n int) string {
	return fmt.Sprintf("127.%d.%d.%d", 1+n/(254*256)%254, n/254%256, 1+(n-1)%254)
}

package aws

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Tags that say whose a thing is. They are written when it is made; nothing is ours without the first one, and no label of people can
// stand in their place. The tag Name is for people, who change it: nothing is found by it.
const (
	reserved        = "keelway.dev/"
	tagInstallation = reserved + "installation"
	tagNamespace    = reserved + "namespace"
	tagName         = reserved + "name"
	tagUID          = reserved + "uid"
	tagKey          = reserved + "key"
	tagLaunch       = reserved + "launch" // of machines that were made by one call: Batch.Token
	tagUser         = reserved + "user"   // who logs in, where the image is one that we know
	tagDisk         = reserved + "disk"   // and a device: the name of the disk there
	nameForPeople   = "Name"
)

const keyLimit, valueLimit = 128, 256 // characters in a tag

func identityTags(key string, owner provider.Owner) []types.Tag {
	return []types.Tag{
		tag(tagInstallation, owner.Installation), tag(tagKey, key), tag(tagName, owner.Name), tag(tagNamespace, owner.Namespace), tag(tagUID, owner.UID),
	}
}

func tag(key, value string) types.Tag {
	return types.Tag{Key: sdk.String(key), Value: sdk.String(value)}
}

// displayName is what the console shows.
func displayName(owner provider.Owner) string {
	name := []rune(owner.Namespace + "/" + owner.Name)
	return string(name[:min(len(name), valueLimit)])
}

// checkLabels refuses labels that would stand in the place of our identity, or that AWS refuses.
func checkLabels(labels map[string]string) error {
	for _, key := range sortedKeys(labels) {
		switch {
		case strings.HasPrefix(key, reserved):
			return fault.New(fault.Terminal, fault.ReasonInvalid, "labels: %.128q is reserved: keelway.dev/ is how machines are found again", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return fault.New(fault.Terminal, fault.ReasonInvalid, "labels: %.128q is reserved by AWS", key)
		case key == "" || len([]rune(key)) > keyLimit || len([]rune(labels[key])) > valueLimit:
			return fault.New(fault.Terminal, fault.ReasonInvalid, "labels: %.128q is not 1 to %d characters long, or its value more than %d", key, keyLimit, valueLimit)
		}
	}
	return nil
}

// LabelRules implements provider.Labeller: what checkLabels admits.
func (a *AWS) LabelRules() provider.LabelRules {
	return provider.LabelRules{KeyLeast: 1, KeyMost: keyLimit, ValueMost: valueLimit}
}

type tags map[string]string

func read(list []types.Tag) tags {
	all := tags{}
	for _, t := range list {
		all[deref(t.Key)] = deref(t.Value)
	}
	return all
}

func (t tags) owner() provider.Owner {
	return provider.Owner{Installation: t[tagInstallation], Namespace: t[tagNamespace], Name: t[tagName], UID: t[tagUID]}
}

// labels are the tags of people.
func (t tags) labels() map[string]string {
	var labels map[string]string
	for key, value := range t {
		ours := strings.HasPrefix(key, reserved) || strings.HasPrefix(key, "aws:") || key == nameForPeople && value == displayName(t.owner())
		if ours {
			continue
		}
		if labels == nil {
			labels = map[string]string{}
		}
		labels[key] = value
	}
	return labels
}

// clientToken is what makes a launch idempotent at AWS, which admits 64 characters. n counts machines that ended under the same name.
func clientToken(installation, kind, token string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%d:%s%d:%s%d", len(installation), installation, len(kind), kind, len(token), token, n))
	return hex.EncodeToString(sum[:])
}

// derivedName is the name of a group or key pair of ours: the same for the same parts, so that AWS itself refuses a second one.
func derivedName(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return "keelway-" + hex.EncodeToString(sum.Sum(nil)[:12])
}

var instanceID = regexp.MustCompile(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`)

func gone(id string) error {
	return fault.New(fault.Gone, fault.ReasonNotFound, "there is no instance %.64q of this installation", id)
}

// literal takes the meaning of wildcards away from what a filter compares with.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func filter(name string, values ...string) types.Filter {
	f := types.Filter{Name: sdk.String(name)}
	for _, value := range values {
		f.Values = append(f.Values, literal.Replace(value))
	}
	return f
}

package upcloud

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/provider"
)

// Labels of ours. UpCloud admits keys of 2 to 32 printable ASCII characters and takes upper and lower case for the same.
const (
	reserved          = "keelway.dev/"
	labelInstallation = reserved + "installation"
	labelNamespace    = reserved + "namespace"
	labelName         = reserved + "name"
	labelUID          = reserved + "uid"
	labelKey          = reserved + "key"      // what Create was asked with
	labelFind         = reserved + "find"     // a hash of installation and key: short and plain, for looking up
	labelImage        = reserved + "image"    // as it was asked for: a server does not tell what its disk was cloned from
	labelMaking       = reserved + "making"   // what follows the server's own creation is not finished
	labelEnding       = reserved + "ending"   // its end was asked for
	labelTwin         = reserved + "twin"     // the id of the server that was kept instead of this one
	labelResizing     = reserved + "resizing" // GiB that the root disk grows to; 0 where it stays

	// Of storages, besides the installation:
	labelServer = reserved + "server" // id of the server that it was made for
	labelDisk   = reserved + "disk"   // the disk's name there, "" for the root disk
)

const keyLeast, keyLimit, valueLimit = 2, 32, 255 // characters in a label

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func isUUID(text string) bool { return len(text) == 36 && uuid.MatchString(text) }

// encode makes any text one that survives being a label and a filter: percent-encoded but for letters, digits and - _ . ~
func encode(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func decode(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// find is the value that a machine's servers are looked up by.
func (u *UpCloud) find(key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(u.o.Installation), u.o.Installation, key))
	return hex.EncodeToString(sum[:])
}

// identity are the labels that say whose a server is.
func (u *UpCloud) identity(key string, owner provider.Owner) (upcloud.LabelSlice, error) {
	labels := upcloud.LabelSlice{
		{Key: labelInstallation, Value: encode(owner.Installation)},
		{Key: labelNamespace, Value: encode(owner.Namespace)},
		{Key: labelName, Value: encode(owner.Name)},
		{Key: labelUID, Value: encode(owner.UID)},
		{Key: labelKey, Value: encode(key)},
		{Key: labelFind, Value: u.find(key)},
	}
	for _, label := range labels {
		if len(label.Value) > valueLimit {
			return nil, invalid("%s: %.64q is too long for a label of UpCloud, which holds %d characters", strings.TrimPrefix(label.Key, reserved), label.Value, valueLimit)
		}
	}
	return labels, nil
}

// peoples returns the labels of people in order of key, or an error that names one which UpCloud or we cannot take.
func peoples(labels map[string]string) (upcloud.LabelSlice, error) {
	var all upcloud.LabelSlice
	for key, value := range labels {
		switch {
		case strings.HasPrefix(strings.ToLower(key), reserved):
			return nil, invalid("labels: %.64q is reserved: keys that begin with %s say whose a machine is", key, reserved)
		case len(key) < keyLeast || len(key) > keyLimit || strings.HasPrefix(key, "_") || strings.ContainsFunc(key, func(r rune) bool { return r < 0x21 || r > 0x7e }):
			return nil, invalid("labels: UpCloud takes keys of 2 to 32 printable ASCII characters that do not begin with _, and not %.64q", key)
		case utf8.RuneCountInString(value) > valueLimit || !utf8.ValidString(value):
			return nil, invalid("labels: the value of %s is no text of at most %d characters", key, valueLimit)
		}
		all = append(all, upcloud.Label{Key: key, Value: value})
	}
	slices.SortFunc(all, func(a, b upcloud.Label) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}

// LabelRules implements provider.Labeller: what peoples admits of the labels of Kubernetes, which are ASCII and begin with a letter or digit.
func (u *UpCloud) LabelRules() provider.LabelRules {
	return provider.LabelRules{KeyLeast: keyLeast, KeyMost: keyLimit, ValueMost: valueLimit, AnyCase: true}
}

func valueOf(labels []upcloud.Label, key string) string {
	for _, label := range labels {
		if strings.EqualFold(label.Key, key) {
			return label.Value
		}
	}
	return ""
}

func has(labels []upcloud.Label, key string) bool {
	return slices.ContainsFunc(labels, func(l upcloud.Label) bool { return strings.EqualFold(l.Key, key) })
}

// with returns the labels with some of them set and some dropped. Those that begin with _ are UpCloud's own, which nobody may write.
func with(labels []upcloud.Label, set []upcloud.Label, drop ...string) upcloud.LabelSlice {
	for _, label := range set {
		drop = append(drop, label.Key)
	}
	kept := upcloud.LabelSlice{}
	for _, label := range labels {
		if !strings.HasPrefix(label.Key, "_") && !slices.ContainsFunc(drop, func(key string) bool { return strings.EqualFold(key, label.Key) }) {
			kept = append(kept, label)
		}
	}
	return append(kept, set...)
}

func ownerOf(labels []upcloud.Label) provider.Owner {
	return provider.Owner{
		Installation: decode(valueOf(labels, labelInstallation)), Namespace: decode(valueOf(labels, labelNamespace)),
		Name: decode(valueOf(labels, labelName)), UID: decode(valueOf(labels, labelUID)),
	}
}

// ours reports whether the labels say that this installation made what carries them.
func (u *UpCloud) ours(labels []upcloud.Label) bool {
	return has(labels, labelInstallation) && decode(valueOf(labels, labelInstallation)) == u.o.Installation
}

// exactly filters a list by the whole of one label.
type exactly struct{ key, value string }

// ToQueryParam escapes what it asks for; the SDK's own filter does not, and would read a & in a value as the end of it.
func (e exactly) ToQueryParam() string { return "label=" + url.QueryEscape(e.key+"="+e.value) }

var _ request.QueryFilter = exactly{}

package plan

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
)

// What an entry that an output lists may hold, as the schema has it.
var (
	keyPattern  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	entryBounds = []struct {
		field string
		of    func(*v1alpha1.ServerItem) string
		most  int
	}{
		{"size", func(e *v1alpha1.ServerItem) string { return e.Size }, 63},
		{"zone", func(e *v1alpha1.ServerItem) string { return e.Zone }, 63},
		{"image", func(e *v1alpha1.ServerItem) string { return e.Image }, 253},
	}
)

// maxEntryKey is the longest key of an entry, as the schema has it.
const maxEntryKey = 40

// entriesOf reads what an output lists: keys with commas between them, or a JSON array of keys or of entries. Nothing but blanks lists
// nothing.
func entriesOf(text string) (entries []v1alpha1.ServerItem, err error) {
	switch text = strings.TrimSpace(text); {
	case text == "":
		return nil, nil
	case text[0] == '[':
		entries, err = entriesInJSON(text)
	case text[0] == '{':
		return nil, fmt.Errorf("it is one object, %s, and no list: write [ ] around it, or keys with commas between them", clip(text, 80))
	default:
		for key := range strings.SplitSeq(text, ",") {
			entries = append(entries, v1alpha1.ServerItem{Key: strings.TrimSpace(key)})
		}
	}
	if err != nil {
		return nil, err
	}
	met := make(map[string]int, len(entries))
	for n := range entries {
		if err := checkEntry(&entries[n]); err != nil {
			return nil, fmt.Errorf("entry %d: %w", n+1, err)
		}
		if before, twice := met[entries[n].Key]; twice {
			return nil, fmt.Errorf("entries %d and %d have the key %q: keys must differ", before+1, n+1, entries[n].Key)
		}
		met[entries[n].Key] = n
	}
	return entries, nil
}

func entriesInJSON(text string) ([]v1alpha1.ServerItem, error) {
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("it begins as a JSON array and is none: %w", err)
	}
	entries := make([]v1alpha1.ServerItem, len(all))
	for n, one := range all {
		var target any = &entries[n]
		if one[0] == '"' {
			target = &entries[n].Key
		}
		in := json.NewDecoder(strings.NewReader(string(one)))
		in.DisallowUnknownFields()
		if err := in.Decode(target); err != nil {
			return nil, fmt.Errorf("entry %d, %s: %w: a key, or an object with key and, if need be, size, zone and image is wanted", n+1, clip(string(one), 80), err)
		}
	}
	return entries, nil
}

func checkEntry(entry *v1alpha1.ServerItem) error {
	if len(entry.Key) > maxEntryKey || !keyPattern.MatchString(entry.Key) {
		return fmt.Errorf("%q is no key: up to %d small letters, digits and dashes, and no dash at either end", clip(entry.Key, 80), maxEntryKey)
	}
	for _, bound := range entryBounds {
		if value := bound.of(entry); len(value) > bound.most {
			return fmt.Errorf("%s: its %s has %d letters, and %d are possible", entry.Key, bound.field, len(value), bound.most)
		}
	}
	return nil
}

package v1alpha1

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Lengths of the parts of a child's name. With three dashes they make 63, the most that a DNS label holds.
const (
	childWorkflow  = 30
	childOperation = 16
	childKey       = 8
	childHash      = 6
)

// ChildName is the name of the object that does the work of one operation instance:
// <workflow ≤30>-<operation ≤16>-<key ≤8>-<hash of 6>. It is a DNS-1123 label whatever the parts are, and the same parts give
// the same name for ever: a second POST of the same child finds the first. The parts are for people, the hash tells names apart.
func ChildName(workflow, operation, key string) string {
	parts := make([]string, 0, 4)
	for _, part := range []string{
		labelPart(workflow, childWorkflow), labelPart(operation, childOperation), labelPart(key, childKey),
	} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, nameHash(workflow, operation, key)), "-")
}

// labelPart keeps what a DNS label may hold, cut to n bytes, without a dash at either end.
func labelPart(text string, n int) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text)
	return strings.Trim(clean[:min(len(clean), n)], "-")
}

// nameHash writes the length before each part, so that ("a-b", "c") and ("a", "b-c") differ.
func nameHash(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	const names = 36 * 36 * 36 * 36 * 36 * 36
	digits := strconv.FormatUint(binary.BigEndian.Uint64(h.Sum(nil))%names, 36)
	return strings.Repeat("0", childHash-len(digits)) + digits
}

// Package nearest knows which names somebody may have meant by one that does not exist.
// It must not know what the names stand for.
package nearest

import (
	"sort"
	"strings"
)

// Names returns at most three of the known names within a third of their length of edits from name, nearest first.
func Names(name string, known []string) []string {
	if len(name) > 100 { // longer than any name of ours: nothing is near, and the comparison is quadratic
		return nil
	}
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	for _, k := range known {
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if limit := max(1, max(len(name), len(k))/3); d <= limit || (len(name) >= 3 && strings.HasPrefix(k, name)) {
			found = append(found, candidate{k, d})
		}
	}
	sort.Slice(found, func(i, j int) bool {
		if found[i].distance != found[j].distance {
			return found[i].distance < found[j].distance
		}
		return found[i].name < found[j].name
	})
	var names []string
	for _, c := range found[:min(3, len(found))] {
		names = append(names, c.name)
	}
	return names
}

// distance is the number of insertions, deletions, changes and swaps of neighbours between two words.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// Hint is the tail of a "not found" message: the nearest names, or what there is, of at most 20 names.
func Hint(name string, known []string) string {
	if near := Names(name, known); len(near) > 0 {
		return "; did you mean " + strings.Join(near, ", ") + "?"
	}
	if len(known) == 0 {
		return "; there are none"
	}
	more := ""
	if len(known) > 20 {
		known, more = known[:20], ", …"
	}
	return "; there are " + strings.Join(known, ", ") + more
}

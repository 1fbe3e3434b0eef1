package plan

import (
	"encoding/json"
	"fmt"
	"strings"
)

// gathering gathers instances to which the same happens.
type gathering struct {
	all []PreviewPart
	at  map[string]int
}

func (p *gathering) add(part PreviewPart, key string, named bool, cost CostChange) {
	text, _ := json.Marshal(part) // plain structs cannot fail
	if p.at == nil {
		p.at = map[string]int{}
	}
	at, ok := p.at[string(text)]
	if !ok {
		at = len(p.all)
		p.at[string(text)], p.all = at, append(p.all, part)
	}
	p.all[at].Keys.add(key, named)
	p.all[at].Cost = p.all[at].Cost.plus(cost)
}

// Keys are keys of instances. Numbered ones that follow each other are one range.
type Keys struct {
	Count  int      `json:"count"`
	Ranges [][2]int `json:"ranges,omitempty"`
	Names  []string `json:"names,omitempty"`
}

func (k *Keys) add(key string, named bool) {
	k.Count++
	var n int
	if _, err := fmt.Sscan(key, &n); named || err != nil {
		k.Names = append(k.Names, key)
		return
	}
	if last := len(k.Ranges) - 1; last >= 0 && k.Ranges[last][1] == n-1 {
		k.Ranges[last][1] = n
		return
	}
	k.Ranges = append(k.Ranges, [2]int{n, n})
}

// maxKeysTold bounds how many keys people read of one part.
const maxKeysTold = 8

// String lists them, as far as people want to read them.
func (k Keys) String() string {
	var told []string
	for _, r := range k.Ranges {
		if text := fmt.Sprint(r[0]); r[0] == r[1] {
			told = append(told, text)
		} else {
			told = append(told, fmt.Sprintf("%d–%d", r[0], r[1]))
		}
	}
	told = append(told, k.Names...)
	if len(told) <= maxKeysTold {
		return strings.Join(told, ", ")
	}
	return fmt.Sprintf("%s, … %d in all", strings.Join(told[:maxKeysTold], ", "), k.Count)
}

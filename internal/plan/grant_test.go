package plan

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func asks(entries ...string) []Ask {
	var all []Ask
	for _, e := range entries { // "holder/key@seconds"
		var seconds int
		var holder, key string
		if _, err := fmt.Sscanf(e, "%1s/%2s@%d", &holder, &key, &seconds); err != nil {
			panic(err)
		}
		all = append(all, Ask{Key: Key(key), Holder: Holder(holder), Since: time.Unix(int64(seconds), 0)})
	}
	return all
}

func TestGrant(t *testing.T) {
	tests := map[string]struct {
		reason string
		held   map[Holder]int
		asking []Ask
		limit  int
		want   []Key
	}{
		"nobody asks":      {"nothing to give", nil, nil, 5, nil},
		"no limit set":     {"0 is not infinity", nil, asks("a/a1@1"), 0, nil},
		"full":             {"all slots are taken", map[Holder]int{"a": 2}, asks("b/b1@1"), 2, nil},
		"over":             {"the limit was lowered live", map[Holder]int{"a": 9}, asks("b/b1@1"), 2, nil},
		"oldest first":     {"equal holders", nil, asks("a/a1@2", "b/b1@1"), 1, []Key{"b1"}},
		"key breaks a tie": {"deterministic", nil, asks("b/b2@1", "a/a9@1"), 1, []Key{"a9"}},
		"fewest first": {"a newcomer does not wait behind a long queue", map[Holder]int{"a": 3}, asks("a/a4@1", "a/a5@1", "b/b1@9"), 5,
			[]Key{"b1", "a4"}},
		"turns": {"what was granted just now counts", nil, asks("a/a1@1", "a/a2@1", "a/a3@1", "b/b1@5", "b/b2@5"), 4,
			[]Key{"a1", "b1", "a2", "b2"}},
		"twice":    {"one key, one slot", nil, asks("a/a1@1", "a/a1@2", "a/a2@3"), 2, []Key{"a1", "a2"}},
		"negative": {"nonsense does not make room", map[Holder]int{"a": -3, "b": 1}, asks("a/a1@1"), 1, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Grant(tc.held, tc.asking, tc.limit)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func drawAsks(t *rapid.T) (map[Holder]int, []Ask, int) {
	holders := rapid.IntRange(1, 6).Draw(t, "holders")
	held := map[Holder]int{}
	for h := range holders {
		held[Holder(fmt.Sprint(h))] = rapid.IntRange(0, 4).Draw(t, "held")
	}
	var asking []Ask
	for n := range rapid.IntRange(0, 40).Draw(t, "asks") {
		asking = append(asking, Ask{
			Key: Key(fmt.Sprint("k", n)), Holder: Holder(fmt.Sprint(rapid.IntRange(0, holders).Draw(t, "holder"))),
			Since: time.Unix(int64(rapid.IntRange(0, 5).Draw(t, "since")), 0),
		})
	}
	return held, asking, rapid.IntRange(-1, 40).Draw(t, "limit")
}

func TestGrantProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held, asking, limit := drawAsks(t)
		got := Grant(held, asking, limit)
		taken := 0
		for _, n := range held {
			taken += n
		}
		if want := min(len(asking), max(0, limit-taken)); len(got) != want {
			t.Fatalf("granted %d, want %d: the limit is kept, and no slot stays free", len(got), want)
		}
		shuffled := rapid.Permutation(asking).Draw(t, "shuffled")
		if diff := cmp.Diff(got, Grant(held, shuffled, limit)); diff != "" {
			t.Fatalf("the order of asking matters:\n%s", diff)
		}
		fair(t, held, asking, got)
	})
}

// fair replays the turns naively: each grant went to an ask that no other beat.
func fair(t *rapid.T, held map[Holder]int, asking []Ask, granted []Key) {
	now := map[Holder]int{}
	for holder, n := range held {
		now[holder] = n
	}
	left := map[Key]Ask{}
	for _, ask := range asking {
		left[ask.Key] = ask
	}
	for _, key := range granted {
		winner, ok := left[key]
		if !ok {
			t.Fatalf("%s was granted twice, or never asked", key)
		}
		for _, other := range left {
			fewer := now[other.Holder] < now[winner.Holder]
			earlier := now[other.Holder] == now[winner.Holder] && other.Since.Before(winner.Since)
			smaller := now[other.Holder] == now[winner.Holder] && other.Since.Equal(winner.Since) && other.Key < winner.Key
			if fewer || earlier || smaller {
				t.Fatalf("%+v was granted before %+v; held %v", winner, other, now)
			}
		}
		delete(left, key)
		now[winner.Holder]++
	}
}

// Nobody starves: while greedy holders ask for ever, every ask is granted within as many endings as there are older or fewer.
func TestGrantStarvesNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 4).Draw(t, "limit")
		victim := Ask{Key: "victim", Holder: "victim", Since: time.Unix(100, 0)}
		asking := []Ask{victim}
		running := map[Key]Holder{}
		greedy := rapid.IntRange(1, 5).Draw(t, "greedy")
		serial := 0
		for round := 0; ; round++ {
			if round > 2*(greedy+limit)+2 {
				t.Fatalf("the victim waits since %d rounds", round)
			}
			for h := range greedy { // each greedy holder keeps an older ask than the victim's first one in the queue, then newer ones
				serial++
				since := time.Unix(int64(100+round), 0)
				if round == 0 {
					since = time.Unix(1, 0)
				}
				asking = append(asking, Ask{Key: Key(fmt.Sprintf("g%04d", serial)), Holder: Holder(fmt.Sprint("greedy", h)), Since: since})
			}
			held := map[Holder]int{}
			for _, holder := range running {
				held[holder]++
			}
			for _, key := range Grant(held, asking, limit) {
				for i, ask := range asking {
					if ask.Key == key {
						running[key] = ask.Holder
						asking = append(asking[:i:i], asking[i+1:]...)
						break
					}
				}
			}
			if _, ok := running["victim"]; ok {
				return
			}
			up := rapid.SampledFrom(slices.Sorted(maps.Keys(running))).Draw(t, "up") // one machine is up: its slot is free
			delete(running, up)
		}
	})
}

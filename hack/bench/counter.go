package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// traffic is what the API server counted of requests about our kinds and events.
type traffic struct {
	writes int
	bytes  float64
	by     map[string]int // requests by verb and resource, reads included
}

func (t traffic) minus(o traffic) traffic {
	by := map[string]int{}
	for what, n := range t.by {
		if n -= o.by[what]; n > 0 {
			by[what] = n
		}
	}
	return traffic{t.writes - o.writes, t.bytes - o.bytes, by}
}

// sorts says how many requests of each sort there were, the most frequent first.
func (t traffic) sorts() string {
	sorts := slices.SortedFunc(maps.Keys(t.by), func(a, b string) int { return t.by[b] - t.by[a] })
	var parts []string
	for _, sort := range sorts[:min(len(sorts), 10)] {
		parts = append(parts, fmt.Sprintf("%d %s", t.by[sort], sort))
	}
	return strings.Join(parts, ", ")
}

var (
	label   = regexp.MustCompile(`(\w+)="([^"]*)"`)
	ours    = []string{"servers", "taskservices", "runs", "batchworkflows", "checkpoints", "providers", "events"}
	writing = []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "create", "update", "patch", "delete"}
)

// traffic reads the API server's metrics. Leases, watches and the cluster's own objects do not count.
func (r *rig) traffic(ctx context.Context) (traffic, error) {
	text, err := r.rest.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return traffic{}, err
	}
	t := traffic{by: map[string]int{}}
	for line := range strings.Lines(string(text)) {
		name, rest, ok := strings.Cut(line, "{")
		if !ok || name != "apiserver_request_total" && name != "apiserver_request_body_size_bytes_sum" {
			continue
		}
		series, value, _ := strings.Cut(rest, "} ")
		labels := map[string]string{}
		for _, m := range label.FindAllStringSubmatch(series, -1) {
			labels[m[1]] = m[2]
		}
		resource, _, _ := strings.Cut(labels["resource"], ".")
		if !slices.Contains(ours, resource) || labels["verb"] == "WATCH" {
			continue
		}
		n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
		write := slices.Contains(writing, labels["verb"])
		switch {
		case name == "apiserver_request_total":
			if sub := labels["subresource"]; sub != "" {
				resource += "/" + sub
			}
			t.by[labels["verb"]+" "+resource] += int(n)
			if write {
				t.writes += int(n)
			}
		case write:
			t.bytes += n
		}
	}
	return t, nil
}

package main

import (
	"fmt"
	"math/rand/v2"
)

// graph is a shape: for each node, the earlier nodes that it depends on.
type graph [][]int

// depth is how many nodes the longest path has.
func (g graph) depth() int {
	deepest, at := 0, make([]int, len(g))
	for i, before := range g {
		at[i] = 1
		for _, b := range before {
			at[i] = max(at[i], at[b]+1)
		}
		deepest = max(deepest, at[i])
	}
	return deepest
}

// layers are ten layers, every node depending on two of the layer before.
func layers(n int) graph {
	g, width := make(graph, n), max(2, n/10)
	for i := width; i < n; i++ {
		layer, at := i/width, i%width
		before := (layer - 1) * width
		g[i] = []int{before + at, before + (at+1)%width}
	}
	return g
}

// chain is one node after the other.
func chain(n int) graph {
	g := make(graph, n)
	for i := 1; i < n; i++ {
		g[i] = []int{i - 1}
	}
	return g
}

// fan is one node, and all others after it.
func fan(n int) graph {
	g := make(graph, n)
	for i := 1; i < n; i++ {
		g[i] = []int{0}
	}
	return g
}

// diamonds are rows of one node, four after it and one after these.
func diamonds(n int) graph {
	g := make(graph, n)
	for i := 1; i < n; i++ {
		switch top := i - i%5; i % 5 {
		case 0:
			g[i] = []int{i - 1, i - 2, i - 3, i - 4}
		default:
			g[i] = []int{top}
		}
	}
	return g
}

// random has up to three earlier neighbours a node, always the same ones.
func random(n int) graph {
	dice, g := rand.New(rand.NewPCG(1, uint64(n))), make(graph, n)
	for i := 1; i < n; i++ {
		seen := map[int]bool{}
		for range dice.IntN(4) {
			if b := i - 1 - dice.IntN(min(i, 100)); !seen[b] {
				seen[b] = true
				g[i] = append(g[i], b)
			}
		}
	}
	return g
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

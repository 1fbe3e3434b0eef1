#!/bin/sh
# The Go benchmarks of the deciding packages at another revision and in this tree: in turn, so that a neighbour on the machine disturbs
# both alike, and as benchstat tells their difference.
# usage: hack/bench/compare.sh BENCHSTAT REVISION COUNT REGEXP
set -eu
benchstat=$1 base=$2 count=$3 pattern=$4
packages="dag saga plan"
git rev-parse --verify --quiet "$base^{commit}" >/dev/null || { echo "bench-compare: BASE: there is no revision \"$base\"; name a commit, a tag or a branch" >&2; exit 2; }
dir=$(mktemp -d)
trap 'git worktree remove --force "$dir/base"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
git worktree add --quiet --detach "$dir/base" "$base"
for package in $packages; do
  go test -C "$dir/base" -c -o "$dir/base.$package" "./internal/$package"
  go test -c -o "$dir/here.$package" "./internal/$package"
done
for round in $(seq "$count"); do
  echo "bench-compare: round $round of $count" >&2
  for package in $packages; do
    (cd "$dir/base/internal/$package" && "$dir/base.$package" -test.run '^$' -test.bench "$pattern" -test.benchmem) >>"$dir/base.txt"
    (cd "internal/$package" && "$dir/here.$package" -test.run '^$' -test.bench "$pattern" -test.benchmem) >>"$dir/here.txt"
  done
done
"$benchstat" "base=$dir/base.txt" "here=$dir/here.txt"

# forget: removes what is left of a run that is not alive. The rename makes it one step; no half-removed run can be started.
gone=$base/runs/.gone-$id
if [ -d "$run" ]; then
	cd "$run" || exit 1
	exec 8>>alive
	flock -w 1 8 || fail "the run is alive" 75
	cd / && rm -rf "$gone" && mv "$run" "$gone" || exit 1
fi
rm -rf "$gone" || exit 1
ok

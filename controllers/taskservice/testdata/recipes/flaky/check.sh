[ -f "$KEELWAY_ROOT/etc/flaky" ] || kw_fail 10 "flaky is not installed"

[ -f "$KEELWAY_ROOT/etc/keelway/motd" ] || kw_fail 1 "the message is gone"

kw_daemon_alive sleeper || kw_fail 1 "sleeper does not run"

# stop: ends the run, waits for that, and records it as stopped.
[ -d "$run" ] && cd "$run" && [ -e alive ] || ok
[ -e exit ] && ok
: >stopped
exec 8>>alive
if ! flock -w 1 8; then
	[ -e begun ] || end_group supervisor # it waits for the machine's lock, or is about to begin
	if ! flock -w 1 8; then
		end_group leader
		if ! flock -w 10 8; then
			end_group supervisor
			end_group leader
			flock -w 5 8 || fail "the run did not end" 75
		fi
	fi
fi
[ -e exit ] && ok
started=0
[ -e begun ] && read -r started <begun
rm -rf inputs script env
echo "exited 143 0 $started $(date +%s)" >exit.new && mv exit.new exit || exit 1
ok

# poll: prints the state, the outputs of a run that has ended, and the last $3 bytes of its output. It changes nothing.
window=$3
say
[ -d "$run" ] && cd "$run" && [ -e alive ] || { echo missing; echo tail; exit 0; }
state=
if ! [ -e exit ]; then
	exec 8<alive
	if ! flock -s -n 8; then
		if [ -e begun ]; then state=running; else state=waiting; fi
	elif ! [ -e exit ]; then # a supervisor writes "exit" before it lets go
		if [ -e begun ]; then state=lost; else state=missing; fi
	fi
	exec 8<&-
fi
if [ -z "$state" ]; then
	cat exit
	if [ -s outputs ]; then
		dd if=outputs bs=16384 count=1 2>/dev/null | sed 's/^/=/'
		echo # the last line may lack its end
	fi
else
	started=
	[ -e begun ] && read -r started <begun
	echo "$state $started"
fi
echo tail
[ -e output ] || [ -e output.old ] || exit 0
{ cat output.old output; } 2>/dev/null | tail -c "$window"
exit 0

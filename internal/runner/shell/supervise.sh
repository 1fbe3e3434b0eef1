# The supervisor of one run. It inherits the lock on "alive" as descriptor 8 and lives in a session of its own.
# Descriptors: 6 the collector reads, 7 the script's shell lives, 8 the run lives, 9 the machine is mine.
umask 077
. ./settings
. ./group

identify $$ >supervisor
if [ "$mutating" = 1 ]; then
	exec 9>>../../lock
	flock 9 8>&- || exit 1 # the waiter alone must not look like a living run
fi
[ -e stopped ] && exit 0
date +%s >begun.new && mv begun.new begun || exit 1
# From here on the script counts as run. Without this a power cut could forget it, and a second start would repeat it.
sync begun . .. 2>/dev/null

rm -f pipe
mkfifo pipe || exit 1
exec 6>>collecting
flock 6
sh ./collect <pipe >/dev/null 2>&1 7>&- 8>&- 9>&- &
exec 6>&-
(
	exec 7>>living
	flock 7
	sh ./watch </dev/null >/dev/null 2>&1 7>&- 8>&- 9>&- &
	exec setsid sh ./wrap
) </dev/null >pipe 2>&1
code=$?
# The machine stays locked until the whole group of a script that had to be ended is gone, not only its shell.
if [ -e timedout ] || [ -e stopped ]; then end_group leader; fi

# Usually the collector has everything at once. A daemon that kept the script's output open is not waited for.
flock -w 2 collecting true
{ cat output.old output; } 2>/dev/null | tail -c 131072 >output.last
mv output.last output
rm -rf inputs script env output.old pipe
timed=0
if [ -e stopped ]; then code=143; elif [ -e timedout ]; then code=124 timed=1; fi
read -r started <begun
echo "exited $code $timed $started $(date +%s)" >exit.new && mv exit.new exit

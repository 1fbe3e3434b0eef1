# Ends the script's group when its time is over. Waiting for the lock that the script's shell holds needs no second timer.
. ./settings
. ./group
flock -w "$timeout" living true
[ $? = 1 ] || exit 0
until [ -s leader ] || flock -n living true; do tick; done
: >timedout
end_group leader

# The script's parent and the leader of its session. It holds the locks 7, 8 and 9 for as long as the script lives, also when
# the supervisor is killed; the script gets none of them, so no daemon that it leaves behind can keep the machine locked.
. ./group
trap : TERM # outlive the script when its group is asked to end; the script itself starts with the default
identify $$ >leader
KEELWAY_RUN=$PWD
. ./env
export KEELWAY_RUN
umask 022
sh ./script 7>&- 8>&- 9>&-
exit $?

# What every verb of the runner begins with: sh -c "$common$verb" keelway-run <verb> <run id> [...]
umask 077
verb=$1 id=$2
base=${KEELWAY_ROOT:-}/var/lib/keelway
run=$base/runs/$id

say() { printf 'keelway-run %s\n' "$verb"; }
ok() { say; exit 0; }
fail() { echo "$1" >&2; exit "${2:-1}"; }


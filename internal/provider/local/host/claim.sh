# A claim is the directory claim with the file owner in it.
set -eu
home=${KEELWAY_ROOT:-}/var/lib/keelway

claim_show() { cat "$home/claim/owner" 2>/dev/null || [ ! -e "$home/claim/owner" ]; }

# claim_take: the input becomes the claim, unless there is one; shows the claim that is there then.
claim_take() {
	mkdir -p "$home"
	draft=$(mktemp -d "$home/.claim.XXXXXX")
	cat >"$draft/owner"
	chmod 0755 "$draft"
	mv -T "$draft" "$home/claim" 2>/dev/null || rm -rf "$draft"
	claim_show
}

# claim_release ID: takes that claim away, and no other. It is out of its place before anything of it is deleted.
claim_release() {
	if claim_show | grep -qF -e "\"id\":\"$1\""; then
		draft=$(mktemp -d "$home/.claim.XXXXXX")
		mv -T "$home/claim" "$draft"
		rm -rf "$draft"
		rmdir "$home" 2>/dev/null || :
	fi
	claim_show
}


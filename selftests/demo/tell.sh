# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the stories share: how they are told, and how they notice that something
# is not as told. A story is called with the folder that holds what
# selftests/build made.

built=$1
tmp=$(mktemp -d)
declare -A to from
shells=()
trap 'kill "${shells[@]}" 2>/dev/null; rm -rf "$tmp"' EXIT

bold='' cyan='' plain=''
if [ -n "${KA_COLOR:-}" ]; then bold=$'\e[1m' cyan=$'\e[36m' plain=$'\e[m'; fi

chapter() {
	printf '\n%s== %s ==%s\n' "$bold" "$*" "$plain"
}

# opening SHELLS HOW-MANY: where all this happens
opening() {
	cat <<-END

		This is $(uname -sr) in a virtual machine of its own. $1 are root
		shells in $2 network namespaces, got by 'ip netns exec client bash'. The clock jumps:
		while everything in the machine waits, the time waited for passes at once.
	END
}

say() {
	echo
	printf '%s\n' "$@"
}

fail() {
	printf '\ndemo: not as told: %s\n' "$*"
	exit 1
}

# open_shell HOST [COMMAND…]: a shell of HOST's that stays, as the reader's would
open_shell() {
	local host=$1 fd

	shift
	mkfifo "$tmp/$host.in" "$tmp/$host.out"
	"$@" bash <"$tmp/$host.in" >"$tmp/$host.out" 2>&1 &
	shells+=($!)
	exec {fd}>"$tmp/$host.in"
	to[$host]=$fd
	exec {fd}<"$tmp/$host.out"
	from[$host]=$fd
}

# hosts NAME…: a namespace and a shell for each, and the module
hosts() {
	local host

	open_shell machine
	on machine "insmod $built/kmod/tcp_keepalive.ko"
	on machine "install $built/ctl/kactl /usr/bin/"
	on machine "$(printf 'ip netns add %s; ' "$@" | sed 's/; $//')"
	for host; do
		open_shell "$host" ip netns exec "$host"
	done
}

# postgres HOST NETWORK: runs there, and trusts that network
postgres() {
	local version

	version=$(basename /etc/postgresql/*)
	on "$1" "echo 'host all all $2 trust' >> /etc/postgresql/$version/main/pg_hba.conf"
	on "$1" "pg_ctlcluster $version main start -o '-c listen_addresses=*'"
}

# on HOST COMMAND: types it in HOST's shell; what it says is shown, and kept in $said
on() {
	local line

	printf '%s%s#%s %s\n' "$cyan" "$1" "$plain" "$2"
	printf '%s\necho "@end $?"\n' "$2" >&"${to[$1]}"
	said=
	while IFS= read -r -t 900 line <&"${from[$1]}"; do
		case $line in
		"@end 0") return 0 ;;
		"@end "*) fail "exit status ${line#@end } of: $2" ;;
		esac
		printf '%s\n' "$line"
		said+=$line$'\n'
	done
	fail "no end, within 900 s, of: $2"
}

# shows WHAT PATTERN: in what the last command said
shows() {
	grep -qE -e "$2" <<<"$said" || fail "no $1 here"
}

# counts COUNTER WANT…: in the `kactl stats` just shown
counts() {
	local got

	while [ $# -gt 0 ]; do
		got=$(awk -v name="$1" '$1 == name { print $2 }' <<<"$said")
		[ "${got:-0}" = "$2" ] || fail "$1 is ${got:-0}, not $2"
		shift 2
	done
}

# await COMMAND…: until it succeeds, unseen
await() {
	local end=$((SECONDS + 60))

	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "still not: $*"
		sleep 0.1
	done
}

# Tenths of a second since boot.
now() {
	awk '{ printf "%d\n", $1 * 10 }' /proc/uptime
}

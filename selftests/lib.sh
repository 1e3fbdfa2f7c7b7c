# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the shell tests share. A test file defines functions test_* and ends with
# run_tests: each runs in a subshell of its own, with its own namespaces, which
# go with it, and prints a TAP line. The exit status is kselftest's.

# shellcheck disable=SC2034 # for those that source this
KACTL=${KA_KACTL:-kactl}
KSFT_SKIP=4
SYSFS=/sys/class/tcp_keepalive/netns

fail() {
	echo "# ${FUNCNAME[1]}: $*"
	exit 1
}

skip() {
	echo "$*" >"$SKIP_REASON"
	exit "$KSFT_SKIP"
}

# poll SECONDS COMMAND…: until it succeeds; fails at the deadline, which comes KA_SLOW times as late where all is slower
poll() {
	local end=$((SECONDS + $1 * ${KA_SLOW:-1}))

	shift
	until "$@"; do
		[ "$SECONDS" -le "$end" ] || fail "still not: $*"
		sleep 0.05
	done
}

# is WHAT WANT GOT
is() {
	[ "$2" = "$3" ] || fail "$1: want '$2', got '$3'"
}

# new_netns VARIABLE: a network namespace with a random name
new_netns() {
	local name

	name=ka-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
	ip netns add "$name" || fail "no namespace"
	ip -n "$name" link set lo up
	NAMESPACES+=("$name")
	printf -v "$1" %s "$name"
}

in_ns() {
	ip netns exec "$@"
}

# sysctls_are NAMESPACE "TIME INTVL PROBES": what TCP itself goes by
sysctls_are() {
	is "the sysctls" "$2" "$(in_ns "$1" sysctl -n \
		net.ipv4.tcp_keepalive_{time,intvl,probes} | xargs)"
}

# mib NAMESPACE: the kernel's own count of probes
mib() {
	in_ns "$1" nstat -asz TcpExtTCPKeepAlive | awk '/KeepAlive/ { print $2 }'
}

# stat_of NAMESPACE COUNTER
stat_of() {
	in_ns "$1" cat "$SYSFS/statistics/$2"
}

# refused STATUS TEXT COMMAND…: the exit status, and each word of TEXT on stderr
refused() {
	local want=$1 text=$2 said status word

	shift 2
	said=$("$@" 2>&1 >/dev/null)
	status=$?
	is "status of '$*' ($said)" "$want" "$status"
	for word in $text; do
		[[ $said == *"$word"* ]] || fail "'$*' does not name $word: $said"
	done
}

loaded() {
	[ -d /sys/module/tcp_keepalive ]
}

load() {
	modprobe tcp_keepalive "$@"
}

# Probes out or not, it must go; a reader that is about to leave may hold it.
unload() {
	loaded || return 0
	poll 10 rmmod tcp_keepalive 2>/dev/null
}

# reload [PARAMETER=VALUE…]
reload() {
	unload
	load "$@" || fail "does not load with '$*'"
}

cleanup() {
	local ns

	for ns in "${NAMESPACES[@]}"; do
		ip netns pids "$ns" 2>/dev/null | xargs -r kill -9 2>/dev/null
		ip netns del "$ns" 2>/dev/null
	done
}

run_one() (
	NAMESPACES=()
	trap cleanup EXIT
	"$1"
)

# run_tests [NAME…]: the tests of the file that sources this, in its order, with
# the module loaded unless NOT_LOADED is set
run_tests() {
	local tests=("$@") t i=0 failed=0 skipped=0 status

	[ -n "${NOT_LOADED:-}" ] || loaded || load || {
		echo "1..0 # SKIP no module tcp_keepalive for this kernel"
		exit "$KSFT_SKIP"
	}
	[ $# -gt 0 ] || mapfile -t tests < <(sed -n 's/^\(test_[a-z0-9_]*\)() .*/\1/p' "$0")
	SKIP_REASON=$(mktemp)
	echo "TAP version 13"
	echo "1..${#tests[@]}"
	for t in "${tests[@]}"; do
		i=$((i + 1))
		run_one "$t"
		status=$?
		case $status in
		0) echo "ok $i $t" ;;
		"$KSFT_SKIP")
			skipped=$((skipped + 1))
			if [ "${KA_NO_SKIP:-0}" = 1 ] &&
				! grep -qxF "${RELEASE:-} ${0##*/} $(cat "$SKIP_REASON")" "${0%/*}/absent"; then
				failed=$((failed + 1))
				echo "not ok $i $t # SKIP $(cat "$SKIP_REASON")"
			else
				echo "ok $i $t # SKIP $(cat "$SKIP_REASON")"
			fi
			;;
		*)
			failed=$((failed + 1))
			echo "not ok $i $t"
			;;
		esac
	done
	rm -f "$SKIP_REASON"
	[ $failed = 0 ] || exit 1
	[ "$skipped" -lt "${#tests[@]}" ] || exit "$KSFT_SKIP"
	exit 0
}

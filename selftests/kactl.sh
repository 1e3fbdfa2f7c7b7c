#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The tool's own: what it refuses and in which words, its exit statuses, one
# JSON document whatever happens, namespaces by name, PID and path.
# shellcheck source=lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"

# golden STATUS LINE WORD…: that line on standard error and nothing else, and
# with -j an empty array beside it
golden() {
	local status=$1 line=$2 said

	shift 2
	said=$("$KACTL" "$@" 2>&1)
	is "status of 'kactl $*'" "$status" $?
	is "'kactl $*'" "$line" "$said"
	is "'kactl -j $*'" "[]" "$("$KACTL" -j "$@" 2>/dev/null)"
}

json_valid() {
	python3 -c 'import json, sys; json.load(sys.stdin)' ||
		fail "not JSON: $*"
}

test_words_it_does_not_know() {
	golden 2 'kactl: unknown object "frob": see "kactl help"' frob
	golden 2 'kactl: unknown object "pol": see "kactl help"' pol
	golden 2 'kactl: policy: unknown word "shwo"' policy shwo
	golden 2 'kactl: policy: unknown word "sh"' policy sh
	golden 2 'kactl: policy set: unknown word "tiem"' policy set tiem 60
	golden 2 'kactl: policy set: unknown word "60"' policy set 60
	golden 2 'kactl: policy show: unknown word "now"' policy show now
	golden 2 'kactl: stats show: unknown word "more"' stats show more
}

test_values_that_are_none() {
	golden 2 'kactl: policy set: missing value after "time"' policy set time
	golden 2 'kactl: policy set: time "": not a whole number' policy set time ''
	golden 2 'kactl: policy set: time "12x": not a whole number' policy set time 12x
	golden 2 'kactl: policy set: time "1.5": not a whole number' policy set time 1.5
	golden 2 'kactl: policy set: enforce "yes": neither "on" nor "off"' policy set enforce yes
	golden 2 'kactl: policy set: "time" given twice' policy set time 60 time 61
	golden 2 'kactl: policy set: give one or more of time, intvl, probes, enforce, inherit' \
		policy set
}

test_values_out_of_range() {
	golden 1 'kactl: policy set: time 99999: integer out of range (1 to 32767 allowed)' \
		policy set time 99999
	golden 1 'kactl: policy set: time -5: integer out of range (1 to 32767 allowed)' \
		policy set time -5
	golden 1 'kactl: policy set: probes 0: integer out of range (1 to 127 allowed)' \
		policy set intvl 10 probes 0
	golden 1 'kactl: policy set: time 99999999999: out of range' \
		policy set time 99999999999
}

test_namespaces_that_are_none() {
	golden 1 'kactl: no network namespace "nope": neither a name under /run/netns, a PID nor a path' \
		-n nope policy
	refused 1 "/etc/passwd" "$KACTL" -n /etc/passwd policy
	refused 2 "missing -n" "$KACTL" -n
}

test_no_privilege() {
	local line='kactl: policy set: not permitted: it takes CAP_NET_ADMIN over the network namespace'

	is "without it" "$line" \
		"$(setpriv --reuid 65534 --clear-groups "$KACTL" policy set time 60 2>&1)"
}

test_no_module() {
	unload
	golden 3 'kactl: policy: module tcp_keepalive is not loaded: modprobe tcp_keepalive' policy
	golden 3 'kactl: stats: module tcp_keepalive is not loaded: modprobe tcp_keepalive' stats
	is "without privilege" 3 "$(setpriv --reuid 65534 --clear-groups \
		"$KACTL" policy 2>/dev/null >&2; echo $?)"
	load
}

# These change files that belong to whoever runs the machine.
only_in_the_vm() {
	[ -n "${KA_CLOCK:-}" ] || skip "it would change $1 of this machine"
}

test_a_module_that_is_blocked() {
	local conf=/etc/modprobe.d/ka-test.conf

	only_in_the_vm /etc/modprobe.d
	mkdir -p /etc/modprobe.d
	unload
	echo "blacklist tcp_keepalive" >"$conf"
	refused 3 "tcp_keepalive blacklist" "$KACTL" policy set time 60
	echo "install tcp_keepalive /bin/false" >"$conf"
	refused 3 "tcp_keepalive" "$KACTL" policy set time 60
	rm "$conf"
	load
}

test_a_module_that_is_not_installed() {
	local dir

	only_in_the_vm /lib/modules
	dir=/lib/modules/$(uname -r)
	unload
	mv "$dir/modules.dep" "$dir/modules.alias" "$dir/modules.alias.bin" \
		"$dir/modules.dep.bin" /tmp/
	refused 3 "not installed" "$KACTL" policy set time 60
	mv /tmp/modules.{dep,alias}{,.bin} "$dir/"
	load
}

test_json_is_one_document() {
	local ns

	new_netns ns
	"$KACTL" -j policy | json_valid policy
	"$KACTL" -jp stats | json_valid stats
	"$KACTL" -j -a policy | json_valid "-a policy"
	"$KACTL" -n "$ns" -j policy set time 60 | json_valid "policy set"
	"$KACTL" -n "$ns" -j policy reset | json_valid "policy reset"
	is "reset in text" "" "$("$KACTL" -n "$ns" policy reset)"
	"$KACTL" -j policy set time 2>/dev/null | json_valid "missing value"
	"$KACTL" -j frob 2>/dev/null | json_valid "unknown object"
}

test_watch_is_an_object_a_line() {
	local ns lines

	new_netns ns
	lines=$(timeout --preserve-status -s INT 2 "$KACTL" -n "$ns" -j stats --watch 0.4)
	is "status at Ctrl-C" 0 $?
	[ "$(wc -l <<<"$lines")" -ge 3 ] || fail "too few lines: $lines"
	while read -r line; do
		json_valid "$line" <<<"$line"
	done <<<"$lines"
	refused 2 "watch" "$KACTL" stats --watch 0
	refused 2 "watch often" "$KACTL" stats --watch often
}

test_stats_show_all_and_explain() {
	local ns

	new_netns ns
	! "$KACTL" -n "$ns" stats | grep -q conns_applied || fail "0 is shown"
	"$KACTL" -n "$ns" stats --all | grep -q conns_applied || fail "not all"
	"$KACTL" -n "$ns" stats --explain | grep -q "keepalive timer" ||
		fail "not explained"
}

test_namespace_by_name_pid_and_path() {
	local ns pid

	new_netns ns
	"$KACTL" -n "$ns" policy set time 61
	"$KACTL" -n "/run/netns/$ns" policy set intvl 11
	ip netns exec "$ns" sleep 1000 &
	pid=$!
	poll 5 test "/proc/$pid/ns/net" -ef "/run/netns/$ns"
	"$KACTL" -n "$pid" policy set probes 3 || fail "by PID"
	sysctls_are "$ns" "61 11 3"
	kill "$pid"
}

test_all_namespaces() {
	local a b pid said

	new_netns a
	new_netns b
	unshare -n sleep 1000 &
	pid=$!
	poll 5 test ! "/proc/$pid/ns/net" -ef /proc/self/ns/net
	said=$("$KACTL" -a -j policy) || fail "-a: $said"
	for ino in $(stat -Lc %i /proc/self/ns/net "/run/netns/$a" "/run/netns/$b" \
		"/proc/$pid/ns/net"); do
		[[ $said =~ \"netns_ino\":\ *${ino}[,}] ]] || fail "no $ino in $said"
	done
	# One that cannot be entered does not stop the others.
	touch /run/netns/ka-broken
	said=$("$KACTL" -a -j policy 2>/dev/null)
	is "status with a broken one" 1 $?
	rm /run/netns/ka-broken
	[[ $said == *$(stat -Lc %i "/run/netns/$b")* ]] || fail "it stopped"
	kill "$pid"
}

test_closed_and_full_output() {
	"$KACTL" policy >/dev/full 2>/dev/null
	is "status on a full disk" 1 $?
	refused 1 "No space" sh -c "$KACTL policy >/dev/full"
	"$KACTL" policy >&- 2>/dev/null
	is "status on a closed output" 1 $?
}

test_help_teaches() {
	local object

	for object in "" policy stats "policy set" "stats show"; do
		# shellcheck disable=SC2086 # words
		"$KACTL" $object help | grep -q kactl || fail "no help of '$object'"
	done
	"$KACTL" -h | grep -q policy || fail "-h"
	"$KACTL" -V | grep -qE '[0-9]+\.[0-9]+' || fail "-V"
}

run_tests "$@"

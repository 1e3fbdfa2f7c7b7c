#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# /sys/class/tcp_keepalive/netns: each namespace its own, one value a file.
# shellcheck source=lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"

test_each_namespace_sees_its_own() {
	local ns

	new_netns ns
	"$KACTL" -n "$ns" policy set time 60 enforce on
	is "time" 60 "$(in_ns "$ns" cat "$SYSFS/time")"
	is "enforce" on "$(in_ns "$ns" cat "$SYSFS/enforce")"
	is "the first one's enforce" off "$(cat "$SYSFS/enforce")"
	is "devices" netns "$(in_ns "$ns" ls /sys/class/tcp_keepalive)"
}

test_write_sets_the_policy() {
	local ns v

	new_netns ns
	in_ns "$ns" sh -c "cd $SYSFS && echo 60 >time && echo 10 >intvl && echo 5 >probes"
	sysctls_are "$ns" "60 10 5"
	for v in on 1 y; do
		in_ns "$ns" sh -c "echo off >$SYSFS/inherit; echo $v >$SYSFS/inherit"
		is "inherit" on "$(in_ns "$ns" cat "$SYSFS/inherit")"
	done
}

test_nonsense_is_refused() {
	local ns f v

	new_netns ns
	while read -r f v; do
		! in_ns "$ns" sh -c "echo '$v' >$SYSFS/$f" 2>/dev/null ||
			fail "$f takes '$v'"
	done <<-END
		time 0
		time 32768
		time -1
		time x
		time
		time 60 s
		intvl 32768
		probes 128
		enforce 2
		enforce maybe
		statistics/probes_sent 1
	END
	sysctls_are "$ns" "7200 75 9"
	is "enforce" off "$(in_ns "$ns" cat "$SYSFS/enforce")"
}

test_same_numbers_as_the_tool() {
	local ns f json

	new_netns ns
	json=$("$KACTL" -n "$ns" -j stats)
	for f in $(in_ns "$ns" ls "$SYSFS/statistics"); do
		[[ $json =~ \"$f\":\ *$(stat_of "$ns" "$f")[,}] ]] ||
			fail "$f is not in $json"
	done
	is "counters" 18 "$(in_ns "$ns" ls "$SYSFS/statistics" | wc -l)"
}

test_rules_are_counted() {
	local ns

	new_netns ns
	is "none" 0 "$(in_ns "$ns" cat "$SYSFS/rules")"
	"$KACTL" -q -n "$ns" rule add rport 1 keepalive on >/dev/null
	"$KACTL" -q -n "$ns" rule add rport 2 keepalive on >/dev/null
	is "two" 2 "$(in_ns "$ns" cat "$SYSFS/rules")"
	! in_ns "$ns" sh -c "echo 1 >$SYSFS/rules" 2>/dev/null || fail "it can be written"
}

test_owned_by_the_namespaces_root() {
	local said steps

	# One step, where the namespace is there before its root is, and two.
	for steps in "unshare -Urnm" "unshare -Ur unshare -nm"; do
		# shellcheck disable=SC2086 # words
		said=$(setpriv --reuid 65534 --clear-groups $steps sh -c "
			mount -t sysfs sysfs /sys && cd $SYSFS || exit
			for i in 1 2 3 4 5 6 7 8 9; do
				[ -w time ] || sleep 0.1
			done
			stat -c %u . time statistics/probes_sent && echo 60 >time &&
			cat time && sysctl -n net.ipv4.tcp_keepalive_time" | xargs)
		is "$steps" "0 0 0 60 60" "$said"
	done
	said=$(stat -c '%u %a' "$SYSFS/time" "$SYSFS/statistics/probes_sent" | xargs)
	is "the first one's" "0 644 0 444" "$said"
}

test_root_without_the_capability() {
	local ns

	new_netns ns
	! in_ns "$ns" setpriv --bounding-set -net_admin --inh-caps -net_admin \
		sh -c "echo 60 >$SYSFS/time" 2>/dev/null ||
		fail "CAP_NET_ADMIN is not asked for"
	sysctls_are "$ns" "7200 75 9"
}


run_tests "$@"

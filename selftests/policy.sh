#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A namespace's policy: live on its sysctls, set whole or not at all, put back.
# shellcheck source=lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"

DEFAULT="7200 75 9"

# policy_of NAMESPACE KEY…: values from the tool's JSON
policy_of() {
	local ns=$1 key json

	shift
	json=$("$KACTL" -n "$ns" -j policy) || fail "no policy of $ns"
	for key; do
		[[ $json =~ \"$key\":\ *([^,}]*) ]] || fail "no $key in $json"
		echo "${BASH_REMATCH[1]}"
	done | xargs
}

test_loading_changes_nothing() {
	local ns

	new_netns ns
	unload
	sysctls_are "$ns" "$DEFAULT"
	load
	sysctls_are "$ns" "$DEFAULT"
	is "policy" "$DEFAULT false false" \
		"$(policy_of "$ns" time intvl probes enforce inherit)"
	is "detect_seconds" 7875 "$(policy_of "$ns" detect_seconds)"
	is "netns" "$ns" "$(policy_of "$ns" netns)"
	is "netns_ino" "$(stat -Lc %i "/run/netns/$ns")" \
		"$(policy_of "$ns" netns_ino)"
}

test_set_is_the_sysctl() {
	local ns other

	new_netns ns
	new_netns other
	"$KACTL" -n "$ns" policy set time 60 intvl 10 probes 5 || fail "set"
	sysctls_are "$ns" "60 10 5"
	sysctls_are "$other" "$DEFAULT"
	"$KACTL" -n "$ns" policy set probes 127 || fail "set"
	sysctls_are "$ns" "60 10 127"
	"$KACTL" -n "$ns" policy set time 32767 intvl 1 || fail "set"
	sysctls_are "$ns" "32767 1 127"
}

test_sysctl_is_the_policy() {
	local ns

	new_netns ns
	in_ns "$ns" sysctl -qw net.ipv4.tcp_keepalive_time=0 \
		net.ipv4.tcp_keepalive_intvl=40000 \
		net.ipv4.tcp_keepalive_probes=255
	is "policy" "0 40000 255" "$(policy_of "$ns" time intvl probes)"
}

test_out_of_range_is_refused() {
	local ns

	new_netns ns
	refused 1 "time 32767" "$KACTL" -n "$ns" policy set time 0
	refused 1 "time 32767" "$KACTL" -n "$ns" policy set time 32768
	refused 1 "time 32767" "$KACTL" -n "$ns" policy set time -5
	refused 1 "time" "$KACTL" -n "$ns" policy set time 99999999999
	refused 1 "intvl 32767" "$KACTL" -n "$ns" policy set intvl 0
	refused 1 "intvl 32767" "$KACTL" -n "$ns" policy set intvl 32768
	refused 1 "probes 127" "$KACTL" -n "$ns" policy set probes 0
	refused 1 "probes 127" "$KACTL" -n "$ns" policy set probes 128
	sysctls_are "$ns" "$DEFAULT"
}

test_half_valid_changes_nothing() {
	local ns

	new_netns ns
	refused 1 "probes" "$KACTL" -n "$ns" policy set time 60 intvl 10 \
		enforce on inherit on probes 200
	is "policy" "$DEFAULT false false" \
		"$(policy_of "$ns" time intvl probes enforce inherit)"
}

test_reset_puts_back_what_was_found() {
	local ns

	new_netns ns
	in_ns "$ns" sysctl -qw net.ipv4.tcp_keepalive_time=500
	"$KACTL" -n "$ns" policy set time 60 intvl 10 enforce on inherit on
	"$KACTL" -n "$ns" policy set time 61
	"$KACTL" -n "$ns" policy reset || fail "reset"
	sysctls_are "$ns" "500 75 9"
	is "switches" "false false" "$(policy_of "$ns" enforce inherit)"
	# Nothing is held any more: what comes now is not ours to undo.
	in_ns "$ns" sysctl -qw net.ipv4.tcp_keepalive_intvl=20
	"$KACTL" -n "$ns" policy reset || fail "reset"
	sysctls_are "$ns" "500 20 9"
}

test_a_foreign_value_stays() {
	local ns

	new_netns ns
	"$KACTL" -n "$ns" policy set time 60 intvl 10
	in_ns "$ns" sysctl -qw net.ipv4.tcp_keepalive_time=300
	"$KACTL" -n "$ns" policy reset
	sysctls_are "$ns" "300 75 9"
	# A value found between two writes becomes the one to put back.
	"$KACTL" -n "$ns" policy set time 60
	in_ns "$ns" sysctl -qw net.ipv4.tcp_keepalive_time=400
	"$KACTL" -n "$ns" policy set time 61
	"$KACTL" -n "$ns" policy reset
	sysctls_are "$ns" "400 75 9"
}

test_unload_puts_back() {
	local a b

	new_netns a
	new_netns b
	"$KACTL" -n "$a" policy set time 60 intvl 10 probes 3
	"$KACTL" -n "$b" policy set time 60
	in_ns "$b" sysctl -qw net.ipv4.tcp_keepalive_time=300
	unload
	sysctls_are "$a" "$DEFAULT"
	sysctls_are "$b" "300 75 9"
	load
}

test_unload_with_rules() {
	local ns

	new_netns ns
	"$KACTL" -q -n "$ns" rule add time 60 override >/dev/null
	unload
	# Whatever the module has left to do for later would crash.
	sleep 30
	load
	is "rules" "[]" "$("$KACTL" -n "$ns" -j rule)"
}

test_parameters_set_the_first_namespace() {
	local before ns

	before=$(sysctl -n net.ipv4.tcp_keepalive_{time,intvl,probes} | xargs)
	new_netns ns
	reload time=100 intvl=11 probes=4 enforce=1 inherit=1
	is "sysctls" "100 11 4" \
		"$(sysctl -n net.ipv4.tcp_keepalive_{time,intvl,probes} | xargs)"
	is "enforce" on "$(cat "$SYSFS/enforce")"
	is "inherit" on "$(cat "$SYSFS/inherit")"
	is "parameter" 100 "$(cat /sys/module/tcp_keepalive/parameters/time)"
	sysctls_are "$ns" "$DEFAULT"
	reload
	is "sysctls" "$before" \
		"$(sysctl -n net.ipv4.tcp_keepalive_{time,intvl,probes} | xargs)"
}

test_a_parameter_out_of_range_is_refused() {
	local p

	unload
	for p in time=0 time=32768 intvl=-2 probes=128 enforce=2 time=x; do
		! load "$p" 2>/dev/null || fail "loads with $p"
		! loaded || fail "stays with $p"
	done
	dmesg | grep -q 'tcp_keepalive: cannot load: parameter time=32768' ||
		fail "no line in the log"
	load
}

test_inherit() {
	local ns child before

	new_netns ns
	"$KACTL" -n "$ns" policy set time 60 intvl 10 probes 5 enforce on inherit on
	child=$(in_ns "$ns" unshare -n \
		sysctl -n net.ipv4.tcp_keepalive_{time,intvl,probes} | xargs)
	is "child" "60 10 5" "$child"
	# Itself inherited: a grandchild has it too, made by whoever.
	child=$(in_ns "$ns" setpriv --reuid 65534 --clear-groups unshare -Urn \
		unshare -n sysctl -n net.ipv4.tcp_keepalive_time)
	is "grandchild" 60 "$child"
	# The kernel's own default is what the child puts back.
	child=$(in_ns "$ns" unshare -n sh -c \
		"$KACTL policy reset && sysctl -n net.ipv4.tcp_keepalive_time")
	is "child after reset" 7200 "$child"

	"$KACTL" -n "$ns" policy set inherit off
	before=$(in_ns "$ns" unshare -n sysctl -n net.ipv4.tcp_keepalive_time)
	is "child without inherit" 7200 "$before"
}

test_who_may_what() {
	local ns nobody=(setpriv --reuid 65534 --clear-groups)

	new_netns ns
	# Nobody may read, in his own namespace, and change nothing.
	in_ns "$ns" "${nobody[@]}" "$KACTL" policy >/dev/null || fail "nobody cannot read"
	refused 4 "CAP_NET_ADMIN" in_ns "$ns" "${nobody[@]}" "$KACTL" policy set time 60
	refused 4 "CAP_NET_ADMIN" in_ns "$ns" "${nobody[@]}" "$KACTL" policy reset
	sysctls_are "$ns" "$DEFAULT"
	# A container's root rules his own namespace and no other.
	in_ns "$ns" "${nobody[@]}" unshare -Urn sh -c "
		$KACTL policy set time 60 &&
		[ \$(sysctl -n net.ipv4.tcp_keepalive_time) = 60 ]" ||
		fail "a container's root cannot set"
	refused 4 "CAP_NET_ADMIN" in_ns "$ns" "${nobody[@]}" unshare -Ur \
		"$KACTL" policy set time 60
	sysctls_are "$ns" "$DEFAULT"
}

test_only_changing_loads_the_module() {
	local ns

	new_netns ns
	unload
	refused 3 "not loaded" "$KACTL" -n "$ns" policy
	refused 3 "not loaded" "$KACTL" -n "$ns" stats
	! loaded || fail "reading has loaded it"
	"$KACTL" -n "$ns" policy set time 60 || fail "set"
	loaded || fail "setting has not loaded it"
	sysctls_are "$ns" "60 75 9"
	reload
}

run_tests "$@"

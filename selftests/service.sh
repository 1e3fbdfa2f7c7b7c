#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What kactl.service does as it is started, stopped, reloaded and restarted.
# shellcheck source=lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"

SERVICE=${KA_SERVICE:-/usr/local/lib/kactl/service}
CONF=/etc/kactl.conf

# These unload the module and change /etc/kactl.conf.
need_service() {
	[ -n "${KA_CLOCK:-}" ] || skip "it would change $CONF of this machine"
	[ -x "$SERVICE" ] || skip "no $SERVICE"
	RUNTIME_DIRECTORY=$(mktemp -d)
	export RUNTIME_DIRECTORY
	kept=$(cat "$CONF")
	trap 'echo "$kept" >"$CONF"; rm -rf "$RUNTIME_DIRECTORY"*; load; "$KACTL" restore </dev/null
		"$KACTL" policy reset; cleanup' EXIT
}

# What systemd does at the end of a stop, but not of a restart's.
forget() {
	rm -rf "${RUNTIME_DIRECTORY:?}"/*
}

policy_is() {
	is "policy${2:+ of $2}" "$1" "$("$KACTL" ${2:+-n "$2"} -j policy |
		jq -c '.[] | [.time, .intvl, .probes, .enforce, .inherit]')"
}

rules_are() {
	is "rules${2:+ of $2}" "$1" "$("$KACTL" ${2:+-n "$2"} -j rule | jq -c '[.[] | .pref]')"
}

test_start_reload_stop() {
	need_service
	echo "policy set time 61 intvl 11 probes 4 enforce on" >"$CONF"
	"$SERVICE" start || fail "start"
	policy_is "[61,11,4,true,false]"
	printf 'policy set time 62\nrule add rport 1 keepalive on\n' >"$CONF"
	"$SERVICE" reload || fail "reload"
	policy_is "[62,75,9,false,false]"
	rules_are "[10]"
	"$SERVICE" stop || fail "stop"
	forget
	! loaded || fail "it is still loaded"
	is "time without it" 7200 "$(sysctl -n net.ipv4.tcp_keepalive_time)"
	"$SERVICE" stop || fail "stop again"
	"$SERVICE" start || fail "start again"
	policy_is "[62,75,9,false,false]"
}

test_a_wrong_file_changes_nothing() {
	need_service
	"$KACTL" -q policy set time 63
	echo "policy set tiem 60" >"$CONF"
	refused 2 "$CONF:1 tiem" "$SERVICE" start
	refused 2 "tiem" "$SERVICE" reload
	policy_is "[63,75,9,false,false]"
}

test_restart_keeps_what_is_in_force() {
	local a b pid said

	need_service
	echo "policy set time 60" >"$CONF"
	"$SERVICE" start
	new_netns a
	new_netns b
	unshare -n sleep 1000 &
	pid=$!
	poll 5 test ! "/proc/$pid/ns/net" -ef /proc/self/ns/net
	"$KACTL" -q policy set time 64 enforce on
	"$KACTL" -n "$a" policy set intvl 14 inherit on
	"$KACTL" -n "$a" rule add pref 7 cgroup / keepalive on time 60..600
	"$KACTL" -n "$pid" rule add pref 8 rport 80 keepalive off
	# Not what a policy may be, and the kernel's own business.
	in_ns "$b" sysctl -qw net.ipv4.tcp_keepalive_time=100000
	echo 4321 >/sys/module/tcp_keepalive/parameters/max_conns
	"$SERVICE" stop || fail "stop"
	! loaded || fail "it is still loaded"
	sysctls_are "$a" "7200 75 9"
	said=$("$SERVICE" start 2>&1) || fail "start: $said"
	[[ $said == *"counters start again"* ]] || fail "it said: $said"
	policy_is "[64,75,9,true,false]"
	policy_is "[7200,14,9,false,true]" "$a"
	policy_is "[100000,75,9,false,false]" "$b"
	rules_are "[]"
	rules_are "[7]" "$a"
	rules_are "[]" "$b"
	rules_are "[8]" "$pid"
	is "max_conns" 4321 "$(cat /sys/module/tcp_keepalive/parameters/max_conns)"
	"$KACTL" policy reset
	policy_is "[7200,75,9,false,false]"
	kill "$pid"
}

# What systemd makes of a restart then is a start.
test_restart_where_it_did_not_run() {
	local said

	need_service
	echo "policy set time 60" >"$CONF"
	"$KACTL" -q policy set time 67
	"$KACTL" -q rule add pref 9 rport 80 keepalive off
	mkdir "$RUNTIME_DIRECTORY/bin"
	printf '#!/bin/sh\necho another\n' >"$RUNTIME_DIRECTORY/bin/modinfo"
	chmod +x "$RUNTIME_DIRECTORY/bin/modinfo"
	said=$(PATH=$RUNTIME_DIRECTORY/bin:$PATH "$SERVICE" start 2>&1) || fail "start: $said"
	[[ $said == *"counters start again"* ]] || fail "it said: $said"
	policy_is "[67,75,9,false,false]"
	rules_are "[9]"
	"$KACTL" -q rule flush
	forget
	"$SERVICE" start || fail "start"
	policy_is "[60,75,9,false,false]"
}

# A name without a namespace, and one whose first process ends just then.
test_restart_with_namespaces_that_go() {
	local first pids real said stale=/run/netns/ka-stale

	need_service
	mkdir -p /run/netns
	touch "$stale"
	unshare -n sh -c 'sleep 1000 & exec sleep 1000' &
	poll 5 test ! "/proc/$!/ns/net" -ef /proc/self/ns/net
	poll 5 pgrep -P $! sleep >/dev/null
	pids=("$!" "$(pgrep -P $!)")
	first=$(printf '%s\n' "${pids[@]}" | LC_ALL=C sort | head -n 1)
	"$KACTL" -n "$first" -q policy set time 69
	real=$(command -v kactl)
	mkdir "$RUNTIME_DIRECTORY/bin"
	cat >"$RUNTIME_DIRECTORY/bin/kactl" <<-END
		#!/bin/sh
		case "\$*" in *" /proc/$first/"*) kill $first; timeout 10 sh -c "while [ -e /proc/$first/ns/net ]; do sleep 0.1; done" ;; esac
		exec $real "\$@"
	END
	chmod +x "$RUNTIME_DIRECTORY/bin/kactl"
	PATH=$RUNTIME_DIRECTORY/bin:$PATH "$SERVICE" stop || fail "stop"
	rm "$stale"
	! loaded || fail "it is still loaded"
	said=$("$SERVICE" start 2>&1) || fail "start: $said"
	policy_is "[69,75,9,false,false]" "$(printf '%s\n' "${pids[@]}" | grep -vx "$first")"
	kill "${pids[@]}" 2>/dev/null
}

test_restart_tells_of_a_file_that_changed() {
	local said

	need_service
	"$SERVICE" start
	"$SERVICE" stop
	said=$("$SERVICE" start 2>&1)
	[[ $said != *changed* ]] || fail "it said: $said"
	echo "policy set time 65" >"$CONF"
	touch -d '+1 second' "$CONF"
	"$SERVICE" stop
	said=$("$SERVICE" start 2>&1)
	[[ $said == *"systemctl reload kactl"* ]] || fail "it said: $said"
	policy_is "[7200,75,9,false,false]"
}

test_a_module_that_is_held_stays() {
	local said trigger=/sys/kernel/tracing/events/oom/mark_victim/trigger

	need_service
	"$KACTL" -q policy set time 66
	# What is to switch an event on holds the event's module.
	echo enable_event:tcp_keepalive:probe_sent >"$trigger"
	refused 1 "in use stays loaded" "$SERVICE" stop
	echo '!enable_event:tcp_keepalive:probe_sent' >"$trigger"
	said=$("$SERVICE" start 2>&1) || fail "start: $said"
	[[ $said == *"nothing was changed"* ]] || fail "it said: $said"
	policy_is "[66,75,9,false,false]"
	# What such a stop has saved is not what is in force at the next.
	echo enable_event:tcp_keepalive:probe_sent >"$trigger"
	refused 1 "in use stays loaded" "$SERVICE" stop
	echo '!enable_event:tcp_keepalive:probe_sent' >"$trigger"
	"$KACTL" -q policy set time 70
	"$SERVICE" stop || fail "stop"
	said=$("$SERVICE" start 2>&1) || fail "start: $said"
	policy_is "[70,75,9,false,false]"
}

# What looks after such rules rests for 10 seconds after the last of them.
test_rules_that_bound_leave_nothing_behind() {
	local ns

	need_service
	new_netns ns
	"$KACTL" -n "$ns" rule add rport 1 time 60..240
	unload
	sleep 15
	! dmesg | grep -E 'BUG|Oops|protection fault' || fail "it left something"
}

test_what_cannot_be_saved_stays() {
	need_service
	"$KACTL" -q policy set time 67
	mkdir "$RUNTIME_DIRECTORY/small"
	mount -t tmpfs -o size=4k tmpfs "$RUNTIME_DIRECTORY/small"
	trap 'umount "$RUNTIME_DIRECTORY/small"; echo "$kept" >"$CONF"; rm -rf "$RUNTIME_DIRECTORY"
		"$KACTL" policy reset; cleanup' EXIT
	refused 1 "not saved" env RUNTIME_DIRECTORY="$RUNTIME_DIRECTORY/small" "$SERVICE" stop
	loaded || fail "it was unloaded"
	policy_is "[67,75,9,false,false]"
}

test_a_module_that_does_not_load_again() {
	local conf=/etc/modprobe.d/ka-test.conf

	need_service
	mkdir -p /etc/modprobe.d
	"$KACTL" -q policy set time 68
	"$SERVICE" stop || fail "stop"
	echo "install tcp_keepalive /bin/false" >"$conf"
	refused 1 "install saved" "$SERVICE" start
	rm "$conf"
	load
	"$KACTL" -q restore "$RUNTIME_DIRECTORY.saved/netns/$(stat -Lc %i /proc/self/ns/net)"
	policy_is "[68,75,9,false,false]"
}

run_tests "$@"

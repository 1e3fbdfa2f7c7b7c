#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kactl.service on a real systemd, see box.sh.
# shellcheck source=lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"
# shellcheck source=box.sh
. "$(dirname "$0")/box.sh"

CONF=/etc/kactl.conf
SYSCTL=/etc/sysctl.d/99-ka-test.conf

# Stands for whatever brings the network up: what it finds in force is kept.
more_units() {
	cat >"$1/ka-net.service" <<-END
		[Unit]
		DefaultDependencies=no
		After=network-pre.target
		Before=network.target
		Wants=network.target
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/sh -c 'sysctl -n net.ipv4.tcp_keepalive_time >/run/ka-net; $KACTL rule >>/run/ka-net || :'
	END
	mkdir "$1/ka-test.target.d"
	cat >"$1/ka-test.target.d/net.conf" <<-END
		[Unit]
		Requires=ka-net.service
		After=ka-net.service network.target
	END
}

put_back() {
	rm -f "$SYSCTL"
	cp "$KEPT" "$CONF"
	systemctl -q disable kactl.service 2>/dev/null
	"$KACTL" rule flush 2>/dev/null
	"$KACTL" policy reset 2>/dev/null
}

# enable LINE…: with a file of those lines
enable() {
	printf '%s\n' "$@" >"$CONF"
	systemctl -q enable kactl.service 2>/dev/null || fail "it cannot be enabled"
}

# when UNIT PROPERTY: microseconds since the machine started
when() {
	box systemctl show -P "$2TimestampMonotonic" "$1"
}

# before UNIT PROPERTY UNIT PROPERTY
before() {
	local a b

	a=$(when "$1" "$2")
	b=$(when "$3" "$4")
	[ "$a" -gt 0 ] || fail "$1 has not come to $2"
	[ "$a" -le "$b" ] || fail "$1 ($a) is not before $3 ($b)"
}

is_active() {
	is "kactl.service" "$1" "$(box systemctl is-active kactl.service)"
}

test_the_unit_is_sound() {
	type systemd-analyze >/dev/null 2>&1 || skip "no systemd here"
	# It wants to be a manager, and moves every process of the root cgroup into one of its own.
	[ "$(systemctl --version | awk '{ print $2; exit }')" -ge 250 ] || skip "a systemd-analyze that moves processes"
	is "systemd-analyze" "" "$(systemd-analyze verify kactl.service 2>&1)"
}

test_boot() {
	local sum line="pref 10 rport 5432 keepalive on time 60 hits 0"

	unload
	echo net.ipv4.tcp_keepalive_time=500 >"$SYSCTL"
	enable "policy set time 70 intvl 10 probes 6" "rule add rport 5432 keepalive on time 60"
	sum=$(md5sum "$CONF")
	boot
	is_active active
	is "what the network found" "70 $line" "$(box xargs -a /run/ka-net)"
	before systemd-sysctl.service ExecMainExit kactl.service ExecMainStart
	before kactl.service ExecMainExit network-pre.target ActiveEnter
	before network-pre.target ActiveEnter ka-net.service ExecMainStart
	before ka-net.service ExecMainExit network.target ActiveEnter

	# A restart keeps what is in force, a reload reads the file, a stop leaves nothing; none writes it.
	"$KACTL" -q policy set time 80
	box systemctl restart kactl.service || fail "restart"
	is "time after restart" 80 "$(sysctl -n net.ipv4.tcp_keepalive_time)"
	is "rules after restart" "$line" "$("$KACTL" rule)"
	"$KACTL" rule flush
	box systemctl reload kactl.service || fail "reload"
	is "time after reload" 70 "$(sysctl -n net.ipv4.tcp_keepalive_time)"
	is "rules after reload" "$line" "$("$KACTL" rule)"
	box systemctl stop kactl.service || fail "stop"
	is_active inactive
	is "time after stop" 500 "$(sysctl -n net.ipv4.tcp_keepalive_time)"
	! loaded || fail "the module is still there"
	is "the file" "$sum" "$(md5sum "$CONF")"
}

test_a_wrong_file() {
	unload
	enable "policy set time 90" "" "rule add rport 5432 keepalive maybe"
	boot
	is_active failed
	box journalctl -q -o cat -u kactl.service |
		grep -qx 'kactl: restore: /etc/kactl.conf:3: keepalive "maybe": neither on, off nor leave' ||
		fail "the journal says: $(box journalctl -q -o cat -u kactl.service)"
	[ "$(sysctl -n net.ipv4.tcp_keepalive_time)" != 90 ] || fail "half of it was taken"
}

test_the_example_changes_nothing() {
	local sysctls

	unload
	sysctls=$(sysctl net.ipv4.tcp_keepalive_{time,intvl,probes})
	systemctl -q enable kactl.service 2>/dev/null
	boot
	is_active active
	! loaded || fail "the module was loaded for nothing"
	is "the sysctls" "$sysctls" "$(sysctl net.ipv4.tcp_keepalive_{time,intvl,probes})"
}

KEPT=$(mktemp)
cp "$CONF" "$KEPT" 2>/dev/null
run_tests "$@"

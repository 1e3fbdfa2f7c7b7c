# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A real systemd for the shell tests: process 1 of namespaces of its own, but for
# the network's, which is this machine's first one. What it starts is what any
# machine starts before its network.

SYSTEMD=/lib/systemd/systemd

# What boots, from an environment of nothing; its /tmp is its own to clean. Linux 5.10 lays no cgroup2 over another.
# shellcheck disable=SC2016 # for the inner shell
BOOT='
	mount -t proc proc /proc
	umount /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/systemd
	cp -r "$0" /run/systemd/system
	mount -t tmpfs tmpfs /tmp
	exec env -i container=test PATH="$PATH" "$1" --unit=ka-test.target'

units() {
	local unit

	# This machine's devices are not for it to set up.
	for unit in systemd-udevd{.service,-control.socket,-kernel.socket} systemd-udev-trigger.service; do
		ln -s /dev/null "$1/$unit"
	done
	cat >"$1/ka-test.target" <<-END
		[Unit]
		Requires=sysinit.target
		After=sysinit.target
	END
}

box() {
	nsenter -t "$init" -m -p -C -i -u -- "$@"
}

started() {
	init=$(pgrep -P "$maker") && [ "$(box timeout 20 systemctl is-active ka-test.target 2>/dev/null)" = active ]
}

# boot: sets init, its PID; in a cgroup of its own. The caller's more_units, where
# there is one, puts others into a folder.
boot() {
	[ -x "$SYSTEMD" ] || skip "no systemd here"
	[ -n "${KA_CLOCK:-}" ] || skip "it would change /etc of this machine"
	grep -q ' cgroup2 ' /proc/mounts || skip "no cgroup2 here"
	[ -s /etc/machine-id ] || systemd-machine-id-setup 2>/dev/null
	dir=$(mktemp -d)
	units "$dir"
	! declare -F more_units >/dev/null || more_units "$dir"
	box=$(mktemp -d /sys/fs/cgroup/ka-XXXXXX)
	(
		echo "$BASHPID" >"$box/cgroup.procs"
		exec unshare --pid --fork --mount --cgroup --ipc --uts --kill-child \
			sh -c "$BOOT" "$dir" "$SYSTEMD"
	) </dev/null >/dev/null 2>&1 &
	maker=$!
	trap 'halt; cleanup' EXIT
	poll 120 started
}

# The caller's put_back, where there is one, undoes what its units did.
halt() {
	kill -9 "$maker" 2>/dev/null
	wait "$maker" 2>/dev/null
	rm -rf "$dir"
	! declare -F put_back >/dev/null || put_back
	for _ in $(seq 50); do
		find "$box" -depth -type d -exec rmdir {} + 2>/dev/null
		[ -d "$box" ] || return 0
		sleep 0.2
	done
}

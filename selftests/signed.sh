#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A kernel that takes signed modules only: booted with module.sig_enforce=1.
# shellcheck source=lib.sh disable=SC2034,SC2317
. "$(dirname "$0")/lib.sh"

NOT_LOADED=1

need_enforcing() {
	[ "$(cat /sys/module/module/parameters/sig_enforce)" = Y ] || skip "not booted with module.sig_enforce=1"
	[ -n "${KA_CLOCK:-}" ] || skip "it would make a file in /var/lib/dkms"
}

test_the_kernel_refuses_it() {
	need_enforcing
	refused 1 "rejected" modprobe tcp_keepalive
}

test_what_helps_is_said() {
	need_enforcing
	rm -f /var/lib/dkms/mok.pub
	refused 3 "signature sign mokutil --import" "$KACTL" policy set time 60
	mkdir -p /var/lib/dkms
	touch /var/lib/dkms/mok.pub
	refused 3 "signature mokutil --import /var/lib/dkms/mok.pub" "$KACTL" policy set time 60
	rm /var/lib/dkms/mok.pub
	is "time" 7200 "$(sysctl -n net.ipv4.tcp_keepalive_time)"
}

test_readers_say_that_it_is_not_loaded() {
	need_enforcing
	refused 3 "not loaded" "$KACTL" policy
}

run_tests "$@"

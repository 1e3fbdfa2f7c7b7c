#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# BTF of the module, added by make btf. KA_TOP is the project's folder.
# shellcheck source=lib.sh disable=SC2119,SC2120,SC2317
. "$(dirname "$0")/lib.sh"

# with_copy: $ko is a copy of the built module, which nothing has touched yet
with_copy() {
	[ -e "${KA_TOP:-}/kmod/tcp_keepalive.ko" ] || skip "no built module in KA_TOP"
	type pahole >/dev/null || skip "no pahole"
	type bpftool >/dev/null || skip "no bpftool"
	[ -r /sys/kernel/btf/vmlinux ] || skip "this kernel has no BTF"
	# Of any module: some are loaded.
	[ "$(ls /sys/kernel/btf)" != vmlinux ] || skip "this kernel has no BTF of modules"
	tmp=$(mktemp -d)
	ko=$tmp/tcp_keepalive.ko
	trap 'rm -r "$tmp"; cleanup' EXIT
	cp "$KA_TOP/kmod/tcp_keepalive.ko" "$ko"
}

btf() {
	make -s -C "$KA_TOP" btf KO="$ko" "$@"
}

# types FILE: those of the module; bpftool finds the kernel's by itself, or is told
types() {
	bpftool btf dump file "$1" 2>/dev/null ||
		bpftool -B /sys/kernel/btf/vmlinux btf dump file "$1"
}

test_bpftool_reads_the_modules_types() {
	local log

	with_copy
	btf || fail "make btf"
	dmesg -C
	unload
	trap 'rmmod tcp_keepalive; load; rm -r "$tmp"; cleanup' EXIT
	insmod "$ko" || fail "does not load"
	bpftool btf list | grep -qF '[tcp_keepalive]' || fail "not listed"
	types /sys/kernel/btf/tcp_keepalive >"$tmp/types"
	for name in ka_conn ka_net; do
		grep -q "STRUCT '$name' size=[1-9]" "$tmp/types" ||
			fail "no struct $name: $(head -n 3 "$tmp/types")"
	done
	log=$(dmesg | grep -i btf)
	is "the kernel's log" "" "$log"
}

test_again_is_the_same() {
	local first

	with_copy
	btf && first=$(types "$ko" | grep -c STRUCT)
	btf || fail "make btf again"
	[ "$first" -gt 5 ] || fail "$first structs"
	is "number of structs" "$first" "$(types "$ko" | grep -c STRUCT)"
}

test_stripped_it_stays() {
	with_copy
	btf || fail "make btf"
	strip --strip-debug "$ko"
	types "$ko" | grep -q "STRUCT 'ka_conn'" || fail "gone"
}

test_what_is_missing_is_named() {
	with_copy
	refused 2 "nowhere.ko modules" btf KO="$tmp/nowhere.ko"
	refused 2 "nowhere CONFIG_DEBUG_INFO_BTF" btf BTF_BASE="$tmp/nowhere"
	sed -i "s/vermagic=$(uname -r) /vermagic=$(uname -r | tr 0-9 9) /" "$ko"
	refused 2 "another kernel $(uname -r)" btf
	mkdir "$tmp/bin"
	ln -s "$(command -v make)" "$(command -v sh)" "$(command -v uname)" "$tmp/bin"
	refused 2 "pahole dwarves" env PATH="$tmp/bin" make -s -C "$KA_TOP" btf KO="$ko"
}

run_tests "$@"

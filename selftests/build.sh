#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What make says where something is missing, and what it installs. KA_TOP is the
# project's folder.
# shellcheck source=lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"

need_project() {
	[ -e "${KA_TOP:-}/Kbuild" ] || skip "no project's folder in KA_TOP"
}

test_modules_without_headers() {
	need_project
	refused 2 "linux-headers-$(uname -r) KDIR=/nowhere demo" \
		make -C "$KA_TOP" modules KDIR=/nowhere
}

test_install_before_build() {
	local copy

	need_project
	copy=$(mktemp -d)
	cp "$KA_TOP/Makefile" "$KA_TOP/Kbuild" "$copy/"
	refused 2 "nothing built" make -C "$copy" install
	rm -r "$copy"
}

test_tool_without_libraries() {
	need_project
	refused 2 "libnl-3-dev libnl-genl-3-dev libcurl4-openssl-dev" \
		make -C "$KA_TOP/ctl" PKG_CONFIG=false
}

test_installed() {
	local module

	need_project
	# Compressed where the kernel's own are.
	module=$(modinfo -n tcp_keepalive)
	is "module" "/lib/modules/$(uname -r)/updates/kmod/tcp_keepalive" \
		"${module%.ko*}"
	modinfo -F alias tcp_keepalive |
		grep -qx net-pf-16-proto-16-family-tcp_keepalive || fail "no alias"
	is "license" GPL "$(modinfo -F license tcp_keepalive)"
	is "version" "$("$KACTL" -V | tr -dc 0-9.)" \
		"$(modinfo -F version tcp_keepalive)"
	[ -e /usr/local/include/linux/tcp_keepalive.h ] || fail "no header"
}

# Whoever builds the tool by itself has the same.
test_the_version_has_one_source() {
	local copy

	need_project
	copy=$(mktemp -d)
	cp -r "$KA_TOP/ctl" "$KA_TOP/Makefile" "$copy/"
	sed -i 's/^VERSION := .*/VERSION := 7.8.9/' "$copy/Makefile"
	rm -f "$copy"/ctl/{kactl,out}.o
	make -n V=1 -C "$copy/ctl" kactl.o | grep -F -- "-DVERSION='\"7.8.9\"'" >/dev/null || fail "the tool's is another"
	make -n V=1 -C "$copy" ctl | grep -F "VERSION=7.8.9" >/dev/null || fail "the project's is another"
	rm -r "$copy"
}

test_a_configuration_stays() {
	local root unit

	need_project
	root=$(mktemp -d)
	make -s -C "$KA_TOP/ctl" install DESTDIR="$root" PREFIX=/opt/ka
	unit=$root/opt/ka/lib/systemd/system/kactl.service
	grep -qx "ExecStart=/opt/ka/lib/kactl/service start" "$unit" || fail "$(cat "$unit")"
	grep -q "Pa /opt/ka/share/tcp-keepalive/middlebox.list" "$root/opt/ka/share/man/man8/kactl.8" ||
		fail "the manual has other folders"
	grep -qx "kactl=/opt/ka/bin/kactl" "$root/opt/ka/lib/kactl/service" || fail "which kactl?"
	is "files that the manual names" "/opt/ka/share/tcp-keepalive /opt/ka/share/tcp-keepalive/middlebox.list" \
		"$(sed -n 's/.*Pa \(.*share[^ ]*\).*/\1/p' "$root/opt/ka/share/man/man8/kactl.8" | sort -u | xargs)"
	# What ships sets nothing.
	is "words in kactl.conf" "" "$(grep -vE '^(#|$)' "$root/etc/kactl.conf")"
	echo "# mine" >"$root/etc/kactl.conf"
	make -s -C "$KA_TOP/ctl" install DESTDIR="$root" PREFIX=/opt/ka
	is "kactl.conf" "# mine" "$(cat "$root/etc/kactl.conf")"
	rm -r "$root"
}

test_uninstalled() {
	local root

	need_project
	root=$(mktemp -d)
	make -s -C "$KA_TOP" install-protocol DESTDIR="$root" PREFIX=/opt/ka
	make -s -C "$KA_TOP/ctl" install DESTDIR="$root" PREFIX=/opt/ka
	install -D /dev/null "$root/lib/modules/$(uname -r)/updates/kmod/tcp_keepalive.ko.xz"
	make -s -C "$KA_TOP" uninstall DESTDIR="$root" PREFIX=/opt/ka
	is "files" "$root/etc/kactl.conf" "$(find "$root" -type f)"
	rm -r "$root"

	# The tool alone likewise, but for the folders that are others' too.
	make -s -C "$KA_TOP/ctl" install DESTDIR="$root" PREFIX=/opt/ka
	make -s -C "$KA_TOP/ctl" uninstall DESTDIR="$root" PREFIX=/opt/ka
	is "files of the tool" "$root/etc/kactl.conf" "$(find "$root" -type f -o -name 'tcp-keepalive')"
	rm -r "$root"
}

run_tests "$@"

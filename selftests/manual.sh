#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The manual: each example of each page is run as it stands there, and what it
# says of keeping the module from being loaded is so.
# shellcheck source=lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"

MAN=${KA_MAN:-/usr/local/share/man}
MODPROBE=/etc/modprobe.d/ka-test.conf

need_vm() {
	[ -d "$MAN/man8" ] || skip "no manual in $MAN (KA_MAN)"
	[ -n "${KA_CLOCK:-}" ] || skip "it would change this machine"
}

# section PAGE NAME: its source, without what roff makes of a backslash
section() {
	awk -v name="$2" '/^\.Sh / { on = $0 == ".Sh " name; next } on' "$MAN/man${1##*.}/$1" |
		sed 's/\\e/\\/g; s/\\(dq/"/g; s/\\&//g'
}

# The lines of a page's examples that are typed, those of a user and those of root.
examples() {
	section "$1" EXAMPLES | sed -nE 's/^(\.Dl )?[#$] //p'
}

# What the examples of kactl(8) talk about: a container, a server of HTTP, a service's cgroup.
scenery() {
	ip netns exec "$1" unshare -n sleep 100000 &
	CONTAINER=$!
	in_ns "$1" ip addr add 10.0.0.7/32 dev lo
	in_ns "$1" python3 - <<-END &
		import http.server as h
		class Server(h.SimpleHTTPRequestHandler):
		    protocol_version, timeout = "HTTP/1.1", 5
		    log_message = lambda *a: None
		h.ThreadingHTTPServer(("10.0.0.7", 8080), Server).serve_forever()
	END
	poll 60 eval "in_ns $1 ss -Hltn sport = :8080 | grep -q ."
	poll 60 test ! "/proc/$CONTAINER/ns/net" -ef "/run/netns/$1"
	mkdir -p /sys/fs/cgroup/system.slice/{agent,example}.service
}

struck() {
	kill "$CONTAINER"
	rmdir /sys/fs/cgroup/system.slice/{agent,example}.service
	# Unless it is somebody's else.
	rmdir /sys/fs/cgroup/system.slice 2>/dev/null || true
}

# run_example DIR LINE [IN…]: as it stands there, in DIR; what would go on for ever is ended by Ctrl-C
run_example() {
	local dir=$1 line=$2 said status limit=(timeout 2000)

	shift 2
	line=${line//4711/$CONTAINER}
	line=${line//\/etc\//$dir/}
	case $line in
	*--watch* | *--listen*) limit=(timeout --preserve-status -s INT 5) ;;
	*\ top) line="{ trap '' PIPE; while echo -n q 2>/dev/null; do sleep 0.2; done; } | TERM=xterm script -qec '$line' /dev/null" ;;
	esac
	said=$(cd "$dir" && "$@" "${limit[@]}" bash -o pipefail -c "$line" 2>&1 </dev/null)
	status=$?
	[ "$status" = 0 ] || fail "'$line' ends with $status: $said"
}

test_examples_of_kactl() {
	local ns dir line n=0

	need_vm
	new_netns ns
	scenery "$ns"
	dir=$(mktemp -d)
	while read -r line; do
		run_example "$dir" "$line" in_ns "$ns"
		n=$((n + 1))
	done < <(examples kactl.8)
	[ "$n" -ge 19 ] || fail "only $n examples"
	grep -q "rule add" "$dir/kactl.conf" || fail "nothing was saved"
	grep -qi "<html" "$dir/keepalive.html" || fail "no page"
	rm -r "$dir"
	struck
}

# They are of this machine: the module goes.
test_examples_of_tcp_keepalive() {
	local dir line n=0

	need_vm
	unload
	dir=$(mktemp -d)
	while read -r line; do
		run_example "$dir" "$line"
		n=$((n + 1))
	done < <(examples tcp_keepalive.4)
	[ "$n" -ge 10 ] || fail "only $n examples"
	! loaded || fail "it is still loaded"
	rm -r "$dir"
	load
}

# Each is a file.
test_examples_of_kactl_conf() {
	local ns block text='' line n=0

	need_vm
	new_netns ns
	while read -r line; do
		case $line in
		.Bd*) block='' ;;
		.Ed)
			"$KACTL" -q -n "$ns" restore <<<"$block" || fail "refused: $block"
			n=$((n + 1))
			text+=$block
			;;
		*) block+=$line$'\n' ;;
		esac
	done < <(section kactl.conf.5 EXAMPLES)
	[ "$n" -ge 4 ] || fail "only $n examples"
	[[ $text == *"policy set"*"rule add"* ]] || fail "not of all kinds: $text"
}

# Whoever takes the # away gets what is said there.
test_examples_in_kactl_conf() {
	local ns line n=0

	need_vm
	new_netns ns
	scenery "$ns"
	while read -r line; do
		"$KACTL" -q -n "$ns" restore <<<"$line" || fail "refused: $line"
		n=$((n + 1))
	done < <(sed -nE 's/^#((policy|rule) )/\1/p' /etc/kactl.conf)
	[ "$n" -ge 7 ] || fail "only $n lines"
	struck
}

test_every_word_is_in_the_manual() {
	local object word

	need_vm
	while read -r object; do
		for word in $("$KACTL" -j "$object" help | jq -r '.[] | .object, .command, .args' | tr -s '[]|\n' ' '); do
			[[ ! $word =~ ^-{0,2}[a-z][a-z0-9.-]*$ ]] || grep -qwFe "${word#--}" "$MAN/man8/kactl.8" ||
				fail "nothing of $word of $object"
		done
	done < <("$KACTL" help | sed -n '/^Objects:/,/^$/s/^  \([a-z]*\) .*/\1/p')
	while read -r word; do
		grep -qwF "$word" "$MAN/man8/kactl.8" || fail "nothing of $word"
	done < <("$KACTL" -j stats | jq -r '.[] | keys[]')
}

test_every_parameter_and_event_is_in_the_manual() {
	local name

	need_vm
	for name in /sys/module/tcp_keepalive/parameters/* "$SYSFS"/{[a-z]*,} \
		/sys/kernel/tracing/events/tcp_keepalive/*/; do
		name=${name%/}
		name=${name##*/}
		case $name in
		device | power | subsystem | uevent | netns | '') ;;
		*) grep -qw "$name" "$MAN/man4/tcp_keepalive.4" || fail "nothing of $name" ;;
		esac
	done
}

# said_line WORD: the line for modprobe.d in the manual that begins with it
said_line() {
	section tcp_keepalive.4 SECURITY | sed -n "s/^\.Dl \($1 .*\)/\1/p"
}

# Anybody may name the family; what is read does not.
name_the_family() {
	setpriv --reuid 65534 --clear-groups "$KACTL" policy set time 60 >/dev/null 2>&1
}

test_who_names_the_family_has_it_loaded() {
	need_vm
	unload
	name_the_family
	loaded || fail "it is not"
}

kept_out_by() {
	local line

	mkdir -p "${MODPROBE%/*}"
	line=$(said_line "$1")
	[ -n "$line" ] || fail "no line with $1 in the manual"
	echo "$line" >"$MODPROBE"
	unload
	name_the_family
	! loaded || fail "it is loaded in spite of '$line'"
}

test_an_alias_keeps_users_from_that_and_not_root() {
	need_vm
	kept_out_by alias
	"$KACTL" policy set enforce off || fail "root cannot"
	loaded || fail "it is not loaded"
	rm "$MODPROBE"
}

test_a_blacklist_keeps_the_tool_from_it_too() {
	need_vm
	kept_out_by blacklist
	refused 3 "blacklist" "$KACTL" policy set enforce off
	load || fail "modprobe cannot"
	rm "$MODPROBE"
}

test_an_install_line_keeps_modprobe_from_it() {
	need_vm
	kept_out_by install
	! load 2>/dev/null || fail "modprobe can"
	insmod "$(modinfo -n tcp_keepalive)" || fail "insmod cannot"
	rm "$MODPROBE"
}

run_tests "$@"

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
	golden 2 'kactl: unknown object "pol": see "kactl help"' help pol
	golden 2 'kactl: unknown word "x"' help policy x
	golden 2 'kactl: http: unknown word "chec"' http chec
	golden 2 'kactl: http: no command given: see "kactl http help"' http
	golden 2 'kactl: policy: unknown word "shwo"' policy shwo
	golden 2 'kactl: policy: unknown word "sh"' policy sh
	golden 2 'kactl: policy set: unknown word "tiem"' policy set tiem 60
	golden 2 'kactl: policy set: unknown word "60"' policy set 60
	golden 2 'kactl: policy show: unknown word "now"' policy show now
	golden 2 'kactl: stats show: unknown word "more"' stats show more
	golden 2 'kactl: conn: unknown word "port"' conn port 80
	golden 2 'kactl: conn: unknown word ""' conn ''
	golden 2 'kactl: conn show: unknown word "show"' conn show show
	golden 2 'kactl: conn: unknown word "-j" (options common to all commands go before the object)' \
		conn -j
	golden 2 'kactl: monitor: unknown word "show"' monitor show
	golden 2 'kactl: monitor: unknown word "died"' monitor dead died
	golden 2 'kactl: monitor: unknown word ""' monitor ''
}

test_values_that_are_none() {
	golden 2 'kactl: policy set: missing value after "time"' policy set time
	golden 2 'kactl: policy set: time "": not a whole number' policy set time ''
	golden 2 'kactl: policy set: time "12x": not a whole number' policy set time 12x
	golden 2 'kactl: policy set: time "1.5": not a whole number' policy set time 1.5
	golden 2 'kactl: policy set: enforce "yes": neither "on" nor "off"' policy set enforce yes
	golden 2 'kactl: policy set: "time" given twice' policy set time 60 time 61
	golden 2 'kactl: report: -o "": not a file' report -o ''
	golden 2 'kactl: metrics: --textfile "": not a file' metrics --textfile ''
	golden 2 'kactl: policy set: give one or more of time, intvl, probes, enforce, inherit' \
		policy set
}

test_filters_that_are_none() {
	local key

	for key in local remote; do
		for word in '' localhost 10.0.0 10.0.0.1/ 10.0.0.1/x 10.0.0.1/-1 10.0.0.0/8/8 /8 ::/+8 '[::1]' \
			10.0.0.1:80 default 1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc; do
			golden 2 "kactl: conn: $key \"$word\": neither an address nor ADDRESS/LENGTH" \
				conn "$key" "$word"
		done
	done
	for key in lport rport; do
		for word in '' ssh 80- -80 80-90-100 80,90 '80 ' +80 0x50 8.0; do
			golden 2 "kactl: conn: $key \"$word\": neither a number nor a range A-B" \
				conn "$key" "$word"
		done
	done
	golden 2 'kactl: conn: uid "root": not a whole number' conn uid root
	golden 2 'kactl: conn: uid "0-5": not a whole number' conn uid 0-5
	golden 2 'kactl: conn: cgroup "": not a path' conn cgroup ''
	golden 2 'kactl: conn: idle-min "1.5": not a whole number' conn idle-min 1.5
	golden 2 'kactl: conn: status "dead": neither alive, probing nor unprotected' conn status dead
	for key in status local remote lport rport uid cgroup idle-min --sort --limit; do
		golden 2 "kactl: conn: missing value after \"$key\"" conn "$key"
	done
}

test_filters_given_twice() {
	golden 2 'kactl: conn: "status" given twice' conn status alive status alive
	golden 2 'kactl: conn: "local" given twice' conn local ::1 rport 1 local ::1
	golden 2 'kactl: conn: "lport" given twice' conn lport 80 lport 81
	golden 2 'kactl: conn: "uid" given twice' conn uid 0 uid 0
	golden 2 'kactl: conn: "cgroup" given twice' conn cgroup / cgroup /
	golden 2 'kactl: conn: "idle-min" given twice' conn idle-min 1 idle-min 1
}

test_filters_that_nothing_could_carry() {
	golden 1 'kactl: conn: lport 65536: out of range (0 to 65535 allowed)' conn lport 65536
	golden 1 'kactl: conn: rport 1-99999999999999999999: out of range (0 to 65535 allowed)' \
		conn rport 1-99999999999999999999
	golden 1 'kactl: conn: uid 4294967295: out of range (0 to 4294967294 allowed)' conn uid 4294967295
	golden 1 'kactl: conn: uid -1: out of range (0 to 4294967294 allowed)' conn uid -1
	golden 1 'kactl: conn: idle-min 4294967296: out of range (0 to 4294967295 allowed)' conn idle-min 4294967296
	golden 1 'kactl: conn: cgroup: too long (4095 bytes at most)' conn cgroup "/$(printf '%04095d' 0)"
	[[ $("$KACTL" conn cgroup "/$(printf '%04094d' 0)" 2>&1) != *"too long"* ]] || fail "4095 bytes are too long"
}

test_options_of_conn_and_monitor() {
	local keys='netns, netns_ino, family, local, lport, remote, rport, state, status, time, intvl, probes, source, user_timeout_ms, idle_ms, next_ms, out, sent, answered, lost, rtt_us, rtt_min_us, uid, inode, rule'

	for key in '' - port keepalive processes --lport; do
		golden 2 "kactl: conn: --sort \"$key\": none of $keys" conn --sort "$key"
	done
	golden 2 'kactl: conn: --limit "few": not a whole number' conn --limit few
	golden 2 'kactl: conn: --limit "0": out of range (1 to 2147483647 allowed)' conn --limit 0
	golden 2 'kactl: conn: --limit "-1": out of range (1 to 2147483647 allowed)' conn --limit -1
	golden 2 'kactl: apply: missing value after "--spread"' apply --spread
	golden 2 'kactl: apply: --spread "-1": not a number of seconds' apply --spread -1
	golden 2 'kactl: apply: --spread "soon": not a number of seconds' apply --spread soon
	golden 1 'kactl: apply: --spread 5000000 (5000000000 ms): integer out of range (0 to 600000 allowed)' apply --spread 5000000
	golden 1 'kactl: apply: --spread 600.5 (600500 ms): integer out of range (0 to 600000 allowed)' \
		apply --spread 600.5
	golden 2 'kactl: apply: "--spread" given twice' apply --spread 1 --spread 1
	golden 2 'kactl: apply: unknown word "mark"' apply mark 1
	golden 2 'kactl: apply: unknown word "now"' apply --dry-run now
	golden 2 'kactl: monitor: missing value after "--count"' monitor --count
	golden 2 'kactl: monitor: --count "0": out of range (1 to 2147483647 allowed)' monitor --count 0
	golden 2 'kactl: monitor: --count "x": not a whole number' monitor --count x
	golden 2 'kactl: monitor: missing value after "--timeout"' monitor dead --timeout
	golden 2 'kactl: monitor: --timeout "soon": not a number of seconds' monitor --timeout soon
	golden 2 'kactl: monitor: --timeout "-1": not a number of seconds' monitor --timeout -1
	golden 2 'kactl: monitor: --timeout "10000000000": out of range (0 to 1000000000 allowed)' monitor --timeout 10000000000
}

test_values_out_of_range() {
	golden 1 'kactl: policy set: time 99999: integer out of range (1 to 32767 allowed)' \
		policy set time 99999
	golden 1 'kactl: policy set: time -5: integer out of range (1 to 32767 allowed)' \
		policy set time -5
	golden 1 'kactl: policy set: probes 0: integer out of range (1 to 127 allowed)' \
		policy set intvl 10 probes 0
	golden 1 'kactl: policy set: time 99999999999: integer out of range (1 to 32767 allowed)' \
		policy set time 99999999999
	golden 1 'kactl: policy set: probes -1: integer out of range (1 to 127 allowed)' policy set probes -1
	golden 1 'kactl: rule add: pref -1: integer out of range (1 to 32767 allowed)' rule add pref -1 time 60
	golden 1 'kactl: rule del: pref 4294967297: integer out of range (1 to 32767 allowed)' \
		rule del pref 4294967297
	golden 1 'kactl: rule add: time 1..99999999999: integer out of range (1 to 32767 allowed)' \
		rule add time 1..99999999999
	golden 1 'kactl: rule add: user-timeout -1: integer out of range (1 to 2147483647 allowed)' \
		rule add user-timeout -1
	golden 1 'kactl: rule add: mark 0x100000000: out of range (0 to 0xffffffff allowed)' \
		rule add mark 0x100000000 time 60
	golden 2 'kactl: stats: --watch "0": out of range (0.0001 to 1000000000 allowed)' stats --watch 0
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
	golden 3 'kactl: conn: module tcp_keepalive is not loaded: modprobe tcp_keepalive' conn
	golden 3 'kactl: rule: module tcp_keepalive is not loaded: modprobe tcp_keepalive' rule
	golden 3 'kactl: save: module tcp_keepalive is not loaded: modprobe tcp_keepalive' save /tmp/ka-none
	golden 3 'kactl: apply: module tcp_keepalive is not loaded: modprobe tcp_keepalive' apply --dry-run
	[ ! -e /tmp/ka-none ] || fail "it was saved"
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

test_a_module_of_another_kernel() {
	local file copy

	only_in_the_vm /lib/modules
	file=$(modinfo -n tcp_keepalive)
	copy=$(mktemp)
	cp "$file" "$copy"
	unload
	# That it is no longer compressed its first bytes say.
	[[ $file != *.xz ]] || unxz <"$copy" >"$file"
	# Of the version itself a kernel with CONFIG_MODVERSIONS takes no notice.
	sed -i 's/\(vermagic=[^ ]*\) SMP /\1 XXX /' "$file"
	refused 3 "not built for this kernel" "$KACTL" policy set time 60
	mv "$copy" "$file"
	load
}

test_a_module_that_dkms_has_not_built() {
	local dir

	only_in_the_vm /lib/modules
	dir=/lib/modules/$(uname -r)
	unload
	mv "$dir"/modules.{dep,alias}{,.bin} /tmp/
	mkdir -p /var/lib/dkms/tcp-keepalive
	refused 3 "not built for this kernel headers dkms" "$KACTL" policy set time 60
	rmdir /var/lib/dkms/tcp-keepalive
	mv /tmp/modules.{dep,alias}{,.bin} "$dir/"
	load
}

# It is found by its own name; and whoever runs kactl ignores SIGCHLD.
test_a_module_without_its_alias() {
	local dir ns

	only_in_the_vm /lib/modules
	new_netns ns
	dir=/lib/modules/$(uname -r)
	unload
	mv "$dir"/modules.alias{,.bin} /tmp/
	env --ignore-signal=CHLD "$KACTL" -n "$ns" policy set time 60 || fail "not by its name"
	mv /tmp/modules.alias{,.bin} "$dir/"
	sysctls_are "$ns" "60 75 9"
}

test_json_is_one_document() {
	local ns

	new_netns ns
	"$KACTL" -j policy | json_valid policy
	"$KACTL" -jp stats | json_valid stats
	"$KACTL" -j -a policy | json_valid "-a policy"
	"$KACTL" -j conn | json_valid conn
	"$KACTL" -jp -a conn --processes | json_valid "-a conn"
	"$KACTL" -n "$ns" -j policy set time 60 | json_valid "policy set"
	"$KACTL" -n "$ns" -j policy reset | json_valid "policy reset"
	is "reset in text" "" "$("$KACTL" -n "$ns" policy reset)"
	"$KACTL" -j policy set time 2>/dev/null | json_valid "missing value"
	"$KACTL" -j frob 2>/dev/null | json_valid "unknown object"
}

test_watch_is_an_object_a_line() {
	local ns lines fifo unread

	new_netns ns
	lines=$(timeout --preserve-status -s INT 2 "$KACTL" -n "$ns" -j stats --watch 0.4)
	is "status at Ctrl-C" 0 $?
	[ "$(wc -l <<<"$lines")" -ge 3 ] || fail "too few lines: $lines"
	while read -r line; do
		json_valid "$line" <<<"$line"
	done <<<"$lines"
	# Its own namespace needs no privilege, however often it comes back to it.
	lines=$(setpriv --reuid 65534 --clear-groups \
		timeout --preserve-status -s INT 2 "$KACTL" -q -a -j stats --watch 0.4)
	[ "$(jq .netns_ino <<<"$lines" | sort | uniq -c | awk '{ print $1 }')" -ge 3 ] ||
		fail "not again and again: $lines"
	# Rounds that take longer than the interval.
	timeout --preserve-status -k 10 -s INT 2 "$KACTL" -n "$ns" stats --watch 0.0001 >/dev/null
	is "status at Ctrl-C while it is busy" 0 $?
	# Nobody takes what it writes.
	fifo=$(mktemp -u)
	mkfifo "$fifo"
	exec {unread}<>"$fifo"
	timeout --preserve-status -k 10 -s INT 2 "$KACTL" -n "$ns" stats --watch 0.0001 >"$fifo"
	is "status at Ctrl-C while nobody reads" 0 $?
	exec {unread}>&-
	rm "$fifo"
	refused 2 "watch often" "$KACTL" stats --watch often
}

test_stats_show_all_and_explain() {
	local ns

	new_netns ns
	! "$KACTL" -n "$ns" stats | grep -q conns_applied || fail "0 is shown"
	"$KACTL" -n "$ns" stats --all | grep -q conns_applied || fail "not all"
	! "$KACTL" -n "$ns" stats | grep -q rtt_us || fail "an empty histogram is shown"
	"$KACTL" -n "$ns" stats --all | grep -q '^rtt_us  *0$' || fail "not all histograms"
	"$KACTL" -n "$ns" -j stats | grep -q '"rtt_us":\[\],"lost_in_row":\[\],"detect_ms":\[\]' ||
		fail "no empty arrays"
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
	# What ip netns takes for a name is one.
	ip netns add ".$ns"
	"$KACTL" -n ".$ns" policy set time 62 || fail "with a dot"
	sysctls_are ".$ns" "62 75 9"
	ip netns del ".$ns"
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

# It is not one that is empty, after which there would be no rules.
test_closed_input() {
	local ns

	new_netns ns
	"$KACTL" -qn "$ns" rule add time 60 >/dev/null || fail "no rule"
	refused 1 "standard input" sh -c "$KACTL -n $ns restore <&-"
	is "rules" "pref 10 time 60 hits 0" "$("$KACTL" -n "$ns" rule)"
}

test_own_namespace_by_name() {
	local ns other nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

	new_netns ns
	new_netns other
	in_ns "$ns" "${nobody[@]}" "$KACTL" -n "$ns" policy >/dev/null || fail "one's own"
	refused 4 "$other" in_ns "$ns" "${nobody[@]}" "$KACTL" -n "$other" policy
}

test_a_signal_leaves_no_part_of_a_file() {
	local ns dir

	command -v strace >/dev/null || skip "no strace here"
	new_netns ns
	dir=$(mktemp -d)
	for sig in HUP INT TERM; do
		# The shell would say that it was killed.
		{
			strace -o /dev/null -e "inject=fsync:signal=SIG$sig:when=1" \
				"$KACTL" -n "$ns" save "$dir/file"
		} 2>/dev/null
		[ $? -gt 128 ] || fail "not killed by SIG$sig"
		is "after SIG$sig" file "$(ls "$dir")"
		"$KACTL" -n "$ns" save | cmp -s - "$dir/file" || fail "not the whole file"
	done
	rm -r "$dir"
}

objects() {
	"$KACTL" help | sed -n '/^Objects:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

test_help_teaches() {
	local object word text

	for object in "" "rule add" "policy set" "stats show" "conn show"; do
		# shellcheck disable=SC2086 # words
		"$KACTL" $object help | grep -q kactl || fail "no help of '$object'"
	done
	"$KACTL" -h | grep -q policy || fail "-h"
	is "help of help" "$("$KACTL" help)" "$("$KACTL" help help)"
	is "the same in another order" "$("$KACTL" rule help)" "$("$KACTL" help rule)"
	"$KACTL" -V | grep -qE '[0-9]+\.[0-9]+' || fail "-V"
	[ "$(objects | wc -l)" -ge 13 ] || fail "which objects? $(objects)"
	for object in $(objects); do
		# Below the usage lines, which have the words themselves.
		text=$("$KACTL" "$object" help | sed '1,/^$/d; /^Examples:/,$d')
		for word in $("$KACTL" -j "$object" help | jq -r '.[].args' | tr -s '[]|\n' ' '); do
			[[ ! $word =~ ^-{0,2}[a-z][a-z0-9.-]*$ ]] || grep -qwFe "$word" <<<"$text" ||
				fail "the help of $object says nothing of $word"
		done
	done
}

# They parse: whatever becomes of them in an empty namespace, it is no misuse.
test_help_has_examples() {
	local ns object line said dir n status

	new_netns ns
	dir=$(mktemp -d)
	for object in "" $(objects); do
		n=0
		while read -r line; do
			n=$((n + 1))
			[[ $line == kactl\ * && $line == *" ${object:-kactl}"* || -z $object ]] ||
				fail "an example of $object: $line"
			line=${line//kactl /$KACTL }
			said=$(cd "$dir" && in_ns "$ns" timeout -s INT 3 bash -o pipefail -c "${line//\/etc\//$dir/}" \
				2>&1 </dev/null)
			status=$?
			[ "$status" != 2 ] || fail "'$line': $said"
		done < <("$KACTL" ${object:+"$object"} help | sed -n '/^Examples:/,$s/^  //p')
		[ "$n" -gt 0 ] || fail "no example of '$object'"
	done
	rm -r "$dir"
}

# What may come after LINE: one word a line. The last word, which is not there yet, is empty.
bash_offers() {
	# shellcheck disable=SC2016 # for the inner shell
	bash -c '. "$0"; COMP_WORDS=('"$1"' ""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_kactl; printf "%s\n" "${COMPREPLY[@]}"' "$BASH_COMPLETION"
}

zsh_offers() {
	# shellcheck disable=SC2016 # for the inner shell
	zsh -f -c 'fpath=($1); autoload -U _kactl
		compadd() { shift; print -rl -- $@ }
		_describe() { local list=$@[-1]; print -rl -- ${${(P)list}%%:*} }
		_files() { print -rl -- *(N) }
		words=(${=2} ""); CURRENT=$#words; _kactl' - "${ZSH_COMPLETION%/*}" "$1"
}

# completes LINE WORD…: those may come after LINE, among others
completes() {
	local line=$1 word words shell

	shift
	for shell in $SHELLS; do
		words=" $("${shell}_offers" "$line" | xargs) "
		for word; do
			[[ $words == *" $word "* ]] || fail "$shell: no $word after '$line': $words"
		done
	done
}

BASH_COMPLETION=/usr/local/share/bash-completion/completions/kactl
ZSH_COMPLETION=/usr/local/share/zsh/site-functions/_kactl

completes_all() {
	# shellcheck disable=SC2046 # words
	completes "kactl" help --netns --json $(objects)
	completes "kactl help" policy rule
	completes "kactl policy" show set reset help
	completes "kactl policy set" time intvl probes enforce inherit
	completes "kactl policy set enforce" on off
	completes "kactl rule" show add replace del flush test help
	completes "kactl rule add" pref dir cgroup keepalive override
	completes "kactl rule add dir" in out
	completes "kactl rule add rport 80 keepalive" on off leave
	completes "kactl rule replace" pref mark user-timeout
	completes "kactl rule del" pref
	completes "kactl rule test" dir remote
	completes "kactl metrics" --listen --textfile help
	completes "kactl advise" --behind help
	completes "kactl advise --behind" nlb conntrack
	completes "kactl top" --delay help
	completes "kactl report" --for --behind -o help
	completes "kactl report --for 3" -o
	completes "kactl apply" --dry-run --spread local help
	completes "kactl apply --dry-run" --spread rport
	completes "kactl conn" show status local lport --sort help
	completes "kactl conn status" alive probing unprotected
	completes "kactl conn show" status uid --limit
	completes "kactl conn lport 80" rport --processes
	completes "kactl -n 1 monitor" dead policy --count help
	completes "kactl monitor lost" dead policy --timeout
	completes "kactl monitor lost --count 3" dead --timeout
	completes "kactl http" check behind help
	completes "kactl http check http://x" --idle-max --http1.0 --unix-socket
	completes "kactl http check http://x --behind" alb nginx rfc5382
	cd "$(mktemp -d)" || fail "no folder"
	touch here.html
	completes "kactl report -o" here.html
	completes "kactl restore" here.html help
	completes "kactl http check http://x --cacert" here.html
	rm -r "$PWD"
}

test_completion_of_bash() {
	[ -r "$BASH_COMPLETION" ] || skip "it is not installed"
	SHELLS=bash completes_all
}

need_zsh() {
	[ -r "$ZSH_COMPLETION" ] || skip "it is not installed"
	type zsh >/dev/null 2>&1 || skip "no zsh here"
}

test_completion_of_zsh() {
	need_zsh
	SHELLS=zsh completes_all
}

# Both offer the same, but for the order.
test_completions_agree() {
	local object command

	need_zsh
	cd "$(mktemp -d)" || fail "no folder"
	for object in $(objects); do
		for command in "" $("$KACTL" -j "$object" help | jq -r '.[].command'); do
			is "after kactl $object $command" "$(bash_offers "kactl $object $command" | sort | xargs)" \
				"$(zsh_offers "kactl $object $command" | sort | xargs)"
		done
	done
	rmdir "$PWD"
}

# In a real one: a key is pressed, and the line is longer.
test_completion_of_zsh_at_a_terminal() {
	local tmux=(tmux -L "ka-$BASHPID")

	need_zsh
	type tmux >/dev/null 2>&1 || skip "no tmux here"
	zsh_shows() {
		"${tmux[@]}" capture-pane -p | grep -qe "$1"
	}
	"${tmux[@]}" -f /dev/null new-session -d -x 100 -y 30 "exec zsh -f"
	"${tmux[@]}" send-keys "PS1='ready> '; fpath=(${ZSH_COMPLETION%/*} \$fpath); autoload -U compinit && compinit -u -D" Enter
	poll 60 zsh_shows '^ready> *$'
	"${tmux[@]}" send-keys "kactl mon" Tab "--cou" Tab
	poll 60 zsh_shows '^ready> kactl monitor --count *$'
	"${tmux[@]}" send-keys C-u "kactl r" Tab
	poll 60 zsh_shows '^rule  *-- which connections get keepalive'
	"${tmux[@]}" kill-server
}

run_tests "$@"

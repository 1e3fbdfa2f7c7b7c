#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The tool with a module of another version: version/ says in what it differs.
# KA_TOP is the project's folder.
# shellcheck source=lib.sh disable=SC2317
. "$(dirname "$0")/lib.sh"

# another_module: it is loaded until the end of the test
another_module() {
	local ko=${KA_TOP:-}/version/kmod/tcp_keepalive.ko

	[ -e "$ko" ] || skip "no $ko"
	unload
	trap 'unload; load; cleanup' EXIT
	insmod "$ko" || fail "does not load"
	new_netns ns
}

# says WHAT LINE…: those lines are in WHAT's output, whatever the spaces
says() {
	local what=$1 said line

	shift
	# shellcheck disable=SC2086 # words
	said=$("$KACTL" -n "$ns" $what 2>&1) || fail "$what: $said"
	said=$(tr -s ' ' <<<"$said")
	for line; do
		grep -qF -- "$line" <<<"$said" || fail "$what: no '$line' in: $said"
	done
}

# json_is FILTER WANT WORD…
json_is() {
	local filter=$1 want=$2

	shift 2
	is "$filter of $*" "$want" "$("$KACTL" -n "$ns" -j "$@" | jq -c "$filter")"
}

test_newer_attributes_are_numbers() {
	another_module
	says policy "time 7200" "attr 60 4711" "attr 61 5 bytes"
	says "stats --all" "probes_sent 0" "attr 60 4711"
	"$KACTL" -n "$ns" policy set time 60 || fail "policy set"
	"$KACTL" -n "$ns" rule add pref 5 rport 80 keepalive on || fail "rule add"
	says rule "rport 80 keepalive on" "attr 60 4711"
	json_is '.[] | [.time, .["attr 60"]]' "[60,4711]" policy
	json_is '.[] | [.probes_sent, .["attr 60"]]' "[0,4711]" stats
	json_is '.[] | [.pref, .["attr 60"]]' "[5,4711]" rule
	"$KACTL" -n "$ns" save 2>/dev/null | grep -q "^rule add pref 5 rport 80 keepalive on$" || fail "save"
}

test_newer_events_are_shown() {
	local log

	another_module
	log=$(mktemp)
	"$KACTL" -n "$ns" -j monitor policy --count 1 --timeout 60 >"$log" &
	# Only a change is an event.
	poll 5 bash -c "'$KACTL' -q -n $ns policy set time \$((RANDOM % 100 + 10)); grep -q policy $log"
	wait $!
	is "the event" '["policy",4711]' "$(jq -c '[.event, .["attr 60"]]' <"$log")"
	rm "$log"
}

# connection: there is one until the end of the test
connection() {
	in_ns "$ns" socat TCP-LISTEN:7001,fork EXEC:cat &
	poll 5 in_ns "$ns" sh -c "ss -Htln | grep -q :7001"
	in_ns "$ns" socat EXEC:'sleep 100' TCP:127.0.0.1:7001 &
	poll 5 in_ns "$ns" sh -c "ss -Htn state established | grep -q :7001"
}

test_newer_values_are_numbers() {
	another_module
	connection
	json_is 'map([.status, .source, .["attr 60"]]) | unique' '[[60,61,4711]]' conn
	says conn " 60 " "attr 60 4711"
}

# What is known is there, and what is not is left out, not said to be 0.
test_metrics() {
	another_module
	says metrics "tcp_keepalive_probes_sent_total{netns=\"$ns\"} 0" \
		"tcp_keepalive_policy_time_seconds{netns=\"$ns\"} 7200" \
		"tcp_keepalive_rtt_seconds_bucket{netns=\"$ns\",le=\"+Inf\"} 0" "# EOF"
	! "$KACTL" -n "$ns" metrics | grep -v '^#' | grep -q conns_applied || fail "it has what there is not"
}

test_advise() {
	another_module
	connection
	says advise "netns $ns" "recommend nothing"
	says "advise --behind 100" "recommend kactl policy set time "
}

test_report() {
	another_module
	connection
	says "report -o -" "$ns" "probes_sent" "</html>"
}

test_top() {
	local log

	another_module
	connection
	type script >/dev/null || skip "no script here"
	log=$(mktemp)
	{ poll 20 grep -q "policy: time" "$log" && printf q; } |
		TERM=xterm timeout 60 script -qefc "$KACTL -n $ns top" "$log" >/dev/null || fail "top: $(cat "$log")"
	tr -s ' ' <"$log" | grep -q "netns $ns" || fail "top: $(cat "$log")"
	rm "$log"
}

test_http() {
	another_module
	in_ns "$ns" python3 -c "if True:
		import http.server
		class H(http.server.SimpleHTTPRequestHandler):
			protocol_version = 'HTTP/1.1'
			timeout = 5
		http.server.ThreadingHTTPServer(('127.0.0.1', 7002), H).serve_forever()" 2>/dev/null &
	poll 20 in_ns "$ns" sh -c "ss -Htln | grep -q :7002"
	json_is '.[].tcp | [.keepalive, .source]' '[true,61]' http check http://127.0.0.1:7002/ --requests 2
	says "http check http://127.0.0.1:7002/ --requests 2 --layers" "controlled by the server, and the client 61"
}

test_older_module_lacks_commands() {
	local versions file

	another_module
	versions="unknown module version kactl $(cat /sys/module/tcp_keepalive/version)"
	refused 1 "$versions rule test" "$KACTL" -n "$ns" rule test dir out rport 80
	refused 1 "$versions apply" "$KACTL" -n "$ns" apply --dry-run
	file=$(mktemp)
	echo "policy set time 60" >"$file"
	refused 1 "$versions restore" "$KACTL" -n "$ns" restore "$file"
	rm "$file"
	json_is '.[].time' 7200 policy
}

test_older_module_lacks_a_match() {
	another_module
	refused 1 "mark 7 version" "$KACTL" -n "$ns" rule add mark 7 keepalive on
	is "rules" "[]" "$("$KACTL" -n "$ns" -j rule | jq -c .)"
}

run_tests "$@"

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts beside it share. A test is a function; they build on each other, so the first that fails ends it.

# run_all LOG FUNCTION…: what they write goes to LOG, which is shown if one fails
run_all() {
	local log=$1 number=0 name status

	shift
	echo "1..$#"
	for name; do
		number=$((number + 1))
		# In a condition "set -e" would not hold.
		set +e
		(
			set -eE
			trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
			"$name"
		) >"$log" 2>&1
		status=$?
		set -e
		if [ $status = 0 ]; then
			echo "ok $number ${name//_/ }"
		else
			tail -n 60 "$log" | sed 's/^/# /'
			echo "not ok $number ${name//_/ }"
			exit 1
		fi
	done
}

project_version() {
	sed -n 's/^VERSION := //p' Makefile
}

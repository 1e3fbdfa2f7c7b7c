# SPDX-License-Identifier: GPL-2.0
# Makes middlebox.inc, the elements of a C table, of middlebox.list; fails if something of one is missing or not known.

function quoted(text) {
	gsub(/[\\"]/, "\\\\&", text)
	return "\"" text "\""
}

function wrong(what) {
	print FILENAME ":" FNR ": " what >"/dev/stderr"
	failed = 1
	exit 1
}

function done() {
	if (name == "")
		return
	if (keys != 5)
		wrong(name ": not all of layer, idle, then, source and checked")
	printf "{ %s, %s, MIDDLEBOX_%s, %s, %s,\n  %s, %s },\n", quoted(name), quoted(what), toupper(value["layer"]),
		value["idle"], quoted(value["then"]), quoted(value["source"]), quoted(value["checked"])
	keys = 0
	split("", value)
}

/^(#|$)/ { next }

/^[a-z0-9-]+: / {
	done()
	name = substr($1, 1, length($1) - 1)
	what = substr($0, length($1) + 2)
	next
}

/^\t(layer (http|tcp)|idle [0-9]+|then .+|source https:.+|checked [0-9]+-[0-9]+-[0-9]+)$/ && name != "" {
	if ($1 in value)
		wrong($1 " twice")
	value[$1] = substr($0, length($1) + 3)
	keys++
	next
}

{ wrong("what is that?") }

END {
	if (!failed)
		done()
}
